"""What a store does, in plain lists: slow, in memory, and short enough to be believed."""

from dataclasses import dataclass, field
from typing import Any

from twotick.store.port import Refusal, Request, StoreLimits
from twotick.store.requests.members import OpenDevice, OpenedDevice, Revoke
from twotick.store.requests.messages import (
    Acknowledge,
    Append,
    Appended,
    Duplicate,
    Effects,
    EntryKind,
    Expire,
    Fetch,
    Fetched,
    History,
    LogEntry,
    MarkRead,
    MessagesPart,
    MessageState,
    Prune,
    Refuse,
    Settle,
)
from twotick.store.rules.delivery import RESTARTED

LIVE = 0
"""Stands for the guests among those whom a message waits for."""


@dataclass
class Sent:
    """A message: whom it waits for, and how it stands."""

    number: int
    request: Append
    total: int
    waiting: set[int]
    failed: int = 0
    reason: str = ""
    state: MessageState = MessageState.ACCEPTED
    expired: bool = False


@dataclass
class Line:
    """An entry of a log."""

    kind: EntryKind
    sent: Sent
    device: bytes = b""
    up_to: int = 0


@dataclass
class Person:
    """A member."""

    number: int
    name: str
    log: list[Line | None] = field(default_factory=list[Line | None])
    cursors: dict[str, int] = field(default_factory=dict[str, int])
    mark: int = 0
    read: dict[bytes, int] = field(default_factory=dict[bytes, int])

    def received(self) -> list[tuple[int, Line]]:
        """The messages that came and are still there."""
        return [(seq, line) for seq, line in enumerate(self.log, 1) if line and line.kind is EntryKind.RECEIVED]

    def seq_of(self, sent: Sent) -> int:
        """The number of the entry of a message that this member has sent; 0 if it is not there any more."""
        lines = enumerate(self.log, 1)
        return next((seq for seq, line in lines if line and line.kind is EntryKind.SENT and line.sent is sent), 0)

    def waits(self, sent: Sent) -> bool:
        return self.number in sent.waiting


