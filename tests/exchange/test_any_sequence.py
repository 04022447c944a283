"""Whatever happens in whatever order, the exchange keeps its promises."""

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.examples import examples
from tests.exchange.network import End, Network
from twotick.exchange import Limits
from twotick.wire import (
    CLASSIC_SIDES,
    HEADER_INCOMPLETE,
    MALFORMED_USERNAME,
    NO_USER_REGISTERED,
    HeadCache,
    Parser,
    Side,
    Verb,
    error,
    received,
    register,
    registered,
    send,
)

LIMITS = Limits(
    answer_timeout=30, window=3, unanswered=5, queue_messages=3, queue_bytes=40, queue_bytes_total=60, refusals=3
)
NAMES = [b"alice", b"bob", b"BOB", b"carol"]
RECIPIENTS = [*NAMES, b"ALL", b"nobody"]


@dataclass(eq=False)
class Message:
    """A SEND: who wrote it to whom, and what has become of it."""

    body: bytes
    sender: "Person"
    recipient: bytes
    receivers: "set[Person]"
    deadline: float
    forwarded: "set[Person]" = field(default_factory=set["Person"])
    taken: "set[Person]" = field(default_factory=set["Person"])
    failed: "set[Person]" = field(default_factory=set["Person"])


@dataclass(eq=False)
class Person:
    """One connection of a client, with what the client wrote and was given."""

    end: End
    address: str
    parser: Parser = field(default_factory=lambda: Parser(HeadCache(1 << 20)))
    side: Side | None = None
    name: bytes = b""
    window: int = 1
    errors: int = 0
    registered: bool = False
    here: bool = True
    finished: bool = False
    clogged: bool = False
    unanswered: list[Message] = field(default_factory=list[Message])
    heard: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])


