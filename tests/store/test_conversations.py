"""Conversations, blocking, and who sees whom (docs/protocol.md, sections 14 and 15)."""

import pytest

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, TIME, Asker, brief, events
from twotick.store.port import StoreLimits
from twotick.store.requests.conversations import ConversationInfo, ConversationSet, ListConversations, SetConversation
from twotick.store.requests.messages import Effects, EntryKind, Expire, MessageAction, MessageState, Prune
from twotick.store.requests.presence import ListAudience, ListContacts, SetShown
from twotick.store.requests.rooms import InviteToRoom, RoomRole


def told(
    name: str, unread: int, mentions: int, read: int, newest: int, role: RoomRole = RoomRole.NONE
) -> ConversationInfo:
    return ConversationInfo(name, unread, mentions, read, newest, muted=False, blocked=False, role=role)


# Conversations (14.1 and 14.2)


def test_conversations_are_with_users_and_rooms_the_newest_first(asker: Asker):
    asker.send("bob", "alice")
    asker.gather("alice", "bob")
    asker.send("alice", "carol")
    asker.say("bob")
    asker.send("dan", "alice")
    assert asker.conversations("alice") == [
        told("dan", 1, 0, 0, 6),
        told("#Team", 1, 0, 0, 5, RoomRole.OWNER),
        told("carol", 0, 0, 0, 4),
        told("bob", 1, 0, 0, 1),
    ]
    assert [each.name for each in asker.conversations("alice", most=2)] == ["dan", "#Team"]
    assert asker.conversations("carol") == [told("alice", 1, 0, 0, 1)]


def test_what_was_read_is_not_unread(asker: Asker):
    asker.gather("alice", "bob")
    for _ in range(3):
        asker.send("bob", "alice")
        asker.say("bob")
    asker.read("alice", "BOB", 5)
    asker.read("alice", "#TEAM", 6)
    assert asker.conversations("alice") == [told("#Team", 1, 0, 6, 8, RoomRole.OWNER), told("bob", 1, 0, 5, 7)]


def test_what_only_changes_and_what_happens_does_not_count_as_unread(asker: Asker):
    asker.gather("alice", "bob")
    asker.send("bob", "alice", id=b"m1")
    asker.ask(asker.correction("bob", MessageAction.EDIT, b"m1", b"x", to="alice", id=b"m2"))
    asker.ask(asker.correction("bob", MessageAction.REACT, b"m1", b"+1", to="alice", id=b"m3"))
    assert asker.conversation("alice", "bob") == told("bob", 1, 0, 0, 5)
    assert asker.conversation("alice", "#Team") == told("#Team", 0, 0, 0, 2, RoomRole.OWNER)
    asker.create("carol", "#other")
    asker.invite("carol", "alice", "#other")
    assert asker.conversation("alice", "carol") == told("carol", 0, 0, 0, 6)


def test_a_deleted_message_is_neither_unread_nor_a_mention(asker: Asker):
    asker.gather("alice", "bob", "carol")
    asker.send("bob", "alice", id=b"m1")
    asker.say("bob", b"@alice and @carol", id=b"m2")
    assert asker.conversation("alice", "bob").unread == 1
    asker.ask(asker.correction("bob", MessageAction.DELETE, b"m1", to="alice", id=b"d1"))
    assert asker.conversation("alice", "bob").unread == 0
    asker.ask(asker.correction("alice", MessageAction.DELETE, b"m2", about_name=b"bob", to="#team", id=b"d2"))
    for name in ("alice", "carol"):
        found = asker.conversation(name, "#Team")
        assert (found.unread, found.mentions) == (0, 0)
    assert asker.store.check() == []


