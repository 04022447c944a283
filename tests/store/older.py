"""What is in the databases of older formats in `version*.sql`, and all that a store says of it.

Each of these files has the rows of a database that the program of its format has written with `fill`. To make one for a
format, run this module with the program of that format: `python -m tests.store.older > tests/store/versionN.sql`.
"""

import sqlite3
import sys
import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.store import sending_files
from tests.store.helpers import NOW, Asker
from twotick.store.requests.devices import LapseDevice, TellOfAbsence
from twotick.store.requests.members import AddInvitation, AddToken, FindToken, ListDevices
from twotick.store.requests.messages import Expire, LogEntry, MessageAction
from twotick.store.requests.presence import ListContacts, SetShown
from twotick.store.requests.reports import AddReport, ListReports
from twotick.store.requests.rooms import ListRooms
from twotick.store.requests.search import SearchMessages, SearchPage
from twotick.store.rules.rooms import RoomRole
from twotick.store.sqlite import schema

NAMES = ("alice", "Bob", "carol", "dora")
CONTENT = b"a picture"
"""The content of a file."""


def fill(asker: Asker) -> None:
    """Let four members do everything; the last two messages are still in the journal."""
    asker.ask(Expire(NOW))
    asker.add(*NAMES)
    alice, bob = asker.members["alice"], asker.members["Bob"]
    asker.ask(AddToken(alice, "laptop", b"alice's token", NOW))
    asker.ask(AddInvitation(b"invitation", NOW + 1000))
    asker.open("alice", "laptop/chat")
    _talk(asker)
    _meet(asker)
    asker.ask(TellOfAbsence(bob, "main", NOW + 5, NOW + 9))
    asker.open("Bob", "phone")
    asker.ask(TellOfAbsence(alice, "laptop/chat", NOW + 6, NOW + 9))
    asker.ask(LapseDevice(alice, "laptop/chat"))
    asker.ask(SetShown(alice, False))
    asker.set("dora", "alice", muted=True)
    while asker.store.tidy():
        pass
    asker.send("alice", "Bob", id=b"a9", body=b"last words")
    asker.say("carol", b"last of all", b"c9")


def _talk(asker: Asker) -> None:
    asker.send("alice", "Bob", id=b"a1", body=b"one apple")
    asker.send("Bob", "alice", id=b"b1", body=b"two pears")
    asker.send("dan", "Bob", body=b"a guest's plum")
    asker.send("alice", "Bob", "carol", to="ALL", id=b"a2", body=b"to all")
    asker.send("alice", "alice", id=b"a3", body=b"note to self")
    asker.send("alice", "Bob", id=b"a4", body=b"never arrives", expires=NOW + 3)
    asker.send("alice", "carol", id=b"a5", body=b"in time", expires=NOW + 99)
    asker.ask(asker.correction("alice", MessageAction.EDIT, b"a1", b"one orange", to="Bob", id=b"a6"))
    asker.ask(asker.correction("Bob", MessageAction.REACT, b"a1", b"+1", to="alice", about_name=b"alice", id=b"b2"))
    asker.send("Bob", "alice", id=b"b3", body=b"withdrawn")
    asker.ask(asker.correction("Bob", MessageAction.DELETE, b"b3", to="alice", id=b"b4"))
    asker.ack("Bob", 3)
    asker.read("Bob", "alice", 1)
    asker.set("carol", "Bob", blocked=True)
    asker.send("Bob", "carol", id=b"b5", body=b"unheard")
    asker.send("Bob", "dora", id=b"b6", body=b"before the block")
    asker.set("dora", "Bob", blocked=True)
    asker.ask(asker.correction("Bob", MessageAction.EDIT, b"b6", b"after the block", to="dora", id=b"b7"))
    asker.ask(Expire(NOW + 4))
    sending_files.upload(asker, "alice", CONTENT)
    sending_files.send_file(asker, "alice", "Bob", id=b"a7", body=b"a picture")
    asker.ask(sending_files.offer(asker, "alice", b"half a file", id=b"f2", key=b"key2"))
    asker.refuse("carol", 2)
    asker.ask(AddReport(asker.members["carol"], b"Bob", b"", b"unpleasant", NOW))


