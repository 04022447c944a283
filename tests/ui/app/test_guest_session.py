"""Tests of the sessions of guests, without a screen."""

from pathlib import Path

import pytest

from tests.client.members import Proxy, chatting
from tests.ui.app.sessions import running
from tests.ui.app.users import app_user, guest
from twotick.client import TwotickError, connect
from twotick.ui.app.session.guest import GuestSession
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.storage.database import LocalStoreError
from twotick.ui.searching import SearchText


async def test_only_drafts_of_a_guest_are_stored(tmp_path: Path) -> None:
    async with chatting() as chat, connect("bob", chat.address) as bob:
        session = GuestSession("alice", chat.address, 1 << 20, tmp_path)
        async with running(session):
            for name in ("bob", "carol"):
                session.save_draft(session.open(name), f"dear {name}")
            session.send(session.open("bob"), "a secret")
            message = await bob.receive()
            await message.ack()
        assert b"secret" not in b"".join(each.read_bytes() for each in tmp_path.iterdir())
        session = GuestSession("alice", chat.address, 1 << 20, tmp_path)
        assert [(each.name, each.draft) for each in session.conversations] == [("carol", "dear carol")]
        assert session.open("bob").messages == []
        with pytest.raises(LocalStoreError, match="already open with this name"):
            GuestSession("alice", chat.address, 1 << 20, tmp_path)
        await session.close()


async def test_a_second_app_with_the_same_guest_asks_for_another_name() -> None:
    async with chatting() as chat, app_user(guest(chat.address)) as alice, app_user(guest(chat.address)) as twin:
        await alice.sees("\u25cf ")
        await twin.sees("already open with this name", "Password")


async def test_guests_get_an_error_for_what_only_members_can_do() -> None:
    session = GuestSession("alice", "127.0.0.1:1", 1 << 20)
    bob = session.open("bob")
    mine = session.send(bob, "hello")
    for impossible in (session.rooms(), session.search(SearchText("x")), session.set_blocked(bob, True)):
        with pytest.raises(TwotickError, match="guests cannot"):
            await impossible
    with pytest.raises(TwotickError, match="guests cannot"):
        session.edit(mine, "x")
    allowed = {permission for permission in Permission if session.can(permission, bob, mine)}
    assert allowed == {Permission.SEND, Permission.CANCEL}
    await session.close()


async def test_a_guest_comes_back_after_another_program_has_answered_for_a_while() -> None:
    async with chatting() as chat:
        proxy = Proxy(chat.port)
        async with proxy.listening() as at, app_user(guest(at), width=120) as alice:
            await alice.sees("\u25cf alice@")
            proxy.instead = b"HTTP/1.1 503 Service Unavailable\r\n\r\n"
            proxy.cut()
            await alice.sees("trying again", "the server sent something that makes no sense")
            proxy.instead = b""
            await alice.sees("\u25cf alice@")
