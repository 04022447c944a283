"""Messages to guests of other servers that share the database (docs/cluster.md).

Theory of operation. The server that a guest is connected to serves requests with the subject of the guest's name. A
message to a name that no guest here has is sent there, and that server delivers it like a message of its own guests: it
waits for the receiver's window, runs out of time, and is answered. The server that holds the guest remembers its
answers for a while, so a request that is asked again, because the bus was away meanwhile, is not delivered again.

The sender's server answers its sender by the deadline in any case. If it does not know by then what has become of the
message, it says so.
"""

import json
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from twotick.exchange.connection import GONE, SETTLED, Broadcast, Connection, Pending, Stage
from twotick.exchange.guests import Guests
from twotick.exchange.limits import Limits
from twotick.exchange.news import bytes_of, number_of, text_of
from twotick.exchange.relay import BUSY, STOPPING, Relay
from twotick.wire import Head, HeadCache, Verb, forward_start, is_name

UNKNOWN: Final = "it is not known whether it arrived: another server has not answered in time"

EVERYONE: Final = b"all"
"""The name under which each server serves all its guests."""

_DELIVERED: Final = b"+"
_FAILED: Final = b"-"
"""How the answers begin. What follows the second is the reason."""

_REMEMBERED: Final = 60.0
"""Seconds for which the answer to a request is remembered."""

_MOST_REMEMBERED: Final = 16384
"""The most requests whose answers are remembered."""

_MOST_SENDERS: Final = 4096
"""The most connections at other servers that are remembered, so that they take turns as those here do."""

_MARGIN: Final = 1.0
"""Seconds by which a message runs out of time earlier at the server of its receiver, so that the answer arrives."""


class FarRequest:
    """A request to another server.

    Attributes:
        subject: its subject.
        data: what it says.
        seconds: the time in which it must be answered.
        answered: called once, with the answer; with b"" if no server serves the subject, and None if none came in time.
    """

    __slots__ = ("answered", "data", "seconds", "subject")

    def __init__(self, subject: str, data: bytes, seconds: float, answered: Callable[[bytes | None], None]) -> None:
        self.subject = subject
        self.data = data
        self.seconds = seconds
        self.answered = answered


class _Sent:
    """A message that is on its way to another server.

    Attributes:
        message: the message.
        size: the bytes of its body.
        absent: why the message fails if no guest has the name; None if it does not fail then.
    """

    __slots__ = ("absent", "message", "size")

    def __init__(self, message: Pending, size: int, absent: str | None) -> None:
        self.message = message
        self.size = size
        self.absent = absent


class _Taken:
    """A message of another server.

    Attributes:
        time: when it came.
        answer: the answer; None if there is none yet.
        replies: what is called with it.
    """

    __slots__ = ("answer", "replies", "time")

    def __init__(self, time: float) -> None:
        self.time = time
        self.answer: bytes | None = None
        self.replies: list[Callable[[bytes], None]] = []

    def finish(self, failure: str | None) -> None:
        """Answer that the message was delivered, or why not."""
        self.answer = _DELIVERED if failure is None else _FAILED + failure.encode()
        for reply in self.replies:
            reply(self.answer)
        self.replies.clear()


