"""Tests of the composer: what is typed and pasted, and the mode in which letters are commands."""

from collections.abc import AsyncGenerator

import pytest
from textual import events

from tests.ui.app.examples import message, put
from tests.ui.app.fake_session import FakeSession, showing
from tests.ui.app.test_actions import asked, asks
from tests.ui.app.users import AppUser
from tests.ui.test_text import obeyed
from twotick.ui.app.widgets.composer import Composer

TEXTS = [
    "\U0001fa77 \U0001fae9 \U0001f6d8",  # newer than the tables of some Pythons
    "\U0001f1e9\U0001f1ea \U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    "\U0001f469\U0001f3fd\u200d\U0001f4bb",
    "Donau\u00addampf",
    "\u05e9\u05dc\u05d5\u05dd\u200f!",
    "  four\tspaces  ",
    "\u202eevil\u2066 \x1b[2J \x07 \x85\u2028\U00100000\U000f0000",
    ":tada: is pasted",
]


@pytest.fixture
def session() -> FakeSession:
    session = FakeSession()
    put(
        session.all,
        message("psst", 1, ident="b1"),
        message("who comes?", 3, peer="#team", sender="bob", ident="t1"),
        message("I do", 4, peer="#team", outgoing=True, ident="t2", have=1, of=2),
    )
    return session


@pytest.fixture
async def alice(session: FakeSession) -> AsyncGenerator[AppUser]:
    async with showing(session, 100, 30) as user:
        await user.sees("Message to #team", "I do")
        yield user


async def paste(alice: AppUser, text: str) -> None:
    event = events.Paste(text)
    event.set_sender(alice.app)
    alice.app._driver.send_message(event)  # type: ignore[union-attr]


@pytest.mark.parametrize("text", TEXTS)
async def test_what_is_pasted_is_sent_as_it_is(alice: AppUser, session: FakeSession, text: str) -> None:
    await paste(alice, text)
    await alice.finds(lambda: session.all.open("#team").draft == text)
    assert obeyed(alice.screen) <= {"\n", *TEXTS[0]}
    await alice.press("enter")
    await asks(alice, session, "send", "#team", text)


@pytest.mark.parametrize("text", TEXTS[:5])
async def test_what_is_typed_is_sent_as_it_is(alice: AppUser, session: FakeSession, text: str) -> None:
    await alice.type(text, "enter")
    await asks(alice, session, "send", "#team", text)


@pytest.mark.parametrize("text", ["ETA :-D", "see you at :10", "hi @bo", "in #te", "a :heart", "??", "10:30:"])
async def test_no_list_of_completions_takes_the_enter(alice: AppUser, session: FakeSession, text: str) -> None:
    await alice.type(text, "enter")
    await asks(alice, session, "send", "#team", text)


async def test_a_completion_that_was_chosen_takes_the_enter(alice: AppUser, session: FakeSession) -> None:
    await alice.type("hi @bo", "down", "enter")
    await alice.type("!", "enter")
    await asks(alice, session, "send", "#team", "hi @bob !")


async def test_names_of_emoji_between_colons_become_emoji_when_they_are_typed(
    alice: AppUser, session: FakeSession
) -> None:
    await alice.type("done :tada: :+1: :no_such_thing: a:tada:", "enter")
    await asks(alice, session, "send", "#team", "done \U0001f389 \U0001f44d :no_such_thing: a:tada:")


async def test_keys_do_what_they_do_in_a_shell(alice: AppUser, session: FakeSession) -> None:
    await alice.type("two three", "ctrl+a")
    await alice.type("one ", "ctrl+e", "ctrl+w", "alt+b")
    await alice.type("and ", "ctrl+e", "alt+enter")
    await alice.type("gone", "ctrl+u")
    await alice.type("four", "enter")
    await asks(alice, session, "send", "#team", "one and two \nfour")


async def test_the_text_can_be_cleared_and_comes_back(alice: AppUser, session: FakeSession) -> None:
    await alice.type("half a sentence", "ctrl+c")
    await alice.sees("Ctrl+Z brings the text back.", "Message to #team")
    assert session.all.open("#team").draft == ""
    await alice.press("ctrl+c")
    await alice.sees("Ctrl+Q quits.")
    await alice.press("ctrl+z", "enter")
    await asks(alice, session, "send", "#team", "half a sentence")


