"""Pairs of worlds: what a member may not see makes no difference to what the member sees, nor to the work for it.

Two servers get the same from dan, and the same from others as far as dan may see it. In the one, others also do what
dan may not see. Every byte that dan is sent must be the same in both, after each step.
"""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random
from types import SimpleNamespace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.examples import examples
from tests.exchange.mail import Line, Mail, message
from tests.exchange.test_any_question import BODIES, HEADERS, NAMES, VALUES, VERBS
from twotick.store import SqliteStore, StoreLimits
from twotick.wire import send

LIMITS = StoreLimits(devices=3, room_members=4, rooms=4, settings=3, reports=2, files_bytes=1 << 20)
PEOPLE = (b"alice", b"bob", b"carol", b"dan", b"eve")

BODIES_OF_MESSAGES = [b"oats", b"wild oats", b"rye", b"oats and rye", b"@dan oats", b"@carol", b"x", b""]
QUERIES = [b"oats", b"rye", b'"wild oats"', b"oa*", b"xx*", b"carol"]
FILTERED = [
    (b"From: bob", b"oats"),
    (b"From: alice", b""),
    (b"From: dan\nLimit: 1", b""),
    (b"From: carol\nHas: file", b""),
    (b"In: bob", b""),
    (b"In: dan", b""),
    (b"In: all", b""),
    (b"In: #team\nFrom: bob", b"o"),
    (b"Since: 2026-11-22T09:30:00Z", b""),
    (b"Until: 2096-11-22T09:30:00Z\nLimit: 2", b"rye"),
    (b"Since: 2016-11-22T09:30:00Z\nUntil: 2096-11-22T09:30:00Z", b"oa*"),
]
OTHERS = [b"alice", b"bob", b"carol"]
ROOMS = [b"#den", b"#vault", b"#attic"]


class World:
    """A server with five members, each with one device; dan is the one who looks, and eve does nothing.

    Attributes:
        seen: all that dan was sent.
    """

    def __init__(self, limits: StoreLimits = LIMITS) -> None:
        self.mail = Mail(*PEOPLE, store=SqliteStore(None, limits))
        self.lines: dict[bytes, Line] = {}
        self.seen = b""
        for name in PEOPLE:
            self.connect(name)

    def connect(self, name: bytes) -> None:
        """Open a connection of a member's device, which acknowledges nothing by itself."""
        self.lines[name] = line = self.mail.device(name, window=250)
        if name == b"dan":
            self._listen(line)

    def _listen(self, line: Line) -> None:
        take = line.take

        def listen(data: bytes) -> None:
            self.seen += data
            take(data)

        line.take = listen  # type: ignore[method-assign]

    def write(self, name: bytes, data: bytes) -> None:
        line = self.lines[name]
        line.write(data)
        if line.closed:
            self.connect(name)

    def acknowledge(self, name: bytes) -> None:
        """Let a member's device have all that it was sent."""
        device = self.lines[name].connection.device
        if device is not None and device.feed is not None and device.feed.unanswered:
            self.write(name, b"RECEIVED x\nSeq: %d\n\n" % device.feed.unanswered[-1])

    def settle(self) -> None:
        """Let all that waits to be tidied be tidied."""
        while self.mail.store.tidy():
            pass

    def close(self) -> None:
        assert self.mail.store.check() == []
        self.mail.store.close()


@dataclass(frozen=True)
class Step:
    """What a user does: a frame of a member's, time that passes, or tidying."""

    name: bytes
    data: bytes
    is_hidden: bool = False
    seconds: float = 0.0

    def take(self, world: World) -> None:
        if self.data:
            world.write(self.name, self.data)
        elif self.seconds:
            world.mail.advance(self.seconds)
        else:
            world.settle()


