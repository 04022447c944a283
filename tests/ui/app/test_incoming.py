"""Sessions with a server that sends invalid entries."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.client.members import Spoken, scripted, until
from tests.ui.app.sessions import Device, running
from twotick.client.trust.tokens import Credential
from twotick.ui.app.session.member import MemberSession
from twotick.wire import Verb, frame

LISTS = (Verb.CONVERSATIONS, Verb.ROOMS, Verb.STATUS)


def forward(sender: str, seq: int, body: bytes = b"", **headers: str) -> bytes:
    lines = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in headers.items())
    return frame(Verb.FORWARD, sender.encode(), body, lines.encode(), seq=seq)


async def answer(spoken: Spoken, lists: dict[Verb, list[Any]]) -> None:
    """Answer the requests of the session. The history is empty."""
    while True:
        head, _ = await spoken.frame()
        ident = head.headers.get(b"id")
        if head.verb in LISTS:
            spoken.write(frame(head.verb, b"", json.dumps(lists.get(head.verb, [])).encode(), id=ident))
        elif head.verb is Verb.HISTORY:
            spoken.write(frame(head.verb, head.name, id=ident, count=0))


NONSENSE = [
    forward("bob", 2, b"x", To="#no room"),
    forward("bob", 3, b"x", To="#" + "x" * 200, Place="1"),
    forward("alice", 4, b"x", To="b b"),
    forward("bob", 5, Event="exploded", To="#team", Place="2"),
    forward("alice", 6, Event="set", Of="nobody", Muted="yes"),
    forward("bob", 7, Event="changed", To="#team", Place="3", Topic="t" * 4000, Access="secret"),
    forward("bob", 8, Event="appointed", To="#team", Place="4", Member="alice", Role="emperor"),
    forward("bob", 9, b"x" * 5000, Reacts_to="bob good"),
    forward("bob", 10, b"+1", Reacts_to="a b c"),
    forward("bob", 11, b"x", Edits="../x"),
    forward("carol", 12, b"mine now", Edits="bob good"),
    forward("carol", 13, Deletes="bob good"),
    forward("bob", 14, b"early", Id="early", Time="0001-01-01T00:00:00+23:59"),
    forward("bob", 15, b"late", Id="late", Time="9999-12-31T23:59:59-23:59"),
    forward("bob", 16, b"file", Id="file", File="k", File_name="../../x" + "y" * 500, File_size="9" * 30),
    forward("bob", 17, b"reply", Id="reply", Reply_to="x" * 500),
    forward("bob", 18, b"far", To="#team", Place="9" * 18, Id="far"),
    frame(Verb.READ, b"nobody", up_to=5, seq=19),
    frame(Verb.SENT, b"bob", id=b"never-sent", seq=20),
    frame(Verb.TYPING, b"nobody"),
    frame(Verb.TYPING, b"alice", to=b"#team"),
]


async def test_invalid_entries_from_the_server_are_ignored(tmp_path: Path) -> None:
    async def serve(spoken: Spoken) -> None:
        await spoken.register()
        spoken.write(forward("bob", 1, b"good", Id="good"))
        spoken.write(b"".join(NONSENSE))
        spoken.write(forward("bob", 21, b"last", Id="last"))
        room = {"name": "x" * 5000, "access": "?", "role": "owner", "members": 1, "topic": "t" * 5000, "invited": False}
        standing = {"unread": 1, "mentions": 0, "read": 0, "newest": 1, "muted": False, "blocked": False}
        status = {"name": "x" * 5000, "state": "here", "since": None}
        await answer(
            spoken,
            {
                Verb.ROOMS: [room, {**room, "name": "#team"}],
                Verb.CONVERSATIONS: [{**standing, "name": "b b"}, {**standing, "name": "#team", "role": "owner"}],
                Verb.STATUS: [status],
            },
        )

    async with scripted(serve) as address:
        session = MemberSession(Credential(address, "alice", "laptop", "t" * 40), tmp_path, 1 << 20)
        it = Device(session)
        async with running(session):
            await it.has("bob", "good", "early", "late", "file", "reply", "last")
            good, *_, file, reply, _ = session.open("bob").messages
            assert good.reactions == {"x" * 64: ["bob"]}
            assert (good.edited, good.deleted, reply.reply_to) == (None, None, None)
            assert file.file is None or file.file.size < 10**18
            await until(lambda: (team := session.conversations.find("#team")) is not None and team.role == "owner")
            team = session.open("#team")
            assert (len(team.topic), team.access, team.typing) == (250, "private", [])
            assert it.news("#team") == ["far"]
            assert {each.name for each in session.conversations} == {"bob", "#team"}
            assert session.conversations.presence("x" * 5000) is None


@pytest.mark.parametrize("first", [1, 2])
async def test_entries_that_are_sent_again_are_not_added_twice(tmp_path: Path, first: int) -> None:
    messages = [forward("bob", 1, b"one", Id="a"), forward("bob", 2, b"two", Id="b"), forward("bob", 3, b"three")]

    async def serve(spoken: Spoken) -> None:
        await spoken.register()
        spoken.write(b"".join(messages[:first]))
        await answer(spoken, {})

    async def again(spoken: Spoken) -> None:
        await spoken.register()
        spoken.write(b"".join(messages))
        await answer(spoken, {})

    for script, texts in ((serve, ["one", "two"][:first]), (again, ["one", "two", "three"])):
        async with scripted(script) as address:
            session = MemberSession(Credential(address, "alice", "laptop", "t" * 40), tmp_path, 1 << 20)
            it = Device(session)
            async with running(session):
                await it.has("bob", *texts)


GUESTS = forward("ann", 1, b"a guest's", To="#lab", Place="1", Id="m1", Guest="yes")
MEMBERS = forward("Ann", 2, b"a member's", To="#lab", Place="2", Id="m1")
CHANGES = [
    forward("bob", 3, b"+1", To="#lab", Place="3", Id="r", Reacts_to="ann m1"),
    forward("ann", 4, b"ok", To="#lab", Place="4", Id="r", Reacts_to="m1"),
    forward("ann", 5, b"edited", To="#lab", Place="5", Id="e", Edits="m1"),
]
DELETED = forward("ann", 7, To="#lab", Place="7", Id="d", Deletes="m1")


async def test_what_a_member_changes_is_never_what_a_guest_of_that_name_has_written(tmp_path: Path) -> None:
    async def serve(spoken: Spoken) -> None:
        await spoken.register()
        spoken.write(b"".join([GUESTS, MEMBERS, *CHANGES]))
        spoken.write(forward("bob", 6, b"now", To="#lab", Place="6", Id="n"))
        await answer(spoken, {})

    async def again(spoken: Spoken) -> None:
        await spoken.register()
        spoken.write(DELETED)
        spoken.write(forward("bob", 8, b"then", To="#lab", Place="8", Id="t"))
        await answer(spoken, {})

    for script, text, reactions, more in (
        (serve, "edited", {"+1": ["bob"], "ok": ["ann"]}, []),
        (again, "", {}, ["then"]),
    ):
        async with scripted(script) as address:
            session = MemberSession(Credential(address, "alice", "laptop", "t" * 40), tmp_path, 1 << 20)
            it = Device(session)
            async with running(session):
                room = session.open("#lab")
                await it.has("#lab", "a guest's", text, "now", *more)
                guests, members = room.messages[:2]
                assert (guests.text, guests.is_guest, guests.reactions) == ("a guest's", True, {})
                assert (guests.edited, guests.deleted) == (None, None)
                assert (members.text, members.is_guest, members.reactions) == (text, False, reactions)
                find = session.conversations.find_message
                assert [find(room, "ANN", "m1", each) for each in (None, True)] == [members, guests]
