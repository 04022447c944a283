"""Copies of the database, and whether they can be restored."""

import shutil
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Final

from twotick.admin.accounts import members
from twotick.admin.data import DataFolder
from twotick.admin.errors import AdminError, Malformed
from twotick.named_files import real_path
from twotick.server.backups import backup_name, backups_in
from twotick.store import Store, StoreError, StoreLimits, open_store

_DAY: Final = 86400.0


def backup(store: Store, data: Path, file: Path) -> None:
    """Copy the database, as it is at this moment, to a file.

    Args:
        store: the database.
        data: its folder.
        file: the copy; an existing file is replaced once the copy is complete.

    Raises:
        Malformed: the file cannot be there.
        StoreError: the copy failed.
    """
    try:
        if file.is_dir():
            raise Malformed(f"'{file}' is a folder: name a file")
        if file.exists() and not file.is_file():  # a backup must not take the place of a device such as /dev/null
            raise Malformed(f"'{file}' is not a regular file: name another one")
        if real_path(file).parent == real_path(data):
            raise Malformed(f"{file} is in the server's data folder: name a file in another folder")
    except OSError as error:
        raise StoreError(f"the backup to {file} failed: {error.strerror}") from error
    store.backup(file)


def backup_to(store: Store, data: Path, folder: Path, keep: int, limits: StoreLimits) -> Path:
    """Copy the database into a folder of backups, check the copy, and remove the oldest backups.

    Args:
        store: the database.
        data: its folder.
        folder: where the backups are; it is made if it is missing.
        keep: how many backups are kept, with the new one.
        limits: the limits of the store.

    Returns:
        The new backup.

    Raises:
        Malformed: the folder cannot hold backups.
        AdminError: the copy is damaged; no backup was removed.
        StoreError: the copy failed.
    """
    try:
        if real_path(folder) == real_path(data):
            raise Malformed(f"{folder} is the server's data folder: name another one")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".twotick-", dir=folder) as work:
            copy = DataFolder(Path(work)).database
            store.backup(copy)
            if problems := _problems_of(copy.parent, limits, exclusive=False):
                raise AdminError(f"the backup is damaged, and was removed: {problems[0]}")
            file = folder / backup_name()
            copy.rename(file)
        for left in folder.glob(".twotick-*"):
            if (
                left.is_dir() and left.stat().st_mtime < time.time() - _DAY
            ):  # a command that was killed has left it behind
                shutil.rmtree(left)
        others = [each for each in backups_in(folder) if each != file]  # the new one stays, whatever the clock says
        for old in others[: max(0, len(others) + 1 - keep)]:
            old.unlink()
    except OSError as error:
        raise StoreError(f"the backup in {folder} failed: {error.strerror}") from error
    return file


def rehearse(file: Path, limits: StoreLimits) -> int:
    """Restore a backup into a folder of its own, as after the loss of the data, and check it; then forget the folder.

    Args:
        file: the backup.
        limits: the limits of the store.

    Returns:
        How many members it has.

    Raises:
        AdminError: the backup is damaged, or is none.
        StoreError: it cannot be restored.
    """
    try:
        if not file.is_file():
            raise AdminError(f"{file} is not a regular file: name a backup")
        if not file.stat().st_size:  # of which the server would make a new database
            raise AdminError(f"{file} is empty: it is no backup")
        with tempfile.TemporaryDirectory(prefix="twotick-") as work:
            folder = DataFolder(Path(work))
            shutil.copyfile(file, folder.database)
            folder.database.chmod(0o600)
            try:
                if problems := _problems_of(folder.path, limits, exclusive=True):
                    raise AdminError("\n".join(problems))
                with closing(open_store(folder.path, None, _without_reserve(limits), exclusive=False)) as store:
                    return len(members(store))
            except StoreError as error:  # it names the copy
                raise type(error)(str(error).replace(str(folder.database), str(file))) from error
    except OSError as error:
        raise StoreError(f"{file} cannot be restored: {error.strerror}") from error


def _problems_of(folder: Path, limits: StoreLimits, *, exclusive: bool) -> list[str]:
    """Return the damage in a copy of a database; `exclusive` opens it as a server does."""
    with closing(open_store(folder, None, _without_reserve(limits), exclusive=exclusive)) as copy:
        return copy.check()


def _without_reserve(limits: StoreLimits) -> StoreLimits:
    return replace(limits, reserve_bytes=0)
