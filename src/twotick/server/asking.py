"""Whose request the store carries out next.

Theory. Users whose requests wait take turns, and each pays for what its requests cost: the request of the user that has
paid least is next. So a user that asks for little waits for what the store is doing at that moment, however much others
ask for. A user that has asked for nothing for a while has saved nothing up: it begins with the least that the others
have paid. The requests of one user stay in their order.

A transaction holds only a few milliseconds of one user's requests, also while no other user waits: one may come, and
would wait for its end. While others ask for little, who asks for much has half as much in a transaction, and rests
between them (see resting.py).

The cost of a request is known only afterwards, so a user is expected to go on as before. A request that is likely to be
long has a transaction of its own, so no other request waits for its end.
"""

import math
from collections import defaultdict, deque
from collections.abc import Callable, Hashable
from heapq import heapify, heappop, heappush
from typing import Any, Final, TypeAlias

from twotick.server.resting import Rests
from twotick.store import (
    Acknowledge,
    Append,
    ClaimGuest,
    Fetch,
    FindConnected,
    FindFailures,
    FindGuestRoom,
    FindMember,
    ListGuestRoomMembers,
    ListGuestRooms,
    MarkRead,
    NoteFailure,
    Refuse,
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
"""The same of a user who asks for much, while others ask for little."""

_USUAL: Final = 5
"""The cost that is expected of a user's first request."""

_FEW: Final = 64
"""So many requests are taken without a look at whose they are."""

_FOLLOWS: Final = (Acknowledge, Fetch, MarkRead, Refuse)
"""What a device asks for because something was sent to it."""

_OF_ADDRESS: Final = (FindGuestRoom, ListGuestRooms, ListGuestRoomMembers)
"""What is asked for an address."""

_OF_ADDRESS_OR_SERVER: Final = (FindMember, ClaimGuest, FindConnected, FindFailures, NoteFailure)
"""What is asked for an address, or for the server itself if none is given."""

_TIDYING: Final = "tidying"
"""The user that stands for what the store does by itself."""

_MOST_USERS: Final = 4096
"""The users that are remembered although none of their requests waits, while those of others do."""


class _User:
    """A user of the store.

    Attributes:
        waiting: its requests that wait, the next one first.
        paid: what it has paid.
        cost: what its last request has cost.
    """

    __slots__ = ("cost", "paid", "waiting")

    def __init__(self, paid: int) -> None:
        self.waiting: deque[Asked] = deque()
        self.paid = paid
        self.cost = _USUAL


class RequestQueue:
    """The requests that wait for the store."""

    def __init__(self) -> None:
        self._arrived: list[tuple[Hashable, Asked]] = []  # with their users; none has to wait for a turn yet
        self._users: dict[Hashable, _User] = {}
        self._least = 0  # that a user has paid whose request was next
        self._rests = Rests()
        self._one_rests = False  # whether a user whose request has arrived has to rest

    def __bool__(self) -> bool:
        return bool(self._arrived) or bool(self._users)

    def add(self, asked: list[Asked], now: float) -> None:
        """Let requests wait.

        Args:
            asked: the requests.
            now: the time, in seconds on a clock that does not go back.
        """
        rests = self._rests
        users: dict[Hashable, bool] = {}  # whether they ask for something by themselves
        for each in asked:
            user = user_of(each[0])
            self._arrived.append((user, each))
            users[user] = users.get(user, False) or not isinstance(each[0], _FOLLOWS)
        for user, asks in users.items():
            if asks and not isinstance(user, type):
                rests.asks(user, now)
            self._one_rests = self._one_rests or rests.left(user, now) > 0

    def rest(self, now: float, *, is_behind: bool) -> float:
        """Return in how many seconds there is something to do for those who wait: 0 for now, infinite if none waits.

        Args:
            now: the time, in seconds.
            is_behind: whether requests that are likely to be long wait until the store has tidied.
        """
        if self._arrived and not self._one_rests:
            return 0.0
        self._sort_by_user()
        tidying = self.rest_of_tidying(now) if is_behind else 0.0
        return min(
            (
                max(self._rests.left(key, now), tidying if user.cost >= _LONG else 0.0)
                for key, user in self._users.items()
                if user.waiting
            ),
            default=math.inf,
        )

    def tidied(self, seconds: float, now: float) -> None:
        """Note how long tidying took. It has a share of the time as a user has."""
        self._rests.used(_TIDYING, seconds, now)

    def rest_of_tidying(self, now: float) -> float:
        """Return in how many seconds to go on tidying."""
        return self._rests.left(_TIDYING, now)

    def take(self, most: int, now: float, *, short: bool = False, hurry: bool = False) -> list[Asked]:
        """Take the requests for the next transaction.

        Args:
            most: how many at most.
            now: the time, in seconds.
            short: whether to take only requests that are not likely to be long.
            hurry: whether no user rests.

        Returns:
            The requests; at least one if one waits that may be taken.
        """
        if not self._users and not self._one_rests and len(self._arrived) <= min(most, _FEW):
            taken = [asked for _, asked in self._arrived]  # they fit, so no turns are needed
            self._arrived.clear()
            return taken
        self._sort_by_user()
        return self._take_turns(most, now, short=short, hurry=hurry)

    def _sort_by_user(self) -> None:
        for key, asked in self._arrived:
            self._user(key).waiting.append(asked)
        self._arrived.clear()
        self._one_rests = False

    def _user(self, key: Hashable) -> _User:
        user = self._users.get(key)
        if user is None:
            user = self._users[key] = _User(self._least)
        elif not user.waiting and user.paid < self._least:
            user.paid = self._least
        return user

    def _take_turns(self, most: int, now: float, *, short: bool, hurry: bool) -> list[Asked]:
        taken: list[Asked] = []
        # The number keeps those apart who have paid the same: first come, first served.
        order = [
            (user.paid, number, user.paid + self._share(key, now), user)
            for number, (key, user) in enumerate(self._users.items())
            if user.waiting and not (short and user.cost >= _LONG) and (hurry or not self._rests.left(key, now))
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

    def _share(self, key: Hashable, now: float) -> int:
        """Return the cost of the requests of a user in the next transaction."""
        return _SHARE_BESIDE_OTHERS if self._rests.shortens(key, now) else _SHARE

    def done(self, carried_out: list[Asked], costs: list[int], left: list[Asked], *, used: float, now: float) -> None:
        """Let users pay for their requests, and let the other requests wait again.

        Args:
            carried_out: the requests that were carried out.
            costs: what each of them has cost.
            left: what is left of those that `take` has returned; they come before all others of their users.
            used: the processor time that all of them took, in seconds.
            now: the time, in seconds.
        """
        costs_of: defaultdict[Hashable, int] = defaultdict(int)
        turns = bool(self._users or left)
        for asked, cost in zip(carried_out, costs, strict=True):
            key = user_of(asked[0])
            costs_of[key] += cost
            if turns:
                user = self._user(key)
                user.paid += cost
                user.cost = cost
        each = used / max(sum(costs), 1)
        for key, cost in costs_of.items():
            self._rests.used(key, each * cost, now)
        for asked in reversed(left):
            self._user(user_of(asked[0])).waiting.appendleft(asked)
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
    if isinstance(request, Append):  # which most are
        return request.network if request.sender is None else request.sender
    if isinstance(request, Together):
        return user_of(request.requests[0])
    if isinstance(request, _OF_ADDRESS_OR_SERVER):
        return request.network or type(request)
    if isinstance(request, _OF_ADDRESS):
        return request.network
    member: int | None = getattr(request, "member", None)
    return type(request) if member is None else member
