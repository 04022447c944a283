"""All subscribers: who may subscribe, how many, and for how long."""

import asyncio
import json
import secrets
from collections import Counter
from collections.abc import Callable, Coroutine
from os import EX_NOPERM, EX_UNAVAILABLE
from typing import Any, Final

from twotick.net import network_of
from twotick.server.web.gate import Visitor
from twotick.server.web.publish.answers import RETRY, NotPublished, mistake, refusal
from twotick.server.web.publish.bots import Bots, PublishHost
from twotick.server.web.site import SECURITY, WebAnswer
from twotick.server.web.subscribe.connection import SubscriberConnection
from twotick.server.web.subscribe.wanted import AUTH, Subscription, readable, unnamed
from twotick.store import BotMember, Device, FindBot, ListDevices, Revoke, StoreError
from twotick.wire import Frame, HeadCache, Parser

_KEEP_ALIVE: Final = 45.0
"""The most seconds without a message after which a subscriber is told that the server is still there."""

_LOOK: Final = 1.0
"""Seconds between looks whether bots may still read what they subscribe to."""

_MOST_OF_BOT: Final = 16
_MOST_OF_ADDRESS: Final = 128
"""The subscriptions of a bot, and of an address."""

_BELOW: Final = "/sub-"
"""How the names of subscribers' devices go on after that of the token."""

_LEFT_BEHIND: Final = 2 * 86400.0
"""Seconds after which a device was left behind that may be a subscriber's at another server on the database."""

_ANY_LENGTH: Final = 1 << 33


class Subscribers:
    """All subscribers. It belongs to one event loop.

    Args:
        host: the server.
        bots: knows which bot has a token.
        clock: returns the time, in seconds since 1970.
        keep_alive: the seconds without a message after which a subscriber is told that the server is still there, if
            they are fewer than usual.
    """

    def __init__(
        self, host: PublishHost, bots: Bots, clock: Callable[[], float], keep_alive: float = _KEEP_ALIVE
    ) -> None:
        self._host = host
        self._bots = bots
        self.now = clock
        self._keep_alive = min(keep_alive, _KEEP_ALIVE)
        self._loop = asyncio.get_running_loop()
        self._parser = Parser(HeadCache(_ANY_LENGTH))
        self._connections: dict[SubscriberConnection, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._next_look = 0.0

    def make(
        self, visitor: Visitor, wanted: Subscription, accept: str, note: Callable[[int], None]
    ) -> SubscriberConnection:
        """Return the connection of a subscriber; the arguments are those of `SubscriberConnection`."""
        return SubscriberConnection(self, self._host, visitor, wanted, accept, note)

    def tick(self, now: float) -> None:
        """Tell subscribers that the server is there, and end what is not allowed any more.

        Args:
            now: the time of the event loop.
        """
        for connection in self._connections:
            if connection.wrote and connection.wrote + self._keep_alive <= now:
                connection.keep_alive()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK
        for member in {each.member for each in self._connections}:
            self._host.ask(FindBot(member), lambda found, member=member: self._look(member, found))

    def stop(self) -> None:
        """Let nothing more in."""
        for task in list(self._tasks):
            task.cancel()

    def _look(self, member: int, found: BotMember | StoreError | None) -> None:
        """End the subscriptions of a bot that it may not have any more."""
        if isinstance(found, StoreError):
            return
        for connection in [each for each in self._connections if each.member == member]:
            try:
                is_same = found is not None and _topics(found, connection.wanted) == connection.topics
            except NotPublished:
                is_same = False
            if not is_same:
                connection.finish("the rights of the bot have changed")

    # What connections ask

    def read(self, data: bytes) -> list[Frame]:
        """Return the frames that the exchange has written, which are always whole."""
        return self._parser.feed(data)

    def begin(self, connection: SubscriberConnection) -> None:
        """Find out which bot subscribes, and let it or refuse it."""
        self._run(self._begin(connection))

    def left(self, connection: SubscriberConnection) -> None:
        """Handle that a connection is gone: its device goes as well."""
        self._connections.pop(connection, None)
        if connection.device:
            request = Revoke(connection.member, connection.device)
            # The exchange has acknowledgements for the store, which come first.
            self._loop.call_soon(self._host.ask, request, _ignore)

    def _run(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _begin(self, connection: SubscriberConnection) -> None:
        try:
            bot, device = await self._bots.find(connection.wanted.token, connection.visitor)
            topics = _topics(bot, connection.wanted)
            if connection.wanted.format == AUTH:
                headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), *SECURITY]
                connection.answer(WebAnswer(200, headers, json.dumps({"success": True}).encode() + b"\n"))
                return
            self._check_room(bot, connection.visitor)
            await self._admit(connection, bot, device, topics)
        except NotPublished as refused:
            connection.answer(refusal(refused))
        except Exception as error:  # a defect must not leave the program without an answer
            context = {"message": "a bot cannot subscribe", "exception": error}
            self._loop.call_exception_handler(context)
            connection.answer(refusal(mistake()))

    def _check_room(self, bot: BotMember, visitor: Visitor) -> None:
        """Check that there may be one more subscription.

        Raises:
            NotPublished: there may not.
        """
        network = network_of(visitor.address)
        count = Counter(network_of(each.visitor.address) == network for each in self._connections)
        of_bot = sum(each.member == bot.number for each in self._connections)
        if of_bot >= _MOST_OF_BOT or count[True] >= _MOST_OF_ADDRESS:
            raise NotPublished(
                429, "there are too many subscriptions of this bot, or from this address", EX_UNAVAILABLE, RETRY
            )

    async def _admit(
        self, connection: SubscriberConnection, bot: BotMember, device: str, topics: dict[str, str]
    ) -> None:
        connection.member = bot.number
        self._connections[connection] = None
        below = _BELOW + secrets.token_hex(4)
        if not connection.wanted.polls:
            connection.device = device + below
            await self._tidy(bot, device)
        if connection.transport.is_closing():
            self._connections.pop(connection, None)  # it was lost meanwhile
        else:
            connection.start(bot.name, below, topics)

    async def _tidy(self, bot: BotMember, device: str) -> None:
        """Remove the devices that a server has left behind that was killed."""
        identity = self._host.exchange.neighbours.identity
        is_shared = identity is not None and not identity.is_alone
        found: list[Device] = await self._bots.ask(ListDevices(bot.number))
        ours = {each.device for each in self._connections}  # others may have come meanwhile
        for each in found:
            is_left = not is_shared or each.seen + _LEFT_BEHIND < self.now()
            if each.name.startswith(device + _BELOW) and each.name not in ours and is_left:
                self._host.ask(Revoke(bot.number, each.name), _ignore)


def _topics(bot: BotMember, wanted: Subscription) -> dict[str, str]:
    """Return the conversations that a bot subscribes to (see `readable`).

    Raises:
        NotPublished: it may not read them, or reads others too (rule 23.5).
    """
    topics = readable(bot, wanted.recipients)
    if topics is None:
        raise NotPublished(403, f"{bot.name} may not read there: 'twotick bot allow' lets it", EX_NOPERM)
    others = unnamed(bot, topics)
    if others and not wanted.polls and wanted.format != AUTH:
        raise NotPublished(
            403,
            f"{bot.name} also reads {', '.join(others)}, and what it reads would count as delivered:"
            " name all recipients in the path, with commas between, or make a bot for each",
            EX_NOPERM,
        )
    return topics


def _ignore(_: bool | StoreError) -> None:
    """Take the answer to a removal: a device that stays is removed before the next subscription."""
