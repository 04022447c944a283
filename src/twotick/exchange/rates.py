"""How much users have had stored of late (docs/protocol.md, rules 8.5 and 16.6)."""

from collections.abc import Hashable
from math import ceil
from typing import Final

from twotick.exchange.connection import Connection

SECONDS: Final = 256
"""The seconds in which an amount is paid off that is as large as the limit."""

_PAUSE: Final = 8
"""The seconds for which a user who has reached the limit must wait at least, so as not to meet it again at once."""


class ByteRate:
    """A limit on the bytes that each of some users has stored in about four minutes.

    Args:
        most: the bytes.
        now: the time, in seconds on any clock that does not go back.
    """

    def __init__(self, most: int, now: float) -> None:
        self.most = most
        self._now = now
        self._used: dict[Hashable, float] = {}
        self._until: dict[Hashable, float] = {}  # when those may go on who have reached the limit

    def tick(self, now: float) -> None:
        """Set the time, and let users pay off what they have used."""
        paid = (now - self._now) * self.most / SECONDS
        self._now = now
        if self._used:
            self._used = {key: left for key, used in self._used.items() if (left := used - paid) > 0}
        if self._until:
            self._until = {key: until for key, until in self._until.items() if until > now}

    def wait(self, key: Hashable) -> int:
        """Return the seconds for which a user must wait before something is stored; 0 for none."""
        if self._until and key in self._until:
            return ceil(self._until[key] - self._now)
        if self._used.get(key, 0.0) < self.most:
            return 0
        over = (self._used[key] - self.most) * SECONDS / self.most
        self._until[key] = self._now + over + _PAUSE
        return ceil(over + _PAUSE)

    def use(self, key: Hashable, amount: int) -> None:
        """Note that bytes are stored for a user."""
        self._used[key] = self._used.get(key, 0.0) + amount


class SenderRates:
    """A limit on the bytes that are stored of each member, and one on those of each address.

    Args:
        most_of_member: the bytes of a member.
        most_of_address: those of an address.
        now: the time, in seconds on any clock that does not go back.
    """

    def __init__(self, most_of_member: int, most_of_address: int, now: float) -> None:
        self._of_members = ByteRate(most_of_member, now)
        self._of_addresses = ByteRate(most_of_address, now)

    def set(self, most_of_member: int, most_of_address: int) -> None:
        """Use other limits from now on."""
        self._of_members.most = most_of_member
        self._of_addresses.most = most_of_address

    def tick(self, now: float) -> None:
        """Set the time, in seconds."""
        self._of_members.tick(now)
        self._of_addresses.tick(now)

    def wait(self, sender: Connection) -> int:
        """Return the seconds for which a user must wait before more is stored; 0 for none."""
        own = 0 if sender.device is None else self._of_members.wait(sender.device.member)
        return max(own, self._of_addresses.wait(sender.network))

    def use(self, sender: Connection, size: int) -> None:
        """Count bytes that are stored for a user."""
        if sender.device is not None:
            self._of_members.use(sender.device.member, size)
        self._of_addresses.use(sender.network, size)
