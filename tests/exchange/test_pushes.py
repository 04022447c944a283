"""Subscribing to notifications, and for whom the server looks (docs/protocol.md, section 20)."""

import base64
from collections.abc import Mapping

import pytest

from tests.exchange.mail import Mail, message, objects, reason
from tests.server.test_conversation import EXAMPLES
from twotick.exchange import InvalidEndpoint, PushOffer, parse_endpoint
from twotick.store import ListSubscribers, StoreError
from twotick.wire import Verb, frame

OFFER = PushOffer(b"BKey")
P256DH = base64.urlsafe_b64encode(b"\x04" + b"k" * 64).rstrip(b"=")
AUTH = base64.urlsafe_b64encode(b"a" * 16).rstrip(b"=")


def push(**headers: bytes) -> bytes:
    given = {"endpoint": b"https://push.example/1", "p256dh": P256DH, "auth": AUTH} | headers
    return frame(Verb.PUSH, id=b"p", **given)  # type: ignore[arg-type]


def due(mail: Mail, seconds: float = 2) -> list[int]:
    """The members for whom to look after some seconds."""
    mail.advance(seconds)
    return [look.member for look in mail.exchange.pushes.take(mail.now)]


def test_a_device_subscribes_and_ends_that() -> None:
    """Rule 20.1."""
    mail = Mail(b"alice", b"bob", push=OFFER)
    alice, bob = mail.device(b"alice", window=9), mail.device(b"bob", window=9)
    member = mail.members[b"alice"].number
    ((answer, _),) = alice.write(b"PUSH\nId: p\n\n")
    assert (answer.verb, answer.headers) == (Verb.PUSH, {b"id": b"p", b"key": b"BKey"})
    bob.write(message(b"alice", b"one", b"b1"))
    assert due(mail) == []
    alice.read()
    ((answer, _),) = alice.write(push(text=b"yes"))
    assert (answer.verb, answer.headers) == (Verb.PUSH, {b"id": b"p", b"key": b"BKey"})
    bob.write(message(b"alice", b"two", b"b2") + message(b"alice", b"three", b"b3"))
    assert due(mail, 0.5) == []
    assert due(mail) == [member]
    assert due(mail) == []
    bob.write(b"ROOM #team\nDo: create\n\nROOM #team\nDo: invite\nMember: alice\n\n")
    assert due(mail) == [], "an invitation is an event"
    alice.read()
    ((answer, _),) = alice.write(b"PUSH\nId: p\nDo: remove\n\n")
    assert answer.verb is Verb.PUSH
    mail.exchange.pushes.forget(member)
    bob.write(message(b"alice", b"four", b"b4"))
    assert due(mail) == []


def test_the_example_of_the_page() -> None:
    """Rule 20.1."""
    alice = Mail(b"alice", push=PushOffer(b"BDd3...")).device(b"alice", window=9)
    lines = [(writer, text) for _, writer, text in EXAMPLES["20.1"]]
    assert len(lines) == 6
    for (asks, question), (answers, expected) in zip(lines[::2], lines[1::2], strict=True):
        ((answer, _),) = alice.write(question)
        assert (asks, answers, frame(answer.verb, **_texts(answer.headers))) == ("C", "S", expected)


def _texts(headers: Mapping[bytes, bytes]) -> dict[str, bytes]:
    return {name.decode(): value for name, value in headers.items()}


