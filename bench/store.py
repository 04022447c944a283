"""Measure the store: messages a second, by the size of a batch, on disk and in memory.

A message is an Append and, in the next batch, its recipient's Acknowledge, from which its sender's DELIVERED entry
comes: what the server asks for one message that is sent and delivered.
"""

import argparse
import itertools
import tempfile
import time
from pathlib import Path

from twotick.store.memory import MemoryStore
from twotick.store.records import (
    Acknowledge,
    AddMember,
    Append,
    Appended,
    Kind,
    Member,
    OpenDevice,
    Request,
    StoreLimits,
)
from twotick.store.sqlite import SqliteStore

PAIRS = 50
BATCHES = (1, 16, 64, 256)


def measure(store: SqliteStore | MemoryStore, batch: int, body: bytes, seconds: float) -> tuple[float, float]:
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
    answers: list[Request] = []
    begun, used = time.perf_counter(), time.process_time()
    while time.perf_counter() < begun + seconds:
        requests = answers
        for number in itertools.islice(numbers, batch):
            pair = number % PAIRS
            sender, recipient = members[pair], members[PAIRS + pair]
            ident = b"%x" % (number * 0x9E3779B97F4A7C15 % (1 << 64))
            requests.append(
                Append(
                    sender,
                    b"user%d" % pair,
                    b"main",
                    ident,
                    b"user%d" % (PAIRS + pair),
                    (recipient,),
                    False,
                    b"Time: 2026-11-22T09:30:00.123Z\n",
                    body,
                    1e9,
                )
            )
        answers = []
        for result in store.apply(requests):
            if isinstance(result, Appended):
                done += 1
                for entry in result.outcome.entries:
                    if entry.kind is Kind.RECEIVED:
                        answers.append(Acknowledge(entry.member, b"main", entry.seq, 1e9))
    used, took = time.process_time() - used, time.perf_counter() - begun
    problems = store.check()
    assert not problems, problems
    store.close()
    return done / took, used / done * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each measurement takes")
    parser.add_argument("--body", type=int, default=64, help="bytes of each message's body")
    parser.add_argument("--folder", type=Path, help="the disk to measure (default: where temporary files are)")
    options = parser.parse_args()
    body = bytes(i % 251 for i in range(options.body))
    print(f"{'batch':>6} {'disk':>10} {'us each':>8} {'memory':>10} {'us each':>8}")
    for batch in BATCHES:
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            disk = measure(SqliteStore(Path(folder) / "data", StoreLimits()), batch, body, options.seconds)
        memory = measure(MemoryStore(StoreLimits()), batch, body, options.seconds)
        print(f"{batch:>6} {disk[0]:>8.0f}/s {disk[1]:>8.1f} {memory[0]:>8.0f}/s {memory[1]:>8.1f}")


if __name__ == "__main__":
    main()
