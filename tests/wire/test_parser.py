"""Tests of reading frames (docs/protocol.md, section 2)."""

from dataclasses import dataclass
from itertools import combinations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.helpers import Seen, cut, parse, seen
from twotick.wire import MAX_HEAD, HeadCache, Parser, Side, Verb

MAX_BODY = 1 << 20
HELLO = b"SEND bob\nContent-length: 5\n\nhello"
MALFORMED: list[Seen] = [(Verb.MALFORMED, None, b"", b"", 103, 0, (), b"")]
TOO_LARGE: list[Seen] = [(Verb.MALFORMED, None, b"", b"", 106, 0, (), b"")]


def fresh(max_body: int = MAX_BODY) -> Parser:
    return Parser(HeadCache(max_body))


def whole(data: bytes) -> list[Seen]:
    """Return the frames of `data` when it arrives at once, and the parser remembers nothing."""
    return parse(fresh(), [data])


# Frames as they come from all kinds of programs


@dataclass(frozen=True)
class Example:
    """A frame in a spelling that rule 2.5 allows, and in the one of rule 2.4."""

    spelled: bytes
    canonical: bytes


names = st.text("abcXYZ019", min_size=1, max_size=32).map(str.encode)
bodies = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([b"\n\n", b"hello\n\nSEND bob\nContent-length: 5\n\n", b" \n \n", b"x" * 3000]),
)
spaces = st.sampled_from([b" ", b"  ", b"\t", b" \t "])
trailing = st.sampled_from([b"", b" ", b"\t", b"\r", b"  \r", b" \t\r"])
around_colons = st.sampled_from([b"", b" ", b"\t ", b"    "])
between = st.sampled_from([b"", b"\n", b"\r\n", b" \n\t\n", b"\n\n\n", b"   "])
unknown_headers = st.lists(
    st.sampled_from([b"X-a: b", b"Host:", b"x:y:z", b"Time : 12", b"X-sp:  a b\tc"]), max_size=3, unique=True
)


@st.composite
def start_lines(draw: st.DrawFn) -> tuple[bytes, bool]:
    """A start line and whether its frame has a body."""
    name = draw(names)
    return draw(
        st.sampled_from(
            [
                (b"SEND " + name, True),
                (b"FORWARD " + name, True),
                (b"SEND " + name, False),
                (b"RECEIVED " + name, False),
                (b"REGISTER TOSEND " + name, False),
                (b"REGISTER TORECV " + name, False),
                (b"REGISTERED TORECV " + name, False),
                (b"ERROR 102 Unable to send", False),
                (b"HELLO there " + name, True),
            ]
        )
    )


@st.composite
def examples(draw: st.DrawFn) -> Example:
    start, has_body = draw(start_lines())
    body = draw(bodies) if has_body else b""
    headers = draw(unknown_headers)
    canonical_headers = list(headers)
    if has_body:
        place = draw(st.integers(0, len(headers)))
        header = draw(st.sampled_from([b"Content-length", b"content-LENGTH", b"CONTENT-LENGTH"]))
        zeros = b"0" * draw(st.integers(0, 3))
        colon = draw(around_colons) + b":" + draw(around_colons)
        headers.insert(place, header + colon + zeros + b"%d" % len(body))
        canonical_headers.append(b"Content-length: %s%d" % (zeros, len(body)))
    words = start.split(b" ")
    spelled = words[0] + b"".join(draw(spaces) + word for word in words[1:])
    lines = b"".join(line + draw(trailing) + b"\n" for line in [spelled, *headers])
    blank = draw(st.sampled_from([b"\n", b"\r\n", b" \t\n", b" \n"]))
    return Example(
        draw(between) + lines + blank + body,
        b"".join(line + b"\n" for line in [start, *canonical_headers]) + b"\n" + body,
    )


@given(st.lists(examples(), max_size=6))
def test_every_allowed_spelling_says_the_same(stream: list[Example]) -> None:
    """Rules 2.3 and 2.5."""
    canonical = [frame for each in stream for frame in whole(each.canonical)]
    assert len(canonical) == len(stream)
    assert whole(b"".join(each.spelled for each in stream)) == canonical


