"""Commands on the screen, and the requests that they send to the session."""

import re
from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS
from textual.widgets import Input

from tests.ui.app.examples import MORNING, message, put
from tests.ui.app.fake_session import ALL, FakeSession, showing
from tests.ui.app.users import AppUser, app_user, guest
from twotick.client import State
from twotick.client.member.results import RecipientState
from twotick.ui.app import AppOptions, TwotickApp
from twotick.ui.app.actions.details import DetailsActions
from twotick.ui.app.actions.table import Actions
from twotick.ui.app.alt_keys import recognise
from twotick.ui.app.commands import COMMANDS, ON_MESSAGES
from twotick.ui.app.model.conversations import UserPresence
from twotick.ui.app.model.messages import Attachment, RoomNotice, TransferProgress
from twotick.ui.app.model.rooms import MemberListing, RoomListing
from twotick.ui.app.screens.main import MainScreen
from twotick.ui.app.session.base import SearchHit, SearchResults
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.typing_ahead import TypingAhead
from twotick.ui.app.widgets.message_list import MessageList

DOWN = "\u2193"


@pytest.fixture
def session() -> FakeSession:
    """A session with a room, which is shown, and a direct conversation."""
    session = FakeSession()
    put(session.all, message("psst", 1, ident="b1"))
    team = session.all.open("#team")
    team.topic, team.members, team.role, team.access = "what we do", 3, "owner", "private"
    put(
        session.all,
        message("", 2, peer="#team", outgoing=True, event=RoomNotice("created")),
        message("who comes?", 3, peer="#team", sender="bob", ident="t1"),
        message("I do", 4, peer="#team", outgoing=True, ident="t2", have=1, of=2),
    )
    session.its_members = [
        MemberListing("alice", "owner", MORNING, None),
        MemberListing("bob", "moderator", MORNING, None),
        MemberListing("carol", "member", MORNING, None),
    ]
    return session


@pytest.fixture
async def alice(session: FakeSession) -> AsyncGenerator[AppUser]:
    """A user who sees this session."""
    async with showing(session, 100, 30) as user:
        await user.sees("Message to #team", "I do")
        yield user


def asked(session: FakeSession) -> list[tuple[Any, ...]]:
    """Return the requests to the session, without reports of presence and typing."""
    return [each for each in session.asked if each[0] not in ("here", "typing")]


async def asks(alice: AppUser, session: FakeSession, *what: Any) -> None:
    """Wait until the latest request to the session is this one."""
    await alice.finds(lambda: asked(session)[-1:] == [what])


def test_every_command_has_an_action_and_unique_words_and_keys() -> None:
    app = TwotickApp(AppOptions("chat.lan"))
    screen = MainScreen(FakeSession(), TypingAhead(app, app.on_event))
    assert set(Actions(screen, DetailsActions(screen)).by_word) == {each.word for each in COMMANDS + ON_MESSAGES}
    words = [each.word for each in COMMANDS + ON_MESSAGES]
    assert len(set(words)) == len(words)
    keys = [key for each in COMMANDS for key in each.keys.split(",") if key]
    assert len(set(keys)) == len(keys)
    # Many terminals send Alt and a letter as ESC and the letter, some of which Textual takes for other keys.
    recognise()
    sequences: dict[str, Any] = {**ANSI_SEQUENCES_KEYS}
    with_letter = [key for key in keys if re.fullmatch(r"alt\+.", key)]
    assert [[each.value for each in sequences[f"\x1b{key[-1]}"]] for key in with_letter] == [
        [key] for key in with_letter
    ]


# Rooms


@pytest.mark.parametrize("begin", ["f7", "/new", "palette"])
async def test_create_a_room(alice: AppUser, session: FakeSession, begin: str) -> None:
    if begin == "palette":
        await alice.press("ctrl+p")
        await alice.type("new roo", "enter")
    else:
        await (alice.type("/new", "enter") if begin == "/new" else alice.press(begin))
    await alice.sees("New room")
    await alice.type("not a name", "enter")
    await alice.sees("The name must have 1 to 32")
    await alice.press(*["backspace"] * 10)
    await alice.type("garden", "tab")
    await alice.type("what grows", "tab", "space", "tab", "enter")
    await asks(alice, session, "create", "#garden", "public", "what grows")
    await alice.sees("Message to #garden")


