"""The app's data on this machine: conversations, messages, drafts, and how far the user has read.

The data is in a SQLite database that one process at a time uses. For a guest, only conversations and drafts are stored
on disk. Messages in a member's log are copies: the app can fetch them from the server again if they are lost. Drafts,
and messages that are not in the outbox yet, exist only here. Every call has written to the file when it returns, so
the process can be killed at any time. A power failure can lose the last moments: the app does not wait for the disk
while the user types.

A change of a message is applied at once if the message is here. Otherwise it is kept until the message arrives, for
example when older messages are loaded after newer ones. Of two changes, the one with the higher place wins.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Any

from twotick.client.member.events import State
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import WAITING, LocalMessage, MessageChange, Place
from twotick.ui.app.storage.changes import DeferredChanges, Reactions
from twotick.ui.app.storage.database import DamagedStoreError, Database, LocalStoreError, mark_of
from twotick.ui.app.storage.rows import (
    CONVERSATION_COLUMNS,
    MESSAGE_COLUMNS,
    message_values,
    rare_fields,
    to_conversation,
    to_message,
)
from twotick.ui.app.storage.salvage import salvage, set_aside

_MAX_MESSAGES = 100_000
"""Messages that are stored. Beyond this, the oldest ones of the longest conversations go; the server still has them."""

MAX_CONVERSATIONS = 5_000
"""Conversations that are stored."""

_MAX_DEFERRED = 20_000
"""Rows of each of the tables for deferred changes and reactions."""

_SELECT = f"SELECT {MESSAGE_COLUMNS} FROM message WHERE "  # noqa: S608 # contains constants only


class LocalStore:
    """The data of one user at one server.

    Args:
        file: the path of the database, which is created, readable by its owner only, if it does not exist; None to
            keep all data in memory.
        keep_messages: whether messages are stored in the file, and not only in memory.

    Attributes:
        set_aside: where a damaged database is now, in whose place this one was made; None if it was not damaged.

    Raises:
        LocalStoreError: the database cannot be used.
    """

    def __init__(self, file: Path | None, keep_messages: bool = True) -> None:
        self.set_aside: Path | None = None
        try:
            self._open(file, keep_messages)
        except DamagedStoreError:
            if file is None:
                raise
            self._rebuild(file, keep_messages)

    def _open(self, file: Path | None, keep_messages: bool) -> None:
        self._database = Database(file, keep_messages)
        self._do = self._database.execute
        self._deferred = DeferredChanges(self._database)
        self._reactions = Reactions(self._database)
        try:
            self._trim_conversations()
            self.trim()
            self.conversations()
            self.waiting()
        except LocalStoreError:
            self._database.close()
            raise

    def _rebuild(self, file: Path, keep_messages: bool) -> None:
        """Put a new database in the place of a damaged one, with what exists nowhere else."""
        try:
            self.set_aside = set_aside(file)
            mark_of(file).unlink(missing_ok=True)
        except OSError as error:
            raise LocalStoreError(
                f"{file} is damaged and cannot be set aside ({error.strerror}): remove it, and start the app again"
            ) from error
        saved = salvage(self.set_aside)
        self._open(file, keep_messages)
        with self.transaction():
            for name, draft in saved.drafts:
                self.add_conversation(LocalConversation(name.lower(), name))
                self.set_draft(name.lower(), draft)
            for message in saved.waiting:
                self.add_conversation(LocalConversation(message.conversation, message.conversation))
                self.add(message)

    def close(self) -> None:
        """Close the file, so that another process can open it."""
        self._database.close()

    @property
    def on_rollback(self) -> Callable[[], None]:
        """Called after a transaction has failed, so that the file is as it was before."""
        return self._database.on_rollback

    @on_rollback.setter
    def on_rollback(self, call: Callable[[], None]) -> None:
        self._database.on_rollback = call

    def transaction(self) -> AbstractContextManager[None]:
        """Return a context manager that applies all calls of its block or, if it raises, none."""
        return self._database.transaction()

    # Conversations

    def conversations(self) -> list[LocalConversation]:
        """Return all conversations, those with the latest activity last.

        A waiting message counts as the latest activity, then the newest message in the log.
        """
        rows = self._do(
            f"SELECT {CONVERSATION_COLUMNS} FROM conversation"  # noqa: S608 # contains constants only
            " ORDER BY EXISTS (SELECT 1 FROM message WHERE conversation = key AND place = ?),"
            " max(counted, coalesce((SELECT max(seq) FROM message WHERE conversation = key), 0))",
            WAITING,
        )
        with self._database.reading():
            return [to_conversation(row) for row in rows]

    def add_conversation(self, conversation: LocalConversation) -> None:
        """Store a conversation if it is not stored yet."""
        self._do("INSERT OR IGNORE INTO conversation (key, name) VALUES (?, ?)", conversation.key, conversation.name)

    def forget_conversation(self, key: str) -> None:
        """Delete a conversation and all its messages."""
        with self.transaction():
            for table in ("message", "later", "reaction"):
                self._do(f"DELETE FROM {table} WHERE conversation = ?", key)  # noqa: S608 # contains constants only
            self._do("DELETE FROM conversation WHERE key = ?", key)

    def update_conversation(self, conversation: LocalConversation) -> None:
        """Store the current fields of a conversation, except its draft and how far it was read."""
        self._do(
            "UPDATE conversation SET (unread, mentions, counted, muted, blocked, topic, role, members, access, gone,"
            " closed, pinned, muted_until) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE key = ?",
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
            conversation.closed,
            conversation.pinned,
            conversation.muted_until,
            conversation.key,
        )

    @property
    def place(self) -> str | None:
        """The key of the conversation that was shown last; None if none was."""
        row = self._do("SELECT conversation FROM place").fetchone()
        return None if row is None else row[0]

    def set_place(self, key: str | None) -> None:
        """Record which conversation is shown; None for the list."""
        with self.transaction():
            self._do("DELETE FROM place")
            if key is not None:
                self._do("INSERT INTO place VALUES (1, ?)", key)

    def set_complete(self, key: str) -> None:
        """Record that the oldest message of a conversation is stored."""
        self._do("UPDATE conversation SET complete = 1 WHERE key = ?", key)

    def set_draft(self, key: str, draft: str) -> None:
        """Store the draft of a conversation."""
        self._do("UPDATE conversation SET draft = ? WHERE key = ?", draft, key)

    def set_read(self, key: str, read: int) -> None:
        """Record that a conversation was read up to a number of the log."""
        self._do("UPDATE conversation SET read = max(read, ?) WHERE key = ?", read, key)

    def set_reported_read(self, key: str, read: int) -> None:
        """Record that the server knows that a conversation was read up to a number of the log."""
        self._do("UPDATE conversation SET told = max(told, ?), read = max(read, ?) WHERE key = ?", read, read, key)

    def unreported_reads(self) -> list[tuple[str, int]]:
        """Return what the server may not know: names of conversations and the number up to which each was read."""
        return self._do("SELECT name, read FROM conversation WHERE read > told").fetchall()

    def count_unread(self, key: str, after: int) -> tuple[int, int]:
        """Return how many received messages of a conversation are after a number of the log, and their mentions."""
        return self._do(
            "SELECT count(*), coalesce(sum(mention), 0) FROM message"
            " WHERE conversation = ? AND seq > ? AND news AND deleted IS NULL",
            key,
            after,
        ).fetchone()

    # Messages

    def page(self, key: str, before: Place | None, limit: int) -> list[LocalMessage]:
        """Return the last messages of a conversation before a place, oldest first; None for the end."""
        rows = self._do(
            _SELECT
            + "conversation = ? AND (place, ord) < (?, ?) AND action = '' ORDER BY place DESC, ord DESC LIMIT ?",
            key,
            *(before or (WAITING + 1, 0)),
            limit,
        ).fetchall()
        return self._messages(rows)[::-1]

    def around(self, key: str, place: Place, count: int) -> list[LocalMessage]:
        """Return the message at a place of a conversation and up to `count` messages before and after it, in order."""
        rows = self._do(
            _SELECT + "conversation = ? AND (place, ord) > (?, ?) AND action = '' ORDER BY place, ord LIMIT ?",
            key,
            *place,
            count,
        ).fetchall()
        return self.page(key, (place[0], place[1] + 1), count + 1) + self._messages(rows)

    def add(self, message: LocalMessage) -> None:
        """Store a message and set its number; a waiting message also gets its place.

        Changes that were kept for the message are applied to it.
        """
        with self.transaction():
            edit_place = self._deferred.apply_to(message)
            row = (*message_values(message), edit_place, message.is_guest)
            cursor = self._do(
                f"INSERT INTO message ({MESSAGE_COLUMNS.removeprefix('number, ')}, news, edit_place, guest)"  # noqa: S608 # contains constants only
                f" VALUES ({', '.join('?' * len(row))})",
                *row,
            )
            message.number = cursor.last_number
            if message.place[0] == WAITING:
                message.place = (WAITING, message.number)
                self._do("UPDATE message SET ord = number WHERE number = ?", message.number)
            if (
                message.is_guest
                and message.id
                and self.find(message.conversation, message.sender, message.id, False) is None
            ):
                self._reactions.give(message)
            self._reactions.load_into(message)

    def update_state(self, message: LocalMessage) -> None:
        """Store the place, the time and the delivery state of a message."""
        self._do(
            "UPDATE message SET (place, ord, time, seq, state, reason, have, recipients) = (?, ?, ?, ?, ?, ?, ?, ?)"
            " WHERE number = ?",
            *message.place,
            message.time.isoformat(),
            message.seq,
            message.state,
            message.reason,
            message.have,
            message.of,
            message.number,
        )

    def update_attachment(self, message: LocalMessage) -> None:
        """Store the attachment and the Id of a message."""
        self._do(
            "UPDATE message SET (id, more) = (?, ?) WHERE number = ?", message.id, rare_fields(message), message.number
        )

    def remove(self, message: LocalMessage) -> None:
        """Delete a message, such as a change that was applied or refused."""
        self._do("DELETE FROM message WHERE number = ?", message.number)
        self._database.mark_erased()

    def reload(self, message: LocalMessage) -> LocalMessage | None:
        """Return a new copy of a message as it is stored; None if it is not stored."""
        return self._one("number = ?", message.number)

    def find(self, key: str, sender: str, ident: str, guest: bool | None = None) -> LocalMessage | None:
        """Return the message with an Id in a conversation.

        Args:
            key: the key of the conversation.
            sender: the sender, in any case of letters; empty for any sender.
            ident: the Id.
            guest: whether a guest has sent it; None for a member's message or, if there is none, a guest's.
        """
        return self._one(
            "id = ?1 AND id <> '' AND conversation = ?2 AND (?3 = '' OR sender = ?3 COLLATE NOCASE) AND action = ''"
            " AND (?4 IS NULL OR guest = ?4) ORDER BY guest",
            ident,
            key,
            sender,
            guest,
        )

    def find_changed(self, key: str, change: MessageChange) -> LocalMessage | None:
        """Return the message of a conversation that a change is about; None if it is not stored."""
        return self.find(key, change.sender, change.id, change.guest)

    def find_at(self, key: str, place: int) -> LocalMessage | None:
        """Return the message of a conversation with a number in the log or, for a room, a place in the room."""
        return self._one("conversation = ? AND place = ? AND ord = 0 AND action = ''", key, place)

    def find_sent(self, ident: str) -> LocalMessage | None:
        """Return the message with an Id that the user sent."""
        return self._one("id = ? AND outgoing", ident) if ident else None

    def find_by_seq(self, seq: int) -> LocalMessage | None:
        """Return the message with a number in the log."""
        return self._one("seq = ?", seq) if seq else None

    def _one(self, where: str, *values: Any) -> LocalMessage | None:
        row = self._do(_SELECT + where, *values).fetchone()
        return None if row is None else self._messages([row])[0]

    def waiting(self) -> list[LocalMessage]:
        """Return the messages and changes that the server has not accepted yet, in the order of sending."""
        rows = self._do(_SELECT + f"state = {State.QUEUED.value} ORDER BY number").fetchall()
        return self._messages(rows)

    def unread_by_others(self, key: str, place: Place) -> list[LocalMessage]:
        """Return the user's messages up to a place that are accepted or delivered, but not known to be read."""
        rows = self._do(
            _SELECT + "conversation = ? AND (place, ord) <= (?, ?) AND state IN (?, ?)",
            key,
            *place,
            State.ACCEPTED,
            State.DELIVERED,
        ).fetchall()
        return self._messages(rows)

    def newest_seq(self, key: str | None = None) -> int:
        """Return the highest number in the log, of all messages or of one conversation; 0 if there is none."""
        if key is None:
            found = self._do("SELECT max(seq) FROM message")
        else:
            found = self._do("SELECT max(seq) FROM message WHERE conversation = ?", key)
        (seq,) = found.fetchone()
        return seq or 0

    def last_place(self, key: str) -> int:
        """Return the highest place of a conversation, without waiting messages; 0 if there is none."""
        found = self._do("SELECT max(place) FROM message WHERE conversation = ? AND place < ?", key, WAITING)
        (place,) = found.fetchone()
        return place or 0

    def first_place(self, key: str) -> int | None:
        """Return the lowest place of a conversation; None if there is none."""
        found = self._do(
            "SELECT min(place) FROM message WHERE conversation = ? AND ord = 0 AND place < ?", key, WAITING
        )
        (place,) = found.fetchone()
        return place

    def forget_messages(self) -> None:
        """Delete all messages that the server has.

        This is needed when the server's log was replaced, or when too many messages are missing here.
        """
        with self.transaction():
            self._do("DELETE FROM message WHERE place < ?", WAITING)
            self._do("DELETE FROM later")
            self._do("DELETE FROM reaction")
            self._do("UPDATE conversation SET complete = 0, read = 0, told = 0, unread = 0, mentions = 0, counted = 0")

    def _messages(self, rows: list[tuple[Any, ...]]) -> list[LocalMessage]:
        with self._database.reading():
            messages = [to_message(row) for row in rows]
        for each in messages:
            self._reactions.load_into(each)
        return messages

    # Changes of messages

    def edit(
        self, change: MessageChange, key: str, place: int, text: str, when: datetime, *, mention: bool = False
    ) -> None:
        """Replace the text of a message, unless it has a later edit.

        Args:
            change: the change, which names the message.
            key: the key of the conversation.
            place: the place of the edit.
            text: the new text.
            when: the time of the edit.
            mention: whether the new text mentions the user.
        """
        with self.transaction():
            found = self.find_changed(key, change)
            if found is None:
                self._deferred.add(change, key, place, text=text, edited=when)
                return
            self._do(
                "UPDATE message SET (body, edited, edit_place, mention) = (?1, ?2, ?3, ?5 AND news)"
                " WHERE number = ?4 AND edit_place < ?3 AND deleted IS NULL",
                text,
                when.isoformat(),
                place,
                found.number,
                mention,
            )

    def delete(self, change: MessageChange, key: str, place: int, when: datetime) -> None:
        """Erase the content of a message, also from the file. See `edit` for the arguments."""
        with self.transaction():
            found = self.find_changed(key, change)
            self._reactions.delete_all(_about(change, found), key)
            if found is None:
                self._deferred.add(change, key, place, deleted=when)
            else:
                self._do(
                    "UPDATE message SET (body, more, mention, deleted) = ('', '', 0, ?)"
                    " WHERE number = ? AND deleted IS NULL",
                    when.isoformat(),
                    found.number,
                )
            self._database.mark_erased()

    def react(self, change: MessageChange, key: str, place: int, name: str, text: str) -> None:
        """Store the reaction of a user, or remove it if the text is empty. See `edit` for the other arguments."""
        with self.transaction():
            found = self.find_changed(key, change)
            if found is None or found.deleted is None:
                self._reactions.set(_about(change, found), key, place, name, text)

    # Limits

    def trim(self) -> list[tuple[str, Place]]:
        """Delete the oldest messages of the longest conversations if there are too many messages.

        Returns:
            The keys of the conversations that were cut, each with the place of its oldest remaining message.
        """
        cut: dict[str, Place] = {}
        with self.transaction():
            (count,) = self._do("SELECT count(*) FROM message").fetchone()
            while count > _MAX_MESSAGES:
                key, place, deleted = self._halve_longest()
                if not deleted:
                    break  # all its messages wait to be sent
                cut[key] = place
                count -= deleted
            for table in ("later", "reaction"):
                self._do(
                    f"DELETE FROM {table} WHERE rowid <= (SELECT max(rowid) FROM {table}) - ?",  # noqa: S608 # contains constants only
                    _MAX_DEFERRED,
                )
        return list(cut.items())

    def _halve_longest(self) -> tuple[str, Place, int]:
        """Delete the older half of the longest conversation.

        Returns:
            Its key, the place of its oldest remaining message, and the number of deleted messages.
        """
        key, size = self._do(
            "SELECT conversation, count(*) AS size FROM message GROUP BY conversation ORDER BY size DESC"
        ).fetchone()
        place: Place = self._do(
            "SELECT place, ord FROM message WHERE conversation = ? ORDER BY place DESC, ord DESC LIMIT 1 OFFSET ?",
            key,
            size // 2,
        ).fetchone()
        deleted = self._do(
            "DELETE FROM message WHERE conversation = ? AND (place, ord) < (?, ?) AND place < ?", key, *place, WAITING
        ).changed
        if deleted:
            self._do("UPDATE conversation SET complete = 0 WHERE key = ?", key)
        return key, place, deleted

    def _trim_conversations(self) -> None:
        """Delete the conversations with the oldest activity if there are too many."""
        rows = self._do(
            "SELECT key FROM conversation WHERE draft = '' AND key NOT IN (SELECT conversation FROM message WHERE"
            " place = ?) ORDER BY max(counted, coalesce((SELECT max(seq) FROM message WHERE conversation = key), 0))"
            " DESC LIMIT -1 OFFSET ?",
            WAITING,
            MAX_CONVERSATIONS,
        ).fetchall()
        with self.transaction():
            for (key,) in rows:
                self.forget_conversation(key)


def _about(change: MessageChange, found: LocalMessage | None) -> MessageChange:
    """Return a change that says whether the message that it is about, if it is stored, is a guest's."""
    return change if found is None else change._replace(guest=found.is_guest)
