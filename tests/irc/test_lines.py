"""The lines of IRC: read and written."""

from hypothesis import given
from hypothesis import strategies as st

from twotick.irc.wire import (
    MOST_LINE,
    BadLine,
    IrcMessage,
    escape_tag,
    one_line,
    parse_line,
    split_text,
    write_line,
)

WORD = st.text(st.characters(exclude_characters=" \r\n\x00:@;=", codec="utf-8"), min_size=1, max_size=20).map(
    str.encode
)
TEXT = st.text(st.characters(codec="utf-8"), max_size=50).map(str.encode)


def said(line: bytes) -> tuple[bytes, list[bytes], dict[bytes, bytes]] | None:
    message = parse_line(line)
    return None if message is None else (message.command, message.params, message.tags)


def test_a_line_is_read() -> None:
    assert said(b"privmsg bob :hello there") == (b"PRIVMSG", [b"bob", b"hello there"], {})
    assert said(b"PRIVMSG  bob   hello \r") == (b"PRIVMSG", [b"bob", b"hello"], {})
    assert said(b":me NICK x") == (b"NICK", [b"x"], {})
    assert said(b"@a=1;+b;c=\\:\\s\\\\\\n\\x :me TAGMSG #r") == (
        b"TAGMSG",
        [b"#r"],
        {b"a": b"1", b"+b": b"", b"c": b"; \\\nx"},
    )
    assert said(b"TOPIC #r :") == (b"TOPIC", [b"#r", b""], {})
    assert said(b"X " + b" ".join(b"%d" % n for n in range(20))) == (
        b"X",
        [*(b"%d" % n for n in range(14)), b"14 15 16 17 18 19"],
        {},
    )
    assert said(b"") is said(b"\r") is said(b"  ") is None


def refusal(line: bytes) -> bytes:
    try:
        parse_line(line)
    except BadLine as error:
        return error.code
    raise AssertionError


def test_a_bad_line_is_told_apart() -> None:
    assert refusal(b"PRIVMSG bob :" + b"x" * 500) == b"INPUT_TOO_LONG"
    assert refusal(b"@" + b"x" * 4095 + b" PING 1") == b"INPUT_TOO_LONG"
    assert refusal(b"PRIVMSG bob :\xff") == refusal(b"@a=\xff PING 1") == b"INVALID_UTF8"
    assert refusal(b"PRIVMSG bob :a\rQUIT") == refusal(b"PING \x00") == b"INVALID_CHARACTER"
    assert refusal(b"@a=1 ") == refusal(b":me") == b"INVALID_LINE"
    assert parse_line(b"@" + b"x" * 4094 + b" PRIVMSG b :" + b"x" * (MOST_LINE - 11)) is not None


@given(st.binary(max_size=700))
def test_any_bytes_are_a_message_or_refused(line: bytes) -> None:
    try:
        message = parse_line(line.replace(b"\n", b""))
    except BadLine:
        return
    assert message is None or (message.command and not any(set(p) & set(b"\r\n\x00") for p in message.params))


@given(WORD, st.lists(WORD, max_size=5), TEXT, st.dictionaries(WORD, TEXT, max_size=4))
def test_what_is_written_is_one_line_and_is_read_again(
    source: bytes, words: list[bytes], last: bytes, tags: dict[bytes, bytes]
) -> None:
    tags = {name: value.replace(b"\x00", b"") for name, value in tags.items()}
    text = b";".join(name + b"=" + escape_tag(value) for name, value in tags.items())
    line = write_line(source, b"PRIVMSG", *words, last, tags=text)
    assert line.endswith(b"\r\n")
    assert not set(line[:-2]) & set(b"\r\n\x00")
    message = parse_line(line[:-1])
    assert isinstance(message, IrcMessage)
    assert (message.params, message.tags) == ([*words, one_line(last)], tags)


@given(st.text(max_size=300), st.integers(8, 60))
def test_a_text_is_cut_between_letters(text: str, most: int) -> None:
    pieces = split_text(text.encode(), most)
    assert all(len(piece) <= most for piece in pieces)
    assert "".join(piece.decode() for piece in pieces).replace(" ", "") == text.replace(" ", "")


def test_letters_stay_whole() -> None:
    letter = "e\u0301"
    assert [piece.decode() for piece in split_text((letter * 4).encode(), 8)] == [letter * 2, letter * 2]
    assert split_text(b"some words and more", 10) == [b"some words", b"and more"]
