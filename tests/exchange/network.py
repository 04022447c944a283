"""A driver of the exchange without sockets: connections are objects, and the clock is moved by hand."""

from typing import Any, cast

from twotick.exchange import Connection, Exchange, Limits
from twotick.wire import Frame, HeadCache, Parser, Side, received, register, registered, send


class End:
    """The far end of a connection: what a program there writes and is given.

    Attributes:
        connection: what the exchange knows about the connection.
        given: all that was written to it.
        closed: whether the exchange has closed it.
        paused: whether the exchange wants nothing more from it for now.
    """

    def __init__(self, network: "Network", address: str) -> None:
        self._network = network
        self._parser = Parser(network.heads)
        self._read = 0
        self._untaken: list[Frame] = []
        self.connection: Connection = network.exchange.connected(address, self)
        self.given = b""
        self.closed = False
        self.paused = False

    def write(self, data: bytes) -> None:
        self._untaken += self._network.parse(self._parser, data)
        self.take()
        self._network.flush()

    def take(self) -> None:
        """Let the exchange have what it has not taken yet."""
        if not self.closed and not self.paused:
            frames, self._untaken = self._untaken, []
            self._untaken = self._network.exchange.take(self.connection, frames)

    def read(self) -> bytes:
        """What came since the last look."""
        news = self.given[self._read :]
        self._read = len(self.given)
        return news

    def ask(self, data: bytes) -> bytes:
        self.write(data)
        return self.read()

    def finish(self) -> None:
        """Close this half of the connection."""
        self._network.exchange.finish(self.connection)
        self._network.flush()

    def disconnect(self) -> None:
        self._network.exchange.disconnected(self.connection)
        self._network.flush()

    def clog(self) -> None:
        """Take no more output."""
        self._network.exchange.clogged(self.connection)
        self._network.flush()

    def flow(self) -> None:
        """Take output again."""
        self._network.exchange.flowing(self.connection)
        self._network.flush()

    def send(self, recipient: bytes, *bodies: bytes) -> bytes:
        return self.ask(b"".join(send(recipient, body) for body in bodies))

    def receive(self, *senders: bytes) -> bytes:
        return self.ask(b"".join(received(sender) for sender in senders))


class Network:
    """An exchange, its connections and its clock."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.now = 1000.0
        self.exchange = Exchange(limits or Limits(), self.now, lambda: self.now)
        self.heads = HeadCache(1 << 20)
        self.ends: list[End] = []

    def connect(self, address: str = "127.0.0.1") -> End:
        end = End(self, address)
        self.ends.append(end)
        return end

    def user(self, name: bytes, window: int | None = None, address: str = "127.0.0.1") -> tuple[End, End]:
        """The sending and the receiving connection of a new user."""
        sending, receiving = self.connect(address), self.connect(address)
        assert sending.ask(register(Side.SENDING, name)) == registered(Side.SENDING, name)
        assert receiving.ask(register(Side.RECEIVING, name, window)) == registered(Side.RECEIVING, name, window)
        return sending, receiving

    def parse(self, parser: Parser, data: bytes) -> list[Frame]:
        """The frames in what was written."""
        return parser.feed(data)

    def flush(self) -> None:
        """Do what the exchange has left to do, and check that it has named every connection concerned."""
        while self.exchange.written or self.exchange.changed:
            for connection in self.exchange.written:
                end = cast(End, connection.port)
                assert not (end.closed and connection.out)
                end.given += b"".join(connection.out)
                connection.out.clear()
            self.exchange.written.clear()
            changed = self.exchange.changed.copy()
            self.exchange.changed.clear()
            for connection in changed:
                end = cast(End, connection.port)
                end.closed = connection.closing
                end.paused = connection.paused
                end.take()
        for end in self.ends:
            assert not end.connection.out
            assert end.closed == end.connection.closing
            assert end.closed or end.paused == end.connection.paused

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.exchange.tick(self.now)
        self.flush()

    def leave(self) -> dict[str, object]:
        """Let everybody leave.

        Returns:
            What the exchange still holds then.
        """
        for end in self.ends:
            end.disconnect()
        self.advance(0.25)
        held = {name: getattr(inside(self.exchange, "_guests"), name) for name in ("_names", "receivers", "duplex")}
        held |= {name: getattr(inside(self.exchange, "_relay"), name) for name in ("_busy",)}
        held["queued_bytes"] = inside(self.exchange, "_relay").queued_bytes.used
        held |= {"written": self.exchange.written, "changed": self.exchange.changed}
        return {name: value for name, value in held.items() if value}


def inside(whole: object, part: str) -> Any:
    """Return a part that an exchange, or a part of it, keeps to itself."""
    return getattr(whole, part)