def test_an_edit_changes_who_is_mentioned(asker: Asker):
    asker.gather("alice", "bob", "carol")
    asker.say("bob", b"hello @ALICE and @nobody", id=b"m1")
    asker.say("bob", b"hello @carol", id=b"m2")
    asker.read("carol", "#team", 99)

    def mentions() -> list[tuple[int, int]]:
        each = [asker.conversation(name, "#Team") for name in ("alice", "bob", "carol")]
        return [(found.unread, found.mentions) for found in each]

    assert mentions() == [(2, 1), (0, 0), (0, 0)]
    asker.ask(asker.correction("bob", MessageAction.EDIT, b"m1", b"hello @bob and @Carol", to="#team", id=b"e1"))
    assert mentions() == [(2, 0), (0, 0), (0, 0)], "what was read is not unread again, nor is what one says oneself"
    asker.ask(asker.correction("bob", MessageAction.EDIT, b"m2", b"hello @alice", to="#team", id=b"e2"))
    asker.ask(asker.correction("bob", MessageAction.EDIT, b"m2", b"hello @alice!", to="#team", id=b"e3"))
    assert mentions() == [(2, 1), (0, 0), (0, 0)]
    assert asker.store.check() == []


def test_a_note_to_oneself_is_read_and_in_the_history_once(asker: Asker):
    asker.send("alice", "bob", id=b"m1")
    asker.send("alice", "alice", id=b"m2", body=b"buy oats")
    assert asker.conversation("alice", "alice").unread == 0
    assert brief(asker.history("alice", "alice")) == [(2, "SENT", b"m2")]
    assert brief(asker.history("alice")) == [(1, "SENT", b"m1"), (2, "SENT", b"m2")]
    assert brief(asker.log("alice")) == [(1, "SENT", b"m1"), (2, "SENT", b"m2"), (3, "RECEIVED", b"m2")]


def test_mentions_are_counted_in_rooms(asker: Asker):
    asker.gather("alice", "bob", "carol")
    for body in (b"@alice", b"hi @ALICE!", b"@alicea b@alice", b"@bob"):
        asker.say("bob", body)
    asker.send("bob", "alice", body=b"@alice")
    assert asker.conversation("alice", "#Team") == told("#Team", 4, 2, 0, 7, RoomRole.OWNER)
    assert asker.conversation("alice", "bob").mentions == 0
    assert asker.conversation("carol", "#Team").mentions == 0
    asker.read("alice", "#team", 5)
    assert (asker.conversation("alice", "#Team").unread, asker.conversation("alice", "#Team").mentions) == (2, 0)


def test_a_room_that_was_left_is_no_conversation(asker: Asker):
    asker.gather("alice", "bob", "carol")
    asker.say("alice")
    asker.leave("bob")
    asker.dismiss("alice", "carol")
    assert [each.name for each in asker.conversations("bob")] == ["alice"], "who has invited bob"
    assert [each.name for each in asker.conversations("carol")] == ["alice"]


def test_what_is_sent_to_all_is_no_conversation_for_its_sender(asker: Asker):
    asker.send("alice", "bob", "carol", to="All")
    assert asker.conversations("alice") == []
    assert asker.conversations("bob") == [told("alice", 1, 0, 0, 1)]


def test_a_room_of_which_nothing_is_left_is_a_conversation(asker: Asker):
    asker.create("alice")
    asker.ack("alice", 1)
    asker.ask(Prune(NOW + 100, 1))
    assert asker.conversations("alice") == [told("#Team", 0, 0, 0, 0, RoomRole.OWNER)]


def test_conversations_of_nobody_are_none(asker: Asker):
    assert asker.ask(ListConversations(99, 1000)) == []


# Muting and blocking (14.3 and 14.4)


def test_how_a_conversation_is_set_is_told_to_ones_own_devices(asker: Asker):
    answer = asker.set("alice", "BOB", muted=True)
    assert (answer.muted, answer.blocked) == (True, False)
    (entry,) = answer.effects.entries
    headers = f"{TIME}Event: set\nOf: bob\nMuted: yes\nBlocked: no\n".encode()
    assert (entry.kind, entry.peer, entry.headers, entry.id) == (EntryKind.RECEIVED, b"alice", headers, b"")
    assert asker.log("alice") == [entry]
    assert asker.history("alice") == [entry]
    assert asker.history("alice", "alice") == []
    assert asker.log("bob") == []
    again = asker.set("alice", "bob", muted=True)
    assert (again.muted, again.effects) == (True, Effects()), "nothing has changed"
    both = asker.set("alice", "bob", blocked=True)
    assert (both.muted, both.blocked) == (True, True)
    (found,) = asker.conversations("alice")
    assert (found.name, found.muted, found.blocked, found.newest) == ("bob", True, True, 0)
    asker.set("alice", "bob", muted=False, blocked=False)
    assert asker.conversations("alice") == []


