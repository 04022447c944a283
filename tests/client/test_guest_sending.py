"""Sending as a guest: names, receipts, sends that fail or are cancelled."""

import asyncio
import socket
import threading

import pytest

import twotick
from tests.client.servers import read_frame, registered, registering, serving
from tests.client.users import acknowledging
from twotick.client import (
    ConnectionLost,
    MalformedName,
    NameRefused,
    NameTaken,
    NotDelivered,
    NotRegistered,
    ProtocolError,
    ServerUnreachable,
    TwotickError,
    connect,
)

NOT_NAMES = ["", "al ice", "x" * 33, "send", "\u00e9", "bob\n\nSEND bob", "\x1b[2J", "\ud800", "\udcff"]
"""Names that are not valid (rule 4.1)."""


# Names


@pytest.mark.parametrize("name", [*NOT_NAMES, "all"])
async def test_an_invalid_name_is_refused_before_anything_is_sent(name: str) -> None:
    with pytest.raises(MalformedName, match="letters and digits"):
        async with connect(name, "127.0.0.1:1"):
            pass


async def test_a_taken_name_is_refused_until_its_owner_leaves(address: str) -> None:
    async with connect("alice", address):
        with pytest.raises(NameTaken):
            async with connect("ALICE", address):
                pass
    async with connect("ALICE", address) as me:
        assert me.name == "ALICE"


@pytest.mark.parametrize("window", [1, 16, 1000])
async def test_a_refused_name_is_reported_with_any_window(address: str, window: int) -> None:
    async with connect("alice", address):
        with pytest.raises(NameTaken):
            async with connect("alice", address, window=window):
                pass


@pytest.mark.parametrize(("wanted", "granted"), [(1, 1), (2, 2), (256, 256), (1000, 256)])
async def test_the_client_uses_the_window_that_the_server_grants(
    address: str, wanted: int, granted: int
) -> None:  # rule 6.2
    async with connect("alice", address, window=wanted) as alice:
        assert alice.window == granted


@pytest.mark.parametrize(
    ("error", "code", "base"),
    [
        (NameTaken, 100, NameRefused),
        (MalformedName, 100, NameRefused),
        (NotRegistered, 101, TwotickError),
        (NotDelivered, 102, TwotickError),
        (ProtocolError, 103, TwotickError),
        (ConnectionLost, None, TwotickError),
        (ServerUnreachable, None, ConnectionLost),
    ],
)
def test_exceptions_carry_the_error_number_of_the_protocol(
    error: type[TwotickError], code: int | None, base: type[TwotickError]
) -> None:
    assert error.code == code
    assert issubclass(error, base)


# Outcomes


@pytest.mark.parametrize("window", [1, 8])
async def test_a_receipt_means_that_the_recipient_has_the_message(address: str, window: int) -> None:
    async with connect("alice", address, window=window) as alice, acknowledging("bob", address, window=window) as came:
        receipt = await alice.send("BOB", "hello")
        assert [(message.sender, message.body) for message in came] == [("alice", b"hello")]
    assert receipt.recipient == "BOB"
    assert receipt.seconds > 0


@pytest.mark.parametrize(
    "body", [b"", b"\n\n", b"hello\n\nSEND bob\nContent-length: 5\n\nhello", bytes(range(256)), b"x" * (1 << 20)]
)
async def test_a_body_arrives_byte_for_byte(address: str, body: bytes) -> None:
    async with connect("alice", address) as alice, acknowledging("bob", address) as came:
        await alice.send("bob", body)
        assert [message.body for message in came] == [body]


async def test_text_travels_as_utf_8(address: str) -> None:
    async with connect("alice", address) as alice, acknowledging("bob", address) as came:
        await alice.send("bob", "gr\u00fc\u00dfe \u2713")
        await alice.send("bob", b"\xff?")
        assert [message.text for message in came] == ["gr\u00fc\u00dfe \u2713", "\ufffd?"]