def _meet(asker: Asker) -> None:
    asker.gather("alice", "Bob", "carol")
    asker.say("alice", b"room for apples", b"r1")
    asker.ask(asker.correction("alice", MessageAction.EDIT, b"r1", b"room for oranges", id=b"r2"))
    asker.appoint("alice", "Bob", RoomRole.MODERATOR)
    asker.leave("Bob")
    asker.say("carol", b"without him", b"r3")
    asker.create("dora", "#Open", public=True, topic="all welcome")
    asker.join("carol", "#open")
    asker.create("carol", "#Private")
    asker.invite("carol", "dora", "#private")
    asker.invite("alice", "Bob")


def everything(asker: Asker) -> dict[str, Any]:
    """Return all that a store says of it to each member."""
    said: dict[str, Any] = {"reports": asker.ask(ListReports()), "token": asker.ask(FindToken(b"alice's token"))}
    for name in NAMES:
        number = asker.members[name]
        said[name] = {
            "log": [_unmarked(entry) for entry in asker.log(name)],
            "history": [
                [_unmarked(entry) for entry in asker.history(name, peer)]
                for peer in ("", "alice", "bob", "carol", "dora", "dan", "#team")
            ],
            "found": [_found(asker, number, word) for word in ("apple", "orange", "block", "plum", "last", "self")],
            "conversations": asker.conversations(name),
            "devices": asker.ask(ListDevices(number)),
            "contacts": asker.ask(ListContacts(number)),
            "rooms": asker.ask(ListRooms(number, 100)),
            "file": sending_files.read(asker, name),
        }
    said["receipts"] = [asker.receipts("alice", "Bob", ident) for ident in (b"a1", b"a4", b"a7", b"a9")]
    said["in all"] = asker.receipts("alice", "ALL", b"a2")
    said["in the room"] = asker.receipts("alice", "#team", b"r1")
    return said


def _unmarked(entry: LogEntry) -> LogEntry:
    """Return an entry without the mark of guests' messages, which older programs did not make."""
    return replace(entry, headers=entry.headers.replace(b"Guest: yes\n", b""))


def _found(asker: Asker, member: int, word: str) -> object:
    page = asker.ask(SearchMessages(member, word, b"", 0, 100, 1 << 30))
    assert isinstance(page, SearchPage)
    return replace(page, entries=[_unmarked(entry) for entry in page.entries])


def opened(folder: Path, number: int) -> Asker:
    """Open a database of a format that `fill` has filled."""
    with closing(sqlite3.connect(folder / "twotick.db")) as connection:
        for step in schema.STEPS[:number]:
            connection.executescript(step)
        connection.executescript(Path(__file__).with_name(f"version{number}.sql").read_text())
        connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {number}")
    asker = Asker(folder)
    asker.members = {name: number for number, name in enumerate(NAMES, 1)}
    return asker


def _rows(file: Path) -> list[str]:
    """Return the statements that put in what is in a database, except for the word index, which is made anew."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("UPDATE message SET indexed = 0")
        connection.execute("DELETE FROM word_part")
        tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        rows: list[str] = []
        for (name,) in connection.execute(f"{tables} AND name NOT LIKE 'word%' AND name NOT LIKE 'sqlite%'").fetchall():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
            values = " || ',' || ".join(f"quote({column})" for column in columns)
            rows += [
                f"INSERT OR REPLACE INTO {name} VALUES({each});"
                for (each,) in connection.execute(f"SELECT {values} FROM {name}")
            ]
        return rows


def _make() -> str:
    """Return the rows of a database that this program has filled."""
    with tempfile.TemporaryDirectory() as folder:
        asker = Asker(Path(folder))
        fill(asker)
        # Killed here: what is in the journal stays there.
        with closing(sqlite3.connect(Path(folder) / "twotick.db")) as connection:
            connection.execute("VACUUM INTO ?", (f"{folder}/copy.db",))
        asker.store.close()
        return "\n".join(_rows(Path(folder) / "copy.db")) + "\n"


if __name__ == "__main__":
    sys.stdout.write(_make())
