"""Receiving as a guest: when messages are acknowledged, and in which order."""

import asyncio
import socket
import threading

import pytest

from tests.client.servers import read_frame, registered, serving
from twotick.client import ConnectionLost, Message, MessageRefused, NotDelivered, Receipt, connect


async def test_taking_the_next_message_acknowledges_the_one_before(address: str) -> None:
    async with connect("alice", address) as alice, connect("bob", address) as bob:
        messages = aiter(bob)
        first = asyncio.create_task(alice.send("bob", "first"))
        assert (await anext(messages)).text == "first"
        with pytest.raises(NotDelivered):
            await bob.send("nobody", "gives the server time to answer alice, if it had what to answer")
        assert not first.done()
        taking = asyncio.ensure_future(anext(messages))
        assert (await first).recipient == "bob"
        second = asyncio.create_task(alice.send("bob", "second"))
        message: Message = await taking
        assert message.text == "second"
        await message.ack()
        assert (await second).recipient == "bob"


async def test_leaving_the_loop_does_not_acknowledge_the_last_message(address: str) -> None:
    async with connect("alice", address) as alice:
        async with connect("bob", address) as bob:
            sending = asyncio.create_task(alice.send("bob", "hello"))
            async for _ in bob:
                break
        with pytest.raises(NotDelivered):
            await sending


async def test_a_failing_program_does_not_acknowledge_the_message_it_failed_on(address: str) -> None:
    async with connect("alice", address) as alice:
        sends: list[asyncio.Task[Receipt]] = []

        async def fail() -> None:
            async with connect("bob", address) as bob:
                sends.append(asyncio.create_task(alice.send("bob", "hello")))
                async for message in bob:
                    raise ValueError(message.text)

        with pytest.raises(ValueError, match="hello"):
            await fail()
        with pytest.raises(NotDelivered):
            await sends[0]


async def test_a_rejected_message_is_not_delivered_and_the_next_one_is(address: str) -> None:  # rule 7.2
    async with connect("alice", address) as alice, connect("bob", address) as bob:

        async def take_all_but_one() -> None:
            async for message in bob:
                if message.text == "no":
                    await message.reject()

        taking = asyncio.create_task(take_all_but_one())
        await alice.send("bob", "yes")
        with pytest.raises(NotDelivered):
            await alice.send("bob", "no")
        await alice.send("bob", "yes again")
        taking.cancel()


async def test_messages_are_answered_in_order_whatever_the_order_of_decisions(address: str) -> None:  # rule 6.3
    async with connect("bob", address, window=4) as bob:
        sends: list[asyncio.Task[Receipt]] = []
        messages: list[Message] = []
        async with connect("ann", address) as ann, connect("ben", address) as ben, connect("cat", address) as cat:
            for sender in (ann, ben, cat):
                sends.append(asyncio.create_task(sender.send("bob", "hello")))
                messages.append(await bob.receive())
            await messages[2].ack()
            await messages[1].reject()
            with pytest.raises(NotDelivered):
                await bob.send("nobody", "gives the server time to answer them, if it had what to answer")
            assert [send.done() for send in sends] == [False, False, False]
            await messages[0].ack()
            outcomes = await asyncio.gather(*sends, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Receipt, MessageRefused, Receipt]


@pytest.mark.parametrize("first", ["ack", "reject"])
@pytest.mark.parametrize("then", ["ack", "reject"])
async def test_only_the_first_answer_to_a_message_counts(address: str, first: str, then: str) -> None:
    async with connect("alice", address, window=2) as alice, connect("bob", address, window=2) as bob:
        sends = [asyncio.create_task(alice.send("bob", text)) for text in ("one", "two")]
        one, two = await bob.receive(), await bob.receive()
        await getattr(one, first)()
        await getattr(one, then)()
        await two.reject()
        outcomes = await asyncio.gather(*sends, return_exceptions=True)
    expected = Receipt if first == "ack" else MessageRefused
    assert [type(outcome) for outcome in outcomes] == [expected, MessageRefused]


async def test_the_loop_ends_when_the_client_is_closed(address: str) -> None:
    async with connect("alice", address) as alice, connect("bob", address) as bob:

        async def listen() -> list[str]:
            return [message.text async for message in bob]

        listening = asyncio.create_task(listen())
        await alice.send("bob", "one")
        await bob.close()
        assert await listening == ["one"]


async def test_ack_fails_when_the_connection_is_lost() -> None:
    closing = threading.Event()

    def talk(connection: socket.socket) -> None:
        frame = read_frame(connection)
        connection.sendall(registered(frame))
        if b"TORECV" in frame:
            connection.sendall(b"FORWARD bob\nContent-length: 5\n\nhello")
        closing.wait()
        connection.close()

    with serving(talk) as address:
        async with connect("alice", address) as alice:
            message = await alice.receive()
            closing.set()
            with pytest.raises(ConnectionLost):
                await alice.receive()
            for answer in (message.ack, alice.receive):
                with pytest.raises(ConnectionLost):
                    await answer()


async def test_a_server_that_ignores_the_window_is_read_as_fast_as_the_program_takes_messages() -> None:
    """More messages come than the client keeps, and none is lost."""
    answers: list[bytes] = []
    all_answered = threading.Event()

    def talk(connection: socket.socket) -> None:
        frame = read_frame(connection)
        connection.sendall(registered(frame))
        if b"TORECV" in frame:
            connection.sendall(
                b"".join(b"FORWARD bob\nContent-length: 100\n\n%0100d" % number for number in range(5000))
            )
            answers.extend(read_frame(connection) for _ in range(5000))
            all_answered.set()

    with serving(talk) as address:
        async with connect("alice", address) as alice:
            for number in range(5000):
                message = await alice.receive()
                assert int(message.text) == number
                await message.ack()
            await asyncio.to_thread(all_answered.wait)
    assert answers == [b"RECEIVED bob\n\n"] * 5000


async def test_an_acknowledgement_repeats_the_senders_name_byte_for_byte() -> None:
    """Other servers may allow names that are not valid here. The program sees them as text."""
    answers: list[bytes] = []
    answered = threading.Event()

    def talk(connection: socket.socket) -> None:
        frame = read_frame(connection)
        connection.sendall(registered(frame))
        if b"TORECV" in frame:
            connection.sendall(b"FORWARD b\xc3\xb6b-2\nContent-length: 5\n\nhello")
            answers.append(read_frame(connection))
            answered.set()

    with serving(talk) as address:
        async with connect("alice", address) as alice:
            message = await alice.receive()
            assert message.sender == "b\\xc3\\xb6b-2"
            await message.ack()
            await asyncio.to_thread(answered.wait)
    assert answers == [b"RECEIVED b\xc3\xb6b-2\n\n"]
