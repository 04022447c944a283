"""Listen as a guest, and print received messages or let a command work on them."""

import asyncio
import itertools
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from twotick.client import MemberMessage, Message
from twotick.client.job_queue import JobQueue
from twotick.ui.shell.commands import MessageCommand
from twotick.ui.shell.connection import GuestUser, connected_guest
from twotick.ui.shell.describing import body_as_json, details_as_json, line_of
from twotick.ui.shell.streams import complain
from twotick.ui.text import console, saved_line

Handler: TypeAlias = Callable[[Message | MemberMessage, Path | None], Awaitable[None]]
"""Prints a message, and the path of its file if that was saved. Raises OSError if it cannot."""


async def listen(guest: GuestUser, handle: Handler | MessageCommand, *, count: int | None) -> None:
    """Receive messages as a guest, and acknowledge each when it is handled.

    Args:
        guest: the guest.
        handle: handles each message.
        count: number of messages after which to return; None for never.

    Raises:
        TwotickError: the server refuses the name, or the connection was lost.
        OSError: standard output cannot be written; the message was rejected.
    """
    async with connected_guest(guest) as me:
        if isinstance(handle, MessageCommand):
            await work(lambda: me.receive(), lambda message: _carry_out(handle, message), JobQueue(1), count)
            return
        for _ in itertools.count() if count is None else range(count):
            message = await me.receive()
            await take_or_reject(message, handle(message, None))
            await asyncio.sleep(0)  # a listener that is being stopped takes no further message


async def take_or_reject(message: Message | MemberMessage, handling: Awaitable[None]) -> None:
    """Acknowledge a message when it is handled, or reject it if that fails.

    Raises:
        OSError: it cannot be handled.
    """
    try:
        await handling
    except OSError:
        await message.reject()
        raise
    await message.ack()


async def _carry_out(command: MessageCommand, message: Message) -> None:
    """Let a command work on a guest's message."""
    status = await command.run(message, None, None, None)
    await conclude(message, status)


async def conclude(message: Message | MemberMessage, status: int) -> None:
    """Acknowledge a message if the command for it has succeeded, or reject it."""
    if status:
        console(stderr=True).print(f"the command exited with status {status}: the sender is told that it failed")
        await message.reject()
    else:
        await message.ack()


async def work(
    receive: Callable[[], Awaitable[Any]],
    carry_out: Callable[[Any], Awaitable[None]],
    queue: JobQueue,
    count: int | None,
    key: Callable[[Any], str] = lambda _: "",
) -> None:
    """Receive messages, and let a command work on them.

    If the caller is cancelled, no further message is taken and no further command begins. Those that work may finish,
    unless the caller is cancelled once more: then they are stopped.

    Args:
        receive: receives the next message.
        carry_out: lets the command work on a message.
        queue: holds messages until it is their turn.
        count: number of messages after which to return; None for never.
        key: returns the conversation of a message; the messages of one are worked on in order.

    Raises:
        Exception: what `receive` or `carry_out` has raised.
    """
    _hurry_when_interrupted_again(queue)
    try:
        await _receive_all(receive, carry_out, queue, count, key)
        await queue.finish()
    except asyncio.CancelledError:
        queue.close()
        if queue.under_way:
            complain("stopping when the command has ended; stop once more to end the command too")
        await queue.finish()
        raise
    except BaseException:
        queue.close()
        await queue.cancel()
        raise
    finally:
        queue.failed.cancel()
    if not queue.failed.cancelled():
        queue.failed.result()


def _hurry_when_interrupted_again(queue: JobQueue) -> None:
    """Let Ctrl+C do once what it does anyway, which is to cancel the caller; and then let it hurry a queue.

    Once more, asyncio would raise KeyboardInterrupt at any place. The loop tells of a signal later than Python does: if
    this function waited for the first one, the loop could tell of that as if it were the second.
    """
    cancel = signal.getsignal(signal.SIGINT)
    if not callable(cancel):
        return  # signals are ignored, as in the background of a script
    came = False

    def interrupt() -> None:
        nonlocal came
        if came:
            queue.hurry()
        else:
            came = True
            cancel(signal.SIGINT, None)

    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)


async def _receive_all(
    receive: Callable[[], Awaitable[Any]],
    carry_out: Callable[[Any], Awaitable[None]],
    queue: JobQueue,
    count: int | None,
    key: Callable[[Any], str],
) -> None:
    """Receive messages and put them into the queue, until there were enough or a job fails."""
    for _ in itertools.count() if count is None else range(count):
        receiving = asyncio.ensure_future(receive())
        try:
            await asyncio.wait([receiving, queue.failed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not receiving.done():
                receiving.cancel()
                await asyncio.wait([receiving])
        if queue.failed.done():
            return
        message = receiving.result()
        await queue.add(key(message), lambda message=message: carry_out(message))


async def print_line(message: Message | MemberMessage, saved: Path | None) -> None:
    """Print a message for people."""
    console().print(line_of(message))
    if saved is not None:
        console().print(saved_line(saved))
    sys.stdout.flush()


async def print_json(message: Message | MemberMessage, saved: Path | None) -> None:
    """Print a message as one JSON object.

    It has `time`, `from`, `text` (or `base64` if the body is not UTF-8), the details of the message, and `saved` if its
    file was saved.
    """
    line: dict[str, Any] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "from": message.sender}
    details = details_as_json(message) if isinstance(message, MemberMessage) else {}
    if saved is not None:
        details["saved"] = str(saved)
    print(json.dumps({**line, **details, **body_as_json(message.body)}), flush=True)
