"""Look at the data folder, its disk, and the backups."""

import os
import pwd
import stat
import statistics
import tempfile
import time
from collections.abc import Generator
from pathlib import Path
from typing import Final

from twotick.doctor.case import Case
from twotick.doctor.findings import Finding, fine, problem
from twotick.server.backups import newest_backup
from twotick.ui.text import size_text

_SYNCS: Final = 5
SLOW = 0.05
"""How often the disk is written to, and the seconds from which on it is slow."""


def look_at_data(case: Case) -> Generator[Finding]:
    """Look whose the data folder is, and who may read and change it."""
    if case.folder is None:
        yield fine("data", "on PostgreSQL" if case.settings.database else "in memory: lost when the server stops")
        return
    try:
        state = case.folder.stat()
        files = sorted(each for each in case.folder.iterdir() if each.name.startswith("twotick.db"))
    except FileNotFoundError:
        yield problem("data", "there is no data folder", str(case.folder))
        return
    except PermissionError as error:
        yield problem("data", "the data are another user's", f"{case.folder}: {error.strerror}")
        return
    except OSError as error:
        yield problem("data", "the data folder cannot be used", f"{case.folder}: {error.strerror}")
        return
    if state.st_uid != case.user:
        who = f"{case.folder} belongs to {_name(state.st_uid)}, and you are {_name(case.user)}"
        yield problem("data", "the data are another user's", who)
        return
    found = [*_look_at_modes([case.folder, *files]), *_look_at_owners(files, state.st_uid)]
    try:
        with tempfile.TemporaryFile(dir=case.folder):
            pass
    except OSError as error:
        found.append(problem("data", "the data cannot be written", f"{case.folder}: {error.strerror}"))
    yield from found or [fine("data", f"{case.folder} belongs to {_name(state.st_uid)} alone")]


def _look_at_modes(files: list[Path]) -> Generator[Finding]:
    for file in files:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & stat.S_IWOTH:
            yield problem("data", "others can change the data", f"the mode of {file} is {mode:04o}")
        elif mode & (stat.S_IRWXG | stat.S_IRWXO) and (not file.is_dir() or mode & stat.S_IWGRP):
            yield problem("data", "others can read the data", f"the mode of {file} is {mode:04o}")


def _look_at_owners(files: list[Path], owner: int) -> Generator[Finding]:
    for file in files:
        if file.stat().st_uid != owner:
            whose = f"{file} belongs to {_name(file.stat().st_uid)}, and the folder to {_name(owner)}"
            yield problem("data", "some data are another user's", whose)


def _name(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def look_at_disk(case: Case) -> Generator[Finding]:
    """Look how much room the disk has, and how long it takes to write for good."""
    if case.folder is None:
        return
    try:
        found = os.statvfs(case.folder)
    except OSError:
        return  # which is told of the data
    free = found.f_bavail * found.f_frsize
    room, reserve = f"{size_text(free)} free", case.settings.reserve_bytes
    if (case.status is not None and case.status["disk_full"]) or free < reserve:
        yield problem("disk", "the disk is full", room)
    elif free < 4 * reserve:
        yield problem("disk", "the disk is nearly full", room)
    try:
        took = _seconds_to_sync(case.folder)
    except OSError:
        return  # the disk is full, or it is told of the data
    if took > SLOW:
        yield problem("disk", "the disk is slow", f"fsync takes {took * 1000:.0f} ms")
    else:
        yield fine("disk", f"{room}; fsync takes {took * 1000:.1f} ms")


def _seconds_to_sync(folder: Path) -> float:
    """Return how long it takes until a page is on the disk, in a file that has no name and is gone at once."""
    times: list[float] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_SYNCS):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times)


def look_at_backups(case: Case) -> Generator[Finding]:
    """Look how old the newest backup is."""
    if case.folder is None:
        return
    folder = case.settings.backup_folder
    if folder is None:
        yield problem("backups", "no backups are made")
        return
    newest = newest_backup(folder)
    if newest is None:
        yield problem("backups", "there is no backup yet", str(folder))
        return
    hours = (time.time() - newest) / 3600
    if hours * 3600 > 2 * case.settings.backup_every:
        yield problem("backups", "the last backup is too old", f"{hours:.0f} hours, in {folder}")
    else:
        yield fine("backups", f"the newest is {max(hours, 0):.1f} hours old, in {folder}")