class AnySequence(RuleBasedStateMachine):
    """People who come, write, answer, err, stall and leave; what they see is compared with what was promised."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network(LIMITS)
        self.people: list[Person] = []
        self.users: dict[bytes, dict[Side, Person]] = {}
        self.complete: set[bytes] = set()
        self.messages: list[Message] = []

    # What people do

    @rule(address=st.sampled_from(["127.0.0.1", "127.0.0.1", "127.0.0.1", "192.0.2.1"]))
    def connect(self, address: str) -> None:
        if len(self.people) < 12:
            self.people.append(Person(self.network.connect(address), address))

    @rule(name=st.sampled_from(NAMES), window=st.sampled_from([None, 2, 9]))
    def enter(self, name: bytes, window: int | None) -> None:
        for side in CLASSIC_SIDES:
            person = Person(self.network.connect(), "127.0.0.1")
            self.people.append(person)
            self.ask_for_name(person, side, name, window if side is Side.RECEIVING else None)

    @rule(
        data=st.data(),
        side=st.sampled_from(CLASSIC_SIDES),
        name=st.sampled_from(NAMES),
        window=st.sampled_from([None, 2, 9]),
    )
    def register(self, data: st.DataObject, side: Side, name: bytes, window: int | None) -> None:
        if person := self.pick(data, [each for each in self.people if each.here and not each.end.paused]):
            self.ask_for_name(person, side, name, window)

    def ask_for_name(self, person: Person, side: Side, name: bytes, window: int | None) -> None:
        """Rules 4.2 to 4.9."""
        user = self.users.get(name.lower(), {})
        held_elsewhere = any(each.address != person.address for each in user.values())
        before = len(person.end.given)
        person.end.write(register(side, name, window))
        news = person.end.given[before:]
        if person.side is not None or side in user or held_elsewhere:
            assert news == MALFORMED_USERNAME
            if not person.registered:
                self.err(person)
        else:
            granted = min(window, LIMITS.window) if window and side is Side.RECEIVING else None
            assert news == registered(side, name, granted)
            person.side, person.name, person.window = side, name, granted or 1
            user = self.users.setdefault(name.lower(), {})
            user[side] = person
            if len(user) == 2 or name.lower() in self.complete:
                self.complete.add(name.lower())
                for each in user.values():
                    each.registered = True
            self.skip(person, news)
            return
        self.skip(person, news)

    def err(self, person: Person) -> None:
        """Rule 4.11."""
        person.errors += 1
        assert person.end.closed == (person.errors >= LIMITS.refusals)
        if person.end.closed:
            self.leave(person)

    def skip(self, person: Person, news: bytes) -> None:
        """These frames were looked at already."""
        person.parser.feed(news)
        assert not person.parser.partial
        person.end.read()

    @rule(data=st.data())
    def speak_too_early(self, data: st.DataObject) -> None:
        """Rule 4.5."""
        if person := self.pick(data, [each for each in self.people if each.here and not each.registered]):
            assert person.end.ask(send(b"bob", b"too early")) == NO_USER_REGISTERED
            self.err(person)

    @rule(data=st.data(), recipients=st.lists(st.sampled_from(RECIPIENTS), min_size=1, max_size=4))
    def send(self, data: st.DataObject, recipients: list[bytes]) -> None:
        """Rules 5.1, 5.5 and 5.9."""
        person = self.pick(data, [each for each in self.registered(Side.SENDING) if not each.end.paused])
        if person is None:
            return
        wire = b""
        for recipient in recipients[: LIMITS.unanswered - len(person.unanswered)]:
            body = b"%d" % len(self.messages)
            others = self.registered(Side.RECEIVING)
            if recipient == b"ALL":
                receivers = {each for each in others if each.name.lower() != person.name.lower()}
            else:
                receivers = {each for each in others if each.name.lower() == recipient.lower()}
            deadline = self.network.now + LIMITS.answer_timeout
            message = Message(body, person, recipient, receivers, deadline)
            self.messages.append(message)
            person.unanswered.append(message)
            wire += send(recipient, body)
        person.end.write(wire)
        self.look()

    @rule(data=st.data(), count=st.integers(1, 3), taken=st.booleans())
    def answer(self, data: st.DataObject, count: int, taken: bool) -> None:
        """Rule 5.3: also several at once, and late ones (5.7)."""
        people = [each for each in self.registered(Side.RECEIVING) if each.unanswered and not each.end.paused]
        person = self.pick(data, people)
        if person is None:
            return
        wire = b""
        for _ in range(min(count, len(person.unanswered))):
            message = person.unanswered.pop(0)
            if message.deadline > self.network.now:
                (message.taken if taken else message.failed).add(person)
            wire += received(message.sender.name) if taken else error(103)
        person.end.write(wire)
        self.look()

    @rule(data=st.data(), name=st.sampled_from([*NAMES, b"nobody"]))
    def answer_another_sender(self, data: st.DataObject, name: bytes) -> None:
        """Rule 5.3."""
        # What is written to a connection that is not read is an answer to what may be forwarded to it until then.
        if person := self.pick(data, [each for each in self.registered(Side.RECEIVING) if not each.end.paused]):
            if not person.unanswered or person.unanswered[0].sender.name.lower() != name.lower():
                person.end.write(received(name))
            self.look()

    @rule(data=st.data(), half=st.booleans())
    def go(self, data: st.DataObject, half: bool) -> None:
        """Rules 4.8 and 4.12."""
        if person := self.pick(data, [each for each in self.people if each.here]):
            self.leave(person)
            if half:
                person.finished = True
                person.end.finish()
            else:
                person.unanswered.clear()
                person.end.disconnect()
            self.look()

    @rule(data=st.data())
    def babble(self, data: st.DataObject) -> None:
        """Rule 7.4."""
        if person := self.pick(data, [each for each in self.people if each.here and not each.end.paused]):
            both = list(self.users[person.name.lower()].values()) if person.side else [person]
            for each in both:
                self.leave(each)
            person.end.write(b"SEND bob\nContent-length: -1\n\n")
            assert person.end.given.endswith(HEADER_INCOMPLETE)
            assert all(each.end.closed for each in both)
            person.end.given = person.end.given.removesuffix(HEADER_INCOMPLETE)
            self.look()
            for each in both:
                each.unanswered.clear()

    @rule(data=st.data())
    def clog_or_flow(self, data: st.DataObject) -> None:
        """A connection stops or starts to take output."""
        if person := self.pick(data, [each for each in self.people if each.registered and each.here]):
            person.clogged = not person.clogged
            if person.clogged:
                person.end.clog()
            else:
                person.end.flow()
            self.look()

    @rule(seconds=st.sampled_from([0.25, 5.0, 31.0]))
    def wait(self, seconds: float) -> None:
        """Rule 5.7."""
        self.network.advance(seconds)
        self.look()

    # What they see

    def pick(self, data: st.DataObject, people: list[Person]) -> Person | None:
        return data.draw(st.sampled_from(people)) if people else None

    def registered(self, side: Side) -> list[Person]:
        return [each for each in self.people if each.here and each.registered and each.side is side]

    def leave(self, person: Person) -> None:
        """A connection gives up its side of its name."""
        person.here = False
        if person.side is not None:
            user = self.users[person.name.lower()]
            del user[person.side]
            if not user:
                del self.users[person.name.lower()]
                self.complete.discard(person.name.lower())
        if person.side is Side.RECEIVING:
            person.unanswered.clear()
            for message in self.messages:
                if person in message.receivers and person not in message.taken:
                    message.failed.add(person)

    def look(self) -> None:
        """Let everybody look at what they were given, and at what they were not."""
        for person in self.people:
            for head, body in person.parser.feed(person.end.read()):
                if head.verb is Verb.FORWARD:
                    self.take_forward(person, head.name, body)
                else:
                    assert person.side is Side.SENDING
                    self.take_answer(person, head.verb, head.name, head.code)
            assert not person.parser.partial
            assert not person.finished or person.end.closed != bool(person.unanswered)
        for person in self.registered(Side.SENDING):
            self.nothing_is_overdue(person)

    def take_forward(self, person: Person, sender: bytes, body: bytes) -> None:
        """Rules 4.2, 5.2, 5.5, 5.6 and 6.1."""
        message = self.messages[int(body)]
        assert person in message.receivers
        assert person not in message.forwarded
        assert not person.clogged
        assert message.deadline > self.network.now
        assert sender == message.sender.name
        message.forwarded.add(person)
        person.unanswered.append(message)
        assert len(person.unanswered) <= person.window
        key = b"%d" % id(message.sender)
        assert int(person.heard.get(key, b"-1")) < int(body)
        person.heard[key] = body

    def take_answer(self, person: Person, verb: Verb, name: bytes, code: int) -> None:
        """Rules 5.4, 5.5, 5.7 and 5.9."""
        message = person.unanswered.pop(0)
        if verb is Verb.SENT:
            assert name == message.recipient
            assert message.receivers == message.taken
            return
        assert (verb, code) == (Verb.ERROR, 102)
        if message.deadline > self.network.now:
            no_room = message.receivers - message.forwarded
            assert message.failed or no_room or not message.receivers
        if message.recipient != b"ALL":
            assert not message.taken

    def nothing_is_overdue(self, person: Person) -> None:
        """Rules 5.5 to 5.9: what is decided is answered, what can be forwarded was, and who owes nothing is read."""
        if not person.unanswered:
            assert person.clogged or not person.end.paused
            return
        message = person.unanswered[0]
        assert message.deadline > self.network.now
        assert message.receivers != message.taken
        assert not message.receivers <= message.taken | message.failed
        for receiver in message.receivers - message.forwarded - message.failed:
            if message.recipient != b"ALL":
                assert receiver.clogged or len(receiver.unanswered) == receiver.window

    def teardown(self) -> None:
        """In the end everybody who stayed was answered, and when all have left nothing is held."""
        self.network.advance(1000)
        self.look()
        assert not any(person.unanswered for person in self.registered(Side.SENDING))
        assert self.network.exchange.idle
        assert self.network.leave() == {}


AnySequence.TestCase.settings = examples(1.5)
TestAnySequence = AnySequence.TestCase
