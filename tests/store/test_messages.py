"""What becomes of messages (rules 11.1 to 11.13)."""

from dataclasses import replace
from typing import Any

import pytest

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, Asker, brief
from twotick.store.port import Refusal, Request, StoreLimits
from twotick.store.requests.conversations import SetConversation
from twotick.store.requests.members import Revoke
from twotick.store.requests.messages import (
    Acknowledge,
    Appended,
    Duplicate,
    Effects,
    EntryKind,
    Expire,
    Fetch,
    History,
    LogEntry,
    MessageAction,
    MessageState,
    Prune,
    Settle,
    Unfinished,
)
from twotick.store.requests.rooms import CreateRoom, JoinRoom
from twotick.store.rules.delivery import RESTARTED


def settle(asker: Asker, message: int, taken: bool, reason: str = "dan is gone") -> Effects:
    result = asker.ask(Settle(message, taken, reason, NOW))
    assert isinstance(result, Effects)
    return result


def expire(asker: Asker, time: float) -> Effects:
    result = asker.ask(Expire(time))
    assert isinstance(result, Effects)
    return result


# Append


def test_a_message_is_an_entry_for_both_sides(asker: Asker):
    sent = asker.send("alice", "bob", id=b"m1")
    alice, bob = asker.members["alice"], asker.members["bob"]
    expected = [
        LogEntry(
            alice,
            1,
            EntryKind.SENT,
            sent.message,
            b"bob",
            id=b"m1",
            headers=b"X-a: 1\n",
            body=b"hello",
            device=b"main",
            time=NOW,
        ),
        LogEntry(
            bob, 1, EntryKind.RECEIVED, sent.message, b"alice", id=b"m1", headers=b"X-a: 1\n", body=b"hello", time=NOW
        ),
    ]
    assert sent.effects == Effects(expected)
    assert asker.log("alice") == expected[:1]
    assert asker.log("bob") == expected[1:]


def test_a_guest_has_no_entry(asker: Asker):
    sent = asker.send("dan", "bob")
    assert brief(sent.effects.entries) == [(1, "RECEIVED", b"")]
    assert sent.effects.entries[0].peer == b"dan"


def test_the_same_id_again_is_known(asker: Asker):
    sent = asker.send("alice", "bob", id=b"m1")
    again = asker.append("alice", "bob", id=b"m1", to="BOB", body=b"other")
    assert asker.ask(again) == Duplicate(sent.message, True, MessageState.ACCEPTED, "", seq=1)
    assert asker.ask(asker.append("alice", "carol", id=b"m1")) == Duplicate(
        sent.message, False, MessageState.ACCEPTED, "", seq=1
    )
    asker.ack("bob", 1)
    assert asker.ask(again) == Duplicate(sent.message, True, MessageState.DELIVERED, "", seq=1)
    asker.read("bob", "alice", 1)
    assert asker.ask(again) == Duplicate(sent.message, True, MessageState.READ, "", seq=1)
    assert len(asker.log("bob")) == 2


def test_a_known_message_has_its_headers_until_it_is_deleted(asker: Asker):
    again = replace(asker.append("alice", "bob", id=b"m1"), headers=b"Time: 1\n")
    asker.ask(again)
    known = asker.ask(replace(again, headers=b"Time: 2\n"))
    assert isinstance(known, Duplicate)
    assert known.headers == b"Time: 1\n"
    asker.ask(asker.correction("alice", MessageAction.DELETE, b"m1", to="bob", id=b"m2"))
    known = asker.ask(again)
    assert isinstance(known, Duplicate)
    assert b"Time" not in known.headers


def test_the_same_id_is_known_within_one_batch(asker: Asker):
    first = asker.append("alice", "bob", id=b"m1")
    sent, known, other = asker.store.apply([first, first, asker.append("bob", "alice", id=b"m1")])
    assert isinstance(sent, Appended)
    assert known == Duplicate(sent.message, True, MessageState.ACCEPTED, "", seq=1)
    assert isinstance(other, Appended), "another member's Id is another"


def test_a_failed_message_is_known_with_its_reason(asker: Asker):
    asker.send("alice", "bob", id=b"m1")
    asker.refuse("bob", 1)
    known = asker.ask(asker.append("alice", "bob", id=b"m1"))
    assert isinstance(known, Duplicate)
    assert (known.state, known.reason) == (MessageState.FAILED, "refused")


def test_guests_may_use_an_id_twice(asker: Asker):
    asker.send("dan", "bob", id=b"m1")
    asker.send("dan", "bob", id=b"m1")
    assert len(asker.log("bob")) == 2


def test_a_member_may_send_to_itself(asker: Asker):
    asker.send("alice", "alice", id=b"m1")
    assert brief(asker.log("alice")) == [(1, "SENT", b"m1"), (2, "RECEIVED", b"m1")]
    assert brief(asker.ack("alice", 2).entries) == [(3, "DELIVERED", b"m1")]
    assert brief(asker.read("alice", "alice", 3).entries) == [(4, "READ_HERE", b""), (5, "READ", b"m1")]


