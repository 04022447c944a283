"""A bot that answers commands.

Usage: TWOTICK_TOKEN=TOKEN python command_bot.py NAME

The bot is a member, so messages that arrive while it is not running are kept for it. Set TWOTICK_TOKEN to the token
that `twotick token NAME DEVICE` prints, and TWOTICK_SERVER if the server is not on this machine.
"""

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import twotick


def echo(text: str) -> str:
    """Repeat the text."""
    return text or "there is nothing to repeat"


def time(_: str) -> str:
    """Tell the time in UTC."""
    return datetime.now(UTC).strftime("%H:%M:%S")


def show_help(_: str) -> str:
    """List the commands."""
    return "\n".join(f"!{name}: {command.__doc__}" for name, command in COMMANDS.items())


COMMANDS: dict[str, Callable[[str], str]] = {"echo": echo, "time": time, "help": show_help}


def answer_to(text: str) -> str | None:
    """Return the answer to a message, or None if the message is not a command."""
    if not text.startswith("!"):
        return None  # not for the bot; answering everything would make two bots talk to each other for ever
    name, _, rest = text[1:].partition(" ")
    command = COMMANDS.get(name)
    return command(rest) if command else f"I do not know !{name}. Try !help."


async def run(name: str, token: str, server: str) -> None:
    """Answer commands until the process is stopped. The library reconnects by itself."""
    async with twotick.join(name, server, token=token) as me:
        print(f"{name} is listening", flush=True)
        async for message in me:  # the previous message is acknowledged when the next one is taken
            answer = None if message.outgoing else answer_to(message.text)  # outgoing: sent from another of its devices
            if answer is None:
                continue
            try:
                # If the bot stops after it has sent the answer and before it has acknowledged the message, it gets the
                # message again. It then sends an answer with the same Id, which the server does not deliver twice.
                await me.send(
                    message.room or message.sender,
                    answer,
                    reply_to=(message.sender, message.id) if message.id else None,
                    id=f"answer-{message.seq}",
                )
            except twotick.NotDelivered as error:
                print(f"no answer to {message.sender}: {error}", file=sys.stderr)


if __name__ == "__main__":
    if len(sys.argv) != 2 or "TWOTICK_TOKEN" not in os.environ:
        sys.exit("usage: TWOTICK_TOKEN=TOKEN python command_bot.py NAME")
    try:
        asyncio.run(run(sys.argv[1], os.environ["TWOTICK_TOKEN"], os.environ.get("TWOTICK_SERVER", "127.0.0.1:18000")))
    except KeyboardInterrupt:
        pass
    except twotick.TwotickError as error:
        sys.exit(f"{sys.argv[1]} stopped: {error}")
