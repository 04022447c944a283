"""Devices are told of changed profiles (docs/protocol.md, rule 18.3)."""

from functools import partial
from typing import Final

from twotick.exchange.connection import Connection, MemberDevice
from twotick.exchange.news import Item, ServerNews, number_of
from twotick.exchange.output import Output
from twotick.exchange.watchers import Watchers
from twotick.store import ListAudience, MemberProfile, Refusal, SetProfile, StoreError
from twotick.wire import Verb, frame

_PROFILE: Final = "profile"
"""News for other servers: a member has changed its profile."""


class ProfileNews:
    """The profiles that have changed, and the devices that are told of it.

    Args:
        output: takes what is written and the requests.
        news: tells other servers.
    """

    def __init__(self, output: Output, news: ServerNews) -> None:
        self._output = output
        self._news = news
        news.handlers[_PROFILE] = self._take_changed
        self._watchers = Watchers(output)
        self._changed: dict[int, bytes] = {}

    @property
    def has_news(self) -> bool:
        """Whether something has changed of which devices are not told yet."""
        return bool(self._changed) or self._watchers.has_news

    def tell(self) -> None:
        """Tell devices what the store has answered."""
        self._watchers.tick()

    def tick(self) -> None:
        """Tell devices what has changed."""
        self._watchers.tick()
        for member, news in self._changed.items():
            self._output.ask(ListAudience(member, b"", is_for_profile=True), partial(self._tell, member, news))
        self._changed.clear()

    def watch(self, connection: Connection, device: MemberDevice) -> None:
        """Tell a device of changes from now on."""
        self._watchers.add(connection, device)

    def leave(self, connection: Connection, device: MemberDevice) -> None:
        """Forget a device, which is gone."""
        self._watchers.remove(connection, device)

    def changed(self, member: int, profile: MemberProfile) -> None:
        """Note that a member has changed its profile: those who may see it, and its own devices, are told.

        It is noted, and the store is asked who may see it, also while no device has asked to be told. Otherwise a
        device that asks meanwhile could see from what it is told whether another one has asked before.
        """
        self._note(member, profile)
        self._news.tell(_PROFILE, member)

    def _take_changed(self, _: int, said: Item) -> None:
        """Take that a member has changed its profile at another server: the store knows it."""
        (number,) = said
        member = number_of(number)
        if self._watchers:
            self._output.ask(SetProfile(member, None, None), partial(self._found, member))

    def _found(self, member: int, profile: MemberProfile | Refusal | StoreError) -> None:
        if isinstance(profile, MemberProfile):
            self._note(member, profile)

    def _note(self, member: int, profile: MemberProfile) -> None:
        self._changed[member] = frame(Verb.PROFILE, profile.name.encode(), None, b"", **profile_headers(profile))

    def _tell(self, member: int, news: bytes, audience: list[int] | StoreError) -> None:
        if not isinstance(audience, StoreError):
            self._watchers.tell(member, news, [member, *audience])


def profile_headers(profile: MemberProfile) -> dict[str, bytes | None]:
    """Return the headers that tell a profile; what is empty has none."""
    return {
        "display": profile.display.encode() or None,
        "status": profile.status.encode() or None,
        "picture": profile.picture.encode() or None,
    }
