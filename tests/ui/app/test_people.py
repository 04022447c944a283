"""Users on all screens of the app: the display name stands beside the name, and a doubtful one is marked."""

import re
from pathlib import Path

from tests.ui.app.examples import MORNING, message, put
from tests.ui.app.fake_session import FakeSession, showing
from tests.ui.app.users import AppUser
from twotick.client import State
from twotick.client.member.results import RecipientState
from twotick.ui.app.model.messages import RoomNotice
from twotick.ui.app.model.rooms import MemberListing
from twotick.ui.app.session.base import SearchHit, SearchResults
from twotick.ui.known_names import folder_of, known_names
from twotick.ui.people import UserProfile


def _session() -> FakeSession:
    session = FakeSession()
    put(session.all, message("psst", 1, peer="mallory", sender="mallory", ident="m1"), message("hi", 2, ident="b1"))
    room = session.all.open("#team")
    room.role, room.members = "owner", 3
    put(
        session.all,
        message("oats", 3, peer="#team", sender="mallory", ident="t1", reactions={"+": ["bob"]}),
        message("wild oats", 4, peer="#team", outgoing=True, ident="t2", have=1, of=2),
    )
    session.all.set_profile("bob", UserProfile("Bob Miller"))
    session.all.set_profile("mallory", UserProfile("\u0410lice"))
    session.its_members = [
        MemberListing(name, role, MORNING, None)
        for name, role in (("alice", "owner"), ("bob", "moderator"), ("mallory", "member"))
    ]
    session.its_receipts = [RecipientState("bob", State.READ), RecipientState("mallory", State.ACCEPTED)]
    return session


async def _lists_both(user: AppUser, *others: str) -> None:
    """Wait until both users are on the screen as they are written."""
    await user.finds(lambda: _written(user.screen))
    await user.sees(*others)


def _written(screen: str) -> bool:
    lines = [" ".join(line.split()) for line in screen.splitlines()]
    bob = any(re.search("bob (moderator )?Bob Miller", line) for line in lines)
    return bob and any(re.search("mallory (member )?\u0410lice not alice", line) for line in lines)


async def test_every_list_of_users_shows_display_names_and_marks_doubtful_ones() -> None:
    session = _session()
    async with showing(session, 120, 30) as alice:
        for key, title in (("ctrl+k", "Go to"), ("alt+m", "Members"), ("alt+i", "Invite to #team")):
            await alice.press(key)
            await _lists_both(alice, title)
            await alice.press("escape")
            await alice.sees_no(title)
        await alice.press("escape", "escape", "f")
        await _lists_both(alice, "Forward to")
        await alice.press("escape", "i")
        await _lists_both(alice, "Receipts")
        await alice.press("escape", "escape", "ctrl+t")
        await alice.sees("bob  moderator  Bob Miller", "mallory  member", "not alice")


async def test_no_display_name_can_be_taken_for_a_role() -> None:
    session = _session()
    session.all.set_profile("mallory", UserProfile("owner"))
    async with showing(session, 80, 24) as alice:
        await alice.press("alt+m")
        await alice.finds(lambda: re.search(r"mallory +member +owner", alice.screen) is not None)


async def test_a_user_is_found_by_the_display_name() -> None:
    async with showing(_session(), 80, 24) as alice:
        await alice.press("ctrl+k")
        await alice.type("mill", "enter")
        await alice.sees("Message to bob")


async def test_a_warning_is_seen_beside_a_long_display_name_and_on_a_small_screen() -> None:
    session = _session()
    session.all.set_profile("bob", UserProfile("Bob " * 30))
    session.all.set_profile("mallory", UserProfile("bob " * 30))
    async with showing(session, 40, 20) as alice:
        await alice.press("ctrl+k")
        await alice.sees("mallory", "not bob")
        assert all(len(line) <= 40 for line in alice.screen.splitlines())


async def test_questions_about_a_user_say_who_that_is() -> None:
    session = _session()
    async with showing(session, 100, 30) as alice:
        for typed, said in (
            ("/remove mallory", "mallory (\u0410lice, not alice), from #team"),
            ("/appoint mallory", "Role of mallory (\u0410lice, not alice)"),
        ):
            await alice.type(typed, "enter")
            await alice.sees(said)
            await alice.press("escape")
            await alice.sees_no(said)
        await alice.press("escape", "escape", "up", "alt+o")
        await alice.sees("Report mallory (\u0410lice, not alice)")
        await alice.press("escape", "escape")
        await alice.type("/invite bob", "enter")
        await alice.sees("bob (Bob Miller) is invited to #team.")


async def test_an_invitation_an_answer_a_search_and_pinned_messages_say_who_it_is() -> None:
    session = _session()
    invited = message("", 9, peer="mallory", sender="mallory", event=RoomNotice("invited", "alice", room="#cellar"))
    put(session.all, invited)
    room = session.all.open("#team")
    session.found.append(SearchResults([SearchHit(room, room.messages[0])], None))
    session.its_past = room.messages[:1]
    async with showing(session, 100, 30) as alice:
        await alice.talks_to("mallory")
        await alice.sees("mallory (\u0410lice, not alice) invites you to #cellar")
        session.all.set_profile("mallory", UserProfile("Mal"))
        await alice.sees("mallory (Mal) invites you to #cellar")
        session.all.set_profile("mallory", UserProfile("\u0410lice"))
        await alice.talks_to("#team")
        await alice.press("escape", "escape", "up", "r")
        await alice.sees("Replying to mallory (\u0410lice, not alice):")
        await alice.press("escape")
        await alice.type("/pins", "enter")
        await alice.sees("mallory (\u0410lice, not alice): oats")
        await alice.press("escape")
        await alice.type("/search oats", "enter")
        await alice.sees("#team  mallory (\u0410lice, not alice)")


async def test_the_app_keeps_names_for_completion_in_a_shell(tmp_path: Path) -> None:
    async with showing(_session(), 80, 24, folder=tmp_path) as alice:
        await alice.sees("Message to")
    assert known_names(folder_of("alice", "chat.lan", tmp_path)) == ["#team", "bob", "mallory"]