def test_rooms_are_muted_but_not_blocked(asker: Asker):
    asker.create("alice")
    alice = asker.members["alice"]
    assert events(asker.set("alice", "#team", muted=True).effects.entries) == [
        "alice Event: set Of: #Team Muted: yes Blocked: no"
    ]
    assert asker.conversation("alice", "#Team").muted
    refused = SetConversation(alice, b"#team", None, True, NOW)
    assert asker.refusal(refused) == "rooms can be muted, but not blocked"
    elsewhere = SetConversation(asker.members["bob"], b"#team", True, None, NOW)
    assert asker.refusal(elsewhere) == "there is no such room"
    for peer in (b"", b"all", b"a b", b"\xff"):
        assert asker.refusal(SetConversation(alice, peer, True, None, NOW)) == "there is no such conversation"


def test_only_so_many_conversations_are_set(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(settings=1))
    asker.add("alice")
    asker.set("alice", "bob", muted=True)
    asker.set("alice", "bob", blocked=True)
    many = "too many conversations have settings; at most 1 can have some"
    assert asker.refusal(SetConversation(asker.members["alice"], b"carol", True, None, NOW)) == many
    asker.set("alice", "bob", muted=False, blocked=False)
    asker.set("alice", "carol", muted=True)


def test_what_a_blocked_user_sends_is_accepted_and_never_arrives(asker: Asker):
    asker.set("bob", "Alice", blocked=True)
    sent = asker.send("alice", "bob", id=b"m1")
    assert brief(sent.effects.entries) == [(1, "SENT", b"m1")]
    assert asker.history("alice")[0].state is MessageState.ACCEPTED
    assert asker.receipts("alice", "bob", b"m1") == {"bob": MessageState.ACCEPTED}
    asker.open("bob", "phone")
    asker.ack("bob", 99)
    asker.set("bob", "alice", blocked=False)
    assert [entry.id for entry in asker.history("bob", "alice")] == [], "nor later"
    assert brief(asker.send("alice", "bob", id=b"m2").effects.entries) == [(2, "SENT", b"m2"), (3, "RECEIVED", b"m2")]
    if asker.folder is not None:
        asker.set("bob", "alice", blocked=True)
        asker.reopen()
        assert len(asker.send("alice", "bob").effects.entries) == 1


def test_what_a_blocked_user_sends_expires_as_for_somebody_who_is_away(asker: Asker):
    asker.set("bob", "alice", blocked=True)
    asker.send("alice", "bob", id=b"m1", expires=NOW + 1)
    asker.send("alice", "carol", id=b"m2", expires=NOW + 1)
    outcome = asker.ask(Expire(NOW + 1))
    assert isinstance(outcome, Effects)
    assert [(entry.id, entry.kind, entry.reason) for entry in outcome.entries] == [
        (b"m1", EntryKind.FAILED, "expired"),
        (b"m2", EntryKind.FAILED, "expired"),
    ]


def test_what_is_sent_to_all_does_not_reach_who_has_blocked_its_sender(asker: Asker):
    asker.set("bob", "alice", blocked=True)
    sent = asker.send("alice", "bob", "carol", to="ALL", id=b"m1", expires=NOW + 1)
    assert [entry.member for entry in sent.effects.entries] == [asker.members["alice"], asker.members["carol"]]
    asker.read("carol", "alice", 1)
    assert asker.receipts("alice", "all", b"m1") == {"carol": MessageState.READ}
    outcome = asker.ask(Expire(NOW + 1))
    assert isinstance(outcome, Effects)
    assert outcome.entries == []
    alone = asker.send("alice", "bob", to="ALL", id=b"m2", expires=NOW + 1)
    assert [entry.kind for entry in alone.effects.entries] == [EntryKind.SENT, EntryKind.DELIVERED]
    assert asker.receipts("alice", "all", b"m2") == {}


