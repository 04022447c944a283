"""Tests of what the screen shows: sizes, colours, and that hostile text stays within its place."""

import asyncio
import webbrowser
from typing import Any

import pytest
from rich.segment import Segment
from rich.style import Style

from tests.ui.app.examples import MORNING, message, put
from tests.ui.app.fake_session import FakeSession, showing
from tests.ui.app.users import AppUser
from tests.ui.test_text import obeyed
from twotick.client import State
from twotick.client.member.results import RecipientState
from twotick.ui.app.model.conversations import LocalConversation, UserPresence
from twotick.ui.app.model.messages import Attachment, RoomNotice, TransferProgress
from twotick.ui.app.model.rooms import MemberListing, RoomListing
from twotick.ui.app.session.base import SearchHit, SearchResults
from twotick.ui.app.widgets.sidebar import Sidebar
from twotick.ui.names import ON_ANY, ON_DARK, ON_LIGHT, colour_of
from twotick.ui.people import UserProfile

HOSTILE = (
    "\x1b]0;owned\x07\x1b[2J\x1b]8;;http://evil.example\x07link\x9b31m"
    "\u202egnp.exe\u2066 [blink]markup[/blink] [@click=app.quit]x[/] [link=http://evil.example]y[/link]"
    "\r\nnext\ttab\u2028line" + "e" + "\u0301" * 50 + "\U0001f469\u200d\U0001f4bb" + "\u4f60" * 300 + "z" * 3000
)
"""Text that would harm a terminal if it were obeyed."""


def hostile() -> FakeSession:
    """Return a session in which every field that others fill in is hostile."""
    session = FakeSession()
    session.server = "chat.lan"
    conversations = session.all
    conversations.set_presence("Mallory", UserPresence(HOSTILE, MORNING))
    room = conversations.open("#" + HOSTILE)
    room.topic, room.role, room.access, room.members = HOSTILE, HOSTILE, HOSTILE, 1 << 70
    peer = "#" + HOSTILE
    each: dict[str, Any] = {"peer": peer, "sender": HOSTILE}
    put(
        conversations,
        message(HOSTILE, 1, peer=HOSTILE, ident="m1"),
        message("", 2, **each, event=RoomNotice("changed", topic=HOSTILE, access=HOSTILE)),
        message("", 3, **each, event=RoomNotice(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE)),
        message("", 4, **each, event=RoomNotice("appointed", HOSTILE, HOSTILE)),
        message("hi", 5, **each, ident=HOSTILE, reactions={HOSTILE: [HOSTILE] * 9, "ok": ["bob"]}),
        message("", 6, **each, file=Attachment("k", HOSTILE, 1 << 80, HOSTILE), transfer=TransferProgress(1 << 80, 3)),
        message(HOSTILE, 7, peer=peer, outgoing=True, ident="m7", state=State.FAILED, reason=HOSTILE),
        message("yes", 8, **each, reply_to=(HOSTILE, HOSTILE)),
        message("well", 9, peer=peer, outgoing=True, ident="m9", have=1 << 70, of=1 << 71),
    )
    conversations.set_typing(room, HOSTILE, True)
    session.its_members = [MemberListing(HOSTILE, HOSTILE, None, UserPresence(HOSTILE, None)) for _ in range(300)]
    session.its_rooms = [
        RoomListing(HOSTILE, HOSTILE, HOSTILE, -1, HOSTILE, True),
        RoomListing(HOSTILE, "", "none", 1, HOSTILE, False),
    ]
    session.its_receipts = [RecipientState(HOSTILE, State.READ) for _ in range(300)]
    found = SearchHit(room, message(HOSTILE, 10, **each))
    session.found = [SearchResults([found, found], 1)]
    return session


def segments(person: AppUser) -> list[Segment]:
    return [segment for strip in person.strips for segment in strip]


def is_unharmed(person: AppUser, width: int) -> None:
    """Check that the screen has only visible text, and only the styles of the app."""
    for strip in person.strips:
        assert strip.cell_length == width
        assert obeyed(strip.text) == set()
    for segment in segments(person):
        assert segment.style is None or not (segment.style.blink or segment.style.link)
        assert segment.style is None or "@click" not in segment.style.meta


