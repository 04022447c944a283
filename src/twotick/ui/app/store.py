"""What the app keeps on this machine: conversations, messages, drafts, and up to where they were read.

It is a SQLite database that one process at a time has for itself; a guest's is in memory. Messages that a server has
in a member's log are a copy: should they be lost, the server is asked again. Drafts, and messages that are not in the
outbox yet, are only here. All is in the file when a call returns, so that a process may be killed at any time. That a
power failure may take the last moments with it is the price of not waiting for the disk while somebody types.
"""

import contextlib
import os
import sqlite3
from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from typing import Any

from twotick.client import State, TwotickError
from twotick.ui.app.model import WAITING, Conversation, Message, Place

_VERSION = 1

_SCHEMA = f"""
CREATE TABLE conversation (
    key TEXT PRIMARY KEY, name TEXT NOT NULL, complete INTEGER NOT NULL DEFAULT 0, read INTEGER NOT NULL DEFAULT 0,
    told INTEGER NOT NULL DEFAULT 0, draft TEXT NOT NULL DEFAULT ''
);
CREATE TABLE message (
    number INTEGER PRIMARY KEY AUTOINCREMENT, conversation TEXT NOT NULL, seq INTEGER NOT NULL, ord INTEGER NOT NULL,
    id TEXT NOT NULL, sender TEXT NOT NULL, body TEXT NOT NULL, time TEXT NOT NULL, outgoing INTEGER NOT NULL,
    state INTEGER, reason TEXT NOT NULL, mention INTEGER NOT NULL
);
CREATE INDEX by_place ON message (conversation, seq, ord);
CREATE INDEX by_seq ON message (seq);
CREATE INDEX by_id ON message (id) WHERE id <> '';
CREATE INDEX waiting ON message (number) WHERE state = {State.QUEUED.value};
PRAGMA user_version = {_VERSION};
"""

_SELECT = "SELECT * FROM message WHERE "


class LocalStoreError(TwotickError):
    """What is kept on this machine cannot be used; the message says why."""


