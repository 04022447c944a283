"""The entries that a device acknowledges and shows, whatever is lost (docs/protocol.md, rules 11.2 to 11.5)."""

from collections import deque

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.examples import examples
from twotick.client.member.events import Decision, Entry, ReadEvent
from twotick.client.member.inbox import Inbox
from twotick.wire import HeadCache, Parser, Verb


class Program:
    """Owns entries. The test reports their decisions to the inbox itself."""

    async def decided(self, entry: Entry) -> None:
        raise NotImplementedError

    async def mark_read(self, sender: str, seq: int) -> None:
        raise NotImplementedError


class Conversation(RuleBasedStateMachine):
    """A device, its server, and a connection that may lose anything."""

    def __init__(self) -> None:
        super().__init__()
        self.inbox = Inbox(b"alice")
        self.program = Program()
        # The server's side: the log without what has expired, the device's cursor, what it has heard of each entry.
        self.log: dict[int, bool] = {}  # whether the client decides by itself, as for its own receipts
        self.last = 0
        self.cursor = 0
        self.unanswered: list[int] = []
        self.sent = 0
        self.heard: dict[int, Verb] = {}
        self.window = 1
        self.connected = False
        self.to_client: deque[int] = deque()
        self.to_server = b""
        # The program's side.
        self.taken: dict[int, Entry] = {}
        self.shown: list[int] = []
        self.decided: dict[int, Decision] = {}

    @initialize(window=st.integers(1, 4))
    def begin(self, window: int) -> None:
        self.window = window
        self.connect()

    # The server

    @rule(count=st.integers(1, 3), ours=st.booleans())
    def append(self, count: int, ours: bool) -> None:
        for _ in range(count):
            self.last += 1
            self.log[self.last] = ours

    @precondition(lambda self: any(seq > self.cursor for seq in self.log))
    @rule(data=st.data())
    def expire(self, data: st.DataObject) -> None:
        """Let an entry expire that the device does not have yet."""
        del self.log[data.draw(st.sampled_from([seq for seq in self.log if seq > self.cursor]))]

    @precondition(lambda self: self.connected)
    @rule()
    def serve(self) -> None:
        for seq in self.log:
            if seq > self.sent and len(self.unanswered) < self.window:
                self.sent = seq
                self.unanswered.append(seq)
                self.to_client.append(seq)

    @precondition(lambda self: self.to_server)
    @rule(data=st.data())
    def hear(self, data: st.DataObject) -> None:
        frames = Parser(HeadCache(0)).feed(self.to_server)
        self.to_server = b""
        for head, _ in frames[: data.draw(st.integers(1, len(frames)))]:  # the rest is lost with the connection
            seq = int(head.headers[b"seq"])
            if seq in self.unanswered:
                for passed in [each for each in self.unanswered if each <= seq]:
                    self.unanswered.remove(passed)
                    if passed in self.log:
                        self.heard[passed] = head.verb if passed == seq else Verb.RECEIVED
                self.cursor = seq
        if len(frames) > 1:
            self.lose()

    # The connection

    @precondition(lambda self: not self.connected)
    @rule()
    def connect(self) -> None:
        asked = self.inbox.resume()
        if asked > self.cursor:
            for seq in self.log:
                if self.cursor < seq <= asked:
                    self.heard[seq] = Verb.RECEIVED
            self.cursor = asked
        self.sent = self.cursor
        self.unanswered = []
        self.connected = True
        assert self.inbox.opened(self.cursor, asked, self.window)

    @precondition(lambda self: self.connected)
    @rule()
    def lose(self) -> None:
        self.connected = False
        self.to_client.clear()
        self.to_server = b""
        self.inbox.lost()

    @precondition(lambda self: self.to_client)
    @rule()
    def deliver(self) -> None:
        seq = self.to_client.popleft()
        entry = Entry(self.program, seq, b"bob")  # type: ignore[arg-type]
        if self.log.get(seq, False):
            entry.decision = Decision.TAKEN
        self.to_server += self.inbox.arrive(entry)

    # The program

    @rule()
    def take(self) -> None:
        entry = self.inbox.take()
        if entry is not None:
            self.shown.append(entry.seq)
            self.taken[entry.seq] = entry

    @precondition(lambda self: any(seq not in self.decided for seq in self.taken))
    @rule(data=st.data(), decision=st.sampled_from(Decision))
    def decide(self, data: st.DataObject, decision: Decision) -> None:
        seq = data.draw(st.sampled_from([seq for seq in self.taken if seq not in self.decided]))
        self.decided[seq] = self.taken[seq].decision = decision
        answers = self.inbox.answers()
        if self.connected:
            self.to_server += answers

    # What must be true

    @invariant()
    def nothing_is_shown_twice_or_out_of_order(self) -> None:
        assert self.shown == sorted(set(self.shown))

    @invariant()
    def the_server_hears_what_was_decided_and_nothing_else(self) -> None:
        for seq, verb in self.heard.items():
            if not self.log.get(seq, True):
                told = {Verb.RECEIVED: Decision.TAKEN, Verb.ERROR: Decision.REFUSED}[verb]
                assert self.decided.get(seq) is told

    def teardown(self) -> None:
        """Check that in the end every entry of the log is shown, decided and acknowledged."""
        if not self.connected:
            self.connect()
        for _ in range(4 * len(self.log) + 4):
            self.serve()
            while self.to_client:
                self.deliver()
            self.take()
            for seq in self.taken:
                if seq not in self.decided:
                    self.decided[seq] = self.taken[seq].decision = Decision.TAKEN
            self.to_server += self.inbox.answers()
            for head, _ in Parser(HeadCache(0)).feed(self.to_server):
                seq = int(head.headers[b"seq"])
                if seq in self.unanswered:
                    self.unanswered = [each for each in self.unanswered if each > seq]
                    self.cursor = seq
            self.to_server = b""
            self.nothing_is_shown_twice_or_out_of_order()
        assert self.unanswered == []
        assert {seq for seq, ours in self.log.items() if not ours} <= set(self.shown)
        assert self.cursor >= max(self.log, default=0)


