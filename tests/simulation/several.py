"""Schedules of several servers that share a database: each from a seed, and all of its promises checked.

    python -m tests.simulation.several --seeds 100
    python -m tests.simulation.several --seed 7            prints what happens

The exchanges of three servers run without sockets, on a simulated database (shared_database.py). Hints are lost, come
twice and late; the standby is away for a while; the primary is lost with what the standby does not have; connections
with the database break while the outcome of a COMMIT is unknown; servers are killed; devices move from one server to
another, with their old connection still open; messages are sent through two servers at once with one Id.
"""

import argparse
import itertools
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.exchange.mail import Line, Mail, message, taken
from tests.simulation.shared_database import SharedDatabase
from twotick.exchange import ServerIdentity
from twotick.store import EntryKind, Fetch, LogEntry, Member
from twotick.store.port import Request, Work
from twotick.store.requests.messages import Unfinished
from twotick.store.sqlite.tables import ServerRun
from twotick.wire import Frame, Head, Side, Verb, register

_Asked = tuple[Request[Any], Callable[[Any], None]]

_SERVERS: Final = 3
_NAMES: Final = (b"alice", b"bob", b"carol")
_DEVICES: Final = (b"laptop", b"phone")

_STORY: Final = 60.0
"""Seconds in which parts fail."""

_QUIET: Final = 60.0
"""Seconds after that in which everything must have arrived."""

_PATIENCE: Final = 25.0
"""Seconds after which a device without an answer goes to another server."""


class _Server(Mail):
    """A server: one transaction at a time; what is asked meanwhile waits."""

    def __init__(self, story: "SeveralServers", number: int) -> None:
        self.run = ServerRun(number)
        self.story = story
        self.is_dead = False
        self._queue: deque[_Asked] = deque()
        self._busy = False
        super().__init__(store=story.database.primary, identity=ServerIdentity(number, "1", f"s{number}"))
        self.members = story.members
        self.now = story.now

    def carry_out(self, requests: list[_Asked]) -> None:
        """See Mail."""
        self._queue += requests
        self._begin()

    def _begin(self) -> None:
        if self._busy or not self._queue:
            return
        self._busy = True
        batch = list(itertools.islice(self._queue, self.story.batch()))
        self.story.database.work_on(self.run, [request for request, _ in batch], self._done)

    def _done(self, work: Work) -> None:
        if self.is_dead:
            return
        for answer in work.answers:
            request, callback = self._queue.popleft()
            del request
            if isinstance(answer, Unfinished):
                self._queue.appendleft((answer.rest, callback))
                self.exchange.publish(answer.effects)
            else:
                callback(answer)
        self._busy = False
        self._begin()
        self.story.woken[self] = None


@dataclass
class _Sent:
    """A message.

    Attributes:
        number: which of its device's messages it is.
        recipient: to whom.
        body: its text.
        accepted: whether a server has said so.
    """

    number: int
    recipient: bytes
    body: bytes
    accepted: bool = False


@dataclass
class _Device:
    """A device, and what it knows.

    Attributes:
        member: whose it is.
        name: its name.
        line: its connection; None if it has none.
        registered: whether the server has let it in.
        first: from which entry on it was given the log; None before that.
        last: the last entry that it has.
        told: the last entry that came on this connection.
        acknowledged: the last entry of which the server was told on this connection that the device has it.
        log: what each entry said.
        sent: its messages, by Id.
        outbox: the Ids of those that are not accepted.
        asked: when it asked for something that has no answer; 0 for never.
        later: when it does the next thing.
    """

    member: bytes
    name: bytes
    line: Line | None = None
    server: _Server | None = None
    registered: bool = False
    first: int | None = None
    last: int = 0
    told: int = 0
    acknowledged: int = 0
    log: dict[int, tuple[Any, ...]] = field(default_factory=dict[int, tuple[Any, ...]])
    sent: dict[bytes, _Sent] = field(default_factory=dict[bytes, _Sent])
    outbox: deque[bytes] = field(default_factory=deque[bytes])
    asked: float = 0.0
    later: float = 0.0

    @property
    def title(self) -> str:
        """Its name for people."""
        return f"{self.member.decode()}/{self.name.decode()}"


