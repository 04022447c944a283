"""Of which members the server must look whether notifications are to be pushed (docs/protocol.md, section 20).

The exchange only notes who has got something. What is pushed is in the store: the driver asks it with `FindPushes` for
the members that `PushQueue.take` returns, and pushes what it finds.
"""

from dataclasses import dataclass
from typing import Final

from twotick.exchange.members import ConnectedMembers
from twotick.exchange.output import Output
from twotick.store import Effects, EntryKind, ListSubscribers, PushLook, StoreError

_DELAY: Final = 1.0
"""Seconds from a message until the server looks for it."""

_LOOKS: Final = 64
"""The members for whom the server looks at once."""

_AGAIN: Final = 60.0
"""Seconds until the store is asked again for the subscribers, if that has failed or others may have subscribed some."""

_RECEIVED: Final = EntryKind.RECEIVED


@dataclass(frozen=True, slots=True)
class PushOffer:
    """What a server offers that pushes notifications.

    Attributes:
        key: its public key, in base64url.
        allow_local: whether endpoints may be on this machine and in private networks.
    """

    key: bytes
    allow_local: bool = False


class PushQueue:
    """The members for whom to look.

    Args:
        output: takes the requests.
        members: the members who are connected.
        offer: what the server offers; None if it does not push.
        is_shared: whether members may subscribe their devices at other servers that share the database.

    Attributes:
        offer: see above.
    """

    def __init__(
        self, output: Output, members: ConnectedMembers, offer: PushOffer | None, *, is_shared: bool = False
    ) -> None:
        self._is_shared = is_shared
        self.offer = offer
        self._output = output
        self._members = members
        self._subscribed: set[int] = set()
        self._due: dict[int, float] = {}
        self._now = 0.0
        self._next_listing = 0.0 if offer is not None else None

    def note_effects(self, effects: Effects) -> None:
        """Note the subscribed members who have got a message. Events have neither an Id nor a body."""
        if not self._subscribed:
            return
        for entry in effects.entries:
            if entry.member in self._subscribed and entry.kind is _RECEIVED and (entry.id or entry.body):
                self.look_at(entry.member, self._now + _DELAY)

    def look_at(self, member: int, when: float) -> None:
        """Look for a member at this time, in seconds on the clock of `tick`, or earlier if that is due anyway."""
        if self._due.get(member, when) >= when:
            self._due[member] = when

    def subscribed(self, member: int) -> None:
        """Handle that a device of a member is subscribed."""
        self._subscribed.add(member)

    def forget(self, member: int) -> None:
        """Handle that no device of a member is subscribed."""
        self._subscribed.discard(member)

    def tick(self, now: float) -> None:
        """Set the time, in seconds on a clock that does not go back.

        At the first time, ask who is subscribed; and each minute if others may subscribe members as well.
        """
        self._now = now
        if self._next_listing is not None and now >= self._next_listing:
            self._next_listing = now + _AGAIN if self._is_shared else None
            self._output.ask(ListSubscribers(), self._listed)

    def _listed(self, found: list[int] | StoreError) -> None:
        if isinstance(found, StoreError):
            self._next_listing = self._now + _AGAIN
            return
        for member in found:  # something may have waited when the server was ended
            if member in self._subscribed and self._is_shared:
                continue
            self._subscribed.add(member)
            self.look_at(member, self._now + _DELAY)

    def take(self, now: float) -> tuple[PushLook, ...]:
        """Return the members for whom to look now; at most 64, and the others with the next call."""
        due = [member for member, when in self._due.items() if when <= now][:_LOOKS]
        for member in due:
            del self._due[member]
        return tuple(self._look(member) for member in due)

    def _look(self, member: int) -> PushLook:
        return PushLook(member, frozenset(name.decode("ascii") for name in self._members.devices(member)))
