"""The frames that Twotick writes, byte for byte (rule 2.4)."""

import pytest

from twotick.wire import (
    CLASSIC_SIDES,
    ERROR_TEXTS,
    HEADER_INCOMPLETE,
    MALFORMED_USERNAME,
    NO_USER_REGISTERED,
    UNABLE_TO_SEND,
    HeadCache,
    Parser,
    Side,
    Verb,
    error,
    forward,
    forward_start,
    is_name,
    is_room,
    received,
    register,
    registered,
    send,
)

NOT_RESERVED = (b"PING", b"PONG", b"PASSWORD", b"PROFILE", b"PINS", b"PUSH")
RESERVED = [
    *(verb.value for verb in Verb if verb.value.isalpha() and verb.value not in NOT_RESERVED),
    *(side.value for side in CLASSIC_SIDES),
    *(b"ALL", b"DUPLEX", b"ACCEPTED", b"READ"),
]


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (register(Side.SENDING, b"alice"), b"REGISTER TOSEND alice\n\n"),
        (register(Side.RECEIVING, b"alice"), b"REGISTER TORECV alice\n\n"),
        (register(Side.RECEIVING, b"bob", 1000), b"REGISTER TORECV bob\nWindow: 1000\n\n"),
        (registered(Side.SENDING, b"alice"), b"REGISTERED TOSEND alice\n\n"),
        (registered(Side.RECEIVING, b"Alice"), b"REGISTERED TORECV Alice\n\n"),
        (registered(Side.RECEIVING, b"bob", 256), b"REGISTERED TORECV bob\nWindow: 256\n\n"),
        (send(b"bob", b"hello"), b"SEND bob\nContent-length: 5\n\nhello"),
        (send(b"bob", b""), b"SEND bob\nContent-length: 0\n\n"),
        (send(b"ALL", "ä\n\n".encode()), b"SEND ALL\nContent-length: 4\n\n\xc3\xa4\n\n"),
        (forward_start(b"alice"), b"FORWARD alice\nContent-length: "),
        (
            forward(b"alice", b"hello", b"m1", 3, b"X-a: b\n", b"#team", 4),
            b"FORWARD alice\nContent-length: 5\nTo: #team\nPlace: 4\nId: m1\nSeq: 3\nX-a: b\n\nhello",
        ),
        (
            forward(b"alice", b"", b"", 3, b"", b"#team", 4),
            b"FORWARD alice\nContent-length: 0\nTo: #team\nPlace: 4\nSeq: 3\n\n",
        ),
        (received(b"alice"), b"RECEIVED alice\n\n"),
        (MALFORMED_USERNAME, b"ERROR 100 Malformed username\n\n"),
        (NO_USER_REGISTERED, b"ERROR 101 No user registered\n\n"),
        (UNABLE_TO_SEND, b"ERROR 102 Unable to send\n\n"),
        (HEADER_INCOMPLETE, b"ERROR 103 Header incomplete\n\n"),
    ],
)
def test_frames_byte_for_byte(frame: bytes, expected: bytes) -> None:
    """Rules 1.3, 6.2, 7.1 and 12.5."""
    assert frame == expected


@pytest.mark.parametrize("code", ERROR_TEXTS)
def test_the_parser_reads_the_errors_that_are_written(code: int) -> None:
    """Rule 7.1."""
    ((head, body),) = Parser(HeadCache(0)).feed(error(code))
    assert (head.verb, head.code, body) == (Verb.ERROR, code, b"")


def test_the_answer_and_the_forward_that_a_send_leads_to() -> None:
    """Rules 5.2 and 5.4: leading zeros are not handed on, the spelling of the recipient is."""
    ((head, body),) = Parser(HeadCache(5)).feed(b"SEND Bob\nX: y\nContent-length: 005\n\nhello")
    assert head.delivered == b"SEND Bob\n\n"
    assert forward_start(b"alice") + head.length_end + body == b"FORWARD alice\nContent-length: 5\n\nhello"


@pytest.mark.parametrize("name", [b"a", b"Z", b"0", b"a" * 32, b"SENDER", b"all1", b"azAZ09"])
def test_names(name: bytes) -> None:
    """Rule 4.1."""
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    [
        b"",
        b"a" * 33,
        b"a b",
        b"a-b",
        b"a_b",
        b"a.b",
        "é".encode(),
        b"\xe9",
        b"a\0",
        b"a\n",
        b"\na",
        "٣".encode(),
        b"#a",
    ],
)
def test_words_that_are_no_names(name: bytes) -> None:
    """Rule 4.1."""
    assert not is_name(name)


@pytest.mark.parametrize("word", RESERVED)
def test_reserved_words_are_no_names_in_any_case(word: bytes) -> None:
    """Rule 4.1."""
    assert not any(map(is_name, (word, word.lower(), word.title())))


@pytest.mark.parametrize("name", [b"#a", b"#Team-1_x", b"#ALL", b"#" + b"x" * 32])
def test_rooms(name: bytes) -> None:
    """Rule 12.1."""
    assert is_room(name)
    assert not is_name(name)


@pytest.mark.parametrize(
    "name", [b"", b"#", b"team", b"##team", b"#te am", b"#team\n", b"#t\xc3\xa4m", b"#a.b", b"#" + b"x" * 33]
)
def test_words_that_are_no_rooms(name: bytes) -> None:
    """Rule 12.1."""
    assert not is_room(name)


@pytest.mark.parametrize("header", ["Edits", "DELETES", "reacts-to", "Reply-to", "X-a"])
def test_headers_that_travel(header: str) -> None:
    """Rules 9.7 and 13.1: as they were written."""
    line = header.encode() + b": m1\n"
    ((head, _),) = Parser(HeadCache(0)).feed(b"SEND bob\nId: m2\n" + line + b"Content-length: 0\n\n")
    assert head.travels == line


@pytest.mark.parametrize(
    "header",
    [
        "Event",
        "Edited",
        "Deleted",
        "Place",
        "To",
        "File",
        "File-name",
        "File-size",
        "File-hash",
        "Room",
        "Member",
        "Of",
    ],
)
def test_headers_that_do_not_travel(header: str) -> None:
    """Rules 9.7, 12.8, 13.2 and 16.3: they come from the server alone."""
    line = header.encode() + b": m1\n"
    ((head, _),) = Parser(HeadCache(0)).feed(b"SEND bob\nId: m2\n" + line + b"Content-length: 0\n\n")
    assert head.travels == b""
