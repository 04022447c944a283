"""A member's client changes the password (docs/protocol.md, rule 10.10)."""

import pytest

from tests.client.members import Spoken, chatting, scripted, scripted_join, until
from twotick.client import ConnectionLost, MemberClient, NotAuthenticated, RequestRefused, TooManyRequests, join
from twotick.wire import Verb


async def test_a_member_changes_the_password_and_both_devices_stay() -> None:
    async with chatting() as chat:
        async with join("alice", chat.address, password="a\u0308pfel und birnen", device="laptop", sign_up="yes") as me:
            token = await me.new_token("phone")
            await me.change_password("\u00e4pfel und birnen", "pears and plums")
            assert [each.device for each in await me.devices()] == ["laptop", "phone"]
        async with join("alice", chat.address, password="pears and plums", device="desk"):
            pass
        async with join("alice", chat.address, token=token):
            pass
        with pytest.raises(NotAuthenticated):
            async with join("alice", chat.address, password="\u00e4pfel und birnen", device="desk"):
                pass


async def test_others_are_revoked_on_request() -> None:
    async with chatting() as chat:
        async with join("alice", chat.address, password="apples and pears", device="laptop/a", sign_up="yes") as me:
            token = await me.new_token("phone")
            await me.new_token("laptop")
            await me.change_password("apples and pears", "pears and plums", revoke_others=True)
            assert [each.device for each in await me.devices()] == ["laptop", "laptop/a"]
        with pytest.raises(NotAuthenticated):
            async with join("alice", chat.address, token=token):
                pass


async def _wait_after_wrong_passwords(me: MemberClient) -> float:
    """Try wrong passwords until the server takes none for a time, which may have passed once on a slow machine."""
    while True:
        try:
            await me.change_password("wrong", "long enough")
        except TooManyRequests as error:
            return error.retry_after
        except NotAuthenticated:
            pass


async def test_refusals_leave_the_client_connected() -> None:
    async with (
        chatting() as chat,
        join("alice", chat.address, password="apples and pears", device="laptop", sign_up="yes") as me,
    ):
        with pytest.raises(RequestRefused, match="the new password cannot be used: the password is too short"):
            await me.change_password("apples and pears", "short")
        with pytest.raises(ValueError, match="1025 bytes"):
            await me.change_password("apples and pears", "x" * 1025)
        for _ in range(5):
            with pytest.raises(NotAuthenticated, match="the old password is wrong"):
                await me.change_password("wrong", "long enough")
        assert await _wait_after_wrong_passwords(me) >= 1
        assert me.connected


async def test_a_change_is_not_repeated_on_another_connection() -> None:
    async def break_off(server: Spoken) -> None:
        await server.register()
        await server.expect(Verb.PASSWORD)

    async def serve(server: Spoken) -> None:
        await server.register()
        with pytest.raises(EOFError):
            await server.frame()

    async with scripted(break_off, serve) as address, scripted_join(address) as me:
        with pytest.raises(ConnectionLost, match="may or may not"):
            await me.change_password("apples and pears", "pears and plums")
        await until(lambda: me.connected)
