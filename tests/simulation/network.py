"""A simulated network: connections whose bytes are late, cut into pieces, lost with a connection, or not taken.

What a connection does is that of TCP: bytes arrive in order or not at all. A process that is killed closes its
connections; a machine whose power fails, or that is cut off, says nothing, and the other end notices only when it
writes, or by keep-alive.
"""

import asyncio
import copy
import socket
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tests.simulation.scheduler import CURRENT, Loop, Process

_RETRANSMIT = 3.0
"""The longest time, in seconds, until a peer's refusal of what was written to a dead connection arrives."""

_GIVE_UP = 900.0
"""Seconds after which a machine that gets no acknowledgement gives a connection up."""


@dataclass(slots=True)
class Weather:
    """What the network does to connections.

    Attributes:
        latency: the usual time of a piece under way, in seconds.
        jitter: the longest additional time, in seconds.
        grid: arrivals are rounded up to multiples of so many seconds, so that some come at the same moment.
        cut: how probable it is that a piece is cut into smaller ones.
        broken: how probable it is that a new connection breaks after a while.
        silent: how probable it is that it breaks without a word to one end or both.
        slow: how probable it is that one end of it reads slowly.
        refused: how probable it is that an attempt to connect fails.
    """

    latency: float = 0.001
    jitter: float = 0.0
    grid: float = 0.0
    cut: float = 0.0
    broken: float = 0.0
    silent: float = 0.0
    slow: float = 0.0
    refused: float = 0.0


class _Socket:
    """What programs may do to the socket of a simulated connection: ask for keep-alive.

    Args:
        name: its own address and port.
    """

    def __init__(self, name: tuple[str, int]) -> None:
        self._name = name
        self.keep_alive = False
        self.idle, self.interval, self.count = 7200, 75, 9
        self.user_timeout = 0.0

    def setsockopt(self, level: int, option: int, value: int) -> None:
        if (level, option) == (socket.SOL_SOCKET, socket.SO_KEEPALIVE):
            self.keep_alive = bool(value)
        elif level == socket.IPPROTO_TCP and option == socket.TCP_KEEPIDLE:
            self.idle = value
        elif level == socket.IPPROTO_TCP and option == socket.TCP_KEEPINTVL:
            self.interval = value
        elif level == socket.IPPROTO_TCP and option == socket.TCP_KEEPCNT:
            self.count = value
        elif level == socket.IPPROTO_TCP and option == getattr(socket, "TCP_USER_TIMEOUT", None):
            self.user_timeout = value / 1000.0

    def getsockopt(self, level: int, option: int) -> int:
        return 0

    def getsockname(self) -> tuple[str, int]:
        return self._name

    @property
    def patience(self) -> float:
        """The seconds of silence after which the system gives the connection up; 0 for never."""
        return self.idle + self.interval * self.count if self.keep_alive else 0.0


