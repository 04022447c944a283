"""Let two members talk while a neighbour of theirs asks as much of the server as it may, and see what they notice."""

import argparse
import contextlib
import hashlib
import multiprocessing
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from common import machine, run, say, table
from peers import TWOTICK
from servers import BIN, MeasurementError, Program, cores, pinned, running

from twotick.server.secrets import new_token, token_digest
from twotick.store import (
    PIECE,
    AddMember,
    AddToken,
    Append,
    CreateRoom,
    JoinRoom,
    OpenDevice,
    SqliteStore,
    StoreLimits,
)
from twotick.wire import Frame, HeadCache, Parser, Side, Verb, frame, register

SECONDS = 6.0
_PAUSE = 0.01
"""Seconds between two messages of those who talk."""

_ELSEWHERE = "127.0.0.2"
"""The address of the neighbour. Those who talk have another one."""

_CROWD = 1900
_TALKERS = ("alice", "bob")
_NAMES = (*_TALKERS, "mallory", "sink", "much")
_WAITING = 50_000
"""Messages that wait for `much`, a quarter of them from each of some members."""

_SENDERS = 4
_ANSWERS = (Verb.ACCEPTED, Verb.ERROR, Verb.HISTORY, Verb.SEARCH, Verb.ROOM, Verb.FILE, Verb.PIECE)
_PLANTED = 300
_PHRASE = b'"' + b" ".join([b"a"] * 20) + b'"'


# The data


def _prepare(folder: Path, planted: int) -> dict[str, str]:
    """Make the data of a server, with so many long messages; return a token for a device of each member."""
    store = SqliteStore(folder, StoreLimits())
    others = [f"m{number}" for number in range(_CROWD)]
    added = store.apply([AddMember(name, "", 0.0) for name in (*_NAMES, *others)])
    numbers = {member.name: member.number for member in added}
    tokens = {name: new_token() for name in _NAMES}
    store.apply([AddToken(numbers[name], "main", token_digest(token), 0.0) for name, token in tokens.items()])
    store.apply([OpenDevice(number, "main", 0, 0.0) for number in numbers.values()])
    store.apply([CreateRoom(numbers["mallory"], "#crowd", True, "", 0.0), JoinRoom(numbers[others[0]], "#crowd", 0.0)])
    now = time.time()

    def message(sender: str, to: str, ident: str, body: bytes) -> Append:
        return Append(
            sender=numbers[sender],
            sender_name=sender.encode(),
            recipient=to.encode(),
            headers=b"",
            body=body,
            time=now,
            id=ident.encode(),
        )

    for start in range(0, _WAITING, 1000):
        several = range(start, start + 1000)
        store.apply([message(others[each % _SENDERS], "much", f"w{each}", b"hello") for each in several])
    for each in range(planted):
        store.apply([message("mallory", "mallory", f"p{each}", b"a " * (30 << 10))])
    while store.tidy():
        pass
    store.close()
    _fill_room(folder, [numbers[name] for name in others[1:]])
    return tokens


def _fill_room(folder: Path, members: list[int]) -> None:
    """Let members be in the room as if they had joined, which would tell each of all others, and so take minutes."""
    with contextlib.closing(sqlite3.connect(folder / "twotick.db")) as database, database:
        database.executemany(
            "INSERT INTO room_member SELECT room, ?, role, since, seen_from FROM room_member WHERE role = 1 LIMIT 1",
            [(member,) for member in members],
        )


# Connections


