"""Rooms, edits, search, conversations, presence and files, with a real server and three devices."""

import hashlib
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.client.members import Chat, Proxy, chatting, take, until
from tests.client.room_guests import guest_in
from tests.client.users import acknowledging
from twotick.client import (
    Entry,
    EventKind,
    MemberClient,
    MemberMessage,
    NotDelivered,
    Presence,
    ProgressEvent,
    ReadEvent,
    ReceiptEvent,
    RequestRefused,
    Role,
    RoomGuestEvent,
    State,
    StatusEvent,
    TypingEvent,
)


class Talk(NamedTuple):
    """Two members: alice on a laptop and a phone, and bob."""

    chat: Chat
    laptop: MemberClient
    phone: MemberClient
    bob: MemberClient


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    """Start a server with a disk, because a server without one accepts no files and has no search."""
    async with (
        chatting("alice", "bob", "carol", devices=("laptop", "phone"), folder=tmp_path / "data") as chat,
        chat.join("alice") as laptop,
        chat.join("alice", "phone") as phone,
        chat.join("bob") as bob,
    ):
        yield Talk(chat, laptop, phone, bob)


async def in_team(talk: Talk) -> None:
    """Let all three devices join a room, and wait until each knows of it."""
    await talk.laptop.create_room("#team", public=True)
    await talk.bob.join_room("#team")
    for me, count in ((talk.laptop, 2), (talk.phone, 2), (talk.bob, 1)):
        for _ in range(count):
            await message_of(me)


async def next_of(me: MemberClient, *kinds: type[Entry]) -> Entry:
    """Return the next entry of a type, and acknowledge the entries before it."""
    entries = me.entries()
    async for entry in entries:
        if isinstance(entry, kinds):
            await entry.ack()
            await entries.aclose()
            return entry
    raise AssertionError("the client has ended")


async def message_of(me: MemberClient) -> MemberMessage:
    """Return the next message, also if it is an edit, a reaction or an event."""
    entry = await next_of(me, MemberMessage)
    assert isinstance(entry, MemberMessage)
    return entry


def told(message: MemberMessage) -> tuple[str, str, str, bool]:
    return message.sender, message.room, message.text, message.outgoing


# Rooms (section 12)


async def test_a_message_to_a_room_reaches_all_members_on_all_devices(talk: Talk) -> None:
    await in_team(talk)
    receipt = await talk.laptop.send("#TEAM", "hello @bob")
    assert (receipt.state, receipt.place, receipt.of, receipt.have) == (State.ACCEPTED, 3, 1, 0)
    copy, message = await message_of(talk.phone), await talk.bob.receive()
    assert told(copy)[1:] == ("#TEAM", "hello @bob", True)
    assert told(message) == ("alice", "#team", "hello @bob", False)
    assert (copy.place, message.place, copy.id, message.id) == (3, 3, receipt.id, receipt.id)
    (stands,) = await talk.bob.conversations()
    assert (stands.name, stands.unread, stands.mentions, stands.role) == ("#team", 1, 1, Role.MEMBER)
    await message.read()
    await receipt.delivered()
    assert receipt.have == receipt.of == 1
    event = await next_of(talk.phone, ReceiptEvent)
    assert isinstance(event, ReceiptEvent)
    assert (event.id, event.recipient, event.state) == (receipt.id, "#TEAM", State.DELIVERED)
    (state,) = await talk.laptop.receipts("#team", receipt.id)
    assert (state.name, state.state) == ("bob", State.READ)
    (stands,) = await talk.bob.conversations()
    assert (stands.unread, stands.mentions, stands.read) == (0, 0, message.seq)
    answer = await talk.bob.send("#team", "hi", reply_to=(message.sender, message.id))
    for me in (talk.laptop, talk.phone):
        message = await message_of(me)
        assert (told(message), message.reply_to) == (("bob", "#team", "hi", False), ("alice", receipt.id))
    await answer.delivered()