async def test_browse_join_and_open_rooms(alice: AppUser, session: FakeSession) -> None:
    session.its_rooms = [
        RoomListing("#team", "private", "owner", 3, "what we do", False),
        RoomListing("#hall", "public", "none", 230, "for everybody", False),
        RoomListing("#cellar", "private", "none", 2, "wine", True),
    ]
    await alice.press("f6")
    await alice.sees("#cellar  invited", "#hall  230 members  for everybody", "#team  joined")
    await alice.type("hal", "enter")
    await asks(alice, session, "join", "#hall")
    await alice.sees("Message to #hall")
    await alice.press("f6")
    await alice.type("#te", "enter")
    await alice.sees("Message to #team")
    await alice.press("f6")
    await alice.type("new-one", "enter")
    await alice.sees("New room", "#new-one")


async def test_join_a_room_by_name(alice: AppUser, session: FakeSession) -> None:
    await alice.type("/join hall", "enter")
    await asks(alice, session, "join", "#hall")
    await alice.type("/join no room", "enter")
    await alice.sees("#no room is not a valid room name")
    await alice.press("ctrl+k")
    await alice.type("#barn", "enter")
    await asks(alice, session, "join", "#barn")


async def test_enter_sends_a_complete_word_instead_of_completing_it(alice: AppUser, session: FakeSession) -> None:
    await alice.type("/to bob", "enter")
    await alice.sees("Message to bob")
    await alice.type("see #team", "enter")
    await asks(alice, session, "send", "bob", "see #team")
    await alice.type("@bob", "enter")
    await asks(alice, session, "send", "bob", "@bob")
    await alice.type("/to #team", "enter")
    await alice.sees("Message to #team")


async def test_a_refusal_shows_its_reason(alice: AppUser, session: FakeSession) -> None:
    session.refusal = "there is no such room"
    await alice.type("/join hall", "enter")
    await alice.sees("there is no such room", "Message to #team")


async def test_enter_accepts_an_invitation(alice: AppUser, session: FakeSession) -> None:
    put(session.all, message("", 9, event=RoomNotice("invited", "alice", room="#cellar")))
    await alice.talks_to("bob")
    await alice.sees("bob invites you to #cellar: /join #cellar")
    await alice.press("escape", "escape", "enter")
    await alice.sees("Join this room?", "#cellar")
    await alice.press("enter")
    await asks(alice, session, "join", "#cellar")


async def test_leave_a_room_after_a_confirmation(alice: AppUser, session: FakeSession) -> None:
    await alice.press("alt+l")
    await alice.sees("Leave the room?", "you need an invitation")
    await alice.press("escape")
    await alice.sees_no("Leave the room?")
    assert asked(session) == []
    await alice.type("/leave", "enter")
    await alice.sees("Leave the room?")
    await alice.press("right", "enter")
    await asks(alice, session, "leave", "#team")


async def test_invite_users(alice: AppUser, session: FakeSession) -> None:
    await alice.press("alt+i")
    await alice.sees("Invite to #team", "bob")
    await alice.type("dave", "enter")
    await asks(alice, session, "invite", "#team", "dave")
    await alice.sees("dave is invited to #team")
    await alice.type("/invite @erin", "enter")
    await asks(alice, session, "invite", "#team", "erin")


async def test_remove_a_member_after_a_confirmation(alice: AppUser, session: FakeSession) -> None:
    await alice.press("alt+x")
    await alice.sees("Remove", "moderator", "carol")
    assert "owner" not in alice.screen
    await alice.type("caro", "enter")
    await alice.sees("Remove from the room?", "carol, from #team")
    await alice.press("right", "enter")
    await asks(alice, session, "remove", "#team", "carol")


async def test_change_a_role(alice: AppUser, session: FakeSession) -> None:
    await alice.press("alt+p")
    await alice.type("carol", "enter")
    await alice.sees("Role of carol", "Moderator: can also invite")
    await alice.type("moder", "enter")
    await asks(alice, session, "appoint", "#team", "carol", "moderator")
    await alice.type("/appoint @bob owner", "enter")
    await asks(alice, session, "appoint", "#team", "bob", "owner")


async def test_change_topic_and_access(alice: AppUser, session: FakeSession) -> None:
    await alice.press("alt+t")
    await alice.sees("Topic", "what we do")
    await alice.type(" today", "enter")
    await asks(alice, session, "change", "#team", "what we do today", None)
    await alice.type("/topic nothing at all", "enter")
    await asks(alice, session, "change", "#team", "nothing at all", None)
    await alice.press("alt+w")
    await alice.sees("Access", "Public: every member", "Public, also for guests")
    await alice.press("enter")
    await asks(alice, session, "change", "#team", None, "public")


async def test_a_topic_that_is_too_long_is_rejected(alice: AppUser, session: FakeSession) -> None:
    await alice.press("alt+t")
    await alice.sees("Topic")
    alice.app.screen.query_one(Input).value = "\u20ac" * 90
    await alice.press("enter")
    await alice.sees("longer than 250 bytes")
    assert asked(session) == []


