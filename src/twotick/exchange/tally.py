"""What a server has done since it started, counted for its operator.

The counts are plain attributes, because some are counted for every message. Those who show them read them from time to
time. No count says who it was.
"""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final

from twotick.store import Effects, MessageState

_DELIVERED: Final = MessageState.DELIVERED

# A list: mypyc takes a constant tuple of numbers for one that was not set.
_SECONDS: Final[Sequence[float]] = [
    *(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0),
    *(2.5, 5.0, 10.0, 30.0, 60.0, 600.0, 3600.0, 86400.0),
]
"""The bounds of histograms, in seconds."""

OTHER: Final = "other"
"""The reason of what is refused for a reason of its own, which may contain names."""


_MOST_MET: Final = 200
"""The most users and limits that are remembered."""


class Histogram:
    """How long something took, by bounds.

    Attributes:
        bounds: the bounds, in seconds.
        counts: how many took at most as long as each bound and longer than the one before; the last one counts those
            that took longer than all bounds.
        sum: the seconds of all.
    """

    def __init__(self) -> None:
        self.bounds = _SECONDS
        self.counts = [0] * (len(_SECONDS) + 1)
        self.sum = 0.0

    def note(self, seconds: float) -> None:
        """Count one; a time below 0, as after a clock was set, counts as 0."""
        seconds = max(seconds, 0.0)
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds


class Tally:
    """What an exchange has done.

    Args:
        clock: returns the time by which messages age, in seconds since 1970.

    Attributes:
        accepted: messages, edits and reactions that were stored.
        delivered: those that all recipients have.
        failed: those that at least one recipient never will have.
        relayed: messages to guests that were delivered without being stored.
        until_delivered: the time from the arrival of a message to a member until the member has it.
        until_delivered_to_room: the same until all members of a room have it.
        refusals: what was refused, by reason.
        logins: logins of members, by result.
        hooks: posts to hooks, by result.
        pushes: notifications that were posted to push services, by result.
        met: how often a member, or the address of guests, has met a limit since the server was started, and when last,
            by name and limit; those of late. It names users, so only the operator sees it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.accepted = 0
        self.delivered = 0
        self.failed = 0
        self.relayed = 0
        self.until_delivered = Histogram()
        self.until_delivered_to_room = Histogram()
        self.refusals: dict[str, int] = {}
        self.logins: dict[str, int] = {}
        self.hooks: dict[str, int] = {}
        self.pushes: dict[str, int] = {}
        self.met: dict[tuple[str, str], tuple[int, float]] = {}

    def refuse(self, reason: str, number: int = 1) -> None:
        """Count what was refused; the reason is one of a few words, and names no user."""
        self.refusals[reason] = self.refusals.get(reason, 0) + number

    def note_met(self, name: bytes, limit: str) -> None:
        """Note that a user has met a limit, by the name of the setting that holds it."""
        key = (name.decode("ascii", "replace"), limit)
        count, _ = self.met.pop(key, (0, 0.0))
        if len(self.met) >= _MOST_MET:
            del self.met[next(iter(self.met))]
        self.met[key] = (count + 1, self._clock())

    def note_login(self, result: str) -> None:
        """Count a login."""
        self.logins[result] = self.logins.get(result, 0) + 1

    def note_hook(self, result: str) -> None:
        """Count a post to a hook."""
        self.hooks[result] = self.hooks.get(result, 0) + 1

    def note_push(self, result: str) -> None:
        """Count a notification that was posted; the result is one of a few words."""
        self.pushes[result] = self.pushes.get(result, 0) + 1

    def note_effects(self, effects: Effects) -> None:
        """Count the messages whose outcome is known now."""
        if not effects.concluded:
            return
        now = self._clock()
        for time, in_room, state in effects.concluded:
            if state is not _DELIVERED:
                self.failed += 1
                continue
            self.delivered += 1
            (self.until_delivered_to_room if in_room else self.until_delivered).note(now - time)
