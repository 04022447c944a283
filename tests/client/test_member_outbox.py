"""The outbox on disk: messages survive the process and are sent once."""

import asyncio
import signal
import sqlite3
import stat
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.client.members import Connections, Proxy, Spoken, chatting, scripted, scripted_join, take, until
from tests.client.test_member_faults import accepted, refusing
from tests.databases import is_in_use
from tests.sockets import PATIENCE
from twotick.client import (
    ConnectionLost,
    MemberClient,
    MemberLimits,
    MemberMessage,
    NotAuthenticated,
    NotDelivered,
    OutboxError,
    ReceiptEvent,
    ServerUnreachable,
    State,
)
from twotick.client.member.outbox import Outbox
from twotick.wire import Verb, error, frame

NOBODY = "127.0.0.1:1"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "alice.outbox"


async def fill(file: Path, *texts: str) -> list[str]:
    """Put messages to bob into the outbox of alice, who has no connection, and return their Ids."""
    async with scripted_join(NOBODY, outbox=file, wait_for_server=True) as me:
        return [(await me.queue("bob", text, reply_to=("bob", "m1"))).id for text in texts]


async def test_the_outbox_is_sent_in_order_with_the_same_ids(file: Path) -> None:
    texts = [str(number) for number in range(20)]
    ids = await fill(file, *texts[:10])
    ids += await fill(file, *texts[10:])
    async with chatting("alice", "bob") as chat:
        async with chat.join("alice", outbox=file) as alice, chat.join("bob") as bob:
            last = await alice.send("bob", "last")
            messages = await take(bob, 21)
            assert [message.text for message in messages] == [*texts, "last"]
            assert [message.id for message in messages] == [*ids, last.id]
            assert {message.reply_to for message in messages[:-1]} == {("bob", "m1")}
            # The program sees what became of messages from before, and of none of its own.
            entries = alice.entries()
            events = [await anext(entries) for _ in range(40)]
            await messages[-1].read()
            await last.read()
        assert all(isinstance(event, ReceiptEvent) for event in events)
        assert [(event.id, event.state) for event in events if isinstance(event, ReceiptEvent)] == [
            *((ident, State.ACCEPTED) for ident in ids),
            *((ident, State.DELIVERED) for ident in ids),
        ]
        assert {event.seq == 0 for event in events[:20]} == {True}
        async with chat.join("alice", outbox=file) as alice:
            assert alice.outbox == []
            assert len(await alice.history("bob")) == 21


async def test_a_message_that_is_sent_again_after_a_restart_arrives_once(file: Path) -> None:  # rule 11.7
    """A program stores messages with their Ids before it sends them, and after a restart sends all of them again."""
    for _ in range(2):
        async with scripted_join(NOBODY, outbox=file, wait_for_server=True) as me:
            receipt = await me.queue("bob", "one", id="kept.1")
            assert [each.id for each in me.outbox] == ["kept.1"]
            assert receipt.state is State.QUEUED
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob:
        for _ in range(2):
            async with chat.join("alice", outbox=file) as alice:
                await alice.send("bob", "one", id="kept.1")
                await alice.send("bob", "two", id="kept.2")
        messages = await take(bob, 2)
        assert [(message.id, message.text) for message in messages] == [("kept.1", "one"), ("kept.2", "two")]
        assert len(await bob.history("alice")) == 2


