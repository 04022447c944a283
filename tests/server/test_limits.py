"""The bounds of a server (docs/protocol.md, section 8)."""

import re
import select
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import TypeAlias

import pytest

from tests.sockets import PATIENCE, Peer, Visitors, patiently
from twotick.exchange import Limits
from twotick.server import ServerLimits
from twotick.wire import (
    CLASSIC_SIDES,
    HEADER_INCOMPLETE,
    MALFORMED_USERNAME,
    UNABLE_TO_SEND,
    Side,
    forward_start,
    received,
    register,
    send,
)

StartServer: TypeAlias = Callable[[ServerLimits], Visitors]

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
MEBIBYTE = 1 << 20
UNITS = {"": 1, "s": 1, "MiB": MEBIBYTE}


def test_the_defaults_are_those_of_the_page() -> None:
    """Section 8."""
    rows = re.findall(r"^\| `(\w+)` \| (\d+) ?(MiB|s\b|)", PAGE.read_text("utf-8"), re.MULTILINE)
    exchange = Limits()
    server = ServerLimits()
    assert {name: int(number) * UNITS[unit] for name, number, unit in rows} == {
        "max_body": server.max_body,
        "max_window": exchange.window,
        "max_unanswered": exchange.unanswered,
        "queue_messages": exchange.queue_messages,
        "queue_bytes": exchange.queue_bytes,
        "queue_bytes_total": exchange.queue_bytes_total,
        "feed_bytes_total": exchange.feed_bytes_total,
        "sent_bytes_member": exchange.sent_bytes_member,
        "sent_bytes_address": exchange.sent_bytes_address,
        "uploaded_bytes_member": exchange.uploaded_bytes_member,
        "uploaded_bytes_address": exchange.uploaded_bytes_address,
        "requests_member": exchange.requests_member,
        "requests_address": exchange.requests_address,
        "held_bytes_total": server.held_bytes_total,
        "early_bytes_total": server.early_bytes_total,
        "max_handshakes": server.handshakes,
        "max_refusals": exchange.refusals,
        "max_connections": server.connections,
        "answer_timeout": exchange.answer_timeout,
        "peer_timeout": exchange.peer_timeout,
        "register_timeout": server.register_timeout,
        "frame_timeout": server.frame_timeout,
        "linger_timeout": server.linger_timeout,
        "stop_timeout": server.stop_timeout,
        "drain": server.drain,
        "login_rate": server.login_rate,
    }


def converse(visitors: Visitors, times: int) -> None:
    """Two others notice nothing."""
    dave, dave_receiving = visitors.user(b"dave")
    eve_sending, eve = visitors.user(b"eve")
    for number in range(times):
        dave.write(send(b"eve", b"%06d" % number))
        eve.expect(forward_start(b"dave") + b"6\n\n%06d" % number)
        eve.write(received(b"dave"))
        dave.expect(b"SEND eve\n\n")
    assert [each.finish() for each in (dave, dave_receiving, eve_sending, eve)] == [b""] * 4


# Receivers


def test_a_receiver_that_never_answers(start_server: StartServer) -> None:
    """Rule 5.7: it costs its senders a 102 each, at the limit."""
    visitors = start_server(ServerLimits(exchange=Limits(answer_timeout=1.0)))
    alice, _ = visitors.user(b"alice")
    carol, _ = visitors.user(b"carol")
    _, bob = visitors.user(b"bob")
    alice.write(send(b"bob", b"one") + send(b"bob", b"two"))
    carol.write(send(b"bob", b"three"))
    converse(visitors, 100)
    alice.expect(UNABLE_TO_SEND * 2)
    carol.expect(UNABLE_TO_SEND)
    bob.expect(forward_start(b"alice") + b"3\n\none")
    carol.write(send(b"bob", b"four"))
    carol.expect(UNABLE_TO_SEND)
    bob.write(received(b"alice"))
    assert bob.finish() == b""