async def test_reading_a_room_is_reported_to_the_members_other_devices(talk: Talk) -> None:  # rule 12.9
    await in_team(talk)
    await talk.bob.send("#team", "hello")
    message = await talk.laptop.receive()
    await message.read()
    await message_of(talk.phone)
    event = await next_of(talk.phone, ReadEvent)
    assert isinstance(event, ReadEvent)
    assert (event.sender, event.up_to) == ("#team", message.seq)


async def test_progress_is_reported_until_all_members_have_the_message(talk: Talk) -> None:  # rule 12.6
    await in_team(talk)
    async with talk.chat.join("carol") as carol:
        await carol.join_room("#team")
        receipt = await talk.laptop.send("#team", "hello")
        progress = receipt.progress()
        assert await anext(progress) == (0, 2)
        await take(talk.bob, 1)
        assert await anext(progress) == (1, 2)
        event = await next_of(talk.phone, ProgressEvent)
        assert isinstance(event, ProgressEvent)
        assert (event.room, event.id, event.have, event.of) == ("#team", receipt.id, 1, 2)
        await take(carol, 1)
        assert [each async for each in progress] == [(2, 2)]
    assert receipt.state is State.DELIVERED


async def test_a_client_that_only_sends_receives_progress(talk: Talk) -> None:
    await in_team(talk)
    async with talk.chat.join("alice", send_only=True) as me:
        receipt = await me.send("#team", "hello")
        await take(talk.bob, 1)
        await receipt.delivered()
        assert (receipt.have, receipt.of) == (1, 1)


async def test_events_in_a_room_reach_its_members(talk: Talk) -> None:  # rule 12.8
    laptop, bob = talk.laptop, talk.bob
    room = await laptop.create_room("#team", topic="oats")
    assert (room.name, room.public, room.role, room.members, room.topic) == ("#team", False, Role.OWNER, 1, "oats")
    with pytest.raises(RequestRefused, match="no such room"):
        await bob.join_room("#team")
    await laptop.invite("#team", "bob")
    invited = await message_of(bob)
    assert invited.event is not None
    assert (invited.event.kind, invited.event.room, invited.event.member) == (EventKind.INVITED, "#team", "bob")
    assert [each.invited for each in await bob.rooms()] == [True]
    await bob.join_room("#team")
    assert (await laptop.appoint("#team", "bob", Role.MODERATOR)).members == 2
    assert (await bob.change_room("#team", topic="")).topic == ""
    assert (await laptop.change_room("#team", public=True)).public
    await laptop.remove("#team", "bob")
    events = [(await message_of(talk.phone)) for _ in range(6)]
    assert [(each.sender, each.outgoing, each.place) for each in events] == [
        ("alice", True, 1),
        ("bob", False, 2),
        ("alice", True, 3),
        ("bob", False, 4),
        ("alice", True, 5),
        ("alice", True, 6),
    ]
    _, joined, appointed, topic, access, removed = [each.event for each in events]
    assert [each.event and each.event.kind.value for each in events] == [
        "created",
        "joined",
        "appointed",
        "changed",
        "changed",
        "removed",
    ]
    assert appointed is not None
    assert (appointed.room, appointed.member, appointed.role) == ("#team", "bob", Role.MODERATOR)
    assert topic is not None
    assert (topic.topic, topic.public) == ("", None)
    assert access is not None
    assert (access.topic, access.public) == (None, True)
    assert removed is not None
    assert (removed.member, joined and joined.member) == ("bob", "")
    with pytest.raises(NotDelivered):
        await bob.send("#team", "hello?")
    assert [each.name for each in await laptop.room_members("#team")] == ["alice"]
    await laptop.leave_room("#team")
    assert await laptop.rooms() == []