@pytest.mark.parametrize("width", [80, 40, 120])
async def test_hostile_fields_stay_within_their_place(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    async with showing(hostile(), width, 40) as alice:

        async def shows(*keys: str, text: str = "") -> None:
            await alice.press(*keys)
            if text:
                await alice.sees(text)
            is_unharmed(alice, width)

        await alice.press("ctrl+end")
        await alice.sees("yes", "well")
        is_unharmed(alice, width)
        if width > 72:
            border = alice.app.screen.query_one(Sidebar).size.width
            assert {line[border] for line in alice.screen.splitlines()[:-1]} == {"\u2502"}
        await shows("f4")
        await shows("f4")
        await shows("ctrl+t", text="Loaded")
        await shows("ctrl+t")
        await shows("alt+m", text="Members")
        await shows("escape", "f6", text="Rooms")
        await shows("escape", "alt+t", text="Topic")
        await shows("escape", "ctrl+k", text="Go to")
        await shows("escape", "ctrl+f", text="Search")
        await shows("x", "enter", text="2 found")
        await shows("escape", "escape", "escape", "i", text="Receipts")
        await shows("escape", "up", "r", text="Replying to")
        await shows("escape", "escape", "escape", "up", "up", "d", text="Delete this")
        await shows("escape", "up", "s", text="already being")
        await shows("escape", "escape", "escape", "up", "up", "up", "up", "v")
        await shows("escape", "plus", text="React")
        await shows("escape", "alt+o", text="Report")
        alice.session.on_refusal(HOSTILE)
        await shows("escape", "escape", text="owned")
        assert opened == []


@pytest.mark.parametrize("theme", ["terminal", "dark", "light"])
async def test_themes_use_their_own_colours(theme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")
    session = FakeSession()
    session.all.set_presence("bob", UserPresence("here", None))
    put(
        session.all,
        message("@alice see https://a.example", 1, ident="m1", reactions={"ok": ["alice"]}),
        message("yes", 2, outgoing=True, ident="m2", state=State.READ, reply_to=("bob", "m1")),
    )
    async with showing(session, 120, 30, theme) as alice:
        await alice.press("ctrl+t", "escape", "escape")
        await alice.sees("\u250c bob", "Conversation")
        styles = [segment.style for segment in segments(alice) if segment.style is not None]
        colours = {each.number for style in styles for each in (style.color, style.bgcolor) if each is not None}
        if theme == "terminal":
            assert all(number is None or number < 16 for number in colours)
            others = {each.color.name for each in styles if each.color and each.color.triplet is not None}
            assert others == {ON_ANY[colour_of("alice")], ON_ANY[colour_of("bob")]}
        backgrounds = [style.bgcolor.triplet for style in styles if style.bgcolor and style.bgcolor.triplet]
        bright = [sum(each) > 3 * 128 for each in backgrounds]
        assert all(bright) if theme == "light" else not any(bright) or theme == "terminal"


def styles_of(person: AppUser, text: str) -> list[Style]:
    """Return the styles in which a text stands on the screen as a piece of its own."""
    return [each.style for each in segments(person) if each.text.strip() == text and each.style is not None]


@pytest.mark.parametrize(("theme", "colours"), [("terminal", ON_ANY), ("dark", ON_DARK), ("light", ON_LIGHT)])
async def test_every_name_has_its_own_colour(
    theme: str, colours: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")
    session = FakeSession()
    put(
        session.all,
        message("hello", 1, peer="#team", sender="bob", ident="m1"),
        message("hello @bob, @alice", 2, peer="#team", sender="carol", ident="m2", reply_to=("bob", "m1")),
        message("hello all", 3, peer="#team", outgoing=True),
    )
    async with showing(session, 80, 24, theme) as alice:
        await alice.sees("hello all")
        for name in ("alice", "bob", "carol", "@bob"):
            expected = colours[colour_of(name.removeprefix("@"))]
            found = [style.color.name for style in styles_of(alice, name) if style.color]
            assert set(found) == {expected}, name
        assert len(styles_of(alice, "bob")) == 2  # above the message, and in the quote
        assert [style.color.name for style in styles_of(alice, "@alice") if style.color] != [colours[1]]


async def test_display_names_and_status_texts_stand_beside_names_and_doubtful_ones_are_marked() -> None:
    session = FakeSession()
    put(session.all, message("hello", 1, peer="mallory", sender="mallory", ident="m1"))
    put(session.all, message("hi", 2, ident="m2"))
    async with showing(session, 120, 24) as alice:
        await alice.sees("bob  09:30", "hi")
        session.all.set_profile("bob", UserProfile("Bob Miller", "back at noon"))
        await alice.sees("bob  Bob Miller  09:30", "bob  Bob Miller \u00b7 back at noon", "bob Bob Miller ")
        session.all.set_profile("mallory", UserProfile("bob  MILLER", ""))
        await alice.sees("bob  Bob Miller  not mallory  09:30", "mallory ? bob M\u2026")
        session.all.set_profile("mallory", UserProfile("\u0430lice", ""))
        await alice.sees("bob  Bob Miller  09:30", "mallory ? \u0430lice")
        await alice.press("ctrl+t")
        await alice.sees("Display  Bob Miller", "Says     back at noon")
        session.all.set_profile("bob", UserProfile(HOSTILE, HOSTILE))
        session.all.set_profile("mallory", UserProfile(HOSTILE, HOSTILE))
        await alice.sees("looks like mallory,", "owned")
        is_unharmed(alice, 120)


async def test_marks_are_hidden_and_show_their_effect_unless_the_user_turned_that_off() -> None:
    text = "*now* or _never_: `make`\n> she said\n```\nx = *y*\n```\n**end**"
    for formatting in (True, False):
        session = FakeSession()
        put(session.all, message(text, 1, ident="m1"))
        async with showing(session, 80, 24, formatting=formatting) as alice:
            await alice.sees("**end**")
            lines = [line[26:].rstrip() for line in alice.screen.splitlines() if line[26:].strip()]
            at = next(index for index, line in enumerate(lines) if "or" in line and "never" in line)
            if formatting:
                assert lines[at : at + 4] == ["now or never: make", "\u258e she said", "\u2502 x = *y*", "**end**"]
                assert [style.bold for style in styles_of(alice, "now")] == [True]
                assert [style.italic for style in styles_of(alice, "never")] == [True]
            else:
                assert lines[at : at + 6] == text.split("\n")
            await alice.press("escape", "escape", "v")
            await alice.sees("*now* or _never_")


@pytest.mark.parametrize(
    ("state", "sign"), [("here", "\u25cf"), ("away", "\u25d0"), ("gone", "\u25cb"), ("elsewhere", " ")]
)
async def test_presence_is_readable_without_colours(state: str, sign: str) -> None:
    session = FakeSession()
    put(session.all, message("hi", 1))
    session.all.set_presence("bob", UserPresence(state, None))
    async with showing(session) as alice:
        await alice.sees(f"\u258c{sign} bob", state)


async def test_the_list_shows_unread_muted_typing_and_drafts() -> None:
    session = FakeSession()
    put(session.all, message("hi", 1, peer="carol"), message("hi", 2, peer="dave"), message("hi", 3, peer="erin"))
    put(session.all, message("hi", 4))
    session.all.open("carol").muted = True
    session.all.open("dave").draft = "well"
    session.all.set_typing(session.all.open("erin"), "erin", True)
    async with showing(session) as alice:
        await alice.sees("Message to bob")
        lines = {line[3:8].strip(): line[:23].split() for line in alice.screen.splitlines()}
        assert lines["carol"] == ["carol", "1"]
        assert lines["dave"] == ["dave", "\u270e", "1"]
        assert lines["erin"] == ["erin", "\u2026", "1"]
        (carol,) = [each for each in segments(alice) if each.text.strip() == "carol"]
        assert carol.style is not None
        assert carol.style.dim


async def test_the_empty_screen_explains_how_to_start() -> None:
    async with showing(FakeSession()) as alice:
        await alice.sees("No conversations yet.", "Ctrl+K", "F6 lists rooms, F7 creates one.")
    async with showing(FakeSession(), 40, 20) as alice:
        await alice.sees("No conversations yet.", "F6 lists rooms")


@pytest.mark.parametrize(("width", "height"), [(40, 20), (80, 24), (20, 6), (1, 1)])
async def test_dialogs_fit_every_terminal(width: int, height: int) -> None:
    session = FakeSession()
    put(session.all, message("", 1, peer="#team", outgoing=True, event=RoomNotice("created")))
    session.its_rooms = [
        RoomListing(f"#room{count}", "public", "none", count, "what " * 20, False) for count in range(300)
    ]
    session.found = [
        SearchResults([SearchHit(session.all.open("#team"), message("found " * 50)) for _ in range(100)], None)
    ]
    async with showing(session, width, height) as alice:
        for keys in (["f6"], ["f7"], ["ctrl+k"], ["ctrl+o"], ["alt+s"], ["f1"], ["alt+t"], ["ctrl+f", "x", "enter"]):
            await alice.press(*keys)
            assert len(alice.screen.splitlines()) <= height
            await alice.press("escape")
        if width >= 40:
            await alice.press("f6")
            await alice.sees("Rooms", "#room0", "#room1")


async def test_a_conversation_is_loaded_while_the_server_is_slow_to_answer_for_another() -> None:
    class SlowSession(FakeSession):
        async def load_older(self, conversation: LocalConversation) -> None:
            self._note("older", conversation.name)
            await asyncio.Event().wait()

    session = SlowSession()
    for name in ("bob", "carol"):
        session.all.open(name)
    async with showing(session) as alice:
        for name in ("bob", "carol"):
            await alice.opens(name)
        await alice.finds(lambda: {("older", "bob"), ("older", "carol")} <= set(session.asked))