def test_a_receiver_that_stops_reading(start_server: StartServer) -> None:
    """Rules 5.6 to 5.8: its senders are answered at the limit, others notice nothing, and what is kept is bounded."""
    visitors = start_server(ServerLimits(exchange=Limits(answer_timeout=1.0)))
    _, bob = visitors.user(b"bob", window=256)
    senders = [visitors.user(b"u%d" % number)[0] for number in range(40)]
    before = visitors.server.memory
    for sender in senders:
        sender.write(send(b"bob", bytes(MEBIBYTE // 2)) * 7)
    converse(visitors, 100)
    for sender in senders:
        sender.expect(UNABLE_TO_SEND * 7)
    converse(visitors, 100)
    assert visitors.server.memory - before < 64 * MEBIBYTE
    bob.reset()


def test_a_receiver_that_stops_reading_and_reads_again(visitors: Visitors) -> None:
    """Rules 5.5 and 5.6: nothing is lost, and nothing comes twice."""
    alice, _ = visitors.user(b"alice")
    _, bob = visitors.user(b"bob", window=256)
    bodies = [bytes([number]) * 100_000 for number in range(200)]
    writer = Thread(target=alice.write, args=[b"".join(send(b"bob", body) for body in bodies)])
    writer.start()
    converse(visitors, 100)
    for body in bodies:
        assert bob.frame() == (b"FORWARD", b"alice", body)
        bob.write(received(b"alice"))
    alice.expect(b"SEND bob\n\n" * len(bodies))
    writer.join(PATIENCE)
    assert not writer.is_alive()


def write_until_it_is_not_taken(peer: Peer, data: bytes, most: int) -> None:
    """Write again and again, until the server no longer reads or so many bytes were written."""
    peer.socket.setblocking(False)
    while most > 0 and peer.is_ready(select.POLLOUT, 1.0):
        most -= peer.socket.send(data)
    peer.socket.settimeout(PATIENCE)


@pytest.mark.parametrize(
    ("side", "frame"),
    [
        (Side.SENDING, send(b"nobody", b"")),
        (Side.SENDING, register(Side.SENDING, b"alice")),
        (Side.RECEIVING, register(Side.RECEIVING, b"alice")),
    ],
)
def test_answers_that_nobody_reads_do_not_pile_up(start_server: StartServer, side: Side, frame: bytes) -> None:
    """Rules 4.7 and 5.8."""
    visitors = start_server(ServerLimits())
    ends = dict(zip(CLASSIC_SIDES, visitors.user(b"alice"), strict=True))
    before = visitors.server.memory
    write_until_it_is_not_taken(ends[side], frame * 1000, 64 * MEBIBYTE)
    converse(visitors, 10)
    assert visitors.server.memory - before < 32 * MEBIBYTE
    ends[side].reset()


def test_a_queue_that_is_full(start_server: StartServer) -> None:
    """Rule 5.6."""
    visitors = start_server(ServerLimits(exchange=Limits(queue_messages=4)))  # of which one address has three
    alice, _ = visitors.user(b"alice")
    _, bob = visitors.user(b"bob")
    alice.write(send(b"bob", b"hi") * 6)
    for _ in range(4):
        bob.expect(forward_start(b"alice") + b"2\n\nhi")
        bob.write(received(b"alice"))
    alice.expect(b"SEND bob\n\n" * 4 + UNABLE_TO_SEND * 2)


def test_more_sends_than_may_be_unanswered(start_server: StartServer) -> None:
    """Rule 5.8: the connection is read again as they are answered."""
    visitors = start_server(ServerLimits(exchange=Limits(unanswered=4)))
    alice, _ = visitors.user(b"alice")
    _, bob = visitors.user(b"bob")
    for number in range(50):
        alice.write(send(b"bob", b"%02d" % number))
    for number in range(50):
        bob.expect(forward_start(b"alice") + b"2\n\n%02d" % number)
        bob.write(received(b"alice"))
    alice.expect(b"SEND bob\n\n" * 50)


def test_sends_in_any_number_wait_until_they_can_be_taken(visitors: Visitors) -> None:
    """Rules 5.6 and 5.8: who writes faster than the receiver answers is slowed down, not refused."""
    alice, _ = visitors.user(b"alice")
    _, bob = visitors.user(b"bob", window=256)
    count = 20_000
    writer = Thread(target=alice.write, args=[b"".join(send(b"bob", b"%05d" % number) for number in range(count))])
    writer.start()
    for number in range(count):
        assert bob.frame() == (b"FORWARD", b"alice", b"%05d" % number)
        bob.write(received(b"alice"))
    alice.expect(b"SEND bob\n\n" * count)
    writer.join(PATIENCE)
    assert not writer.is_alive()


def test_a_frame_that_the_server_does_not_read_is_not_late(start_server: StartServer) -> None:
    """Rule 5.8 and `frame_timeout`: the time in which the server reads nothing does not count."""
    visitors = start_server(ServerLimits(frame_timeout=1.0, exchange=Limits(unanswered=2)))
    alice, _ = visitors.user(b"alice")
    _, bob = visitors.user(b"bob")
    stalled, _ = visitors.user(b"stalled")
    frame = send(b"bob", b"hi")
    alice.write(frame * 3 + frame[:-1])
    bob.expect(forward_start(b"alice") + b"2\n\nhi")
    stalled.write(frame[:-1])
    assert stalled.rest() == b""
    converse(visitors, 1)
    bob.write(received(b"alice"))
    alice.write(frame[-1:])
    for _ in range(3):
        bob.expect(forward_start(b"alice") + b"2\n\nhi")
        bob.write(received(b"alice"))
    alice.expect(b"SEND bob\n\n" * 4)


def test_a_body_that_is_too_large(start_server: StartServer) -> None:
    """Rules 2.7 and 2.8."""
    visitors = start_server(ServerLimits(max_body=10))
    alice, receiving = visitors.user(b"alice")
    alice.write(send(b"alice", b"0123456789"))
    receiving.expect(forward_start(b"alice") + b"10\n\n0123456789")
    receiving.write(received(b"alice"))
    alice.expect(b"SEND alice\n\n")
    alice.ask(send(b"alice", b"0123456789a"), HEADER_INCOMPLETE)
    assert (alice.rest(), receiving.rest()) == (b"", b"")


# Connections that come to nothing


def dribble(peer: Peer, data: bytes) -> bytes:
    """Write a byte at a time, and the last again and again, until the server has had enough; returns what it said."""
    answers = b""
    for place, _ in enumerate(patiently()):
        if peer.is_ready(select.POLLIN, 0.05):
            more = peer.socket.recv(1 << 16)
            if not more:
                peer.close()
                return answers
            answers += more
        peer.write(data[place : place + 1] or data[-1:])
    raise TimeoutError("the server never has enough")


def test_a_connection_that_says_nothing(start_server: StartServer) -> None:
    """`register_timeout`; those who are registered on one side or on both stay."""
    visitors = start_server(ServerLimits(register_timeout=1.0))
    half = visitors.side(Side.SENDING, b"half")
    alice, _ = visitors.user(b"alice")
    assert visitors.connect().rest() == b""
    half.ask(register(Side.SENDING, b"half"), MALFORMED_USERNAME)
    alice.ask(send(b"half", b""), UNABLE_TO_SEND)


@pytest.mark.parametrize("data", [b"REGISTER TOSEND alicealice", b"\n", b"\xff\0", b"HELLO\n\n\n"])
def test_a_connection_that_never_registers(start_server: StartServer, data: bytes) -> None:
    """`register_timeout`, whatever is written meanwhile."""
    visitors = start_server(ServerLimits(register_timeout=0.25))
    assert dribble(visitors.connect(), data) in (b"", b"ERROR 101 No user registered\n\n")


@pytest.mark.parametrize("side", CLASSIC_SIDES)
@pytest.mark.parametrize("data", [b"RECEIVED", b"SEND bob\nContent-length: 1000000\n\nx"])
def test_a_frame_that_never_ends(start_server: StartServer, side: Side, data: bytes) -> None:
    """`frame_timeout`: that side has left (4.8), and its other side stays."""
    visitors = start_server(ServerLimits(frame_timeout=0.25))
    ends = dict(zip(CLASSIC_SIDES, visitors.user(b"bob"), strict=True))
    alice, _ = visitors.user(b"alice")
    alice.write(send(b"bob", b"hi"))
    ends[Side.RECEIVING].expect(forward_start(b"alice") + b"2\n\nhi")
    assert dribble(ends[side], data) == b""
    if side is Side.RECEIVING:
        alice.expect(UNABLE_TO_SEND)
        ends[Side.SENDING].ask(send(b"nobody", b""), UNABLE_TO_SEND)
    else:
        ends[Side.RECEIVING].write(received(b"alice"))
        alice.expect(b"SEND bob\n\n")


def test_frames_that_end_are_not_taken_for_one_that_never_does(start_server: StartServer) -> None:
    """`frame_timeout` is for one frame: each write here ends one and begins another."""
    visitors = start_server(ServerLimits(frame_timeout=0.25))
    alice, _ = visitors.user(b"alice")
    stalled, _ = visitors.user(b"stalled")
    frame = send(b"nobody", b"")
    alice.write(frame[:-1])
    stalled.write(frame[:-1])
    while not stalled.is_ready(select.POLLIN, 0.05):
        alice.ask(frame[-1:] + frame[:-1], UNABLE_TO_SEND)
    assert stalled.rest() == b""
    alice.ask(frame[-1:], UNABLE_TO_SEND)


def write_patiently(peer: Peer) -> None:
    for _ in patiently():
        peer.write(b"x" * 1000)


def test_a_closed_connection_whose_peer_stays(start_server: StartServer) -> None:
    """`linger_timeout`: it may read what was written last, and then is cut off."""
    visitors = start_server(ServerLimits(linger_timeout=0.25))
    bad = visitors.connect()
    bad.ask(b"x\n:\n\n", HEADER_INCOMPLETE)
    assert bad.read(1) == b""
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        write_patiently(bad)
    bad.close()
    converse(visitors, 1)


def test_more_connections_than_there_may_be(start_server: StartServer) -> None:
    """`max_connections`: one more is closed at once, those that are there notice nothing, and addresses share it."""
    visitors = start_server(ServerLimits(connections=3))
    alice, receiving = visitors.user(b"alice")
    for _ in range(5):
        late = visitors.connect()
        assert late.rest() == b""
    elsewhere = visitors.connect("127.0.0.2")
    elsewhere.ask(b"x\n\n", b"ERROR 101 No user registered\n\n")
    assert visitors.connect("127.0.0.3").rest() == b""
    alice.write(send(b"alice", b""))
    receiving.expect(forward_start(b"alice") + b"0\n\n")
    assert receiving.finish() == b""
    alice.expect(UNABLE_TO_SEND)
