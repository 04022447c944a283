"""What one address can take of what all share (docs/protocol.md, rules 8.1 and 8.2). Bytes are counted, never time."""

import socket
from collections.abc import Callable
from typing import TypeAlias

from tests.sockets import Peer, Visitors
from twotick.exchange import Limits
from twotick.exchange.changes import MEMBERS_ONLY
from twotick.exchange.relay import BUSY
from twotick.server import ServerLimits
from twotick.wire import (
    NO_USER_REGISTERED,
    UNABLE_TO_SEND,
    Side,
    Verb,
    error,
    forward_start,
    frame,
    received,
    register,
    registered,
    send,
)

StartServer: TypeAlias = Callable[[ServerLimits], Visitors]

MEBIBYTE = 1 << 20
HERE, THERE = "127.0.0.1", "127.0.0.2"
LARGE = send(b"nobody", bytes(MEBIBYTE))


def user(visitors: Visitors, name: bytes, source: str) -> tuple[Peer, Peer]:
    """The sending and the receiving connection of a new user at an address."""
    peers = visitors.connect(source), visitors.connect(source)
    for peer, side in zip(peers, (Side.SENDING, Side.RECEIVING), strict=True):
        peer.ask(register(side, name), b"REGISTERED %b %b\n\n" % (side.value, name))
    return peers


def write_all(peer: Peer, data: bytes) -> bool:
    """Write as much as the server takes; return whether it took everything."""
    try:
        peer.write(data)
    except (BrokenPipeError, ConnectionResetError):
        return False
    return True


def test_who_has_not_registered_takes_no_memory(visitors: Visitors) -> None:
    """The answers are those to whole frames, but nothing is kept of their bodies."""
    peers = [visitors.connect() for _ in range(64)]
    before = visitors.server.memory
    for peer in peers:
        peer.write(LARGE[:-1])
    visitors.user(b"alice")  # what was written before has been read by now
    assert visitors.server.memory - before < 16 * MEBIBYTE
    for peer in peers:
        peer.ask(LARGE[-1:], NO_USER_REGISTERED)


def test_a_frame_before_registration_may_come_with_one_after_it(visitors: Visitors) -> None:
    """What is dropped is a body that no answer depends on, and no other."""
    alice, receiving = visitors.connect(), visitors.connect()
    receiving.ask(register(Side.RECEIVING, b"alice"), b"REGISTERED TORECV alice\n\n")
    first, rest = LARGE[:-1], LARGE[-1:] + register(Side.SENDING, b"alice") + send(b"alice", b"hello")
    alice.write(first)
    alice.ask(rest, NO_USER_REGISTERED + b"REGISTERED TOSEND alice\n\n")
    receiving.expect(forward_start(b"alice") + b"5\n\nhello")
    receiving.write(received(b"alice"))
    alice.expect(b"SEND alice\n\n")


def test_what_comes_in_one_piece_with_a_register_is_kept(visitors: Visitors) -> None:
    """A client need not wait for REGISTERED, however large its first message is."""
    _, bob = visitors.user(b"bob")
    alice = visitors.side(Side.RECEIVING, b"alice")
    sending = visitors.connect()
    sending.write(register(Side.SENDING, b"alice") + send(b"bob", bytes(MEBIBYTE)))
    sending.expect(b"REGISTERED TOSEND alice\n\n")
    bob.expect(forward_start(b"alice") + b"%d\n\n" % MEBIBYTE)
    assert bob.read(MEBIBYTE) == bytes(MEBIBYTE)
    bob.write(received(b"alice"))
    sending.expect(b"SEND bob\n\n")
    assert alice.finish() == b""


def test_frames_that_wait_behind_a_login_are_counted(start_server: StartServer) -> None:
    visitors = start_server(ServerLimits(early_bytes_total=100 << 10))
    login = register(Side.DUPLEX, b"alice", authorization=b"Basic YWxpY2U6c2VjcmV0")
    refused = b"ERROR 104 Not authenticated\nReason: wrong name, password or token\n\n"
    many = visitors.connect()
    many.write(login + b"A\n\n" * 1000)
    assert many.rest() == b""
    visitors.connect().ask(login + b"A\n\n" * 10, refused + NO_USER_REGISTERED * 10)


def test_parts_of_bodies_are_counted(start_server: StartServer) -> None:
    """One address cannot fill the memory, and another notices nothing."""
    visitors = start_server(ServerLimits(held_bytes_total=8 * MEBIBYTE))
    sending = [user(visitors, b"u%d" % number, HERE)[0] for number in range(40)]
    before = visitors.server.memory
    for peer in sending:
        write_all(peer, LARGE[:-1])
    alice, _ = user(visitors, b"alice", THERE)
    _, bob = user(visitors, b"bob", THERE)
    alice.write(send(b"bob", bytes(MEBIBYTE)))
    bob.expect(forward_start(b"alice") + b"%d\n\n" % MEBIBYTE)
    assert bob.read(MEBIBYTE) == bytes(MEBIBYTE)
    assert visitors.server.memory - before < 24 * MEBIBYTE
    assert sum(is_open(peer) for peer in sending) in (5, 6, 7)