async def test_list_members_and_open_a_conversation_with_one(alice: AppUser, session: FakeSession) -> None:
    session.all.set_presence("carol", UserPresence("away", MORNING))
    await alice.press("alt+m")
    await alice.sees("Members", "\u25d0 carol", "moderator", "owner")
    await alice.type("carol", "enter")
    await alice.sees("Message to carol")


# Others, and what they see


async def test_mute_and_unmute_a_conversation(alice: AppUser, session: FakeSession) -> None:
    await alice.press("alt+u")
    await asks(alice, session, "mute", "#team", True)
    await alice.sees("Notifications for #team are off", "muted \u00b7 what we do")
    await alice.type("/mute", "enter")
    await asks(alice, session, "mute", "#team", False)


async def test_block_after_a_confirmation_and_unblock(alice: AppUser, session: FakeSession) -> None:
    await alice.talks_to("bob")
    await alice.press("alt+k")
    await alice.sees("Block bob?", "You will not receive direct messages from bob")
    await alice.press("right", "enter")
    await asks(alice, session, "block", "bob", True)
    await alice.sees("bob is blocked")
    await alice.press("alt+k")
    await asks(alice, session, "block", "bob", False)


async def test_messages_of_blocked_users_in_rooms_are_hidden_until_opened(alice: AppUser, session: FakeSession) -> None:
    session.all.open("bob").blocked = True
    session.all.on_change(session.all.open("#team"))
    await alice.sees("bob is blocked. v: show")
    assert "who comes?" not in alice.screen
    await alice.press("escape", "escape", "up", "v")
    await alice.sees("who comes?")


async def test_report_a_message_with_a_reason(alice: AppUser, session: FakeSession) -> None:
    await alice.press("escape", "escape", "up", "alt+o")
    await alice.sees("Report bob", "What is wrong?")
    await alice.type("spam", "enter")
    await alice.sees("Report bob?", "includes a copy of this message: who comes?")
    await alice.press("enter")
    await asks(alice, session, "report", "#team", "spam", "t1")
    await alice.sees("Report sent to the operator.")


async def test_set_the_status(alice: AppUser, session: FakeSession) -> None:
    await alice.press("alt+s")
    await alice.sees("Hidden: no one sees")
    await alice.type("hid", "enter")
    await alice.finds(lambda: ("shown", False) in session.asked)
    await alice.sees("\u25cb alice@chat.lan \u00b7 hidden")
    await alice.type("/status away", "enter")
    await alice.finds(lambda: session.asked[-2:] == [("shown", True), ("here", False)])
    await alice.sees("\u25d0 alice@chat.lan \u00b7 away")
    await alice.type("/status here", "enter")
    await alice.finds(lambda: session.asked[-1] == ("here", True))
    await alice.sees("\u25cf alice@chat.lan")


async def test_a_user_without_focus_is_away(alice: AppUser, session: FakeSession) -> None:
    assert session.asked[0] == ("here", True)
    alice.app.app_focus = False
    await alice.finds(lambda: session.asked[-1] == ("here", False))
    alice.app.app_focus = True
    await alice.finds(lambda: session.asked[-1] == ("here", True))


async def test_typing_is_reported_but_not_for_commands_and_drafts(alice: AppUser, session: FakeSession) -> None:
    await alice.type("/to", "escape", *["backspace"] * 3)
    await alice.talks_to("bob")
    assert ("typing", "#team") not in session.asked
    await alice.type("hi")
    await alice.finds(lambda: session.asked.count(("typing", "bob")) == 2)
    await alice.press("alt+down")
    await alice.sees("Message to #team")
    await alice.press("alt+down")
    await alice.sees("hi")
    assert session.asked.count(("typing", "bob")) == 2


async def test_typing_users_are_shown(alice: AppUser, session: FakeSession) -> None:
    session.all.set_typing(session.all.open("#team"), "bob", True)
    await alice.sees("bob is typing \u2026")
    session.all.set_typing(session.all.open("#team"), "carol", True)
    await alice.sees("2 people are typing \u2026")
    session.all.set_typing(session.all.open("#team"), "bob", False)
    session.all.set_typing(session.all.open("#team"), "carol", False)
    await alice.sees("3 members \u00b7 what we do")


# Messages


async def test_reply_to_a_message(alice: AppUser, session: FakeSession) -> None:
    await alice.press("escape", "escape", "up", "r")
    await alice.sees("Replying to bob: who comes?", "Esc: cancel")
    await alice.type("me", "enter")
    await asks(alice, session, "send", "#team", "me", "t1")
    await alice.sees_no("Replying to")


