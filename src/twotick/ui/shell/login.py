"""A member's login and devices."""

import contextlib
import json
import platform
import re
import secrets

from twotick.client import (
    NotAuthenticated,
    join,
)
from twotick.client.trust import tokens
from twotick.client.trust.tokens import Credential, CredentialError
from twotick.ui.shell.connection import about_trust, connected
from twotick.ui.shell.streams import complain
from twotick.ui.text import console, visible

_HOST_LETTERS = 24
"""The most letters of a host name in the name of a device."""

_RANDOM_BYTES = 3
"""The random bytes in the name of a device: two machines with the same host name almost never get the same name."""


async def log_in(name: str, server: str, *, password: str, device: str | None, sign_up: str | None) -> None:
    """Log in with a password, keep a token for this device, and print where it is.

    Raises:
        TwotickError: the server refuses the login, or the token cannot be kept.
        ValueError: the server's address is not valid.
    """
    trust, device, place = await new_login(name, server, password=password, device=device, sign_up=sign_up)
    for line in trust:
        complain(line)
    console().print(
        f"You are logged in as {name} on {server}, on the device {device}. The token is in {visible(place)}."
    )


async def new_login(
    name: str, server: str, *, password: str, device: str | None, sign_up: str | None
) -> tuple[list[str], str, str]:
    """Log in with a password, and keep a token for this device.

    A token that is kept already stays if it works. So a login that cannot be kept, for example because the disk is
    full, leaves the device logged in as before.

    Args:
        name: the member.
        server: `HOST:PORT`.
        password: the member's password.
        device: the name of this device; None for the one that has the token, or for a name that no device has.
        sign_up: an invitation, or any text where sign-up is open; None to log in as an existing member.

    Returns:
        Lines about the server's certificate that the user should read; the device; and where the token is, in words.

    Raises:
        TwotickError: the server refuses the login, or the token cannot be kept.
        ValueError: the server's address is not valid.
    """
    new = _new_device()
    used = f"{device or new}/login"
    async with join(name, server, password=password, device=used, sign_up=sign_up) as me:
        trust = about_trust(me)
        try:
            kept = await _kept(name, server, device)
            if kept is not None:
                return trust, kept.device, tokens.save(server, name, kept.device, kept.token)
            tokens.check_room()  # before the server forgets an older token of the device
            token = await me.new_token(device or new)
            return trust, device or new, tokens.save(server, name, device or new, token)
        except CredentialError:
            used = used if device else new  # a new device whose token is lost is of no use
            raise
        finally:
            await me.revoke(used)


async def _kept(name: str, server: str, device: str | None) -> Credential | None:
    """Return the login that is kept for a member, and for a device if one is named; None if it does not work."""
    try:
        kept = tokens.load(server, name)
    except CredentialError:
        return None  # what cannot be read is as good as lost
    if kept is None or device not in (None, kept.device):
        return None
    try:
        async with join(name, server, token=kept.token, send_only=True):
            return kept
    except NotAuthenticated:
        return None


def _new_device() -> str:
    """Return a name for this machine as a device that no other has: its host name, which another may have, and more."""
    host = re.sub(r"[^A-Za-z0-9._-]", "-", platform.node())[:_HOST_LETTERS] or "device"
    return f"{host}-{secrets.token_hex(_RANDOM_BYTES)}"


async def log_out(who: Credential) -> None:
    """Revoke the token of this device, and delete it.

    Raises:
        TwotickError: the server cannot be told. The token is kept, so that the user can try again.
    """
    with contextlib.suppress(NotAuthenticated):  # another device has revoked it already
        async with join(who.name, who.server, token=who.token, device=f"{who.device}/logout") as me:
            await me.revoke(who.device)
    tokens.forget(who.server, who.name)
    console().print(f"{who.name} is logged out of {who.server}: the token no longer works.")


async def show_devices(who: Credential, *, revoke: str | None, as_json: bool) -> None:
    """Print the member's devices; or revoke one, if `revoke` names it."""
    async with connected(who, device=f"{who.device}/devices") as me:
        if revoke is not None:
            await me.revoke(revoke)
            console().print(f"{visible(revoke, keep='')} is revoked: its token no longer works.")
            return
        devices = [device for device in await me.devices() if device.device != f"{who.device}/devices"]
        await me.revoke(f"{who.device}/devices")
    for device in devices:
        seen = device.seen.astimezone().isoformat(timespec="seconds")
        if as_json:
            print(json.dumps({"device": device.device, "connected": device.connected, "seen": seen}))
        else:
            state = "connected" if device.connected else f"last seen {seen}"
            console().print(f"{visible(device.device, keep=''):<32} {state}")
