"""Finding messages by their words (rule 14.5)."""

import re
import sqlite3
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.store.helpers import NOW, Asker
from twotick.store import ListMembers
from twotick.store.requests.messages import Append, EntryKind, Expire, LogEntry, MessageAction, Prune
from twotick.store.requests.rooms import ChangeRoom
from twotick.store.requests.search import SearchMessages, SearchPage
from twotick.store.rules.search import Filters, expression, member_key, parse_query
from twotick.store.sqlite import schema
from twotick.store.sqlite import word_index as search

DAY = 86400.0


def question(asker: Asker, name: str, query: str, peer: str = "", before: int = 0, most: int = 100) -> SearchMessages:
    return SearchMessages(asker.members[name], query, peer.encode(), before, most, 1 << 30)


def found(asker: Asker, name: str, query: str, peer: str = "") -> list[LogEntry]:
    result = asker.ask(question(asker, name, query, peer))
    assert isinstance(result, SearchPage), result
    return result.entries


def ids(asker: Asker, name: str, query: str, peer: str = "") -> list[bytes]:
    """What is found, by the messages' Ids."""
    return [entry.id for entry in found(asker, name, query, peer)]


def index(asker: Asker) -> int:
    """Ask for it until there is no more to do. Returns how often that was."""
    count = 1
    while asker.store.tidy():
        count += 1
    return count


def change(asker: Asker, sender: str, *recipients: str, action: MessageAction, about: bytes, **more: object) -> None:
    """Send a message that does something to an earlier one; its headers say so, as they do on the wire."""
    header = {MessageAction.EDIT: b"Edits", MessageAction.DELETE: b"Deletes", MessageAction.REACT: b"Reacts-to"}[action]
    request = asker.append(sender, *recipients, **more)  # type: ignore[arg-type]
    asker.store.apply([replace(request, action=action, about=about, headers=b"%b: %b\n" % (header, about))])


def with_headers(request: Append, headers: bytes) -> Append:
    return replace(request, headers=headers)


# What is found


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("wild", True),
        ("WILD oats", True),
        ("oats wild", True),
        ('"wild oats"', True),
        ('"oats wild"', False),
        ('sow "Wild OATS"', True),
        ('"sow wild"', False),
        ("wil", False),
        ("wil*", True),
        ("wi* oa*", True),
        ("wild barley", False),
        ("uber", True),
        ("ÜBER", True),
        ("u\u0308ber", True),
        ("dont", False),
        ("don't", True),
        ("don", True),
        ('"and über"', True),
        ("wild, oats!", True),
        ("--wild--", True),
        ("42", True),
        ("4*2", False),
        ("t*", True),
        ("w*", False),
        ("é*", False),
        ("3.14", True),
        ("mail@example.com", True),
        ("example", True),
        ("привет", True),
        ("ПРИВЕТ", True),
        ("你好", True),
        ("你*", True),
        ("wild\0oats", True),
        ("wild \U0001f600", False),
    ],
)
def test_words_are_found(asker: Asker, query: str, expected: bool):
    body = "Don't sow the Wild Oats, and über all: 42, 3.14; mail@example.com. Привет! 你好".encode()
    asker.send("alice", "bob", id=b"m1", body=body)
    asker.send("alice", "bob", id=b"m2", body=b"something else")
    assert ids(asker, "bob", query) == [b"m1"] * expected


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("", "there are no words to look for"),
        (" \t\n", "there are no words to look for"),
        ('""', "there are no words to look for"),
        ("* . ( ) ^ : + - _", "there are no words to look for"),
        ('"' + "a " * 125 + '"', "a query has at most 20 words"),
        ("x" * 257, "a query has at most 256 letters"),
        ("a " * 21, "a query has at most 20 words"),
        ("\u4f1a" * 42, "a query has at most 20 words"),
    ],
)
def test_what_is_no_query_is_refused(asker: Asker, query: str, reason: str):
    asker.send("alice", "bob", id=b"m1", body=b"hello")
    assert asker.refusal(question(asker, "bob", query)) == reason


PARTS = [*'"*()^:+-{}.,\0 ', "NEAR", "AND", "OR", "NOT", "text", "word", "é", "\u0301", "\ud800", "_", "'", "x", "ab"]


@examples(2)
@given(query=st.one_of(st.lists(st.sampled_from(PARTS), max_size=12).map("".join), st.text(max_size=30)))
def test_any_query_is_answered(query: str):
    """With something found, nothing, or a reason; and never with an error of the database's."""
    asker = Asker()
    asker.add("alice", "bob", device="")
    asker.send("alice", "bob", body=b"ab x text word near")
    result = asker.ask(question(asker, "bob", query))
    if isinstance(result, SearchPage):
        assert len(result.entries) <= 1
    else:
        asker.refusal(question(asker, "bob", query))
    asker.store.close()


def test_found_messages_are_entries(asker: Asker):
    first = asker.send("alice", "bob", id=b"m1", body=b"red oats")
    second = asker.send("bob", "alice", id=b"m2", body=b"more red oats", time=NOW + 1)
    assert found(asker, "bob", "oats") == [second.effects.entries[0], first.effects.entries[1]]
    assert found(asker, "alice", "oats") == [second.effects.entries[1], first.effects.entries[0]]
    assert found(asker, "alice", "oats") == list(reversed(asker.log("alice")))


def test_a_message_to_oneself_is_found_once(asker: Asker):
    asker.send("alice", "alice", id=b"m1", body=b"oats")
    assert found(asker, "alice", "oats") == asker.log("alice")[:1]


