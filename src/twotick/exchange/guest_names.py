"""The names of guests, which are unique on all servers that share a database (docs/protocol.md, rules 4.2 and 10.1).

Theory of operation. Before a guest is registered, the store is asked whether a member has its name. If servers share
the database, the store also notes which of them has a guest of that name, and the name is taken as long as that server
lives. Each note of a name has a higher number than the one before. So when a name is free again, only the note with the
number that this server knows is removed, and none that was made for another guest meanwhile.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from twotick.exchange.connection import Connection
from twotick.exchange.guests import Guests
from twotick.exchange.output import Output
from twotick.store import ClaimGuest, FindMember, Member, ReleaseGuest, StoreError

TAKEN: Final = False
"""Stands in for the owner of a name that a guest at another server has."""


class GuestNames:
    """Finds out whether guests may have names.

    Args:
        output: takes the requests.
        guests: the guests who are registered.
        is_shared: whether other servers may share the database.
    """

    def __init__(self, output: Output, guests: Guests, *, is_shared: bool) -> None:
        self._output = output
        self._guests = guests
        self._is_shared = is_shared
        self._count = 0
        self._noted: dict[bytes, int] = {}  # the numbers of the notes, by name in lower case
        self._unreleased: list[ReleaseGuest] = []
        if is_shared:
            guests.listeners.append(self._changed)

    def find_owner(
        self, connection: Connection, name: bytes, found: Callable[[Member | bool | StoreError | None], None]
    ) -> None:
        """Find out who has a name that a guest asks for.

        Args:
            connection: the guest's connection.
            name: the name.
            found: called with the member; with TAKEN if a guest of another server has it; with None if it is free.
        """
        text = name.decode("ascii")
        if self._is_shared:
            self._count += 1
            request = ClaimGuest(text.lower(), connection.network, self._count)
            self._output.ask(request, partial(self._claimed, request, found))
        else:
            self._output.ask(FindMember(text, connection.network), found)

    def _claimed(
        self,
        request: ClaimGuest,
        found: Callable[[Member | bool | StoreError | None], None],
        result: Member | bool | StoreError,
    ) -> None:
        if result is not True:
            found(result)
            return
        key = request.name.encode()
        self._noted[key] = request.claim
        found(None)
        if not self._guests.connections(key):
            self._release(key)

    def _changed(self, key: bytes, is_there: bool) -> None:
        if not is_there and not self._guests.connections(key):
            self._release(key)

    def _release(self, key: bytes) -> None:
        claim = self._noted.pop(key, None)
        if claim is not None:
            self._ask(ReleaseGuest(key.decode("ascii"), claim))

    def _ask(self, request: ReleaseGuest) -> None:
        self._output.ask(request, partial(self._released, request))

    def _released(self, request: ReleaseGuest, result: StoreError | None) -> None:
        if isinstance(result, StoreError):
            self._unreleased.append(request)

    def tick(self) -> None:
        """Free the names that the store could not free before."""
        unreleased, self._unreleased = self._unreleased, []
        for request in unreleased:
            self._ask(request)
