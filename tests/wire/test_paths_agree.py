"""What the parser remembers and keeps makes no difference, and the quick ways to write a frame write the same.

- `test_frames_are_those_of_a_parser_that_remembers_nothing`: heads found by their bytes, start lines found by theirs,
  and frames that are kept until they have arrived whole. After every piece of a stream the parser has given what
  `understood` gives for all bytes so far, which remembers nothing and keeps nothing.
- `test_identifiers`: the quick look at an Id of letters, digits and hyphens.
- The others: the frames that are written for every message, without `frame`.
"""

import re
from typing import TypeAlias

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.examples import examples
from tests.helpers import cut
from twotick.wire import (
    MAX_HEAD,
    Frame,
    Head,
    HeadCache,
    Parser,
    Side,
    StartLine,
    Verb,
    accepted,
    delivered,
    forward,
    forward_start,
    frame,
    is_identifier,
    received,
    send,
)
from twotick.wire.heads import read_head, read_start_line

MAX_BODY = 6000

Whole: TypeAlias = tuple[
    Verb, dict[bytes, bytes], int, bytes, bytes, bytes, bytes, Side | None, int, bytes, bytes, bytes, bool, bytes
]
"""Every attribute of a head, and the body."""


def whole(frame: Frame) -> Whole:
    head, body = frame
    return (
        head.verb,
        head.headers,
        head.size,
        head.name,
        head.key,
        head.delivered,
        head.length_end,
        head.side,
        head.code,
        head.travels,
        head.id,
        head.seq,
        head.is_plain,
        body,
    )


def understood(data: bytes) -> tuple[list[Whole], bool]:
    """The frames of a stream (section 2), each understood by itself, and whether another has begun after them."""
    frames: list[Whole] = []
    while data := data.lstrip(b" \t\r\n"):
        blank = re.search(rb"\n[ \t\r]*\n", data)
        end = blank.end() if blank else len(data) + 1
        if end > MAX_HEAD:
            return [*frames, whole((Head(StartLine(Verb.MALFORMED, code=103), {}), b""))], False
        if blank is None:
            return frames, True
        start, *lines = data[: blank.start()].split(b"\n")
        head = read_head(read_start_line(start), lines, MAX_BODY)
        if head.verb is Verb.MALFORMED:
            return [*frames, whole((head, b""))], False
        if len(data) < end + head.size:
            return frames, True
        frames.append(whole((head, data[end : end + head.size])))
        data = data[end + head.size :]
    return frames, False


# Streams: the same few frames again and again but for their Id or Seq, as Twotick writes them or nearly so.

STARTS = [b"SEND bob", b"RECEIVED bob", b"FORWARD al", b"ERROR 103 no", b"REGISTER DUPLEX bob", b"READ"]
bodies = st.sampled_from([b"hello"] * 3 + [b"", b"\nId: m1\n\n", b"RECEIVED bob\n\n", bytes(range(256)) * 20])
lines = st.lists(
    st.sampled_from([b"Id: m1", b"Seq: m1"] * 3 + [b"Id: m2", b"Seq: 9", b"Id:m2", b"Seq:78", b"id: m2", b"X-a: b"]),
    max_size=2,
)
identifiers = st.one_of(
    st.sampled_from([b"m1", b"m2", b"9"]),
    st.sampled_from([b"a" * 64, b"a" * 65, b"", b" ", b"78 ", b"a b", b"\xe9", b"m\r"]),
    st.from_regex(rb"[A-Za-z0-9._-]{1,64}", fullmatch=True) | st.binary(max_size=66),
)
changes = st.one_of(
    st.sampled_from([b"\r", b" ", b"\t\r", b"\n", b"\r\n", b" \n", b"\n\n", b"\n \t\n", b":", b" :", b"+", b"0", b"a"]),
    st.sampled_from([b"\nContent-length: 5", b"\ncontent-LENGTH:0", b"\nContent-length: 6001", b"\nTime: 2026"]),
    st.sampled_from([b"\nSEQ: 9", b"\nx-A:b ", b"\nTo: Id: m1", b"\nX-a", b"\n:", b"\nX-a: %b" % (b"x" * 120)]),
    st.binary(max_size=2),
)


