"""Whose request the store carries out next.

Theory. Users whose requests wait take turns, and each pays for what its requests cost: the request of the user that has
paid least is next. So a user that asks for little waits for what the store is doing at that moment, however much others
ask for. A user that has asked for nothing for a while has saved nothing up: it begins with the least that the others
have paid. The requests of one user stay in their order.

A transaction holds only a few milliseconds of one user's requests, also while no other user waits: one may come, and
would wait for its end. It holds half as much if others ask for something now and then.

The cost of a request is known only afterwards, so a user is expected to go on as before. A request that is likely to be
long has a transaction of its own, so no other request waits for its end.
"""

from collections import deque
from collections.abc import Callable, Hashable
from heapq import heapify, heappop, heappush
from typing import Any, Final, TypeAlias

from twotick.store import (
    Append,
    ClaimGuest,
    FindConnected,
    FindFailures,
    FindGuestRoom,
    FindMember,
    ListGuestRoomMembers,
    ListGuestRooms,
    NoteFailure,
    Request,
    Together,
)

Asked: TypeAlias = tuple[Request[Any], Callable[[Any], None]]
"""A request, and the callback that takes its answer or the StoreError."""

_LONG: Final = 256
"""The cost (see `Store.work_on`) from which on a request has a transaction of its own."""

_SHARE: Final = 256
"""The cost of the requests of one user in a transaction, as far as it can be expected."""

_SHARE_BESIDE_OTHERS: Final = 128
"""The same of one user who asks for much, while others ask for little: they wait for the end of the transaction. A user
who is alone, or several who ask for much, need fewer transactions with more in each."""

_REMEMBERED: Final = 64
"""The transactions for which others count as there after the last of them has asked for something."""

_USUAL: Final = 5
"""The cost that is expected of a user's first request."""

_FEW: Final = 64
"""So many requests are taken without a look at whose they are."""

_MOST_USERS: Final = 4096
"""The users that are remembered although none of their requests waits, while those of others do."""


class _User:
    """A user of the store.

    Attributes:
        waiting: its requests that wait, the next one first.
        paid: what it has paid.
        cost: what its last request has cost.
        is_server: whether it is the server itself.
    """

    __slots__ = ("cost", "is_server", "paid", "waiting")

    def __init__(self, paid: int, *, is_server: bool) -> None:
        self.waiting: deque[Asked] = deque()
        self.is_server = is_server
        self.paid = paid
        self.cost = _USUAL


class RequestQueue:
    """The requests that wait for the store."""

    def __init__(self) -> None:
        self._arrived: list[Asked] = []  # no user has to wait for a turn yet
        self._users: dict[Hashable, _User] = {}
        self._least = 0  # that a user has paid whose request was next
        self._beside = 0  # for how many transactions more others count as there

    def __bool__(self) -> bool:
        return bool(self._arrived) or bool(self._users)

    def add(self, asked: list[Asked]) -> None:
        """Let requests wait."""
        self._arrived += asked

    def take(self, most: int, *, short: bool = False) -> list[Asked]:
        """Take the requests for the next transaction.

        Args:
            most: how many at most.
            short: whether to take only requests that are not likely to be long.

        Returns:
            The requests; at least one if one waits that may be taken.
        """
        if not self._users and len(self._arrived) <= min(most, _FEW):  # they fit, so no turns are needed
            taken, self._arrived = self._arrived, []
            return taken
        self._sort_by_user()
        return self._take_turns(most, short=short)

    def _sort_by_user(self) -> None:
        for asked in self._arrived:
            self._user(asked).waiting.append(asked)
        self._arrived.clear()

    def _user(self, asked: Asked) -> _User:
        key = user_of(asked[0])
        user = self._users.get(key)
        if user is None:
            user = self._users[key] = _User(self._least, is_server=isinstance(key, type))
        elif not user.waiting and user.paid < self._least:
            user.paid = self._least
        return user

    def _take_turns(self, most: int, *, short: bool) -> list[Asked]:
        taken: list[Asked] = []
        share = self._share()
        # The number keeps those apart who have paid the same: first come, first served.
        order = [
            (user.paid, number, user.paid + share, user)
            for number, user in enumerate(self._users.values())
            if user.waiting and not (short and user.cost >= _LONG)
        ]
        heapify(order)
        while order and len(taken) < most:
            paid, number, end, user = heappop(order)
            if user.cost >= _LONG and taken:
                break
            self._least = paid
            taken.append(user.waiting.popleft())
            if user.cost >= _LONG:
                break
            paid += user.cost
            if user.waiting and paid < end:
                heappush(order, (paid, number, end, user))
        return taken

    def _share(self) -> int:
        """Return the cost of the requests of one user in the next transaction."""
        waiting = [len(user.waiting) for user in self._users.values() if user.waiting and not user.is_server]
        if len(waiting) > 1:
            self._beside = _REMEMBERED
        elif self._beside:
            self._beside -= 1
        asks_alone = sum(count > _FEW for count in waiting) < 2
        return _SHARE_BESIDE_OTHERS if self._beside and asks_alone else _SHARE

    def done(self, carried_out: list[Asked], costs: list[int], left: list[Asked]) -> None:
        """Let users pay for their requests, and let the other requests wait again.

        Args:
            carried_out: the requests that were carried out.
            costs: what each of them has cost.
            left: what is left of those that `take` has returned; they come before all others of their users.
        """
        if not (self._users or left):
            return
        for asked, cost in zip(carried_out, costs, strict=True):
            user = self._user(asked)
            user.paid += cost
            user.cost = cost
        for asked in reversed(left):
            self._user(asked).waiting.appendleft(asked)
        self._forget()

    def _forget(self) -> None:
        """Forget users who have paid no more than others, and all of them once no user waits for a turn."""
        if not any(user.waiting for user in self._users.values()):
            self._users.clear()
        elif len(self._users) > _MOST_USERS:
            least = self._least
            kept = {key: user for key, user in self._users.items() if user.waiting or user.paid > least}
            self._users = kept


def user_of(request: Request[Any]) -> Hashable:
    """Return for whom a request is: a member's number, the address of guests, or its type if it is for the server.

    All guests of one address are one user, since a new name costs nothing.
    """
    if isinstance(request, Together):
        return user_of(request.requests[0])
    if isinstance(request, Append):
        return request.network if request.sender is None else request.sender
    if isinstance(request, FindMember | ClaimGuest | FindConnected | FindFailures | NoteFailure):
        return request.network or type(request)
    if isinstance(request, FindGuestRoom | ListGuestRooms | ListGuestRoomMembers):
        return request.network
    member: int | None = getattr(request, "member", None)
    return type(request) if member is None else member
