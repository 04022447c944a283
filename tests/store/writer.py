"""A process that writes to a store until it is killed, and says what the store has promised to keep."""

from pathlib import Path
from typing import Any

from tests.store.helpers import NOW
from twotick.store.port import Request, StoreLimits
from twotick.store.requests.messages import Acknowledge, Append
from twotick.store.sqlite.store import SqliteStore


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
        requests: list[Request[Any]] = []
        if first > 1:
            requests.append(Acknowledge(bob, b"main", first - 1, NOW))
        for number in range(first, first + batch):
            body = b"%d " % number * (number % 300)
            requests.append(
                Append(
                    sender=alice,
                    sender_name=b"alice",
                    device=b"main",
                    id=b"%d" % number,
                    recipient=b"bob",
                    members=(bob,),
                    live=False,
                    headers=b"X-a: 1\n",
                    body=body,
                    time=NOW,
                )
            )
        store.apply(requests)
        first += batch
        batch = batch % 7 + 1
        print(first - 1, flush=True)  # noqa: T201 - it is what the test reads
