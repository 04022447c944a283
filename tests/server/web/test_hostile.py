"""Clients that mean harm, or are broken, at the web page's port (docs/protocol.md, section 19)."""

import secrets
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager

import pytest

from tests.server.web.browser import MASK, Browser, binary, frame, text
from tests.server.web.test_page import REGISTER, REGISTERED
from tests.sockets import Peer, ServerProcess, patiently, serving
from twotick.server import ServerLimits
from twotick.wire import HeadCache, Parser, Verb

Connect = Callable[[], Browser]


@contextmanager
def visiting(limits: ServerLimits) -> Generator[tuple[ServerProcess, Callable[[], Browser]]]:
    """A server with limits of its own, which stops in good order and without an internal error in its log."""
    with serving(limits, web=True) as server, ExitStack() as stack:
        yield server, lambda: stack.enter_context(closing(Browser(server)))


def still_serves(connect: Connect) -> None:
    assert connect().get()[0] == 200


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        (b"GARBAGE\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
        (b"REGISTER TOSEND alice\n\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n folded: yes\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +5\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 413),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 30\r\n\r\nGET /info.json HTTP/1.1\r\nA: ", 413),
        (b"DELETE / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: a.example\r\n\r\n", 403),
        (b"CONNECT a.example:80 HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        (b"GET http://a.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 404),
        (b"GET \x80\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: localhost\r\n\r\n", 505),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET /" + b"x" * 20_000, 431),
        (b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 4000, 431),
    ],
)
def test_what_no_browser_sends_is_refused_and_nothing_after_it_is_read(
    browser: Connect, request_text: bytes, status: int
) -> None:
    peer = browser()
    peer.write(request_text)
    if status not in (404, 405, 431):
        peer.write(b"GET /info.json HTTP/1.1\r\nHost: localhost\r\n\r\n")
    answered, headers, _ = peer.answer()
    assert (answered, headers["x-content-type-options"]) == (status, "nosniff")
    if status not in (404, 405):
        assert headers["connection"] == "close"
        assert peer.answer() == (0, {}, b"")
    still_serves(browser)


def test_requests_that_come_at_once_are_answered_in_order(browser: Connect) -> None:
    peer = browser()
    each = [f"GET /{i} HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n" for i in range(300)]
    last = "GET /info.json HTTP/1.0\r\nHost: localhost\r\n\r\n"
    peer.write("".join([*each, last]).encode())
    assert [peer.answer()[0] for _ in range(301)] == [404] * 300 + [200]
    assert peer.answer() == (0, {}, b"")


def test_a_crowd_of_one_address_that_asks_a_lot_takes_turns_and_is_answered(browser: Connect) -> None:
    """Rule 8.7: no more than 64 requests of an address are answered in a turn of the event loop."""
    crowd = [browser() for _ in range(100)]
    for peer in crowd:
        peer.write(b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5)
    vanishing = crowd[::10]
    for peer in vanishing:
        peer.reset()
    assert [[peer.answer()[0] for _ in range(5)] for peer in crowd if peer not in vanishing] == [[404] * 5] * 90


def test_slow_heads_and_idle_connections_have_their_time() -> None:
    """`register_timeout`, for what comes byte by byte, and for silence."""
    with visiting(ServerLimits(register_timeout=0.5)) as (_, connect):
        slow, silent, served, opened, half = (connect() for _ in range(5))
        slow.write(b"GET / HTTP/1.1\r\nHost: lo")
        assert served.get()[0] == 200
        opened.open()
        half.open().write(binary(b"REGISTER DUPLEX al")[:10])
        assert opened.closed() == (1008, "registration, or a frame, took too long")
        assert half.closed() == (1008, "registration, or a frame, took too long")
        for each in (slow, silent, served):
            assert each.answer() == (0, {}, b"")


