"""Guests in rooms, as members and bots see them (docs/protocol.md, rules 12.12 to 12.15)."""

from pathlib import Path

import pytest

from tests.client.members import Spoken, chatting, scripted, scripted_join, take
from tests.client.room_guests import guest_in
from twotick.client import EventKind, RequestRefused, Role
from twotick.client.bot.message import BotMessage
from twotick.wire import Verb, frame


async def test_the_owner_lets_guests_in_and_ends_that() -> None:
    async with chatting("alice", "bob") as chat, chat.join("alice") as alice, chat.join("bob") as bob:
        assert (await alice.create_room("#lab", public=True, guests=True)).guests
        (room,) = await bob.rooms()
        assert (room.name, room.guests) == ("#lab", True)
        assert (await bob.join_room("#lab")).guests
        with pytest.raises(RequestRefused):
            await bob.change_room("#lab", guests=False)
        assert not (await alice.change_room("#lab", guests=False)).guests
        assert (await alice.change_room("#lab", guests=True)).guests
        left_open = await alice.change_room("#lab", topic="oats")
        assert (left_open.guests, left_open.topic) == (True, "oats")
        assert not (await alice.change_room("#lab", public=False)).guests
        with pytest.raises(RequestRefused, match="only public rooms let guests in"):
            await alice.change_room("#lab", guests=True)
        with pytest.raises(RequestRefused, match="only public rooms let guests in"):
            await alice.create_room("#den", guests=True)
        events = [each.event for each in await alice.history("#lab")]
        changes = [(each.guests, each.public) for each in events if each and each.kind is EventKind.CHANGED]
        assert changes == [(False, None), (True, None), (None, None), (False, False)]


async def test_what_a_guest_wrote_says_so_also_when_a_member_has_the_name(tmp_path: Path) -> None:
    async with chatting("alice", "bob", folder=tmp_path / "data") as chat, chat.join("alice") as alice:
        await alice.create_room("#lab", public=True, guests=True)
        async with guest_in("#lab", chat.address) as ann:
            members = [(each.name, each.role, each.since is None) for each in await alice.room_members("#lab")]
            assert members == [("alice", Role.OWNER, False), ("ann", Role.GUEST, True)]
            with pytest.raises(ValueError, match="GUEST is not a role that can be given"):
                await alice.appoint("#lab", "ann", Role.GUEST)
            await ann.say("hello oats", "m1")
        (came,) = await take(alice, 1)
        assert (came.sender, came.text, came.is_guest, came.outgoing) == ("ann", "hello oats", True, False)
        await chat.stop()
        chat.token("ann")
        await chat.start()
        async with chat.join("ann") as ann, chat.join("alice") as alice:
            await ann.join_room("#lab")
            await ann.send("#lab", "hello", id="m1")
            theirs, _, hers = (await ann.history("#lab"))[1:]
            assert (theirs.text, theirs.sender, theirs.is_guest, theirs.outgoing) == ("hello oats", "ann", True, False)
            assert (hers.text, hers.sender, hers.is_guest, hers.outgoing) == ("hello", "ann", False, True)
            keys = {BotMessage(alice, each, each.text, addressed=True).key for each in (came, theirs, hers)}
            assert len(keys) == 2, "what a bot does once for each message tells the guest's from the member's"


async def test_a_guest_is_put_out() -> None:
    async with chatting("alice") as chat, chat.join("alice") as alice:
        await alice.create_room("#lab", public=True, guests=True)
        async with guest_in("#lab", chat.address) as ann:
            await alice.remove("#lab", "ann")
            head, _ = await ann.until(Verb.ROOM)
            assert head.headers[b"event"] == b"removed"
            assert [each.name for each in await alice.room_members("#lab")] == ["alice"]


async def test_a_server_that_does_not_know_of_guests_in_rooms_is_told_apart() -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        for _ in range(2):
            head, _ = await server.expect(Verb.ROOM)
            assert head.headers[b"guests"] == b"yes"
            server.write(
                frame(Verb.ROOM, head.name, id=head.headers[b"id"], access=b"public", role=b"owner", members=1)
            )
        await server.end()

    async with scripted(serve) as address, scripted_join(address) as me:
        with pytest.raises(RequestRefused, match="too old"):
            await me.create_room("#lab", public=True, guests=True)
        with pytest.raises(RequestRefused, match="too old"):
            await me.change_room("#lab", guests=True)
