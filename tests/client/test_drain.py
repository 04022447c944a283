"""A server that lets its members go in steps (rule 9.13)."""

import asyncio

import pytest

from tests.client.members import Chat, Connections, until
from twotick.client import ServerUnreachable, ShuttingDown, State
from twotick.server import ServerLimits


async def test_members_go_in_steps_and_the_others_are_served_until_then() -> None:
    chat = Chat(limits=ServerLimits(drain=2000.0))
    told = {name: Connections() for name in ("alice", "bob")}
    for name in told:
        chat.token(name)
    await chat.start()
    async with (
        chat.join("alice", on_connection=told["alice"]) as alice,
        chat.join("bob", on_connection=told["bob"]) as bob,
    ):
        stopping = asyncio.create_task(chat.stop())
        await until(lambda: any(ShuttingDown in each.kinds for each in told.values()))
        (staying,) = (each for each in (alice, bob) if ShuttingDown not in told[each.name].kinds)
        assert (await staying.send(staying.name, "note to self")).state >= State.ACCEPTED
        with pytest.raises(ServerUnreachable):
            async with chat.join(staying.name):
                pass
        assert ShuttingDown not in told[staying.name].kinds
        assert not stopping.done()
        chat.hurry()
        await until(lambda: ShuttingDown in told[staying.name].kinds)
        await stopping


async def test_after_the_last_member_the_server_stops_at_once() -> None:
    chat = Chat(limits=ServerLimits(drain=2000.0))
    chat.token("alice")
    await chat.start()
    told = Connections()
    async with chat.join("alice", on_connection=told):
        await chat.stop()
        await until(lambda: ShuttingDown in told.kinds)


async def test_many_members_are_asked_to_come_back_one_after_the_other() -> None:
    chat = Chat(limits=ServerLimits(login_rate=1))
    names = ("alice", "bob", "carol")
    for name in names:
        chat.token(name)
    await chat.start()
    told = Connections()
    async with (
        chat.join("alice", on_connection=told),
        chat.join("bob", on_connection=told),
        chat.join("carol", on_connection=told),
    ):
        await chat.stop()
        await until(lambda: told.kinds.count(ShuttingDown) == len(names))
    assert sorted(each.retry_after for each in told.told if isinstance(each, ShuttingDown)) == [0, 1, 2]
