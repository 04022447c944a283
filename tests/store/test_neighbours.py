"""Two servers that share a database, without sockets: what each notices of what the other does."""

import asyncio
import base64
import random
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from typing import Any

import pytest

from tests.exchange.mail import Line, Mail, message, objects, taken, told
from tests.exchange.test_pushes import AUTH, P256DH
from tests.store.postgres_server import execute
from twotick.exchange import MemberDevice, PushOffer, ServerIdentity
from twotick.server import secrets
from twotick.server.login import Authenticator, Refused, SignUp
from twotick.server.storage import Storage
from twotick.store import (
    AddMember,
    Append,
    Fetch,
    FindOutcomes,
    KeepLease,
    KeptLease,
    ListDevices,
    LookAround,
    Member,
    OpenDevice,
    OpenedDevice,
    RemoveMember,
    SettleLost,
    StoreError,
    StoreLimits,
)
from twotick.store.postgres.store import PostgresStore
from twotick.wire import Frame, Head, Side, StartLine, Verb, error, frame, register


class Servers:
    """Two servers, a and b, and what they tell each other.

    Attributes:
        told: the hints that were carried, each with the server that it is for.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.a = self._new(b"alice", b"bob", b"carol")
        self.b = self._new()
        self.b.members = self.a.members
        self.told: list[tuple[Mail, bytes]] = []

    def _new(self, *names: bytes) -> Mail:
        store = PostgresStore(self.url, StoreLimits(), shared=True)
        mail = Mail(*names, store=store, identity=ServerIdentity(store.run_number, "1", "here"), push=PushOffer(b"k"))
        mail.advance(0.0)
        return mail

    def lose(self) -> None:
        """Lose all hints that were not carried yet."""
        for mail in (self.a, self.b):
            mail.exchange.neighbours.take()

    def carry(self) -> None:
        """Carry hints until there are none."""
        while hints := [
            (other, hint)
            for mail, other in ((self.a, self.b), (self.b, self.a))
            for hint in mail.exchange.neighbours.take()
        ]:
            self.told += hints
            for other, hint in hints:
                other.exchange.neighbours.take_hint(hint)
            self.settle()

    def settle(self) -> None:
        for mail in (self.a, self.b):
            mail.settle()

    def wait(self, seconds: float, *, lost: bool = False) -> None:
        """Let time pass, in which hints are carried or lost."""
        for _ in range(int(seconds * 4)):
            for mail in (self.a, self.b):
                mail.advance(0.25)
            if lost:
                self.lose()
            else:
                self.carry()

    def close(self) -> None:
        for mail in (self.a, self.b):
            mail.store.close()


@pytest.fixture
def servers(new_database: Callable[[], str]) -> Iterator[Servers]:
    pair = Servers(new_database())
    pair.carry()
    yield pair
    assert pair.a.store.check() == []
    pair.close()


def bodies(frames: list[Frame]) -> list[bytes]:
    return [body for head, body in frames if head.verb is Verb.FORWARD]


@pytest.mark.parametrize("lost", [False, True])
def test_what_one_server_stores_the_other_gives(servers: Servers, lost: bool):
    """Lost hints cost a second at most."""
    alice, bob = servers.a.sender(b"alice"), servers.b.device(b"bob", window=9)
    servers.carry()
    assert told(alice.write(message(b"bob", b"hi", b"1"))) == [("ACCEPTED", "bob", "1", 0)]
    servers.wait(1, lost=lost)
    assert told(bob.read()) == [("FORWARD", "alice", "1", 1, "hi")]
    bob.write(taken(1))
    servers.wait(1, lost=lost)
    assert told(alice.read()) == [("SEND", "bob", "1", 0)]
    bob.write(frame(Verb.READ, b"alice", seq=1))
    servers.wait(1, lost=lost)
    assert told(alice.read()) == [("READ", "bob", "1", 0)]
    servers.wait(3)
    assert not alice.read()


def test_hints_are_enough(servers: Servers):
    """No time passes: what one server stores is given by the other as soon as it has the hint."""
    alice, bob = servers.a.device(b"alice", window=9), servers.b.device(b"bob", window=9)
    servers.carry()
    alice.write(message(b"bob", b"hi", b"1"))
    servers.carry()
    assert bodies(bob.read()) == [b"hi"]
    bob.write(taken(1))
    servers.carry()
    assert told(alice.read()) == [("SEND", "bob", "1", 2)]


def test_hints_that_come_twice_late_and_in_any_order_give_nothing_twice(servers: Servers):
    chance = random.Random(1)
    alice, bob, here = servers.a.device(b"alice", window=99), servers.b.device(b"bob", window=99), servers.b
    carol = here.device(b"carol", window=99)
    for number in range(12):
        alice.write(message(b"bob", b"a%d" % number, b"%d" % number))
        carol.write(message(b"bob", b"c%d" % number, b"%d" % number))
        hints = servers.a.exchange.neighbours.take()
        servers.told += [(here, hint) for hint in hints]
        for mail, hint in chance.choices(servers.told, k=3):
            mail.exchange.neighbours.take_hint(hint)
            servers.settle()
    servers.wait(2)
    got = bob.read()
    assert [int(head.seq or b"0") for head, _ in got] == [*range(1, 25)]
    assert sorted(bodies(got)) == sorted(b"%c%d" % (who, number) for who in b"ac" for number in range(12))


def test_what_a_hint_says_is_not_believed(servers: Servers):
    bob = servers.b.device(b"bob")
    servers.carry()
    known = next(hint for mail, hint in servers.told if mail is servers.b)
    (server,) = struct.unpack_from(">Q", known)
    fetches: list[Fetch] = []
    apply = servers.b.store.apply

    def counted(requests: list[Any]) -> list[Any]:
        fetches.extend(each for each in requests if isinstance(each, Fetch))
        return apply(requests)

    servers.b.store.apply = counted  # pyright: ignore[reportAttributeAccessIssue]
    neighbours = servers.b.exchange.neighbours
    number = servers.a.members[b"bob"].number
    top = (1 << 63) - 1
    wild = struct.pack(">QQ5I8Q", server, top, 1, 1, 1, 1, 1, number, top, top, number, top, top, number, number)
    for data in (
        b"",
        b"nonsense",
        known[:-1],
        known + b"x",
        wild[:-8],
        struct.pack(">QQ5I", 1, 1, *[(1 << 32) - 1] * 5),
    ):
        ignored = neighbours.ignored
        neighbours.take_hint(data)
        assert neighbours.ignored == ignored + 1
    neighbours.take_hint(wild)
    servers.settle()
    servers.wait(1)
    assert len(fetches) == 1
    assert not bob.read()
    assert not bob.closed
    servers.a.device(b"alice").write(message(b"bob", b"hi", b"1"))
    servers.wait(1)
    assert bodies(bob.read()) == [b"hi"]


@pytest.mark.parametrize("lost", [False, True])
def test_a_device_that_connects_to_another_server_is_taken_over(servers: Servers, lost: bool):
    servers.b.device(b"alice").write(message(b"bob", b"hi", b"1"))
    old = servers.a.device(b"bob", window=9)
    old.read()
    stays = servers.a.device(b"bob", b"phone")
    new = servers.b.device(b"bob", window=9)
    assert bodies(new.read()) == [b"hi"]
    old.write(taken(1))  # nobody has told its server
    devices = {device.name: device.cursor for device in servers.a.store.ask(list_devices(servers, b"bob"))}
    assert devices["main"] == 0, "the answer of a connection that was replaced does not count"
    servers.wait(5, lost=lost)
    assert told(old.read()) == [("ERROR", 108, "", 0, "the device has connected again")]
    assert old.closed
    assert [new.closed, stays.closed] == [False, False]


LATE = [
    frame(Verb.ROOM, b"#new", do=b"create"),
    frame(Verb.ROOM, b"#open", do=b"join"),
    frame(Verb.ROOM, b"#team", do=b"change", topic=b"late"),
    frame(Verb.ROOM, b"#team", do=b"invite", member=b"carol"),
    frame(Verb.ROOM, b"#team", do=b"appoint", member=b"alice", role=b"moderator"),
    frame(Verb.ROOM, b"#team", do=b"remove", member=b"alice"),
    frame(Verb.ROOM, b"#team", do=b"leave"),
    frame(Verb.CONVERSATION, b"alice", muted=b"yes"),
    frame(Verb.CONVERSATION, b"alice", blocked=b"yes"),
    frame(Verb.CONVERSATION, b"alice", pinned=b"yes", closed=b"no"),
    frame(Verb.PROFILE, b"", display=b"Late"),
    frame(Verb.STATUS, b"", shown=b"no"),
    frame(Verb.REVOKE, b"phone"),
    frame(Verb.TOKEN, b"phone"),
    frame(Verb.REPORT, b"alice", b"late", b""),
    frame(Verb.PUSH, b"", endpoint=b"https://push.example/1", p256dh=P256DH, auth=AUTH),
    b"FILE\nId: f\nName: late\nSize: 1\nHash: %b\n\n" % (b"0" * 64),
]
"""Requests of bob's that change something."""


