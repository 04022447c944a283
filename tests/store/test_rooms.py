"""Rooms and what is sent to them (docs/protocol.md, section 12)."""

from dataclasses import replace

import pytest

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, TIME, Asker, bodies, brief, events
from twotick.store.port import StoreLimits
from twotick.store.requests.conversations import ListReceipts
from twotick.store.requests.messages import (
    Duplicate,
    Effects,
    EntryKind,
    Expire,
    LogEntry,
    MessageAction,
    MessageState,
    Progress,
    Prune,
)
from twotick.store.requests.rooms import (
    ChangeRoom,
    CreateRoom,
    GetRoom,
    InviteToRoom,
    JoinRoom,
    ListRoomMembers,
    ListRooms,
    RoomDescription,
    RoomRole,
)


@pytest.fixture
def team(asker: Asker) -> Asker:
    """Alice owns the private room #Team, with bob and carol; dora is a member who is not in it."""
    asker.add("dora")
    asker.gather("alice", "bob", "carol")
    return asker


# Rooms (12.1 to 12.4)


def test_a_room_belongs_to_who_made_it(asker: Asker):
    made = asker.create("alice", "#Team", public=True, topic="what we do")
    assert made.room == RoomDescription("#Team", True, "what we do", 1, RoomRole.OWNER, invited=False)
    headers = f"{TIME}Event: created\n".encode()
    entry = LogEntry(
        asker.members["alice"],
        1,
        EntryKind.RECEIVED,
        1,
        b"alice",
        id=b"",
        headers=headers,
        time=NOW,
        room=b"#Team",
        place=1,
    )
    assert made.effects == Effects([entry])
    entry.state = MessageState.ACCEPTED
    assert asker.log("alice") == [entry]
    assert asker.refusal(CreateRoom(asker.members["bob"], "#TEAM", False, "", NOW)) == "there is a room #TEAM already"


def test_a_private_room_is_there_only_for_those_in_it_and_those_invited(team: Asker):
    dora = team.members["dora"]
    requests = [
        GetRoom(dora, "#team"),
        ListRoomMembers(dora, "#team"),
        JoinRoom(dora, "#team", NOW),
        InviteToRoom(dora, "#team", "bob", NOW),
        team.speech("dora"),
    ]
    for request in requests:
        assert team.refusal(request) == "there is no such room"
    assert team.ask(ListRooms(dora, 100)) == []
    assert events(team.invite("alice", "Dora").effects.entries) == ["alice Event: invited Room: #Team Member: dora"]
    assert team.look("dora") == RoomDescription("#Team", False, "", 3, RoomRole.NONE, invited=True)
    assert list(team.roles("dora")) == ["alice", "bob", "carol"]
    assert team.ask(ListRooms(dora, 100)) == [team.look("dora")]
    assert team.refusal(team.speech("dora")) == "you are not in #Team"
    assert team.join("dora").room == RoomDescription("#Team", False, "", 4, RoomRole.MEMBER, invited=False)


def test_rooms_of_ones_own_are_listed_before_others(asker: Asker):
    for name in ("#a", "#b", "#c", "#d"):
        asker.create("alice", name, public=True)
    bob = asker.members["bob"]
    asker.join("bob", "#c")
    asker.invite("alice", "bob", "#d")
    listed = [asker.ask(ListRooms(bob, most)) for most in (3, 100)]
    names = [[room.name for room in each] for each in listed]
    assert names == [["#c", "#d", "#a"], ["#c", "#d", "#a", "#b"]]


def test_a_public_room_is_found_and_joined_by_every_member(asker: Asker):
    asker.create("alice", "#open", public=True)
    assert asker.ask(ListRooms(asker.members["bob"], 100)) == [
        RoomDescription("#open", True, "", 1, RoomRole.NONE, invited=False)
    ]
    joined = asker.join("bob", "#OPEN")
    assert [(entry.member, entry.peer) for entry in joined.effects.entries] == [(1, b"bob"), (2, b"bob")]
    assert asker.join("bob", "#open").effects == Effects(), "nothing happens the second time"
    assert asker.look("carol", "#open").members == 2


