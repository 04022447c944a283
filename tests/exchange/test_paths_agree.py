"""The fast path through the exchange does what the general way does.

What is guarded:

- `TestBothWays`: the lines of `Relay` and `Router` that handle a SEND and a RECEIVED at once, between classic
  connections or between guests with extended ones, and that take several SENDs together. Whatever happens, every
  connection is given the same bytes, and is paused and closed at the same time, in an exchange that is kept from using
  them.
- `test_entries_are_the_general_frames`: the entries of a log that are not written by `frame`.
"""

from collections import deque
from collections.abc import Callable
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.exchange.network import End, Network, inside
from twotick.exchange import Limits
from twotick.exchange.connection import SETTLED, Broadcast, Pending
from twotick.exchange.entries import entry_frame
from twotick.exchange.guests import Guests
from twotick.exchange.relay import Relay
from twotick.store import EntryKind, LogEntry, MessageState
from twotick.wire import Frame, Parser, Side, Verb, error, frame, received, register, send


class GeneralNetwork(Network):
    """A network in which every message takes the general way."""

    def parse(self, parser: Parser, data: bytes) -> list[Frame]:
        """Also hide from the exchange that some heads have nothing but an Id."""
        frames = parser.feed(data)
        for head, _ in frames:
            head.is_plain = False
        return frames

    def flush(self) -> None:
        """Also move all classic receivers to where they are not sent to in line.

        They come before the extended ones there, since SEND ALL goes through them in that order.
        """
        super().flush()
        guests: Guests = inside(self.exchange, "_guests")
        classic, others = guests.receivers, guests.duplex
        everybody = sorted((others | classic).items(), key=lambda item: item[1].extended)
        classic.clear()
        others.clear()
        others.update(everybody)
        for receiver in others.values():
            receiver.pending = deque(map(self.as_to_all, receiver.pending or ()))
            for waiting in (receiver.queue or {}).values():
                messages = [(self.as_to_all(message), body) for message, body in waiting]
                waiting.clear()
                waiting.extend(messages)

    def as_to_all(self, message: Pending) -> Pending:
        """The message as if it were one to all, with a single receiver: the answer to it is not taken in line."""
        sender, send, number, deadline, broadcast = message
        if number != SETTLED:
            relay: Relay = inside(self.exchange, "_relay")
            number, broadcast = SETTLED, Broadcast(1, partial(relay.reply, sender, number, send))
        return sender, send, number, deadline, broadcast


# All queues are full before what one sender has in them is a quarter of `queue_bytes`, from which on it is not read: so
# it makes no difference whether its SENDs come together or one by one.
LIMITS = Limits(answer_timeout=30, window=3, unanswered=4, queue_messages=3, queue_bytes=320, queue_bytes_total=60)
WINDOWS = {b"alice": None, b"bob": 2, b"carol": 3, b"dave": 2, b"erin": 1}
SENDING = [
    (b"alice", Side.SENDING),
    (b"bob", Side.SENDING),
    (b"carol", Side.SENDING),
    (b"dave", Side.DUPLEX),
    (b"erin", Side.DUPLEX),
]
RECEIVING = [(b"alice", Side.RECEIVING), (b"bob", Side.RECEIVING), (b"carol", Side.RECEIVING), *SENDING[-2:]]
ANY = [*SENDING, *RECEIVING[:-2]]
RECIPIENTS = [
    b"alice",
    b"bob",
    b"carol",
    b"alice",
    b"bob",
    b"carol",
    b"BOB",
    b"dave",
    b"dave",
    b"erin",
    b"ALL",
    b"nobody",
]
ANSWERS = ["taken"] * 8 + ["refused", "refused", "wrong", "nameless", "registration"]
NONSENSE = b"SEND\n\n"


def messages_to(recipients: list[bytes]) -> st.SearchStrategy[list[tuple[bytes, int]]]:
    """Messages to a few: to whom each of them is, and the length of its body."""
    return st.lists(st.tuples(st.sampled_from(recipients), st.sampled_from([3, 3, 20])), min_size=1, max_size=7)


