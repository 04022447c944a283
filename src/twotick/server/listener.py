"""Accept connections that begin with something else than frames: a TLS handshake, or the word of a proxy.

A proxy that the operator names says for whom it connects (docs/protocol.md, rule 1.6).

A TLS handshake takes far more memory than a connection that waits, and a client can leave it half-done. So the server
begins only so many, and addresses share them (rule 8.3). The other connections wait; the system keeps what their
clients write.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Sequence
from typing import Protocol

from twotick.net import network_of
from twotick.server.logs import log
from twotick.server.proxy_header import ProxyHeader, ProxyHeaderError
from twotick.server.turns import Turns
from twotick.server.urls import Network, is_within

_HANDSHAKE = b"\x16"
"""How a TLS handshake begins."""

_MOST_READ = 1 << 16
"""Bytes that are read and dropped of what a client says without TLS."""

_NARROW = 16 << 10
"""The bytes for which the system makes room that a client sends before it is registered. What the system has at once is
read at once, and what decrypts it keeps that much memory as long as the connection lasts: 600 KiB without this."""

_PAUSE = 1.0
"""Seconds to wait after the system has refused to accept a connection, because too many files are open."""


class ListenerHost(Protocol):
    """What a listener needs of the server."""

    def admit(self, network: str) -> bool:
        """Return whether an address may have one more connection, and count it if so."""
        ...

    def dismiss(self, network: str) -> None:
        """Count a connection no more that was admitted."""
        ...

    @property
    def without_tls(self) -> bytes:
        """The answer to a client that does not begin a TLS handshake."""
        ...

    def make_protocol(self, address: str | None = None) -> asyncio.Protocol:
        """Return the protocol of a new connection. Once it has a transport, the server counts the connection.

        Args:
            address: the address of the client; None for that of the other end of the socket.
        """
        ...


class _Beginning:
    """A connection that is not one of the server's yet, because a handshake is under way or waits.

    Attributes:
        protocol: the protocol of the connection; None until it is known who the client is.
    """

    __slots__ = ("protocol",)

    def __init__(self) -> None:
        self.protocol: asyncio.Protocol | None = None

    @property
    def complete(self) -> bool:
        """Whether the connection has begun, and the server counts it."""
        return hasattr(self.protocol, "transport")


class SocketListener:
    """Accepts connections on a socket, reads for whom a proxy connects, and encrypts them.

    Args:
        listening: the socket.
        context: the certificate; None to encrypt nothing.
        turns: the handshakes that are under way; shared by all listeners.
        host: the server.
        timeout: seconds until a connection whose handshake is not complete is closed, and as long before that for the
            word of a proxy.
        proxies: the proxies whose connections begin with a header of the PROXY protocol.

    Attributes:
        context: the certificate for the next handshakes.
    """

    def __init__(
        self,
        listening: socket.socket,
        context: ssl.SSLContext | None,
        turns: Turns,
        host: ListenerHost,
        timeout: float,
        proxies: Sequence[Network] = (),
    ) -> None:
        listening.setblocking(False)
        self._listening = listening
        self.context = context
        self._turns = turns
        self._host = host
        self._timeout = timeout
        self._proxies = proxies
        self._has_warned = False
        self._loop = asyncio.get_running_loop()
        self._beginnings: dict[asyncio.Task[None], _Beginning] = {}
        self._accepting = self._loop.create_task(self._accept())
        self._accepting.add_done_callback(lambda _: listening.close())

    def close(self) -> None:
        """Accept nothing more, and break off the handshakes that are under way."""
        self._accepting.cancel()
        for task, beginning in self._beginnings.items():
            if not beginning.complete:  # the others are connections now, which the server closes
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
            beginning = _Beginning()
            task = self._loop.create_task(self._begin(client, str(address[0]), beginning))
            self._beginnings[task] = beginning
            task.add_done_callback(self._beginnings.pop)

    async def _begin(self, client: socket.socket, address: str, beginning: _Beginning) -> None:
        """Make a connection of what was accepted and admitted."""
        network: str | None = network_of(address)
        from_proxy = is_within(address, self._proxies)
        try:
            if from_proxy:
                said = await self._read_header(client, address)
                if said is None:
                    return
                self._host.dismiss(network_of(address))
                address, network = said, None
                if not self._host.admit(network_of(said)):
                    return
                network = network_of(said)
            beginning.protocol = protocol = self._host.make_protocol(address if from_proxy else None)
            if self.context is not None:
                await self._encrypt(client, network, self.context, protocol)
            else:
                self._host.dismiss(network)  # the connection is counted when it has begun, as all that begin at once
                network = None
                with contextlib.suppress(OSError):  # the client is gone
                    await self._loop.connect_accepted_socket(lambda: protocol, client)
        finally:
            if not beginning.complete:
                client.close()
                if network is not None:
                    self._host.dismiss(network)

    async def _read_header(self, client: socket.socket, proxy: str) -> str | None:
        """Return the address of the client for whom a proxy connects; None if the proxy does not say it properly."""
        header = ProxyHeader()
        try:
            async with asyncio.timeout(self._timeout):
                while header.address is None:
                    await self._readable(client)
                    seen = client.recv(_MOST_READ, socket.MSG_PEEK)
                    if not seen:
                        return None
                    client.recv(header.feed(seen))
        except ProxyHeaderError as error:
            self._warn(proxy, str(error))
        except OSError:  # includes TimeoutError
            self._warn(proxy, "it did not come")
        return header.address

    def _warn(self, proxy: str, reason: str) -> None:
        """Log that a proxy does not say for whom it connects; once, since it may be the same for all connections."""
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "a connection of a trusted proxy has no PROXY header",
                proxy=proxy,
                reason=reason,
                remedy="let the proxy send one (send-proxy-v2 in HAProxy), or set proxy_protocol = false",
            )

    async def _encrypt(
        self, client: socket.socket, network: str, context: ssl.SSLContext, protocol: asyncio.Protocol
    ) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _NARROW)
        with contextlib.suppress(OSError):  # includes TimeoutError and SSLError: the client is no use to us
            async with asyncio.timeout(self._timeout), self._turns.turn(network):
                if not await self._begins_handshake(client):
                    client.recv(_MOST_READ)  # a socket that is closed with unread input discards the answer
                    client.send(self._host.without_tls)
                    return
                await self._loop.connect_accepted_socket(
                    lambda: protocol, client, ssl=context, ssl_handshake_timeout=self._timeout
                )

    async def _begins_handshake(self, client: socket.socket) -> bool:
        """Wait for the first byte of a client; return False if it is no TLS handshake."""
        await self._readable(client)
        return client.recv(1, socket.MSG_PEEK) in (_HANDSHAKE, b"")

    async def _readable(self, client: socket.socket) -> None:
        """Wait until there is something to read."""
        readable: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(client, lambda: None if readable.done() else readable.set_result(None))
        try:
            await readable
        finally:
            self._loop.remove_reader(client)
