"""What is pushed to which device (docs/protocol.md, section 20)."""

from pathlib import Path

import pytest

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, Asker
from twotick.store import (
    ConversationSet,
    DropPush,
    FindPushes,
    KeepPushKey,
    ListConversations,
    ListSubscribers,
    MessageAction,
    NotePushed,
    PushKey,
    PushLook,
    PushSubscription,
    Refusal,
    Revoke,
    RevokeOthers,
    SetConversation,
    SetPush,
    StoreLimits,
    Unfinished,
)

KEY = b"\x04" + b"k" * 64
AUTH = b"a" * 16


def subscription(endpoint: str = "https://push.example/1", *, text: bool = True) -> PushSubscription:
    return PushSubscription(endpoint, KEY, AUTH, text)


def subscribe(asker: Asker, name: str, device: str = "phone", **more: object) -> None:
    asker.open(name, device)
    assert asker.ask(SetPush(asker.members[name], device, subscription(**more))) is None  # type: ignore[arg-type]


def gathered(folder: Path | None = None) -> Asker:
    return _gathered(Asker(folder))


def _gathered(asker: Asker) -> Asker:
    asker.add("alice", "bob", "carol")
    asker.gather("alice", "bob", "carol")
    subscribe(asker, "alice")
    return asker


def pushes(
    asker: Asker, time: float = NOW + 1, connected: frozenset[str] = frozenset()
) -> list[tuple[str, str, str, int]]:
    """The news for alice's phone: the conversation, the sender, the text, and how many messages."""
    (found,) = asker.ask(FindPushes((PushLook(asker.members["alice"], connected),), time))
    return [(each.name, each.sender, each.text, each.count) for each in found.news]


def test_direct_messages_and_mentions_are_pushed_together_by_conversation(new_asker: AskerMaker) -> None:
    asker = _gathered(new_asker(StoreLimits()))
    asker.send("bob", "alice", id=b"b1", body=b"one")
    asker.say("carol", b"nothing for you", b"c1")
    asker.say("carol", b"but this, @ALICE", b"c2")
    asker.send("bob", "alice", id=b"b2", body="zwei ü".encode())
    asker.send("carol", "alice", "bob", to="ALL", id=b"c3", body=b"to all")
    asker.send("alice", "alice", id=b"a1", body=b"note to self")
    assert pushes(asker) == [("#Team", "carol", "but this, @ALICE", 1), ("bob", "bob", "zwei ü", 2)]
    subscribe(asker, "alice", text=False)
    assert pushes(asker) == [("#Team", "carol", "", 1), ("bob", "bob", "", 2)]


def test_what_a_guest_has_sent_is_not_pushed_as_if_a_member_had(new_asker: AskerMaker) -> None:
    asker = _gathered(new_asker(StoreLimits()))
    asker.send("ann", "alice", body=b"one")
    assert pushes(asker) == [("ann", "ann (guest)", "one", 1)]
    subscribe(asker, "alice", text=False)
    assert pushes(asker) == [("ann", "ann (guest)", "", 1)]


def test_what_is_not_wanted_any_more_is_not_pushed() -> None:
    asker = gathered()
    alice = asker.members["alice"]
    first = asker.send("bob", "alice", id=b"b1", body=b"read elsewhere")
    entry = next(each for each in first.effects.entries if each.member == alice)
    asker.open("alice", "laptop")
    asker.read("alice", "bob", entry.seq, b"laptop")
    asker.send("bob", "alice", id=b"b2", body=b"deleted")
    asker.ask(asker.correction("bob", MessageAction.DELETE, b"b2", to="alice"))
    asker.send("bob", "alice", id=b"b3", body=b"expires", expires=NOW + 5)
    asker.say("carol", b"@alice, from a room that she has left", b"c1")
    asker.leave("alice")
    asker.send(
        "carol",
        "alice",
        id=b"c2",
        body=b"muted",
    )
    asker.ask(SetConversation(alice, b"carol", None, None, NOW, muted_until=NOW + 60))
    assert pushes(asker) == [("bob", "bob", "expires", 1)]
    assert pushes(asker, NOW + 6) == []
    assert pushes(asker, NOW + 61) == [("carol", "carol", "muted", 1)]
    assert pushes(asker, NOW + 86401) == [], "it is a day old"


def test_blocked_users_are_not_pushed_in_rooms_either(new_asker: AskerMaker) -> None:
    asker = _gathered(new_asker(StoreLimits()))
    asker.say("bob", b"@alice, it is me", b"b1")
    asker.ask(SetConversation(asker.members["alice"], b"bob", None, True, NOW))
    assert pushes(asker) == []


def test_all_messages_of_a_room_are_pushed_if_the_member_wants_that(tmp_path: Path) -> None:
    """Rule 14.6."""
    asker = gathered(tmp_path)
    alice = asker.members["alice"]
    answer = asker.ask(SetConversation(alice, b"#team", None, None, NOW, notify_all=True))
    assert isinstance(answer, ConversationSet)
    assert answer.notify_all
    assert b"Notify: all\n" in answer.effects.entries[0].headers
    asker.say("bob", b"for everyone", b"b1")
    asker.reopen()
    assert pushes(asker) == [("#Team", "bob", "for everyone", 1)]
    (room,) = asker.ask(ListConversations(alice, 10))
    assert room.notify_all
    asker.ask(SetConversation(alice, b"#team", True, None, NOW))
    assert pushes(asker) == [], "muted is none"
    assert asker.refusal(SetConversation(alice, b"bob", None, None, NOW, notify_all=True)).startswith(
        "Notify is for rooms"
    )
    asker.ask(SetConversation(alice, b"#team", False, None, NOW, notify_all=False))
    assert pushes(asker) == []


