"""Two servers that share a database, without sockets: what they tell each other that is not stored, and guests."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.exchange.mail import Line, Mail, message, taken, told
from tests.store.postgres_server import execute
from tests.store.test_neighbours import Servers
from twotick.exchange import FarRequest
from twotick.store import AddMember, KeepLease, Member, ReleaseGuest, StoreError
from twotick.wire import Frame, Side, Verb, error, frame, received, register, send


class NewsServers(Servers):
    """Servers whose news are carried too.

    Attributes:
        losing: whether news are lost.
    """

    losing = False

    def __init__(self, url: str) -> None:
        self.served: dict[str, list[Mail]] = {}
        self.requests: list[FarRequest] = []
        super().__init__(url)

    def carry(self) -> None:
        """See Servers."""
        while True:
            super().carry()
            self._carry_news()
            if not self._carry_requests():
                break

    def _carry_requests(self) -> bool:
        requests: list[FarRequest] = []
        for mail in (self.a, self.b):
            far = mail.exchange.far_guests
            for subject, is_served in far.subjects:
                serving = [each for each in self.served.get(subject, []) if each is not mail]
                self.served[subject] = [*serving, mail] if is_served else serving
            far.subjects.clear()
            requests += far.requests
            far.requests.clear()
        self.requests += requests
        for request in requests:
            if not self.served.get(request.subject):
                request.answered(b"")
            for mail in self.served.get(request.subject, []):
                mail.exchange.far_guests.take(request.data, request.answered)
        self.settle()
        return bool(requests)

    def _carry_news(self) -> None:
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
        assert (mail.exchange.news.ignored, mail.exchange.far_guests.ignored) == (0, 0)
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


# Guests


def refusal(servers: NewsServers, mail: Mail, name: bytes, side: Side) -> object:
    """What a guest is answered whose name is not available."""
    line = mail.line()
    early = line.write(register(side, name, reasons=b"yes"))
    servers.carry()
    ((head, _),) = early + line.read()
    return head.code, head.headers.get(b"reason")


def test_a_name_of_a_guest_is_taken_on_all_servers_until_it_is_free(servers: NewsServers):
    sending, receiving = servers.a.classic(b"gast")
    for side in (Side.SENDING, Side.DUPLEX):
        assert refusal(servers, servers.b, b"Gast", side) == (100, b"another user has it")
    sending.cut()
    assert refusal(servers, servers.b, b"gast", Side.SENDING) == (100, b"another user has it")
    receiving.cut()
    again = servers.b.guest(b"GAST")
    assert refusal(servers, servers.a, b"gast", Side.RECEIVING) == (100, b"another user has it")
    assert refusal(servers, servers.a, b"bob", Side.DUPLEX) == (100, b"the name is a member's")
    servers.b.answers[KeepLease] = lambda _: StoreError("it was killed")
    execute(servers.url, f"UPDATE twotick.server SET alive_until = 0 WHERE number = {servers.b.store.run_number}")
    servers.a.guest(b"gast")
    again.cut()  # this frees only what the other server had noted
    servers.settle()
    servers.b.answers.clear()
    servers.wait(3)
    assert refusal(servers, servers.b, b"gast", Side.DUPLEX) == (100, b"another user has it")


def test_a_guest_who_goes_to_another_server_at_once_keeps_the_name(servers: NewsServers):
    """The server that the guest has left may need a while to note that."""
    guest = servers.a.guest(b"gast")
    servers.a.answers[ReleaseGuest] = lambda _: StoreError("it is busy")
    guest.cut()
    line = servers.b.line()
    asked = register(Side.DUPLEX, b"gast", reasons=b"yes")
    assert line.write(asked) == []
    servers.wait(0.3)
    assert line.read() == []
    servers.a.answers.clear()
    servers.wait(1)
    assert [head.verb for head, _ in line.read()] == [Verb.REGISTERED]


def test_a_name_that_is_never_freed_is_refused_in_the_end(servers: NewsServers):
    servers.a.answers[ReleaseGuest] = lambda _: StoreError("it is busy")
    servers.a.guest(b"gast").cut()
    for leaves in False, True:
        line = servers.b.line()
        assert line.write(register(Side.DUPLEX, b"gast", reasons=b"yes")) == []
        if leaves:
            line.cut()
        servers.wait(3)
        assert [(head.code, head.headers[b"reason"]) for head, _ in line.read()] == (
            [] if leaves else [(100, b"another user has it")]
        )


def test_a_guest_whose_name_becomes_a_members_at_another_server_is_let_go(servers: NewsServers):
    guest = servers.a.guest(b"dora")
    servers.wait(1)
    (member,) = servers.b.store.apply([AddMember("dora", "", 1000.0)])
    assert isinstance(member, Member)
    servers.b.members[b"dora"] = member
    servers.b.device(b"dora")
    servers.wait(1)
    assert told(guest.read()) == [("ERROR", 108, "", 0, "the name is a member's now")]
    assert guest.closed


def test_classic_guests_write_to_each_other_across_servers(servers: NewsServers):
    """Answers come in the order of the SENDs, and the receiver has one message at a time (rules 5.3 to 5.6)."""
    (ann, _), (_, ben) = servers.a.classic(b"ann", reasons=True), servers.b.classic(b"Ben")
    _, cid = servers.a.classic(b"cid")
    servers.carry()
    ann.write(send(b"ben", b"one") + send(b"BEN", "zwölf".encode()) + send(b"cid", b"x") + send(b"nobody", b"x"))
    servers.carry()
    assert [(head.name, body) for head, body in ben.read()] == [(b"ann", b"one")]
    cid.write(received(b"ann"))
    assert ann.read() == []
    assert [body for _, body in ben.write(received(b"ann"))] == ["zwölf".encode()]
    servers.carry()
    assert told(ann.read()) == [("SEND", "ben", "", 0)]
    ben.write(error(102))
    servers.carry()
    assert told(ann.read()) == [
        ("ERROR", 102, "", 0, "the recipient refused the message"),
        ("SEND", "cid", "", 0),
        ("ERROR", 102, "", 0, "nobody is not connected"),
    ]
    ann.write(send(b"ben", b"late") + send(b"ben", b"left"))
    servers.wait(31)
    assert [head.code for head, _ in ann.read()] == [102, 102]
    ann.write(send(b"ben", b"queued"))
    servers.carry()
    ben.cut()
    servers.carry()
    assert told(ann.read()) == [("ERROR", 102, "", 0, "the recipient left before it had the message")]
    ann.write(send(b"ben", b"gone"))
    servers.carry()
    assert told(ann.read()) == [("ERROR", 102, "", 0, "ben is not connected")]


def test_a_request_that_is_asked_again_is_answered_again_and_not_delivered_again(servers: NewsServers):
    (ann, _), (_, ben) = servers.a.classic(b"ann"), servers.b.classic(b"ben")
    servers.carry()
    ann.write(send(b"ben", b"one"))
    servers.carry()
    (request,) = servers.requests
    answers: list[bytes] = []
    take = servers.b.exchange.far_guests.take
    take(request.data, answers.append)
    assert [body for _, body in ben.read()] == [b"one"]
    ben.write(received(b"ann"))
    take(request.data, answers.append)
    assert answers == [b"+", b"+"]
    servers.settle()
    assert ben.read() == []
    assert told(ann.read()) == [("SEND", "ben", "", 0)]
    for at, data in enumerate((b"x", b"[]\n", b"[" * 9999, request.data.replace(b'"ann"', b'"a n"')), 1):
        take(data, answers.append)
        assert servers.b.exchange.far_guests.ignored == at
        assert answers[-1][:1] == b"-"
    servers.b.exchange.far_guests.ignored = 0


def test_a_sender_is_told_that_it_is_not_known_what_has_become_of_a_message(servers: NewsServers):
    (ann, _) = servers.a.classic(b"ann", reasons=True)
    ann.write(send(b"ben", b"one"))  # nothing is carried any more
    for _ in range(130):
        servers.a.advance(0.25)
    assert told(ann.read()) == [
        ("ERROR", 102, "", 0, "it is not known whether it arrived: another server has not answered in time")
    ]
    (request,) = servers.a.exchange.far_guests.requests
    request.answered(b"+")
    servers.carry()
    assert ann.read() == []


def test_members_and_guests_write_to_each_other_across_servers(servers: NewsServers):
    alice, (gast, reading) = servers.a.device(b"alice", window=9), servers.b.classic(b"gast")
    dup = servers.b.guest(b"dup", window=9)
    servers.wait(1)
    alice.write(message(b"gast", b"hi", b"1") + message(b"dup", b"ho", b"2") + message(b"none", b"x", b"3"))
    servers.wait(1)
    assert [(head.name, body) for head, body in reading.read()] == [(b"alice", b"hi")]
    reading.write(received(b"alice"))
    assert [(head.name, head.id, body) for head, body in dup.read()] == [(b"alice", b"2", b"ho")]
    dup.write(received(b"alice"))
    servers.wait(1)
    assert {entry[:3] for entry in told(alice.read())} == {
        ("SEND", "gast", "1"),
        ("SEND", "dup", "2"),
        ("ERROR", 102, "3"),
    }
    gast.write(send(b"alice", b"back"))
    servers.wait(1)
    ((head, body),) = alice.read()
    assert (head.name, body) == (b"gast", b"back")
    alice.write(taken(int(head.seq)))
    servers.wait(1)
    assert told(gast.read()) == [("SEND", "alice", "", 0)]
    near = servers.a.guest(b"near")
    near.write(message(b"dup", b"hey", b"7"))
    servers.wait(1)
    assert [(head.name, body) for head, body in dup.read()] == [(b"near", b"hey")]
    dup.write(received(b"near"))
    servers.wait(1)
    assert told(near.read()) == [("SEND", "dup", "7", 0)]


def test_all_reaches_everyone_on_all_servers(servers: NewsServers):
    (ann, own), (_, ben) = servers.a.classic(b"ann"), servers.b.classic(b"ben")
    servers.wait(1)
    ann.write(send(b"ALL", b"guests"))
    servers.wait(1)
    assert [body for _, body in ben.read()] == [b"guests"]
    ben.write(received(b"ann"))
    servers.wait(1)
    assert told(ann.read()) == [("SEND", "ALL", "", 0)]
    bob = servers.b.device(b"bob", window=9)
    servers.wait(1)
    ann.write(send(b"ALL", b"all"))
    servers.wait(1)
    ((head, body),) = bob.read()
    assert (head.name, body) == (b"ann", b"all")
    bob.write(taken(int(head.seq)))
    assert [body for _, body in ben.read()] == [b"all"]
    ben.write(received(b"ann"))
    servers.wait(2)
    assert told(ann.read()) == [("SEND", "ALL", "", 0)]
    assert own.read() == []
