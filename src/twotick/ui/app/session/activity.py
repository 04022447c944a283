"""Whether the user is at the keyboard, which other users see as presence (rule 15.1)."""

import time
from collections.abc import Callable

IDLE = 600.0
"""Seconds without a key after which the user counts as away."""


class ActivityMonitor:
    """Watches whether the user is at the keyboard.

    Args:
        report: called with whether the user is here, once at the start and after every change.
        clock: returns the time in seconds.
    """

    def __init__(self, report: Callable[[bool], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._clock = clock
        self._focus = True
        self._away = False  # as the user has chosen
        self._last = clock()
        self._reported: bool | None = None
        self.look()

    @property
    def here(self) -> bool:
        """Whether the user is here."""
        return self._focus and not self._away and self._clock() - self._last < IDLE

    def focus(self, has_focus: bool) -> None:
        """Record that the terminal has got or lost the focus."""
        self._focus = has_focus
        if has_focus:
            self._last = self._clock()
        self.look()

    def acted(self) -> None:
        """Record that the user pressed a key or used the mouse. The terminal has the focus then."""
        self._focus = True
        self._last = self._clock()
        self.look()

    def be_away(self, away: bool) -> None:
        """Set whether the user counts as away regardless of any activity."""
        self._away = away
        self.look()

    def look(self) -> None:
        """Report a change. Call this from time to time, because nothing happens when the user becomes idle."""
        here = self.here
        if here is not self._reported:
            self._reported = here
            self._report(here)
