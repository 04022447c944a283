"""The heads of pictures, which are all that the rules look at."""

import struct


def png(width: int = 16, height: int = 16, more: bytes = b"") -> bytes:
    """Return the beginning of a PNG."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + head + b"\0\0\0\0" + more + b"\0\0\0\0IDAT"


def jpeg(width: int = 16, height: int = 16, before: bytes = b"") -> bytes:
    """Return the beginning of a JPEG."""
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3)
    return b"\xff\xd8\xff\xe0\0\4ab" + before + b"\xff\xff\xc2" + frame + b"\0" * 9


def webp(kind: bytes, head: bytes) -> bytes:
    """Return the beginning of a WebP with a first chunk of this kind."""
    return b"RIFF\0\0\0\0WEBP" + kind + b"\0\0\0\0" + head.ljust(10, b"\0")