async def test_cancelling_a_reply_keeps_the_typed_text(alice: AppUser, session: FakeSession) -> None:
    await alice.type("well", "escape", "escape", "up", "r")
    await alice.sees("Replying to bob")
    await alice.press("escape")
    await alice.sees_no("Replying to bob")
    await alice.type(" then", "enter")
    await asks(alice, session, "send", "#team", "well then")


async def test_editing_a_message_restores_the_draft_afterwards(alice: AppUser, session: FakeSession) -> None:
    await alice.type("half a", "escape", "escape", "e")
    await alice.sees("Editing: I do")
    await alice.type(" not", "enter")
    await asks(alice, session, "edit", "t2", "I do not")
    await alice.sees_no("Editing")
    await alice.sees("half a")
    await alice.press("escape", "escape", "e")
    await alice.type("xxx", "escape")
    await alice.sees("half a")
    assert session.all.open("#team").draft == "half a"
    assert "xxx" not in alice.screen


async def test_a_refused_edit_stays_in_the_composer(alice: AppUser, session: FakeSession) -> None:
    session.refusal = "it is too late"
    await alice.press("escape", "escape", "e")
    await alice.type("!", "enter")
    await alice.sees("it is too late", "Editing: I do", "I do!")
    session.refusal = ""
    assert asked(session) == [("edit", "t2", "I do!")]


async def test_a_late_refusal_is_shown(alice: AppUser, session: FakeSession) -> None:
    session.on_refusal("[b]not yours[/b] \x1b[2J")
    await alice.sees("[b]not yours[/b] \u241b[2J")


async def test_opening_another_conversation_ends_an_edit(alice: AppUser, session: FakeSession) -> None:
    await alice.press("escape", "escape", "e")
    await alice.sees("Editing")
    await alice.talks_to("bob")
    await alice.sees_no("Editing")
    assert session.all.open("#team").draft == session.all.open("bob").draft == ""


async def test_delete_a_message_after_a_confirmation(alice: AppUser, session: FakeSession) -> None:
    await alice.press("escape", "escape", "d")
    await alice.sees("Delete this message for everyone?", "I do")
    await alice.type("day", "enter")  # letters and a hasty Enter delete nothing
    await alice.sees_no("Delete this")
    assert asked(session) == []
    await alice.press("delete")
    await alice.sees("Delete this message")
    await alice.press("right", "enter")
    await asks(alice, session, "delete", "t2")


async def test_react_with_an_emoji_found_by_name_and_remove_the_reaction(alice: AppUser, session: FakeSession) -> None:
    await alice.press("escape", "escape", "up", "plus")
    await alice.sees("React", "\U0001f44d  thumbs_up")
    await alice.type("tada", "enter")
    await asks(alice, session, "react", "t1", "\U0001f389")
    team = session.all.open("#team")
    team.messages[1].reactions = {"\U0001f389": ["Alice"], "\U0001f44d": ["carol"]}
    session.all.message_changed(team.messages[1])
    await alice.sees("\U0001f389 1  \U0001f44d 1")
    await alice.press("plus")
    await alice.sees("\U0001f389  remove")
    await alice.press("enter")
    await asks(alice, session, "react", "t1", "")


async def test_react_with_a_short_text(alice: AppUser, session: FakeSession) -> None:
    await alice.type("/react", "enter")
    await alice.sees("React")
    await alice.type("qqq", "enter")
    await asks(alice, session, "react", "t2", "qqq")


async def test_enter_and_a_click_on_a_quote_go_to_the_quoted_message(alice: AppUser, session: FakeSession) -> None:
    put(session.all, message("told you", 5, peer="#team", sender="carol", ident="t3", reply_to=("bob", "t1")))
    await alice.sees("\u250c bob: who comes?")
    await alice.press("escape", "escape", "enter")
    await asks(alice, session, "reach", "#team", "bob", "t1")
    await alice.sees("\u258c who comes?")
    lines = alice.screen.splitlines()
    quote = next(index for index, line in enumerate(lines) if "\u250c" in line)
    session.asked.clear()
    await alice.press("escape")
    await alice.click(MessageList, 8, quote - 1)
    await asks(alice, session, "reach", "#team", "bob", "t1")
    await alice.sees("\u258c who comes?")


async def test_an_unavailable_quoted_message_is_reported(alice: AppUser, session: FakeSession) -> None:
    put(session.all, message("told you", 5, peer="#team", sender="carol", ident="t3", reply_to=("bob", "t0")))
    await alice.sees("\u250c bob: message not available")
    await alice.press("escape", "escape", "enter")
    await alice.sees("This message is not available")


async def test_receipts_show_the_state_for_each_recipient(alice: AppUser, session: FakeSession) -> None:
    session.its_receipts = [RecipientState("bob", State.READ), RecipientState("carol", State.ACCEPTED)]
    await alice.press("escape", "escape", "i")
    await alice.sees("Receipts", "\u2713\u2713 bob            read", "stored")


