"""What a search asks for besides words (rule 14.8)."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.store import sending_files
from tests.store.helpers import NOW, Asker
from tests.store.test_search import change, index, question
from twotick.store.requests.messages import LogEntry, MessageAction
from twotick.store.requests.search import SearchPage


def found(asker: Asker, name: str, query: str = "", peer: str = "", **filters: object) -> list[bytes]:
    """What is found, in pages of two, by the messages' Ids."""
    before, seen = 0, list[bytes]()
    while True:
        asked = replace(question(asker, name, query, peer, before, most=2), **filters)  # type: ignore[arg-type]
        page = asker.ask(asked)
        assert isinstance(page, SearchPage), page
        seen += [entry.id for entry in page.entries]
        if not page.before:
            return seen
        assert len(page.entries) == 2, "no page is empty, nor nearly so"
        before = page.before


@pytest.fixture
def talk(asker: Asker) -> Asker:
    """Messages between users, in a room, to ALL and to oneself, some seconds apart."""
    asker.gather("alice", "bob", public=True)
    sending_files.upload(asker, "alice", key=b"key")
    asker.send("alice", "bob", id=b"m1", body=b"oats", time=NOW + 1)
    asker.send("bob", "alice", id=b"m2", body=b"oats", time=NOW + 2)
    asker.send("bob", to="#team", id=b"m3", body=b"oats", time=NOW + 3)
    asker.send("carol", "alice", "bob", to="ALL", id=b"m4", body=b"oats", time=NOW + 4)
    asker.send("alice", "alice", id=b"m5", body=b"oats", time=NOW + 5)
    sending_files.send_file(asker, "alice", "bob", id=b"m6", body=b"rye", time=NOW + 6)
    asker.send("dan", "bob", id=b"m7", body=b"oats", time=NOW + 7)
    asker.send("alice", "bob", "carol", to="ALL", id=b"m8", body=b"oats", time=NOW + 8)
    return asker


@pytest.mark.parametrize("indexed", [False, True])
def test_senders_and_conversations(talk: Asker, indexed: bool) -> None:
    if indexed:
        index(talk)
    assert found(talk, "bob", "oats", sender=b"ALICE") == [b"m8", b"m1"]
    assert found(talk, "bob", sender=b"alice") == [b"m8", b"m6", b"m1"]
    assert found(talk, "bob", sender=b"bob") == [b"m3", b"m2"]
    assert found(talk, "bob", sender=b"dan") == [b"m7"]
    assert found(talk, "bob", sender=b"carol") == [b"m4"]
    assert found(talk, "bob", sender=b"nobody") == []
    assert found(talk, "bob", "", "alice") == [b"m8", b"m6", b"m2", b"m1"]
    assert found(talk, "bob", "", "alice", sender=b"bob") == [b"m2"]
    assert found(talk, "bob", "", "#team", sender=b"bob") == [b"m3"]
    assert found(talk, "bob", "", "#team", sender=b"alice") == []
    assert found(talk, "alice", "", "alice") == [b"m5"]
    assert found(talk, "alice", "", "all") == [b"m8"]
    assert found(talk, "alice", "", "all", sender=b"carol") == []
    assert found(talk, "alice", "", "carol") == [b"m4"]


@pytest.mark.parametrize("indexed", [False, True])
def test_times_and_files(talk: Asker, indexed: bool) -> None:
    if indexed:
        index(talk)
    assert found(talk, "bob", since=NOW + 7) == [b"m8", b"m7"]
    assert found(talk, "bob", until=NOW + 3) == [b"m2", b"m1"]
    assert found(talk, "bob", since=NOW + 3, until=NOW + 5) == [b"m4", b"m3"]
    assert found(talk, "bob", since=NOW + 5, until=NOW + 3) == []
    assert found(talk, "bob", since=-1e12, until=1e12, sender=b"dan") == [b"m7"]
    assert found(talk, "bob", until=0.0) == []
    assert found(talk, "bob", "", "#team", since=NOW + 3.5) == []
    assert found(talk, "bob", "", "#team", until=NOW + 3.5) == [b"m3"]
    assert found(talk, "bob", has_file=True) == [b"m6"]
    assert found(talk, "bob", "oats", has_file=True) == []
    assert found(talk, "bob", "photo", has_file=True, sender=b"alice") == [b"m6"]
    change(talk, "alice", "bob", action=MessageAction.DELETE, about=b"m6", id=b"d1", body=b"")
    assert found(talk, "bob", has_file=True) == []
    assert found(talk, "bob", sender=b"alice") == [b"m8", b"m1"]
    assert talk.store.check() == []


