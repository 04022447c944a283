"""When messages arrive, as the store keeps it and as recipients are told (rule 9.7)."""

from collections.abc import Callable

from twotick.wire import time_text


class ArrivalClock:
    """The time of day at which the messages that are being handled arrived.

    Args:
        clock: returns the time of day, in seconds since 1970.

    Attributes:
        arrived: that time. It is read once for all messages of one read.
        now: returns the present time.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.now = clock
        self._written = -1
        self._line = b""
        self.arrived = 0.0

    def read(self) -> None:
        """Set `arrived` to the present time."""
        self.arrived = self.now()

    def line(self) -> bytes:
        """Return the Time header line for `arrived`."""
        milliseconds = int(self.arrived * 1000)
        if milliseconds != self._written:
            self._written = milliseconds
            self._line = b"Time: %b\n" % time_text(self.arrived)
        return self._line