CHANGED = (
    *("room", "room_member", "room_invitation", "conversation", "file", "report"),
    *("member (number, display, status, shown)", "device (member, name, token, endpoint)"),
)
"""The tables that they change, of some only these columns."""


def kept(servers: Servers) -> list[list[tuple[Any, ...]]]:
    """What the database has in these tables."""
    found: list[list[tuple[Any, ...]]] = []
    for table, _, columns in (each.partition(" ") for each in CHANGED):
        sql = f"SELECT {columns.strip('()') or '*'} FROM {table} ORDER BY 1, 2"
        found.append(servers.b.store.looking(lambda tables, sql=sql: tables.direct(sql).fetchall()))
    return found


def test_what_a_connection_asked_for_that_was_replaced_changes_nothing(servers: Servers):
    """Its server is cut off from the database; meanwhile its client goes to another server (rule 10.7)."""
    alice, bob = servers.a.device(b"alice", window=99), servers.b.device(b"bob", window=99)
    alice.write(frame(Verb.ROOM, b"#open", do=b"create", access=b"public"))
    bob.write(frame(Verb.ROOM, b"#team", do=b"create", access=b"public"))
    alice.write(frame(Verb.ROOM, b"#team", do=b"join"))
    bob.write(frame(Verb.TOKEN, b"phone"))
    for number, late in enumerate(LATE):
        device = b"d%d" % number
        old = servers.a.device(b"bob", device)
        old.begin(late)
        new = servers.b.device(b"bob", device)
        before = kept(servers)
        servers.a.settle()
        (refused,) = [each for each in told(old.read()) if each[0] == "ERROR"]
        assert (refused[1], refused[-1]) == (102, "this device has connected again: ask there"), late
        assert kept(servers) == before, late
        new.write(late)
        assert kept(servers) != before, late