async def test_send_an_undelivered_message_again(alice: AppUser, session: FakeSession) -> None:
    put(session.all, message("hello?", 5, peer="#team", outgoing=True, ident="t3", state=State.FAILED, reason="full"))
    await alice.sees("not delivered: full")
    await alice.type("/again", "enter")
    await asks(alice, session, "again", "t3")


# Files


async def test_send_a_file(alice: AppUser, session: FakeSession, tmp_path: Path) -> None:
    (tmp_path / "photo.png").write_bytes(b"photo")
    (tmp_path / "photos").mkdir()
    await alice.press("ctrl+o")
    await alice.sees("Send a file")
    await alice.type(f"{tmp_path}/ph")
    await alice.sees("photo.png", "photos/")
    await alice.press("down", "up", "tab", "tab")
    await alice.type("look", "enter")
    await asks(alice, session, "file", "#team", tmp_path / "photo.png", "look")


async def test_send_a_file_by_command_as_a_reply(alice: AppUser, session: FakeSession, tmp_path: Path) -> None:
    (tmp_path / "a b.txt").touch()
    await alice.press("escape", "escape", "up", "r")
    await alice.sees("Replying to bob")
    await alice.type(f"/file {tmp_path}/a", "tab", "enter")
    await asks(alice, session, "file", "#team", tmp_path / "a b.txt", "", "t1")
    await alice.sees_no("Replying to bob")


async def test_a_path_that_is_not_a_file_is_rejected(alice: AppUser, session: FakeSession, tmp_path: Path) -> None:
    await alice.press("ctrl+o")
    await alice.sees("Send a file")
    await alice.type(f"{tmp_path}/nothing", "enter")
    await alice.sees("This file does not exist")
    assert asked(session) == []


async def test_save_a_file_in_a_chosen_folder(alice: AppUser, session: FakeSession, tmp_path: Path) -> None:
    file = Attachment("k", "../../.bashrc\x1b[2J", 150_000, "")
    put(session.all, message("", 5, peer="#team", sender="bob", ident="t3", file=file))
    await alice.sees("../../.bashrc\u241b[2J  146 KiB  s: save")
    await alice.press("escape", "escape")
    await alice.sees("select  s save the file  r reply")
    await alice.press("s")
    await alice.sees("Save ../../.bashrc", "(146 KiB) in")
    await alice.press(*["ctrl+u"])
    await alice.type(str(tmp_path), "enter")
    await asks(alice, session, "save", "t3", tmp_path)
    await alice.sees("Saved as")


async def test_tab_completes_the_folder_for_saving(alice: AppUser, session: FakeSession, tmp_path: Path) -> None:
    (tmp_path / "papers").mkdir()
    (tmp_path / "papers.txt").touch()
    put(session.all, message("", 5, peer="#team", sender="bob", ident="t3", file=Attachment("k", "a.txt", 1, "")))
    await alice.sees("a.txt")
    await alice.press("escape", "escape", "s")
    await alice.sees("Save a.txt")
    await alice.press("ctrl+u")
    await alice.type(f"{tmp_path}/pa")
    await alice.sees("papers/")
    assert "papers.txt" not in alice.screen
    await alice.press("tab", "enter")
    await asks(alice, session, "save", "t3", tmp_path / "papers")


async def test_the_progress_of_a_transfer_is_shown(alice: AppUser, session: FakeSession) -> None:
    each = message(
        "", 5, peer="#team", outgoing=True, ident="t3", file=Attachment("", "a.txt", 1000, ""), state=State.QUEUED
    )
    put(session.all, each)
    for done, share in ((0, "  0%"), (250, " 25%"), (1000, "100%")):
        each.transfer = TransferProgress(done, 1000)
        session.all.message_changed(each)
        await alice.sees(share)


# Search


async def test_search_and_go_to_a_result(alice: AppUser, session: FakeSession) -> None:
    team, bob = session.all.open("#team"), session.all.open("bob")
    other = message("oats from " + "long ago and " * 30 + "wild [b]oats[/b]", 0, peer="bob", ident="b0")
    session.found = [
        SearchResults([SearchHit(team, team.messages[1]), SearchHit(bob, bob.messages[0]), SearchHit(bob, other)], 17),
        SearchResults([], None),
    ]
    await alice.press("ctrl+f")
    await alice.sees("Search", "Only in #team")
    await alice.type("who", "enter")
    await asks(alice, session, "search", "who*", None, None)
    await alice.sees("#team  bob  23 Nov 2026 09:30", "who comes?", "3 found, there may be more", "Older messages")
    await alice.sees("bob: who comes?", "alice: I do")  # the messages around the result
    await alice.press("down", "down", "down", "enter")
    await asks(alice, session, "search", "who*", None, 17)
    await alice.sees("3 found.")
    await alice.press("up", "enter")
    await alice.sees("Message to bob", "\u258c psst")
    assert asked(session)[-1] == ("reach", "bob", "bob", "b1")


