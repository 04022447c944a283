"""The store that keeps everything in memory (docs/protocol.md, sections 10 and 11)."""

import heapq
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from typing import Any, Final

from twotick.store.file_records import NO_FILE, CloseReport, OfferFile, ReadPiece, Report, Reports, WritePiece
from twotick.store.memory_check import problems
from twotick.store.memory_logs import GONE, READ_HERE, RECEIVED, SENT, Logs, Mailbox, Message
from twotick.store.memory_members import Directory
from twotick.store.memory_reports import Desk
from twotick.store.records import (
    Acknowledge,
    AddInvitation,
    AddMember,
    AddToken,
    Append,
    Appended,
    Devices,
    Entry,
    Expire,
    Fetch,
    Fetched,
    FindMember,
    FindToken,
    History,
    Kind,
    Known,
    MarkRead,
    Members,
    OpenDevice,
    Outcome,
    Prune,
    Refusal,
    Refuse,
    RemoveMember,
    Revoke,
    SetPassword,
    Settle,
    State,
    StoreLimits,
)
from twotick.store.requests import Request, Result

_AT_ONCE: Final = 256
"""Messages that `expire` and `prune` look at in one call."""

_SENT_ENTRY: Final = Kind.SENT
_RECEIVED_ENTRY: Final = Kind.RECEIVED
_ACCEPTED: Final = State.ACCEPTED


class MemoryStore:
    """Members, logs and cursors in memory. Used by one thread at a time.

    Args:
        limits: what is kept at most.
    """

    def __init__(self, limits: StoreLimits) -> None:
        self._logs = logs = Logs(limits)
        self._messages = messages = Messages(logs)
        self._directory = directory = Directory(logs)
        reading = Reading(logs)
        desk = Desk(logs, directory)
        self._handlers: dict[type, Callable[[Any], Result]] = {
            Append: messages.append,
            Acknowledge: messages.acknowledge,
            Refuse: messages.refuse,
            MarkRead: messages.mark_read,
            Settle: messages.settle,
            Expire: messages.expire,
            Prune: messages.prune,
            Fetch: reading.fetch,
            History: reading.history,
            Members: directory.members,
            FindMember: directory.find_member,
            FindToken: directory.find_token,
            AddMember: directory.add_member,
            SetPassword: directory.set_password,
            RemoveMember: directory.remove_member,
            AddInvitation: directory.add_invitation,
            AddToken: directory.add_token,
            OpenDevice: directory.open_device,
            Devices: directory.devices,
            Revoke: directory.revoke,
            OfferFile: _refuse_file,
            WritePiece: _refuse_file,
            ReadPiece: _refuse_file,
            Report: desk.report,
            Reports: desk.reports,
            CloseReport: desk.close,
        }

    def apply(self, requests: Sequence[Request]) -> list[Result]:
        """Carry out requests, in order.

        Args:
            requests: what to do. One that is refused changes nothing, and does not disturb the others.

        Returns:
            What each of them is answered.
        """
        handlers = self._handlers
        return [handlers[type(request)](request) for request in requests]

    def changed(self) -> bool:
        """Whether another process has changed anything: no other can."""
        return False

    def check(self) -> list[str]:
        """Look for mistakes of ours: in what must be true of logs, cursors and counters.

        Returns:
            The problems in words; none if all is well.
        """
        return problems(self._logs, self._directory)

    def close(self) -> None:
        """There is nothing to close; what is kept goes with the store."""


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
        size = len(request.body)
        limits = logs.limits
        boxes: list[Mailbox] = []
        reason = ""
        for member in request.members:
            box = logs.mailboxes.get(member)
            if box is None:
                reason = "the recipient is not a member any more"
            elif box.entries >= limits.mailbox_entries or box.size + size > limits.mailbox_bytes:
                reason = f"the mailbox of {box.member.name} is full"
            else:
                boxes.append(box)
        live = request.live
        if reason and not boxes and not live:
            return Refusal(reason)
        if request.file:
            return Refusal(NO_FILE)

        self._newest = number = self._newest + 1
        total = len(request.members)
        message = Message(number, own, request, total + live, total - len(boxes), reason)
        logs.add(message)
        if live:
            logs.live[number] = message
        if request.expires is not None:
            heapq.heappush(self._expiring, (request.expires, number, message))

        # Entries are made without keywords, which would take half as long again.
        name, headers, body, time = request.sender_name, request.headers, request.body, request.time
        entries: list[Entry] = []
        if own is not None:
            if ident:
                own.ids[ident] = message
            message.sent = seq = own.append(SENT, message)
            to, device = request.recipient, request.device
            entries.append(
                Entry(own.number, seq, _SENT_ENTRY, number, to, ident, headers, body, device, 0, "", _ACCEPTED, time)
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
                Entry(box.number, seq, _RECEIVED_ENTRY, number, name, ident, headers, body, b"", 0, "", _ACCEPTED, time)
            )
        outcome = Outcome(entries, [])
        if not message.waiting:
            logs.conclude(message, outcome)
            logs.remove_if_unused(message)
        return Appended(number, outcome)

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
        newest: Message | None = None
        last_read = box.message(numbers[-1])
        for seq in numbers:
            message = box.message(seq)
            if box.waits(seq):
                box.taken.add(seq)
                message.waiting -= 1
                if not message.waiting:
                    logs.conclude(message, outcome)
            if message.total == 1 and message.state is not State.READ:
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
        found = 0
        while found < _AT_ONCE and self._expiring and self._expiring[0][0] <= request.time:
            _, _, message = heapq.heappop(self._expiring)
            if message.state is not _ACCEPTED:
                continue
            found += 1
            for box, seq in message.entries():
                if box.waits(seq):
                    logs.withdraw(box, seq, "expired", outcome)
        return outcome

    def prune(self, request: Prune) -> bool:
        """Remove old messages that no device needs (rule 11.13)."""
        logs = self._logs
        oldest = request.time - request.age
        for _ in range(_AT_ONCE):
            message = logs.looked_at.after
            if message is logs.ends or message.time >= oldest:  # and so are those after it
                logs.looked_at = logs.ends
                return False
            logs.looked_at = message
            entries = message.entries()
            if message.waiting or any(box.is_needed(seq) for box, seq in entries):
                continue
            peer = message.sender_name.lower()
            for box, seq in entries:
                # Nothing is left to which an older mark of reading could apply.
                if box.kind(seq) == RECEIVED and box.reading.get(peer, seq + 1) <= seq:
                    del box.reading[peer]
                box.remove(seq)
            logs.remove(message)
        return True