LOOKS = [
    *(b"SEARCH\nId: q\nContent-length: %d\n\n%b" % (len(query), query) for query in QUERIES),
    *(b"SEARCH\nId: q\nLimit: 1\nContent-length: %d\n\n%b" % (len(query), query) for query in QUERIES),
    *(b"SEARCH\nId: q\nIn: #team\nContent-length: %d\n\n%b" % (len(query), query) for query in QUERIES[:2]),
    *(b"SEARCH\nId: q\nIn: bob\nContent-length: %d\n\n%b" % (len(query), query) for query in QUERIES[:2]),
    *(b"SEARCH\nId: q\nContent-length: %d\n%b\n\n%b" % (len(query), filters, query) for filters, query in FILTERED),
    b"CONVERSATIONS\nId: q\n\n",
    b"ROOMS\nId: q\n\n",
    b"STATUS\nId: q\n\n",
    b"PROFILE\nId: q\n\n",
    *(b"PROFILE %b\nId: q\n\n" % name for name in (b"alice", b"bob", b"dan", b"nobody")),
    b"DEVICES\nId: q\n\n",
    b"HISTORY\nId: q\n\n",
    b"HISTORY #team\nId: q\n\n",
    b"HISTORY #den\nId: q\n\n",
    b"HISTORY bob\nId: q\n\n",
    *(b"HISTORY bob\nId: q\nThread: %b\n\n" % each for each in (b"i1", b"bob s1", b"alice h1", b"bob h1")),
    *(b"HISTORY #team\nId: q\nThread: %b\n\n" % each for each in (b"i1", b"bob s1", b"alice h1", b"bob h1")),
    *(b"PINS %b\nId: q\n\n" % peer for peer in (b"bob", b"alice", b"#team", b"#den")),
    b"ROOM #den\nId: q\n\n",
    b"ROOM #team\nDo: members\nId: q\n\n",
    b"RECEIPTS bob\nId: i1\n\n",
    *(b"ROOM %b\nDo: create\n\n" % room for room in ROOMS),
    *(b"ROOM %b\nDo: change\nTopic: mine\n\n" % room for room in ROOMS),
    *(b"ROOM %b\nDo: join\n\n" % room for room in ROOMS),
    *(b"ROOM %b\nDo: leave\n\n" % room for room in ROOMS),
    *(b"ROOM %b\nDo: invite\nMember: eve\n\n" % room for room in ROOMS),
    *(b"ROOM %b\nDo: remove\nMember: eve\n\n" % room for room in ROOMS),
]
"""What dan may ask, besides any question."""


def any_question(random: Random) -> bytes:
    """A question or a message with headers of any kind."""
    verb = random.choice(VERBS)
    name = random.choice(NAMES[1:-5] if verb == b"SEND" else NAMES)
    lines = b"".join(b"%b: %b\n" % (random.choice(HEADERS), random.choice(VALUES)) for _ in range(random.randint(0, 4)))
    body = random.choice(BODIES if verb == b"SEND" else [None, *BODIES])
    length = b"" if body is None else b"Content-length: %d\n" % len(body)
    return b"%b %b\nId: i%d\n%b%b\n%b" % (verb, name, random.randint(1, 6), length, lines, body or b"")


def of_dan(random: Random) -> Step:
    """A question or a message of dan's."""
    if random.random() < 0.6:
        return Step(b"dan", random.choice(LOOKS))
    if random.random() < 0.5:
        return Step(b"dan", any_question(random))
    to, ident = random.choice([b"bob", b"carol", b"#team", b"dan", b"ALL", b"#vault"]), b"i%d" % random.randint(1, 6)
    about = random.choice([b"i1", b"bob s1", b"carol s2", b"alice h1", b"bob h1", b"bob h2"])
    if random.random() < 0.1:
        return Step(b"dan", message(to, b"", ident, forwards=about))
    if random.random() < 0.2:
        return Step(b"dan", message(to, b"", ident, **{random.choice(["pins", "pins", "unpins"]): about}))
    answered = {"reply_to": about} if random.random() < 0.3 else {}
    return Step(b"dan", message(to, random.choice(BODIES_OF_MESSAGES), ident, **answered))