class Wire:
    """A connection of a user.

    Args:
        port: the server's port.
        name: the user's name.
        token: the member's token; None for a guest.
        side: what the connection is for.
        device: the name of the device.
        source: the address from which it comes.
    """

    def __init__(
        self,
        port: int,
        name: str,
        token: str | None,
        side: Side,
        device: str = "main",
        *,
        source: str = "127.0.0.1",
    ) -> None:
        self._parser = Parser(HeadCache(1 << 20))
        self._socket = socket.create_connection(("127.0.0.1", port), 60, source_address=(source, 0))
        login = None if token is None else b"Bearer " + token.encode()
        named = None if side is Side.SENDING or token is None else device.encode()
        self.write(register(side, name.encode(), 64, authorization=login, device=named))
        self._frames = self._read()
        if (head := self.next()[0]).verb is not Verb.REGISTERED:
            raise MeasurementError(f"{name} cannot register: {head.headers}")

    def write(self, data: bytes) -> None:
        """Write frames."""
        self._socket.sendall(data)

    def _read(self) -> Iterator[Frame]:
        while data := self._socket.recv(1 << 18):
            yield from self._parser.feed(data)

    def next(self) -> Frame:
        """Return the next frame."""
        return next(self._frames)

    def answers(self, count: int) -> list[Frame]:
        """Return so many answers to SENDs or questions."""
        found: list[Frame] = []
        while len(found) < count:
            head, body = self.next()
            if head.verb in _ANSWERS and b"id" in head.headers:
                found.append((head, body))
        return found


@dataclass
class Attack:
    """What a neighbour has.

    Attributes:
        port: the server's port.
        tokens: the tokens of members.
        data: the server's data folder.
    """

    port: int
    tokens: dict[str, str]
    data: Path
    _number: int = field(default=0)

    def wire(self, name: str, side: Side = Side.SENDING, device: str = "main") -> Wire:
        """Return a connection of a member."""
        return Wire(self.port, name, self.tokens[name], side, device, source=_ELSEWHERE)

    def guest(self, name: str) -> Wire:
        """Return a connection of a guest."""
        return Wire(self.port, name, None, Side.DUPLEX, source=_ELSEWHERE)

    def idents(self, count: int) -> list[bytes]:
        """Return new Ids."""
        self._number += count
        return [b"i%d" % number for number in range(self._number - count, self._number)]


def _send_to(to: bytes, size: int, together: int, attack: Attack) -> None:
    mallory = attack.wire("mallory")
    while True:
        mallory.write(b"".join(frame(Verb.SEND, to, bytes(size), id=ident) for ident in attack.idents(together)))
        if all(head.verb is Verb.ERROR for head, _ in mallory.answers(together)):
            time.sleep(0.1)


def _change(header: str, attack: Attack) -> None:
    mallory = attack.wire("mallory")
    while True:
        idents = attack.idents(100)
        if header == "edits":
            target, idents = idents[0], idents[1:]
            mallory.write(frame(Verb.SEND, b"sink", b"first", id=target))
            mallory.write(b"".join(frame(Verb.SEND, b"sink", b"x", id=each, edits=target) for each in idents))
        else:
            for each in idents[:50]:
                mallory.write(frame(Verb.SEND, b"sink", b"x", id=each))
                mallory.write(frame(Verb.SEND, b"sink", b"", id=each + b"d", deletes=each))
        mallory.answers(100)


def _ask(question: bytes, attack: Attack) -> None:
    devices = [attack.wire("mallory", Side.DUPLEX, f"main/{number}") for number in range(8)]
    while True:
        for device in devices:
            device.write(question)
        for device in devices:
            device.answers(1)


def _react(attack: Attack) -> None:
    mallory = attack.wire("mallory")
    target = attack.idents(1)[0]
    mallory.write(frame(Verb.SEND, b"sink", b"first", id=target))
    mallory.answers(1)
    while True:
        idents = attack.idents(100)
        mallory.write(b"".join(frame(Verb.SEND, b"sink", b"+1", id=each, reacts_to=target) for each in idents))
        mallory.answers(100)


