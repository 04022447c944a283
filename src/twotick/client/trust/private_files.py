"""Small files that only their owner may read, and that several programs change at once."""

import fcntl
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def locked(file: Path) -> Generator[None]:
    """Be the only one who changes a file, among all who ask like this.

    Args:
        file: the file, which need not exist; its folder is made if need be, for its owner alone. What is locked is a
            file beside it, since the file itself is replaced.

    Raises:
        OSError: the folder or the file beside it cannot be made.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file.with_name(file.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def replace(file: Path, content: str) -> None:
    """Give a file new content, so that at every moment, and after a power failure, it has the old or the new.

    Args:
        file: the file, in a folder that exists; afterwards only its owner may read it. A link stays one.
        content: all of it.

    Raises:
        OSError: it cannot be written; it is as it was.
    """
    target = file.resolve()
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)  # only its owner may read it
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as new:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink()
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