def test_a_full_mailbox_does_not_tell_that_somebody_is_blocked(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(mailbox_entries=1))
    asker.add("alice", "bob", "carol")
    asker.set("bob", "alice", blocked=True)
    assert brief(asker.log("bob")) == [(1, "RECEIVED", b"")], "that it was set"
    for name in ("alice", "carol"):
        assert asker.refusal(asker.append(name, "bob")) == "the mailbox of bob is full"


def test_a_blocked_guest_is_told_that_nobody_is_there(asker: Asker):
    asker.set("bob", "DAN", blocked=True)
    assert asker.refusal(asker.append("dan", "bob", to="Bob")) == "Bob is not connected"
    sent = asker.send("dan", "bob", "carol", to="ALL")
    assert [entry.member for entry in sent.effects.entries] == [asker.members["carol"]]
    assert asker.ack("carol", 1).guests == [(sent.message, MessageState.DELIVERED, "")]


def test_a_blocked_user_is_not_told_what_was_read(asker: Asker):
    asker.send("alice", "bob", id=b"m1")
    asker.ack("bob", 1)
    asker.set("bob", "alice", blocked=True)
    assert [entry.kind for entry in asker.read("bob", "alice", 1).entries] == [EntryKind.READ_HERE]
    assert asker.receipts("alice", "bob", b"m1") == {"bob": MessageState.DELIVERED}


def test_in_rooms_nothing_changes_for_who_is_blocked(asker: Asker):
    asker.gather("alice", "bob")
    asker.set("bob", "alice", blocked=True)
    sent = asker.say("alice", id=b"m1")
    assert brief(sent.effects.entries)[1:] == [(4, "RECEIVED", b"m1")]
    asker.read("bob", "#team", 4)
    assert asker.receipts("alice", "#team", b"m1") == {"bob": MessageState.READ}


def test_an_invitation_from_a_blocked_user_does_not_arrive(asker: Asker):
    asker.create("alice")
    asker.set("bob", "alice", blocked=True)
    before = asker.log("bob")
    assert asker.invite("alice", "bob").effects == Effects()
    assert asker.log("bob") == before
    assert asker.refusal(InviteToRoom(asker.members["bob"], "#team", "carol", NOW)) == "there is no such room"


def test_what_a_blocked_user_edits_stays_as_it_is(asker: Asker):
    asker.send("alice", "bob", id=b"m1", body=b"first")
    asker.set("bob", "alice", blocked=True)
    asker.ask(asker.correction("alice", MessageAction.EDIT, b"m1", b"second", to="bob", id=b"m2"))
    assert [entry.body for entry in asker.history("bob", "alice")] == [b"first"]
    asker.ask(asker.correction("alice", MessageAction.DELETE, b"m1", to="bob", id=b"m3"))
    assert [entry.body for entry in asker.history("bob", "alice")] == [b""]
    assert [entry.body for entry in asker.history("alice", "bob")] == [b"", b"", b""]


@pytest.mark.parametrize("removed", ["alice", "bob"])
def test_what_waits_for_who_has_blocked_goes_with_either(asker: Asker, removed: str):
    asker.set("bob", "alice", blocked=True)
    asker.send("alice", "bob", id=b"m1")
    outcome = asker.remove(removed)
    reasons = [(entry.id, entry.reason) for entry in outcome.entries]
    assert reasons == ([(b"m1", "bob is not a member any more")] if removed == "bob" else [])


# Presence (section 15)


def audience(asker: Asker, name: str, peer: str = "") -> list[str]:
    numbers = asker.ask(ListAudience(asker.members[name], peer.encode()))
    assert isinstance(numbers, list)
    return [each for each in asker.members if asker.members[each] in numbers]


def contacts(asker: Asker, name: str, room: str = "") -> list[tuple[str, bool]]:
    listed = asker.ask(ListContacts(asker.members[name], room.encode()))
    assert [asker.members[contact.name] for contact in listed] == [contact.member for contact in listed]
    return [(contact.name, contact.shown) for contact in listed]


