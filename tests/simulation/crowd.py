"""Members who write to each other all the time, and the checks of what has come of it.

Each member has two devices. A device sends messages with Ids of its own, in short bursts, to members and to rooms;
sends each burst again until all of it is accepted; edits and reads some messages; and now and then it leaves and comes
back. One in ten messages is given to two servers at once, by both devices of its sender, with one Id.
"""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from twotick.client import (
    MemberClient,
    MemberLimits,
    MemberMessage,
    MemberReceipt,
    NotDelivered,
    ReceiptEvent,
    State,
    TwotickError,
    join,
)

LIMITS: Final = MemberLimits(first_wait=0.1, longest_wait=1.0, answer_timeout=45.0)
"""Limits with which a client soon finds another server."""

_PATIENCE: Final = 150.0
"""Seconds in which everything must have come once all is well again."""

Key: TypeAlias = tuple[str, str]
"""The sender and the Id of a message."""


class Problem(Exception):
    """A promise is broken."""


@dataclass(eq=False)
class Sent:
    """A message, or an edit of one.

    Attributes:
        by: the device that sends it.
        recipient: a member or a room.
        id: its Id.
        text: its text.
        number: its number among those from this device to this recipient.
        edits: the Id of the message that it replaces; None for a new message.
        doubled: whether the sender's other device sends it as well.
        refused: whether the server has refused it at least once, so that it may have lost its place in the order.
        accepted: whether it is accepted.
        receipts: what the library knows of it.
    """

    by: "Device"
    recipient: str
    id: str
    text: str
    number: int
    edits: str | None = None
    doubled: bool = False
    refused: bool = False
    accepted: bool = False
    receipts: list[MemberReceipt] = field(default_factory=list[MemberReceipt])

    @property
    def key(self) -> Key:
        """The sender and the Id."""
        return self.by.member.name, self.id

    @property
    def state(self) -> State:
        """How far it has got, as far as a device of its sender was told."""
        told = [each.state for each in self.receipts if each.state is not State.FAILED]
        return max([*told, self.by.member.told.get(self.id, State.QUEUED)])

    def __str__(self) -> str:
        return f"{self.by} to {self.recipient}: {self.id}"


@dataclass(eq=False)
class Member:
    """A member.

    Attributes:
        name: the name.
        devices: the devices.
        rooms: the rooms.
        told: the states of messages that devices were told of that had not sent them, by Id.
        read: the Seq up to which a device has read, by sender.
    """

    name: str
    devices: list["Device"] = field(default_factory=list["Device"])
    rooms: set[str] = field(default_factory=set[str])
    told: dict[str, State] = field(default_factory=dict[str, State])
    read: dict[str, int] = field(default_factory=dict[str, int])


