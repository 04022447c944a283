"""What bots may do on a connection (rules 21.2 to 21.4), and which headers give a message a slot (rule 21.6)."""

import pytest

from tests.exchange.mail import Line, Mail, message, reason, taken, told
from twotick.store import AddBot, BotMember, FindMember, SetBotRight
from twotick.wire import Verb, frame


def with_bot(*rights: tuple[bytes, bool, bool]) -> Mail:
    mail = Mail(b"alice", b"bob")
    bot = mail.store.ask(AddBot("alerts", mail.now))
    assert isinstance(bot, BotMember)
    for peer, sends, reads in rights:
        mail.store.ask(SetBotRight(bot.number, peer.decode(), sends, reads, mail.now))
    member = mail.store.ask(FindMember("alerts"))
    assert member is not None
    assert member.is_bot
    mail.members[b"alerts"] = member
    return mail


@pytest.fixture
def mail() -> Mail:
    return with_bot((b"bob", True, True))


@pytest.fixture(params=["device", "sender"])
def bot(mail: Mail, request: pytest.FixtureRequest) -> Line:
    return mail.device(b"alerts", window=9) if request.param == "device" else mail.sender(b"alerts")


ASKED = [
    frame(Verb.ROOM, b"#new", Do=b"create"),
    frame(Verb.ROOMS),
    frame(Verb.TOKEN, b"more"),
    frame(Verb.DEVICES),
    frame(Verb.REVOKE, b"main"),
    frame(Verb.RECEIPTS, b"bob", id=b"m1"),
    frame(Verb.CONVERSATIONS),
    frame(Verb.CONVERSATION, b"bob", Blocked=b"yes"),
    frame(Verb.SEARCH, b"", b"hello"),
    frame(Verb.STATUS, State=b"here"),
    frame(Verb.REPORT, b"bob", b"spam"),
    frame(Verb.PROFILE, Display=b"Bob"),
    frame(Verb.PINS, b"bob"),
    frame(Verb.PUSH),
    frame(Verb.PASSWORD, Old=b"", New=b"bmV3IHBhc3N3b3Jk"),
]


@pytest.mark.parametrize("asked", ASKED, ids=[each.split()[0].decode() for each in ASKED])
def test_a_bot_is_refused_all_but_sending(bot: Line, asked: bytes) -> None:
    assert reason(bot.write(asked)) == "a bot can only send, and read where it may"
    assert told(bot.write(message(b"bob", b"hello", b"m1")))[0][:3] == ("ACCEPTED", "bob", "m1")


def test_a_bot_reads_where_it_may(mail: Mail) -> None:
    bot, bob, alice = mail.device(b"alerts", window=9), mail.device(b"bob", window=9), mail.device(b"alice", window=9)
    bob.write(message(b"alerts", b"deploy", b"b1"))
    assert [line[4] for line in told(bot.read())] == ["deploy"]
    assert (
        reason(alice.write(message(b"alerts", b"deploy", b"a1"))) == "alerts is a bot, and takes no messages from you"
    )
    assert reason(bot.write(message(b"alice", b"spam", b"m1"))) == "alerts may not send to alice"
    frames = bot.write(frame(Verb.HISTORY, b"bob") + frame(Verb.HISTORY, b"alice") + frame(Verb.HISTORY))
    counts = [head.headers[b"count"] for head, _ in frames if head.verb is Verb.HISTORY]
    assert counts == [b"1", b"0", b"0"]
    bob.write(frame(Verb.STATUS, State=b"here"))
    bob.read()
    bot.write(frame(Verb.TYPING, b"bob"))
    mail.advance(1)
    assert [head.verb for head, _ in bob.read() if head.verb is Verb.TYPING] == []


@pytest.mark.parametrize(
    ("recipient", "headers"),
    [
        (b"bob", {"Slot": b"a b"}),
        (b"bob", {"Slot": b""}),
        (b"bob", {"Slot": b"a" * 65}),
        (b"bob", {"Slot": b"a", "Items": b"a" * 2049}),
        (b"bob", {"Slot": b"a", "Edits": b"m1"}),
        (b"guest", {"Slot": b"a"}),
        (b"ALL", {"Slot": b"a"}),
    ],
)
def test_a_malformed_slot_is_refused(recipient: bytes, headers: dict[str, bytes]) -> None:
    mail = Mail(b"alice", b"bob")
    bob = mail.device(b"bob", window=9)
    guest = mail.guest(b"guest")
    assert reason(mail.sender(b"alice").write(message(recipient, b"hello", b"m2", **headers))).startswith("Slot ")
    assert bob.write(taken(1)) == guest.read() == []
