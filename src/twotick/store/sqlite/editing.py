"""Editing and deleting what was said (docs/protocol.md, section 13)."""

from twotick.store.requests.messages import Append, MessageAction
from twotick.store.requests.rooms import RoomRole
from twotick.store.rules import rooms
from twotick.store.rules.rooms import NO_MESSAGE, NotAllowed, RoomState
from twotick.store.sqlite.logs import Logs
from twotick.store.sqlite.texts import Texts

_TARGET = (
    "SELECT m.number, m.recipient, m.room, m.about, c.headers FROM message m JOIN content c ON c.message = m.number"
)


class Target:
    """A message that is edited or deleted: its number, its Id and its header lines."""

    __slots__ = ("headers", "id", "number")

    def __init__(self, number: int, ident: bytes, headers: bytes):
        self.number = number
        self.id = ident
        self.headers = headers


class Editing:
    """Finds and changes what other messages edit or delete."""

    def __init__(self, logs: Logs, texts: Texts):
        self._logs = logs
        self._texts = texts

    def target(self, request: Append, room: RoomState | None) -> Target:
        """The message that another one edits or deletes.

        Args:
            request: the other one.
            room: where it is sent to; None if it is not to a room.

        Raises:
            NotAllowed: there is none, or the sender may not change it.
        """
        logs = self._logs
        logs.flush()
        sender = request.sender
        assert sender is not None, "only members change messages"
        if request.about_name in (b"", request.sender_name.lower()):
            rows = logs.execute(
                f"{_TARGET} WHERE m.sender = ? AND m.id = ? AND m.id <> x''", (sender, request.about)
            ).fetchall()
        elif room is None or room.role(sender) < RoomRole.MODERATOR:
            raise NotAllowed(NO_MESSAGE)
        else:
            rows = self._said_in(room, request.about_name.decode(errors="replace"), request.about)
        for number, recipient, number_of_room, about, headers in rows:
            if number_of_room != (None if room is None else room.number):
                continue
            if (room is None and recipient.lower() != request.recipient.lower()) or about:
                continue
            if not headers.startswith(b"Deleted: "):
                return Target(number, request.about, headers)
        raise NotAllowed(NO_MESSAGE)

    def _said_in(self, room: RoomState, name: str, ident: bytes) -> list[tuple[int, bytes, int, int, bytes]]:
        """What a member said under an Id; then, newest first, what those said in a room who were removed."""
        execute = self._logs.execute
        return [
            *execute(
                f"{_TARGET} JOIN member a ON a.number = m.sender WHERE a.folded = ? AND m.id = ? AND m.id <> x''",
                (name, ident),
            ),
            *execute(
                f"{_TARGET} WHERE m.sender IS NULL AND m.room = ? AND m.id = ? AND m.id <> x''"
                " AND lower(CAST(m.sender_name AS TEXT)) = ? ORDER BY m.number DESC",
                (room.number, ident, name),
            ),
        ]

    def apply(self, target: Target, request: Append, *, is_blocked: bool) -> None:
        """Change a message as another one says.

        Args:
            target: the message.
            request: the other one.
            is_blocked: whether the recipient has blocked the sender: then what is edited stays as it is.
        """
        if request.action is MessageAction.EDIT:
            if is_blocked:
                return
            self._texts.forget([target.number])
            self._replace(target.number, rooms.edited_headers(target.headers, request.time), request.body)
            self._texts.renew(target.number)
        else:
            edits = [
                number
                for (number,) in self._logs.execute(
                    "SELECT number FROM message WHERE about = ? AND about <> 0 ORDER BY number", (target.number,)
                )
            ]
            for follow in self._logs.on_removal:
                follow([target.number, *edits])
            self._replace(target.number, rooms.deleted_headers(request.time), b"")
            for edit in edits:
                self._replace(edit, rooms.deleted_headers(request.time, target.id), b"")
        self._logs.erased = True

    def _replace(self, message: int, headers: bytes, body: bytes) -> None:
        self._logs.execute("UPDATE content SET headers = ?, body = ? WHERE message = ?", (headers, body, message))