def test_a_message_to_several_is_delivered_when_all_have_it(asker: Asker):
    asker.send("alice", "bob", "carol", id=b"m1")
    assert asker.ack("bob", 1) == Effects()
    outcome = asker.ack("carol", 1)
    assert brief(outcome.entries) == [(2, "DELIVERED", b"m1")]
    assert outcome.entries[0].peer == b"ALL"


def test_a_message_to_several_fails_when_one_of_them_fails(asker: Asker):
    asker.send("alice", "bob", "carol", id=b"m1")
    assert asker.refuse("bob", 1) == Effects()
    assert brief(asker.history("alice")) == [(1, "SENT", b"m1")]
    (failed,) = asker.ack("carol", 1).entries
    assert (failed.kind, failed.reason) == (EntryKind.FAILED, "refused; 1 of 2 have it")
    assert asker.log("alice")[-1] == failed
    assert asker.history("alice")[0].state is MessageState.FAILED


def test_a_message_to_nobody_is_delivered_at_once(asker: Asker):
    sent = asker.send("alice", to="ALL", id=b"m1")
    assert brief(sent.effects.entries) == [(1, "SENT", b"m1"), (2, "DELIVERED", b"m1")]
    assert asker.send("dan", to="ALL").effects.guests[0][1] is MessageState.DELIVERED


def test_the_store_finds_the_member_whose_name_the_recipient_is(asker: Asker):
    """As for a message to somebody who is not connected."""
    message = asker.append("alice", "bob", id=b"m1")
    message.members, message.recipient = (), b"BOB"
    sent = asker.ask(message)
    assert isinstance(sent, Appended)
    assert [(entry.member, entry.peer) for entry in sent.effects.entries] == [(1, b"BOB"), (2, b"alice")]
    message.recipient, message.id = b"Nobody", b"m2"
    assert asker.refusal(message) == "Nobody is not connected"


def test_a_full_mailbox_refuses_and_leaves_no_trace(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(mailbox_entries=2, mailbox_bytes=100))
    asker.add("alice", "bob", "carol")
    asker.send("alice", "bob", body=b"x" * 90)
    assert asker.refusal(asker.append("alice", "bob", id=b"m1", body=b"x" * 11)) == "the mailbox of bob is full"
    asker.send("alice", "bob", id=b"m1", body=b"x" * 10)
    assert asker.refusal(asker.append("alice", "bob", body=b"")) == "the mailbox of bob is full"
    assert asker.fetch("alice").up_to == 2
    asker.ack("bob", 1)
    asker.send("alice", "bob", body=b"x" * 90)


def test_a_full_mailbox_among_several_counts_as_failed(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(mailbox_entries=1))
    asker.add("alice", "bob", "carol")
    asker.send("alice", "bob")
    sent = asker.send("alice", "bob", "carol", id=b"m1")
    assert brief(sent.effects.entries) == [(2, "SENT", b"m1"), (1, "RECEIVED", b"m1")]
    (failed,) = asker.ack("carol", 1).entries
    assert failed.reason == "the mailbox of bob is full; 1 of 2 have it"
    asker.send("alice", "carol")
    assert "is full" in asker.refusal(asker.append("alice", "bob", "carol"))


def test_the_slowest_device_fills_the_mailbox_and_without_devices_only_what_nobody_has_does(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(mailbox_entries=2))
    asker.add("alice", "bob")
    asker.open("bob", "phone")
    for _ in range(2):
        asker.send("alice", "bob")
    asker.ack("bob", 2)
    assert "is full" in asker.refusal(asker.append("alice", "bob"))
    asker.ack("bob", 1, b"phone")
    asker.send("alice", "bob")
    assert "is full" in asker.refusal(asker.append("alice", "bob"))
    assert asker.ask(Revoke(asker.members["bob"], "phone")) is True
    assert asker.ask(Revoke(asker.members["bob"], "main")) is True
    asker.send("alice", "bob")
    assert "is full" in asker.refusal(asker.append("alice", "bob"))


def test_what_a_device_had_does_not_fill_the_mailbox_when_all_are_revoked(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(mailbox_entries=2))
    asker.add("alice", "bob")
    asker.open("bob", "phone")
    for _ in range(2):
        asker.send("alice", "bob")
    asker.ack("bob", 2)
    for device in ("main", "phone"):
        assert "is full" in asker.refusal(asker.append("alice", "bob"))
        asker.ask(Revoke(asker.members["bob"], device))
    asker.send("alice", "bob")


def test_what_is_gone_does_not_fill_the_mailbox(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(mailbox_entries=1))
    asker.add("alice", "bob")
    for _ in range(3):
        asker.send("alice", "bob", expires=NOW)
        expire(asker, NOW)
    asker.send("alice", "bob")


