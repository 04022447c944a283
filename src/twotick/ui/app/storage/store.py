"""What the app keeps on this machine: conversations, messages, drafts, and up to where they were read.

It is a SQLite database that one process at a time has for itself; of a guest's, only conversations and drafts are in
the file. Messages that a server has in a member's log are a copy: should they be lost, the server is asked again.
Drafts, and what is not in the outbox yet, are only here. All is in the file when a call returns, so that a process may
be killed at any time. That a power failure may take the last moments with it is the price of not waiting for the disk
while somebody types.

What changes a message is carried out where the message is, and else kept until the message comes (`later`), as when
older messages are loaded after newer ones. Which of two changes counts, is for their places to say.
"""

import contextlib
import json
import sqlite3
from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from typing import Any

from twotick.client.errors import TwotickError
from twotick.client.member.events import State
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import WAITING, Attachment, ChangeKind, LocalMessage, MessageChange, Place, RoomEvent
from twotick.ui.app.storage import schema

_MOST_MESSAGES = 100_000
"""Messages that are kept; the oldest of the longest conversations go first. The server has them longer."""

MOST_CONVERSATIONS = 5_000
"""Conversations that are kept."""

_MOST_LATER = 20_000
"""Changes and reactions that are kept for messages which are not here."""

_MOST_REACTIONS = 500
"""Users whose reactions to a message are kept."""

_LONGEST_REACTION = 64
"""Bytes of a reaction (rule 13.1)."""

_COLUMNS = (
    "number, conversation, place, ord, id, sender, body, time, outgoing, state, reason, mention, seq, have, recipients,"
    " edited, deleted, more, action"
)

_SELECT = f"SELECT {_COLUMNS} FROM message WHERE "  # noqa: S608 # nothing that comes from elsewhere


class LocalStoreError(TwotickError):
    """What is kept on this machine cannot be used; the message says why."""


