"""Requests that may be long are carried out in small steps, with the same outcome."""

import contextlib
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, Asker
from tests.store.sending_files import offer, pieces, read, send_file
from tests.store.steps import STEP, Steps
from twotick.store.port import Refusal, Request, StoreLimits
from twotick.store.requests.conversations import ListConversations
from twotick.store.requests.devices import LapseDevice, TellOfAbsence
from twotick.store.requests.files import PIECE, FileOffer
from twotick.store.requests.members import (
    AddMember,
    ContinueRemoval,
    FindMembers,
    OpenDevice,
    OpenedDevice,
    RemoveMember,
    Revoke,
    RevokeOthers,
)
from twotick.store.requests.messages import (
    Acknowledge,
    Append,
    Appended,
    Duplicate,
    EntryKind,
    Expire,
    History,
    LogEntry,
    MarkRead,
    MessageAction,
    MessagesPart,
    MessageState,
    Refuse,
    Settle,
)
from twotick.store.requests.pins import ListPins
from twotick.store.requests.presence import ListAudience, ListContacts
from twotick.store.requests.profiles import ListProfiles, SetProfile
from twotick.store.requests.rooms import ListRooms
from twotick.store.requests.search import SearchMessages, SearchPage
from twotick.store.rules import delivery
from twotick.store.sqlite import conversation_list, editing, files, messages, presence, rooms
from twotick.store.sqlite.reading import PART_BYTES

MANY = 6000

pytestmark = pytest.mark.volume


def send_many(asker: Asker, sender: str, recipient: str, count: int = MANY) -> None:
    for start in range(0, count, 500):
        ids = [b"%d" % number for number in range(start, min(start + 500, count))]
        asker.store.apply([asker.append(sender, recipient, id=each, body=b"x") for each in ids])


# Devices


@pytest.fixture
def with_phone(asker: Asker) -> Asker:
    """Bob has a phone that stays away, and much on it."""
    asker.open("bob", "phone")
    send_many(asker, "alice", "bob")
    asker.ack("bob", MANY - 10)
    return asker


def test_a_device_with_much_to_get_is_revoked(with_phone: Asker) -> None:
    bob = with_phone.members["bob"]
    revoked = Steps(with_phone, Revoke(bob, "phone"))
    assert revoked.finish(lambda: with_phone.send("alice", "bob")) is True
    assert len(revoked.costs) > 2
    assert max(revoked.costs) < STEP
    assert with_phone.cursors("bob") == {"main": MANY - 10}
    assert Steps(with_phone, Revoke(bob, "phone")).finish() is False


def test_all_devices_are_revoked(with_phone: Asker) -> None:
    """Nothing is lost of what no device has: the next one gets it (rule 11.2)."""
    bob = with_phone.members["bob"]
    Steps(with_phone, Revoke(bob, "phone")).finish()
    Steps(with_phone, Revoke(bob, "main")).finish()
    assert with_phone.cursors("bob") == {}
    assert with_phone.open("bob", "tablet").cursor == MANY - 10


def test_other_machines_are_revoked_one_by_one(with_phone: Asker) -> None:
    bob = with_phone.members["bob"]
    for number in range(3):
        with_phone.open("bob", f"old{number}")
        with_phone.open("bob", f"old{number}/listen")
    revoked = Steps(with_phone, RevokeOthers(bob, "main/listen"))
    assert revoked.finish(lambda: with_phone.send("alice", "bob")) is None
    assert len(revoked.costs) > 4
    assert max(revoked.costs) < STEP
    assert with_phone.cursors("bob") == {"main": MANY - 10}


def test_a_device_with_much_to_get_lapses(with_phone: Asker) -> None:
    bob = with_phone.members["bob"]
    with_phone.ask(TellOfAbsence(bob, "phone", NOW + 1, NOW + 2))
    lapsed = Steps(with_phone, LapseDevice(bob, "phone"))
    assert lapsed.finish(lambda: with_phone.send("alice", "bob")) is None
    assert len(lapsed.costs) > 2
    assert max(lapsed.costs) < STEP
    assert with_phone.cursors("bob") == {"main": MANY - 10, "phone": None}