def test_those_who_are_no_members_any_more_get_and_send_nothing(asker: Asker):
    asker.remove("carol")
    assert asker.refusal(asker.append("alice", "carol")) == "the recipient is not a member any more"
    assert asker.refusal(asker.append("carol", "bob")) == "the sender is not a member any more"
    asker.send("alice", "bob", "carol", id=b"m1")
    assert asker.ack("bob", 1).entries[0].reason == "the recipient is not a member any more; 1 of 2 have it"
    assert asker.ack("carol", 1) == asker.refuse("carol", 1) == asker.read("carol", "alice", 1) == Effects()
    assert asker.log("carol") == asker.history("carol") == []


# Acknowledge


def test_acknowledging_is_cumulative_and_tells_the_senders_in_order(asker: Asker):
    for ident in (b"m1", b"m2", b"m3"):
        asker.send("alice", "bob", id=ident)
    assert brief(asker.ack("bob", 2).entries) == [(4, "DELIVERED", b"m1"), (5, "DELIVERED", b"m2")]
    assert asker.ack("bob", 2) == asker.ack("bob", 1) == Effects()
    assert asker.cursors("bob") == {"main": 2}
    assert brief(asker.log("alice")[3:]) == [(4, "DELIVERED", b"m1"), (5, "DELIVERED", b"m2")]


def test_acknowledging_past_the_end_stops_at_the_end(asker: Asker):
    asker.send("alice", "bob")
    assert len(asker.ack("bob", 10**30).entries) == 1
    assert asker.cursors("bob") == {"main": 1}


def test_only_the_first_device_delivers(asker: Asker):
    asker.open("bob", "phone")
    asker.send("alice", "bob")
    assert len(asker.ack("bob", 1).entries) == 1
    assert asker.ack("bob", 1, b"phone") == Effects()
    assert asker.cursors("bob") == {"main": 1, "phone": 1}


def test_a_guest_is_told_by_the_number_of_the_message(asker: Asker):
    sent = asker.send("dan", "bob")
    assert asker.ack("bob", 1) == Effects([], [(sent.message, MessageState.DELIVERED, "")])


def test_a_device_that_does_not_receive_acknowledges_nothing(asker: Asker):
    asker.send("alice", "bob")
    assert asker.ack("bob", 1, b"phone") == asker.refuse("bob", 1, b"phone") == Effects()
    assert asker.cursors("bob") == {"main": 0}


def test_what_was_appended_in_the_same_batch_can_be_acknowledged(asker: Asker):
    bob = asker.members["bob"]
    _, outcome = asker.store.apply([asker.append("alice", "bob", id=b"m1"), Acknowledge(bob, b"main", 1, NOW)])
    assert isinstance(outcome, Effects)
    assert brief(outcome.entries) == [(2, "DELIVERED", b"m1")]


# Refuse


def test_a_refused_message_is_gone_and_its_sender_told(asker: Asker):
    asker.open("bob", "phone")
    for ident in (b"m1", b"m2", b"m3"):
        asker.send("alice", "bob", id=ident)
    outcome = asker.refuse("bob", 2)
    assert brief(outcome.entries) == [(4, "DELIVERED", b"m1"), (5, "FAILED", b"m2")]
    assert outcome.entries[1].reason == "refused"
    assert asker.cursors("bob") == {"main": 2, "phone": 0}
    fetched = asker.fetch("bob", 1)
    assert brief(fetched.entries) == [(3, "RECEIVED", b"m3")]
    assert fetched.up_to == 3
    assert brief(asker.history("bob")) == [(1, "RECEIVED", b"m1"), (3, "RECEIVED", b"m3")]


def test_a_message_that_a_device_has_cannot_be_refused(asker: Asker):
    asker.open("bob", "phone")
    asker.send("alice", "bob", id=b"m1")
    asker.ack("bob", 1, b"phone")
    assert asker.refuse("bob", 1) == Effects()
    assert asker.cursors("bob") == {"main": 1, "phone": 1}
    assert len(asker.log("bob")) == 1


def test_what_is_no_message_or_past_the_end_is_acknowledged_instead(asker: Asker):
    asker.send("alice", "bob", id=b"m1")
    assert asker.refuse("alice", 1) == Effects()
    assert asker.cursors("alice") == {"main": 1}
    assert brief(asker.refuse("bob", 7).entries) == [(2, "DELIVERED", b"m1")]
    assert asker.cursors("bob") == {"main": 1}


def test_what_is_gone_cannot_be_refused(asker: Asker):
    for _ in range(3):
        asker.send("alice", "bob", expires=NOW)
    expire(asker, NOW)
    asker.send("alice", "bob", id=b"m1")
    assert asker.refuse("bob", 3) == Effects()
    assert asker.cursors("bob") == {"main": 3}
    assert brief(asker.log("bob")) == [(4, "RECEIVED", b"m1")]


