"""Messages that change others, through the exchange and a real store (docs/protocol.md, section 13 and rule 16.3)."""

import pytest

from tests.exchange.mail import Line, Mail, message, reason, taken, told
from twotick.store import Append, MessageAction, Refusal
from twotick.wire import Frame, Verb, frame, received


def forwards(frames: list[Frame]) -> list[tuple[dict[bytes, bytes], bytes]]:
    """The headers and bodies of messages, without those that all have."""
    common = (b"content-length", b"seq", b"time", b"id")
    return [
        ({name: value for name, value in head.headers.items() if name not in common}, body)
        for head, body in frames
        if head.verb is Verb.FORWARD
    ]


def pair() -> tuple[Line, Line]:
    mail = Mail(b"alice", b"bob")
    return mail.device(b"alice", window=64), mail.device(b"bob", window=64)


def test_an_edit_is_a_message_and_changes_what_others_are_given_later() -> None:
    """Rules 13.1 and 13.2."""
    alice, bob = pair()
    alice.write(message(b"bob", b"hello", b"m1"))
    bob.read()
    assert told(alice.write(message(b"bob", b"hello!", b"m2", edits=b"m1")))[0][:3] == ("ACCEPTED", "bob", "m2")
    assert forwards(bob.read()) == [({b"edits": b"m1"}, b"hello!")]
    first, _ = forwards(bob.write(frame(Verb.HISTORY, b"alice")))
    assert first[1] == b"hello!"
    assert b"edited" in first[0]


def test_what_is_deleted_has_no_body_any_more() -> None:
    """Rules 13.1 and 13.3."""
    alice, bob = pair()
    alice.write(message(b"bob", b"oh no", b"m1", x_mood=b"bad"))
    alice.write(message(b"bob", b"", b"m2", deletes=b"m1"))
    bob.read()
    first, second = forwards(bob.write(frame(Verb.HISTORY, b"alice")))
    assert (first[1], first[0].keys()) == (b"", {b"history", b"deleted"})
    assert second[0][b"deletes"] == b"m1"


def test_reactions_go_along() -> None:
    """Rule 13.1: to one's own message, and to that of the other."""
    alice, bob = pair()
    alice.write(message(b"bob", b"hello", b"m1"))
    bob.write(message(b"alice", b"+1", b"b1", reacts_to=b"alice m1"))
    assert forwards(alice.read()) == [({b"reacts-to": b"alice m1"}, b"+1")]
    alice.write(message(b"bob", b"ha", b"m2", reacts_to=b"m1") + message(b"bob", b"", b"m3", reacts_to=b"m1"))
    assert forwards(bob.read()) == [({b"reacts-to": b"m1"}, b"ha"), ({b"reacts-to": b"m1"}, b"")]


@pytest.mark.parametrize(
    ("headers", "body", "action", "about", "about_name", "file"),
    [
        ({"edits": b"m1"}, b"x", MessageAction.EDIT, b"m1", b"", b""),
        ({"deletes": b"m1"}, b"", MessageAction.DELETE, b"m1", b"", b""),
        ({"deletes": b"Carol  m1"}, b"", MessageAction.DELETE, b"m1", b"carol", b""),
        ({"reacts_to": b"._-"}, b"x", MessageAction.REACT, b"._-", b"", b""),
        ({"reacts_to": b"ALICE m1"}, b"", MessageAction.REACT, b"m1", b"alice", b""),
        ({"file": b"k4T"}, b"x", MessageAction.NONE, b"", b"", b"k4T"),
        ({"reply_to": b"carol m1", "edited": b"m1", "x_edits": b"m1"}, b"x", MessageAction.NONE, b"", b"", b""),
    ],
)
def test_what_the_store_is_asked(
    headers: dict[str, bytes], body: bytes, action: MessageAction, about: bytes, about_name: bytes, file: bytes
) -> None:
    """Rules 13.1 and 16.3."""
    mail = Mail(b"alice", b"bob")
    mail.answers[Append] = lambda _: Refusal("no")
    assert reason(mail.device(b"alice").write(message(b"bob", body, b"m2", **headers))) == "no"
    request = mail.asked[-1]
    assert isinstance(request, Append)
    found = request.action, request.about, request.about_name, request.file
    assert found == (action, about, about_name, file)


