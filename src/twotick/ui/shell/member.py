"""Send and listen as a member."""

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
from twotick.ui.shell.connection import connected, patiently
from twotick.ui.shell.errors import CannotSave, NotYet
from twotick.ui.shell.listen import Handler
from twotick.ui.shell.saving import progress, save
from twotick.ui.shell.streams import complain
from twotick.ui.text import accepted_line, console, delivered_line, progress_line, read_line, visible

_LISTEN = "listen"
"""Suffix of the device's name, so that `listen` and `chat` do not replace each other's connection (rule 10.7)."""


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
    """Send one message, and wait for its receipt.

    Args:
        who: the member who sends.
        recipient: a user, a room, or `ALL`.
        body: the message.
        file: a file to attach; None for none.
        until: the state to wait for.
        wait: seconds to wait for that state once the message is stored.
        expires: seconds after which the server drops the message if it is not delivered; None for never.

    Raises:
        NotDelivered: the message was refused.
        NotYet: the message is stored, but has not reached the state.
        CannotSave: the file cannot be read.
        TwotickError: the message was not stored.
        ValueError: there are no read receipts for the recipient.
    """
    if recipient.startswith("#") and until is State.READ:
        raise ValueError("rooms have no read receipts: use --until delivered")
    # A device of its own, so that the other programs on this device get a copy (rule 11.3).
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
            why = (
                f"within {wait:g} s" if isinstance(error, TimeoutError) else f"before the connection was lost: {error}"
            )
            raise NotYet(f"stored, but not {until.name.lower()} {why}") from None
    line = {State.READ: read_line, State.DELIVERED: delivered_line}.get(receipt.state)
    console().print(accepted_line(recipient) if line is None else line(recipient, receipt.seconds))


async def _delivered(receipt: MemberReceipt) -> None:
    """Wait until all recipients have a message; print how many have it so far."""
    async for have, of in receipt.progress():
        if 0 < have < of:
            console().print(progress_line(have, of))
            sys.stdout.flush()
    await receipt.delivered()


async def upload(me: MemberClient, file: Path) -> FileInfo:
    """Upload a file to the server, and show the progress.

    Raises:
        CannotSave: the file cannot be read.
        TwotickError: the server refuses the file, or the file has changed meanwhile.
    """
    try:
        with progress(file.name) as tell:
            return await me.upload(file, progress=tell)
    except OSError as error:
        raise CannotSave(f"cannot read {visible(str(file), keep='')}: {error.strerror}") from error


async def listen(who: Credential, handle: Handler, *, count: int | None, folder: Path | None) -> None:
    """Receive messages, and acknowledge each when it is handled. The server keeps what arrives at other times.

    Args:
        who: the member who listens.
        handle: handles each message.
        count: number of messages after which to return; None for never.
        folder: where to save received files; None to leave them on the server.

    Raises:
        CannotSave: a file cannot be saved there; its message will be sent again.
        TwotickError: the server ends the connection for good.
        OSError: standard output cannot be written; the message was rejected.
    """
    async with connected(who, device=f"{who.device}/{_LISTEN}", patient=True) as me:
        blocked = await patiently(lambda: Blocked.of(me))
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
            await asyncio.sleep(0)  # a listener that is being stopped takes no further message


async def _next_news(me: MemberClient, blocked: Blocked) -> MemberMessage:
    """Return the next message from another user that is to be shown; acknowledge everything before it."""
    async with contextlib.aclosing(me.entries()) as entries:
        async for entry in entries:
            if isinstance(entry, MemberMessage):
                blocked.observe(entry)
                if entry.is_news and not entry.outgoing and not blocked.hides(entry):
                    return entry
    raise ConnectionLost("the connection was closed")


async def _fetch(me: MemberClient, file: FileInfo, folder: Path) -> Path | None:
    """Save a file and return its path; None if the server does not have it any more."""
    try:
        with progress(file.name) as tell:
            return await patiently(lambda: save(me, file, folder, tell))
    except (RequestRefused, FileMismatch) as error:
        complain(f"cannot fetch the file {visible(file.name, keep='')}: {visible(str(error), keep='')}")
        return None
