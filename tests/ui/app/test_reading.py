"""Tests of what counts as read: only what the user has chosen to look at."""

from pathlib import Path

from tests.client.members import chatting
from tests.ui.app.users import app_user, member
from twotick.ui.app.widgets.message_list import MessageList


async def test_a_message_is_not_read_until_the_user_opens_its_conversation(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob:
        receipt = await bob.send("alice", "psst")
        async with app_user(member(chat, tmp_path)) as alice:
            await alice.sees("1 unread.", "bob")
            assert "psst" not in alice.screen
            await bob.send("alice", "again")
            await alice.sees("2 unread.")
            await receipt.delivered()
            assert receipt.state.name == "DELIVERED"
            await alice.press("enter")
            await alice.sees("psst", "again", "new")
            await receipt.read()


async def test_the_app_opens_where_it_was_left_and_marks_nothing_as_read_there(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob:
        options = member(chat, tmp_path)
        async with app_user(options) as alice:
            await bob.send("alice", "one")
            await alice.opens("bob")
            await alice.sees("one")
        receipt = await bob.send("alice", "two")
        async with app_user(options) as alice:
            await alice.sees("\u25cf alice", "Message to bob", "two", "new")
            later = await bob.send("alice", "three")
            await later.delivered()
            await alice.sees("three")
            assert alice.session.conversations.open("bob").unread == 2
            await alice.press("ctrl+k", "escape")  # this is no look at the conversation
            await receipt.delivered()
            assert receipt.state.name == "DELIVERED"
            await alice.type("I")
            await receipt.read()
            await later.read()


async def test_the_list_is_shown_first_on_a_narrow_terminal_too(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob:
        receipt = await bob.send("alice", "psst")
        async with app_user(member(chat, tmp_path), 40, 20) as alice:
            await alice.sees("bob", "1")
            await receipt.delivered()
            assert receipt.state.name == "DELIVERED"
            await alice.press("enter")
            await alice.sees("psst")
            await receipt.read()


async def test_many_unread_messages_are_shown_from_the_first_one_on(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob:
        async with app_user(member(chat, tmp_path)) as alice:
            await bob.send("alice", "before")
            await alice.opens("bob")
            await alice.sees("before")
            await alice.type("/close", "enter")
            await alice.sees_no("before")
        for number in range(150):
            await bob.queue("alice", f"number {number}.")
        receipt = await bob.send("alice", "the last")
        async with app_user(member(chat, tmp_path)) as alice:
            await alice.sees("151")
            await alice.opens("bob")
            await alice.press("f8")
            await alice.sees("before", "new", "number 0.", "newer messages: Ctrl+End")
            await receipt.delivered()
            assert receipt.state.name == "DELIVERED"
            assert alice.session.conversations.open("bob").unread == 151
            await alice.press("ctrl+end")
            await alice.sees("the last")
            await receipt.read()
            await alice.press("f8")
            await alice.sees("number 0.")


async def test_the_unread_line_appears_where_the_user_stopped_to_look(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob, app_user(member(chat, tmp_path)) as alice:
        await bob.send("alice", "seen")
        await alice.opens("bob")
        await alice.sees("seen")
        await alice.finds(lambda: alice.session.conversations.unread == 0)
        alice.app.app_focus = False
        await bob.send("alice", "not seen")
        await alice.sees("not seen", "new")
        (seen, unseen) = alice.session.conversations.open("bob").messages
        assert (seen.text, alice.app.screen.query_one(MessageList).new) == ("seen", unseen)
        alice.app.app_focus = True
        await alice.type("yes", "enter")
        await alice.sees_no(" new ")


async def test_counts_follow_deletions_and_edits(tmp_path: Path) -> None:
    async with (
        chatting("alice", "bob") as chat,
        chat.join("bob") as bob,
        chat.join("alice", device="laptop/other") as other,
        app_user(member(chat, tmp_path)) as alice,
    ):
        await bob.create_room("#team", public=True)
        await other.join_room("#team")
        first = await bob.send("#team", "@alice come")
        second = await bob.send("#team", "now")
        third = await bob.send("#team", "or later")
        await alice.sees("@3")
        await bob.edit("#team", first.id, "come")
        await alice.finds(lambda: alice.session.conversations.open("#team").mentions == 0)
        await bob.edit("#team", second.id, "now @alice")
        await alice.sees("@3")
        await bob.delete("#team", second.id)
        await alice.finds(lambda: alice.session.conversations.open("#team").mentions == 0)
        assert alice.session.conversations.open("#team").unread == 2
        await bob.delete("#team", third.id)
        await alice.finds(lambda: alice.session.conversations.open("#team").unread == 1)
        (team,) = [each for each in await other.conversations() if each.name == "#team"]
        assert (team.unread, team.mentions) == (1, 0)


async def test_a_slash_in_the_list_opens_the_commands(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob, app_user(member(chat, tmp_path)) as alice:
        await bob.send("alice", "psst")
        await alice.sees("1 unread.")
        await alice.press("slash")
        await alice.sees("Search for commands", "Accounts")
        assert alice.session.conversations.open("bob").unread == 1