def test_a_guests_message_that_was_refused_is_kept_nowhere(asker: Asker):
    sent = asker.send("dan", "bob")
    assert asker.refuse("bob", 1).guests == [(sent.message, MessageState.FAILED, "refused")]
    assert asker.log("bob") == []
    asker.send("alice", "bob", id=b"m1")
    assert brief(asker.log("bob")) == [(2, "RECEIVED", b"m1")], "its number is not given out again"


def test_the_number_of_a_refused_last_entry_is_not_given_out_again(tmp_path_factory: pytest.TempPathFactory):
    asker = Asker(tmp_path_factory.mktemp("store"))
    asker.add("alice", "bob")
    asker.send("alice", "bob")
    asker.refuse("bob", 1)
    asker.reopen()
    assert asker.open("bob").last == 1
    assert asker.send("alice", "bob").effects.entries[1].seq == 2
    asker.store.close()


# MarkRead


def test_reading_tells_the_other_devices_and_the_sender(asker: Asker):
    for ident in (b"m1", b"m2"):
        asker.send("alice", "bob", id=ident)
    asker.send("carol", "bob", id=b"c1")
    asker.ack("bob", 3)
    outcome = asker.read("bob", "ALICE", 3)
    here, read = outcome.entries
    newest = asker.log("alice")[1].message
    assert here == LogEntry(asker.members["bob"], 4, EntryKind.READ_HERE, newest, b"alice", device=b"main", up_to=3)
    assert read == LogEntry(asker.members["alice"], 5, EntryKind.READ, newest, b"bob", id=b"m2")
    assert asker.log("bob")[-1] == here
    assert asker.log("alice")[-1] == read
    assert [entry.state for entry in asker.history("alice")] == [MessageState.READ, MessageState.READ]
    assert asker.history("carol")[0].state is MessageState.DELIVERED


@pytest.mark.parametrize("new_asker", ["sqlite", "postgres"], indirect=True)
def test_quiet_reading_tells_the_other_devices_alone(asker: Asker):
    asker.send("alice", "bob", id=b"m1")
    asker.ack("bob", 1)
    assert [entry.kind for entry in asker.read("bob", "alice", 1, quiet=True).entries] == [EntryKind.READ_HERE]
    assert asker.history("alice")[0].state is MessageState.DELIVERED


def test_nothing_new_read_is_no_entry(asker: Asker):
    asker.send("alice", "bob", id=b"m1")
    asker.read("bob", "alice", 1)
    asker.send("alice", "bob", id=b"m2")
    assert asker.read("bob", "alice", 1) == asker.read("bob", "alice", 2) == asker.read("bob", "carol", 9) == Effects()
    assert brief(asker.read("bob", "alice", 99).entries) == [
        (5, "DELIVERED", b"m2"),
        (4, "READ_HERE", b""),
        (6, "READ", b"m2"),
    ]


def test_what_is_read_is_delivered(asker: Asker):
    asker.send("carol", "bob", id=b"c1")
    asker.send("alice", "bob", id=b"m1")
    outcome = asker.read("bob", "alice", 2)
    assert brief(outcome.entries) == [(2, "DELIVERED", b"m1"), (3, "READ_HERE", b""), (3, "READ", b"m1")]
    assert brief(asker.ack("bob", 3).entries) == [(2, "DELIVERED", b"c1")], "and not delivered once more"
    assert asker.history("alice")[0].state is MessageState.READ


def test_what_is_read_cannot_be_refused_and_does_not_expire(asker: Asker):
    asker.send("alice", "bob", "carol", id=b"m1", expires=NOW + 1)
    asker.read("bob", "alice", 1)
    assert asker.refuse("bob", 1) == Effects()
    assert brief(expire(asker, NOW + 1).entries) == [(2, "FAILED", b"m1")]
    assert brief(asker.log("bob")) == [(1, "RECEIVED", b"m1"), (2, "READ_HERE", b"")]
    assert asker.log("carol") == []


def test_messages_to_several_are_not_reported_as_read(asker: Asker):
    asker.send("alice", "bob", id=b"m1")
    asker.send("alice", "bob", "carol", id=b"m2")
    outcome = asker.read("bob", "alice", 2)
    assert brief(outcome.entries) == [(3, "DELIVERED", b"m1"), (3, "READ_HERE", b""), (4, "READ", b"m1")]
    assert brief(asker.ack("carol", 1).entries) == [(5, "DELIVERED", b"m2")]


def test_guests_are_told_of_each_message_that_was_read(asker: Asker):
    one, two = asker.send("dan", "bob").message, asker.send("dan", "bob").message
    asker.ack("bob", 1)
    outcome = asker.read("bob", "dan", 2)
    assert brief(outcome.entries) == [(3, "READ_HERE", b"")]
    assert outcome.guests == [
        (one, MessageState.READ, ""),
        (two, MessageState.DELIVERED, ""),
        (two, MessageState.READ, ""),
    ]


# Settle


