"""A server that says what no server should say: the client is told so, at once, and nothing is without bound."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.client.members import Connections, Spoken, scripted, scripted_join
from tests.sockets import PATIENCE
from twotick.client import (
    MemberClient,
    MemberLimits,
    Presence,
    ProtocolError,
    RecipientState,
    RequestRefused,
    Role,
    RoomInfo,
    RoomMember,
    State,
    Status,
    StatusList,
    TwotickError,
)
from twotick.client.member.headers import encode_time, parse_time
from twotick.wire import Verb, error, frame

PATIENT = MemberLimits(first_wait=4 * PATIENCE)
"""Limits with which a client does not connect again during a test."""

ESCAPES = b"\x1b]0;you are mine\x07\x1b[2J\x9b31m \xe2\x80\xae\rroot"


async def answered(answer: Callable[[bytes], bytes], ask: Callable[[MemberClient], Awaitable[object]]) -> object:
    """Return what a request returns if the server answers every request with `answer`, which is given the Id."""

    async def serve(server: Spoken) -> None:
        await server.register()
        while True:
            head, _ = await server.frame()
            server.write(answer(head.headers.get(b"id", b"")))

    async with asyncio.timeout(PATIENCE), scripted(serve) as address, scripted_join(address, limits=PATIENT) as me:
        return await ask(me)


async def test_a_reason_cannot_control_the_terminal_and_is_cut() -> None:
    def refuse(ident: bytes) -> bytes:
        return error(102, id=ident, reason=ESCAPES + b"x" * 7000)

    with pytest.raises(RequestRefused) as refused:
        await answered(refuse, lambda me: me.rooms())
    said = str(refused.value)
    assert said.startswith("\u241b]0;you are mine\u2407\u241b[2J")
    assert not any(ord(each) < 32 or 127 <= ord(each) < 160 or each == "\u202e" for each in said)
    assert len(said) < 600


async def test_a_reason_for_a_lost_connection_cannot_control_the_terminal() -> None:
    async def serve(server: Spoken) -> None:
        await server.frame()
        server.write(error(104, reason=ESCAPES))
        await server.end()

    async with scripted(serve) as address:
        with pytest.raises(TwotickError) as refused:
            async with scripted_join(address):
                pass
    assert "\x1b" not in str(refused.value)


# Numbers, times and texts in lists

ROOM = {"name": "#team", "access": "public", "role": "owner", "members": 3, "topic": "t", "invited": False}
DEVICE = {"device": "laptop", "connected": True, "seen": "2026-11-22T09:30:00.123Z"}
MEMBER = {"name": "bob", "role": "member", "since": "2026-11-22T09:30:00.123Z"}
STATUS = {"name": "bob", "state": "here", "since": "2026-11-22T09:30:00.123Z"}
TALK = {"name": "bob", "unread": 1, "mentions": 0, "read": 1, "newest": 2, "muted": False, "blocked": False}

Ask = Callable[[MemberClient], Awaitable[object]]
LISTS: list[tuple[Ask, Verb, dict[str, Any]]] = [
    (lambda me: me.rooms(), Verb.ROOMS, ROOM),
    (lambda me: me.room_members("#team"), Verb.ROOM, MEMBER),
    (lambda me: me.devices(), Verb.DEVICES, DEVICE),
    (lambda me: me.conversations(), Verb.CONVERSATIONS, TALK),
    (lambda me: me.status(), Verb.STATUS, STATUS),
    (lambda me: me.receipts("#team", "m1"), Verb.RECEIPTS, {"name": "bob", "state": "read"}),
]
EXTREME = [
    "1e999",
    "-1e999",
    "NaN",
    "-1",
    "1" + "0" * 30,
    "1.5",
    "[[]]",
    "{}",
    '"\\ud800"',
    '"a\\nb"',
    '"\\u001b[2J"',
    '"0001-01-01T00:00:00+23:00"',
    '"9999-12-31T23:59:59-23:00"',
    '"' + "x" * 5000 + '"',
]


@pytest.mark.parametrize(("ask", "verb", "usual"), LISTS)
async def test_an_extreme_value_in_a_list_is_a_protocol_error_and_no_other_kind(
    ask: Ask, verb: Verb, usual: dict[str, Any]
) -> None:
    refused = 0
    for field in usual:
        for value in EXTREME:
            text = json.dumps([{**usual, field: "HERE"}]).replace('"HERE"', value)
            try:
                await answered(lambda ident, text=text: frame(verb, body=text.encode(), id=ident or None), ask)
            except ProtocolError as problem:
                assert str(problem) == "the server sent a malformed list"  # noqa: PT017
                refused += 1
    assert refused >= len(EXTREME) - 3


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["owner", "king", "here", "asleep", "read", "forgotten", "2026-11-22T09:30:00.123Z", "public"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=3,
)
changed = st.dictionaries(
    st.sampled_from(sorted({field for _, _, usual in LISTS for field in usual})) | st.just("new"), values, max_size=3
)


@given(st.lists(st.tuples(st.sampled_from(LISTS), changed), min_size=1, max_size=10))
def test_any_list_is_understood_or_a_protocol_error_and_the_connection_stays(
    asked: list[tuple[tuple[Ask, Verb, dict[str, Any]], dict[str, Any]]],
) -> None:  # rule 9.11
    told = Connections()

    async def serve(server: Spoken) -> None:
        await server.register()
        for (_, verb, usual), changes in asked:
            head, _ = await server.expect(verb)
            body = json.dumps([{**usual, **changes}, usual]).encode()
            server.write(frame(verb, head.name, body, id=head.headers.get(b"id")))
        await server.end()

    async def ask_all() -> None:
        async with scripted(serve) as address, scripted_join(address, on_connection=told) as me:
            for (ask, _, _), changes in asked:
                try:
                    await ask(me)
                except ProtocolError as problem:
                    assert str(problem) == "the server sent a malformed list"  # noqa: PT017
                    assert not all(may_be_new(field, value) for field, value in changes.items())

    asyncio.run(ask_all())
    assert told.told == [None]


def may_be_new(field: str, value: object) -> bool:
    """Return whether a newer server may write this."""
    is_word = isinstance(value, str) and value.isprintable()
    return field == "new" or (field in ("role", "state", "access") and is_word)


@pytest.mark.parametrize(("ask", "verb", "usual"), LISTS)
async def test_a_word_that_a_newer_server_knows_is_unknown(ask: Ask, verb: Verb, usual: dict[str, Any]) -> None:
    newer = {**usual, "new": [1], **{field: "newer" for field in ("role", "state", "access") if field in usual}}
    body = json.dumps([newer]).encode()
    found = await answered(lambda ident: frame(verb, body=body, id=ident or None), ask)
    (item,) = found.users if isinstance(found, StatusList) else cast("list[object]", found)
    if "role" in usual:
        assert isinstance(item, RoomInfo | RoomMember)
        assert item.role is Role.UNKNOWN
    if isinstance(item, Status):
        assert item.state is Presence.UNKNOWN
    if isinstance(item, RecipientState):
        assert item.state is State.ACCEPTED


async def test_a_list_without_end_is_refused() -> None:
    body = b"[" + b"[]," * (2 << 20) + b"[]]"
    with pytest.raises(ProtocolError):
        await answered(lambda ident: frame(Verb.ROOMS, body=body, id=ident), lambda me: me.rooms())


@pytest.mark.parametrize("after", [b"1e999", b"-1", b"1" + b"0" * 30, b""])
async def test_a_wrong_wait_in_an_answer_does_not_leave_the_call_waiting(after: bytes) -> None:
    with pytest.raises(ProtocolError):
        await answered(lambda ident: error(105, retry_after=after, id=ident), lambda me: me.rooms())


async def test_a_token_is_one_word() -> None:
    with pytest.raises(ProtocolError):
        await answered(lambda _: frame(Verb.TOKEN, b"phone", token=b"a b"), lambda me: me.new_token("phone"))


# Pages


def page(ident: bytes, seqs: list[int], **headers: Any) -> bytes:
    """Return an answer to HISTORY with messages that have these numbers."""
    told = b"".join(frame(Verb.FORWARD, b"bob", b"hi", b"History: %b\n" % ident, seq=seq) for seq in seqs)
    return told + frame(Verb.HISTORY, id=ident, count=len(seqs), **headers)


@pytest.mark.parametrize("seqs", [[5, 6], [7, 5], [5, 5], [0, 3], [9]])
async def test_a_page_of_the_history_that_does_not_come_before_the_last_one_ends_it(seqs: list[int]) -> None:
    with pytest.raises(ProtocolError, match="does not come before"):
        await answered(lambda ident: page(ident, seqs), lambda me: me.history("bob", before=6, limit=100))


async def test_the_same_page_again_ends_the_history() -> None:
    with pytest.raises(ProtocolError, match="does not come before"):
        await answered(lambda ident: page(ident, [5, 6]), lambda me: me.history(limit=10**12))


async def test_the_same_page_again_ends_a_search() -> None:
    async def search(me: MemberClient) -> None:
        found = await me.search("oats")
        assert found.before == 7
        await me.search("oats", before=found.before)

    with pytest.raises(ProtocolError, match="does not come before"):
        await answered(lambda ident: frame(Verb.SEARCH, id=ident, count=0, before=7), search)


@pytest.mark.parametrize(
    "filters",
    [
        {"sender": "carol"},
        {"has_file": True},
        {"since": datetime(2026, 11, 1, 0, 0, 1, tzinfo=UTC)},
        {"until": datetime(2026, 10, 31, 23, 59, 59, tzinfo=UTC)},
        {"since": datetime(9999, 12, 31, tzinfo=timezone(timedelta(hours=-12)))},
    ],
)
async def test_an_old_server_that_ignores_the_filters_of_a_search_is_named(filters: dict[str, Any]) -> None:
    def answer(ident: bytes) -> bytes:
        found = frame(Verb.FORWARD, b"bob", b"oats", history=ident, seq=1, time=b"2026-11-01T00:00:00.000Z")
        return found + frame(Verb.SEARCH, id=ident, count=1)

    with pytest.raises(ProtocolError, match="does not support search with filters"):
        await answered(answer, lambda me: me.search("oats", **filters))


@pytest.mark.parametrize(("count", "size"), [(11, 0), (10, 1 << 20)])
async def test_more_messages_than_were_asked_for_are_a_protocol_error(count: int, size: int) -> None:
    def answer(ident: bytes) -> bytes:
        return b"".join(
            frame(Verb.FORWARD, b"bob", b"x" * size, b"History: %b\n" % ident, seq=seq) for seq in range(1, count + 1)
        ) + frame(Verb.HISTORY, id=ident, count=count)

    with pytest.raises(ProtocolError, match="more than was asked for"):
        await answered(answer, lambda me: me.history(limit=10))


async def test_messages_that_no_request_asks_for_are_a_protocol_error() -> None:
    with pytest.raises(ProtocolError, match="more than was asked for"):
        await answered(
            lambda ident: frame(Verb.FORWARD, b"bob", b"x", b"History: %b\n" % ident, seq=1), lambda me: me.rooms()
        )


async def test_a_server_cannot_grant_a_larger_window_than_was_asked_for() -> None:
    async def serve(server: Spoken) -> None:
        await server.register(window=10**9)
        await server.expect(Verb.ROOMS)
        server.write(b"".join(frame(Verb.FORWARD, b"bob", b"hi", seq=seq) for seq in range(1, 4)))
        await server.end()

    async with scripted(serve) as address, scripted_join(address, window=2, limits=PATIENT) as me:
        assert me.window == 2
        with pytest.raises(ProtocolError, match="more entries than its window"):
            await me.rooms()


# Times


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59.999Z",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01",
        "nonsense",
        "",
        "\u0661\u0662",
    ],
)
def test_a_time_that_some_time_zone_cannot_show_is_none(text: str) -> None:
    assert parse_time(text) is None


@pytest.mark.parametrize("text", ["0001-01-02T00:00:00Z", "9999-12-30T23:59:59.999Z", "2026-11-22T09:30:00"])
@pytest.mark.parametrize("hours", [-23, 23])
def test_every_other_time_can_be_shown_everywhere(text: str, hours: int) -> None:
    time = parse_time(text)
    assert time is not None
    assert time.tzinfo is UTC
    time.astimezone(timezone(timedelta(hours=hours)))


@pytest.mark.parametrize(
    ("time", "sent"),
    [
        (datetime(1, 1, 1, tzinfo=UTC), b"0001-01-02T00:00:00.000+00:00"),
        (datetime(1, 1, 1), b"0001-01-02T00:00:00.000+00:00"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14))), b"0001-01-02T00:00:00.000+00:00"),
        (datetime(9999, 12, 31, tzinfo=timezone(timedelta(hours=-12))), b"9999-12-30T23:59:59.999+00:00"),
        (datetime(2026, 5, 1, 12, tzinfo=timezone(timedelta(hours=2))), b"2026-05-01T10:00:00.000+00:00"),
    ],
)
def test_an_earliest_time_that_cannot_be_sent_becomes_the_nearest(time: datetime, sent: bytes) -> None:
    assert encode_time(time) == sent
