"""Profiles, through the exchange and a real store (docs/protocol.md, section 18)."""

import hashlib

import pytest

from tests.exchange.mail import Line, Mail, message, objects, reason
from tests.exchange.network import inside
from tests.exchange.test_presence import friends
from tests.store.pictures import png
from twotick.store import SetEmail, SetProfile, StoreError
from twotick.wire import Verb, frame

PICTURE = png(64, 64)
HASH = hashlib.sha256(PICTURE).hexdigest().encode()


def profile(name: bytes = b"", **headers: bytes) -> bytes:
    """PROFILE from a device."""
    return frame(Verb.PROFILE, name, id=b"q", **headers)


def news(mail: Mail, line: Line) -> list[tuple[bytes, bytes, bytes]]:
    """Of which profiles a device is told within the next ticks: names, display names and status texts."""
    mail.advance(0.25)
    mail.advance(0.25)
    return [
        (head.name, head.headers.get(b"display", b""), head.headers.get(b"status", b""))
        for head, _ in line.read()
        if head.verb is Verb.PROFILE
    ]


def test_devices_that_have_asked_are_told_of_changes_once_in_a_tick() -> None:
    """Rule 18.3."""
    mail, (alice, bob, carol) = friends(b"alice", b"bob", b"carol")
    phone = mail.device(b"bob", b"phone")
    assert objects(alice.write(profile())) == []
    for display in (b"Bob M.", b"Bob Miller"):
        assert objects(bob.write(profile(display=display, status=b"at work"))) == []
    assert news(mail, alice) == [(b"bob", b"Bob Miller", b"at work")]
    assert news(mail, bob) == [(b"bob", b"Bob Miller", b"at work")]
    assert (news(mail, carol), news(mail, phone)) == ([], [])
    assert objects(phone.write(profile())) == []
    alice.write(profile(status=b"away"))
    assert news(mail, phone) == [(b"alice", b"", b"away")]
    bob.write(profile(display=b"", status=b""))
    assert news(mail, phone) == [(b"bob", b"", b"")]
    assert objects(carol.write(profile())) == [{"name": "alice", "display": "", "status": "away"}]


def test_a_picture_is_set_told_fetched_and_removed() -> None:
    """Rules 18.4 and 18.5."""
    mail, (alice, bob) = friends(b"alice", b"bob", others=[b"eve"])
    eve = mail.device(b"eve")
    alice.write(profile())
    (answer,) = bob.write(frame(Verb.PROFILE, b"", PICTURE, id=b"q", picture=HASH))
    assert answer[0].headers[b"picture"] == HASH
    mail.advance(0.25)
    mail.advance(0.25)
    assert [head.headers.get(b"picture") for head, _ in alice.read() if head.verb is Verb.PROFILE] == [HASH]
    assert objects(alice.write(profile())) == [{"name": "bob", "display": "", "status": "", "picture": HASH.decode()}]
    ((head, body),) = alice.write(profile(b"bob", picture=HASH))
    assert (body, head.headers[b"content-type"], head.headers[b"picture"]) == (PICTURE, b"image/png", HASH)
    ((head, body),) = alice.write(profile(b"bob", picture=b"0" * 64))
    assert (body, b"content-type" in head.headers, head.headers[b"picture"]) == (b"", False, HASH)
    nothing = eve.write(profile(b"nobody", picture=HASH))
    assert [(each.headers, body) for each, body in eve.write(profile(b"bob", picture=HASH))] == [
        (each.headers, body) for each, body in nothing
    ]
    bob.write(profile(picture=b""))
    assert objects(alice.write(profile())) == []


def test_who_is_blocked_or_a_stranger_learns_nothing() -> None:
    """Rule 18.2."""
    mail, (alice, bob) = friends(b"alice", b"bob", others=[b"eve"])
    eve = mail.device(b"eve")
    for line in (alice, eve):
        line.write(profile())
    nothing = eve.write(profile(b"nobody"))
    bob.write(b"CONVERSATION alice\nBlocked: yes\n\n")
    bob.write(profile(display=b"Bob Miller"))
    assert (news(mail, alice), news(mail, eve)) == ([], [])
    for line in (alice, eve):
        assert objects(line.write(profile())) == []
        assert [each.headers for each, _ in line.write(profile(b"bob"))] == [each.headers for each, _ in nothing]
    bob.write(b"CONVERSATION alice\nBlocked: no\n\n")
    assert [each.headers.get(b"display") for each, _ in alice.write(profile(b"bob"))] == [b"Bob Miller"]


