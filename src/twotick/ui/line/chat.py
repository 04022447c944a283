"""The line client, for a person at a terminal or a program at the other end of a pipe."""

import asyncio
import contextlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Generic, TypeAlias, TypeVar

from rich.console import Console
from rich.text import Text

from twotick.client import (
    Client,
    ConnectionLost,
    MemberClient,
    MemberMessage,
    MemberReceipt,
    NameRefused,
    NotDelivered,
    Presence,
    ProfileEvent,
    SendOptions,
    State,
    TwotickError,
)
from twotick.client.trust import tokens
from twotick.client.trust.tokens import Credential
from twotick.ui.line.commands import GUEST_COMMANDS, Commands, clock, guest_help
from twotick.ui.line.completing import KnownWords, completer
from twotick.ui.line.typed import TypedCommand, TypedLines, TypedMessage
from twotick.ui.people import ProfileBook, UserProfile
from twotick.ui.shell.blocked import Blocked
from twotick.ui.shell.connection import GuestUser, connected, connected_guest, patiently
from twotick.ui.shell.errors import Interrupted
from twotick.ui.shell.people import know_profiles
from twotick.ui.shell.streams import on_a_terminal
from twotick.ui.tasks import together
from twotick.ui.text import accepted_line, console, delivered_line, failed_line, message_line, visible

Ask: TypeAlias = Callable[[str], Awaitable[str]]
"""Shows a prompt and returns a line; raises EOFError at the end of the input."""

_LINES_AHEAD = 64
"""Lines of a pipe to read ahead."""

_LONGEST_LINE = 16 << 20
"""Bytes without a line end after which the input counts as ended."""

_SENDS_AHEAD = 64
"""Messages that may wait to be sent; with more, the input waits."""


_PROFILES = 20_000
"""Users whose profiles are asked for when they are met."""

_PROFILE_WAIT = 2.0
"""Seconds for which a message waits for the profile of its sender."""

_RECEIPTS = 1024
"""Messages whose second tick is awaited and shown; those of further messages are in the history."""

_Me = TypeVar("_Me", Client, MemberClient)


async def chat_as_member(who: Credential, *, formatted: bool = True) -> None:
    """Talk as a member until the end of the input.

    Args:
        who: the member's login.
        formatted: whether the effect of marks is shown (docs/formatting.md).

    Raises:
        TwotickError: the server refuses the login.
    """
    known = KnownWords()
    async with _asking(known) as ask:
        await _talk(who, ask, console(), known, formatted=formatted)


async def _talk(who: Credential, ask: Ask, out: Console, known: KnownWords, *, formatted: bool = True) -> None:
    """Talk as a member until the end of the input."""
    async with connected(who, patient=True) as me:
        out.print(f"You are {who.name} on {who.server}. '@bob hello' sends to bob; /help lists all.")
        await _MemberChat(me, ask, out, known, formatted=formatted).run()


async def chat(guest: GuestUser, *, formatted: bool = True) -> None:
    """Talk as a guest until the end of the input.

    Args:
        guest: the guest, whose name is asked for if it is empty or refused. `NAME@HOST` is understood there, and a
            member who is logged in here is no guest.
        formatted: whether the effect of marks is shown (docs/formatting.md).

    Raises:
        TwotickError: the server cannot be reached, or the connection was lost.
        EOFError: the input ended before a name was accepted.
    """
    out = console()
    known = KnownWords()
    async with _asking(known) as ask, contextlib.AsyncExitStack() as stack:
        if not guest.name:
            guest = _named(guest, await ask("Name: "))
        while True:
            try:
                if (login := tokens.load(guest.server, guest.name)) is not None:
                    await _talk(login, ask, out, known, formatted=formatted)
                    return
                me = await stack.enter_async_context(connected_guest(guest))
                break
            except NameRefused as error:
                out.print(f"{visible(str(error), keep='')}.")
                guest = _named(guest, await ask("Name: "))
        out.print(f"You are {guest.name} on {guest.server}. '@bob hello' sends to bob; /help lists all.")
        await _GuestChat(me, ask, out, known, formatted=formatted).run()


def _named(guest: GuestUser, typed: str) -> GuestUser:
    """Return the guest with the name that was typed, and with the server if the text is `NAME@HOST`."""
    name, _, server = typed.strip().partition("@")
    return replace(guest, name=name, server=server or guest.server)


