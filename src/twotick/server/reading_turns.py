"""How much is handled of what each address has sent, before it is another's turn (docs/protocol.md, rule 8.7)."""

from collections import OrderedDict, deque
from typing import Protocol

MOST_OF_A_TURN = 256 << 10
"""Bytes of one address that are handled in a turn of the event loop; the piece that exceeds them is handled too. What
is stored counts as more (see `Output.stored`)."""


class WaitingConnection(Protocol):
    """A connection from which bytes have been read that are not handled yet."""

    @property
    def network(self) -> str:
        """Its address, from `twotick.net.network_of`."""
        ...

    def go_on(self) -> None:
        """Handle them, as far as the turn of the address allows, and count them; read again if none is left."""
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

    def is_over(self, network: str) -> bool:
        """Return whether an address has had its turn."""
        return self.handled.get(network, 0) >= MOST_OF_A_TURN

    def count(self, network: str, amount: int) -> None:
        """Note that bytes of an address are handled."""
        self.handled[network] = self.handled.get(network, 0) + amount

    def next(self) -> bool:
        """Begin the next turn, with as much as it allows of what waits.

        Returns:
            Whether something was handled.
        """
        self.handled.clear()
        went_on = False
        for network, waiting in list(self._waiting.items()):
            for _ in range(len(waiting)):  # those that begin to wait meanwhile have a later turn
                if self.is_over(network):
                    break
                waiting.popleft().go_on()
                went_on = True
            if not waiting:
                del self._waiting[network]
        return went_on
