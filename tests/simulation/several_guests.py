"""Guests of schedules of several servers: what they do, and what they are given (see several.py)."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.exchange.mail import Line, message
from tests.simulation.several_people import GUESTS, NAMES, PATIENCE, ROOM, People, Sent
from twotick.wire import Head, Side, Verb, frame, received, register

if TYPE_CHECKING:
    from tests.simulation.several import SeveralServers, SimulatedServer


@dataclass
class Stay:
    """What a guest was given in the room from joining to leaving.

    Attributes:
        since: the highest place that anyone was told of when the guest asked to join.
        given: the places that it was given, each with the sender and the Id of what has it.
        is_over: whether the guest has left.
    """

    since: int
    given: dict[int, tuple[bytes, bytes]] = field(default_factory=dict[int, tuple[bytes, bytes]])
    is_over: bool = False


@dataclass
class Guest:
    """A guest, who connects again and again.

    Attributes:
        number: which one it is.
        name: the name that it wants.
        line: its connection; None if it has none.
        server: the server to which it is connected.
        registered: whether the server has let it in.
        asked: when it asked to be let in, and was not answered; 0 for never.
        later: when it does the next thing.
        sent: its messages, by Id.
        got: the sender and the Id of each message that was sent to it.
        stays: what it was given in the room.
        inside: whether it is in the room, by the last answer about that.
        moving: whether it has asked to join the room or to leave it, and was not answered.
    """

    number: int
    name: bytes
    line: Line | None = None
    server: "SimulatedServer | None" = None
    registered: bool = False
    asked: float = 0.0
    later: float = 0.0
    sent: dict[bytes, Sent] = field(default_factory=dict[bytes, Sent])
    got: set[tuple[bytes, bytes]] = field(default_factory=set[tuple[bytes, bytes]])
    stays: list[Stay] = field(default_factory=list[Stay])
    inside: bool = False
    moving: bool = False

    @property
    def title(self) -> str:
        """Its name for people."""
        return f"guest {self.number} ({self.name.decode()})"


class Guests:
    """All guests.

    Args:
        story: where they are.
        people: those with whom they talk, and who know them.
    """

    def __init__(self, story: "SeveralServers", people: People) -> None:
        self._story = story
        self._chance = story.chance
        self._people = people
        self._problems = people.problems
        self._guests = people.guests = [Guest(number, name) for number, name in enumerate(GUESTS)]

    def act(self) -> None:
        """Let everyone read what has come, and perhaps do something."""
        for guest in self._guests:
            self._let_act(guest)

    def _let_act(self, guest: Guest) -> None:
        line = guest.line
        if line is not None:
            for head, body in line.read():
                self._take(guest, line, head, body)
            if line.closed and guest.line is line:
                self._leave(guest)
        if guest.asked and self._story.now > guest.asked + PATIENCE:
            self._leave(guest)
        if self._story.now < guest.later:
            return
        guest.later = self._story.now + self._chance.choice((0.1, 0.2, 0.5))
        if guest.line is None:
            self._connect(guest)
        elif guest.registered and self._story.failing:
            chance = self._chance.random()
            if chance < 0.06:
                self._leave(guest)
            elif chance < 0.12 and not guest.moving:
                self._move(guest)
            else:
                self._send(guest)

    def _connect(self, guest: Guest) -> None:
        if living := self._story.living():
            guest.server = server = self._chance.choice(living)
            guest.line = line = server.line()
            guest.inside = guest.moving = False
            guest.asked = self._story.now
            self._story.say(f"{guest.title} connects to {server.run.number}")
            line.got = line.write(register(Side.DUPLEX, guest.name, 8))

    def _leave(self, guest: Guest) -> None:
        assert guest.line is not None
        guest.line.cut()
        guest.line = guest.server = None
        guest.registered = False
        guest.asked = 0.0

    def _move(self, guest: Guest) -> None:
        """Join the room, or leave it."""
        guest.moving = True
        if not guest.inside:
            guest.stays.append(Stay(self._people.newest))
        do = b"leave" if guest.inside else b"join"
        self._write(guest, frame(Verb.ROOM, ROOM, None, b"", do=do, id=do))

    def _send(self, guest: Guest) -> None:
        """Send a message, which is not sent again."""
        number = len(guest.sent)
        ident = b"guest%d-%d" % (guest.number, number)
        others = {*GUESTS} - {guest.name}
        recipient = self._chance.choice((*NAMES, ROOM, ROOM, *sorted(others)))
        body = b"%b %b" % (guest.name, ident)
        guest.sent[ident] = Sent(number, recipient, body, self._people.owed(guest.name, recipient), bodies=[body])
        self._write(guest, message(recipient, body, ident))

    def _write(self, guest: Guest, data: bytes) -> None:
        assert guest.line is not None
        if not guest.line.closed:
            got = guest.line.write(data)
            guest.line.got = got + guest.line.got

    def _take(self, guest: Guest, line: Line, head: Head, body: bytes) -> None:
        self._story.say(f"{guest.title} is told {head.verb.value!r} {head.code} {head.headers}")
        ident = head.headers.get(b"id", b"")
        if head.verb is Verb.REGISTERED:
            guest.registered = True
            guest.asked = 0.0
            for other in self._guests:
                is_there = other.registered and other.line is not None and not other.line.closed
                if other is not guest and other.name == guest.name and is_there:
                    self._problems.append(f"two guests are {guest.name.decode()}")
            self._move(guest)
        elif head.verb is Verb.ERROR and not guest.registered:
            self._leave(guest)
        elif head.verb is Verb.FORWARD and b"to" in head.headers:
            self._take_in_room(guest, head, body)
        elif head.verb is Verb.FORWARD:
            if (head.key, ident) in guest.got:
                self._problems.append(f"{guest.title} was given {ident!r} of {head.key.decode()} twice")
            guest.got.add((head.key, ident))
            self._people.check_body(guest.title, head.key, ident, body)
            self._write(guest, received(head.name))
        elif ident in (b"join", b"leave"):
            guest.inside = head.verb is Verb.ROOM and ident == b"join"
            guest.moving = False
            guest.stays[-1].is_over = not guest.inside
        elif head.verb is Verb.ACCEPTED:
            guest.sent[ident].accepted = True
            self._people.newest = max(self._people.newest, int(head.headers.get(b"place", b"0")))
        elif head.verb is Verb.SEND and ident and not self._people.has(head.key, guest.name, ident):
            self._problems.append(f"{guest.title} was told of {ident!r}, which {head.key.decode()} does not have")

    def _take_in_room(self, guest: Guest, head: Head, body: bytes) -> None:
        place, ident = int(head.headers[b"place"]), head.headers.get(b"id", b"")
        if not guest.inside:
            self._problems.append(f"{guest.title} was given place {place} of the room, in which it is not")
            return
        stay = guest.stays[-1]
        if place <= max(stay.since, *stay.given, 0):
            self._problems.append(f"{guest.title} was given place {place} after {stay.since} and {[*stay.given]}")
        stay.given[place] = head.key, ident
        self._people.newest = max(self._people.newest, place)
        if ident:
            self._people.check_body(guest.title, head.key, ident, body)
