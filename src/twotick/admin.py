"""The operator's work on the data of a server, also while it runs: it notices within about a second."""

import os
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from twotick.server.login import is_device
from twotick.server.running import RunningServer, running_servers
from twotick.server.secrets import check_password, hash_password, invitation_digest, new_invitation, token_digest
from twotick.server.secrets import new_token as make_token
from twotick.store import (
    AddInvitation,
    AddMember,
    AddToken,
    CloseReport,
    Device,
    FindMember,
    ListDevices,
    ListMembers,
    ListReports,
    Member,
    Refusal,
    RemoveMember,
    ReportInfo,
    SetPassword,
    SqliteStore,
    StoreError,
    StoreLimits,
)
from twotick.wire import is_name

_DAY = 86400.0


class AdminError(Exception):
    """Something was not done; the message says why, and what to do."""


class Malformed(AdminError):
    """A name, a device or a password is not a valid one."""


class Unreachable(AdminError):
    """The command cannot reach the data of the server that runs."""


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A server's data folder.

    Attributes:
        path: where it is.
        chosen: whether a setting or an option names it, so that it is not merely the default.
    """

    path: Path
    chosen: bool = True

    @property
    def database(self) -> Path:
        """The file with all the data of the server."""
        return self.path / "twotick.db"


@contextmanager
def opened(folder: DataFolder, limits: StoreLimits, *, create: bool = False) -> Generator[SqliteStore]:
    """Open the database of a server.

    Args:
        folder: where the database is.
        limits: the limits of the store.
        create: create the database if there is none.

    Raises:
        AdminError: there is no database.
        Unreachable: the server that runs has its data elsewhere.
        StoreError: the database cannot be opened.
    """
    try:
        servers = running_servers()
        _check_memory(folder, servers)
        if not _exists(folder.database):
            if not create:
                raise AdminError(
                    f"there is no database in {folder.path}: name the server's folder with --data,"
                    " TWOTICK_DATA or the setting data"
                )
            _check_elsewhere(folder, servers)
    except OSError as error:
        raise StoreError(f"{folder.path} cannot be used: {error.strerror}") from error
    with closing(SqliteStore(folder.path, limits, exclusive=False)) as store:
        yield store


def _exists(file: Path) -> bool:
    """Tell whether a file exists. Unlike `Path.exists`, it raises OSError if that cannot be found out."""
    try:
        os.stat(file)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _check_memory(folder: DataFolder, servers: list[RunningServer]) -> None:
    """Raise Unreachable if the server of a folder keeps its data in memory."""
    here = [each for each in servers if each.data == folder.path.resolve()]
    if here and all(each.memory for each in here):
        raise Unreachable(
            f"the server on {here[0].address} (process {here[0].pid}) keeps its data in memory, where this command"
            " cannot reach it: run it without --memory, or with TWOTICK_SIGN_UP=open so that users can sign up"
        )


def _check_elsewhere(folder: DataFolder, servers: list[RunningServer]) -> None:
    """Raise Unreachable if a command is about to create a database that the server that runs will not read."""
    if folder.chosen or not servers or any(each.data == folder.path.resolve() for each in servers):
        return
    raise Unreachable(
        f"there is no database in {folder.path}, and the server on {servers[0].address} has its data in"
        f" {servers[0].data}: name that folder with --data, or name {folder.path} to create a database there"
    )


def find(store: SqliteStore, name: str) -> Member:
    """Find a member.

    Raises:
        Malformed: this is no name (rule 4.1).
        AdminError: there is none of this name.
        StoreError: the store cannot be read.
    """
    _check_name(name)
    (member,) = store.apply([FindMember(name)])
    if not isinstance(member, Member):
        raise AdminError(f"there is no member called {name}")
    return member


def _check_name(name: str) -> None:
    if not is_name(name.encode("utf-8", "surrogateescape")):
        raise Malformed(f"{name!r} cannot be a name: 1 to 32 letters and digits, and none of the protocol's words")


def check_free(store: SqliteStore, name: str) -> None:
    """Make sure that somebody can become a member under this name.

    Raises:
        Malformed: nobody can (rule 4.1).
        AdminError: somebody has.
        StoreError: the store cannot be read.
    """
    _check_name(name)
    (member,) = store.apply([FindMember(name)])
    if isinstance(member, Member):
        raise AdminError(f"{member.name} is a member already")


def add(store: SqliteStore, name: str, password: bytes) -> None:
    """Make a name a member's.

    Raises:
        Malformed: this cannot be a name, or a password (rule 10.3).
        AdminError: the name is a member's already.
        StoreError: it cannot be stored.
    """
    check_free(store, name)
    (added,) = store.apply([AddMember(name, _hashed(password), time.time())])
    if isinstance(added, Refusal):
        raise AdminError(added.reason)


def change_password(store: SqliteStore, name: str, password: bytes) -> None:
    """Give a member another password.

    Raises:
        Malformed: this is no name, or cannot be a password (rules 4.1 and 10.3).
        AdminError: there is no such member.
        StoreError: it cannot be stored.
    """
    member = find(store, name)
    (changed,) = store.apply([SetPassword(member.name, _hashed(password))])
    if not changed:
        raise AdminError(f"{member.name} is not a member any more")


def _hashed(password: bytes) -> str:
    if not password:
        raise Malformed("no password was given")
    if problem := check_password(password):
        raise Malformed(problem)
    return hash_password(password)


def remove(store: SqliteStore, name: str) -> None:
    """Remove a member with its messages, devices and tokens.

    Raises:
        Malformed: this is no name (rule 4.1).
        AdminError: there is no such member.
        StoreError: it cannot be stored.
    """
    member = find(store, name)
    store.apply([RemoveMember(member.name, time.time())])


def members(store: SqliteStore) -> list[tuple[str, int]]:
    """List all members by name, each with the number of its devices.

    Raises:
        StoreError: the store cannot be read.
    """
    found = cast(list[Member], store.apply([ListMembers()])[0])
    devices = cast(list[list[Device]], store.apply([ListDevices(member.number) for member in found]))
    return [(member.name, len(each)) for member, each in zip(found, devices, strict=True)]


def new_token(store: SqliteStore, name: str, device: str) -> str:
    """Make a token for a device of a member; an older one of that device is no longer accepted.

    Raises:
        Malformed: this is no name, or cannot be that of a device (rules 4.1 and 10.6).
        AdminError: there is no such member, or it has too many devices.
        StoreError: it cannot be stored.
    """
    if not is_device(device.encode("utf-8", "surrogateescape")):
        raise Malformed(f"{device!r} cannot be the name of a device: 1 to 64 of A-Z a-z 0-9 . _ - /")
    token = make_token()
    (refusal,) = store.apply([AddToken(find(store, name).number, device, token_digest(token), time.time())])
    if isinstance(refusal, Refusal):
        raise AdminError(refusal.reason)
    return token


def invite(store: SqliteStore, days: int) -> str:
    """Make an invitation, with which somebody can sign up once.

    Args:
        store: the store.
        days: for how long it is good.

    Raises:
        StoreError: it cannot be stored.
    """
    code = new_invitation()
    store.apply([AddInvitation(invitation_digest(code), time.time() + days * _DAY)])
    return code


def reports(store: SqliteStore) -> list[ReportInfo]:
    """List what members have reported and is not dealt with, oldest first.

    Raises:
        StoreError: the store cannot be read.
    """
    return cast(list[ReportInfo], store.apply([ListReports()])[0])


def close_report(store: SqliteStore, number: int) -> None:
    """A report is dealt with: remove it.

    Raises:
        AdminError: there is none of this number.
        StoreError: it cannot be stored.
    """
    (closed,) = store.apply([CloseReport(number)])
    if not closed:
        raise AdminError(f"there is no report {number}")


def backup(store: SqliteStore, data: Path, file: Path) -> None:
    """Copy the data as they are at this moment into one file.

    Args:
        store: the store.
        data: its folder.
        file: where to; what is there is replaced, at once and only when all is copied.

    Raises:
        Malformed: nothing can be put there.
        StoreError: it cannot be done.
    """
    try:
        if file.is_dir():
            raise Malformed(f"'{file}' is a folder: name a file")
        if file.resolve().parent == data.resolve():
            raise Malformed(f"{file} is among the server's own data: name a file elsewhere")
    except OSError as error:
        raise StoreError(f"the backup failed: {error.strerror}") from error
    store.backup(file)
