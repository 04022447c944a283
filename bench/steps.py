"""What the longest step of each request costs in a large database (`Store.work_on`).

    python -m bench.steps

The database has 5,000 members, a room as large as rooms may be, and 50,000 messages. Each request has the largest
arguments that the protocol allows, and is carried out as the server does it: in steps, between which others have their
turn. While a step runs, all other users wait. The store's caches are emptied before each request, as after a start.

The cost is in units of some 5 microseconds (`Work.costs`), the time is the processor's.
"""

import argparse
import contextlib
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import thread_time
from typing import Any

from twotick.store import (
    Acknowledge,
    AddMember,
    Append,
    Expire,
    Fetch,
    FindMembers,
    History,
    ListContacts,
    ListConversations,
    ListMembers,
    ListProfiles,
    ListReceipts,
    ListRoomMembers,
    ListRooms,
    MarkRead,
    OpenDevice,
    Prune,
    RemoveMember,
    Request,
    Revoke,
    SearchMessages,
    SqliteStore,
    StoreLimits,
    Unfinished,
)
from twotick.store.requests.presence import ListAudience
from twotick.store.requests.rooms import CreateRoom, LeaveRoom

NOW = 1_800_000_000.0
LATER = NOW + 1000
OLD = LATER + 400 * 86400

Named = tuple[str, Request[Any]]


class Database:
    """A store with many members and messages.

    Args:
        folder: where it is.
        members: how many members it has.
        room: the members of a room.
        messages: how many messages it has.
    """

    def __init__(self, folder: Path, members: int, room: int, messages: int) -> None:
        self._folder = folder
        self._store = SqliteStore(folder, StoreLimits())
        added = self._store.apply([AddMember(f"m{number}", "", NOW) for number in range(members)])
        self.members: list[int] = [member.number for member in added]
        self.first, self.second = self.members[:2]
        for number in self.members[:3]:
            self._store.ask(OpenDevice(number, "main", 0, NOW))
        self._store.ask(CreateRoom(self.first, "#room", True, "", NOW))
        self._store.close()
        with contextlib.closing(sqlite3.connect(folder / "twotick.db")) as database:  # each member is told who joins
            rows = [(1, number, 1, NOW, 0) for number in self.members[1:room]]
            database.executemany("INSERT INTO room_member VALUES (?, ?, ?, ?, ?)", rows)
            database.commit()
        self._store = SqliteStore(folder, StoreLimits())
        half = messages // 2
        for start in range(0, half, 500):
            some = range(start, min(start + 500, half))
            self._store.apply([self.message(f"o{n}", 2 + n % (members - 2), 0) for n in some])
            self._store.apply([self.message(f"i{n}", 0, 1) for n in some])
        while self._store.tidy():
            pass

    def message(self, ident: str, sender: int, to: int, **more: Any) -> Append:
        """Return a message from one member to another, by their order."""
        options: dict[str, Any] = {"recipient": b"m%d" % to, "body": b"some wild oats " * 4, "time": NOW, **more}
        return Append(
            sender=self.members[sender],
            sender_name=b"m%d" % sender,
            device=b"main",
            id=ident.encode(),
            headers=b"Time: 2027-01-15T08:00:00.000Z\n",
            **options,
        )

    def measure(self, name: str, request: Request[Any]) -> tuple[int, float, int, str]:
        """Carry out a request.

        Returns:
            The cost and the seconds of its longest step, the number of steps, and its name.
        """
        self._store.close()
        self._store = SqliteStore(self._folder, StoreLimits())
        costs: list[int] = []
        longest = 0.0
        rest: Request[Any] | None = request
        while rest is not None:
            began = thread_time()
            work = self._store.work_on([rest])
            longest = max(longest, thread_time() - began)
            costs += work.costs
            answer = work.answers[0]
            rest = answer.rest if isinstance(answer, Unfinished) else getattr(answer, "rest", None)
        return max(costs), longest, len(costs), name

    def close(self) -> None:
        """Close the store."""
        self._store.close()


def requests(database: Database) -> Iterator[Named]:
    """Yield the requests: first those that read, then those that change much."""
    first, second = database.first, database.second
    yield "HISTORY", History(first, b"", 0, 0, 1000, 4 << 20)
    yield "HISTORY of a room", History(first, b"#room", 0, 0, 1000, 4 << 20)
    yield "SEARCH", SearchMessages(first, "wild o*", b"", 0, 100, 4 << 20)
    yield "CONVERSATIONS", ListConversations(first, 2000)
    yield "STATUS", ListContacts(first)
    yield "PROFILE", ListProfiles(first)
    yield "who sees a member", ListAudience(first, b"")
    yield "ROOMS", ListRooms(first, 2000)
    yield "ROOM Do: members", ListRoomMembers(first, "#room")
    yield "user list", ListMembers()
    yield "look for 256 members", FindMembers(tuple(f"m{number}" for number in range(256)), ())
    yield "entries for a device", Fetch(first, 0, 64, 1 << 20, LATER)
    yield "SEND to a full mailbox", database.message("f", 2, 1)
    yield "a new device", OpenDevice(second, "tablet", 0, LATER)
    yield "a device that says that it has all", OpenDevice(first, "main", 1 << 40, LATER)
    yield "READ of all", MarkRead(second, b"main", b"m0", 1 << 40, LATER)
    yield "RECEIVED of all", Acknowledge(second, b"main", 1 << 40, LATER)
    yield "REVOKE", Revoke(second, "tablet")
    yield "SEND to a room", database.message("r", 0, 0, recipient=b"#room")
    yield "RECEIPTS of a room", ListReceipts(first, b"#room", b"r")
    others = tuple(database.members[1:])
    yield "SEND ALL", database.message("a", 0, 0, recipient=b"ALL", members=others, expires=LATER)
    yield "RECEIPTS of ALL", ListReceipts(first, b"ALL", b"a")
    yield "ALL is over", Expire(LATER + 1)
    yield "leaving a room", LeaveRoom(second, "#room", LATER)
    yield "user remove", RemoveMember("m0", LATER)
    yield "retention", Prune(OLD, 400 * 86400.0)


def main() -> None:
    """Run the program with the options of the command line."""
    parser = argparse.ArgumentParser(description="What the longest step of each request costs in a large database.")
    parser.add_argument("--members", type=int, default=5000)
    parser.add_argument("--room", type=int, default=2000)
    parser.add_argument("--messages", type=int, default=50_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder, "data"), options.members, options.room, options.messages)
        found = [database.measure(*named) for named in requests(database)]
        database.close()
    print(f"{'request':<36} {'steps':>6} {'longest step':>14} {'time':>10}")
    for cost, seconds, steps, name in sorted(found, reverse=True):
        print(f"{name:<36} {steps:>6} {cost:>14,} {seconds * 1000:>7.1f} ms")


if __name__ == "__main__":
    main()