class LocalStore:
    """What is kept of one user at one server.

    Args:
        file: the database, which is made, for its owner alone, if it is not there; None to keep all in memory.

    Raises:
        LocalStoreError: it cannot be used.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        try:
            self._disk = _open(file)
        except (OSError, sqlite3.Error) as error:
            if "locked" in str(error):
                raise LocalStoreError("the app is open with this name already: close it there first") from error
            raise LocalStoreError(f"{file} cannot be used: {error}") from error

    def close(self) -> None:
        """Let the file go."""
        self._disk.close()

    def _do(self, sql: str, *values: Any) -> sqlite3.Cursor:
        try:
            return self._disk.execute(sql, values)
        except sqlite3.Error as error:
            raise LocalStoreError(f"{self._file} cannot be used: {error}") from error

    # Conversations

    def conversations(self) -> list[Conversation]:
        """All, the one with the newest message last."""
        rows = self._do(
            "SELECT c.key, name, complete, read, draft,"
            " (SELECT max(seq) FROM message WHERE conversation = c.key) AS newest FROM conversation c ORDER BY newest"
        ).fetchall()
        found: list[Conversation] = []
        for key, name, complete, read, draft, _ in rows:
            unread, mentions = self.unread(key)
            found.append(Conversation(key, name, [], bool(complete), False, unread, mentions, read, draft))
        return found

    def add_conversation(self, conversation: Conversation) -> None:
        """Keep a conversation, if it is not kept."""
        self._do("INSERT OR IGNORE INTO conversation (key, name) VALUES (?, ?)", conversation.key, conversation.name)

    def set_complete(self, key: str) -> None:
        """The oldest message that there is in a conversation is here."""
        self._do("UPDATE conversation SET complete = 1 WHERE key = ?", key)

    def set_draft(self, key: str, draft: str) -> None:
        """Keep what was typed."""
        self._do("UPDATE conversation SET draft = ? WHERE key = ?", draft, key)

    def set_read(self, key: str, read: int) -> None:
        """A conversation was read up to that number of the log."""
        self._do("UPDATE conversation SET read = max(read, ?) WHERE key = ?", read, key)

    def set_told(self, key: str, told: int) -> None:
        """The server knows that a conversation was read up to that number of the log."""
        self._do("UPDATE conversation SET told = max(told, ?), read = max(read, ?) WHERE key = ?", told, told, key)

    def untold(self) -> list[tuple[str, int]]:
        """What was read and the server may not know: names of conversations, each with a number of the log."""
        return self._do("SELECT name, read FROM conversation WHERE read > told").fetchall()

    def unread(self, key: str) -> tuple[int, int]:
        """How many messages of a conversation are unread, and how many of them name the user."""
        return self._do(
            "SELECT count(*), coalesce(sum(mention), 0) FROM message WHERE conversation = ?1 AND NOT outgoing"
            " AND seq > (SELECT read FROM conversation WHERE key = ?1)",
            key,
        ).fetchone()

    # Messages

    def page(self, key: str, before: Place | None, limit: int) -> list[Message]:
        """The last messages of a conversation before a place, oldest first."""
        rows = self._do(
            _SELECT + "conversation = ? AND (seq, ord) < (?, ?) ORDER BY seq DESC, ord DESC LIMIT ?",
            key,
            *(before or (WAITING + 1, 0)),
            limit,
        )
        return [_message(row) for row in rows][::-1]

    def add(self, message: Message) -> None:
        """Keep a message, which gets its number; one that waits gets its place."""
        with self._together():
            row = self._values(message)
            cursor = self._do("INSERT INTO message VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", *row)
            message.number = cursor.lastrowid or 0
            if message.place[0] == WAITING:
                message.place = (WAITING, message.number)
                self._do("UPDATE message SET ord = number WHERE number = ?", message.number)
                self._do("UPDATE conversation SET draft = '' WHERE key = ?", message.conversation)

    def change(self, message: Message) -> None:
        """Keep what is different now in a message that is here."""
        self._do(
            "UPDATE message SET (conversation, seq, ord, id, sender, body, time, outgoing, state, reason, mention)"
            " = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE number = ?",
            *self._values(message),
            message.number,
        )

    def same(self, message: Message) -> Message | None:
        """The message here that is the same as one that a server has: by its Id, or where it has none by its place."""
        if message.id:
            sql, values = "id = ? AND outgoing = ?", (message.id, message.outgoing)
        else:
            sql, values = "seq = ? AND ord = 0", (message.place[0],)
        return self._one(sql, *values)

    def sent(self, ident: str) -> Message | None:
        """The message with that Id which the user has sent."""
        return self._one("id = ? AND outgoing", ident) if ident else None

    def in_log(self, seq: int) -> Message | None:
        """The message with that number in the log."""
        return self._one("seq = ? AND ord = 0", seq)

    def _one(self, where: str, *values: Any) -> Message | None:
        row = self._do(_SELECT + where, *values).fetchone()
        return None if row is None else _message(row)

    def waiting(self) -> list[Message]:
        """The messages that are not accepted yet, in the order in which they were sent."""
        rows = self._do(_SELECT + f"state = {State.QUEUED.value} ORDER BY number")
        return [_message(row) for row in rows]

    def delivered_before(self, key: str, place: Place) -> list[Message]:
        """The user's messages up to a place which are accepted or delivered, and not known to be read."""
        rows = self._do(
            _SELECT + "conversation = ? AND (seq, ord) <= (?, ?) AND state IN (?, ?)",
            key,
            *place,
            State.ACCEPTED,
            State.DELIVERED,
        )
        return [_message(row) for row in rows]

    def newest(self, key: str | None = None) -> int:
        """The highest number of the log of any message, or of those of a conversation; 0 if there is none."""
        if key is None:
            found = self._do("SELECT max(seq) FROM message WHERE seq < ?", WAITING)
        else:
            found = self._do("SELECT max(seq) FROM message WHERE conversation = ? AND seq < ?", key, WAITING)
        (seq,) = found.fetchone()
        return seq or 0

    def oldest(self, key: str) -> int | None:
        """The lowest number of the log of the messages of a conversation; None if there is none."""
        (seq,) = self._do("SELECT min(seq) FROM message WHERE conversation = ? AND ord = 0", key).fetchone()
        return seq

    def forget_messages(self) -> None:
        """Forget what the server has, since numbers in its log mean something else now, or too many are missing."""
        with self._together():
            self._do("DELETE FROM message WHERE seq < ?", WAITING)
            self._do("UPDATE conversation SET complete = 0, read = 0, told = 0")

    @contextlib.contextmanager
    def _together(self) -> Generator[None]:
        """What is done within is done together or not at all."""
        self._do("BEGIN IMMEDIATE")
        try:
            yield
            self._do("COMMIT")
        except BaseException:
            if self._disk.in_transaction:
                self._disk.execute("ROLLBACK")
            raise

    def _values(self, message: Message) -> tuple[Any, ...]:
        return (
            message.conversation,
            *message.place,
            message.id,
            message.sender,
            message.text,
            message.time.isoformat(),
            message.outgoing,
            message.state,
            message.reason,
            message.mention,
        )


def _message(row: tuple[Any, ...]) -> Message:
    number, conversation, seq, order, ident, sender, body, time, outgoing, state, reason, mention = row
    known = None if state is None else State(state)
    when = datetime.fromisoformat(time)
    return Message(
        conversation, sender, body, when, bool(outgoing), (seq, order), ident, known, reason, bool(mention), number
    )


def _open(file: Path | None) -> sqlite3.Connection:
    if file is not None:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the same mode
    disk = sqlite3.connect(file or ":memory:", timeout=0.0, isolation_level=None)
    try:
        disk.execute("PRAGMA locking_mode = EXCLUSIVE")
        disk.execute("PRAGMA journal_mode = WAL")
        disk.execute("PRAGMA synchronous = NORMAL")
        disk.execute("BEGIN IMMEDIATE")  # nobody else has it
        (version,) = disk.execute("PRAGMA user_version").fetchone()
        disk.execute("COMMIT")
        if version == 0:
            disk.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        elif version != _VERSION:
            raise sqlite3.DatabaseError(f"it is of another version of Twotick ({version})")  # noqa: TRY301 # as damage
    except BaseException:
        disk.close()
        raise
    return disk