class SeveralServers:
    """A schedule.

    Args:
        seed: decides everything in it.
        barrier: False plants the fault that a transaction which has only read does not wait for the standby.
        print_it: whether to print what happens.

    Attributes:
        problems: the promises that were broken.
        now: the time, in seconds.
        woken: the servers to which the database has answered.
    """

    def __init__(self, seed: str, *, barrier: bool = True, print_it: bool = False) -> None:
        self._chance = random.Random(seed)
        self._print = print_it
        self.now = 1000.0
        self.problems: list[str] = []
        self.woken: dict[_Server, None] = {}
        self._numbers = itertools.count(1)
        self.members: dict[bytes, Member] = {}
        self.database = SharedDatabase(lambda: self.now, self._chance, barrier=barrier)
        adding = Mail(*_NAMES, store=self.database.primary)
        self.members = adding.members
        self.database.place += 1
        self.database._copies[1] = self.database.primary.copied()  # pyright: ignore[reportPrivateUsage]
        self.database.replicate(1)
        self._slots: list[_Server | None] = [None] * _SERVERS
        self._restarts: dict[int, float] = dict.fromkeys(range(_SERVERS), 0.0)
        self._hints: list[tuple[float, int, bytes]] = []
        self._devices = [_Device(member, name) for member in _NAMES for name in _DEVICES]
        self._old: list[Line] = []
        self._doubles: list[tuple[_Device, Line]] = []
        self._standby_away = 0.0
        self._failing = False

    def _say(self, text: str) -> None:
        if self._print:
            print(f"{self.now - 1000:8.3f}  {text}")

    def batch(self) -> int:
        """Return how many requests a server carries out in one transaction."""
        return self._chance.choice((1, 4, 64))

    # The story

    def run(self) -> list[str]:
        """Run it. Return the promises that were broken."""
        self._let_pass(20.0, until=lambda: all(each.first is not None for each in self._devices))
        self._failing = True
        self._let_pass(_STORY)
        self._failing = False
        self._standby_away = 0.0
        self._let_pass(_QUIET, until=self._is_quiet)
        self._let_pass(6.0)
        self._check()
        self.database.close()
        return self.problems

    def _is_quiet(self) -> bool:
        return all(each.registered and not each.outbox for each in self._devices) and not self._hints

    def _let_pass(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end = self.now + seconds
        while self.now < end and not until() and not self.problems:
            self.now += self._chance.choice((0.02, 0.05, 0.1, 0.25))
            self._step()

    def _step(self) -> None:
        if self._failing:
            self._fail()
        for slot, when in [*self._restarts.items()]:
            if when <= self.now:
                del self._restarts[slot]
                self._slots[slot] = server = _Server(self, next(self._numbers))
                self._say(f"server {server.run.number} starts in slot {slot}")
        for server in self._living():
            server.advance(self.now - server.now)
        if self.now >= self._standby_away:
            behind = self.database.place - self.database.replicated
            self.database.replicate(self.database.replicated + self._chance.randint(0, behind))
        self.database.find_out()
        self._wake()
        self._carry()
        for device in self._devices:
            self._act(device)
        self._wake()

    def _living(self) -> list[_Server]:
        return [each for each in self._slots if each is not None]

    def _wake(self) -> None:
        while self.woken:
            server = next(iter(self.woken))
            del self.woken[server]
            if not server.is_dead:
                server.settle()

    def _fail(self) -> None:
        chance = self._chance.random()
        if chance < 0.02 and self.now >= self._standby_away:
            self._standby_away = self.now + self._chance.choice((1.0, 2.0, 4.0, 12.0))
            self._say(f"the standby is away until {self._standby_away - 1000:.1f}")
        elif chance < (0.035 if self.now < self._standby_away else 0.022):
            self._say(f"failover: {self.database.fail_over()} transactions are lost")
            self._standby_away = 0.0
            if len(living := self._living()) > 1 and self._chance.random() < 0.5:
                self._kill(self._chance.choice(living))  # it was on the machine of the primary
        elif 0.04 < chance < 0.044 and (living := self._living()):
            server = self._chance.choice(living)
            self._say(f"server {server.run.number} loses its connection with the database")
            self.database.break_off(server.run, is_dead=False)
        elif 0.044 < chance < 0.047 and len(living := self._living()) > 1:
            self._kill(self._chance.choice(living))

    def _kill(self, server: _Server) -> None:
        self._say(f"server {server.run.number} is killed")
        slot = self._slots.index(server)
        self._slots[slot] = None
        server.is_dead = True
        self.database.break_off(server.run, is_dead=True)
        self._restarts[slot] = self.now + self._chance.choice((0.5, 5.0, 15.0))
        for device in self._devices:
            if device.server is server:
                device.line = device.server = None
                device.registered = False

    def _carry(self) -> None:
        """Carry hints: most of them at once; some late, some twice, some never."""
        for server in self._living():
            for hint in server.exchange.neighbours.take():
                for slot in range(_SERVERS):
                    if self._slots[slot] is server or (self._failing and self._chance.random() < 0.1):
                        continue
                    for _ in range(2 if self._failing and self._chance.random() < 0.1 else 1):
                        late = self._chance.choice((0.0, 0.0, 0.0, 0.3, 5.0)) if self._failing else 0.0
                        self._hints.append((self.now + late, slot, hint))
        due = [each for each in self._hints if each[0] <= self.now]
        self._hints = [each for each in self._hints if each[0] > self.now]
        for _, slot, hint in due:
            if (server := self._slots[slot]) is not None:
                server.exchange.neighbours.take_hint(hint)
                server.settle()

    # Devices

    def _act(self, device: _Device) -> None:
        self._read(device)
        if self.now < device.later:
            return
        device.later = self.now + self._chance.choice((0.05, 0.2, 0.5))
        if device.line is None:
            self._connect(device)
        elif device.asked and self.now > device.asked + _PATIENCE:
            self._say(f"{device.title} has had no answer")
            self._leave(device)
        elif device.registered:
            self._do(device)

    def _connect(self, device: _Device) -> None:
        living = self._living()
        if not living:
            return
        device.server = server = self._chance.choice(living)
        device.line = line = server.line()
        device.registered = False
        device.asked = self.now
        self._say(f"{device.title} connects to {server.run.number}, has {device.last}")
        seq = device.last if device.first is not None else None
        line.got = line.write(
            register(Side.DUPLEX, device.member, 8, authorization=device.member, device=device.name, seq=seq)
        )

    def _leave(self, device: _Device, *, cut: bool = True) -> None:
        assert device.line is not None
        if cut:
            device.line.cut()
        else:
            self._old.append(device.line)  # its server learns of it later
        device.line = device.server = None
        device.registered = False
        device.asked = 0.0

    def _do(self, device: _Device) -> None:
        assert device.line is not None
        chance = self._chance.random()
        if self._failing and chance < 0.02:
            self._say(f"{device.title} moves")
            self._leave(device, cut=self._chance.random() < 0.5)
        elif chance < 0.5 and device.last > device.acknowledged:
            device.acknowledged = device.last
            self._write(device, taken(device.last))
        elif device.outbox:
            if not device.asked:
                self._send(device, device.outbox[0])
            elif chance < 0.55 and self._living():
                self._double(device, device.outbox[0])
        elif self._failing and chance < 0.56:
            self._compose(device)

    def _compose(self, device: _Device) -> None:
        ident = b"%b-%d" % (device.name, len(device.sent))
        recipient = self._chance.choice([name for name in _NAMES if name != device.member])
        device.sent[ident] = _Sent(len(device.sent), recipient, b"%b %b" % (device.member, ident))
        device.outbox.append(ident)
        self._send(device, ident)

    def _send(self, device: _Device, ident: bytes) -> None:
        device.asked = self.now
        sent = device.sent[ident]
        self._write(device, message(sent.recipient, sent.body, ident))

    def _double(self, device: _Device, ident: bytes) -> None:
        """Send a message through another connection as well."""
        sent = device.sent[ident]
        line = self._chance.choice(self._living()).line()
        line.write(register(Side.SENDING, device.member, authorization=device.member))
        line.write(message(sent.recipient, sent.body, ident))
        self._doubles.append((device, line))

    def _write(self, device: _Device, data: bytes) -> None:
        assert device.line is not None
        if not device.line.closed:
            got = device.line.write(data)
            device.line.got = got + device.line.got

    def _read(self, device: _Device) -> None:
        line = device.line
        for of, double in self._doubles:
            if of is device:
                self._note_accepted(device, double.read())
        if line is None:
            return
        for head, body in line.read():
            self._take(device, head, body)
        if line.closed and device.line is line:
            self._leave(device)

    def _note_accepted(self, device: _Device, frames: list[Frame]) -> None:
        for head, _ in frames:
            if head.verb is Verb.ACCEPTED:
                self._accepted(device, head.headers[b"id"])

    def _accepted(self, device: _Device, ident: bytes) -> None:
        device.sent[ident].accepted = True
        if ident in device.outbox:
            device.outbox.remove(ident)
            device.asked = 0.0

    def _take(self, device: _Device, head: Head, body: bytes) -> None:
        seq = int(head.seq or b"0") if head.verb is not Verb.REGISTERED else 0
        self._say(f"{device.title} is told {head.verb.value!r} {head.code} {seq} {head.headers}")
        ident = head.headers.get(b"id", b"")
        if head.verb is Verb.REGISTERED:
            self._registered(device, int(head.headers.get(b"seq", b"0")))
        elif head.verb is Verb.ACCEPTED:
            self._accepted(device, ident)
        elif seq:
            self._entry(device, seq, head, body)
        elif head.verb is Verb.ERROR and head.code == 108:
            self.problems.append(f"{device.title} was sent away: {head.headers}")
        elif head.verb is Verb.ERROR and ident:
            device.asked = 0.0  # it was refused, and is sent again

    def _registered(self, device: _Device, cursor: int) -> None:
        device.asked = 0.0
        device.registered = True
        device.told = device.acknowledged = cursor
        if device.first is None:
            device.first = device.last = cursor
        elif cursor < device.last:
            self.problems.append(f"{device.title} has entry {device.last}, but its log has only {cursor}")
        device.last = max(device.last, cursor)

    def _entry(self, device: _Device, seq: int, head: Head, body: bytes) -> None:
        if seq <= device.told:
            self.problems.append(f"{device.title} was given entry {seq} after {device.told}")
        device.told = seq
        said = _said(head, body)
        if device.log.setdefault(seq, said) != said:
            self.problems.append(f"{device.title} was given {said} as entry {seq}, which was {device.log[seq]}")
        device.last = max(device.last, seq)
        if head.verb is Verb.SEND:  # what it says is true at this moment
            ident = head.headers[b"id"]
            have = [each for each in self._devices if each.member == head.key]
            if not any(said[:3] == ("message", device.member, ident) for each in have for said in each.log.values()):
                self.problems.append(f"{device.title} was told that {ident!r} was delivered, which nobody has")

    # The promises

    def _check(self) -> None:
        if self.problems:
            return
        logs = {name: self._log_of(name) for name in _NAMES}
        for device in self._devices:
            if not device.registered or device.outbox:
                self.problems.append(f"{device.title} has had no answer: {[*device.outbox]}")
            log = logs[device.member]
            expected = {entry.seq: _kept(entry) for entry in log}
            for seq, said in device.log.items():
                if expected.get(seq) != said:
                    self.problems.append(f"{device.title} was given {said} as entry {seq}: it is {expected.get(seq)}")
            for entry in log:
                if entry.kind is EntryKind.RECEIVED and entry.seq > (device.first or 0) and entry.seq not in device.log:
                    self.problems.append(f"{device.title} does not have entry {entry.seq}")
            for ident, sent in device.sent.items():
                self._check_sent(device, ident, sent, logs)
            self._check_order(device, logs)

    def _log_of(self, name: bytes) -> list[LogEntry]:
        fetched = self.database.primary.ask(Fetch(self.members[name].number, 0, 1 << 30, 1 << 30))
        if [entry.seq for entry in fetched.entries] != [*range(1, len(fetched.entries) + 1)]:
            self.problems.append(f"the log of {name.decode()} has gaps")
        return fetched.entries

    def _check_sent(self, device: _Device, ident: bytes, sent: _Sent, logs: dict[bytes, list[LogEntry]]) -> None:
        got = [each for each in logs[sent.recipient] if each.kind is EntryKind.RECEIVED]
        count = sum(each.id == ident and each.peer == device.member for each in got)
        if count != 1 and sent.accepted:
            self.problems.append(f"{ident!r} of {device.title} was accepted, and is {count} times in the log")
        outcomes = [each for each in logs[device.member] if each.id == ident and each.kind is EntryKind.DELIVERED]
        if len(outcomes) != 1 and sent.accepted:
            self.problems.append(f"{ident!r} of {device.title} is {len(outcomes)} times said to be delivered")

    def _check_order(self, device: _Device, logs: dict[bytes, list[LogEntry]]) -> None:
        for recipient in _NAMES:
            numbers = [
                device.sent[entry.id].number
                for entry in logs[recipient]
                if entry.kind is EntryKind.RECEIVED and entry.peer == device.member and entry.id in device.sent
            ]
            if numbers != sorted(numbers):
                self.problems.append(f"messages of {device.title} to {recipient.decode()} are out of order: {numbers}")


def _said(head: Head, body: bytes) -> tuple[Any, ...]:
    """Return what an entry says, as it was given."""
    ident = head.headers.get(b"id", b"")
    if head.verb is Verb.FORWARD:
        return ("sent", head.headers[b"to"], ident) if b"to" in head.headers else ("message", head.key, ident, body)
    return (head.verb.value.strip(), head.key, ident)


def _kept(entry: LogEntry) -> tuple[Any, ...]:
    """Return what an entry says, as it is stored."""
    if entry.kind is EntryKind.RECEIVED:
        return ("message", entry.peer, entry.id, entry.body)
    if entry.kind is EntryKind.SENT:
        return ("sent", entry.peer, entry.id)
    return (b"SEND" if entry.kind is EntryKind.DELIVERED else b"READ", entry.peer, entry.id)


def first_problem(seeds: range, *, barrier: bool = True) -> tuple[int, list[str]] | None:
    """Run schedules until one breaks a promise. Return its seed and what it broke; None if all is well."""
    for seed in seeds:
        if problems := SeveralServers(str(seed), barrier=barrier).run():
            return seed, problems
    return None


def main() -> None:
    """Run the program with the options of the command line."""
    parser = argparse.ArgumentParser(description="Run schedules of several servers on one simulated database.")
    parser.add_argument("--seeds", type=int, default=100, help="how many schedules to run")
    parser.add_argument("--first", type=int, help="the first seed; any if it is left out")
    parser.add_argument("--seed", type=int, help="run this one, and print what happens")
    parser.add_argument("--no-barrier", action="store_true", help="plant the fault that reading does not wait")
    options = parser.parse_args()
    barrier = not options.no_barrier
    if options.seed is not None:
        problems = SeveralServers(str(options.seed), barrier=barrier, print_it=True).run()
        print(*problems, sep="\n")
        raise SystemExit(bool(problems))
    first = random.randrange(1 << 32) if options.first is None else options.first
    found = first_problem(range(first, first + options.seeds), barrier=barrier)
    print(f"several servers, seeds from {first}: {'all is well' if found is None else found}")
    raise SystemExit(found is not None)


if __name__ == "__main__":
    main()