async def test_a_message_to_all_reaches_everyone_else(address: str) -> None:  # rule 5.9
    async with (
        connect("alice", address) as alice,
        acknowledging("bob", address) as bobs,
        acknowledging("carol", address) as carols,
    ):
        receipt = await alice.send("all", "hi")
        assert [message.text for message in (*bobs, *carols)] == ["hi", "hi"]
    assert receipt.recipient == "all"


async def test_a_user_can_send_to_their_own_name(address: str) -> None:
    async with connect("alice", address) as alice:
        sending = asyncio.create_task(alice.send("alice", "note"))
        await (await alice.receive()).ack()
        assert (await sending).recipient == "alice"


async def test_a_message_to_a_user_who_is_not_connected_fails(address: str) -> None:  # rule 5.7
    async with connect("alice", address) as alice, acknowledging("bob", address):
        with pytest.raises(NotDelivered, match="not connected"):
            await alice.send("carol", "hello")
        assert (await alice.send("bob", "hello")).recipient == "bob"


@pytest.mark.parametrize("recipient", NOT_NAMES)
async def test_nothing_is_sent_to_an_invalid_name(address: str, recipient: str) -> None:
    async with connect("alice", address) as alice, acknowledging("bob", address):
        with pytest.raises(NotDelivered, match="is not a valid name"):
            await alice.send(recipient, "hello")
        with pytest.raises(NotDelivered, match="rooms are for members"):
            await alice.send("#team", "hello")
        await alice.send("bob", "hello")


async def test_a_body_beyond_the_limit_is_not_sent(address: str) -> None:
    async with connect("alice", address, max_body=5) as alice, acknowledging("bob", address) as came:
        with pytest.raises(NotDelivered, match="6 bytes, and 5 is the limit"):
            await alice.send("bob", "hello!")
        await alice.send("bob", "hello")
        assert [message.text for message in came] == ["hello"]


async def test_a_body_beyond_the_servers_limit_is_a_protocol_error(address: str) -> None:  # rule 2.8
    async with connect("alice", address, max_body=2 << 20) as alice:
        with pytest.raises(ProtocolError):
            await alice.send("bob", bytes(1 + (1 << 20)))
        with pytest.raises(ProtocolError):
            await alice.receive()


@pytest.mark.parametrize("window", [1, 2])
async def test_many_sends_at_once_each_get_their_own_answer_in_order(address: str, window: int) -> None:  # rule 5.5
    async with connect("alice", address, window=window) as alice, acknowledging("bob", address, window=window) as came:
        outcomes = await asyncio.gather(
            *(alice.send(("bob", "nobody")[number % 2], str(number)) for number in range(1500)), return_exceptions=True
        )
        assert [message.text for message in came] == [str(number) for number in range(0, 1500, 2)]
    assert all(isinstance(outcome, twotick.Receipt) for outcome in outcomes[0::2])
    assert all(isinstance(outcome, NotDelivered) for outcome in outcomes[1::2])


async def test_send_works_without_asyncio(address: str) -> None:
    async with acknowledging("bob", address) as came:
        receipt = await asyncio.to_thread(twotick.send, "bob", "hello", sender="alice", server=address)
        assert [(message.sender, message.text) for message in came] == [("alice", "hello")]
    assert receipt.recipient == "bob"
    with pytest.raises(NotDelivered):
        await asyncio.to_thread(twotick.send, "bob", "hello", sender="alice", server=address)


# Cancelling


@pytest.mark.parametrize("window", [1, 2])
async def test_the_answer_to_a_cancelled_send_is_not_mistaken_for_another(
    address: str, window: int
) -> None:  # rule 5.5
    async with connect("alice", address, window=window) as alice, connect("bob", address) as bob:
        first = asyncio.create_task(alice.send("bob", "first"))
        message = await bob.receive()
        first.cancel()
        second = asyncio.create_task(alice.send("bob", "second"))
        await message.ack()
        message = await bob.receive()
        assert message.text == "second"
        await message.reject()
        with pytest.raises(NotDelivered):
            await second
        with pytest.raises(asyncio.CancelledError):
            await first


