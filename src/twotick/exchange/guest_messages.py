"""What guests are told about their messages to members (docs/protocol.md, rules 5.7 and 11.10).

A member learns what becomes of a message from entries in its log. A guest has no log, so the exchange remembers which
connection waits for which message.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable

from twotick.exchange.connection import Connection
from twotick.exchange.output import Output
from twotick.exchange.relay import LATE, Relay
from twotick.store import Effects, MessageState
from twotick.wire import Head, Verb, error, frame

_STORE_LATE = 5.0
"""Seconds after the deadline of a classic guest's message at which it is answered even if the store has said nothing,
for example because another process has removed the recipient."""

_MOST_MESSAGES = 1024
"""The most messages of one extended connection of a guest whose results the guest is told."""


class GuestMessages:
    """The messages from guests to members whose result is not known yet.

    Args:
        output: takes what is written.
        relay: answers the SENDs of classic connections.
    """

    def __init__(self, output: Output, relay: Relay) -> None:
        self._output = output
        self._relay = relay
        # By the store's number of the message; and the numbers of each connection, oldest first.
        self._waiting: dict[int, tuple[Connection, int, Head]] = {}
        self._delivered: set[int] = set()  # those of which the guest was told that they are
        self._numbers: dict[Connection, OrderedDict[int, None]] = {}
        # When the messages of classic guests are answered even if the store says nothing, soonest first.
        self._due: deque[tuple[float, int]] = deque()

    def add(self, sender: Connection, number: int, head: Head, message: int) -> None:
        """Tell a guest what becomes of a message.

        Args:
            sender: the guest's connection.
            number: the number of the SEND on it.
            head: the SEND.
            message: the store's number of the message.
        """
        if sender.closing:
            return
        self._waiting[message] = (sender, number, head)
        own = self._numbers.setdefault(sender, OrderedDict())
        own[message] = None
        if not sender.extended:
            self._due.append((self._relay.deadline + _STORE_LATE, message))
        elif len(own) > _MOST_MESSAGES:
            self._drop(own.popitem(last=False)[0])

    def forget(self, sender: Connection) -> None:
        """Drop the messages of a connection that is gone."""
        for message in self._numbers.pop(sender, ()):
            self._drop(message)

    def _drop(self, message: int) -> None:
        del self._waiting[message]
        self._delivered.discard(message)

    def waits_for(self, message: int) -> bool:
        """Tell whether a guest is to be told what becomes of a message."""
        return message in self._waiting

    def waiting(self) -> Iterable[int]:
        """Return the messages of which guests are to be told what becomes."""
        return self._waiting

    def tick(self, now: float) -> None:
        """Answer the classic guests whose messages are long overdue."""
        while self._due and self._due[0][0] <= now:
            self.settle(self._due.popleft()[1], MessageState.FAILED, LATE)

    def note_effects(self, effects: Effects) -> None:
        """Tell guests what has become of their messages."""
        for message, state, reason in effects.guests:
            self.settle(message, state, reason)

    def settle(self, message: int, state: MessageState, reason: str) -> None:
        """Tell a guest what has become of a message, unless it was told before."""
        if message not in self._waiting or (state is MessageState.DELIVERED and message in self._delivered):
            return
        sender, number, head = self._waiting[message]
        if state is not MessageState.DELIVERED or not sender.extended:
            self._drop(message)
            del self._numbers[sender][message]
        else:
            self._delivered.add(message)
        if not sender.extended:
            self._relay.reply(sender, number, head, reason if state is MessageState.FAILED else None)
        elif state is MessageState.FAILED:
            self._output.write(sender, error(102, id=head.id, reason=reason.encode()))
        else:
            verb = Verb.READ if state is MessageState.READ else Verb.SENT
            self._output.write(sender, frame(verb, head.name, id=head.id))