def _make_rooms(attack: Attack) -> None:
    mallory = attack.wire("mallory", Side.DUPLEX)
    while True:
        for each in attack.idents(10):
            room = b"#" + each
            mallory.write(frame(Verb.ROOM, room, do=b"create", id=each))
            mallory.write(frame(Verb.ROOM, room, do=b"invite", member=b"sink", id=each + b"i"))
            mallory.write(frame(Verb.ROOM, room, do=b"leave", id=each + b"l"))
        mallory.answers(30)


def _upload(attack: Attack) -> None:
    mallory = attack.wire("mallory")
    piece = bytes(PIECE)
    digest = hashlib.sha256(piece * 16).hexdigest().encode()
    while True:
        ident = attack.idents(1)[0]
        mallory.write(b"FILE\nId: %b\nName: file\nSize: %d\nHash: %b\n\n" % (ident, 16 * PIECE, digest))
        head, _ = mallory.answers(1)[0]
        if head.verb is Verb.ERROR:
            time.sleep(0.1)
            continue
        for number in range(15):  # it is never complete, and the next one takes its place
            mallory.write(frame(Verb.PIECE, head.name, piece, b"", id=ident, offset=number * PIECE))
            mallory.answers(1)


def _guests(attack: Attack) -> None:
    guests = [attack.guest(f"guest{number}") for number in range(50)]
    while True:
        for guest in guests:
            guest.write(b"".join(frame(Verb.SEND, b"sink", b"x" * 64, id=ident) for ident in attack.idents(20)))
        for guest in guests:
            guest.answers(20)


def _expire(attack: Attack) -> None:
    mallory = attack.wire("mallory")
    until = time.time() + SECONDS / 2 + 3
    for _ in range(40):
        left = max(round(until - time.time()), 1)
        idents = attack.idents(500)
        mallory.write(b"".join(frame(Verb.SEND, b"sink", b"x", id=ident, expires=left) for ident in idents))
        mallory.answers(500)
    signal.pause()  # until the measurement ends this process


def _read_all(attack: Attack) -> None:
    much = attack.wire("much", Side.DUPLEX)
    for number in range(_SENDERS):
        much.write(frame(Verb.READ, b"m%d" % number, seq=_WAITING))
    signal.pause()  # until the measurement ends this process


def _remove(attack: Attack) -> None:
    subprocess.run([BIN / "twotick", "user", "remove", "much", "--yes", "--data", attack.data], check=True)
    signal.pause()  # until the measurement ends this process


def _guest(attack: Attack) -> None:
    guest = attack.guest("guest")
    while True:
        guest.write(b"".join(frame(Verb.SEND, b"sink", b"x" * 64, id=ident) for ident in attack.idents(500)))
        guest.answers(500)


def _nothing(_attack: Attack) -> None:
    signal.pause()  # until the measurement ends this process


ATTACKS: dict[str, tuple[str, Callable[[Attack], None]]] = {
    "nothing": ("nothing", _nothing),
    "room": (f"500 messages at a time to a room of {_CROWD:,}", partial(_send_to, b"#crowd", 5, 500)),
    "large": ("bodies of 1 MiB", partial(_send_to, b"sink", 1 << 20, 4)),
    "edits": ("edits of one message", partial(_change, "edits")),
    "deletes": ("messages, each deleted at once", partial(_change, "deletes")),
    "search": (
        f"SEARCH for a phrase of 20 words in {_PLANTED} long messages",
        partial(_ask, frame(Verb.SEARCH, b"", _PHRASE, id=b"s")),
    ),
    "history": ("HISTORY, 4 MiB each", partial(_ask, frame(Verb.HISTORY, b"", id=b"h", limit=1000))),
    "expiry": ("20,000 messages that expire at once", _expire),
    "read": (f"READ of {_WAITING:,} messages", _read_all),
    "remove": (f"`twotick user remove` of a member with {_WAITING:,} messages", _remove),
    "reactions": ("reactions to one message", _react),
    "rooms": ("new rooms, each with an invitation", _make_rooms),
    "uploads": ("uploads of files", _upload),
    "guest": ("messages of a guest", _guest),
    "address": ("messages of 50 guests of one address", _guests),
}
"""What the neighbour does, in words and as a function that runs until it is killed."""