def test_who_hides_presence_still_has_a_profile() -> None:
    mail, (alice, bob) = friends(b"alice", b"bob")
    alice.write(profile())
    bob.write(b"STATUS\nShown: no\n\n")
    bob.write(profile(display=b"Bob Miller"))
    assert news(mail, alice) == [(b"bob", b"Bob Miller", b"")]


def test_first_messages_show_the_profile() -> None:
    mail = Mail(b"alice", b"bob")
    alice, bob = mail.device(b"alice"), mail.device(b"bob")
    alice.write(profile(display=b"Alice M."))
    assert [each.headers.get(b"display") for each, _ in bob.write(profile(b"alice"))] == [None]
    alice.write(message(b"bob", b"hi", b"m1"))
    bob.read()
    assert [each.headers.get(b"display") for each, _ in bob.write(profile(b"Alice"))] == [b"Alice M."]


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (profile(b"bob", display=b"x"), "only your own profile can be changed: leave out the name"),
        (profile(b"#team"), "there is no such user"),
        (profile(display=b"\xff"), "Display is not UTF-8"),
        (profile(status=b"y" * 251), "a status text has at most 250 bytes"),
        (
            profile(picture=b"x"),
            "Picture is the SHA-256 of the picture: 64 hexadecimal digits, with lower-case letters",
        ),
        (
            profile(b"bob", picture=b"A" * 64),
            "Picture is the SHA-256 of the picture: 64 hexadecimal digits, with lower-case letters",
        ),
        (profile(picture=b"0" * 64), "the picture is missing: it is the body"),
        (frame(Verb.PROFILE, b"", PICTURE, id=b"q", picture=b"0" * 64), "the picture does not have this hash"),
        (
            frame(Verb.PROFILE, b"", b"GIF89a", id=b"q", picture=hashlib.sha256(b"GIF89a").hexdigest().encode()),
            "a picture is PNG, JPEG or WebP, and does not move",
        ),
    ],
)
def test_what_is_refused(asked: bytes, why: str) -> None:
    _, (alice, _) = friends(b"alice", b"bob")
    assert reason(alice.write(asked)) == why


def test_a_disk_that_fails_is_told() -> None:
    mail, (alice, _) = friends(b"alice", b"bob")
    mail.answers[SetProfile] = lambda _: StoreError("the disk is full")
    assert reason(alice.write(profile(display=b"x"))) == "the disk is full"


def test_a_member_sees_where_e_mail_goes_and_ends_it() -> None:
    """Rule 18.6."""
    mail, (alice, bob) = friends(b"alice", b"bob")
    assert "no e-mail address" in reason(alice.write(profile(digest=b"show")))
    mail.store.ask(SetEmail(mail.members[b"alice"].number, "alice@example.org"))
    for choice, said in (b"show", b"yes"), (b"no", b"no"), (b"show", b"no"), (b"yes", b"yes"):
        ((head, body),) = alice.write(profile(digest=choice))
        assert (head.verb, head.name, head.id, body) == (Verb.PROFILE, b"", b"q", b"")
        assert (head.headers[b"digest"], head.headers[b"email"]) == (said, b"alice@example.org")
    assert reason(alice.write(profile(digest=b"maybe"))) == "Digest is show, yes or no"
    assert "leave out the name" in reason(bob.write(profile(b"alice", digest=b"show")))


def test_nothing_is_kept_for_those_who_are_gone() -> None:
    mail, lines = friends(b"alice", b"bob")
    for line in lines:
        line.write(profile(status=b"x"))
    mail.advance(0.25)
    for line in lines:
        line.cut()
    mail.advance(0.25)
    mail.advance(0.25)
    profiles = inside(mail.exchange, "_profiles")
    watchers = inside(profiles, "_watchers")
    for held in (watchers, inside(watchers, "_untold"), inside(profiles, "_changed")):
        assert not held