def hidden(random: Random) -> Step:
    """What the others do among themselves: to each other, or in rooms of their own."""
    name, other, body = random.choice(OTHERS), random.choice(OTHERS), random.choice(BODIES_OF_MESSAGES)
    room, to = random.choice(ROOMS), random.choice([*OTHERS, b"#den", b"#den", b"#den"])
    guest = random.choice([*OTHERS, b"eve", b"eve"])
    ident, about, seq = b"h%d" % random.randint(1, 30), b"h%d" % random.randint(1, 30), random.randint(1, 30)
    data = random.choice(
        [
            *[message(to, body, ident)] * 5,
            *[message(to, body, ident, edits=about)] * 2,
            *[message(to, b"", ident, deletes=about)] * 2,
            message(to, b"x", ident, reacts_to=about),
            message(to, b"", ident, forwards=b"%b %b" % (other, about)),
            *[message(to, b"", ident, pins=b"%b %b" % (other, about))] * 2,
            message(to, b"", ident, unpins=b"%b %b" % (other, about)),
            message(to, body, ident, reply_to=random.choice([b"%b %b" % (other, about), b"dan i1", b"bob s1"])),
            message(to, body, ident, expires=1),
            b"READ %b\nSeq: %d\n\n" % (to, seq),
            b"SEARCH\nId: q\nContent-length: 4\n\noats",
            b"CONVERSATIONS\n\n",
            b"FILE\nId: f1\nName: a\nSize: 3\nHash: %b\n\n" % (b"ab" * 32),
            b"CONVERSATION %b\nMuted: yes\n\n" % other,
            b"PROFILE\nDisplay: %b\nStatus: %b\n\n" % (body, ident) if name == b"alice" else b"PROFILE\n\n",
            b"REPORT %b\nId: r1\nAbout: h1\n\n" % other,
            *[b"ROOM %b\nDo: create\nTopic: oats\n\n" % room] * 2,
            b"ROOM %b\nDo: join\n\n" % room,
            b"ROOM %b\nDo: leave\n\n" % room,
            *[b"ROOM %b\nDo: invite\nMember: %b\n\n" % (room, guest)] * 2,
            b"ROOM %b\nDo: change\nTopic: rye\n\n" % room,
            b"ROOM %b\nDo: members\n\n" % room,
            b"",
        ]
    )
    if not data:  # what the others acknowledge, dan may see, but alice has nothing of dan's
        name, data = b"alice", random.choice([b"RECEIVED x\nSeq: %d\n\n", b"ERROR 103 x\nSeq: %d\n\n"]) % seq
    return Step(name, data, is_hidden=True)


def shown(random: Random) -> Step:
    """What the others do in the sight of dan, and what happens to all."""
    kind, name = random.randint(0, 5), random.choice([b"bob", b"carol"])
    if kind == 0:
        return Step(b"", b"", seconds=random.choice([0.25, 1.0]))
    if kind == 1:
        return Step(b"", b"")
    if kind == 2 and random.random() < 0.3:
        return Step(name, b"PROFILE\nDisplay: %b\n\n" % random.choice([b"", b"Oats", b"Rye"]))
    if kind == 2:
        return Step(name, b"STATUS\nState: %b\n\n" % random.choice([b"here", b"away"]))
    to, ident = random.choice([b"dan", b"#team"]), b"s%d" % random.randint(1, 12)
    about = random.choice([b"dan i1", b"dan i2", b"bob s1", b"s2", b"carol s3"])
    answered = {"reply_to": about} if random.random() < 0.3 else {}
    if random.random() < 0.2:
        return Step(name, message(to, b"", ident, pins=about))
    return Step(name, message(to, random.choice(BODIES_OF_MESSAGES), ident, **answered))


def steps_of(*kinds: Callable[[Random], Step]) -> st.SearchStrategy[list[Step]]:
    """Lists of such steps; each comes from a number of its own, so that drawing and shrinking take little time."""

    def step(number: int) -> Step:
        random = Random(number)
        return random.choice(kinds)(random)

    return st.lists(st.integers(0, 1 << 32).map(step), min_size=20, max_size=80)


def steps_with_invitation(count: int) -> list[Step]:
    """Invitations of a user who is blocked, and messages of a guest, as many as a mailbox takes or more."""
    frames = [(b"dan", b"ROOM #vault\nDo: create\n\n"), (b"dan", b"ROOM #vault\nDo: invite\nMember: bob\n\n")]
    withdrawn = (b"dan", b"ROOM #vault\nDo: remove\nMember: bob\n\n")
    frames += [withdrawn, frames[-1]] * (count - 1)
    frames += [(b"gus", message(b"bob", b"x", b"g%d" % at, expires=1)) for at in range(10)]
    frames += [(b"dan", message(b"bob", b"x", b"d%d" % at)) for at in range(10)]
    return [Step(name, data) for name, data in frames]


def begin(world: World) -> None:
    """Bob, carol and dan are in a room; alice is known to nobody but bob and carol."""
    world.write(b"bob", b"ROOM #team\nDo: create\nAccess: public\n\n")
    for name in (b"carol", b"dan"):
        world.write(name, b"ROOM #team\nDo: join\n\n")
    world.write(b"alice", b"ROOM #den\nDo: create\n\n")
    world.write(b"alice", b"ROOM #den\nDo: invite\nMember: bob\n\n")
    world.write(b"bob", b"ROOM #den\nDo: join\n\n")
    world.write(b"dan", message(b"bob", b"oats", b"i1"))


