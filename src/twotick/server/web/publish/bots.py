"""The bots that publish and subscribe by HTTP: which of them has a token."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from os import EX_NOPERM, EX_OSERR
from typing import Any, Final, Protocol, TypeVar

from twotick.net import is_loopback
from twotick.server.awaiting import stored_answer
from twotick.server.connection import ConnectionHost
from twotick.server.secrets import token_digest
from twotick.server.throttle import Throttle
from twotick.server.web.gate import Visitor
from twotick.server.web.publish.answers import RETRY, NotPublished
from twotick.store import BotMember, FindBot, FindToken, Member, Request, StoreError

_Found = TypeVar("_Found")

_KNOWN_FOR: Final = 1.0
"""Seconds for which a bot is not looked up again."""

_MOST_KNOWN: Final = 1024
"""The bots that are known at once."""


class PublishHost(ConnectionHost, Protocol):
    """What publishing needs of the server."""

    def ask(self, request: Request[Any], callback: Callable[[Any], None]) -> None:
        """Ask the store."""
        ...

    @property
    def clock(self) -> Callable[[], float]:
        """Returns the time by which messages age, in seconds since 1970."""
        ...


@dataclass(frozen=True, slots=True)
class _KnownBot:
    """A bot that has shown a token, the device of that token, and when it was looked up."""

    bot: BotMember
    device: str
    looked_up: float


class Bots:
    """The bots that have shown their tokens. It belongs to one event loop.

    Args:
        host: the server.
    """

    def __init__(self, host: PublishHost) -> None:
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._throttle = Throttle()
        self._known: OrderedDict[bytes, _KnownBot] = OrderedDict()

    async def find(self, token: str, visitor: Visitor) -> tuple[BotMember, str]:
        """Return the bot whose token this is, and the device that the token is for.

        Raises:
            NotPublished: there is none, or tokens are not accepted from there (rules 10.4 and 10.5).
        """
        if not visitor.encrypted and not is_loopback(visitor.address):
            raise NotPublished(403, "the connection is not encrypted: tokens are not accepted on it", EX_NOPERM)
        key = token_digest(token)
        now = self._loop.time()
        known = self._known.get(key)
        if known is not None and now - known.looked_up < _KNOWN_FOR:
            return known.bot, known.device
        self._known.pop(key, None)
        found: tuple[Member, str] | None = await self.ask(FindToken(key)) if token else None
        if found is None:
            if wait := self._throttle.wait(b"", visitor.address, now):
                raise NotPublished(429, "too many wrong tokens", EX_NOPERM, int(wait) + 1)
            self._throttle.failed(b"", visitor.address, now)
            raise NotPublished(401, "the token is missing or wrong: 'twotick bot token' makes one", EX_NOPERM)
        if found[0].disabled:
            raise NotPublished(401, "this account is disabled: ask the operator of the server", EX_NOPERM)
        bot = await self.ask(FindBot(found[0].number))
        if bot is None:
            raise NotPublished(403, "only bots publish here: 'twotick bot add' makes one", EX_NOPERM)
        self._known[key] = _KnownBot(bot, found[1], now)
        if len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)
        return bot, found[1]

    async def ask(self, request: Request[_Found]) -> _Found:
        """Ask the store.

        Raises:
            NotPublished: it cannot answer now.
        """
        result = await stored_answer(self._host.ask, request)
        if isinstance(result, StoreError):
            raise NotPublished(503, str(result), EX_OSERR, RETRY)
        return result
