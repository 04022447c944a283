"""Who is served next."""

import asyncio

from twotick.server.turns import Turns


class Workers:
    """Tasks that each want a place, and hold it until they are told to leave it.

    Attributes:
        begun: the names of those that have had a place, in order.
    """

    def __init__(self, places: int) -> None:
        self._turns = Turns(places)
        self._done: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self.begun: list[str] = []

    async def add(self, *names: str) -> None:
        """Let workers ask for a place; the first letter of a name is its address."""
        for name in names:
            self._done[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._work(name))
        await settle()

    async def _work(self, name: str) -> None:
        async with self._turns.turn(name[0]):
            self.begun.append(name)
            await self._done[name].wait()

    async def leave(self, *names: str) -> None:
        for name in names:
            self._done[name].set()
            await settle()

    async def cancel(self, *names: str) -> None:
        for name in names:
            self._tasks[name].cancel()
        await settle()


async def settle() -> None:
    """Let all tasks go as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_addresses_take_turns() -> None:
    workers = Workers(1)
    await workers.add("a1", "a2", "a3", "a4", "b1", "c1", "b2")
    await workers.leave("a1", "a2", "b1", "c1", "a3", "b2", "a4")
    assert workers.begun == ["a1", "a2", "b1", "c1", "a3", "b2", "a4"]


async def test_an_address_never_has_all_places() -> None:
    workers = Workers(4)
    await workers.add("a1", "a2", "a3", "a4", "b1", "b2")
    assert workers.begun == ["a1", "a2", "a3", "b1"]
    await workers.leave("b1")
    assert workers.begun[4:] == ["b2"]
    await workers.leave("a1", "a2")
    assert workers.begun[5:] == ["a4"]


async def test_who_no_longer_waits_is_passed_over() -> None:
    workers = Workers(1)
    await workers.add("a1", "b1", "b2", "c1", "d1")
    await workers.cancel("b1", "c1")
    await workers.leave("a1", "b2")
    assert workers.begun == ["a1", "b2", "d1"]


async def test_a_place_that_was_given_to_one_who_is_cancelled_goes_on() -> None:
    workers = Workers(1)
    await workers.add("a1", "b1", "c1")
    workers._done["a1"].set()  # pyright: ignore[reportPrivateUsage]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await workers.cancel("b1")
    assert workers.begun[-1] in ("b1", "c1")
    await workers.leave("c1")
    await workers.add("d1")
    assert workers.begun[-2:] == ["c1", "d1"]
