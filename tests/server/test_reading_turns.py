"""How much is handled of one address before it is another's turn (docs/protocol.md, rule 8.7). Bytes are counted."""

import asyncio
import signal
from collections.abc import Callable
from typing import TypeAlias

from tests.server.test_shares import HERE, THERE, user
from tests.sockets import Visitors
from twotick.server import Server, ServerLimits, ServerOptions
from twotick.server.reading_turns import MOST_OF_A_TURN, ReadingTurns
from twotick.server.web.connections import Web
from twotick.server.web.ports import make_web
from twotick.store import AddMember, SqliteStore, StoreLimits
from twotick.wire import (
    CLASSIC_SIDES,
    UNABLE_TO_SEND,
    Side,
    Verb,
    accepted,
    forward_start,
    frame,
    received,
    register,
    send,
)

StartServer: TypeAlias = Callable[[ServerLimits], Visitors]


class Reading:
    """A connection from which bytes have been read."""

    def __init__(self, turns: ReadingTurns, network: str, size: int, done: list[str]) -> None:
        self._turns = turns
        self._size = size
        self._done = done
        self.network = network
        turns.wait(self)

    def go_on(self) -> None:
        self._turns.count(self.network, self._size)
        self._done.append(self.network)


def test_each_address_has_its_turn() -> None:
    turns, done = ReadingTurns({}), list[str]()
    for _ in range(5):
        Reading(turns, "a", MOST_OF_A_TURN // 2, done)
    Reading(turns, "b", 1, done)
    rounds: list[str] = []
    while turns.next():
        rounds.append("".join(done))
        done.clear()
    assert rounds == ["aab", "aa", "a"]


def test_what_waited_counts_for_the_turn_in_which_it_is_handled() -> None:
    turns, done = ReadingTurns({}), list[str]()
    turns.handled["a"] = 2 * MOST_OF_A_TURN
    Reading(turns, "b", 3 * MOST_OF_A_TURN, done)
    assert turns.next()
    assert turns.handled == {"b": 3 * MOST_OF_A_TURN}
    assert not turns.next()
    assert turns.handled == {}


class Wire(asyncio.Transport):
    """A connection of a server whose other end is a test.

    Attributes:
        given: what the server has written.
        reading: whether the server reads.
    """

    def __init__(self, server: Server | Web, address: str) -> None:
        super().__init__({"peername": (address, 1)})
        self._connection = server.make_protocol()
        self.given = b""
        self.reading = True
        self._connection.connection_made(self)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._connection

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.given += bytes(data)

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def put(self, data: bytes) -> None:
        """Let data arrive."""
        assert self.reading
        self._connection.data_received(data)


def place(server: Server, name: bytes, address: str) -> tuple[Wire, Wire]:
    """The sending and the receiving connection of a new user."""
    wires = Wire(server, address), Wire(server, address)
    for wire, side in zip(wires, CLASSIC_SIDES, strict=True):
        wire.put(register(side, name))
    return wires


async def test_a_message_does_not_wait_for_all_that_another_address_has_sent() -> None:
    """What has arrived at once on many connections is handled in many turns, and little of it before the message."""
    server = Server(ServerLimits())
    greedy = [place(server, b"u%d" % number, HERE)[0] for number in range(20)]
    alice, _ = place(server, b"alice", THERE)
    _, bob = place(server, b"bob", THERE)
    await asyncio.sleep(0)
    flood = send(b"nobody", b"") * 5000
    for wire in greedy:
        wire.put(flood)
    alice.put(send(b"bob", b"hello"))
    await asyncio.sleep(0)
    assert bob.given.endswith(forward_start(b"alice") + b"5\n\nhello")
    handled = sum(len(flood) for wire in greedy if UNABLE_TO_SEND in wire.given)
    assert handled <= MOST_OF_A_TURN + len(flood)
    assert sum(wire.reading for wire in greedy) < 10
    turns = 0
    while not all(wire.given.endswith(UNABLE_TO_SEND * 5000) for wire in greedy):
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 20 * len(flood) // (MOST_OF_A_TURN + len(flood)) - 1
    assert all(wire.reading for wire in greedy)
    await server.stop()


async def test_what_is_stored_counts_for_more_than_its_bytes() -> None:
    """A turn in which an address has much stored ends earlier, although little was read."""
    store = SqliteStore(None, StoreLimits())
    store.apply([AddMember("sink", "", 0.0)])
    server = Server(ServerLimits(), store)
    greedy = [Wire(server, HERE) for _ in range(20)]
    for number, wire in enumerate(greedy):
        wire.put(register(Side.DUPLEX, b"u%d" % number, 1))
    await until_answered(server)
    for wire in greedy:
        wire.put(b"".join(frame(Verb.SEND, b"sink", b"hello", id=b"%d" % number) for number in range(50)))
    await asyncio.sleep(0)
    assert server.state().waiting == 50
    assert sum(wire.reading for wire in greedy) == 2  # those of this turn, and of the one that has begun
    await until_answered(server)
    assert all(wire.reading for wire in greedy)
    assert server.exchange.tally.accepted == 20 * 50
    await server.stop()


async def test_one_read_with_much_to_store_is_handled_in_turns() -> None:
    """In order, and another address does not wait for the end of it."""
    store = SqliteStore(None, StoreLimits())
    store.apply([AddMember("sink", "", 0.0)])
    server = Server(ServerLimits(), store)
    greedy, alice = Wire(server, HERE), Wire(server, THERE)
    for name, wire in ((b"greedy", greedy), (b"alice", alice)):
        wire.put(register(Side.DUPLEX, name, 1))
    await until_answered(server)
    idents = [b"%d" % number for number in range(1000)]
    greedy.put(b"".join(frame(Verb.SEND, b"sink", b"hello", id=ident) for ident in idents))
    assert not greedy.reading
    alice.put(frame(Verb.SEND, b"sink", b"hello", id=b"a"))
    await asyncio.sleep(0)
    assert server.state().waiting < 450
    before = greedy.given
    while server.exchange.tally.accepted < 1 or accepted(b"sink", b"a", None) not in alice.given:
        await asyncio.sleep(0)
    assert len(greedy.given) - len(before) < 700 * len(accepted(b"sink", b"999", None))
    await until_answered(server)
    assert greedy.given[len(before) :] == b"".join(accepted(b"sink", ident, None) for ident in idents)
    assert greedy.reading
    await server.stop()


async def test_an_answer_is_written_before_more_is_read() -> None:
    store = SqliteStore(None, StoreLimits())
    store.apply([AddMember("sink", "", 0.0)])
    server = Server(ServerLimits(), store)
    alice = Wire(server, HERE)
    alice.put(register(Side.DUPLEX, b"alice", 1))
    await until_answered(server)
    alice.put(frame(Verb.SEND, b"sink", b"hello", id=b"1"))
    await asyncio.sleep(0)
    while server.state().waiting:
        await asyncio.sleep(0)
    assert alice.given.endswith(accepted(b"sink", b"1", None))
    await server.stop()


async def test_a_body_in_small_chunks_is_handled_in_turns() -> None:
    """Each chunk takes much longer than its bytes, and there may be a million in a body."""
    server = Server(ServerLimits())
    wire = Wire(make_web(server, ServerOptions(), None), HERE)
    wire.put(b"PUT /bob HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    await asyncio.sleep(0)
    wire.put(b"1\r\na\r\n" * 20_000)
    turns = 0
    while not wire.reading:
        await asyncio.sleep(0)
        turns += 1
    assert 10 < turns < 100
    wire.put(b"0\r\n\r\n")
    await until_answered(server)
    assert wire.given.startswith(b"HTTP/1.1 401 "), "it is whole, and has no token"
    await server.stop()


async def until_answered(server: Server) -> None:
    """Wait until nothing that has arrived waits for the store, or for a turn."""
    turns = 0
    while turns < 100:
        await asyncio.sleep(0)
        turns = 0 if server.state().waiting or server.flushing else turns + 1


def test_all_that_waited_is_handled_in_order(start_server: StartServer) -> None:
    visitors = start_server(ServerLimits())
    senders = [user(visitors, b"u%d" % number, HERE)[0] for number in range(12)]
    _, bob = visitors.user(b"bob", window=256)
    visitors.server.signal(signal.SIGSTOP)
    for number, sender in enumerate(senders):
        sender.write(b"".join(send(b"bob", b"%02d %05d" % (number, count) + bytes(500)) for count in range(80)))
        sender.write(b"".join(send(b"nobody", bytes(1000)) for _ in range(60)))
    visitors.server.signal(signal.SIGCONT)
    came: dict[bytes, list[int]] = {}
    for _ in range(12 * 80):
        _, _, body = bob.frame()
        came.setdefault(body[:2], []).append(int(body[3:8]))
        bob.write(received(b"u%d" % int(body[:2])))
    assert set(map(tuple, came.values())) == {tuple(range(80))}
    for sender in senders:
        sender.expect(b"SEND bob\n\n" * 80 + UNABLE_TO_SEND * 60)