async def test_up_in_an_empty_composer_edits_the_last_message(alice: AppUser, session: FakeSession) -> None:
    await alice.press("up")
    await alice.sees("Editing: I do")
    await alice.press("escape")
    await alice.sees_no("Editing")
    await alice.press("up")
    await alice.type(" not", "enter")
    await asks(alice, session, "edit", "t2", "I do not")


async def test_one_escape_changes_nothing_but_the_last_line(alice: AppUser, session: FakeSession) -> None:
    await alice.press("escape")
    await alice.sees("Esc again: select a message")
    await alice.type("day", "enter")
    await asks(alice, session, "send", "#team", "day")
    assert "Esc again" not in alice.screen


async def test_two_escapes_lead_to_a_mode_that_shows_its_keys(alice: AppUser, session: FakeSession) -> None:
    await alice.press("escape", "escape")
    await alice.sees("select", "e edit", "d delete", "Esc back")
    await alice.press("up")
    await alice.sees("r reply")
    assert "e edit" not in alice.screen  # not the own message
    await alice.type("zebra", "enter")  # z is no command
    await asks(alice, session, "send", "#team", "zebra")
    assert "Esc back" not in alice.screen


async def test_letters_delete_nothing_and_a_deletion_can_be_undone(alice: AppUser, session: FakeSession) -> None:
    await alice.press("escape", "escape")
    await alice.type("day", "enter")
    await alice.sees_no("Delete this")
    assert asked(session) == []
    await alice.press("d", "right", "enter")
    await asks(alice, session, "delete", "t2")
    await alice.sees("u or /undo brings it back")
    await alice.press("u")
    await asks(alice, session, "undo")
    await alice.sees("The message is back.")


async def test_letters_in_the_list_of_conversations_are_no_commands(alice: AppUser, session: FakeSession) -> None:
    alice.app.screen.query_one("Sidebar").focus()
    await alice.type("dear")
    assert asked(session) == []
    await alice.finds(lambda: session.all.open("#team").draft == "dear")


async def test_what_is_typed_is_kept_before_it_is_shown(alice: AppUser, session: FakeSession) -> None:
    """A killed app has lost nothing that was on the screen: no event comes between the change and the draft."""
    composer = alice.app.screen.query_one(Composer)
    composer.type("h")
    assert session.all.open("#team").draft == "h"
    composer.replace("oh", (0, 0), (0, 1))
    assert session.all.open("#team").draft == "oh"
    await alice.sees("oh")


async def test_what_a_message_is_edited_to_is_no_command_and_the_draft_stays(
    alice: AppUser, session: FakeSession
) -> None:
    await alice.type("left", "escape", "escape", "e")
    await alice.sees("Editing: I do")
    await alice.press("ctrl+u")
    await alice.type("/me waves", "enter")
    await asks(alice, session, "edit", "t2", "/me waves")
    await alice.sees_no("Editing")
    assert (alice.app.screen.query_one(Composer).text, session.all.open("#team").draft) == ("left", "left")
    await alice.press("escape", "escape", "e")
    await alice.sees("Editing")
    await alice.press("ctrl+u")
    await alice.type("/help", "enter")
    await asks(alice, session, "edit", "t2", "/help")
    await alice.finds(lambda: alice.app.screen.query_one(Composer).text == "left")
    await alice.press("end", "ctrl+u")
    await alice.type("/hel")
    await alice.sees("/help  Help")


async def test_a_quote_does_not_become_part_of_an_edit(alice: AppUser, session: FakeSession) -> None:
    session.its_unforwardable = "it is too old"
    await alice.type("left", "escape", "escape", "e")
    await alice.sees("Editing: I do")
    await alice.press("ctrl+p")
    await alice.type("Forward", "enter")
    await alice.sees("Forward to")
    await alice.type("team", "enter")
    await alice.sees("Only quoted")
    await alice.sees_no("Editing")
    await alice.press("enter")
    await asks(alice, session, "send", "#team", "left\n> alice: I do")
