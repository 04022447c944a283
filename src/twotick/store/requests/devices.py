"""Devices that stay away (docs/protocol.md, rule 10.9)."""

from dataclasses import dataclass

from twotick.store.port import Request
from twotick.store.requests.messages import Effects


@dataclass(frozen=True, slots=True)
class Absence:
    """How long devices may stay away.

    Attributes:
        age: the seconds after which a device lapses.
        notice: the seconds before that in which its owner is told.
    """

    age: float
    notice: float


@dataclass(frozen=True, slots=True)
class AbsentDevice:
    """A device that has not been connected for long.

    Attributes:
        member: whose it is.
        name: its name.
        lapses: whether it lapses now; if not, its owner is told.
        until: when it lapses at the earliest, in seconds since 1970.
    """

    member: int
    name: str
    lapses: bool
    until: float


@dataclass(frozen=True, slots=True)
class AbsentDevices:
    """Some devices that have not been connected for long.

    Attributes:
        devices: the devices.
        after: the member after whom to look for others; None if there are no others.
    """

    devices: list[AbsentDevice]
    after: int | None


@dataclass(frozen=True, slots=True)
class FindAbsent(Request[AbsentDevices]):
    """Find devices that lapse, and those whose owner is to be told before, of some members after `after`.

    A device that is connected may be among them: when it was connected is noted when it acknowledges something.
    """

    time: float
    absence: Absence
    after: int = 0


@dataclass(frozen=True, slots=True)
class NoteDevice(Request[None]):
    """Note that a device is connected."""

    member: int
    device: str
    time: float


@dataclass(frozen=True, slots=True)
class TellOfAbsence(Request[Effects]):
    """Tell a member, in the log, that a device has stayed away and will lapse, unless the member was told since."""

    member: int
    device: str
    time: float
    until: float


@dataclass(frozen=True, slots=True)
class LapseDevice(Request[None]):
    """Keep nothing for a device any more: it is as if it had never received. Its token stays.

    Does nothing if the device was connected since its owner was told.
    """

    member: int
    device: str
