"""The rules of members' pictures (docs/protocol.md, rule 18.4): what a picture is, by its content."""

from collections.abc import Iterator
from typing import Final

from twotick.store.rules.errors import NotAllowed

PICTURE_BYTES: Final = 256 << 10
_SIDES: Final = range(16, 1025)

_PNG: Final = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The JPEG markers with the size."""

_MOVES: Final = 2
"""The bit in the head of a WebP that moves."""


def picture_type(data: bytes) -> str:
    """Return the Content-type of a picture.

    Raises:
        NotAllowed: it cannot be a member's picture.
    """
    if len(data) > PICTURE_BYTES:
        raise NotAllowed(f"a picture has at most {PICTURE_BYTES} bytes")
    kind, sides = _kind_and_sides(data)
    if not kind:
        raise NotAllowed("a picture is PNG, JPEG or WebP, and does not move")
    if sides[0] != sides[1] or sides[0] not in _SIDES:
        raise NotAllowed(f"a picture is as wide as high, and has {_SIDES[0]} to {_SIDES[-1]} pixels a side")
    return kind


def _kind_and_sides(data: bytes) -> tuple[str, tuple[int, int]]:
    """Return the type of a picture, and its width and height; an empty type if it is not known."""
    if data.startswith(_PNG):
        # A PNG that moves says so between its head and its first data.
        kind = "" if b"acTL" in data[: data.find(b"IDAT")] else "image/png"
        return kind, (_number(data, 16, 4), _number(data, 20, 4))
    if data.startswith(b"\xff\xd8\xff"):
        sides = next(_jpeg_sides(data), None)
        return ("image/jpeg", sides) if sides else ("", (0, 0))
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    return "", (0, 0)


def _number(data: bytes, start: int, count: int) -> int:
    return int.from_bytes(data[start : start + count], "big")


def _jpeg_sides(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the width and the height of each frame of a JPEG."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:  # a marker may be preceded by any number of these
            at += 1
            continue
        if marker in _FRAMES:
            yield _number(data, at + 7, 2), _number(data, at + 5, 2)
        at += 2 + max(_number(data, at + 2, 2), 2)


def _webp(data: bytes) -> tuple[str, tuple[int, int]]:
    chunk, head = data[12:16], data[20:30]
    if len(head) < 10:
        return "", (0, 0)
    if chunk == b"VP8 " and head[3:6] == b"\x9d\x01\x2a":
        sides = int.from_bytes(head[6:8], "little") & 0x3FFF, int.from_bytes(head[8:10], "little") & 0x3FFF
    elif chunk == b"VP8L" and head[0] == 0x2F:
        bits = int.from_bytes(head[1:5], "little")
        sides = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif chunk == b"VP8X" and not head[0] & _MOVES:
        sides = int.from_bytes(head[4:7], "little") + 1, int.from_bytes(head[7:10], "little") + 1
    else:
        return "", (0, 0)
    return "image/webp", sides
