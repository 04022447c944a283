"""How a server is, and what the operator should look at."""

import time
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from twotick.store import DatabaseState, MemberSummary, ServerInfo

_SOON: Final = 14 * 86400.0
"""Seconds before the end of a certificate from which on the operator is warned."""

_NAMED: Final = 10
"""The most full mailboxes that are named."""

_MAKE_ROOM: Final = "make room on it, or remove messages or members"
_BACK_UP: Final = "look at the log, and run twotick backup --folder with the folder of the backups"

WARNINGS: Final = {
    "no server runs on this data": "start it: systemctl start twotick, or twotick serve",
    "not ready: the server is about to stop": "wait, or look who stops it",
    "not ready: the disk is full": _MAKE_ROOM,
    "not ready: the data did not answer within 5 s": "look at the disk: another program keeps it busy, or it fails",
    "not ready: the data cannot be read": "look at the log, run twotick check, and restore a backup if there is damage",
    "not ready: the data folder cannot be written": (
        "look whether the disk was mounted read-only, and whose the folder is"
    ),
    "the disk is nearly full": _MAKE_ROOM,
    "the certificate has expired": "renew it: clients do not accept it",
    "the certificate expires soon": "renew it: the server notices when the files change",
    "e-mail cannot be sent": "check the settings mail_..., and run twotick doctor: it is tried again",
    "there is no backup yet": _BACK_UP,
    "the last backup is too old": _BACK_UP,
    "PostgreSQL is not synchronous: if its machine is lost, so are messages that were accepted": (
        "set synchronous_standby_names, or synchronous_mode of Patroni: docs/cluster.md"
    ),
    "no synchronous standby is connected to PostgreSQL: nothing is accepted": (
        "start one: patronictl list shows them, and pg_stat_replication those that are connected"
    ),
    "full mailboxes": (
        "let these members connect, or revoke devices that stay away, or raise mailbox_messages or mailbox_bytes"
    ),
}
"""What the operator can be warned of, and what to do about each. The operator's page translates both."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the store knows of how it is.

    Attributes:
        members: all members; None if that is not known.
        full: those whose mailboxes are full, by name.
        database: the database on PostgreSQL; None if the data are in a folder.
        servers: the servers that share it.
    """

    members: Sequence[MemberSummary] | None = None
    full: Sequence[str] = ()
    database: DatabaseState | None = None
    servers: Sequence[ServerInfo] = ()


_SILENT: Final = ("the data did not answer", "the data cannot be read")


def is_store_silent(server: dict[str, Any] | None) -> bool:
    """Tell whether a server says of itself that its store does not answer, so that it is of no use to ask it."""
    return server is not None and any(problem.startswith(_SILENT) for problem in server["problems"])


def standing(server: dict[str, Any] | None, kept: Kept) -> dict[str, Any]:
    """Return how a server and its data are, for `twotick status` and the operator's page.

    Args:
        server: what the server says of itself; None if none runs.
        kept: what the store knows.
    """
    members = kept.members
    return {
        "running": server is not None,
        **(server or {}),
        "members": None if members is None else len(members),
        "devices": None if members is None else sum(each.devices for each in members),
        "oldest_waiting": min((each.oldest for each in members or () if each.oldest is not None), default=None),
        "full_mailboxes": kept.full,
        "database": None if kept.database is None else asdict(kept.database),
        "servers": [asdict(each) for each in kept.servers],
        "warnings": warnings(server, kept.full, kept.database),
    }


def warnings(
    server: dict[str, Any] | None, full: Sequence[str], database: DatabaseState | None = None
) -> list[dict[str, str]]:
    """Return what the operator should look at.

    Args:
        server: what the server says of itself; None if none runs.
        full: the members whose mailboxes are full.
        database: how its database on PostgreSQL is; None if the data are in a folder.

    Returns:
        For each warning: `kind`, one of WARNINGS; `detail`, such as names; `warning`, both of them in one text; and
        `remedy`, what to do.
    """
    return [
        {
            "warning": f"{kind}: {detail}" if detail else kind,
            "kind": kind,
            "detail": detail,
            "remedy": WARNINGS.get(kind, "look at the log"),  # a server of another version may know more
        }
        for kind, detail in _warnings(server, full, database)
    ]


def _warnings(
    server: dict[str, Any] | None, full: Sequence[str], database: DatabaseState | None
) -> Generator[tuple[str, str]]:
    """Return what to warn of: the kind, and details, which are empty if there are none."""
    if database is not None:
        yield from _database_warnings(database)
    if server is not None:
        yield from _server_warnings(server, time.time())
    elif database is None or not database.served:
        yield "no server runs on this data", ""
        return
    if full:
        yield "full mailboxes", ", ".join(full[:_NAMED]) + (", ..." if len(full) > _NAMED else "")


def _server_warnings(server: dict[str, Any], now: float) -> Generator[tuple[str, str]]:
    """Warn of what the server says of itself."""
    for problem in server["problems"]:
        kind, _, detail = problem.partition(": ")
        yield f"not ready: {kind}", detail
    if server.get("disk_nearly_full"):
        yield "the disk is nearly full", ""
    end = server["certificate_end"]
    if end is not None and end < now:
        yield "the certificate has expired", ""
    elif end is not None and end < now + _SOON:
        yield "the certificate expires soon", ""
    mail = server.get("mail")
    if mail is not None and mail["problem"]:
        yield "e-mail cannot be sent", mail["problem"]
    yield from _backup_warnings(server["backup"], now)


def _database_warnings(database: DatabaseState) -> Generator[tuple[str, str]]:
    """Warn of a database on PostgreSQL that keeps messages on one machine only, or that waits for a second one."""
    if not database.synchronous:
        yield "PostgreSQL is not synchronous: if its machine is lost, so are messages that were accepted", ""
    elif database.standbys is not None and not any(each.synchronous for each in database.standbys):
        yield "no synchronous standby is connected to PostgreSQL: nothing is accepted", ""


def _backup_warnings(backup: dict[str, Any] | None, now: float) -> Generator[tuple[str, str]]:
    """Warn of a backup that is missing or too old, if the server is to make some."""
    if backup is None:
        return
    if backup["newest"] is None and not backup.get("busy"):
        yield "there is no backup yet", ""
    elif backup["newest"] is not None and now - backup["newest"] > 2 * backup["every"]:
        yield "the last backup is too old", ""
