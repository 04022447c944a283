"""The stages of connections, and their end (docs/protocol.md, sections 3, 4 and 7).

Theory of operation. A connection is always in one `Stage`. Only this file changes it, and these are all the ways:

                        guest registered on both sides
    REGISTERING ---------------------------------------> CLASSIC_SENDING, CLASSIC_RECEIVING or GUEST
        |   ^
        |   | looked up, or not authenticated      authenticated
        +-> WAITING ---------------------------------> MEMBER_SENDING or MEMBER_DEVICE
                                                             |   ^
                                                    question |   | answered
                                                             +-> WAITING

While a connection is WAITING it is paused, and its frames stay with the driver. From any stage a connection may start
closing. It then has no stage any more: whatever still comes is dropped.
"""

from typing import Final

from twotick.exchange.connection import Connection, Handler, Stage
from twotick.exchange.guests import Guests
from twotick.exchange.limits import Limits
from twotick.exchange.members import ConnectedMembers
from twotick.exchange.output import Output
from twotick.exchange.relay import Relay
from twotick.wire import HEADER_INCOMPLETE, Side, Verb, error

MALFORMED: Final = 103
UNAVAILABLE: Final = 107
"""The number of the error after which a client may connect again and then be let in (rule 9.9)."""

_REASONS: Final = {MALFORMED: b"the frame cannot be understood", 106: b"the body is longer than Max-body allows"}


class Stages:
    """Changes the stages of connections, and closes them.

    Args:
        limits: the limits of the exchange.
        output: takes what is written.
        guests: the guests who are registered.
        members: the members who are connected.
        relay: takes the messages of connections that are gone.

    Attributes:
        handlers: the handler of each verb in each stage; `Connections` sets it.
    """

    def __init__(
        self, limits: Limits, output: Output, *, guests: Guests, members: ConnectedMembers, relay: Relay
    ) -> None:
        self._limits = limits
        self._output = output
        self._guests = guests
        self._members = members
        self._relay = relay
        self.handlers: dict[Stage, dict[Verb, Handler]] = {}

    def enter(self, connection: Connection, stage: Stage) -> None:
        """Take frames from a connection in this stage from now on."""
        connection.stage = stage
        connection.handlers = self.handlers[stage]

    def wait(self, connection: Connection) -> None:
        """Take no frames from a connection until `_go_on`."""
        self.enter(connection, Stage.WAITING)
        self._relay.pause(connection)

    def go_on(self, connection: Connection, stage: Stage) -> None:
        """Take frames from a connection again, in this stage."""
        if not connection.closing:
            self.enter(connection, stage)
            self._relay.resume(connection)

    def refuse(self, connection: Connection, answer: bytes) -> None:
        """Answer with an error, and close the connection if it was one too many (rule 4.11)."""
        self._output.write(connection, answer)
        connection.refusals += 1
        if connection.refusals >= self._limits.refusals:
            self.close(connection)

    def turn_out(self, key: bytes) -> None:
        """Close the connections of a guest whose name has become a member's (rule 10.1)."""
        for connection in self._guests.connections(key):
            if connection.extended:
                self._output.write(connection, error(108, reason=b"the name is a member's now"))
            self.close(connection)

    def break_off(self, connection: Connection, code: int, reason: str | None = None) -> None:
        """Close a user's connections because a frame cannot be understood or is too large (rules 2.8, 7.4 and 9.9).

        Args:
            connection: the connection that the frame came on.
            code: the number of the error.
            reason: why, for a user to read; None for the usual words. A classic connection is not told.
        """
        if connection.extended or reason is not None:
            answer = error(code, reason=_REASONS[code] if reason is None else reason.encode())
        else:
            answer = HEADER_INCOMPLETE
        self._output.write(connection, answer)
        others = [] if connection.guest is None else self._guests.connections(connection.guest.key)
        for each in dict.fromkeys([connection, *others]):
            self.close(each)

    def close(self, connection: Connection) -> None:
        """Close a connection, and answer what waits for it."""
        self.release(connection)
        self._output.close(connection)

    def release(self, connection: Connection) -> None:
        """Take a connection away from its user, and answer what waits for it (rule 4.8)."""
        self._members.leave(connection)
        if connection.guest is None:
            return
        self._guests.release(connection)
        if connection.side is not Side.SENDING:
            self._relay.abandon(connection)
