"""How a server is, and what the operator should look at."""

import time
from collections.abc import Generator, Sequence
from dataclasses import asdict
from typing import Any, Final

from twotick.store import DatabaseState, MemberSummary, ServerInfo, StoreLimits

_SOON: Final = 14 * 86400.0
"""Seconds before the end of a certificate from which on the operator is warned."""


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
