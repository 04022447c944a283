"""The guest client with classic servers by other authors, and with servers that send malformed frames."""

import asyncio
import socket
import threading

import pytest

from tests.client.servers import ClassicServer, answering, read_frame, registered, registering, serving
from tests.client.users import acknowledging
from twotick.client import (
    ConnectionLost,
    NotDelivered,
    NotRegistered,
    ProtocolError,
    Receipt,
    ServerUnreachable,
    TwotickError,
    connect,
)

CLASSIC = {
    "answers 101 to a window": lambda: ClassicServer(to_window=101),
    "answers 100 to a window": lambda: ClassicServer(to_window=100),
    "answers 103 to a window": lambda: ClassicServer(to_window=103),
    "closes at a window": lambda: ClassicServer(to_window=None),
    "ends lines in CR LF": lambda: ClassicServer(newline="\r\n"),
    "has texts of its own": lambda: ClassicServer(texts={101: "Register first", 102: "Nobody there: sorry"}),
    "has no texts": lambda: ClassicServer(texts={101: "", 102: ""}),
}


@pytest.fixture(params=CLASSIC)
def classic(request: pytest.FixtureRequest) -> ClassicServer:
    return CLASSIC[request.param]()


@pytest.mark.parametrize("window", [1, 16])
async def test_the_client_works_with_any_classic_server(classic: ClassicServer, window: int) -> None:
    """The client may ask for a window, which these servers do not know (rule 6.4)."""
    with serving(classic.talk) as address:
        async with (
            connect("alice", address, window=window) as alice,
            acknowledging("bob", address, window=window) as bobs,
            acknowledging("carol", address, window=window) as carols,
        ):
            assert alice.window == 1
            outcomes = await asyncio.gather(
                *(alice.send(("bob", "nobody", "carol", "ALL")[number % 4], f"{number}\n\n") for number in range(40)),
                return_exceptions=True,
            )
            assert [message.text for message in bobs] == [f"{n}\n\n" for n in range(40) if n % 4 in (0, 3)]
            assert [message.text for message in carols] == [f"{n}\n\n" for n in range(40) if n % 4 in (2, 3)]
    assert [type(outcome) for outcome in outcomes] == [Receipt, NotDelivered, Receipt, Receipt] * 10
    assert classic.glued == []  # each SEND came alone and complete


async def test_a_rejected_message_is_not_delivered_through_a_classic_server() -> None:
    with serving(ClassicServer().talk) as address:
        async with connect("alice", address, window=4) as alice, connect("bob", address, window=4) as bob:
            sending = asyncio.create_task(alice.send("bob", "no"))
            await (await bob.receive()).reject()
            with pytest.raises(NotDelivered):
                await sending
            sending = asyncio.create_task(alice.send("bob", "yes"))
            await (await bob.receive()).ack()
            assert (await sending).recipient == "bob"


async def test_the_next_send_waits_for_the_answer_to_a_cancelled_one() -> None:
    classic = ClassicServer()
    with serving(classic.talk) as address:
        async with connect("alice", address, window=4) as alice, connect("bob", address) as bob:
            first = asyncio.create_task(alice.send("bob", "first"))
            message = await bob.receive()
            first.cancel()
            second = asyncio.create_task(alice.send("bob", "second"))
            await message.reject()
            message = await bob.receive()
            assert message.text == "second"
            await message.ack()
            assert (await second).recipient == "bob"
    assert classic.glued == []


async def test_a_second_error_after_a_window_request_is_ignored() -> None:
    """A server that reads line by line answers the header as if it were a frame of its own."""

    def answer(frame: bytes) -> bytes:
        return b"ERROR 101 x\n\nERROR 103 x\n\n" if b"Window" in frame else registered(frame)

    with serving(answering(answer)) as address:
        async with connect("alice", address, window=16) as alice:
            receiving = asyncio.create_task(alice.receive())
            done, _ = await asyncio.wait([receiving], timeout=0.05)
            assert not done
            receiving.cancel()


async def test_the_body_of_an_answer_is_ignored() -> None:  # rule 3.1
    with serving(registering(lambda _: b"SEND bob\nContent-length: 5\n\nthere")) as address:
        async with connect("alice", address) as alice:
            assert (await alice.send("bob", "hello")).recipient == "bob"
            assert (await alice.send("bob", "hello")).recipient == "bob"


# Malformed frames

NONSENSE = {
    "bytes": b"\x00\xff\x1b[2J\n\n",
    "another protocol": b"HTTP/1.1 400 Bad Request\r\nContent-Length: 3\r\n\r\nbad",
    "another frame": b"FORWARDED bob\n\n",
    "an endless line": b"x" * 10_000,
    "a malformed length": b"SEND bob\nContent-length: -1\n\n",
    "a malformed error": b"ERROR\n\n",
    "an unknown error": b"ERROR 999 \xff\n\n",
}


async def use(address: str, *, window: int, limit: float = 5.0) -> None:
    """Connect, send, and wait for a message."""
    async with connect("alice", address, window=window, timeout=limit, answer_timeout=limit) as alice:
        await alice.send("bob", "hello")
        await alice.receive()


