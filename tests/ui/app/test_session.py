"""Tests of the sessions of members with a real server."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.client.members import Proxy, chatting, until
from tests.ui.app.sessions import Device, device
from twotick.client import State, TwotickError, connect
from twotick.client.member.sender import Sender
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.session.base import SearchHit
from twotick.ui.app.session.permissions import Permission
from twotick.ui.people import UserProfile
from twotick.ui.searching import SearchText, parse_search

DEVICES = ("laptop", "phone")


async def test_a_room_from_creation_to_leaving(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob", devices=DEVICES) as chat,
        device(chat, tmp_path, "alice") as alice,
        device(chat, tmp_path, "alice", "phone") as phone,
        device(chat, tmp_path, "bob") as bob,
    ):
        team = await alice.session.create_room("#Team", topic="what we do")
        assert (team.title, team.role, team.access, team.topic, team.members) == (
            "#Team",
            "owner",
            "private",
            "what we do",
            1,
        )
        assert not [each for each in await bob.session.rooms() if each.name == "#Team"]
        with pytest.raises(TwotickError, match="no such room"):
            await bob.session.join("#team")
        await alice.session.invite(team, "bob")
        invitation = await bob.message("alice", "")
        assert invitation.event is not None
        assert (invitation.event.kind, invitation.event.room) == ("invited", "#Team")
        assert bob.unread("alice") == (0, 0)
        (room,) = await bob.session.rooms()
        assert (room.name, room.invited) == ("#Team", True)
        his = await bob.session.join("#team")
        assert (his.role, his.members) == ("member", 2)
        await until(lambda: ("bob", "joined") in alice.events("#team"))
        await until(lambda: team.members == 2)
        assert alice.came == []

        bob.session.send(his, "hello @alice")
        for each in (alice, phone):
            await each.has("#team", "hello @alice")
            assert each.unread("#team") == (1, 1)
        mine = his.messages[-1]
        await until(lambda: mine.state is State.DELIVERED)
        assert (mine.have, mine.of, mine.place[0] > 1, mine.seq > 0) == (1, 1, True, True)
        assert [(each.name, each.state) for each in await bob.session.receipts(mine)] == [("alice", State.DELIVERED)]

        await alice.session.appoint(team, "bob", "moderator")
        await until(lambda: his.role == "moderator")
        await bob.session.change(his, topic="nothing")
        await until(lambda: team.topic == "nothing")
        await alice.session.change(team, access="public")
        await until(lambda: his.access == "public")
        assert [(each.name, each.role) for each in await bob.session.members(his)] == [
            ("alice", "owner"),
            ("bob", "moderator"),
        ]
        with pytest.raises(TwotickError):
            await bob.session.remove(his, "alice")
        await alice.session.remove(team, "bob")
        await until(lambda: his.left and not bob.session.can(Permission.SEND, his))
        await alice.session.leave(team)
        assert team.left
        await until(lambda: phone.session.open("#team").left)
        kinds = [kind for _, kind in alice.events("#team")]
        assert kinds[:2] == ["created", "joined"]
        assert "removed" in kinds


async def test_all_devices_show_the_time_at_which_the_server_took_a_message(tmp_path: Path) -> None:
    """Rule 11.14: one's own clock may be wrong."""
    async with chatting("alice", "bob", devices=DEVICES) as chat:
        async with device(chat, tmp_path, "alice") as alice, device(chat, tmp_path, "bob") as bob:
            alice.session.send(alice.session.open("bob"), "hello")
            theirs = await bob.message("alice", "hello")
            await until(lambda: alice.session.open("bob").messages[-1].state is not State.QUEUED)
            mine = await alice.message("bob", "hello")
            assert mine.time == theirs.time
            alice.session.edit(mine, "hello!")
            await until(lambda: theirs.text == "hello!")
            await until(lambda: mine.edited == theirs.edited)
        async with device(chat, tmp_path, "alice") as alice:
            assert (await alice.message("bob", "hello!")).time == theirs.time


async def test_changes_reach_all_devices(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob", devices=DEVICES) as chat,
        device(chat, tmp_path, "alice") as alice,
        device(chat, tmp_path, "alice", "phone") as phone,
        device(chat, tmp_path, "bob") as bob,
    ):
        peer = alice.session.open("bob")
        mine = alice.session.send(peer, "helo")
        theirs = await bob.message("alice", "helo")
        elsewhere = await phone.message("bob", "helo")
        alice.session.edit(mine, "hello")
        assert (mine.text, mine.changing) == ("hello", True)
        await until(lambda: theirs.text == elsewhere.text == "hello" and not mine.changing)
        assert None not in (mine.edited, theirs.edited, elsewhere.edited)

        answer = bob.session.send(bob.session.open("alice"), "and you?", reply_to=theirs)
        came = await alice.message("bob", "and you?")
        assert came.reply_to == ("alice", mine.id)
        assert alice.session.conversations.find_message(peer, "alice", mine.id) is mine

        bob.session.react(theirs, "+1")
        alice.session.react(mine, "+1")
        assert mine.reactions == {"+1": ["alice"]}
        for each in (mine, theirs, elsewhere):
            await until(lambda each=each: sorted(each.reactions.get("+1", [])) == ["alice", "bob"])
        bob.session.react(theirs, "")
        alice.session.react(mine, "ok")
        for each in (mine, theirs, elsewhere):
            await until(lambda each=each: each.reactions == {"ok": ["alice"]})

        await until(lambda: mine.state is not None and mine.state >= State.DELIVERED)
        alice.session.delete(mine)
        assert (mine.text, mine.changing) == ("", True)
        for each in (mine, theirs, elsewhere):
            await until(lambda each=each: each.deleted is not None and not each.changing)
            assert (each.text, each.reactions) == ("", {})
        assert answer.reply_to is not None
        assert [each.session.waiting for each in (alice, phone, bob)] == [0, 0, 0]