@st.composite
def frames(draw: st.DrawFn, starts: list[bytes]) -> bytes:
    """A frame, perhaps changed in places, which are mostly the end of a line or of a header's name."""
    head = [draw(st.sampled_from(starts)), *draw(lines)]
    body = draw(bodies)
    if draw(st.booleans()):
        head.insert(draw(st.integers(1, len(head))), b"Content-length: %d" % len(body))
    else:
        body = b""
    data = b"\n".join([*head, b"", body])
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2]))):
        places = [0, *(found.start() for found in re.finditer(rb"[\n:]", data[:200]))]
        place = draw(st.sampled_from(places) | st.integers(0, min(len(data), 200)))
        data = data[:place] + draw(changes) + data[place + draw(st.sampled_from([0, 0, 0, 1, 2])) :]
    return data


@st.composite
def streams(draw: st.DrawFn) -> tuple[list[bytes], list[bytes]]:
    """Frames that came before; and a stream in pieces that end between frames, near the end of a line, or anywhere."""
    starts = draw(st.lists(st.sampled_from(STARTS), min_size=1, max_size=2))
    different = draw(st.lists(frames(starts), min_size=1, max_size=4))

    def again(most: int) -> list[bytes]:
        chosen = st.lists(st.tuples(st.sampled_from(different), identifiers), min_size=1, max_size=most)
        return [each.replace(b"m1", value, 1) for each, value in draw(chosen)]

    before, stream = again(5), again(5)
    data = b"".join(stream)
    ends = [len(b"".join(stream[:count])) for count in range(len(stream) + 1)]
    near = [found.start() + offset for found in re.finditer(rb"\n", data) for offset in (0, 1, 2)][:600]
    places = st.integers(0, len(data)) | st.sampled_from(ends) | st.sampled_from([0, *near])
    return before, cut(data, draw(st.just(ends) | st.lists(places, max_size=8)))


LONG = b"SEND bob\nContent-length: 6000\n\n" + bytes(range(250)) * 24
LONGEST_HEAD = b"RECEIVED bob\nX: ".ljust(MAX_HEAD - 2, b"x") + b"\n\n"


@examples(4)
@given(streams(), st.sampled_from([0, 1, 2, 32768]))
@example(([], [LONG[:100], LONG[100:4300], LONG[4300:4400], LONG[4400:4500], LONG[4500:]]), 32768)
@example(([], [LONGEST_HEAD[:-1], LONGEST_HEAD[-1:]]), 32768)
@example(([], [b"\n" + LONGEST_HEAD[:-2] + b"x\n\n" + LONG]), 32768)
@example(([], [LONGEST_HEAD[:-2] + b"x\n", b"\n"]), 32768)
@example(([b"RECEIVED bob\n\n"], [b"RECEIVED bob", b"\nSeq: 7", b"8\n\n"]), 32768)
@example(([b"RECEIVED bob\n\n"], [b"RECEIVED bob\n:\n\n", b"RECEIVED bob\n\n"]), 32768)
@example(([b"RECEIVED bob\n\n"], [b"RECEIVED bob\nSeq: 7\n\nRECEIVED bob\nSeq: 78\n\nRECEIVED bob\nSeq: 9\n\n"]), 32768)
@example(([b"RECEIVED bob\n\n"], [b"\nRECEIVED bob\n\nRECEIVED bob\n \nRECEIVED bob\n\n"]), 32768)
@example(([b"RECEIVED bob\n\n", b"RECEIVED al\n\n"], [b"RECEIVED bob\n\nRECEIVED al\n\n"]), 32768)
@example(([b"RECEIVED bob\n\n", b"RECEIVED al\n\n"], [b"RECEIVED al\n\nRECEIVED bob\n\nRECEIVED al\n"]), 32768)
def test_frames_are_those_of_a_parser_that_remembers_nothing(
    stream: tuple[list[bytes], list[bytes]], capacity: int
) -> None:
    """Rules 2.1 to 2.8: whatever is remembered of earlier frames, and however the bytes are cut."""
    before, pieces = stream
    cache = HeadCache(MAX_BODY, capacity)
    for each in before:
        Parser(cache).feed(each)
    for parser, cuts in (Parser(cache), pieces), (Parser(cache), [b"".join(pieces)]):
        data = b""
        got: list[Whole] = []
        for piece in cuts:
            data += piece
            got += map(whole, parser.feed(piece))
            assert (got, parser.partial) == understood(data)


