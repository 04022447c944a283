"""A member's login and devices."""

import contextlib
import json
import platform
import re

from twotick.client import (
    NotAuthenticated,
    join,
)
from twotick.client.trust import tokens
from twotick.client.trust.tokens import Credential
from twotick.ui.shell.connection import about_trust, connected
from twotick.ui.shell.streams import complain
from twotick.ui.text import console, visible


async def log_in(name: str, server: str, *, password: str, device: str, sign_up: str | None) -> None:
    """Log in with a password, keep a token for this device, and print where it is.

    Raises:
        TwotickError: the server refuses the login, or the token cannot be kept.
        ValueError: the server's address is not valid.
    """
    trust, place = await new_login(name, server, password=password, device=device, sign_up=sign_up)
    for line in trust:
        complain(line)
    console().print(
        f"You are logged in as {name} on {server}, on the device {device}. The token is in {visible(place)}."
    )


async def new_login(
    name: str, server: str, *, password: str, device: str, sign_up: str | None
) -> tuple[list[str], str]:
    """Log in with a password, and keep a token for this device.

    Args:
        name: the member.
        server: `HOST:PORT`.
        password: the member's password.
        device: the name of this device.
        sign_up: an invitation, or any text where sign-up is open; None to log in as an existing member.

    Returns:
        Lines about the server's certificate that the user should read; and where the token is, in words.

    Raises:
        TwotickError: the server refuses the login, or the token cannot be kept.
        ValueError: the server's address is not valid.
    """
    async with join(name, server, password=password, device=f"{device}/login", sign_up=sign_up) as me:
        trust = about_trust(me)
        token = await me.new_token(device)
        await me.revoke(f"{device}/login")
    return trust, tokens.save(server, name, device, token)


def this_device() -> str:
    """Return the default name of this machine as a device: its host name."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", platform.node())[:32] or "device"


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
