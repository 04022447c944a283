"""Send and listen as a member."""

import asyncio
import contextlib
import itertools
from pathlib import Path

from rich.text import Text

from twotick.client import (
    ConnectionLost,
    FileInfo,
    FileMismatch,
    MemberClient,
    MemberMessage,
    MemberReceipt,
    NoRecipient,
    NotDelivered,
    OutcomeUnknown,
    RequestRefused,
    SendOptions,
    State,
)
from twotick.client.job_queue import JobQueue
from twotick.client.trust.tokens import Credential
from twotick.ui.shell.blocked import Blocked
from twotick.ui.shell.commands import MessageCommand
from twotick.ui.shell.connection import connected, patiently
from twotick.ui.shell.errors import CannotSave, NoOtherMember, NotReadYet, NotYet
from twotick.ui.shell.job_folder import JobFolder
from twotick.ui.shell.listen import Handler, conclude, take_or_reject, work
from twotick.ui.shell.people import note_names
from twotick.ui.shell.saving import progress, save
from twotick.ui.shell.streams import complain, tell
from twotick.ui.text import accepted_line, delivered_line, progress_line, read_line, visible

_LEAST_WAIT = 60.0
"""The least seconds that the server has to answer: it gives a guest 30 s (rule 5.7)."""

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
        NoOtherMember: the message is stored in a room in which there is no other member.
        OutcomeUnknown: the server did not say within the time whether it has stored the message.
        CannotSave: the file cannot be read.
        TwotickError: the message was not stored.
        ValueError: there are no read receipts for the recipient.
    """
    if recipient.startswith("#") and until is State.READ:
        raise ValueError("rooms have no read receipts: use --until delivered")
    # A device of its own, so that the other programs on this device get a copy (rule 11.3).
    async with connected(who, device=f"{who.device}/send", send_only=True) as me:
        info = None if file is None else await upload(me, file)
        receipt = await _accepted(me, recipient, body, {"expires": expires, "file": info}, max(wait, _LEAST_WAIT))
        try:
            async with asyncio.timeout(wait):
                if until >= State.DELIVERED:
                    await _delivered(receipt)
                if until >= State.READ:
                    await receipt.read()
        except (TimeoutError, ConnectionLost) as error:
            tell(_outcome_line(receipt))
            why = (
                f"within {wait:g} s" if isinstance(error, TimeoutError) else f"before the connection was lost: {error}"
            )
            if receipt.state is State.DELIVERED:
                raise NotReadYet(f"{recipient} has the message, but has not read it {why}") from None
            raise NotYet(f"stored for {recipient}, but not {until.name.lower()} {why}") from None
    tell(_outcome_line(receipt))
    note_names(who, [recipient])
    if until >= State.DELIVERED and _is_alone(receipt):
        raise NoOtherMember(f"there is no one else in {recipient} who could get it")


async def _accepted(
    me: MemberClient, recipient: str, body: bytes, options: SendOptions, patience: float
) -> MemberReceipt:
    """Send a message, and wait until the server has stored it.

    Raises:
        OutcomeUnknown: the server did not say so within the time, in seconds.
        ConnectionLost: it was not sent within the time.
        TwotickError: the message was not stored.
    """
    receipt = await me.queue(recipient, body, **options)
    try:
        async with asyncio.timeout(patience):
            return await receipt.accepted()
    except TimeoutError:
        if me.withdraw(receipt):
            raise ConnectionLost(f"nothing was sent: there was no connection for {patience:g} s") from None
        raise OutcomeUnknown(f"the server has not answered within {patience:g} s") from None
    except NoRecipient as error:
        if recipient.startswith("#"):
            raise
        raise NoRecipient(f"{error}, and no member has this name") from error  # as protocol.md says of the Reason


def _is_alone(receipt: MemberReceipt) -> bool:
    """Tell whether a message went to a room that has no other member."""
    return receipt.recipient.startswith("#") and receipt.state is State.DELIVERED and not receipt.of


def _outcome_line(receipt: MemberReceipt) -> Text:
    """Return the line that says how far a message has got."""
    if receipt.state is State.READ:
        return read_line(receipt.recipient, receipt.seconds)
    if receipt.state is State.DELIVERED and not _is_alone(receipt):
        return delivered_line(receipt.recipient, receipt.seconds)
    return accepted_line(receipt.recipient)


async def _delivered(receipt: MemberReceipt) -> None:
    """Wait until all recipients have a message; print how many have it so far."""
    async for have, of in receipt.progress():
        if 0 < have < of:
            tell(progress_line(have, of))
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


async def listen(who: Credential, handle: Handler | MessageCommand, *, count: int | None, folder: Path | None) -> None:
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
        if isinstance(handle, MessageCommand):
            jobs = JobFolder(who)
            jobs.open(me.cursor)
            await work(
                lambda: _next_news(me, blocked),
                lambda message: _carry_out(me, handle, message, folder, jobs),
                JobQueue(handle.at_once),
                count,
                lambda message: message.room.lower() or message.sender.lower(),
            )
            return
        for _ in itertools.count() if count is None else range(count):
            message = await _next_news(me, blocked)
            saved = await _saved(me, message, folder)
            await take_or_reject(message, handle(message, saved))
            await asyncio.sleep(0)  # a listener that is being stopped takes no further message


async def _carry_out(
    me: MemberClient, command: MessageCommand, message: MemberMessage, folder: Path | None, jobs: JobFolder
) -> None:
    """Let a command work on a message, unless one has done so already; answer, and acknowledge or reject the message.

    The answer has an Id that follows from the message: it is delivered once, also if `listen` is killed meanwhile.
    """
    job = jobs.job(message)
    async with job.held() as lock:
        status = job.status()
        if status is None:
            status = await command.run(message, await _saved(me, message, folder), job, lock)
    if status == 0 and (answer := command.answer(job)):
        about = (message.sender, message.id) if message.id else None
        try:
            await me.send(message.room or message.sender, answer, reply_to=about, id=f"job-{job.key[-32:]}")
        except NotDelivered as error:
            complain(f"{visible(message.sender, keep='')} did not get the answer: {error}")
    await conclude(message, status)
    jobs.handled(job)


async def _saved(me: MemberClient, message: MemberMessage, folder: Path | None) -> Path | None:
    """Save the file of a message, if there is one and a folder for it; return its path."""
    return None if folder is None or message.file is None else await _fetch(me, message.file, folder)


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
