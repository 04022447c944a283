"""Members, devices, tokens and invitations (section 10), and where cursors stand (rules 11.2 and 11.5)."""

import pytest

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, Asker, brief
from twotick.store.port import StoreLimits
from twotick.store.requests.members import (
    AddInvitation,
    AddMember,
    AddToken,
    Device,
    FindMember,
    FindToken,
    ListDevices,
    ListMembers,
    Member,
    OpenDevice,
    OpenedDevice,
    RemoveMember,
    Revoke,
    SetPassword,
    SurveyMembers,
)
from twotick.store.requests.messages import Effects, MessageState


@pytest.fixture
def empty(new_asker: AskerMaker) -> Asker:
    return new_asker(StoreLimits())


# Members


def test_a_member_is_found_by_its_name_in_any_case(empty: Asker):
    alice = empty.ask(AddMember("Alice", "hash", NOW))
    assert isinstance(alice, Member)
    assert (alice.name, alice.password) == ("Alice", "hash")
    assert empty.ask(FindMember("aLICE")) == alice
    assert empty.ask(FindMember("bob")) is None
    assert empty.refusal(AddMember("ALICE", "", NOW)) == "ALICE is a member already"
    bob = empty.ask(AddMember("Bob", "", NOW))
    assert empty.ask(ListMembers()) == [alice, bob]


def test_the_operator_sees_what_is_kept_for_each_member(asker: Asker):
    asker.open("bob", "phone")
    first = asker.send("alice", "bob", time=NOW + 1)
    asker.send("alice", "bob", time=NOW + 2)
    asker.ack("bob", first.effects.entries[1].seq)
    asker.send("bob", "bob", time=NOW)
    found = asker.ask(SurveyMembers())
    assert [(each.name, each.devices, each.seen, each.waiting, each.oldest) for each in found] == [
        ("alice", 1, NOW, 0, None),
        ("bob", 2, NOW, 3, NOW + 2),
        ("carol", 1, NOW, 0, None),
    ]
    assert [(each.waiting_bytes, each.file_bytes, each.added) for each in found] == [
        (0, 0, NOW),
        (15, 0, NOW),
        (0, 0, NOW),
    ]


def test_a_password_is_changed(empty: Asker):
    empty.ask(AddMember("Alice", "old", NOW))
    assert empty.ask(SetPassword("alice", "new")) is True
    assert empty.ask(SetPassword("bob", "new")) is False
    alice = empty.ask(FindMember("Alice"))
    assert isinstance(alice, Member)
    assert alice.password == "new"


def test_an_invitation_is_used_once_and_in_time(empty: Asker):
    assert empty.ask(AddInvitation(b"one", NOW + 10)) is None
    assert "not good" in empty.refusal(AddMember("alice", "", NOW, b"other"))
    assert isinstance(empty.ask(AddMember("alice", "", NOW, b"one")), Member)
    assert "not good" in empty.refusal(AddMember("bob", "", NOW, b"one"))
    empty.ask(AddInvitation(b"two", NOW + 10))
    assert "not good" in empty.refusal(AddMember("bob", "", NOW + 10, b"two"))


def test_a_name_that_is_taken_does_not_use_up_an_invitation(empty: Asker):
    empty.ask(AddInvitation(b"one", NOW + 10))
    empty.ask(AddMember("alice", "", NOW))
    empty.refusal(AddMember("alice", "", NOW, b"one"))
    assert isinstance(empty.ask(AddMember("bob", "", NOW, b"one")), Member)


def test_a_removed_member_leaves_only_what_others_have_of_it(asker: Asker):
    asker.ask(AddToken(asker.members["bob"], "main", b"digest", NOW))
    asker.send("alice", "bob", id=b"m1")
    asker.ack("bob", 1)
    waiting = asker.send("bob", "alice", id=b"b1")
    asker.send("bob", "carol", id=b"b2")
    asker.read("bob", "alice", 1)
    asker.send("alice", "bob", id=b"m2")
    guest = asker.send("dan", "bob")
    asker.send("alice", "bob", "carol", id=b"m3")
    asker.refuse("carol", 2)
    outcome = asker.remove("Bob")
    reason = "bob is not a member any more"
    assert [(entry.id, entry.reason) for entry in outcome.entries] == [
        (b"m2", reason),
        (b"m3", reason + "; 0 of 2 have it"),
    ]
    assert outcome.guests == [(guest.message, MessageState.FAILED, reason)]
    assert not asker.exists("bob")
    assert asker.ask(FindToken(b"digest")) is None
    assert asker.log("bob") == []
    assert [entry.id for entry in asker.history("alice", "bob")] == [b"m1", b"b1", b"m2"]
    assert asker.ask(RemoveMember("bob", NOW)) is None
    seq = asker.log("alice")[-1].seq
    assert asker.ack("alice", seq) == Effects([], [(waiting.message, MessageState.DELIVERED, "")]), (
        "as if a guest had sent it"
    )
    asker.add("bob")
    assert asker.log("bob") == []
    asker.send("bob", "alice", id=b"b1")