class Model:
    """Answers requests as a store should.

    It cannot know which number a store gives to a message, and takes that from the store's answer.
    """

    def __init__(self, limits: StoreLimits, names: dict[int, str]):
        self.limits = limits
        self.people = {number: Person(number, name) for number, name in names.items()}
        self.messages: list[Sent] = []
        self.wrote: set[tuple[int, int]] = set()

    def answer(self, request: Request[Any], given: Any) -> Any:
        """What a request should be answered.

        Args:
            request: the request.
            given: what the store answered: of an Appended, the message's number is believed.
        """
        outcome = Effects()
        match request:
            case Append():
                return self._append(request, given.message if isinstance(given, Appended) else 0, outcome)
            case Acknowledge():
                self._advance(request.member, request.device.decode(), request.seq, outcome)
            case Refuse():
                self._refuse(request, outcome)
            case MarkRead():
                self._mark_read(request, outcome)
            case Settle():
                for sent in self.messages:
                    if sent.number == request.message and LIVE in sent.waiting:
                        self._settle(sent, LIVE, None if request.taken else request.reason, outcome)
            case Expire():
                self._expire(request.time, outcome)
            case Prune():
                self._prune(request.time - request.age)
                return False
            case OpenDevice():
                return self._open(request, outcome)
            case Revoke():
                person = self.people[request.member]
                return person.cursors.pop(request.device, None) is not None
            case Fetch():
                return self._fetch(request)
            case History():
                return self._history(request)
            case _:
                raise NotImplementedError(request)
        return outcome

    def restart(self) -> None:
        """The store was closed and opened again."""
        for sent in self.messages:
            if LIVE in sent.waiting:
                self._settle(sent, LIVE, RESTARTED, Effects())

    # Requests

    def _append(self, request: Append, number: int, outcome: Effects) -> Any:
        for sent in self.messages:
            first = sent.request
            if request.sender is not None and (first.sender, first.id) == (request.sender, request.id):
                same = first.recipient.lower() == request.recipient.lower()
                reason = sent.reason if sent.state is MessageState.FAILED else ""
                return Duplicate(sent.number, same, sent.state, reason, self.people[request.sender].seq_of(sent))
        takers: list[Person] = []
        reason = ""
        for person in (self.people[member] for member in request.members):
            floor = min(person.cursors.values(), default=person.mark)
            held = [len(line.sent.request.body) for seq, line in person.received() if seq > floor]
            too_many = len(held) >= self.limits.mailbox_entries
            if too_many or sum(held) + len(request.body) > self.limits.mailbox_bytes:
                reason = f"the mailbox of {person.name} is full"
            else:
                takers.append(person)
        if reason and not takers and not request.live:
            return Refusal(reason)
        sent = Sent(number, request, len(request.members) + request.live, {person.number for person in takers})
        sent.failed = len(request.members) - len(takers)
        sent.reason = reason
        if request.live:
            sent.waiting.add(LIVE)
        self.messages.append(sent)
        if request.sender is not None:
            self._log(request.sender, Line(EntryKind.SENT, sent, request.device), outcome)
        for person in takers:
            self._log(person.number, Line(EntryKind.RECEIVED, sent), outcome)
        if not sent.waiting:
            self._conclude(sent, outcome)
        return Appended(number, outcome, is_first=self._is_first(request))

    def _is_first(self, request: Append) -> bool:
        """Whether this is the first message of a member to another one alone."""
        if request.sender is None or len(request.members) != 1 or request.recipient.lower() == b"all":
            return False
        pair = request.sender, request.members[0]
        is_first = pair[0] != pair[1] and pair not in self.wrote
        self.wrote.add(pair)
        return is_first

    def _advance(self, member: int, device: str, seq: int, outcome: Effects) -> None:
        person = self.people[member]
        seq = min(seq, len(person.log))
        if seq <= person.cursors.get(device, seq):
            return
        person.cursors[device] = seq
        person.mark = max(person.mark, seq)
        for at, line in person.received():
            if at <= seq and person.waits(line.sent):
                self._settle(line.sent, member, None, outcome)

    def _refuse(self, request: Refuse, outcome: Effects) -> None:
        person, device = self.people[request.member], request.device.decode()
        if device not in person.cursors:
            return
        self._advance(request.member, device, request.seq - 1, outcome)
        for at, line in person.received():
            if at == request.seq and person.waits(line.sent):
                self._withdraw(person, line.sent, "refused", outcome)
        self._advance(request.member, device, request.seq, outcome)

    def _mark_read(self, request: MarkRead, outcome: Effects) -> None:
        person, peer = self.people[request.member], request.peer.lower()
        up_to = min(request.seq, len(person.log))
        since = person.read.get(peer, 0)
        lines = [
            line
            for at, line in person.received()
            if since < at <= up_to and line.sent.request.sender_name.lower() == peer
        ]
        if not lines:
            return
        person.read[peer] = up_to
        told = None
        for sent in (line.sent for line in lines):
            if person.waits(sent):
                self._settle(sent, request.member, None, outcome)
            if sent.total == 1 and sent.state is not MessageState.READ:
                sent.state = MessageState.READ
                if sent.request.sender is None:
                    outcome.guests.append((sent.number, MessageState.READ, ""))
                else:
                    told = sent
        self._log(request.member, Line(EntryKind.READ_HERE, lines[-1].sent, request.device, up_to), outcome)
        if told is not None and told.request.sender is not None:
            self._log(told.request.sender, Line(EntryKind.READ, told), outcome)

    def _expire(self, time: float, outcome: Effects) -> None:
        over = [
            sent
            for sent in self.messages
            if sent.state is MessageState.ACCEPTED
            and not sent.expired
            and sent.request.expires is not None
            and sent.request.expires <= time
        ]
        for sent in sorted(over, key=lambda sent: sent.request.expires or 0.0):
            sent.expired = True
            for member in sorted(sent.waiting - {LIVE}):
                self._withdraw(self.people[member], sent, "expired", outcome)

    def _prune(self, oldest: float) -> None:
        def is_needed(person: Person, seq: int, line: Line) -> bool:
            if person.cursors:
                return seq > min(person.cursors.values())
            return line.kind is EntryKind.RECEIVED and seq > person.mark

        for sent in [sent for sent in self.messages if sent.request.time < oldest and LIVE not in sent.waiting]:
            lines = [
                (person, seq, line)
                for person in self.people.values()
                for seq, line in enumerate(person.log, 1)
                if line and line.sent is sent
            ]
            if not any(is_needed(*line) for line in lines):
                self.messages.remove(sent)
                for person, seq, line in lines:
                    person.log[seq - 1] = None
                    peer = sent.request.sender_name.lower()
                    if line.kind is EntryKind.RECEIVED and person.read.get(peer, seq + 1) <= seq:
                        del person.read[peer]

    def _open(self, request: OpenDevice, outcome: Effects) -> OpenedDevice | Refusal:
        person = self.people[request.member]
        if request.device not in person.cursors:
            if len(person.cursors) == self.limits.devices:
                return Refusal(f"too many devices; a member has at most {self.limits.devices}", "device")
            waiting = [seq for seq, line in person.received() if person.waits(line.sent)]
            person.cursors[request.device] = waiting[0] - 1 if waiting else len(person.log)
            person.mark = max(person.mark, person.cursors[request.device])
        self._advance(request.member, request.device, request.resume, outcome)
        return OpenedDevice(person.cursors[request.device], len(person.log), outcome)

    def _fetch(self, request: Fetch) -> Fetched:
        log = self.people[request.member].log
        entries: list[LogEntry] = []
        for seq in range(request.after + 1, len(log) + 1):
            if (line := log[seq - 1]) is None:
                continue
            if len(entries) == request.most or sum(len(entry.body) for entry in entries) >= request.size:
                return Fetched(entries, entries[-1].seq if entries else request.after)
            entries.append(self._entry(request.member, seq, line))
        return Fetched(entries, len(log))

    def _history(self, request: History) -> MessagesPart:
        person = self.people[request.member]
        log, own = person.log, person.name.lower().encode()
        before = min(request.before or len(log) + 1, len(log) + 1)
        entries: list[LogEntry] = []
        for seq in range(1, before):
            line = log[seq - 1]
            if line is not None and line.kind in (EntryKind.RECEIVED, EntryKind.SENT):
                entry = self._entry(request.member, seq, line)
                if line.kind is EntryKind.RECEIVED and entry.peer.lower() == own:
                    continue  # a note to oneself comes once, as one that was sent
                if request.peer.lower() in (b"", entry.peer.lower()) and entry.time >= request.since:
                    entries.append(entry)
        return MessagesPart(entries[-request.most :])

    # What becomes of messages

    def _settle(self, sent: Sent, who: int, failure: str | None, outcome: Effects) -> None:
        sent.waiting.remove(who)
        if failure is not None:
            sent.failed += 1
            sent.reason = failure
        if not sent.waiting:
            self._conclude(sent, outcome)

    def _conclude(self, sent: Sent, outcome: Effects) -> None:
        sent.state = MessageState.FAILED if sent.failed else MessageState.DELIVERED
        if sent.failed and sent.total > 1:
            sent.reason += f"; {sent.total - sent.failed} of {sent.total} have it"
        if sent.request.sender is None:
            outcome.guests.append((sent.number, sent.state, sent.reason))
        else:
            self._log(
                sent.request.sender, Line(EntryKind.FAILED if sent.failed else EntryKind.DELIVERED, sent), outcome
            )

    def _withdraw(self, person: Person, sent: Sent, reason: str, outcome: Effects) -> None:
        (seq,) = [seq for seq, line in person.received() if line.sent is sent]
        person.log[seq - 1] = None
        self._settle(sent, person.number, reason, outcome)

    def _log(self, member: int, line: Line, outcome: Effects) -> None:
        log = self.people[member].log
        log.append(line)
        outcome.entries.append(self._entry(member, len(log), line))

    def _entry(self, member: int, seq: int, line: Line) -> LogEntry:
        sent = line.sent
        request = sent.request
        if line.kind is EntryKind.READ_HERE:
            return LogEntry(
                member, seq, line.kind, sent.number, request.sender_name, device=line.device, up_to=line.up_to
            )
        peer = request.sender_name if line.kind is EntryKind.RECEIVED else request.recipient
        entry = LogEntry(member, seq, line.kind, sent.number, peer, id=request.id)
        if line.kind in (EntryKind.RECEIVED, EntryKind.SENT):
            headers = request.headers if request.sender is not None else request.headers + b"Guest: yes\n"
            entry.headers, entry.body, entry.time = headers, request.body, request.time
            entry.device, entry.state = line.device, sent.state
        elif line.kind is EntryKind.FAILED:
            entry.reason = sent.reason
        return entry
