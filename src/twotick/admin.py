"""What the operator does to a server's data, also while the server runs: it notices within about a second."""

import os
import shutil
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from twotick.server.acts import invitation_name, reset_request
from twotick.server.backups import backup_name, backups_in
from twotick.server.login import is_device
from twotick.server.running import RunningServer, running_servers
from twotick.server.secrets import check_password, hash_password, invitation_digest, new_invitation, token_digest
from twotick.server.secrets import new_token as make_token
from twotick.store import (
    HOOK_DEVICE,
    AcceptTime,
    AddBot,
    AddInvitation,
    AddMember,
    AddToken,
    BotMember,
    CloseReport,
    DatabaseState,
    Device,
    DropHook,
    FindBot,
    FindMember,
    Hook,
    InvitationInfo,
    Letter,
    ListBots,
    ListDevices,
    ListHooks,
    ListInvitations,
    ListLetters,
    ListReports,
    Member,
    MemberSummary,
    PostLettersAgain,
    ReadTimes,
    Refusal,
    RemoveMember,
    ReportInfo,
    Revoke,
    ServerInfo,
    SetBotRight,
    SetDisabled,
    SetDisplay,
    SetHook,
    SetOperator,
    SetPassword,
    SignOut,
    SqliteStore,
    Store,
    StoreError,
    StoreLimits,
    SurveyMembers,
    WithdrawInvitation,
    open_store,
)
from twotick.wire import is_name, is_room

_DAY = 86400.0

_SOON = 14 * _DAY
"""Seconds before the end of a certificate from which on the operator is warned."""


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
        postgres: the address of the database on PostgreSQL that has the data in place of the folder; None for none.
    """

    path: Path
    chosen: bool = True
    postgres: str | None = None

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
    if folder.postgres is not None:
        with closing(open_store(None, folder.postgres, limits, exclusive=False)) as store:
            yield store
        return
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


def find(store: Store, name: str) -> Member:
    """Return a member.

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: there is no such member.
        StoreError: the store cannot be read.
    """
    _check_name(name)
    member = store.ask(FindMember(name))
    if member is None:
        raise AdminError(f"there is no member called {name}: 'twotick user list' lists the members")
    return member


def _check_name(name: str) -> None:
    if not is_name(name.encode("utf-8", "surrogateescape")):
        raise Malformed(f"{name!r} cannot be a name: use 1 to 32 letters and digits, and no word of the protocol")


def check_free(store: Store, name: str) -> None:
    """Check that no member has a name yet.

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: a member has the name.
        StoreError: the store cannot be read.
    """
    _check_name(name)
    member = store.ask(FindMember(name))
    if member is not None:
        raise AdminError(f"{member.name} is already a member")


def add(store: Store, name: str, password: bytes) -> None:
    """Add a member.

    Raises:
        Malformed: the name or the password is not a valid one (rules 4.1 and 10.3).
        AdminError: a member has the name already.
        StoreError: the member cannot be stored.
    """
    check_free(store, name)
    added = store.ask(AddMember(name, _hashed(password), time.time()))
    if isinstance(added, Refusal):
        raise AdminError(added.reason)


def change_password(store: Store, name: str, password: bytes) -> None:
    """Set a new password for a member.

    Raises:
        Malformed: the name or the password is not a valid one (rules 4.1 and 10.3).
        AdminError: there is no such member.
        StoreError: the password cannot be stored.
    """
    member = find(store, name)
    if member.is_bot:
        raise AdminError(f"{member.name} is a bot, which has tokens only: see 'twotick bot token'")
    if not store.ask(SetPassword(member.name, _hashed(password))):
        raise AdminError(f"{member.name} was removed in the meantime")


def _hashed(password: bytes) -> str:
    if not password:
        raise Malformed("no password was given")
    if problem := check_password(password):
        raise Malformed(problem)
    return hash_password(password)


def remove(store: Store, name: str) -> None:
    """Remove a member with all messages, devices and tokens.

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: there is no such member.
        StoreError: the member cannot be removed.
    """
    member = find(store, name)
    store.ask(RemoveMember(member.name, time.time()))


def disable(store: Store, name: str, *, disabled: bool = True) -> None:
    """Disable a member, whose connections end, or enable it again (rule 10.11).

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: there is no such member.
        StoreError: it cannot be stored.
    """
    store.ask(SetDisabled(find(store, name).name, disabled, time.time()))


def set_operator(store: Store, name: str, *, operator: bool) -> None:
    """Give a member the role operator, or take it away; the errors are those of `disable`."""
    store.ask(SetOperator(find(store, name).name, operator))


def rename(store: Store, name: str, display: str) -> None:
    """Change a member's display name; empty for none.

    Raises:
        Malformed: the name or the display name is not valid (rules 4.1 and 18.1).
        AdminError: there is no such member.
        StoreError: it cannot be stored.
    """
    refusal = store.ask(SetDisplay(find(store, name).number, display, time.time()))
    if isinstance(refusal, Refusal):
        raise Malformed(refusal.reason)


def reset(store: Store, name: str, seconds: float = _DAY) -> str:
    """Sign a member out everywhere, and make the password void.

    Args:
        store: where the member is.
        name: the member.
        seconds: the time in which the member can set a new password.

    Returns:
        The code with which to do that.

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: there is no such member, or it is disabled, or a bot.
        StoreError: it cannot be stored.
    """
    member = find(store, name)
    if member.is_bot:
        raise AdminError(f"{member.name} is a bot, which has tokens only: see 'twotick bot token'")
    if member.disabled:
        raise AdminError(f"{member.name} is disabled: enable the member first with 'twotick user enable {member.name}'")
    code = new_invitation()
    store.ask(reset_request(member, code, time.time(), seconds))
    return code


def devices(store: Store, name: str) -> list[Device]:
    """Return a member's devices, by name; the errors are those of `find`."""
    return store.ask(ListDevices(find(store, name).number))


