"""Sending and listening as a member."""

import asyncio
import contextlib
import itertools
import sys
from pathlib import Path

from twotick.client import (
    ConnectionLost,
    FileInfo,
    FileMismatch,
    MemberClient,
    MemberMessage,
    MemberReceipt,
    RequestRefused,
    State,
)
from twotick.client.trust.tokens import Credential
from twotick.ui.shell.blocked import Blocked
from twotick.ui.shell.connection import connected
from twotick.ui.shell.errors import CannotSave, NotYet
from twotick.ui.shell.listen import Handler
from twotick.ui.shell.saving import progress, save
from twotick.ui.shell.streams import complain
from twotick.ui.text import accepted_line, console, delivered_line, progress_line, read_line, visible

_LISTEN = "listen"
"""What is added to the device's name, so that listening and chatting do not take each other's place (rule 10.7)."""


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
