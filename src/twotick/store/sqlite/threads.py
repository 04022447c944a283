"""Threads: messages that answer each other (docs/protocol.md, rules 13.5 and 13.6).

Each answer is noted with the message with which its thread begins; so is that message itself, from its first answer on.
"""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from typing import Final

from twotick.store.requests.messages import Append, MessageAction
from twotick.store.rules.delivery import Mailbox
from twotick.store.rules.rooms import RoomState
from twotick.store.sqlite.ledger import Ledger

_SAID: Final = (
    "SELECT m.number FROM member a CROSS JOIN message m INDEXED BY message_id ON m.sender = a.number"
    " WHERE a.folded = ?1 AND m.id = ?2 AND m.id <> x'' AND m.sender IS NOT NULL"
)
"""What a member said under an Id."""


class ThreadRepository:
    """Knows which messages are in one thread.

    Args:
        ledger: the logs.
    """

    def __init__(self, ledger: Ledger):
        self._tables = ledger.tables

    def root_in_log(self, name: bytes, ident: bytes, member: int, peer: bytes) -> int | None:
        """Return the message with which a thread begins, in a member's conversation with a user; None if there is none.

        Args:
            name: the sender of a message of the thread, in lower case.
            ident: its Id.
            member: the member.
            peer: the user, in lower case.
        """
        row = self._tables.read(
            f"{_SAID} AND EXISTS (SELECT 1 FROM log l INDEXED BY log_message"
            " WHERE l.message = m.number AND l.member = ?3 AND l.peer = ?4 AND l.kind <= 2)",
            (name.decode(errors="replace"), ident, member, peer),
        ).fetchone()
        return None if row is None else self._root(row[0])

    def root_in_room(self, name: bytes, ident: bytes, room: RoomState, first: int) -> int | None:
        """Return the message with which a thread begins, in a room; None if there is none.

        Args:
            name: the sender of a message of the thread, in lower case.
            ident: its Id.
            room: the room.
            first: the place of the first message that may be looked for.
        """
        row = self._tables.read(
            f"{_SAID} AND m.room = ?3 AND m.place >= ?4", (name.decode(errors="replace"), ident, room.number, first)
        ).fetchone()
        return None if row is None else self._root(row[0])

    def _root(self, message: int) -> int:
        row = self._tables.direct("SELECT root FROM reply WHERE message = ?", (message,)).fetchone()
        return message if row is None else row[0]

    def has_answers(self, root: int) -> bool:
        """Tell whether a message has answers."""
        return self._tables.direct("SELECT 1 FROM reply WHERE root = ? LIMIT 1", (root,)).fetchone() is not None

    def find(self, request: Append, own: Mailbox | None, room: RoomState | None) -> int | None:
        """Return the message with which the thread begins that a new message belongs to; None for no thread.

        The message that is answered must be in the same conversation, and one that the sender may read: otherwise the
        answer would tell the sender that it exists.

        Args:
            request: the new message.
            own: its sender; None for a guest.
            room: the room that it is sent to; None for none.
        """
        if own is None or not request.reply_to or request.action is not MessageAction.NONE:
            return None
        name = request.reply_name or own.folded
        if room is None:
            return self.root_in_log(name, request.reply_to, own.number, request.recipient.lower())
        return self.root_in_room(name, request.reply_to, room, room.members[own.number].seen_from)

    def header(self, root: int | None) -> bytes:
        """Return the header line that names the thread which begins with a message; empty for no thread."""
        if root is None:
            return b""
        row = self._tables.read("SELECT sender_name, id FROM message WHERE number = ?", (root,)).fetchone()
        return b"Thread: %b %b\n" % tuple(row)

    def add(self, root: int | None, message: int) -> None:
        """Note that a message belongs to the thread that begins with another; None for no thread."""
        for each in () if root is None else (root, message):
            self._tables.direct("INSERT OR IGNORE INTO reply VALUES (?, ?)", (each, root))
