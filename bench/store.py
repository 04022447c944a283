"""Measures the store by itself: messages a second, by the size of a batch, on disk and in memory.

A message is an Append and, in the next batch, its recipient's Acknowledge, from which its sender's DELIVERED entry
comes: what the server asks for one message that is sent and delivered.
"""

import argparse
import itertools
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import machine, run, say, table

from twotick.store.port import Request, StoreLimits
from twotick.store.requests.members import AddMember, Member, OpenDevice
from twotick.store.requests.messages import Acknowledge, Append, Appended, EntryKind
from twotick.store.sqlite.store import SqliteStore

PAIRS = 50
BATCHES = (1, 16, 64, 256)
BYTES = 64
SECONDS = 3.0


def measure(store: SqliteStore, batch: int, body: bytes, seconds: float) -> tuple[float, float]:
    """Append and acknowledge for a while, and close the store.

    Returns:
        Messages a second, and microseconds of this process's processor time for each.
    """
    members: list[int] = []
    for (member,) in (store.apply([AddMember(f"user{i}", "", 0.0)]) for i in range(2 * PAIRS)):
        assert isinstance(member, Member)
        members.append(member.number)
        store.apply([OpenDevice(member.number, "main", 0, 0.0)])
    numbers = itertools.count()
    done = 0
    answers: list[Request[Any]] = []
    begun, used = time.perf_counter(), time.process_time()
    while time.perf_counter() < begun + seconds:
        requests = answers
        for number in itertools.islice(numbers, batch):
            pair = number % PAIRS
            sender, recipient = members[pair], members[PAIRS + pair]
            ident = b"%x" % (number * 0x9E3779B97F4A7C15 % (1 << 64))
            requests.append(
                Append(
                    sender=sender,
                    sender_name=b"user%d" % pair,
                    device=b"main",
                    id=ident,
                    recipient=b"user%d" % (PAIRS + pair),
                    members=(recipient,),
                    live=False,
                    headers=b"Time: 2026-11-22T09:30:00.123Z\n",
                    body=body,
                    time=1e9,
                )
            )
        answers = []
        for result in store.apply(requests):
            if isinstance(result, Appended):
                done += 1
                for entry in result.effects.entries:
                    if entry.kind is EntryKind.RECEIVED:
                        answers.append(Acknowledge(entry.member, b"main", entry.seq, 1e9))
    used, took = time.process_time() - used, time.perf_counter() - begun
    problems = store.check()
    assert not problems, problems
    store.close()
    return done / took, used / done * 1e6


def report(seconds: float = SECONDS, size: int = BYTES, folder: Path | None = None) -> str:
    """Measure, and describe it in Markdown."""
    body = bytes(i % 251 for i in range(size))
    rows: list[Sequence[str]] = [
        ("messages in a batch", "on disk/s", "CPU of each, µs", "in memory/s", "CPU of each, µs")
    ]
    for batch in BATCHES:
        say(f"store: batches of {batch}")
        with tempfile.TemporaryDirectory(dir=folder) as where:
            disk = measure(SqliteStore(Path(where) / "data", StoreLimits()), batch, body, seconds)
        memory = measure(SqliteStore(None, StoreLimits()), batch, body, seconds)
        rows.append((f"{batch}", *(text for rate, cpu in (disk, memory) for text in (f"{rate:,.0f}", f"{cpu:.1f}"))))
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long each measurement takes")
    parser.add_argument("--bytes", type=int, default=BYTES, help="of each message's body")
    parser.add_argument("--folder", type=Path, help="the disk to measure (default: where temporary files are)")
    options = parser.parse_args()
    print(machine(()), report(options.seconds, options.bytes, options.folder), sep="\n\n")


if __name__ == "__main__":
    run(main)
