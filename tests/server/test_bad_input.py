"""What the server makes of input that is wrong."""

import random

import pytest

from tests.sockets import Peer, Visitors
from twotick.wire import (
    CLASSIC_SIDES,
    HEADER_INCOMPLETE,
    MALFORMED_USERNAME,
    NO_USER_REGISTERED,
    Side,
    forward_start,
    received,
    register,
    registered,
    send,
)

MEBIBYTE = 1 << 20


def check_conversation(visitors: Visitors, sender: bytes = b"alice", recipient: bytes = b"bob") -> None:
    """Others are as well as before."""
    sending, _ = visitors.user(sender)
    _, receiving = visitors.user(recipient)
    sending.write(send(recipient, b"hi"))
    receiving.expect(forward_start(sender) + b"2\n\nhi")
    receiving.write(received(sender))
    sending.expect(b"SEND " + recipient + b"\n\n")


def connections(visitors: Visitors) -> list[list[Peer]]:
    """Connections that are not registered, and both of users: the first of each is to misbehave."""
    sending, receiving = visitors.user(b"one")
    other_sending, other_receiving = visitors.user(b"two")
    half = visitors.side(Side.SENDING, b"three")
    return [[visitors.connect()], [half], [sending, receiving], [other_receiving, other_sending]]


@pytest.mark.parametrize("side", CLASSIC_SIDES)
@pytest.mark.parametrize(
    "name",
    [
        b"",
        b" ",
        b"a" * 33,
        b"al ice",
        "zoë".encode(),
        b"zo\xeb",
        b"a\x00",
        b"\x00",
        b"a-b",
        b"#room",
        b"a,b",
        b"\x7f",
        b"SEND",
        b"all",
        b"Register",
        b"REGISTERED",
        b"tosend",
        b"TORECV",
        b"duplex",
        b"forward",
        b"received",
        b"ACCEPTED",
        b"read",
        b"Error",
        b"x" * 8000,
    ],
)
def test_names_that_cannot_be_had(visitors: Visitors, side: Side, name: bytes) -> None:
    """Rules 4.1 and 4.6: another can be had on the same connection."""
    peer = visitors.connect()
    peer.ask(register(side, name), MALFORMED_USERNAME)
    peer.ask(register(side, b"a" * 32), registered(side, b"a" * 32))


@pytest.mark.parametrize("side", CLASSIC_SIDES)
@pytest.mark.parametrize("name", [b"ALICE", b"alice", b"aLICE"])
def test_names_that_differ_in_case_are_taken(visitors: Visitors, side: Side, name: bytes) -> None:
    """Rule 4.2."""
    visitors.user(b"Alice")
    visitors.connect().ask(register(side, name), MALFORMED_USERNAME)


BAD_FRAMES = {
    "length empty": b"SEND bob\nContent-length:\n\n",
    "length of spaces": b"SEND bob\nContent-length:   \n\n",
    "length negative": b"SEND bob\nContent-length: -5\n\n",
    "length with a plus": b"SEND bob\nContent-length: +5\n\n",
    "length in hexadecimal": b"SEND bob\nContent-length: 0x5\n\n",
    "length in words": b"SEND bob\nContent-length: five\n\n",
    "length of two numbers": b"SEND bob\nContent-length: 5 5\n\n",
    "length of 20 digits": b"SEND bob\nContent-length: " + b"5" * 20 + b"\n\n",
    "length of 20 digits, most of them zeros": b"SEND bob\nContent-length: 00000000000000000005\n\n",
    "length given twice": b"SEND bob\nContent-length: 5\nContent-length: 5\n\n",
    "length too large": b"SEND bob\nContent-length: 1048577\n\n",
    "length far too large": b"SEND bob\nContent-length: 9999999999\n\n",
    "header without a colon": b"SEND bob\nContent-length 5\n\n",
    "header without a name": b"SEND bob\n: 5\n\n",
    "header too long": b"SEND bob\nContent-length: 5\nX: " + b"x" * 8192 + b"\n\n",
}


@pytest.mark.parametrize("frame", BAD_FRAMES.values(), ids=BAD_FRAMES)
def test_frames_whose_end_cannot_be_told(visitors: Visitors, frame: bytes) -> None:
    """Rules 2.8 and 7.4: on connections of every kind; the names are free as soon as the answer is there."""
    for bad, *others in connections(visitors):
        bad.write(frame + b"hello" + send(b"bob", b"hello"))
        assert bad.read(len(HEADER_INCOMPLETE)) == HEADER_INCOMPLETE
        assert [each.rest() for each in (bad, *others)] == [b""] * (1 + len(others))
    for name in (b"one", b"two", b"three"):
        visitors.connect().ask(register(Side.SENDING, name), registered(Side.SENDING, name))
    check_conversation(visitors)


def test_a_send_without_a_length(visitors: Visitors) -> None:
    """Rule 3.2: it can be told where the frame ends, but not what it wants."""
    alice, receiving = visitors.user(b"alice")
    alice.write(b"SEND bob\n\nhello")
    assert (alice.rest(), receiving.rest()) == (HEADER_INCOMPLETE, b"")


@pytest.mark.parametrize("filler", [b"x", b"X: y\n", b"\0", b" x", b"x\r"])
def test_a_head_of_a_mebibyte_without_an_end(visitors: Visitors, filler: bytes) -> None:
    """Rule 2.8: the answer can be read, then the end, although much more was written than was looked at."""
    for bad, *others in connections(visitors):
        bad.write((b"SEND bob\n" + filler * MEBIBYTE)[:MEBIBYTE])
        assert bad.rest() == HEADER_INCOMPLETE
        assert [each.rest() for each in others] == [b""] * len(others)
    check_conversation(visitors)


@pytest.mark.parametrize("seed", range(8))
def test_binary_noise(visitors: Visitors, seed: int) -> None:
    """Rules 2.8, 4.5 and 4.11: some errors, and the end."""
    noise = random.Random(seed).randbytes(200_000)
    for bad, *others in connections(visitors):
        bad.write(noise)
        answers = bad.rest()
        assert [each.rest() for each in others] == [b""] * len(others)
        errors = answers.removesuffix(HEADER_INCOMPLETE)
        assert errors == NO_USER_REGISTERED * (len(errors) // len(NO_USER_REGISTERED))
        assert answers
    check_conversation(visitors)


@pytest.mark.parametrize(
    ("frame", "error"),
    [
        (b"HELLO\n\n", NO_USER_REGISTERED),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", NO_USER_REGISTERED),
        (b"REGISTER TRIPLEX x\n\n", NO_USER_REGISTERED),
        (b"REGISTER TOSEND \xe9\n\n", MALFORMED_USERNAME),
    ],
)
def test_errors_before_registration_are_counted(visitors: Visitors, frame: bytes, error: bytes) -> None:
    """Rule 4.11."""
    stranger = visitors.connect()
    stranger.write(frame * 100)
    assert stranger.rest() == error * 16


def test_one_side_that_earns_too_many_errors_harms_nobody(visitors: Visitors) -> None:
    """Rules 4.8 and 4.11: its name is free at once, also while it does not go."""
    half = visitors.side(Side.RECEIVING, b"bob")
    half.write(b"HELLO\n\n" * 16)
    half.expect(NO_USER_REGISTERED * 16)
    sending = visitors.connect()
    sending.ask(register(Side.SENDING, b"bob"), registered(Side.SENDING, b"bob"))
    sending.ask(send(b"bob", b"hi"), NO_USER_REGISTERED)
    check_conversation(visitors, b"carol", b"dave")
    assert half.rest() == b""
