"""Talk to a server process at random, mostly in valid frames of all verbs, and check that it copes.

    python -m tests.simulation.fuzz --seconds 60 --seed 7

Many clients connect, as guests and as members, by TCP and by WebSocket, with and without TLS. Each writes some frames,
of which a few are damaged, and then leaves, politely or not. What is checked:

- every valid frame that has an answer is answered, unless the server has closed the connection with an ERROR;
- the server logs no error;
- its memory and its open files do not grow from one third of the time to the end by more than a fixed amount;
- in the end it stops in good order, and its data has no damage.

The frames depend on the seed alone; when they arrive depends on the machine.
"""

import argparse
import asyncio
import base64
import hashlib
import json
import os
import random
import signal
import ssl
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulation.websocket import WebReader, WebWriter, opened
from twotick.server.secrets import hash_password, new_token, token_digest
from twotick.server.tls import make_certificate
from twotick.store import AddMember, AddToken, Member, SqliteStore, StoreLimits
from twotick.wire import Frame, HeadCache, Parser, Side, Verb, frame, received, register, send

MEMBERS = ("ann", "ben", "cat", "dan", "eve")
GUESTS = tuple(f"guest{number}" for number in range(8))
CLASSIC = (b"old1", b"old2", b"old3")
ROOMS = ("#one", "#two", "#three")
DEVICES = ("desk", "phone", "desk/listen")
PASSWORD = b"correct horse"

TOGETHER = 24
"""Sessions at the same time."""

PATIENCE = 60
"""Seconds without anything new, in all, after which an answer counts as missing."""

PORTS = ("TWOTICK_TLS_PORT", "TWOTICK_WEB_PORT", "TWOTICK_WEB_TLS_PORT")

SETTINGS = {
    "TWOTICK_ANSWER_TIMEOUT": "2",
    "TWOTICK_REGISTER_TIMEOUT": "10",
    "TWOTICK_FRAME_TIMEOUT": "5",
    "TWOTICK_SIGN_UP": "open",
    "TWOTICK_RESERVE_BYTES": "0",
    "TWOTICK_MAX_DEVICES": "200",
}

GROWTH = 96 << 20
"""Bytes by which the server's memory may grow after the first third: its caches fill up."""

FILES = 16
"""Open files that the server may have in the end besides those that it had in the beginning."""

CLOSING = frozenset([100, 101, 103, 104, 106, 107, 108])
"""The errors with which the server closes a connection (rules 4.11, 7.4 and 9.9)."""

Frames = Callable[["Session"], "Step"]


class FuzzFailure(Exception):
    """The server did something that it must not do; the message says what."""


@dataclass
class Step:
    """What a client writes.

    Attributes:
        data: the bytes.
        answer: the Id that the answer has; None if there is no answer, or one without an Id.
    """

    data: bytes
    answer: bytes | None = None


@dataclass
class Pool:
    """What the clients of a run know of each other.

    Attributes:
        tokens: a token for each member and device.
        ids: Ids of messages that were sent.
        keys: keys of files.
        contents: their contents.
        accounts: how many names were signed up.
        counts: how many frames of each verb were written, and what was answered.
    """

    tokens: dict[tuple[str, str], str]
    ids: deque[bytes] = field(default_factory=lambda: deque([b"m0"], 500))
    keys: deque[bytes] = field(default_factory=lambda: deque([b"none"], 50))
    contents: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    accounts: int = 0
    counts: Counter[str] = field(default_factory=Counter[str])