@pytest.mark.parametrize(("taken", "kind"), [(True, "DELIVERED"), (False, "FAILED")])
def test_a_message_to_guests_only_is_as_it_is_settled(asker: Asker, taken: bool, kind: str):
    sent = asker.send("alice", to="dan", live=True, id=b"m1")
    assert brief(sent.effects.entries) == [(1, "SENT", b"m1")]
    (entry,) = settle(asker, sent.message, taken).entries
    assert (entry.seq, entry.kind.name, entry.reason) == (2, kind, "" if taken else "dan is gone")
    assert settle(asker, sent.message, not taken) == Effects(), "and settled once"


def test_the_guests_count_as_one_recipient(asker: Asker):
    sent = asker.send("alice", "bob", live=True, id=b"m1", to="ALL")
    assert asker.ack("bob", 1) == Effects()
    assert settle(asker, sent.message, False).entries[0].reason == "dan is gone; 1 of 2 have it"
    other = asker.send("alice", "bob", live=True, id=b"m2", to="ALL")
    assert settle(asker, other.message, True) == Effects()
    assert brief(asker.ack("bob", 2).entries) == [(4, "DELIVERED", b"m2")]


def test_a_message_that_is_not_live_is_not_settled(asker: Asker):
    sent = asker.send("alice", "bob")
    assert settle(asker, sent.message, True) == settle(asker, 999, True) == Effects()
    assert asker.history("alice")[0].state is MessageState.ACCEPTED


def test_a_guests_message_to_guests_only_is_kept_nowhere(asker: Asker):
    sent = asker.send("dan", to="ALL", live=True)
    assert settle(asker, sent.message, True).guests == [(sent.message, MessageState.DELIVERED, "")]


def test_what_a_stopped_server_left_unsettled_has_failed(tmp_path_factory: pytest.TempPathFactory):
    asker = Asker(tmp_path_factory.mktemp("store"))
    asker.add("alice", "bob")
    asker.send("alice", to="dan", live=True, id=b"m1")
    asker.send("alice", "bob", to="ALL", live=True, id=b"m2")
    asker.reopen()
    failed = asker.log("alice")[-1]
    assert (failed.id, failed.kind, failed.reason) == (b"m1", EntryKind.FAILED, RESTARTED)
    assert asker.ack("bob", 1).entries[0].reason == RESTARTED + "; 1 of 2 have it"
    assert asker.store.check() == []
    asker.store.close()


# The shares of senders (rule 11.13)


def is_taken(asker: Asker, sender: str, body: bytes = b"", *, ident: bytes = b"") -> bool:
    """Whether a message to bob is taken; if not, it is for the sender's share."""
    answer = asker.ask(asker.append(sender, "bob", body=body, id=ident))
    whose = "you have sent" if sender in asker.members else "guests have sent"
    assert isinstance(answer, Appended) or answer == Refusal(f"too much of what {whose} waits in the mailbox of bob")
    return isinstance(answer, Appended)


def test_no_sender_fills_a_mailbox_alone(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(mailbox_entries=20, sender_entries=3, sender_bytes=20))
    asker.add("alice", "bob", "carol")
    assert [is_taken(asker, "alice") for _ in range(4)] == [True, True, True, False]
    assert [is_taken(asker, "carol", b"0123456789") for _ in range(3)] == [True, True, False]
    asker.ack("bob", 1)
    assert [is_taken(asker, "alice") for _ in range(2)] == [True, False]
    asker.refuse("bob", 2)
    assert [is_taken(asker, "alice") for _ in range(2)] == [True, False]
    asker.ack("bob", 4)
    assert [is_taken(asker, "carol", b"0123456789") for _ in range(2)] == [True, False]
    if asker.folder is not None:
        asker.reopen()
        assert [is_taken(asker, name, b"0123456789") for name in ("alice", "carol")] == [True, False]


def test_guests_fill_a_mailbox_neither_alone_nor_together(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(mailbox_entries=20, sender_entries=3))
    asker.add("alice", "bob")
    assert [is_taken(asker, name) for name in ("dan", "dan", "eve", "eve")] == [True, True, True, False]
    assert is_taken(asker, "alice")
    asker.ack("bob", 3)
    assert is_taken(asker, "dan")


def test_a_sender_in_a_room_does_not_fill_mailboxes_either(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(mailbox_entries=20, sender_entries=3))
    asker.add("alice", "bob", "carol")
    asker.ask(CreateRoom(asker.members["alice"], "#team", True, "", NOW))
    asker.ask(JoinRoom(asker.members["bob"], "#team", NOW))
    asker.ask(JoinRoom(asker.members["carol"], "#team", NOW))
    asker.ack("carol", 99)
    for number in range(3):
        asker.send("alice", "bob", id=b"m%d" % number)
    assert not is_taken(asker, "alice")
    sent = asker.ask(asker.append("alice", to="#team", id=b"r1"))
    assert isinstance(sent, Appended)
    assert {entry.member for entry in sent.effects.entries} == {asker.members["alice"], asker.members["carol"]}


