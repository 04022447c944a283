"""How much memory connections hold, and its bounds (docs/protocol.md, rules 8.1 and 8.2)."""

from collections.abc import Hashable
from typing import Generic, TypeVar

from twotick.exchange import Shares

_Holder = TypeVar("_Holder", bound=Hashable)


class HeldBytes(Generic[_Holder]):
    """The bytes that each connection holds, of a total that addresses share. Connections that hold none cost nothing.

    Args:
        most: the total.
    """

    def __init__(self, most: int) -> None:
        self._shares = Shares(most)
        self._held: dict[_Holder, int] = {}

    @property
    def total(self) -> int:
        """The bytes that all connections hold."""
        return self._shares.used

    def set(self, holder: _Holder, address: str, amount: int) -> bool:
        """Note how much a connection holds now.

        Args:
            holder: the connection.
            address: its address, from `twotick.net.network_of`.
            amount: the bytes.

        Returns:
            Whether its address may hold so much. If not, it is noted that the connection holds nothing.
        """
        self._shares.give_back(address, self._held.pop(holder, 0))
        if not self._shares.take(address, amount):
            return False
        if amount:
            self._held[holder] = amount
        return True
