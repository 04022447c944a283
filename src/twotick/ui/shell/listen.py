"""Listen as a guest, and handle received messages."""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from twotick.client import MemberMessage, Message
from twotick.ui.shell.connection import GuestUser, connected_guest
from twotick.ui.shell.describing import body_as_json, details_as_json, line_of
from twotick.ui.shell.job_lock import alone
from twotick.ui.text import console, saved_line, visible

_VARIABLES = ("TWOTICK_FROM", "TWOTICK_ROOM", "TWOTICK_FILE")
"""Variables that describe a message to a command."""

_PATIENCE = 10.0
"""Seconds that a command has to end when `listen` is stopped."""

_LOOK = 0.05
"""Seconds between two looks whether the processes of a command have ended."""

Handler: TypeAlias = Callable[[Message | MemberMessage, Path | None], Awaitable[bool]]
"""Handles a message, and its file if that was saved; returns whether the message is to be acknowledged."""


async def listen(guest: GuestUser, handle: Handler, *, count: int | None) -> None:
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
        for _ in itertools.count() if count is None else range(count):
            message = await me.receive()
            try:
                done = await handle(message, None)
            except OSError:
                await message.reject()
                raise
            await (message.ack() if done else message.reject())
            await asyncio.sleep(0)  # a listener that is being stopped takes no further message


async def print_line(message: Message | MemberMessage, saved: Path | None) -> bool:
    """Print a message for people."""
    console().print(line_of(message))
    if saved is not None:
        console().print(saved_line(saved))
    sys.stdout.flush()
    return True


async def print_json(message: Message | MemberMessage, saved: Path | None) -> bool:
    """Print a message as one JSON object.

    It has `time`, `from`, `text` (or `base64` if the body is not UTF-8), the details of the message, and `saved` if its
    file was saved.
    """
    line: dict[str, Any] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "from": message.sender}
    details = details_as_json(message) if isinstance(message, MemberMessage) else {}
    if saved is not None:
        details["saved"] = str(saved)
    print(json.dumps({**line, **details, **body_as_json(message.body)}), flush=True)
    return True


def run_command(command: str, lock: Path | None) -> Handler:
    """Return a handler that runs a shell command, and acknowledges the message if the command exits with status 0.

    If `listen` is stopped meanwhile, the command and all processes that it has started are ended first: a message is
    handed out again only if nothing works on it any more. If the command succeeds nevertheless, the message is
    acknowledged. If `listen` is killed, the next one waits for the command (see `job_lock.py`).

    The command gets the body on standard input, the sender in `TWOTICK_FROM`, the room of a message to a room in
    `TWOTICK_ROOM`, and the path of a saved file in `TWOTICK_FILE`.

    Args:
        command: the shell command.
        lock: the file of the lock for the commands of this device; None for a guest, whose messages are handed out
            once.
    """

    async def handle(message: Message | MemberMessage, saved: Path | None) -> bool:
        async with contextlib.nullcontext() if lock is None else alone(lock) as held:
            return await run(message, saved, () if held is None else (held,))

    async def run(message: Message | MemberMessage, saved: Path | None, inherited: tuple[int, ...]) -> bool:
        described = {"TWOTICK_FROM": visible(message.sender, keep="")}
        if isinstance(message, MemberMessage) and message.room:
            described["TWOTICK_ROOM"] = visible(message.room, keep="")
        if saved is not None:
            described["TWOTICK_FILE"] = str(saved)
        others = {name: value for name, value in os.environ.items() if name not in _VARIABLES}
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_shell(
                command,
                stdin=asyncio.subprocess.PIPE,
                env={**others, **described},
                start_new_session=True,
                pass_fds=inherited,
            )
        )
        try:
            process = await asyncio.shield(starting)
            await process.communicate(message.body)
        except asyncio.CancelledError as stopped:  # the message must not be handed out again while the command runs
            process = await starting
            await _end(process)
            if process.returncode:
                raise
            _cancel_again(stopped)
        if process.returncode:
            console(stderr=True).print(
                f"the command exited with status {process.returncode}: the sender is told that it failed"
            )
        return process.returncode == 0

    return handle


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a command and all processes that it has started, and wait until there are none of them.

    They get SIGTERM, and SIGKILL after 10 s or when the caller is cancelled again.
    """
    try:
        _signal(process, signal.SIGTERM)
        async with asyncio.timeout(_PATIENCE):
            await process.wait()
            while _signal(process, 0):  # noqa: ASYNC110 # the system does not tell when a group has ended
                await asyncio.sleep(_LOOK)
    except (asyncio.CancelledError, TimeoutError):
        _signal(process, signal.SIGKILL)
        await process.wait()


def _signal(process: asyncio.subprocess.Process, number: int) -> bool:
    """Send a signal to the processes of a command; return whether there are any."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True


def _cancel_again(stopped: asyncio.CancelledError) -> None:
    """Let the next wait of the current task end, after the message that is being handled is acknowledged."""
    task = asyncio.current_task()
    assert task is not None
    task.uncancel()
    task.cancel(*stopped.args)
