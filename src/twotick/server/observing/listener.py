"""The listeners for the operator: a port for programs for monitoring, and a socket in the data folder for commands.

Both speak HTTP, one request for each connection. Only the socket takes orders: the data folder is its owner's alone.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import h11

from twotick.server.logs import log
from twotick.server.observing.observer import Observer

_AT_ONCE: Final = 32
"""The most connections. For a further one, the oldest is closed that has not sent its request."""

_PATIENCE: Final = 30.0
"""Seconds for a request and its answer."""

_HEAD: Final = 8192
"""The most bytes of a request."""

_TEXT: Final = "text/plain; charset=utf-8"

Reply: TypeAlias = tuple[int, str, bytes]
"""A status, the type of the content, and the content."""

Route: TypeAlias = Callable[[], Awaitable[Reply]]
"""Answers a request."""


def health_routes(observer: Observer) -> dict[str, Route]:
    """Return what both listeners answer."""

    async def health() -> Reply:
        return 200, _TEXT, b"ok\n"  # the event loop has answered

    async def ready() -> Reply:
        problems = await observer.problems()
        return (503 if problems else 200), _TEXT, ("\n".join(problems or ["ready"]) + "\n").encode()

    return {"GET /healthz": health, "GET /readyz": ready}


def metrics_routes(observer: Observer) -> dict[str, Route]:
    """Return what the port for monitoring answers besides."""
    from twotick.server.observing.metrics import CONTENT_TYPE, metrics  # only servers with that port import it

    async def answer() -> Reply:
        return 200, CONTENT_TYPE, await metrics(observer)

    return {"GET /metrics": answer}


def json_reply(content: dict[str, Any], status: int = 200) -> Reply:
    """Return an answer in JSON."""
    return status, "application/json", json.dumps(content).encode()


class Listener:
    """Answers requests on some sockets, from `start` to `stop`.

    Args:
        routes: what is answered, by method and path.
    """

    def __init__(self, routes: dict[str, Route]) -> None:
        self._routes = routes
        self._servers: list[asyncio.Server] = []
        self._open = 0
        self._silent: dict[asyncio.StreamWriter, None] = {}  # whose requests have not come yet, oldest first

    async def start(self, listening: list[socket.socket]) -> None:
        """Answer on these sockets, which listen."""
        for each in listening:
            start = asyncio.start_unix_server if each.family == socket.AF_UNIX else asyncio.start_server
            self._servers.append(await start(self._serve, sock=each, limit=_HEAD))

    def stop(self) -> None:
        """Accept no more requests."""
        for server in self._servers:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        self._silent[writer] = None
        if self._open > _AT_ONCE:
            oldest = next(iter(self._silent))
            del self._silent[oldest]
            oldest.transport.abort()
        try:
            if not writer.transport.is_closing():
                async with asyncio.timeout(_PATIENCE):
                    await self._answer(reader, writer)
        except (OSError, TimeoutError):
            pass  # the client has given up, or must
        finally:
            self._open -= 1
            self._silent.pop(writer, None)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD)
        has_body = True
        try:
            while (event := connection.next_event()) is h11.NEED_DATA:
                connection.receive_data(await reader.read(_HEAD))
            if not isinstance(event, h11.Request):
                return  # the client has closed the connection
            self._silent.pop(writer, None)
            has_body = event.method != b"HEAD"
            path = event.target.partition(b"?")[0].decode("ascii", "replace")
            status, kind, content = await self._reply(event.method.decode("ascii"), path)
        except h11.RemoteProtocolError as error:
            status, kind, content = error.error_status_hint, _TEXT, b"this is no request of HTTP\n"
        headers = [("Content-Type", kind), ("Content-Length", str(len(content))), ("Connection", "close")]
        head = connection.send(h11.Response(status_code=status, headers=headers, reason=b""))
        writer.write((head or b"") + (content if has_body else b""))
        await writer.drain()

    async def _reply(self, method: str, path: str) -> Reply:
        route = self._routes.get(f"{'GET' if method == 'HEAD' else method} {path}")
        if route is not None:
            return await route()
        if any(known.endswith(f" {path}") for known in self._routes):
            return 405, _TEXT, b"this method has no meaning here\n"
        return 404, _TEXT, f"there is only {', '.join(sorted(self._routes))}\n".encode()


@contextmanager
def control_address(data: Path) -> Generator[str]:
    """Return where the socket of a data folder is, by a name that is short enough for the system.

    Raises:
        OSError: the folder cannot be opened.
    """
    path = str(data / "control")
    if len(os.fsencode(path)) < 100 or not Path("/proc/self/fd").is_dir():
        yield path
        return
    folder = os.open(data, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/control"
    finally:
        os.close(folder)


def open_control(data: Path) -> list[socket.socket]:
    """Listen in a data folder; return nothing if that is impossible, which is logged.

    Two servers on one database on PostgreSQL, whose data folder is not locked, may share the folder by mistake. Then
    the first keeps the socket.
    """
    opened = socket.socket(socket.AF_UNIX)
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_unused(data)
        (data / "control").unlink(missing_ok=True)
        with control_address(data) as where:
            opened.bind(where)
        (data / "control").chmod(0o600)
        opened.listen()
    except OSError as error:
        opened.close()
        log.warning("commands cannot ask this server", path=str(data / "control"), reason=str(error.strerror or error))
        return []
    return [opened]


def _check_unused(data: Path) -> None:
    """Raise OSError if a server listens on the socket of a data folder. That of a server that was killed refuses."""
    with socket.socket(socket.AF_UNIX) as tried, control_address(data) as where:
        if tried.connect_ex(where) == 0:
            raise OSError(0, "another server listens there: give each server on this machine a folder of its own")


def close_control(data: Path) -> None:
    """Remove the socket from a data folder."""
    with contextlib.suppress(OSError):
        (data / "control").unlink(missing_ok=True)