def test_a_thousand_connections_that_never_become_websockets_take_little() -> None:
    limits = ServerLimits(connections=1500, early_bytes_total=1 << 20)
    with visiting(limits) as (server, connect):
        still_serves(connect)
        before = server.memory
        crowd = [connect() for _ in range(1000)]
        for each in crowd:
            each.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 8000)
        still_serves(connect)
        assert server.memory - before < 24 << 20
        ended = sum(each.socket.recv(1) == b"" for each in crowd[-10:])
        assert ended == 10, "beyond `early_bytes_total` connections are closed"


def test_connections_beyond_the_limit_are_closed_at_once() -> None:
    with visiting(ServerLimits(connections=4)) as (server, connect):
        here = [connect() for _ in range(3)]  # three quarters are one address's
        assert [each.get()[0] for each in here] == [200] * 3
        assert connect().answer() == (0, {}, b"")
        here[0].open()
        assert connect().answer() == (0, {}, b"")
        assert Peer(server.address, "127.0.0.1").rest() == b""


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (text(b"REGISTER DUPLEX alice\n\n"), 1003, "send binary messages: this server takes no text messages"),
        (frame(1, b"", final=False), 1003, "send binary messages: this server takes no text messages"),
        (frame(2, b"x", masked=False), 1002, "a frame is not masked"),
        (frame(2, b"x", reserved=4), 1002, "a frame uses an extension, and none was agreed on"),
        (frame(9, b"x", reserved=1), 1002, "a frame uses an extension, and none was agreed on"),
        (frame(0, b"x"), 1002, "a frame is of a kind that cannot come here"),
        (frame(2, b"x", final=False) + frame(2, b"x"), 1002, "a frame is of a kind that cannot come here"),
        (frame(3, b"x"), 1002, "a frame is of a kind that cannot come here"),
        (frame(11, b"x"), 1002, "a frame is of a kind that cannot come here"),
        (frame(9, b"x", final=False), 1002, "a frame is of a kind that cannot come here"),
        (frame(9, b"x" * 126), 1002, "a frame is of a kind that cannot come here"),
        (b"\x82\xfe\x00\x7d" + MASK, 1002, "a frame's length is not written in its shortest form"),
        (b"\x82\xff" + (65535).to_bytes(8) + MASK, 1002, "a frame's length is not written in its shortest form"),
        (b"\x82\xff" + (1 << 63).to_bytes(8) + MASK, 1002, "a frame's length is not written in its shortest form"),
        (frame(8, b"\x03"), 1002, "the code of a close is not valid"),
        (frame(8, b"\x03\xed"), 1002, "the code of a close is not valid"),
        (frame(8, b"\x00\x00"), 1002, "the code of a close is not valid"),
        (frame(8, b"\x03\xe8\xff"), 1007, "the reason of a close is not UTF-8"),
        (frame(8), 1000, ""),
        (frame(8, b"\x0f\xa0bye"), 1000, ""),
    ],
)
@pytest.mark.parametrize("registered", [False, True])
def test_frames_of_websocket_that_break_its_rules_are_told_why(
    browser: Connect, data: bytes, code: int, reason: str, registered: bool
) -> None:
    """Rule 19.6. What came before them has happened; nothing after them does."""
    peer = browser().open()
    if registered:
        name = secrets.token_hex(8).encode()
        peer.ask(
            b"REGISTER DUPLEX %b\nKeep-alive: yes\n\n" % name,
            b"REGISTERED DUPLEX %b\nWindow: 1\nMax-body: 1048576\nKeep-alive: 120\n\n" % name,
        )
        peer.write(binary(b"PING\n\n") + data + binary(b"PING\n\n"))
        assert peer.message() == (2, b"PONG\n\n")
    else:
        peer.write(data + binary(REGISTER % b"dora"))
    assert peer.closed() == (code, reason)
    still_serves(browser)


