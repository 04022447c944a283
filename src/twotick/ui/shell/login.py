"""A member's login and devices."""

import contextlib
import json
import platform
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from twotick.client import DeviceInfo, NotAuthenticated, RequestRefused, join, parse_server
from twotick.client.trust import tokens
from twotick.client.trust.tokens import Credential, CredentialError, Login
from twotick.ui.shell.connection import asking, telling_of_trust
from twotick.ui.shell.streams import complain
from twotick.ui.text import console, visible

_HOST_LETTERS = 24
"""The most letters of a host name in the name of a device."""

_RANDOM_BYTES = 3
"""The random bytes in the name of a device that only logs in: no two programs use the same one."""


async def log_in(name: str, server: str, *, password: str, device: str | None, sign_up: str | None) -> None:
    """Log in with a password, keep a token for this device, and print where it is.

    Raises:
        TwotickError: the server refuses the login, or the token cannot be kept.
        ValueError: the server's address is not valid.
    """
    login = await new_login(name, server, password=password, device=device, sign_up=sign_up, tell=complain)
    console().print(
        f"You are logged in as {name} on {server}, on the device {login.device}."
        f" The token is in {visible(login.place)}."
    )


@dataclass(frozen=True, slots=True)
class NewLogin:
    """A login that was made.

    Attributes:
        device: the name of this device.
        place: where the token is, in words.
    """

    device: str
    place: str


async def new_login(
    name: str,
    server: str,
    *,
    password: str,
    device: str | None,
    sign_up: str | None,
    tell: Callable[[str], None] = complain,
) -> NewLogin:
    """Log in with a password, and keep a token for this device.

    A token that is kept already stays if it works. So a login that cannot be kept, for example because the disk is
    full, leaves the device logged in as before.

    Args:
        name: the member.
        server: the address of the server.
        password: the member's password.
        device: the name of this device; None for the one that has the token, or for a name that no device has: that of
            the host, if it is free. If a device has the name that is given, it is logged out.
        sign_up: an invitation, or any text where sign-up is open; None to log in as an existing member.
        tell: tells the user a line, also if the login fails.

    Raises:
        TwotickError: the server refuses the login, or the token cannot be kept.
        ValueError: the server's address is not valid.
    """
    tokens.check_room()  # before a member signs up, or the server forgets an older token of the device
    used = f"login-{secrets.token_hex(_RANDOM_BYTES)}"  # a device for this connection alone
    async with contextlib.AsyncExitStack() as stack:
        with telling_of_trust(tell) as known:
            joining = join(name, server, password=password, device=used, sign_up=sign_up, known_servers=known)
            try:
                me = await stack.enter_async_context(joining)
            except NotAuthenticated as error:
                raise NotAuthenticated(_why_refused(error)) from error
        try:
            kept = await _kept(name, server, device)
            if kept is not None:
                return NewLogin(kept.device, tokens.save(server, name, kept.device, kept.token))
            taken = {device_of(each.device) for each in await me.devices()}
            new = device or _free_name(taken)
            token = await me.new_token(new)
            try:
                place = tokens.save(server, name, new, token)
            except CredentialError:
                if device is None:
                    await me.revoke(new)  # a new device whose token is lost is of no use
                raise
            if new in taken:
                tell(f"{name} had a device called {new} already: its login has stopped working")
            return NewLogin(new, place)
        finally:
            await me.revoke(used)


def _why_refused(error: NotAuthenticated) -> str:
    """Return what to tell a user whose password the server refuses; it does not say which part is wrong (rule 10.2)."""
    if "token" not in str(error):
        return str(error)
    return "wrong name or password (if you have forgotten the password, the server's operator can set a new one)"


