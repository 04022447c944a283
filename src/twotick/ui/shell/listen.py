"""Listening from a shell."""

import asyncio
import itertools
import json
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from twotick.client import MemberMessage, Message, connect
from twotick.ui.shell.describing import body_as_json, details_as_json, line_of
from twotick.ui.text import console, saved_line, visible

_TOLD = ("TWOTICK_FROM", "TWOTICK_ROOM", "TWOTICK_FILE")
"""Variables that say something about a message."""

Handler: TypeAlias = Callable[[Message | MemberMessage, Path | None], Awaitable[bool]]
"""Does something with a message, and the file that came with it, if that was saved; returns whether it is done, so that
the sender is told so."""


async def listen(name: str, handle: Handler, *, server: str, max_body: int, count: int | None) -> None:
    """Take messages and answer each when it was handled.

    Args:
        name: who listens.
        handle: what to do with each.
        server: `HOST:PORT`.
        max_body: the longest body, in bytes.
        count: after how many messages to leave; None for never.

    Raises:
        TwotickError: the name cannot be had, or the connection is gone.
        OSError: standard output is gone; the sender of the message that was not written is told so.
    """
    async with connect(name, server, max_body=max_body) as me:
        for _ in itertools.count() if count is None else range(count):
            message = await me.receive()
            try:
                done = await handle(message, None)
            except OSError:
                await message.reject()
                raise
            await (message.ack() if done else message.reject())


async def print_line(message: Message | MemberMessage, saved: Path | None) -> bool:
    """Print a message for a person."""
    console().print(line_of(message))
    if saved is not None:
        console().print(saved_line(saved))
    sys.stdout.flush()
    return True


async def print_json(message: Message | MemberMessage, saved: Path | None) -> bool:
    """Print a message as one JSON object.

    It has `time`, `from`, `text`, or `base64` if the body is not UTF-8, what else there is to say about it, and `saved`
    if there is a file that was saved.
    """
    line: dict[str, Any] = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "from": message.sender}
    details = details_as_json(message) if isinstance(message, MemberMessage) else {}
    if saved is not None:
        details["saved"] = str(saved)
    print(json.dumps({**line, **details, **body_as_json(message.body)}), flush=True)
    return True


def run_command(command: str) -> Handler:
    """Run a shell command for each message; done if it exits 0.

    It gets the body on standard input, the sender in `TWOTICK_FROM`, the room, if it was sent to one, in
    `TWOTICK_ROOM`, and where a file was saved in `TWOTICK_FILE`.
    """

    async def handle(message: Message | MemberMessage, saved: Path | None) -> bool:
        told = {"TWOTICK_FROM": visible(message.sender, keep="")}
        if isinstance(message, MemberMessage) and message.room:
            told["TWOTICK_ROOM"] = visible(message.room, keep="")
        if saved is not None:
            told["TWOTICK_FILE"] = str(saved)
        inherited = {name: value for name, value in os.environ.items() if name not in _TOLD}
        process = await asyncio.create_subprocess_shell(
            command, stdin=asyncio.subprocess.PIPE, env={**inherited, **told}
        )
        await process.communicate(message.body)
        if process.returncode:
            console(stderr=True).print(f"the command ended with status {process.returncode}: the sender is told")
        return process.returncode == 0

    return handle
