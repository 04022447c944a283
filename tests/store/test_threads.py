"""Threads: messages that answer each other (docs/protocol.md, rules 13.5 and 13.6)."""

from pathlib import Path

import pytest

from tests.store.helpers import NOW, Asker
from twotick.store import (
    Append,
    Appended,
    CreateRoom,
    History,
    InviteToRoom,
    JoinRoom,
    LogEntry,
    MessageAction,
    Prune,
    RemoveMember,
    SetConversation,
)


class Talk:
    """Members who write to each other, with their Ids."""

    def __init__(self, folder: Path | None = None) -> None:
        self.asker = Asker(folder)
        self.asker.add("alice", "bob", "carol")

    def say(self, name: str, to: str, ident: str, answered: str = "", deletes: str = "") -> None:
        sender, _, about = answered.rpartition(" ")
        request = Append(
            sender=self.asker.members[name],
            sender_name=name.encode(),
            recipient=to.encode(),
            headers=b"",
            body=b"" if deletes else b"x",
            time=NOW,
            device=b"main",
            id=ident.encode(),
            reply_to=about.encode(),
            reply_name=sender.encode(),
            action=MessageAction.DELETE if deletes else MessageAction.NONE,
            about=deletes.encode(),
        )
        assert isinstance(self.asker.ask(request), Appended)

    def entries(self, name: str, peer: str, thread: str, before: int = 0, most: int = 99) -> list[LogEntry]:
        sender, _, ident = thread.rpartition(" ")
        request = History(
            self.asker.members[name],
            peer.encode(),
            before,
            0.0,
            most,
            thread=ident.encode(),
            thread_name=sender.encode(),
        )
        return self.asker.ask(request).entries

    def thread(self, name: str, peer: str, thread: str, before: int = 0, most: int = 99) -> list[str]:
        return [each.id.decode() for each in self.entries(name, peer, thread, before, most)]


@pytest.fixture
def talk() -> Talk:
    return Talk()


def test_answers_and_answers_to_them_are_one_thread(talk: Talk) -> None:
    talk.say("alice", "bob", "a1")
    assert talk.thread("bob", "alice", "alice a1") == ["a1"], "a message without answers is a thread of its own"
    talk.say("bob", "alice", "b1", "alice a1")
    talk.say("alice", "bob", "a2")
    talk.say("alice", "bob", "a3", "bob b1")
    talk.say("bob", "alice", "b2", "alice a2")
    talk.say("alice", "bob", "a4", "a1")
    for name, peer in (("alice", "bob"), ("bob", "alice")):
        for named in ("alice a1", "bob b1", "alice a3"):
            assert talk.thread(name, peer, named) == ["a1", "b1", "a3", "a4"]
        assert talk.thread(name, peer, "bob b2") == ["a2", "b2"]
    assert [each.headers for each in talk.entries("bob", "alice", "bob b1")] == [b"", *[b"Thread: alice a1\n"] * 3]
    page = talk.entries("bob", "alice", "alice a1", most=2)
    assert [each.id for each in page] == [b"a3", b"a4"]
    assert talk.thread("bob", "alice", "alice a1", before=page[0].seq) == ["a1", "b1"]


def test_what_is_no_answer_of_the_conversation_is_in_no_thread(talk: Talk) -> None:
    talk.say("alice", "carol", "a1")
    talk.say("carol", "alice", "c1", "alice a1")
    for answered in ("alice a1", "carol c1", "nobody x", "alice none", "b1"):
        talk.say("bob", "alice", "b-" + answered.replace(" ", "-"), answered)
        assert talk.entries("alice", "bob", "bob b-" + answered.replace(" ", "-"))[0].headers == b""
    assert talk.thread("bob", "alice", "alice a1") == []
    assert talk.thread("bob", "carol", "carol c1") == []
    assert talk.thread("carol", "alice", "c1") == ["a1", "c1"]


def test_threads_of_rooms_show_what_a_member_may_read(talk: Talk) -> None:
    asker, members = talk.asker, talk.asker.members
    asker.ask(CreateRoom(members["alice"], "#den", False, "", NOW))
    for name in ("bob", "carol"):
        if name == "carol":
            talk.say("alice", "#den", "a1")
            talk.say("bob", "#den", "b1", "alice a1")
        asker.ask(InviteToRoom(members["alice"], "#den", name, NOW))
        asker.ask(JoinRoom(members[name], "#den", NOW))
    talk.say("carol", "#den", "c1", "alice a1")
    assert talk.entries("carol", "#den", "c1")[0].headers == b"", "carol may not know that there is a1"
    talk.say("alice", "#den", "a2", "bob b1")
    talk.say("carol", "#den", "c2", "alice a2")
    assert talk.thread("bob", "#den", "alice a1") == ["a1", "b1", "a2", "c2"]
    assert talk.thread("carol", "#den", "alice a1") == []
    assert talk.thread("carol", "#den", "alice a2") == ["a2", "c2"]
    assert talk.thread("alice", "#none", "a1") == []
    places = [each.place for each in talk.entries("bob", "#den", "alice a1")]
    assert talk.thread("bob", "#den", "alice a1", before=places[2]) == ["a1", "b1"]


def test_deleted_messages_stay_in_their_threads(talk: Talk) -> None:
    talk.say("alice", "bob", "a1")
    talk.say("bob", "alice", "b1", "alice a1")
    talk.say("alice", "bob", "d1", deletes="a1")
    assert talk.thread("bob", "alice", "b1") == ["a1", "b1"]
    assert talk.entries("bob", "alice", "b1")[0].headers.startswith(b"Deleted: ")


def test_what_was_withheld_or_removed_is_in_no_thread(tmp_path: Path) -> None:
    talk = Talk(tmp_path)
    asker, members = talk.asker, talk.asker.members
    talk.say("alice", "bob", "a1")
    asker.ask(SetConversation(members["bob"], b"alice", None, True, NOW))
    talk.say("alice", "bob", "a2", "a1")
    asker.ask(SetConversation(members["bob"], b"alice", None, False, NOW))
    talk.say("alice", "bob", "a3", "a2")
    assert talk.thread("alice", "bob", "a1") == ["a1", "a2", "a3"]
    assert talk.thread("bob", "alice", "alice a1") == ["a1", "a3"]
    assert talk.thread("bob", "alice", "alice a2") == [], "bob may not know of it"
    asker.reopen()
    assert talk.thread("bob", "alice", "alice a3") == ["a1", "a3"]
    asker.ask(RemoveMember("alice", NOW))
    asker.ack("bob", 99)
    while asker.ask(Prune(NOW + 1000, 10)):
        pass
    assert asker.store.check() == []
    asker.store.close()


def test_a_note_to_oneself_is_answered_once(talk: Talk) -> None:
    talk.say("alice", "alice", "a1")
    talk.say("alice", "alice", "a2", "a1")
    assert talk.thread("alice", "alice", "a2") == ["a1", "a2"]
