"""What a member does from a shell: log in, send, listen, look back."""

import asyncio
import contextlib
import itertools
import json
import platform
import re
import sys
from collections.abc import AsyncGenerator
from datetime import datetime
from pathlib import Path
from typing import Any

from twotick.client import (
    ConnectionLost,
    FileInfo,
    FileMismatch,
    MemberClient,
    MemberMessage,
    MemberReceipt,
    NotAuthenticated,
    RequestRefused,
    State,
    TwotickError,
    join,
)
from twotick.client.trust import tokens
from twotick.client.trust.known_servers import Verdict
from twotick.client.trust.tokens import Credential
from twotick.ui.blocked import Blocked
from twotick.ui.describing import body_as_json, details_as_json, line_of
from twotick.ui.errors import CannotSave, NotYet
from twotick.ui.listen import Handler
from twotick.ui.saving import progress, save
from twotick.ui.streams import complain
from twotick.ui.text import accepted_line, console, delivered_line, progress_line, read_line, visible

_PAGE = 1000
"""Messages that are asked for at once."""

_FOUND = 100
"""Messages that are searched for at once."""

_LISTEN = "listen"
"""What is added to the device's name, so that listening and chatting do not take each other's place (rule 10.7)."""


_TICKS = {
    State.QUEUED: "",
    State.ACCEPTED: "\u2713",
    State.DELIVERED: "\u2713\u2713",
    State.READ: "\u2713\u2713 read",
    State.FAILED: "\u2717",
}


@contextlib.asynccontextmanager
async def connected(
    who: Credential, *, device: str | None = None, send_only: bool = False
) -> AsyncGenerator[MemberClient, None]:
    """Be a member with the token of a login; says so when the connection is lost and when it is back."""
    away = False

    def tell(problem: TwotickError | None) -> None:
        nonlocal away
        if problem is not None and not away:
            complain(f"{problem}: trying again")
        elif problem is None and away:
            complain("connected again")
        away = problem is not None

    async with join(
        who.name, who.server, token=who.token, device=device, send_only=send_only, on_connection=tell
    ) as me:
        for line in _about_trust(me):
            complain(line)
        yield me


def _about_trust(me: MemberClient) -> list[str]:
    """What a person should know of how the server is trusted, in lines."""
    trust = me.trust
    if trust is None:
        return []
    new = f"{trust.server} is new here; its certificate is {trust.fingerprint}, which is remembered from now on"
    return [line for line in (new if trust.verdict is Verdict.FIRST_USE else "", trust.warning) if line]


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
        trust = _about_trust(me)
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


async def send(
    who: Credential,
    recipient: str,
    body: bytes,
    *,
    file: Path | None,
    until: State,
    wait: float,
    expires: float | None,
) -> None:
    """Send one message, and wait for what becomes of it.

    Args:
        who: as whom.
        recipient: a user's name, a room's, or `ALL`.
        body: the message.
        file: a file that goes with it.
        until: what to wait for.
        wait: for how many seconds, once it is stored.
        expires: seconds after which nobody wants it any more.

    Raises:
        NotDelivered: it was refused.
        NotYet: it is stored, but what was waited for has not happened.
        CannotSave: the file cannot be read.
        TwotickError: it is not stored.
        ValueError: nobody can tell that.
    """
    if recipient.startswith("#") and until is State.READ:
        raise ValueError("of a message to a room, nobody is told that it was read: wait until it is delivered")
    # A device of its own, so that this one's other programs get a copy (rule 11.3).
    async with connected(who, device=f"{who.device}/send", send_only=True) as me:
        info = None if file is None else await upload(me, file)
        receipt = await me.send(recipient, body, expires=expires, file=info)
        try:
            async with asyncio.timeout(wait):
                if until >= State.DELIVERED:
                    await _delivered(receipt)
                if until >= State.READ:
                    await receipt.read()
        except (TimeoutError, ConnectionLost) as error:
            console().print(accepted_line(recipient))
            why = f"within {wait:g} s" if isinstance(error, TimeoutError) else f"as far as is known: {error}"
            raise NotYet(f"stored, but not {until.name.lower()} {why}") from None
    line = {State.READ: read_line, State.DELIVERED: delivered_line}.get(receipt.state)
    console().print(accepted_line(recipient) if line is None else line(recipient, receipt.seconds))


async def _delivered(receipt: MemberReceipt) -> None:
    """Wait until all recipients have a message, and say how many do."""
    async for have, of in receipt.progress():
        if 0 < have < of:
            console().print(progress_line(have, of))
            sys.stdout.flush()
    await receipt.delivered()


