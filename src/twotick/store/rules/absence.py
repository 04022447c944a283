"""The rules of devices that stay away (docs/protocol.md, rule 10.9)."""

from collections.abc import Sequence
from dataclasses import dataclass

from twotick.store.requests.devices import Absence, AbsentDevice
from twotick.wire import time_text

_FILLING = 86400.0
"""The seconds after which the owner of a device is told of it if the mailbox is nearly full."""


@dataclass(frozen=True, slots=True)
class ReceivingDevice:
    """A device that receives.

    Attributes:
        member: whose it is.
        name: its name.
        seen: when it was last connected, in seconds since 1970.
        told: when its owner was told that it stays away; 0 for never. Before `seen`, it has no meaning.
    """

    member: int
    name: str
    seen: float
    told: float


def find_absent(
    devices: Sequence[ReceivingDevice], time: float, absence: Absence, *, is_filling: bool
) -> list[AbsentDevice]:
    """Return the devices of a member that lapse, and those whose owner is to be told before.

    The device that was connected last is never among them: somewhere the member must be reached.

    Args:
        devices: the member's devices that receive.
        time: now, in seconds since 1970.
        absence: how long they may stay away.
        is_filling: whether the member's mailbox is nearly full.
    """
    newest = max((device.seen for device in devices), default=0.0)
    found: list[AbsentDevice] = []
    for device in devices:
        if device.seen >= newest:
            continue
        away = time - device.seen
        if device.told <= device.seen:
            if away > absence.age - absence.notice or (is_filling and away > _FILLING):
                until = time + absence.notice
                if not is_filling:
                    until = max(until, device.seen + absence.age)
                found.append(AbsentDevice(device.member, device.name, lapses=False, until=until))
        elif (away > absence.age or is_filling) and time - device.told > absence.notice:
            found.append(AbsentDevice(device.member, device.name, lapses=True, until=time))
    return found


def absence_headers(device: str, time: float, seen: float, until: float) -> bytes:
    """Return the header lines of the event that tells a member of a device that stays away.

    Args:
        device: its name.
        time: now, in seconds since 1970.
        seen: when it was last connected.
        until: when it lapses at the earliest.
    """
    return b"Time: %b\nEvent: absent\nDevice: %b\nSince: %b\nUntil: %b\n" % (
        time_text(time),
        device.encode(),
        time_text(seen),
        time_text(until),
    )
