"""What bots may do, and messages that later ones update (docs/protocol.md, section 21)."""

from dataclasses import replace

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, Asker, bodies, events
from twotick.store import (
    AddBot,
    Append,
    Appended,
    BotMember,
    BotRight,
    FindBot,
    MessageAction,
    MessageState,
    RoomRole,
    SetBotRight,
    SetRoomRole,
    StoreLimits,
)


def add_bot(asker: Asker, name: str, *sends: str, reads: tuple[str, ...] = ()) -> None:
    bot = asker.ask(AddBot(name, NOW))
    assert isinstance(bot, BotMember)
    asker.members[name] = bot.number
    for peer in sends:
        allow(asker, name, peer, sends=True)
    for peer in reads:
        allow(asker, name, peer, reads=True)


def allow(asker: Asker, name: str, peer: str, *, sends: bool | None = None, reads: bool | None = None) -> BotMember:
    bot = asker.ask(SetBotRight(asker.members[name], peer, sends, reads, NOW))
    assert isinstance(bot, BotMember), bot
    return bot


def place(new_asker: AskerMaker) -> Asker:
    asker = new_asker(StoreLimits())
    asker.add("alice", "Bob")
    asker.gather("alice", "Bob")
    return asker


def to(asker: Asker, recipient: str, body: bytes = b"hello", **more: object) -> Append:
    return replace(asker.append("alerts", to=recipient, body=body), **more)  # type: ignore[arg-type]


def test_a_bot_sends_where_it_may_and_nowhere_else(new_asker: AskerMaker) -> None:
    asker = place(new_asker)
    add_bot(asker, "alerts", "bob", "#TEAM")
    expected = BotMember(
        asker.members["alerts"], "alerts", (BotRight("#Team", True, False), BotRight("Bob", True, False))
    )
    assert asker.ask(FindBot(asker.members["alerts"])) == expected
    assert asker.ask(FindBot(asker.members["alice"])) is None
    assert isinstance(asker.ask(to(asker, "BOB", id=b"1")), Appended)
    assert isinstance(asker.ask(to(asker, "#team", b"in the room", id=b"2")), Appended)
    asker.create("alice", "#Open", public=True)
    for recipient in ("alice", "ALL", "#open", "#none", "nobody", "alerts"):
        assert asker.refusal(to(asker, recipient, id=b"3")) == f"alerts may not send to {recipient}"
    assert bodies(asker.log("Bob")) == [b"hello", b"in the room"]
    allow(asker, "alerts", "#team", sends=False)
    assert asker.refusal(to(asker, "#team", id=b"4")) == "alerts may not send to #team"
    assert list(asker.roles("alice")) == ["alice", "Bob"], "it has left"
    told = [each for each in events(asker.log("alice")) if each.startswith("alerts")]
    assert told == ["alerts Event: joined", "alerts Event: left"]
    allow(asker, "alerts", "ALL", sends=True)
    everyone = to(asker, "ALL", b"all", id=b"5", members=(asker.members["alice"], asker.members["Bob"]))
    assert isinstance(asker.ask(everyone), Appended)


def test_a_bot_that_may_not_read_is_no_recipient(new_asker: AskerMaker) -> None:
    asker = place(new_asker)
    add_bot(asker, "alerts", "#team")
    said = asker.say("alice", b"hello", b"a1")
    assert said.members == 1
    asker.ack("Bob", 99)
    assert asker.receipts("alice", "#team", b"a1") == {"Bob": MessageState.DELIVERED}
    assert asker.log("alerts") == []
    assert asker.history("alerts", "#team") == []
    assert asker.refusal(asker.append("alice", to="alerts")) == "alerts is a bot, and takes no messages from you"
    request = asker.append("alice", to="ALL", id=b"a2")
    everyone = replace(request, members=(asker.members["alerts"], asker.members["Bob"]))
    assert isinstance(asker.ask(everyone), Appended)
    assert asker.log("alerts") == []
    allow(asker, "alerts", "#team", reads=True)
    allow(asker, "alerts", "Bob", reads=True)
    asker.say("alice", b"for you too", b"a3")
    asker.send("Bob", "alerts", body=b"direct")
    assert bodies(asker.log("alerts")) == [b"for you too", b"direct"]
    assert bodies(asker.history("alerts", "#team")) == [b"hello", b"for you too"], "since it joined"
    allow(asker, "alerts", "#team", sends=False, reads=False)
    assert asker.history("alerts", "#team") == []