async def upload(me: MemberClient, file: Path) -> FileInfo:
    """Bring a file to the server, showing how far it has come.

    Raises:
        CannotSave: it cannot be read.
        TwotickError: the server does not take it, or it has changed meanwhile.
    """
    try:
        with progress(file.name) as tell:
            return await me.upload(file, progress=tell)
    except OSError as error:
        raise CannotSave(f"cannot read {visible(str(file), keep='')}: {error.strerror}") from error


async def listen(who: Credential, handle: Handler, *, count: int | None, folder: Path | None) -> None:
    """Take messages and answer each when it was handled; what comes while nobody listens is kept.

    Args:
        who: who listens.
        handle: what to do with each.
        count: after how many messages to leave; None for never.
        folder: where to put files that come; None to leave them on the server.

    Raises:
        CannotSave: a file cannot be put there; its message comes again.
        TwotickError: it cannot go on.
        OSError: standard output is gone; the sender of the message that was not written is told so.
    """
    async with connected(who, device=f"{who.device}/{_LISTEN}") as me:
        blocked = await Blocked.by(me)
        left = itertools.count() if count is None else range(count)
        for _ in left:
            message = await _next_news(me, blocked)
            saved = None if folder is None or message.file is None else await _fetch(me, message.file, folder)
            try:
                done = await handle(message, saved)
            except OSError:
                await message.reject()
                raise
            await (message.ack() if done else message.reject())


async def _next_news(me: MemberClient, blocked: Blocked) -> MemberMessage:
    """Wait for what others say, and is to be shown; all before it is acknowledged."""
    async with contextlib.aclosing(me.entries()) as entries:
        async for entry in entries:
            if isinstance(entry, MemberMessage):
                blocked.heed(entry)
                if entry.is_news and not entry.outgoing and not blocked.hides(entry):
                    return entry
    raise ConnectionLost("the connection was closed")


async def _fetch(me: MemberClient, file: FileInfo, folder: Path) -> Path | None:
    """Save a file; None if it cannot be had."""
    try:
        with progress(file.name) as tell:
            return await save(me, file, folder, tell)
    except (RequestRefused, FileMismatch) as error:
        complain(f"the file {visible(file.name, keep='')} is not to be had: {visible(str(error), keep='')}")
        return None


async def show_history(who: Credential, peer: str | None, *, since: datetime | None, limit: int, as_json: bool) -> None:
    """Print the last messages, oldest first."""
    async with asking(who) as me:
        messages = await me.history(peer, limit=limit, since=since)
    for message in messages:
        _print_message(message, as_json)


async def search(who: Credential, query: str, *, peer: str | None, limit: int, as_json: bool) -> None:
    """Print the messages that hold all of these words, newest first."""
    async with asking(who) as me:
        before: int | None = None
        while limit > 0:
            found = await me.search(query, peer=peer, limit=min(limit, _FOUND), before=before)
            for message in found.messages:
                _print_message(message, as_json)
            limit -= len(found.messages)
            before = found.before
            if before is None:
                break


async def export(who: Credential) -> None:
    """Print all messages of the member's log as JSON lines, oldest first."""
    async with asking(who) as me:
        # Backwards to find where the pages begin, and then forwards, so that no more than a page is held.
        starts: list[int | None] = [None]
        while page := await me.history(before=starts[-1], limit=_PAGE):
            starts.append(page[0].seq)
        for start in reversed(starts[:-1]):
            for message in await me.history(before=start, limit=_PAGE):
                _print_message(message, True)
    sys.stdout.flush()


@contextlib.asynccontextmanager
async def asking(who: Credential) -> AsyncGenerator[MemberClient, None]:
    """A connection to ask something on, which leaves no device behind."""
    device = f"{who.device}/asking"
    async with connected(who, device=device) as me:
        yield me
        await me.revoke(device)


def _print_message(message: MemberMessage, as_json: bool) -> None:
    if as_json:
        print(json.dumps(_as_json(message)))
        return
    time = message.time.astimezone().strftime("%Y-%m-%d %H:%M") if message.time else "?"
    ticks = f" {_TICKS[message.state or State.ACCEPTED]}" if message.outgoing else ""
    console().print(line_of(message, prefix=f"{time} ", suffix=ticks))


def _as_json(message: MemberMessage) -> dict[str, Any]:
    line: dict[str, Any] = {
        "seq": message.seq,
        "time": message.time.isoformat() if message.time else None,
        "from": message.sender,
        "to": message.recipient,
        "id": message.id,
    }
    if message.state is not None:
        line["state"] = message.state.name.lower()
    return {**line, **details_as_json(message), **body_as_json(message.body)}
