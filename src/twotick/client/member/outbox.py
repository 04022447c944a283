"""Messages that the server has not accepted yet, in memory or on disk.

On disk, the outbox is a SQLite database that one process at a time may open. Changes that come in during a transaction
go into the next one, so many sends cost few waits for the disk. Nothing waits for the removal of a message: if it is
lost, the client sends the message again with the same Id, which the server recognises (rule 11.7). When the outbox has
been empty for a moment, the content of its messages is erased from its files, because their authors may delete them.
"""

import asyncio
import math
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from twotick.client.errors import OutboxError
from twotick.client.member.receipts import MemberReceipt
from twotick.client.trust.private_files import create_database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS owner (name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS message (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, recipient TEXT NOT NULL, headers BLOB NOT NULL, body BLOB NOT NULL,
    expires REAL
);
CREATE TABLE IF NOT EXISTS held (number INTEGER PRIMARY KEY, until REAL NOT NULL);
DELETE FROM held WHERE number NOT IN (SELECT number FROM message);
"""

LONGEST_HOLD = 900.0
"""The longest time, in seconds, for which a message is held back, whatever the clock says."""

_ERASE_DELAY = 1.0
"""Seconds after which the files of an outbox that has become empty are erased."""

_ADD = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)"
_REMOVE = "DELETE FROM message WHERE number = ?"
_HOLD = "INSERT OR REPLACE INTO held VALUES (?, ?)"
_RELEASE = "DELETE FROM held WHERE number = ?"

_Change: TypeAlias = tuple[str, tuple[Any, ...]]


@dataclass(slots=True, eq=False)
class QueuedMessage:
    """A message in the outbox.

    Attributes:
        receipt: its receipt, with its Id, recipient and position.
        headers: its header lines, without `Id` and `Expires`.
        body: its body.
        expires: the time after which it is not delivered any more, in seconds since 1970; None for never.
        stored: whether it is stored where the outbox keeps messages, so that it may be sent.
        written: whether it may have been sent, so that only the server knows its state.
        again: whether it may have been sent on an earlier connection too.
        loaded: whether it was in the outbox before this client was made.
        sent: when it was sent on this connection, in seconds on the monotonic clock; 0 if it was not.
        timer: the timer of its expiry.
        held_until: the time until which it is held back, in seconds since 1970; None if it is not.
    """

    receipt: MemberReceipt
    headers: bytes
    body: bytes
    expires: float | None = None
    stored: bool = False
    written: bool = False
    again: bool = False
    loaded: bool = False
    sent: float = 0.0
    timer: asyncio.TimerHandle | None = None
    held_until: float | None = None

    def held_for(self) -> float:
        """Return the seconds for which it is still held back; 0 if it may be sent."""
        return 0.0 if self.held_until is None else min(max(self.held_until - time.time(), 0.0), LONGEST_HOLD)

    def left(self) -> int | None:
        """Return the seconds until it expires, rounded up and at least 0; None for never."""
        return None if self.expires is None else max(0, math.ceil(self.expires - time.time()))


@dataclass(slots=True)
class _Batch:
    """The changes of one transaction, and the calls that wait for it."""

    changes: list[_Change] = field(default_factory=list[_Change])
    waiting: list[tuple[QueuedMessage, asyncio.Future[None]]] = field(
        default_factory=list[tuple[QueuedMessage, asyncio.Future[None]]]
    )


class Outbox:
    """The messages that the server has not accepted yet, in the order of the calls that sent them.

    Args:
        messages: how many messages it holds.
        size: how many bytes of bodies it holds. A single message may be larger.

    Attributes:
        messages: the messages, by Id.
        on_stored: called with each message that is stored and may be sent.
    """

    def __init__(self, messages: int, size: int) -> None:
        self.messages: dict[str, QueuedMessage] = {}
        self.on_stored: Callable[[QueuedMessage], None] = lambda _: None
        self._most = messages
        self._most_bytes = size
        self._bytes = 0
        self._next = 1
        self._turn = asyncio.Lock()
        self._room = asyncio.Event()
        self._disk: sqlite3.Connection | None = None
        self._opening: asyncio.Future[list[tuple[Any, ...]]] | None = None
        self._next_batch = _Batch()
        self._writer: asyncio.Task[None] | None = None
        self._closed: Exception | None = None
        self._erase_timer: asyncio.TimerHandle | None = None
        self._erase_due = False

    async def open(self, file: Path, owner: str) -> None:
        """Keep the outbox on disk from now on, and load the messages that are there.

        Args:
            file: the database. It is created, readable by its owner only, if it does not exist.
            owner: the member's name.

        Raises:
            OutboxError: the file cannot be used, another process uses it, or it belongs to another member.
        """
        try:
            self._opening = asyncio.ensure_future(asyncio.to_thread(self._open, file, owner))
            rows = await asyncio.shield(self._opening)
        except (OSError, sqlite3.Error) as error:
            if "locked" in str(error):
                raise OutboxError(f"another program uses the outbox {file}: end that program first") from error
            raise OutboxError(f"the outbox {file} cannot be used: {error}") from error
        for number, ident, recipient, headers, body, expires, held_until in rows:
            message = QueuedMessage(
                MemberReceipt(ident, recipient, number), headers, body, expires, stored=True, loaded=True
            )
            message.held_until = held_until
            message.written = not message.held_for()
            self.messages[ident] = message
            self._bytes += len(body)
            self._next = number + 1

    def _open(self, file: Path, owner: str) -> list[tuple[Any, ...]]:
        """Open the database, in a thread, and return its messages."""
        create_database(file)
        disk = sqlite3.connect(file, timeout=0.0, isolation_level=None, check_same_thread=False)
        try:
            disk.execute("PRAGMA locking_mode = EXCLUSIVE")
            disk.execute("PRAGMA journal_mode = WAL")
            disk.execute("PRAGMA synchronous = FULL")
            disk.execute("PRAGMA secure_delete = ON")  # leave nothing of a message that its author may delete
            disk.executescript("BEGIN IMMEDIATE;" + _SCHEMA)
            found = disk.execute("SELECT name FROM owner").fetchone()
            if found is None:
                disk.execute("INSERT INTO owner VALUES (?)", (owner.lower(),))
            disk.execute("COMMIT")
            rows = disk.execute(
                "SELECT m.number, id, recipient, headers, body, expires, until"
                " FROM message m LEFT JOIN held h ON h.number = m.number ORDER BY m.number"
            ).fetchall()
        except BaseException:
            disk.close()
            raise
        self._disk = disk
        if found is not None and found[0] != owner.lower():
            raise OutboxError(f"the outbox {file} belongs to {found[0]}, not to {owner}: use another file")
        return rows

    async def add(
        self,
        ident: str,
        recipient: str,
        headers: bytes,
        body: bytes,
        expires: float | None,
        held_until: float | None = None,
    ) -> QueuedMessage:
        """Add a message and wait until it is stored, unless there is one with the same Id already.

        Args:
            ident: its Id.
            recipient: its recipient.
            headers: see `QueuedMessage`.
            body: see `QueuedMessage`.
            expires: see `QueuedMessage`.
            held_until: see `QueuedMessage`.

        Returns:
            The message with this Id.

        Raises:
            OutboxError: the file cannot be written.
            TwotickError: the error that was given to `shut`.
        """
        async with self._turn:  # calls that wait for room take turns in their order
            while self.messages and (len(self.messages) >= self._most or self._bytes + len(body) > self._most_bytes):
                if self._closed is not None:
                    break
                self._room.clear()
                await self._room.wait()
            if self._closed is not None:
                raise self._closed
            if (known := self.messages.get(ident)) is not None:
                return known
            message = QueuedMessage(MemberReceipt(ident, recipient, self._next), headers, body, expires)
            message.held_until = held_until
            self._next += 1
            self.messages[ident] = message
            self._bytes += len(body)
        if self._disk is None:
            self._is_stored(message)
            return message
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next_batch.waiting.append((message, stored))
        self._change(_ADD, (message.receipt.order, ident, recipient, headers, body, expires))
        if held_until is not None:
            self._change(_HOLD, (message.receipt.order, held_until))
        try:
            await stored
        except asyncio.CancelledError:
            if not message.written:
                self.remove(message)
            raise
        return message

    def _is_stored(self, message: QueuedMessage) -> None:
        message.stored = True
        if message.receipt.id in self.messages:  # it may have been removed meanwhile
            self.on_stored(message)

    def remove(self, message: QueuedMessage) -> None:
        """Remove a message, if it is still there."""
        if self.messages.pop(message.receipt.id, None) is None:
            return
        self._bytes -= len(message.body)
        if message.timer is not None:
            message.timer.cancel()
        self._room.set()
        if self._disk is not None:
            self._change(_REMOVE, (message.receipt.order,))
            if message.held_until is not None:
                self._change(_RELEASE, (message.receipt.order,))
            if not self.messages and self._erase_timer is None and self._closed is None:
                self._erase_timer = asyncio.get_running_loop().call_later(_ERASE_DELAY, self._erase_soon)

    def shut(self, error: Exception) -> None:
        """Accept no further messages. Calls that wait for room raise `error`."""
        self._closed = error
        self._room.set()

    async def close(self) -> None:
        """Finish writing and close the file.

        Raises:
            OutboxError: the file cannot be written, so messages that were removed are still in it.
        """
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if self._disk is None:
            return
        if self._erase_timer is not None:
            self._erase_timer.cancel()
        if self._next_batch.changes and self._writer is None:
            self._writer = asyncio.create_task(self._write())
        if self._writer is not None:
            await asyncio.shield(self._writer)
        self._disk.close()
        if self._next_batch.changes:
            raise OutboxError(
                "the outbox cannot be written: some messages will be sent again, and the server will ignore those"
            )

    # The disk

    def _change(self, sql: str, values: tuple[Any, ...]) -> None:
        self._next_batch.changes.append((sql, values))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())

    async def _write(self) -> None:
        """Write changes, batch by batch, until there are none or the file cannot be written."""
        assert self._disk is not None
        while self._next_batch.changes or self._erase_due:
            batch, self._next_batch = self._next_batch, _Batch()
            try:
                if not batch.changes:
                    self._erase_due = False
                    await asyncio.to_thread(self._disk.execute, "PRAGMA wal_checkpoint(TRUNCATE)")
                else:
                    await asyncio.to_thread(self._apply, batch.changes)
            except sqlite3.Error as error:
                self._failed(batch, error)
                break
            for message, stored in batch.waiting:
                self._is_stored(message)
                if not stored.done():
                    stored.set_result(None)
        self._writer = None

    def _erase_soon(self) -> None:
        """Erase the content of the files, unless the outbox is in use again."""
        self._erase_timer = None
        if not self.messages:
            self._erase_due = True
            if self._writer is None:
                self._writer = asyncio.create_task(self._write())

    def _failed(self, batch: _Batch, error: sqlite3.Error) -> None:
        """Fail the calls that wait for a batch. The removals in it are tried again with the next batch."""
        added = {message.receipt.order for message, _ in batch.waiting}
        removed = [(sql, values) for sql, values in batch.changes if sql == _REMOVE and values[0] not in added]
        for message, stored in batch.waiting + self._next_batch.waiting:
            if self.messages.pop(message.receipt.id, None) is not None:
                self._bytes -= len(message.body)
            if not stored.done():
                stored.set_exception(
                    OutboxError(f"the outbox cannot be written, and the message is not queued: {error}")
                )
        later = [(sql, values) for sql, values in self._next_batch.changes if sql == _REMOVE]
        self._next_batch = _Batch(removed + later)
        self._room.set()

    def _apply(self, changes: list[_Change]) -> None:
        """Write changes in one transaction, in a thread."""
        assert self._disk is not None
        self._disk.execute("BEGIN IMMEDIATE")
        try:
            for sql, values in changes:
                self._disk.execute(sql, values)
            self._disk.execute("COMMIT")
        except sqlite3.Error:
            if self._disk.in_transaction:
                self._disk.execute("ROLLBACK")
            raise
