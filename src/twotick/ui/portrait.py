"""Pictures of members: a file becomes a small square picture that says nothing else of where it was taken."""

import importlib.util
import os
import struct
import zlib
from pathlib import Path
from typing import Final

from twotick.ui.thumbnail import CannotShow, Thumbnail, thumbnail

SIDE: Final = 256
"""Pixels of a side. A picture of this size is never too large for a profile, however little it can be compressed."""


async def portrait(path: Path) -> bytes:
    """Return the middle of a picture as a PNG of at most `SIDE` pixels a side.

    Args:
        path: the file.

    Raises:
        CannotShow: the file cannot be read, or is no picture of a known format, or Pillow is missing.
        OSError: the file cannot be read, or there can be no further process.
    """
    if importlib.util.find_spec("PIL") is None:
        raise CannotShow("Twotick reads pictures with Pillow: pip install 'twotick[pictures]'")
    os.close(os.open(path, os.O_RDONLY))  # if it cannot be read, the system says why
    shape = await thumbnail(path, SIDE)
    # A pixel less, because the sides of a small copy are rounded: what is too much is cut off.
    longer = SIDE * max(shape.width, shape.height) // max(1, min(shape.width, shape.height) - 1) + 1
    return _png(_middle(await thumbnail(path, longer)))


def _middle(picture: Thumbnail) -> Thumbnail:
    """Return the square in the middle of a picture."""
    side = min(picture.width, picture.height, SIDE)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    starts = [3 * ((top + row) * picture.width + left) for row in range(side)]
    return Thumbnail(side, side, b"".join(picture.pixels[start : start + 3 * side] for start in starts))


def _png(picture: Thumbnail) -> bytes:
    row = 3 * picture.width
    lines = b"".join(b"\0" + picture.pixels[at : at + row] for at in range(0, len(picture.pixels), row))
    head = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(lines, 9)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
