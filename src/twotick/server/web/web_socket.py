"""Connections whose bytes come in frames of WebSocket, and how they begin (RFC 6455)."""

import asyncio
import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import h11

from twotick.server.connection import ConnectionHost, SocketConnection
from twotick.server.web.frames import BINARY, NORMAL, PONG, FrameDecoder, close_frame, frame, frame_head
from twotick.server.web.gate import Turned, Visitor

_ACCEPT: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""What makes a key into the answer to it (RFC 6455, section 1.3)."""


class WebSocketPort:
    """What the exchange writes to: each write is a message.

    Args:
        transport: the socket.
        encrypted: stands for the encryption of the client's connection; None if there is none.
    """

    __slots__ = ("_encrypted", "_transport")

    def __init__(self, transport: asyncio.Transport, encrypted: object) -> None:
        self._transport = transport
        self._encrypted = encrypted

    def write(self, data: bytes) -> None:
        """Write a message."""
        self._transport.write(frame_head(BINARY, len(data)) + data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        """Write a message, of which the parts are large."""
        parts = list(parts)
        self._transport.writelines([frame_head(BINARY, sum(map(len, parts))), *parts])

    def get_protocol(self) -> asyncio.BaseProtocol | None:
        """Return the connection; None if it was lost."""
        return self._transport.get_protocol()

    def get_extra_info(self, name: str) -> Any:
        """Return what is known about the client's connection, which behind a proxy is not the socket's."""
        return self._encrypted if name == "ssl_object" else self._transport.get_extra_info(name)


class WebSocketConnection(SocketConnection):
    """A connection whose bytes come in frames of WebSocket.

    Args:
        host: the server.
        visitor: who has opened it.
    """

    __slots__ = ("_decoder", "_farewell", "_visitor")

    way = "web"

    def __init__(self, host: ConnectionHost, visitor: Visitor) -> None:
        super().__init__(host)
        self._visitor = visitor
        self._decoder = FrameDecoder()
        self._farewell = NORMAL, ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Handle that the connection is a WebSocket now."""
        transport = cast(asyncio.Transport, transport)
        self.opened(transport, WebSocketPort(transport, self._visitor.encrypted or None), self._visitor.address)

    @property
    def admitted(self) -> bool:
        """True: it was counted when it began with HTTP."""
        return True

    def begins_tls(self, data: bytes) -> bool:
        """Return False: the connection has begun with HTTP."""
        return False

    def handle(self, data: bytes) -> None:
        """Handle bytes that have arrived."""
        decoder = self._decoder
        stream = decoder.feed(data)
        if stream:
            super().handle(stream)
        if decoder.ping is not None:
            if self.connection.window:  # otherwise the client does not read, and answers would pile up
                self.transport.write(frame(PONG, decoder.ping))
            decoder.ping = None
        if decoder.failure is not None:
            self.explain(*decoder.failure)
            self._host.exchange.finish(self.connection)
        elif decoder.closed is not None:
            self.ended = True
            self._host.exchange.finish(self.connection)

    def explain(self, code: int, reason: str) -> None:
        """Note why the connection is about to be closed."""
        self._farewell = code, reason

    def say_goodbye(self) -> None:
        """Write the close frame."""
        self.transport.write(close_frame(*self._farewell))


def accept_key(request: h11.Request, headers: Mapping[bytes, bytes]) -> str:
    """Return the answer to the key of a request for a WebSocket (RFC 6455, section 4.2).

    Raises:
        Turned: it is no such request.
    """
    upgrade = headers.get(b"upgrade", b"").lower()
    connection = [each.strip() for each in headers.get(b"connection", b"").lower().split(b",")]
    if request.method != b"GET" or upgrade != b"websocket" or b"upgrade" not in connection:
        raise Turned(426, "Here, clients open a WebSocket.")
    if headers.get(b"sec-websocket-version") != b"13":
        raise Turned(426, "This server speaks version 13 of WebSocket.")
    key = headers.get(b"sec-websocket-key", b"")
    try:
        is_valid = len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        is_valid = False
    if not is_valid:
        raise Turned(400, "The header Sec-WebSocket-Key is not valid.")
    return base64.b64encode(hashlib.sha1(key + _ACCEPT, usedforsecurity=False).digest()).decode("ascii")