def test_members_are_seen_by_those_to_whom_they_have_written_and_those_in_a_room_with_them(asker: Asker):
    asker.add("dora")
    assert audience(asker, "alice") == []
    asker.send("alice", "carol")
    asker.send("alice", "alice")
    assert (audience(asker, "alice"), audience(asker, "carol")) == (["carol"], [])
    assert contacts(asker, "carol") == [("alice", True)]
    assert contacts(asker, "alice") == []
    asker.gather("alice", "bob")
    assert (audience(asker, "alice"), audience(asker, "bob")) == (["bob", "carol"], ["alice"])
    assert contacts(asker, "alice") == [("bob", True)]
    asker.leave("bob")
    assert audience(asker, "alice") == ["carol"]
    asker.send("alice", "bob", "dora", to="ALL")
    assert audience(asker, "alice") == ["carol"], "to all is not to somebody"


def test_who_is_asked_for_by_name_or_room(asker: Asker):
    asker.gather("alice", "bob")
    asker.send("alice", "carol")
    assert audience(asker, "alice", "#TEAM") == ["bob"]
    assert audience(asker, "carol", "#team") == []
    assert audience(asker, "alice", "CAROL") == ["carol"]
    assert audience(asker, "alice", "bob") == ["bob"]
    assert audience(asker, "carol", "alice") == []
    assert audience(asker, "alice", "alice") == audience(asker, "alice", "nobody") == []


def test_who_is_blocked_sees_nothing(asker: Asker):
    asker.gather("alice", "bob")
    asker.send("alice", "carol")
    for name in ("bob", "carol"):
        asker.set("alice", name, blocked=True)
    for peer in ("", "#team", "bob", "carol"):
        assert audience(asker, "alice", peer) == []
    assert contacts(asker, "bob") == [("alice", False)]
    assert contacts(asker, "alice") == [("bob", True)], "who is blocked is seen"


def test_who_does_not_wish_to_be_seen_is_not(asker: Asker):
    asker.gather("alice", "bob")
    alice = asker.members["alice"]
    assert asker.ask(SetShown(alice, None)) is True
    assert asker.ask(SetShown(alice, shown=False)) is False
    assert audience(asker, "alice") == audience(asker, "alice", "#team") == audience(asker, "alice", "bob") == []
    assert contacts(asker, "bob") == [("alice", False)]
    if asker.folder is not None:
        asker.reopen()
    assert asker.ask(SetShown(alice, None)) is False
    assert asker.ask(SetShown(alice, shown=True)) is True
    assert contacts(asker, "bob") == [("alice", True)]
    assert asker.ask(SetShown(99, shown=True)) is False


def test_who_comes_back_under_a_name_is_somebody_else(asker: Asker):
    asker.send("alice", "bob")
    asker.send("bob", "alice")
    asker.remove("bob")
    asker.add("bob")
    assert (audience(asker, "alice"), contacts(asker, "alice")) == ([], [])
    assert contacts(asker, "bob") == []


def test_at_most_2000_see_somebody(asker: Asker):
    names = [f"user{i}" for i in range(2005)]
    asker.add(*names, device="")
    asker.create("alice", public=True)
    for name in names[:10]:
        asker.join(name)
    asker.store.apply([asker.append("alice", name) for name in names[5:]])
    seeing = audience(asker, "alice")
    assert len(seeing) == 2000
    assert seeing == names[5:]


def test_who_is_seen_in_a_room_is_asked_for_by_its_name(asker: Asker):
    asker.gather("alice", "bob")
    asker.send("carol", "alice")
    assert [each[0] for each in contacts(asker, "alice")] == ["bob", "carol"]
    assert contacts(asker, "alice", "#TEAM") == [("bob", True)]
    assert contacts(asker, "carol", "#team") == contacts(asker, "alice", "#cellar") == []


