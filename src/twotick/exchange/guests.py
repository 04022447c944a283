"""The names that guests have registered (docs/protocol.md, rules 4.1 to 4.9)."""

from collections.abc import Callable

from twotick.exchange.connection import Connection, Guest
from twotick.wire import Side


class Guests:
    """All guests of a server, by name in lower case.

    Attributes:
        receivers: the classic receiving connections of guests who are registered on both sides.
        duplex: the extended connections of guests.
        listeners: called with a name when its guest can get messages, and when it cannot any more.
    """

    def __init__(self) -> None:
        self._names: dict[bytes, Guest] = {}
        self.receivers: dict[bytes, Connection] = {}
        self.duplex: dict[bytes, Connection] = {}
        self.listeners: list[Callable[[bytes, bool], None]] = []

    def claim(self, key: bytes, connection: Connection, side: Side) -> Guest | None:
        """Give a connection one side of a name, if that is free (rules 4.2 and 4.9).

        Args:
            key: the name in lower case.
            connection: the connection; it belongs to the guest afterwards.
            side: the side.

        Returns:
            The guest; None if the side is taken, or the guest has connected from another address.
        """
        guest = self._names.get(key)
        if guest is None:
            guest = self._names[key] = Guest(key, connection.address)
        elif guest.address != connection.address or guest.connections.keys() & side.ways:
            return None
        for way in side.ways:
            guest.connections[way] = connection
        guest.complete = guest.complete or len(guest.connections) == len(Side.DUPLEX.ways)
        connection.guest = guest
        return guest

    def open(self, guest: Guest, connection: Connection) -> None:
        """Let a connection of a guest who is registered on both sides receive messages."""
        if connection.side is Side.RECEIVING:
            self.receivers[guest.key] = connection
        elif connection.side is Side.DUPLEX:
            self.duplex[guest.key] = connection
        if connection.side is not Side.SENDING:
            self._tell(guest.key, True)

    def release(self, connection: Connection) -> None:
        """Free the side of the name that a connection holds (rule 4.8)."""
        guest = connection.guest
        if guest is None or connection.side is None:
            return
        connection.guest = None
        for way in connection.side.ways:
            del guest.connections[way]
        if not guest.connections:
            del self._names[guest.key]
        if connection.side is not Side.SENDING:
            self.receivers.pop(guest.key, None)
            self.duplex.pop(guest.key, None)
        if connection.side is not Side.SENDING or not guest.connections:
            self._tell(guest.key, False)

    def _tell(self, key: bytes, is_there: bool) -> None:
        for listener in self.listeners:
            listener(key, is_there)

    def names(self) -> list[bytes]:
        """Return the names of all guests, in lower case."""
        return list(self._names)

    def connections(self, key: bytes) -> list[Connection]:
        """Return the connections of the guest with this name, each once."""
        guest = self._names.get(key)
        return list(dict.fromkeys(guest.connections.values())) if guest is not None else []

    def all_connections(self) -> list[Connection]:
        """Return the connections of all guests, each once."""
        return [each for key in self._names for each in self.connections(key)]

    def others(self, guest: Guest | None) -> list[Connection]:
        """Return the receiving connections of all guests but one."""
        return [
            each
            for each in (*self.receivers.values(), *self.duplex.values())
            if each.guest is not guest or guest is None
        ]