def test_a_device_stays_where_it_is_if_its_client_has_given_up_another_connection(servers: Servers):
    """The database keeps a server waiting with a login; meanwhile the client goes to another server."""
    a, b = servers.a, servers.b
    given_up = a.line()
    late: list[Any] = []
    apply = a.store.apply

    def waiting(requests: list[Any]) -> list[Any]:
        if isinstance(requests[0], OpenDevice):
            late.append(b.device(b"bob", window=9))
            a.exchange.disconnected(given_up.connection)
        return apply(requests)

    a.store.apply = waiting  # pyright: ignore[reportAttributeAccessIssue]
    given_up.write(register(Side.DUPLEX, b"bob", authorization=b"bob", device=b"main"))
    (bob,) = late
    servers.wait(1)
    b.device(b"alice").write(message(b"bob", b"hi", b"1"))
    assert bodies(bob.write(taken(1))) == [b"hi"]
    servers.wait(7)
    assert not bob.closed
    devices = {device.name: device.cursor for device in a.store.ask(list_devices(servers, b"bob"))}
    assert devices["main"] == 1


def test_a_device_is_taken_back_from_a_server_that_was_killed_while_it_opened_it(servers: Servers):
    a, b = servers.a, servers.b
    bob = b.device(b"bob", window=9)
    servers.wait(1)
    a.store.ask(OpenDevice(a.members[b"bob"].number, "main", 0, a.now))  # the database has carried it out later
    for seconds in (5.0, 8.0):
        for _ in range(int(seconds * 4)):
            b.advance(0.25)
        assert not bob.closed
        execute(servers.url, f"UPDATE twotick.server SET alive_until = 0 WHERE number = {a.store.run_number}")
    b.device(b"alice").write(message(b"bob", b"hi", b"1"))
    assert bodies(bob.write(taken(1))) == [b"hi"]
    devices = {device.name: device.cursor for device in b.store.ask(list_devices(servers, b"bob"))}
    assert devices["main"] == 1


