"""A total that all addresses share, so that one of them cannot take it from the others (docs/protocol.md, rule 8.1)."""

TIMES = 3
"""An address gets more only as long as it has at most so many times what is then left. So one greedy address gets three
quarters of the total, two get three sevenths each, and something is always left for an address that has little."""


class Shares:
    """An amount of memory, or a number of things, that addresses take and give back.

    Args:
        most: the total.

    Attributes:
        used: how much of it is taken.
    """

    __slots__ = ("_by_address", "_most", "used")

    def __init__(self, most: int) -> None:
        self._most = most
        self._by_address: dict[str, int] = {}
        self.used = 0

    def take(self, address: str, amount: int) -> bool:
        """Take an amount for an address, if its share allows it.

        Args:
            address: the address, from `twotick.net.network_of`.
            amount: how much it takes. An address that has nothing may take all that is left.

        Returns:
            Whether it was taken.
        """
        own = self._by_address.get(address, 0)
        left = self._most - self.used - amount
        if left < 0 or own > TIMES * left:
            return False
        self.add(address, amount)
        return True

    def add(self, address: str, amount: int) -> None:
        """Take an amount for an address, whatever its share is."""
        if amount:
            self._by_address[address] = self._by_address.get(address, 0) + amount
            self.used += amount

    def give_back(self, address: str, amount: int) -> None:
        """Give back an amount that an address has taken."""
        if not amount:
            return
        self.used -= amount
        own = self._by_address[address] - amount
        if own:
            self._by_address[address] = own
        else:
            del self._by_address[address]