async def test_a_result_that_is_too_old_is_shown_with_the_messages_around_it(
    alice: AppUser, session: FakeSession
) -> None:
    session.its_past = [
        message(f"number {seq}", seq, peer="#team", sender="bob", ident=f"o{seq}") for seq in range(-60, 0)
    ]
    session.found = [SearchResults([SearchHit(session.all.open("#team"), session.its_past[30])], None)]
    await alice.press("ctrl+f")
    await alice.type("number", "enter")
    await alice.sees("1 found.", "bob: number -31", "bob: number -29")
    await alice.press("enter")
    await alice.sees("#team, 23 Nov 2026", "  number -31", "\u258c number -30", "  number -29", "Esc: back")
    await alice.press("end")
    await alice.sees("\u258c number -1")
    await alice.press("escape")
    await alice.sees("who comes?", "Message to #team")


async def test_one_key_goes_to_the_newest_message(alice: AppUser, session: FakeSession) -> None:
    for seq in range(10, 100):
        put(session.all, message(f"number {seq}.", seq, peer="#team", sender="bob", ident=f"n{seq}"))
    await alice.sees("number 99.")
    await alice.press("pageup", "pageup")
    await alice.sees("newer messages: Ctrl+End")
    await alice.press("ctrl+end")
    await alice.sees("number 99.")
    await alice.sees_no("newer messages")


async def test_search_in_one_conversation(alice: AppUser, session: FakeSession) -> None:
    session.found = [SearchResults([], None), SearchResults([], None)]
    await alice.type("/search wild oats", "enter")
    await asks(alice, session, "search", "wild* oats*", None, None)
    await alice.sees("No messages found.")
    await alice.press("tab", "space")
    await asks(alice, session, "search", "wild* oats*", "#team", None)


async def test_filters_of_a_search(alice: AppUser, session: FakeSession) -> None:
    session.found = [SearchResults([], None)]
    await alice.press("ctrl+f")
    await alice.sees("Filters: from:bob in:#team before:")
    await alice.type("from: oats", "enter")
    await alice.sees("After from: comes the name of a user")
    await alice.press("ctrl+u")
    await alice.type("oats from:b")
    await alice.sees("oats from:bob")
    await alice.press("right", "enter")
    await asks(alice, session, "search", "oats*", None, None)
    await alice.sees("oats from:bob", "No messages found.")


async def test_a_failed_search_can_be_repeated(alice: AppUser, session: FakeSession) -> None:
    session.refusal = "it has no words"
    session.found = [SearchResults([], None)]
    await alice.press("ctrl+f")
    await alice.type("*", "enter")
    await alice.sees("it has no words", "The search failed")
    session.refusal = ""
    await alice.press("enter")
    await alice.sees("No messages found.")


# Details


async def test_details_show_members_and_receipts(alice: AppUser, session: FakeSession) -> None:
    session.its_receipts = [RecipientState("bob", State.READ), RecipientState("carol", State.DELIVERED)]
    session.all.set_presence("bob", UserPresence("here", None))
    await alice.press("ctrl+t")
    await alice.sees("Members  3", "\u25cf bob  moderator", "Topic", "what we do", "private: by")
    await alice.press("escape", "escape")
    await alice.sees("\u2713 delivered to 1 of 2", "\u2713\u2713 bob            read", "carol          delivered")
    session.its_members.pop()
    put(session.all, message("", 6, peer="#team", sender="carol", event=RoomNotice("left")))
    await alice.sees("Members  2", "carol left")


@pytest.mark.parametrize(("width", "height"), [(40, 20), (80, 24)])
async def test_message_details_fit_narrow_screens(session: FakeSession, width: int, height: int) -> None:
    async with showing(session, width, height) as alice:
        await alice.sees("I do")
        await alice.press("escape", "escape", "up", "f2")
        await alice.sees("From     bob", "10 bytes")
        await alice.press("f2")
        await alice.sees_no("10 bytes")


# What cannot be done


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        (["f6"], "Rooms: not available to guests"),
        (["ctrl+f"], "Search: not available to guests"),
        (["ctrl+o"], "Send a file: not available to guests"),
        (["alt+s"], "Status: not available to guests"),
        (["escape", "escape", "e"], "Edit: not available to guests"),
    ],
)
async def test_commands_for_members_are_explained_to_guests(address: str, keys: list[str], why: str) -> None:
    async with app_user(guest(address), 100, 30) as alice:
        await alice.talks_to("bob")
        await alice.press(*keys)
        await alice.sees(why)