def test_no_bot_becomes_the_owner_of_a_room(new_asker: AskerMaker) -> None:
    """Rule 12.4; also when the store has read the room anew."""
    asker = place(new_asker)
    add_bot(asker, "alerts", "#team")
    asker.add("carol")
    asker.invite("alice", "carol")
    asker.join("carol", time=NOW + 1)
    asker.leave("Bob")
    asker.reopen()
    appointing = SetRoomRole(asker.members["alice"], "#team", "alerts", RoomRole.OWNER, NOW)
    assert asker.refusal(appointing) == "a bot cannot be the owner"
    asker.leave("alice")
    assert asker.roles("carol") == {"alerts": RoomRole.MEMBER, "carol": RoomRole.OWNER}
    asker.leave("carol")
    assert asker.refusal(to(asker, "#team")) == "there is no such room"
    asker.create("Bob")
    assert asker.roles("Bob") == {"Bob": RoomRole.OWNER}, "another room, in which the bot is not"
    assert asker.refusal(to(asker, "#team", id=b"2")) == "there is no such room"
    asker.add("dora")
    asker.invite("Bob", "dora")
    asker.join("dora")
    asker.remove("Bob")
    assert asker.roles("dora") == {"dora": RoomRole.OWNER}


def test_what_cannot_be_allowed(new_asker: AskerMaker) -> None:
    asker = place(new_asker)
    add_bot(asker, "alerts")
    asker.create("alice", "#Twice")
    asker.create("Bob", "#twice")
    for peer, reason in {
        "nobody": "there is no such member called nobody",
        "#none": "there is no such room as #none",
        "#twice": "several private rooms are called #twice",
    }.items():
        assert asker.refusal(SetBotRight(asker.members["alerts"], peer, True, None, NOW)) == reason
    assert asker.refusal(SetBotRight(asker.members["alice"], "Bob", True, None, NOW)) == "there is no such bot"
    assert asker.refusal(AddBot("ALICE", NOW)) == "ALICE is a member already"


def test_rights_end_with_the_user_and_with_the_bot(new_asker: AskerMaker) -> None:
    asker = place(new_asker)
    add_bot(asker, "alerts", "Bob", "#team")
    asker.remove("Bob")
    asker.add("Bob")
    assert asker.refusal(to(asker, "Bob", id=b"1")) == "alerts may not send to Bob", "it is another user"
    asker.ask(to(asker, "#team", id=b"2", slot=b"s", items=b"a"))
    asker.remove("alerts")
    add_bot(asker, "alerts")
    assert asker.ask(FindBot(asker.members["alerts"])) == BotMember(asker.members["alerts"], "alerts", ())


def test_a_message_about_nothing_new_updates_the_last_one(new_asker: AskerMaker) -> None:
    asker = place(new_asker)
    add_bot(asker, "alerts", "Bob", "#team")

    def send(ident: bytes, items: bytes, slot: bytes = b"disk", recipient: str = "Bob") -> bytes:
        """Send one; the headers that say what it does."""
        asker.ask(to(asker, recipient, ident, id=ident, slot=slot, items=items, headers=b""))
        name = "Bob" if recipient == "Bob" else "alice"
        return asker.log(name)[-1].headers

    assert send(b"1", b"a b") == b""
    assert send(b"2", b"b") == b"Edits: 1\n"
    assert send(b"3", b"a") == b"", "a was over, and is there again"
    assert send(b"4", b"a") == b"Edits: 3\n"
    assert send(b"5", b"a", b"cpu") == b"", "another slot"
    assert send(b"6", b"a", recipient="#team") == b"", "another recipient"
    assert send(b"7", b"") == b"Edits: 3\n"
    assert send(b"8", b"") == b"", "the slot has ended"
    assert send(b"9", b"a") == b""
    asker.ask(asker.correction("alerts", MessageAction.DELETE, b"9", to="Bob", id=b"10"))
    assert send(b"11", b"a") == b"", "the message is gone, and this one takes its place"
    assert send(b"12", b"a") == b"Edits: 11\n"
    duplicate = asker.ask(to(asker, "Bob", b"4", id=b"4", slot=b"disk", items=b"a"))
    assert not isinstance(duplicate, Appended)
    assert bodies(asker.history("Bob", "alerts"))[:3] == [b"2", b"2", b"7"]
    asker.reopen()
    assert send(b"13", b"") == b"Edits: 11\n", "also after a restart"


def test_the_oldest_slots_are_forgotten(new_asker: AskerMaker) -> None:
    asker = place(new_asker)
    add_bot(asker, "alerts", "Bob")
    asker.store.apply(
        [
            to(asker, "Bob", id=b"m%d" % number, slot=b"s%d" % number, items=b"a", time=NOW + number)
            for number in range(1002)
        ]
    )
    for number, is_edit in ((0, False), (1001, True), (3, True)):
        done = asker.ask(to(asker, "Bob", id=b"e%d" % number, slot=b"s%d" % number, time=NOW + 2000))
        assert isinstance(done, Appended)
        assert (b"Edits:" in done.effects.entries[0].headers) is is_edit, number