def test_a_device_is_given_time_to_receive_a_message_while_it_is_connected() -> None:
    asker = gathered()
    asker.send("bob", "alice", id=b"b1", time=NOW)
    look = FindPushes((PushLook(asker.members["alice"], frozenset(["phone"])),), NOW + 1)
    (found,) = asker.ask(look)
    assert (found.news, found.waits) == ((), True)
    assert len(pushes(asker, NOW + 15, frozenset(["phone"]))) == 1
    asker.ack("alice", 99, b"phone")
    assert pushes(asker, NOW + 15) == []


def test_what_was_pushed_is_not_pushed_again(tmp_path: Path) -> None:
    asker = gathered(tmp_path)
    asker.send("bob", "alice", id=b"b1")
    asker.send("carol", "alice", id=b"c1")
    (found,) = asker.ask(FindPushes((PushLook(asker.members["alice"]),), NOW))
    first, second = found.news
    assert first.seq < second.seq
    asker.ask(NotePushed(found.member, found.device, first.seq))
    asker.reopen()
    assert pushes(asker) == [("carol", "carol", "hello", 1)]
    asker.ask(NotePushed(found.member, found.device, second.seq))
    asker.ask(NotePushed(found.member, found.device, first.seq))
    assert pushes(asker) == []
    subscribe(asker, "alice")
    assert pushes(asker) == [], "the same subscription goes on"


def test_only_the_newest_conversations_are_pushed() -> None:
    asker = Asker()
    senders = [f"sender{number}" for number in range(10)]
    asker.add("alice", *senders)
    subscribe(asker, "alice")
    for number, name in enumerate(senders):
        asker.send(name, "alice", id=b"m%d" % number)
    assert [each[0] for each in pushes(asker)] == senders[2:]


def test_many_members_with_much_that_is_unread_are_looked_at_in_steps() -> None:
    asker = Asker()
    names = [f"member{number}" for number in range(3)]
    asker.add("bob", *names)
    for name in names:
        subscribe(asker, name, endpoint=f"https://push.example/{name}")
        for number in range(300):
            asker.send("bob", name, id=b"%b-%d" % (name.encode(), number))
    request = FindPushes(tuple(PushLook(asker.members[name]) for name in names), NOW)
    assert isinstance(asker.store.work_on([request]).answers[0], Unfinished)
    found = asker.ask(request)
    assert [(each.member, each.news[0].count) for each in found] == [(asker.members[name], 300) for name in names]


def end_by_request(asker: Asker) -> None:
    asker.ask(SetPush(asker.members["alice"], "phone", None))


def end_by_the_service(asker: Asker) -> None:
    asker.ask(DropPush(asker.members["alice"], "phone", "https://push.example/other"))
    assert asker.ask(ListSubscribers()) == [asker.members["alice"]]
    asker.ask(DropPush(asker.members["alice"], "phone", "https://push.example/1"))


def end_by_revoking(asker: Asker) -> None:
    asker.ask(Revoke(asker.members["alice"], "phone"))


def end_by_a_new_password(asker: Asker) -> None:
    asker.ask(RevokeOthers(asker.members["alice"], "main"))


def end_by_removal(asker: Asker) -> None:
    asker.remove("alice")


def end_by_another_account(asker: Asker) -> None:
    """The browser has another account now."""
    subscribe(asker, "bob")
    found = asker.ask(FindPushes(tuple(PushLook(number) for number in asker.members.values()), NOW))
    assert [each.member for each in found] == [asker.members["bob"]]
    end = SetPush(asker.members["bob"], "phone", None)
    asker.ask(end)


@pytest.mark.parametrize(
    "end",
    [
        end_by_request,
        end_by_the_service,
        end_by_revoking,
        end_by_a_new_password,
        end_by_removal,
        end_by_another_account,
    ],
)
def test_a_subscription_ends_with_its_device(end: object) -> None:
    asker = gathered()
    assert asker.ask(ListSubscribers()) == [asker.members["alice"]]
    end(asker)  # type: ignore[operator]
    assert asker.ask(ListSubscribers()) == []
    assert asker.ask(FindPushes((PushLook(asker.members["alice"]),), NOW)) == []
    assert asker.store.check() == []


def test_a_device_that_is_gone_cannot_be_subscribed() -> None:
    asker = gathered()
    asker.ask(Revoke(asker.members["alice"], "phone"))
    refused = asker.ask(SetPush(asker.members["alice"], "phone", subscription()))
    assert refused == Refusal("the device was revoked")


def test_the_server_keeps_its_key(tmp_path: Path) -> None:
    asker = Asker(tmp_path)
    assert asker.ask(KeepPushKey(None)) is None
    assert asker.ask(KeepPushKey(PushKey(b"private", b"public"))) == PushKey(b"private", b"public")
    asker.store.backup(tmp_path / "copy")
    asker.reopen()
    assert asker.ask(KeepPushKey(PushKey(b"other", b"other"))) == PushKey(b"private", b"public")
    assert b"private" in (tmp_path / "copy").read_bytes()