@pytest.mark.parametrize(
    ("headers", "body", "why"),
    [
        ({"edits": b""}, b"x", "Edits is an Id, or a name and an Id"),
        ({"edits": b"a b c"}, b"x", "Edits is an Id, or a name and an Id"),
        ({"edits": b"m\xff"}, b"x", "Edits is an Id, or a name and an Id"),
        ({"edits": b"x" * 65}, b"x", "Edits is an Id, or a name and an Id"),
        ({"deletes": b"bob "}, b"", "there is no such message of yours"),
        ({"deletes": b"#team m1"}, b"", "Deletes is an Id, or a name and an Id"),
        ({"reacts_to": b"bob m+1"}, b"", "Reacts-to is an Id, or a name and an Id"),
        (
            {"edits": b"m1", "deletes": b"m1"},
            b"",
            "only one of Edits, Deletes, Reacts-to, Pins, Unpins, Forwards and File can be given",
        ),
        (
            {"reacts_to": b"m1", "file": b"k"},
            b"",
            "only one of Edits, Deletes, Reacts-to, Pins, Unpins, Forwards and File can be given",
        ),
        ({"file": b""}, b"", "File is the key of a file"),
        ({"file": b"x" * 65}, b"", "File is the key of a file"),
        ({"reacts_to": b"m1"}, b"x" * 65, "a reaction has at most 64 bytes"),
        ({"deletes": b"m1"}, b"x", "what deletes, pins or unpins a message has no body"),
        ({"edits": b"bob m1"}, b"x", "there is no such message of yours"),
        ({"deletes": b"bob m1"}, b"", "there is no such message of yours"),
        ({"edits": b"nothing"}, b"x", "there is no such message of yours"),
    ],
)
def test_what_makes_no_sense_is_refused_and_why(headers: dict[str, bytes], body: bytes, why: str) -> None:
    """Rules 13.1 and 13.2: 102, and nothing is delivered."""
    alice, bob = pair()
    assert reason(alice.write(message(b"bob", body, b"m2", **headers))) == why
    assert bob.read() == []
    assert told(alice.write(message(b"bob", b"hi", b"m3")))[0][:3] == ("ACCEPTED", "bob", "m3")


@pytest.mark.parametrize("header", ["edits", "deletes", "reacts_to", "file"])
def test_guests_neither_change_messages_nor_send_files(header: str) -> None:
    """Rule 13.4: nor can anybody else, to them or to ALL."""
    why = "only members can edit, delete, react, pin, send on or send files, and only to members and rooms"
    mail = Mail(b"alice", b"bob")
    alice, ann, ben = mail.device(b"alice"), mail.guest(b"ann"), mail.guest(b"ben")
    _, receiving = mail.classic(b"gus")
    for sender in (alice, ann):
        for recipient in (b"ben", b"gus", b"ALL", *([b"bob"] if sender is ann else [])):
            assert reason(sender.write(message(recipient, b"", b"m1", **{header: b"m0"}))) == why
    assert ben.read() == receiving.read() == []


def test_on_classic_connections_these_headers_mean_nothing() -> None:
    """Rule 2.3."""
    mail = Mail(b"bob")
    sending, receiving = mail.classic(b"gus")
    head = b"Edits: m1\nDeletes: x\nFile: y\nContent-length: 2\n\nhi"
    sending.write(b"SEND gus\n" + head)
    ((forward, body),) = receiving.read()
    assert (forward.headers, body) == ({b"content-length": b"2"}, b"hi")
    receiving.write(received(b"gus"))
    assert told(sending.read()) == [("SEND", "gus", "", 0)]
    bob = mail.device(b"bob")
    sending.write(b"SEND bob\n" + head)
    assert forwards(bob.read()) == [({b"guest": b"yes"}, b"hi")]
    bob.write(taken(1))
    assert told(sending.read()) == [("SEND", "bob", "", 0)]


@pytest.mark.parametrize(
    "header",
    ["event", "edited", "deleted", "place", "to", "member", "room", "role", "topic", "of", "file_name", "file_size"],
)
def test_what_the_server_says_of_a_message_cannot_come_from_its_sender(header: str) -> None:
    """Rules 12.8, 13.2 and 16.3: from a member or a guest, to members, rooms and guests."""
    mail = Mail(b"alice", b"bob")
    alice, bob, ann, ben = (
        *(mail.device(name, window=64) for name in (b"alice", b"bob")),
        *(mail.guest(name, 9) for name in (b"a", b"b")),
    )
    alice.write(b"ROOM #team\nDo: create\nAccess: public\n\n")
    bob.write(b"ROOM #team\nDo: join\n\n")
    bob.read()
    forged = {header: b"joined"}
    for sender, recipient in ((alice, b"bob"), (alice, b"#team"), (alice, b"b"), (ann, b"b"), (ann, b"bob")):
        sender.write(message(recipient, b"hi", b"%b-%b" % (sender.connection.name, recipient.strip(b"#")), **forged))
    got = bob.read() + ben.read()
    assert [body for _, body in got] == [b"hi"] * 5
    assert not any(b"joined" in head.headers.values() for head, _ in got)


def test_a_moderator_deletes_what_others_have_sent_to_a_room() -> None:
    """Rule 13.1."""
    mail = Mail(b"alice", b"bob")
    alice, bob = mail.device(b"alice", window=64), mail.device(b"bob", window=64)
    alice.write(b"ROOM #team\nDo: create\nAccess: public\n\n")
    bob.write(b"ROOM #team\nDo: join\n\n")
    bob.write(message(b"#team", b"spam", b"b1"))
    alice.write(message(b"#team", b"ham", b"a1"))
    bob.read()
    assert reason(bob.write(message(b"#team", b"", b"b2", deletes=b"alice a1")))
    alice.read()
    assert told(alice.write(message(b"#team", b"", b"a2", deletes=b"bob b1")))[0][0] == "ACCEPTED"
    ((headers, _),) = forwards(bob.read())
    assert headers[b"deletes"] == b"bob b1"
    alice.read()
    history = [(headers.get(b"deleted", b""), body) for headers, body in forwards(alice.write(b"HISTORY #team\n\n"))]
    assert [body for deleted, body in history if deleted] == [b""]
    assert b"spam" not in [body for _, body in history]
