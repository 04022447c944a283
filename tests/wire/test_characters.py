"""Clients that count characters instead of bytes (rule 2.10), and those that count bytes, which nothing disturbs."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.helpers import cut
from twotick.wire import Frame, HeadCache, Parser, Verb
from twotick.wire.words import VERBS

LARGE = 1 << 20

texts = st.text(min_size=1, max_size=60) | st.text("aé\n :SEND你€😀", min_size=1, max_size=40)
blanks = st.sampled_from([b"", b"\n", b"\r\n", b" \n\t\n"])


def send(text: str, length: int, more: bytes = b"") -> bytes:
    return b"SEND bob\n%bContent-length: %d\n\n%b" % (more, length, text.encode())


def seen(frames: list[Frame]) -> list[tuple[Verb, bytes, bytes, int, bytes]]:
    return [(head.verb, head.name, head.length_end, head.size, body) for head, body in frames]


def is_left_behind(text: str) -> bool:
    """Whether bytes are left behind that a client which counts bytes cannot have written."""
    rest = text.encode()[len(text) :].lstrip(b" \t\r\n")
    word = re.split(rb"[ \t\r\n]", rest)[0]
    if word == rest:
        return not any(verb.startswith(rest) for verb in VERBS)
    return word not in VERBS


@given(texts, blanks)
@example("café", b"")
@example("é\n\n", b"")
@example("éabc\n\n" * 3, b"")
@example("éSEND", b"")
def test_a_frame_that_counts_characters_is_understood(text: str, before: bytes) -> None:
    parser = Parser(HeadCache(LARGE))
    frames = parser.feed(before + send(text, len(text)))
    if text.isascii() or is_left_behind(text):
        body = text.encode()
        assert seen(frames) == [(Verb.SEND, b"bob", b"%d\n\n" % len(body), len(body), body)]
        assert frames[0][0].headers == {b"content-length": b"%d" % len(body)}
        assert not parser.partial
    else:
        assert frames[0][1] == text.encode()[: len(text)]


@given(texts)
def test_it_is_understood_when_its_head_came_before(text: str) -> None:
    parser = Parser(HeadCache(LARGE))
    whole = send(text, len(text))
    body = text.encode()
    assert parser.feed(whole[: -len(body)]) == []
    frames = parser.feed(body)
    if text.isascii() or is_left_behind(text):
        assert [body for _, body in frames] == [body]


def test_one_after_the_other() -> None:
    """On one connection, with and without other frames in the same read."""
    parser = Parser(HeadCache(LARGE))
    for number in range(3):
        text = "é" * (number + 1) + "?"
        frames = parser.feed(b"SEND al\nContent-length: 2\n\nhi" * number + send(text, len(text)))
        assert [body.decode() for _, body in frames] == ["hi"] * number + [text]
    assert [body for _, body in parser.feed(send("bytes é", 8))] == ["bytes é".encode()]


@pytest.mark.parametrize(
    ("data", "bodies"),
    [
        (send("café!", 4), [b"caf\xc3"]),  # there are 5 characters
        (send("caféé", 4), [b"caf\xc3"]),
        (b"SEND bob\nContent-length: 4\n\ncaf\xe9!", [b"caf\xe9"]),  # not UTF-8
        (send("é SEND", 6), [b"\xc3\xa9 SEN"]),
        (send("é SEND", 7), ["é SEND".encode()]),
        (send("ééé SE", 6, b"Id: m1\n"), ["ééé".encode()]),  # extended clients know better
        (b"FORWARD bob\nContent-length: 4\n\ncaf\xc3\xa9", [b"caf\xc3"]),
        (b"READ bob\nContent-length: 4\n\ncaf\xc3\xa9", [b"caf\xc3"]),
        (send("é", 0), [b""]),
        (send("éé", 2) + b" ", ["é".encode()]),
    ],
)
def test_bytes_are_the_rule_everywhere_else(data: bytes, bodies: list[bytes]) -> None:
    assert [body for _, body in Parser(HeadCache(LARGE)).feed(data)][: len(bodies)] == bodies


def test_a_body_longer_than_the_limit_is_not_understood() -> None:
    for most in (19, 20):
        ((head, body), *_) = Parser(HeadCache(most)).feed(send("é" * 10, 10))
        assert (head.size, len(body)) == ((20, 20) if most == 20 else (10, 10))


def test_a_part_that_came_before_does_not_count() -> None:
    parser = Parser(HeadCache(LARGE))
    parser.feed(send("é", 4))
    ((head, body),) = parser.feed("éxyz".encode())
    assert (head.size, body) == (4, "éé".encode())


# Clients that count bytes

verbs = st.sampled_from(sorted(VERBS))
names = st.sampled_from([b"", b" bob", b" ALL", b" TOSEND bob"])
bodies = st.none() | texts.map(str.encode) | st.binary(max_size=30)


@st.composite
def counted_frames(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A frame of a client that counts bytes, with the blanks after it, and its body."""
    body = draw(bodies)
    more = draw(st.sampled_from([b"", b"X-a: b\n", b"Id: m1\n"]))
    length = b"" if body is None else b"Content-length: %d\n" % len(body)
    line_end = draw(st.sampled_from([b"\n", b"\r\n"]))
    head = (draw(verbs) + draw(names) + b"\n" + more + length + b"\n").replace(b"\n", line_end)
    return head + (body or b"") + draw(blanks), body or b""


@given(st.lists(counted_frames(), min_size=1, max_size=5), st.lists(st.integers(0, 400), max_size=8))
def test_no_frame_of_a_client_that_counts_bytes_is_understood_differently(
    frames: list[tuple[bytes, bytes]], places: list[int]
) -> None:
    """However it is cut and glued, whatever its body is."""
    data = b"".join(frame for frame, _ in frames)
    parser = Parser(HeadCache(LARGE))
    got = [frame for piece in cut(data, places) for frame in parser.feed(piece)]
    assert [body for _, body in got] == [body for _, body in frames]
    assert all(head.size == len(body) for head, body in got)
    assert not parser.partial


@given(
    st.text("é你😀", min_size=1, max_size=6),
    st.sampled_from([b"SEND al\nContent-length: 2\n\nhi", b"REGISTER TOSEND a\n\n"]),
)
def test_not_even_if_the_characters_happen_to_be_as_many(text: str, follows: bytes) -> None:
    """The next frame is cut where the read has just as many characters as the body has bytes."""
    body = text.encode()
    missing = len(body) - len(text)
    for kept in range(len(follows)):
        parser = Parser(HeadCache(LARGE))
        frames = parser.feed(send(text, len(body)) + follows[:kept])
        frames += parser.feed(follows[kept:])
        assert len(frames) == 2, (kept, missing)
        assert frames[0][1] == body