def test_only_what_is_in_ones_own_log_is_found(asker: Asker):
    asker.send("alice", "bob", id=b"m1", body=b"oats")
    asker.send("dan", "bob", id=b"m2", body=b"oats from a guest")
    asker.send("alice", "bob", "carol", to="ALL", id=b"m3", body=b"oats for all")
    asker.send("alice", to="dan", live=True, id=b"m4", body=b"oats for a guest")
    assert ids(asker, "alice", "oats") == [b"m4", b"m3", b"m1"]
    assert ids(asker, "bob", "oats") == [b"m3", b"m2", b"m1"]
    assert ids(asker, "carol", "oats") == [b"m3"]
    asker.refuse("bob", 2)
    assert ids(asker, "bob", "oats") == [b"m3", b"m1"]


def test_it_can_be_asked_within_one_conversation(asker: Asker):
    asker.send("alice", "bob", id=b"m1", body=b"oats")
    asker.send("bob", "alice", id=b"m2", body=b"oats")
    asker.send("carol", "alice", id=b"m3", body=b"oats")
    asker.send("carol", "alice", "bob", to="ALL", id=b"m4", body=b"oats")
    assert ids(asker, "alice", "oats", "BOB") == [b"m2", b"m1"]
    assert ids(asker, "alice", "oats", "carol") == [b"m4", b"m3"]
    assert ids(asker, "carol", "oats", "all") == [b"m4"]
    asker.send("carol", "alice", "carol", to="ALL", id=b"m5", body=b"oats for me, too")
    assert ids(asker, "carol", "oats", "all") == ids(asker, "carol", "oats")[:2] == [b"m5", b"m4"]
    assert ids(asker, "carol", "oats", "carol") == [b"m5"]
    assert ids(asker, "alice", "oats", "dan") == []
    assert ids(asker, "alice", "oats", "#team") == []


def test_who_is_no_member_finds_nothing(asker: Asker):
    asker.send("alice", "bob", id=b"m1", body=b"oats")
    asker.remove("bob")
    assert ids(asker, "bob", "oats") == []
    assert ids(asker, "alice", "oats") == [b"m1"]


# What cannot be found


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        (b"", b"oats", True),
        (b"X-a: 1\nContent-type: text/markdown\n", b"oats", True),
        (b"CONTENT-TYPE:Text/Plain; charset=utf-8\n", b"oats", True),
        (b"Content-type: application/json\n", b"oats", False),
        (b"content-type:image/png\n", b"oats", False),
        (b"", b"oats \xff", False),
        (b"", b"oats \xc3", False),
        (b"", b"", False),
        (b"Reply-to: m1\n", b"oats", True),
    ],
)
def test_text_is_found(asker: Asker, headers: bytes, body: bytes, expected: bool):
    asker.store.apply([with_headers(asker.append("alice", "bob", id=b"m1", body=body), headers)])
    assert ids(asker, "bob", "oats") == [b"m1"] * expected