def test_those_who_are_subscribed_are_looked_for_when_the_server_starts() -> None:
    mail = Mail(b"alice", push=OFFER)
    alice = mail.device(b"alice", window=9)
    alice.write(push())
    again = Mail(store=mail.store, push=OFFER)
    again.answers[ListSubscribers] = lambda _: StoreError("the disk fails")
    assert due(again) == []
    del again.answers[ListSubscribers]
    again.advance(60)
    assert due(again) == [mail.members[b"alice"].number]


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (push(endpoint=b"http://push.example/1"), "Endpoint is an https URL of at most 1024 bytes"),
        (push(endpoint=b"https://push.example/" + b"x" * 1024), "Endpoint is an https URL of at most 1024 bytes"),
        (push(endpoint=b"https://user@push.example/"), "Endpoint is an https URL of at most 1024 bytes"),
        (push(endpoint=b"https://push.example:0/"), "Endpoint names no port"),
        (push(endpoint=b"https://192.168.0.1/"), "Endpoint is an address of this machine or of a private network"),
        (push(p256dh=P256DH[:-4]), "P256dh is 65 bytes in base64url"),
        (push(p256dh=base64.urlsafe_b64encode(b"k" * 65)), "P256dh is no public key of a browser"),
        (push(auth=b"!"), "Auth is 16 bytes in base64url"),
        (push(text=b"maybe"), "Text is yes or no"),
        (b"PUSH\nId: p\nDo: nothing\n\n", "Do is remove"),
        (b"PUSH\nId: p\nEndpoint: https://push.example/\n\n", "P256dh is missing"),
    ],
)
def test_a_malformed_subscription_is_refused(question: bytes, why: str) -> None:
    mail = Mail(b"alice", push=OFFER)
    assert reason(mail.device(b"alice", window=9).write(question)) == why


def test_a_server_that_does_not_push_says_so() -> None:
    assert reason(Mail(b"alice").device(b"alice").write(push())) == "this server does not push notifications"


def test_which_messages_of_a_room_are_notified_is_told_to_all_devices() -> None:
    """Rule 14.6."""
    mail = Mail(b"alice")
    alice, other = mail.device(b"alice", window=9), mail.device(b"alice", b"other", 9)
    alice.write(b"ROOM #team\nDo: create\n\n")
    other.read()

    def say(line: bytes) -> list[bytes | None]:
        (answer, _), *_ = alice.write(b"CONVERSATION #team\n%b\n\n" % line)
        ((event, _),) = other.read()
        return [answer.headers.get(b"notify"), event.headers.get(b"notify")]

    assert say(b"Notify: all") == [b"all", b"all"]
    (room,) = objects(alice.write(frame(Verb.CONVERSATIONS)))
    assert room["notify"] == "all"
    assert say(b"Notify: mentions") == [None, None]
    (room,) = objects(alice.write(frame(Verb.CONVERSATIONS)))
    assert "notify" not in room
    assert reason(alice.write(b"CONVERSATION #team\nNotify: none\n\n")) == "Notify is all or mentions"


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "10.0.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255"),
        *("[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[ff02::1]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]"),
        *("[2002:7f00:1::]", "[2002:a00:1::1]", "[64:ff9b::7f00:1]", "[64:ff9b::a00:1]", "[64:ff9b:1::1]"),
        *("[2001:0:0:0:0:0:80ff:fffe]", "2130706433", "0x7f.1", "127.1", "localhost", "a.localhost", "[127.0.0.1]"),
        *("[::127.0.0.1]", "[::10.0.0.1]", "[fec0::1]", "[4000::1]", "localhost.", "0X7F.1"),
    ],
)
def test_the_server_does_not_post_to_its_own_network(host: str) -> None:
    with pytest.raises(InvalidEndpoint):
        parse_endpoint(f"https://{host}/", allow_local=False)


@pytest.mark.parametrize("host", ["a..b", ".push.example", "push.example..", "x" * 64, ".".join(["x" * 60] * 5), ""])
def test_a_name_that_no_host_can_have_is_refused(host: str) -> None:
    with pytest.raises(InvalidEndpoint, match="https URL"):
        parse_endpoint(f"https://{host}/", allow_local=True)


def test_an_endpoint_has_its_parts() -> None:
    found = parse_endpoint("https://Push.Example/a?b=%20c", allow_local=False)
    assert (found.host, found.port, found.target) == ("push.example", 443, "/a?b=%20c")
    assert found.origin == "https://push.example"
    found = parse_endpoint("https://[2606:4700::1]:8443", allow_local=False)
    assert (found.host, found.port, found.target) == ("2606:4700::1", 8443, "/")
    assert found.origin == "https://[2606:4700::1]:8443"
    assert parse_endpoint("https://127.0.0.1:99/x", allow_local=True).port == 99