class Session:
    """One client, on one connection.

    Args:
        chance: decides what it does.
        pool: what it knows of others.
        name: makes its Ids different from those of other sessions.
        classic: the name of the guest whose connection it is, one of two; None for another user.
    """

    def __init__(self, chance: random.Random, pool: Pool, name: str, classic: bytes | None) -> None:
        self.chance = chance
        self.classic = classic
        self.pool = pool
        self.name = name
        self.side = Side.DUPLEX
        self.is_member = False
        self.is_damaged = False
        self.waiting: dict[bytes, bytes] = {}
        self.offered: dict[bytes, bytes] = {}
        self.written: list[bytes] = []
        self.read: list[bytes] = []
        self.was_told_why = False
        self._answers: list[bytes] | None = None  # while a frame is half written
        self._number = 0
        self._parser = Parser(HeadCache(1 << 20))
        self._changed = asyncio.Event()
        self._writer: asyncio.StreamWriter | WebWriter | None = None

    # What it writes

    def new_id(self) -> bytes:
        self._number += 1
        return f"{self.name}.{self._number}".encode()

    def someone(self) -> bytes:
        chance = self.chance
        kinds = (MEMBERS, GUESTS, ROOMS, ("nobody", "ALL", self.name))
        return chance.choice((chance.choice(CLASSIC), chance.choice(chance.choice(kinds)).encode()))

    def body(self) -> bytes:
        chance = self.chance
        size = int(chance.paretovariate(0.6)) % chance.choice((200, 200, 5000, 70_000))
        words = b"wild oats porridge caf\xc3\xa9 @ann \n\nSEND bob "
        return (words * (size // len(words) + 1))[:size].decode("utf-8", "ignore").encode()

    def maybe(self, value: bytes | int | None, probability: float = 0.3) -> bytes | int | None:
        return value if self.chance.random() < probability else None

    def known(self) -> bytes:
        """An Id of a message, perhaps with its sender."""
        ident = self.chance.choice(self.pool.ids)
        return self.chance.choice((ident, self.chance.choice(MEMBERS).encode() + b" " + ident))

    # The conversation

    async def play(self, reader: asyncio.StreamReader | WebReader, writer: asyncio.StreamWriter | WebWriter) -> None:
        """Have a conversation, and leave."""
        self._writer = writer
        reading = asyncio.create_task(self._read(reader))
        try:
            await self._write(writer)
            if self.chance.random() < 0.2:
                writer.transport.abort()
                return
            if self.side is Side.RECEIVING:
                await asyncio.wait([reading], timeout=2 * self.chance.random())
            elif not self.is_damaged:
                await self._until_answered(reading)
            if self.chance.random() < 0.5 and writer.can_write_eof():
                self._writer = None
                with suppress(OSError):
                    writer.write_eof()
                    await asyncio.wait([reading], timeout=3)
        finally:
            writer.close()
            reading.cancel()
            await asyncio.wait([reading])
            if not reading.cancelled() and reading.exception() is not None:
                raise reading.exception() or AssertionError

    async def _write(self, writer: asyncio.StreamWriter | WebWriter) -> None:
        chance = self.chance
        pieces: list[bytes] = []
        for step in self._steps():
            data = step.data
            if chance.random() < 0.03:
                data = self._damaged(data)
                self.is_damaged = True
            elif step.answer is not None and not self.is_damaged:
                self.waiting[step.answer] = data
            self.pool.counts[data.partition(b"\n")[0].partition(b" ")[0].decode("latin-1")[:14]] += 1
            self.written.append(data)
            pieces.append(data)
            if chance.random() < 0.5:
                whole = b"".join(pieces)
                pieces.clear()
                cut = chance.randrange(len(whole) + 1)
                self._answers = []
                for part in (whole[:cut], whole[cut:]):
                    if writer.is_closing():
                        return
                    writer.write(part)
                    with suppress(OSError):
                        await writer.drain()
                    await asyncio.sleep(0)
                pieces += self._answers
                self._answers = None
        if not writer.is_closing():
            writer.write(b"".join(pieces))

    def _damaged(self, data: bytes) -> bytes:
        chance = self.chance
        place = chance.randrange(len(data))
        match chance.randrange(5):
            case 0:
                return data[:place]
            case 1:
                return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]
            case 2:
                return data.replace(b"\n", b"\nContent-length: 5\n", 1)
            case 3:
                return data.replace(b"\n", b"\nX-long: %b\n" % (b"x" * chance.randrange(9000)), 1)
            case _:
                return chance.randbytes(chance.randrange(300))

    def _steps(self) -> list[Step]:
        chance = self.chance
        steps = self._hello()
        for _ in range(chance.randrange(1, 25)):
            table = _MEMBER_FRAMES if self.is_member else _GUEST_FRAMES
            if self.is_member and self.side is Side.SENDING:
                table = _SENDER_FRAMES
            if not self.is_member and self.side is Side.SENDING:
                steps.append(Step(send(self.someone(), self.body())))
            elif self.side is not Side.RECEIVING:
                steps.append(chance.choice(table)(self))
        return steps

    def _hello(self) -> list[Step]:
        """Register, after some attempts that fail."""
        chance = self.chance
        steps: list[Step] = []
        while chance.random() < 0.1:
            steps.append(Step(chance.choice(_WRONG_HELLOS)))
        kind = chance.random()
        if self.classic is not None:
            self.side = chance.choice((Side.SENDING, Side.RECEIVING))
            return [*steps, Step(register(self.side, self.classic, chance.choice((None, 1, 7))))]
        device = chance.choice(DEVICES)
        window = chance.choice((None, 1, 7, 10**9))
        if kind < 0.65:
            self.is_member = True
            self.side = chance.choice((Side.DUPLEX, Side.DUPLEX, Side.SENDING))
            who = chance.choice(MEMBERS)
            seq = chance.choice((None, None, 0, 5, 10**9))
            if chance.random() < 0.04:
                secret = b"Basic " + base64.b64encode(who.encode() + b":" + PASSWORD)
            else:
                secret = b"Bearer " + self.pool.tokens[who, device].encode()
            hello = register(self.side, who.encode(), window, authorization=secret, device=device.encode(), seq=seq)
        elif kind < 0.67:
            self.pool.accounts += 1
            name = b"new%d" % self.pool.accounts
            secret = b"Basic " + base64.b64encode(name + b":" + PASSWORD)
            hello = register(Side.DUPLEX, name, window, authorization=secret, sign_up=b"yes")
            self.is_member = True
        else:
            hello = register(Side.DUPLEX, chance.choice(GUESTS).encode(), window)
        return [*steps, Step(hello)]

    # What it reads

    async def _read(self, reader: asyncio.StreamReader | WebReader) -> None:
        with suppress(OSError, ssl.SSLError):
            while data := await reader.read(1 << 16):
                for each in self._parser.feed(data):
                    self._take(each)
                self._changed.set()

    def _take(self, taken: Frame) -> None:
        head, _ = taken
        self.read.append(b"%b %b %d %r" % (head.verb.value, head.name, head.code, dict(head.headers)))
        self.pool.counts[f"<- {head.verb.value.decode().strip()} {head.code or ''}"] += 1
        if head.verb is Verb.MALFORMED:
            raise FuzzFailure(f"the server writes a frame that cannot be understood: {self._story()}")
        if head.verb is Verb.ERROR:
            self.was_told_why |= head.code in CLOSING
        seq = head.headers.get(b"seq")
        is_entry = seq is not None and head.verb not in {Verb.REGISTERED, Verb.ACCEPTED}
        if b"history" not in head.headers and (is_entry or head.verb is Verb.FORWARD):
            self._answer(head.name or b"someone", seq)
        if head.verb is Verb.FORWARD:
            return
        if head.verb is Verb.FILE:
            self.pool.keys.append(head.name)
            self.pool.contents[head.name] = self.offered.get(head.headers.get(b"id", b""), b"")
        if head.code == 101 and self.waiting:
            del self.waiting[next(iter(self.waiting))]  # without an Id, since the user is not registered
        self.waiting.pop(head.headers.get(b"id", b""), None)

    def _answer(self, name: bytes, seq: bytes | None) -> None:
        """Acknowledge a message or another entry, or refuse it. A guest also leaves some unanswered."""
        number = None if seq is None else int(seq)
        kind = self.chance.random()
        if self._writer is None or self._writer.is_closing() or self.is_damaged or (number is None and kind < 0.05):
            return
        if kind < 0.1:
            answer = frame(Verb.ERROR, b"102 no", seq=number)  # after a 103, the server counts characters (rule 5.10)
        else:
            answer = received(name) if number is None else frame(Verb.RECEIVED, name, seq=number)
        if self._answers is None:
            self._writer.write(answer)
        else:
            self._answers.append(answer)

    async def _until_answered(self, reading: asyncio.Task[None]) -> None:
        """Wait until everything is answered, or the server has closed the connection and said why."""
        quiet = 0
        while self.waiting and not reading.done():
            if quiet > PATIENCE:
                raise FuzzFailure(f"no answer to {[*self.waiting.values()]}: {self._story()}")
            self._changed.clear()
            try:
                async with asyncio.timeout(1):
                    await self._changed.wait()
            except TimeoutError:  # counted, since a machine that was asleep has answered nothing
                quiet += 1
        if self.waiting and not self.was_told_why:
            raise FuzzFailure(f"closed without a reason, and no answer to {[*self.waiting.values()]}: {self._story()}")

    def _story(self) -> str:
        """Return what was written and read, for the report of a failure."""
        return "\n".join(
            [
                f"session {self.name}, {self.side}, member: {self.is_member}",
                *(f"C> {data[:300]!r}" for data in self.written),
                *(f"S> {line!r}" for line in self.read),
            ]
        )


# The frames


def _frame(verb: Verb, name: bytes = b"", body: bytes | None = None, /, **headers: bytes | int | None) -> bytes:
    """Return a frame with any headers."""
    lines = [
        b"%b: %b\n" % (header.replace("_", "-").encode(), value if isinstance(value, bytes) else b"%d" % value)
        for header, value in headers.items()
        if value is not None
    ]
    return frame(verb, name, body, b"".join(lines))


def _ask(verb: Verb, name: bytes = b"", body: bytes | None = None, **headers: bytes | int | None) -> Frames:
    """Return a step that asks a question which never changes."""

    def step(session: Session) -> Step:
        ident = session.new_id()
        return Step(_frame(verb, name, body, id=ident, **headers), ident)

    return step


def _send(session: Session) -> Step:
    chance, ident = session.chance, session.new_id()
    session.pool.ids.append(ident)
    if chance.random() < 0.05:
        ident = chance.choice(session.pool.ids)
    changes: dict[str, bytes | int | None] = {}
    kind = chance.random()
    body = session.body()
    if kind < 0.25:
        name = chance.choice(("edits", "deletes", "reacts_to", "file", "pins", "unpins", "forwards"))
        changes = {name: chance.choice(session.pool.keys) if name == "file" else session.known()}
        body = b"" if name in ("deletes", "pins", "unpins", "forwards") else body[:64]
    data = _frame(
        Verb.SEND,
        session.someone(),
        body,
        id=ident,
        expires=session.maybe(chance.randrange(4)),
        time=session.maybe(b"2026-11-22T09:30:00.123Z"),
        content_type=session.maybe(b"text/markdown", 0.1),
        reply_to=session.maybe(session.known(), 0.2),
        x_note=session.maybe(b"x" * chance.randrange(3000), 0.05),
        **changes,
    )
    return Step(data, ident)


def _history(session: Session) -> Step:
    chance, ident = session.chance, session.new_id()
    headers = {"before": session.maybe(chance.randrange(100)), "limit": session.maybe(chance.randrange(1, 60))}
    name = b"" if chance.random() < 0.2 else session.someone()
    since = session.maybe(b"2026-01-01T00:00:00.000Z", 0.1)
    thread = session.maybe(session.known(), 0.2)
    return Step(_frame(Verb.HISTORY, name, id=ident, since=since, thread=thread, **headers), ident)


def _pins(session: Session) -> Step:
    ident = session.new_id()
    return Step(_frame(Verb.PINS, session.someone(), id=ident), ident)


def _search(session: Session) -> Step:
    chance, ident = session.chance, session.new_id()
    words = chance.choice((b"oats", b'"wild oats"', b"por*", b"caf\xc3\xa9 wild", b"", b'"', b"x " * 40))
    filters = {
        "in": session.maybe(session.someone()),
        "from": session.maybe(session.someone(), 0.2),
        "since": session.maybe(b"2026-01-01T00:00:00.000Z", 0.1),
        "until": session.maybe(chance.choice((b"2096-01-01T00:00:00.000Z", b"now")), 0.1),
        "has": session.maybe(chance.choice((b"file", b"file", b"teeth")), 0.2),
        "limit": session.maybe(chance.randrange(1, 101), 0.2),
    }
    return Step(_frame(Verb.SEARCH, b"", words, id=ident, **filters), ident)


def _room(session: Session) -> Step:
    chance, ident = session.chance, session.new_id()
    return Step(
        _frame(
            Verb.ROOM,
            chance.choice(ROOMS).encode(),
            id=ident,
            do=chance.choice((*(b"create", b"join", b"join", b"leave", b"change", b"invite"), b"remove", b"members")),
            access=session.maybe(chance.choice((b"public", b"private"))),
            topic=session.maybe(b"what we do"),
            pinning=session.maybe(chance.choice((b"members", b"moderators")), 0.2),
            member=session.maybe(chance.choice(MEMBERS).encode(), 0.8),
        ),
        ident,
    )


def _appoint(session: Session) -> Step:
    chance, ident = session.chance, session.new_id()
    member = chance.choice(MEMBERS).encode()
    role = chance.choice((b"member", b"moderator", b"owner"))
    room = chance.choice(ROOMS).encode()
    return Step(_frame(Verb.ROOM, room, id=ident, do=b"appoint", member=member, role=role), ident)


def _conversation(session: Session) -> Step:
    chance, ident = session.chance, session.new_id()
    blocked = session.maybe(chance.choice((b"yes", b"no", b"no", b"no")))
    until = session.maybe(chance.choice((b"2096-11-22T09:30:00Z", b"0001-01-01T00:00:00Z", b"soon")), 0.2)
    pinned, closed = session.maybe(b"yes", 0.2), session.maybe(b"yes", 0.2)
    headers = {"muted": b"no", "blocked": blocked, "pinned": pinned, "closed": closed, "muted_until": until}
    return Step(_frame(Verb.CONVERSATION, session.someone(), id=ident, **headers), ident)


def _profile(session: Session) -> Step:
    """Ask for profiles, or set the own one; now and then with a picture, or with what is none."""
    chance, ident = session.chance, session.new_id()
    if chance.random() < 0.3:
        picture = session.maybe(chance.choice(_PICTURES)[0])
        return Step(_frame(Verb.PROFILE, session.someone(), id=ident, picture=picture), ident)
    digest, content = chance.choice(_PICTURES)
    if chance.random() < 0.7:
        digest, content = session.maybe(b"", 0.1), None
    display = session.maybe(
        chance.choice((b"Bob Miller", b"", b"caf\xc3\xa9  x", b"\xe2\x80\xae", b"\xff", b"x" * 200))
    )
    status = session.maybe(b"back at noon")
    return Step(_frame(Verb.PROFILE, b"", content, id=ident, display=display, status=status, picture=digest), ident)


def _password(session: Session) -> Step:
    """Change the password to the same, or try to with a wrong one."""
    chance, ident = session.chance, session.new_id()
    old = base64.b64encode(chance.choice((PASSWORD, PASSWORD, b"wrong horse")))
    if chance.random() < 0.95:  # it costs the server much
        old = b"="
    return Step(_frame(Verb.PASSWORD, id=ident, old=old, new=base64.b64encode(PASSWORD)), ident)


def _status(session: Session) -> Step:
    ident = session.new_id()
    state = session.maybe(session.chance.choice((b"here", b"away")), 0.7)
    return Step(_frame(Verb.STATUS, id=ident, state=state, shown=session.maybe(b"yes", 0.1)), ident)


def _receipts(session: Session) -> Step:
    ident = session.chance.choice(session.pool.ids)
    return Step(_frame(Verb.RECEIPTS, session.someone(), id=ident), ident)


def _file(session: Session) -> Step:
    ident, content = session.new_id(), session.body()
    session.offered[ident] = content
    digest = hashlib.sha256(content).hexdigest().encode()
    return Step(_frame(Verb.FILE, id=ident, name=b"a.txt", size=len(content), hash=digest), ident)


def _piece(session: Session) -> Step:
    chance, ident = session.chance, session.new_id()
    key = chance.choice(session.pool.keys)
    offset = chance.choice((0, 0, 0, 1 << 16, 2 << 16))
    if chance.random() < 0.3:
        return Step(_frame(Verb.PIECE, key, id=ident, offset=offset, length=1 << 16), ident)
    piece = session.pool.contents.get(key, b"")[offset : offset + (1 << 16)]
    return Step(_frame(Verb.PIECE, key, piece, id=ident, offset=offset), ident)


def _report(session: Session) -> Step:
    ident = session.new_id()
    return Step(_frame(Verb.REPORT, session.someone(), b"spam", id=ident, about=session.maybe(session.known())), ident)


def _typing(session: Session) -> Step:
    return Step(_frame(Verb.TYPING, session.someone()))


def _read_up_to(session: Session) -> Step:
    return Step(_frame(Verb.READ, session.someone(), seq=session.chance.randrange(200)))


def _token(session: Session) -> Step:
    ident = session.new_id()
    return Step(_frame(Verb.TOKEN, b"spare%d" % session.chance.randrange(5), id=ident), ident)


def _revoke(session: Session) -> Step:
    ident = session.new_id()
    return Step(_frame(Verb.REVOKE, b"spare%d" % session.chance.randrange(5), id=ident), ident)


_PIXELS = struct.pack(">IIBBBBB", 16, 16, 8, 0, 0, 0, 0)
_PICTURES = [
    (hashlib.sha256(content).hexdigest().encode(), content)
    for content in (
        b"".join(
            (
                b"\x89PNG\r\n\x1a\n",
                *(
                    struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
                    for kind, data in (
                        (b"IHDR", _PIXELS),
                        (b"IDAT", zlib.compress(bytes(16 * 17))),
                        (b"IEND", b""),
                    )
                ),
            )
        ),
        b"no picture",
    )
]
"""A picture, and what is none, each with its hash."""

_LISTS = (_ask(Verb.CONVERSATIONS), _ask(Verb.ROOMS), _ask(Verb.DEVICES))
_MEMBER_FRAMES: tuple[Frames, ...] = (
    *(_send, _send, _send, _send, _send, _history, _search, _room, _room, _appoint, _conversation),
    *(_status, _profile, _pins, _password),
    *(_status, _receipts, _file, _file, _piece, _piece, _report, _typing, _read_up_to, _token, _revoke, *_LISTS),
)
_SENDER_FRAMES: tuple[Frames, ...] = (_send, _send, _file, _piece)
_GUEST_FRAMES: tuple[Frames, ...] = (_send,)
_WRONG_HELLOS = (
    register(Side.SENDING, b"ann"),
    register(Side.DUPLEX, b"no name"),
    register(Side.DUPLEX, b"ann", authorization=b"Bearer tt_wrong"),
    register(Side.RECEIVING, b"ann", authorization=b"Bearer tt_wrong"),
    register(Side.DUPLEX, b"ann", authorization=b"Basic ==="),
    b"REGISTER BOTH ann\n\n",
    b"ROOMS\n\n",
    send(b"ann", b"early"),
)


# The server


class FuzzedServer:
    """The server process, with members and a certificate."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        store = SqliteStore(self.data, StoreLimits())
        self.tokens: dict[tuple[str, str], str] = {}
        for name in MEMBERS:
            (member,) = store.apply([AddMember(name, hash_password(PASSWORD), 0.0)])
            assert isinstance(member, Member)
            for device in DEVICES:
                self.tokens[name, device] = new_token()
                store.apply([AddToken(member.number, device, token_digest(self.tokens[name, device]), 0.0)])
        store.close()
        certificate, key, _ = make_certificate(folder / "tls", ["127.0.0.1"], 365)
        self.context = ssl.create_default_context(cafile=str(certificate))
        settings = {**SETTINGS, "TWOTICK_TLS_CERTIFICATE": str(certificate), "TWOTICK_TLS_KEY": str(key)}
        command = [
            sys.executable,
            "-X",
            "faulthandler",
            "-m",
            "twotick",
            "serve",
            "--data",
            str(self.data),
            "--port",
            "0",
        ]
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, **settings, **dict.fromkeys(PORTS, "0")},
            )
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline().strip("/\n") for _ in range(4)]
        ports = [int(line.partition(",")[0].rpartition(":")[2]) for line in lines]
        self.port, self.tls_port, self.web_port, self.web_tls_port = ports

    @property
    def memory(self) -> int:
        """Bytes of memory that it has at the moment."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS:"))

    @property
    def files(self) -> int:
        """How many files it has open."""
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    def check_log(self) -> None:
        """Check that it has logged nothing but warnings."""
        for line in self._log.read_text().splitlines():
            if not line.startswith("{") or json.loads(line)["level"] != "warning":
                raise FuzzFailure(f"the server logs {line}")

    def last_words(self) -> str:
        """Kill it, and return its log, in which Python then says what each thread was doing."""
        self.process.send_signal(signal.SIGABRT)
        self.process.wait()
        return self._log.read_text()

    def stop(self) -> None:
        """Stop it, and check its end, its log and its data."""
        self.process.send_signal(signal.SIGTERM)
        if (status := self.process.wait(PATIENCE)) != 0:
            raise FuzzFailure(f"the server ends with status {status}")
        self.check_log()
        store = SqliteStore(self.data, StoreLimits())
        problems = store.check()
        store.close()
        if problems:
            raise FuzzFailure(f"the data is damaged: {problems}")


