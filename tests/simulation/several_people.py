"""Members of schedules of several servers: what they do, and what they know (see several.py)."""

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.exchange.mail import Line, message, taken
from twotick.wire import Frame, Head, Side, Verb, frame, register

if TYPE_CHECKING:
    from tests.simulation.several import SeveralServers, SimulatedServer
    from tests.simulation.several_guests import Guest

NAMES: Final = (b"alice", b"bob", b"carol")
ROOM: Final = b"#team"
"""A public room that alice has made. bob is in it, and carol at times."""

GUESTS: Final = (b"gus", b"gus", b"ann")
"""The names that guests want: two of them want the same."""

_DEVICES: Final = (b"laptop", b"phone")

PATIENCE: Final = 25.0
"""Seconds after which a device without an answer goes to another server."""


@dataclass
class Sent:
    """A message.

    Attributes:
        number: which of its device's messages it is.
        recipient: to whom.
        body: its text.
        owed: the members who must get it.
        change: how it changes another: b"edits" or b"deletes"; empty if it does not.
        about: the message that it changes.
        accepted: whether a server has said so.
        bodies: its text, and what it has become since, in this order.
    """

    number: int
    recipient: bytes
    body: bytes
    owed: set[bytes]
    change: bytes = b""
    about: "Sent | None" = None
    accepted: bool = False
    bodies: list[bytes] = field(default_factory=list[bytes])


@dataclass
class Device:
    """A device, and what it knows.

    Attributes:
        member: whose it is.
        name: its name.
        line: its connection; None if it has none.
        server: the server to which it is connected.
        registered: whether the server has let it in.
        first: from which entry on it was given the log; None before that.
        last: the last entry that it has.
        told: the last entry that came on this connection.
        acknowledged: the last entry of which the server was told on this connection that the device has it.
        log: what each entry said.
        newest: the entry of the newest message from each member.
        read: the entries up to which the server was told on this connection that messages were read, by their sender.
        sent: its messages, by Id.
        outbox: the Ids of those that are not accepted.
        asked: when it asked for something that has no answer; 0 for never.
        later: when it does the next thing.
        wish: what it wants to do in the room, b"join" or b"leave"; empty if that is answered.
        tries: how often it has asked for that.
        is_inside: whether it is in the room, by the last answer about that.
    """

    member: bytes
    name: bytes
    line: Line | None = None
    server: "SimulatedServer | None" = None
    registered: bool = False
    first: int | None = None
    last: int = 0
    told: int = 0
    acknowledged: int = 0
    log: dict[int, tuple[Any, ...]] = field(default_factory=dict[int, tuple[Any, ...]])
    newest: dict[bytes, int] = field(default_factory=dict[bytes, int])
    read: dict[bytes, int] = field(default_factory=dict[bytes, int])
    sent: dict[bytes, Sent] = field(default_factory=dict[bytes, Sent])
    outbox: deque[bytes] = field(default_factory=deque[bytes])
    asked: float = 0.0
    later: float = 0.0
    wish: bytes = b""
    tries: int = 0
    is_inside: bool = False

    @property
    def title(self) -> str:
        """Its name for people."""
        return f"{self.member.decode()}/{self.name.decode()}"

    @property
    def unread(self) -> dict[bytes, int]:
        """The entries of the newest messages, by their sender, of which the server was not told that they are read."""
        return {peer: seq for peer, seq in self.newest.items() if seq > self.read.get(peer, 0)}


