"""Read small files that an operator names, such as settings, certificates and keys."""

import errno
import os
import stat
from pathlib import Path
from typing import Final

_MOST: Final = 1 << 20


def real_path(path: Path) -> Path:
    """Return where a path leads. Unlike `Path.resolve`, it takes links that lead in a circle as they are."""
    return Path(os.path.realpath(path))


def read_named(file: Path, most: int = _MOST) -> bytes:
    """Return the content of a file that a person has named.

    It waits for no writer of a pipe, and reads no device without end.

    Args:
        file: the file.
        most: the most bytes that it may have.

    Raises:
        OSError: it cannot be read, is no regular file, or is longer; `strerror` says which.
    """
    return read_named_with_mode(file, most)[0]


def read_named_with_mode(file: Path, most: int = _MOST) -> tuple[bytes, int]:
    """Return the content of a file and its permission bits; see `read_named`."""
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
        state = os.fstat(opened.fileno())
        is_empty_device = os.path.samestat(state, Path(os.devnull).stat())  # by which people name no file
        if not stat.S_ISREG(state.st_mode) and not is_empty_device:
            raise OSError(errno.EINVAL, "it is not a regular file", str(file))
        content = opened.read(most + 1)
    if len(content) > most:
        raise OSError(errno.EFBIG, f"it is longer than {most >> 10} KiB", str(file))
    return content, stat.S_IMODE(state.st_mode)