def test_a_device_stays_at_a_server_that_could_not_renew_its_lease_for_a_while(servers: Servers):
    a, b = servers.a, servers.b
    old = a.device(b"bob", window=9)
    new = b.device(b"bob", window=9)
    execute(servers.url, f"UPDATE twotick.server SET alive_until = 0 WHERE number = {b.store.run_number}")
    a.advance(0.25)
    a.advance(1.0)
    a.advance(0.25)
    b.advance(2.0)
    servers.wait(5)
    assert [old.closed, new.closed] == [True, False]


def list_devices(servers: Servers, name: bytes) -> Any:
    return ListDevices(servers.a.members[name].number)


@pytest.mark.parametrize("lost", [False, True])
def test_a_device_that_is_revoked_at_another_server_is_disconnected(servers: Servers, lost: bool):
    phone = servers.a.device(b"bob", b"phone")
    laptop = servers.b.device(b"bob", b"laptop")
    other = servers.a.device(b"alice")
    servers.wait(1)
    laptop.write(frame(Verb.REVOKE, b"phone", id=b"1"))
    servers.wait(1, lost=lost)
    assert told(phone.read()) == [("ERROR", 108, "", 0, "the device was revoked")]
    assert phone.closed
    assert [laptop.closed, other.closed] == [False, False]


def test_a_member_who_is_removed_is_disconnected_everywhere(servers: Servers):
    lines = [servers.a.device(b"bob", b"phone"), servers.b.device(b"bob", b"laptop"), servers.b.sender(b"bob")]
    servers.a.store.ask(RemoveMember("bob", 1000.0))
    servers.wait(1)
    assert [line.closed for line in lines] == [True] * 3


@pytest.mark.parametrize("lost", [False, True])
def test_a_guest_is_told_what_another_server_has_done(servers: Servers, lost: bool):
    guest, bob = servers.a.guest(b"gast"), servers.b.device(b"bob", window=9)
    servers.carry()
    guest.write(message(b"bob", b"hi", b"1"))
    servers.wait(1, lost=lost)
    bob.write(taken(1))
    servers.wait(3, lost=lost)
    assert told(guest.read()) == [("SEND", "bob", "1", 0)]
    guest.write(message(b"bob", b"no", b"2"))
    servers.wait(1, lost=lost)
    bob.write(error(102, seq=2))
    servers.wait(2, lost=lost)
    (failed,) = told(guest.read())
    assert failed[:3] == ("ERROR", 102, "2")


def gather(servers: Servers, *names: bytes) -> list[Line]:
    """Devices of members at a, a, b, ... who are in one room."""
    lines = [(servers.a, servers.b)[at % 2].device(name, window=99) for at, name in enumerate(names)]
    lines[0].write(frame(Verb.ROOM, b"#room", do=b"create", access=b"public"))
    for line in lines[1:]:
        line.write(frame(Verb.ROOM, b"#room", do=b"join"))
    servers.wait(1)
    for line in lines:
        line.read()
    return lines


