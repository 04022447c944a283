"""The names of guests, which are unique on all servers that share a database (docs/protocol.md, rules 4.2 and 10.1).

Theory of operation. Before a guest is registered, the store is asked whether a member has its name. If servers share
the database, the store also notes which of them has a guest of that name, and the name is taken as long as that server
lives. Each note of a name has a higher number than the one before. So when a name is free again, only the note with the
number that this server knows is removed, and none that was made for another guest meanwhile.

A guest who has just left another server may be noted there still. So a name is refused only if a server says that its
guest is there; else the store is asked again, for as long as a busy server may take to remove the note.
"""

from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from twotick.exchange.connection import Connection
from twotick.exchange.far_guests import FarGuests
from twotick.exchange.guests import Guests
from twotick.exchange.output import Output
from twotick.store import ClaimGuest, FindMember, Member, ReleaseGuest, StoreError

_LOST: Final = "this server had lost its database meanwhile: try again"

TAKEN: Final = False
"""Stands in for the owner of a name that a guest at another server has."""

_ANSWER_SECONDS: Final = 1.0
"""For how long the server is waited for that is asked whether the guest is there."""

_TRIES: Final = 6
"""How often the store is asked for one name: at once, and then with each tick."""

_Found: TypeAlias = Callable[[Member | bool | StoreError | None], None]


class GuestNames:
    """Finds out whether guests may have names.

    Args:
        output: takes the requests.
        guests: the guests who are registered.
        far_guests: asks other servers.
        is_shared: whether other servers may share the database.
    """

    def __init__(self, output: Output, guests: Guests, far_guests: FarGuests, *, is_shared: bool) -> None:
        self._output = output
        self._guests = guests
        self._far_guests = far_guests
        self._is_shared = is_shared
        self._count = 0
        self._lost = 0
        self._noted: dict[bytes, int] = {}  # the numbers of the notes, by name in lower case
        self._unreleased: list[ReleaseGuest] = []
        self._again: list[Callable[[], None]] = []  # asks the store once more, with the next tick
        if is_shared:
            guests.listeners.append(self._changed)

    def find_owner(self, connection: Connection, name: bytes, found: _Found) -> None:
        """Find out who has a name that a guest asks for.

        Args:
            connection: the guest's connection.
            name: the name.
            found: called with the member; with TAKEN if a guest of another server has it; with None if it is free.
        """
        text = name.decode("ascii")
        if self._is_shared:
            self._claim(connection, text.lower(), found, _TRIES)
        else:
            self._output.ask(FindMember(text, connection.network), found)

    def _claim(self, connection: Connection, name: str, found: _Found, tries: int) -> None:
        self._count += 1
        request = ClaimGuest(name, connection.network, self._count)

        def claimed(result: Member | bool | StoreError) -> None:
            if result is not TAKEN or tries == 1:
                self._claimed(request, found, result)
            else:
                key = name.encode()
                self._far_guests.find(key, partial(self._looked, connection, name, found, tries - 1), _ANSWER_SECONDS)

        self._output.ask(request, claimed)

    def _looked(self, connection: Connection, name: str, found: _Found, tries: int, is_there: bool | None) -> None:
        if is_there is not False or connection.closing:
            found(TAKEN)
            return
        again = partial(self._claim, connection, name, found, tries)
        if tries == _TRIES - 1:
            again()
        else:
            self._again.append(again)

    def _claimed(self, request: ClaimGuest, found: _Found, result: Member | bool | StoreError) -> None:
        if result is not True:
            found(result)
            return
        if request.claim <= self._lost:
            self._ask(ReleaseGuest(request.name, request.claim))
            found(StoreError(_LOST))
            return
        key = request.name.encode()
        self._noted[key] = request.claim
        found(None)
        if not self._guests.connections(key):
            self._release(key)

    def cut_off(self) -> None:
        """Count the names whose notes are under way as lost: other servers may take them when the lease has ended."""
        self._lost = self._count

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
        """Free the names that the store could not free before, and ask once more for those that were not free."""
        unreleased, self._unreleased = self._unreleased, []
        for request in unreleased:
            self._ask(request)
        again, self._again = self._again, []
        for ask in again:
            ask()
