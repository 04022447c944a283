"""Guests in rooms, of two servers that share a database (docs/protocol.md, rules 12.12 to 12.15)."""

from collections.abc import Callable, Iterator

import pytest

from tests.exchange.mail import objects, reason
from tests.exchange.test_room_guests import events, inside, opened, said
from tests.exchange.test_rooms import room
from tests.store.test_server_news import NewsServers, message


@pytest.fixture
def servers(new_database: Callable[[], str]) -> Iterator[NewsServers]:
    pair = NewsServers(new_database())
    pair.wait(3)
    yield pair
    for mail in (pair.a, pair.b):
        assert mail.exchange.news.ignored == 0
    pair.close()


def test_guests_and_members_of_two_servers_talk_in_a_room(servers: NewsServers) -> None:
    alice = opened(servers.a)
    ann, ben = inside(servers.b), inside(servers.a, b"ben")
    servers.carry()
    assert sorted(each[1:3] for each in events(alice.read())) == [("ann", "joined"), ("ben", "joined")]
    assert [each[1:3] for each in events(ann.read())] == [("ben", "joined")]
    alice.write(message(b"#open", b"from alice", b"a1"))
    servers.carry()
    assert said(ann.read()) == [("alice", 2, "from alice")]
    ann.write(message(b"#open", b"from ann", b"m1"))
    servers.carry()
    assert said(ben.read()) == [("alice", 2, "from alice"), ("ann", 3, "from ann")]
    assert ("ann", 3, "from ann") in said(alice.read())
    for line in (alice, ann, ben):
        names = [each["name"] for each in objects(line.write(room(b"#open", b"members")))]
        assert names == ["alice", "ann", "ben"]


def test_a_guest_of_another_server_is_put_out(servers: NewsServers) -> None:
    alice, ann = opened(servers.a), inside(servers.b)
    servers.carry()
    alice.write(room(b"#open", b"remove", member=b"ann"))
    servers.carry()
    assert [each[2:] for each in events(ann.read())] == [("removed", "alice has put you out")]
    assert reason(ann.write(room(b"#open", b"join"))).startswith("a guest from your address was put out")


def test_news_that_are_lost_cost_a_second(servers: NewsServers) -> None:
    alice, ann = opened(servers.a), inside(servers.b)
    servers.losing = True
    alice.write(message(b"#open", b"unheard", b"a1"))
    servers.carry()
    assert said(ann.read()) == []
    servers.wait(2)
    assert said(ann.read()) == [("alice", 2, "unheard")]
    alice.write(room(b"#open", b"change", guests=b"no"))
    servers.wait(2)
    assert [each[2] for each in events(ann.read())] == ["removed"]
    servers.losing = False
    servers.wait(3)
    assert [each["name"] for each in objects(alice.write(room(b"#open", b"members")))] == ["alice"]


def test_guests_of_a_server_that_is_gone_have_left(servers: NewsServers) -> None:
    alice = opened(servers.a)
    inside(servers.b)
    servers.carry()
    assert [each[2] for each in events(alice.read())] == ["joined"]
    servers.a.exchange.news.tick(servers.a.now + 1, ())
    servers.carry()
    assert [each[2] for each in events(alice.read())] == ["left"]


def test_a_server_that_has_missed_news_learns_who_is_there(servers: NewsServers) -> None:
    alice = opened(servers.a)
    servers.losing = True
    ann = inside(servers.b)
    servers.carry()
    servers.losing = False
    servers.wait(4)
    alice.read()
    assert [each["name"] for each in objects(alice.write(room(b"#open", b"members")))] == ["alice", "ann"]
    servers.losing = True
    ann.write(room(b"#open", b"leave"))
    servers.carry()
    servers.losing = False
    servers.wait(4)
    alice.read()
    assert [each["name"] for each in objects(alice.write(room(b"#open", b"members")))] == ["alice"]
