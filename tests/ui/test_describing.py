"""What others wrote, and what happens in rooms, is shown in words, and never obeyed by the terminal."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ui.test_text import anything, obeyed, tricks
from twotick.client import MemberMessage
from twotick.client.member.events import Entry
from twotick.ui.shell.describing import details_as_json, line_of
from twotick.wire import Head, StartLine, Verb


class NoInbox:
    """An inbox of messages that are neither acknowledged nor read."""

    async def decided(self, entry: Entry) -> None:
        raise AssertionError

    async def mark_read(self, sender: str, seq: int) -> None:
        raise AssertionError


def message(body: str = "", sender: str = "bob", **headers: str) -> MemberMessage:
    """A message to alice, or of hers, with these headers."""
    fields = {name.replace("_", "-").encode(): value.encode(errors="replace") for name, value in headers.items()}
    head = Head(StartLine(Verb.FORWARD, sender.encode(errors="replace")), fields, size=len(body))
    return MemberMessage(NoInbox(), 1, head, body.encode(errors="replace"), "alice")


FILE = {"file": "k", "file_name": "a\x1b.png", "file_size": "1234567", "file_hash": "f"}


@pytest.mark.parametrize(
    ("shown", "line"),
    [
        (message("hello"), "bob: hello"),
        (message("hello", to="#team"), "#team bob: hello"),
        (message("hello", to="#team", guest="yes"), "#team bob (guest): hello"),
        (message("hello", "alice", to="#team", guest="yes"), "#team alice (guest): hello"),
        (message("/me waves", guest="yes"), "* bob (guest) waves"),
        (message("/me waves"), "* bob waves"),
        (message("/me waves\nand smiles", to="#team"), "#team * bob waves\n" + " " * 11 + "and smiles"),
        (message("/me waves", "alice", to="bob"), "* alice waves (to bob)"),
        (message("/me waves", edits="m1"), "bob: (edited) * bob waves"),
        (message("/me waves", reply_to="carol m1"), "bob: (replies to carol) * bob waves"),
        (message("/me waves", reacts_to="m1"), "bob: (reacted: /me waves)"),
        (message("/me"), "bob: /me"),
        (message("/me  "), "bob: /me  "),
        (message("/mean"), "bob: /mean"),
        (message("* alice waves"), "bob: * alice waves"),
        (message("hello", "Alice", to="#team"), "#team Alice: hello"),
        (message("hello", "alice", to="bob"), "alice to bob: hello"),
        (message("hello", reply_to="carol m1"), "bob: (replies to carol) hello"),
        (message("hello", reply_to="m1"), "bob: (replies to a message) hello"),
        (message("hello", forwarded_from="carol m1"), "bob: (forwarded from carol) hello"),
        (message("hello", forwarded_from="m1"), "bob: (forwarded from another user) hello"),
        (message("hello", edits="m1"), "bob: (edited) hello"),
        (message("hello", edited="2026-11-22T09:30:00.123Z"), "bob: hello (edited)"),
        (message(deleted="2026-11-22T09:30:00.123Z"), "bob: (deleted)"),
        (message(deletes="m1"), "bob: (deleted a message)"),
        (message(deletes="carol m1", to="#team"), "#team bob: (deleted a message from carol)"),
        (message("+1", reacts_to="alice m1"), "bob: (reacted to alice: +1)"),
        (message("+1", reacts_to="m1"), "bob: (reacted: +1)"),
        (message(reacts_to="alice m1"), "bob: (removed a reaction to alice)"),
        (message(forwarded_from="carol m1", **FILE), "bob: (forwarded from carol) [a\u241b.png, 1.2 MiB]"),
        (message("look", **FILE), "bob: look [a\u241b.png, 1.2 MiB]"),
        (message(event="created", to="#team"), "#team: bob created this room"),
        (message(event="joined", to="#team"), "#team: bob joined"),
        (message(event="left", to="#team"), "#team: bob left"),
        (message(event="removed", member="carol", to="#team"), "#team: bob removed carol"),
        (message(event="appointed", member="carol", role="owner", to="#team"), "#team: bob made carol the owner"),
        (message(event="changed", guests="yes", to="#team"), "#team: bob lets guests in"),
        (message(event="changed", guests="no", to="#team"), "#team: bob lets no guests in any more"),
        (
            message(event="changed", access="private", guests="no", to="#team"),
            "#team: bob made the room private",
        ),
        (message(event="invited", room="#team", member="alice"), "bob invites you to #team"),
        (
            message(event="absent", device="ph\x1bone", since="2026-08-01T00:00:00Z", until="2026-11-22T00:00:00Z"),
            "your device ph\u241bone has not been connected since 2026-08-01: connect it by 2026-11-22, or it will be"
            " given only what comes after it connects again (the history stays)",
        ),
        (
            message(event="absent", device="phone", since="x"),
            "your device phone has not been connected for long: connect it, or it will be given only what comes after"
            " it connects again (the history stays)",
        ),
        (message(event="changed", topic="a\nb\x1b", to="#team"), "#team: bob changed the topic to: a\u240ab\u241b"),
        (message(event="changed", topic="", to="#team"), "#team: bob removed the topic"),
        (message(event="changed", access="public", to="#team"), "#team: bob made the room public"),
        (message(event="changed", to="#team"), "#team: bob changed the room"),
        (message(sender="alice", event="set", of="bob", muted="yes", blocked="no"), "bob is now muted"),
        (message(event="danced", to="#team"), "#team: bob did something that this version of Twotick does not support"),
    ],
)  # fmt: skip
def test_everything_has_words(shown: MemberMessage, line: str) -> None:
    assert line_of(shown).plain == line
    json.dumps(details_as_json(shown))


NAMES = (
    "to",
    "reply_to",
    "forwarded_from",
    "edits",
    "edited",
    "deletes",
    "deleted",
    "reacts_to",
    "file",
    "file_name",
    "file_size",
    "guest",
)
EVENT_NAMES = (
    "event",
    "member",
    "role",
    "topic",
    "access",
    "room",
    "of",
    "muted",
    "blocked",
    "time",
    "state",
    "guests",
)
VALUES = ("#team", "carol m1", "m1", "changed", "set", "5", "2026-11-22T09:30:00.123Z")


@given(
    anything | tricks,
    anything | tricks,
    st.dictionaries(st.sampled_from(NAMES + EVENT_NAMES), st.sampled_from(VALUES) | anything | tricks),
)
def test_nothing_in_a_message_is_obeyed(body: str, sender: str, headers: dict[str, str]) -> None:
    shown = message(body, sender, **headers)
    line = line_of(shown).plain
    assert obeyed(line) <= {"\n", "\t"}
    if shown.event is not None:
        assert "\n" not in line
    json.dumps(details_as_json(shown))
