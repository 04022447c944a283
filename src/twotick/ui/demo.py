"""A server, a friend who answers, and you: everything that a newcomer needs to see it work."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from twotick.client import Client, NotDelivered, connect
from twotick.server import Server, ServerLimits
from twotick.ui.line.chat import chat
from twotick.ui.shell.streams import on_a_terminal
from twotick.ui.tasks import together
from twotick.ui.text import console, delivered_line, failed_line, message_line

_MAX_BODY = ServerLimits().max_body


async def demo() -> None:
    """On a terminal, chat with `echo`; without one, play a conversation between two users and print both sides."""
    server = Server(ServerLimits())
    host, port = await server.start("127.0.0.1", 0)
    address = f"{host}:{port}"
    try:
        if on_a_terminal():
            async with _friend(address):
                await chat(
                    "you",
                    server=address,
                    max_body=_MAX_BODY,
                    welcome=(
                        f"A server listens on {address}, and you are connected to it as 'you'.\n"
                        "So is a friend called 'echo': type '@echo hello' and press Enter.\n"
                        "Two ticks mean that echo has received it. Also try '@nobody hello'. Ctrl-D exits."
                    ),
                )
        else:
            await _play(address)
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def _friend(address: str) -> AsyncGenerator[None, None]:
    """Connect a user called echo, who answers every message with its text."""
    async with connect("echo", address) as echo:

        async def answer(sender: str, body: bytes) -> None:
            # A user who has left in the meantime misses nothing.
            with contextlib.suppress(NotDelivered):
                await echo.send(sender, body)

        async def answer_all() -> None:
            async for message in echo:
                await message.ack()
                await answer(message.sender, b"you said: " + message.body[: _MAX_BODY - 10])

        answering = asyncio.create_task(answer_all())
        yield
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


async def _play(address: str) -> None:
    """Let two users talk over real sockets, and print what each of them types and sees."""
    out = console()

    async def show(me: Client) -> None:
        async for message in me:
            out.print(f"{me.name:>5} sees    ", message_line(message.sender, message.text), sep="")
            await message.ack()

    async def say(me: Client, recipient: str, text: str) -> None:
        out.print(f"{me.name:>5} types   @{recipient} {text}")
        try:
            line = delivered_line(recipient, (await me.send(recipient, text)).seconds)
        except NotDelivered as error:
            line = failed_line(recipient, str(error))
        out.print(f"{me.name:>5} sees    ", line, sep="")

    out.print(f"a server listens on {address}; alice and bob connect, each with two connections")
    async with connect("alice", address) as alice, connect("bob", address) as bob, together() as group:
        showing = [group.create_task(show(user)) for user in (alice, bob)]
        await say(alice, "bob", "hello bob")
        await say(bob, "alice", "hello alice, it arrived")
        await say(alice, "ALL", "hello everyone")
        await say(alice, "carol", "are you there?")
        for task in showing:
            task.cancel()
    out.print("every send was answered with what happened to it")