def test_a_removed_members_messages_that_nobody_else_has_are_gone(asker: Asker):
    asker.send("bob", "bob", id=b"b1")
    asker.send("dan", "bob")
    asker.remove("bob")
    asker.remove("alice")
    asker.remove("carol")
    assert asker.ask(ListMembers()) == []


def test_a_guests_message_may_be_under_way_when_there_are_no_members(asker: Asker):
    asker.send("dan", to="ALL", live=True)
    for name in ("alice", "bob", "carol"):
        asker.remove(name)
    assert asker.store.check() == []


# Tokens


def test_a_token_belongs_to_a_device(asker: Asker):
    bob = asker.members["bob"]
    assert asker.ask(AddToken(bob, "phone", b"one", NOW)) is None
    assert asker.ask(FindToken(b"one")) == (Member(bob, "bob", ""), "phone")
    assert asker.ask(AddToken(bob, "phone", b"two", NOW)) is None
    assert asker.ask(AddToken(bob, "phone", b"two", NOW)) is None, "which it has already"
    assert asker.ask(FindToken(b"one")) is None
    assert asker.ask(FindToken(b"two")) == (Member(bob, "bob", ""), "phone")
    assert (
        asker.refusal(AddToken(asker.members["alice"], "phone", b"two", NOW)) == "this is the token of another device"
    )
    assert asker.refusal(AddToken(999, "phone", b"three", NOW)) == "there is no such member any more"
    assert asker.ask(ListDevices(bob)) == [Device("main", 0, False, NOW), Device("phone", None, True, NOW)]


def test_a_device_keeps_its_cursor_when_its_token_changes(asker: Asker):
    asker.send("alice", "bob")
    asker.ack("bob", 1)
    asker.ask(AddToken(asker.members["bob"], "main", b"one", NOW + 1))
    assert asker.ask(ListDevices(asker.members["bob"])) == [Device("main", 1, True, NOW)]


# Devices


def test_a_member_has_so_many_devices_at_most(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(devices=2))
    asker.add("alice")
    alice = asker.members["alice"]
    assert asker.ask(AddToken(alice, "phone", b"one", NOW)) is None
    assert "too many devices" in asker.refusal(AddToken(alice, "tablet", b"two", NOW))
    assert "too many devices" in asker.refusal(OpenDevice(alice, "tablet", 0, NOW))
    asker.open("alice", "phone")
    assert asker.ask(AddToken(alice, "main", b"two", NOW)) is None


def test_a_new_device_begins_at_the_end(asker: Asker):
    asker.send("alice", "bob")
    asker.ack("bob", 1)
    asker.send("bob", "alice")
    assert asker.open("bob", "phone") == OpenedDevice(2, 2, Effects())
    asker.send("alice", "bob")
    assert asker.cursors("bob") == {"main": 1, "phone": 2}
    assert asker.open("bob", "phone") == OpenedDevice(2, 3, Effects())


def test_a_new_device_begins_before_the_first_message_that_no_device_has(asker: Asker):
    asker.add("dora", device="")
    asker.send("dora", "alice")
    asker.send("alice", "dora", id=b"m1")
    asker.send("alice", "dora", id=b"m2")
    assert asker.open("dora").cursor == 1
    assert brief(asker.ack("dora", 3).entries) == [(4, "DELIVERED", b"m1"), (5, "DELIVERED", b"m2")]


def test_what_a_revoked_device_did_not_have_waits_for_the_next(asker: Asker):
    asker.send("alice", "bob", id=b"m1")
    asker.send("carol", "bob", id=b"c1")
    asker.send("alice", "bob", id=b"m2")
    asker.ack("bob", 1)
    asker.read("bob", "carol", 2)
    assert asker.ask(Revoke(asker.members["bob"], "main")) is True
    assert asker.open("bob", "phone").cursor == 2
    assert brief(asker.ack("bob", 9, b"phone").entries) == [(4, "DELIVERED", b"m2")]