def test_long_texts_are_found_by_their_beginning(asker: Asker):
    """A letter of two bytes is cut in two; one that is wrong is wrong all the same."""
    half = "ü".encode() * ((64 << 10) // 2 - 3)
    asker.send("alice", "bob", id=b"m1", body=b"oats " + half + b" barley")
    asker.send("alice", "bob", id=b"m2", body=b"oats \xff" + half)
    assert ids(asker, "bob", "oats") == [b"m1"]
    assert ids(asker, "bob", "barley") == []


def test_a_reaction_is_not_found(asker: Asker):
    asker.send("alice", "bob", id=b"m1", body=b"oats")
    change(asker, "bob", "alice", action=MessageAction.REACT, about=b"m1", id=b"m2", body=b"oats indeed")
    assert ids(asker, "alice", "oats") == [b"m1"]


# Changes


@pytest.mark.parametrize("indexed", [False, True])
def test_an_edit_changes_by_what_a_message_is_found(asker: Asker, indexed: bool):
    asker.send("alice", "bob", id=b"m1", body=b"red oats")
    if indexed:
        index(asker)
    change(asker, "alice", "bob", action=MessageAction.EDIT, about=b"m1", id=b"m2", body=b"blue oats")
    assert ids(asker, "bob", "red") == []
    assert ids(asker, "bob", "blue") == [b"m1"]
    assert ids(asker, "bob", "oats") == [b"m1"]
    change(asker, "alice", "bob", action=MessageAction.EDIT, about=b"m1", id=b"m3", body=b"\xff")
    assert ids(asker, "bob", "blue") == []
    change(asker, "alice", "bob", action=MessageAction.EDIT, about=b"m1", id=b"m4", body=b"green oats")
    assert ids(asker, "bob", "green") == [b"m1"]


@pytest.mark.parametrize("indexed", [False, True])
def test_a_deleted_message_is_not_found(asker: Asker, indexed: bool):
    asker.send("alice", "bob", id=b"m1", body=b"oats")
    asker.send("alice", "bob", id=b"m2", body=b"more oats")
    change(asker, "alice", "bob", action=MessageAction.EDIT, about=b"m2", id=b"m3", body=b"less oats")
    if indexed:
        index(asker)
    change(asker, "alice", "bob", action=MessageAction.DELETE, about=b"m2", id=b"m4", body=b"")
    assert ids(asker, "bob", "oats") == [b"m1"]
    index(asker)
    assert ids(asker, "bob", "oats") == [b"m1"]


def test_what_a_blocked_user_edits_stays_as_it_is(asker: Asker):
    asker.send("alice", "bob", id=b"m1", body=b"red oats")
    index(asker)
    asker.set("bob", "alice", blocked=True)
    change(asker, "alice", "bob", action=MessageAction.EDIT, about=b"m1", id=b"m2", body=b"blue oats")
    asker.send("alice", "bob", id=b"m3", body=b"new oats")
    assert ids(asker, "bob", "oats") == [b"m1"]
    assert ids(asker, "bob", "red") == [b"m1"]
    assert ids(asker, "bob", "blue") == []
    assert found(asker, "bob", "red")[0].body == b"red oats"
    assert ids(asker, "alice", "red") == []
    assert found(asker, "alice", "blue")[0].body == b"blue oats"
    change(asker, "alice", "bob", action=MessageAction.EDIT, about=b"m1", id=b"m4", body=b"green oats")
    assert (ids(asker, "bob", "red"), ids(asker, "alice", "green")) == ([b"m1"], [b"m1"])
    asker.set("bob", "alice", blocked=False)
    assert ids(asker, "bob", "red") == [b"m1"]
    change(asker, "alice", "bob", action=MessageAction.EDIT, about=b"m1", id=b"m5", body=b"black oats")
    assert ids(asker, "bob", "black") == ids(asker, "alice", "black") == [b"m1"]
    asker.set("bob", "alice", blocked=True)
    change(asker, "alice", "bob", action=MessageAction.EDIT, about=b"m1", id=b"m6", body=b"white oats")
    change(asker, "alice", "bob", action=MessageAction.DELETE, about=b"m1", id=b"m7", body=b"")
    assert ids(asker, "bob", "oats") == []
    assert [entry.body for entry in asker.history("bob", "alice") if entry.id == b"m1"] == [b""]
    assert asker.store.check() == []


def is_indexed_for(asker: Asker, name: str, word: str) -> bool:
    """Whether the index has a word with the key of a member."""
    words = asker.store._search._words  # pyright: ignore[reportPrivateUsage]
    term = expression(parse_query(word, Filters()), member_key(asker.members[name]), Filters(), b"")
    return asker.store._database.within(  # pyright: ignore[reportPrivateUsage]
        lambda: bool(list(words.find(term, 0, 1 << 62)))
    )


@pytest.mark.parametrize("indexed", [False, True])
def test_a_message_that_is_over_is_not_found_even_before_it_is_removed(asker: Asker, indexed: bool):  # rule 11.10
    asker.ask(Expire(NOW))
    asker.send("alice", "bob", id=b"m1", body=b"red oats", expires=NOW + 5)
    asker.send("alice", "bob", id=b"m2", body=b"blue oats", expires=NOW + 9)
    if indexed:
        index(asker)
    assert ids(asker, "bob", "oats") == [b"m2", b"m1"]
    later = replace(question(asker, "bob", "oats"), time=NOW + 6)
    for asked in (later, replace(later, peer=b"alice")):
        page = asker.ask(asked)
        assert isinstance(page, SearchPage)
        assert [entry.id for entry in page.entries] == [b"m2"]
    of_alice = asker.ask(replace(later, member=asker.members["alice"]))
    assert isinstance(of_alice, SearchPage)
    assert [entry.id for entry in of_alice.entries] == [b"m2", b"m1"]
    asker.ack("bob", 2)
    assert ids(asker, "bob", "oats") == [b"m2", b"m1"], "what came in time stays"


@pytest.mark.parametrize("indexed", [False, True])
@pytest.mark.parametrize("how", ["refused", "expired"])
def test_what_a_member_does_not_get_has_no_words_for_that_member(asker: Asker, how: str, indexed: bool):
    asker.ask(Expire(NOW))
    asker.send("alice", "bob", id=b"m1", body=b"red oats", expires=NOW + 5)
    asker.send("alice", "bob", "carol", to="ALL", id=b"m2", body=b"blue oats", expires=NOW + 5)
    asker.send("alice", "bob", id=b"m3", body=b"green oats")
    if indexed:
        index(asker)
    if how == "refused":
        asker.refuse("bob", 1)
        asker.refuse("bob", 2)
    else:
        asker.ack("carol", 1)
        asker.ask(Expire(NOW + 6))
    index(asker)
    assert ids(asker, "bob", "oats") == [b"m3"]
    assert not is_indexed_for(asker, "bob", "red")
    assert is_indexed_for(asker, "bob", "green")
    assert ids(asker, "alice", "oats") == [b"m3", b"m2", b"m1"]
    assert ids(asker, "carol", "oats") == [b"m2"]
    assert asker.store.check() == []


def test_a_note_to_oneself_that_is_over_is_still_found_as_sent(asker: Asker):
    asker.ask(Expire(NOW))
    asker.send("alice", "alice", id=b"m1", body=b"red oats", expires=NOW + 5)
    index(asker)
    asker.ask(Expire(NOW + 6))
    assert ids(asker, "alice", "oats") == [b"m1"]
    assert asker.store.check() == []


def test_a_pruned_message_is_not_found(asker: Asker):
    asker.send("dan", "bob", id=b"m1", body=b"old oats")
    asker.send("dan", "bob", id=b"m2", body=b"new oats", time=NOW + DAY)
    assert ids(asker, "bob", "oats") == [b"m2", b"m1"]
    asker.ack("bob", 2)
    while asker.ask(Prune(NOW + DAY, 1.0)):
        pass
    assert ids(asker, "bob", "oats") == [b"m2"]


def test_no_message_gets_the_number_of_one_that_is_gone(tmp_path: Path):
    """Not even if that was the newest one when the server stopped."""
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    asker.send("alice", "bob", id=b"m1", body=b"oats")
    numbers = [asker.send("dan", "bob", id=b"m2", body=b"barley").message]
    assert ids(asker, "bob", "barley") == [b"m2"]
    asker.refuse("bob", 2)
    asker.reopen()
    numbers.append(asker.send("dan", "bob", id=b"m3", body=b"rye").message)
    assert numbers[0] < numbers[1]
    assert ids(asker, "bob", "rye") == [b"m3"]
    assert ids(asker, "bob", "barley") == []
    assert asker.store.check() == []
    asker.store.close()


# Rooms


def test_members_of_a_room_find_what_was_sent_to_it(asker: Asker):
    asker.create("alice", public=True)
    asker.join("bob")
    sent = asker.send("alice", to="#team", id=b"m1", body=b"oats")
    asker.send("alice", "bob", id=b"m2", body=b"private oats")
    first = found(asker, "bob", "oats", "#TEAM")
    assert first == [entry for entry in sent.effects.entries if entry.kind is EntryKind.RECEIVED]
    assert (first[0].room, first[0].place) == (b"#Team", 3)
    assert ids(asker, "alice", "oats", "#team") == [b"m1"]
    assert ids(asker, "bob", "oats") == [b"m2", b"m1"]
    assert ids(asker, "carol", "oats") == []
    assert ids(asker, "carol", "oats", "#team") == []


def test_who_joins_a_public_room_finds_what_was_sent_before(asker: Asker):
    asker.create("alice", public=True)
    asker.send("alice", to="#team", id=b"m1", body=b"oats")
    asker.join("carol")
    asker.send("alice", to="#team", id=b"m2", body=b"more oats")
    later, earlier = found(asker, "carol", "oats")
    assert (later.id, later.seq > 0, later.place) == (b"m2", True, 4)
    assert earlier == asker.history("carol", "#team")[1]
    assert (earlier.id, earlier.seq, earlier.place, earlier.room) == (b"m1", 0, 2, b"#Team")
    assert ids(asker, "carol", "oats", "#team") == [b"m2", b"m1"]
    assert ids(asker, "carol", "oats", "alice") == []


def test_what_was_sent_while_a_room_was_private_is_not_found(asker: Asker):
    asker.create("alice")
    asker.send("alice", to="#team", id=b"m1", body=b"secret oats")
    asker.change(ChangeRoom(asker.members["alice"], "#team", True, None, NOW))
    asker.send("alice", to="#team", id=b"m2", body=b"oats")
    asker.join("bob")
    assert ids(asker, "bob", "oats") == [b"m2"]


def test_who_has_left_finds_what_is_in_the_own_log(asker: Asker):
    asker.create("alice", public=True)
    asker.send("alice", to="#team", id=b"m1", body=b"oats")
    asker.join("bob")
    asker.send("alice", to="#team", id=b"m2", body=b"more oats")
    assert ids(asker, "bob", "oats") == [b"m2", b"m1"]
    asker.leave("bob")
    asker.send("alice", to="#team", id=b"m3", body=b"oats without bob")
    assert ids(asker, "bob", "oats") == [b"m2"]
    assert ids(asker, "bob", "oats", "#team") == [b"m2"]


# Pages


def test_they_come_newest_first_in_pages(asker: Asker):
    for number in range(10):
        asker.send("alice", "bob", id=b"%d" % number, body=b"oats")
        asker.send("alice", "carol", body=b"oats for carol")
    seen: list[bytes] = []
    before = 0
    for expected in (4, 4, 2):
        result = asker.ask(question(asker, "bob", "oats", before=before, most=4))
        assert isinstance(result, SearchPage)
        seen += [entry.id for entry in result.entries]
        assert len(result.entries) == expected
        before = result.before
    assert before == 0
    assert seen == [b"%d" % number for number in reversed(range(10))]


def test_a_page_has_so_many_bytes(asker: Asker):
    for number in range(5):
        asker.send("alice", "bob", id=b"%d" % number, body=b"oats " * 10)
    result = asker.ask(replace(question(asker, "bob", "oats"), size=60))
    assert isinstance(result, SearchPage)
    assert [entry.id for entry in result.entries] == [b"4", b"3"]
    result = asker.ask(question(asker, "bob", "oats", before=result.before))
    assert isinstance(result, SearchPage)
    assert [entry.id for entry in result.entries] == [b"2", b"1", b"0"]


def pages(asker: Asker, name: str, query: str, peer: str = "", most: int = 100) -> list[list[bytes]]:
    """What is found on each page, by the messages' Ids."""
    before, pages = 0, list[list[bytes]]()
    while not pages or before:
        result = asker.ask(question(asker, name, query, peer, before, most))
        assert isinstance(result, SearchPage)
        before = result.before
        pages.append([entry.id for entry in result.entries])
    return pages


def test_messages_of_others_neither_count_nor_delay(asker: Asker):
    asker.send("alice", "bob", id=b"m1", body=b"oats")
    asker.store.apply([asker.append("alice", "carol", id=b"%d" % at, body=b"oats") for at in range(2500)])
    assert pages(asker, "bob", "oats") == [[b"m1"]]
    index(asker)
    assert pages(asker, "bob", "oats") == [[b"m1"]]


def test_messages_of_other_conversations_neither_count_nor_delay(asker: Asker):
    asker.send("alice", "bob", id=b"m1", body=b"oats")
    asker.store.apply([asker.append("alice", "carol", id=b"%d" % at, body=b"oats") for at in range(2500)])
    index(asker)
    assert pages(asker, "alice", "oats", "bob") == [[b"m1"]]


def test_the_last_page_has_no_mark_of_a_further_one(asker: Asker):
    """Not even if there are more messages with the words that the member may not read any more."""
    asker.send("dan", "bob", id=b"m1", body=b"oats")
    asker.send("dan", "bob", id=b"m2", body=b"oats")
    index(asker)
    asker.refuse("bob", 1)
    assert pages(asker, "bob", "oats", most=1) == [[b"m2"]]


def test_pages_go_on_where_the_last_one_ended(asker: Asker):
    """In the log, and in rooms, where there are messages that are in nobody's log; also if that message is gone."""
    asker.create("alice", public=True)
    for number in range(5):
        asker.send("alice", to="#team", id=b"a%d" % number, body=b"oats")
    asker.join("bob")
    asker.create("alice", "#den", public=True)
    for number in range(5):
        asker.send("alice", to="#den", id=b"d%d" % number, body=b"oats")
    asker.join("bob", "#den")
    asker.send("dan", "bob", id=b"m1", body=b"oats")
    asker.send("dan", "bob", id=b"m2", body=b"oats")
    everything = [
        b"m2",
        b"m1",
        *(b"d%d" % at for at in reversed(range(5))),
        *(b"a%d" % at for at in reversed(range(5))),
    ]
    assert [found for page in pages(asker, "bob", "oats", most=1) for found in page] == everything
    assert pages(asker, "bob", "oats", most=5) == [everything[:5], everything[5:10], everything[10:]]
    for name in ("alice", "bob"):
        asker.ack(name, 1 << 40)
    first = asker.ask(question(asker, "bob", "oats", most=1))
    second = asker.ask(question(asker, "bob", "oats", most=6))
    assert isinstance(first, SearchPage)
    assert isinstance(second, SearchPage)
    while asker.ask(Prune(NOW + 1, 0.0)):
        pass
    asker.send("dan", "bob", id=b"m3", body=b"oats")
    for before in (first.before, second.before, first.before | 1, 77 << 1 | 1):
        result = asker.ask(question(asker, "bob", "oats", before=before))
        assert isinstance(result, SearchPage)
        assert result.entries == []


def test_who_was_in_a_room_now_and_then_finds_what_was_sent_meanwhile(asker: Asker):
    asker.create("alice")
    expected: list[bytes] = []
    for stay in range(20):
        asker.send("alice", to="#team", id=b"o%d" % stay, body=b"oats without bob")
        asker.invite("alice", "bob")
        asker.join("bob")
        asker.send("alice", to="#team", id=b"m%d" % stay, body=b"oats")
        expected.insert(0, b"m%d" % stay)
        asker.leave("bob")
    asker.send("alice", to="#team", id=b"o99", body=b"oats without bob")
    assert ids(asker, "bob", "oats") == ids(asker, "bob", "oats", "#team") == expected
    assert pages(asker, "bob", "oats", most=20) == [expected]
    asker.remove("bob")
    assert asker.store.check() == []


@pytest.mark.parametrize("before", [-1, 1 << 62, 1 << 70])
def test_before_may_be_any_number(asker: Asker, before: int):
    asker.send("alice", "bob", id=b"m1", body=b"oats")
    result = asker.ask(question(asker, "bob", "oats", before=before))
    assert isinstance(result, SearchPage)
    assert len(result.entries) == 1


# The index


def test_messages_are_made_findable_a_few_at_a_time(asker: Asker):
    asker.store.apply([asker.append("alice", "bob", id=b"%d" % at, body=b"oats") for at in range(600)])
    assert index(asker) == 39, "19 of them index, 4 merge the index, the others move rows out of the journal"
    asker.store.apply([asker.append("alice", "bob", id=b"x%d" % at, body=b"x " * (1 << 16)) for at in range(20)])
    assert index(asker) == 16, "a step indexes fewer long messages"


def test_a_question_makes_findable_what_is_not_yet(asker: Asker):
    """The newest of what the member may read, but not more than some 2,000 messages."""
    asker.store.apply([asker.append("alice", "bob", id=b"%d" % at, body=b"oats w%d" % at) for at in range(2100)])
    asker.store.apply([asker.append("alice", "carol", id=b"c%d" % at, body=b"oats") for at in range(2100)])
    assert ids(asker, "bob", "w51") == []
    assert ids(asker, "bob", "w51") == [b"51"]
    assert sum(map(len, pages(asker, "bob", "oats"))) == 2100
    assert sum(map(len, pages(asker, "carol", "oats"))) == 2100


@pytest.mark.volume
def test_the_index_keeps_up_with_a_flood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Also if there is never a quiet moment, and with rows that are still in the journal when the server is killed."""
    monkeypatch.setattr("twotick.store.sqlite.search.BEHIND", 6000)
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    connection = sqlite3.connect(tmp_path / "twotick.db")
    most = 0
    for number in range(80):
        asker.store.apply([asker.append("alice", "bob", id=b"%d-%d" % (number, at), body=b"oats") for at in range(200)])
        ((first, last),) = connection.execute("SELECT min(number), max(number) FROM message WHERE indexed = 0")
        most = max(most, last - first if last else 0)
    assert 0 < most < 7000
    copy = tmp_path / "copy"
    copy.mkdir()
    connection.execute("VACUUM INTO ?", (str(copy / "twotick.db"),))
    connection.close()
    asker.store.close()
    asker = Asker(copy)
    asker.members = {"alice": 1, "bob": 2}
    index(asker)
    assert sum(map(len, pages(asker, "bob", "oats"))) == 80 * 200
    change(asker, "alice", "bob", action=MessageAction.EDIT, about=b"1-1", id=b"e1", body=b"rye")
    assert ids(asker, "bob", "rye") == [b"1-1"]
    assert asker.store.check() == []
    asker.store.close()


def test_the_index_is_merged_in_small_steps(tmp_path: Path):
    """SQLite would merge it in any transaction that adds to it, and now and then much at once."""
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    words = sqlite3.connect(tmp_path / "twotick.db")
    segments: list[int] = []
    for number in range(60):
        bodies = [b"oats w%x w%x" % (number * 100 + at, at) for at in range(100)]
        ids_of = [b"%d-%d" % (number, at) for at in range(100)]
        asker.store.apply(
            [asker.append("alice", "bob", id=each, body=body) for each, body in zip(ids_of, bodies, strict=True)]
        )
        index(asker)
        segments += words.execute("SELECT count(DISTINCT segid) FROM word_0_idx").fetchone()
    words.close()
    assert max(segments) < 16  # from so many on, SQLite merges all of them at once
    assert sum(map(len, pages(asker, "bob", "oats"))) == 6000
    assert len(ids(asker, "bob", "w63")) == 60
    asker.store.close()
    (merges_itself,) = (
        sqlite3.connect(tmp_path / "twotick.db").execute("SELECT v FROM word_0_config WHERE k = 'automerge'").fetchone()
    )
    assert merges_itself == 0


def test_a_part_of_the_index_that_is_gone_is_not_merged(tmp_path: Path):
    """Its last message was removed on a busy server before the part was merged."""
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    asker.send("alice", "bob", id=b"m1", body=b"oats")
    words = sqlite3.connect(tmp_path / "twotick.db")
    while not words.execute("SELECT count(*) FROM word_part").fetchone()[0]:
        assert asker.store.tidy()
    change(asker, "alice", "bob", action=MessageAction.DELETE, about=b"m1", id=b"m2", body=b"")
    while words.execute("SELECT count(*) FROM word_part").fetchone()[0]:  # there is no quiet moment
        asker.store.apply([ListMembers()])
    words.close()
    index(asker)
    asker.send("alice", "bob", id=b"m3", body=b"rye")
    index(asker)
    assert ids(asker, "bob", "rye") == [b"m3"]
    assert asker.store.check() == []
    asker.store.close()


def test_the_index_lasts(tmp_path: Path):
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    asker.send("alice", "bob", id=b"m1", body=b"oats")
    index(asker)
    asker.reopen()
    asker.send("alice", "bob", id=b"m2", body=b"oats")
    assert ids(asker, "bob", "oats") == [b"m2", b"m1"]
    change(asker, "alice", "bob", action=MessageAction.DELETE, about=b"m1", id=b"m3", body=b"")
    asker.reopen()
    assert ids(asker, "bob", "oats") == [b"m2"]
    assert asker.store.check() == []
    asker.store.close()


def test_messages_of_an_older_database_are_found(tmp_path: Path):
    """Of one that had no index."""
    connection = sqlite3.connect(tmp_path / "twotick.db")
    for step in schema.STEPS[:2]:
        connection.executescript(step)
    connection.executescript(Path(__file__).with_name("version2.sql").read_text())
    connection.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
    connection.execute("PRAGMA user_version = 2")
    connection.close()
    asker = Asker(tmp_path)
    asker.members = {"alice": 1, "Bob": 2, "carol": 3}
    assert ids(asker, "alice", "two") == [b"b1"]
    assert ids(asker, "carol", "kept") == [b"m3"]
    assert asker.store.check() == []
    asker.store.close()


def test_the_index_of_format_8_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With what was sent to rooms while members were there who have left since."""
    with monkeypatch.context() as older:
        older.setattr(schema, "STEPS", schema.STEPS[:8])
        connection = schema.connect(tmp_path / "twotick.db")
        schema.migrate(connection, tmp_path / "twotick.db")
    connection.executescript(
        """
        CREATE VIRTUAL TABLE word_0 USING fts5 (
            text, content = '', columnsize = 0, tokenize = 'unicode61 remove_diacritics 2');
        INSERT INTO word_0 (rowid, text) VALUES (1, 'quartziferous oats');
        INSERT INTO word_part VALUES (0, 1, 1, 1);
        INSERT INTO member (number, name, folded, password, added, last, mark) VALUES
            (1, 'alice', 'alice', '', 1, 9, 9), (2, 'bob', 'bob', '', 1, 9, 9), (3, 'carol', 'carol', '', 1, 9, 9);
        INSERT INTO room VALUES (5, '#team', '#team', 0, '', 4, 1);
        INSERT INTO room_member VALUES (5, 1, 3, 1, 1), (5, 2, 1, 1, 4);
        UPDATE counter SET value = 6;
        """
    )
    to = {1: (b"bob", None, 0), 2: (b"ALL", None, 0), **{at: (b"#team", 5, at - 2) for at in range(3, 7)}}
    for number, (recipient, room, place) in to.items():
        connection.execute(
            "INSERT INTO message VALUES (?, 1, ?, ?, ?, 1, NULL, 0, 4, ?, 0, 0, 2, '', ?, ?, 0, 0, 1, 1)",
            (number, b"alice", b"m%d" % number, recipient, int(number != 5), room, place),
        )
        connection.execute("INSERT INTO content VALUES (?, x'', ?)", (number, b"oats"))
    logs = {1: [(1, 2, b"bob"), (2, 1, b"alice")], 2: [(1, 2, b"all"), (3, 1, b"alice")]}
    logs |= {number: [(1, 2, b"#team")] for number in range(3, 7)}
    for number, member in (3, 2), (4, 3), (6, 2):
        logs[number].append((member, 1, b"#team"))
    for number, entries in logs.items():
        for member, kind, peer in entries:
            row = member, number, kind, number, peer
            connection.execute("INSERT INTO log (member, seq, kind, message, peer) VALUES (?, ?, ?, ?, ?)", row)
    connection.close()
    asker = Asker(tmp_path)
    asker.members = {"alice": 1, "bob": 2, "carol": 3}
    index(asker)
    assert not left(asker, b"uartziferous")
    assert ids(asker, "alice", "oats") == [b"m6", b"m5", b"m4", b"m3", b"m2", b"m1"]
    assert ids(asker, "bob", "oats") == [b"m6", b"m3", b"m1"]
    assert ids(asker, "carol", "oats") == [b"m4", b"m2"]
    change(asker, "alice", "bob", action=MessageAction.EDIT, about=b"m1", id=b"e1", body=b"rye")
    assert ids(asker, "bob", "oats") == [b"m6", b"m3"]
    assert ids(asker, "bob", "rye") == [b"m1"]
    assert asker.store.check() == []
    asker.store.close()


def left(asker: Asker, word: bytes) -> bool:
    """Whether a word is anywhere in the files of a store."""
    assert asker.folder is not None
    return any(word in file.read_bytes() for file in asker.folder.glob("twotick.db*"))


def endings(asker: Asker) -> set[bytes]:
    """All that stands in the files of a store as eight letters in a row, which takes much less time than `left`."""
    assert asker.folder is not None
    runs = [run for file in asker.folder.glob("twotick.db*") for run in re.findall(rb"[a-z]{8,}", file.read_bytes())]
    return {run[at : at + 8] for run in runs for at in range(len(run) - 7)}


@pytest.mark.volume
@pytest.mark.parametrize("how", ["delete", "edit", "prune", "remove"])
def test_the_words_of_what_was_removed_leave_the_disk(tmp_path: Path, how: str):
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    asker.store.apply([asker.append("alice", "bob", id=b"%d" % at, body=b"w%d oats" % at) for at in range(1000)])
    sender = "dan" if how == "prune" else "alice"
    asker.send(sender, "bob", id=b"m1", body=b"Quartziferous oats", time=NOW - DAY)
    asker.store.apply([asker.append("alice", "bob", id=b"x%d" % at, body=b"w%d oats" % at) for at in range(1000)])
    index(asker)
    assert left(asker, b"quartziferous")
    match how:
        case "delete":
            change(asker, "alice", "bob", action=MessageAction.DELETE, about=b"m1", id=b"m2", body=b"")
        case "edit":
            change(asker, "alice", "bob", action=MessageAction.EDIT, about=b"m1", id=b"m2", body=b"other oats")
        case "prune":
            asker.ack("bob", 2001)
            asker.ack("alice", 4000)
        case _:
            asker.remove("alice")
            asker.remove("bob")
    while how == "prune" and asker.ask(Prune(NOW + 1, 0.0)):
        pass
    index(asker)
    asker.store.tidy()
    assert not left(asker, b"uartziferous")
    assert asker.store.check() == []
    asker.store.close()


@pytest.mark.volume
def test_words_leave_the_disk_while_others_come(tmp_path: Path):
    """The index is merged in steps, and in between it grows."""
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    count = 0

    def send(messages: int) -> None:
        nonlocal count
        bodies = [
            b"".join(b"w%x " % (n * 7919 % 65537) for n in range(at * 40, at * 40 + 40)) for at in range(messages)
        ]
        asker.store.apply(
            [asker.append("alice", "bob", id=b"%d" % (count + at), body=each) for at, each in enumerate(bodies)]
        )
        count += messages

    send(2000)
    asker.send("alice", "bob", id=b"m1", body=b"Quartziferous oats")
    send(2000)
    index(asker)
    change(asker, "alice", "bob", action=MessageAction.DELETE, about=b"m1", id=b"m2", body=b"")
    steps = 0
    while asker.store.tidy():
        send(50)
        steps += 1
    assert steps > 5
    assert not left(asker, b"uartziferous")
    assert len(ids(asker, "bob", "w1eef*")) > 0
    assert asker.store.check() == []
    asker.store.close()


@pytest.mark.volume
@pytest.mark.parametrize("is_busy", [False, True])
def test_words_leave_the_disk_while_newer_messages_are_edited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_busy: bool
):
    """And also if there is never a quiet moment."""
    monkeypatch.setattr(search, "PART", 50)
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    asker.send("alice", "bob", id=b"m1", body=b"Quartziferous oats")
    asker.store.apply([asker.append("alice", "bob", id=b"%d" % at, body=b"w%d oats" % at) for at in range(120)])
    index(asker)
    change(asker, "alice", "bob", action=MessageAction.DELETE, about=b"m1", id=b"m2", body=b"")
    for number in range(500):
        change(asker, "alice", "bob", action=MessageAction.EDIT, about=b"119", id=b"e%d" % number, body=b"w%d" % number)
        if not is_busy:
            asker.store.tidy()
        if not left(asker, b"uartziferous"):
            break
    else:
        pytest.fail("a word of a deleted message is still there")
    assert asker.store.check() == []
    asker.store.close()


