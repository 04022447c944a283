"""When a message is to be sent, as clients of ntfy say it (docs/protocol.md, rule 22.7)."""

import re
from datetime import datetime, timedelta
from typing import Final

from twotick.server.web.publish.publication import Unreadable

_SHORTEST: Final = 10.0
_LONGEST: Final = 3 * 86400.0
"""The seconds of a delay."""

_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_PART: Final = r"([0-9]{1,9})\s*(d|days?|h|hours?|m|mins?|minutes?|s|secs?|seconds?)"
_PARTS: Final = re.compile(rf"(?:{_PART}\s*)+")
_EACH: Final = re.compile(_PART)
_CLOCK: Final = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))?\s*(am|pm)?")
_DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def read_delay(text: str, now: float) -> float:
    """Return when a message is to be sent, in seconds since 1970. Days and times of day are those of the server's zone.

    Args:
        text: seconds since 1970, a duration, a time of day, a day, or a day and a time of day; or as ISO 8601 has it.
        now: the time, in seconds since 1970.

    Raises:
        Unreadable: the text says no time, or one too soon or too late.
    """
    try:
        time = _time(text.strip(), now)
    except (OverflowError, OSError, ValueError) as error:
        raise Unreadable("delay is no time: write it as 30m, 2 hours, 10am, 'tomorrow, 10am' or 1796385600") from error
    if not _SHORTEST <= time - now <= _LONGEST:
        raise Unreadable("a delay is at least 10 seconds, and at most 3 days")
    return time


def _time(text: str, now: float) -> float:
    """Return the time that a text says.

    Raises:
        ValueError: it says none.
    """
    words = " ".join(text.lower().replace(",", " ").split())
    if re.fullmatch(r"[0-9]{9,11}", words):
        return float(words)
    if _PARTS.fullmatch(words):
        return now + sum(int(count) * _UNITS[unit[0]] for count, unit in _EACH.findall(words))
    local = datetime.fromtimestamp(now)  # the zone of the server, whose clocks may change meanwhile
    return (_day_and_time(words, local) or datetime.fromisoformat(text)).timestamp()


def _day_and_time(text: str, now: datetime) -> datetime | None:
    """Return the first time after now that a text such as `monday at 10am` means; None if it means none."""
    first, _, rest = text.partition(" ")
    day = next((each for each in _DAYS if first in (each, each[:3])), first if first in ("today", "tomorrow") else "")
    clock = (rest if day else text).removeprefix("at ").strip()
    found = _CLOCK.fullmatch(clock)
    if (clock and found is None) or not (clock or day):
        return None
    time = now if found is None else now.replace(hour=_hour(found), minute=int(found[2] or 0), second=0, microsecond=0)
    if day in _DAYS:
        time += timedelta(days=(_DAYS.index(day) - now.weekday()) % 7)
        return time if time > now else time + timedelta(days=7)
    if day == "tomorrow":
        return time + timedelta(days=1)
    return time if time > now or day else time + timedelta(days=1)


def _hour(found: re.Match[str]) -> int:
    """Return the hour of a time of day; one without minutes says `am` or `pm`.

    Raises:
        ValueError: there is no such hour.
    """
    hour = int(found[1])
    if found[3] is None:
        if found[2] is None:
            raise ValueError("it may be no hour")
        return hour
    if not 1 <= hour <= 12:
        raise ValueError("there is no such hour")
    return hour % 12 + (12 if found[3] == "pm" else 0)