class Reading:
    """Carries out requests that read logs. Each method carries out the request that it takes; see there."""

    def __init__(self, logs: Logs) -> None:
        self._logs = logs

    def fetch(self, request: Fetch) -> Fetched:
        """Read a log forwards."""
        box = self._logs.mailboxes.get(request.member)
        if box is None:
            return Fetched([], 0)
        entries: list[Entry] = []
        size = 0
        for seq in range(max(request.after, box.base) + 1, box.last + 1):
            if box.kind(seq) == GONE:
                continue
            if len(entries) >= request.most or size >= request.size:
                return Fetched(entries, entries[-1].seq if entries else request.after)
            entry = box.entry(seq)
            entries.append(entry)
            size += len(entry.body)
        return Fetched(entries, box.last)

    def history(self, request: History) -> Fetched:
        """Read the messages of a log backwards."""
        box = self._logs.mailboxes.get(request.member)
        if box is None:
            return Fetched([], 0)
        before = min(request.before, box.last + 1) if request.before > 0 else box.last + 1
        entries: list[Entry] = []
        size = 0
        numbers: Sequence[int] = range(box.base + 1, before)
        if request.peer:
            numbers = box.with_peer(request.peer.lower())
        for index in range(bisect_left(numbers, before) - 1, -1, -1):
            if len(entries) >= request.most or size >= request.size:
                break
            seq = numbers[index]
            if box.kind(seq) not in (RECEIVED, SENT):
                continue
            entry = box.entry(seq)
            if entry.time < request.since:
                break
            entries.append(entry)
            size += len(entry.body)
        entries.reverse()
        return Fetched(entries, before)


def _refuse_file(_: OfferFile | WritePiece | ReadPiece) -> Refusal:
    """What is kept in memory is small (rule 16.5)."""
    return Refusal("this server keeps no files")


def _known(message: Message, recipient: bytes) -> Known:
    """What is known of a message, for a member who sends its Id again."""
    same = message.recipient.lower() == recipient.lower()
    return Known(message.number, same, message.state, message.reason if message.state is State.FAILED else "")
