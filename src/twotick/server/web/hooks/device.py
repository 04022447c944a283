"""A member's device inside the server: frames of the exchange, without a socket."""

import asyncio
from collections.abc import Iterable
from typing import Any, Protocol

from twotick.exchange import Exchange
from twotick.store import HOOK_DEVICE, Member
from twotick.wire import Frame, HeadCache, Parser, Side, register

_ANY_LENGTH = 1 << 33


class HookHost(Protocol):
    """What hooks need of the server."""

    exchange: Exchange

    def flush_soon(self) -> None:
        """Do what the exchange has left to do."""


class DeviceEnded(Exception):
    """The exchange has closed the connection of a device; the text says why."""


class HookDevice:
    """A device of a member, to which the exchange writes as to the socket of a client.

    Args:
        host: the server.
        member: the member.

    Attributes:
        reading: whether the exchange takes frames.
    """

    def __init__(self, host: HookHost, member: Member) -> None:
        self._host = host
        self._from_exchange = Parser(HeadCache(_ANY_LENGTH, 0))
        self._to_exchange = Parser(HeadCache(_ANY_LENGTH, 0))
        self._untaken: list[Frame] = []
        self._frames: asyncio.Queue[Frame | None] = asyncio.Queue()
        self.reading = True
        self.connection = host.exchange.connected("127.0.0.1", self, host.exchange.accepted())
        ((head, _),) = self._to_exchange.feed(register(Side.DUPLEX, member.name.encode(), 1))
        host.exchange.admit(self.connection, head, member, HOOK_DEVICE)
        host.flush_soon()

    async def next(self) -> Frame:
        """Return the next frame of the exchange.

        Raises:
            DeviceEnded: there will be none.
        """
        frame = await self._frames.get()
        if frame is None:
            raise DeviceEnded("the server has closed the connection")
        return frame

    def send(self, data: bytes) -> None:
        """Give frames to the exchange."""
        self._untaken += self._to_exchange.feed(data)
        self._submit()

    def close(self) -> None:
        """Disconnect."""
        self._host.exchange.disconnected(self.connection)
        self._host.flush_soon()

    def _submit(self) -> None:
        if self._untaken and not self.connection.paused and not self.connection.closing:
            frames, self._untaken = self._untaken, []
            self._untaken += self._host.exchange.take(self.connection, frames)
        self._host.flush_soon()

    # What the server does with a connection

    def write(self, data: bytes) -> None:
        """Take frames of the exchange."""
        for frame in self._from_exchange.feed(data):
            self._frames.put_nowait(frame)

    def writelines(self, parts: Iterable[bytes]) -> None:
        """Take frames of the exchange, of which the parts are large."""
        self.write(b"".join(parts))

    def get_protocol(self) -> "HookDevice | None":
        """Return what reads from the connection; None if it is closed."""
        if self.connection.closing:
            self._frames.put_nowait(None)
            return None
        return self

    def get_extra_info(self, _name: str) -> Any:
        """Return None: nothing is known of a socket."""
        return None

    def read(self, on: bool) -> None:
        """Take frames again, or let them wait."""
        self.reading = on
        if on:
            self._submit()