def test_progress_in_a_room_is_told_across_servers(servers: Servers):
    alice, bob, carol = gather(servers, b"alice", b"bob", b"carol")
    alice.write(message(b"#room", b"hi", b"1"))
    servers.wait(1)
    (entry,) = [head for head, body in bob.read() if body == b"hi"]
    bob.write(taken(int(entry.seq or b"0")))
    servers.wait(1)
    progress = [head for head, _ in alice.read() if head.verb is Verb.SENT]
    assert [(head.headers[b"have"], head.headers[b"of"]) for head in progress] == [(b"1", b"2")]
    (entry,) = [head for head, body in carol.read() if body == b"hi"]
    carol.write(taken(int(entry.seq or b"0")))
    servers.wait(1)
    assert [head.verb for head, _ in alice.read()] == [Verb.SENT]


def test_a_server_that_loses_its_database_lets_guests_go_before_its_lease_ends(servers: Servers):
    a = servers.a
    bob, guest = a.device(b"bob"), a.guest(b"gast")
    classic = a.classic(b"altgast")
    a.answers[KeepLease] = a.answers[LookAround] = lambda _: StoreError("the database cannot be reached")
    a.advance(6.0)
    assert not guest.closed
    a.advance(2.0)
    assert guest.closed
    assert classic[0].closed
    assert told(guest.read()) == [("ERROR", 107, "", 0, CUT_OFF)]
    assert not bob.closed
    new = a.line()
    assert "lost its database" in str(told(new.write(register(Side.SENDING, b"bob", authorization=b"bob"))))
    a.advance(21.0)
    a.advance(1.0)
    assert told(bob.read()) == [("ERROR", 107, "", 0, CUT_OFF)]
    a.answers.clear()
    a.advance(2.0)
    a.advance(0.25)
    assert not a.device(b"bob").closed


CUT_OFF = "this server has lost its database: connect to another one, or try again soon"


def test_what_a_guest_has_sent_is_not_stored_once_another_server_has_a_guest_of_that_name(servers: Servers):
    """The server is cut off from the database, so that the guest goes to another one: its messages stay in order."""
    a, b = servers.a, servers.b
    bob = b.device(b"bob", window=9)
    old = a.guest(b"gus")
    old.begin(message(b"bob", b"first", b"1"))
    execute(servers.url, f"UPDATE twotick.server SET alive_until = 0 WHERE number = {a.store.run_number}")
    new = b.guest(b"gus")
    assert told(new.write(message(b"bob", b"second", b"2"))) == [("ACCEPTED", "bob", "2", 0)]
    a.settle()
    assert told(old.read()) == [
        ("ERROR", 102, "1", 0, "this server had lost its database, and another one has your name")
    ]
    servers.wait(1)
    assert bodies(bob.read()) == [b"second"]


def test_what_guests_of_a_lost_server_were_to_get_has_failed(servers: Servers):
    servers.a.guest(b"gast")
    alice = servers.a.device(b"alice", b"old")
    alice.write(message(b"gast", b"hi", b"1"))
    watching = servers.b.device(b"alice", b"new", window=9)
    servers.wait(12)
    assert not [head for head, _ in watching.read() if head.verb is Verb.ERROR]
    execute(servers.url, "UPDATE twotick.server SET alive_until = 0")  # a's is not renewed
    servers.a.answers[KeepLease] = lambda _: StoreError("it was killed")
    for _ in range(60):
        servers.b.advance(0.25)
    failed = [entry for entry in told(watching.read()) if entry[0] == "ERROR"]
    assert [entry[1:3] for entry in failed] == [(102, "1")]


def test_it_is_noticed_that_a_living_server_is_not_heard(servers: Servers):
    """For example because the two are on different NATS servers."""
    servers.wait(4)
    neighbours = servers.a.exchange.neighbours
    assert neighbours.unheard == ()
    servers.wait(15, lost=True)
    assert neighbours.unheard == (servers.b.store.run_number,)
    servers.wait(3)
    assert neighbours.unheard == ()


def test_one_server_leads(servers: Servers):
    servers.wait(3)
    leads = [mail.exchange.neighbours.leads for mail in (servers.a, servers.b)]
    assert sorted(leads) == [False, True]
    kept = servers.a.store.ask(KeepLease(10.0, "1", "there"))
    assert isinstance(kept, KeptLease)
    assert set(kept.servers) == {servers.a.store.run_number, servers.b.store.run_number}


