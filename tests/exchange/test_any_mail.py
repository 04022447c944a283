"""Random sequences of events among members and guests: nothing is lost, doubled, mixed or out of order."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.exchange.mail import Line, Mail, message, taken
from twotick.wire import Frame, Verb, frame

KEYS = st.sampled_from([(name, device) for name in (b"alice", b"bob", b"carol") for device in (b"phone", b"laptop")])
NAMES = [b"alice", b"bob", b"carol"]
DEVICES = [b"phone", b"laptop"]


class Seat:
    """A device of a member: what it has seen over all its connections."""

    def __init__(self, name: bytes, device: bytes) -> None:
        self.name = name
        self.device = device
        self.line: Line | None = None
        self.unanswered: list[int] = []
        self.seen: dict[int, Frame] = {}
        self.answered = 0


class AnyMail(RuleBasedStateMachine):
    """Members with two devices each; the devices come, go, send and answer in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.mail = Mail(*NAMES)
        self.seats = {(name, device): Seat(name, device) for name in NAMES for device in DEVICES}
        self.count = 0
        self.sent: dict[bytes, tuple[bytes, bytes, bytes]] = {}  # Id: sender, recipient, body
        self.accepted: dict[bytes, tuple[bytes, bytes, bytes]] = {}  # likewise
        self.failed: set[bytes] = set()
        for seat in self.seats.values():
            self.connect(seat, 4)

    def connect(self, seat: Seat, window: int) -> None:
        self.leave(seat)
        seat.line = self.mail.device(seat.name, seat.device, window)
        seat.unanswered = []
        self.look()

    def leave(self, seat: Seat) -> None:
        if seat.line is not None:
            seat.line.cut()
            seat.line = None
            self.look()

    def look(self) -> None:
        """Let everybody look at what came."""
        for seat in self.seats.values():
            for head, body in seat.line.read() if seat.line else []:
                identifier = head.headers.get(b"id", b"")
                if head.verb is Verb.ACCEPTED:
                    self.accepted[identifier] = self.sent[identifier]
                if head.verb is Verb.ERROR:
                    assert head.code == 102, head
                    self.failed.add(identifier)
                if b"seq" in head.headers and head.verb is not Verb.ACCEPTED:
                    self.see(seat, int(head.headers[b"seq"]), (head, body))

    def write(self, seat: Seat, data: bytes) -> None:
        assert seat.line is not None
        seat.line.got = seat.line.write(data)
        self.look()

    def see(self, seat: Seat, seq: int, seen: Frame) -> None:
        assert seq > seat.answered, "what was answered does not come again"
        assert seq > max(seat.unanswered, default=0), "entries come in order"
        if seq in seat.seen:
            assert seat.seen[seq][0].headers == seen[0].headers
            assert seat.seen[seq][1] == seen[1]
        seat.seen[seq] = seen
        seat.unanswered.append(seq)

    @rule(key=KEYS, window=st.integers(1, 5))
    def come(self, key: tuple[bytes, bytes], window: int) -> None:
        self.connect(self.seats[key], window)

    @rule(key=KEYS)
    def go(self, key: tuple[bytes, bytes]) -> None:
        self.leave(self.seats[key])

    @rule(
        key=KEYS,
        recipient=st.sampled_from(NAMES),
        count=st.integers(1, 6),
        expires=st.sampled_from([None, None, 5]),
    )
    def send(self, key: tuple[bytes, bytes], recipient: bytes, count: int, expires: int | None) -> None:
        seat = self.seats[key]
        if seat.line is None:
            return
        data = b""
        for _ in range(count):
            self.count += 1
            identifier = b"m%d" % self.count
            body = b"%b to %b: %d" % (seat.name, recipient, self.count)
            self.sent[identifier] = (seat.name, recipient, body)
            data += message(recipient, body, identifier, expires=expires)
        self.write(seat, data)

    @rule(key=KEYS, data=st.data())
    def send_again(self, key: tuple[bytes, bytes], data: st.DataObject) -> None:
        seat = self.seats[key]
        own = [identifier for identifier, (name, *_) in self.sent.items() if name == seat.name]
        if seat.line is None or not own:
            return
        identifier = data.draw(st.sampled_from(own))
        _, recipient, body = self.sent[identifier]
        self.write(seat, message(recipient, body, identifier))

    @rule(key=KEYS, data=st.data())
    def answer(self, key: tuple[bytes, bytes], data: st.DataObject) -> None:
        seat = self.seats[key]
        if seat.line is None or not seat.unanswered:
            return
        seq = data.draw(st.sampled_from(seat.unanswered))
        seat.unanswered = [each for each in seat.unanswered if each > seq]
        seat.answered = seq
        self.write(seat, taken(seq))

    @rule(key=KEYS, data=st.data())
    def read(self, key: tuple[bytes, bytes], data: st.DataObject) -> None:
        seat = self.seats[key]
        came = [seq for seq, (head, _) in seat.seen.items() if head.verb is Verb.FORWARD and b"to" not in head.headers]
        if seat.line is None or not came:
            return
        seq = data.draw(st.sampled_from(came))
        self.write(seat, frame(Verb.READ, seat.seen[seq][0].name, seq=seq))

    @rule(seconds=st.sampled_from([0.25, 3.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.mail.advance(seconds)
        self.look()

    def teardown(self) -> None:
        for seat in self.seats.values():  # everybody comes back and takes everything
            self.connect(seat, 3)
        busy = True
        while busy:
            busy = False
            for seat in self.seats.values():
                if seat.line is not None and seat.unanswered:
                    busy = True
                    seat.answered, seat.unanswered = seat.unanswered[-1], []
                    self.write(seat, taken(seat.answered))
        for seat in self.seats.values():
            came = [
                (head.headers[b"id"], head.name, body)
                for _, (head, body) in sorted(seat.seen.items())
                if head.verb is Verb.FORWARD and b"to" not in head.headers
            ]
            identifiers = [identifier for identifier, _, _ in came]
            assert len(set(identifiers)) == len(identifiers), "nothing is shown twice"
            for identifier, sender, body in came:
                assert self.sent[identifier] == (sender, seat.name, body), "nobody gets what is not theirs"
            for identifier, (_, recipient, _) in self.accepted.items():
                if recipient == seat.name and identifier not in self.failed:
                    assert identifier in identifiers, "what was accepted arrives"
            for name in NAMES:
                numbers = [int(identifier[1:]) for identifier, sender, _ in came if sender == name]
                assert numbers == sorted(numbers), "in the order in which it was sent"
        for seat in self.seats.values():
            self.leave(seat)
        assert not self.mail.exchange.requests


TestAnyMail = AnyMail.TestCase
TestAnyMail.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
