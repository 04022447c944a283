"""Accept encrypted connections, a few TLS handshakes at a time (docs/protocol.md, rule 8.3).

A handshake takes far more memory than a connection that waits, and a client can leave it half-done. So the server
begins only so many, and addresses share them. The other connections wait; the system keeps what their clients write.
"""

import asyncio
import contextlib
import socket
import ssl
from typing import Protocol

from twotick.net import network_of
from twotick.server.turns import Turns

_HANDSHAKE = b"\x16"
"""How a TLS handshake begins."""

_MOST_READ = 1 << 16
"""Bytes that are read and dropped of what a client says without TLS."""

_NARROW = 16 << 10
"""The bytes for which the system makes room that a client sends before it is registered. What the system has at once is
read at once, and what decrypts it keeps that much memory as long as the connection lasts: 600 KiB without this."""

_PAUSE = 1.0
"""Seconds to wait after the system has refused to accept a connection, because too many files are open."""


class TlsHost(Protocol):
    """What a listener needs of the server."""

    def admit(self, network: str) -> bool:
        """Return whether an address may have one more connection, and count it if so."""
        ...

    def dismiss(self, network: str) -> None:
        """Count a connection no more that was admitted, because its handshake has failed."""
        ...

    @property
    def without_tls(self) -> bytes:
        """The answer to a client that does not begin a TLS handshake."""
        ...

    def make_protocol(self) -> asyncio.Protocol:
        """Return the protocol of a new connection. Once it has a transport, the server counts the connection."""
        ...


class _TlsHandshake:
    """A handshake that is under way or waits.

    Args:
        protocol: the protocol of the connection.
    """

    __slots__ = ("protocol",)

    def __init__(self, protocol: asyncio.Protocol) -> None:
        self.protocol = protocol

    @property
    def complete(self) -> bool:
        """Whether the connection is encrypted now, and the server counts it."""
        return hasattr(self.protocol, "transport")


class TlsListener:
    """Accepts connections on a socket, and encrypts them.

    Args:
        listening: the socket.
        context: the certificate.
        turns: the handshakes that are under way; shared by all listeners.
        host: the server.
        timeout: seconds until a connection whose handshake is not complete is closed.

    Attributes:
        context: the certificate for the next handshakes.
    """

    def __init__(
        self, listening: socket.socket, context: ssl.SSLContext, turns: Turns, host: TlsHost, timeout: float
    ) -> None:
        listening.setblocking(False)
        self._listening = listening
        self.context = context
        self._turns = turns
        self._host = host
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._handshakes: dict[asyncio.Task[None], _TlsHandshake] = {}
        self._accepting = self._loop.create_task(self._accept())
        self._accepting.add_done_callback(lambda _: listening.close())

    def close(self) -> None:
        """Accept nothing more, and break off the handshakes that are under way."""
        self._accepting.cancel()
        for task, handshake in self._handshakes.items():
            if not handshake.complete:  # the others are connections now, which the server closes
                task.cancel()

    async def _accept(self) -> None:
        while True:
            try:
                client, address = await self._loop.sock_accept(self._listening)
            except OSError:
                await asyncio.sleep(_PAUSE)
                continue
            network = network_of(str(address[0]))
            if not self._host.admit(network):
                client.close()
                continue
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW)
            handshake = _TlsHandshake(self._host.make_protocol())
            task = self._loop.create_task(self._encrypt(client, network, handshake))
            self._handshakes[task] = handshake
            task.add_done_callback(self._handshakes.pop)

    async def _encrypt(self, client: socket.socket, network: str, handshake: "_TlsHandshake") -> None:
        try:
            with contextlib.suppress(OSError):  # includes TimeoutError and SSLError: the client is no use to us
                async with asyncio.timeout(self._timeout), self._turns.turn(network):
                    if not await self._begins_handshake(client):
                        client.recv(_MOST_READ)  # a socket that is closed with unread input discards the answer
                        client.send(self._host.without_tls)
                        return
                    await self._loop.connect_accepted_socket(
                        lambda: handshake.protocol, client, ssl=self.context, ssl_handshake_timeout=self._timeout
                    )
        finally:
            if not handshake.complete:
                client.close()
                self._host.dismiss(network)

    async def _begins_handshake(self, client: socket.socket) -> bool:
        """Wait for the first byte of a client; return False if it is no TLS handshake."""
        readable: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(client, lambda: None if readable.done() else readable.set_result(None))
        try:
            await readable
        finally:
            self._loop.remove_reader(client)
        return client.recv(1, socket.MSG_PEEK) in (_HANDSHAKE, b"")
