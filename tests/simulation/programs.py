"""The programs of a simulated world: members' devices and guests, and what each remembers when it is killed.

What a program has written down (`Device`, `GuestUser`) outlives its processes, as if it were on a disk that never
fails: what it sent, what it was told, and what it has received. The checks (checks.py) compare these notes.
"""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.simulation import encryption
from tests.simulation.scheduler import Process
from tests.simulation.world import Machine, World
from twotick.client import (
    Client,
    ConnectionLost,
    Entry,
    FileInfo,
    FileMismatch,
    MemberClient,
    MemberLimits,
    MemberMessage,
    MemberReceipt,
    NameTaken,
    NotAuthenticated,
    NotDelivered,
    ReadEvent,
    Receipt,
    ReceiptEvent,
    Replaced,
    RequestRefused,
    State,
    connect,
    join,
)
from twotick.client.trust.known_servers import KnownServers

ADDRESS = "127.0.0.1:18000"
TLS_ADDRESS = f"127.0.0.1:{encryption.PORT}"

_LIMITS = MemberLimits(first_wait=0.1, longest_wait=3.0)


def connect_without_tls() -> dict[str, Any]:
    """Return how a program connects without TLS."""
    return {"server": ADDRESS}


def connect_with_tls(machine: Machine, fingerprint: str) -> dict[str, Any]:
    """Return how a program connects with TLS to a server whose certificate its machine knows."""
    known = Path(machine.name, "known_servers")
    known.write_text(f"{TLS_ADDRESS} {fingerprint}\n", "utf-8")
    return {"server": TLS_ADDRESS, "tls": True, "known_servers": KnownServers(known)}