async def test_receive_skips_edits_reactions_and_events(talk: Talk) -> None:
    await in_team(talk)
    receipt = await talk.laptop.send("#team", "one")
    await talk.laptop.edit("#team", receipt.id, "two")
    await talk.laptop.react("#team", receipt.id, "+1")
    await talk.laptop.change_room("#team", topic="t")
    await talk.laptop.delete("#team", receipt.id)
    await talk.laptop.send("#team", "three")
    texts: list[str] = []
    async for message in talk.bob:
        texts.append(message.text)
        if len(texts) == 2:
            break
    assert texts == ["one", "three"]


async def test_room_history(talk: Talk) -> None:  # rule 12.10
    await in_team(talk)
    for number in range(5):
        await talk.laptop.send("#team", str(number))
    async with talk.chat.join("carol") as carol:
        await carol.join_room("#team")
        messages = await carol.history("#team", limit=4)
        assert [(each.text, each.place) for each in messages] == [("2", 5), ("3", 6), ("4", 7), ("", 8)]
        assert [each.text for each in await carol.history("#team", before=messages[0].place, limit=2)] == ["0", "1"]
        assert {(each.room, each.seq) for each in messages} == {("#team", 0)}
        await carol.leave_room("#team")
        assert await carol.history("#team") == []


# Edits, reactions and deletions (section 13)


@pytest.mark.parametrize("where", ["bob", "#team"])
async def test_a_message_can_be_edited_reacted_to_and_deleted(talk: Talk, where: str) -> None:
    await in_team(talk)
    receipt = await talk.laptop.send(where, "helo")
    first = await message_of(talk.bob)
    await talk.laptop.edit(where, receipt.id, "hello")
    edit = await message_of(talk.bob)
    assert (edit.edits, edit.text, edit.is_news) == (("alice", receipt.id), "hello", False)
    await talk.bob.react(where if where == "#team" else "alice", first.id, "\u2665", first.sender)
    copies = [await message_of(talk.phone) for _ in range(3)]
    assert [each.text for each in copies] == ["helo", "hello", "\u2665"]
    assert (copies[1].edits, copies[2].reacts_to) == (("alice", receipt.id), ("alice", receipt.id))
    shown = next(each for each in await talk.phone.history(where) if each.id == receipt.id)
    assert (shown.text, shown.edited is not None, shown.deleted) == ("hello", True, None)
    await talk.laptop.delete(where, receipt.id)
    deletion = await message_of(talk.bob)
    assert (deletion.deletes, deletion.text) == (("alice", receipt.id), "")
    shown = next(each for each in await talk.phone.history(where) if each.id == receipt.id)
    assert (shown.text, shown.deleted is not None) == ("", True)
    with pytest.raises(NotDelivered):
        await talk.bob.edit(where if where == "#team" else "alice", receipt.id, "mine now")
    with pytest.raises(NotDelivered):
        await talk.laptop.delete(where, "no-such-message")


async def test_a_moderator_can_delete_messages_of_others(talk: Talk) -> None:
    await in_team(talk)
    receipt = await talk.bob.send("#team", "spam")
    await talk.laptop.delete("#team", receipt.id, "bob")
    await message_of(talk.phone)
    assert (await message_of(talk.phone)).deletes == ("bob", receipt.id)


# Conversations and search (section 14)


async def test_search_finds_words(talk: Talk) -> None:  # rule 14.5
    await in_team(talk)
    await talk.laptop.send("#team", "Wild oats are R\u00f6d")
    await talk.laptop.send("bob", "wild red oats")
    last = await talk.bob.send("alice", "oats, wild")
    for me in (talk.laptop, talk.phone):
        found = await _found(me, "oats wild", 3)
        assert [each.text for each in found] == ["oats, wild", "wild red oats", "Wild oats are R\u00f6d"]
        assert [each.outgoing for each in found] == [False, True, True]
    assert found[0].id == last.id
    assert [each.room for each in await _found(talk.bob, '"wild oats" rod', 1)] == ["#team"]
    assert [each.text for each in await _found(talk.bob, "oat*", 1, peer="#team")] == ["Wild oats are R\u00f6d"]
    page = await talk.laptop.search("oats", limit=2)
    assert [each.text for each in page.messages] == ["oats, wild", "wild red oats"]
    rest = await talk.laptop.search("oats", before=page.before)
    assert ([each.text for each in rest.messages], rest.before) == (["Wild oats are R\u00f6d"], None)
    by_bob = await talk.laptop.search(sender="BOB")
    assert [each.text for each in by_bob.messages] == ["oats, wild"]
    by_me = await talk.laptop.search("oats", sender="alice", peer="bob", until=datetime.now(UTC) + timedelta(hours=1))
    assert [each.text for each in by_me.messages] == ["wild red oats"]
    assert (await talk.laptop.search(since=datetime.now(UTC) + timedelta(hours=1))).messages == []
    with pytest.raises(RequestRefused):
        await talk.laptop.search(" , ")