async def test_explanations_are_readable_on_narrow_screens(address: str) -> None:
    async with app_user(guest(address), 40, 20) as alice:
        await alice.sees("No conversations yet")
        await alice.press("alt+s")
        await alice.sees("not available to guests.", "Members can")


async def test_guests_see_only_commands_that_are_available_to_them(address: str) -> None:
    async with app_user(guest(address), 100, 60) as alice:
        await alice.sees("No conversations yet")
        assert "rooms" not in alice.screen
        await alice.talks_to("bob")
        await alice.press("f1")
        await alice.sees("Go to", "Details")
        await alice.press("end")
        await alice.sees("Copy the message", "Send again")
        assert "Rooms" not in alice.screen
        assert "Edit" not in alice.screen
        await alice.press("escape")
        await alice.type("/re")
        await alice.sees("/re")
        assert "/reply" not in alice.screen


@pytest.mark.parametrize(
    ("where", "keys", "why"),
    [
        ("bob", ["alt+t"], "Topic: only available in rooms."),
        ("left", ["alt+i"], "You are no longer in #team."),
        ("#team", ["alt+x"], "Only moderators and the owner can do that."),
        ("#team", ["alt+p"], "Only the owner can do that."),
        ("#team", ["escape", "escape", "a"], "Only messages that were not delivered can be sent again."),
        ("#team", ["escape", "escape", "s"], "This message has no file."),
        ("#team", ["escape", "escape", "up", "e"], "You can only edit your own messages to members."),
    ],
)
async def test_an_unavailable_command_shows_the_reason(
    session: FakeSession, where: str, keys: list[str], why: str
) -> None:
    session.able -= {Permission.INVITE, Permission.REMOVE, Permission.APPOINT, Permission.SET_TOPIC}
    session.all.open("#team").left = where == "left"
    async with showing(session, 100, 30) as alice:
        await alice.sees("Message to #team")
        if where == "bob":
            await alice.talks_to("bob")
        await alice.press(*keys)
        await alice.sees(why)
        assert asked(session) == []


async def test_messages_to_a_room_that_the_user_left_are_rejected(session: FakeSession) -> None:
    session.able -= {Permission.SEND}
    session.all.open("#team").left = True
    async with showing(session, 100, 30) as alice:
        await alice.sees("You are no longer in #team", "you left the room")
        await alice.type("hello", "enter")
        await alice.sees("hello")
        assert asked(session) == []


async def test_a_user_who_writes_in_a_room_alone_is_told(alice: AppUser, session: FakeSession) -> None:
    """Two ticks would be true, and misleading: the message went to all of no other members."""
    await alice.type("hello", "enter")
    assert "no one else" not in alice.screen
    session.all.open("#team").members = 1
    await alice.type("hello", "enter")
    await alice.sees("There is no one else in this room who could get it. Alt+I invites")


# Conversations


async def test_a_conversation_can_be_closed_until_a_message_arrives(alice: AppUser, session: FakeSession) -> None:
    await alice.type("/close", "enter")
    await alice.sees("unread", "bob")
    assert "#team" not in alice.screen
    put(session.all, message("back", 6, peer="#team", sender="bob", ident="t9"))
    await alice.sees("#team")


async def test_a_conversation_can_be_kept_at_the_top(alice: AppUser, session: FakeSession) -> None:
    await alice.type("/top", "enter")
    put(session.all, message("later", 7, ident="b7"))
    await alice.finds(lambda: [each.key for each in session.all.listed] == ["#team", "bob"])
    await alice.type("/top", "enter")
    await alice.finds(lambda: [each.key for each in session.all.listed] == ["bob", "#team"])


@pytest.mark.parametrize(("time", "seconds"), [("30m", 1800), ("8h", 28800), ("2 d", 172800)])
async def test_mute_for_a_time(alice: AppUser, session: FakeSession, time: str, seconds: int) -> None:
    await alice.type(f"/mute {time}", "enter")
    await alice.sees(f"Notifications for #team are off for {time}.")
    (_, room, until) = asked(session)[-1]
    assert (room, abs(until - datetime.now().timestamp() - seconds) < 60) == ("#team", True)
    await alice.type("/mute soon", "enter")
    await alice.sees("Write it like this: /mute 30m")


async def test_msg_sends_to_another_conversation_and_shows_it(alice: AppUser, session: FakeSession) -> None:
    await alice.type("/msg @bob see you at :10", "enter")
    await asks(alice, session, "send", "bob", "see you at :10")
    await alice.sees("Message to bob")
    await alice.type("/msg #nowhere hello", "enter")
    await alice.sees("You are not in #nowhere. Join it first: /join #nowhere")
    await alice.type("/msg bob", "enter")
    await alice.sees("Write it like this: /msg NAME TEXT")