class Device:
    """A device of a member.

    Args:
        crowd: all members.
        member: whose it is.
        name: its name.
        token: its token.

    Attributes:
        got: the Seq of each message that it has.
        waiting: the messages that have no answer yet, each with the time since which it waits.
        trouble: why its connection was lost, or could not be made; empty while there is one.
    """

    def __init__(self, crowd: "Crowd", member: Member, name: str, token: str) -> None:
        self.member = member
        self.name = name
        self.got: dict[Key, int] = {}
        self._crowd = crowd
        self._token = token
        self._seqs: dict[int, Key] = {}
        self._client: MemberClient | None = None
        self._joined = asyncio.Event()
        self._numbers: dict[str, Iterator[int]] = {}
        self.waiting: dict[Sent, float] = {}
        self.trouble = "it was not connected yet"

    def __str__(self) -> str:
        return f"{self.member.name}/{self.name}"

    async def live(self) -> None:
        """Be connected, and take what comes, until this is cancelled."""
        while True:
            try:
                async with join(
                    self.member.name,
                    self._crowd.where,
                    token=self._token,
                    limits=LIMITS,
                    window=64,
                    on_connection=self._note_connection,
                ) as me:
                    self._client = me
                    self._joined.set()
                    await self._take(me)
            except TwotickError as error:
                self._note_connection(error)
                if (name := type(error).__name__) in ("NotAuthenticated", "Replaced"):
                    self._crowd.problems.append(f"{self} was ended: {name}: {error}")
                await asyncio.sleep(0.1)
            finally:
                self._client = None
                self._joined.clear()

    def _note_connection(self, problem: TwotickError | None) -> None:
        self.trouble = "" if problem is None else f"{type(problem).__name__}: {problem}"

    async def leave(self) -> None:
        """End the connection; `live` makes a new one."""
        if self._client is not None:
            await self._client.close()

    async def client(self) -> MemberClient:
        """Return the connection, as soon as there is one."""
        while self._client is None:
            await self._joined.wait()
        return self._client

    async def _take(self, me: MemberClient) -> None:
        last = 0
        async with contextlib.aclosing(me.entries()) as entries:
            async for entry in entries:
                if entry.seq:
                    if entry.seq <= last:
                        self._crowd.problems.append(f"{self} was given entry {entry.seq} after {last}")
                    last = entry.seq
                if isinstance(entry, ReceiptEvent):
                    told = self.member.told
                    if entry.state is State.FAILED:
                        self._crowd.problems.append(f"{self} was told that {entry.id} has failed: {entry.reason}")
                    else:
                        told[entry.id] = max(told.get(entry.id, State.QUEUED), entry.state)
                elif isinstance(entry, MemberMessage) and entry.id:
                    self._note(entry)
                    await self._read_some(entry)

    def _note(self, message: MemberMessage) -> None:
        key = message.sender, message.id
        seq = self.got.setdefault(key, message.seq)
        known = self._seqs.setdefault(message.seq, key)
        if seq != message.seq:
            self._crowd.problems.append(f"{self} has {key} twice, as entries {seq} and {message.seq}")
        if known != key:
            self._crowd.problems.append(f"{self} has two messages as entry {message.seq}: {known} and {key}")
        self._crowd.deliveries += 1

    async def _read_some(self, message: MemberMessage) -> None:
        if not message.outgoing and not message.room and message.is_news and self._crowd.chance.random() < 0.2:
            read = self.member.read
            read[message.sender] = max(read.get(message.sender, 0), message.seq)
            await message.read()

    async def write(self, recipients: list[str]) -> None:
        """Write to members and rooms in turns, until the crowd is to be quiet."""
        chance = self._crowd.chance
        await asyncio.sleep(chance.random())  # not all at once
        while not self._crowd.quiet.is_set():
            recipient = chance.choice(recipients)
            if chance.random() < 0.1:
                message = self._new(recipient, doubled=True)
                other = next(each for each in self.member.devices if each is not self)
                await asyncio.gather(self._deliver([message]), other._deliver([message]))
            else:
                await self._deliver([self._new(recipient) for _ in range(chance.randint(1, 3))])
                if chance.random() < 0.1:
                    last = self._crowd.sent[-1]
                    if last.by is self and last.edits is None:
                        await self._deliver([self._new(last.recipient, edits=last.id)])
            await asyncio.sleep(chance.uniform(0.0, 2 * self._crowd.pause))

    def _new(self, recipient: str, *, edits: str | None = None, doubled: bool = False) -> Sent:
        number = next(self._numbers.setdefault(recipient, itertools.count()))
        ident = f"{self.name}-{recipient.lstrip('#')}-{number}"
        made = Sent(self, recipient, ident, f"{self} {number}", number, edits, doubled)
        self._crowd.sent.append(made)
        return made

    async def _deliver(self, burst: Sequence[Sent]) -> None:
        """Send messages until all are accepted, those that were not again with the same Ids."""
        left: list[Sent] = [*burst]
        self.waiting.update((each, time.monotonic()) for each in left)
        while left:
            me = await self.client()
            try:
                receipts = [await self._queue(me, each) for each in left]
            except TwotickError:
                await asyncio.sleep(0.05)
                continue
            results = await asyncio.gather(*(each.accepted() for each in receipts), return_exceptions=True)
            for each, result in zip(left, results, strict=True):
                self._answered(each, result)
                if not isinstance(result, BaseException):
                    del self.waiting[each]
            left = [each for each, result in zip(left, results, strict=True) if isinstance(result, BaseException)]
            if left:
                await asyncio.sleep(0.1)

    async def _queue(self, me: MemberClient, message: Sent) -> MemberReceipt:
        options: dict[str, Any] = {} if message.edits is None else {"edits": message.edits}
        receipt = await me.queue(message.recipient, message.text, id=message.id, **options)
        message.receipts.append(receipt)
        return receipt

    def _answered(self, message: Sent, result: MemberReceipt | BaseException) -> None:
        if isinstance(result, NotDelivered):
            message.refused = True
            self._crowd.refusals.add(str(result))
        elif isinstance(result, MemberReceipt):
            message.accepted = True
            self._crowd.accepted.append(time.monotonic())
        elif not isinstance(result, TwotickError):
            raise result