def test_the_first_message_of_a_member_to_another_is_known(asker: Asker):
    """From then on that one sees the member (rule 15.2)."""
    assert [asker.send("alice", "bob").is_first for _ in range(2)] == [True, False]
    assert asker.send("bob", "alice").is_first
    assert not asker.send("alice", "alice").is_first
    assert not asker.send("alice", "carol", to="ALL").is_first
    assert not asker.send("guest", "alice").is_first
    asker.gather("alice", "carol")
    assert not asker.say("alice").is_first
    assert asker.send("alice", "carol").is_first


def test_who_could_see_a_member_that_was_removed_is_known_for_an_hour(asker: Asker):
    asker.gather("alice", "bob")
    asker.send("alice", "carol")
    asker.remove("alice")
    number = asker.members["alice"]
    others = [asker.members["bob"], asker.members["carol"]]
    assert asker.ask(ListAudience(number, b"", is_gone=True)) == others
    assert asker.ask(ListAudience(number, b"")) == [], "who is not there is not here"
    for seconds, expected in ((3600, others), (3601, [])):
        while asker.ask(Prune(NOW + seconds, 1e9)):
            pass
        assert asker.ask(ListAudience(number, b"", is_gone=True)) == expected


def test_who_was_not_to_be_seen_is_not_when_it_is_removed(asker: Asker):
    asker.send("alice", "carol")
    asker.ask(SetShown(asker.members["alice"], shown=False))
    asker.remove("alice")
    assert asker.ask(ListAudience(asker.members["alice"], b"", is_gone=True)) == []


def test_a_closed_conversation_is_opened_by_the_next_message(asker: Asker):
    """Rule 14.6."""
    alice = asker.members["alice"]
    asker.send("bob", "alice", id=b"b1")

    def is_closed() -> bool:
        return asker.conversation("alice", "bob").closed

    def close() -> ConversationSet:
        answer = asker.ask(SetConversation(alice, b"bob", None, None, NOW, closed=True))
        assert isinstance(answer, ConversationSet)
        return answer

    assert close().closed
    assert close().effects == Effects(), "it is closed already"
    asker.set("alice", "bob", muted=True)
    reaction = asker.append("bob", "alice", id=b"b2")
    reaction.action, reaction.about = MessageAction.REACT, b"b1"
    asker.ask(reaction)
    assert is_closed(), "a reaction is no message"
    asker.send("bob", "alice", id=b"b3")
    assert not is_closed()
    close()
    assert is_closed()
    asker.send("alice", "bob", id=b"a1")
    assert not is_closed()
    close()
    answer = asker.ask(SetConversation(alice, b"bob", None, None, NOW, closed=False))
    assert isinstance(answer, ConversationSet)
    assert (answer.closed, len(answer.effects.entries), is_closed()) == (False, 1, False)
    asker.set("alice", "bob", muted=False)


def test_a_conversation_is_muted_until_a_time(asker: Asker):
    """Rule 14.6."""
    alice = asker.members["alice"]
    answer = asker.ask(SetConversation(alice, b"bob", None, None, NOW, pinned=True, muted_until=NOW + 60))
    assert isinstance(answer, ConversationSet)
    assert (answer.muted, answer.muted_until, answer.pinned) == (True, NOW + 60, True)
    assert b"Pinned: yes\nMuted-until: " in answer.effects.entries[0].headers
    for time, muted_until in ((NOW + 59, NOW + 60), (NOW + 60, 0.0)):
        (found,) = asker.ask(ListConversations(alice, 9, time=time))
        assert (found.muted, found.muted_until, found.pinned) == (muted_until > 0, muted_until, True)
    for_ever = asker.ask(SetConversation(alice, b"bob", True, None, NOW))
    assert isinstance(for_ever, ConversationSet)
    assert (for_ever.muted, for_ever.muted_until) == (True, 0.0)
    over = asker.ask(SetConversation(alice, b"bob", None, None, NOW, muted_until=NOW - 1))
    assert isinstance(over, ConversationSet)
    assert (over.muted, over.muted_until) == (False, 0.0)
    none = asker.ask(SetConversation(alice, b"bob", None, None, NOW, pinned=False))
    assert isinstance(none, ConversationSet)
    assert not asker.ask(ListConversations(alice, 9)), "nothing is set any more"