def test_an_invitation_is_told_to_the_invited_member_alone(team: Asker):
    before = len(team.log("bob"))
    (entry,) = team.invite("alice", "dora").effects.entries
    assert (entry.member, entry.peer, entry.room, entry.place) == (team.members["dora"], b"alice", b"", 0)
    assert team.history("dora", "alice") == [entry]
    assert len(team.log("bob")) == before
    assert team.invite("alice", "dora").effects == Effects(), "nor is it told twice"


def test_what_happens_is_told_to_all_and_to_who_did_it(team: Asker):
    alice = team.members["alice"]
    team.change(ChangeRoom(alice, "#team", True, "plans", NOW))
    team.appoint("alice", "bob", RoomRole.MODERATOR)
    team.dismiss("bob", "carol")
    team.leave("bob")
    told = [
        "alice Event: created",
        "bob Event: joined",
        "carol Event: joined",
        "alice Event: changed Topic: plans Access: public",
        "alice Event: appointed Member: bob Role: moderator",
        "bob Event: removed Member: carol",
        "bob Event: left",
    ]
    assert events(team.log("alice")) == told
    invited = "alice Event: invited Room: #Team Member: "
    assert events(team.log("bob")) == [invited + "bob", *told[1:]]
    assert events(team.log("carol")) == [invited + "carol", *told[2:-1]]
    assert [entry.place for entry in team.history("alice", "#team")] == [1, 2, 3, 4, 5, 6, 7]


def test_an_owner_who_leaves_is_followed_by_a_moderator_or_by_who_was_there_longest(team: Asker):
    team.appoint("alice", "carol", RoomRole.MODERATOR)
    team.leave("alice")
    assert team.roles("bob") == {"bob": RoomRole.MEMBER, "carol": RoomRole.OWNER}
    team.leave("carol")
    assert team.roles("bob") == {"bob": RoomRole.OWNER}


def test_a_room_without_members_is_gone_and_another_of_its_name_is_another(asker: Asker):
    asker.create("alice", public=True)
    asker.say("alice", b"secret", b"m1")
    asker.invite("alice", "bob")
    assert asker.leave("alice").room.members == 0
    assert asker.refusal(GetRoom(asker.members["alice"], "#team")) == "there is no such room"
    assert asker.history("alice", "#team") == []
    assert bodies(asker.history("alice")) == [b"secret"], "what is in one's log stays there"
    asker.create("bob", public=True)
    asker.join("carol")
    for name in ("bob", "carol"):
        assert events(asker.history(name, "#team")) == ["bob Event: created", "carol Event: joined"]
    asker.join("alice")
    assert bodies(asker.history("alice", "#team")) == []
    assert (
        asker.refusal(asker.correction("alice", MessageAction.EDIT, b"m1", b"other"))
        == "there is no such message of yours"
    )


def test_a_removed_member_leaves_its_rooms(team: Asker):
    team.create("alice", "#den")
    team.invite("alice", "bob", "#den")
    outcome = team.remove("alice")
    assert {entry.member for entry in outcome.entries} == {team.members["bob"], team.members["carol"]}
    assert events(team.log("bob"))[-1] == "alice Event: left"
    assert team.roles("carol") == {"bob": RoomRole.OWNER, "carol": RoomRole.MEMBER}
    team.create("bob", "#den")
    team.add("alice")
    assert team.ask(ListRooms(team.members["alice"], 100)) == []


def test_a_removed_member_is_invited_no_more(team: Asker):
    team.invite("alice", "dora")
    team.remove("dora")
    team.add("dora")
    assert team.ask(ListRooms(team.members["dora"], 100)) == []