def take(step: Step, number: int, *worlds: World) -> None:
    """Do a step in worlds, where the key of a file, which is random, is the same."""
    with pytest.MonkeyPatch.context() as patch:
        keys = SimpleNamespace(token_urlsafe=f"{step.name.decode()}-{number}-{{}}".format)
        patch.setattr("twotick.exchange.questions.files.secrets", keys)
        for world in worlds:
            step.take(world)


@examples(1)
@given(steps_of(of_dan, hidden, hidden, shown))
def test_what_others_do_among_themselves_makes_no_difference(steps: list[Step]) -> None:
    worlds = World(), World()
    for world in worlds:
        begin(world)
    for number, step in enumerate(steps):
        take(step, number, *(worlds[1:] if step.is_hidden else worlds))
        assert worlds[0].seen == worlds[1].seen, step
    for world in worlds:
        world.close()


@pytest.mark.parametrize(
    ("asks", "acts", "repeats"),
    [(b"PROFILE\n\n", b"PROFILE\nDisplay: Oats\n\n", 0), (b"STATUS\n\n", b"TYPING dan\n\n", 1)],
)
def test_whether_another_asks_to_be_told_makes_no_difference(asks: bytes, acts: bytes, repeats: int) -> None:
    worlds = World(), World()
    worlds[1].write(b"alice", asks)
    for world in worlds:
        begin(world)
        world.write(b"carol", acts)
        world.write(b"dan", asks)
        world.write(b"carol", acts * repeats)
        for _ in range(3):
            world.mail.advance(1.0)
    assert worlds[0].seen == worlds[1].seen
    for world in worlds:
        world.close()


def connection_of(world: World) -> sqlite3.Connection:
    connection = vars(world.mail.store)["_database"].connection
    assert isinstance(connection, sqlite3.Connection)
    return connection


def work_for(world: World, data: bytes) -> int:
    """How many instructions of SQLite it takes to answer a question of dan's."""
    connection = connection_of(world)
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    connection.set_progress_handler(step, 1)
    world.write(b"dan", data)
    connection.set_progress_handler(None, 1)
    return steps


@pytest.mark.parametrize("question", [look for look in LOOKS if b"Do: " not in look])
def test_what_others_do_among_themselves_makes_no_work(question: bytes, worlds_with_much: tuple[World, World]) -> None:
    few, many = (work_for(world, question) for world in worlds_with_much)
    assert few == many > 0


@pytest.fixture(scope="module")
def worlds_with_much() -> Iterator[tuple[World, World]]:
    """A world in which dan has a few messages, and one in which the others have thousands with the same words too."""
    worlds = World(StoreLimits()), World(StoreLimits())
    for world, many in zip(worlds, (0, 60), strict=True):
        begin(world)
        world.write(b"alice", b"ROOM #den\nDo: create\n\nROOM #den\nDo: invite\nMember: bob\n\n")
        world.write(b"bob", b"ROOM #den\nDo: join\n\n")
        world.write(b"alice", message(b"bob", b"x", b"h0"))  # at the end of an index, a look takes a step less
        for at in range(many):
            for name, to in (b"alice", b"bob"), (b"bob", b"#den"), (b"alice", b"#den"):
                frames = [message(to, b"wild oats and rye w%d" % at, b"h%d-%d-%b" % (at, one, to)) for one in range(20)]
                world.write(name, b"".join(frames))
        world.settle()
        # The index has a bounded number of segments, each of which takes some work.
        connection_of(world).execute("INSERT INTO word_0 (word_0) VALUES ('optimize')")
    yield worlds
    for world in worlds:
        world.close()


# A member who has blocked others, and one who is away (rule 14.4)

FEW = StoreLimits(
    mailbox_bytes=300,
    mailbox_entries=8,
    sender_bytes=200,
    sender_entries=6,
    devices=3,
    room_members=2,
    rooms=4,
    settings=3,
)
BLOCKED = (b"dan", b"gus", b"cal")


class WorldOfThree(World):
    """A server with bob, and with three who write to him: dan, a guest (gus) and a classic guest (cal)."""

    def connect(self, name: bytes) -> None:
        super().connect(name)
        if name == PEOPLE[-1]:
            self.connect_guests()

    def connect_guests(self) -> None:
        """Open the connections of the guests."""
        self.lines[b"gus"] = self.mail.guest(b"gus", window=250)
        self.lines[b"cal"], _ = self.mail.classic(b"cal", reasons=True)
        for name in (b"gus", b"cal"):
            self._listen(self.lines[name])


