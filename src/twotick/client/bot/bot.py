"""A bot: a member that executes commands.

Theory of operation. The bot takes messages in the order of its log, and lets handlers work on several at once; those of
one sender in one conversation come one after the other. It acknowledges a message when its handler has ended and the
answer is stored. So a bot that is killed gets the message again. The answer has an Id that follows from the message
(message.py). After a start, the bot looks in the history whether a message that it is given was answered already: then
it acknowledges the message, and does nothing else.
"""

import asyncio
import contextlib
import inspect
import logging
import math
import os
import signal
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

from twotick.client.address import DEFAULT_SERVER
from twotick.client.bot.arguments import WrongArguments, read_arguments
from twotick.client.bot.commands import BotCommand, BotCommands, Handler
from twotick.client.bot.message import MARK, BotMessage, CommandError
from twotick.client.errors import NotAuthenticated, NotDelivered, RequestRefused
from twotick.client.job_queue import JobQueue
from twotick.client.member.client import MemberClient
from twotick.client.member.events import Entry
from twotick.client.member.join import join
from twotick.client.member.messages import MemberMessage

_AnyHandler = TypeVar("_AnyHandler", bound=Handler)

_PAGE: Final = 100
_PAGES: Final = 50
"""How many messages after one are looked at for an answer to it, and in how many requests."""

log = logging.getLogger("twotick.bot")