@pytest.mark.volume
@pytest.mark.parametrize("seed", range(3))
def test_no_file_holds_a_word_of_what_was_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int):
    """Rule 13.3: after the deletions, a bounded number of steps, in an index of several parts; other words stay."""
    monkeypatch.setattr(search, "PART", 500)
    random = Random(seed)
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    kept: dict[bytes, list[str]] = {}
    gone: list[str] = []
    for number in range(20):
        batch = [b"%d-%d" % (number, at) for at in range(random.randint(1, 150))]
        for ident in batch:
            kept[ident] = ["".join(random.choices("abcdefghijklm", k=14)) for _ in range(random.choice((1, 3, 30)))]
        asker.store.apply([asker.append("alice", "bob", id=each, body=" ".join(kept[each]).encode()) for each in batch])
        if random.random() < 0.7:
            index(asker)
        for ident in random.sample(sorted(kept), random.randint(0, min(20, len(kept)))):
            change(asker, "alice", "bob", action=MessageAction.DELETE, about=ident, id=b"d" + ident, body=b"")
            gone += kept.pop(ident)
        asker.store.tidy()
    steps = 0
    while asker.store.tidy():
        steps += 1
        assert steps < 200
    # WordIndex stand in the index without the letters that they begin with like the ones before them.
    stored = endings(asker)
    found = [word for word in gone if word[6:].encode() in stored]
    assert (len(gone) > 100, found) == (True, [])
    for words in random.sample(sorted(kept.values()), 20):
        assert words[-1][6:].encode() in stored
        assert len(ids(asker, "bob", words[0])) == 1
    assert asker.store.check() == []
    asker.store.close()


