"""What members say of themselves (docs/protocol.md, section 18). Who may see it: test_who_sees_what.py."""

from pathlib import Path

import pytest

from tests.store.helpers import NOW, Asker
from twotick.store import AddMember, GetProfile, MemberProfile, RemoveMember, SetProfile


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("  Bob \t Miller ", None),
        ("  Bob   Miller ", "Bob Miller"),
        ("Bj\u0061\u0308rn", "Bj\u00e4rn"),
        ("\U0001f469\u200d\U0001f680 Ann\ufe0f", "\U0001f469\u200d\U0001f680 Ann\ufe0f"),
        ("\u00a0", ""),
        ("a" * 128, "a" * 128),
        ("a" * 129, None),
        ("\u00e4" * 65, None),
        ("Bob\u202eelliM", None),
        ("Bob\u2066", None),
        ("Bob\x1b[2J", None),
        ("Bob\u2028", None),
        ("Bob\x00", None),
        ("Bob\ud800", None),
    ],
)
def test_display_names_are_cleaned_or_refused(asker: Asker, given: str, kept: str | None) -> None:
    """Rule 18.1."""
    request = SetProfile(asker.members["alice"], given, None)
    if kept is None:
        assert asker.refusal(request).startswith("a display name has ")
        kept = ""
    else:
        assert asker.ask(request) == MemberProfile("alice", kept, "")
    assert asker.ask(GetProfile(asker.members["alice"], "ALICE")) == MemberProfile("alice", kept, "")


def test_a_text_that_is_left_out_stays(asker: Asker) -> None:
    alice = asker.members["alice"]
    asker.ask(SetProfile(alice, "Alice M.", "at work"))
    assert asker.ask(SetProfile(alice, None, "at home")) == MemberProfile("alice", "Alice M.", "at home")
    assert asker.ask(SetProfile(alice, "", None)) == MemberProfile("alice", "", "at home")
    assert asker.refusal(SetProfile(alice, "Alice", "x" * 251)) == "a status text has at most 250 bytes"
    assert asker.ask(SetProfile(alice, None, None)) == MemberProfile("alice", "", "at home"), "all or nothing"
    assert asker.refusal(SetProfile(999, "x", None)) == "you are not a member any more"


def test_a_name_that_is_given_again_has_no_profile(tmp_path: Path) -> None:
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    asker.send("alice", "bob")
    asker.ask(SetProfile(asker.members["alice"], "Alice M.", "at work"))
    asker.reopen()
    assert asker.ask(GetProfile(asker.members["bob"], "alice")) == MemberProfile("alice", "Alice M.", "at work")
    asker.ask(RemoveMember("alice", NOW))
    assert asker.ask(GetProfile(asker.members["bob"], "alice")) == MemberProfile("alice")
    asker.ask(AddMember("Alice", "", NOW))
    assert asker.ask(GetProfile(asker.members["bob"], "alice")) == MemberProfile("Alice")
    asker.store.close()