@pytest.mark.parametrize("window", [1, 16])
@pytest.mark.parametrize("moment", [b"TOSEND", b"TORECV", b"SEND bob"])
@pytest.mark.parametrize("nonsense", NONSENSE)
async def test_a_malformed_frame_is_a_protocol_error(window: int, moment: bytes, nonsense: str) -> None:
    def answer(frame: bytes) -> bytes:
        return NONSENSE[nonsense] if moment in frame else registered(frame)

    with serving(answering(answer)) as address, pytest.raises(ProtocolError):
        await use(address, window=window)


@pytest.mark.parametrize("nonsense", [each for each in NONSENSE if "error" not in each])
async def test_a_malformed_frame_in_place_of_a_message_is_answered_103(nonsense: str) -> None:  # rule 2.8
    answers: list[bytes] = []
    answered = threading.Event()

    def talk(connection: socket.socket) -> None:
        frame = read_frame(connection)
        connection.sendall(registered(frame))
        if b"TORECV" in frame:
            connection.sendall(NONSENSE[nonsense])
            answers.append(read_frame(connection))
            answered.set()
        else:
            read_frame(connection)

    with serving(talk) as address:
        with pytest.raises(ProtocolError):
            async with connect("alice", address) as alice:
                await alice.receive()
        await asyncio.to_thread(answered.wait)
    assert answers == [b"ERROR 103 Header incomplete\n\n"]


@pytest.mark.parametrize("granted", [b"", b"0", b"1", b"-2", b"x", b"\xb2", b"9" * 5000])
async def test_a_malformed_window_is_ignored(granted: bytes) -> None:
    def answer(frame: bytes) -> bytes:
        return registered(frame).replace(b"\n\n", b"\nWindow: " + granted + b"\n\n")

    with serving(answering(answer)) as address:
        async with connect("alice", address, window=16) as alice:
            assert alice.window == 1


@pytest.mark.parametrize("window", [1, 16])
@pytest.mark.parametrize("moment", [b"TOSEND", b"TORECV", b"SEND bob"])
async def test_a_connection_that_the_server_closes_is_lost(window: int, moment: bytes) -> None:
    with (
        serving(answering(lambda frame: None if moment in frame else registered(frame))) as address,
        pytest.raises(ConnectionLost),
    ):
        await use(address, window=window)


@pytest.mark.parametrize("window", [1, 16])
@pytest.mark.parametrize("moment", [b"TOSEND", b"TORECV", b"SEND bob"])
async def test_a_server_that_never_answers_is_unreachable(window: int, moment: bytes) -> None:
    with (
        serving(answering(lambda frame: b"" if moment in frame else registered(frame))) as address,
        pytest.raises(ConnectionLost) as lost,
    ):
        await use(address, window=window, limit=0.05)
    assert (lost.type is ServerUnreachable) == (moment != b"SEND bob")


@pytest.mark.parametrize("moment", [b"TOSEND", b"TORECV"])
@pytest.mark.parametrize(
    "more",
    [b"ERROR 103 x\n\n", b"SEND bob\n\n", b"RECEIVED bob\n\n", b"REGISTERED TOSEND alice\n\n", b"\xff\n\n"],
)
async def test_a_second_answer_to_a_registration_is_a_protocol_error(moment: bytes, more: bytes) -> None:
    def answer(frame: bytes) -> bytes:
        return registered(frame) + (more if moment in frame else b"")

    with serving(answering(answer)) as address, pytest.raises(ProtocolError):
        async with connect("alice", address):
            pytest.fail("it is connected")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (b"SEND carol\n\n", ProtocolError),
        (b"SEND\n\n", ProtocolError),
        (b"SEND bob carol\n\n", ProtocolError),
        (b"RECEIVED bob\n\n", ProtocolError),
        (b"ERROR 103 x\n\n", ProtocolError),
        (b"ERROR 101 x\n\n", NotRegistered),
        (b"ERROR 102\n\n", NotDelivered),
        (b"ERROR 102 Nobody\xff there\n\n", NotDelivered),
    ],
)
async def test_only_the_answer_to_a_send_confirms_its_delivery(answer: bytes, expected: type[TwotickError]) -> None:
    with serving(registering(lambda _: answer)) as address:
        async with connect("alice", address) as alice:
            with pytest.raises(expected):
                await alice.send("bob", "hello")


@pytest.mark.parametrize("sends", [1, 2])
async def test_an_unexpected_answer_is_a_protocol_error(sends: int) -> None:
    with serving(registering(lambda _: b"SEND bob\n\nSEND bob\n\n")) as address:
        async with connect("alice", address) as alice:
            outcomes = await asyncio.gather(
                alice.send("bob", "hello"),
                *(alice.send("bob", "and") for _ in range(1, sends)),
                return_exceptions=True,
            )
            assert isinstance(outcomes[0], Receipt)
            with pytest.raises(ProtocolError):
                await alice.receive()


async def test_a_message_that_is_cut_short_is_a_lost_connection() -> None:
    def talk(connection: socket.socket) -> None:
        frame = read_frame(connection)
        connection.sendall(registered(frame))
        if b"TORECV" in frame:
            connection.sendall(b"FORWARD bob\nContent-length: 10\n\nhello")
            connection.close()
        else:
            read_frame(connection)

    with serving(talk) as address, pytest.raises(ConnectionLost):
        await use(address, window=1)