def test_frames_that_differ_in_more_than_their_body_do_not_share_a_head() -> None:
    """The exchange adds the time to a head that has an Id (rule 9.7), which must not show in any other frame."""
    parser = Parser(HeadCache(MAX_BODY))
    for identified in b"SEND bob\nId: m1\nContent-length: 0\n\n", b"SEND bob\nId: m1\n\n", b"SEND bob\nId: m2\n\n":
        ((one, _), (other, _)) = parser.feed(identified * 2)
        assert one is not other
        assert one.headers is not other.headers


def test_frames_that_differ_in_their_body_alone_share_a_head() -> None:
    """What the memory of heads is for: a second frame costs a look-up."""
    parser = Parser(HeadCache(MAX_BODY))
    ((one, _), (other, _)) = parser.feed(send(b"bob", b"hello") + send(b"bob", b"world"))
    assert one is other


@pytest.mark.parametrize("text", [b"REGISTER TOSEND bob", b"REGISTER DUPLEX bob", b"REGISTERED TOSEND bob"])
def test_a_register_is_not_remembered(text: bytes) -> None:
    """It comes once on a connection, so that to remember it would cost each connection memory for nothing."""
    cache = HeadCache(MAX_BODY)
    Parser(cache).feed(text + b"\n\n")
    assert cache.heads == {}


@given(st.binary() | st.text("aZ09._-/ ", max_size=66).map(str.encode))
@example(b"a" * 64)
@example(b"a" * 65)
@example(b"-" * 64)
@example(b"-" * 65)
def test_identifiers(value: bytes) -> None:
    """Rule 9.5."""
    assert is_identifier(value) == (re.fullmatch(rb"[A-Za-z0-9._-]{1,64}", value) is not None)


# What is written

names = st.from_regex(rb"[A-Za-z0-9]{1,32}", fullmatch=True)
good_identifiers = st.from_regex(rb"[A-Za-z0-9._-]{1,64}", fullmatch=True)
numbers = st.sampled_from([None, 0, 1, 10**18])
travelling = st.lists(st.sampled_from([b"Time: 2026\n", b"X-a: b\n", b"Content-type: text/html\n"])).map(b"".join)


@given(names, st.binary(), good_identifiers | st.just(b""), numbers, travelling)
def test_forward_is_the_general_frame(
    sender: bytes, body: bytes, identifier: bytes, seq: int | None, travels: bytes
) -> None:
    """Rules 9.7 and 11.1."""
    general = frame(Verb.FORWARD, sender, body, travels, id=identifier or None, seq=seq)
    assert forward(sender, body, identifier, seq, travels) == general


@given(names, good_identifiers, numbers)
def test_answers_are_the_general_frames(recipient: bytes, identifier: bytes, seq: int | None) -> None:
    """Rules 9.6 and 11.6."""
    assert accepted(recipient, identifier, seq) == frame(Verb.ACCEPTED, recipient, id=identifier, seq=seq)
    assert delivered(recipient, identifier, seq) == frame(Verb.SENT, recipient, id=identifier, seq=seq)


@given(names, names, st.binary(max_size=MAX_BODY))
def test_classic_frames_are_the_general_frames(sender: bytes, recipient: bytes, body: bytes) -> None:
    """Rules 5.1 to 5.4, and what the parser prepares of the FORWARD and of the answer."""
    assert received(sender) == frame(Verb.RECEIVED, sender)
    assert send(recipient, body) == frame(Verb.SEND, recipient, body)
    ((head, same),) = Parser(HeadCache(MAX_BODY)).feed(send(recipient, body))
    assert head.delivered == frame(Verb.SENT, recipient)
    assert forward_start(sender) + head.length_end + same == frame(Verb.FORWARD, sender, body)