class Bot:
    """A bot: a member that executes commands, as `@bot.command("deploy")` defines them.

    In a direct message a command is its name and its arguments, such as `deploy web`. In a room it begins with the
    prefix or with the bot's name: `!deploy web`, `@bot deploy web`. `help` lists the commands.

    Args:
        name: the bot's name.
        server: the server's address; None for that in `TWOTICK_SERVER`, or for this machine.
        token: the bot's token; None for that in `TWOTICK_TOKEN`.
        prefix: what a command begins with.
        jobs: how many handlers may work at once. Messages of one sender in one conversation are handled in order.
        timeout: how many seconds a handler may take. Then it is cancelled, and the sender is told so.
        **options: further arguments of `join`.

    Raises:
        ValueError: an argument is not well formed.
    """

    def __init__(
        self,
        name: str,
        server: str | None = None,
        *,
        token: str | None = None,
        prefix: str = "!",
        jobs: int = 8,
        timeout: float = 60.0,
        **options: Any,
    ) -> None:
        if jobs < 1 or timeout <= 0:
            raise ValueError("give at least one job at once, and at least a fraction of a second for each")
        self.name = name
        self._server = server or os.environ.get("TWOTICK_SERVER") or DEFAULT_SERVER
        self._token = token
        self._jobs = jobs
        self._timeout = timeout
        self._options = options
        self._commands = BotCommands(name, prefix)
        self._on_message: Handler | None = None
        self._on_any: Handler | None = None
        self._on_reaction: Handler | None = None
        self._client: MemberClient | None = None
        self._stopping = asyncio.Event()
        self._old = 0.0  # messages up to this number may have been answered before this start

    @property
    def client(self) -> MemberClient:
        """The bot's client, for messages that are no answers.

        Raises:
            RuntimeError: the bot does not run.
        """
        if self._client is None:
            raise RuntimeError("the bot does not run")
        return self._client

    # Handlers

    def command(self, name: str) -> Callable[[_AnyHandler], _AnyHandler]:
        """Make a function the handler of a command.

        The function takes the message, a `BotMessage`, and the arguments of the command: `name: str` takes a word,
        `int` and `float` a number, a `Literal` one of its values, `*names` all words that are left, and `*, text: str`
        the text that is left. What has a default may be left out. If the arguments do not fit, the bot answers with
        the usage. The first line of the docstring is shown by `help`. What the function returns is the answer; None
        for no answer. A `CommandError` is answered with its text.

        Args:
            name: the command: lower-case letters, digits, - and _.
        """

        def add(handler: _AnyHandler) -> _AnyHandler:
            self._commands.add(name, _checked(handler))
            return handler

        return add

    def message(self, handler: _AnyHandler) -> _AnyHandler:
        """Make a function the handler of messages that address the bot and are no commands; used as `@bot.message`."""
        self._on_message = _checked(handler)
        return handler

    def any_message(self, handler: _AnyHandler) -> _AnyHandler:
        """Make a function the handler of all messages that are no commands, also in rooms where they address others."""
        self._on_any = _checked(handler)
        return handler

    def reaction(self, handler: _AnyHandler) -> _AnyHandler:
        """Make a function the handler of reactions to the bot's messages; `BotMessage.text` is the reaction."""
        self._on_reaction = _checked(handler)
        return handler

    # Running

    def run(self) -> None:
        """Work until SIGTERM, SIGHUP or Ctrl+C. Handlers that work then may finish; a second signal cancels them.

        Raises:
            TwotickError: the server refuses the bot.
        """
        asyncio.run(self._run())

    async def _run(self) -> None:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        assert task is not None

        def stop() -> None:
            if self._stopping.is_set():
                task.cancel()
            self.stop()

        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        with contextlib.suppress(asyncio.CancelledError):
            await self.serve()

    def stop(self) -> None:
        """Take no further messages, and let `serve` return when the handlers that work now have finished."""
        self._stopping.set()

    async def serve(self) -> None:
        """Work until `stop` is called.

        Raises:
            NotAuthenticated: there is no token, or the server refuses it.
            TwotickError: the server refuses the bot for another reason, or cannot be reached at the start.
        """
        token = self._token or os.environ.get("TWOTICK_TOKEN")
        if not token:
            raise NotAuthenticated("there is no token: put the bot's token into TWOTICK_TOKEN")
        self._stopping.clear()
        async with join(self.name, self._server, token=token, **self._options) as client:
            self._client = client
            jobs = JobQueue(self._jobs)
            try:
                self._old = await _end_of_log(client)
                await self._work(client, jobs)
                jobs.close()
                await jobs.finish()
            finally:
                await jobs.cancel()
                jobs.failed.cancel()
                self._client = None
        if jobs.failed.done() and not jobs.failed.cancelled() and (error := jobs.failed.exception()):
            raise error

    async def _work(self, client: MemberClient, jobs: JobQueue) -> None:
        """Take messages and let handlers work on them, until the bot is stopped or something fails for good."""
        log.info("%s is listening", self.name)
        stopping = asyncio.ensure_future(self._stopping.wait())
        taking: asyncio.Future[Entry] | None = None
        try:
            while not self._stopping.is_set() and not jobs.failed.done():
                taking = asyncio.ensure_future(client.next_entry())
                await asyncio.wait([taking, stopping, jobs.failed], return_when=asyncio.FIRST_COMPLETED)
                if taking.done():
                    await self._take(client, jobs, taking.result())
        finally:
            for waiting in (stopping, taking):
                if waiting is not None and not waiting.done():
                    waiting.cancel()

    async def _take(self, client: MemberClient, jobs: JobQueue, entry: Entry) -> None:
        """Let a handler work on an entry of the log, if it is for one."""
        if not isinstance(entry, MemberMessage) or entry.outgoing or MARK in entry.fields:
            await entry.ack()
            return
        asked = self._commands.asked(entry.text, direct=not entry.room)
        message = BotMessage(client, entry, asked.text, addressed=asked.addressed)
        work: Callable[[], Any] | None = None
        if entry.is_news:
            work = self._work_on(message)
        elif self._on_reaction is not None and entry.reacts_to and entry.reacts_to.sender.lower() == self.name.lower():
            message.text = entry.text
            work = partial(self._on_reaction, message)
        if work is None:
            await entry.ack()
        else:
            await jobs.add((message.sender.lower(), message.room.lower()), lambda: self._handle(message, work))

    def _work_on(self, message: BotMessage) -> Callable[[], Any] | None:
        """Return what to do about a message; None for nothing."""
        asked = self._commands.asked(message.message.text, direct=not message.room)
        command = self._commands.find(asked.word) if asked.addressed else None
        if command is not None:
            return lambda: self._execute(command, message, asked.rest)
        if asked.addressed and self._commands.is_help(asked.word):
            return lambda: _say(self._commands.help(asked.rest))
        handler = self._on_message if asked.addressed and self._on_message is not None else self._on_any
        if handler is not None:
            return partial(handler, message)
        # In a room, a command with the prefix may be that of another bot.
        return (lambda: _say(self._commands.unknown(asked.word))) if asked.by_name and asked.word else None

    async def _execute(self, command: BotCommand, message: BotMessage, rest: str) -> str | None:
        try:
            values, named = read_arguments(command.parameters, rest)
        except WrongArguments as error:
            return f"{error}\nusage: {self._commands.usage(command)}"
        return await command.handler(message, *values, **named)

    async def _handle(self, message: BotMessage, work: Callable[[], Any]) -> None:
        """Let a handler work on a message, answer it, and acknowledge it."""
        if message.message.seq > self._old or not await self._is_answered(message):
            answer = await self._answer(message, work)
            if answer is not None and answer != "":
                await self._send(message, str(answer))
        await message.message.read()

    async def _answer(self, message: BotMessage, work: Callable[[], Any]) -> object:
        """Return the answer to a message, whatever its handler does; None for no answer."""
        limit = asyncio.timeout(self._timeout)
        try:
            async with limit:
                return await work()
        except CommandError as error:
            return str(error)
        except TimeoutError:
            if not limit.expired():
                log.exception("a handler has failed for a message of %s", message.sender)
                return "this failed: the bot's log says why"
            log.warning("a handler was cancelled after %s s, for a message of %s", self._timeout, message.sender)
            return f"this took longer than {self._timeout:g} s, and was stopped"
        except Exception:  # a handler may raise anything; the bot goes on
            log.exception("a handler has failed for a message of %s", message.sender)
            return "this failed: the bot's log says why"

    async def _send(self, message: BotMessage, answer: str) -> None:
        try:
            await message.reply(answer)
        except NotDelivered as error:
            log.warning("%s did not get an answer: %s", message.conversation, error)

    async def _is_answered(self, message: BotMessage) -> bool:
        """Look in the history whether the bot has answered a message before it was started again."""
        before: int | None = None
        for _ in range(_PAGES):
            try:
                page = await message.client.history(message.conversation, before=before, limit=_PAGE)
            except RequestRefused as error:
                log.warning("cannot look whether %s was answered: %s", message.conversation, error)
                return False
            if any(each.outgoing and each.id == message.answer_id(0) for each in page):
                return True
            before = _position(page[0]) if page else 0
            if before <= _position(message.message):
                break
        return False


def _position(message: MemberMessage) -> int:
    """Return the number of a message in its conversation, as `history` counts."""
    return message.place or message.seq


async def _end_of_log(client: MemberClient) -> float:
    """Return the number of the newest message of the log; infinity if it is not known, as a bot may not ask for it."""
    newest = await client.history(limit=1)
    return newest[0].seq if newest else math.inf


async def _say(text: str) -> str:
    return text


def _checked(handler: _AnyHandler) -> _AnyHandler:
    """Return a handler, which must be a coroutine function.

    Raises:
        TypeError: it is none.
    """
    if not inspect.iscoroutinefunction(handler):
        raise TypeError(f"{getattr(handler, '__qualname__', handler)} must be written as `async def`")
    return handler