def test_there_are_limits(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(room_members=2, rooms=2))
    asker.add("alice", "bob", "carol")
    asker.gather("alice", "bob")
    asker.invite("alice", "carol")
    full = "the room is full; it has at most 2 members"
    assert asker.refusal(JoinRoom(asker.members["carol"], "#team", NOW)) == full
    asker.create("alice", "#two", public=True)
    many = "you are in too many rooms; a member is in at most 2"
    assert asker.refusal(CreateRoom(asker.members["alice"], "#three", True, "", NOW)) == many
    asker.create("carol", "#three", public=True)
    assert asker.refusal(JoinRoom(asker.members["alice"], "#three", NOW)) == many
    asker.leave("alice", "#two")
    asker.join("alice", "#three")


# Messages (12.5 and 12.6)


def test_a_message_to_a_room_is_an_entry_for_each_of_its_members(team: Asker):
    sent = team.say("alice", b"hello", b"m1", "#TEAM")
    number, place = sent.message, 4
    assert (sent.place, sent.members) == (place, 2)
    own = LogEntry(
        1,
        4,
        EntryKind.SENT,
        number,
        b"#TEAM",
        id=b"m1",
        headers=b"X-a: 1\n",
        body=b"hello",
        device=b"main",
        time=NOW,
        place=place,
    )
    others = [
        LogEntry(
            2,
            4,
            EntryKind.RECEIVED,
            number,
            b"alice",
            id=b"m1",
            headers=b"X-a: 1\n",
            body=b"hello",
            time=NOW,
            room=b"#Team",
            place=place,
        ),
        LogEntry(
            3,
            3,
            EntryKind.RECEIVED,
            number,
            b"alice",
            id=b"m1",
            headers=b"X-a: 1\n",
            body=b"hello",
            time=NOW,
            room=b"#Team",
            place=place,
        ),
    ]
    assert sent.effects == Effects([own, *others])
    assert [team.log(name)[-1] for name in ("alice", "bob", "carol")] == [own, *others]
    assert team.log("dora") == []


def test_who_is_not_in_a_room_cannot_send_to_it(team: Asker):
    team.create("alice", "#open", public=True)
    assert team.refusal(team.speech("bob", room="#open")) == "you are not in #open"
    assert team.refusal(team.speech("bob", room="#nowhere")) == "there is no such room"
    assert team.refusal(team.append("guest", to="#open")) == "there is no such room"
    team.leave("bob")
    assert team.refusal(team.speech("bob")) == "there is no such room"


def test_the_same_id_again_is_known_in_a_room(team: Asker):
    sent = team.say("alice", id=b"m1")
    known = Duplicate(sent.message, True, MessageState.ACCEPTED, "", sent.effects.entries[0].seq, sent.place)
    assert team.ask(team.speech("alice", id=b"m1")) == known
    assert team.ask(team.append("alice", "bob", id=b"m1")) == replace(known, same=False)
    assert team.say("alice").place == sent.place + 1, "it has taken no place"


def test_a_sender_is_told_how_many_have_it_and_that_all_do(team: Asker):
    sent = team.say("alice", id=b"m1")
    first = team.ack("carol", 3)
    assert first.entries == []
    assert first.progress == [Progress(team.members["alice"], sent.message, b"#team", b"m1", 1, 2)]
    assert team.ack("carol", 3).progress == []
    last = team.ack("bob", 4)
    assert (brief(last.entries), last.progress) == ([(5, "DELIVERED", b"m1")], [])
    assert last.entries[0].peer == b"#team"


def test_acknowledgements_of_several_messages_in_one_batch(team: Asker):
    for ident in (b"m1", b"m2"):
        team.say("alice", id=ident)
    outcome = team.ack("carol", 4)
    assert [(each.id, each.have, each.of) for each in outcome.progress or ()] == [(b"m1", 1, 2), (b"m2", 1, 2)]
    assert brief(team.ack("bob", 5).entries) == [(6, "DELIVERED", b"m1"), (7, "DELIVERED", b"m2")]


def test_a_message_to_nobody_but_oneself_is_delivered_at_once(asker: Asker):
    asker.create("alice")
    sent = asker.say("alice", id=b"m1")
    assert brief(sent.effects.entries) == [(2, "SENT", b"m1"), (3, "DELIVERED", b"m1")]
    assert sent.members == 0


