"""Conversations, byte for byte (rule 1.3 and the examples of docs/protocol.md)."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from tests.sockets import Peer, Visitors
from twotick.exchange import Limits
from twotick.server import ServerLimits
from twotick.wire import (
    CLASSIC_SIDES,
    HEADER_INCOMPLETE,
    MALFORMED_USERNAME,
    NO_USER_REGISTERED,
    UNABLE_TO_SEND,
    Side,
    register,
    registered,
    send,
)

Line: TypeAlias = tuple[str, str, bytes]
"""A connection, who writes on it, and what."""

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"
LINE = re.compile(r"(?:([AB][12]|[a-z]+) +)?([CS])> (.*?)(?: {2,}\(.*\))?")
OWNERS = {
    "A1": (Side.SENDING, b"alice"),
    "A2": (Side.RECEIVING, b"alice"),
    "B1": (Side.SENDING, b"bob"),
    "B2": (Side.RECEIVING, b"bob"),
}


def examples() -> dict[str, list[Line]]:
    """The examples of the page, by the rule that they follow."""
    found: dict[str, list[Line]] = {}
    rule = ""
    for line in PAGE.read_text("utf-8").splitlines():
        if number := re.match(r"\d+\.\d+(?=\. )", line):
            rule = number[0]
        elif parts := LINE.fullmatch(line):
            connection, writer, text = parts.groups("")
            found.setdefault(rule, []).append((connection, writer, text.replace(r"\n", "\n").encode()))
    return found


EXAMPLES = examples()


def play(visitors: Visitors, lines: list[Line]) -> None:
    """Write what clients write and see the server write what it should, and not a byte besides."""
    peers: dict[str, Peer] = {}
    for connection in OWNERS if lines[0][0] else [""]:
        first = next((text for each, _, text in lines if each == connection), b"")
        if first.startswith(b"REGISTER ") or not connection:
            peers[connection] = visitors.connect()
        else:
            peers[connection] = visitors.side(*OWNERS[connection])
    for connection, writer, text in lines:
        if writer == "C":
            peers[connection].write(text)
        else:
            peers[connection].expect(text)
    assert {connection: peer.finish() for connection, peer in peers.items()} == dict.fromkeys(peers, b"")


def test_the_page_has_these_examples() -> None:
    """Every conversation of the page is played: here, in test_extended_page or in test_rooms_page."""
    classic = ["1.3", "4.5", "4.6", "5.7", "5.9", "5.10", "6.3", "7.5"]
    extended = ["9.2", "9.6", "9.7", "9.10", "9.12", "10.2", "10.9", "10.10", "11.6", "11.14"]
    rooms = [
        "12.2",
        "12.5",
        "12.8",
        "12.13",
        "13.3",
        "13.6",
        "13.9",
        "13.11",
        "14.3",
        "14.5",
        "14.6",
        "14.8",
        "15.1",
        "15.5",
        "16.4",
        "16.7",
        "17.1",
        "18.3",
        "18.5",
        "18.6",
        "21.6",
    ]
    # tests/exchange/test_members.py and test_pushes.py; tests/server/web/test_page.py, through a WebSocket
    elsewhere = ["9.13", "20.1", "19.2"]
    assert sorted(EXAMPLES) == sorted([*classic, *extended, *rooms, *elsewhere])


@pytest.mark.parametrize("rule", ["1.3", "4.5", "4.6", "5.9", "5.10", "9.10"])
def test_examples_of_the_page(visitors: Visitors, rule: str) -> None:
    """Rules 1.3, 4.5, 4.6, 5.9, 5.10 and 9.10."""
    play(visitors, EXAMPLES[rule])


def test_the_example_of_a_late_answer(start_server: Callable[[ServerLimits], Visitors]) -> None:
    """Rule 5.7: it is matched to its own message."""
    play(start_server(ServerLimits(exchange=Limits(answer_timeout=1.0))), EXAMPLES["5.7"])


def test_the_example_of_a_window(visitors: Visitors) -> None:
    """Rule 6.3; the page leaves out what alice writes."""
    granted, messages = EXAMPLES["6.3"][:2], EXAMPLES["6.3"][2:]
    play(visitors, [*granted, ("A1", "C", send(b"bob", b"one") + send(b"bob", b"two")), *messages])


def test_names_are_shown_as_they_were_written(visitors: Visitors) -> None:
    """Rule 4.2."""
    alice, _ = visitors.user(b"aLiCe")
    _, bob = visitors.user(b"Bob")
    alice.write(send(b"boB", b"hi"))
    bob.expect(b"FORWARD aLiCe\nContent-length: 2\n\nhi")
    bob.write(b"RECEIVED ALICE\n\n")
    alice.expect(b"SEND boB\n\n")


CONVERSATION = (
    b"\r\n \nREGISTER  TOSEND\talice \r\nHost: x\r\n \t\r\n\n\n"
    b"SEND bob\ncontent-LENGTH :5\nX-a: b\n \nhello\n"
    b"SEND nobody\r\nContent-length: 0\r\n\r\n\r\n"
)


@pytest.mark.parametrize("size", [1, 2, 7, len(CONVERSATION)])
def test_frames_in_pieces_of_any_size_and_any_spelling(visitors: Visitors, size: int) -> None:
    """Rule 2.5."""
    visitors.side(Side.RECEIVING, b"alice")
    _, bob = visitors.user(b"bob")
    alice = visitors.connect()
    for place in range(0, len(CONVERSATION), size):
        alice.write(CONVERSATION[place : place + size])
    bob.expect(b"FORWARD alice\nContent-length: 5\n\nhello")
    for byte in b"\n RECEIVED  alice\r\nX: y\r\n \r\n":
        bob.write(bytes([byte]))
    alice.expect(b"REGISTERED TOSEND alice\n\nSEND bob\n\nERROR 102 Unable to send\n\n")
    assert (alice.finish(), bob.finish()) == (b"", b"")


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 100_000, 1 << 20])
def test_a_body_of_any_size_arrives_as_it_is(visitors: Visitors, size: int) -> None:
    """Rules 2.1, 2.7 and 5.2."""
    body = (b"\n\nRECEIVED alice\n\n\0\xff" * (size // 18 + 1))[:size]
    alice, _ = visitors.user(b"alice")
    _, bob = visitors.user(b"bob")
    alice.write(send(b"bob", body))
    bob.expect(b"FORWARD alice\nContent-length: %d\n\n" % size + body)
    bob.write(b"RECEIVED alice\n\n")
    alice.expect(b"SEND bob\n\n")


def test_everything_piped_into_one_connection(visitors: Visitors) -> None:
    """Rule 4.12: who writes all and closes that half still gets every answer, and then the end."""
    visitors.side(Side.RECEIVING, b"alice")
    _, bob = visitors.user(b"bob")
    alice = visitors.connect()
    alice.write(register(Side.SENDING, b"alice") + send(b"bob", b"1") + send(b"x", b"2") + send(b"bob", b"3"))
    alice.socket.shutdown(1)
    for body in (b"1", b"3"):
        bob.expect(b"FORWARD alice\nContent-length: 1\n\n" + body)
        bob.write(b"RECEIVED alice\n\n")
    assert alice.rest() == registered(Side.SENDING, b"alice") + b"SEND bob\n\n" + UNABLE_TO_SEND + b"SEND bob\n\n"


@pytest.mark.parametrize("side", CLASSIC_SIDES)
def test_register_twice(visitors: Visitors, side: Side) -> None:
    """Rule 4.7."""
    sending, receiving = visitors.user(b"alice")
    {Side.SENDING: sending, Side.RECEIVING: receiving}[side].ask(register(side, b"alice"), MALFORMED_USERNAME)
    sending.write(send(b"alice", b""))
    receiving.ask(b"", b"FORWARD alice\nContent-length: 0\n\n")
    receiving.write(b"RECEIVED alice\n\n")
    sending.expect(b"SEND alice\n\n")


def test_answers_that_nobody_waits_for(visitors: Visitors) -> None:
    """Rule 5.3: without a message, for another sender, and once too often."""
    alice, _ = visitors.user(b"alice")
    _, bob = visitors.user(b"bob")
    unasked = b"RECEIVED alice\n\nERROR 103 Header incomplete\n\nRECEIVED nobody\n\n"
    bob.ask(unasked + register(Side.RECEIVING, b"bob"), MALFORMED_USERNAME)
    alice.write(send(b"bob", b"1"))
    bob.expect(b"FORWARD alice\nContent-length: 1\n\n1")
    bob.write(b"RECEIVED bob\n\nRECEIVED carol\n\nRECEIVED alice\n\nRECEIVED alice\n\n")
    alice.ask(send(b"nobody", b""), b"SEND bob\n\n" + UNABLE_TO_SEND)
    assert (alice.finish(), bob.finish()) == (b"", b"")


@pytest.mark.parametrize(
    "answer", [b"ERROR 103 Header incomplete\n\n", b"ERROR 103 Incomplete Header\n\n", b"ERROR 7\n\n"]
)
def test_a_receiver_that_refuses(visitors: Visitors, answer: bytes) -> None:
    """Rules 5.3 and 7.2."""
    alice, _ = visitors.user(b"alice")
    _, bob = visitors.user(b"bob")
    alice.write(send(b"bob", b"1"))
    bob.expect(b"FORWARD alice\nContent-length: 1\n\n1")
    bob.write(answer)
    alice.expect(UNABLE_TO_SEND)
    assert bob.finish() == b""


def test_the_second_side_from_another_address(visitors: Visitors) -> None:
    """Rule 4.9."""
    visitors.side(Side.SENDING, b"alice")
    far = visitors.connect("127.0.0.2")
    far.ask(register(Side.RECEIVING, b"alice"), MALFORMED_USERNAME)
    far.ask(register(Side.RECEIVING, b"bob"), registered(Side.RECEIVING, b"bob"))


@pytest.mark.parametrize("side", CLASSIC_SIDES)
@pytest.mark.parametrize(
    "frame", [b"FORWARD bob\nContent-length: 2\n\nhi", b"HELLO\n\n", b"REGISTERED TOSEND alice\n\n", b"SEND bob\n\n"]
)
def test_frames_that_do_not_belong_on_a_connection(visitors: Visitors, side: Side, frame: bytes) -> None:
    """Rules 3.2 and 7.4: both connections are closed, and the name is free."""
    ends = dict(zip(CLASSIC_SIDES, visitors.user(b"alice"), strict=True))
    ends[side].write(frame)
    assert ends.pop(side).rest() == HEADER_INCOMPLETE
    assert [end.rest() for end in ends.values()] == [b""]
    visitors.connect().ask(register(side, b"alice"), registered(side, b"alice"))


def test_messages_before_registration(visitors: Visitors) -> None:
    """Rule 4.5: on half a user and on a stranger."""
    half = visitors.side(Side.SENDING, b"alice")
    half.ask(send(b"alice", b"hi"), NO_USER_REGISTERED)
    visitors.connect().ask(b"RECEIVED alice\n\n", NO_USER_REGISTERED)
    assert half.finish() == b""
