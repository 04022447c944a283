"""Messages are sent on, with their files (docs/protocol.md, rules 13.10 and 13.11)."""

from pathlib import Path

import pytest

from tests.client.members import chatting, take
from twotick.client import NotDelivered, RequestRefused, connect

CONTENT = bytes(range(256)) * 700
"""More than two pieces."""


async def test_a_message_says_who_wrote_it_wherever_it_is_sent_on() -> None:
    async with (
        chatting("alice", "bob", "carol") as chat,
        chat.join("alice") as alice,
        chat.join("bob") as bob,
        chat.join("carol") as carol,
    ):
        sent = await alice.send("bob", "tea?", content_type="text/x-tea")
        (asked,) = await take(bob, 1)
        await bob.create_room("#team")
        await bob.invite("#team", "carol")
        await carol.join_room("#team")
        await bob.forward(asked, "#team")
        (first,) = await take(carol, 1)
        await carol.forward(first, "alice")
        (second,) = await take(alice, 1)
        for message in (first, second):
            assert (message.text, message.content_type) == ("tea?", "text/x-tea")
            assert message.forwarded_from == ("alice", sent.id)
        with pytest.raises(NotDelivered, match="a message that was sent on cannot be edited"):
            await bob.edit("#team", first.id, "alice never said this")
        with pytest.raises(NotDelivered, match="you may not read it"):
            await carol.send("bob", "", forwards=("alice", sent.id))
        with pytest.raises(NotDelivered, match="no body"):
            await bob.send("carol", "words of mine", forwards=("alice", sent.id))
        await alice.delete("bob", sent.id)
        with pytest.raises(NotDelivered, match="there is no such message"):
            await bob.forward(asked, "carol")
        assert [message.text for message in await carol.history("#team") if message.is_news] == ["tea?"]


async def test_a_file_goes_along_and_outlives_the_message_that_brought_it(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    path.write_bytes(CONTENT)
    async with (
        chatting("alice", "bob", "carol") as chat,
        chat.join("alice") as alice,
        chat.join("bob") as bob,
        chat.join("carol") as carol,
    ):
        sent = await alice.send("bob", "a photo", file=await alice.upload(path))
        (brought,) = await take(bob, 1)
        await bob.forward(brought, "carol")
        (message,) = await take(carol, 1)
        assert brought.file is not None
        assert message.file is not None
        assert (message.file.name, message.file.size, message.file.hash) == (
            "photo.png",
            len(CONTENT),
            brought.file.hash,
        )
        assert message.file.key != brought.file.key
        with pytest.raises(RequestRefused):
            await carol.download(brought.file, tmp_path / "not-hers")
        await alice.delete("bob", sent.id)
        await carol.download(message.file, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == CONTENT


async def test_nothing_is_sent_on_to_or_from_guests() -> None:
    async with (
        chatting("alice", "bob") as chat,
        chat.join("alice") as alice,
        chat.join("bob") as bob,
        connect("gus", chat.address) as gus,
    ):
        sent = await alice.send("bob", "tea?")
        (asked,) = await take(bob, 1)
        with pytest.raises(NotDelivered, match="only members can"):
            await bob.forward(asked, "gus")
        with pytest.raises(NotDelivered, match="only members can"):
            await bob.send("ALL", "", forwards=("alice", sent.id))
        assert gus.name == "gus"