class End(asyncio.Transport):
    """One end of a connection.

    Attributes:
        peer: the other end.
        process: the process that has it.
        gone: whether the process has let go of it, so that what still arrives is refused.
        silent: whether nothing comes from the other end any more, and no word of that.
        under_way: how many bytes it has sent that have not arrived.
        encrypted: whether what it carries is encrypted, so that only the lengths are the same each time.
        on_readable: called when there is something to read before it has a protocol.
    """

    def __init__(self, network: "Network", number: int, process: Process, address: str, peer_address: str) -> None:
        super().__init__()
        self.network = network
        self.number = number
        self.process = process
        self.peer: End
        self.gone = False
        self.silent = False
        self.socket = _Socket((address, number))
        self.encrypted = False
        self.on_readable: Callable[[], object] | None = None
        self._extra_info = {"peername": (peer_address, number), "sockname": (address, 0), "socket": self.socket}
        self._protocol: Any = None
        self._loop = network.loop
        self._out = bytearray()  # written, but not taken by the system
        self.under_way = 0
        self._pieces: deque[bytes | None] = deque()  # under way; timers of the same moment have no order
        self._last_arrival = 0.0
        self._received = bytearray()
        self._end_received = False
        self._reading = False
        self._eof = False  # ours was asked for
        self._eof_sent = False
        self._closing = False
        self._lost = False
        self._full = False
        self._high, self._low = 64 << 10, 16 << 10
        self._delivering = False
        self._breaking = False
        self.capacity = 1 << 18
        self.pace = 0.0  # seconds between pieces that a slow reader takes; 0 for at once
        self.bite = 1 << 18
        self.break_after = -1  # bytes that may still be sent

    def inherit(self, listening: _Socket) -> None:
        """Take over the options of the listening socket."""
        self._extra_info["socket"] = self.socket = copy.copy(listening)

    # What programs call

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._extra_info.get(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if not self._closing and not self._reading:
            self._reading = True
            self._deliver_soon(0.0)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high = 64 << 10 if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        return len(self._out)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low, self._high

    def write(self, data: Any) -> None:
        if self._eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._lost or self._closing or not data or not self.process.alive:
            return
        self._out += data
        self.pump()
        if len(self._out) > self._high and not self._full:
            self._full = True
            self._protocol.pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._eof and not self._closing:
            self._eof = True
            self.pump()

    def close(self) -> None:
        if self._closing:
            return
        self._closing = True
        if not self._out:
            self._loop.call_soon(self._lose, None, context=self.process.context)

    def abort(self) -> None:
        if self._lost:
            return
        self._closing = True
        self._out.clear()
        self._refuse()
        self._loop.call_soon(self._lose, None, context=self.process.context)

    def _force_close(self, error: Exception | None) -> None:
        """Close it because of an error. Called by asyncio's driver for TLS."""
        if self._lost:
            return
        self._closing = True
        self._out.clear()
        self._loop.call_soon(self._lose, error, context=self.process.context)

    def take(self, size: int, *, keep: bool) -> bytes:
        """Read before there is a protocol. With `keep`, the data stay there to be read."""
        if self._lost:
            raise ConnectionResetError(104, "Connection reset by peer")
        data = bytes(self._received[:size])
        if not keep:
            del self._received[:size]
        return data

    def tell_reader(self) -> None:
        """Tell who waits for something to read that there is something."""
        if self.on_readable is not None and (self._received or self._end_received or self._lost):
            self.on_readable()

    # Sending

    def pump(self) -> None:
        """Send what there is room for."""
        network = self.network
        while self._out and not (self.peer.gone or self.silent or self._breaking):
            room = self.peer.capacity - self.under_way - len(self.peer._received)
            if room <= 0:
                break
            size = min(len(self._out), room)
            if size > 1 and network.random.random() < network.weather.cut:
                size = network.random.randint(1, min(size - 1, 40) if network.random.random() < 0.5 else size - 1)
            if 0 <= self.break_after <= size:
                self._send(bytes(self._out[: self.break_after]))
                self._breaking = True
                wait = max(0.0, self._last_arrival - self._loop.now)
                self._loop.outside(wait, network.fail, self)
                break
            if self.break_after >= 0:
                self.break_after -= size
            piece = bytes(self._out[:size])
            del self._out[:size]
            self._send(piece)
        if self._out and (self.silent or self.peer.gone):
            self._out.clear()  # it goes where nothing answers
            network.notice(self)
        if not self._out:
            if self._eof and not self._eof_sent:
                self._eof_sent = True
                self._send(None)
            if self._closing and not self._lost:
                self._loop.call_soon(self._lose, None, context=self.process.context)
        if self._full and len(self._out) <= self._low:
            self._full = False
            if not self._lost:
                self._loop.call_soon(self._resume_writing, context=self.process.context)

    def _resume_writing(self) -> None:
        if not self._lost:
            self._protocol.resume_writing()

    def _send(self, piece: bytes | None) -> None:
        """Send a piece, or the end of all."""
        if piece == b"":
            return
        self.under_way += len(piece or b"")
        arrival = self._last_arrival = self.network.arrival(self, self._last_arrival)
        self._pieces.append(piece)
        self._loop.call_at(arrival, self.peer._arrive, context=self.peer.process.context)

    # Receiving; called by the network in the context of the process

    def _arrive(self) -> None:
        piece = self.peer._pieces.popleft()
        self.peer.under_way -= len(piece or b"")
        if self.silent:
            return
        if self.gone:
            if piece:
                self._refuse()
            return
        self.network.note(self, piece)
        if piece is None:
            self._end_received = True
        else:
            self._received += piece
        self.tell_reader()
        if not self._delivering:
            if self.pace:
                self._deliver_soon(self.pace)
            else:
                self._deliver()

    def _deliver_soon(self, delay: float) -> None:
        if not self._delivering:
            self._delivering = True
            self._loop.call_later(delay, self._deliver, context=self.process.context)

    def _deliver(self) -> None:
        self._delivering = False
        if not self._reading or self._closing:
            return
        if self._received:
            data = bytes(self._received[: self.bite])
            del self._received[: self.bite]
            if self.peer._out:
                self.network.loop.call_later(
                    self.network.weather.latency, self.peer.pump, context=self.peer.process.context
                )
            if self._received or self._end_received:
                self._deliver_soon(self.pace)
            self._give(data)
        elif self._end_received:
            self._end_received = False
            if not self._protocol.eof_received():
                self.close()

    def _give(self, data: bytes) -> None:
        if not isinstance(self._protocol, asyncio.BufferedProtocol):
            self._protocol.data_received(data)
            return
        buffer = self._protocol.get_buffer(len(data))
        memoryview(buffer)[: len(data)] = data
        self._protocol.buffer_updated(len(data))

    # The end

    def _refuse(self) -> None:
        """Tell the other end that nobody is here."""
        if not self.silent:
            self.network.reset(self.peer)

    def _lose(self, error: Exception | None) -> None:
        """Let go of it: tell the system and the program."""
        if self._lost:
            return
        self._lost = True
        self._closing = True
        self.leave()
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connection_lost(error)
        self.tell_reader()

    def leave(self) -> None:
        """Do what the system does when a program closes its socket, or ends."""
        if self.gone:
            return
        self.gone = True
        self.network.ends.pop(self, None)
        if self._received:
            self._refuse()
        elif not self._eof_sent and not self.silent and not self.peer.gone:
            self._eof_sent = True
            self._send(None)

    def break_off(self, error: Exception) -> None:
        """Let the program know that the connection is broken."""
        if not self._lost:
            self._out.clear()
            self._received.clear()
            self._eof_sent = True
            self._lose(error)


class ListeningSocket:
    """A simulated listening socket.

    Attributes:
        encrypted: whether its connections are.
    """

    encrypted = False

    def __init__(self, network: "Network", process: Process, port: int, host: str = "127.0.0.1") -> None:
        self.network = network
        self.process = process
        self.address = host, port
        self.socket = _Socket(self.address)
        network.add_listener(self)

    def accept(self, end: End) -> None:
        """Take a connection."""
        raise NotImplementedError

    def is_serving(self) -> bool:
        return self.network.listeners.get(self.address[1]) is self

    def close(self) -> None:
        if self.is_serving():
            del self.network.listeners[self.address[1]]


class Listener(ListeningSocket):
    """A simulated listening socket, and the server for it."""

    def __init__(self, network: "Network", process: Process, factory: Callable[[], Any], host: str, port: int) -> None:
        super().__init__(network, process, port, host)
        self.factory = factory
        self.sockets = [self.socket]

    def accept(self, end: End) -> None:
        end.inherit(self.socket)
        protocol = self.factory()
        end.set_protocol(protocol)
        protocol.connection_made(end)
        end.resume_reading()

    async def wait_closed(self) -> None:
        """Do nothing: it is closed at once."""


class Network:
    """All connections of a simulated world.

    Args:
        loop: the event loop.
        random: decides what happens.
        trace: notes what happens.

    Attributes:
        weather: what happens to connections.
        ends: the ends that are open.
        listeners: the listening sockets, by port.
        cut_off: until when a machine is cut off, by its address.
        down: the addresses of machines without power.
        encrypt: encrypts a connection (see encryption.py).
    """

    def __init__(self, loop: Loop, random: Random, trace: Callable[[str], None]) -> None:
        self.loop = loop
        self.random = random
        self.weather = Weather()
        self.ends: dict[End, None] = {}  # a set in the order in which they were added
        self.listeners: dict[int, ListeningSocket] = {}
        self.cut_off: dict[str, float] = {}
        self.down: set[str] = set()
        self.encrypt: Callable[..., Any]
        self.addresses: dict[Process, str] = {}
        self._numbers = 0
        self._trace = trace

    # For the event loop

    async def listen(self, factory: Callable[[], Any], host: str, port: int) -> Listener:
        """Listen on a port; 0 for any that is free."""
        process = CURRENT.get()
        assert process is not None
        if not process.alive:
            await self.loop.create_future()  # for ever
        port = port or 40_000 + len(self.listeners)
        return Listener(self, process, factory, host, port)

    def add_listener(self, listener: ListeningSocket) -> None:
        """Let a socket have the connections to its port."""
        port = listener.address[1]
        if port in self.listeners:
            raise OSError(98, "Address already in use")
        self.listeners[port] = listener
        listener.process.on_death.append(listener.close)

    async def connect(self, factory: Callable[[], Any], host: str, port: int, options: dict[str, Any]) -> Any:
        """Connect to a port."""
        process = CURRENT.get()
        assert process is not None
        address = self.addresses[process]
        while (wait := max(self.cut_off.get(address, 0.0), self.cut_off.get(host, 0.0)) - self.loop.now) > 0:
            await asyncio.sleep(wait + self.random.random())
        if host in self.down:
            await asyncio.sleep(127)
            raise TimeoutError(110, "Connection timed out")
        await asyncio.sleep(self.delay())
        listener = self.listeners.get(port)
        if listener is None or self.random.random() < self.weather.refused:
            raise ConnectionRefusedError(111, "Connection refused")
        ours, theirs = self._pair(process, address, listener.process, host)
        ours.encrypted = theirs.encrypted = listener.encrypted
        self.loop.call_soon(listener.accept, theirs, context=listener.process.context)
        try:
            await asyncio.sleep(self.delay())
        except asyncio.CancelledError:
            ours.leave()
            raise
        if ours.gone:
            raise ConnectionResetError(104, "Connection reset by peer")
        protocol = factory()
        if options.get("ssl") is not None:
            return await self.encrypt(ours, protocol, options["ssl"], options, server=False), protocol
        ours.set_protocol(protocol)
        protocol.connection_made(ours)
        ours.resume_reading()
        return ours, protocol

    def _pair(self, process: Process, address: str, other: Process, host: str) -> tuple[End, End]:
        self._numbers += 1
        ours = End(self, 2 * self._numbers, process, address, host)
        theirs = End(self, 2 * self._numbers + 1, other, host, address)
        ours.peer, theirs.peer = theirs, ours
        weather, random = self.weather, self.random
        for end in (ours, theirs):
            self.ends[end] = None
            if random.random() < weather.slow:
                end.capacity = random.choice((512, 4096, 65536))
                end.pace = random.choice((0.01, 0.1, 0.5))
                end.bite = random.choice((7, 100, 1000, 20_000))
        if random.random() < weather.broken:
            random.choice((ours, theirs)).break_after = int(10 ** random.uniform(0, 4))
        return ours, theirs

    # What happens to connections

    def delay(self) -> float:
        """Return how long a piece is under way, in seconds."""
        return self.weather.latency + self.random.random() ** 3 * self.weather.jitter

    def arrival(self, end: End, not_before: float) -> float:
        """Return when what an end sends now arrives."""
        now = self.loop.now
        cut_off = max(
            self.cut_off.get(self.addresses[end.process], 0.0), self.cut_off.get(self.addresses[end.peer.process], 0.0)
        )
        start = now if cut_off <= now else cut_off + self.random.random() * _RETRANSMIT
        arrival = max(not_before, start + self.delay())
        if self.weather.grid:
            arrival = (arrival // self.weather.grid + 1) * self.weather.grid
        return arrival

    def note(self, end: End, piece: bytes | None) -> None:
        """Note in the trace what arrived."""
        if piece is None:
            self._trace(f"end {end.number} {end.process.name}")
        elif end.encrypted:
            self._trace(f"bytes {end.number} {end.process.name} {len(piece)} encrypted")
        else:
            self._trace(f"bytes {end.number} {end.process.name} {len(piece)} {zlib.crc32(piece)} {piece[:200]!r}")

    def reset(self, end: End) -> None:
        """Break a connection at one end, which learns of it after a while."""
        if not end.gone:
            self.loop.call_later(
                self.delay(), end.break_off, ConnectionResetError(104, "reset"), context=end.process.context
            )

    def notice(self, end: End) -> None:
        """Let an end that wrote to a dead connection learn that it is dead."""
        wait = end.socket.user_timeout or _GIVE_UP
        if self.addresses[end.peer.process] not in self.down:
            wait = min(wait, self.random.random() * _RETRANSMIT)
        self.loop.call_later(wait, end.break_off, ConnectionResetError(104, "reset"), context=end.process.context)

    def fail(self, end: End) -> None:
        """Break a connection: each end learns of it at once, later, or not until it writes."""
        self._trace(f"break {end.number}")
        for each in (end, end.peer):
            if self.random.random() < self.weather.silent:
                self.silence(each)
            else:
                self.reset(each)
                each.silent = True

    def silence(self, end: End) -> None:
        """Let nothing come to an end any more, and no word of that."""
        if end.gone or end.silent:
            return
        end.silent = True
        if end.socket.patience:
            self.loop.call_later(
                end.socket.patience, end.break_off, TimeoutError(110, "timed out"), context=end.process.context
            )
        end.pump()

    def process_ended(self, process: Process) -> None:
        """Close the connections of a process that was killed."""
        for end in [end for end in self.ends if end.process is process]:
            end.leave()

    def power_failed(self, address: str) -> None:
        """Let the connections of a machine end without a word."""
        for end in [end for end in self.ends if self.addresses[end.process] == address]:
            end.gone = True
            self.ends.pop(end, None)
            self.silence(end.peer)