async def test_a_refused_change_is_undone(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, device(chat, tmp_path, "alice") as alice:
        mine = alice.session.send(alice.session.open("bob"), "hello")
        await until(lambda: mine.state is State.ACCEPTED)
        stranger = LocalMessage("bob", "alice", "never sent", mine.time, True, (99, 0), "never-sent", State.ACCEPTED)
        alice.session.store.add(stranger)
        alice.session.conversations.add(stranger)
        alice.session.edit(stranger, "changed")
        assert stranger.text == "changed"
        await until(lambda: bool(alice.refused))
        assert (stranger.text, stranger.changing, alice.session.waiting) == ("never sent", False, 0)


async def test_reactions_and_edits_of_older_messages_are_applied_when_these_are_loaded(tmp_path: Path) -> None:
    async with chatting("alice", "bob", devices=DEVICES) as chat:
        async with device(chat, tmp_path, "alice") as alice, device(chat, tmp_path, "bob") as bob:
            mine = alice.session.send(alice.session.open("bob"), "0")
            secret = alice.session.send(alice.session.open("bob"), "a secret")
            for number in range(1, 620):
                alice.session.send(alice.session.open("bob"), str(number))
            await bob.message("alice", "619")
            theirs = bob.session.conversations.find_message(bob.session.open("alice"), "alice", mine.id)
            assert theirs is not None
            bob.session.react(theirs, "+1")
            alice.session.edit(mine, "zero")
            alice.session.delete(secret)
            await until(lambda: bool(mine.reactions) and alice.session.waiting == 0)
        async with device(chat, tmp_path, "alice", "phone") as phone:
            bob_there = phone.session.open("bob")
            await until(lambda: "619" in phone.texts("bob"))
            assert phone.session.conversations.find_message(bob_there, "alice", mine.id) is None
            found = await phone.session.load_until(bob_there, "alice", mine.id)
            assert found is not None
            assert (found.text, found.reactions, found.edited is None) == ("zero", {"+1": ["bob"]}, False)
            after = bob_there.messages[bob_there.index(found) + 1]
            assert (after.text, after.deleted is None) == ("", False)


async def test_messages_around_an_old_message_are_found_regardless_of_later_traffic(tmp_path: Path) -> None:
    async with chatting("alice", "bob", "carol", devices=DEVICES) as chat:
        async with device(chat, tmp_path, "alice") as alice:
            bob, carol = alice.session.open("bob"), alice.session.open("carol")
            for number in range(30):
                alice.session.send(bob, f"old {number}")
            for number in range(150):
                alice.session.send(carol, f"meanwhile {number}")
            for number in range(600):
                alice.session.send(bob, f"new {number}")
            team = await alice.session.create_room("#team", "public")
            for number in range(600):
                alice.session.send(team, f"in the room {number}")
            await until(lambda: alice.session.waiting == 0)
            kept = await alice.session.around(SearchHit(bob, bob.messages[28]), 2)
            assert [each.text for each in kept] == ["old 26", "old 27", "old 28", "old 29", "new 0"]
            old, in_room = bob.messages[28], team.messages[20]
        async with device(chat, tmp_path, "alice", "phone") as phone:
            await until(lambda: "in the room 599" in phone.texts("#team"))
            there = phone.session.open("bob")
            assert phone.session.conversations.find_message(there, "alice", old.id) is None
            found = await phone.session.around(SearchHit(there, old), 3)
            assert [each.text for each in found] == [f"old {each}" for each in range(25, 30)] + ["new 0", "new 1"]
            found = await phone.session.around(SearchHit(phone.session.open("#team"), in_room), 1)
            assert [each.text for each in found] == [f"in the room {each}" for each in (18, 19, 20)]


def files_with(folder: Path, words: str) -> list[str]:
    """Return the names of the files that contain words."""
    return [each.name for each in folder.rglob("*") if each.is_file() and words.encode() in each.read_bytes()]


async def test_deleted_text_is_in_no_file(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob") as chat,
        device(chat, tmp_path, "alice") as alice,
        device(chat, tmp_path, "bob") as bob,
    ):
        secret = alice.session.send(alice.session.open("bob"), "the cat is in the bag")
        alice.session.send(alice.session.open("bob"), "something else")
        await bob.message("alice", "something else")
        assert files_with(tmp_path / "alice", "in the bag")
        assert files_with(tmp_path / "bob", "in the bag")
        theirs = bob.session.conversations.find_message(bob.session.open("alice"), "alice", secret.id)
        assert theirs is not None
        alice.session.edit(secret, "the dog is in the bag")
        await until(lambda: theirs.text == "the dog is in the bag")
        alice.session.delete(secret)
        await until(lambda: theirs.deleted is not None)
        await until(lambda: not files_with(tmp_path, "in the bag"))
        assert files_with(tmp_path / "bob", "something else")


async def test_unread_counts_are_the_same_on_all_devices(tmp_path: Path) -> None:
    async with chatting("alice", "bob", devices=DEVICES) as chat:
        async with (
            device(chat, tmp_path, "alice") as alice,
            device(chat, tmp_path, "alice", "phone") as phone,
            device(chat, tmp_path, "bob") as bob,
        ):
            team = await bob.session.create_room("#team", "public")
            await alice.session.join("#team")
            for text in ("one", "@alice two", "three"):
                bob.session.send(team, text)
                bob.session.send(bob.session.open("alice"), text)
            for each in (alice, phone):
                await until(lambda each=each: (each.unread("#team"), each.unread("bob")) == ((3, 1), (3, 1)))
            phone.session.mark_read(phone.session.open("#team"))
            assert phone.unread("#team") == (0, 0)
            await until(lambda: (alice.unread("#team"), alice.unread("bob")) == ((0, 0), (3, 1)))
            alice.session.mark_read(alice.session.open("bob"))
            await until(lambda: phone.unread("bob") == (0, 0))
            mine = bob.session.open("alice").messages
            await until(lambda: all(each.state is State.READ for each in mine))
        async with device(chat, tmp_path, "bob") as bob:
            for text in ("four", "five @Alice"):
                bob.session.send(bob.session.open("#team"), text)
            await until(lambda: bob.session.waiting == 0)
        async with device(chat, tmp_path, "alice") as alice:
            assert alice.unread("#team") == (0, 0)
            await until(lambda: alice.unread("#team") == (2, 1))
            await until(lambda: alice.news("#team")[-2:] == ["four", "five @Alice"])
            first = alice.session.open("#team").first_unread
            assert first is not None
            assert (first.text, alice.unread("#team")) == ("four", (2, 1))
        async with device(chat, tmp_path, "alice", "phone") as phone:
            await until(lambda: phone.unread("#team") == (2, 1))
            await until(lambda: phone.news("#team")[-1:] == ["five @Alice"])
            assert phone.unread("#team") == (2, 1)
        async with device(chat, tmp_path / "new", "alice", "phone") as phone:
            await until(lambda: phone.unread("#team") == (2, 1))
            await until(lambda: phone.news("#team")[-1:] == ["five @Alice"])
            assert (phone.unread("#team"), phone.unread("bob")) == ((2, 1), (0, 0))


async def test_a_deleted_message_is_unread_on_no_device(tmp_path: Path) -> None:
    async with chatting("alice", "bob", devices=DEVICES) as chat:
        async with device(chat, tmp_path, "alice") as alice, device(chat, tmp_path, "bob") as bob:
            kept, sent = (bob.session.send(bob.session.open("alice"), text) for text in ("hello", "oops"))
            await until(lambda: alice.unread("bob") == (2, 0))
            bob.session.delete(sent)
            await until(lambda: alice.unread("bob") == (1, 0))
            assert alice.session.open("bob").messages[1].deleted is not None
        async with device(chat, tmp_path, "alice", "phone") as phone:
            await until(lambda: phone.unread("bob") == (1, 0))
            await until(lambda: len(phone.session.open("bob").messages) == 2)
            assert phone.unread("bob") == (1, 0)
        async with device(chat, tmp_path, "bob") as bob:
            bob.session.delete(bob.session.open("alice").messages[0])
            assert bob.session.open("alice").messages[0].id == kept.id
            await until(lambda: bob.session.waiting == 0)
        async with device(chat, tmp_path, "alice") as alice, device(chat, tmp_path, "alice", "phone") as phone:
            for each in alice, phone:
                await until(lambda each=each: each.unread("bob") == (0, 0))


async def test_an_edit_changes_whom_a_message_mentions(tmp_path: Path) -> None:
    async with chatting("alice", "bob", devices=DEVICES) as chat, device(chat, tmp_path, "bob") as bob:
        async with device(chat, tmp_path, "alice") as alice:
            await alice.session.create_room("#team", "public")
            await bob.session.join("#team")
            sent = bob.session.send(bob.session.open("#team"), "hello @alice")
            await until(lambda: alice.unread("#team") == (1, 1))
            bob.session.edit(sent, "hello")
            await until(lambda: alice.unread("#team") == (1, 0))
            bob.session.edit(sent, "hello @alice!")
            await until(lambda: alice.unread("#team") == (1, 1))
        async with device(chat, tmp_path, "alice", "phone") as phone:
            await until(lambda: phone.unread("#team") == (1, 1))


async def test_a_new_device_sorts_conversations_by_latest_activity(tmp_path: Path) -> None:
    async with chatting("alice", "bob", "carol", devices=DEVICES) as chat:
        async with device(chat, tmp_path, "alice") as alice:
            team = await alice.session.create_room("#team")
            for conversation in (alice.session.open("bob"), alice.session.open("carol"), team):
                alice.session.send(conversation, "hello")
            await until(lambda: alice.session.waiting == 0)
            order = [each.name for each in alice.session.conversations]
            assert order == ["#team", "carol", "bob"]
        for _ in range(2):
            async with device(chat, tmp_path, "alice", "phone") as phone:
                await until(lambda phone=phone: phone.texts("bob") == ["hello"])
                assert [each.name for each in phone.session.conversations] == order
                assert phone.session.open("#team").role == "owner"


async def test_messages_typed_while_the_server_is_away_are_sent_once_when_it_is_back(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, device(chat, tmp_path, "bob") as bob:
        proxy = Proxy(chat.port)
        async with proxy.listening() as address, device(chat, tmp_path, "alice", at=address) as alice:
            kept = alice.session.send(alice.session.open("bob"), "kept")
            gone = alice.session.send(alice.session.open("bob"), "gone")
            await bob.has("alice", "kept", "gone")
            await until(lambda: gone.state is State.DELIVERED)
        async with device(chat, tmp_path, "alice", at=address) as alice:  # the server is away
            peer = alice.session.open("bob")
            kept, gone = peer.messages
            theirs = bob.session.open("alice").messages[0]
            new = alice.session.send(peer, "new", reply_to=kept)
            alice.session.edit(kept, "changed")
            alice.session.delete(gone)
            alice.session.react(kept, "+1")
            alice.session.edit(new, "newer")
            assert alice.texts("bob") == ["changed", "", "newer"]
            assert alice.session.waiting == 5
        async with device(chat, tmp_path, "alice", at=address) as alice:
            assert alice.texts("bob") == ["changed", "", "newer"]
            kept, gone, _ = alice.session.open("bob").messages
            assert (kept.changing, kept.reactions, gone.deleted is None) == (True, {"+1": ["alice"]}, False)
        async with device(chat, tmp_path, "alice") as alice:
            assert alice.texts("bob") == ["changed", "", "newer"]
            await bob.has("alice", "changed", "", "newer")
            await until(lambda: alice.session.waiting == 0)
            kept, _, _ = alice.session.open("bob").messages
            assert (alice.texts("bob"), kept.changing) == (["changed", "", "newer"], False)
        assert theirs.reactions == {"+1": ["alice"]}
        assert bob.session.open("alice").messages[2].reply_to == ("alice", theirs.id)
        assert len(bob.came) == 3


async def test_after_a_lost_connection_nothing_is_missing_or_duplicated(tmp_path: Path) -> None:
    async with chatting("alice", "bob", devices=DEVICES) as chat, device(chat, tmp_path, "bob") as bob:
        proxy = Proxy(chat.port)
        async with proxy.listening() as address, device(chat, tmp_path, "alice", at=address) as alice:
            team = await bob.session.create_room("#team", "public")
            mine = await alice.session.join("#team")
            for number in range(60):
                alice.session.send(mine, f"a{number}")
                bob.session.send(team, f"b{number}")
                if number % 20 == 10:
                    await until(lambda: alice.session.connected)
                    proxy.cut()
                await asyncio.sleep(0)
            for each in (alice, bob):
                await until(lambda each=each: len(each.news("#team")) == 120 and each.session.waiting == 0)
            await until(lambda: alice.news("#team") == bob.news("#team"))  # places can come from history
            assert [each for each in alice.news("#team") if each[0] == "a"] == [f"a{number}" for number in range(60)]


@pytest.mark.parametrize(("name", "alices_name"), [("#team", "#team"), ("bob", "alice")])
async def test_a_message_whose_acceptance_was_lost_gets_its_place(tmp_path: Path, name: str, alices_name: str) -> None:
    async with (
        chatting("alice", "bob", devices=DEVICES) as chat,
        device(chat, tmp_path, "bob") as bob,
        device(chat, tmp_path, "alice", "phone") as phone,
    ):
        await bob.session.create_room("#team", "public")
        await phone.session.join("#team")
        bob.session.send(bob.session.open(alices_name), "0")
        await phone.has(name, "0")
        proxy = Proxy(chat.port)
        async with proxy.listening() as address, device(chat, tmp_path, "alice", at=address) as alice:
            await alice.has(name, "0")  # from the history: there is no further request for it
            proxy.mute = True
            texts = ["0"]
            for number in range(1, 7):
                sender, to = (bob, alices_name) if number % 3 == 0 else (alice, name)
                sender.session.send(sender.session.open(to), str(number))
                texts.append(str(number))
                await phone.has(name, *texts)
            assert alice.session.waiting == 4
            proxy.mute = False
            proxy.cut()
            await alice.has(name, *texts)
            await until(lambda: alice.session.waiting == 0)

            def places(each: Device) -> list[tuple[int, int]]:
                return [message.place for message in each.session.open(name).messages]

            await until(lambda: places(alice) == places(phone))


@pytest.mark.parametrize("name", ["#team", "bob"])
async def test_a_change_whose_acceptance_was_lost_does_not_replace_a_later_one(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        chatting("alice", "bob", devices=DEVICES) as chat,
        device(chat, tmp_path, "alice", "phone") as phone,
    ):
        await phone.session.create_room("#team", "public")
        async with chat.join("bob") as bob:  # who is away later: there are no receipts that tell more
            await bob.join_room("#team")
        proxy = Proxy(chat.port)
        async with proxy.listening() as address, device(chat, tmp_path, "alice", at=address) as alice:
            phone.session.send(phone.session.open(name), "first")
            mine = await alice.message(name, "first")
            await until(lambda: phone.session.waiting == 0)
            proxy.mute = True
            alice.session.edit(mine, "second")
            alice.session.react(mine, "1")
            theirs = await phone.message(name, "second")
            await until(lambda: "1" in theirs.reactions)
            phone.session.edit(theirs, "third")
            phone.session.react(theirs, "2")
            phone.session.send(phone.session.open(name), "last")
            await until(lambda: phone.session.waiting == 0)
            resend = Sender.opened
            resending: list[asyncio.Task[None]] = []

            async def after_the_entries(sender: Sender, *arguments: Any) -> None:
                await alice.has(name, "second", "last")  # the change that waits is laid over the later one
                resend(sender, *arguments)

            def opened(sender: Sender, *arguments: Any) -> None:
                resending.append(asyncio.create_task(after_the_entries(sender, *arguments)))

            monkeypatch.setattr(Sender, "opened", opened)
            proxy.mute = False
            proxy.cut()
            await until(lambda: bool(resending) and alice.session.waiting == 0)
            await alice.has(name, "third", "last")
            await until(lambda: mine.reactions == {"2": ["alice"]})
        async with device(chat, tmp_path, "alice") as alice:
            await alice.has(name, "third", "last")


async def test_a_message_whose_acceptance_was_not_stored_is_not_sent_twice(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, device(chat, tmp_path, "bob") as bob:
        async with device(chat, tmp_path, "alice") as alice:
            sent = alice.session.send(alice.session.open("bob"), "once")
            await until(lambda: sent.state is State.DELIVERED)
            sent.state = State.QUEUED  # as if the app had ended before it could store that
            alice.session.store.update_state(sent)
        async with device(chat, tmp_path, "alice") as alice:
            assert alice.session.waiting == 1
            await until(lambda: alice.session.waiting == 0)
            alice.session.send(alice.session.open("bob"), "twice")
            await bob.has("alice", "once", "twice")
            assert alice.texts("bob") == ["once", "twice"]


async def test_files_are_sent_and_saved_in_both_directions(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(bytes(range(256)) * 2000)
    async with (
        chatting("alice", "bob", folder=tmp_path / "server") as chat,
        device(chat, tmp_path, "alice") as alice,
        device(chat, tmp_path, "bob") as bob,
    ):
        peer = alice.session.open("bob")
        sent = alice.session.send_file(peer, photo, "a photo")
        alice.session.send(peer, "it goes on")
        theirs = await bob.message("alice", "a photo")
        assert theirs.file is not None
        assert (theirs.file.name, theirs.file.size) == ("photo.png", 512_000)
        for copy in ("photo.png", "photo (2).png"):
            saved = await bob.session.save_file(theirs, tmp_path / "saved")
            assert (saved, saved.read_bytes()) == (tmp_path / "saved" / copy, photo.read_bytes())
        assert (theirs.transfer, sent.transfer) == (None, None)
        assert sorted(each.name for each in (tmp_path / "saved").iterdir()) == ["photo (2).png", "photo.png"]
        answer = bob.session.send_file(bob.session.open("alice"), saved, reply_to=theirs)
        await until(lambda: answer.state is State.DELIVERED)
        assert alice.session.open("bob").messages[-1].reply_to == ("alice", sent.id)
        alice.session.delete(sent)
        await until(lambda: theirs.deleted is not None)
        assert (theirs.file, bob.session.can(Permission.SAVE_FILE, bob.session.open("alice"), theirs)) == (None, False)
        for wrong, why in ((tmp_path, "not a regular file"), (tmp_path / "nowhere", "No such file")):
            with pytest.raises(TwotickError, match=why):
                alice.session.send_file(peer, wrong)


async def test_a_message_is_forwarded_with_its_file(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"photo" * 1000)
    async with (
        chatting("alice", "bob", "carol", devices=DEVICES) as chat,
        device(chat, tmp_path, "alice") as alice,
        device(chat, tmp_path, "alice", "phone") as phone,
        device(chat, tmp_path, "bob") as bob,
        device(chat, tmp_path, "carol") as carol,
    ):
        original = carol.session.send_file(carol.session.open("alice"), photo, "a photo")
        theirs = await alice.message("carol", "a photo")
        peer = alice.session.open("bob")
        assert alice.session.can(Permission.FORWARD, alice.session.open("carol"), theirs)
        assert await alice.session.forward(theirs, peer) == ""
        (mine,) = peer.messages
        elsewhere = await phone.message("bob", "a photo")
        came = await bob.message("alice", "a photo")
        assert [each.forwarded_from for each in (mine, elsewhere, came, theirs)] == ["carol"] * 3 + [""]
        assert [each.text for each in bob.came] == ["a photo"]
        await until(lambda: mine.state is State.DELIVERED)
        assert not alice.session.can(Permission.EDIT, peer, mine)
        assert alice.session.can(Permission.DELETE, peer, mine)
        assert await bob.session.forward(came, bob.session.open("carol")) == ""
        again = await carol.message("bob", "a photo")
        assert again.forwarded_from == "carol"
        carol.session.delete(original)
        await until(lambda: theirs.deleted is not None)
        for each, copy in ((alice, mine), (bob, came)):  # each has a file of its own (rule 13.11)
            saved = await each.session.save_file(copy, tmp_path / each.session.name)
            assert saved.read_bytes() == photo.read_bytes()
        refusal = await alice.session.forward(theirs, peer)
        assert "there is no such message" in refusal
        assert peer.messages == [mine]
    async with chatting("bob") as chat, device(chat, tmp_path, "bob") as bob:  # stored on this machine
        (stored,) = bob.session.open("alice").messages
        assert stored.forwarded_from == "carol"


async def test_a_message_that_is_forwarded_without_a_connection_waits_also_after_a_restart(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"photo" * 1000)
    async with chatting("alice", "bob", "carol", devices=DEVICES) as chat:
        async with device(chat, tmp_path, "carol") as carol, device(chat, tmp_path, "alice") as alice:
            original = carol.session.send_file(carol.session.open("alice"), photo, "a photo")
            await alice.message("carol", "a photo")
            carol.session.send(carol.session.open("alice"), "no")
            await alice.message("carol", "no")
        async with device(chat, tmp_path, "alice", at="127.0.0.1:1") as alice:
            peer = alice.session.open("bob")
            theirs, refused = alice.session.open("carol").messages
            assert await alice.session.forward(theirs, peer) == ""
            assert await alice.session.forward(refused, peer) == ""
            waiting = [(each.text, each.forwarded_from, each.state) for each in peer.messages]
            assert waiting == [("a photo", "carol", State.QUEUED), ("no", "carol", State.QUEUED)]
            assert alice.session.cancel(peer.messages[1])
        async with device(chat, tmp_path, "alice") as alice, device(chat, tmp_path, "bob") as bob:
            came = await bob.message("alice", "a photo")
            assert came.forwarded_from == "carol"
            (mine,) = alice.session.open("bob").messages
            await until(lambda: mine.state is State.DELIVERED)
            await until(lambda: mine.forwards is None)
            assert (mine.text, mine.forwarded_from) == ("a photo", "carol")
            assert bob.news("alice") == ["a photo"]
            async with device(chat, tmp_path, "carol") as carol:
                carol.session.delete(
                    next(each for each in carol.session.open("alice").messages if each.id == original.id)
                )
                await alice.has("carol", "", "no")
            saved = await alice.session.save_file(mine, tmp_path / "saved")  # a file of its own (rule 13.11)
            assert saved.read_bytes() == photo.read_bytes()


async def test_messages_of_guests_and_to_guests_are_not_forwarded(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob") as chat,
        device(chat, tmp_path, "alice") as alice,
        connect("gus", chat.address) as gus,
    ):
        await until(lambda: alice.session.connected)
        sending = asyncio.create_task(gus.send("alice", "hello"))
        theirs = await alice.message("gus", "hello")
        await sending
        peer, guest = alice.session.open("bob"), alice.session.open("gus")
        assert not alice.session.can(Permission.FORWARD, guest, theirs)
        mine = alice.session.send(peer, "a secret")
        assert not alice.session.can(Permission.FORWARD, peer, mine)  # it waits to be sent
        await until(lambda: mine.state is State.ACCEPTED)
        assert alice.session.can(Permission.FORWARD, peer, mine)
        assert await alice.session.forward(mine, guest) != ""
        assert guest.messages == [theirs]


async def test_a_file_that_disappears_before_the_upload_fails_and_can_be_sent_again(tmp_path: Path) -> None:
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"content")
    async with chatting("alice", "bob", folder=tmp_path / "server") as chat:
        gone = Proxy(chat.port)
        async with gone.listening() as address:
            pass
        async with device(chat, tmp_path, "alice", at=address) as alice:
            alice.session.send_file(alice.session.open("bob"), photo, "look")
        photo.unlink()
        async with device(chat, tmp_path, "alice") as alice, device(chat, tmp_path, "bob") as bob:
            (sent,) = alice.session.open("bob").messages
            await until(lambda: sent.state is State.FAILED)
            assert "No such file" in sent.reason
            photo.write_bytes(b"content")
            assert alice.session.can(Permission.SEND_AGAIN, alice.session.open("bob"), sent)
            alice.session.send_again(sent)
            theirs = await bob.message("alice", "look")
            saved = await bob.session.save_file(theirs, tmp_path / "saved")
            assert saved.read_bytes() == b"content"


async def test_the_sender_of_a_file_cannot_choose_where_it_is_saved(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob", folder=tmp_path / "server") as chat,
        device(chat, tmp_path, "alice") as alice,
        device(chat, tmp_path, "bob") as bob,
    ):
        (tmp_path / "plan.txt").write_bytes(b"content")
        alice.session.send_file(alice.session.open("bob"), tmp_path / "plan.txt", "look")
        theirs = await bob.message("alice", "look")
        assert theirs.file is not None
        folder = tmp_path / "deep" / "saved"
        for name, saved in (
            ("../../etc/passwd", "_._.._etc_passwd"),
            (".bashrc", "_bashrc"),
            ("a\u202eb.txt", "a_U+202E_b.txt"),
            ("...", "_"),
            ("-rf", "_rf"),
            ("\U0001f389" * 120 + ".png", "\U0001f389" * 36 + ".png"),
            ("plan.txt", "plan.txt"),
            ("plan.txt", "plan (2).txt"),
        ):
            theirs.file = theirs.file._replace(name=name)
            path = await bob.session.save_file(theirs, folder)
            assert (path, path.read_bytes()) == (folder / saved, b"content")


def typed(text: str) -> SearchText:
    return parse_search(text, "alice", datetime.now())


async def test_search_finds_messages_with_their_conversation(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob", folder=tmp_path / "server") as chat,
        device(chat, tmp_path, "alice") as alice,
        device(chat, tmp_path, "bob") as bob,
    ):
        team = await bob.session.create_room("#team", "public")
        await alice.session.join("#team")
        bob.session.send(team, "wild oats")
        bob.session.send(bob.session.open("alice"), "red oats")
        await alice.message("#team", "wild oats")
        await alice.message("bob", "red oats")

        async def found(query: str) -> list[tuple[str, str]]:
            hits = await alice.session.search(typed(query))
            return [(hit.conversation.name, hit.message.text) for hit in hits.found]

        async with asyncio.timeout(20):
            while len(await found("oats")) < 2:
                await asyncio.sleep(0.05)
        assert await found("oats") == [("bob", "red oats"), ("#team", "wild oats")]
        assert await found("wild") == [("#team", "wild oats")]
        in_room = await alice.session.search(typed("oats"), alice.session.open("#team"))
        assert [hit.message.text for hit in in_room.found] == ["wild oats"]
        assert await found("from:alice") == []
        assert await found("from:bob in:#team") == [("#team", "wild oats")]
        with pytest.raises(TwotickError):
            await alice.session.search(typed(" , "))


async def test_the_presence_of_a_new_partner_is_shown_although_it_does_not_change(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, device(chat, tmp_path, "alice") as alice:
        await until(lambda: alice.session.connected)
        async with chat.join("bob") as bob:  # whose program does not say that bob is here
            await bob.send("alice", "hello")
            await alice.has("bob", "hello")
            peer = alice.session.open("bob")
            await until(lambda: peer.presence is not None and peer.presence.state == "gone")


async def test_profiles_of_others_are_known_and_changes_too(tmp_path: Path) -> None:
    async with chatting("alice", "bob", "carol") as chat, chat.join("bob") as bob, chat.join("carol") as carol:
        await bob.send("alice", "hello")
        await bob.set_profile(display="Bob Miller", status="back at noon")
        await carol.set_profile(display="b\u043eb", status="")
        async with device(chat, tmp_path, "alice") as alice:
            profiles = alice.session.conversations.profiles
            await until(lambda: profiles.of("bob") == UserProfile("Bob Miller", "back at noon"))
            await carol.send("alice", "hello")  # alice may see the profile of carol from now on
            await until(lambda: profiles.mistaken_for("carol") == "bob")
            await bob.set_profile(display="Bob", status="")
            await until(lambda: profiles.of("bob") == UserProfile("Bob", ""))
            await bob.set_profile(display="")
            await until(lambda: profiles.of("bob") == UserProfile())


async def test_presence_and_typing_are_shown(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, device(chat, tmp_path, "alice") as alice:
        peer = alice.session.open("bob")
        async with device(chat, tmp_path, "bob") as bob:
            sent = alice.session.send(peer, "hello")
            bob.session.send(bob.session.open("alice"), "hello")
            await until(lambda: sent.state is State.DELIVERED)
            await until(lambda: peer.presence is not None and peer.presence.state == "here")
            bob.session.set_presence(here=False)
            await until(lambda: peer.presence is not None and peer.presence.state == "away")
            bob.session.set_presence(here=True)
            await until(lambda: peer.presence is not None and peer.presence.state == "here")
            bob.session.typing(bob.session.open("alice"))
            bob.session.typing(bob.session.open("alice"))
            await until(lambda: peer.typing == ["bob"])
            bob.session.set_visible(visible=False)
            await until(lambda: peer.presence is not None and peer.presence.state == "gone")
            bob.session.set_visible(visible=True)
            await until(lambda: peer.presence is not None and peer.presence.state == "here")
        await until(lambda: peer.presence is not None and peer.presence.state == "gone")


async def test_muting_and_blocking_reach_all_devices(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob", devices=DEVICES) as chat,
        device(chat, tmp_path, "alice") as alice,
        device(chat, tmp_path, "alice", "phone") as phone,
        device(chat, tmp_path, "bob") as bob,
    ):
        team = await bob.session.create_room("#team", "public")
        await alice.session.join("#team")
        bob.session.send(bob.session.open("alice"), "hello")
        peer, elsewhere = alice.session.open("bob"), phone.session.open("bob")
        await until(lambda: alice.texts("bob") == phone.texts("bob") == ["hello"])
        await alice.session.set_muted(peer, True)
        assert (peer.muted, peer.blocked) == (True, False)
        await until(lambda: elsewhere.muted)
        await phone.session.set_blocked(elsewhere, True)
        await until(lambda: peer.blocked and peer.muted)
        await until(lambda: len(alice.came) == 1)
        ignored = bob.session.send(bob.session.open("alice"), "still there?")
        await until(lambda: ignored.state is State.ACCEPTED)
        bob.session.send(team, "in the room")
        await alice.message("#team", "in the room")
        assert (alice.texts("bob"), len(alice.came)) == (["hello"], 1)
        await alice.session.report(peer, "spam", peer.messages[0])


async def test_a_message_to_everyone_is_marked(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob") as chat,
        device(chat, tmp_path, "alice") as alice,
        device(chat, tmp_path, "bob") as bob,
    ):
        await until(lambda: alice.session.connected and bob.session.connected)
        alice.session.send(alice.session.open("ALL"), "lunch")
        alice.session.send(alice.session.open("bob"), "you too")
        assert [(await bob.message("alice", text)).everyone for text in ("lunch", "you too")] == [True, False]
        assert alice.texts("ALL") == ["lunch"]


async def test_a_replaced_log_replaces_all_messages(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, device(chat, tmp_path, "alice") as alice:
        for text in ("a", "b"):
            alice.session.send(alice.session.open("bob"), text)
        await until(lambda: alice.session.waiting == 0)
    async with chatting("alice", "bob") as other:
        async with other.join("bob") as bob:
            for text in ("c", "d"):
                await bob.send("alice", text)
        async with device(other, tmp_path, "alice") as alice:
            await alice.has("bob", "c", "d")
            assert alice.unread("bob") == (2, 0)


async def test_a_deletion_can_be_undone_before_others_are_told(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob", devices=DEVICES) as chat,
        device(chat, tmp_path, "alice") as alice,
        device(chat, tmp_path, "bob") as bob,
    ):
        mine = alice.session.send(alice.session.open("bob"), "hello")
        await bob.has("alice", "hello")
        alice.session.held_for = 1000.0
        assert not alice.session.undo_deletion()
        alice.session.delete(mine)
        assert (mine.deleted is not None, mine.text, alice.session.can_undo) == (True, "", True)
        assert alice.session.undo_deletion()
        assert (mine.deleted, mine.text, alice.session.waiting) == (None, "hello", 0)
        alice.session.delete(mine)
        await alice.session.send_deletions()  # the app ends
        assert (alice.session.waiting, alice.session.can_undo) == (0, False)
        await bob.has("alice", "")


async def test_a_deletion_that_was_held_back_is_sent_at_the_next_start_at_the_latest(tmp_path: Path) -> None:
    async with chatting("alice", "bob", devices=DEVICES) as chat, device(chat, tmp_path, "bob") as bob:
        async with device(chat, tmp_path, "alice") as alice:
            mine = alice.session.send(alice.session.open("bob"), "hello")
            await bob.has("alice", "hello")
            alice.session.held_for = 1000.0
            alice.session.delete(mine)
        async with device(chat, tmp_path, "alice"):
            await bob.has("alice", "")


async def test_a_message_that_waits_can_be_cancelled(tmp_path: Path) -> None:
    async with chatting("alice", "bob", devices=DEVICES) as chat, device(chat, tmp_path, "bob") as bob:
        proxy = Proxy(chat.port)
        async with proxy.listening() as address, device(chat, tmp_path, "alice", at=address) as alice:
            await until(lambda: alice.session.connected)
            proxy.away = True
            proxy.cut()
            await until(lambda: not alice.session.connected)
            talk = alice.session.open("bob")
            never, later = alice.session.send(talk, "never"), alice.session.send(talk, "later")
            assert alice.session.cancel(never)
            assert ([each.text for each in talk.messages], alice.session.waiting) == (["later"], 1)
            proxy.away = False
            await until(lambda: later.state is State.DELIVERED)
            assert not alice.session.cancel(later)
        await bob.has("alice", "later")


async def test_a_conversation_that_is_muted_for_a_time_is_muted_no_longer_then(tmp_path: Path) -> None:
    async with chatting("alice", "bob", devices=DEVICES) as chat, device(chat, tmp_path, "alice") as alice:
        talk = alice.session.open("bob")
        await alice.session.mute_until(talk, 4e9)
        alice.session.unmute_due()
        assert (talk.muted, talk.muted_until) == (True, 4e9)
        talk.muted_until = 1.0
        alice.session.unmute_due()
        assert (talk.muted, talk.muted_until) == (False, 0.0)


async def test_what_is_closed_and_kept_at_the_top_is_so_on_all_devices_and_after_a_restart(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob", "carol", devices=DEVICES) as chat,
        chat.join("bob") as bob,
        device(chat, tmp_path, "alice", "phone") as phone,
    ):
        await bob.send("alice", "hello")
        async with device(chat, tmp_path, "alice") as alice:
            await alice.has("bob", "hello")
            await phone.has("bob", "hello")
            await alice.session.set_pinned(alice.session.open("carol"), True)
            await alice.session.set_closed(alice.session.open("bob"), True)
            alice.session.set_place(alice.session.open("carol"))
            await until(lambda: phone.session.conversations.open("bob").closed)
        async with device(chat, tmp_path, "alice") as alice:
            assert [(each.key, each.pinned) for each in alice.session.conversations.listed] == [("carol", True)]
            assert alice.session.place == "carol"
            await bob.send("alice", "open up")
            await until(lambda: [each.key for each in alice.session.conversations.listed] == ["carol", "bob"])


async def test_threads_and_pins_with_a_real_server(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob", devices=DEVICES) as chat,
        device(chat, tmp_path, "alice") as alice,
        device(chat, tmp_path, "bob") as bob,
    ):
        mine = alice.session.send(alice.session.open("bob"), "tea?")
        his = await bob.message("alice", "tea?")
        bob.session.send(bob.session.open("alice"), "yes", his)
        await alice.has("bob", "tea?", "yes")
        assert [each.text for each in await alice.session.thread(mine)] == ["tea?", "yes"]
        assert await bob.session.toggle_pin(his)
        (pinned,) = await alice.session.pinned_messages(alice.session.open("bob"))
        assert pinned is mine
        assert not await alice.session.toggle_pin(mine)
        assert await bob.session.pinned_messages(bob.session.open("alice")) == []
        await alice.has("bob", "tea?", "yes")
