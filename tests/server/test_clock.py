"""Clocks that are wrong (docs/operations.md, "Clocks"): what a server removes is gone for good."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twotick.server import Server, ServerLimits, SignUp, logs
from twotick.server.clock import SETTLING, starting_time
from twotick.server.secrets import invitation_digest, new_invitation
from twotick.store import (
    AcceptTime,
    Acknowledge,
    AddInvitation,
    AddMember,
    Append,
    Appended,
    FileOffer,
    History,
    KeepTime,
    Member,
    OfferFile,
    OpenDevice,
    ReadTimes,
    SqliteStore,
    StoredTimes,
    StoreLimits,
)
from twotick.wire import Side, register, time_text

DAY = 86400.0
RIGHT = 1_790_000_000.0


class World:
    """A folder with a server that starts and stops, and clocks that are moved by hand.

    Attributes:
        wrong: the seconds by which the system's clock is ahead.
        passed: the seconds that have passed in truth.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.wrong = 0.0
        self.passed = 0.0
        self.requests: list[Any] = []
        self.loop = asyncio.get_running_loop()
        monkeypatch.setattr(time, "time", lambda: RIGHT + self.passed + self.wrong)
        steady = self.loop.time
        monkeypatch.setattr(self.loop, "time", lambda: steady() + self.passed, raising=False)

    async def start(self) -> None:
        self.store = SqliteStore(self.folder, StoreLimits())
        self.server = Server(ServerLimits(stop_timeout=0.0), self.store, SignUp.INVITE)
        self.storage = self.server._storage  # pyright: ignore[reportPrivateUsage]
        self.address = await self.server.start("127.0.0.1", 0)

    async def stop(self) -> None:
        await self.server.stop()

    async def ask(self, request: Any) -> Any:
        assert self.storage is not None
        return await self.storage.ask(request)

    async def pass_time(self, seconds: float) -> None:
        """Let time pass in truth, and let the server do all that is due then."""
        self.passed += seconds
        for _ in range(8):
            self.server._tick()  # pyright: ignore[reportPrivateUsage]
            await self.ask(ReadTimes())

    @property
    def clock(self) -> Callable[[], float]:
        return self.server.exchange._clock  # pyright: ignore[reportPrivateUsage]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    world = World(tmp_path, monkeypatch)
    await world.start()
    yield world
    await world.stop()


async def fill(world: World) -> None:
    """Store one message of each kind: one that all devices have, one that may expire in 30 days, and two files."""
    for name in ("alice", "bob"):
        member = await world.ask(AddMember(name, "", world.clock()))
        assert isinstance(member, Member)
        await world.ask(OpenDevice(member.number, "main", 0, world.clock()))
    await send(world, b"old")
    await send(world, b"waiting", expires=world.clock() + 30 * DAY)
    await world.ask(Acknowledge(2, b"main", 1, world.clock()))
    await world.ask(Acknowledge(1, b"main", 3, world.clock()))
    offer = await world.ask(OfferFile(1, b"f1", b"key", "a.txt", 3, b"0" * 32, world.clock()))
    assert isinstance(offer, FileOffer)


async def send(world: World, ident: bytes, *, time: float | None = None, expires: float | None = None) -> None:
    request = Append(
        sender=1,
        sender_name=b"alice",
        recipient=b"bob",
        headers=b"",
        body=b"hi",
        device=b"main",
        id=ident,
        time=world.clock() if time is None else time,
        expires=expires,
    )
    assert isinstance(await world.ask(request), Appended)


async def everything(world: World) -> list[bytes]:
    """Return what the store has: the Ids of messages and files."""
    found = await world.ask(History(2, b"", 0, 0.0, 100))
    offered = await world.ask(OfferFile(1, b"f1", b"other", "a.txt", 3, b"0" * 32, 0.0))
    return [*(entry.id for entry in found.entries), *([b"f1"] if offered.key == b"key" else [])]


ALL = [b"old", b"waiting", b"f1"]


@pytest.mark.parametrize("days", [8, 500, 100_000, -8, -500, -8000])
async def test_starts_with_a_wrong_clock_remove_nothing(world: World, days: int) -> None:
    await fill(world)
    for wrong in (days, days, 0, days, 0):
        await world.stop()
        world.wrong = wrong * DAY
        await world.start()
        await world.pass_time(2 * 3600)
        assert await everything(world) == ALL


@pytest.mark.parametrize("days", [8, 500, 100_000, -8, -500, -8000])
async def test_a_clock_that_jumps_removes_nothing(world: World, days: int) -> None:
    await fill(world)
    for wrong in (days, 0, -days, 0):
        world.wrong = wrong * DAY
        await world.pass_time(2 * 3600)
        assert await everything(world) == ALL


@pytest.mark.parametrize("days", [-8000, -500, 500])
async def test_what_is_stored_while_the_clock_is_wrong_stays_when_it_is_right_again(world: World, days: int) -> None:
    await fill(world)
    await world.stop()
    world.wrong = days * DAY
    await world.start()
    await send(world, b"new", expires=world.clock() + 3600)
    await world.pass_time(1800)
    world.wrong = 0
    await world.pass_time(900)
    await world.stop()
    await world.start()
    await world.pass_time(SETTLING + 1)
    assert await everything(world) == [*ALL[:-1], b"new", b"f1"]
    await world.pass_time(3600)
    assert await everything(world) == ALL, "its time is over, by whatever clock it was sent"


async def test_retention_goes_on_while_the_clock_is_wrong(world: World) -> None:
    """What is 400 days old by the monotonic clock is removed."""
    await fill(world)
    world.wrong = 500 * DAY
    await world.pass_time(3600)
    await world.pass_time(400 * DAY)
    await world.pass_time(3600)
    assert await everything(world) == []