async def _found(me: MemberClient, query: str, count: int, peer: str | None = None) -> list[MemberMessage]:
    """Search until all expected messages are found, because the server may take a few seconds to index them."""
    while len(found := (await me.search(query, peer=peer)).messages) < count:
        pass
    return found


async def test_messages_of_a_blocked_user_do_not_arrive(talk: Talk) -> None:  # rules 14.3 and 14.4
    setting = await talk.laptop.set_conversation("bob", blocked=True)
    assert (setting.muted, setting.blocked) == (False, True)
    event = (await message_of(talk.phone)).event
    assert event is not None
    assert (event.kind, event.peer, event.muted, event.blocked) == (EventKind.SET, "bob", False, True)
    await talk.bob.send("alice", "hello?")
    assert await talk.laptop.history("bob") == []
    await talk.laptop.set_conversation("bob", blocked=False, muted=True)
    (stands,) = await talk.phone.conversations()
    assert (stands.name, stands.muted, stands.blocked, stands.unread) == ("bob", True, False, 0)


async def test_the_server_accepts_a_report(talk: Talk) -> None:  # rule 17.1
    receipt = await talk.bob.send("alice", "spam")
    await talk.laptop.report("bob", "unasked for", receipt.id)
    for _ in range(19):
        await talk.laptop.report("bob", "again")
    with pytest.raises(RequestRefused):
        await talk.laptop.report("bob", "too often")


# Presence (section 15)


async def test_presence_and_typing(talk: Talk) -> None:
    await in_team(talk)
    await talk.bob.status(Presence.HERE)
    seen = await talk.laptop.status(Presence.AWAY)
    assert (seen.shown, [(each.name, each.state) for each in seen.users]) == (True, [("bob", Presence.HERE)])
    await talk.bob.status(Presence.AWAY)
    event = await next_of(talk.laptop, StatusEvent)
    assert isinstance(event, StatusEvent)
    assert (event.user, event.state) == ("bob", Presence.AWAY)
    await talk.bob.typing("#team")
    typing = await next_of(talk.laptop, TypingEvent)
    assert isinstance(typing, TypingEvent)
    assert (typing.sender, typing.room) == ("bob", "#team")
    assert (await talk.bob.status(shown=False)).shown is False


async def test_guests_who_come_and_go_are_told_also_on_a_new_connection(talk: Talk) -> None:
    async def told() -> tuple[str, str, str]:
        event = await next_of(me, RoomGuestEvent)
        assert isinstance(event, RoomGuestEvent)
        return event.room, event.guest, event.kind

    proxy = Proxy(talk.chat.port)
    await talk.laptop.create_room("#open", public=True, guests=True)
    async with proxy.listening() as address, talk.chat.join("bob", "phone", at=address) as me:
        await me.join_room("#open")
        assert [each.name for each in await me.rooms(guests=True)] == ["#open"]
        async with guest_in("#open", talk.chat.address, "ann"):
            assert await told() == ("#open", "ann", "joined")
        assert await told() == ("#open", "ann", "left")
        proxy.cut()
        await until(lambda: proxy.connections == 2)
        for _ in range(2):  # the second one comes after all that a new connection begins with
            await me.status()
        async with guest_in("#open", talk.chat.address, "eve"):
            assert await told() == ("#open", "eve", "joined")
        assert await told() == ("#open", "eve", "left")