def revoke(store: Store, name: str, device: str) -> None:
    """Remove a device of a member, with all below it: its token and its place in the log; its connections end.

    Raises:
        Malformed: the name, or that of the device, is not a valid one (rules 4.1 and 10.6).
        AdminError: there is no such member or device.
        StoreError: the device cannot be removed.
    """
    _check_device(device)
    member = find(store, name)
    if not store.ask(Revoke(member.number, device)):
        raise AdminError(f"{member.name} has no device called {device}: 'twotick user tokens {member.name}' lists them")
    store.ask(SignOut(member.number, device, "the operator has revoked this device", time.time()))


def sign_out(store: Store, name: str) -> None:
    """Withdraw the tokens of all of a member's devices, whose connections end; the errors are those of `find`."""
    store.ask(SignOut(find(store, name).number, "", "the operator has signed this device out", time.time()))


def invitations(store: Store) -> list[InvitationInfo]:
    """Return the invitations that can be used, the oldest first.

    Raises:
        StoreError: the store cannot be read.
    """
    return store.ask(ListInvitations(time.time()))


def withdraw_invitation(store: Store, name: str) -> None:
    """Withdraw an invitation, by the name that the operator knows it by.

    Raises:
        AdminError: there is no such invitation.
        StoreError: it cannot be withdrawn.
    """
    for each in invitations(store):
        if invitation_name(each) == name and store.ask(WithdrawInvitation(each.digest)):
            return
    raise AdminError(f"there is no invitation {name}: 'twotick user invitations' lists them")


def export(store: SqliteStore, data: Path, name: str, file: Path) -> int:
    """Write all that is stored about a member to an archive.

    Args:
        store: the database.
        data: the server's data folder.
        name: the member.
        file: the archive; an existing file is replaced once the archive is complete.

    Returns:
        The number of entries of the member's log.

    Raises:
        Malformed: the name is not a valid one (rule 4.1), or the file cannot be there.
        AdminError: there is no such member, or the file is a folder.
        StoreError: the store cannot be read, or the archive not be written.
    """
    from twotick.export import export_member  # only this command needs it

    try:
        if file.is_dir():
            raise AdminError(f"{file} is a folder: name a file")
        if file.exists() and not file.is_file():  # an archive must not take the place of a device such as /dev/null
            raise Malformed(f"{file} is not a regular file: name another one")
        if file.resolve().is_relative_to(data.resolve()):
            raise Malformed(f"{file} is in the server's data folder: name a file in another folder")
    except OSError as error:
        raise StoreError(f"{file} cannot be written: {error.strerror}") from error
    member = find(store, name)
    return export_member(store, member.number, member.name, file)