class _Chat(ABC, Generic[_Me]):
    """A session: sends what is typed line by line, and shows what arrives meanwhile."""

    def __init__(
        self, me: _Me, ask: Ask, out: Console, known: KnownWords | None = None, *, formatted: bool = True
    ) -> None:
        self._known = known or KnownWords()
        self._me = me
        self._ask = ask
        self._out = out
        self._formatted = formatted
        self._lines = TypedLines()
        self._typed: asyncio.Queue[TypedMessage | TypedCommand | None] = asyncio.Queue(_SENDS_AHEAD)
        self._lost: TwotickError | None = None

    async def run(self) -> None:
        async with together() as group:
            showing = group.create_task(self._show())
            group.create_task(self._type())
            while typed := await self._typed.get():
                if isinstance(typed, TypedMessage):
                    await self._send(typed.recipient, typed.text)
                else:
                    await self._run(typed)
            if self._lost is not None:
                raise self._lost
            showing.cancel()

    async def _type(self) -> None:
        """Read lines until the end of the input."""
        with contextlib.suppress(EOFError):
            while True:
                line = (await self._ask(self._lines.prompt)).rstrip("\r\n")
                if not line.strip():
                    continue
                typed = self._lines.take(line)
                if isinstance(typed, TypedMessage) and not typed.recipient:
                    typed = await self._addressed(typed)
                if isinstance(typed, str):
                    self._out.print(visible(typed, keep=""))
                else:
                    await self._typed.put(typed)
        await self._typed.put(None)

    async def _addressed(self, message: TypedMessage) -> TypedMessage | str:
        """Ask for the recipient of a message that names none; if none is given, return what to show."""
        try:
            recipient = (await self._ask("To: ")).strip().removeprefix("@")
        except EOFError:
            recipient = ""
        if not recipient:
            return "Nothing was sent: '@bob hello' sends hello to bob."
        self._lines.current = recipient
        return TypedMessage(recipient, message.text)

    async def _send(self, recipient: str, text: str) -> None:
        """Send a message."""
        self._known.know(recipient)
        try:
            await self._send_and_tell(recipient, text.encode("utf-8", "surrogateescape"))
        except NotDelivered as error:
            self._out.print(failed_line(recipient, str(error)))
        except TwotickError as error:
            self._lost = error
            lost = isinstance(error, ConnectionLost)
            self._out.print(_unknown_line(recipient, error) if lost else failed_line(recipient, str(error)))

    @abstractmethod
    async def _run(self, command: TypedCommand) -> None:
        """Run a command."""

    @abstractmethod
    async def _send_and_tell(self, recipient: str, body: bytes) -> None:
        """Send a message, and show its receipt."""

    @abstractmethod
    async def _show(self) -> None:
        """Show messages as they arrive."""


class _GuestChat(_Chat[Client]):
    def __init__(
        self, me: Client, ask: Ask, out: Console, known: KnownWords | None = None, *, formatted: bool = True
    ) -> None:
        super().__init__(me, ask, out, known, formatted=formatted)
        self._known.commands = (*GUEST_COMMANDS, "/help")

    async def _run(self, command: TypedCommand) -> None:
        if command.line.strip().lower() == "/help":
            for line in guest_help():
                self._out.print(line)
        else:
            self._out.print("This command is for members: /help lists yours. '//x' sends /x.")

    async def _send_and_tell(self, recipient: str, body: bytes) -> None:
        receipt = await self._me.send(recipient, body)
        self._out.print(delivered_line(recipient, receipt.seconds))

    async def _show(self) -> None:
        async for message in self._me:
            self._known.know(message.sender)
            before = clock(datetime.now(UTC))
            self._out.print(message_line(message.sender, message.text, before=before, formatted=self._formatted))
            await message.ack()


