"""Files that only their owner can read, and that several programs use."""

import fcntl
import os
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from twotick.named_files import real_path


@contextmanager
def locked(file: Path) -> Generator[None]:
    """Lock a file against changes by other programs that use this function, and wait for the lock if necessary.

    Args:
        file: the file. It need not exist; its folder is created, accessible to its owner only, if necessary. The lock
            is on another file beside it, because `replace` replaces the file itself.

    Returns:
        A context manager that holds the lock.

    Raises:
        OSError: the folder or the file with the lock cannot be created.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file.with_name(file.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def create_database(file: Path) -> None:
    """Create an empty file for SQLite that only its owner can read, and its folder; leave one that exists as it is.

    SQLite gives the files that it adds the same mode. A database that exists must not be opened here: SQLite's locks
    belong to the process, which would lose those of its other connections as it closes the file.

    Args:
        file: the file.

    Raises:
        OSError: the folder or the file cannot be created.
    """
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not file.exists():
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))


def replace(file: Path, content: str) -> None:
    """Replace the content of a file at once: at every moment, also after a power failure, it has the old or the new.

    Args:
        file: the file, in a folder that exists. Afterwards only its owner can read it. A symbolic link is followed.
        content: the new content.

    Raises:
        OSError: the file cannot be written; it is unchanged.
    """
    target = real_path(file)
    name = _write_beside(target, content)
    try:
        name.replace(target)
    except BaseException:
        name.unlink()
        raise
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def rehearse(file: Path, more: int) -> None:
    """Check that `replace` can replace the content of a file now.

    Args:
        file: the file, which need not exist, in a folder that exists. It is not changed.
        more: how many bytes the new content may be longer than the present one.

    Raises:
        OSError: the file cannot be written.
    """
    target = real_path(file)
    size = target.stat().st_size if target.exists() else 0
    _write_beside(target, " " * (size + more)).unlink()


def _write_beside(target: Path, content: str) -> Path:
    """Write a new file in the folder of another one, which only its owner can read, and return its path."""
    descriptor, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as new:
            new.write(content)
            new.flush()
            os.fsync(new.fileno())
    except BaseException:
        Path(name).unlink()
        raise
    return Path(name)