def members(store: Store) -> list[MemberSummary]:
    """Return what there is to see of each member, in alphabetical order.

    Raises:
        StoreError: the store cannot be read.
    """
    return store.ask(SurveyMembers())


def standing(
    server: dict[str, Any] | None,
    members: Sequence[MemberSummary],
    limits: StoreLimits,
    database: DatabaseState | None = None,
    servers: Sequence[ServerInfo] = (),
) -> dict[str, Any]:
    """Return how a server is, with warnings.

    Args:
        server: what it says of itself; None if none runs.
        members: its members.
        limits: the limits of its store.
        database: how its database on PostgreSQL is; None if the data are in a folder.
        servers: the servers that share the database.
    """
    full = [
        each.name
        for each in members
        if each.waiting >= limits.mailbox_entries or each.waiting_bytes >= limits.mailbox_bytes
    ]
    found: dict[str, Any] = {
        "running": server is not None,
        **(server or {}),
        "members": len(members),
        "devices": sum(each.devices for each in members),
        "oldest_waiting": min((each.oldest for each in members if each.oldest is not None), default=None),
        "full_mailboxes": full,
        "database": None if database is None else asdict(database),
        "servers": [
            {"version": each.version, "address": each.address, "devices": each.devices, "number": each.number}
            for each in servers
        ],
    }
    found["warnings"] = [
        {"warning": warning, "remedy": remedy} for warning, remedy in _warnings(found, limits, time.time())
    ]
    return found


def _warnings(found: dict[str, Any], limits: StoreLimits, now: float) -> Generator[tuple[str, str]]:
    """Return what the operator should look at, each with what to do about it."""
    yield from _database_warnings(found["database"])
    if found["running"]:
        yield from _server_warnings(found, limits, now)
    elif found["database"] is None or not found["database"]["served"]:
        yield "no server runs on this data", "start it: systemctl start twotick, or twotick serve"
        return
    if found["full_mailboxes"]:
        names = ", ".join(found["full_mailboxes"][:10])
        yield (
            f"full mailboxes: {names}",
            "let these members connect, or revoke devices that stay away, or raise mailbox_messages or mailbox_bytes",
        )


def _server_warnings(found: dict[str, Any], limits: StoreLimits, now: float) -> Generator[tuple[str, str]]:
    """Warn of what the server says of itself."""
    for problem in found["problems"]:
        yield f"not ready: {problem}", "look at the log, and at docs/operations.md"
    free = found["disk_free_bytes"]
    if not found["disk_full"] and free is not None and free < 4 * limits.reserve_bytes:
        yield "the disk is nearly full", "make room on it, or remove messages or members"
    end = found["certificate_end"]
    if end is not None and end < now:
        yield "the certificate has expired", "renew it: clients do not accept it"
    elif end is not None and end < now + _SOON:
        yield "the certificate expires soon", "renew it: the server notices when the files change"
    yield from _backup_warnings(found["backup"], now)


def _database_warnings(database: dict[str, Any] | None) -> Generator[tuple[str, str]]:
    """Warn of a database on PostgreSQL that keeps messages on one machine only, or that waits for a second one."""
    if database is None:
        return
    if not database["synchronous"]:
        yield (
            "PostgreSQL is not synchronous: if its machine is lost, so are messages that were accepted",
            "set synchronous_standby_names, or synchronous_mode of Patroni: docs/cluster.md",
        )
    elif database["standbys"] is not None and not any(each["synchronous"] for each in database["standbys"]):
        yield (
            "no synchronous standby is connected to PostgreSQL: nothing is accepted",
            "start one: patronictl list shows them, and pg_stat_replication those that are connected",
        )


