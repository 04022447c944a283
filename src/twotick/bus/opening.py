"""The choice of the bus that the options ask for."""

from twotick.bus.local import LocalBus
from twotick.bus.options import BusOptions, check_bus
from twotick.bus.port import Bus, BusError


def open_bus(options: BusOptions, prefix: str) -> Bus:
    """Return the bus that the options ask for. It is not open yet.

    Args:
        options: its options.
        prefix: stands before each subject, so that several groups of servers can share a NATS server.

    Raises:
        BusError: the options make no sense or are not safe, or the library for NATS is missing.
    """
    urls = check_bus(options)
    if not urls:
        return LocalBus()
    try:
        from twotick.bus.nats import NatsBus  # imported only by servers with a bus: the library is an extra
    except ModuleNotFoundError as error:
        raise BusError(f"the setting bus needs {error.name}: run pip install 'twotick[cluster]'") from error
    return NatsBus(options, urls, prefix)
