"""Random sequences of events among members and in a room: nothing is lost, doubled, mixed or out of order."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.examples import examples
from tests.exchange.mail import Line, Mail, message, taken
from twotick.wire import Frame, Verb, frame

KEYS = st.sampled_from([(name, device) for name in (b"alice", b"bob", b"carol") for device in (b"phone", b"laptop")])
NAMES = [b"alice", b"bob", b"carol"]
DEVICES = [b"phone", b"laptop"]
ROOM = b"#team"
"""A public room, which alice has made."""


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
        self.accepted: dict[bytes, tuple[bytes, bytes, bytes]] = {}  # Id: sender, recipient, body
        self.failed: set[bytes] = set()
        self.refused: set[bytes] = set()  # at first; if they were accepted when they came again, that was later
        self.bodies: dict[bytes, set[bytes]] = {}  # what a message was and became, by its Id
        self.inside: set[bytes] = set()  # the members of the room
        self.owed: dict[bytes, set[bytes]] = {}  # who must get what was accepted for the room, by its Id
        for seat in self.seats.values():
            self.connect(seat, 4)
        self.change_room(self.seats[b"alice", b"phone"], b"create")

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
                    self.accepted[identifier] = sender, recipient, _ = self.sent[identifier]
                    if recipient == ROOM and identifier not in self.owed:
                        assert sender in self.inside, "only members send to a room"
                        self.owed[identifier] = self.inside - {sender}
                if head.verb is Verb.ERROR:
                    assert head.code == 102, head
                    self.failed.add(identifier)
                    if identifier not in self.accepted:
                        self.refused.add(identifier)
                if b"seq" in head.headers and head.verb is not Verb.ACCEPTED:
                    self.see(seat, int(head.headers[b"seq"]), (head, body))

    def write(self, seat: Seat, data: bytes) -> None:
        assert seat.line is not None
        seat.line.got = seat.line.write(data)
        self.look()

    def see(self, seat: Seat, seq: int, seen: Frame) -> None:
        assert seq > seat.answered, "what was answered does not come again"
        assert seq > max(seat.unanswered, default=0), "entries come in order"
        if seq in seat.seen and len(self.bodies.get(seen[0].headers.get(b"id", b""), ())) < 2:
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
        recipient=st.sampled_from([*NAMES, ROOM, ROOM]),
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
            self.bodies[identifier] = {body}
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

    @rule(key=KEYS, deleted=st.booleans(), data=st.data())
    def change(self, key: tuple[bytes, bytes], deleted: bool, data: st.DataObject) -> None:
        """Edit or delete a message, which may have come to nothing."""
        seat = self.seats[key]
        own = [identifier for identifier, (name, *_) in self.sent.items() if name == seat.name]
        if seat.line is None or not own:
            return
        changed = data.draw(st.sampled_from(own))
        _, recipient, _ = self.sent[changed]
        self.count += 1
        identifier = b"m%d" % self.count
        body = b"" if deleted else b"%d instead of %b" % (self.count, changed)
        self.sent[identifier] = (seat.name, recipient, body)
        self.bodies[identifier] = {body}
        if deleted:  # what it says is gone, and so is what edits of it say
            for each in self.bodies:
                self.bodies[each].add(b"")
        else:
            self.bodies[changed].add(body)
        what = {"deletes" if deleted else "edits": changed}
        self.write(seat, message(recipient, body, identifier, **what))

    @rule(key=KEYS, do=st.sampled_from([b"join", b"join", b"leave"]))
    def change_room(self, key: tuple[bytes, bytes] | Seat, do: bytes) -> None:
        seat = key if isinstance(key, Seat) else self.seats[key]
        if seat.line is None or (do == b"leave" and self.inside == {seat.name}):
            return
        access = b"public" if do == b"create" else None
        self.write(seat, frame(Verb.ROOM, ROOM, None, b"", do=do, access=access))
        (self.inside.discard if do == b"leave" else self.inside.add)(seat.name)

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
        came = [seq for seq, seen in seat.seen.items() if self.came(seat, seen)]
        if seat.line is None or not came:
            return
        seq = data.draw(st.sampled_from(came))
        head, _ = seat.seen[seq]
        self.write(seat, frame(Verb.READ, head.headers.get(b"to", head.name), seq=seq))

    def came(self, seat: Seat, seen: Frame) -> bool:
        """Return whether it is a message that was received: no event, and no copy of a message that was sent."""
        head, _ = seen
        own = head.name == seat.name and b"to" in head.headers
        return head.verb is Verb.FORWARD and b"id" in head.headers and not own

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
                (head.headers[b"id"], head.name, head.headers.get(b"to", seat.name), body, head.headers.get(b"place"))
                for _, (head, body) in sorted(seat.seen.items())
                if self.came(seat, (head, body))
            ]
            identifiers = [identifier for identifier, *_ in came]
            assert len(set(identifiers)) == len(identifiers), "nothing is shown twice"
            for identifier, sender, recipient, body, _ in came:
                assert self.sent[identifier][:2] == (sender, recipient), "nobody gets what is not theirs"
                assert recipient != ROOM or seat.name in self.owed[identifier], "or what was sent to others in a room"
                assert body in self.bodies[identifier], "and as it was or became"
            for identifier, (_, recipient, _) in self.accepted.items():
                due = seat.name == recipient or seat.name in self.owed.get(identifier, ())
                if due and identifier not in self.failed:
                    assert identifier in identifiers, "what was accepted arrives"
            for name in NAMES:
                numbers = [int(each[1:]) for each, sender, *_ in came if sender == name and each not in self.refused]
                assert numbers == sorted(numbers), "in the order in which it was sent"
            places = [int(place) for *_, place in came if place is not None]
            assert places == sorted(set(places)), "and in the order of the room"
        for seat in self.seats.values():
            self.leave(seat)
        assert not self.mail.exchange.requests


TestAnyMail = AnyMail.TestCase
TestAnyMail.settings = examples(0.6)
