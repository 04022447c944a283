"""Devices that stay away: their owners are told, and later they lapse (docs/protocol.md, rule 10.9)."""

from collections.abc import Callable

from twotick.exchange.effects import EffectsPublisher
from twotick.exchange.members import ConnectedMembers
from twotick.exchange.neighbours import Neighbours
from twotick.store import (
    Absence,
    AbsentDevices,
    FindAbsent,
    LapseDevice,
    NoteConnected,
    NoteDevice,
    StoreError,
    TellOfAbsence,
)

_EVERY = 3600.0
"""Seconds between looks for devices that stay away."""


class AbsenceWatch:
    """Looks for devices that stay away, some members at a time.

    Args:
        effects: takes what members are told, and the requests.
        members: the members who are connected.
        clock: returns the time by which devices age, in seconds since 1970.
        absence: how long devices may stay away.
        first: when to look first, in seconds on the clock of `tick`.
        neighbours: knows whether this server looks for all that share the database.
    """

    def __init__(
        self,
        effects: EffectsPublisher,
        members: ConnectedMembers,
        clock: Callable[[], float],
        *,
        absence: Absence,
        first: float,
        neighbours: Neighbours,
    ) -> None:
        self._effects = effects
        self._members = members
        self._clock = clock
        self._absence = absence
        self._next = first
        self._neighbours = neighbours

    def tick(self, now: float) -> None:
        """Look for such devices if it is time; `now` is in seconds on a clock that does not go back."""
        if self._members.exist and self._neighbours.leads and now >= self._next:
            self._next = now + _EVERY
            if self._neighbours.identity is not None:
                self._effects.output.ask(NoteConnected(self._clock()), _ignore)
            self._look(0)

    def _look(self, after: int) -> None:
        self._effects.output.ask(FindAbsent(self._clock(), self._absence, after), self._found)

    def _found(self, found: AbsentDevices | StoreError) -> None:
        if isinstance(found, StoreError):
            return  # the next look finds them
        time = self._clock()
        for device in found.devices:
            if device.name.encode() in self._members.devices(device.member):
                self._effects.output.ask(NoteDevice(device.member, device.name, time), _ignore)
            elif device.lapses:
                self._effects.output.ask(LapseDevice(device.member, device.name), _ignore)
            else:
                self._effects.ask(TellOfAbsence(device.member, device.name, time, device.until))
        if found.after is not None:
            self._look(found.after)


def _ignore(_: object) -> None:
    """Take an answer that says nothing; after an error, the next look does it again."""