def test_nobody_waits_for_events(team: Asker):
    for name in ("alice", "bob", "carol"):
        outcome = team.ack(name, len(team.log(name)))
        assert (outcome.entries, outcome.progress) == ([], [])


def test_a_full_mailbox_gets_no_message_and_the_sender_is_told_in_the_end(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(mailbox_entries=4))
    asker.add("alice", "bob", "carol")
    asker.gather("alice", "bob", "carol")
    asker.ack("alice", 3)
    asker.ack("bob", 3)
    asker.send("bob", "carol")
    asker.send("bob", "carol")
    sent = asker.say("alice", id=b"m1")
    assert sent.members == 2
    assert [entry.member for entry in sent.effects.entries] == [1, 2]
    assert asker.receipts("alice", "#team", b"m1") == {"bob": MessageState.ACCEPTED, "carol": MessageState.FAILED}
    (failed,) = asker.ack("bob", 99).entries
    assert (failed.kind, failed.reason) == (EntryKind.FAILED, "the mailbox of carol is full; 1 of 2 have it")
    asker.leave("bob")
    assert asker.refusal(asker.speech("alice")) == "the mailbox of carol is full"


def test_a_refused_message_fails_for_that_member(team: Asker):
    team.say("alice", id=b"m1")
    team.refuse("bob", 4)
    assert brief(team.ack("carol", 3).entries) == [(5, "FAILED", b"m1")]
    assert team.receipts("alice", "#team", b"m1") == {"bob": MessageState.FAILED, "carol": MessageState.DELIVERED}
    assert bodies(team.history("bob", "#team")) == [b"hello"], "it is in the room even so"


def test_a_message_expires_for_those_who_do_not_have_it(team: Asker):
    request = team.speech("alice", id=b"m1")
    request.expires = NOW + 1
    team.ask(request)
    team.ack("carol", 3)
    outcome = team.ask(Expire(NOW + 1))
    assert isinstance(outcome, Effects)
    assert [(entry.kind, entry.reason) for entry in outcome.entries] == [(EntryKind.FAILED, "expired; 1 of 2 have it")]
    assert team.receipts("alice", "#team", b"m1") == {"bob": MessageState.FAILED, "carol": MessageState.DELIVERED}


def test_a_removed_member_is_waited_for_no_more(team: Asker):
    team.say("alice", id=b"m1")
    team.ack("carol", 3)
    failed = [entry for entry in team.remove("bob").entries if entry.kind is EntryKind.FAILED]
    assert [(entry.id, entry.reason) for entry in failed] == [(b"m1", "bob is not a member any more; 1 of 2 have it")]
    assert team.receipts("alice", "#team", b"m1") == {"carol": MessageState.DELIVERED}


def test_who_leaves_still_gets_what_was_sent_before(team: Asker):
    team.say("alice", id=b"m1")
    team.leave("bob")
    assert bodies(team.log("bob")) == [b"hello"]
    team.ack("carol", 4)
    assert brief(team.ack("bob", 5).entries) == [(6, "DELIVERED", b"m1")]


# Receipts and reading (12.7 and 12.9)


def test_receipts_say_what_became_of_a_message_for_each(team: Asker):
    team.say("alice", id=b"m1")
    assert team.receipts("alice", "#TEAM", b"m1") == {"bob": MessageState.ACCEPTED, "carol": MessageState.ACCEPTED}
    team.ack("bob", 4)
    outcome = team.read("carol", "#team", 3)
    assert brief(outcome.entries) == [(5, "DELIVERED", b"m1"), (4, "READ_HERE", b"")]
    here = outcome.entries[1]
    assert (here.peer, here.up_to) == (b"#Team", 3)
    assert team.log("carol")[-1] == here
    assert team.receipts("alice", "#team", b"m1") == {"bob": MessageState.DELIVERED, "carol": MessageState.READ}
    team.send("alice", "bob", id=b"m2")
    assert team.receipts("alice", "BOB", b"m2") == {"bob": MessageState.ACCEPTED}


