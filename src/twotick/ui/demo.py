"""What a newcomer needs to see it work: a server, and a friend who answers, or a conversation that is played."""

from twotick.client import Client, NotDelivered, connect
from twotick.server import Server, ServerLimits
from twotick.ui.shell.streams import full_screen_possible
from twotick.ui.tasks import together
from twotick.ui.text import console, delivered_line, failed_line, message_line


async def demo() -> None:
    """On a terminal, show the app with a friend; without one, play a conversation between two users."""
    if full_screen_possible():
        from twotick.ui.tour import tour  # imported late, because the app takes long to load

        await tour()
        return
    server = Server(ServerLimits())
    host, port = await server.start("127.0.0.1", 0)
    try:
        await _play(f"{host}:{port}")
    finally:
        await server.stop()


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