def _attack(name: str, attack: Attack) -> None:
    os.nice(19)  # those who talk do not wait for the core
    ATTACKS[name][1](attack)


# Those who talk


@dataclass(frozen=True)
class Noticed:
    """What those who talk notice.

    Attributes:
        milliseconds: the time of each message until its sender knew that it was delivered.
        refused: how many messages were refused.
    """

    milliseconds: list[float]
    refused: int


def _talk(port: int, tokens: dict[str, str], seconds: float) -> Noticed:
    alice = Wire(port, "alice", tokens["alice"], Side.SENDING)
    bob = Wire(port, "bob", tokens["bob"], Side.DUPLEX)
    took: list[float] = []
    refused = number = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        number += 1
        began = time.monotonic()
        alice.write(frame(Verb.SEND, b"bob", b"hello", id=b"t%d" % number))
        if alice.next()[0].verb is not Verb.ACCEPTED:
            refused += 1
            continue
        head, _ = bob.next()
        bob.write(frame(Verb.RECEIVED, b"alice", seq=int(head.headers[b"seq"])))
        alice.next()
        took.append((time.monotonic() - began) * 1000)
        time.sleep(_PAUSE)
    return Noticed(took, refused)


def measure(names: Sequence[str] = tuple(ATTACKS), seconds: float = SECONDS) -> dict[str, Noticed]:
    """Measure, with a new server for each attack.

    Raises:
        MeasurementError: the server did not do what it should.
    """
    server_core, load_core = cores()
    measured: dict[str, Noticed] = {}
    with tempfile.TemporaryDirectory() as folder:
        say("neighbours: preparing the data")
        templates = {planted: Path(folder) / f"with-{planted}" for planted in (0, _PLANTED)}
        tokens_of = {planted: _prepare(template, planted) for planted, template in templates.items()}
        for name in names:
            say(f"neighbours: {ATTACKS[name][0]}")
            data = Path(folder) / name
            planted = _PLANTED if name == "search" else 0
            shutil.copytree(templates[planted], data)
            tokens = tokens_of[planted]
            command = [sys.executable, "-m", "twotick", "serve", "--no-web", "--data", str(data)]
            program = Program(TWOTICK.name, partial(_with_port, command), TWOTICK.version)
            with running(program, server_core) as server, pinned(load_core):
                attack = Attack(server.port, tokens, data)
                attacker = multiprocessing.Process(target=_attack, args=(name, attack), daemon=True)
                attacker.start()
                time.sleep(0.5)
                measured[name] = _talk(server.port, tokens, seconds)
                attacker.kill()
                attacker.join()
            shutil.rmtree(data)
    return measured


def _with_port(command: list[str], port: int, _folder: Path) -> list[str]:
    return [*command, "--port", str(port)]


def describe(measured: dict[str, Noticed]) -> str:
    """Return a Markdown table."""
    rows: list[Sequence[str]] = [
        ("the neighbour sends or asks for", "messages", "p50, ms", "p99, ms", "worst, ms", "refused")
    ]
    for name, noticed in measured.items():
        took = sorted(noticed.milliseconds)
        p50, p99 = statistics.median(took), took[int(len(took) * 0.99)]
        rows.append(
            (ATTACKS[name][0], f"{len(took):,}", f"{p50:.1f}", f"{p99:.1f}", f"{took[-1]:.1f}", str(noticed.refused))
        )
    return table(rows)


def report() -> str:
    """Measure everything and return it as Markdown."""
    return describe(measure())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--attacks", nargs="+", choices=ATTACKS, default=tuple(ATTACKS))
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each measurement")
    options = parser.parse_args()
    print(machine([]), describe(measure(options.attacks, options.seconds)), sep="\n\n")


if __name__ == "__main__":
    run(main)
