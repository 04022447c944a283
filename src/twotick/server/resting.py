"""How long users rest who ask much of the store while others ask for little (docs/protocol.md, rule 8.6).

Theory. A request of a user that asks for little would wait for what the store is doing for another user at that moment.
Taking turns does not help: the other one has something to do all the time. So a user who has had more than a share of
the store's time rests, and the store is free most of the time. Nothing of this happens while all ask for much, or all
for little, because then nothing is won. What counts is processor time: waiting for the disk costs others little, since
their requests join the next transaction.

What a user has used is in a bucket that leaks. While it is full, the user has asked for much; while it is less than
half full, for little. Acknowledgements do not count as asking for little: those to whom a user sends much send
acknowledgements, and the user would rest because of its own recipients.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final

_PART: Final = 8
"""A user who rests has one of so many parts of the time."""

_BURST: Final = 0.05
"""The seconds of the store's time that a user has before it rests."""

_FULL: Final = _BURST * _PART
"""The seconds in which a full bucket is empty."""

_LONGEST: Final = 0.5
"""The seconds that a user rests at most, also after a request that has taken very long."""

_BESIDE: Final = 0.5
"""The seconds for which a user who asks for little counts as there."""

_MOST_USERS: Final = 4096
"""The buckets that are remembered although they may be empty."""


class Rests:
    """Who has asked for something lately, and what everyone has used."""

    def __init__(self) -> None:
        self._asked: OrderedDict[Hashable, float] = OrderedDict()  # when; who has asked last is the last
        self._empty: dict[Hashable, float] = {}  # when the bucket of a user will be empty

    def asks(self, user: Hashable, now: float) -> None:
        """Note that a user asks for something, beside which others may have to rest.

        Args:
            user: the user.
            now: the time, in seconds.
        """
        asked = self._asked
        asked[user] = now
        asked.move_to_end(user)
        while next(iter(asked.values())) < now - _BESIDE:
            asked.popitem(last=False)

    def used(self, user: Hashable, seconds: float, now: float) -> None:
        """Note how much of the store's time the requests of a user have used."""
        self._empty[user] = min(max(self._empty.get(user, now), now), now + _FULL) + min(seconds * _PART, _LONGEST)
        if len(self._empty) > _MOST_USERS:
            self._empty = {each: empty for each, empty in self._empty.items() if empty > now + _FULL / 2}

    def left(self, user: Hashable, now: float) -> float:
        """Return how long a user is still to rest, in seconds; 0 if it need not."""
        left = self._empty.get(user, now) - now - _FULL
        return left if left > 0 and self._is_one_beside(now) else 0.0

    def shortens(self, user: Hashable, now: float) -> bool:
        """Return whether others wait for the ends of the transactions of a user who asks for much."""
        return self._has_much(user, now) and self._is_one_beside(now)

    def _has_much(self, user: Hashable, now: float) -> bool:
        return self._empty.get(user, now) - now >= _FULL / 2

    def _is_one_beside(self, now: float) -> bool:
        """Return whether a user has asked for something lately that asks for little."""
        for user, asked in reversed(self._asked.items()):
            if asked < now - _BESIDE:
                break
            if not self._has_much(user, now):
                return True
        return False