def test_a_frame_may_come_byte_by_byte(browser: Connect) -> None:
    peer = browser().open()
    data = frame(9, b"ping") + frame(2, REGISTER % b"slow", final=False) + frame(0)
    for position in range(len(data)):
        peer.write(data[position : position + 1])
    assert peer.message() == (10, b"ping")
    assert peer.message() == (2, REGISTERED % b"slow")


def test_a_flood_of_pings_gets_few_answers_and_hinders_no_one(browser: Connect) -> None:
    peer = browser().open()
    peer.ask(REGISTER % b"flood", REGISTERED % b"flood")
    peer.write(frame(9, b"") * 50_000 + frame(9, b"last") + binary(b"SEND flood\nContent-length: 0\n\n"))
    still_serves(browser)
    pongs = 0
    while (message := peer.message())[0] == 10:
        pongs += 1
    assert pongs < 50_000
    assert message[1].startswith(b"ERROR 103")


def test_one_who_never_reads_the_answers_to_pings_is_not_kept_in_memory() -> None:
    with visiting(ServerLimits()) as (server, connect):
        peer = connect().open()
        peer.ask(REGISTER % b"deaf", REGISTERED % b"deaf")
        before = server.memory
        flood = (frame(9, b"x" * 125) + frame(10, b"x" * 125)) * 400
        for _ in range(200):
            peer.write(flood)
        still_serves(connect)
        assert server.memory - before < 16 << 20


def test_a_message_of_any_length_keeps_nothing_before_registration() -> None:
    with visiting(ServerLimits(early_bytes_total=1 << 20)) as (server, connect):
        before = server.memory
        peer = connect().open()
        peer.write(b"\x82\xff" + (1 << 40).to_bytes(8) + bytes(4))
        peer.write(b"SEND alice\nContent-length: 1000000\n\n" + bytes(1_000_000))
        opcode, answer = peer.message()
        assert (opcode, answer[:9]) == (2, b"ERROR 101")
        assert server.memory - before < 8 << 20


def test_a_device_that_does_not_read_is_slowed_and_not_lost(browser: Connect) -> None:
    """What comes for it waits in its queue, as on TCP (rule 5.6)."""
    sender, deaf = browser().open(), browser().open()
    sender.ask(REGISTER % b"talker", REGISTERED % b"talker")
    deaf.ask(b"REGISTER DUPLEX deaf\nWindow: 256\n\n", b"REGISTERED DUPLEX deaf\nWindow: 256\nMax-body: 1048576\n\n")
    body = bytes(200_000)
    for number in range(18):
        sender.write(binary(b"SEND deaf\nContent-length: 200000\nId: %d\n\n" % number + body))
    frames = deaf.stream(Parser(HeadCache(1 << 20)))
    assert [next(frames)[1] for _ in range(18)] == [body] * 18
    deaf.write(binary(b"RECEIVED talker\n\n" * 18))
    answers = sender.stream(Parser(HeadCache(1 << 20)))
    assert [next(answers)[0].verb for _ in range(18)] == [Verb.SENT] * 18


@pytest.mark.parametrize("request_text", [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3, b"NONSENSE\r\n\r\n"])
def test_connections_that_are_reset_while_they_are_answered_are_no_error(request_text: bytes) -> None:
    with visiting(ServerLimits()) as (_, connect):
        for _ in range(200):
            peer = connect()
            peer.write(request_text)
            peer.reset()
        still_serves(connect)


def test_connections_that_vanish_at_any_point_leave_nothing() -> None:
    with visiting(ServerLimits()) as (_, connect):
        whole = b"".join(
            [
                b"GET /connect HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
                binary(REGISTER % b"ghost"),
                frame(8, b"\x03\xe8"),
            ]
        )
        for position in range(0, len(whole) + 1, 7):
            peer = connect()
            peer.write(whole[:position])
            peer.close()
        for _ in patiently():  # until the server has noticed that the last of them is gone
            last = connect().open()
            last.write(binary(REGISTER % b"ghost"))
            if last.message() == (2, REGISTERED % b"ghost"):
                return
        raise TimeoutError("the name does not become free")