def test_a_device_may_say_what_it_has(asker: Asker):
    for ident in (b"m1", b"m2"):
        asker.send("alice", "bob", id=ident)
    opened = asker.open("bob", resume=1)
    assert (opened.cursor, opened.last, brief(opened.effects.entries)) == (1, 2, [(3, "DELIVERED", b"m1")])
    assert asker.open("bob", resume=0).cursor == 1, "a cursor never moves back"
    assert asker.open("bob", resume=99).cursor == 2, "nor past the end"


def test_nobody_opens_a_device_of_nobody(asker: Asker):
    assert asker.refusal(OpenDevice(999, "main", 0, NOW)) == "there is no such member any more"
    assert asker.ask(ListDevices(999)) == []
    assert asker.ask(Revoke(999, "main")) is False


def test_a_revoked_device_is_gone_with_those_below_it(asker: Asker):
    bob = asker.members["bob"]
    asker.ask(AddToken(bob, "main/listen", b"one", NOW))
    asker.open("bob", "mainframe")
    assert asker.ask(Revoke(bob, "main")) is True
    assert asker.ask(Revoke(bob, "main")) is False
    assert asker.cursors("bob") == {"mainframe": 0}
    assert asker.ask(FindToken(b"one")) is None
    asker.send("alice", "bob")
    assert asker.ack("bob", 1) == Effects()


def test_devices_tell_when_they_were_seen(asker: Asker):
    bob = asker.members["bob"]
    asker.ask(OpenDevice(bob, "main", 0, NOW + 7))
    assert asker.ask(ListDevices(bob)) == [Device("main", 0, False, NOW + 7)]


# Reading


def test_fetching_is_bounded_by_number_and_by_size(asker: Asker):
    for ident in (b"m1", b"m2", b"m3", b"m4"):
        asker.send("alice", "bob", id=ident, body=b"x" * 10)
    asker.refuse("bob", 3)
    assert [entry.seq for entry in asker.fetch("bob").entries] == [1, 2, 4]
    for most, size, seqs, up_to in (
        (2, 1000, [1, 2], 2),
        (3, 1000, [1, 2, 4], 4),
        (9, 10, [1], 1),
        (9, 11, [1, 2], 2),
        (9, 30, [1, 2, 4], 4),
        (0, 1000, [], 0),
    ):
        fetched = asker.fetch("bob", 0, most, size)
        assert ([entry.seq for entry in fetched.entries], fetched.up_to) == (seqs, up_to)
    assert brief(asker.fetch("bob", 2).entries) == [(4, "RECEIVED", b"m4")]
    assert asker.fetch("bob", 10**30).entries == []


def test_history_is_the_last_messages_oldest_first(asker: Asker):
    asker.send("alice", "bob", id=b"m1", time=NOW)
    asker.send("bob", "alice", id=b"b1", time=NOW + 1)
    asker.send("carol", "bob", id=b"c1", time=NOW + 2)
    asker.send("alice", "bob", id=b"m2", to="BOB", time=NOW + 3)
    asker.ack("bob", 9)

    def ids(peer: str = "", before: int = 0, since: float = 0, most: int = 1000) -> list[bytes]:
        return [entry.id for entry in asker.history("bob", peer, before, since, most)]

    assert ids() == [b"m1", b"b1", b"c1", b"m2"]
    assert ids("ALICE") == [b"m1", b"b1", b"m2"]
    assert ids(most=2) == [b"c1", b"m2"]
    assert ids("alice", most=2) == [b"b1", b"m2"]
    assert ids("alice", before=4) == [b"m1", b"b1"]
    assert ids(before=3) == [b"m1", b"b1"]
    assert ids(since=NOW + 2) == [b"c1", b"m2"]
    assert ids("alice", since=NOW + 1, before=10**30) == [b"b1", b"m2"]
    assert ids("dan") == []
    assert ids(most=0) == []
    (first, *_, last) = asker.history("bob")
    assert (first.state, first.body, first.headers, first.time) == (MessageState.DELIVERED, b"hello", b"X-a: 1\n", NOW)
    assert last.peer == b"alice"
    assert [entry.peer for entry in asker.history("alice", "bob")] == [b"bob", b"bob", b"BOB"]


def test_reading_the_log_of_nobody_gives_nothing(asker: Asker):
    asker.members["nobody"] = 999
    assert asker.log("nobody") == asker.history("nobody") == []
