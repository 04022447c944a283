"""Editing and deleting messages (docs/protocol.md, section 13)."""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from collections.abc import Sequence
from typing import Any, Final

from twotick.store.requests.messages import Append, MessageAction
from twotick.store.rules import editing
from twotick.store.rules.conversations import mentioned
from twotick.store.rules.delivery import UNREAD, UNREAD_MENTION, UNREAD_NONE, Mailbox
from twotick.store.rules.editing import Candidate
from twotick.store.rules.guests import is_guests
from twotick.store.rules.rooms import RoomState
from twotick.store.sqlite.ledger import LEAVING, RECEIVED, Ledger
from twotick.store.sqlite.search import IndexedTexts

CANDIDATE: Final = (
    "SELECT m.number, m.recipient, m.room, m.about, c.headers, m.place FROM message m"
    " JOIN content c ON c.message = m.number"
)
"""The columns of a Candidate, and where they are."""

_WORK: Final = 300
"""What a change of the index of words counts as work (see `Tables.work`)."""

_EDITS: Final = 64
"""The edits of a message that one transaction empties when the message is deleted."""

_EDIT_WORK: Final = 16
"""What that counts as work for each."""


class EditRepository:
    """Finds and changes the messages that other messages edit or delete.

    Args:
        ledger: the logs.
        texts: the texts by which messages are found.
    """

    def __init__(self, ledger: Ledger, texts: IndexedTexts):
        self._ledger = ledger
        self._tables = ledger.tables
        self._texts = texts

    def find(self, request: Append, room: RoomState | None) -> Candidate:
        """Return the message that another one edits or deletes.

        Args:
            request: the other one.
            room: the room that it is sent to; None for none.

        Raises:
            NotAllowed: there is none, or the sender may not change it.
        """
        if editing.is_own(request):
            rows = self._tables.read(
                f"{CANDIDATE} WHERE m.sender = ? AND m.id = ? AND m.id <> x''", (request.sender, request.about)
            ).fetchall()
        else:
            rows = self._said_in(editing.check_moderation(request, room), request)
        return editing.choose_target(request, room, [Candidate(*row) for row in rows])

    def _said_in(self, room: RoomState, request: Append) -> list[tuple[Any, ...]]:
        """Read what a member said under an Id; then, newest first, what removed members of that name said in a room."""
        name = request.about_name.decode(errors="replace")
        read = self._tables.read
        return [
            *read(
                f"{CANDIDATE} JOIN member a ON a.number = m.sender WHERE a.folded = ? AND m.id = ? AND m.id <> x''",
                (name, request.about),
            ),
            *read(
                f"{CANDIDATE} JOIN member a ON a.number = m.sender WHERE a.{LEAVING} AND lower(a.name) = ?"
                " AND m.id = ? AND m.id <> x'' ORDER BY m.number DESC",
                (name, request.about),
            ),
            *read(
                f"{CANDIDATE} WHERE m.sender IS NULL AND m.room = ? AND m.id = ? AND m.id <> x''"
                " AND lower(CAST(m.sender_name AS TEXT)) = ? ORDER BY m.number DESC",
                (room.number, request.about, name),
            ),
        ]

    def empty_some_edits(self, target: Candidate, request: Append) -> int:
        """Empty some edits of a message, if it is about to be deleted and they are many.

        Args:
            target: the message.
            request: the message that edits or deletes it.

        Returns:
            The number of the last of them; 0 if there were not many.
        """
        if request.action is not MessageAction.DELETE:
            return 0
        edits = self._edits_of(target, request, _EDITS + 1)
        if len(edits) <= _EDITS:
            return 0
        self._empty(edits[:_EDITS], request)
        self._tables.erased = True
        return edits[_EDITS - 1]

    def _edits_of(self, target: Candidate, request: Append, most: int) -> list[int]:
        """Return some edits of a message that were not emptied by the request that deletes it, oldest first."""
        rows = self._tables.read(
            "SELECT number FROM message WHERE about = ? AND about <> 0 AND number > ? ORDER BY number LIMIT ?",
            (target.number, request.edits_after, most),
        )
        return [edit for (edit,) in rows]

    def _empty(self, edits: list[int], request: Append) -> None:
        """Remove the content of edits."""
        self._tables.work += _EDIT_WORK * len(edits)
        for follow in self._tables.on_removal:
            follow(edits)
        for edit in edits:
            self._replace(edit, editing.deleted_headers(request.time, request.about), b"")

    def apply(self, target: Candidate, request: Append, blocking: Sequence[Mailbox]) -> None:
        """Change a message.

        Args:
            target: the message.
            request: the message that changes it.
            blocking: who has blocked the sender: to them, an edit does not change what was said (rule 14.4).
        """
        self._tables.work += _WORK
        if request.action is MessageAction.DELETE:
            self._delete(target, request)
            return
        self._texts.forget([target.number])
        if not blocking:
            self._forget_unedited(target.number)
        for box in blocking:
            self._tables.write(
                "INSERT OR IGNORE INTO unedited SELECT message, ?, headers, body FROM content WHERE message = ?",
                (box.number, target.number),
            )
        if target.room is not None:
            self._change_mentions(target.number, request.body)
        headers = editing.edited_headers(target.headers, request.headers, request.time)
        self._replace(target.number, headers, request.body)
        self._texts.renew(target.number)
        self._tables.erased = True

    def _change_mentions(self, message: int, body: bytes) -> None:
        """Count a message to a room that is edited as a mention of those whom it mentions now (rule 14.2)."""
        (before,) = self._tables.read("SELECT body FROM content WHERE message = ?", (message,)).fetchone()
        now = mentioned(body)
        for name in now ^ mentioned(before):
            box = self._ledger.mailbox_named(name)
            if box is not None:
                self._tables.write(
                    f"UPDATE log SET weight = ? WHERE message = ? AND member = ? AND kind = {RECEIVED} AND weight > 0",
                    (UNREAD_MENTION if name in now else UNREAD, message, box.number),
                )

    def _forget_unedited(self, message: int) -> None:
        self._tables.write("DELETE FROM unedited WHERE message = ?", (message,))

    def _delete(self, target: Candidate, request: Append) -> None:
        """Delete a message, and its last edits."""
        for follow in self._tables.on_removal:
            follow([target.number])
        self._forget_unedited(target.number)
        uncounted = self._tables.write(
            f"UPDATE log SET weight = {UNREAD_NONE} WHERE message = ? AND kind = {RECEIVED} AND weight > 0",
            (target.number,),
        )
        self._tables.work += uncounted.rowcount
        headers = editing.deleted_headers(request.time, is_guests=is_guests(target.headers))
        self._replace(target.number, headers, b"")
        self._empty(self._edits_of(target, request, _EDITS), request)
        self._tables.erased = True

    def _replace(self, message: int, headers: bytes, body: bytes) -> None:
        self._tables.write("UPDATE content SET headers = ?, body = ? WHERE message = ?", (headers, body, message))
