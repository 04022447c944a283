"""Accept encrypted connections, a few TLS handshakes at a time (docs/protocol.md, rule 8.3).

A handshake takes far more memory than a connection that waits, and a client can leave it half-done. So the server
begins only so many, and addresses share them. The other connections wait; the system keeps what their clients write.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Protocol

from twotick.net import network_of
from twotick.server.turns import Turns

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

    def make_protocol(self) -> asyncio.Protocol:
        """Return the protocol of a new connection. Once it has a transport, the server counts the connection."""
        ...


class TlsListener:
    """Accepts connections on a socket, and encrypts them.

    Args:
        listening: the socket.
        context: the certificate.
        turns: the handshakes that are under way; shared by all listeners.
        host: the server.
        timeout: seconds until a connection whose handshake is not complete is closed.
    """

    def __init__(
        self, listening: socket.socket, context: ssl.SSLContext, turns: Turns, host: TlsHost, timeout: float
    ) -> None:
        listening.setblocking(False)
        self._listening = listening
        self._context = context
        self._turns = turns
        self._host = host
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._handshakes: set[asyncio.Task[None]] = set()
        self._accepting = self._loop.create_task(self._accept())
        self._accepting.add_done_callback(lambda _: listening.close())

    def close(self) -> None:
        """Accept nothing more, and break off the handshakes that are under way."""
        self._accepting.cancel()
        for each in self._handshakes:
            each.cancel()

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
            task = self._loop.create_task(self._encrypt(client, network))
            self._handshakes.add(task)
            task.add_done_callback(self._handshakes.discard)

    async def _encrypt(self, client: socket.socket, network: str) -> None:
        made: list[asyncio.Protocol] = []

        def make() -> asyncio.Protocol:
            made.append(self._host.make_protocol())
            return made[0]

        try:
            with contextlib.suppress(OSError):  # includes TimeoutError and SSLError: the client is no use to us
                async with asyncio.timeout(self._timeout), self._turns.turn(network):
                    await self._shake_hands(client, make)
        finally:
            if not (made and hasattr(made[0], "transport")):
                client.close()
                self._host.dismiss(network)

    async def _shake_hands(self, client: socket.socket, make: Callable[[], asyncio.Protocol]) -> None:
        await self._loop.connect_accepted_socket(make, client, ssl=self._context, ssl_handshake_timeout=self._timeout)
