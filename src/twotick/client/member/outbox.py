"""Messages that the server has not accepted yet, in memory or on disk.

On disk it is a SQLite database that one process at a time has for itself. Whatever is asked while it writes goes into
its next transaction, so that many sends cost few waits for the disk. To take a message out is not worth a wait: should
that be lost, the message is sent once more with the same Id, which the server knows (rule 11.7). Once nothing has
waited for a moment, no file has what the messages said: somebody may delete one.
"""

import asyncio
import math
import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from twotick.client.errors import OutboxError
from twotick.client.member.receipts import MemberReceipt

_SCHEMA = """
CREATE TABLE IF NOT EXISTS owner (name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS message (
    number INTEGER PRIMARY KEY, id TEXT NOT NULL, recipient TEXT NOT NULL, headers BLOB NOT NULL, body BLOB NOT NULL,
    expires REAL
);
"""

_TIDY = 1.0
"""Seconds after which the file of an outbox that has become empty is emptied as well."""

_ADD = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?)"
_REMOVE = "DELETE FROM message WHERE number = ?"

_Change: TypeAlias = tuple[str, tuple[Any, ...]]


@dataclass(slots=True, eq=False)
class Item:
    """A message in the outbox.

    Attributes:
        receipt: what becomes of it; has its Id, its recipient and its number.
        headers: the header lines, but for `Expires`.
        body: the body.
        expires: the time after which nobody wants it any more, in seconds since 1970; None for never.
        stored: whether it is where it should be, and so may be sent.
        written: whether it may have been sent; then only the server knows what became of it.
        loaded: whether it was in the outbox before this client was made.
        sent: when it was written on this connection, in seconds on the monotonic clock; 0 if it was not.
        timer: what looks at it when it expires.
    """

    receipt: MemberReceipt
    headers: bytes
    body: bytes
    expires: float | None = None
    stored: bool = False
    written: bool = False
    loaded: bool = False
    sent: float = 0.0
    timer: asyncio.TimerHandle | None = None

    def left(self) -> int | None:
        """The seconds until it expires, in whole ones and at least 0; None for never."""
        return None if self.expires is None else max(0, math.ceil(self.expires - time.time()))


@dataclass(slots=True)
class _Writing:
    """What is to go to the disk next, and who waits for it."""

    changes: list[_Change] = field(default_factory=list[_Change])
    waiting: list[tuple[Item, asyncio.Future[None]]] = field(default_factory=list[tuple[Item, asyncio.Future[None]]])