def test_an_index_of_several_parts_is_searched_from_the_newest(asker: Asker, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(search, "PART", 7)
    for at in range(40):
        asker.send("alice", "bob", id=b"m%d" % at, body=b"oats and more" if at % 3 else b"rye")
    expected = [b"m%d" % at for at in reversed(range(40)) if at % 3]
    assert ids(asker, "bob", "oats") == expected
    first = asker.ask(question(asker, "bob", "oats", most=11))
    assert isinstance(first, SearchPage)
    rest = asker.ask(question(asker, "bob", "oats", before=first.before))
    assert isinstance(rest, SearchPage)
    assert [entry.id for entry in first.entries + rest.entries] == expected
    monkeypatch.setattr(search, "AT_ONCE", 2)
    assert ids(asker, "bob", "oats") == expected
    assert asker.store.check() == []


def test_a_part_of_which_nothing_is_left_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(search, "PART", 7)
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    for at in range(20):
        asker.send("dan", "bob", id=b"m%d" % at, body=b"w%d" % at, time=NOW - DAY)
    asker.send("alice", "bob", id=b"m20", body=b"oats")
    index(asker)
    asker.ack("bob", 20)
    while asker.ask(Prune(NOW, 1.0)):
        pass
    index(asker)
    connection = sqlite3.connect(tmp_path / "twotick.db")
    assert connection.execute("SELECT number, texts FROM word_part").fetchall() == [(3, 1)]
    assert connection.execute("SELECT name FROM sqlite_schema WHERE name GLOB 'word_[012]*'").fetchall() == []
    connection.close()
    assert ids(asker, "bob", "oats") == [b"m20"]
    assert asker.store.check() == []
    asker.store.close()


def test_an_older_index_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as older:
        older.setattr(schema, "STEPS", schema.STEPS[:5])
        connection = schema.connect(tmp_path / "twotick.db")
        schema.migrate(connection, tmp_path / "twotick.db")
        connection.execute("INSERT INTO word (rowid, text) VALUES (1, 'quartziferous')")
        connection.execute("UPDATE word_progress SET up_to = 1")
        connection.close()
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    assert ids(asker, "alice", "quartziferous") == []
    asker.send("alice", "bob", id=b"m1", body=b"oats")
    assert ids(asker, "alice", "oats") == [b"m1"]
    assert not left(asker, b"uartziferous")
    assert asker.store.check() == []
    asker.store.close()


def test_a_damaged_index_is_found(tmp_path: Path):
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    asker.store.apply([asker.append("alice", "bob", id=b"%d" % at, body=b"w%d oats" % at) for at in range(1000)])
    index(asker)
    connection = sqlite3.connect(tmp_path / "twotick.db")
    connection.execute("UPDATE word_0_data SET block = zeroblob(length(block)) WHERE id > 10")
    connection.commit()
    connection.close()
    assert asker.store.check() == ["the index of words is damaged"]
    asker.store.close()


def test_tidying_moves_rows_out_of_the_journal_and_indexes_them(tmp_path: Path):
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    asker.store.apply([asker.append("alice", "bob", id=b"m1", body=b"oats")])
    connection = sqlite3.connect(tmp_path / "twotick.db")

    def in_journal() -> int:
        return int(connection.execute("SELECT count(*) FROM journal").fetchone()[0])

    assert in_journal() > 0
    index(asker)
    assert in_journal() == 0
    assert connection.execute("SELECT count(*) FROM word_0 WHERE word_0 MATCH 'm2xoats'").fetchone() == (1,)
    connection.close()
    assert ids(asker, "alice", "oats") == [b"m1"]
    asker.store.close()
