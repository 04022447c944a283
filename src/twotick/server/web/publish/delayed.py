"""Sends what bots have published with a delay (docs/protocol.md, rule 22.7).

Theory of operation. What is delayed is in the database. When its time has come, the server sends it as the bot, over a
connection of the bot's with the token that it was published with, so that all rules apply as if the program sent it
then. It is forgotten once it is stored as a message, or if it never can be. A server that is killed between the two
sends it again after its start, with the same Id: it is delivered once (rule 11.7). Of several servers on one database,
the one that leads sends.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from twotick.server.awaiting import stored_answer
from twotick.server.logs import log
from twotick.server.web.publish.answers import failure_of
from twotick.server.web.publish.bots import PublishHost
from twotick.server.web.publish.session import STATES, BotSession
from twotick.store import Answer, DueMessage, FindDue, LoginProof, Request, SettleDelayed, StoreError, TakeDelayed

_EVERY: Final = 1.0
"""Seconds between two looks what is due."""

_AT_ONCE: Final = 16
"""The most messages that are looked at in one."""

_AGAIN: Final = 30.0
"""Seconds until a message is tried again that cannot be sent at the moment, at least."""

_PATIENCE: Final = 86400.0
"""Seconds after its time for which a message is tried again."""


class DelayedSender:
    """Sends what is due. It belongs to one event loop.

    Args:
        host: the server.
        leads: tells whether this server sends for all that share the database.
    """

    def __init__(self, host: PublishHost, leads: Callable[[], bool]) -> None:
        self._host = host
        self._leads = leads
        self._loop = asyncio.get_running_loop()
        self._next = 0.0
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False

    def tick(self, now: float) -> None:
        """Look what is due; `now` is the time of the event loop, in seconds."""
        if now >= self._next and (self._task is None or self._task.done()) and not self._is_stopping:
            self._next = now + _EVERY
            if self._leads():
                self._task = self._loop.create_task(self._send_all())

    async def stop(self) -> None:
        """Send nothing more. What is being sent is sent once more after the next start, and delivered once."""
        self._is_stopping = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _send_all(self) -> None:
        try:
            found = await self._ask(FindDue(self._host.clock(), _AT_ONCE))
            if isinstance(found, StoreError):
                return
            for each in found:
                await self._send(each)
            if len(found) == _AT_ONCE:
                self._next = 0.0  # there may be more
        except Exception as error:  # a defect must not end it
            self._loop.call_exception_handler({"message": "delayed messages cannot be sent", "exception": error})

    async def _ask(self, request: Request[Answer]) -> Answer | StoreError:
        return await stored_answer(self._host.ask, request)

    async def _send(self, due: DueMessage) -> None:
        """Send a message, and forget it if that has an outcome."""
        message = due.message
        if await self._ask(TakeDelayed(message.member, message.id)) is not True:
            return  # it was cancelled meanwhile; or the store failed, and it stays due
        proof = due.bot, message.device, LoginProof(message.token)
        session = BotSession(self._host, due.bot.name, proof, "127.0.0.1", encrypted=False)
        try:
            outcome = await session.send(
                message.recipient.decode(), message.id.decode(), message.body, message.headers, STATES[0], 0.0
            )
        finally:
            session.close()
        now = self._host.clock()
        if outcome.state in STATES:
            await self._ask(SettleDelayed(message.member, message.id, None))
            return
        if failure_of(outcome).status == 503 and now < message.due + _PATIENCE:
            again = now + max(_AGAIN, outcome.retry_after)
            await self._ask(SettleDelayed(message.member, message.id, again))
            return
        log.warning(
            "a delayed message was not sent",
            bot=due.bot.name,
            recipient=message.recipient.decode("ascii", "replace"),
            id=message.id.decode("ascii", "replace"),
            reason=outcome.reason,
        )
        await self._ask(SettleDelayed(message.member, message.id, None))