async def test_presence_is_renewed_on_a_new_connection(talk: Talk) -> None:
    await in_team(talk)
    proxy = Proxy(talk.chat.port)
    await talk.laptop.status()
    async with proxy.listening() as address, talk.chat.join("bob", "phone", at=address) as bob:
        await bob.status(Presence.HERE)
        here = await next_of(talk.laptop, StatusEvent)
        proxy.cut()
        await until(lambda: proxy.connections == 2)
        assert isinstance(here, StatusEvent)
        assert here.state is Presence.HERE
        again = await next_of(bob, StatusEvent)
        assert isinstance(again, StatusEvent)
        assert again.user == "alice"


# Files (section 16)

CONTENT = os.urandom(5 * 65536 + 1)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "photo.png"
    file.write_bytes(CONTENT)
    return file


@pytest.mark.parametrize("where", ["bob", "#team"])
async def test_a_message_with_a_file(talk: Talk, file: Path, where: str) -> None:
    await in_team(talk)
    info = await talk.laptop.upload(file)
    receipt = await talk.laptop.send(where, "a photo", file=info)
    for number, me in enumerate((talk.bob, talk.phone)):
        message = await message_of(me)
        assert message.file is not None
        assert (message.text, message.file) == ("a photo", info)
        assert (info.name, info.size, info.hash) == ("photo.png", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
        await me.download(message.file, file.with_name(f"copy{number}"))
        assert file.with_name(f"copy{number}").read_bytes() == CONTENT
    async with talk.chat.join("carol") as carol:
        with pytest.raises(RequestRefused):
            await carol.download(info, file.with_name("stolen"))
    await talk.laptop.delete(where, receipt.id)
    with pytest.raises(RequestRefused):
        await talk.bob.download(info, file.with_name("gone"))


async def test_a_file_can_be_sent_twice_and_by_a_client_that_only_sends(talk: Talk, file: Path) -> None:
    async with talk.chat.join("alice", send_only=True) as me:
        keys = {(await _send_file(me, file)) for _ in range(3)}
    assert len(keys) == 3
    for message in await take(talk.bob, 3):
        assert message.file is not None
        await talk.bob.download(message.file, file.with_name(message.file.key))


async def _send_file(me: MemberClient, file: Path) -> str:
    info = await me.upload(file)
    await me.send("bob", "", file=info)
    return info.key


async def test_a_file_cannot_be_sent_to_a_guest(talk: Talk, file: Path) -> None:
    info = await talk.laptop.upload(file)
    async with acknowledging("guest", talk.chat.address):
        with pytest.raises(NotDelivered):
            await talk.laptop.send("guest", "", file=info)
    with pytest.raises(NotDelivered):
        await talk.laptop.send("ALL", "", file=info)
    await talk.laptop.send("bob", "", file=info)


@pytest.mark.parametrize("after", [1000, 70_000, 200_000, 327_000])
async def test_a_transfer_resumes_when_connections_break(talk: Talk, file: Path, after: int) -> None:
    proxy = Proxy(talk.chat.port)
    async with proxy.listening() as address:
        async with talk.chat.join("alice", "phone", at=address) as phone:
            proxy.budget[:] = [after, None]
            proxy.cut()
            info = await phone.upload(file)
            await phone.send("bob", "", file=info)
            await until(lambda: proxy.connections == 3)
        (message,) = await take(talk.bob, 1)
        assert message.file == info
        async with talk.chat.join("bob", "phone", at=address) as bob:
            proxy.budget[:] = [None, after]
            proxy.cut()
            await bob.download(info, file.with_name("copy"))
            assert file.with_name("copy").read_bytes() == CONTENT


async def test_an_empty_file(talk: Talk, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    await _send_file(talk.laptop, tmp_path / "empty")
    (message,) = await take(talk.bob, 1)
    assert message.file is not None
    await talk.bob.download(message.file, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == b""
