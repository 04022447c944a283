"""A cable between a server and what it talks to, which can be cut: a small proxy for TCP."""

import asyncio
import contextlib
from typing import Final

from tests.store.postgres_server import free_port

_PIECE: Final = 1 << 16


class Cable:
    """Carries connections to a port of this machine. While it is cut, it carries none, and lets none in.

    Args:
        target: the port at the far end.

    Attributes:
        port: the port at the near end.
    """

    def __init__(self, target: int) -> None:
        self.port = free_port()
        self._target = target
        self._near: set[asyncio.StreamWriter] = set()
        self._far: set[asyncio.StreamWriter] = set()
        self._whole = asyncio.Event()
        self._whole.set()
        self._silent = False
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Carry connections from now on."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port, limit=_PIECE)

    def cut(self, *, silent: bool = False) -> None:
        """Cut it.

        Args:
            silent: whether neither end learns of it, as when a switch fails; else all connections are reset.
        """
        self._silent = silent
        self._whole.clear()
        if not silent:
            self._reset()

    def keep_alives_fail(self, *, near: bool) -> None:
        """Reset connections at one end, as the keep-alives of TCP do there after the other end was silent."""
        for end in self._near if near else self._far:
            end.transport.abort()

    def mend(self) -> None:
        """Carry again. What was under way when the cable was cut is lost."""
        self._reset()
        self._whole.set()

    def _reset(self) -> None:
        for end in (*self._near, *self._far):
            end.transport.abort()

    async def _carry(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        self._near.add(near_out)
        far_out: asyncio.StreamWriter | None = None
        try:
            if not self._whole.is_set() and not self._silent:
                return
            await self._whole.wait()
            far_in, far_out = await asyncio.open_connection("127.0.0.1", self._target)
            self._far.add(far_out)
            both = {
                asyncio.create_task(self._pump(near_in, far_out)),
                asyncio.create_task(self._pump(far_in, near_out)),
            }
            try:
                await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                if self._silent and not near_out.is_closing():
                    await self._whole.wait()  # the near end does not learn of it earlier
            finally:
                for each in both:
                    each.cancel()
        except OSError:
            return
        finally:
            self._near.discard(near_out)
            near_out.transport.abort()
            if far_out is not None:
                self._far.discard(far_out)
                far_out.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(_PIECE):
                await self._whole.wait()
                sink.write(data)
                await sink.drain()

    async def close(self) -> None:
        """Carry nothing any more."""
        if self._server is not None:
            self._server.close()
        self._reset()
