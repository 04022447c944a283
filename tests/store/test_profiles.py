"""What members say of themselves (docs/protocol.md, section 18). Who may see it: test_who_sees_what.py."""

import hashlib
from pathlib import Path

import pytest

from tests.store.helpers import NOW, Asker
from tests.store.pictures import jpeg, png, webp
from twotick.store import (
    AddMember,
    GetPicture,
    GetProfile,
    MemberPicture,
    MemberProfile,
    RemoveMember,
    SetProfile,
)
from twotick.store.rules.errors import NotAllowed
from twotick.store.rules.pictures import PICTURE_BYTES, picture_type


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


@pytest.mark.parametrize(
    ("picture", "kind"),
    [
        (png(), "image/png"),
        (png(1024, 1024), "image/png"),
        (jpeg(256, 256), "image/jpeg"),
        (jpeg(256, 256, before=b"\xff\xe1\1\0" + b"x" * 254), "image/jpeg"),
        (webp(b"VP8 ", b"abc\x9d\x01\x2a" + bytes([64, 0, 64, 0])), "image/webp"),
        (webp(b"VP8L", b"\x2f" + (63 | 63 << 14).to_bytes(4, "little")), "image/webp"),
        (webp(b"VP8X", b"\x10\0\0\0" + b"\x3f\0\0" * 2), "image/webp"),
        (png().ljust(PICTURE_BYTES, b"\0"), "image/png"),
    ],
)
def test_pictures_are_known_by_their_content(picture: bytes, kind: str) -> None:
    """Rule 18.4."""
    assert picture_type(picture) == kind


@pytest.mark.parametrize(
    "data",
    [
        b"<svg xmlns='http://www.w3.org/2000/svg' width='64' height='64'><script>alert(1)</script></svg>",
        b"<html><script>alert(1)</script>",
        b"GIF89a\x40\0\x40\0" + b"\0" * 20,
        png(more=b"\0\0\0\x08acTL"),
        png(16, 17),
        png(15, 15),
        png(1025, 1025),
        png(0xFFFFFFFF, 0xFFFFFFFF),
        png()[:18],
        jpeg(65535, 65535),
        jpeg()[:12],
        b"\xff\xd8" + b"\xff" * 1000,
        webp(b"VP8X", b"\x02\0\0\0" + b"\x3f\0\0" * 2),
        webp(b"VP8L", b"\x2f" + (63 | 62 << 14).to_bytes(4, "little")),
        webp(b"ALPH", b""),
        b"RIFF\0\0\0\0WEBP",
        png() + b"\0" * PICTURE_BYTES,
    ],
)
def test_all_else_is_no_picture(data: bytes) -> None:
    with pytest.raises(NotAllowed, match=r"^a picture "):
        picture_type(data)


def test_a_picture_is_kept_replaced_and_removed(tmp_path: Path) -> None:
    """Rules 18.4 and 18.5. One that is gone is not in the database any more."""
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    asker.send("alice", "bob", id=b"m1")
    alice, bob = asker.members["alice"], asker.members["bob"]
    first, second = png(more=b"the first one"), jpeg(256, 256)
    hashes = [hashlib.sha256(each).hexdigest() for each in (first, second)]
    assert asker.ask(SetProfile(alice, "Alice", None, first)) == MemberProfile("alice", "Alice", "", hashes[0])
    assert asker.refusal(SetProfile(alice, "Else", None, b"GIF89a")).startswith("a picture is PNG")
    profile = MemberProfile("alice", "Alice", "", hashes[0])
    assert asker.ask(GetPicture(bob, "Alice", hashes[0])) == MemberPicture(profile, "image/png", first)
    assert asker.ask(GetPicture(bob, "alice", hashes[1])) == MemberPicture(profile)
    asker.ask(SetProfile(alice, None, None, second))
    profile = MemberProfile("alice", "Alice", "", hashes[1])
    assert asker.ask(GetPicture(bob, "alice", hashes[1])) == MemberPicture(profile, "image/jpeg", second)
    assert all(b"the first one" not in file.read_bytes() for file in tmp_path.iterdir())
    asker.ask(SetProfile(alice, None, None, b""))
    assert asker.ask(GetProfile(bob, "alice")) == MemberProfile("alice", "Alice")
    asker.ask(SetProfile(alice, None, None, first))
    asker.ask(RemoveMember("alice", NOW))
    assert asker.ask(GetPicture(bob, "alice", hashes[0])) == MemberPicture(MemberProfile("alice"))
    assert asker.store.check() == []
    asker.store.close()
    assert all(b"the first one" not in file.read_bytes() for file in tmp_path.iterdir())
