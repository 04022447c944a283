"""Removing members (docs/protocol.md, rule 12.4), in steps: a member may have millions of messages.

The first step takes away the name and the devices, so to all other requests the member is gone. Its row stays, with `*`
and its number in place of its name, until the last step. A removal that was interrupted is thus found again.
"""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from dataclasses import replace
from typing import Final

from twotick.store.requests.members import ContinueRemoval, RemoveMember
from twotick.store.requests.messages import Effects, Unfinished
from twotick.store.rules.delivery import Mailbox
from twotick.store.sqlite.files import FileRepository
from twotick.store.sqlite.handlers import Handlers
from twotick.store.sqlite.ledger import LEAVING, MEMBERS, MESSAGE, RECEIVED, SENT, Ledger
from twotick.store.sqlite.presence import PresenceRepository
from twotick.store.sqlite.rooms import RoomRepository

_ENTRIES: Final = 128
"""The entries of the member's log that one step removes."""

_BYTES: Final = 128 << 10
"""The bytes of their bodies after which it ends: their words are taken out of the index."""

_ROWS: Final = 512
"""The rows of another table that one step removes."""

_OWN_TABLES: Final = (
    ("reading", "member", "peer"),
    ("conversation", "member", "peer"),
    ("contact", "member", "other"),
    ("contact", "other", "member"),
    ("room_stay", "member", "room"),
    ("pin", "member", "message"),
    ("hook", "member", "member"),
    ("letter", "member", "seq"),
    ("email", "member", "member"),
    ("invitation", "member", "digest"),
    ("member_act", "member", "number"),
    ("bot_right", "member", "peer"),
    ("slot", "member", "key"),
    ("delayed", "member", "id"),
)
"""The tables with rows that go with a member: the column with the member, and what tells its rows apart."""


class RemovalRepository:
    """Carries out the removal of members.

    Args:
        ledger: the logs.
        rooms: what a member leaves when it is removed.
        files: what remains of its files.
        presence: remembers who could see it.
    """

    def __init__(self, ledger: Ledger, rooms: RoomRepository, files: FileRepository, presence: PresenceRepository):
        self._ledger = ledger
        self._tables = ledger.tables
        self._rooms = rooms
        self._files = files
        self._presence = presence

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {RemoveMember: self._remove, ContinueRemoval: self._continue}

    def _remove(self, request: RemoveMember) -> Unfinished | None:
        tables = self._tables
        row = tables.direct(
            f"SELECT number FROM member WHERE folded = ? AND {MEMBERS}", (request.name.lower(),)
        ).fetchone()
        if row is None:
            return None
        number: int = row[0]
        so_far = self._presence.keep_audience(number, request.time, request.so_far)
        if so_far is not None:
            return Unfinished(replace(request, so_far=so_far))
        tables.write("DELETE FROM device WHERE member = ?", (number,))
        tables.write("DELETE FROM picture WHERE member = ?", (number,))
        # Another member may have the name later.
        tables.write("DELETE FROM bot_right WHERE peer = ?", (request.name.lower().encode(errors="replace"),))
        tables.write(
            "UPDATE member SET folded = '*' || number, password = '', shown = 0, display = '', status = ''"
            " WHERE number = ?",
            (number,),
        )
        self._forget()
        return Unfinished(ContinueRemoval(request.time))

    def _continue(self, request: ContinueRemoval) -> Effects | Unfinished:
        effects = Effects()
        box = self._leaving()
        if box is None:
            return effects
        if not (
            self._rooms.leave_one(box, request.time, effects)
            or self._clear_log(box, effects)
            or self._clear_absent(box, effects)
            or any(self._clear(box, *table) for table in _OWN_TABLES)
            or self._files.leave_some(box.number, _ROWS)
        ):
            self._tables.write("DELETE FROM member WHERE number = ?", (box.number,))
            self._forget()
        return Unfinished(request, effects)

    def _leaving(self) -> Mailbox | None:
        """Return a member that is being removed, without devices and settings; None if there is none."""
        row = self._tables.read(
            f"SELECT number, name, last, mark, entries, bytes FROM member WHERE {LEAVING} LIMIT 1"
            f"{self._tables.row_lock}{self._tables.skip_locked}"
        ).fetchone()
        if row is None:
            return None
        number, name, last, delivered, entries, size = row
        return Mailbox(number, name, last, delivered, entries, size, {}, frozenset())

    def _clear_log(self, box: Mailbox, effects: Effects) -> bool:
        """Remove some entries of the log, and the messages that nothing else needs. Return whether there were any."""
        ledger, tables = self._ledger, self._tables
        seq = size = 0
        numbers: dict[int, None] = {}
        sent: list[int] = []
        for seq, kind, taken, *columns in tables.read(
            f"SELECT l.seq, l.kind, l.taken, {MESSAGE} FROM log l CROSS JOIN message m ON m.number = l.message"
            f" WHERE l.member = ? ORDER BY l.seq LIMIT ?{tables.message_lock}",
            (box.number, _ENTRIES),
        ).fetchall():
            message = ledger.message(columns)
            numbers[message.number] = None
            if kind == SENT:
                message.sender = None
                sent.append(message.number)
            elif kind == RECEIVED and seq > box.delivered and not taken:
                ledger.settle(message, _failure(box), effects)
            tables.work += 1
            size += message.size
            if size >= _BYTES:
                break
        tables.write_many("UPDATE message SET sender = NULL WHERE number = ?", [(number,) for number in sent])
        tables.write("DELETE FROM log WHERE member = ? AND seq <= ?", (box.number, seq))
        ledger.remove(number for number in numbers if self._is_unused(number))
        return bool(numbers)

    def _is_unused(self, message: int) -> bool:
        """Tell whether a message waits for no member, and is in no log and in no room."""
        row = self._tables.read(
            "SELECT 1 FROM message m LEFT JOIN room r ON r.number = m.room"
            " WHERE m.number = ? AND m.waiting = 0 AND r.folded IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM log WHERE log.message = m.number)",
            (message,),
        ).fetchone()
        return row is not None

    def _clear_absent(self, box: Mailbox, effects: Effects) -> bool:
        """Forget some messages that were kept from the member. Return whether there were any."""
        ledger, tables = self._ledger, self._tables
        rows = tables.read(
            f"SELECT a.waits, {MESSAGE} FROM absent a CROSS JOIN message m ON m.number = a.message"
            f" WHERE a.member = ? ORDER BY a.message LIMIT ?{tables.message_lock}",
            (box.number, _ENTRIES),
        ).fetchall()
        for waits, *columns in rows:
            message = ledger.message(columns)
            tables.write("DELETE FROM absent WHERE message = ? AND member = ?", (message.number, box.number))
            if waits:
                ledger.settle(message, _failure(box), effects)
                ledger.remove_if_unused(message)
        tables.work += len(rows)
        return bool(rows)

    def _clear(self, box: Mailbox, table: str, column: str, key: str) -> bool:
        """Remove some of a member's rows from a table. Return whether there were any."""
        some = f"SELECT {key} FROM {table} WHERE {column} = ?1 LIMIT ?2"
        removed = self._tables.direct(
            f"DELETE FROM {table} WHERE {column} = ?1 AND {key} IN ({some})", (box.number, _ROWS)
        )
        return removed.rowcount > 0

    def _forget(self) -> None:
        """Forget what is remembered, which changed in the database, once nothing waits."""
        self._tables.flush()
        self._tables.cache.forget()


def _failure(box: Mailbox) -> str:
    return f"{box.name} is not a member any more"