TestConversation = Conversation.TestCase
TestConversation.settings = examples(1.5)


def test_another_log_with_the_same_numbers_is_noticed() -> None:
    """After the restoration of a backup, entry 2 is another one: it is neither what waits here nor what was refused."""
    inbox, program = Inbox(b"alice"), Program()
    inbox.opened(0, 0, 4)
    for seq, up_to in ((1, 10), (2, 20), (3, 30)):
        entry = ReadEvent(program, seq, b"bob", up_to)
        entry.decision = Decision.REFUSED if seq == 2 else Decision.TAKEN
        inbox.arrive(entry)
    waiting = ReadEvent(program, 4, b"bob", 40)
    inbox.arrive(waiting)
    assert inbox.resume() == 1
    while inbox.take():
        pass
    inbox.lost()
    assert inbox.opened(1, 1, 4)
    assert b"ERROR" in inbox.arrive(ReadEvent(program, 2, b"bob", 20)), "the same entry was refused"
    inbox.lost()
    assert inbox.opened(1, 1, 4)
    new = ReadEvent(program, 2, b"bob", 25)
    assert inbox.arrive(new) == b""
    assert inbox.take() is new


def test_an_entry_is_of_another_log_that_was_never_given_here() -> None:
    """In the old log, entry 2 was the device's own message. A refusal keeps the device from saying what it has."""
    inbox, program = Inbox(b"alice"), Program()
    inbox.opened(0, 0, 4)
    for seq, decision in ((1, Decision.REFUSED), (3, Decision.TAKEN)):
        entry = ReadEvent(program, seq, b"bob", seq)
        entry.decision = decision
        inbox.arrive(entry)
    inbox.lost()
    assert inbox.opened(1, inbox.resume(), 4)
    new = ReadEvent(program, 2, b"bob", 5)
    assert inbox.arrive(new) == b""
    assert inbox.take() is new


def test_an_entry_before_one_that_the_program_has_is_of_another_log() -> None:
    """In the old log, entry 1 was the device's own message."""
    inbox, program = Inbox(b"alice"), Program()
    inbox.opened(0, 0, 4)
    old = ReadEvent(program, 2, b"bob", 10)
    inbox.arrive(old)
    assert inbox.take() is old
    inbox.lost()
    assert inbox.opened(0, inbox.resume(), 4)
    first, second = (ReadEvent(program, seq, b"bob", 20) for seq in (1, 2))
    assert inbox.arrive(first) == inbox.arrive(second) == b""
    assert (inbox.take(), inbox.take()) == (first, second)
    old.decision = Decision.TAKEN
    assert inbox.answers() == b"", "nothing is known of the new ones yet"


def test_an_entry_of_another_log_does_not_stand_for_one_that_waits_for_the_program() -> None:
    inbox, program = Inbox(b"alice"), Program()
    inbox.opened(0, 0, 4)
    old, new = (ReadEvent(program, 1, b"bob", up_to) for up_to in (10, 20))
    inbox.arrive(old)
    assert inbox.take() is old
    inbox.lost()
    inbox.opened(0, 0, 4)
    assert inbox.arrive(new) == b""
    assert inbox.take() is new
    old.decision = Decision.TAKEN
    assert inbox.answers() == b"", "nothing is known of the new one yet"
    assert inbox.acknowledged == 0