class _MemberChat(_Chat[MemberClient]):
    """Shows the first tick when a message is stored, and the second one when it is delivered."""

    def __init__(
        self, me: MemberClient, ask: Ask, out: Console, known: KnownWords | None = None, *, formatted: bool = True
    ) -> None:
        super().__init__(me, ask, out, known, formatted=formatted)
        self._receipts: set[asyncio.Task[None]] = set()
        self._people = ProfileBook(me.name)
        self._met = {me.name.lower()}  # whose profiles were asked for
        self._commands = Commands(me, out, self._send_more, self._people, formatted=formatted)
        self._known.commands = (*GUEST_COMMANDS, *self._commands.words)
        self._blocked = Blocked(set())

    async def run(self) -> None:
        try:
            conversations = await patiently(self._me.conversations)
            self._blocked = Blocked({each.name.lower() for each in conversations if each.blocked})
            self._known.know(*(each.name for each in conversations))
            self._commands.hides = self._blocked.hides
            if on_a_terminal():
                await patiently(lambda: self._me.status(Presence.HERE))
                await patiently(lambda: know_profiles(self._me, self._people))
            await super().run()
        finally:
            await self._commands.delete_held()
            for task in self._receipts:
                task.cancel()
            await asyncio.gather(*self._receipts, return_exceptions=True)

    async def _run(self, command: TypedCommand) -> None:
        await self._commands.run(command.line, command.peer)

    async def _send_and_tell(self, recipient: str, body: bytes) -> None:
        await self._send_more(recipient, body, {})

    async def _send_more(self, recipient: str, body: bytes, options: SendOptions) -> None:
        """Send a message with options, such as the message it replies to; show its receipt."""
        receipt = await self._me.send(recipient, body, **options)
        self._commands.sent(recipient, receipt.id)
        if receipt.state is State.ACCEPTED:
            self._out.print(accepted_line(recipient))
        if len(self._receipts) < _RECEIPTS:
            task = asyncio.create_task(self._tell(receipt))
            self._receipts.add(task)
            task.add_done_callback(self._receipts.discard)

    async def _tell(self, receipt: MemberReceipt) -> None:
        """Show the second tick, or why there will be none."""
        try:
            await receipt.delivered()
            if receipt.recipient.startswith("#") and not receipt.of:
                self._out.print(accepted_line(receipt.recipient).append("; there is no one else in it"))
            else:
                self._out.print(delivered_line(receipt.recipient, receipt.seconds))
        except TwotickError as error:
            self._out.print(failed_line(receipt.recipient, str(error)))

    async def _show(self) -> None:
        async for entry in self._me.entries():
            if isinstance(entry, MemberMessage):
                await self._show_message(entry)
            elif isinstance(entry, ProfileEvent):
                self._people.set(entry.user, UserProfile(entry.display, entry.status))

    async def _show_message(self, message: MemberMessage) -> None:
        self._blocked.observe(message)
        await self._meet(message.sender)
        self._known.know(message.sender, message.recipient, message.room)
        if not self._blocked.hides(message):
            if not self._is_copy(message):
                self._out.print(self._commands.line_of(message))
            self._commands.observe(message)
        await message.ack()
        if not message.outgoing and message.is_news:
            await message.read()

    async def _meet(self, name: str) -> None:
        """Ask for the profile of a user who is met for the first time (rule 18.3), to show it with the message."""
        if not on_a_terminal() or name.lower() in self._met or len(self._met) >= _PROFILES:
            return
        self._met.add(name.lower())
        self._people.know(name)
        with contextlib.suppress(TwotickError, TimeoutError):  # the name is shown alone then
            async with asyncio.timeout(_PROFILE_WAIT):
                found = await self._me.profile(name)
            self._people.set(found.name, UserProfile(found.display, found.status))

    def _is_copy(self, message: MemberMessage) -> bool:
        """Tell whether a message is the sent copy of a note to oneself, which is shown as a received one."""
        return message.event is None and message.outgoing and message.recipient.lower() == message.sender.lower()


def _unknown_line(recipient: str, error: ConnectionLost) -> Text:
    """Return a line that says that a message may have arrived or not."""
    shown = visible(recipient, keep="")
    return Text.assemble(("?", "yellow"), f" sent to {shown}, but not known whether it arrived: {visible(str(error))}")


def _read_standard_input() -> bytes:
    """Return some bytes; none at the end, or if standard input cannot be read."""
    try:
        return os.read(0, 65536)
    except OSError:
        return b""


@contextlib.asynccontextmanager
async def _asking(known: KnownWords) -> AsyncGenerator[Ask, None]:
    """Yield a function that asks for lines. On a terminal, printed messages do not disturb the line being typed.

    Args:
        known: the words that Tab completes on a terminal.
    """
    if on_a_terminal():
        from prompt_toolkit import PromptSession
        from prompt_toolkit.patch_stdout import patch_stdout
        from prompt_toolkit.shortcuts import CompleteStyle

        session: PromptSession[str] = PromptSession(
            interrupt_exception=Interrupted,
            completer=completer(known),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
        )

        async def ask(prompt: str) -> str:
            return await session.prompt_async(prompt or "> ")

        with patch_stdout(raw=True):
            yield ask
    else:
        yield _lines_of_standard_input()


def _lines_of_standard_input() -> Ask:
    """Return a function that asks for lines of a pipe or a file.

    A thread reads them, because the event loop cannot wait for every kind of input.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str] = asyncio.Queue()
    ahead = threading.Semaphore(_LINES_AHEAD)

    def hand_over(line: str) -> bool:
        ahead.acquire()
        try:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        except RuntimeError:  # the loop is closed, and the line is not needed
            return False
        return True

    def read() -> None:
        # Not from sys.stdin: Python cannot exit while a thread waits there.
        rest = b""
        while data := _read_standard_input():
            *whole, rest = (rest + data).split(b"\n")
            if not all(hand_over(line.decode("utf-8", "surrogateescape")) for line in whole):
                return
            if len(rest) > _LONGEST_LINE:
                break
        if rest:
            hand_over(rest.decode("utf-8", "surrogateescape"))
        hand_over("\n")

    threading.Thread(target=read, daemon=True).start()

    async def ask(_: str) -> str:
        line = await lines.get()
        ahead.release()
        if line == "\n":
            lines.put_nowait(line)
            raise EOFError
        return line

    return ask
