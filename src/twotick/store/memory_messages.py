"""Requests about messages, in memory (docs/protocol.md, sections 11 to 14)."""

import heapq
from bisect import bisect_right
from typing import Final

from twotick.store.memory_logs import Logs
from twotick.store.memory_mailboxes import READ_HERE, RECEIVED, SENT, Mailbox, Message, RoomLog, Special
from twotick.store.records import (
    Acknowledge,
    Action,
    Append,
    Appended,
    Entry,
    Expire,
    Kind,
    Known,
    MarkRead,
    Outcome,
    Prune,
    Refusal,
    Refuse,
    Settle,
    State,
)
from twotick.store.room_records import Role
from twotick.store.rooms import (
    NO_MESSAGE,
    Event,
    NotAllowed,
    check_action,
    deleted_headers,
    edited_headers,
    known,
    mentioned,
)

_AT_ONCE: Final = 256
"""Messages that `expire` and `prune` look at in one call."""

_ENTRIES_AT_ONCE: Final = 4096
"""Entries that they remove in one call, but for the rest of the last message's."""

_SENT_ENTRY: Final = Kind.SENT
_RECEIVED_ENTRY: Final = Kind.RECEIVED
_ACCEPTED: Final = State.ACCEPTED
_PLAIN: Final = Action.NONE
_ALL: Final = b"all"


