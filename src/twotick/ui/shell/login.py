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
    """Get a token for this device and remember it.

    Raises:
        TwotickError: the server does not let us in, or the token cannot be kept.
    """
    trust, place = await new_login(name, server, password=password, device=device, sign_up=sign_up)
    for line in trust:
        complain(line)
    console().print(f"You are {name} on {server}, on the device {device}. The token is in {visible(place)}.")


async def new_login(
    name: str, server: str, *, password: str, device: str, sign_up: str | None
) -> tuple[list[str], str]:
    """Get a token for this device and remember it.

    Returns:
        What a person should know of how the server is trusted, in lines; and where the token is, in words.

    Raises:
        TwotickError: the server does not let us in, or the token cannot be kept.
        ValueError: that is no server.
    """
    async with join(name, server, password=password, device=f"{device}/login", sign_up=sign_up) as me:
        trust = about_trust(me)
        token = await me.new_token(device)
        await me.revoke(f"{device}/login")
    return trust, tokens.save(server, name, device, token)


def this_device() -> str:
    """What this machine is called as a device, unless somebody says otherwise."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", platform.node())[:32] or "device"


async def log_out(who: Credential) -> None:
    """Revoke this device's token and forget it.

    Raises:
        TwotickError: the server cannot be told; the token is kept, so that it can be tried again.
    """
    with contextlib.suppress(NotAuthenticated):  # it was revoked from elsewhere
        async with join(who.name, who.server, token=who.token, device=f"{who.device}/logout") as me:
            await me.revoke(who.device)
    tokens.forget(who.server, who.name)
    console().print(f"{who.name} on {who.server} is logged out: the token no longer works.")


async def show_devices(who: Credential, *, revoke: str | None, as_json: bool) -> None:
    """List the member's devices, or revoke one."""
    async with connected(who, device=f"{who.device}/devices") as me:
        if revoke is not None:
            await me.revoke(revoke)
            console().print(f"{visible(revoke)} is revoked: its token no longer works.")
            return
        devices = [device for device in await me.devices() if device.device != f"{who.device}/devices"]
        await me.revoke(f"{who.device}/devices")
    for device in devices:
        seen = device.seen.astimezone().isoformat(timespec="seconds")
        if as_json:
            print(json.dumps({"device": device.device, "connected": device.connected, "seen": seen}))
        else:
            state = "connected" if device.connected else f"last seen {seen}"
            console().print(f"{visible(device.device):<32} {state}")