def test_reading_in_a_room_of_two_tells_the_sender_nothing(asker: Asker):
    asker.gather("alice", "bob")
    asker.say("alice", id=b"m1")
    asker.ack("bob", 3)
    assert [entry.kind for entry in asker.read("bob", "#team", 3).entries] == [EntryKind.READ_HERE]
    assert asker.receipts("alice", "#team", b"m1") == {"bob": MessageState.READ}
    assert asker.history("alice", "#team")[-1].state is MessageState.DELIVERED


def test_receipts_are_for_the_sender_alone(team: Asker):
    team.say("alice", id=b"m1")
    for name, recipient, ident in (("bob", b"#team", b"m1"), ("alice", b"bob", b"m1"), ("alice", b"#team", b"m2")):
        asked = ListReceipts(team.members[name], recipient, ident)
        assert team.refusal(asked) == "there is no such message of yours"


# History (12.10)


def test_history_is_what_was_sent_to_the_room(team: Asker):
    team.say("alice", b"one")
    team.say("bob", b"two")
    own, other = team.history("bob", "#TEAM", most=2)[::-1]
    assert (own.kind, own.peer, own.room, own.place, own.seq, own.body) == (EntryKind.SENT, b"#team", b"", 5, 0, b"two")
    assert (other.kind, other.peer, other.room, other.place) == (EntryKind.RECEIVED, b"alice", b"#Team", 4)
    assert other.seq == 0
    assert bodies(team.history("alice", "#team", before=5)) == [b"one"]
    assert bodies(team.history("alice", "#team", most=1)) == [b"two"]
    team.ask(team.append("carol", to="#team", body=b"late", time=NOW + 9))
    assert bodies(team.history("alice", "#team", since=NOW + 9)) == [b"late"]


def test_history_of_a_private_room_begins_where_one_joined(team: Asker):
    team.say("alice", b"before")
    team.invite("alice", "dora")
    team.join("dora")
    team.say("alice", b"after")
    assert events(team.history("dora", "#team")) == ["dora Event: joined"]
    assert bodies(team.history("dora", "#team")) == [b"after"]
    assert bodies(team.history("bob", "#team")) == [b"before", b"after"]


def test_history_of_a_public_room_begins_where_it_became_public(team: Asker):
    alice = team.members["alice"]
    team.say("alice", b"private")
    team.change(ChangeRoom(alice, "#team", True, None, NOW))
    team.say("alice", b"public")
    team.join("dora")
    assert bodies(team.history("dora", "#team")) == [b"public"]
    team.change(ChangeRoom(alice, "#team", False, None, NOW))
    team.say("alice", b"private again")
    team.change(ChangeRoom(alice, "#team", True, None, NOW))
    team.add("eve")
    team.join("eve")
    assert bodies(team.history("eve", "#team")) == []
    assert bodies(team.history("dora", "#team")) == [b"public", b"private again"]


def test_who_has_left_or_was_removed_reads_it_no_more(team: Asker):
    team.say("alice", b"one")
    team.leave("bob")
    team.dismiss("alice", "carol")
    for name in ("bob", "carol", "dora"):
        assert team.history(name, "#team") == []
    assert bodies(team.history("bob")) == [b"one"]
    team.say("alice", b"two")
    team.invite("alice", "bob")
    team.join("bob")
    team.say("alice", b"three")
    assert bodies(team.history("bob", "#team")) == [b"three"], "from where one has joined again"


def test_what_a_removed_member_said_is_still_read_in_a_room(asker: Asker):
    asker.create("alice", public=True)
    asker.say("alice", b"alone")
    asker.join("bob")
    asker.remove("alice")
    assert bodies(asker.history("bob", "#team")) == [b"alone"]


def test_places_are_never_given_twice(team: Asker):
    team.say("alice")
    for name in ("carol", "bob", "alice"):
        team.ack(name, 99)
    assert team.ask(Prune(NOW + 100, 1)) is False
    assert team.history("alice", "#team") == []
    if team.folder is not None:
        team.reopen()
    assert team.say("alice").place == 5