class Messages:
    """Carries out requests about messages. Each method carries out the request that it takes; see there."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs
        self._newest = 0
        self._expiring: list[tuple[float, int, Message]] = []  # a heap
        self._swept = 0

    def append(self, request: Append) -> Appended | Known | Refusal:
        """Store a message (rules 11.6, 11.7 and 11.13)."""
        logs = self._logs
        own: Mailbox | None = None
        ident = request.id
        if request.sender is not None:
            own = logs.mailboxes.get(request.sender)
            if own is None:
                return Refusal("the sender is not a member any more")
            first = own.ids.get(ident)
            if first is not None:
                return _known(first, request.recipient)
        to, members = request.recipient, request.members
        special: Special | None = None
        room: RoomLog | None = None
        target: Message | None = None
        if to[:1] == b"#" or request.action is not _PLAIN or request.file:
            try:
                special = self._special(request, own)
                room = special.room
                if room is not None and own is not None:
                    members = tuple(room.state.others(own.number))
                target = self._target(request, own, room)
            except NotAllowed as refusal:
                return Refusal(str(refusal))
        size = len(request.body)
        limits = logs.limits
        boxes: list[Mailbox] = []
        full: list[Mailbox] | None = None
        shut_out: list[Mailbox] | None = None
        reason = ""
        for member in members:
            box = logs.mailboxes.get(member)
            if box is None:
                reason = "the recipient is not a member any more"
            elif box.blocked and room is None and request.sender_name.lower() in box.blocked:
                if shut_out is None:
                    shut_out = []
                shut_out.append(box)
            elif box.entries >= limits.mailbox_entries or box.size + size > limits.mailbox_bytes:
                reason = f"the mailbox of {box.member.name} is full"
                if full is None:
                    full = []
                full.append(box)
            else:
                boxes.append(box)
        live = request.live
        total = len(members) + live
        waiting = len(boxes) + live
        if shut_out is not None:
            if own is not None:
                waiting += len(shut_out)
            elif to.lower() != _ALL:
                return Refusal(f"{to.decode('ascii', 'replace')} is not connected")
            else:
                total -= len(shut_out)
                shut_out = None
        if reason and not waiting:
            return Refusal(reason)

        self._newest = number = self._newest + 1
        message = Message(number, own, request, total, total - waiting, reason)
        message.special = special
        place, room_name = 0, b""
        if special is not None and room is not None:
            special.place = place = room.append(message)
            room_name = special.room_name
        if full is not None and total > 1:
            message.make_special().failed = full
        if shut_out is not None:
            message.make_special().shut_out = shut_out
            for box in shut_out:
                box.shut_out[number] = message
        logs.add(message)
        if live:
            logs.live[number] = message
        if request.expires is not None:
            heapq.heappush(self._expiring, (request.expires, number, message))

        # Entries are made without keywords, which would take half as long again.
        name, headers, body, time = request.sender_name, request.headers, request.body, request.time
        entries: list[Entry] = []
        is_first = False
        if own is not None:
            if ident:
                own.ids[ident] = message
            if len(members) == 1 and room is None and members[0] not in own.written and to.lower() != _ALL:
                is_first = self._note_writing(own, members[0])
            message.sent = seq = own.append(SENT, message)
            device = request.device
            entries.append(
                Entry(
                    own.number,
                    seq,
                    _SENT_ENTRY,
                    number,
                    to,
                    ident,
                    headers,
                    body,
                    device,
                    0,
                    "",
                    _ACCEPTED,
                    time,
                    b"",
                    place,
                )
            )
        for box in boxes:
            seq = box.append(RECEIVED, message)
            box.entries += 1
            box.size += size
            if message.mailbox is None:
                message.mailbox = box
                message.received = seq
            else:
                message.add_entry(box, seq)
            entries.append(
                Entry(
                    box.number,
                    seq,
                    _RECEIVED_ENTRY,
                    number,
                    name,
                    ident,
                    headers,
                    body,
                    b"",
                    0,
                    "",
                    _ACCEPTED,
                    time,
                    room_name,
                    place,
                )
            )
        if target is not None:
            self._change(target, message)
        outcome = Outcome(entries, [])
        if not message.waiting:
            logs.conclude(message, outcome)
            logs.remove_if_unused(message)
        return Appended(number, outcome, place, 0 if room is None else len(members), is_first)

    def _note_writing(self, own: Mailbox, member: int) -> bool:
        """Note that a member has written to another (rule 15.2). Returns whether there is such a member."""
        other = self._logs.mailboxes.get(member)
        if other is None or other is own:
            return False
        own.written.add(member)
        other.writers.add(own.number)
        return True

    def _special(self, request: Append, own: Mailbox | None) -> Special:
        """What is special about a message that goes to a room, or does something to another.

        Raises:
            NotAllowed: it is not for its sender to send it.
        """
        logs = self._logs
        special = Special()
        if request.file:
            raise NotAllowed("this server takes no files")
        if request.recipient.startswith(b"#"):
            number = 0 if own is None else own.number
            special.room = room = None if own is None else logs.rooms.get(request.recipient.lower())
            state = known(None if room is None else room.state, number)
            state.check_in(number)
            special.room_name = state.name
            if request.action is _PLAIN:
                for name in mentioned(request.body):
                    box = logs.names.get(name.decode())
                    if box is not None and box.number in state.members:
                        special.mentions.add(box.number)
        check_action(request)
        special.is_quiet = request.action is not _PLAIN
        special.action = request.action
        special.about = request.about
        return special

    def _target(self, request: Append, own: Mailbox | None, room: RoomLog | None) -> Message | None:
        """The message that another one edits or deletes (rule 13.1); None if it does neither.

        Raises:
            NotAllowed: there is none that its sender may change.
        """
        if own is None or request.action not in (Action.EDIT, Action.DELETE):
            return None
        author: Mailbox | None = own
        orphans: list[Message] = []
        name = request.about_name
        if name not in (b"", request.sender_name.lower()):
            if room is None or room.state.role(own.number) < Role.MODERATOR:
                raise NotAllowed(NO_MESSAGE)
            author = self._logs.names.get(name.decode("ascii", "replace"))
            orphans = room.orphans(name, request.about)
        own_target = None if author is None else author.ids.get(request.about)
        for target in orphans if own_target is None else [own_target, *orphans]:
            if target.recipient.lower() != request.recipient.lower():
                continue
            special = target.special
            if special is None:
                return target
            is_changing = special.action in (Action.EDIT, Action.DELETE)
            if special.room is room and not special.is_deleted and not is_changing:
                return target
        raise NotAllowed(NO_MESSAGE)

    def tell(self, event: Event, name: bytes, to: bytes, room: RoomLog | None, time: float, outcome: Outcome) -> None:
        """Append an event to the logs of those who are told (rules 12.8 and 14.3).

        Args:
            event: what has happened.
            name: who did it.
            to: the room; or whom it is told, if it is not told in a room.
            room: the room; None for none.
            time: now, in seconds since 1970.
            outcome: takes the entries.
        """
        logs = self._logs
        boxes = [box for box in [logs.mailboxes[member] for member in event.members] if not logs.is_full(box, 0)]
        if room is None and not boxes:
            return
        self._newest = number = self._newest + 1
        request = Append(None, name, b"", b"", to, (), False, event.headers(time), b"", time)
        message = Message(number, None, request, len(boxes), 0, "")
        message.special = special = Special()
        special.is_quiet = True
        if room is None:
            special.is_apart = name == to
        else:
            special.room = room
            special.room_name = room.state.name
            special.place = room.append(message)
        logs.add(message)
        for box in boxes:
            seq = box.append(RECEIVED, message)
            box.entries += 1
            message.add_entry(box, seq)
            outcome.entries.append(box.entry(seq))
        if not message.waiting:
            logs.conclude(message, outcome)

    def acknowledge(self, request: Acknowledge) -> Outcome:
        """Move a device's cursor (rule 11.3)."""
        outcome = Outcome([], [])
        box = self._logs.mailboxes.get(request.member)
        if box is not None:
            device = box.devices.get(request.device)
            if device is not None:
                self._logs.advance(box, device, request.seq, request.time, outcome)
        return outcome

    def refuse(self, request: Refuse) -> Outcome:
        """Move a device's cursor, and take the last message out of the log if nobody has it (rule 11.4)."""
        logs = self._logs
        outcome = Outcome([], [])
        box = logs.mailboxes.get(request.member)
        device = box.devices.get(request.device) if box is not None else None
        if box is None or device not in box.receiving:
            return outcome
        logs.advance(box, device, request.seq - 1, request.time, outcome)
        if request.seq <= box.last and box.waits(request.seq):
            logs.withdraw(box, request.seq, "refused", outcome)
        logs.advance(box, device, request.seq, request.time, outcome)
        return outcome

    def mark_read(self, request: MarkRead) -> Outcome:
        """Note what a member has read, and tell the sender (rule 11.8)."""
        logs = self._logs
        outcome = Outcome([], [])
        box = logs.mailboxes.get(request.member)
        if box is None:
            return outcome
        peer = request.peer.lower()
        up_to = min(request.seq, box.last)
        exchanged = box.with_peer(peer)
        begin, end = bisect_right(exchanged, box.reading.get(peer, 0)), bisect_right(exchanged, up_to)
        numbers = [seq for seq in exchanged[begin:end] if box.kind(seq) == RECEIVED]
        if not numbers:
            return outcome
        box.reading[peer] = up_to
        is_told = peer not in box.blocked and not peer.startswith(b"#")
        newest: Message | None = None
        last_read = box.message(numbers[-1])
        for seq in numbers:
            message = box.message(seq)
            if box.waits(seq):
                box.taken.add(seq)
                message.waiting -= 1
                if not message.waiting:
                    logs.conclude(message, outcome)
                elif message.special is not None:
                    logs.note_progress(message, outcome)
            if is_told and message.total == 1 and message.state is not State.READ:
                message.state = State.READ
                if message.sender is None:
                    outcome.guests.append((message.number, State.READ, ""))
                else:
                    newest = message
        seq = box.append(READ_HERE, last_read)
        box.here[seq] = request.device, up_to
        last_read.add_entry(box, seq)
        outcome.entries.append(box.entry(seq))
        if newest is not None and newest.sender is not None:
            seq = newest.sender.append(int(Kind.READ), newest)
            newest.add_entry(newest.sender, seq)
            outcome.entries.append(newest.sender.entry(seq))
        return outcome

    def settle(self, request: Settle) -> Outcome:
        """Note what became of the live part of a message (rule 11.11)."""
        logs = self._logs
        outcome = Outcome([], [])
        message = logs.live.pop(request.message, None)
        if message is None:
            return outcome
        if request.taken:
            message.waiting -= 1
            if not message.waiting:
                logs.conclude(message, outcome)
        else:
            logs.fail(message, request.reason, outcome)
        logs.remove_if_unused(message)
        return outcome

    def expire(self, request: Expire) -> Outcome:
        """Drop messages whose time is over (rule 11.10)."""
        logs = self._logs
        outcome = Outcome([], [])
        # Most have long arrived when their time is over. Those are dropped whenever the heap has grown to twice of
        # what was left the last time: it is never much larger than it has to be, and each of them is met once or twice.
        if len(self._expiring) > 2 * self._swept + _AT_ONCE:
            self._expiring = [item for item in self._expiring if item[2].state is _ACCEPTED]
            heapq.heapify(self._expiring)
            self._swept = len(self._expiring)
        found = removed = 0
        while (
            found < _AT_ONCE and removed < _ENTRIES_AT_ONCE and self._expiring and self._expiring[0][0] <= request.time
        ):
            _, _, message = heapq.heappop(self._expiring)
            if message.state is not _ACCEPTED:
                continue
            found += 1
            for box, seq in message.entries():
                if box.waits(seq):
                    logs.withdraw(box, seq, "expired", outcome)
                    removed += 1
            if message.special is not None:
                for box in message.special.shut_out[:]:
                    logs.give_up(box, message, "expired", outcome)
        return outcome

    def prune(self, request: Prune) -> bool:
        """Remove old messages that no device needs (rule 11.13)."""
        logs = self._logs
        oldest = request.time - request.age
        removed = 0
        for _ in range(_AT_ONCE):
            message = logs.looked_at.after
            if message is logs.ends or message.time >= oldest:  # and so are those after it
                logs.looked_at = logs.ends
                return False
            logs.looked_at = message
            entries = message.entries()
            if message.number in logs.live or any(box.is_needed(seq) for box, seq in entries):
                continue
            peer = message.conversation()
            for box, seq in entries:
                # Nothing is left to which an older mark of reading could apply.
                if box.kind(seq) == RECEIVED and box.reading.get(peer, seq + 1) <= seq:
                    del box.reading[peer]
                box.remove(seq)
            logs.remove(message)
            removed += len(entries)
            if removed >= _ENTRIES_AT_ONCE:
                break
        return True

    def _change(self, target: Message, message: Message) -> None:
        """Let a message edit or delete another one (rules 13.2 and 13.3).

        What somebody edits who is blocked stays as it is for those who have it.
        """
        special = target.make_special()
        if message.special is None:
            return
        if message.special.action is Action.DELETE:
            for edit in special.edits:
                self._put(edit, b"", deleted_headers(message.time, target.id))
            special.is_deleted = True
            self._put(target, b"", deleted_headers(message.time))
        else:
            special.edits.append(message)
            if not message.special.shut_out:
                self._put(target, message.body, edited_headers(target.headers, message.time))

    def _put(self, target: Message, body: bytes, headers: bytes) -> None:
        """Put something else in the place of what a message says."""
        self._logs.before_change(target)
        target.body, target.headers = body, headers
        self._logs.after_change(target)


def _known(message: Message, recipient: bytes) -> Known:
    """What is known of a message, for a member who sends its Id again."""
    same = message.recipient.lower() == recipient.lower()
    return Known(message.number, same, message.state, message.reason if message.state is State.FAILED else "")
