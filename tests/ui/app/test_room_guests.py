"""Guests in rooms, on the screen of a member (docs/protocol.md, rules 12.12 to 12.15)."""

from pathlib import Path

from tests.client.members import chatting, until
from tests.client.room_guests import guest_in
from tests.ui.app.users import app_user, member


async def test_what_a_guest_writes_is_marked(tmp_path: Path) -> None:
    async with chatting("alice", "bob", folder=tmp_path / "data") as chat:
        options = member(chat, tmp_path / "app")
        async with chat.join("bob") as bob, app_user(options) as alice:
            await bob.create_room("#lab", public=True, guests=True)
            await alice.is_connected()
            await alice.session.join("#lab")
            await alice.opens("#lab")
            async with guest_in("#lab", chat.address) as ann:
                await ann.say("hello oats")
                await alice.sees("ann (guest)", "hello oats")
                await bob.send("#lab", "welcome")
                await alice.sees("bob", "welcome")
                await alice.press("alt+m")
                await alice.sees("Members", "ann", "guest")
                await alice.press("escape")
        async with app_user(options) as alice:  # from the database of the app
            await alice.opens("#lab")
            await alice.sees("ann (guest)", "hello oats")


async def test_the_details_show_the_guests_who_are_in_a_room(tmp_path: Path) -> None:
    """Rule 12.15: as they come and go, and after the connection was lost."""
    async with chatting("alice", "bob", folder=tmp_path / "data") as chat:
        options = member(chat, tmp_path / "app")
        async with chat.join("bob") as bob, app_user(options, 120, 40) as alice:
            await bob.create_room("#lab", public=True, guests=True)
            await alice.is_connected()
            await alice.session.join("#lab")
            await alice.opens("#lab")
            await alice.press("f2")
            await alice.sees("Members  2")
            async with guest_in("#lab", chat.address), guest_in("#lab", chat.address, "eve"):
                await alice.sees("Members  2", "Guests  2", "\u25cf ann  guest", "\u25cf eve  guest")
                await bob.remove("#lab", "eve")
                await alice.sees("Guests  1", "\u25cf ann  guest")
                await chat.stop()
            await chat.start()
            await alice.sees_no("Guests  1")
            await alice.sees("Members  2")


async def test_a_member_sees_what_a_guest_of_the_same_name_wrote_before(tmp_path: Path) -> None:
    async with chatting("bob", folder=tmp_path / "data") as chat:
        async with chat.join("bob") as bob:
            await bob.create_room("#lab", public=True, guests=True)
        async with guest_in("#lab", chat.address) as ann:
            await ann.say("hello oats")
        await chat.stop()
        chat.token("ann")
        await chat.start()
        options = member(chat, tmp_path / "app", "ann")
        async with app_user(options) as ann:
            await ann.is_connected()
            room = await ann.session.join("#lab")
            await ann.opens("#lab")
            await ann.session.load_older(room)  # what was said before ann joined
            await ann.sees("ann (guest)", "hello oats")


async def test_the_owner_lets_guests_in_and_out(tmp_path: Path) -> None:
    async with chatting("alice", "bob", folder=tmp_path / "data") as chat:
        options = member(chat, tmp_path / "app")
        async with chat.join("bob") as bob, app_user(options) as alice:
            await alice.is_connected()
            await alice.session.create_room("#lab", "public")
            await alice.opens("#lab")
            await alice.press("alt+w")
            await alice.type("also for guests", "enter")
            await alice.sees("alice made the room public, also for guests")
            assert (await bob.room("#lab")).guests
            async with guest_in("#lab", chat.address) as ann:
                await ann.say("hello oats")
                await alice.sees("ann (guest)", "hello oats")
            await alice.press("alt+w")
            await alice.type("every member", "enter")
            await until(
                lambda: [each.access for each in alice.session.conversations if each.name == "#lab"] == ["public"]
            )
            room = await bob.room("#lab")
            assert (room.public, room.guests) == (True, False)