def test_what_a_device_does_not_have_is_not_pruned_from_a_room(team: Asker):
    team.say("alice", b"one")
    for name in ("alice", "bob"):
        team.ack(name, 99)
    assert team.ask(Prune(NOW + 100, 1)) is False
    assert bodies(team.history("bob", "#team")) == [b"one"]


# After a restart


def test_rooms_are_there_after_a_restart(new_asker: AskerMaker):
    asker = new_asker(StoreLimits())
    if asker.folder is None:
        pytest.skip("what is in memory is gone")
    asker.add("alice", "bob", "carol")
    asker.gather("alice", "bob")
    asker.change(ChangeRoom(asker.members["alice"], "#team", None, "plans", NOW))
    asker.invite("alice", "carol")
    asker.appoint("alice", "bob", RoomRole.MODERATOR)
    asker.say("alice", b"one")
    asker.reopen()
    assert asker.look("carol") == RoomDescription("#Team", False, "plans", 2, RoomRole.NONE, invited=True)
    assert asker.roles("carol") == {"alice": RoomRole.OWNER, "bob": RoomRole.MODERATOR}
    asker.join("carol")
    assert asker.say("carol", b"two").place == 7
    assert bodies(asker.history("carol", "#team")) == [b"two"]
    assert bodies(asker.history("bob", "#team")) == [b"one", b"two"]


# Rooms of one name (rule 12.1)


def test_a_private_room_does_not_keep_others_from_its_name(asker: Asker):
    asker.create("alice", "#Den", topic="hers")
    asker.say("alice", b"oats", id=b"m1", room="#den")
    asker.create("bob", "#den", topic="his")
    asker.say("bob", b"rye", id=b"m2", room="#DEN")
    assert (asker.look("alice", "#den").topic, asker.look("bob", "#den").topic) == ("hers", "his")
    assert [entry.body for entry in asker.history("alice", "#den")][1:] == [b"oats"]
    assert [entry.body for entry in asker.history("bob", "#den")][1:] == [b"rye"]
    assert asker.refusal(CreateRoom(asker.members["bob"], "#DEN", False, "", NOW)) == "there is a room #DEN already"
    asker.invite("alice", "carol", "#den")
    assert asker.invite("bob", "carol", "#den").effects.entries == []
    assert asker.look("carol", "#den").topic == "hers"
    asker.join("carol", "#den")
    assert asker.roles("alice", "#den") == {"alice": RoomRole.OWNER, "carol": RoomRole.MEMBER}
    assert asker.roles("bob", "#den") == {"bob": RoomRole.OWNER}
    asker.leave("carol", "#den")
    assert asker.refusal(GetRoom(asker.members["carol"], "#den")) == "there is no such room"
    asker.remove("alice")
    assert asker.look("bob", "#den").topic == "his"
    assert asker.store.check() == []


def test_one_room_of_a_name_is_public(asker: Asker):
    asker.create("alice", "#den", topic="hers")
    asker.create("bob", "#den", topic="his", public=True)
    for name, topic in ("alice", "hers"), ("bob", "his"), ("carol", "his"):
        assert asker.look(name, "#den").topic == topic
        assert [room.topic for room in asker.ask(ListRooms(asker.members[name], 10))] == [topic]
    publish = ChangeRoom(asker.members["alice"], "#den", True, None, NOW)
    assert asker.refusal(publish) == "there is a public room #den already"
    assert not asker.look("alice", "#den").public
    asker.change(ChangeRoom(asker.members["bob"], "#den", False, None, NOW))
    assert asker.change(publish).room.public
    assert asker.look("carol", "#den").topic == "hers"
    asker.leave("alice", "#den")
    assert asker.refusal(GetRoom(asker.members["carol"], "#den")) == "there is no such room"
    assert asker.look("bob", "#den").topic == "his"
    assert asker.store.check() == []
