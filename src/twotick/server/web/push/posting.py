"""Posting to push services, which users name: never into the server's own network, nor where they redirect to."""

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import h11

from twotick.exchange import Endpoint
from twotick.net import is_public

_PATIENCE: Final = 10.0
"""Seconds that a push service has in all, from the moment when its addresses are known."""

_HEAD: Final = 16 << 10
"""The most bytes that are read of an answer: its head, and those of answers that only say that it is to come."""

_ADDRESSES: Final = 3
"""The most addresses of a push service that are tried."""


class ServiceUnreachable(Exception):
    """A push service does not answer; the text says why."""


@dataclass(frozen=True, slots=True)
class ServiceAnswer:
    """What a push service has answered.

    Attributes:
        status: the status of HTTP.
        retry_after: the seconds after which it wants to be asked again; 0 if it does not say.
        content_type: the type of the body; empty if it does not say.
        body: as much of the body as was asked for; empty if there is more.
    """

    status: int
    retry_after: int = 0
    content_type: str = ""
    body: bytes = b""


class Poster:
    """Posts to push services.

    Args:
        allow_local: whether they may be on this machine and in private networks.
        context: checks their certificates; None for what the system trusts.
    """

    def __init__(self, *, allow_local: bool, context: ssl.SSLContext | None = None) -> None:
        self._allow_local = allow_local
        self._context = context  # it is made when it is needed: it takes some time to load the certificates

    async def post(
        self, endpoint: Endpoint, headers: Sequence[tuple[str, str]], body: bytes, *, most: int = 0
    ) -> ServiceAnswer:
        """Post to a push service.

        Args:
            endpoint: where.
            headers: the headers besides Host and Content-Length.
            body: the body.
            most: the most bytes of the answer's body; with more, the answer has none. 0 to read the head only.

        Raises:
            ServiceUnreachable: there was no answer within 10 s, or the host may not be posted to.
        """
        try:
            addresses = await self._addresses(endpoint)
            async with asyncio.timeout(_PATIENCE):
                return await self._post(addresses, endpoint, headers, body, most)
        except TimeoutError as error:
            raise ServiceUnreachable(f"no answer in {_PATIENCE:.0f} s") from error
        except OSError as error:
            raise ServiceUnreachable(error.strerror or str(error) or type(error).__name__) from error
        except h11.RemoteProtocolError as error:
            raise ServiceUnreachable(f"its answer is not HTTP: {error}") from error

    async def _post(
        self, addresses: Sequence[str], endpoint: Endpoint, headers: Sequence[tuple[str, str]], body: bytes, most: int
    ) -> ServiceAnswer:
        is_encrypted = endpoint.origin.startswith("https:")
        if is_encrypted:
            self._context = self._context or ssl.create_default_context()
        reader, writer = await _connect(addresses, endpoint, self._context if is_encrypted else None)
        try:
            http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD)
            host = endpoint.origin.partition("://")[2]
            request = h11.Request(
                method="POST",
                target=endpoint.target,
                headers=[("Host", host), ("Content-Length", str(len(body))), ("Connection", "close"), *headers],
            )
            for event in (request, h11.Data(body), h11.EndOfMessage()):
                writer.write(http.send(event) or b"")
            return await _read_answer(http, reader, most)
        finally:
            writer.transport.abort()

    async def _addresses(self, endpoint: Endpoint) -> list[str]:
        """Return the addresses of a push service.

        All of them must be public: otherwise the name could be one that leads into this network every other time.
        """
        addresses = await _resolved(endpoint.host)
        if not self._allow_local and not all(map(is_public, addresses)):
            raise ServiceUnreachable("it has an address of this machine or of a private network")
        return addresses[:_ADDRESSES]


async def _resolved(host: str) -> list[str]:
    """Return the addresses of a host.

    Each host has its own thread, however long its name servers take: neither passwords nor other hosts nor the end of
    the server wait for them. A push holds its place until then, so there are no more threads than pushes at once.

    Raises:
        OSError: it has none, or its name servers do not say.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()

    def tell(found: list[str] | OSError) -> None:
        if answer.done():  # cancelled meanwhile
            return
        if isinstance(found, OSError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def work() -> None:
        found = _look_up(host)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing waits for the answer
            loop.call_soon_threadsafe(tell, found)

    threading.Thread(target=work, name="look-up", daemon=True).start()
    return await answer


def _look_up(host: str) -> list[str] | OSError:
    """Ask the system for the addresses of a host; this may take long. Return them, or why there are none."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        return error
    except UnicodeError as error:
        return OSError(f"its name is malformed: {error}")
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


async def _connect(
    addresses: Sequence[str], endpoint: Endpoint, context: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Connect to the first of some addresses that takes the connection."""
    failure = OSError("it has no address")
    for address in addresses:
        try:
            return await asyncio.open_connection(
                address,
                endpoint.port,
                ssl=context,
                server_hostname=None if context is None else endpoint.host,
                limit=_HEAD,
            )
        except OSError as error:
            failure = error
    raise failure


async def _read_answer(http: h11.Connection, reader: asyncio.StreamReader, most: int) -> ServiceAnswer:
    """Read the head of an answer, and its body if that is not longer than `most` bytes."""
    left = _HEAD
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            if not left:
                raise ServiceUnreachable("its answer has no end")
            data = await reader.read(left)
            left -= len(data)
            http.receive_data(data)
        elif isinstance(event, h11.Response):
            headers = dict(event.headers)
            kind = headers.get(b"content-type", b"").decode("latin-1")
            body = await _read_body(http, reader, most) if most else b""
            return ServiceAnswer(event.status_code, _seconds(headers.get(b"retry-after", b"")), kind, body)
        elif not isinstance(event, h11.InformationalResponse):
            raise ServiceUnreachable("it closed the connection")


async def _read_body(http: h11.Connection, reader: asyncio.StreamReader, most: int) -> bytes:
    """Return the body of an answer; nothing if it is longer than `most` bytes."""
    body = b""
    while len(body) <= most:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(_HEAD))
        elif isinstance(event, h11.Data):
            body += event.data
        else:
            return body
    return b""


def _seconds(value: bytes) -> int:
    """Return the number of seconds in a header; 0 for a date, which clocks could understand differently."""
    return int(value) if value.isdigit() and len(value) < 10 else 0
