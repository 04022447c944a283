"""A process that writes to a store until it is killed, and says what the store has promised to keep."""

from pathlib import Path

from tests.store.helpers import NOW
from twotick.store.records import Acknowledge, Append, StoreLimits
from twotick.store.requests import Request
from twotick.store.sqlite import SqliteStore


def write(folder: str, alice: int, bob: int, first: int = 1) -> None:
    """Send messages from alice to bob with Ids that count up, and acknowledge each in the next batch.

    After each batch, the number of the last message is written to the standard output, a line each.

    Args:
        folder: where the store is.
        alice: the sender.
        bob: the recipient, whose log must be as long as `first` says.
        first: the Id of the first message, which is also its number in bob's log.
    """
    store = SqliteStore(Path(folder), StoreLimits())
    batch = 1
    while True:
        requests: list[Request] = []
        if first > 1:
            requests.append(Acknowledge(bob, b"main", first - 1, NOW))
        for number in range(first, first + batch):
            body = b"%d " % number * (number % 300)
            requests.append(
                Append(alice, b"alice", b"main", b"%d" % number, b"bob", (bob,), False, b"X-a: 1\n", body, NOW)
            )
        store.apply(requests)
        first += batch
        batch = batch % 7 + 1
        print(first - 1, flush=True)  # noqa: T201 - it is what the test reads
