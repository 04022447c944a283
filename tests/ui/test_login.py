"""Logins on several machines, and logins that cannot be kept."""

import contextlib
import errno
import os
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import platformdirs
import pytest

from tests.client.members import chatting
from tests.client.test_tokens import FakeKeyring
from twotick.client import NotAuthenticated, join
from twotick.client.trust import private_files, tokens
from twotick.client.trust.tokens import CredentialError
from twotick.ui.shell.login import new_login

PASSWORD = "correct horse"


@pytest.fixture
def use_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Change to the home folder of another machine."""
    monkeypatch.setenv("TWOTICK_KEYRING", "no")

    def use(name: str) -> None:
        def folder(_: str) -> Path:
            return tmp_path / name

        monkeypatch.setattr(platformdirs, "user_config_path", folder)

    use("here")
    return use


@contextlib.asynccontextmanager
async def signed_up() -> AsyncGenerator[str]:
    """Run a server on which alice is a member who is logged in here."""
    async with chatting() as chat:
        await new_login("alice", chat.address, password=PASSWORD, device=None, sign_up="yes")
        yield chat.address


async def log_in(address: str, device: str | None = None) -> str:
    """Log in as alice, and return the device."""
    return (await new_login("alice", address, password=PASSWORD, device=device, sign_up=None)).device


async def devices(address: str) -> set[str]:
    """Return alice's devices, as the one that is logged in here is told them."""
    credential = tokens.load(address, "alice")
    assert credential is not None
    async with join("alice", address, token=credential.token, device=f"{credential.device}/look") as me:
        found = {each.device for each in await me.devices()}
        await me.revoke(f"{credential.device}/look")
    return found - {f"{credential.device}/look"}


async def works(address: str) -> bool:
    """Whether the token that is kept here works."""
    with contextlib.suppress(NotAuthenticated):
        await devices(address)
        return True
    return False


async def test_two_machines_with_one_host_name_are_two_devices(use_home: Callable[[str], None]) -> None:
    async with signed_up() as address:
        use_home("there")
        await log_in(address)
        assert len(await devices(address)) == 2
        use_home("here")
        assert await works(address)


async def test_a_login_that_works_stays(use_home: Callable[[str], None]) -> None:
    """It keeps its device, and so its place in the log."""
    async with signed_up() as address:
        before = tokens.load(address, "alice")
        assert before is not None
        assert await log_in(address) == before.device
        assert await log_in(address, before.device) == before.device
        assert tokens.load(address, "alice") == before
        assert await devices(address) == {before.device}


async def test_a_login_that_was_revoked_is_replaced(use_home: Callable[[str], None]) -> None:
    async with signed_up() as address:
        before = tokens.load(address, "alice")
        assert before is not None
        async with join("alice", address, token=before.token) as me:
            await me.revoke(before.device)
        assert not await works(address)
        assert await log_in(address) == before.device, "the name of the host is free again"
        assert tokens.load(address, "alice") != before
        assert await works(address)


async def test_a_device_can_be_named(use_home: Callable[[str], None]) -> None:
    async with signed_up() as address:
        assert await log_in(address, "laptop") == "laptop"
        assert "laptop" in await devices(address)


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def fail_to_log_in(
    monkeypatch: pytest.MonkeyPatch, function: str, address: str, device: str | None = None
) -> None:
    """Log in as alice while one of the functions that write files finds the disk full."""
    with monkeypatch.context() as patch:
        patch.setattr(private_files, function, full)
        with pytest.raises(CredentialError, match="No space left"):
            await log_in(address, device)


@pytest.mark.parametrize("named", [False, True])
async def test_a_login_that_cannot_be_kept_changes_nothing(
    use_home: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, named: bool
) -> None:
    """The token that worked goes on working."""
    async with signed_up() as address:
        kept = tokens.load(address, "alice")
        assert kept is not None
        await fail_to_log_in(monkeypatch, "replace", address, kept.device if named else None)
        assert tokens.load(address, "alice") == kept
        assert await devices(address) == {kept.device}


async def test_a_login_that_cannot_be_kept_takes_no_device_from_another_machine(
    use_home: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even one that is named: the disk is looked at first."""
    async with signed_up() as address:
        kept = tokens.load(address, "alice")
        assert kept is not None
        use_home("there")
        await fail_to_log_in(monkeypatch, "rehearse", address, kept.device)
        use_home("here")
        assert await devices(address) == {kept.device}


async def test_a_new_device_that_cannot_be_kept_is_none(
    use_home: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk may become full between the check and the login."""
    async with signed_up() as address:
        use_home("there")
        await fail_to_log_in(monkeypatch, "replace", address)
        assert tokens.load(address, "alice") is None
        use_home("here")
        assert len(await devices(address)) == 1


async def test_a_token_in_the_keyring_stays_if_the_login_cannot_be_kept(
    use_home: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeKeyring()
    monkeypatch.setattr(tokens, "_keyring", lambda: fake)
    tokens.save("chat.example", "alice", "laptop", "tt_old")
    before = dict(fake.kept)
    monkeypatch.setattr(private_files, "replace", full)
    with pytest.raises(CredentialError, match="No space left"):
        tokens.save("chat.example", "alice", "laptop-2", "tt_new")
    assert fake.kept == before


@pytest.mark.parametrize("size", [0, 100])
def test_a_rehearsal_leaves_nothing(tmp_path: Path, size: int) -> None:
    file = tmp_path / "file"
    if size:
        file.write_text("x" * size)
    before = {each.name: each.read_bytes() for each in tmp_path.iterdir()}
    private_files.rehearse(file, 10)
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == before