class Crowd:
    """All members.

    Args:
        where: the addresses of the servers, with commas.
        names: the names of the members.
        rooms: the names of the rooms, in which all members of a share are.
        seed: decides who does what.
        pause: the mean of the seconds between two bursts of a device.

    Attributes:
        sent: what was sent since the last check.
        accepted: when messages were accepted.
        deliveries: how many messages devices were given.
        refusals: the reasons for which messages were refused.
        problems: the promises that were broken.
        quiet: set when nothing new is to be written.
        chance: decides who does what.
    """

    def __init__(self, where: str, names: list[str], rooms: list[str], *, seed: int, pause: float = 1.0) -> None:
        self.where = where
        self.pause = pause
        self.members = {name: Member(name) for name in names}
        self.chance = random.Random(seed)
        self.sent: list[Sent] = []
        self.accepted: list[float] = []
        self.deliveries = 0
        self.refusals: set[str] = set()
        self.problems: list[str] = []
        self.quiet = asyncio.Event()
        self._rooms = rooms
        self._living: list[asyncio.Task[None]] = []
        self._writing: list[asyncio.Task[None]] = []
        self._leaving: Device | None = None

    def add_devices(self, tokens: dict[tuple[str, str], str]) -> None:
        """Give the members their devices."""
        for (name, device), token in tokens.items():
            member = self.members[name]
            member.devices.append(Device(self, member, device, token))

    @property
    def devices(self) -> list[Device]:
        """All devices."""
        return [device for member in self.members.values() for device in member.devices]

    async def start(self) -> None:
        """Connect all, and let them gather in the rooms."""
        self._living = [asyncio.create_task(each.live()) for each in self.devices]
        members = list(self.members.values())
        for number, room in enumerate(self._rooms):
            inside = members[number :: len(self._rooms)]
            await (await inside[0].devices[0].client()).create_room(room, public=True)
            for each in inside:
                each.rooms.add(room)
                if each is not inside[0]:
                    await (await each.devices[0].client()).join_room(room)

    def write(self) -> None:
        """Let all write, and some leave and come back now and then, until `settle`."""
        self.quiet.clear()
        self.sent.clear()
        self.accepted.clear()
        self._writing = [asyncio.create_task(self._restless())]
        for device in self.devices:
            others = [name for name in self.members if name != device.member.name]
            recipients = [*self.chance.sample(others, min(3, len(others))), *device.member.rooms]
            self._writing.append(asyncio.create_task(device.write(recipients)))

    async def _restless(self) -> None:
        while not self.quiet.is_set():
            await asyncio.sleep(self.chance.uniform(0.2, 1.0))
            self._leaving = self.chance.choice(self.devices)
            await self._leaving.leave()
            self._leaving = None

    async def progress(self, seconds: float = 120.0) -> None:
        """Wait until as many further messages are accepted as there are devices.

        Raises:
            Problem: that takes too long.
        """
        goal = len(self.accepted) + len(self.devices)
        await self._until(lambda: len(self.accepted) >= goal, seconds, "senders wait for answers")

    async def _until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        until = time.monotonic() + seconds
        while not condition():
            self.raise_problems()
            for each in (*self._living, *self._writing):
                if each.done():
                    each.result()
            if time.monotonic() > until:
                raise Problem(f"after {seconds:.0f} s, {what}")
            await asyncio.sleep(0.02)

    def raise_problems(self) -> None:
        """Raise Problem if a promise was broken."""
        if self.problems:
            raise Problem("; ".join(self.problems[:5]))

    def pause_after(self, since: float) -> float:
        """Return the longest time without an answer to anyone that ended after a moment, in seconds."""
        times = [each for each in sorted(self.accepted) if each > since]
        return max((later - earlier for earlier, later in itertools.pairwise([since, *times])), default=0.0)

    async def settle(self) -> None:
        """Let no one write any more, wait until all has come, and check it.

        Raises:
            Problem: a promise is broken.
        """
        self.quiet.set()
        writing = self._writing
        await self._until(lambda: all(each.done() for each in writing), _PATIENCE, "some senders have no answer")
        for each in writing:
            each.result()
        for sent in self.sent:
            assert sent.accepted, sent
        missing = self._missing()
        until = time.monotonic() + _PATIENCE
        while missing and time.monotonic() < until:
            self.raise_problems()
            await asyncio.sleep(0.1)
            missing = [each for each in missing if not each[1]()]
        if missing:
            raise Problem(f"{len(missing)} missing: " + "; ".join(what for what, _ in missing[:5]))
        self.problems += [*self._disorder(), *self._false_receipts()]
        self.raise_problems()

    def _missing(self) -> list[tuple[str, Callable[[], bool]]]:
        """Return what devices and senders do not have yet, each with how to find out whether it has come."""

        def has(device: Device, key: Key) -> Callable[[], bool]:
            return lambda: key in device.got

        def told(sent: Sent) -> Callable[[], bool]:
            return lambda: sent.state >= State.DELIVERED

        expected: list[tuple[str, Callable[[], bool]]] = []
        for sent in self.sent:
            for device in self._receivers(sent):
                expected.append((f"{device} has not {sent}", has(device, sent.key)))
            expected.append((f"the sender does not know that all have {sent}", told(sent)))
        return [each for each in expected if not each[1]()]

    def _receivers(self, sent: Sent) -> list[Device]:
        if sent.recipient.startswith("#"):
            others = [each for each in self.members.values() if sent.recipient in each.rooms]
        else:
            others = [self.members[sent.recipient]]
        devices = [device for each in others if each is not sent.by.member for device in each.devices]
        return devices + ([] if sent.doubled else [each for each in sent.by.member.devices if each is not sent.by])

    def _disorder(self) -> list[str]:
        """Return which messages came out of order."""
        found: list[str] = []
        lines: dict[tuple[Device, str], list[Sent]] = {}
        for sent in self.sent:
            if (recipient := self.members.get(sent.recipient)) is not None:
                seqs = {device.got[sent.key] for device in recipient.devices}
                if len(seqs) > 1:
                    found.append(f"{sent} has several numbers in the log of its recipient: {seqs}")
            if not (sent.doubled or sent.refused):
                lines.setdefault((sent.by, sent.recipient), []).append(sent)
        for line in lines.values():
            for earlier, later in itertools.pairwise(sorted(line, key=lambda each: each.number)):
                found += [
                    f"{device} has {later} before {earlier}"
                    for device in self._receivers(later)
                    if device.got[later.key] < device.got[earlier.key]
                ]
        return found

    def _false_receipts(self) -> list[str]:
        """Return which messages are said to be read that no device has read."""
        found: list[str] = []
        for sent in self.sent:
            if sent.state is State.READ:
                member = self.members[sent.recipient]
                if member.read.get(sent.by.member.name, 0) < member.devices[0].got[sent.key]:
                    found.append(f"{sent} is said to be read, and is not")
        return found

    def describe(self) -> str:
        """Return who waits for what, to find the reason."""
        now = time.monotonic()
        lines = [f"{self._leaving} ends its connection"] if self._leaving else []
        for device in self.devices:
            for sent, since in device.waiting.items():
                states = ", ".join(each.state.name for each in sent.receipts[-3:])
                how = device.trouble or "connected"
                lines.append(f"{sent}: for {now - since:.1f} s; queued {len(sent.receipts)} times: {states}; {how}")
        return "\n".join(lines) or "every message has an answer"

    async def stop(self) -> None:
        """End all connections."""
        for each in (*self._writing, *self._living):
            each.cancel()
        await asyncio.gather(*self._writing, *self._living, return_exceptions=True)
