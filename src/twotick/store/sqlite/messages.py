"""Requests about messages (docs/protocol.md, section 11)."""

# ruff: noqa: S608 - queries are put together from constants of this package, never from what came from outside

from collections.abc import Sequence
from typing import Final

from twotick.store.port import Refusal
from twotick.store.requests.messages import (
    Acknowledge,
    Append,
    Appended,
    Duplicate,
    Effects,
    EntryKind,
    Expire,
    LogEntry,
    MarkRead,
    MessageAction,
    MessageState,
    Prune,
    Refuse,
    Settle,
)
from twotick.store.rules import rooms
from twotick.store.rules.rooms import NotAllowed, RoomState
from twotick.store.sqlite.editing import Editing, Target
from twotick.store.sqlite.files import FileRepository
from twotick.store.sqlite.logs import MESSAGE, RECEIVED, SENT, Logs, Mailbox, Message
from twotick.store.sqlite.rooms import RoomRepository

_AT_ONCE = 256
"""Messages that `expire` and `prune` look at in one call."""

_ENTRIES_AT_ONCE = 4096
"""Entries that they remove in one call, but for the rest of the last message's."""

_NOBODY: Final[set[bytes]] = set()

# In Python 3.11 it takes long to find a member of an enumeration.
_SENT_ENTRY: Final = EntryKind.SENT
_RECEIVED_ENTRY: Final = EntryKind.RECEIVED
_ACCEPTED: Final = MessageState.ACCEPTED
_PLAIN: Final = MessageAction.NONE

EXPIRED = "expired"
RESTARTED = "the server was restarted: it is not known whether the message arrived"


class Recipients:
    """Those whom a message is for.

    Attributes:
        boxes: those who get it.
        blocking: those who have blocked its sender, and so do not.
        full: those whose mailbox is full.
        total: how many there are, those counted who are no members any more; guests count as one.
        waiting: how many of them are waited for.
        reason: why somebody else does not get it.
    """

    __slots__ = ("blocking", "boxes", "full", "reason", "total", "waiting")

    def __init__(self, total: int):
        self.boxes: list[Mailbox] = []
        self.blocking: list[Mailbox] = []
        self.full: list[Mailbox] = []
        self.total = total
        self.waiting = 0
        self.reason = ""