async def test_a_message_from_the_future_does_not_stop_retention(world: World) -> None:
    """An older version stored one while the clock was ahead."""
    await fill(world)
    await send(world, b"future", time=world.clock() + 3000 * DAY)
    await world.ask(Acknowledge(2, b"main", 9, world.clock()))
    await world.ask(Acknowledge(1, b"main", 9, world.clock()))
    await world.pass_time(401 * DAY)
    await world.pass_time(3600)
    assert await everything(world) == [b"future"]
    await world.pass_time(401 * DAY)
    await world.pass_time(3600)
    assert await everything(world) == [], "it counted as sent when that was noticed"


async def test_the_first_ticks_after_a_start_remove_nothing(world: World) -> None:
    """The server was off for two days, as its clock says; the clock may still be set right."""
    await fill(world)
    await world.stop()
    world.passed += 2 * DAY
    await world.start()
    await world.pass_time(1)
    assert await everything(world) == ALL
    await send(world, b"soon", expires=world.clock() + 3)
    await world.pass_time(4)
    assert await everything(world) == ALL, "what was sent since the start expires in time"
    await world.pass_time(SETTLING)
    assert await everything(world) == ALL[:-1], "the file was announced more than a day ago"


async def test_an_accepted_clock_counts_and_removes_nothing(world: World) -> None:
    """The server was off for 500 days in truth."""
    await fill(world)
    await world.stop()
    world.passed += 500 * DAY
    await world.start()
    await world.pass_time(3600)
    assert time.time() - world.clock() > 499 * DAY
    operator = SqliteStore(world.folder, StoreLimits(), exclusive=False)
    operator.ask(AcceptTime(int(time.time())))
    operator.close()
    while time.time() - world.clock() > DAY:
        await world.pass_time(1)
    await world.pass_time(2 * 3600)
    assert await everything(world) == ALL
    await world.pass_time(29 * DAY)
    assert await everything(world) == [b"old", b"waiting"], "a file has a day"
    await world.pass_time(2 * DAY)
    assert await everything(world) == [b"old"], "the message had 30 days"
    await world.pass_time(300 * DAY)
    assert await everything(world) == [b"old"], "nothing says how old it is"
    await world.pass_time(100 * DAY)
    await world.pass_time(3600)
    assert await everything(world) == []


async def test_the_operator_is_told_and_what_to_do(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, dict[str, object]]] = []

    def say(event: str, **values: object) -> None:
        said.append((event, values))

    monkeypatch.setattr(logs.log, "warning", say)
    await world.pass_time(3600)
    assert said == []
    world.wrong = 500 * DAY
    await world.pass_time(1)
    ((event, values),) = said
    assert event == "the system's clock is not believed"
    assert values["reason"] == "it is 500 days ahead of the time that the server expects"
    assert "twotick clock --accept" in str(values["advice"])
    await world.pass_time(3601)
    assert len(said) == 2, "once an hour"
    world.wrong = 0
    await world.pass_time(1)
    assert said[2] == ("the system's clock is believed again", {})


async def test_recipients_are_told_what_the_system_clock_says(world: World) -> None:
    """A clock that is not believed may be right: only what is removed by it is gone for good."""
    world.wrong = -500 * DAY
    arrival = world.server.exchange._connections._router._arrival  # pyright: ignore[reportPrivateUsage]
    arrival.read()
    assert arrival.line() == b"Time: %b\n" % time_text(time.time())
    assert abs(arrival.arrived - RIGHT) < DAY


# Which time a server starts with

BOUND = 7 * DAY
clocks = st.floats(-1e11, 1e11)


@given(clocks, clocks, clocks)
def test_a_time_that_was_kept_is_never_left_by_more_than_the_bound(system: float, kept: float, other: float) -> None:
    start = starting_time(system, StoredTimes(int(kept), other, other), BOUND)
    assert start in (system, int(kept))
    assert abs(start - int(kept)) <= BOUND


@given(clocks, clocks, clocks)
def test_without_one_a_single_wrong_clock_is_outvoted(one: float, two: float, wrong: float) -> None:
    two = one + (two % BOUND)
    for system, newest, written in ((one, two, wrong), (two, wrong, one), (wrong, one, two)):
        start = starting_time(system, StoredTimes(None, newest, written), BOUND)
        assert min(one, two) - BOUND <= start <= max(one, two) + BOUND


@given(clocks, st.none() | clocks, st.none() | clocks)
def test_without_others_the_system_clock_counts(system: float, newest: float | None, written: float | None) -> None:
    assert starting_time(system, StoredTimes(), BOUND) == system
    start = starting_time(system, StoredTimes(None, newest, written), BOUND)
    assert start in (system, newest, written)


def test_the_time_is_kept_by_one_process_at_a_time(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path, StoreLimits())) as store:
        assert store.ask(ReadTimes()).kept is None
        assert store.ask(KeepTime(5, None)) == 5
        assert store.ask(KeepTime(7, 5)) == 7
        assert store.ask(KeepTime(9, 5)) == 7, "another process has kept 7 since"
        assert store.ask(ReadTimes()).kept == 7


async def test_an_invitation_does_not_expire_by_a_wrong_clock(world: World) -> None:
    """An operator invites a user; then the server's clock jumps."""
    code = new_invitation()
    await world.ask(AddInvitation(invitation_digest(code), time.time() + 7 * DAY))
    world.wrong = 500 * DAY
    reader, writer = await asyncio.open_connection(*world.address)
    password = b"Basic " + base64.b64encode(b"dave:correct horse")
    writer.write(register(Side.DUPLEX, b"dave", authorization=password, sign_up=code.encode()))
    assert (await reader.readline()).startswith(b"REGISTERED DUPLEX dave")
    writer.close()
