"""Listening from a shell."""

import asyncio
import base64
import itertools
import json
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeAlias

from twotick.client import MemberMessage, Message, connect
from twotick.ui.text import console, message_line, visible

Handler: TypeAlias = Callable[[Message | MemberMessage], Awaitable[bool]]
"""Does something with a message; returns whether it is done, so that the sender is told so."""


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
                done = await handle(message)
            except OSError:
                await message.reject()
                raise
            await (message.ack() if done else message.reject())


async def print_line(message: Message | MemberMessage) -> bool:
    """Print a message for a person."""
    console().print(message_line(message.sender, message.text))
    sys.stdout.flush()
    return True


async def print_json(message: Message | MemberMessage) -> bool:
    """Print a message as one JSON object: `time`, `from`, and `text`, or `base64` if the body is not UTF-8."""
    line = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "from": message.sender}
    print(json.dumps({**line, **body_as_json(message.body)}), flush=True)
    return True


def body_as_json(body: bytes) -> dict[str, str]:
    """A body for a JSON object: `text`, or `base64` if it is not UTF-8."""
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def run_command(command: str) -> Handler:
    """Run a shell command for each message: body on standard input, sender in `TWOTICK_FROM`; done if it exits 0."""

    async def handle(message: Message | MemberMessage) -> bool:
        process = await asyncio.create_subprocess_shell(
            command, stdin=asyncio.subprocess.PIPE, env={**os.environ, "TWOTICK_FROM": visible(message.sender, keep="")}
        )
        await process.communicate(message.body)
        if process.returncode:
            console(stderr=True).print(f"the command ended with status {process.returncode}: the sender is told")
        return process.returncode == 0

    return handle
