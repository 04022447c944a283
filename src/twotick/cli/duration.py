"""The type of options that are times."""

import math

import click

from twotick.ui.quantities import parse_time


class Duration(click.ParamType[float]):
    """A time as people write it, in seconds.

    Args:
        least: the least time that is accepted, in seconds.
        most: the longest, in seconds.
        unit: the unit of a number without one.
    """

    name = "time"

    def __init__(self, least: float = 0, unit: str = "s", most: float = math.inf) -> None:
        self._least = least
        self._most = most
        self._unit = unit

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Parse a time, such as `90`, `10 min` or `2h`."""
        if not isinstance(value, str):
            return value
        try:
            seconds = parse_time(value, self._unit)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if seconds < self._least:
            self.fail(f"{value!r} is too short", param, ctx)
        if seconds > self._most:
            self.fail(f"{value!r} is too long", param, ctx)
        return seconds