class Run:
    """A run of many sessions.

    Args:
        server: the server.
        seed: decides what the sessions do.
        seconds: how long new sessions begin.
    """

    def __init__(self, server: FuzzedServer, seed: int, seconds: float) -> None:
        self._server = server
        self._seed = seed
        self._begin = time.monotonic()
        self._seconds = seconds
        self._number = 0
        self.pool = Pool(server.tokens)

    @property
    def _passed(self) -> float:
        return time.monotonic() - self._begin

    async def play(self) -> int:
        """Play sessions until the time is over; return how many there were."""
        files = self._server.files
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch())
            players = [group.create_task(self._player()) for _ in range(TOGETHER)]
            await asyncio.wait(players)
            watching.cancel()
        end = time.monotonic() + PATIENCE
        while self._server.files > files + FILES:
            if time.monotonic() > end:
                raise FuzzFailure(f"the server has {self._server.files} files open, and had {files} before")
            await asyncio.sleep(0.1)
        return self._number

    async def _player(self) -> None:
        while self._passed < self._seconds:
            self._number += 1
            await self._session(self._number)

    async def _session(self, number: int) -> None:
        chance = random.Random(f"{self._seed} {number}")
        encrypted = chance.random() < 0.3
        server = self._server
        ports = (server.port, server.tls_port)
        # Failed logins delay others at the same address.
        source = f"127.{chance.randrange(1, 250)}.{chance.randrange(250)}.{chance.randrange(1, 250)}"
        classic = None
        if chance.random() < 0.2:
            place = chance.randrange(len(CLASSIC))
            classic, source = CLASSIC[place], f"127.0.1.{place + 1}"  # both connections come from one address
        is_web = chance.random() < 0.3
        if is_web:
            ports = (server.web_port, server.web_tls_port)
        try:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1",
                ports[encrypted],
                ssl=server.context if encrypted else None,
                local_addr=(source, 0),
            )
        except OSError as error:
            raise FuzzFailure(f"the server cannot be reached: {error}") from error
        streams = await opened(reader, writer, chance) if is_web else (reader, writer)
        await Session(chance, self.pool, f"s{number}", classic).play(*streams)

    async def _watch(self) -> None:
        """Check the log and the memory from time to time."""
        base: int | None = None
        while True:
            await asyncio.sleep(1)
            self._server.check_log()
            if base is None and self._passed > self._seconds / 3:
                base = self._server.memory
            if base is not None and self._server.memory > base + GROWTH:
                raise FuzzFailure(f"the server's memory has grown from {base >> 20} to {self._server.memory >> 20} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description="Talk to a server at random, and check that it copes.")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    print(f"talking to a server for {options.seconds:.0f} s, with --seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        server = FuzzedServer(Path(folder))
        run = Run(server, options.seed, options.seconds)
        try:
            sessions = asyncio.run(run.play())
            memory = server.memory
            server.stop()
        except* FuzzFailure as failures:
            raise SystemExit("\n\n".join([*map(str, _flat(failures)), server.last_words()])) from None
        finally:
            server.process.kill()
            server.process.wait()
    print(f"{sessions} sessions, {memory >> 20} MiB of memory in the end")
    print(", ".join(f"{what} {count}" for what, count in sorted(run.pool.counts.items()) if count > 1))


def _flat(failures: BaseExceptionGroup[FuzzFailure]) -> list[FuzzFailure]:
    """Return the failures in a group, however deep."""
    found: list[FuzzFailure] = []
    for each in failures.exceptions:
        found += _flat(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found


if __name__ == "__main__":
    main()