class FarGuests:
    """Sends messages to guests of other servers, and takes theirs.

    Args:
        number: the number of this server; None if it shares its database with none.
        limits: the limits of the exchange.
        relay: answers senders here, and delivers to guests here.
        guests: the guests who are registered.

    Attributes:
        is_shared: whether there may be other servers.
        requests: the requests for other servers, which the driver removes.
        subjects: the subjects that this server begins or ceases to serve, which the driver removes.
        ignored: how many requests could not be understood.
    """

    def __init__(self, number: int | None, limits: Limits, relay: Relay, guests: Guests) -> None:
        self.is_shared = number is not None
        self.requests: list[FarRequest] = []
        self.subjects: list[tuple[str, bool]] = []
        self.ignored = 0
        self._number = number or 0
        self._limits = limits
        self._relay = relay
        self._guests = guests
        self._heads = HeadCache(limits.max_body, 0)
        self._count = 0
        self._sent: OrderedDict[int, _Sent] = OrderedDict()
        self._taken: OrderedDict[tuple[int, int], _Taken] = OrderedDict()
        self._senders: OrderedDict[tuple[int, int], Connection] = OrderedDict()
        if number is not None:
            guests.listeners.append(self._guest_changed)
            self.subjects.append((_subject_of_all(number), True))

    def _guest_changed(self, key: bytes, is_there: bool) -> None:
        self.subjects.append((subject_of(key), is_there))

    def all_others(self, servers: tuple[int, ...]) -> list[str]:
        """Return the subjects that reach all guests of other servers."""
        return [_subject_of_all(server) for server in servers if server != self._number]

    # To other servers

    def has_room(self, sender: Connection, body: bytes) -> bool:
        """Count a message that waits for another server, or for the store, if there is room for it (rule 5.6)."""
        if not self._relay.queued_bytes.take(sender.network, len(body)):
            return False
        sender.unsent_bytes += len(body)
        return True

    def give_back(self, sender: Connection, size: int) -> None:
        """Count a message no more."""
        sender.unsent_bytes -= size
        self._relay.queued_bytes.give_back(sender.network, size)
        if sender.paused:
            self._relay.resume(sender)

    def deliver(self, subject: str, message: Pending, body: bytes) -> None:
        """Send a message to guests of other servers.

        Args:
            subject: the subject of all guests of a server, or of a name: then the message fails if no guest has it.
            message: the message.
            body: its body.
        """
        sender, head, _, deadline, _ = message
        if not self.has_room(sender, body):
            self._relay.settle(message, BUSY)
            return
        self._count += 1
        seconds = deadline - self._relay.now
        said = [
            self._number,
            self._count,
            sender.number,
            sender.address,
            text_of(sender.name),
            text_of(head.name),
            text_of(head.id) if sender.extended else "",
            text_of(head.travels) if sender.extended else "",
            max(seconds - _MARGIN, seconds / 2),
        ]
        absent = not_connected(head.name) if subject == subject_of(head.key) else None
        self._sent[self._count] = _Sent(message, len(body), absent)
        data = json.dumps(said).encode() + b"\n" + body
        self.requests.append(FarRequest(subject, data, seconds, partial(self._answered, self._count)))

    def find(self, key: bytes, found: Callable[[bool | None], None], seconds: float = 0.0) -> None:
        """Find out whether a guest of another server has a name.

        Args:
            key: the name in lower case.
            found: called with whether one has; with None if that is not known.
            seconds: how long to wait for an answer; 0 for as long as messages do.
        """

        def answered(answer: bytes | None) -> None:
            found(None if answer is None else bool(answer))

        self.requests.append(FarRequest(subject_of(key), b"", seconds or self._limits.answer_timeout, answered))

    def _answered(self, number: int, answer: bytes | None) -> None:
        sent = self._sent.pop(number, None)
        if sent is None:
            return  # its time was over
        self.give_back(sent.message[0], sent.size)
        if answer is None:
            failure: str | None = UNKNOWN
        elif not answer:
            failure = sent.absent
        elif answer == _DELIVERED:
            failure = None
        else:
            failure = answer[1:].decode(errors="replace").replace("\n", " ")
        self._relay.settle(sent.message, failure)

    def tick(self) -> None:
        """Answer the senders whose messages have had no answer in time, and forget what is long over."""
        now = self._relay.now
        for number in [number for number, sent in self._sent.items() if sent.message[3] <= now]:
            self._answered(number, None)
        while self._taken:
            key, taken = next(iter(self._taken.items()))
            if taken.time > now - _REMEMBERED and len(self._taken) <= _MOST_REMEMBERED:
                break
            del self._taken[key]

    # From other servers

    def take(self, data: bytes, reply: Callable[[bytes], None]) -> None:
        """Take a request of another server.

        Args:
            data: what it says.
            reply: called once with the answer, now or later.
        """
        if not data:
            reply(_DELIVERED)
            return
        line, _, body = data.partition(b"\n")
        try:
            request = self._read(json.loads(line), body)
        except (ValueError, TypeError, RecursionError, OverflowError):
            request = None
        if request is None:
            self.ignored += 1
            reply(_FAILED + b"the servers do not understand each other")
            return
        key, sender, head, deadline = request
        taken = self._taken.get(key)
        if taken is None:
            taken = self._taken[key] = _Taken(self._relay.now)
            taken.replies.append(reply)
            self._deliver_here(taken, sender, head, deadline, body)
        elif taken.answer is None:
            taken.replies.append(reply)
        else:
            reply(taken.answer)

    def _read(self, said: Any, body: bytes) -> tuple[tuple[int, int], Connection, Head, float] | None:
        """Return which request it is, the sender, the head of its SEND, and the time by which it is answered."""
        server, number, connection, address, name, to, ident, travels, seconds = said
        identifier = b"Id: %b\n" % bytes_of(ident) if ident else b""
        head = self._heads.read(b"SEND %b\nContent-length: %d\n%b\n" % (bytes_of(to), len(body), identifier))
        head.travels = bytes_of(travels)
        sender = self._sender(number_of(server), int(connection), str(address), bytes_of(name))
        if head.verb is not Verb.SEND or b"\n\n" in head.travels or not is_name(sender.name):
            return None
        deadline = self._relay.now + min(max(float(seconds), 0.0), self._limits.answer_timeout)
        return (number_of(server), number_of(number)), sender, head, deadline

    def _deliver_here(self, taken: _Taken, sender: Connection, head: Head, deadline: float, body: bytes) -> None:
        receivers = self._receivers(head.key)
        if self._relay.draining:
            taken.finish(STOPPING)
        elif receivers is None:
            taken.finish(not_connected(head.name))
        elif not receivers:
            taken.finish(None)
        else:
            broadcast = Broadcast(len(receivers), taken.finish)
            for receiver in receivers:
                self._relay.deliver(receiver, (sender, head, SETTLED, deadline, broadcast), body)

    def _receivers(self, key: bytes) -> list[Connection] | None:
        """Return the connections that get a message; None if no guest has the name."""
        if key == EVERYONE:
            return self._guests.others(None)
        receiver = self._guests.receivers.get(key) or self._guests.duplex.get(key)
        return None if receiver is None else [receiver]

    def _sender(self, server: int, number: int, address: str, name: bytes) -> Connection:
        """Return what stands in for a sender at another server."""
        sender = self._senders.get((server, number))
        if sender is None or sender.name != name:
            sender = self._senders[server, number] = Connection(0, address, None, Stage.CLASSIC_SENDING, {})
            sender.name = name
            sender.key = name.lower()
            sender.start = forward_start(name)
            if len(self._senders) > _MOST_SENDERS:
                self._senders.popitem(last=False)
        return sender


def is_gone(sender: Connection) -> bool:
    """Tell whether a sender takes no more answers."""
    return sender.next_answer == GONE


def subject_of(key: bytes) -> str:
    """Return the subject of a name in lower case. Names are any letters, so they are written as hexadecimal digits."""
    return f"guest.{key.hex()}"


def _subject_of_all(server: int) -> str:
    return f"guests.{server}"


def not_connected(name: bytes) -> str:
    """Return why a message to a name that no user has fails."""
    return f"{name.decode('ascii', 'replace')} is not connected"
