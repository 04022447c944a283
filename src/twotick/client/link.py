"""One connection to a server, as frames."""

import asyncio
from collections.abc import Callable
from typing import cast

from twotick.client.address import reason
from twotick.client.errors import ServerUnreachable
from twotick.wire import Frame, HeadCache, Parser

_LINGER = 2.0
"""Seconds that a server has to take the last bytes of a connection that we close."""


class Link(asyncio.Protocol):
    """A connection. `on_frame` gets each frame, and `on_lost` is called once when there will be no more.

    Args:
        cache: the heads known so far.
        on_frame: called with each frame.
        on_lost: called with a reason, in words.

    Attributes:
        lost: why the connection is gone, in words; None while it is not.
    """

    def __init__(self, cache: HeadCache, on_frame: Callable[[Frame], None], on_lost: Callable[[str], None]) -> None:
        self.on_frame = on_frame
        self.on_lost = on_lost
        self._parser = Parser(cache)
        self._writable = asyncio.Event()
        self._writable.set()
        self.lost: str | None = None
        self._cutting_off: asyncio.TimerHandle | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def open(
        cls,
        server: tuple[str, int],
        cache: HeadCache,
        on_frame: Callable[[Frame], None],
        on_lost: Callable[[str], None],
    ) -> "Link":
        """Connect.

        Raises:
            ServerUnreachable: nobody answers there.
        """
        host, port = server
        try:
            _, link = await asyncio.get_running_loop().create_connection(
                lambda: cls(cache, on_frame, on_lost), host, port
            )
        except OSError as error:
            raise ServerUnreachable(f"no server at {host}:{port}: {reason(error)}") from error
        return link

    def write(self, data: bytes) -> None:
        """Write, unless the connection is gone."""
        if not self._transport.is_closing():
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait until the server takes what was written, or the connection is gone."""
        await self._writable.wait()

    def read(self, on: bool) -> None:
        """Take frames, or leave them where they are so that the server has to wait."""
        if on:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()

    def shut(self) -> None:
        """Close the connection after what was written, or soon if the server does not take that."""
        if self._cutting_off is None and self.lost is None:
            self._transport.close()
            self._cutting_off = asyncio.get_running_loop().call_later(_LINGER, self._transport.abort)

    async def closed(self) -> None:
        """Wait until the connection is gone."""
        await asyncio.shield(self._gone)

    # From the event loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a connection."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        for frame in self._parser.feed(data):
            self.on_frame(frame)

    def pause_writing(self) -> None:
        """The server does not read."""
        self._writable.clear()

    def resume_writing(self) -> None:
        """The server reads again."""
        self._writable.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._writable.set()
        if self._cutting_off is not None:
            self._cutting_off.cancel()
        self.lost = "the server closed the connection" if exc is None else f"the connection to the server broke: {exc}"
        self._gone.set_result(None)
        self.on_lost(self.lost)