class LocalStore:
    """What is kept of one user at one server.

    Args:
        file: the database, which is made, for its owner alone, if it is not there; None to keep all in memory.
        keep_messages: whether messages are in the file too, or in memory.

    Raises:
        LocalStoreError: it cannot be used.
    """

    def __init__(self, file: Path | None, keep_messages: bool = True) -> None:
        self._file = file
        self._erased = False
        try:
            self._disk = schema.open_database(file, keep_messages and file is not None)
            self._thin_out_conversations()
            self.thin_out()
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

    @contextlib.contextmanager
    def together(self) -> Generator[None]:
        """What is done within is done together or not at all."""
        if self._disk.in_transaction:
            yield
            return
        self._do("BEGIN IMMEDIATE")
        try:
            yield
            self._do("COMMIT")
        except BaseException:
            if self._disk.in_transaction:
                self._disk.execute("ROLLBACK")
            raise
        self._forget_what_was_erased()

    def _forget_what_was_erased(self) -> None:
        """Leave no older copy of what was deleted in SQLite's other file."""
        if self._erased and not self._disk.in_transaction:
            self._do("PRAGMA wal_checkpoint(TRUNCATE)")
            self._erased = False

    # Conversations

    def conversations(self) -> list[LocalConversation]:
        """All, the one with the newest message last: one that waits, or else the newest in the log."""
        rows = self._do(
            "SELECT key, name, complete, read, draft, unread, mentions, counted, muted, blocked, topic, role, members,"
            " access, gone FROM conversation"
            " ORDER BY EXISTS (SELECT 1 FROM message WHERE conversation = key AND place = ?),"
            " max(counted, coalesce((SELECT max(seq) FROM message WHERE conversation = key), 0))",
            WAITING,
        )
        return [_conversation(row) for row in rows]

    def add_conversation(self, conversation: LocalConversation) -> None:
        """Keep a conversation, if it is not kept."""
        self._do("INSERT OR IGNORE INTO conversation (key, name) VALUES (?, ?)", conversation.key, conversation.name)

    def forget_conversation(self, key: str) -> None:
        """Keep nothing of a conversation."""
        with self.together():
            for table in ("message", "later", "reaction"):
                self._do(f"DELETE FROM {table} WHERE conversation = ?", key)  # noqa: S608 # as above
            self._do("DELETE FROM conversation WHERE key = ?", key)

    def change_conversation(self, conversation: LocalConversation) -> None:
        """Keep what is different now in a conversation, but for its draft, and up to where it was read."""
        self._do(
            "UPDATE conversation SET (unread, mentions, counted, muted, blocked, topic, role, members, access, gone)"
            " = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE key = ?",
            conversation.unread,
            conversation.mentions,
            conversation.counted,
            conversation.muted,
            conversation.blocked,
            conversation.topic,
            conversation.role,
            conversation.members,
            conversation.access,
            conversation.left,
            conversation.key,
        )

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

    def unread(self, key: str, after: int) -> tuple[int, int]:
        """How many messages past a number of the log are news in a conversation; how many of them name the user."""
        return self._do(
            "SELECT count(*), coalesce(sum(mention), 0) FROM message WHERE conversation = ? AND seq > ? AND news",
            key,
            after,
        ).fetchone()

    # Messages

    def page(self, key: str, before: Place | None, limit: int) -> list[LocalMessage]:
        """The last messages of a conversation before a place, oldest first."""
        rows = self._do(
            _SELECT
            + "conversation = ? AND (place, ord) < (?, ?) AND action = '' ORDER BY place DESC, ord DESC LIMIT ?",
            key,
            *(before or (WAITING + 1, 0)),
            limit,
        ).fetchall()
        return self._messages(rows)[::-1]

    def around(self, key: str, place: Place, count: int) -> list[LocalMessage]:
        """The message at a place of a conversation, and so many before and after it, in order."""
        rows = self._do(
            _SELECT + "conversation = ? AND (place, ord) > (?, ?) AND action = '' ORDER BY place, ord LIMIT ?",
            key,
            *place,
            count,
        ).fetchall()
        return self.page(key, (place[0], place[1] + 1), count + 1) + self._messages(rows)

    def add(self, message: LocalMessage) -> None:
        """Keep a message, which gets its number; one that waits gets its place. What was to change it does so now."""
        with self.together():
            edit_place = self._change_now(message)
            row = (*_values(message), edit_place)
            cursor = self._do(
                f"INSERT INTO message ({_COLUMNS.removeprefix('number, ')}, news, edit_place)"  # noqa: S608 # as above
                f" VALUES ({', '.join('?' * len(row))})",
                *row,
            )
            message.number = cursor.lastrowid or 0
            if message.place[0] == WAITING:
                message.place = (WAITING, message.number)
                self._do("UPDATE message SET ord = number WHERE number = ?", message.number)
            self._add_reactions(message)

    def _change_now(self, message: LocalMessage) -> int:
        """Do to a message what was kept for it.

        Returns:
            The place of the edit that it has now; 0 for none.
        """
        if not message.id or message.change is not None:
            return 0
        key = (message.conversation, message.sender.lower(), message.id)
        found = self._do(
            "DELETE FROM later WHERE (conversation, sender, id) = (?, ?, ?) RETURNING place, body, edited, deleted",
            *key,
        ).fetchone()
        if found is None or message.deleted is not None:
            return 0
        place, body, edited, deleted = found
        if deleted is not None:
            message.mark_deleted(datetime.fromisoformat(deleted))
            self._erased = True
        else:
            message.text, message.edited = body, datetime.fromisoformat(edited)
        return place

    def settle(self, message: LocalMessage) -> None:
        """Keep where a message stands now, and what became of it."""
        self._do(
            "UPDATE message SET (place, ord, seq, state, reason, have, recipients) = (?, ?, ?, ?, ?, ?, ?)"
            " WHERE number = ?",
            *message.place,
            message.seq,
            message.state,
            message.reason,
            message.have,
            message.of,
            message.number,
        )

    def set_file(self, message: LocalMessage) -> None:
        """Keep what is known now of the file of a message, and give it an Id if it had none."""
        self._do("UPDATE message SET (id, more) = (?, ?) WHERE number = ?", message.id, _more(message), message.number)

    def remove(self, message: LocalMessage) -> None:
        """Forget a message, such as a change that was carried out or refused."""
        self._erased = True
        self._do("DELETE FROM message WHERE number = ?", message.number)
        self._forget_what_was_erased()

    def again(self, message: LocalMessage) -> LocalMessage | None:
        """A message as it is kept here."""
        return self._one("number = ?", message.number)

    def find(self, key: str, sender: str, ident: str) -> LocalMessage | None:
        """The message with that sender, in any case, and Id in a conversation; with no sender, anybody's."""
        return self._one(
            "id = ?1 AND id <> '' AND conversation = ?2 AND (?3 = '' OR sender = ?3 COLLATE NOCASE) AND action = ''",
            ident,
            key,
            sender,
        )

    def at(self, key: str, place: int) -> LocalMessage | None:
        """The message with that number in the log, or in a room."""
        return self._one("conversation = ? AND place = ? AND ord = 0 AND action = ''", key, place)

    def sent(self, ident: str) -> LocalMessage | None:
        """The message with that Id which the user has sent."""
        return self._one("id = ? AND outgoing", ident) if ident else None

    def in_log(self, seq: int) -> LocalMessage | None:
        """The message with that number in the log."""
        return self._one("seq = ?", seq) if seq else None

    def _one(self, where: str, *values: Any) -> LocalMessage | None:
        row = self._do(_SELECT + where, *values).fetchone()
        return None if row is None else self._messages([row])[0]

    def waiting(self) -> list[LocalMessage]:
        """What is not accepted yet, changes as well, in the order in which it was sent."""
        rows = self._do(_SELECT + f"state = {State.QUEUED.value} ORDER BY number").fetchall()
        return self._messages(rows)

    def delivered_before(self, key: str, place: Place) -> list[LocalMessage]:
        """The user's messages up to a place which are accepted or delivered, and not known to be read."""
        rows = self._do(
            _SELECT + "conversation = ? AND (place, ord) <= (?, ?) AND state IN (?, ?)",
            key,
            *place,
            State.ACCEPTED,
            State.DELIVERED,
        ).fetchall()
        return self._messages(rows)

    def newest(self, key: str | None = None) -> int:
        """The highest number of the log of any message, or of those of a conversation; 0 if there is none."""
        if key is None:
            found = self._do("SELECT max(seq) FROM message")
        else:
            found = self._do("SELECT max(seq) FROM message WHERE conversation = ?", key)
        (seq,) = found.fetchone()
        return seq or 0

    def last_place(self, key: str) -> int:
        """The highest number in the log, or the room, of the messages of a conversation; 0 if there is none."""
        found = self._do("SELECT max(place) FROM message WHERE conversation = ? AND place < ?", key, WAITING)
        (place,) = found.fetchone()
        return place or 0

    def oldest(self, key: str) -> int | None:
        """The lowest such number; None if there is none."""
        found = self._do(
            "SELECT min(place) FROM message WHERE conversation = ? AND ord = 0 AND place < ?", key, WAITING
        )
        (place,) = found.fetchone()
        return place

    def forget_messages(self) -> None:
        """Forget what the server has, since numbers in its log mean something else now, or too many are missing."""
        with self.together():
            self._do("DELETE FROM message WHERE place < ?", WAITING)
            self._do("DELETE FROM later")
            self._do("DELETE FROM reaction")
            self._do("UPDATE conversation SET complete = 0, read = 0, told = 0, unread = 0, mentions = 0, counted = 0")

    # Changes of messages

    def edit(self, target: MessageChange, key: str, place: int, text: str, when: datetime) -> LocalMessage | None:
        """Put another text in place of a message's, unless it has a later one.

        Args:
            target: of which message.
            key: the conversation.
            place: where the edit stands.
            text: the text.
            when: when it was edited.

        Returns:
            The message as it is now, if it is here.
        """
        with self.together():
            found = self._one_of(target, key)
            if found is None:
                self._later(target, key, place, text, when, None)
                return None
            self._do(
                "UPDATE message SET (body, edited, edit_place) = (?1, ?2, ?3)"
                " WHERE number = ?4 AND edit_place < ?3 AND deleted IS NULL",
                text,
                when.isoformat(),
                place,
                found.number,
            )
            return self.again(found)

    def delete(self, target: MessageChange, key: str, place: int, when: datetime) -> LocalMessage | None:
        """Leave nothing of what a message says, in the file neither. See `edit`."""
        with self.together():
            self._erased = True
            self._do("DELETE FROM reaction WHERE (conversation, sender, id) = (?, ?, ?)", key, *_about(target))
            found = self._one_of(target, key)
            if found is None:
                self._later(target, key, place, "", None, when)
                return None
            self._do(
                "UPDATE message SET (body, more, deleted) = ('', '', ?) WHERE number = ? AND deleted IS NULL",
                when.isoformat(),
                found.number,
            )
            return self.again(found)

    def react(self, target: MessageChange, key: str, place: int, name: str, text: str) -> LocalMessage | None:
        """Somebody has reacted to a message, or with no text has taken that back. See `edit`."""
        with self.together():
            found = self._one_of(target, key)
            if found is not None and found.deleted is not None:
                return found
            (most,) = self._do(
                "SELECT count(*) FROM reaction WHERE (conversation, sender, id) = (?, ?, ?) AND name <> ?",
                key,
                *_about(target),
                name,
            ).fetchone()
            if most < _MOST_REACTIONS:
                self._do(
                    "INSERT INTO reaction VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
                    " SET place = excluded.place, body = excluded.body WHERE excluded.place > place",
                    key,
                    *_about(target),
                    name,
                    place,
                    text.encode("utf-8", "replace")[:_LONGEST_REACTION].decode("utf-8", "ignore"),
                )
            return None if found is None else self.again(found)

    def _one_of(self, target: MessageChange, key: str) -> LocalMessage | None:
        return self.find(key, target.sender, target.id)

    def _later(
        self, target: MessageChange, key: str, place: int, text: str, edited: datetime | None, deleted: datetime | None
    ) -> None:
        self._do(
            "INSERT INTO later VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET place = excluded.place,"
            " body = excluded.body, edited = excluded.edited, deleted = excluded.deleted"
            " WHERE deleted IS NULL AND (excluded.deleted IS NOT NULL OR excluded.place > place)",
            key,
            *_about(target),
            place,
            text,
            edited and edited.isoformat(),
            deleted and deleted.isoformat(),
        )

    def _messages(self, rows: list[tuple[Any, ...]]) -> list[LocalMessage]:
        """What rows say, each with the reactions to it."""
        messages = [_message(row) for row in rows]
        for each in messages:
            self._add_reactions(each)
        return messages

    def _add_reactions(self, message: LocalMessage) -> None:
        if not message.id or message.change is not None:
            return
        found = self._do(
            "SELECT name, body FROM reaction WHERE (conversation, sender, id) = (?, ?, ?) AND body <> ''"
            " ORDER BY place, rowid",
            message.conversation,
            message.sender.lower(),
            message.id,
        )
        for name, text in found:
            message.reactions.setdefault(text, []).append(name)

    # Limits

    def thin_out(self) -> list[tuple[str, Place]]:
        """Forget the oldest messages of the longest conversations, if there are too many.

        Returns:
            The conversations that were cut, each with the place of the oldest message that is left.
        """
        cut: dict[str, Place] = {}
        with self.together():
            (count,) = self._do("SELECT count(*) FROM message").fetchone()
            while count > _MOST_MESSAGES:
                key, size = self._do(
                    "SELECT conversation, count(*) AS size FROM message GROUP BY conversation ORDER BY size DESC"
                ).fetchone()
                place: Place = self._do(
                    "SELECT place, ord FROM message WHERE conversation = ?"
                    " ORDER BY place DESC, ord DESC LIMIT 1 OFFSET ?",
                    key,
                    size // 2,
                ).fetchone()
                gone = self._do(
                    "DELETE FROM message WHERE conversation = ? AND (place, ord) < (?, ?) AND place < ?",
                    key,
                    *place,
                    WAITING,
                ).rowcount
                if not gone:
                    break  # all of it waits
                self._do("UPDATE conversation SET complete = 0 WHERE key = ?", key)
                cut[key] = place
                count -= gone
            for table in ("later", "reaction"):
                self._do(
                    f"DELETE FROM {table} WHERE rowid <= (SELECT max(rowid) FROM {table}) - ?",  # noqa: S608 # as above
                    _MOST_LATER,
                )
        return list(cut.items())

    def _thin_out_conversations(self) -> None:
        """Forget the conversations where nothing has happened for longest, if there are too many."""
        rows = self._do(
            "SELECT key FROM conversation WHERE draft = '' AND key NOT IN (SELECT conversation FROM message WHERE"
            " place = ?) ORDER BY max(counted, coalesce((SELECT max(seq) FROM message WHERE conversation = key), 0))"
            " DESC LIMIT -1 OFFSET ?",
            WAITING,
            MOST_CONVERSATIONS,
        ).fetchall()
        with self.together():
            for (key,) in rows:
                self.forget_conversation(key)


