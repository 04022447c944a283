"""Requests about rooms, conversations and presence, with the answers of a scripted server."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.client.members import Connections, Spoken, scripted, scripted_join, until
from twotick.client import (
    ConnectionLost,
    EventKind,
    MemberClient,
    MemberMessage,
    Presence,
    ProgressEvent,
    ProtocolError,
    RequestRefused,
    Role,
    State,
    StatusEvent,
    TypingEvent,
)
from twotick.wire import Frame, Verb, error, frame

SINCE = "2026-11-22T09:30:00.123Z"
THEN = datetime(2026, 11, 22, 9, 30, 0, 123000, tzinfo=UTC)


def ident_of(asked: Frame) -> bytes:
    return asked[0].headers[b"id"]


def listing(asked: Frame, objects: Any, shown: bytes | None = None) -> bytes:
    """Return an answer with a list."""
    head, _ = asked
    return frame(head.verb, head.name, json.dumps(objects).encode(), id=ident_of(asked), shown=shown)


ROOM = {"name": "#team", "access": "public", "role": "owner", "members": 3, "topic": "t", "invited": False}

Ask = Callable[[MemberClient], Awaitable[object]]


ABOUT_ROOMS: list[tuple[Ask, str, dict[str, str]]] = [
    (
        lambda me: me.create_room("#team", public=True, topic="gr\u00fcn"),
        "ROOM #team",
        {"do": "create", "access": "public", "topic": "gr\u00fcn"},
    ),
    (lambda me: me.create_room("#a-b_1"), "ROOM #a-b_1", {"do": "create", "access": "private"}),
    (lambda me: me.join_room("#team"), "ROOM #team", {"do": "join"}),
    (lambda me: me.leave_room("#team"), "ROOM #team", {"do": "leave"}),
    (lambda me: me.change_room("#team", topic=""), "ROOM #team", {"do": "change", "topic": ""}),
    (lambda me: me.change_room("#team", public=False), "ROOM #team", {"do": "change", "access": "private"}),
    (lambda me: me.invite("#team", "carol"), "ROOM #team", {"do": "invite", "member": "carol"}),
    (lambda me: me.remove("#team", "carol"), "ROOM #team", {"do": "remove", "member": "carol"}),
    (
        lambda me: me.appoint("#team", "carol", Role.MODERATOR),
        "ROOM #team",
        {"do": "appoint", "member": "carol", "role": "moderator"},
    ),
    (lambda me: me.room("#team"), "ROOM #team", {}),
]


@pytest.mark.parametrize(("ask", "start", "headers"), ABOUT_ROOMS)
async def test_room_requests(ask: Ask, start: str, headers: dict[str, str]) -> None:  # rule 12.2
    async def serve(server: Spoken) -> None:
        await server.register()
        head, body = await server.expect(Verb.ROOM)
        fields = {name.decode(): value.decode() for name, value in head.headers.items() if name != b"id"}
        assert (f"ROOM {head.name.decode()}", fields, body) == (start, headers, b"")
        ident, topic = head.headers[b"id"], b"gr\xc3\xbcn"
        server.write(
            frame(Verb.ROOM, head.name, id=ident, access=b"private", role=b"moderator", members=2, topic=topic)
        )
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        room: Any = await ask(me)
        if room is not None:
            assert (room.name, room.public, room.role) == (start.removeprefix("ROOM "), False, Role.MODERATOR)
            assert (room.members, room.topic, room.invited) == (2, "gr\u00fcn", False)


SENSELESS: list[Ask] = [
    lambda me: me.create_room("team"),
    lambda me: me.create_room("#te am"),
    lambda me: me.create_room("#" + "x" * 33),
    lambda me: me.create_room("#team", topic="a\nDo: join"),
    lambda me: me.create_room("#team", topic="\u00fc" * 126),
    lambda me: me.invite("#team", "ca rol"),
    lambda me: me.appoint("#team", "carol", Role.NONE),
    lambda me: me.receipts("#team", "m 1"),
    lambda me: me.set_conversation("#"),
    lambda me: me.search("x", limit=101),
    lambda me: me.search("x", peer="b b"),
    lambda me: me.status(Presence.GONE),
    lambda me: me.typing("b b"),
    lambda me: me.report("#team", "x"),
    lambda me: me.report("bob", "x" * 4097),
    lambda me: me.react("bob", "m1", "x" * 65),
]


@pytest.mark.parametrize("ask", SENSELESS)
async def test_invalid_arguments_are_not_sent(ask: Ask) -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        with pytest.raises(EOFError):
            await server.frame()

    async with scripted(serve) as address, scripted_join(address) as me:
        with pytest.raises(ValueError, match=r"cannot|limit|not a role|HERE or AWAY|1 to 100|at most"):
            await ask(me)


async def test_list_requests() -> None:  # rules 12.3, 12.7 and 14.1
    async def serve(server: Spoken) -> None:
        await server.register()
        server.write(listing(await server.expect(Verb.ROOMS), [ROOM, {**ROOM, "name": "#b", "invited": True}]))
        members = [{"name": "bob", "role": "member", "since": SINCE}]
        server.write(listing(await server.expect(Verb.ROOM), members))
        asked = await server.expect(Verb.RECEIPTS)
        assert ident_of(asked) == b"m1"
        server.write(listing(asked, [{"name": "bob", "state": "read"}, {"name": "carol", "state": "failed"}]))
        stands = {"unread": 5, "mentions": 1, "read": 7, "newest": 12, "muted": True, "blocked": False}
        asked = await server.expect(Verb.CONVERSATIONS)
        server.write(listing(asked, [{"name": "#team", "role": "member", **stands}, {"name": "bob", **stands}]))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        first, second = await me.rooms()
        assert (first.name, first.public, first.role, first.members, first.topic) == ("#team", True, "owner", 3, "t")
        assert (first.invited, second.invited) == (False, True)
        (member,) = await me.room_members("#team")
        assert (member.name, member.role, member.since) == ("bob", Role.MEMBER, THEN)
        states = await me.receipts("#team", "m1")
        assert [(each.name, each.state) for each in states] == [("bob", State.READ), ("carol", State.FAILED)]
        room, user = await me.conversations()
        assert (room.name, room.unread, room.mentions, room.read, room.newest) == ("#team", 5, 1, 7, 12)
        assert (room.muted, room.blocked, room.role, user.role) == (True, False, Role.MEMBER, Role.NONE)


@pytest.mark.parametrize("body", [b"{}", b"[1]", b"[{}]", b"[", b'[{"name": "#a", "role": 7}]', b"[" * 100_000])
async def test_a_malformed_list_is_a_protocol_error(body: bytes) -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        for verb in (Verb.ROOMS, Verb.ROOM, Verb.RECEIPTS, Verb.CONVERSATIONS, Verb.STATUS):
            asked = await server.expect(verb)
            server.write(frame(verb, asked[0].name, body, id=ident_of(asked)))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        asks = (me.rooms(), me.room_members("#team"), me.receipts("bob", "m1"), me.conversations(), me.status())
        for asking in asks:
            with pytest.raises(ProtocolError):
                await asking


async def test_a_refused_request_fails_with_the_reason_and_no_other_does() -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        first = await server.expect(Verb.ROOM)
        second = await server.expect(Verb.ROOMS)
        server.write(error(102, id=ident_of(first), reason=b"there is no such room"))
        server.write(listing(second, []))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        joining = asyncio.create_task(me.join_room("#cellar"))
        rooms = asyncio.create_task(me.rooms())
        with pytest.raises(RequestRefused, match="there is no such room"):
            await joining
        assert await rooms == []


async def test_a_request_that_changes_something_is_not_repeated() -> None:
    async def break_off(server: Spoken) -> None:
        await server.register()
        await server.expect(Verb.ROOM)
        await server.expect(Verb.ROOMS)

    async def serve(server: Spoken) -> None:
        await server.register()
        server.write(listing(await server.expect(Verb.ROOMS), [ROOM]))
        with pytest.raises(EOFError):
            await server.frame()

    async with scripted(break_off, serve) as address, scripted_join(address) as me:
        creating = asyncio.create_task(me.create_room("#team"))
        rooms = asyncio.create_task(me.rooms())
        with pytest.raises(ConnectionLost, match="may or may not have carried out"):
            await creating
        assert [room.name for room in await rooms] == ["#team"]


async def test_a_request_that_changes_something_waits_for_a_connection() -> None:
    go = asyncio.Event()

    async def break_off(server: Spoken) -> None:
        await server.register()

    async def serve(server: Spoken) -> None:
        await go.wait()
        await server.register()
        head, _ = await server.expect(Verb.ROOM)
        server.write(frame(Verb.ROOM, head.name, id=head.headers[b"id"], access=b"public", role=b"owner", members=1))
        await server.end()

    async with scripted(break_off, serve) as address, scripted_join(address) as me:
        await until(lambda: not me.connected)
        creating = asyncio.create_task(me.create_room("#team"))
        go.set()
        assert (await creating).role is Role.OWNER


async def test_search_requests() -> None:  # rule 14.5
    async def serve(server: Spoken) -> None:
        await server.register()
        head, body = asked = await server.expect(Verb.SEARCH)
        fields = {name: value for name, value in head.headers.items() if name != b"content-length"}
        assert fields == {b"id": ident_of(asked), b"in": b"#team", b"limit": b"2", b"before": b"9"}
        assert body == b'red "wild oats"'
        ident = ident_of(asked)
        server.write(frame(Verb.FORWARD, b"bob", b"red oats", to=b"#team", place=5, id=b"m1", history=ident))
        server.write(frame(Verb.FORWARD, b"alice", b"oats", to=b"bob", id=b"m2", history=ident, seq=3, state=b"read"))
        server.write(frame(Verb.SEARCH, id=ident, count=2, before=4))
        asked = await server.expect(Verb.SEARCH)
        server.write(frame(Verb.SEARCH, id=ident_of(asked), count=0))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        found = await me.search('red "wild oats"', peer="#team", limit=2, before=9)
        in_room, own = found.messages
        assert found.before == 4
        assert (in_room.room, in_room.place, in_room.seq, in_room.outgoing) == ("#team", 5, 0, False)
        assert (own.recipient, own.room, own.seq, own.outgoing, own.state) == ("bob", "", 3, True, State.READ)
        last = await me.search("x")
        assert (last.messages, last.before) == ([], None)


async def test_filters_of_a_search() -> None:  # rule 14.8
    async def serve(server: Spoken) -> None:
        await server.register()
        head, body = asked = await server.expect(Verb.SEARCH)
        fields = {name: value for name, value in head.headers.items() if name not in (b"content-length", b"id")}
        assert fields == {
            b"in": b"alice",
            b"from": b"Bob",
            b"since": b"2026-11-01T00:00:00.000+00:00",
            b"until": b"2026-12-01T00:00:00.000+00:00",
            b"has": b"file",
            b"limit": b"20",
        }
        assert body == b""
        file = b"File: k\nFile-name: a\nFile-size: 1\nFile-hash: 00\n"
        head = frame(
            Verb.FORWARD, b"bob", b"", file, id=b"m1", history=ident_of(asked), time=b"2026-11-01T00:00:00.000Z"
        )
        server.write(head + frame(Verb.SEARCH, id=ident_of(asked), count=1))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        since, until_then = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)
        found = await me.search(peer="alice", sender="Bob", since=since, until=until_then, has_file=True)
        assert [each.id for each in found.messages] == ["m1"]
        with pytest.raises(ValueError, match="b b"):
            await me.search(sender="b b")


async def test_room_history_is_paged_by_place() -> None:  # rule 12.10
    async def serve(server: Spoken) -> None:
        await server.register()
        for before, places in ((None, (4, 5)), (b"4", (1, 2))):
            head, _ = asked = await server.expect(Verb.HISTORY)
            assert (head.name, head.headers.get(b"before")) == (b"#team", before)
            for place in places:
                server.write(
                    frame(Verb.FORWARD, b"bob", b"hi", to=b"#team", place=place, id=b"m", history=ident_of(asked))
                )
            server.write(frame(Verb.HISTORY, b"#team", id=ident_of(asked), count=2))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        assert [message.place for message in await me.history("#team")] == [1, 2, 4, 5]


async def test_conversation_settings() -> None:  # rule 14.3
    async def serve(server: Spoken) -> None:
        await server.register()
        head, _ = asked = await server.expect(Verb.CONVERSATION)
        assert (head.name, head.headers[b"muted"], b"blocked" in head.headers) == (b"bob", b"yes", False)
        server.write(frame(Verb.CONVERSATION, b"bob", id=ident_of(asked), muted=b"yes", blocked=b"no"))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        setting = await me.set_conversation("bob", muted=True)
        assert (setting.muted, setting.blocked) == (True, False)


async def test_a_report_request() -> None:  # rule 17.1
    async def serve(server: Spoken) -> None:
        await server.register()
        head, body = asked = await server.expect(Verb.REPORT)
        assert (head.name, head.headers[b"about"], body) == (b"bob", b"m1", b"spam")
        server.write(frame(Verb.REPORT, b"bob", id=ident_of(asked)))
        asked = await server.expect(Verb.REPORT)
        server.write(error(102, id=ident_of(asked), reason=b"too many"))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        await me.report("bob", "spam", "m1")
        with pytest.raises(RequestRefused, match="too many"):
            await me.report("bob", "spam")


# Presence (section 15)


async def test_presence_is_repeated_on_the_next_connection() -> None:
    lost = asyncio.Event()

    async def first(server: Spoken) -> None:
        await server.register()
        asked = await server.expect(Verb.STATUS)
        assert (asked[0].headers[b"state"], asked[0].headers[b"shown"]) == (b"away", b"no")
        server.write(listing(asked, [{"name": "bob", "state": "gone", "since": None}], shown=b"no"))
        server.write(b"STATUS bob\nState: here\nSince: 2026-11-22T09:30:00.123Z\n\n")
        server.write(b"TYPING bob\n\nTYPING bob\nTo: #team\n\n")
        await lost.wait()

    async def second(server: Spoken) -> None:
        await server.register()
        asked = await server.expect(Verb.STATUS)
        assert (asked[0].headers[b"state"], b"shown" in asked[0].headers) == (b"away", False)
        server.write(listing(asked, [{"name": "bob", "state": "away", "since": SINCE}], shown=b"no"))
        assert (await server.expect(Verb.TYPING))[0].name == b"#team"
        await server.end()

    async with scripted(first, second) as address, scripted_join(address) as me:
        seen = await me.status(Presence.AWAY, shown=False)
        assert seen.shown is False
        assert [(each.name, each.state, each.since) for each in seen.users] == [("bob", Presence.GONE, None)]
        entries = me.entries()
        here, typing, in_room = [await anext(entries) for _ in range(3)]
        assert isinstance(here, StatusEvent)
        assert (here.user, here.state, here.since) == ("bob", Presence.HERE, THEN)
        assert isinstance(typing, TypingEvent)
        assert isinstance(in_room, TypingEvent)
        assert (typing.sender, typing.room, in_room.sender, in_room.room) == ("bob", "", "bob", "#team")
        lost.set()
        again = await anext(entries)
        assert isinstance(again, StatusEvent)
        assert (again.user, again.state) == ("bob", Presence.AWAY)
        await me.typing("#team")
        await entries.aclose()


async def test_only_the_latest_event_about_a_user_waits_and_entries_come_first() -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        for state in (b"here", b"gone", b"away"):
            server.write(frame(Verb.STATUS, b"bob", state=state, since=SINCE.encode()))
        server.write(b"TYPING carol\n\n" * 10)
        server.write(b"FORWARD bob\nContent-length: 2\nId: m1\nSeq: 1\n\nhi")
        await server.expect(Verb.RECEIVED)
        await server.expect(Verb.SEND)
        server.write(b"FORWARD bob\nContent-length: 2\nId: m2\nSeq: 2\n\nho")
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        entries = me.entries()
        first = await anext(entries)
        assert isinstance(first, MemberMessage)
        status, typing = await anext(entries), await anext(entries)
        assert isinstance(status, StatusEvent)
        assert status.state is Presence.AWAY
        assert isinstance(typing, TypingEvent)
        await me.queue("bob", "now")
        assert isinstance(await anext(entries), MemberMessage)
        await entries.aclose()


async def test_a_malformed_presence_list_on_a_later_connection_breaks_it() -> None:  # rule 9.11
    told = Connections()

    async def first(server: Spoken) -> None:
        await server.register()
        server.write(listing(await server.expect(Verb.STATUS), []))

    async def second(server: Spoken) -> None:
        await server.register()
        server.write(listing(await server.expect(Verb.STATUS), [{}]))
        await server.end()

    async def third(server: Spoken) -> None:
        await server.register()
        bob = {"name": "bob", "state": "asleep", "since": SINCE}
        server.write(listing(await server.expect(Verb.STATUS), [bob]))
        await server.end()

    async with scripted(first, second, third) as address, scripted_join(address, on_connection=told) as me:
        await me.status()
        async with contextlib.aclosing(me.entries()) as entries:
            status = await anext(entries)
        assert isinstance(status, StatusEvent)
        assert (status.user, status.state, status.since) == ("bob", Presence.UNKNOWN, THEN)
    assert told.kinds == [type(None), ConnectionLost, type(None), ProtocolError, type(None)]


@pytest.mark.parametrize("state", [b"State: asleep\n", b"State: \x1b[2J\n", b""])
async def test_a_presence_that_the_client_does_not_know_is_unknown(state: bytes) -> None:  # rule 9.11
    async def serve(server: Spoken) -> None:
        await server.register()
        server.write(b"STATUS bob\n%b\n" % state)
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        async with contextlib.aclosing(me.entries()) as entries:
            status = await anext(entries)
        assert isinstance(status, StatusEvent)
        assert (status.user, status.state) == ("bob", Presence.UNKNOWN)


async def test_a_role_that_the_client_does_not_know_is_unknown() -> None:  # rule 9.11
    async def serve(server: Spoken) -> None:
        await server.register()
        asked = await server.expect(Verb.ROOM)
        server.write(b"ROOM #team\nId: %b\nAccess: secret\nRole: king\nMembers: 2\n\n" % ident_of(asked))
        server.write(
            b"FORWARD bob\nContent-length: 0\nTo: #team\nPlace: 2\nSeq: 1\nEvent: appointed\nMember: carol\n"
            b"Role: king\n\n"
        )
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        room = await me.room("#team")
        assert (room.role, room.public, room.members) == (Role.UNKNOWN, False, 2)
        async with contextlib.aclosing(me.entries()) as entries:
            entry = await anext(entries)
        assert isinstance(entry, MemberMessage)
        event = entry.event
        assert event is not None
        assert (event.kind, event.role) == (EventKind.APPOINTED, Role.UNKNOWN)
        with pytest.raises(ValueError, match="UNKNOWN is not a role that can be given"):
            await me.appoint("#team", "carol", Role.UNKNOWN)


# Messages to rooms


async def test_a_receipt_reports_how_many_members_have_the_message() -> None:  # rules 12.5 and 12.6
    step = asyncio.Event()

    async def serve(server: Spoken) -> None:
        await server.register()
        head, _ = await server.expect(Verb.SEND)
        ident = head.headers[b"id"]
        assert head.name == b"#team"
        server.write(frame(Verb.ACCEPTED, b"#team", id=ident, seq=12, place=7, members=3))
        for have in (1, 1, 2):
            await step.wait()
            step.clear()
            server.write(frame(Verb.SENT, b"#team", id=ident, have=have, of=3))
        await step.wait()
        server.write(frame(Verb.SENT, b"#team", id=ident, seq=13))
        await server.expect(Verb.RECEIVED)
        server.write(frame(Verb.SENT, b"#team", id=ident, have=1, of=3))  # too late, and without effect
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        receipt = await me.send("#team", "hello")
        assert (receipt.state, receipt.seq, receipt.place) == (State.ACCEPTED, 12, 7)
        seen: list[tuple[int, int]] = []
        async for progress in receipt.progress():
            seen.append(progress)
            step.set()
            if progress == (1, 3):
                step.set()
                await until(lambda: not step.is_set())
                step.set()
        assert seen == [(0, 3), (1, 3), (2, 3), (3, 3)]
        assert receipt.state is State.DELIVERED
        assert [each async for each in receipt.progress()] == [(3, 3)]


async def test_progress_of_a_message_from_another_device_is_an_event() -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        server.write(frame(Verb.SENT, b"#team", id=b"m1", have=1, of=3))
        await server.expect(Verb.SEND)
        server.write(frame(Verb.SENT, b"#team", id=b"m1", have=2, of=3))
        server.write(frame(Verb.SENT, b"#team", id=b"m1", seq=1))
        server.write(frame(Verb.FORWARD, b"bob", b"hi", id=b"m2", seq=2))
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        entries = me.entries()
        progress = await anext(entries)
        assert isinstance(progress, ProgressEvent)
        assert (progress.room, progress.id, progress.have, progress.of) == ("#team", "m1", 1, 3)
        await me.queue("bob", "now")
        assert [repr(await anext(entries)) for _ in range(2)] == [
            "ReceiptEvent(seq=1, id='m1', DELIVERED)",
            "MemberMessage(seq=2, 'bob' to 'alice', body=b'hi')",
        ]
        await entries.aclose()


async def test_progress_fails_when_the_client_ends() -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        head, _ = await server.expect(Verb.SEND)
        server.write(frame(Verb.ACCEPTED, b"#team", id=head.headers[b"id"], seq=1, place=1, members=2))
        await server.end()

    async with scripted(serve) as address:
        async with scripted_join(address) as me:
            receipt = await me.send("#team", "hello")
        with pytest.raises(ConnectionLost):
            _ = [each async for each in receipt.progress()]


# Ids that the program chooses


async def test_a_message_with_an_id_from_the_program_is_sent_once() -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        head, _ = await server.expect(Verb.SEND)
        assert head.headers[b"id"] == b"mine.1"
        head, _ = await server.expect(Verb.SEND)
        assert head.headers[b"id"] == b"mine.2"
        for number in (1, 2):
            server.write(frame(Verb.ACCEPTED, b"bob", id=b"mine.%d" % number, seq=number))
        server.write(frame(Verb.SENT, b"bob", id=b"mine.1", seq=3))
        assert (await server.expect(Verb.RECEIVED))[0].headers[b"seq"] == b"3"
        with pytest.raises(EOFError):
            await server.frame()

    async with scripted(serve) as address, scripted_join(address) as me:
        first = await me.queue("bob", "hello", id="mine.1")
        assert await me.queue("bob", "hello", id="mine.1") is first
        await me.send("bob", "hello", id="mine.2")
        await first.delivered()  # the client acknowledges it without the program
        assert await me.send("bob", "hello", id="mine.1") is first


async def test_a_failed_message_can_be_sent_again_with_its_id() -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        for answer in (error(102, id=b"m1", reason=b"no"), frame(Verb.ACCEPTED, b"bob", id=b"m1", seq=1)):
            await server.expect(Verb.SEND)
            server.write(answer)
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        failed = await me.queue("bob", "hello", id="m1")
        await until(lambda: failed.state is State.FAILED)
        assert (await me.send("bob", "hello", id="m1")).state is State.ACCEPTED
        assert failed.state is State.FAILED