def to_bob(random: Random) -> Step:
    """What one of the blocked does."""
    name, body = random.choice(BLOCKED), random.choice(BODIES_OF_MESSAGES)
    to = random.choice([b"bob", b"bob", b"BOB", b"ALL", b"carol"])
    ident, about = b"i%d" % random.randint(1, 12), b"i%d" % random.randint(1, 4)
    if name == b"cal":
        return Step(name, send(to, body))
    if name == b"gus":
        expires = random.choice([None, None, 1, 3])
        return Step(name, message(to, body, b"g%d" % random.randint(1, 10**9), expires=expires))
    room, other = random.choice(ROOMS), random.choice([b"bob", b"bob", b"carol", b"eve", b"alice"])
    data = random.choice(
        [
            *[message(to, body, ident)] * 4,
            *[message(to, body, ident, edits=about)] * 2,
            message(to, b"", ident, deletes=about),
            message(to, b"x", ident, reacts_to=about),
            message(to, body, ident, expires=random.choice([1, 3])),
            b"RECEIPTS %b\nId: %b\n\n" % (to, ident),
            b"HISTORY bob\nId: q\n\n",
            b"SEARCH\nIn: bob\nContent-length: 4\n\noats",
            b"TYPING bob\n\n",
            b"STATUS\n\n",
            b"STATUS\nState: here\n\n",
            b"CONVERSATION bob\nMuted: yes\n\n",
            b"READ bob\nSeq: 5\n\n",
            b"REPORT bob\nId: r1\n\n",
            b"ROOM %b\nDo: create\n\n" % room,
            *[b"ROOM %b\nDo: invite\nMember: %b\n\n" % (room, other)] * 3,
            b"ROOM %b\nDo: remove\nMember: %b\n\n" % (room, other),
            b"ROOM %b\nDo: members\n\n" % room,
        ]
    )
    return Step(name, data)


def of_bob(random: Random) -> Step:
    """What bob does, of which those whom he has blocked see nothing."""
    data = random.choice(
        [
            b"STATUS\nState: here\n\n",
            b"STATUS\nState: away\n\n",
            b"TYPING dan\n\n",
            b"READ dan\nSeq: %d\n\n" % random.randint(1, 20),
            b"READ gus\nSeq: %d\n\n" % random.randint(1, 20),
            b"RECEIVED x\nSeq: %d\n\n" % random.randint(1, 20),
            b"ERROR 103 x\nSeq: %d\n\n" % random.randint(1, 20),
            b"HISTORY dan\n\n",
            message(b"alice", b"oats", b"b%d" % random.randint(1, 99)),
            b"CONVERSATION dan\nMuted: yes\n\n",
            b"ROOM #vault\nDo: join\n\n",
            b"ROOMS\n\n",
        ]
    )
    return Step(b"bob", data, is_hidden=True)


def of_time(random: Random) -> Step:
    """Time passes."""
    return Step(b"", b"", seconds=random.choice([0.25, 1.0, 4.0, 31.0]))


@example(steps_with_invitation(1))
@example(steps_with_invitation(3))
@example(steps_with_invitation(10))
@examples(1)
@given(steps_of(to_bob, to_bob, to_bob, of_bob, of_time))
def test_who_is_blocked_cannot_tell_that_from_an_absence(steps: list[Step]) -> None:
    worlds = blocking, away = WorldOfThree(FEW), WorldOfThree(FEW)
    for world in worlds:
        world.write(b"bob", message(b"dan", b"hello", b"b0") + b"STATUS\nState: here\n\n")
        world.write(b"dan", b"".join(message(b"bob", b"oats %d" % at, b"i%d" % at) for at in range(1, 4)))
        world.write(b"gus", message(b"bob", b"oats", b"g0"))
        world.acknowledge(b"bob")
        world.write(b"bob", b"READ dan\nSeq: 4\n\nREAD gus\nSeq: 5\n\n")
        world.write(b"dan", b"STATUS\nState: here\n\n")
        world.mail.advance(0.25)
        world.mail.advance(0.25)
    for name in BLOCKED:
        blocking.write(b"bob", b"CONVERSATION %b\nBlocked: yes\n\n" % name)
        blocking.acknowledge(b"bob")
    away.lines[b"bob"].cut()
    for world in worlds:
        for _ in range(3):
            world.mail.advance(0.25)
    assert blocking.seen == away.seen
    for number, step in enumerate(steps):
        take(step, number, *([blocking] if step.is_hidden else worlds))
        blocking.acknowledge(b"bob")
        assert blocking.seen == away.seen, step
    for world in worlds:
        world.close()
