"""Malformed numbers in headers (rule 2.9): each is refused, says why, and changes nothing."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.exchange.mail import Line, Mail, message, told
from twotick.wire import Frame, Side, Verb, error, frame, register

PROTOCOL = Path(__file__).parents[2] / "docs" / "protocol.md"

SHORT = 10
LONG = 18


def written(lines: bytes, body: bytes | None = None) -> Callable[[bytes], bytes]:
    """Return what writes a frame whose number is the one that is given."""
    length = b"" if body is None else b"Content-length: %d\n" % len(body)
    return lambda number: lines % number + length + b"\n" + (body or b"")


PLACES = {
    "SEND Expires": (written(b"SEND bob\nId: m2\nExpires: %b\n", b"later"), 102, SHORT, 0),
    "HISTORY Before": (written(b"HISTORY bob\nId: m2\nBefore: %b\n"), 102, LONG, 1),
    "HISTORY Limit": (written(b"HISTORY bob\nId: m2\nLimit: %b\n"), 102, LONG, 1),
    "SEARCH Before": (written(b"SEARCH\nId: m2\nBefore: %b\n", b"word"), 102, LONG, 1),
    "SEARCH Limit": (written(b"SEARCH\nId: m2\nLimit: %b\n", b"word"), 102, LONG, 1),
    "FILE Size": (written(b"FILE\nId: m2\nName: a\nHash: " + b"0" * 64 + b"\nSize: %b\n"), 102, LONG, 0),
    "PIECE Offset": (written(b"PIECE k\nId: m2\nOffset: %b\n"), 102, LONG, 0),
    "PIECE Length": (written(b"PIECE k\nId: m2\nOffset: 0\nLength: %b\n"), 102, LONG, 0),
    "RECEIVED Seq": (written(b"RECEIVED alice\nSeq: %b\n"), 103, LONG, 0),
    "ERROR Seq": (written(b"ERROR 103 no\nSeq: %b\n"), 103, LONG, 0),
    "READ Seq": (written(b"READ alice\nSeq: %b\n"), 103, LONG, 0),
    "SEND Content-length": (written(b"SEND bob\nId: m2\nContent-length: %b\n"), 103, SHORT, 0),
    "REGISTER Seq": (written(b"REGISTER DUPLEX bob\nAuthorization: bob\nSeq: %b\n"), 103, LONG, 0),
    "REGISTER Window": (written(b"REGISTER DUPLEX dan\nWindow: %b\n"), 103, SHORT, 1),
}
"""What writes a frame with a number, the error that refuses a malformed one, its most digits, and its least value."""

MALFORMED = [b"", b"-1", b"+1", b"1.5", b"1e3", b"0x5", b"1 2", b"1_0", b"abc", "²".encode(), "٣".encode(), b"\xff"]


def malformed_numbers(digits: int) -> st.SearchStrategy[bytes]:
    """Values that are no number of at most that many digits."""
    long = st.integers(digits + 1, digits + 40).flatmap(
        lambda size: st.text("0123456789", min_size=size, max_size=size).map(str.encode)
    )
    other = st.binary(max_size=30).filter(
        lambda value: b"\n" not in value and value == value.strip(b" \t\r") and not value.isdigit()
    )
    return st.sampled_from(MALFORMED) | long | other


def world() -> tuple[Mail, Line]:
    """Let alice write m1 to bob, whose device gets it and does not answer."""
    mail = Mail(b"alice", b"bob")
    alice = mail.device(b"alice")
    bob = mail.device(b"bob", b"phone")
    alice.write(message(b"bob", b"hello", b"m1"))
    assert told(bob.read()) == [("FORWARD", "alice", "m1", 1, "hello")]
    return mail, bob


def state(mail: Mail) -> list[object]:
    """What the store has."""
    connection = mail.store._database.connection  # pyright: ignore[reportPrivateUsage]
    mail.store._database.within(mail.store._tables.flush)  # pyright: ignore[reportPrivateUsage]
    queries = ("SELECT number, id, expires, state FROM message", "SELECT member, seq, kind FROM log ORDER BY 1, 2")
    others = ("SELECT name, cursor FROM device WHERE name = 'phone'", "SELECT number FROM file")
    return [connection.execute(query).fetchall() for query in (*queries, *others)]


def check_refused(place: str, number: bytes) -> None:
    write, code, _, _ = PLACES[place]
    mail, bob = world()
    before = state(mail)
    line = mail.line() if place.startswith("REGISTER") else bob
    ((head, _),) = line.write(write(number))
    assert (head.verb, head.code) == (Verb.ERROR, code)
    if place != "SEND Content-length":
        header = place.split()[1]
        assert head.headers[b"reason"].decode().startswith(f"{header} is a number of at most ")
    assert head.headers[b"reason"]
    assert head.headers.get(b"id") == (b"m2" if code == 102 else None)
    assert line.closed == (code == 103)
    assert state(mail) == before


@pytest.mark.parametrize("number", MALFORMED)
@pytest.mark.parametrize("place", PLACES)
def test_a_malformed_number_is_refused_and_changes_nothing(place: str, number: bytes) -> None:
    check_refused(place, number)


@given(st.sampled_from([*PLACES]).flatmap(lambda place: st.tuples(st.just(place), malformed_numbers(PLACES[place][2]))))
def test_whatever_is_no_number_is_refused_and_changes_nothing(case: tuple[str, bytes]) -> None:
    check_refused(*case)


@pytest.mark.parametrize("place", PLACES)
def test_a_number_below_the_least_is_refused(place: str) -> None:
    least = PLACES[place][3]
    if least:
        check_refused(place, b"%d" % (least - 1))


@given(st.data(), st.sampled_from(sorted(set(PLACES) - {"SEND Content-length"})))
def test_every_other_number_is_understood(data: st.DataObject, place: str) -> None:
    write, _, digits, least = PLACES[place]
    number = data.draw(st.integers(least, 10**digits - 1))
    zeros = data.draw(st.integers(0, digits - len(str(number))))
    mail, bob = world()
    line = mail.line() if place.startswith("REGISTER") else bob
    answers: list[Frame] = line.write(write(b"0" * zeros + b"%d" % number))
    assert not line.closed
    assert not any(b" is a number of" in head.headers.get(b"reason", b"") for head, _ in answers)


@pytest.mark.parametrize("kind", ["guest", "sender", "device"])
@pytest.mark.parametrize("recipient", [b"bob", b"carl", b"ALL", b"#team", b"nobody"])
def test_expires_is_looked_at_whoever_sends_and_receives(kind: str, recipient: bytes) -> None:
    mail = Mail(b"alice", b"bob")
    bob, carl = mail.device(b"bob"), mail.guest(b"carl")
    line = mail.guest(b"dan") if kind == "guest" else getattr(mail, kind)(b"alice")
    ((head, _),) = line.write(frame(Verb.SEND, recipient, b"x", b"", id=b"m1", expires=b"-1"))
    assert (head.code, head.headers[b"id"]) == (102, b"m1")
    assert head.headers[b"reason"] == b"Expires is a number of at most 10 digits"
    assert not bob.read()
    assert not carl.read()


@pytest.mark.parametrize("number", [b"0", *MALFORMED])
def test_a_classic_client_is_told_in_the_classic_words(number: bytes) -> None:
    mail = Mail()
    line = mail.line()
    server: list[bytes] = []
    line.take = server.append  # type: ignore[method-assign]
    line.write(register(Side.RECEIVING, b"alice")[:-1] + b"Window: " + number + b"\n\n")
    assert b"".join(server) == error(103)
    assert line.closed


def test_a_time_is_in_utc_unless_it_says_otherwise() -> None:
    _, bob = world()
    for since in (b"1970-01-01T00:16:40", b"1970-01-01T00:16:40Z", b"1970-01-01T02:16:40+02:00"):
        frames = bob.write(frame(Verb.HISTORY, b"alice", since=since))
        assert [head.verb for head, _ in frames] == [Verb.FORWARD, Verb.HISTORY]
    assert not [head for head, _ in bob.write(frame(Verb.HISTORY, since=b"")) if head.code != 102]


def test_the_page_lists_each_number_that_is_tested() -> None:
    """A number that is added to the protocol must come with its test."""
    text = PROTOCOL.read_text()
    (table,) = re.findall(r"\n2\.9\..*?\n\n(\|.*?)\n\n", text, re.DOTALL)
    listed = {
        f"{verb} {header}": (int(code[:3]), int(digits), int(least))
        for headers, on, digits, least, code in (
            [cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]
        )
        for header in re.findall(r"`([A-Z][a-z-]+)`", headers)
        for verb in re.findall(r"[A-Z]{4,}", on.replace("any frame", "SEND").split(" with ")[0])
        if verb not in ("TORECV", "DUPLEX")
    }
    assert listed == {place: (code, digits, least) for place, (_, code, digits, least) in PLACES.items()}
