"""Sessions of guests, without a screen."""

from pathlib import Path

import pytest

from tests.client.members import chatting
from tests.ui.app.people import guest, person
from tests.ui.app.sessions import running
from twotick.client import TwotickError, connect
from twotick.ui.app.session.guest import GuestSession
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.storage.database import LocalStoreError


async def test_what_was_typed_and_not_sent_is_there_again_and_nothing_else(tmp_path: Path) -> None:
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


async def test_a_guest_who_is_there_already_is_asked_for_another_name() -> None:
    async with chatting() as chat, person(guest(chat.address)) as alice, person(guest(chat.address)) as twin:
        await alice.sees("\u25cf ")
        await twin.sees("already open with this name", "Password")


async def test_what_guests_cannot_do_says_so() -> None:
    session = GuestSession("alice", "127.0.0.1:1", 1 << 20)
    bob = session.open("bob")
    mine = session.send(bob, "hello")
    for impossible in (session.rooms(), session.search("x"), session.set_blocked(bob, True)):
        with pytest.raises(TwotickError, match="guests cannot"):
            await impossible
    with pytest.raises(TwotickError, match="guests cannot"):
        session.edit(mine, "x")
    assert [permission for permission in Permission if session.can(permission, bob, mine)] == [Permission.SEND]
    await session.close()