@given(st.lists(examples(), min_size=1, max_size=6), st.lists(st.integers(0, 600), max_size=12))
def test_frames_are_the_same_however_they_are_cut_and_glued(stream: list[Example], places: list[int]) -> None:
    """Rule 2.5; what the parser remembers of earlier frames makes no difference."""
    data = b"".join(each.spelled for each in stream)
    expected = whole(data)
    assert [frame for each in stream for frame in whole(each.spelled)] == expected
    warm = HeadCache(MAX_BODY)
    parse(Parser(warm), [each.canonical for each in stream])
    parse(Parser(warm), [data])
    pieces = cut(data, places)
    assert parse(fresh(), pieces) == expected
    assert parse(Parser(warm), pieces) == expected
    assert parse(Parser(warm), [data]) == expected
    assert parse(Parser(warm), [each.spelled for each in stream]) == expected
    assert parse(Parser(warm), (data[place : place + 1] for place in range(len(data)))) == expected


def test_two_frames_cut_at_every_two_bytes_are_the_same() -> None:
    """Rule 2.5, exhaustively, with a parser that knows both heads and with one that knows none."""
    data = b"RECEIVED bo\n\nSEND bob\nContent-length: 0\n\nSEND bob\nContent-length: 05\n\nhel\n\nRECEIVED bob\n\n"
    expected = whole(data)
    assert len(expected) == 4
    warm = HeadCache(MAX_BODY)
    parse(Parser(warm), [data, data])
    for places in combinations(range(1, len(data)), 2):
        assert parse(fresh(), cut(data, places)) == expected
        assert parse(Parser(warm), cut(data, places)) == expected


def test_a_known_head_whose_blank_line_has_not_come_is_no_frame() -> None:
    """Rule 2.1: the next bytes may well belong to the same line."""
    parser = fresh()
    parse(parser, [b"SEND bob\nContent-length: 0\n\n"])
    assert parser.feed(b"SEND bob\nContent-length: 0") == []
    assert parser.partial
    assert [frame[-1] for frame in parse(parser, [b"05\n\nhello"])] == [b"hello"]


tokens = st.sampled_from(
    [
        b"SEND bob",
        b"SEND ",
        b"RECEIVED bo",
        b"b",
        b"\n",
        b"\n\n",
        b"\r\n",
        b" ",
        b"\t",
        b":",
        b"0",
        b"5",
        b"hello",
        b"\x00",
        b"Content-length: 5",
        b"content-length:0",
        b"X: y",
        b"ERROR 102 no",
        b"REGISTER TORECV al",
        b"\xff",
        b"FORWARD al",
    ]
)


@given(st.lists(tokens, max_size=40).map(b"".join), st.lists(st.integers(0, 200), max_size=8))
@example(b"RECEIVED bo\n\nRECEIVED bo", [13])
@example(b"SEND bob\n:\n\n" + HELLO, [12])
def test_what_is_almost_a_frame_is_the_same_however_it_is_cut(data: bytes, places: list[int]) -> None:
    """Rules 2.5 and 2.8: the parser gives up at the same place, and returns no frame after it."""
    expected = whole(data)
    assert all(frame[0] is not Verb.MALFORMED for frame in expected[:-1])
    warm = HeadCache(MAX_BODY)
    for _ in range(2):
        assert parse(Parser(warm), cut(data, places)) == expected
    assert parse(Parser(warm), (data[place : place + 1] for place in range(len(data)))) == expected


def parse_some(parser: Parser, pieces: list[bytes], most: int) -> list[Seen]:
    """Frames of pieces, of which the parser takes so many bytes at a time."""
    frames: list[Seen] = []
    for piece in pieces:
        frames += [seen(frame) for frame in parser.feed(piece, most)]
    while parser.left:
        before = parser.left
        frames += [seen(frame) for frame in parser.feed(b"", most)]
        assert parser.left < before
    return frames


@given(st.lists(examples(), min_size=1, max_size=6), st.lists(st.integers(0, 600), max_size=6), st.integers(1, 300))
def test_frames_are_the_same_if_only_some_are_taken_at_a_time(
    stream: list[Example], places: list[int], most: int
) -> None:
    data = b"".join(each.spelled for each in stream)
    assert parse_some(fresh(), [data], most) == whole(data)
    assert parse_some(fresh(), cut(data, places), most) == whole(data)


@given(st.lists(tokens, max_size=40).map(b"".join), st.integers(1, 100))
def test_what_is_almost_a_frame_is_the_same_if_only_some_is_taken_at_a_time(data: bytes, most: int) -> None:
    assert parse_some(fresh(), [data], most) == whole(data)