def test_a_first_device_comes_to_a_long_log(asker: Asker) -> None:
    """What the member has sent from connections that only send."""
    asker.add("dan", device="")
    send_many(asker, "dan", "alice")
    asker.send("alice", "dan", id=b"waits")
    opened = Steps(asker, OpenDevice(asker.members["dan"], "main", 0, NOW))
    answer = opened.finish()
    assert isinstance(answer, OpenedDevice)
    assert (answer.cursor, answer.last) == (MANY, MANY + 1)
    assert len(opened.costs) > 2
    assert max(opened.costs) < STEP


@pytest.mark.parametrize("refuses", [False, True])
def test_a_device_passes_much_that_it_has_sent(asker: Asker, refuses: bool) -> None:
    """Rule 11.3: it is not sent its own messages, and acknowledges the next one after them."""
    send_many(asker, "bob", "alice")
    asker.send("alice", "bob", id=b"last")
    last = MANY + 1
    request = (Refuse if refuses else Acknowledge)(asker.members["bob"], b"main", last, NOW)
    moved = Steps(asker, request)
    moved.finish()
    assert len(moved.costs) > 2
    assert max(moved.costs) < STEP
    assert [(entry.id, entry.kind.name) for entry in moved.told.entries] == [
        (b"last", "FAILED" if refuses else "DELIVERED")
    ]
    assert asker.cursors("bob") == {"main": last}


def test_much_is_read_in_steps(asker: Asker) -> None:
    send_many(asker, "alice", "bob", 600)
    while asker.store.tidy():
        pass
    read = Steps(asker, MarkRead(asker.members["bob"], b"main", b"alice", 600, NOW))
    read.finish()
    assert len(read.costs) == 7
    assert max(read.costs) < STEP


def test_looking_up_many_users_is_work(asker: Asker) -> None:
    """So the exchange does so in several requests, and others have their turn."""
    found = Steps(asker, FindMembers(tuple(f"m{number}" for number in range(256)), ()))
    assert found.finish() == []
    assert 256 < found.costs[0] < STEP


# Quotas


def test_a_large_mailbox_is_counted_by_sender_in_steps(new_asker: AskerMaker) -> None:
    """Rule 11.13: before one more message comes, it must be known whose messages wait."""
    asker = new_asker(StoreLimits(sender_entries=5000))
    asker.add("alice", "bob", "carol")
    asker.set("bob", "dan", blocked=True)
    send_many(asker, "alice", "bob", 4999)
    send_many(asker, "guest", "bob", 4999)
    asker.reopen()
    sent = Steps(asker, asker.append("alice", "bob", id=b"last"))
    assert isinstance(sent.finish(lambda: asker.send("bob", "carol")), Appended)
    assert len(sent.costs) > 2
    assert max(sent.costs) < STEP
    refused = asker.ask(asker.append("alice", "bob", id=b"too much"))
    assert isinstance(refused, Refusal)
    assert isinstance(asker.ask(asker.append("carol", "bob", id=b"c")), Appended)


# Messages to ALL


def names_of(asker: Asker, count: int) -> list[str]:
    names = [f"y{number}" for number in range(count)]
    asker.add(*names)
    return names


def sent_to_all(asker: Asker, names: list[str], *, live: bool = False, expires: float | None = None) -> Append:
    return asker.append("alice", *names, id=b"m", body=b"hear this", live=live, expires=expires)


def finders(asker: Asker, names: list[str]) -> list[str]:
    """Those who find the message."""
    found: list[str] = []
    for name in names:
        page = asker.ask(SearchMessages(asker.members[name], "hear", b"", 0, 9, 999))
        assert isinstance(page, SearchPage)
        found += [name] * len(page.entries)
    return found


