"""When messages arrive, as the store keeps it and as recipients are told (rule 9.7)."""

from collections.abc import Callable

from twotick.wire import time_text


class ArrivalClock:
    """The time of day at which the messages that are being handled arrived.

    Args:
        clock: returns the time by which messages age, in seconds since 1970.
        time_of_day: returns what the system's clock says, which recipients are told.

    Attributes:
        arrived: the time by which messages age. It is read once for all messages of one read.
        now: returns that time at present.
    """

    def __init__(self, clock: Callable[[], float], time_of_day: Callable[[], float]) -> None:
        self.now = clock
        self._time_of_day = time_of_day
        self._shown = 0.0
        self._written = -1
        self._line = b""
        self.arrived = 0.0

    def read(self) -> None:
        """Set the time at which messages arrive to the present."""
        self.arrived = self.now()
        self._shown = self._time_of_day()

    def line(self) -> bytes:
        """Return the Time header line for messages that arrive."""
        milliseconds = int(self._shown * 1000)
        if milliseconds != self._written:
            self._written = milliseconds
            self._line = b"Time: %b\n" % time_text(self._shown)
        return self._line

    def accepted_line(self) -> bytes:
        """Return the Accepted header line for messages that arrive with a Time of their senders."""
        return self.line().replace(b"Time", b"Accepted", 1)


def accepted_in(travels: bytes) -> bytes:
    """Return the Accepted header line for the sender of a message (rule 11.14); empty if it is not known.

    Args:
        travels: the travelling headers of the message, with the line that says when it arrived.
    """
    lines = b"\n" + travels
    for name in (b"\nAccepted: ", b"\nTime: "):
        _, found, rest = lines.partition(name)
        if found:
            return b"Accepted: %b\n" % rest.partition(b"\n")[0]
    return b""
