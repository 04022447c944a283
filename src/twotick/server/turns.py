"""Who is served next, when only so many can be served at a time: addresses take turns."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from twotick.exchange import Shares


class Turns:
    """Places for work that costs much. Those who wait for one take turns by address, and share the places fairly.

    Args:
        places: how much of the work is done at a time.
    """

    def __init__(self, places: int) -> None:
        self._shares = Shares(places)
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, address: str) -> AsyncGenerator[None]:
        """Wait for a place, and hold it.

        Args:
            address: the address for which the work is done, from `twotick.net.network_of`.
        """
        if address in self._waiting or not self._shares.take(address, 1):
            await self._wait(address)
        try:
            yield
        finally:
            self._leave(address)

    async def _wait(self, address: str) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(address, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given the place at the same moment
                self._leave(address)
            raise

    def _leave(self, address: str) -> None:
        self._shares.give_back(address, 1)
        for each in list(self._waiting):
            if self._shares.take(each, 1) and not self._call(each):
                self._shares.give_back(each, 1)

    def _call(self, address: str) -> bool:
        """Give a place to the first who waits at an address. Return whether one does."""
        waiting = self._waiting.pop(address)
        while waiting:
            turn = waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                if waiting:
                    self._waiting[address] = waiting  # the others wait behind all other addresses
                return True
        return False
