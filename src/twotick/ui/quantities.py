"""Sizes and times as people write them: `1 MiB`, `90d`, `10 min`."""

import re

_QUANTITY = re.compile(r"\s*(\d{1,18}(?:\.\d{1,9})?)\s*([A-Za-z]*)\s*", re.ASCII)

_SIZES = {
    **dict.fromkeys(("", "b", "byte", "bytes"), 1),
    **{f"{letter}{rest}": 1024**power for power, letter in enumerate("kmgt", 1) for rest in ("", "ib")},
    **{f"{letter}b": 1000**power for power, letter in enumerate("kmgt", 1)},
}

_TIMES = {
    **dict.fromkeys(("", "s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86400),
}

SIZE_EXAMPLE = "a size such as 65536, '64 KiB' or '1 GiB'"
TIME_EXAMPLE = "a time such as 30 (seconds), '10 min', '12h' or '90d'"


def parse_size(text: str) -> int:
    """Return a size in bytes.

    Args:
        text: a number, with or without a unit: `KiB` and `K` are 1024 bytes, `KB` is 1000 bytes, and so on.

    Raises:
        ValueError: it is no size; the text says what one looks like.
    """
    return round(_parse(text, _SIZES, SIZE_EXAMPLE))


def parse_time(text: str, unit: str = "s") -> float:
    """Return a time in seconds.

    Args:
        text: a number, with or without a unit from seconds to weeks.
        unit: the unit of a number without one: `s`, `min`, `h` or `d`.

    Raises:
        ValueError: it is no time; the text says what one looks like.
    """
    return _parse(text, {**_TIMES, "": _TIMES[unit]}, TIME_EXAMPLE)


def _parse(text: str, units: dict[str, int], example: str) -> float:
    found = _QUANTITY.fullmatch(text)
    factor = None if found is None else units.get(found[2].lower())
    if found is None or factor is None:
        raise ValueError(f"{text!r} is not {example}")
    return float(found[1]) * factor if "." in found[1] else int(found[1]) * factor
