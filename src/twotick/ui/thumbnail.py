"""Small copies of pictures. A process of its own reads the file, which may be hostile: `python -m` and this module.

The process has bounds of time and memory, knows a few formats only, and decodes no picture with more than `MAX_PIXELS`.
"""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import NamedTuple

MAX_BYTES = 20 << 20
"""Bytes of a file that is read."""

MAX_PIXELS = 40_000_000
"""Pixels of a picture that is decoded."""

_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".gif": "GIF", ".webp": "WEBP", ".bmp": "BMP"}
"""The format of the files with each ending."""

_MAX_SIDE = 2000
"""Pixels of the longer side of a copy."""

_MEMORY = 1 << 30
"""Bytes of memory of the process."""

_CPU_SECONDS = 10

_PATIENCE = 30.0
"""Seconds after which the process is killed."""


class CannotShow(Exception):
    """There is no small copy. The text is a reason for a person to read."""


class Thumbnail(NamedTuple):
    """A small copy of a picture.

    Attributes:
        width: its width in pixels.
        height: its height in pixels.
        pixels: three bytes for each pixel: red, green and blue.
    """

    width: int
    height: int
    pixels: bytes


def format_of(name: str) -> str:
    """Return the format of the picture that a file with a name should hold; empty if it is no picture."""
    return _FORMATS.get(Path(name).suffix.lower(), "")


async def thumbnail(path: Path, side: int) -> Thumbnail:
    """Return a small copy of a picture.

    Args:
        path: the file.
        side: the most pixels of its longer side.

    Raises:
        CannotShow: the file cannot be read, is no picture of a known format, or is too large.
        OSError: there can be no further process.
    """
    side = min(side, _MAX_SIDE)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, str(path), str(side),
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_PATIENCE):
            width, height = (int(each) for each in (await process.stdout.readline()).split())
            if not (0 < width <= side and 0 < height <= side):
                raise CannotShow("the picture cannot be decoded")
            pixels = await process.stdout.readexactly(3 * width * height)
            await process.stdout.read(1)  # nothing: it has written all
            return Thumbnail(width, height, pixels)
    except (TimeoutError, ValueError, asyncio.IncompleteReadError):
        raise CannotShow("this is no picture that can be shown here, or it is too large") from None
    finally:
        await _end(process, process.stdout)


async def _end(process: asyncio.subprocess.Process, output: asyncio.StreamReader) -> None:
    """Wait until the process has ended; kill it if it does not end by itself.

    One that has written all is not killed: asyncio logs a warning if a process ends just before.
    """
    if output.at_eof():
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await process.wait()
                return
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


def _bound() -> None:
    """Bound the memory and the time of this process. Some systems do not know a bound."""
    import resource

    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, _CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def _write(path: Path, side: int) -> None:
    """Write the size and the pixels of a small copy to standard output.

    Raises:
        ValueError: the picture is too large.
        OSError: the file cannot be read, or holds no picture of a known format.
    """
    from PIL import Image

    with Image.open(path, formats=sorted(set(_FORMATS.values()))) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise ValueError("the picture is too large")
        picture.draft("RGB", (side, side))
        picture.thumbnail((side, side))
        shown = picture.convert("RGBA")
        plain = Image.new("RGB", shown.size, "white")
        plain.paste(shown, mask=shown)
    sys.stdout.buffer.write(b"%d %d\n" % plain.size + plain.tobytes())


if __name__ == "__main__":
    _bound()
    _write(Path(sys.argv[1]), int(sys.argv[2]))