def _backup_warnings(backup: dict[str, Any] | None, now: float) -> Generator[tuple[str, str]]:
    """Warn of a backup that is missing or too old, if the server is to make some."""
    remedy = "look at the log, and run twotick backup --folder with the folder of the backups"
    if backup is None:
        return
    if backup["newest"] is None:
        yield "there is no backup yet", remedy
    elif now - backup["newest"] > 2 * backup["every"]:
        yield "the last backup is too old", remedy


def new_token(store: Store, name: str, device: str) -> str:
    """Make a token for a device of a member, in place of the device's previous one.

    Raises:
        Malformed: the name, or that of the device, is not a valid one (rules 4.1 and 10.6).
        AdminError: there is no such member, or the member has too many devices.
        StoreError: the token cannot be stored.
    """
    _check_device(device)
    token = make_token()
    refusal = store.ask(AddToken(find(store, name).number, device, token_digest(token), time.time()))
    if isinstance(refusal, Refusal):
        raise AdminError(refusal.reason)
    return token


def _check_device(device: str) -> None:
    if not is_device(device.encode("utf-8", "surrogateescape")):
        raise Malformed(f"{device!r} cannot be the name of a device: use 1 to 64 of A-Z a-z 0-9 . _ - /")


def add_bot(store: Store, name: str, sends: Sequence[str], reads: Sequence[str]) -> str:
    """Add a bot, and return a token for it.

    Args:
        store: where to keep it.
        name: its name.
        sends: the users and rooms, or ALL, that it may send to.
        reads: the users and rooms of which it gets the messages.

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: a member has the name already, or there is no such recipient; no bot was added.
        StoreError: the bot cannot be stored.
    """
    check_free(store, name)
    added = store.ask(AddBot(name, time.time()))
    if isinstance(added, Refusal):
        raise AdminError(added.reason)
    try:
        set_bot_rights(store, name, sends, reads, allowed=True)
    except AdminError:  # also Malformed
        store.ask(RemoveMember(name, time.time()))
        raise
    return new_token(store, name, "main")


def find_bot(store: Store, name: str) -> BotMember:
    """Return a bot.

    Raises:
        Malformed: the name is not a valid one (rule 4.1).
        AdminError: there is no such bot.
        StoreError: the store cannot be read.
    """
    bot = store.ask(FindBot(find(store, name).number))
    if bot is None:
        raise AdminError(f"{name} is no bot: 'twotick bot list' lists the bots")
    return bot


def set_bot_rights(store: Store, name: str, sends: Sequence[str], reads: Sequence[str], *, allowed: bool) -> None:
    """Give a bot rights, or take them away.

    Args:
        store: where they are kept.
        name: the bot.
        sends: where it may send, or not any more.
        reads: of which users and rooms it gets the messages, or not any more.
        allowed: whether it may.

    Raises:
        Malformed: the name, or that of a recipient, is not a valid one (rules 4.1 and 12.1).
        AdminError: there is no such bot or recipient; the rights before it in the list were changed.
        StoreError: the rights cannot be stored.
    """
    for peer in (*sends, *reads):
        encoded = peer.encode("utf-8", "surrogateescape")
        if not (is_name(encoded) or is_room(encoded) or encoded.lower() == b"all"):
            raise Malformed(f"{peer!r} cannot be a recipient: name a user, a room such as '#ops', or ALL")
    bot = find_bot(store, name)
    changes = [(peer, allowed, None) for peer in sends] + [(peer, None, allowed) for peer in reads]
    for peer, may_send, may_read in changes:
        changed = store.ask(SetBotRight(bot.number, peer, may_send, may_read, time.time()))
        if isinstance(changed, Refusal):
            raise AdminError(changed.reason)


def bots(store: Store) -> list[BotMember]:
    """Return the bots, in alphabetical order.

    Raises:
        StoreError: the store cannot be read.
    """
    return store.ask(ListBots())