async def _kept(name: str, server: str, device: str | None) -> Credential | None:
    """Return the login that is kept for a member, and for a device if one is named; None if it does not work."""
    try:
        kept = tokens.load(server, name)
    except CredentialError:
        return None  # what cannot be read is as good as lost
    same = kept is not None and parse_server(kept.server).is_same(parse_server(server))
    if kept is None or not same or device not in (None, kept.device):
        return None
    try:
        async with join(name, server, token=kept.token, send_only=True):
            return kept
    except NotAuthenticated:
        return None


def host_name() -> str:
    """Return the name of this machine, as it can be the name of a device."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", platform.node())[:_HOST_LETTERS] or "device"


def _free_name(taken: set[str]) -> str:
    """Return a name for this machine that no device has: `vm`, or else `vm-2`, and so on."""
    host = host_name()
    return next(name for n in count(1) if (name := host if n == 1 else f"{host}-{n}") not in taken)


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


def show_accounts(*, as_json: bool) -> None:
    """Print the accounts that are logged in here; the default one is first."""
    logins = tokens.logins()[::-1]
    for login in logins:
        account, default = f"{login.name}@{login.server}", login is logins[0]
        if as_json:
            print(json.dumps({"account": account, "device": login.device, "default": default}))
        else:
            console().print(f"{'*' if default else ' '} {visible(account, keep=''):<40} device {login.device}")
    if not logins and not as_json:
        console().print("No account is logged in here: run 'twotick login NAME@HOST'.")


def use_account(name: str, server: str | None) -> Login | None:
    """Make an account the default, say so, and return it; None if it is not logged in here.

    Args:
        name: the member.
        server: the server's address; None for the server where the member has logged in last.

    Raises:
        CredentialError: the logins cannot be read or written.
        ValueError: the address is not valid.
    """
    login = tokens.find(server, name)
    if login is not None:
        tokens.choose(login)
        console().print(f"All commands use {login.name}@{login.server} from now on.")
    return login


def device_of(program: str) -> str:
    """Return the name of the device that a program belongs to: `laptop` of `laptop/chat`."""
    return program.partition("/")[0]


def by_device(devices: list[DeviceInfo]) -> dict[str, list[DeviceInfo]]:
    """Return the programs of each device."""
    found: dict[str, list[DeviceInfo]] = {}
    for each in devices:
        found.setdefault(device_of(each.device), []).append(each)
    return found


def has_device(devices: list[DeviceInfo], name: str) -> bool:
    """Return whether one of a member's devices has this name, or is below it."""
    return any(each.device == name or each.device.startswith(f"{name}/") for each in devices)


async def show_devices(who: Credential, *, revoke: str | None, as_json: bool) -> None:
    """Print the member's devices; or revoke one, if `revoke` names it.

    Raises:
        RequestRefused: there is no such device.
        TwotickError: the server refuses the request.
    """
    async with asking(who) as me:
        devices = [device for device in await me.devices() if device.device != me.device]
        if revoke is not None:
            if not has_device(devices, revoke):
                raise RequestRefused(
                    f"{who.name} has no device called {visible(revoke, keep='')}: 'twotick devices' lists them"
                )
            await me.revoke(revoke)
    if revoke is not None:
        here = ""
        if who.device == revoke or who.device.startswith(f"{revoke}/"):
            tokens.forget(who.server, who.name)
            here = " It was this device: log in again to go on."
        console().print(f"{visible(revoke, keep='')} is revoked: its token no longer works.{here}")
        return
    if as_json:
        for each in devices:
            seen, this = each.seen.astimezone().isoformat(timespec="seconds"), each.device == who.device
            print(json.dumps({"device": each.device, "connected": each.connected, "seen": seen, "this": this}))
        return
    for name, parts in by_device(devices).items():
        seen = max(each.seen for each in parts).astimezone().isoformat(timespec="seconds")
        state = "connected" if any(each.connected for each in parts) else f"last seen {seen}"
        here = "  (this device)" if name == device_of(who.device) else ""
        console().print(f"{visible(name, keep=''):<32} {state}{here}")