class BothWays(RuleBasedStateMachine):
    """The same happens to two exchanges. Who is not there when something is to happen to them comes back first."""

    def __init__(self) -> None:
        super().__init__()
        self.fast = Network(LIMITS)
        self.general = GeneralNetwork(LIMITS)
        self.ends: dict[tuple[bytes, Side], tuple[End, End]] = {}
        self.count = 0
        for name in WINDOWS:
            self.come(name)

    def come(self, name: bytes) -> None:
        for key in ANY:
            if key[0] == name and (key not in self.ends or self.ends[key][0].connection.guest is None):
                self.ends[key] = self.fast.connect(), self.general.connect()
                window = None if key[1] is Side.SENDING else WINDOWS[name]
                self.each(key, lambda end, side=key[1], window=window: end.write(register(side, name, window)))

    def each(self, key: tuple[bytes, Side], event: Callable[[End], None]) -> None:
        for end in self.ends[key]:
            event(end)

    @rule(
        key=st.sampled_from(SENDING),
        messages=st.lists(st.sampled_from(RECIPIENTS), min_size=1, max_size=2).flatmap(messages_to),
        extra=st.sampled_from([b""] * 12 + [register(Side.SENDING, b"alice"), NONSENSE]),
        leaves=st.sampled_from([False, False, False, True]),
    )
    def send(self, key: tuple[bytes, Side], messages: list[tuple[bytes, int]], extra: bytes, leaves: bool) -> None:
        """Write several messages, at once and one by one; perhaps nothing after that."""
        self.come(key[0])
        frames: list[bytes] = []
        for recipient, size in messages:
            self.count += 1
            body = b"%d" % self.count
            if key[1] is Side.DUPLEX:
                time = None if self.count % 4 else b"12:00"
                frames.append(frame(Verb.SEND, recipient, body.ljust(size), id=b"m" + body, time=time))
            else:
                frames.append(send(recipient, body.ljust(size)))
        frames.insert(len(frames) // 2, extra)
        fast, general = self.ends[key]
        fast.write(b"".join(frames))
        for each in frames:
            general.write(each)
        if leaves:
            self.each(key, End.finish)

    @rule(key=st.sampled_from(RECEIVING), answers=st.lists(st.sampled_from(ANSWERS), min_size=1, max_size=4))
    def answer(self, key: tuple[bytes, Side], answers: list[str]) -> None:
        """Answer several messages at once, or what looks like it."""
        self.come(key[0])
        pending = [sender.name for sender, *_ in self.ends[key][0].connection.pending or ()]
        data = b""
        for answer in answers:
            match answer:
                case "taken":
                    data += received(pending.pop(0) if pending else b"bob")
                case "refused":
                    data += error(103)
                    del pending[:1]
                case "wrong":
                    data += received(b"frank")
                case "nameless":
                    data += b"RECEIVED\n\n"
                case _:
                    data += register(Side.RECEIVING, b"bob")
        self.each(key, lambda end: end.write(data))

    @rule(keys=st.permutations(RECEIVING), times=st.integers(1, 3))
    def answer_all(self, keys: list[tuple[bytes, Side]], times: int) -> None:
        """Everybody takes what they have, and perhaps what they are given then."""
        for key in keys * times:
            pending = self.ends[key][0].connection.pending or ()
            data = b"".join(received(sender.name) for sender, *_ in pending)
            self.each(key, lambda end, data=data: end.write(data))

    @rule(key=st.sampled_from(ANY), clogged=st.booleans())
    def clog_or_flow(self, key: tuple[bytes, Side], clogged: bool) -> None:
        """Take no more output, or take it again."""
        self.come(key[0])
        self.each(key, End.clog if clogged else End.flow)

    @rule(key=st.sampled_from(ANY), nonsense=st.booleans())
    def go(self, key: tuple[bytes, Side], nonsense: bool) -> None:
        """Close a connection, or write nonsense, which closes both of a user."""
        self.come(key[0])
        self.each(key, (lambda end: end.write(NONSENSE)) if nonsense else End.disconnect)

    @rule(seconds=st.sampled_from([0.25, 5.0, 5.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.fast.advance(seconds)
        self.general.advance(seconds)

    @invariant()
    def nobody_can_tell_them_apart(self) -> None:
        for fast, general in zip(self.fast.ends, self.general.ends, strict=True):
            assert (fast.given, fast.closed) == (general.given, general.closed)
            assert fast.closed or fast.paused == general.paused

    def teardown(self) -> None:
        """The server stops while things are as they are."""
        for network in self.fast, self.general:
            network.exchange.drain()
            network.advance(1.0)
        self.nobody_can_tell_them_apart()
        for network in self.fast, self.general:
            network.exchange.close()
            network.flush()
        self.nobody_can_tell_them_apart()
        assert self.fast.leave() == self.general.leave() == {}


TestBothWays = BothWays.TestCase


@st.composite
def entries(draw: st.DrawFn) -> LogEntry:
    """An entry of any kind, as a store makes it: what comes from a classic guest, and an event, has no Id."""
    kind = draw(st.sampled_from(EntryKind))
    own = kind in (EntryKind.SENT, EntryKind.DELIVERED, EntryKind.READ, EntryKind.FAILED)
    carries = kind in (EntryKind.RECEIVED, EntryKind.SENT)
    in_room = carries and draw(st.booleans())
    return LogEntry(
        member=1,
        seq=draw(st.sampled_from([1, 9, 10**15, *([0] if in_room else [])])),
        kind=kind,
        message=2,
        peer=draw(st.sampled_from([b"alice", b"Bob", b"ALL"])),
        id=b""
        if kind is EntryKind.READ_HERE
        else draw(st.sampled_from([b"m1", b"._-", b"a" * 64] + [b""] * (not own))),
        headers=draw(st.sampled_from([b"", b"Time: 12:00\n", b"Time: 12:00\nX-a: b\n"])) if carries else b"",
        body=draw(st.binary(max_size=300)) if carries else b"",
        device=b"laptop",
        up_to=7,
        reason="the recipient refused the message",
        state=draw(st.sampled_from(MessageState)),
        room=b"#team" if in_room and kind is EntryKind.RECEIVED else b"",
        place=draw(st.sampled_from([1, 10**6])) if in_room else 0,
    )


@given(entries(), st.booleans(), st.sampled_from([None, b"-", b"h1"]))
def test_entries_are_the_general_frames(entry: LogEntry, numbered: bool, history: bytes | None) -> None:
    """The table of rule 11.1, and rules 11.9 and 12.5."""
    name, own = entry.peer, entry.kind is EntryKind.SENT
    seq = entry.seq if numbered and entry.seq else None
    identifier = entry.id or None
    match entry.kind:
        case EntryKind.RECEIVED | EntryKind.SENT:
            state = entry.state.name.lower().encode() if own and history is not None else None
            name, to = (b"carol", name) if own else (name, entry.room or None)
            ways = {
                "to": to,
                "place": entry.place or None,
                "id": identifier,
                "seq": seq,
                "history": history,
                "state": state,
            }
            expected = frame(Verb.FORWARD, name, entry.body, entry.headers, **ways)
        case EntryKind.DELIVERED:
            expected = frame(Verb.SENT, name, id=identifier, seq=seq)
        case EntryKind.READ:
            expected = frame(Verb.READ, name, id=identifier, seq=seq)
        case EntryKind.READ_HERE:
            expected = frame(Verb.READ, name, seq=seq, up_to=entry.up_to)
        case EntryKind.FAILED:
            expected = error(102, id=identifier, seq=seq, reason=entry.reason.encode())
    assert entry_frame(entry, b"carol", numbered=numbered, history=history) == expected