def test_what_is_left_for_later_is_held() -> None:
    parser = fresh()
    assert len(parser.feed(HELLO * 10, len(HELLO) + 1)) == 2
    assert parser.left == parser.held == 8 * len(HELLO)
    assert not parser.partial
    assert len(parser.feed(HELLO[:9])) == 8, "bytes that come later are behind what was left"
    assert (parser.left, parser.partial) == (0, True)


def test_a_long_body_is_no_reason_to_stop_within_a_frame() -> None:
    """Also one that is longer than its length says, which can be told only by what follows (rule 2.10)."""
    body = "ü".encode() * 3000
    data = b"SEND bob\nContent-length: 3000\n\n" + body
    assert [seen(frame) for frame in fresh().feed(data, 100)] == whole(data)
    assert whole(data)[0][-1] == body


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_bytes_that_mean_nothing_never_raise(pieces: list[bytes]) -> None:
    """Rule 2.8."""
    assert parse(fresh(), pieces) == whole(b"".join(pieces))


# The rows of rule 2.8


@pytest.mark.parametrize(
    "spelled",
    [
        HELLO,
        b"SEND bob\r\ncontent-LENGTH:5\r\nX-a: b\r\n\r\nhello",
        b"\n \nSEND  bob \nContent-length:   5  \n \t\nhello",
    ],
)
def test_spellings_of_one_frame(spelled: bytes) -> None:
    """The first rows of the table of rule 2.8."""
    ((verb, _, name, _, _, size, headers, body),) = whole(spelled)
    assert (verb, name, size, body) == (Verb.SEND, b"bob", 5, b"hello")
    assert dict(headers)[b"content-length"] == b"5"


def test_an_empty_body_is_a_body() -> None:
    """Rule 2.6."""
    ((verb, _, name, _, _, size, _, body),) = whole(b"SEND bob\nContent-length: 0\n\n")
    assert (verb, name, size, body) == (Verb.SEND, b"bob", 0, b"")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"+5",
        b"-5",
        b"0x5",
        b"5 5",
        b"5\t5",
        b"five",
        b"5.0",
        b"1_0",
        b"\xd9\xa5",
        b"5\x00",
        b"0" * 19 + b"5",
        b"00000000005",
    ],
)
@pytest.mark.parametrize("verb", [b"SEND bob", b"FORWARD bob", b"REGISTER TOSEND bob", b"HELLO"])
def test_lengths_that_cannot_be_understood(verb: bytes, value: bytes) -> None:
    """Rules 2.6 and 2.8, whatever the frame."""
    assert whole(verb + b"\nContent-length: " + value + b"\n\nhello") == MALFORMED


@pytest.mark.parametrize(
    "head",
    [
        b"SEND bob\nContent-length: 5\nContent-length: 5\n\n",
        b"SEND bob\nContent-length: 5\nX: y\ncontent-LENGTH: 4\n\n",
        b"SEND bob\nContent-length 5\n\n",
        b"SEND bob\n: 5\n\n",
        b"SEND bob\n \t: 5\n\n",
        b"SEND bob\nContent-length: 5\nhello\n\n",
    ],
)
def test_header_lines_that_cannot_be_understood(head: bytes) -> None:
    """Rule 2.8."""
    assert whole(head + b"hello" + HELLO) == MALFORMED


@pytest.mark.parametrize(
    ("value", "size"), [(b" 5 ", 5), (b"5", 5), (b"\t5\t", 5), (b"0000000005", 5), (b"0", 0), (b"000", 0)]
)
def test_lengths_that_can_be_understood(value: bytes, size: int) -> None:
    """Rules 2.5 and 2.6."""
    ((_, _, _, _, _, length, _, body),) = whole(b"SEND bob\nContent-length:" + value + b"\n\n" + b"hello"[:size])
    assert (length, len(body)) == (size, size)


@pytest.mark.parametrize("size", [MAX_BODY + 1, 9999999999])
@pytest.mark.parametrize("verb", [b"SEND bob", b"FORWARD bob", b"REGISTER TOSEND bob", b"HELLO"])
def test_bodies_that_are_too_large(verb: bytes, size: int) -> None:
    """Rules 2.7 and 2.8, whatever the frame."""
    assert whole(verb + b"\nContent-length: %d\n\nhello" % size) == TOO_LARGE


def test_a_body_as_long_as_the_limit_and_one_byte_longer() -> None:
    """Rule 2.7."""
    frame = b"SEND bob\nContent-length: %d\n\n%b"
    assert parse(fresh(10), [frame % (10, b"x" * 10)])[0][-1] == b"x" * 10
    assert parse(fresh(10), [frame % (11, b"x" * 11)]) == TOO_LARGE