async def test_queued_messages_survive_a_killed_process(file: Path) -> None:
    program = """
import asyncio, sys
from pathlib import Path
from twotick.client import join
async def main():
    async with join("alice", "127.0.0.1:1", token="t", outbox=Path(sys.argv[1]), wait_for_server=True) as me:
        for number in range(100):
            await me.queue("bob", str(number))
            print(number, flush=True)
        await asyncio.sleep(3600)
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, str(file), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    queued = [await process.stdout.readline() for _ in range(37)]
    process.send_signal(signal.SIGKILL)
    queued += (await process.stdout.read()).splitlines()
    await process.wait()
    assert 37 <= len(queued) <= 100
    async with (
        chatting("alice", "bob") as chat,
        chat.join("bob") as bob,
        chat.join("alice", outbox=file) as alice,
    ):
        waiting = [receipt.accepted() for receipt in alice.outbox]
        assert len(waiting) >= len(queued)
        await asyncio.gather(*waiting)
        await alice.send("bob", "end")
        messages = await take(bob, len(waiting) + 1)
    assert [message.text for message in messages] == [*(str(number) for number in range(len(waiting))), "end"]


async def test_only_its_owner_can_read_the_outbox(file: Path) -> None:
    await fill(file, "secret")
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(each.stat().st_mode) for each in file.parent.iterdir()} == {0o600}


async def test_accepted_and_failed_messages_are_not_sent_again(file: Path) -> None:
    await fill(file, "accepted", "failed", "lost")

    async def serve(server: Spoken) -> None:
        await server.register()
        server.write(accepted(await server.expect(Verb.SEND), 1))
        head, _ = await server.expect(Verb.SEND)
        server.write(error(102, id=head.headers[b"id"], reason=b"the mailbox of bob is full"))
        await server.expect(Verb.SEND)
        await server.end()

    async with scripted(serve) as address, scripted_join(address, outbox=file) as me:
        one, two, three = me.outbox
        await one.accepted()
        with pytest.raises(NotDelivered, match="full"):
            await two.accepted()
        entries = me.entries()
        events = [await anext(entries) for _ in range(2)]
        assert [(event.state, event.reason) for event in events if isinstance(event, ReceiptEvent)] == [
            (State.ACCEPTED, ""),
            (State.FAILED, "the mailbox of bob is full"),
        ]
    with pytest.raises(ConnectionLost, match="closed"):
        await three.accepted()
    async with scripted_join(NOBODY, outbox=file, wait_for_server=True) as me:
        assert [receipt.id for receipt in me.outbox] == [three.id]


async def test_a_cancelled_send_is_not_in_the_outbox(file: Path) -> None:
    async with scripted_join(NOBODY, outbox=file, wait_for_server=True) as me:
        for turns in range(20):  # cancelled before, during and after the write
            sending = asyncio.create_task(me.send("bob", "hello"))
            for _ in range(turns):
                await asyncio.sleep(0)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
        kept = await me.queue("bob", "kept")
        assert [receipt.id for receipt in me.outbox] == [kept.id]
    async with scripted_join(NOBODY, outbox=file, wait_for_server=True) as me:
        assert [receipt.id for receipt in me.outbox] == [kept.id]


async def test_messages_expire_in_an_outbox_on_disk(file: Path) -> None:
    async with scripted_join(NOBODY, outbox=file, wait_for_server=True) as me:
        with pytest.raises(NotDelivered, match="expired before it could be sent"):
            await me.send("bob", "now or never", expires=0.01)
        assert me.outbox == []


@pytest.mark.parametrize("wait", [True, False])
async def test_wait_for_server_keeps_trying(file: Path, wait: bool) -> None:
    told = Connections()
    if not wait:
        with pytest.raises(ServerUnreachable):
            async with scripted_join(NOBODY, outbox=file):
                pass
        return
    async with chatting("alice", "bob") as chat:
        proxy = Proxy(chat.port)
        proxy.away = True
        async with (
            proxy.listening() as at,
            chat.join("alice", at=at, outbox=file, wait_for_server=True, on_connection=told) as alice,
        ):
            assert (alice.connected, told.kinds) == (False, [ConnectionLost])
            receipt = await alice.queue("bob", "hello")
            assert receipt.state is State.QUEUED
            proxy.away = False
            await receipt.accepted()
            assert told.told[-1] is None


async def test_wait_for_server_does_not_wait_with_a_wrong_token(file: Path) -> None:
    async with scripted(refusing(error(104))) as address:
        with pytest.raises(NotAuthenticated):
            async with scripted_join(address, outbox=file, wait_for_server=True):
                pass


async def test_an_outbox_belongs_to_one_program_and_one_member(file: Path) -> None:
    await fill(file, "hello")
    async with scripted_join(NOBODY, outbox=file, wait_for_server=True) as me:
        with pytest.raises(OutboxError, match="another program uses the outbox"):
            async with scripted_join(NOBODY, outbox=file, wait_for_server=True):
                pass
        assert len(me.outbox) == 1
        assert is_in_use(file), "the refused one has not taken the lock away"
    async with chatting("bob") as chat:
        with pytest.raises(OutboxError, match="belongs to alice, not to bob"):
            async with chat.join("bob", outbox=file):
                pass


async def test_an_outbox_file_that_cannot_be_used(tmp_path: Path) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("something else, and longer than the head of a database " * 10)
    for file in (tmp_path, other, other / "below"):
        with pytest.raises(OutboxError, match="cannot be used"):
            await fill(file, "hello")
    assert other.read_text().startswith("something else")


async def test_a_full_disk_fails_only_the_message_that_does_not_fit(file: Path) -> None:
    """A message that cannot be stored is not queued. Others are, and the client continues when there is room."""

    def set_pages(me: MemberClient, pages: int) -> None:
        disk = me._session.outbox._disk  # type: ignore[reportPrivateUsage] # simulates a small disk
        assert isinstance(disk, sqlite3.Connection)
        disk.execute(f"PRAGMA max_page_count = {pages}")

    limits = MemberLimits(outbox_bytes=250_000)  # messages that are not queued take no room
    async with scripted_join(NOBODY, outbox=file, wait_for_server=True, limits=limits) as me:
        first = await me.queue("bob", "small")
        set_pages(me, 10)
        large = [asyncio.create_task(me.queue("bob", "x" * 100_000)) for _ in range(3)]
        for each in large:
            with pytest.raises(OutboxError, match="full"):
                await each
        assert [receipt.id for receipt in me.outbox] == [first.id]
        set_pages(me, 1000)
        second = await me.queue("bob", "y" * 100_000)
    async with scripted_join(NOBODY, outbox=file, wait_for_server=True) as me:
        assert [receipt.id for receipt in me.outbox] == [first.id, second.id]


async def test_closing_fails_if_removals_cannot_be_written(file: Path) -> None:
    async def send_and_break(me: MemberClient) -> None:
        disk = me._session.outbox._disk  # type: ignore[reportPrivateUsage] # simulates a disk that is gone
        assert disk is not None
        receipt = await me.queue("bob", "two")
        disk.execute("PRAGMA query_only = ON")
        await receipt.accepted()

    async with chatting("alice", "bob") as chat:
        joining = chat.join("alice", outbox=file)
        await send_and_break(await joining.__aenter__())
        with pytest.raises(OutboxError, match="sent again"):
            await joining.__aexit__(None, None, None)
        async with chat.join("alice", outbox=file) as alice, chat.join("bob") as bob:
            await alice.send("bob", "three")
            assert [message.text for message in await take(bob, 2)] == ["two", "three"]


async def test_a_message_is_not_sent_before_it_is_on_disk(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_disk = threading.Event()
    apply = Outbox._apply  # type: ignore[reportPrivateUsage]

    def wait_and_apply(outbox: Outbox, changes: list[Any]) -> None:
        assert on_disk.wait(PATIENCE)
        apply(outbox, changes)

    async def first(server: Spoken) -> None:
        await server.register()
        await server.expect(Verb.DEVICES)

    async def second(server: Spoken) -> None:
        await server.register()
        await server.expect(Verb.DEVICES)
        server.write(frame(Verb.DEVICES, body=b"[]"))
        on_disk.set()
        sent = await server.expect(Verb.SEND)
        server.write(accepted(sent))
        await server.expect(Verb.DEVICES)
        server.write(frame(Verb.DEVICES, body=b"[]"))
        await server.end()

    monkeypatch.setattr(Outbox, "_apply", wait_and_apply)
    async with scripted(first, second) as address, scripted_join(address, outbox=file) as me:
        sending = asyncio.create_task(me.send("bob", "hello"))
        await until(lambda: len(me.outbox) == 1)
        assert await me.devices() == []
        await sending
        assert await me.devices() == []


async def test_opening_and_closing_can_be_cancelled(file: Path) -> None:
    done = False
    for turns in range(1000):
        opening = asyncio.create_task(fill(file))
        for _ in range(turns):
            await asyncio.sleep(0)
        done = opening.done()
        opening.cancel()
        if done:
            break
        with pytest.raises(asyncio.CancelledError):
            await opening
    assert done
    assert len(await fill(file, "hello")) == 1


async def test_a_deletion_that_is_held_back_can_be_undone() -> None:
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice, chat.join("bob") as bob:
        sent = await alice.send("bob", "hello")
        deletion = await alice.queue("bob", "", deletes=("", sent.id), delay=600)
        deleting = asyncio.create_task(alice.delete("bob", sent.id, delay=600))
        await alice.send("bob", "later")  # which does not wait for it
        assert [message.text for message in await take(bob, 2)] == ["hello", "later"]
        assert [each.state for each in alice.outbox] == [State.QUEUED, State.QUEUED]
        assert alice.withdraw(deletion)
        assert alice.withdraw(alice.outbox[0])
        with pytest.raises(NotDelivered, match="cancelled before it was sent"):
            await deleting
        assert not alice.withdraw(deletion)
        assert alice.outbox == []
        assert [message.text for message in await alice.history("bob")] == ["hello", "later"]


async def test_a_deletion_is_sent_when_it_was_held_back_long_enough() -> None:
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice:
        sent = await alice.send("bob", "hello")
        receipt = await alice.delete("bob", sent.id, delay=0.05)
        assert not alice.withdraw(receipt)
        (found,) = [message for message in await alice.history("bob") if message.id == sent.id]
        assert found.deleted is not None


async def test_what_is_held_back_stays_so_over_a_restart(file: Path) -> None:
    async with chatting("alice", "bob") as chat:
        async with chat.join("alice", outbox=file) as alice:
            sent = await alice.send("bob", "hello")
            held = await alice.queue("bob", "", deletes=("", sent.id), delay=600)
        async with chat.join("alice", outbox=file) as alice:
            await alice.send("bob", "later")
            assert [each.id for each in alice.outbox] == [held.id]
            assert alice.withdraw(alice.outbox[0])
        async with chat.join("alice", outbox=file) as alice:
            assert alice.outbox == []
            assert [message.text for message in await alice.history("bob")] == ["hello", "later"]
            await alice.queue("bob", "", deletes=("", sent.id), delay=600)
        with sqlite3.connect(file) as disk:
            disk.execute("UPDATE held SET until = 1.0")
        disk.close()
        async with chat.join("alice", outbox=file) as alice, chat.join("bob") as bob:
            async for entry in bob.entries():
                if isinstance(entry, MemberMessage) and entry.deletes is not None:
                    break
            await until(lambda: not alice.outbox)


@pytest.mark.parametrize("delay", [-1.0, 901.0, float("nan")])
async def test_a_message_is_held_back_for_a_while_only(delay: float) -> None:
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice:
        with pytest.raises(ValueError, match="cannot be held back"):
            await alice.queue("bob", "x", delay=delay)
