"""The devices that have asked to be told of members (docs/protocol.md, rules 15.4 and 18.3).

Theory of operation. What a device is to be told waits for the next tick, and only the last news of each member is kept.
So a device is told of a member at most once in a tick, and for a device that does not read, the exchange keeps at most
one frame for each member.
"""

from collections.abc import Iterable, Sequence

from twotick.exchange.connection import Connection, MemberDevice
from twotick.exchange.output import Output

_MOST_NEWS = 2000
"""The most members of whom a device is told at one tick: as many as a list has objects (rule 12.3)."""


class Watchers:
    """The devices that have asked, by member, and the news that waits for each.

    Args:
        output: takes what is written.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self._watchers: dict[int, list[Connection]] = {}
        self._untold: dict[Connection, dict[int, bytes]] = {}

    def __bool__(self) -> bool:
        return bool(self._watchers)

    def __contains__(self, member: int) -> bool:
        return member in self._watchers

    @property
    def has_news(self) -> bool:
        """Whether a device is to be told something."""
        return bool(self._untold)

    def tick(self) -> None:
        """Tell the devices that take output what waits for them."""
        for connection, news in list(self._untold.items()):
            if connection.window:
                self._output.write(connection, *news.values())
                del self._untold[connection]

    def add(self, connection: Connection, device: MemberDevice) -> None:
        """Tell a device from now on."""
        watchers = self._watchers.setdefault(device.member, [])
        if connection not in watchers:
            watchers.append(connection)

    def remove(self, connection: Connection, device: MemberDevice) -> None:
        """Tell a device no more, which is gone."""
        self._untold.pop(connection, None)
        if watchers := self._watchers.get(device.member):
            if connection in watchers:
                watchers.remove(connection)
            if not watchers:
                del self._watchers[device.member]

    def members(self) -> list[int]:
        """Return the members with a device that has asked."""
        return list(self._watchers)

    def of(self, member: int) -> Sequence[Connection]:
        """Return a member's devices that have asked."""
        return self._watchers.get(member, ())

    def tell(self, about: int, news: bytes, members: Iterable[int]) -> None:
        """Let the devices of some members be told at the next tick.

        Args:
            about: the member of whom they are told.
            news: the frame.
            members: the members who are told.
        """
        for each in members:
            for connection in self._watchers.get(each, ()):
                self.tell_device(connection, about, news)

    def tell_device(self, connection: Connection, about: int, news: bytes) -> None:
        """Let a device be told of a member at the next tick."""
        untold = self._untold.setdefault(connection, {})
        if about in untold or len(untold) < _MOST_NEWS:
            untold[about] = news