class MessageRepository:
    """Carries out requests about messages. Each method carries out the request that it takes; see there."""

    def __init__(self, logs: Logs, rooms: RoomRepository, editing: Editing, files: FileRepository):
        self._logs = logs
        self._rooms = rooms
        self._editing = editing
        self._files = files
        self._pruned = 0

    def append(self, request: Append) -> Appended | Duplicate | Refusal:
        """Store a message (rules 11.6, 11.7, 11.13 and 12.5, sections 13 and 14).

        Raises:
            NotAllowed: it is refused.
        """
        logs = self._logs
        own: Mailbox | None = None
        sender = request.sender
        if sender is not None:
            own = logs.mailbox(sender)
            if own is None:
                return Refusal("the sender is not a member any more")
            if request.id and (known := self._known(sender, request)):
                return known
        members: Sequence[int] = request.members
        room: RoomState | None = None
        if request.recipient[:1] == b"#":
            room = rooms.known(None if sender is None else self._rooms.find(request.recipient), sender or 0)
            members = room.others(sender or 0)
        elif not members and not request.live and request.recipient.lower() != b"all":
            members = [self._find_recipient(request.recipient)]
        target: Target | None = None
        if request.action is not _PLAIN:
            rooms.check_action(request)
            if request.action is not MessageAction.REACT:
                target = self._editing.target(request, room)

        to = self._recipients(request, members, is_room=room is not None)
        boxes = to.boxes

        recipient, headers, time = request.recipient, request.headers, request.time
        if request.file:
            headers += self._files.attach(request)
        body = request.body
        peer, room_name, place = request.sender_name.lower(), b"", 0
        if room is not None:
            room.last = place = room.last + 1
            peer, room_name = room.key, room.name
        message = logs.new_message(
            sender,
            request.sender_name,
            request.id,
            recipient,
            time,
            request.expires,
            request.live,
            to.total,
            to.total - to.waiting,
            to.reason,
            headers,
            body,
            None if room is None else room.number,
            place,
            0 if target is None else target.number,
        )
        number = message.number
        if request.file:
            self._files.sent(request.file, number, time)
        outcome = Effects()
        entries = outcome.entries
        is_first = False
        if own is not None:
            seq = logs.append(own, SENT, number, recipient.lower(), request.device)
            entries.append(
                LogEntry(
                    own.number,
                    seq,
                    _SENT_ENTRY,
                    number,
                    recipient,
                    id=request.id,
                    headers=headers,
                    body=body,
                    device=request.device,
                    up_to=0,
                    reason="",
                    state=_ACCEPTED,
                    time=time,
                    room=b"",
                    place=place,
                )
            )
            if room is None and len(members) == 1 and members[0] not in own.written:
                is_first = logs.note_contact(own, members[0], recipient)
        weight = 0 if request.action is not _PLAIN else 1
        mentioned = rooms.mentioned(body) if weight and room is not None else _NOBODY
        for box in boxes:
            seq = logs.receive(box, message, peer, 2 if mentioned and box.folded in mentioned else weight)
            entries.append(
                LogEntry(
                    box.number,
                    seq,
                    _RECEIVED_ENTRY,
                    number,
                    request.sender_name,
                    id=request.id,
                    headers=headers,
                    body=body,
                    device=b"",
                    up_to=0,
                    reason="",
                    state=_ACCEPTED,
                    time=time,
                    room=room_name,
                    place=place,
                )
            )
        for box in to.blocking:
            logs.note_absent(box, message, waits=True)
        if message.total > 1:
            for box in to.full:
                logs.note_absent(box, message, waits=False)
        if target is not None:
            self._editing.apply(target, request, is_blocked=bool(to.blocking))
        if not message.waiting:
            logs.conclude(message, outcome)
            logs.remove_if_unused(message)
        return Appended(number, outcome, place, len(members) if room is not None else 0, is_first)

    def _recipients(self, request: Append, members: Sequence[int], *, is_room: bool) -> Recipients:
        """Find out who gets a message (rules 11.13 and 14.4).

        Args:
            request: the message.
            members: those it is for.
            is_room: whether it is to a room, where nobody is blocked.

        Raises:
            NotAllowed: nobody does, and the sender is told that at once.
        """
        logs = self._logs
        size, name = len(request.body), request.sender_name.lower()
        to = Recipients(len(members) + request.live)
        waiting = int(request.live)
        for member in members:
            box = logs.mailbox(member)
            if box is None:
                to.reason = "the recipient is not a member any more"
            elif box.blocked and not is_room and name in box.blocked:
                if request.sender is not None:
                    to.blocking.append(box)
                    waiting += 1
                elif request.recipient.lower() == b"all":
                    to.total -= 1
                else:
                    raise NotAllowed(f"{request.recipient.decode(errors='replace')} is not connected")
            elif logs.is_full(box, size):
                to.reason = f"the mailbox of {box.name} is full"
                to.full.append(box)
            else:
                to.boxes.append(box)
                waiting += 1
        if to.reason and not waiting:
            raise NotAllowed(to.reason)
        to.waiting = waiting
        return to

    def _find_recipient(self, name: bytes) -> int:
        """Return the number of the member to whom a message is addressed.

        Raises:
            NotAllowed: there is no such member.
        """
        text = name.decode(errors="replace")
        row = self._logs.execute("SELECT number FROM member WHERE folded = ?", (text.lower(),)).fetchone()
        if row is None:
            raise NotAllowed(f"{text} is not connected")
        return row[0]

    def _known(self, sender: int, request: Append) -> Duplicate | None:
        """The message that the member has sent with this Id, if there is one."""
        found = self._logs.find(sender, request.id)
        if found is None:
            return None
        number, recipient, state, reason = found
        same = recipient.lower() == request.recipient.lower()
        return Duplicate(number, same, state, reason if state is MessageState.FAILED else "")

    def acknowledge(self, request: Acknowledge) -> Effects:
        """Move a device's cursor (rule 11.3)."""
        outcome = Effects()
        box = self._logs.mailbox(request.member)
        if box is not None:
            self._logs.advance(box, request.device.decode(), request.seq, request.time, outcome)
        return outcome

    def refuse(self, request: Refuse) -> Effects:
        """Move a device's cursor, and take the last message out of the log if nobody has it (rule 11.4)."""
        logs = self._logs
        outcome = Effects()
        device = request.device.decode()
        box = logs.mailbox(request.member)
        if box is None or device not in box.cursors:
            return outcome
        logs.advance(box, device, request.seq - 1, request.time, outcome)
        if box.mark < request.seq <= box.last:
            logs.flush()
            row = logs.execute(
                f"SELECT {MESSAGE} FROM log l CROSS JOIN message m ON m.number = l.message"
                f" WHERE l.member = ? AND l.seq = ? AND l.kind = {RECEIVED} AND l.taken = 0",
                (box.number, request.seq),
            ).fetchone()
            if row is not None:
                logs.withdraw(box, request.seq, logs.message(row), "refused", outcome)
        logs.advance(box, device, request.seq, request.time, outcome)
        return outcome

    def mark_read(self, request: MarkRead) -> Effects:
        """Note what a member has read, and tell the sender (rule 11.8)."""
        logs = self._logs
        logs.flush()
        outcome = Effects()
        box = logs.mailbox(request.member)
        if box is None:
            return outcome
        peer = request.peer.lower()
        seq = min(request.seq, box.last)
        row = logs.execute("SELECT up_to FROM reading WHERE member = ? AND peer = ?", (box.number, peer)).fetchone()
        rows = logs.execute(
            f"SELECT l.seq, l.taken, m.state, ifnull(CAST(r.name AS BLOB), m.sender_name), {MESSAGE}"
            " FROM log l INDEXED BY log_peer CROSS JOIN message m ON m.number = l.message"
            " LEFT JOIN room r ON r.number = m.room"
            f" WHERE l.member = ? AND l.peer = ? AND l.seq > ? AND l.seq <= ? AND l.kind = {RECEIVED} ORDER BY l.seq",
            (box.number, peer, row[0] if row else 0, seq),
        ).fetchall()
        if not rows:
            return outcome
        newest: Message | None = None
        newly_read: list[int] = []
        for at, taken, state, _, *columns in rows:
            message = logs.message(columns)
            if at > box.mark and not taken:
                box.forget_young()
                logs.execute("UPDATE log SET taken = 1 WHERE member = ? AND seq = ?", (box.number, at))
                logs.settle(message, None, outcome)
            if message.total == 1 and message.room is None and state != MessageState.READ and peer not in box.blocked:
                newly_read.append(message.number)
                if message.sender is None:
                    outcome.guests.append((message.number, MessageState.READ, ""))
                else:
                    newest = message
        _, _, _, name, last_read, *_ = rows[-1]
        logs.execute(
            "INSERT INTO reading VALUES (?, ?, ?) ON CONFLICT (member, peer) DO UPDATE SET up_to = excluded.up_to",
            (box.number, peer, seq),
        )
        logs.flush()
        for number in newly_read:
            logs.execute("UPDATE message SET state = ? WHERE number = ?", (int(MessageState.READ), number))
        here = logs.append(box, int(EntryKind.READ_HERE), last_read, None, request.device, seq)
        outcome.entries.append(
            LogEntry(box.number, here, EntryKind.READ_HERE, last_read, name, device=request.device, up_to=seq)
        )
        if newest is not None:
            logs.tell(newest, EntryKind.READ, outcome)
        return outcome

    def settle(self, request: Settle) -> Effects:
        """Note what became of the live part of a message (rule 11.11)."""
        logs = self._logs
        logs.flush()
        outcome = Effects()
        row = logs.execute(
            f"SELECT {MESSAGE} FROM message m WHERE number = ? AND live = 1", (request.message,)
        ).fetchone()
        if row is not None:
            message = logs.message(row)
            logs.execute("UPDATE message SET live = 0 WHERE number = ?", (message.number,))
            logs.settle(message, None if request.taken else request.reason, outcome)
            logs.remove_if_unused(message)
        return outcome

    def settle_all(self) -> None:
        """Give up on the live parts of messages that were under way when the server stopped (rule 11.11)."""
        for (number,) in self._logs.execute("SELECT number FROM message WHERE live = 1").fetchall():
            self.settle(Settle(number, False, RESTARTED, 0.0))

    def expire(self, request: Expire) -> Effects:
        """Drop messages whose time is over (rule 11.10)."""
        logs = self._logs
        logs.flush()
        outcome = Effects()
        entries = 0
        for columns in logs.execute(
            f"SELECT {MESSAGE} FROM message m WHERE expires IS NOT NULL AND expires <= ? AND state = 1"
            " ORDER BY expires LIMIT ?",
            (request.time, _AT_ONCE),
        ).fetchall():
            message = logs.message(columns)
            logs.execute("UPDATE message SET expires = NULL WHERE number = ?", (message.number,))
            for member, seq in logs.execute(
                f"SELECT member, seq FROM log WHERE message = ? AND kind = {RECEIVED} AND taken = 0 ORDER BY member",
                (message.number,),
            ).fetchall():
                box = logs.mailbox(member)
                assert box is not None, "a removed member has no log"
                if seq > box.mark:
                    logs.withdraw(box, seq, message, EXPIRED, outcome)
                    entries += 1
            for (member,) in logs.execute(
                "SELECT member FROM absent WHERE message = ? AND waits = 1", (message.number,)
            ).fetchall():
                logs.execute("UPDATE absent SET waits = 0 WHERE message = ? AND member = ?", (message.number, member))
                logs.settle(message, EXPIRED, outcome)
                logs.remove_if_unused(message)
            if entries >= _ENTRIES_AT_ONCE:
                break
        self._files.expire(request.time)
        return outcome

    def prune(self, request: Prune) -> bool:
        """Remove old messages that no device needs (rule 11.13)."""
        logs = self._logs
        logs.flush()
        oldest = request.time - request.age
        rows = logs.execute(
            "SELECT number, time, live FROM message WHERE number > ? ORDER BY number LIMIT ?", (self._pruned, _AT_ONCE)
        ).fetchall()
        removed = 0
        for number, time, live in rows:
            if time >= oldest:  # and so are those after it
                return self._end_pruning()
            self._pruned = number
            entries = logs.execute("SELECT member, seq, kind, peer FROM log WHERE message = ?", (number,)).fetchall()
            if not live and not any(self._is_needed(member, seq, kind) for member, seq, kind, _ in entries):
                for member, seq, kind, peer in entries:
                    logs.execute("DELETE FROM log WHERE member = ? AND seq = ?", (member, seq))
                    if kind == RECEIVED:  # nothing is left to which an older mark of reading could apply
                        logs.execute(
                            "DELETE FROM reading WHERE member = ? AND peer = ? AND up_to <= ?", (member, peer, seq)
                        )
                logs.remove_messages((number,))
                removed += len(entries)
                if removed >= _ENTRIES_AT_ONCE:
                    return True
        return True if len(rows) == _AT_ONCE else self._end_pruning()

    def _end_pruning(self) -> bool:
        """Forget rooms that are gone and of which no message is left. Returns that there is no more to look at."""
        self._pruned = 0
        self._logs.execute(
            "DELETE FROM room WHERE folded IS NULL AND NOT EXISTS (SELECT 1 FROM message m WHERE m.room = room.number)"
        )
        return False

    def _is_needed(self, member: int, seq: int, kind: int) -> bool:
        """Whether a device does not have an entry yet, or the mailbox of a member without devices has it."""
        box = self._logs.mailbox(member)
        assert box is not None, "a removed member has no log"
        return seq > box.floor and (kind == RECEIVED or bool(box.cursors))