@pytest.fixture
def many(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """More members than get a message in one step."""
    monkeypatch.setattr(messages, "_MEMBERS_AT_ONCE", 3)
    return names_of(asker, 8)


def test_a_message_to_thousands_is_stored_in_steps(asker: Asker) -> None:
    names = names_of(asker, 3000)
    asker.reopen()  # so nothing of the members is remembered
    sent = Steps(asker, sent_to_all(asker, names))
    assert isinstance(sent.finish(lambda: asker.send("carol", "bob")), Appended)
    assert len(sent.costs) > 8
    assert max(sent.costs) < STEP
    came = [entry.member for entry in sent.told.entries if entry.kind is EntryKind.RECEIVED]
    assert came == [asker.members[name] for name in names]
    assert [entry.kind.name for entry in asker.log("alice")] == ["SENT"]
    assert asker.store.check() == []
    expired = Steps(asker, Expire(NOW + 60))  # without a time, so nothing
    expired.finish()
    assert [*map(asker.log, names[::500])] == [[sent.told.entries[1 + index]] for index in range(0, 3000, 500)]


@pytest.mark.parametrize("live", [False, True])
def test_a_message_to_many_is_delivered_when_the_last_one_has_it(asker: Asker, many: list[str], live: bool) -> None:
    """Also if others have it while yet others are still to get it; nobody finds it twice, or only some do."""
    asker.set(many[1], "alice", blocked=True)
    asker.set(many[4], "alice", blocked=True)
    asker.remove(many[5])
    sent = Steps(asker, sent_to_all(asker, many, live=live))

    def acknowledge() -> None:
        for name in (many[0], many[3]):
            asker.ack(name, 1)
        asker.store.tidy()
        assert asker.store.check() == []

    answer = sent.finish(acknowledge)
    assert isinstance(answer, Appended)
    assert len(sent.costs) == 3
    told = asker.ack(many[2], 1)
    for name in (many[3], many[6]):
        told = asker.ack(name, 1)
    assert not told.entries
    told = asker.ack(many[7], 1)
    if live:
        assert not told.entries
        told = asker.ask(Settle(answer.message, True, "", NOW))
    (failed,) = told.entries  # one of them is no member any more
    assert failed.kind is EntryKind.FAILED
    assert failed.reason == f"the recipient is not a member any more; {5 + live} of {6 + live} have it"
    assert finders(asker, many[:5] + many[6:]) == [many[0], many[2], many[3], many[6], many[7]]
    assert asker.store.check() == []


def test_a_message_to_many_whose_mailboxes_are_full_fails(
    new_asker: AskerMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "_MEMBERS_AT_ONCE", 1)
    small = new_asker(StoreLimits(mailbox_entries=4))
    small.add("alice", "bob", "carol")
    for name in ("bob", "carol"):
        for number in range(4):
            small.send("dan", name, id=b"%d" % number)
    sent = Steps(small, small.append("alice", "bob", "carol", id=b"m", body=bytes(100)))
    assert isinstance(sent.finish(), Appended)
    assert [
        (entry.kind.name, entry.reason) for entry in sent.told.entries if entry.member == small.members["alice"]
    ] == [
        ("SENT", ""),
        ("FAILED", "the mailbox of carol is full; 0 of 2 have it"),
    ]
    assert small.store.check() == []


@pytest.mark.parametrize("steps", [1, 2])
def test_a_message_to_many_that_was_interrupted_fails_at_the_next_start(
    asker: Asker, many: list[str], steps: int
) -> None:
    """It stays with those who have it, is given to no others, and is not sent again."""
    request = sent_to_all(asker, many)
    sent = Steps(asker, request)
    for _ in range(steps):
        assert sent.step()
    asker.reopen()
    reached = many[: 3 * steps]
    for name in reached[:-1]:
        assert asker.ack(name, 1).entries == []
    (failed,) = asker.ack(reached[-1], 1).entries
    assert (failed.kind, failed.reason) == (
        EntryKind.FAILED,
        f"{delivery.RESTARTED}; {len(reached)} of {len(reached) + 1} have it",
    )
    again = asker.ask(request)
    assert isinstance(again, Duplicate)
    assert again.state is MessageState.FAILED
    assert [len(asker.log(name)) for name in many] == [1] * len(reached) + [0] * (8 - len(reached))
    assert finders(asker, many) == reached
    assert asker.store.check() == []


def test_a_message_that_is_over_is_given_to_no_others(asker: Asker, many: list[str]) -> None:
    sent = Steps(asker, sent_to_all(asker, many, expires=NOW + 5))
    assert sent.step()
    asker.ack(many[0], 1)
    (failed,) = asker.ask(Expire(NOW + 10)).entries
    assert (failed.kind, failed.reason) == (EntryKind.FAILED, "expired; 1 of 4 have it")
    assert sent.finish() == Refusal("expired")
    assert [len(asker.log(name)) for name in many] == [1] + [0] * 7
    assert asker.store.check() == []


def test_a_message_that_none_of_many_has_taken_is_over_in_steps(asker: Asker) -> None:
    names = names_of(asker, 600)
    asker.ask(sent_to_all(asker, names, expires=NOW + 5))
    while asker.store.tidy():
        pass
    expired = Steps(asker, Expire(NOW + 10))
    expired.finish(lambda: asker.send("carol", "bob"))
    assert len(expired.costs) > 5
    assert max(expired.costs) < STEP
    assert [(entry.kind.name, entry.reason) for entry in expired.told.entries] == [
        ("FAILED", "expired; 0 of 600 have it")
    ]
    assert asker.store.check() == []


# Edits


def test_a_message_with_many_edits_is_deleted(asker: Asker) -> None:
    asker.send("alice", "bob", id=b"m", body=b"secret zero")
    edits = 3 * 64 + 5
    for number in range(edits):
        edit = asker.correction("alice", MessageAction.EDIT, b"m", b"secret %d" % number, to="bob", id=b"e%d" % number)
        assert isinstance(asker.ask(edit), Appended)
    assert edits > editing._EDITS  # pyright: ignore[reportPrivateUsage]
    deletion = asker.correction("alice", MessageAction.DELETE, b"m", to="bob", id=b"d")
    deleted = Steps(asker, deletion)
    answer = deleted.finish(lambda: asker.send("carol", "bob"))
    assert isinstance(answer, Appended)
    assert len(deleted.costs) == 4
    assert max(deleted.costs) < STEP
    kept = [entry for entry in asker.history("bob", "alice") if entry.id != b"d"]
    assert len(kept) == edits + 1
    assert all(b"Deleted: " in entry.headers and not entry.body for entry in kept)


def test_a_deletion_that_is_refused_empties_no_edit(asker: Asker) -> None:
    asker.send("alice", "bob", id=b"m")
    for number in range(editing._EDITS + 2):  # pyright: ignore[reportPrivateUsage]
        asker.ask(asker.correction("alice", MessageAction.EDIT, b"m", b"again", to="bob", id=b"e%d" % number))
    refused = asker.correction("carol", MessageAction.DELETE, b"m", to="bob", id=b"d")
    assert isinstance(Steps(asker, refused).finish(), Refusal)
    assert all(entry.body for entry in asker.history("bob", "alice"))


# History


def parts(
    asker: Asker, request: Request[MessagesPart], between: Callable[[], object] = lambda: None
) -> list[list[LogEntry]]:
    """What a request is answered with, part by part; each is small."""
    found: list[list[LogEntry]] = []
    rest: Request[MessagesPart] | None = request
    while rest is not None:
        steps = Steps(asker, rest)
        part = steps.finish()
        assert max(steps.costs) < STEP
        assert sum(len(entry.body) for entry in part.entries) < PART_BYTES + (64 << 10)
        found.append(part.entries)
        rest = part.rest
        between()
    return found


def test_a_history_with_much_in_it_is_read_in_parts(asker: Asker) -> None:
    """Also while messages come and go."""
    for number in range(40):
        asker.send("alice", "bob", id=b"%d" % number, body=bytes(60 << 10))
    late = iter(range(100))

    def meanwhile() -> None:
        number = next(late)
        asker.send("alice", "bob", id=b"late%d" % number)
        about = b"%d" % (39 - number)
        asker.ask(asker.correction("alice", MessageAction.DELETE, about, to="bob", id=b"d%d" % number))

    found = parts(asker, History(asker.members["bob"], b"alice", 0, 0, 30), meanwhile)
    assert len(found) > 6
    entries = [entry for part in found for entry in part]
    assert [entry.id for entry in entries] == [b"%d" % number for number in range(10, 40)]
    assert [entry.id for entry in entries if not entry.body] == [
        b"%d" % number for number in range(41 - len(found), 40)
    ]


def test_an_answer_has_so_many_bytes_in_all(asker: Asker) -> None:
    """Rule 11.9: those of the newest messages."""
    for number in range(40):
        asker.send("alice", "bob", id=b"%d" % number, body=bytes(60 << 10))
    found = parts(asker, History(asker.members["bob"], b"", 0, 0, 1000, 20 * (60 << 10)))
    assert [entry.id for part in found for entry in part] == [b"%d" % number for number in range(20, 40)]


def test_many_small_messages_are_read_in_parts(asker: Asker) -> None:
    send_many(asker, "alice", "bob", 1000)
    found = parts(asker, History(asker.members["bob"], b"alice", 0, 0, 1000))
    assert [len(part) for part in found] == [128] * 7 + [104]


def test_pinned_messages_are_read_in_parts(asker: Asker) -> None:
    for number in range(10):
        asker.send("alice", "bob", id=b"%d" % number, body=bytes(60 << 10))
        pin = asker.correction("bob", MessageAction.PIN, b"%d" % number, to="alice", id=b"p%d" % number)
        asker.ask(replace(pin, about_name=b"alice"))
    found = parts(asker, ListPins(asker.members["bob"], b"alice", 4 << 20, NOW))
    assert [len(part) for part in found] == [3, 3, 3, 1]
    assert [entry.id for part in found for entry in part] == [b"%d" % number for number in reversed(range(10))]
    found = parts(asker, ListPins(asker.members["bob"], b"alice", 4 * (60 << 10), NOW))
    assert [len(part) for part in found] == [3, 1]


# Conversations


def test_conversations_are_counted_in_steps(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while messages come, are sent and are read between the steps."""
    monkeypatch.setattr(conversation_list, "_PEERS", 3)
    monkeypatch.setattr(conversation_list, "_CONVERSATIONS", 2)
    monkeypatch.setattr(conversation_list, "_ENTRIES", 7)
    names = [f"g{number}" for number in range(8)]
    asker.gather("alice", "bob", room="#team")
    for round_ in range(5):
        for name in [*names, "bob", "carol"]:
            asker.send(name, "alice", **({"id": b"%d" % round_} if name in asker.members else {}))
        asker.say("bob", b"@alice", id=b"r%d" % round_)
    asker.set("alice", "dan", muted=True)
    asker.read("alice", "g3", 20)
    listed = Steps(asker, ListConversations(asker.members["alice"], 1000))
    number = 0

    def meanwhile() -> None:
        nonlocal number
        number += 1
        asker.send(f"late{number % 3}", "alice")
        asker.send("alice", "carol", id=b"a%d" % number)
        if number == 4:
            asker.read("alice", "bob", 30)
        if number == 6:
            asker.read("alice", "g1", 1 << 30)

    def stop_after_a_while() -> None:
        if number < 12:
            meanwhile()

    found = listed.finish(stop_after_a_while)
    assert len(listed.costs) > 12
    monkeypatch.undo()
    whole = Steps(asker, ListConversations(asker.members["alice"], 1000))
    assert found == whole.finish()
    assert len(whole.costs) == 1
    by_name = {each.name: each for each in found}
    assert by_name["g1"].unread == 0
    assert by_name["g2"].unread == by_name["#team"].mentions == 5
    assert by_name["dan"].muted


def test_the_newest_conversations_are_listed_of_many(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation_list, "_PEERS", 10)
    asker.store.apply([asker.append(f"g{number}", "alice") for number in range(95)])
    listed = Steps(asker, ListConversations(asker.members["alice"], 20))
    assert [each.name for each in listed.finish()] == [f"g{number}" for number in range(94, 74, -1)]
    assert len(listed.costs) > 9


# Rooms


def test_the_members_of_rooms_are_counted_in_steps(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also while members come and rooms go."""
    asker.add("dan")
    for number in range(8):
        asker.gather("alice", "bob", "carol", room=f"#r{number}")
    monkeypatch.setattr(rooms, "_COUNTED_AT_ONCE", 5)
    listed = Steps(asker, ListRooms(asker.members["alice"], 7))
    assert listed.step()
    asker.invite("alice", "dan", "#r6")
    asker.join("dan", "#r6")
    found = listed.finish()
    assert len(listed.costs) == 4
    assert [(room.name, room.members) for room in found] == [*((f"#r{number}", 3) for number in range(6)), ("#r6", 4)]


# Presence


def crowd(asker: Asker, rooms: int, size: int) -> None:
    """Let alice be in some rooms, each with as many others of its own: x0, x1 and so on."""
    names = [f"x{number}" for number in range(rooms * size)]
    added = asker.store.apply([AddMember(name, "", NOW) for name in names])
    asker.members.update((name, member.number) for name, member in zip(names, added, strict=True))
    for room in range(rooms):
        asker.gather("alice", room=f"#r{room}")
    assert asker.folder is not None
    with contextlib.closing(sqlite3.connect(asker.folder / "twotick.db")) as database:  # each member is told who joins
        places = [number for (number,) in database.execute("SELECT number FROM room ORDER BY number")]
        rows = [(places[index // size], asker.members[name], 1, NOW, 0) for index, name in enumerate(names)]
        database.executemany("INSERT INTO room_member VALUES (?, ?, ?, ?, ?)", rows)
        database.commit()


@pytest.mark.parametrize("kind", [ListContacts, ListAudience, ListProfiles])
def test_many_are_seen_in_many_rooms(asker: Asker, kind: type[Any]) -> None:
    """Those who wrote, or were written to, come first; then those with the lowest numbers (rule 15.2)."""
    crowd(asker, rooms=4, size=1500)
    for number in (5990, 5999):
        asker.send(f"x{number}", "alice", id=b"m")
        asker.send("alice", f"x{number}", id=b"a%d" % number)
    asker.set("alice", "x3", blocked=True)
    alice = asker.members["alice"]
    asker.ask(SetProfile(asker.members["x5990"], "Late", None))
    request = kind(alice, b"") if kind is ListAudience else kind(alice)
    listed = Steps(asker, request)
    found = listed.finish(lambda: asker.send("carol", "bob"))
    assert len(listed.costs) > 1
    assert max(listed.costs) < STEP
    if kind is ListProfiles:
        assert [each.name for each in found] == ["x5990"]
        return
    numbers = sorted(found if kind is ListAudience else [each.member for each in found])
    first = asker.members["x0"]
    skipped = {first + 3} if kind is ListAudience else set[int]()
    low = [first + number for number in range(1998 + len(skipped)) if first + number not in skipped]
    assert numbers == [*low, first + 5990, first + 5999]


def test_those_who_see_a_member_who_is_removed_are_found_in_steps(asker: Asker) -> None:
    crowd(asker, rooms=4, size=1500)
    asker.send("alice", "x5999", id=b"m")
    alice = asker.members["alice"]
    removed = Steps(asker, RemoveMember("alice", NOW))
    for _ in range(3):
        assert removed.step()
    assert max(removed.costs) < STEP
    assert asker.ask(FindMembers(("alice",), ())) == []
    first = asker.members["x0"]
    assert asker.ask(ListAudience(alice, b"", is_gone=True)) == [*range(first, first + 1999), first + 5999]
    asker.ask(ContinueRemoval(NOW))


def test_a_member_who_leaves_a_room_between_two_steps_sees_none_of_its_members(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence, "_MEMBERS_AT_ONCE", 1)
    asker.gather("alice", "bob", room="#one")
    asker.gather("alice", "carol", room="#two")
    listed = Steps(asker, ListContacts(asker.members["alice"]))
    assert listed.step()
    asker.leave("alice", "#two")
    assert [each.name for each in listed.finish()] == ["bob"]


# Files


def test_a_file_whose_hash_was_forgotten_is_hashed_in_steps(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_AT_ONCE", 3)
    content = bytes(range(256)) * (10 * PIECE // 256) + b"end"
    asker.ask(offer(asker, "alice", content))
    *most, last = pieces(asker, "alice", content)
    for piece in most:
        asker.ask(piece)
    asker.reopen()
    completed = Steps(asker, last)
    assert completed.finish(lambda: asker.send("carol", "bob")) == FileOffer(b"key", len(content))
    assert len(completed.costs) == 5
    send_file(asker, "alice", "bob")
    assert read(asker, "bob", 10 * PIECE) == b"end"


def test_a_wrong_file_is_found_out_in_steps(asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_AT_ONCE", 1)
    content = bytes(2 * PIECE) + b"end"
    asker.ask(offer(asker, "alice", content))
    *most, last = pieces(asker, "alice", content)
    for piece in most:
        asker.ask(piece)
    asker.reopen()
    last = type(last)(last.member, last.key, last.offset, b"ENd")
    assert Steps(asker, last).finish() == Refusal("the hash is wrong: the file is gone")
