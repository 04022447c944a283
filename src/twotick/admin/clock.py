"""The system's clock, compared with the time that a server has kept."""

import time

from twotick.admin.errors import AdminError
from twotick.store import AcceptTime, ReadTimes, Store


def compare_clock(store: Store) -> tuple[float, int]:
    """Return the seconds by which the system's clock is ahead of the time that a server kept last, and that time.

    Raises:
        AdminError: no server has kept the time.
        StoreError: the store cannot be read.
    """
    kept = store.ask(ReadTimes()).kept
    if kept is None:
        raise AdminError("no server has kept the time here: there is nothing to compare the clock with")
    return time.time() - kept, kept


def accept_clock(store: Store) -> None:
    """Let messages age by the system's clock from now on; nothing is older afterwards than it was before.

    Raises:
        AdminError: no server has kept the time.
        StoreError: the time cannot be stored.
    """
    compare_clock(store)
    store.ask(AcceptTime(int(time.time())))