@pytest.mark.parametrize("limits", [StoreLimits(mailbox_entries=5), StoreLimits(sender_entries=3, sender_bytes=12)])
@pytest.mark.parametrize("expires", [None, NOW + 1])
def test_quotas_do_not_tell_that_somebody_is_blocked(new_asker: AskerMaker, limits: StoreLimits, expires: float | None):
    """Rule 14.4: who is blocked is answered as who is not, and as much is stored for either."""
    answers: dict[str, list[object]] = {}
    for name in ("carol", "alice"):  # bob blocks alice, and so gets an entry in either case
        asker = new_asker(limits)
        asker.add("alice", "bob", "carol")
        asker.ask(SetConversation(asker.members["bob"], b"alice", None, True, NOW))
        requests = [asker.append(name, "bob", body=b"x" * size, expires=expires) for size in (1, 2, 7, 3, 9, 0, 4)]
        found = [asker.ask(request) for request in requests]
        expire(asker, NOW + 1)
        found += [asker.ask(request) for request in requests]
        answers[name] = [answer if isinstance(answer, Refusal) else "" for answer in found]
    assert answers["alice"] == answers["carol"]
    assert any(answers["alice"]), "the limit was reached"


@pytest.mark.parametrize("blocked", [b"alice", b"carol"])
def test_quotas_do_not_tell_that_a_guest_or_who_invites_is_blocked(new_asker: AskerMaker, blocked: bytes):
    """Rule 14.4: guests' messages and invitations that are kept from a member count as if they had come."""
    asker = new_asker(StoreLimits(mailbox_entries=6, sender_entries=3))
    asker.add("alice", "bob", "carol")
    asker.ask(SetConversation(asker.members["bob"], b"dan" if blocked == b"alice" else b"carol", None, True, NOW))
    asker.ask(SetConversation(asker.members["bob"], blocked, None, True, NOW))
    asker.ack("bob", 99)
    asker.create("alice")
    asker.invite("alice", "bob")
    assert [is_taken(asker, "dan", ident=b"x") for _ in range(2)] == [True, True]
    if asker.folder is not None:
        asker.reopen()
    assert [is_taken(asker, "dan", ident=b"x") for _ in range(2)] == [True, False]
    assert [is_taken(asker, "alice") for _ in range(2)] == [True, True]
    full = Refusal("the mailbox of bob is full")
    assert [asker.ask(asker.append(name, "bob", id=b"y")) for name in ("alice", "dan")] == [full, full]
    asker.create("alice", "#den")
    assert asker.invite("alice", "bob", "#den").effects == Effects(), "which is not told to a full mailbox"


# Expire


def test_an_expired_message_is_gone_and_its_sender_told(asker: Asker):
    asker.send("alice", "bob", id=b"m1", expires=NOW + 5)
    asker.send("alice", "bob", id=b"m2", expires=NOW + 6)
    asker.send("alice", "bob", id=b"m3")
    guest = asker.send("dan", "bob", expires=NOW + 5)
    assert expire(asker, NOW + 4.9) == Effects()
    outcome = expire(asker, NOW + 5)
    assert brief(outcome.entries) == [(4, "FAILED", b"m1")]
    assert outcome.entries[0].reason == "expired"
    assert outcome.guests == [(guest.message, MessageState.FAILED, "expired")]
    assert brief(asker.log("bob")) == [(2, "RECEIVED", b"m2"), (3, "RECEIVED", b"m3")]
    assert asker.fetch("bob").up_to == 4
    assert asker.history("alice")[0].state is MessageState.FAILED
    assert expire(asker, NOW + 5) == Effects()


def test_a_delivered_message_does_not_expire(asker: Asker):
    asker.send("alice", "bob", expires=NOW + 1)
    asker.ack("bob", 1)
    assert expire(asker, NOW + 1) == Effects()
    assert len(asker.log("bob")) == 1


def test_a_message_to_several_expires_for_those_who_do_not_have_it(asker: Asker):
    sent = asker.send("alice", "bob", "carol", id=b"m1", expires=NOW + 1, live=True)
    asker.ack("bob", 1)
    assert expire(asker, NOW + 1) == Effects(), "the guests may still take it"
    assert settle(asker, sent.message, True).entries[0].reason == "expired; 2 of 3 have it"
    assert len(asker.log("bob")) == 1
    assert asker.log("carol") == []


def test_expiring_takes_a_bounded_number_at_once(asker: Asker):
    asker.store.apply([asker.append("alice", "bob", id=b"%d" % i, expires=NOW) for i in range(600)])
    other = asker.send("bob", "carol", id=b"m1", expires=NOW + 1)
    parts: list[Effects] = []
    request: Request[Any] | None = Expire(NOW + 1)
    while request is not None:
        (answer,) = asker.store.work_on([request]).answers
        request = answer.rest if isinstance(answer, Unfinished) else None
        parts.append(answer.effects if isinstance(answer, Unfinished) else answer)
    assert sum(len(part.entries) for part in parts) == 601
    assert max(len(part.entries) for part in parts) <= 64
    first = next(part for part in parts if part.entries)  # rows may have moved before
    assert other.message in [entry.message for entry in first.entries], "others need not wait for all of them"