class People:
    """The devices of all members, and the guests.

    Args:
        story: where they are.
        problems: the promises that were broken.

    Attributes:
        devices: the devices.
        guests: the guests.
        newest: the highest place in the room that anyone was told of.
        readable: the Ids of the messages that a member has said to have read, by the member and their sender.
    """

    def __init__(self, story: "SeveralServers", problems: list[str]) -> None:
        self._story = story
        self._chance = story.chance
        self.problems = problems
        self.devices = [Device(member, name) for member in NAMES for name in _DEVICES]
        self.guests: list[Guest] = []
        self.newest = 0
        self.readable: dict[tuple[bytes, bytes], set[bytes]] = {}
        self._mover = self.devices[-1]  # joins the room and leaves it
        self._old: list[Line] = []
        self._doubles: list[tuple[Device, Line]] = []

    def have_all(self) -> bool:
        """Tell whether each device has been given its log."""
        return all(each.first is not None for each in self.devices)

    def is_quiet(self) -> bool:
        """Tell whether all is answered, and a server knows what was read."""
        devices = self.devices
        return all(each.registered and not (each.outbox or each.unread or each.wish) for each in devices) and any(
            guest.registered for guest in self.guests
        )

    def server_ended(self, server: "SimulatedServer") -> None:
        """Let connections end with their server."""
        for each in (*self.devices, *self.guests):
            if each.server is server:
                each.line = each.server = None
                each.registered = False
                each.asked = 0.0

    def act(self) -> None:
        """Let every device read what has come, and perhaps do something."""
        for device in self.devices:
            self._read(device)
            if self._story.now >= device.later:
                device.later = self._story.now + self._chance.choice((0.05, 0.2, 0.5))
                self._act(device)

    # Devices

    def _act(self, device: Device) -> None:
        if device.line is None:
            self._connect(device)
        elif device.asked and self._story.now > device.asked + PATIENCE:
            self._story.say(f"{device.title} has had no answer")
            self._leave(device)
        elif device.registered:
            self._do(device)

    def _connect(self, device: Device) -> None:
        living = self._story.living()
        if not living:
            return
        device.server = server = self._chance.choice(living)
        device.line = line = server.line()
        device.registered = False
        device.asked = self._story.now
        device.read.clear()
        self._story.say(f"{device.title} connects to {server.run.number}, has {device.last}")
        seq = device.last if device.first is not None else None
        line.got = line.write(
            register(Side.DUPLEX, device.member, 8, authorization=device.member, device=device.name, seq=seq)
        )

    def _leave(self, device: Device, *, cut: bool = True) -> None:
        assert device.line is not None
        if cut:
            device.line.cut()
        else:
            self._old.append(device.line)  # its server learns of it later
        device.line = device.server = None
        device.registered = False
        device.asked = 0.0

    def _do(self, device: Device) -> None:
        chance = self._chance.random()
        failing = self._story.failing
        if failing and chance < (0.3 if device.wish and device.asked else 0.02):  # the server may carry that out late
            self._story.say(f"{device.title} moves")
            self._leave(device, cut=self._chance.random() < 0.5)
        elif chance < 0.5 and device.last > device.acknowledged:
            device.acknowledged = device.last
            self._write(device, taken(device.last))
        elif chance > (0.9 if failing else 0.5) and device.unread:
            self._tell_read(device)
        elif device.outbox:
            if not device.asked:
                self._send(device, device.outbox[0])
            elif chance < 0.55:
                self._double(device, device.outbox[0])
        elif device.wish:
            if not device.asked:
                self._move(device)
        elif failing and device is self._mover and chance > 0.85:
            device.wish = b"leave" if device.is_inside else b"join"
            device.tries = 0
            self._no_longer_owe(device)
            self._move(device)
        elif failing and chance < 0.56:
            self._compose(device)

    def _tell_read(self, device: Device) -> None:
        """Say that the messages of a member are read."""
        peer, seq = self._chance.choice([*device.unread.items()])
        device.read[peer] = seq
        read = {said[3] for at, said in device.log.items() if at <= seq and said[:3] == ("message", peer, b"")}
        self.readable.setdefault((device.member, peer), set()).update(read)
        self._write(device, frame(Verb.READ, peer, seq=seq))

    def _move(self, device: Device) -> None:
        """Join the room, or leave it."""
        device.asked = self._story.now
        device.tries += 1
        self._write(device, frame(Verb.ROOM, ROOM, None, b"", do=device.wish, id=b"move"))

    def _no_longer_owe(self, device: Device) -> None:
        """Note that nothing that is under way to the room needs to reach a member who is about to go."""
        device.is_inside = False
        for other in (*self.devices, *self.guests):
            for sent in other.sent.values():
                if sent.recipient == ROOM and not sent.accepted:
                    sent.owed.discard(device.member)

    def owed(self, sender: bytes, recipient: bytes) -> set[bytes]:
        """Return the members who must get what is sent to someone, if it is accepted."""
        if recipient in GUESTS:
            return set()
        if recipient != ROOM:
            return {recipient}
        return {b"alice", b"bob", *([b"carol"] if self._mover.is_inside else [])} - {sender}

    def _compose(self, device: Device) -> None:
        """Write a message, or change one."""
        number = len(device.sent)
        ident = b"%b-%d" % (device.name, number)
        body = b"%b %b" % (device.member, ident)
        recipients = [name for name in NAMES if name != device.member]
        if device.member != self._mover.member:
            recipients.append(ROOM)
        if self._chance.random() < 0.2:
            recipients = [*GUESTS]
        recipient = self._chance.choice(recipients)
        sent = Sent(number, recipient, body, self.owed(device.member, recipient))
        own = [each for each in device.sent.values() if each.accepted and not each.change and each.bodies[-1]]
        if own and self._chance.random() < 0.3:
            sent.about = about = self._chance.choice(own)
            sent.recipient = about.recipient
            sent.owed = self.owed(device.member, about.recipient)
            sent.change = self._chance.choice((b"edits", b"edits", b"deletes"))
            if sent.change == b"deletes":
                sent.body = b""
            about.bodies.append(sent.body)
        sent.bodies.append(sent.body)
        device.sent[ident] = sent
        if recipient in GUESTS and sent.recipient == recipient:
            self._write(device, _frame_of(device.sent, ident))  # its answers are entries, and it is not sent again
        else:
            device.outbox.append(ident)
            self._send(device, ident)

    def _send(self, device: Device, ident: bytes) -> None:
        device.asked = self._story.now
        self._write(device, _frame_of(device.sent, ident))

    def _double(self, device: Device, ident: bytes) -> None:
        """Send a message through another connection as well."""
        if not (living := self._story.living()):
            return
        line = self._chance.choice(living).line()
        line.write(register(Side.SENDING, device.member, authorization=device.member))
        line.write(_frame_of(device.sent, ident))
        self._doubles.append((device, line))

    def _write(self, device: Device, data: bytes) -> None:
        assert device.line is not None
        if not device.line.closed:
            got = device.line.write(data)
            device.line.got = got + device.line.got

    def _read(self, device: Device) -> None:
        line = device.line
        for of, double in self._doubles:
            if of is device and double.got:
                self._note_accepted(device, double.read())
        if line is None:
            return
        for head, body in line.read():
            self.newest = max(self.newest, int(head.headers.get(b"place", b"0")))
            self._take(device, head, body)
        if line.closed and device.line is line:
            self._leave(device)

    def _note_accepted(self, device: Device, frames: list[Frame]) -> None:
        for head, _ in frames:
            if head.verb is Verb.ACCEPTED:
                self._accepted(device, head.headers[b"id"])

    def _accepted(self, device: Device, ident: bytes) -> None:
        device.sent[ident].accepted = True
        if ident in device.outbox:
            device.outbox.remove(ident)
            device.asked = 0.0

    def _take(self, device: Device, head: Head, body: bytes) -> None:
        seq = int(head.seq or b"0") if head.verb is not Verb.REGISTERED else 0
        self._story.say(f"{device.title} is told {head.verb.value!r} {head.code} {seq} {head.headers}")
        ident = head.headers.get(b"id", b"")
        if head.verb is Verb.REGISTERED:
            self._registered(device, int(head.headers.get(b"seq", b"0")))
        elif head.verb is Verb.ACCEPTED:
            self._accepted(device, ident)
        elif head.verb is Verb.ROOM:
            device.is_inside = device.wish == b"join"
            device.wish = b""
            device.asked = 0.0
        elif seq:
            self._entry(device, seq, head, body)
        elif head.verb is Verb.ERROR and head.code == 108:
            self.problems.append(f"{device.title} was sent away: {head.headers}")
        elif (
            head.verb is Verb.ERROR and ident == b"move" and head.headers.get(b"reason", b"").startswith(b"you are not")
        ):
            if device.tries == 1:
                self.problems.append(f"{device.title} had joined the room, and is not in it")
            device.wish = b""
            device.asked = 0.0
        elif head.verb is Verb.ERROR and ident:
            device.asked = 0.0  # it was refused, and is sent again

    def _registered(self, device: Device, cursor: int) -> None:
        device.asked = 0.0
        device.registered = True
        device.told = device.acknowledged = cursor
        if device.first is None:
            device.first = device.last = cursor
        elif cursor < device.last:
            self.problems.append(f"{device.title} has entry {device.last}, but its log has only {cursor}")
        device.last = max(device.last, cursor)

    def _entry(self, device: Device, seq: int, head: Head, body: bytes) -> None:
        if seq <= device.told:
            self.problems.append(f"{device.title} was given entry {seq} after {device.told}")
        device.told = seq
        said = _said(device.member, head)
        if device.log.setdefault(seq, said) != said:
            self.problems.append(f"{device.title} was given {said} as entry {seq}, which was {device.log[seq]}")
        device.last = max(device.last, seq)
        ident = head.headers.get(b"id", b"")
        if said[0] == "message" and ident:
            self._message(device, seq, said, body)
        elif head.verb is Verb.SEND:  # what it says is true at this moment
            owed = device.sent[ident].owed if ident in device.sent else set[bytes]()
            for member in owed or {head.key} - {ROOM}:
                if not self.has(member, device.member, ident):
                    self.problems.append(f"{device.title} was told of {ident!r}, which {member.decode()} does not have")
        elif head.verb is Verb.READ and ident and ident not in self.readable.get((head.key, device.member), ()):
            self.problems.append(f"{device.title} was told that {ident!r} was read, which {head.key.decode()} has not")

    def has(self, name: bytes, sender: bytes, ident: bytes) -> bool:
        """Tell whether a device of a member, or a guest with a name, has a message."""
        have = [each for each in self.devices if each.member == name]
        return any(
            said[:2] + said[3:4] == ("message", sender, ident) for each in have for said in each.log.values()
        ) or (any((sender, ident) in each.got for each in self.guests if each.name == name))

    def _message(self, device: Device, seq: int, said: tuple[Any, ...], body: bytes) -> None:
        _, sender, room, ident, _ = said
        if not room and sender in NAMES:
            device.newest[sender] = max(seq, device.newest.get(sender, 0))
        self.check_body(device.title, sender, ident, body)

    def check_body(self, title: str, sender: bytes, ident: bytes, body: bytes) -> None:
        """Check that what someone was given is what was sent."""
        for other in (*self.devices, *self.guests):
            member = other.member if isinstance(other, Device) else other.name
            if member == sender and (sent := other.sent.get(ident)) and body not in bodies_of(sent):
                self.problems.append(f"{title} was given {ident!r} of {member.decode()} with the body {body!r}")


def bodies_of(sent: Sent) -> list[bytes]:
    """Return what may be in a message; nothing if what it changes was deleted."""
    return [*sent.bodies, *([b""] if sent.about is not None and not sent.about.bodies[-1] else [])]


def _frame_of(messages: dict[bytes, Sent], ident: bytes) -> bytes:
    sent = messages[ident]
    if sent.about is None:
        return message(sent.recipient, sent.body, ident)
    about = next(other for other, each in messages.items() if each is sent.about)
    return message(sent.recipient, sent.body, ident, **{sent.change.decode(): about})


def _said(member: bytes, head: Head) -> tuple[Any, ...]:
    """Return what an entry says, as it was given."""
    ident, to = head.headers.get(b"id", b""), head.headers.get(b"to", b"")
    if head.verb is Verb.FORWARD:
        event = head.headers.get(b"event", b"")
        if head.key == member and not event:
            return ("sent", to, ident)
        return ("message", head.key, to, ident, event)
    if b"up-to" in head.headers:
        return ("read here", head.key, int(head.headers[b"up-to"]))
    return (head.verb.value.strip(), b"" if head.verb is Verb.ERROR else head.key, ident)