def invite(store: Store, seconds: float = 7 * _DAY) -> str:
    """Make an invitation, with which one person can sign up.

    Args:
        store: where to keep its digest.
        seconds: the time until it expires.

    Returns:
        The code.

    Raises:
        StoreError: it cannot be stored.
    """
    code = new_invitation()
    store.ask(AddInvitation(invitation_digest(code), time.time() + seconds))
    return code


def reports(store: Store) -> list[ReportInfo]:
    """Return the open reports, oldest first.

    Raises:
        StoreError: the store cannot be read.
    """
    return store.ask(ListReports())


def close_report(store: Store, number: int) -> None:
    """Remove a report.

    Raises:
        AdminError: there is no such report.
        StoreError: the report cannot be removed.
    """
    if not store.ask(CloseReport(number)):
        raise AdminError(f"there is no report {number}")


def compare_clock(store: Store) -> tuple[float, int]:
    """Return the seconds by which the system's clock is ahead of the time that a server kept last, and that time.

    Raises:
        AdminError: no server has kept the time.
        StoreError: the store cannot be read.
    """
    kept = store.ask(ReadTimes()).kept
    if kept is None:
        raise AdminError("no server has kept the time here: there is nothing to compare the clock with")
    return time.time() - kept, kept


def accept_clock(store: Store) -> None:
    """Let messages age by the system's clock from now on; nothing is older afterwards than it was before.

    Raises:
        AdminError: no server has kept the time.
        StoreError: the time cannot be stored.
    """
    compare_clock(store)
    store.ask(AcceptTime(int(time.time())))


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
        if file.resolve().parent == data.resolve():
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
        if folder.resolve() == data.resolve():
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


# Web hooks


def set_hook(store: Store, name: str, url: str, peers: Sequence[str] = ()) -> str:
    """Give a member a web hook in place of the one that it has.

    Args:
        store: the store.
        name: the member.
        url: where what the member gets is posted.
        peers: the users and rooms of which the member, a bot, gets what is sent, and where it may answer. The bot is
            added if there is none.

    Returns:
        The secret that signs what is posted.

    Raises:
        Malformed: a name is not a valid one.
        AdminError: there is no such member or recipient, or the member is no bot and `peers` are given.
        StoreError: the store failed.
    """
    if peers and store.ask(FindMember(name)) is None:
        add_bot(store, name, peers, peers)
        revoke(store, name, "main")  # the hook is its only program
    elif peers:
        set_bot_rights(store, name, peers, peers, allowed=True)
    secret = f"whsec_{token_urlsafe(32)}"
    found = store.ask(SetHook(name, url, secret.encode(), time.time()))
    if isinstance(found, Refusal):
        raise AdminError(found.reason)
    return secret


def hooks(store: Store) -> list[Hook]:
    """Return all web hooks, by the names of their members."""
    return store.ask(ListHooks())


def find_hook(store: Store, name: str) -> Hook:
    """Return the web hook of a member.

    Raises:
        AdminError: it has none.
    """
    for hook in hooks(store):
        if hook.member.name.lower() == name.lower():
            return hook
    raise AdminError(f"{name} has no hook")


def remove_hook(store: Store, name: str) -> None:
    """Take its web hook from a member, with what the hook did not take.

    Raises:
        AdminError: it has none.
    """
    hook = find_hook(store, name)
    store.ask(DropHook(hook.member.number))
    revoke(store, hook.member.name, HOOK_DEVICE)


def letters(store: Store, name: str) -> list[Letter]:
    """Return the messages that a member's hook did not take.

    Raises:
        AdminError: it has no hook.
    """
    return store.ask(ListLetters(find_hook(store, name).member.number))


def post_again(store: Store, name: str) -> int:
    """Let the server post again what a member's hook did not take; return how many messages these are.

    Raises:
        AdminError: it has no hook.
    """
    hook = find_hook(store, name)
    store.ask(PostLettersAgain(hook.member.number, wanted=True))
    return hook.letters
