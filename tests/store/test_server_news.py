"""Two servers that share a database, without sockets: presence, typing and profiles."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.exchange.mail import Line, message
from tests.store.postgres_server import execute
from tests.store.test_neighbours import Servers
from twotick.store import KeepLease, StoreError
from twotick.wire import Frame, Verb, frame


class NewsServers(Servers):
    """Servers whose news are carried too.

    Attributes:
        losing: whether news are lost.
    """

    losing = False

    def carry(self) -> None:
        """See Servers."""
        super().carry()
        for mail, other in ((self.a, self.b), (self.b, self.a)):
            for piece in mail.exchange.news.take():
                if not self.losing:
                    other.exchange.news.take_piece(piece)
        self.settle()


@pytest.fixture
def servers(new_database: Callable[[], str]) -> Iterator[NewsServers]:
    pair = NewsServers(new_database())
    pair.wait(3)
    yield pair
    for mail in (pair.a, pair.b):
        assert mail.exchange.news.ignored == 0
    pair.close()


def status(line: Line, state: bytes) -> None:
    line.write(frame(Verb.STATUS, state=state, id=b"s"))


def states(frames: list[Frame]) -> list[tuple[str, str]]:
    """The members of whom a device was told, and their states."""
    return [
        (head.name.decode(), head.headers[b"state"].decode())
        for head, _ in frames
        if head.verb is Verb.STATUS and b"state" in head.headers and head.name
    ]


def listed(line: Line) -> dict[str, str]:
    """The states that STATUS lists."""
    answers = line.write(frame(Verb.STATUS, state=b"here", id=b"l"))
    return {each["name"]: each["state"] for _, body in answers if body for each in json.loads(body)}


@pytest.fixture
def friends(servers: NewsServers) -> tuple[Line, Line]:
    """Alice at a and bob at b, who have written to each other and are told of each other."""
    alice, bob = servers.a.device(b"alice", window=99), servers.b.device(b"bob", window=99)
    alice.write(message(b"bob", b"hi", b"1"))
    bob.write(message(b"alice", b"hi", b"1"))
    status(bob, b"here")
    servers.wait(1)
    for line in (alice, bob):
        line.read()
    return alice, bob


def test_members_see_where_others_are_at_another_server(servers: NewsServers, friends: tuple[Line, Line]):
    alice, bob = friends
    assert listed(alice) == {"bob": "here"}
    servers.wait(1)
    assert states(bob.read()) == [("alice", "here")]
    second = servers.b.device(b"alice", b"phone")
    status(second, b"here")
    status(alice, b"away")
    servers.wait(1)
    assert states(bob.read()) == []
    second.cut()
    servers.wait(1)
    assert states(bob.read()) == [("alice", "away")]
    alice.cut()
    servers.wait(1)
    assert states(bob.read()) == [("alice", "gone")]


def test_who_may_not_see_a_member_is_told_nothing_by_another_server(servers: NewsServers, friends: tuple[Line, Line]):
    alice, bob = friends
    carol = servers.b.device(b"carol")
    status(carol, b"here")
    status(alice, b"here")
    servers.wait(1)
    assert states(bob.read()) == [("alice", "here")]
    for block, state in ((b"yes", "gone"), (b"no", "here")):
        alice.write(frame(Verb.CONVERSATION, b"bob", blocked=block, id=b"2"))
        servers.wait(1)
        assert states(bob.read()) == [("alice", state)]
    for shown, state in ((b"no", "gone"), (b"yes", "here")):
        alice.write(frame(Verb.STATUS, shown=shown, id=b"3"))
        servers.wait(1)
        assert states(bob.read()) == [("alice", state)]
    assert states(carol.read()) == []


def test_lost_news_cost_a_second_or_two(servers: NewsServers, friends: tuple[Line, Line]):
    alice, bob = friends
    status(alice, b"here")
    servers.wait(1)
    assert states(bob.read()) == [("alice", "here")]
    servers.losing = True
    alice.write(frame(Verb.CONVERSATION, b"bob", blocked=b"yes", id=b"2"))
    servers.wait(2)
    servers.losing = False
    servers.wait(3)
    assert states(bob.read())[-1] == ("alice", "gone")
    alice.write(frame(Verb.CONVERSATION, b"bob", blocked=b"no", id=b"3"))
    servers.wait(1)
    bob.read()
    servers.losing = True
    alice.cut()
    servers.wait(2)
    assert states(bob.read()) == []
    servers.losing = False
    servers.wait(3)
    assert states(bob.read())[-1] == ("alice", "gone")


def test_the_members_of_a_server_that_dies_are_gone(servers: NewsServers, friends: tuple[Line, Line]):
    alice, bob = friends
    status(alice, b"here")
    servers.wait(1)
    assert states(bob.read()) == [("alice", "here")]
    servers.a.answers[KeepLease] = lambda _: StoreError("it was killed")
    execute(servers.url, f"UPDATE twotick.server SET alive_until = 0 WHERE number = {servers.a.store.run_number}")
    for _ in range(16):
        servers.b.advance(0.25)
    assert states(bob.read()) == [("alice", "gone")]


def test_typing_and_profiles_are_told_across_servers(servers: NewsServers, friends: tuple[Line, Line]):
    alice, bob = friends
    status(alice, b"here")
    bob.write(frame(Verb.PROFILE, id=b"4"))
    servers.wait(1)
    bob.read()
    alice.write(frame(Verb.TYPING, b"bob"))
    alice.write(frame(Verb.PROFILE, id=b"5", display=b"Alice B."))
    servers.wait(1)
    got = bob.read()
    assert [head.name for head, _ in got if head.verb is Verb.TYPING] == [b"alice"]
    told: list[Any] = [head.headers.get(b"display") for head, _ in got if head.verb is Verb.PROFILE]
    assert told == [b"Alice B."]


def test_what_cannot_be_understood_is_ignored(servers: NewsServers):
    news = servers.b.exchange.news
    server = servers.a.store.run_number
    wild: list[Any] = [
        [],
        3,
        ["state"],
        ["state", "x", "y", "here", 1],
        ["state", 1, "al ice", "here", 1],
        ["state", 1, "alice", "here", "never"],
        ["state", 1 << 70, "alice", "here", 1],
        ["typing", 1, "alice", "\u1234"],
        ["sees", 1, 3],
        ["profile", None],
    ]
    for at, data in enumerate((b"", b"{", b"[" * 100_000, b"[1,2]", b'["1",2,[]]'), 1):
        news.take_piece(data)
        assert news.ignored == at
    news.ignored = 0
    news.take_piece(json.dumps([server, 5000, wild]).encode())
    assert news.ignored == len(wild)
    news.ignored = 0
    servers.wait(3)
