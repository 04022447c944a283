"""What addresses have in a queue that is more than three quarters full (docs/protocol.md, rules 5.6 and 8.1).

In a queue with more room than that every address has its share, so nothing needs to be counted.
"""

from collections.abc import Iterable

from twotick.exchange.shares import TIMES, Shares


class QueueShares:
    """The messages and bytes that addresses have in one queue.

    Args:
        messages: the most messages in the queue.
        size: the most bytes.
        waiting: the address of each message in the queue, and its bytes.
    """

    __slots__ = ("_bytes", "_messages")

    def __init__(self, messages: int, size: int, waiting: Iterable[tuple[str, int]]) -> None:
        self._messages = Shares(messages)
        self._bytes = Shares(size)
        for address, each in waiting:
            self._messages.add(address, 1)
            self._bytes.add(address, each)

    def take(self, address: str, size: int) -> bool:
        """Take a place for a message of an address with so many bytes. Return whether its share allows it."""
        if not self._messages.take(address, 1):
            return False
        if self._bytes.take(address, size):
            return True
        self._messages.give_back(address, 1)
        return False

    def give_back(self, address: str, size: int) -> None:
        """Give back the place of a message."""
        self._messages.give_back(address, 1)
        self._bytes.give_back(address, size)


def is_scarce(used: int, more: int, most: int) -> bool:
    """Tell whether shares must be counted, because one address that had all that is used could not have more of it."""
    return used > TIMES * (most - used - more)