def is_open(peer: Peer) -> bool:
    """Whether a connection is open on which all of LARGE but one byte was written: then the last byte is answered."""
    try:
        peer.write(LARGE[-1:])
        return peer.read(1) != b""
    except (BrokenPipeError, ConnectionResetError):
        return False


def test_output_that_nobody_reads_is_counted(start_server: StartServer) -> None:
    """A receiver that does not read is disconnected if its address has too much unread, and its senders are told."""
    exchange = Limits(answer_timeout=1000.0, queue_bytes=64 * MEBIBYTE)
    visitors = start_server(ServerLimits(held_bytes_total=2 * MEBIBYTE, exchange=exchange))
    names = [b"r%d" % number for number in range(8)]
    receivers = [visitors.user(name, window=256)[1] for name in names]
    alice, _ = user(visitors, b"alice", THERE)
    carol, _ = user(visitors, b"carol", THERE)
    for name, receiver in zip(names, receivers, strict=True):
        receiver.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        alice.write(send(name, bytes(64 << 10)) * 96)
    carol.ask(send(names[-1], b""), UNABLE_TO_SEND)
    alice.reset()
    for receiver in receivers:
        receiver.reset()


def test_one_address_cannot_take_the_queue(start_server: StartServer) -> None:
    """Rule 5.6: all messages of another pair arrive, although one address has as much waiting as it may."""
    limits = Limits(queue_bytes_total=2 * MEBIBYTE, queue_bytes=4 * MEBIBYTE)
    visitors = start_server(ServerLimits(exchange=limits))
    greedy = [duplex(visitors, b"s%d" % number) for number in range(4)]
    receiver = duplex(visitors, b"receiver")
    answers = b""
    for peer in greedy:
        for number in range(60):
            peer.write(frame(Verb.SEND, b"receiver", bytes(16 << 10), id=b"m%d" % number))
        peer.write(frame(Verb.SEND, b"nobody", b"", id=b"last"))
        answers = b""
        while b"Id: last" not in answers:
            answers += peer.read(1)
    refused = b"".join(error(102, id=b"m%d" % number, reason=BUSY.encode()) for number in range(60))
    assert answers.startswith(refused)
    alice, _ = user(visitors, b"alice", THERE)
    _, bob = user(visitors, b"bob", THERE)
    alice.write(send(b"bob", b"0123456789") * 300)
    for _ in range(300):
        bob.expect(forward_start(b"alice") + b"10\n\n0123456789")
        bob.write(received(b"alice"))
    alice.expect(b"SEND bob\n\n" * 300)
    receiver.reset()


def test_headers_of_extended_messages_that_wait_take_no_memory(start_server: StartServer) -> None:
    """Those that do not travel (rule 9.7) are not kept either."""
    visitors = start_server(ServerLimits(exchange=Limits(answer_timeout=1000.0, queue_messages=20_000)))
    bob = duplex(visitors, b"bob")
    senders = [duplex(visitors, b"u%d" % number) for number in range(10)]
    before = visitors.server.memory
    for sender in senders:
        for number in range(1000):
            sender.write(frame(Verb.SEND, b"bob", b"", id=b"m%d" % number, junk=b"x" * 7000))
        sender.ask(
            frame(Verb.SEND, b"bob", b"", id=b"last", edits=b"m1"), error(102, id=b"last", reason=MEMBERS_ONLY.encode())
        )
    assert visitors.server.memory - before < 24 * MEBIBYTE
    bob.reset()


def test_headers_of_messages_that_wait_take_no_memory(start_server: StartServer) -> None:
    """A classic receiver is told none of them (rule 5.2), so none is kept while it does not answer."""
    visitors = start_server(ServerLimits(exchange=Limits(answer_timeout=1000.0)))
    _, bob = visitors.user(b"bob")
    senders = [visitors.user(b"u%d" % number)[0] for number in range(10)]
    before = visitors.server.memory
    for sender in senders:
        for number in range(1000):
            sender.write(b"SEND bob\nContent-length: 0\nX-junk: %b%d\n\n" % (b"x" * 7000, number))
        sender.write(send(b"bob", b"") * 24)  # more than may be unanswered is not read
    carol, _ = visitors.user(b"carol")
    carol.ask(send(b"nobody", b""), UNABLE_TO_SEND)
    assert visitors.server.memory - before < 24 * MEBIBYTE
    bob.reset()
    for sender in senders:
        sender.expect(UNABLE_TO_SEND * 1024)


def duplex(visitors: Visitors, name: bytes) -> Peer:
    """An extended guest."""
    peer = visitors.connect(HERE)
    peer.ask(register(Side.DUPLEX, name), registered(Side.DUPLEX, name, 1, max_body=MEBIBYTE))
    return peer