async def test_a_send_that_is_cancelled_before_its_turn_is_never_sent(address: str) -> None:
    async with connect("alice", address) as alice, connect("bob", address) as bob:
        first = asyncio.create_task(alice.send("bob", "first"))
        message = await bob.receive()
        waiting = asyncio.create_task(alice.send("bob", "never"))
        third = asyncio.create_task(alice.send("bob", "third"))
        await asyncio.sleep(0)  # both calls begin to wait for their turn
        waiting.cancel()
        await message.ack()
        await first
        message = await bob.receive()
        assert message.text == "third"
        await message.ack()
        await third


async def test_a_send_that_times_out_in_the_program_disturbs_no_other(address: str) -> None:
    async with connect("alice", address) as alice, connect("bob", address) as bob:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(alice.send("bob", "first"), 0.01)
        message = await bob.receive()
        await message.ack()
        second = asyncio.create_task(alice.send("bob", "second"))
        await (await bob.receive()).ack()
        assert (await second).recipient == "bob"


# Losing the connection


@pytest.mark.parametrize("side", [b"TOSEND", b"TORECV"])
async def test_losing_either_connection_fails_every_call_that_waits(side: bytes) -> None:
    """The server closes one connection as soon as a SEND has arrived on the other."""
    sent = threading.Event()

    def talk(connection: socket.socket) -> None:
        frame = read_frame(connection)
        connection.sendall(registered(frame))
        if b"TOSEND" in frame:
            read_frame(connection)
            sent.set()
        sent.wait()
        if side in frame:
            connection.close()

    with serving(talk) as address:
        async with connect("alice", address) as alice:
            outcomes = await asyncio.gather(
                alice.send("bob", "on its way"),
                alice.send("bob", "waiting for its turn"),
                alice.receive(),
                anext(aiter(alice)),
                return_exceptions=True,
            )
            assert [type(outcome) for outcome in outcomes] == [ConnectionLost] * 4
            with pytest.raises(ConnectionLost):
                await alice.send("bob", "afterwards")
            with pytest.raises(ConnectionLost):
                await alice.receive()


async def test_an_overdue_answer_is_a_lost_connection() -> None:
    with serving(registering(lambda _: b"")) as address:
        async with connect("alice", address, answer_timeout=0.05) as alice:
            with pytest.raises(ConnectionLost, match=r"did not answer within 0\.05 s"):
                await alice.send("bob", "hello")
            with pytest.raises(ConnectionLost):
                await alice.receive()


async def test_every_send_has_a_time_limit() -> None:
    answers = iter([b"SEND bob\n\n", b""])
    with serving(registering(lambda _: next(answers))) as address:
        async with connect("alice", address, answer_timeout=0.1) as alice:
            await alice.send("bob", "hello")
            await asyncio.sleep(0.05)  # part of the time of the first send, so that the second one has more left
            with pytest.raises(ConnectionLost):
                await alice.send("bob", "hello")


async def test_the_time_limit_of_each_send_starts_with_it(address: str) -> None:
    async with connect("alice", address, answer_timeout=0.5) as alice, acknowledging("bob", address):
        end = asyncio.get_running_loop().time() + 0.6
        while asyncio.get_running_loop().time() < end:
            await alice.send("bob", "hello")


async def test_closing_the_client_fails_calls_that_wait(address: str) -> None:
    async with connect("alice", address) as alice, connect("bob", address) as bob:
        sending = asyncio.create_task(alice.send("bob", "hello"))
        await bob.receive()
        await alice.close()
        with pytest.raises(ConnectionLost, match="closed"):
            await sending
        with pytest.raises(ConnectionLost, match="closed"):
            await alice.send("bob", "hello")


async def test_closing_does_not_wait_for_a_server_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twotick.client.link._LINGER", 0.05)
    left = threading.Event()

    def talk(connection: socket.socket) -> None:
        connection.sendall(registered(read_frame(connection)))
        left.wait()

    with serving(talk) as address:
        try:
            async with connect("alice", address, answer_timeout=0.05, max_body=32 << 20) as alice:
                with pytest.raises(ConnectionLost):
                    await alice.send("bob", bytes(32 << 20))
        finally:
            left.set()