@pytest.mark.parametrize("blank", [b"\n", b"\r\n", b" \t\n"])
@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_a_head_as_long_as_the_limit_and_one_byte_longer(blank: bytes, step: int) -> None:
    """Rule 2.7: the blank line counts."""
    start = b"SEND bob\nContent-length: 0\nX: "
    head = start + b"x" * (MAX_HEAD - len(start) - 1 - len(blank)) + b"\n" + blank
    assert len(head) == MAX_HEAD
    assert [frame[0] for frame in parse(fresh(), cut(b"\n\n" + head, range(0, len(head), step)))] == [Verb.SEND]
    longer = start + b"x" + head[len(start) :]
    assert parse(fresh(), cut(longer, range(0, len(longer), step))) == MALFORMED


@pytest.mark.parametrize("filler", [b"x", b"a:b\n", b"\0", b"\xff\xfe"])
def test_a_head_of_a_mebibyte_without_an_end(filler: bytes) -> None:
    """Rule 2.8, in segments of any size: reported as soon as the limit is passed, and only once."""
    parser = fresh()
    data = b"SEND bob\n" + filler * (MAX_BODY // len(filler))
    assert parse(parser, cut(data, range(0, MAX_HEAD - 1, 1000))[:-1]) == []
    assert parser.partial
    assert parse(fresh(), cut(data, range(0, len(data), 1460))) == MALFORMED
    assert whole(data) == MALFORMED


@pytest.mark.parametrize("known", [HELLO, b"RECEIVED bob\n\n"])
def test_nothing_is_looked_at_after_what_cannot_be_understood(known: bytes) -> None:
    """Rule 2.8, also for frames whose heads are known."""
    parser = fresh()
    assert len(parse(parser, [known])) == 1
    assert parse(parser, [b"SEND bob\n:\n\n" + known]) == MALFORMED
    assert parse(parser, [known, known * 2, known[:9], known * 200]) == []
    assert not parser.partial


def test_blank_lines_without_end_are_nothing() -> None:
    """Rule 2.5: the parser does not keep them either."""
    parser = fresh()
    assert parse(parser, [b"\n \t\r\n" * 10_000] * 3) == []
    assert not parser.partial
    assert parse(parser, [HELLO]) == whole(HELLO)


# What has not come whole


@pytest.mark.parametrize("frame", [HELLO, b"RECEIVED bob\n\n", b"ERROR 102 Unable to send\r\n \r\n"])
@pytest.mark.parametrize("before", [b"", b"\n \n", b"RECEIVED al\n\n"])
def test_partial_says_whether_a_frame_has_begun(before: bytes, frame: bytes) -> None:
    """A frame begins with its first byte that is not blank, and ends with the last of its body."""
    for known in (False, True):
        parser = fresh()
        if known:
            parse(parser, [before + frame])
        assert not parser.partial
        parse(parser, [before])
        assert not parser.partial
        for place in range(len(frame) - 1):
            assert parse(parser, [frame[place : place + 1]]) == []
            assert parser.partial
        assert len(parse(parser, [frame[-1:]])) == 1
        assert not parser.partial
        parse(parser, [frame + before + frame[:1]])
        assert parser.partial


def test_a_body_short_of_its_length_waits() -> None:
    """Rule 2.1."""
    parser = fresh()
    assert parser.feed(HELLO[:-1]) == []
    assert parser.partial
    assert [seen(frame) for frame in parser.feed(b"oRECEIVED")] == whole(HELLO)
    assert parser.partial


@given(
    st.lists(st.integers(0, 30_000), min_size=1, max_size=4),
    st.lists(st.one_of(st.integers(0, 80_000), st.integers(0, 10)), max_size=12),
)
def test_long_bodies_are_the_same_however_they_are_cut(sizes: list[int], places: list[int]) -> None:
    """Parts of all lengths, with the next frame after the last of them."""
    bodies = [bytes(range(251)) * (size // 251) + b"\n" * (size % 251) for size in sizes]
    data = b"".join(b"SEND bob\nContent-length: %d\n\n" % len(body) + body for body in bodies)
    assert [frame[-1] for frame in parse(fresh(), cut(data, places))] == bodies


@pytest.mark.volume
@pytest.mark.timeout(60)
def test_a_body_that_comes_a_byte_at_a_time_costs_linear_work() -> None:
    """The largest body in its smallest pieces: a parser that joined them for each byte would take minutes."""
    parser = fresh()
    body = bytes(range(256)) * (MAX_BODY // 256)
    assert parser.feed(b"SEND bob\nContent-length: %d\n\n" % len(body)) == []
    pieces = cut(body, range(len(body)))
    assert not any(map(parser.feed, pieces[:-1]))
    assert [frame[-1] for frame in parse(parser, pieces[-1:])] == [body]


@pytest.mark.volume
@pytest.mark.timeout(60)
def test_a_segment_of_many_frames_costs_linear_work() -> None:
    """20,000 small frames at once, known and unknown, before 8 MiB of large ones.

    A parser that looked at all that follows, or copied it, for each small frame would take minutes. Nowhere are two
    line feeds in a row behind the unknown frames, so that a search for them would come to the end.
    """
    body = b"x\n" * (MAX_BODY // 2)
    large = (b"SEND bob\nContent-length: %d\n \n" % len(body) + body) * 8
    parser = fresh()
    assert len(parser.feed(b"RECEIVED bob\n\n" * 20_000 + large)) == 20_008
    unknown = b"".join(b"RECEIVED b%d\n \n" % number for number in range(20_000))
    assert len(parser.feed(unknown + large)) == 20_008


def test_more_different_heads_than_are_remembered() -> None:
    """Heads that were forgotten are read again."""
    parser = fresh()
    for _ in range(2):
        for number in range(40_000):
            ((head, _),) = parser.feed(b"RECEIVED u%d\n\n" % number)
            assert head.name == b"u%d" % number


# What a head says


@pytest.mark.parametrize(
    ("text", "verb", "side", "name", "code"),
    [
        (b"REGISTER TOSEND alice", Verb.REGISTER, Side.SENDING, b"alice", 0),
        (b"REGISTER TORECV alice", Verb.REGISTER, Side.RECEIVING, b"alice", 0),
        (b"REGISTER TOSEND al ice", Verb.REGISTER, Side.SENDING, b"", 0),
        (b"REGISTER TOSEND", Verb.REGISTER, Side.SENDING, b"", 0),
        (b"REGISTER DUPLEX alice", Verb.REGISTER, Side.DUPLEX, b"alice", 0),
        (b"REGISTER tosend alice", Verb.REGISTER, None, b"alice", 0),
        (b"REGISTER", Verb.REGISTER, None, b"", 0),
        (b"REGISTERED TORECV Alice", Verb.REGISTERED, Side.RECEIVING, b"Alice", 0),
        (b"SEND bob", Verb.SENT, None, b"bob", 0),
        (b"SEND bob carol\nContent-length: 0", Verb.UNKNOWN, None, b"", 0),
        (b"SEND\nContent-length: 0", Verb.UNKNOWN, None, b"", 0),
        (b"FORWARD bob\nContent-length: 0", Verb.FORWARD, None, b"bob", 0),
        (b"FORWARD bob", Verb.UNKNOWN, None, b"bob", 0),
        (b"FORWARD\nContent-length: 0", Verb.UNKNOWN, None, b"", 0),
        (b"RECEIVED bob", Verb.RECEIVED, None, b"bob", 0),
        (b"RECEIVED", Verb.RECEIVED, None, b"", 0),
        (b"ERROR 103 Incomplete Header", Verb.ERROR, None, b"", 103),
        (b"ERROR 102", Verb.ERROR, None, b"", 102),
        (b"ERROR", Verb.ERROR, None, b"", 0),
        (b"ERROR one two", Verb.ERROR, None, b"", 0),
        (b"send bob\nContent-length: 0", Verb.UNKNOWN, None, b"bob", 0),
        (b"GET / HTTP/1.1\r\nHost: example.org", Verb.UNKNOWN, None, b"", 0),
    ],
)
def test_what_a_head_says(text: bytes, verb: Verb, side: Side | None, name: bytes, code: int) -> None:
    """Rules 2.2 and 3.2, and section 3."""
    ((head, _),) = fresh().feed(text + b"\n\n")
    assert (head.verb, head.side, head.name, head.code) == (verb, side, name, code)
    assert head.key == name.lower()


def test_of_a_header_that_is_given_twice_the_last_counts() -> None:
    """Rule 2.3."""
    ((head, _),) = fresh().feed(b"REGISTER TORECV bob\nWindow: 3\nWINDOW:4\n\n")
    assert head.headers == {b"window": b"4"}
