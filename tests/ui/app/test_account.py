"""The own account in the app: signing in, devices and the password."""

from pathlib import Path

import platformdirs
import pytest

from tests.client.members import chatting
from tests.ui.app.users import AppUser, app_user
from twotick.client import NotAuthenticated, join
from twotick.client.trust import tokens
from twotick.server.awaiting import stored_answer
from twotick.store import SetEmail
from twotick.ui.app.app import AppOptions
from twotick.ui.shell.login import new_login

PASSWORD = "correct horse"


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A home without logins."""

    def folder(_: str) -> Path:
        return tmp_path / "config"

    monkeypatch.setenv("TWOTICK_KEYRING", "no")
    monkeypatch.setattr(platformdirs, "user_config_path", folder)
    return tmp_path


async def signed_up(address: str, folder: Path, device: str = "laptop") -> AppOptions:
    """Let alice sign up, and log in on a device; return the options of the app there."""
    await new_login("alice", address, password=PASSWORD, device=device, sign_up="yes")
    credential = tokens.load(address, "alice")
    assert credential is not None
    return AppOptions(address, "alice", credential, folder=folder)


async def in_the_app(alice: AppUser, address: str) -> None:
    await alice.sees("No conversations yet", f"\u25cf alice@{address}")


async def command(alice: AppUser, title: str) -> None:
    """Choose a command from the palette."""
    await alice.press("ctrl+p")
    await alice.type(title)
    await alice.sees("\u00b7")
    await alice.press("down", "enter")


async def test_devices_are_listed_and_logged_out(home: Path) -> None:
    async with chatting() as chat:
        options = await signed_up(chat.address, home)
        async with join("alice", chat.address, password=PASSWORD, device="main") as other:
            token = await other.new_token("phone")
            async with app_user(options) as alice:
                await in_the_app(alice, chat.address)
                await command(alice, "Devices")
                await alice.sees("laptop", "this device", "main", "phone")
                await alice.type("pho", "enter")
                await alice.sees("Log out phone?", "It can no longer read or send as you.")
                await alice.press("right", "enter")
                await alice.sees("phone is logged out.")
            assert "phone" not in {each.device for each in await other.devices()}
        with pytest.raises(NotAuthenticated):
            async with join("alice", chat.address, token=token):
                pass


async def test_the_app_closes_if_its_own_device_is_logged_out(home: Path) -> None:
    async with chatting() as chat:
        options = await signed_up(chat.address, home)
        async with app_user(options) as alice:
            await in_the_app(alice, chat.address)
            await command(alice, "Devices")
            await alice.sees("this device")
            await alice.type("laptop", "enter")
            await alice.sees("It is this device: the app closes.")
            await alice.press("right", "enter")
            await alice.finds(lambda: tokens.logins() == [])


async def test_e_mail_about_what_waits_is_ended_and_begun(home: Path) -> None:
    async with chatting() as chat:
        options = await signed_up(chat.address, home)
        async with app_user(options) as alice:
            await in_the_app(alice, chat.address)
            await command(alice, "E-mail")
            await alice.sees("no e-mail address is known of you")
            assert await stored_answer(chat.server.ask, SetEmail(1, "alice@example.org")) is None
            await command(alice, "E-mail")
            await alice.sees("End the e-mail?", "It tells alice@example.org of messages that wait")
            await alice.press("right", "enter")
            await alice.sees("No e-mail comes any more.")
            await command(alice, "E-mail")
            await alice.sees("Get e-mail?")
            await alice.press("right", "enter")
            await alice.sees("E-mail comes when messages wait.")


async def test_the_password_is_changed(home: Path) -> None:
    async with chatting() as chat:
        options = await signed_up(chat.address, home)
        async with app_user(options) as alice:
            await in_the_app(alice, chat.address)
            await command(alice, "Change the password")
            await alice.sees("Old password", "Repeat the new password")
            await alice.type(PASSWORD, "tab")
            await alice.type("better horse", "tab")
            await alice.type("better house", "enter")
            await alice.sees("The two new passwords differ")
            await alice.press("ctrl+u")
            await alice.type("better horse", "enter")
            await alice.sees("The password is changed. Your devices stay logged in.")
            await command(alice, "Change the password")
            await alice.sees("Old password")
            await alice.type("not this one", "tab")
            await alice.type("other horse", "tab")
            await alice.type("other horse", "enter")
            await alice.sees("the old password is wrong")
        async with join("alice", chat.address, password="better horse"):
            pass


async def test_the_form_takes_name_and_server_at_once_and_names_the_device(home: Path) -> None:
    async with chatting() as chat:
        await signed_up(chat.address, home)
        assert tokens.forget(chat.address, "alice")
        async with app_user(AppOptions("127.0.0.1:1", folder=home)) as alice:
            await alice.type(f"alice@{chat.address}", "tab")
            await alice.type(PASSWORD, "tab", "tab")
            await alice.sees("Name of this device")
            await alice.type("desk", "enter")
            await in_the_app(alice, chat.address)
        credential = tokens.load(None, None)
        assert credential is not None
        assert credential.device == "desk"


async def test_in_the_form_a_name_that_is_logged_in_here_is_no_guest(home: Path) -> None:
    async with chatting() as chat:
        await signed_up(chat.address, home)
        async with app_user(AppOptions(chat.address, folder=home)) as alice:
            await alice.type("alice", "enter", "enter")
            await in_the_app(alice, chat.address)
            assert alice.app.session is not None
            assert alice.app.session.is_member


async def test_a_device_that_was_logged_out_asks_for_the_password(home: Path) -> None:
    async with chatting() as chat:
        options = await signed_up(chat.address, home)
        async with join("alice", chat.address, password=PASSWORD, device="main") as other:
            await other.revoke("laptop")
        async with app_user(options) as alice:
            await alice.sees("This device is not logged", "enter your password")
