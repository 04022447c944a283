"""How much is handled of what each address has sent, before it is another's turn (docs/protocol.md, rule 8.7)."""

from collections import OrderedDict, deque
from typing import Protocol

MOST_OF_A_TURN = 256 << 10
"""Bytes of one address that are handled in a turn of the event loop; the read that exceeds them is handled too. What is
stored counts as more (see `Output.stored`)."""


class WaitingConnection(Protocol):
    """A connection from which bytes have been read that are not handled yet."""

    @property
    def network(self) -> str:
        """Its address, from `twotick.net.network_of`."""
        ...

    @property
    def unhandled(self) -> int:
        """How many bytes these are."""
        ...

    def go_on(self) -> None:
        """Handle them, and read again."""
        ...


class ReadingTurns:
    """The bytes that are handled in this turn of the event loop, and the connections that wait for a later one.

    Args:
        handled: how many bytes were handled in this turn, by address; handling some may add to them.

    Attributes:
        handled: the same.
    """

    def __init__(self, handled: dict[str, int]) -> None:
        self.handled = handled
        self._waiting: OrderedDict[str, deque[WaitingConnection]] = OrderedDict()

    def wait(self, connection: WaitingConnection) -> None:
        """Let a connection wait for a turn of its address, behind others of the same address."""
        self._waiting.setdefault(connection.network, deque()).append(connection)

    def next(self) -> bool:
        """Begin the next turn, with as much as it allows of what waits.

        Returns:
            Whether something was handled.
        """
        handled = self.handled
        handled.clear()
        went_on = False
        for network, waiting in list(self._waiting.items()):
            for _ in range(len(waiting)):  # those that begin to wait meanwhile have a later turn
                if handled.get(network, 0) >= MOST_OF_A_TURN:
                    break
                connection = waiting.popleft()
                handled[network] = handled.get(network, 0) + connection.unhandled
                connection.go_on()
                went_on = True
            if not waiting:
                del self._waiting[network]
        return went_on