@dataclass(eq=False)
class Sent:
    """A message that a program sends.

    Attributes:
        order: its number among the messages of the same sender and device.
        id: its Id.
        sender: the sender's name.
        device: the machine of the sender's device; empty for a guest.
        recipient: a user or room.
        text: its body.
        change: what it does to an earlier message: `edits`, `deletes`, `reacts_to`, `pins`, `unpins` or `forwards`;
            empty for nothing.
        target: that message.
        reply: the message that it answers.
        expires: its time limit, in seconds.
        state: how far it has got, as far as its sender was told.
        reason: why it failed, as its sender was told.
        at: when it was first sent, in seconds.
        file: a file that goes with it.
        abandoned: whether its sender's program has ended for good, and learns no more of it.
    """

    order: int
    id: str
    sender: str
    device: str
    recipient: str
    text: str
    change: str = ""
    target: "Sent | None" = None
    reply: "Sent | None" = None
    expires: float | None = None
    state: State = State.QUEUED
    reason: str = ""
    at: float = 0.0
    receipt: MemberReceipt | None = None
    file: FileInfo | None = None
    abandoned: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What tells it apart from all others: the sender and the Id."""
        return self.sender, self.id

    @property
    def origin(self) -> "Sent":
        """The message from which its content comes: itself, unless it was sent on."""
        return self.target.origin if self.change == "forwards" and self.target is not None else self

    def note(self) -> None:
        """Write down what the sender was told."""
        if self.receipt is not None and self.receipt.state > self.state:
            error = self.receipt._error  # pyright: ignore[reportPrivateUsage]
            self.learn(self.receipt.state, str(error or ""))

    def learn(self, state: State, reason: str) -> None:
        """Write down that it has got further."""
        if state > self.state:
            self.state, self.reason = state, reason


@dataclass(eq=False)
class Seen:
    """An entry that a device has received.

    Attributes:
        seq: its number.
        kind: `message`, `receipt` or `read`.
        sender, recipient, id, text, place: those of a message; the recipient and Id also of a receipt.
        state: that of a receipt.
        event: what happened in a room.
    """

    seq: int
    kind: str
    sender: str = ""
    recipient: str = ""
    id: str = ""
    text: str = ""
    place: int = 0
    state: State = State.QUEUED
    event: str = ""
    deleted: bool = False

    @property
    def meaning(self) -> tuple[Any, ...]:
        """What can never change about it."""
        return self.kind, self.sender, self.recipient, self.id, self.place, self.state, self.event


Key = tuple[str, str]
"""The sender and the Id of a message. What happened in a room has no Id."""


@dataclass
class Answers:
    """What a device was told in the end. Messages are in the order in which they came.

    Attributes:
        history: all messages.
        conversations: those with each user, and in the room, if the member is in it.
        pins: the pinned ones among them.
        threads: those of the thread of a message, by conversation and message.
        found: those of each sender that a search has found.
        display: the member's display name.
    """

    history: list[Key] = field(default_factory=list[Key])
    conversations: dict[str, list[Key]] = field(default_factory=dict[str, list[Key]])
    pins: dict[str, list[Key]] = field(default_factory=dict[str, list[Key]])
    threads: dict[tuple[str, Key], list[Key]] = field(default_factory=dict[tuple[str, Key], list[Key]])
    found: dict[str, list[Key]] = field(default_factory=dict[str, list[Key]])
    display: str = ""


@dataclass(eq=False)
class Life:
    """One run of a device's program: from its start until it is killed or ends.

    Attributes:
        cursor: up to where the device had every entry when it connected first.
        seen: what it has received, in order.
        acknowledged: the numbers of the entries that it has acknowledged.
    """

    cursor: int = -1
    seen: list[Seen] = field(default_factory=list[Seen])
    acknowledged: list[int] = field(default_factory=list[int])


class Device:
    """A member's device, and its program.

    Args:
        world: the world.
        machine: where it runs.
        member: the member's name.
        name: the device's name.
        token: its token.
        random: decides what its user does.
        outbox: whether it keeps its outbox on disk.

    Attributes:
        lives: the runs of its program.
        sent: what it has sent, and what became of that.
        reads: the numbers of the entries that its user has read.
        refused: the Ids of the messages that it has refused.
        client: its client; None while it has none.
        process: its process; None while it has none.
        acting: whether its user is still to do something.
        seen_at: when it received something last.
        answers: what its program was told in the end; None if it did not ask.
        missing_files: the Ids of messages whose files the server did not have.
        files: the files that it has downloaded, by the sender and Id of their messages.
        may_end: why the server may end it: `revoked`, `replaced`, `removed` or `restored` (from a backup that is older
            than its token); empty if it may not.
        is_revoked: whether another device was told that this one is revoked.
        log_lost: whether the server has lost the log, so that numbers may be given twice.
        over: whether the server has ended it, so that its program is not started again.
        problems: what must not happen, and has.
        server: the server's address, and the certificates that the machine knows, if it is to connect with TLS.
    """

    def __init__(
        self, world: World, machine: Machine, member: str, name: str, token: str, random: Random, outbox: bool
    ) -> None:
        self.member, self.name, self.token = member, name, token
        self.server = connect_without_tls()
        self.machine = machine
        self.lives: list[Life] = []
        self.sent: list[Sent] = []
        self.reads: dict[str, int] = {}
        self.refused: set[str] = set()
        self.client: MemberClient | None = None
        self.process: Process | None = None
        self.acts: list[Callable[[Device, MemberClient], Any]] = []
        self.pause = 0.5
        self.read_chance, self.refuse_chance, self.slowness = 0.3, 0.0, 0.0
        self.window = random.choice((1, 4, 64))
        self.outbox = outbox
        self.problems: list[str] = []
        self.seen_at = 0.0
        self.answers: Answers | None = None
        self.missing_files: list[str] = []
        self.files: dict[tuple[str, str], bytes] = {}
        self.may_end = ""
        self.is_revoked = False
        self.over = False
        self.log_lost = False
        self._world = world
        self.random = random
        self._done: asyncio.Future[Any] | None = None
        self._leave: asyncio.Event | None = None

    @property
    def title(self) -> str:
        """Its name in the world: that of its machine."""
        return self.machine.name

    @property
    def alive(self) -> bool:
        """Whether its program runs."""
        return self.process is not None and self.process.alive

    def start(self) -> None:
        """Start its program."""
        process = self.process = self.machine.start(self.title)
        self._leave = asyncio.Event()
        process.on_death.append(self._killed)
        self.lives.append(Life())
        self._done = self._world.spawn(process, self._run)
        self._done.add_done_callback(lambda done: self._finished(process, done))

    def _killed(self) -> None:
        for sent in self.sent:
            sent.note()
            sent.receipt = None
        self.client = None

    def _finished(self, process: Process, done: "asyncio.Future[Any]") -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            self.problems.append(f"the program of {self.title} ended with {error!r}")
        if process.alive:
            left = [task for task in process.tasks if not task.done()]
            if left:
                self.problems.append(f"the program of {self.title} ended, but not its tasks {left}")
            process.kill()

    async def leave(self) -> None:
        """Let the program end, and wait until it has ended."""
        if self.alive and self._leave is not None and self._done is not None:
            self._leave.set()
            await asyncio.wait([self._done])

    # The program

    async def _run(self) -> None:
        assert self._leave is not None
        life = self.lives[-1]
        while True:
            try:
                async with join(
                    self.member,
                    **self.server,
                    token=self.token,
                    device=self.name,
                    window=self.window,
                    outbox=Path(self.machine.name, "outbox.db") if self.outbox else None,
                    wait_for_server=self.outbox,
                    limits=_LIMITS,
                ) as client:
                    await self._use(client, life)
            except ConnectionLost as error:
                self._world.trace(f"{self.title} is disconnected: {error}")
                if self._leave.is_set():
                    return
                await asyncio.sleep(1.0)
                life = Life()
                self.lives.append(life)
            except (NotAuthenticated, Replaced) as error:
                if not self.may_end:
                    raise
                self._end(error)
                return
            else:
                return

    def _end(self, error: Exception) -> None:
        """Note that the server has ended this device."""
        self._world.trace(f"{self.title} was {self.may_end}: {error!r}")
        self.over = True
        self.client = None
        for sent in self.sent:
            sent.note()
            sent.abandoned = True

    async def _use(self, client: MemberClient, life: Life) -> None:
        assert self._leave is not None
        self.client = client
        for sent in self.sent:  # what no answer was written down for
            if sent.state is State.QUEUED:
                await self._queue(client, sent)
        listening = asyncio.create_task(self._listen(client, life))
        acting = asyncio.create_task(self._act(client))
        leaving = asyncio.create_task(self._leave.wait())
        while not (leaving.done() or listening.done() or (acting.done() and acting.exception() is not None)):
            busy = [task for task in (listening, acting, leaving) if not task.done()]
            await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)
        for sent in self.sent:
            sent.note()
        for task in (listening, acting, leaving):
            task.cancel()
        results = await asyncio.gather(listening, acting, leaving, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, asyncio.CancelledError):
                raise result

    async def _listen(self, client: MemberClient, life: Life) -> None:
        async for entry in client.entries():
            if not entry.seq:
                continue
            if life.cursor < 0:
                life.cursor = client.cursor
            seen = _seen(entry, self.member)
            if life.seen and seen.seq <= life.seen[-1].seq and not self.log_lost:
                self.problems.append(f"{self.title} was given entry {seen.seq} after entry {life.seen[-1].seq}")
            life.seen.append(seen)
            self.seen_at = self._world.loop.now
            self._world.trace(f"{self.title} has {seen.meaning}")
            if isinstance(entry, ReceiptEvent):
                for sent in self.sent:
                    if sent.id == entry.id:
                        sent.learn(entry.state, entry.reason)
            if self.slowness:
                await asyncio.sleep(self.random.random() * self.slowness)
            if isinstance(entry, MemberMessage) and not entry.outgoing:
                await self._fetch(client, entry)
                await self._decide(entry)
            life.acknowledged.append(seen.seq)

    async def _fetch(self, client: MemberClient, message: MemberMessage) -> None:
        """Download the file of a message, unless it is there already."""
        file, path = message.file, Path(self.machine.name, f"from-{message.id}")
        if file is None or path.exists():
            return
        if message.forwarded_from is None and message.headers.get("x-voice") != voice_of(message.id):
            self.problems.append(f"{self.title} has {message.id} with the headers {message.headers}")
        try:
            await client.download(file, path)
        except RequestRefused as error:
            self._world.trace(f"{self.title} cannot download the file of {message.id}: {error}")
            self.missing_files.append(message.id)
        except BlockingIOError as error:  # the lock of a program that was killed is not released by this one process
            self._world.trace(f"{self.title} cannot download the file of {message.id}: {error}")
        except (FileMismatch, OSError) as error:
            self.problems.append(f"{self.title} cannot download the file of {message.id}: {error!r}")
        else:
            self.files[message.sender, message.id] = path.read_bytes()

    async def _decide(self, message: MemberMessage) -> None:
        chance = self.random.random()
        if chance < self.refuse_chance and not message.event:
            self.refused.add(f"{message.sender} {message.id}")
            await message.reject()
        elif chance < self.read_chance:
            peer = message.room or message.sender
            self.reads[peer] = max(self.reads.get(peer, 0), message.seq)
            await message.read()

    async def _act(self, client: MemberClient) -> None:
        while self.acts:
            await asyncio.sleep(self.random.random() * self.pause)
            act = self.acts.pop(0)
            try:
                await act(self, client)
            except (RequestRefused, NotDelivered) as error:
                self._world.trace(f"{self.title} was refused: {error}")

    async def send(self, client: MemberClient, sent: Sent) -> None:
        """Write a message down, and send it."""
        sent.at = self._world.loop.now
        self.sent.append(sent)
        await self._queue(client, sent)

    async def _queue(self, client: MemberClient, sent: Sent) -> None:
        change: dict[str, Any] = {}
        if sent.target is not None:
            target = sent.target
            change[sent.change] = target.id if sent.change == "edits" else target.key
        if sent.reply is not None:
            change["reply_to"] = sent.reply.key
        if sent.file is not None:
            change["headers"] = {"X-Voice": voice_of(sent.id)}
        self._world.trace(f"{self.title} sends {sent.id} to {sent.recipient} {change}")
        try:
            sent.receipt = await client.queue(
                sent.recipient, sent.text, id=sent.id, expires=sent.expires, file=sent.file, **change
            )
        except NotDelivered as error:
            sent.state, sent.reason = State.FAILED, str(error)


def voice_of(ident: str) -> str:
    """Return the waveform that is sent with the file of a message, as if it were a voice note (rule 16.7)."""
    random = Random(ident)
    return f"{random.randrange(100_000)} {'AZaz09+/'[random.randrange(8)] * random.randint(1, 64)}"


def content_of(ident: str) -> bytes:
    """Return the content of the file that is sent with a message."""
    random = Random(ident)
    return random.randbytes(int(10 ** random.uniform(0, 5.3)))


def _seen(entry: Entry, member: str) -> Seen:
    match entry:
        case MemberMessage():
            event = " ".join(entry.fields[name] for name in ("event", "member") if name in entry.fields)
            return Seen(
                entry.seq,
                "message",
                entry.sender,
                entry.recipient,
                entry.id,
                entry.text,
                entry.place,
                event=event,
                deleted=entry.deleted is not None,
            )
        case ReceiptEvent():
            return Seen(entry.seq, "receipt", recipient=entry.recipient, id=entry.id, state=entry.state)
        case ReadEvent():
            return Seen(entry.seq, "read", sender=entry.sender)
        case _:
            raise TypeError(entry)


class GuestUser:
    """A guest, and its program.

    Attributes:
        sent: for each message: the recipient, the text, and whether it was delivered; None if it is not known.
        seen: the senders and texts of the messages that it has received, by run of its program.
        acknowledged: the texts of those that it has acknowledged.
        server: see `Device`.
    """

    def __init__(self, world: World, machine: Machine, name: str, random: Random, window: int) -> None:
        self.name = name
        self.machine = machine
        self.server = connect_without_tls()
        self.window = window
        self.sent: list[list[Any]] = []
        self.seen: list[list[tuple[str, str]]] = []
        self.acknowledged: set[str] = set()
        self.acts: list[Callable[[GuestUser, Client], Any]] = []
        self.pause = 0.5
        self.problems: list[str] = []
        self.process: Process | None = None
        self._world = world
        self.random = random
        self._done: asyncio.Future[Any] | None = None
        self._leave: asyncio.Event | None = None

    @property
    def alive(self) -> bool:
        """Whether its program runs."""
        return self.process is not None and self.process.alive

    def start(self) -> None:
        """Start its program."""
        process = self.process = self.machine.start(self.name)
        self._leave = asyncio.Event()
        self._done = self._world.spawn(process, self._run)
        self._done.add_done_callback(lambda done: self._finished(process, done))

    def _finished(self, process: Process, done: "asyncio.Future[Any]") -> None:
        if not done.cancelled() and (error := done.exception()) is not None:
            self.problems.append(f"the program of {self.name} ended with {error!r}")
        if process.alive:
            left = [task for task in process.tasks if not task.done()]
            if left:
                self.problems.append(f"the program of {self.name} ended, but not its tasks {left}")
            process.kill()

    async def leave(self) -> None:
        """Let the program end, and wait until it has ended."""
        if self.alive and self._leave is not None and self._done is not None:
            self._leave.set()
            await asyncio.wait([self._done])

    async def _run(self) -> None:
        assert self._leave is not None
        while not self._leave.is_set():
            try:
                async with self._connect() as client:
                    await self._use(client)
            except (ConnectionLost, NameTaken) as error:
                self._world.trace(f"{self.name} is disconnected: {error}")
                await asyncio.sleep(1.0)

    def _connect(self) -> AbstractAsyncContextManager[Client]:
        return connect(self.name, **self.server, window=self.window)

    async def _use(self, client: Client) -> None:
        assert self._leave is not None
        self.seen.append([])
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(self._listen(client, self.seen[-1])),
            asyncio.create_task(self._act(client)),
            asyncio.create_task(self._leave.wait()),
        ]
        leaving = tasks[-1]
        while not leaving.done() and not tasks[0].done():
            await asyncio.wait([tasks[0], leaving], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception) and not isinstance(result, ConnectionLost):
                raise result
        if not self._leave.is_set():
            raise ConnectionLost("the connection ended")

    async def _listen(self, client: Client, seen: list[tuple[str, str]]) -> None:
        async for message in client:
            seen.append((message.sender, message.text))
            self._world.trace(f"{self.name} has {message.sender} {message.text[:40]!r}")
            self.acknowledged.add(message.text)

    async def _act(self, client: Client) -> None:
        sending: list[asyncio.Task[None]] = []
        try:
            while self.acts:
                await asyncio.sleep(self.random.random() * self.pause)
                sending.append(asyncio.create_task(self.acts.pop(0)(self, client)))
            await asyncio.gather(*sending)
        finally:
            for task in sending:
                task.cancel()
            await asyncio.gather(*sending, return_exceptions=True)

    async def send(self, client: Client, recipient: str, text: str) -> None:
        """Send a message, and write down what became of it."""
        note: list[Any] = [recipient, text, None]
        self.sent.append(note)
        try:
            receipt: Receipt = await client.send(recipient, text)
            assert receipt.recipient == recipient
            note[2] = True
        except NotDelivered:
            note[2] = False
        except ConnectionLost:
            pass
