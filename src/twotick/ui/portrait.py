"""Pictures of members: a file becomes a small square picture that says nothing else of where it was taken."""

import importlib.util
import io
import os
from pathlib import Path
from typing import Final

from twotick.ui.thumbnail import CannotShow, Thumbnail, thumbnail

_LEAST: Final = 16
"""Pixels of a side of the smallest picture (docs/protocol.md, rule 18.4)."""

SIDE: Final = 256
"""Pixels of a side. A picture of this size is never too large for a profile, however little it can be compressed."""


async def portrait(path: Path) -> bytes:
    """Return the middle of a picture as a PNG of at most `SIDE` pixels a side.

    Args:
        path: the file.

    Raises:
        CannotShow: the file is no picture of a known format, or is too narrow or low, or Pillow is missing.
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
    if side < _LEAST:
        raise CannotShow(f"it must be at least {_LEAST} pixels wide and high")
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    starts = [3 * ((top + row) * picture.width + left) for row in range(side)]
    return Thumbnail(side, side, b"".join(picture.pixels[start : start + 3 * side] for start in starts))


def _png(picture: Thumbnail) -> bytes:
    from PIL import Image  # imported late: few have a picture to set

    file = io.BytesIO()
    Image.frombytes("RGB", (picture.width, picture.height), picture.pixels).save(file, "PNG", optimize=True)
    return file.getvalue()
