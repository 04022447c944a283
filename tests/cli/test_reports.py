"""`twotick report`."""

import json
import re
from pathlib import Path

import pytest

from tests.cli.operating import Operator
from twotick.store import AddMember, AddReport, Append, Member, RemoveMember, SqliteStore, StoreLimits

NOW = 1_800_000_000.0
HOSTILE = b"\x1b[2J\x07\xc2\x9b31m\xe2\x80\xae\r\n9  2027-01-15  you about me\xff"


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    """Of data with three reports: a plain one, one by who has left, and one that means harm."""
    operator = Operator(tmp_path / "data")
    store = SqliteStore(operator.data, StoreLimits())
    alice, bob = (store.apply([AddMember(name, "", NOW)])[0] for name in ("alice", "bob"))
    assert isinstance(alice, Member)
    assert isinstance(bob, Member)
    for ident, body in ((b"m1", b"buy this\nand that"), (b"m2", HOSTILE), (b"m3", b"x" * 5000)):
        to = (alice.number,)
        store.apply(
            [
                Append(
                    sender=bob.number,
                    sender_name=b"bob",
                    device=b"main",
                    id=ident,
                    recipient=b"alice",
                    members=to,
                    live=False,
                    headers=b"",
                    body=body,
                    time=NOW,
                )
            ]
        )
    store.apply(
        [
            AddReport(alice.number, b"bob", b"m1", b"spam", NOW),
            AddReport(bob.number, b"eve", b"m9", b"", NOW),
            AddReport(alice.number, b"bob", b"m2", HOSTILE, NOW),
            AddReport(alice.number, b"bob", b"m3", b"long", NOW),
            RemoveMember("bob", NOW),
        ]
    )
    store.close()
    return operator


def test_reports_are_listed_for_a_person(operator: Operator) -> None:
    lines = operator.do("user", "reports").splitlines()
    when = r"2027-01-1\d \d\d:\d\d"
    assert re.fullmatch(rf"1  {when}  alice about bob", lines[0])
    assert lines[1:4] == ["    spam", "    message m1: buy this", "    and that"]
    assert re.fullmatch(rf"2  {when}  a former member about eve", lines[4])
    assert lines[5] == "    message m9, which is not among the reporter's messages"
    assert re.fullmatch(rf"3  {when}  alice about bob", lines[6])
    assert re.fullmatch(rf"4  {when}  alice about bob", lines[-3])
    assert lines[-1] == "    message m3: " + "x" * 1000 + "..."
    assert sum(not line.startswith("    ") for line in lines) == 4, "no line looks like another report"


def test_the_terminal_obeys_nothing_in_them(operator: Operator) -> None:
    shown = operator.do("user", "reports")
    assert "\u241b[2J\u2407<U+009B>31m<U+202E>\u240d\n    9  2027-01-15  you about me\ufffd\n" in shown
    assert all(letter == "\n" or letter.isprintable() for letter in shown + operator.do("user", "reports", "--json"))


def test_reports_are_listed_as_json(operator: Operator) -> None:
    first, second, third, _ = (json.loads(line) for line in operator.do("user", "reports", "--json").splitlines())
    assert first == {
        "number": 1,
        "time": "2027-01-15T08:00:00+00:00",
        "from": "alice",
        "about": "bob",
        "id": "m1",
        "text": "spam",
        "message": {"text": "buy this\nand that"},
    }
    assert (second["from"], second["text"], second["message"]) == (None, "", None)
    assert list(third["message"]) == ["base64"]


def test_a_report_is_closed_beside_a_running_server(operator: Operator) -> None:
    with operator.serving():
        assert operator.do("user", "reports", "--close", "3") == ""
        assert operator.do("user", "reports", "--close", "1") == ""
    assert [json.loads(line)["number"] for line in operator.do("user", "reports", "--json").splitlines()] == [2, 4]


@pytest.mark.parametrize(
    ("number", "status", "problem"),
    [
        ("9", 65, "twotick: there is no report 9\n"),
        ("x", 64, "--close"),
        ("0", 64, "--close"),
        ("9" * 30, 64, "1000000000000000"),
    ],
)
def test_what_is_no_report_is_refused(operator: Operator, number: str, status: int, problem: str) -> None:
    ended = operator.run("user", "reports", "--close", number)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert problem in ended.stderr
    assert len(operator.do("user", "reports", "--json").splitlines()) == 4


def test_without_reports_nothing_is_printed(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "data")
    operator.prepare("alice")
    assert operator.do("user", "reports") == ""