@pytest.mark.parametrize("settled", ["recent", "read from the database"])
def test_what_is_over_is_never_delivered(asker: Asker, settled: str):
    """Rule 11.10, also before the server comes to removing it."""
    asker.send("alice", "bob", id=b"m1", expires=NOW)
    asker.send("alice", "bob", id=b"m2", expires=NOW + 1)
    if settled != "recent":
        asker.reopen()
    expire(asker, NOW - 1)
    assert brief(asker.ask(History(asker.members["bob"], b"", 0, 0, 10, 1 << 20, NOW)).entries) == [
        (2, "RECEIVED", b"m2")
    ]
    outcome = asker.ack("bob", 2)
    assert brief(outcome.entries) == [(3, "FAILED", b"m1"), (4, "DELIVERED", b"m2")]
    assert brief(asker.log("bob")) == [(2, "RECEIVED", b"m2")]
    assert expire(asker, NOW + 1) == Effects()
    assert asker.store.check() == []


@pytest.mark.parametrize("after", ["acknowledged", "resumed", "read"])
def test_what_a_device_was_not_given_is_never_delivered_after_a_restart(asker: Asker, after: str):
    """Rule 11.10: a server that has begun anew does not know yet what is over."""
    expire(asker, NOW - 1)
    guest = asker.send("dan", "bob", expires=NOW)
    asker.send("alice", "bob", "carol", id=b"m1", expires=NOW)
    asker.send("alice", "bob", id=b"m2")
    found = asker.ask(Fetch(asker.members["bob"], 0, 10, 1 << 20, NOW))
    assert (brief(found.entries), found.up_to) == ([(3, "RECEIVED", b"m2")], 3)
    assert found.effects is not None
    assert found.effects.guests == [(guest.message, MessageState.FAILED, "expired")]
    asker.reopen()
    if after == "acknowledged":
        asker.ack("bob", 3)
    elif after == "resumed":
        asker.open("bob", resume=3)
    else:
        asker.read("bob", "alice", 3)
    asker.ack("carol", 1)
    outcomes = [(entry.kind.name, entry.id, entry.reason) for entry in asker.log("alice") if entry.id == b"m1"]
    assert outcomes == [("SENT", b"m1", ""), ("FAILED", b"m1", "expired; 1 of 2 have it")]


def test_a_page_takes_a_bounded_number_of_messages_out_of_the_log(asker: Asker):
    expire(asker, NOW - 1)
    asker.store.apply([asker.append("alice", "bob", id=b"%d" % i, expires=NOW) for i in range(150)])
    asker.send("alice", "bob", id=b"last")
    at = 0
    removed: list[int] = []
    entries: list[LogEntry] = []
    while at < 151:
        found = asker.ask(Fetch(asker.members["bob"], at, 1000, 1 << 20, NOW))
        at = found.up_to
        removed.append(len(found.effects.entries) if found.effects else 0)
        entries += found.entries
    assert brief(entries) == [(151, "RECEIVED", b"last")]
    assert removed == [64, 64, 22]


def test_what_goes_to_oneself_and_is_over_comes_after_the_page(asker: Asker):
    """The entry that tells of it has a number past those of the page, so the next page has it."""
    expire(asker, NOW - 1)
    asker.send("alice", "alice", id=b"m1", expires=NOW)
    found = asker.ask(Fetch(asker.members["alice"], 0, 10, 1 << 20, NOW))
    assert (brief(found.entries), found.up_to) == ([(1, "SENT", b"m1")], 2)
    found = asker.ask(Fetch(asker.members["alice"], 2, 10, 1 << 20, NOW))
    assert brief(found.entries) == [(3, "FAILED", b"m1")]


def test_until_the_clock_is_believed_nothing_is_over(asker: Asker):
    asker.send("alice", "bob", id=b"m1", expires=NOW)
    asker.ask(Expire(NOW + 9, NOW + 1))
    found = asker.ask(Fetch(asker.members["bob"], 0, 10, 1 << 20, NOW + 9)).entries
    assert [(entry.id, entry.expires) for entry in found] == [(b"m1", None)]
    assert brief(asker.ack("bob", 1).entries) == [(2, "DELIVERED", b"m1")]


def test_what_is_over_is_not_read(asker: Asker):
    expire(asker, NOW - 1)
    asker.send("alice", "bob", id=b"m1", expires=NOW)
    asker.send("alice", "bob", id=b"m2")
    outcome = asker.read("bob", "alice", 2)
    assert brief(outcome.entries) == [
        (3, "FAILED", b"m1"),
        (4, "DELIVERED", b"m2"),
        (3, "READ_HERE", b""),
        (5, "READ", b"m2"),
    ]
    assert brief(asker.log("bob")) == [(2, "RECEIVED", b"m2"), (3, "READ_HERE", b"")]