def test_servers_with_and_without_a_bus_exclude_each_other(servers: Servers, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("twotick.store.postgres.database._PATIENCE", 0)
    with pytest.raises(StoreError, match="share this one with the setting bus"):
        PostgresStore(servers.url, StoreLimits())


def test_a_subscription_to_notifications_at_one_server_is_known_to_the_other_within_a_minute(servers: Servers):
    a, b = servers.a, servers.b
    given = {"endpoint": b"https://push.example/1", "p256dh": P256DH, "auth": AUTH}
    a.device(b"bob").write(frame(Verb.PUSH, id=b"p", **given))
    b.advance(61.0)
    b.advance(0.25)
    b.device(b"alice").write(message(b"bob", b"hi", b"1"))
    b.advance(2.0)
    (look,) = b.exchange.pushes.take(b.now)
    assert look.member == b.members[b"bob"].number


def test_a_connection_that_only_sends_misses_no_result_because_it_has_sent_more(
    servers: Servers, monkeypatch: pytest.MonkeyPatch
):
    """The hint is lost, and the next entry of the sender's log is its server's own. Nothing is asked in vain."""
    alice, bob = servers.a.sender(b"alice"), servers.b.device(b"bob", window=9)
    servers.carry()
    alice.write(message(b"bob", b"hi", b"1"))
    servers.wait(1)
    servers.wait(1)
    bob.write(taken(1))
    servers.b.advance(0.25)
    servers.lose()
    alice.write(message(b"carol", b"hi", b"2"))
    servers.wait(2, lost=True)
    assert told(alice.read())[-1] == ("SEND", "bob", "1", 0)
    asked: list[object] = []
    original = servers.a.store.apply

    def apply(requests: Any) -> Any:
        asked.extend(requests)
        return original(requests)

    monkeypatch.setattr(servers.a.store, "apply", apply)
    alice.write(message(b"carol", b"hi", b"3"))
    servers.wait(2, lost=True)
    assert not any(isinstance(each, FindOutcomes) for each in asked)


def test_a_connection_that_only_sends_misses_no_result_because_a_later_hint_came(servers: Servers):
    alice, bob = servers.a.sender(b"alice"), servers.b.device(b"bob", window=9)
    servers.carry()
    alice.write(message(b"bob", b"hi", b"1"))
    servers.wait(2)
    bob.write(taken(1))
    servers.b.advance(0.25)
    servers.lose()
    bob.write(message(b"alice", b"hi", b"2"))
    servers.carry()
    servers.wait(2, lost=True)
    assert told(alice.read())[-1] == ("SEND", "bob", "1", 0)


def test_a_server_alone_notices_what_it_was_not_told_either(new_database: Callable[[], str]):
    """It may not know what the database has kept when its connection has broken. It needs no lease."""
    url = new_database()
    store = PostgresStore(url, StoreLimits())
    mail = Mail(b"alice", b"bob", store=store, identity=ServerIdentity(store.run_number, "1", "here", is_alone=True))
    bob, guest = mail.device(b"bob"), mail.guest(b"gast")
    with closing(PostgresStore(url, StoreLimits(), exclusive=False)) as other:
        sender = mail.members[b"alice"].number
        request = Append(
            sender=sender, sender_name=b"alice", recipient=b"bob", headers=b"", body=b"hi", time=mail.now, id=b"1"
        )
        other.ask(request)
    mail.advance(1.0)
    mail.advance(1.0)
    assert bodies(bob.read()) == [b"hi"]
    mail.advance(100.0)
    assert not guest.closed
    store.close()


def test_a_member_sees_devices_at_other_servers_as_connected(servers: Servers):
    phone, laptop = servers.a.device(b"bob", b"phone"), servers.b.device(b"bob", b"laptop")

    def connected() -> dict[str, bool]:
        return {each["device"]: each["connected"] for each in objects(laptop.write(frame(Verb.DEVICES, id=b"d")))}

    assert connected() == {"laptop": True, "phone": True}
    phone.cut()
    assert connected() == {"laptop": True, "phone": False}


async def test_a_password_is_not_changed_late(new_database: Callable[[], str]):
    """As a request of a connection that was replaced (rule 10.7): what it is changed to later counts."""
    stores = [PostgresStore(url, StoreLimits(), shared=True) for url in [new_database()] * 2]
    bob = stores[0].ask(AddMember("bob", secrets.hash_password(b"the first one"), 0.0))
    assert isinstance(bob, Member)
    storages = [Storage(store, lambda: None, lambda: None, lambda _: None) for store in stores]

    async def change(at: Storage, device: MemberDevice, old: bytes, new: bytes) -> Refused | None:
        headers = {b"old": base64.b64encode(old), b"new": base64.b64encode(new)}
        head = Head(StartLine(Verb.PASSWORD), headers)
        server = Authenticator(at, SignUp.CLOSED, is_shared=True)
        return await server.change_password(
            head, b"bob", "192.0.2.1", device=device, revoke_others=False, gone=lambda: False
        )

    async def connect(at: Storage) -> MemberDevice:
        device = MemberDevice(bob.number, b"main")
        opened = await at.ask(OpenDevice(bob.number, "main", 0, 0.0))
        assert isinstance(opened, OpenedDevice)
        device.session = opened.session
        return device

    try:
        old, new = await connect(storages[0]), await connect(storages[1])
        assert await change(storages[0], old, b"the first one", b"the other one") == Refused(
            102, "the password was not changed: this device has connected again: ask there"
        )
        assert await change(storages[1], new, b"the first one", b"the other one") is None
    finally:
        await asyncio.gather(*(storage.close() for storage in storages))


async def test_wrong_passwords_are_counted_together(new_database: Callable[[], str]):
    """Guesses that alternate between two servers are no more than at one; a success at either clears the name."""
    url = new_database()
    stores = [PostgresStore(url, StoreLimits(), shared=True) for _ in range(2)]
    stores[0].ask(AddMember("bob", secrets.hash_password(b"the right one"), 0.0))
    storages = [Storage(store, lambda: None, lambda: None, lambda _: None) for store in stores]
    a, b = [Authenticator(storage, SignUp.CLOSED, is_shared=True) for storage in storages]

    async def log_in(server: Authenticator, password: bytes, address: str, name: bytes = b"bob") -> str:
        authorization = b"Basic " + base64.b64encode(name + b":" + password)
        head = Head(StartLine(Verb.REGISTER, name, Side.SENDING), {b"authorization": authorization})
        found = await server.authenticate(head, address, encrypted=True, now=0.0, gone=lambda: False)
        return found.reason if isinstance(found, Refused) else "right"

    try:
        guess = partial(log_in, password=b"a wrong one", address="192.0.2.1")
        for server in (a, b, a, b, a):
            assert await guess(server) == "wrong name, password or token"
        for server in (b, a):
            assert "too many failed attempts" in await log_in(server, b"the right one", "192.0.2.2")
        execute(url, "UPDATE twotick.failed_login SET times = ARRAY[latest - 80000, latest - 70000]")
        assert await log_in(b, b"the right one", "192.0.2.2") == "right"
        for server in (a, b, a, b, a):
            assert await guess(server) == "wrong name, password or token", "the success was at the other server"
        for server in (a, b):
            assert "too many failed attempts" in await guess(server)
            # An address may fail 20 times, with any names.
        execute(url, "UPDATE twotick.failed_login SET times = array_fill(latest, ARRAY[20]) WHERE kind = 0")
        for server in (a, b):
            assert "too many failed attempts" in await guess(server, name=b"carol")
            assert await guess(server, name=b"carol", address="192.0.2.3") == "wrong name, password or token"
        execute(url, "UPDATE twotick.failed_login SET latest = 0")
        await storages[0].ask(SettleLost())
        assert await log_in(a, b"the right one", "192.0.2.1") == "right"
    finally:
        await asyncio.gather(*(storage.close() for storage in storages))