def test_who_joins_later_finds_by_time_what_was_said_before(talk: Asker) -> None:
    talk.join("carol")
    talk.send("bob", to="#team", id=b"m9", body=b"oats", time=NOW + 9)
    assert found(talk, "carol", "", "#team", until=NOW + 9) == [b"m3"]
    assert found(talk, "carol", "", "#team", since=NOW + 9) == [b"m9"]
    assert found(talk, "carol", sender=b"bob") == [b"m9", b"m3"]


@pytest.mark.parametrize("name", [b"a b", b'"', b"bob m1xoats", b"*", b"#team", b"\xff", b"-"])
def test_what_is_no_name_finds_nothing(talk: Asker, name: bytes) -> None:
    assert found(talk, "bob", sender=name) == []
    assert found(talk, "bob", "oats", name.decode(errors="replace")) == ([b"m3"] if name == b"#team" else [])


def test_without_words_and_filters_it_is_refused(talk: Asker) -> None:
    reason = "there are no words to look for"
    assert talk.refusal(question(talk, "bob", " ")) == reason
    assert talk.refusal(replace(question(talk, "bob", "!?"), sender=b"alice")) == reason


def test_who_is_removed_keeps_no_words_of_what_others_have(talk: Asker) -> None:
    index(talk)
    talk.remove("alice")
    index(talk)
    assert found(talk, "bob", sender=b"alice") == [b"m8", b"m6", b"m1"]
    assert found(talk, "bob", "", "alice") == [b"m8", b"m6", b"m2", b"m1"]
    talk.add("alice")
    assert found(talk, "alice", sender=b"alice") == []
    assert talk.store.check() == []


NAMES = ("alice", "bob", "carol")


@examples(2)
@given(
    said=st.lists(
        st.tuples(st.sampled_from(NAMES), st.sampled_from([*NAMES, "ALL", "#team"]), st.sampled_from(["oats", "rye"])),
        max_size=12,
    ),
    query=st.sampled_from(["", "oats", "ry*"]),
    peer=st.sampled_from(["", *NAMES, "all", "#team"]),
    sender=st.sampled_from(["", *NAMES]),
    times=st.tuples(st.integers(0, 12), st.integers(0, 12)),
)
def test_what_is_found_is_what_the_history_has(
    said: list[tuple[str, str, str]], query: str, peer: str, sender: str, times: tuple[int, int]
) -> None:
    asker = Asker()
    asker.add(*NAMES)
    asker.gather(*NAMES[:2])
    for at, (name, to, body) in enumerate(said):
        if to == "#team" and name == "carol":
            continue
        others = [each for each in NAMES if each != name]
        recipients = () if to == "#team" else others if to == "ALL" else (to,)
        asker.send(name, *recipients, to=to, id=b"m%d" % at, body=body.encode(), time=NOW + at)
    since, until = NOW + times[0], NOW + times[1]
    for reader in NAMES:

        def fits(entry: LogEntry, reader: str = reader) -> bool:
            is_own = entry.kind.name == "SENT"
            return (
                entry.body.startswith(query.strip("*").encode() or b"")
                and entry.body != b""
                and sender in ("", reader if is_own else entry.peer.decode())
                and since <= entry.time < until
            )

        history = {entry.id: None for entry in reversed(asker.history(reader, peer)) if fits(entry)}
        if not peer:
            history = dict.fromkeys(sorted(history, key=lambda each: -int(each[1:])))
        asked = {"since": since, "until": until, "sender": sender.encode()}
        assert found(asker, reader, query, peer, **asked) == list(history)
    asker.store.close()
