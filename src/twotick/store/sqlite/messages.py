"""Requests about messages: storing, acknowledging and reading them (docs/protocol.md, section 11)."""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from twotick.store.port import Refusal
from twotick.store.requests.guest_rooms import GUEST_LINE
from twotick.store.requests.messages import (
    Acknowledge,
    Append,
    Appended,
    Duplicate,
    Effects,
    EntryKind,
    LogEntry,
    MarkRead,
    MessageAction,
    MessageState,
    ReadSoFar,
    Refuse,
    Settle,
    Unfinished,
)
from twotick.store.rules import bots, delivery, editing
from twotick.store.rules.conversations import mentioned
from twotick.store.rules.delivery import Mailbox, MessageRecord, Recipients
from twotick.store.rules.editing import Candidate
from twotick.store.rules.errors import DISABLED, NotAllowed
from twotick.store.rules.rooms import RoomState, known
from twotick.store.sqlite.bots import SlotRepository
from twotick.store.sqlite.editing import EditRepository
from twotick.store.sqlite.files import FileRepository
from twotick.store.sqlite.forwarding import ForwardRepository
from twotick.store.sqlite.guest_rooms import GuestRoomRepository
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import (
    COUNT_WORK,
    CURSOR_STEP,
    MESSAGE,
    RECEIVED,
    Ledger,
    NewMessage,
)
from twotick.store.sqlite.pins import PinRepository
from twotick.store.sqlite.rooms import RoomRepository
from twotick.store.sqlite.tables import NOT_YET
from twotick.store.sqlite.threads import ThreadRepository

_MEMBERS_AT_ONCE: Final = 256
"""The members who get a message to ALL in one transaction."""

_READ_AT_ONCE: Final = 96
"""The messages that a READ looks at in one transaction."""

_READ_WORK: Final = 4
"""What that counts as work for each (see `Tables.work`)."""

_NO_NAMES: Final = frozenset[bytes]()
_NONE: Final = MessageAction.NONE


