"""The bus between servers: hints that may be lost, and requests whose failure is known at once."""

from twotick.bus.local import BusHub, LocalBus
from twotick.bus.opening import open_bus
from twotick.bus.options import BusOptions, check_bus
from twotick.bus.port import Bus, BusAway, BusError, NoResponder, Reply

__all__ = [
    "Bus",
    "BusAway",
    "BusError",
    "BusHub",
    "BusOptions",
    "LocalBus",
    "NoResponder",
    "Reply",
    "check_bus",
    "open_bus",
]
