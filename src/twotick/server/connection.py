"""One socket: its bytes go through a parser into the exchange."""

import asyncio
import socket
from collections.abc import Sequence
from typing import Any, Protocol, cast

from twotick.exchange import Connection, Exchange
from twotick.server.reading_turns import MOST_OF_A_TURN, ReadingTurns
from twotick.wire import Frame, HeadCache, Parser

_WRITE_BUFFER = 256 << 10
"""The bytes that may wait in a connection's output; what follows waits in the exchange instead."""

_EARLY_PIECE = 4096
"""Bytes that are handled at a time before registration."""

_PIECE = 4 << 10
"""Bytes whose frames are handled at a time after it. What is stored takes long, and a read may have thousands of
frames."""

_LARGE_PIECE = 16 << 10
"""The same if nothing of the last piece was stored."""

_WIDE = 1 << 20
"""The bytes for which the system makes room, as far as it allows, on a TLS connection that is registered."""

_FRAME = 512
"""Bytes that a frame takes besides its body, about."""


_TLS = b"\x16"
"""How a TLS handshake begins. No frame begins so."""

_NO_FRAME = b"\x16\n\n"
"""Stands for a TLS handshake on a connection without TLS: it is answered like any other text that is no frame."""

_IPV4 = "::ffff:"
"""How the address of an IPv4 client begins if it has reached a socket for IPv6."""


class ConnectionHost(Protocol):
    """What a socket connection needs of the server.

    Attributes:
        exchange: takes the frames.
        heads: the heads that the parsers know.
        flushing: whether `flush_soon` was called and the flush has not happened yet.
        turns: how much is handled of each address in this turn of the event loop.
    """

    exchange: Exchange
    heads: HeadCache
    flushing: bool
    turns: ReadingTurns

    def opened(self, connection: "SocketConnection") -> None:
        """Handle that a connection was accepted."""

    def watch_frame(self, connection: "SocketConnection", *, partial: bool, others: bool) -> None:
        """Handle that a frame has begun on a connection, or that one that had begun is complete."""

    def weigh(self, connection: "SocketConnection") -> None:
        """Handle that a connection holds more or less than before."""

    def closed(self, connection: "SocketConnection") -> None:
        """Handle that a connection is gone."""

    def flush_soon(self) -> None:
        """Do what the exchange has left to do, once all that has arrived by now was handled."""


def client_address(transport: asyncio.BaseTransport) -> str:
    """Return the address of the other end of a connection."""
    return _address(transport.get_extra_info("peername"))


def own_address(transport: asyncio.BaseTransport) -> str:
    """Return the address of this end of a connection."""
    return _address(transport.get_extra_info("sockname"))


def _address(end: Sequence[Any] | None) -> str:
    return end[0].removeprefix(_IPV4) if end else ""