async def test_me_says_what_the_user_does(alice: AppUser, session: FakeSession) -> None:
    await alice.type("/me waves", "enter")
    await asks(alice, session, "send", "#team", "/me waves")
    put(session.all, message("/me waves back", 6, peer="#team", sender="bob", ident="t9"))
    await alice.sees("* bob waves back")


async def test_help_lists_what_can_be_typed(alice: AppUser) -> None:
    await alice.type("/help", "enter")
    await alice.sees("/to NAME", "/msg NAME TEXT", "/close")


async def test_a_waiting_message_can_be_cancelled(alice: AppUser, session: FakeSession) -> None:
    put(session.all, message("not yet", 5, peer="#team", outgoing=True, ident="t3", state=State.QUEUED))
    await alice.press("escape", "escape")
    await alice.sees("x cancel")
    await alice.press("x")
    await asks(alice, session, "cancel", "t3")
    await alice.finds(lambda: session.all.open("#team").draft == "not yet")


async def test_set_the_display_name_and_the_status_text(alice: AppUser, session: FakeSession) -> None:
    await alice.type("/nick Alice B.", "enter")
    await asks(alice, session, "profile", "Alice B.", None)
    await alice.sees("Your display name is: Alice B.")
    await alice.type("/about in Rome", "enter")
    await asks(alice, session, "profile", None, "in Rome")
    await alice.sees("Your status text is: in Rome")
    await alice.type("/nick", "enter")
    await asks(alice, session, "profile", "", None)


# Threads, pins, forwarding


async def test_a_thread_is_shown_on_a_screen_of_its_own(alice: AppUser, session: FakeSession) -> None:
    session.its_past = [
        message("who comes?", 3, peer="#team", sender="bob", ident="t1"),
        message("me", 5, peer="#team", sender="carol", ident="t5", reply_to=("bob", "t1")),
    ]
    await alice.press("escape", "escape", "up", "t")
    await asks(alice, session, "thread", "t1")
    await alice.sees("Thread in #team: 1 answer", "me", "Esc: back")
    await alice.press("escape")
    await alice.sees("Message to #team")


async def test_a_message_is_pinned_and_found_again(alice: AppUser, session: FakeSession) -> None:
    await alice.press("escape", "escape", "up", "p")
    await asks(alice, session, "pin", "t1")
    await alice.sees("Pinned for all here.")
    await alice.press("escape")
    await alice.type("/pins", "enter")
    await alice.sees("No message is pinned here")
    session.its_past = [message("who comes?", 3, peer="#team", sender="bob", ident="t1")]
    await alice.type("/pins", "enter")
    await alice.sees("Pinned messages", "bob: who comes?")
    await alice.press("enter")
    await asks(alice, session, "reach", "#team", "bob", "t1")
    await alice.sees("\u258c who comes?")


async def test_a_message_is_forwarded(alice: AppUser, session: FakeSession) -> None:
    put(session.all, message("two\nlines", 5, peer="#team", sender="carol", ident="t5"))
    await alice.sees("lines")
    await alice.press("escape", "escape", "f")
    await alice.sees("Forward to")
    await alice.type("bob", "enter")
    await asks(alice, session, "forward", "t5", "bob")
    await alice.sees("Message to bob", "Forwarded.")


async def test_a_forwarded_message_shows_who_wrote_it_and_is_not_recalled(alice: AppUser, session: FakeSession) -> None:
    session.able = ALL - {Permission.EDIT}
    put(session.all, message("tea", 6, outgoing=True, forwarded_from="carol", ident="b6"))
    await alice.type("/to bob", "enter")
    await alice.sees("Message to bob", "forwarded from carol", "tea")
    await alice.press("up")
    await alice.type("look", "enter")
    await asks(alice, session, "send", "bob", "look")


@pytest.mark.parametrize("ident", ["t5", ""])
async def test_a_message_that_cannot_be_forwarded_is_quoted(alice: AppUser, session: FakeSession, ident: str) -> None:
    session.its_unforwardable = "there is no such message"
    session.able = ALL if ident else ALL - {Permission.FORWARD}
    put(session.all, message("two\nlines", 5, peer="#team", sender="carol", ident=ident))
    await alice.sees("lines")
    await alice.press("escape", "escape", "f")
    await alice.sees("Forward to")
    await alice.type("bob", "enter")
    await alice.sees("> carol: two", "> lines", "Only quoted")
    await alice.type("look", "enter")
    await asks(alice, session, "send", "bob", "> carol: two\n> lines\nlook")
    assert (("forward", "t5", "bob") in session.asked) == bool(ident)