def _about(target: MessageChange) -> tuple[str, str]:
    return target.sender.lower(), target.id


def _values(message: LocalMessage) -> tuple[Any, ...]:
    """All columns but the number, and whether it is news."""
    change = message.change
    news = not message.outgoing and message.event is None
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
        message.seq,
        message.have,
        message.of,
        message.edited and message.edited.isoformat(),
        message.deleted and message.deleted.isoformat(),
        _more(message),
        change.kind.value if change is not None else "",
        news,
    )


def _more(message: LocalMessage) -> str:
    """What few messages have."""
    more: dict[str, Any] = {}
    if message.change is not None:
        more["about"] = message.change[1:]
    if message.reply_to is not None:
        more["reply_to"] = message.reply_to
    if message.event is not None:
        more["event"] = message.event
    if message.file is not None:
        more["file"] = message.file
    if message.path is not None:
        more["path"] = str(message.path)
    if message.everyone:
        more["everyone"] = True
    return json.dumps(more) if more else ""


def _conversation(row: tuple[Any, ...]) -> LocalConversation:
    key, name, complete, read, draft, unread, mentions, counted, muted, blocked, topic, role, members, access, gone = (
        row
    )
    return LocalConversation(
        key,
        name,
        complete=bool(complete),
        unread=unread,
        mentions=mentions,
        read=read,
        draft=draft,
        muted=bool(muted),
        blocked=bool(blocked),
        topic=topic,
        role=role,
        members=members,
        access=access,
        left=bool(gone),
        counted=counted,
    )


def _message(row: tuple[Any, ...]) -> LocalMessage:
    number, conversation, place, order, ident, sender, body, time, outgoing, state, reason, mention = row[:12]
    seq, have, recipients, edited, deleted, more, action = row[12:]
    message = LocalMessage(
        conversation,
        sender,
        body,
        datetime.fromisoformat(time),
        bool(outgoing),
        (place, order),
        ident,
        None if state is None else State(state),
        reason,
        bool(mention),
        number,
        seq,
        have=have,
        of=recipients,
        edited=edited and datetime.fromisoformat(edited),
        deleted=deleted and datetime.fromisoformat(deleted),
    )
    if more:
        found: dict[str, Any] = json.loads(more)
        message.reply_to = tuple(found["reply_to"]) if "reply_to" in found else None
        message.event = RoomEvent(*found["event"]) if "event" in found else None
        message.file = Attachment(*found["file"]) if "file" in found else None
        message.path = Path(found["path"]) if "path" in found else None
        message.everyone = "everyone" in found
        message.change = MessageChange(ChangeKind(action), *found["about"]) if action else None
    return message