class Outbox:
    """Messages on their way to the server, in the order of the calls that sent them.

    Args:
        messages: how many it holds.
        size: how many bytes of bodies it holds; a single message may be larger.

    Attributes:
        items: them, by Id.
        on_stored: called with each message that may be sent now.
    """

    def __init__(self, messages: int, size: int) -> None:
        self.items: dict[str, Item] = {}
        self.on_stored: Callable[[Item], None] = lambda _: None
        self._most = messages
        self._most_bytes = size
        self._bytes = 0
        self._next = 1
        self._turn = asyncio.Lock()
        self._room = asyncio.Event()
        self._disk: sqlite3.Connection | None = None
        self._opening: asyncio.Future[list[tuple[Any, ...]]] | None = None
        self._next_write = _Writing()
        self._writer: asyncio.Task[None] | None = None
        self._closed: Exception | None = None
        self._tidying: asyncio.TimerHandle | None = None
        self._untidy = False

    async def open(self, file: Path, owner: str) -> None:
        """Keep it on disk from now on, and take in what is there.

        Args:
            file: the database, which is made, for its owner alone, if it is not there.
            owner: the member's name.

        Raises:
            OutboxError: the file cannot be used, is used by another process, or is another member's.
        """
        try:
            self._opening = asyncio.ensure_future(asyncio.to_thread(self._open, file, owner))
            rows = await asyncio.shield(self._opening)
        except (OSError, sqlite3.Error) as error:
            why = "another program uses it" if "locked" in str(error) else str(error)
            raise OutboxError(f"the outbox {file} cannot be used: {why}") from error
        for number, ident, recipient, headers, body, expires in rows:
            item = Item(MemberReceipt(ident, recipient, number), headers, body, expires, True, True, True)
            self.items[ident] = item
            self._bytes += len(body)
            self._next = number + 1

    def _open(self, file: Path, owner: str) -> list[tuple[Any, ...]]:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same mode
        disk = sqlite3.connect(file, timeout=0.0, isolation_level=None, check_same_thread=False)
        try:
            disk.execute("PRAGMA locking_mode = EXCLUSIVE")
            disk.execute("PRAGMA journal_mode = WAL")
            disk.execute("PRAGMA synchronous = FULL")
            disk.execute("PRAGMA secure_delete = ON")  # nothing is left here of a message that somebody deletes later
            disk.executescript("BEGIN IMMEDIATE;" + _SCHEMA)
            found = disk.execute("SELECT name FROM owner").fetchone()
            if found is None:
                disk.execute("INSERT INTO owner VALUES (?)", (owner.lower(),))
            disk.execute("COMMIT")
            rows = disk.execute("SELECT * FROM message ORDER BY number").fetchall()
        except BaseException:
            disk.close()
            raise
        self._disk = disk
        if found is not None and found[0] != owner.lower():
            raise OutboxError(f"the outbox {file} is not that of {owner}, but that of {found[0]}")
        return rows

    async def add(self, ident: str, recipient: str, headers: bytes, body: bytes, expires: float | None) -> Item:
        """Put a message into it, and wait until it is there; one with the same Id that is there already stays.

        Args:
            ident: its Id.
            recipient: whom it is for.
            headers: see `Item`.
            body: see `Item`.
            expires: see `Item`.

        Raises:
            OutboxError: the disk does not take it.
            TwotickError: as given to `shut`.
        """
        async with self._turn:  # whoever came first goes first
            while self.items and (len(self.items) >= self._most or self._bytes + len(body) > self._most_bytes):
                if self._closed is not None:
                    break
                self._room.clear()
                await self._room.wait()
            if self._closed is not None:
                raise self._closed
            if (known := self.items.get(ident)) is not None:
                return known
            item = Item(MemberReceipt(ident, recipient, self._next), headers, body, expires)
            self._next += 1
            self.items[ident] = item
            self._bytes += len(body)
        if self._disk is None:
            self._is_stored(item)
            return item
        stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._next_write.waiting.append((item, stored))
        self._change(_ADD, (item.receipt.order, ident, recipient, headers, body, expires))
        try:
            await stored
        except asyncio.CancelledError:
            if not item.written:
                self.remove(item)
            raise
        return item

    def _is_stored(self, item: Item) -> None:
        item.stored = True
        if item.receipt.id in self.items:  # it may have been taken out in the meantime
            self.on_stored(item)

    def remove(self, item: Item) -> None:
        """Take a message out, if it is still there."""
        if self.items.pop(item.receipt.id, None) is None:
            return
        self._bytes -= len(item.body)
        if item.timer is not None:
            item.timer.cancel()
        self._room.set()
        if self._disk is not None:
            self._change(_REMOVE, (item.receipt.order,))
            if not self.items and self._tidying is None and self._closed is None:
                self._tidying = asyncio.get_running_loop().call_later(_TIDY, self._tidy)

    def shut(self, error: Exception) -> None:
        """Take nothing more in: whoever waits for room gets this error."""
        self._closed = error
        self._room.set()

    async def close(self) -> None:
        """Finish writing, and let the file go.

        Raises:
            OutboxError: what was taken out is still in the file, since that cannot be written.
        """
        if self._opening is not None:
            await asyncio.wait([self._opening])
        if self._disk is None:
            return
        if self._tidying is not None:
            self._tidying.cancel()
        if self._next_write.changes and self._writer is None:
            self._writer = asyncio.create_task(self._write())
        if self._writer is not None:
            await asyncio.shield(self._writer)
        self._disk.close()
        if self._next_write.changes:
            raise OutboxError("the outbox cannot be written: the server will be sent some messages once more")

    # The disk

    def _change(self, sql: str, values: tuple[Any, ...]) -> None:
        self._next_write.changes.append((sql, values))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())

    async def _write(self) -> None:
        """Write what there is to write, as long as there is any and the disk takes it."""
        assert self._disk is not None
        while self._next_write.changes or self._untidy:
            writing, self._next_write = self._next_write, _Writing()
            try:
                if not writing.changes:
                    self._untidy = False
                    await asyncio.to_thread(self._disk.execute, "PRAGMA wal_checkpoint(TRUNCATE)")
                else:
                    await asyncio.to_thread(self._apply, writing.changes)
            except sqlite3.Error as error:
                self._failed(writing, error)
                break
            for item, stored in writing.waiting:
                self._is_stored(item)
                if not stored.done():
                    stored.set_result(None)
        self._writer = None

    def _tidy(self) -> None:
        """Empty the file, unless something is in it."""
        self._tidying = None
        if not self.items:
            self._untidy = True
            if self._writer is None:
                self._writer = asyncio.create_task(self._write())

    def _failed(self, writing: _Writing, error: sqlite3.Error) -> None:
        """Tell those who wait. What was to be taken out is, when something is written the next time."""
        added = {item.receipt.order for item, _ in writing.waiting}
        removed = [(sql, values) for sql, values in writing.changes if sql == _REMOVE and values[0] not in added]
        for item, stored in writing.waiting + self._next_write.waiting:
            if self.items.pop(item.receipt.id, None) is not None:
                self._bytes -= len(item.body)
            if not stored.done():
                stored.set_exception(OutboxError(f"the outbox cannot be written: {error}"))
        later = [(sql, values) for sql, values in self._next_write.changes if sql == _REMOVE]
        self._next_write = _Writing(removed + later)
        self._room.set()

    def _apply(self, changes: list[_Change]) -> None:
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
