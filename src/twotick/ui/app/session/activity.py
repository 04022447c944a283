"""Whether somebody is at the keys, as others are told (rule 15.1)."""

import time
from collections.abc import Callable

IDLE = 600.0
"""Seconds without a key after which somebody is away."""


class ActivityMonitor:
    """Whether somebody is at the keys of a terminal.

    Args:
        tell: told whether somebody is here, at first and whenever that changes.
        clock: the time, in seconds.
    """

    def __init__(self, tell: Callable[[bool], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._focus = True
        self._away = False  # as somebody has chosen
        self._last = clock()
        self._told: bool | None = None
        self.look()

    @property
    def here(self) -> bool:
        """Whether somebody is here."""
        return self._focus and not self._away and self._clock() - self._last < IDLE

    def focus(self, has_focus: bool) -> None:
        """The terminal has got, or lost, the focus."""
        self._focus = has_focus
        if has_focus:
            self._last = self._clock()
        self.look()

    def acted(self) -> None:
        """A key was pressed, or the mouse used: whoever does that has the terminal in front of them."""
        self._focus = True
        self._last = self._clock()
        self.look()

    def be_away(self, away: bool) -> None:
        """Be away, whatever is typed; or no longer."""
        self._away = away
        self.look()

    def look(self) -> None:
        """Tell it if it has changed; to be called now and then."""
        here = self.here
        if here is not self._told:
            self._told = here
            self._tell(here)
