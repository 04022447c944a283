"""Keys that come at once, as from a slow connection or a fast typist, do what they do one by one."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from tests.cli.operating import people
from tests.ui.app.examples import message, put
from tests.ui.app.fake_session import FakeSession, showing
from tests.ui.app.test_actions import asked, asks
from tests.ui.app.users import AppUser
from tests.ui.terminal import terminal
from twotick.ui.app.model.rooms import RoomListing
from twotick.ui.app.widgets.composer import Composer

WAITING = "Waiting for the server"

SENT = "\x0bbob\rred\rblue\r"  # Ctrl+K

KEYS = (
    "/messages\r\x1b[Ae sky\r"  # up and e: edit the first message
    "left for bob"
    "\x0bcarol\r"
    "left for carol"
    "\x1b[1;3A"  # Alt+up: bob
    ", and"
    "\x1b[200~ pasted\x1b[201~"
)


def test_keys_that_come_at_once_are_for_what_the_keys_before_them_show(tmp_path: Path) -> None:
    with people(tmp_path, "alice", "bob") as (person, _), terminal("chat", env=person.variables) as alice:
        alice.has("No conversations yet", "\u25cf alice@")
        alice.type(SENT)
        alice.has("  red ", "  blue ")
        alice.wait(lambda: alice.screen.count("✓") == 2, ("two ticks",))  # what is stored is shown when the disk has it
        alice.type(KEYS)
        alice.has("  red sky", "  blue ", " left for bob, and pasted")
        alice.type("\x1b[1;3B")  # Alt+down
        alice.has(" left for carol")
        assert "red" not in alice.screen


class SlowSession(FakeSession):
    """A session whose server does not answer at once.

    Attributes:
        answered: set when it answers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answered = asyncio.Event()
        put(self.all, message("who comes?", 1, peer="#team", sender="bob", ident="t1"))

    async def rooms(self) -> list[RoomListing]:
        await self.answered.wait()
        return await super().rooms()


@pytest.fixture
def session() -> SlowSession:
    return SlowSession()


@pytest.fixture
async def alice(session: SlowSession) -> AsyncGenerator[AppUser]:
    """Alice, who has asked for the list of rooms and typed on."""
    async with showing(session, 80, 24) as user:
        await user.sees("Message to #team")
        await user.press("f6")
        await user.type("#garden", "enter")
        await user.sees(WAITING)
        yield user


async def test_what_is_typed_while_the_server_is_asked_is_for_what_it_answers(
    alice: AppUser, session: SlowSession
) -> None:
    session.answered.set()
    await alice.sees("New room", "#garden")
    await alice.press("tab", "tab", "tab", "enter")
    await asks(alice, session, "create", "#garden", "private", "")
    assert not any(what == "send" for what, *_ in asked(session))
    assert WAITING not in alice.screen


async def test_escape_ends_the_wait_for_the_server(alice: AppUser, session: SlowSession) -> None:
    await alice.press("escape")
    await alice.sees_no(WAITING)
    session.answered.set()
    await alice.type("day", "enter")
    await asks(alice, session, "send", "#team", "day")
    assert "Rooms" not in alice.screen


async def test_what_was_typed_for_an_answer_that_does_not_come_is_not_sent(
    alice: AppUser, session: SlowSession
) -> None:
    session.refusal = "the server is closing"
    session.answered.set()
    await alice.sees("the server is closing")
    await alice.sees_no(WAITING)
    assert alice.app.screen.query_one(Composer).text == ""
    assert not any(what == "send" for what, *_ in asked(session))


async def test_the_app_quits_also_while_the_server_is_asked(alice: AppUser) -> None:
    await alice.press("ctrl+q")
    await alice.finds(lambda: not alice.app.is_running)