def test_what_one_device_has_the_others_get_although_it_is_over(asker: Asker):
    asker.send("alice", "bob", id=b"m1", expires=NOW + 1)
    expire(asker, NOW - 1)
    asker.open("bob", "phone")
    asker.ack("bob", 1)
    result = asker.ask(Fetch(asker.members["bob"], 0, 10, 1 << 20, NOW + 2))
    assert brief(result.entries) == [(1, "RECEIVED", b"m1")]
    assert result.entries[0].expires is None


# Prune


def prune(asker: Asker, time: float) -> int:
    calls = 1
    while asker.ask(Prune(time, 100.0)):
        calls += 1
    return calls


def test_old_messages_that_all_devices_have_are_removed(asker: Asker):
    asker.send("alice", "bob", id=b"m1")
    asker.send("alice", "bob", id=b"m2", time=NOW + 50)
    asker.ack("bob", 2)
    asker.read("bob", "alice", 1)
    asker.ack("alice", 9)
    asker.ack("bob", 9)
    prune(asker, NOW + 100)
    assert len(asker.log("alice")) == 5, "not yet older than that"
    prune(asker, NOW + 101)
    assert brief(asker.log("alice")) == [(2, "SENT", b"m2"), (4, "DELIVERED", b"m2")]
    assert brief(asker.log("bob")) == [(2, "RECEIVED", b"m2")]


def test_the_id_of_a_message_is_free_in_the_batch_that_removes_it(asker: Asker):
    first = asker.send("alice", "bob", id=b"m1")
    asker.ack("bob", 1)
    asker.read("bob", "alice", 1)
    asker.ack("alice", 9)
    asker.ack("bob", 9)
    removed, sent = asker.store.apply([Prune(NOW + 101, 100.0), asker.append("alice", "bob", id=b"m1")])
    assert removed is False, "one call removed everything"
    assert isinstance(sent, Appended)
    assert sent.message > first.message


def test_what_a_device_needs_is_not_removed(asker: Asker):
    asker.open("bob", "phone")
    asker.send("alice", "bob", id=b"m1")
    sent = asker.send("alice", to="dan", live=True, id=b"m2")
    asker.ack("bob", 1)
    asker.ack("alice", 99)
    prune(asker, NOW + 101)
    assert len(asker.log("bob")) == 1, "the phone does not have it"
    asker.ack("bob", 1, b"phone")
    prune(asker, NOW + 101)
    assert asker.log("bob") == []
    assert brief(asker.log("alice")) == [(2, "SENT", b"m2")], "it is not settled"
    settle(asker, sent.message, True)
    asker.ack("alice", 99)
    prune(asker, NOW + 101)
    assert asker.log("alice") == []


def test_without_devices_only_undelivered_messages_are_needed(new_asker: AskerMaker):
    asker = new_asker(StoreLimits())
    asker.add("alice", "bob", device="")
    asker.send("alice", "bob", id=b"m1")
    prune(asker, NOW + 101)
    assert brief(asker.log("bob")) == [(1, "RECEIVED", b"m1")]
    asker.open("bob")
    asker.ack("bob", 1)
    prune(asker, NOW + 101)
    assert asker.log("bob") == asker.log("alice") == []


def test_pruning_takes_a_bounded_number_at_once(asker: Asker):
    asker.store.apply([asker.append("alice", "bob", id=b"%d" % i) for i in range(600)])
    asker.ack("bob", 600)
    asker.ack("alice", 1200)
    assert prune(asker, NOW + 101) == 3
    assert asker.log("alice") == []


def test_pruning_goes_on_when_what_it_looked_at_last_is_gone(asker: Asker):
    asker.store.apply([asker.append("dan", "bob", time=NOW + (at >= 257) * 50) for at in range(300)])
    assert asker.ask(Prune(NOW + 101, 100.0)) is True
    for seq in (256, 257, 258):
        asker.refuse("bob", seq)
    prune(asker, NOW + 101)
    assert asker.store.check() == []
    prune(asker, NOW + 101)
    assert len(asker.log("bob")) == 42


# One that is refused among others


def test_a_refusal_does_not_disturb_the_others(new_asker: AskerMaker):
    asker = new_asker(StoreLimits(mailbox_entries=2))
    asker.add("alice", "bob", "carol")
    one = asker.append("alice", "bob", id=b"m1")
    results = asker.store.apply([one, replace(one, id=b"m2"), replace(one, id=b"m3"), asker.append("alice", "carol")])
    assert [type(result) for result in results] == [Appended, Appended, Refusal, Appended]
    assert [entry.seq for entry in asker.log("alice")] == [1, 2, 3]
