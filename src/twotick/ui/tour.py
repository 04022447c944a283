"""The demo on a terminal: the app, a server of its own, and a friend who answers and reads."""

import asyncio
import contextlib
import tempfile
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType

from twotick.client import MemberClient, MemberMessage, NotDelivered, Presence, join
from twotick.client.trust.tokens import Credential
from twotick.server import Server, ServerLimits, ServerOptions, start_page
from twotick.server.secrets import new_token, token_digest
from twotick.store import AddMember, AddToken, Member, SqliteStore, StoreLimits
from twotick.ui.app import AppOptions, TwotickApp, run_app

_YOU, _FRIEND, _AWAY = "you", "echo", "robin"
_DEVICE = "demo"
_ROOM = "#garden"
_LOOKS_AFTER = 0.8
"""Seconds after which the friend takes a message, then reads it, then answers: slow enough to watch the ticks."""

_LONGEST_ANSWER = 2000
"""Characters of a message that the friend says again."""

_MOST_ANSWERS = 64
"""Answers that the friend works on at a time."""

_WELCOME = f"""\
Hello! I am *{_FRIEND}*. I read what you write, and say it again. Write something, and watch the sign at its right:
```
\u2026     waiting on this machine
\u2713     the server has stored it
\u2713\u2713    a device of mine has it
\u2713\u2713    in bold and green: I have read it
\u2717     not delivered; a line below says why
```
_{_AWAY}_ is not here: a message to _{_AWAY}_ keeps one tick until a device there has it.
In `{_ROOM}`, a number such as 1/2 says how many have a message."""

_KEYS = """\
`F1` shows all keys, `Ctrl+K` goes to a conversation, and `Ctrl+C` ends the demo.
In a browser, as a guest: {page}"""

_GUEST = "visitor"
"""The name of the user in the browser."""


class TourApp(TwotickApp):
    """The app of the demo. Ctrl+C ends it: what you write here is kept nowhere."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "leave", "End the demo", show=False, priority=True)]

    def action_leave(self) -> None:
        """End the demo."""
        self.exit()


async def tour() -> None:
    """Show the app until the user leaves it.

    Raises:
        TwotickError: the app cannot run.
        OptionsError: the system lets this process open too few files.
        SystemExit: the app has failed, with its exit status.
    """
    async with prepared() as options:
        await run_app(options, TourApp)


@contextlib.asynccontextmanager
async def prepared() -> AsyncGenerator[AppOptions, None]:
    """Run a server and the friends, and give the options of the app that meets them.

    Raises:
        OptionsError: the system lets this process open too few files.
    """
    store = SqliteStore(None, StoreLimits())
    tokens = {name: _new_member(store, name) for name in (_YOU, _FRIEND, _AWAY)}
    server = Server(ServerLimits(), store)
    host, port = await server.start("127.0.0.1", 0)
    address = f"{host}:{port}"
    try:
        (url,) = await start_page(server, ServerOptions(web_port=0), [host], None)
        async with _friends(address, tokens, f"{url}#guest={_GUEST}&to={_FRIEND}"):
            with tempfile.TemporaryDirectory(prefix="twotick-demo-") as folder:
                credential = Credential(address, _YOU, _DEVICE, tokens[_YOU])
                yield AppOptions(address, _YOU, credential, folder=Path(folder), first=_FRIEND)
    finally:
        await server.stop()


def _new_member(store: SqliteStore, name: str) -> str:
    """Create a member with one device, and return the token of the device."""
    (member,) = store.apply([AddMember(name, "", time.time())])
    assert isinstance(member, Member)
    token = new_token()
    store.apply([AddToken(member.number, _DEVICE, token_digest(token), time.time())])
    return token


@contextlib.asynccontextmanager
async def _friends(address: str, tokens: dict[str, str], page: str) -> AsyncGenerator[None, None]:
    """Prepare the conversations, and let the friend answer as long as the block runs.

    Args:
        address: the address of the server.
        tokens: the tokens of the members.
        page: the address of the web page.
    """
    async with join(_FRIEND, address, token=tokens[_FRIEND]) as echo:
        await echo.status(Presence.HERE)
        await echo.create_room(_ROOM, public=True, topic="what grows")
        for name in (_AWAY, _YOU):
            async with join(name, address, token=tokens[name]) as member:
                await member.join_room(_ROOM)
        await echo.send(_ROOM, f"This is a room. _{_AWAY}_ belongs to it, too, but is away.")
        await echo.send(_YOU, _WELCOME)
        await echo.send(_YOU, _KEYS.format(page=page))
        answering = asyncio.create_task(_answer_all(echo))
        try:
            yield
        finally:
            answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)


async def _answer_all(echo: MemberClient) -> None:
    """Answer every message, some at a time."""
    places = asyncio.Semaphore(_MOST_ANSWERS)
    async with asyncio.TaskGroup() as group:

        async def answer(message: MemberMessage) -> None:
            with contextlib.suppress(NotDelivered):  # the user has blocked echo, for example
                await _answer(echo, message)
            places.release()

        while True:
            message = await echo.receive()
            await places.acquire()
            group.create_task(answer(message))


async def _answer(echo: MemberClient, message: MemberMessage) -> None:
    """Take a message, read it, and say it again, slowly."""
    if message.outgoing or not message.is_news:
        await message.ack()
        return
    where = message.room or message.sender
    await asyncio.sleep(_LOOKS_AFTER)
    await message.ack()
    await asyncio.sleep(_LOOKS_AFTER)
    await message.read()
    await echo.typing(where)
    await asyncio.sleep(_LOOKS_AFTER)
    await echo.send(where, f"you said: {message.text[:_LONGEST_ANSWER]}", reply_to=(message.sender, message.id))
