"""The time by which messages age: the system's clock, as long as other clocks bear it out.

Theory of operation. What a server removes by age or deadline is gone for good, so a wrong clock must not decide it. A
store keeps the time every hour. When a server starts, it compares the system's clock with the time that was kept, and
in an older database with the newest message and with the file system's time of the database file. While it runs, it
compares the system's clock with the monotonic clock of the event loop. As long as they differ by no more than a bound,
the system's clock counts. Otherwise the time goes on from where it stood, with the monotonic clock, until the system's
clock is back within the bound or the operator accepts it (`twotick clock --accept`).

So a server that was off for long, or whose clock is wrong, has a time that is behind. Then messages are kept for too
long, which is harmless. They carry that time too, so they are not suddenly old when the clock is right again.
"""

import time
from collections.abc import Callable

from twotick.store import StoredTimes

BOUND = 7 * 86400.0
"""Default seconds by which the system's clock may differ from the others."""

SETTLING = 600.0
"""Default seconds after the start in which nothing is removed that was there before."""


def starting_time(system: float, known: StoredTimes, bound: float) -> float:
    """Return the time at which a server starts.

    Without a time that was kept, the middle one of three clocks counts, since one of them alone may be wrong: the
    system's, that of the newest message, and the file system's.

    Args:
        system: the system's clock, in seconds since 1970.
        known: what the store knows.
        bound: the seconds by which clocks may differ.
    """
    if known.kept is not None:
        expected: float = known.kept
    else:
        others = [each for each in (known.newest, known.written) if each is not None]
        expected = sorted([system, *others])[1] if len(others) == 2 else (others or [system])[0]
    return system if abs(system - expected) <= bound else expected


def describe_difference(ahead: float) -> str:
    """Return by how much a clock differs from a time, as in `3 days ahead of`.

    Args:
        ahead: the seconds by which it is ahead; less than 0 if it is behind.
    """
    amount, unit = abs(ahead) / 86400, "days"
    if amount < 1:
        amount, unit = abs(ahead), "seconds"
    return f"{amount:.0f} {unit} {'ahead of' if ahead > 0 else 'behind'}"


class StoreClock:
    """The time by which messages age.

    Args:
        start: what `starting_time` returned.
        steady: returns the seconds on a clock that never jumps.
        bound: the seconds by which the system's clock may differ.

    Attributes:
        bound: see above.
    """

    def __init__(self, start: float, steady: Callable[[], float], bound: float) -> None:
        self._steady = steady
        self.bound = bound
        self.set(start)

    def set(self, start: float) -> None:
        """Go on from a time, in seconds since 1970."""
        self._start = start - self._steady()

    def __call__(self) -> float:
        """Return the time, in seconds since 1970."""
        expected = self._start + self._steady()
        system = time.time()
        return system if abs(system - expected) <= self.bound else expected

    @property
    def ahead(self) -> float:
        """The seconds by which the system's clock is ahead of the expected time; less than 0 if it is behind."""
        return time.time() - self._start - self._steady()

    @property
    def is_believed(self) -> bool:
        """Whether the system's clock counts."""
        return abs(self.ahead) <= self.bound