class MessageRepository:
    """Carries out requests about messages.

    Args:
        ledger: the logs.
        rooms: the rooms that messages are sent to.
        edits: changes earlier messages.
        files: the files that messages bring.
        threads: the threads that they belong to.
        pins: pins earlier messages.
        forwards: sends earlier messages on.
        slots: finds the messages that later ones update.
        guest_rooms: finds what guests send again.
    """

    def __init__(
        self,
        ledger: Ledger,
        rooms: RoomRepository,
        edits: EditRepository,
        files: FileRepository,
        threads: ThreadRepository,
        pins: PinRepository,
        forwards: ForwardRepository,
        *,
        slots: SlotRepository,
        guest_rooms: GuestRoomRepository,
    ):
        self._ledger = ledger
        self._tables = ledger.tables
        self._rooms = rooms
        self._edits = edits
        self._files = files
        self._threads = threads
        self._pins = pins
        self._forwards = forwards
        self._slots = slots
        self._guest_rooms = guest_rooms

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            Append: refusing(self._append),
            Acknowledge: self._acknowledge,
            Refuse: self._refuse,
            MarkRead: self._mark_read,
            Settle: self.settle,
        }

    # Storing

    def _append(self, request: Append) -> Appended | Duplicate | Refusal | Unfinished:
        ledger = self._ledger
        if request.begun:
            return self._give_to_others(request)
        if request.into and (repeated := self._guest_rooms.duplicate(request)):
            return repeated
        own = self._sender(request)
        if own is not None and request.id and (known_message := ledger.duplicate(own.number, request)):
            return self._not_given(own.number, request, known_message) if request.again else known_message
        request, others = _divided(self._forwards.filled(request))
        room = self._room(request)
        request = self._slots.filled(request, room)
        boxes = self._boxes(request, room)
        if self._count_shares(request, boxes):
            return Unfinished(others or request)
        target = None if request.action is _NONE else self._target(request, room)
        root = self._threads.find(request, own, room)
        to = self._recipients(request, boxes, room)
        if target is not None and (emptied := self._edits.empty_some_edits(target, request)):
            return Unfinished(replace(request, edits_after=emptied))
        new = self._new_message(request, room, to)
        new.headers += self._threads.header(root)
        if others is not None:
            new.readers, new.indexed = None, NOT_YET
        if target is not None:
            self._change(target, request, new, to, room)
        message = ledger.add(new)
        self._threads.add(root, message.number)
        self._give_file(request, message.number)
        self._slots.keep(request)
        effects, is_first = Effects(), False
        if own is not None:
            effects.entries.append(ledger.send(own, message, new, request.device))
            is_first = self._note_contact(request, own, boxes, room)
        if room is not None and room.guests:
            effects.rooms = (room.number,)
        self._give(request, message, new, to, room, effects)
        if others is not None:
            rest = others.members[len(request.members) :]
            return Unfinished(replace(others, begun=message.number, headers=new.headers, members=rest), effects)
        if not message.waiting:
            ledger.conclude(message, effects)
            ledger.remove_if_unused(message)
        return Appended(message.number, effects, new.place, len(boxes) if room is not None else 0, is_first)

    def _not_given(self, sender: int, request: Append, known_message: Duplicate) -> Duplicate:
        """Give up on guests of this server who were to get a message of which the server does not know the number.

        Returns:
            What became of it.
        """
        row = self._tables.read(
            "SELECT 1 FROM message WHERE number = ? AND live = 1 AND server = ?",
            (known_message.message, self._tables.run.number),
        ).fetchone()
        if row is None:
            return known_message
        self.settle(Settle(known_message.message, False, delivery.UNSURE, 0.0))
        return self._ledger.duplicate(sender, request) or known_message

    def _sender(self, request: Append) -> Mailbox | None:
        """Return the member who sends a message, None for a guest; if it may (rules 10.7, 10.11 and 21.2).

        Raises:
            NotAllowed: it may not.
        """
        if request.sender is None:
            if self._tables.is_held_elsewhere(request.sender_name):
                raise NotAllowed(delivery.HELD_ELSEWHERE)
            return None
        own = self._ledger.mailbox(request.sender)
        if own is None:
            raise NotAllowed("the sender is not a member any more")
        if own.disabled:
            raise NotAllowed(DISABLED)
        if own.rights is not None:
            bots.check_sender(own.rights, request)
        return own

    def _give_to_others(self, request: Append) -> Appended | Refusal | Unfinished:
        """Give a message to some of those members who are still to get it."""
        ledger = self._ledger
        message = ledger.unfinished(request.begun)
        if message is None:  # it is over, which its sender is told
            return Refusal(delivery.EXPIRED)
        now, rest = request.members[:_MEMBERS_AT_ONCE], request.members[_MEMBERS_AT_ONCE:]
        boxes = delivery.without_bots(request, [ledger.mailbox(member) for member in now], None)
        if self._count_shares(request, boxes):
            return Unfinished(request)
        to = delivery.choose_some(request, boxes, ledger.limits)
        effects = Effects()
        ledger.add_recipients(message, to, more=int(bool(rest) or request.live))
        self._give(request, message, self._new_message(request, None, to), to, None, effects)
        if rest:
            ledger.conclude(message, effects)
            return Unfinished(replace(request, members=rest), effects)
        ledger.end_others(message.number, live=request.live)
        ledger.conclude(message, effects)
        ledger.remove_if_unused(message)
        return Appended(message.number, effects)

    def _give_file(self, request: Append, message: int) -> None:
        """Let the file that a message brings, or sends on, be that message's."""
        if request.file:
            self._files.sent(request.file, message, request.time)
        elif request.forwarded:
            self._files.copy(request.forwarded, request, message)

    def _target(self, request: Append, room: RoomState | None) -> Candidate | None:
        """Return the message that another one changes; None for a reaction, for which the server looks for none."""
        editing.check_action(request)
        if request.action is MessageAction.REACT:
            return None
        return (self._pins if request.action in editing.PINNING else self._edits).find(request, room)

    def _change(
        self, target: Candidate, request: Append, new: NewMessage, to: Recipients, room: RoomState | None
    ) -> None:
        """Let a new message change an earlier one."""
        if request.action in editing.PINNING:
            self._pins.apply(target, request, room, to.boxes)
        else:
            new.about = target.number
            self._edits.apply(target, request, to.blocking)

    def _room(self, request: Append) -> RoomState | None:
        """Return the room that a message is sent to; None if it is not sent to a room."""
        if request.recipient[:1] != b"#":
            return None
        if request.into:
            room = self._rooms.numbered(request.into)
            room.check_lets_guests_in()
            return room
        sender = request.sender
        return known(None if sender is None else self._rooms.find(request.recipient, sender), sender or 0)

    def _boxes(self, request: Append, room: RoomState | None) -> Sequence[Mailbox | None]:
        """Return the members that a message is for, without deaf bots; None for one who was removed."""
        boxes = self._named(request, room)
        for box in boxes:
            if box is not None and box.rights is not None:
                return delivery.without_bots(request, boxes, None if room is None else room.key)
        return boxes

    def _named(self, request: Append, room: RoomState | None) -> list[Mailbox | None]:
        """Return the members that a message names or that are in its room; None for one who was removed."""
        ledger = self._ledger
        if room is not None:
            others = sorted(room.members) if request.into else room.others(request.sender or 0)
            boxes = map(ledger.mailbox, others)
            return [box for box in boxes if box is not None]  # without those who are being removed
        if request.members or request.live or request.recipient.lower() == b"all":
            return [ledger.mailbox(member) for member in request.members]
        box = ledger.mailbox_named(request.recipient)
        if box is None:
            raise NotAllowed(delivery.not_connected(request.recipient))
        return [box]

    def _recipients(self, request: Append, boxes: Sequence[Mailbox | None], room: RoomState | None) -> Recipients:
        """Decide who gets a message."""
        return delivery.choose_recipients(request, boxes, self._ledger.limits, is_room=room is not None)

    def _count_shares(self, request: Append, boxes: Sequence[Mailbox | None]) -> bool:
        """Count by senders what is in mailboxes, where a message may exceed a share (rule 11.13).

        Returns:
            Whether there is more in them than should be counted in one transaction.
        """
        ledger, name = self._ledger, request.sender_name.lower()
        before = self._tables.work
        for box in boxes:
            while box is not None and delivery.may_exceed_share(box, name, len(request.body), ledger.limits):
                if self._tables.remembers and self._tables.work - before >= COUNT_WORK:
                    return True
                if self._tables.moves_first():
                    return True
                ledger.count_some(box)
        return False

    def _new_message(self, request: Append, room: RoomState | None, to: Recipients) -> NewMessage:
        headers = request.headers if request.sender is not None else request.headers + GUEST_LINE
        if request.file:
            headers += self._files.headers_for(request)
        new = NewMessage(
            sender=request.sender,
            sender_name=request.sender_name,
            recipient=request.recipient,
            headers=headers,
            body=request.body,
            time=request.time,
            total=to.total,
            waiting=to.waiting,
            id=request.id,
            expires=request.expires,
            live=request.live,
            reason=to.reason,
        )
        if room is not None:
            new.room, new.room_name, new.place = room.number, room.name, room.next_place()
        else:
            new.readers = delivery.readers_of(request.sender, to)
        return new

    def _note_contact(
        self, request: Append, own: Mailbox, boxes: Sequence[Mailbox | None], room: RoomState | None
    ) -> bool:
        """Note whom a member has written to alone (rule 15.2). Return whether that is new."""
        if room is not None or len(boxes) != 1 or boxes[0] is None or request.recipient.lower() == b"all":
            return False
        return self._ledger.note_contact(own, boxes[0])

    def _give(
        self,
        request: Append,
        message: MessageRecord,
        new: NewMessage,
        to: Recipients,
        room: RoomState | None,
        effects: Effects,
    ) -> None:
        """Append a message to the logs of its recipients, and note those who do not get it."""
        ledger = self._ledger
        is_plain = request.action is _NONE
        names = mentioned(request.body) if is_plain and room is not None else _NO_NAMES
        peer = request.sender_name.lower() if room is None else room.key
        for box in to.boxes:
            weight = delivery.unread_weight(box, sender=request.sender, is_plain=is_plain, mentioned=names)
            effects.entries.append(ledger.receive(box, message, new, peer, weight))
        for box in to.blocking:
            ledger.note_absent(box, message, waits=True)
        if message.total > 1:
            for box in to.full:
                ledger.note_absent(box, message, waits=False)

    # What becomes of messages

    def _acknowledge(self, request: Acknowledge) -> Effects | Unfinished:
        effects = Effects()
        box = self._ledger.mailbox(request.member)
        if box is None or self._is_outdated(request):
            return effects
        if box.delivered < box.recent_after and self._tables.moves_first():
            return Unfinished(request, is_begun=False)
        return Unfinished(request, effects) if self._advance(box, request, request.seq, effects) else effects

    def _is_outdated(self, request: Acknowledge | Refuse) -> bool:
        """Tell whether a device has connected again since it has sent an answer."""
        session = request.session
        return session != 0 and not self._tables.is_current(request.member, request.device.decode(), session)

    def _advance(self, box: Mailbox, request: Acknowledge | Refuse, seq: int, effects: Effects) -> bool:
        """Move a device's cursor up to an entry, or over many entries. Return whether there are more."""
        device = request.device.decode()
        cursor = box.cursors.get(device)
        if cursor is None:
            return False
        seq = min(seq, box.last)
        end = min(seq, cursor + CURSOR_STEP)
        self._ledger.advance(box, device, end, request.time, effects)
        return end < seq

    def _refuse(self, request: Refuse) -> Effects | Unfinished:
        ledger = self._ledger
        effects = Effects()
        device = request.device.decode()
        box = ledger.mailbox(request.member)
        if box is None or device not in box.cursors or self._is_outdated(request):
            return effects
        if self._advance(box, request, request.seq - 1, effects):
            return Unfinished(request, effects)
        if box.delivered < request.seq <= box.last:
            row = self._tables.read(
                f"SELECT {MESSAGE} FROM log l CROSS JOIN message m ON m.number = l.message"
                f" WHERE l.member = ? AND l.seq = ? AND l.kind = {RECEIVED} AND l.taken = 0{self._tables.message_lock}",
                (box.number, request.seq),
            ).fetchone()
            if row is not None:
                ledger.withdraw(box, request.seq, ledger.message(row), delivery.REFUSED, effects)
        ledger.advance(box, device, request.seq, request.time, effects)
        return effects

    def _mark_read(self, request: MarkRead) -> Effects | Unfinished:
        ledger = self._ledger
        effects, so_far = Effects(), request.so_far
        box = ledger.mailbox(request.member)
        if box is None:
            return effects
        peer = request.peer.lower()
        seq = min(request.seq, box.last)
        found = self._unread(box, peer, seq)
        rows = self._without_over(box, found[:_READ_AT_ONCE], request.time, effects)
        if rows:
            newest = self._read(box, peer, rows, effects, quiet=request.quiet)
            told = newest.number if newest is not None else so_far.told if so_far is not None else 0
            so_far = ReadSoFar(rows[-1][3], rows[-1][4], told)
        if len(found) > _READ_AT_ONCE:
            self._keep_reading(box, peer, found[_READ_AT_ONCE - 1][0])
            return Unfinished(replace(request, so_far=so_far), effects)
        if so_far is None:
            return effects
        self._keep_reading(box, peer, seq)
        here = box.append()
        ledger.add_entry(box, here, int(EntryKind.READ_HERE), so_far.newest, device=request.device, up_to=seq)
        effects.entries.append(
            LogEntry(
                box.number, here, EntryKind.READ_HERE, so_far.newest, so_far.peer, device=request.device, up_to=seq
            )
        )
        self._tell_read(so_far.told, effects)
        return effects

    def _keep_reading(self, box: Mailbox, peer: bytes, up_to: int) -> None:
        """Note up to which entry a member has read a conversation."""
        self._tables.write(
            "INSERT INTO reading VALUES (?, ?, ?) ON CONFLICT (member, peer) DO UPDATE SET up_to = excluded.up_to",
            (box.number, peer, up_to),
        )

    def _tell_read(self, number: int, effects: Effects) -> None:
        """Tell the sender of a message that it was read; 0 for none."""
        row = self._tables.read(f"SELECT {MESSAGE} FROM message m WHERE number = ?", (number,)).fetchone()
        if row is not None:
            message = self._ledger.message(row)
            if message.sender is not None:  # who may have been removed between two transactions
                self._ledger.tell_sender(message, EntryKind.READ, effects)

    def _unread(self, box: Mailbox, peer: bytes, up_to: int) -> list[tuple[Any, ...]]:
        """Read some messages of a conversation that came up to an entry and were not read, and one more if there is."""
        read = self._tables.read
        row = read("SELECT up_to FROM reading WHERE member = ? AND peer = ?", (box.number, peer)).fetchone()
        return read(
            f"SELECT l.seq, l.taken, m.state, ifnull(CAST(r.name AS BLOB), m.sender_name), {MESSAGE}"
            " FROM log l INDEXED BY log_peer CROSS JOIN message m ON m.number = l.message"
            " LEFT JOIN room r ON r.number = m.room"
            f" WHERE l.member = ? AND l.peer = ? AND l.seq > ? AND l.seq <= ? AND l.kind = {RECEIVED}"
            f" ORDER BY l.seq LIMIT ?{self._tables.message_lock}",
            (box.number, peer, row[0] if row else 0, up_to, _READ_AT_ONCE + 1),
        ).fetchall()

    def _without_over(
        self, box: Mailbox, rows: Sequence[tuple[Any, ...]], time: float, effects: Effects
    ) -> list[tuple[Any, ...]]:
        """Take messages that are over out of the log (rule 11.10). Return the others."""
        kept: list[tuple[Any, ...]] = []
        for row in rows:
            seq, taken, _, _, *columns = row
            message = self._ledger.message(columns)
            if seq > box.delivered and not taken and self._ledger.is_over(message, time):
                self._ledger.withdraw(box, seq, message, delivery.EXPIRED, effects)
            else:
                kept.append(row)
        return kept

    def _read(
        self, box: Mailbox, peer: bytes, rows: Sequence[tuple[Any, ...]], effects: Effects, *, quiet: bool
    ) -> MessageRecord | None:
        """Note that messages were read. Return the newest one whose sender is a member who is told."""
        ledger, tables = self._ledger, self._tables
        newest: MessageRecord | None = None
        read: list[int] = []
        tables.work += _READ_WORK * len(rows)
        for seq, taken, state, _, *columns in rows:
            message = ledger.message(columns)
            if seq > box.delivered and not taken:
                box.forget_recent()
                tables.write("UPDATE log SET taken = 1 WHERE member = ? AND seq = ?", (box.number, seq))
                ledger.settle(message, None, effects)
            if not quiet and delivery.is_read_now(message, state, peer, box):
                read.append(message.number)
                if message.sender is None:
                    effects.guests.append((message.number, MessageState.READ, ""))
                else:
                    newest = message
        state = int(MessageState.READ)
        tables.write_many("UPDATE message SET state = ? WHERE number = ?", [(state, number) for number in read])
        return newest

    # Guests

    def settle(self, request: Settle) -> Effects:
        """Note what became of the part of a message that went to guests."""
        ledger, tables = self._ledger, self._tables
        effects = Effects()
        row = tables.read(
            f"SELECT {MESSAGE} FROM message m WHERE number = ? AND live = 1{tables.message_lock}", (request.message,)
        ).fetchone()
        if row is not None:
            message = ledger.message(row)
            ledger.end_others(message.number, live=False)
            tables.write("UPDATE message SET live = 0 WHERE number = ?", (message.number,))
            ledger.settle(message, None if request.taken else request.reason, effects)
            ledger.remove_if_unused(message)
        return effects

    def settle_lost(self) -> None:
        """Give up on what guests of other servers, which have stopped, were to get (rule 11.11)."""
        tables = self._tables
        rows = tables.read("SELECT number FROM message WHERE live = 1 AND server <> ?", (tables.run.number,)).fetchall()
        for (number,) in rows:
            self.settle(Settle(number, False, delivery.RESTARTED, 0.0))


def _divided(request: Append) -> tuple[Append, Append | None]:
    """Divide a message to many members.

    Returns:
        What the first members get, for whom all others count as guests do; and the whole message. The message and None
        if one transaction can give it to all.
    """
    if len(request.members) <= _MEMBERS_AT_ONCE:
        return request, None
    return replace(request, members=request.members[:_MEMBERS_AT_ONCE], live=True), request