class SocketConnection(asyncio.Protocol):
    """An accepted connection, driven by the event loop.

    Args:
        host: the server.
        address: the address of the client, if it is not that of the other end of the socket.

    Attributes:
        transport: the socket.
        connection: what the exchange knows about it.
        reading: whether the event loop reads from it.
        late: whether the server watches for the end of a frame that has begun on it.
        ended: whether the peer has closed its half.
        lingering: whether our half is closed, and what still arrives is dropped.
    """

    __slots__ = (
        "_address",
        "_host",
        "_is_waiting",
        "_most",
        "_narrow",
        "_number",
        "_parser",
        "_unhandled",
        "_untaken",
        "connection",
        "ended",
        "late",
        "lingering",
        "reading",
        "transport",
    )

    way = "socket"
    """How its client reaches the server, as metrics have it."""

    framed = False
    """Whether `port` takes frames as heads and bodies (`Connection.framed`)."""

    def __init__(self, host: ConnectionHost, address: str | None = None) -> None:
        self._host = host
        self._address = address
        self._number = host.exchange.accepted()  # before a TLS handshake, which can take long (rule 10.7)
        self._parser = Parser(host.heads)
        self._unhandled = b""
        self._is_waiting = False  # for a turn
        self._most = _LARGE_PIECE  # bytes of the next piece
        self._untaken: tuple[Frame, ...] = ()
        self._narrow = False  # whether the system makes little room for what arrives
        self.reading = True
        self.late = False
        self.ended = False
        self.lingering = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Handle that the event loop has accepted the connection."""
        transport = cast(asyncio.Transport, transport)
        self.opened(transport, transport, client_address(transport) if self._address is None else self._address)

    def opened(self, transport: asyncio.Transport, port: object, address: str) -> None:
        """Handle that the connection is there.

        Args:
            transport: the socket.
            port: what the exchange writes to.
            address: the address of the client.
        """
        self.transport = transport
        self.transport.set_write_buffer_limits(_WRITE_BUFFER)
        self.connection: Connection = self._host.exchange.connected(address, port, self._number, framed=self.framed)
        self._narrow = self.encrypted
        self._host.opened(self)

    @property
    def encrypted(self) -> bool:
        """Whether its socket is encrypted."""
        return self.transport.get_extra_info("ssl_object") is not None

    @property
    def is_registered(self) -> bool:
        """Whether its client has said who it is, for which there is a time limit."""
        return self.connection.side is not None

    @property
    def admitted(self) -> bool:
        """Whether it was counted before it had a protocol: before a TLS handshake, for example."""
        return self.encrypted

    def data_received(self, data: bytes) -> None:
        """Handle bytes that have arrived, unless their address has had its turn."""
        if self.lingering:
            return
        host = self._host
        if not host.flushing:
            host.flush_soon()
        if self.connection.side is None and not self._unhandled:
            self._handle_early(data)
            return
        handled = host.turns.handled
        network = self.connection.network
        so_far = handled.get(network, 0)
        if so_far >= MOST_OF_A_TURN or self._is_waiting or not self.reading:
            self._wait_for_turn(data)
        else:
            handled[network] = so_far + len(data)
            self.handle(data)
            if len(data) > _PIECE:
                self._fit_piece(so_far + len(data))
                self._handle_what_is_left()
                self._wait_or_read()

    def handle(self, data: bytes) -> None:
        """Handle bytes whose turn it is; of many frames, only the first."""
        host = self._host
        parser = self._parser
        frames = parser.feed(data, self._most)
        watched = parser.partial or self.late
        if watched:
            host.watch_frame(self, partial=parser.partial, others=bool(frames))
        if frames:
            connection = self.connection
            untaken = host.exchange.take(connection, frames)
            if connection.paused:
                self._stop_reading(untaken)
        if watched:
            self._weigh()

    def _handle_what_is_left(self) -> None:
        """Handle more frames that have been counted, until their address has had its turn."""
        turns, network = self._host.turns, self.connection.network
        while left := self._parser.left:
            turns.count(network, -left)
            if not self.reading or self.connection.closing or turns.is_over(network):
                break
            before = turns.handled[network]
            SocketConnection.handle(self, b"")
            self._fit_piece(before)
            turns.count(network, left)

    def _fit_piece(self, handled: int) -> None:
        """Choose the size of the next piece.

        Args:
            handled: what the last one would have counted for its address if nothing of it was stored.
        """
        stored = self._host.turns.handled[self.connection.network] > handled
        self._most = _PIECE if stored else _LARGE_PIECE

    def _handle_early(self, data: bytes) -> None:
        """Handle bytes that have arrived before registration: in pieces, because a few errors end the connection.

        So they need not wait for a turn. What follows a REGISTER does.
        """
        connection = self.connection
        if self.begins_tls(data):
            data = _NO_FRAME  # otherwise the client would wait for an answer until it gives up (rule 1.5)
        for position in range(0, len(data), _EARLY_PIECE):
            if connection.closing:
                return
            if connection.side is not None or connection.paused:
                self._wait_for_turn(data[position:])
                return
            self.handle(data[position : position + _EARLY_PIECE])
        self._widen()

    def begins_tls(self, data: bytes) -> bool:
        """Return whether bytes that have arrived begin a TLS handshake."""
        return data.startswith(_TLS) and not self._parser.partial

    def _widen(self) -> None:
        """Let the system take more at a time of a TLS connection that is registered now (see `listener.py`)."""
        if self._narrow and self.connection.side is not None and not self.transport.is_closing():
            self._narrow = False
            self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WIDE)

    def _wait_for_turn(self, data: bytes) -> None:
        self._unhandled += data
        self._wait()

    def _wait(self) -> None:
        if not self._is_waiting:
            self._is_waiting = True
            self._host.turns.wait(self)
            self.transport.pause_reading()
        self._host.weigh(self)

    def _wait_or_read(self) -> None:
        """Wait for a turn if something is left to handle, or read more; not while the connection is paused."""
        if self.reading:
            if self.unhandled:
                self._wait()
            else:
                self.transport.resume_reading()

    @property
    def network(self) -> str:
        """What counts as its address where addresses share something."""
        return self.connection.network

    @property
    def unhandled(self) -> int:
        """How many bytes have been read from it that wait for a turn of its address."""
        return len(self._unhandled) + self._parser.left

    def go_on(self) -> None:
        """Handle what has waited for a turn of its address, and read again; not while it is paused."""
        self._is_waiting = False
        if not self.reading or self.transport.is_closing():
            return
        turns, network = self._host.turns, self.connection.network
        turns.count(network, self._parser.left)
        self._handle_what_is_left()
        if self._unhandled and not self._parser.left and self.reading and not turns.is_over(network):
            data, self._unhandled = self._unhandled, b""
            turns.count(network, len(data))
            before = turns.handled[network]
            self.handle(data)
            self._fit_piece(before)
            self._handle_what_is_left()
        self._host.weigh(self)
        self._wait_or_read()

    @property
    def held(self) -> int:
        """The bytes that it holds: a part of a frame, frames that wait, and output that the peer does not read."""
        waiting = sum(_FRAME + len(body) for _, body in self._untaken)
        unread = 0 if self.connection.window else self.transport.get_write_buffer_size()
        return self._parser.held + len(self._unhandled) + waiting + unread

    def _weigh(self) -> None:
        """Drop what will not be looked at, and let the server know how much is left."""
        if self.connection.side is None and not self.connection.paused:
            self._parser.drop_body()  # before registration, no frame has a meaning that depends on its body
        self._host.weigh(self)

    def drop(self) -> None:
        """Drop what was not handled, because the connection is about to be closed."""
        self._parser = Parser(self._host.heads)
        self._untaken = ()
        self._unhandled = b""

    def explain(self, code: int, reason: str) -> None:
        """Note why the connection is about to be closed, for a WebSocket, which can say so (rule 19.6)."""

    def say_goodbye(self) -> None:
        """Write what comes last on a WebSocket."""

    def eof_received(self) -> bool:
        """Handle that the peer has closed its half; answers may still go out (rule 4.12)."""
        self.ended = True
        if self.lingering:
            return False
        self._host.exchange.finish(self.connection)
        self._host.flush_soon()
        return self.transport.can_write_eof()  # a TLS connection cannot be closed by halves

    def pause_writing(self) -> None:
        """Handle that the peer does not read what is written."""
        self._host.exchange.clogged(self.connection)
        self._host.weigh(self)
        self._host.flush_soon()

    def resume_writing(self) -> None:
        """Handle that the peer reads again."""
        self._host.exchange.flowing(self.connection)
        self._host.weigh(self)
        self._host.flush_soon()

    def read(self, on: bool) -> None:
        """Read from the socket, or leave its bytes there so that the peer has to wait."""
        if not on:
            self._stop_reading([])
            return
        if self._untaken and not self.lingering:
            self._take_again()
            if self.connection.paused:
                return
        self.reading = True
        self._widen()
        if self._parser.partial:
            self._host.watch_frame(self, partial=True, others=False)
        if self.unhandled:
            self._wait()
            self._host.flush_soon()
        else:
            self.transport.resume_reading()

    def _take_again(self) -> None:
        """Give the exchange the frames that it has not taken because the connection was paused."""
        self._untaken = (*self._host.exchange.take(self.connection, list(self._untaken)),)
        self._host.flush_soon()
        self._weigh()

    def _stop_reading(self, untaken: list[Frame]) -> None:
        """Stop reading; the time until it goes on does not count for a frame that has begun."""
        self._untaken += (*untaken,)
        if self.reading:
            self.reading = False
            self._host.watch_frame(self, partial=False, others=False)
            self.transport.pause_reading()
            self._host.weigh(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle that the connection is gone."""
        self._host.closed(self)
