"""How long a client that failed to log in must wait before the next attempt (rule 10.4).

Sans-I/O: the caller passes the time.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable, Sequence
from typing import Final, Generic, TypeVar

from twotick.net import network_of

_FIRST_WAIT = 1.0
"""Seconds to wait after the first failure that costs a wait. Each further failure doubles the wait."""

_LONGEST_WAIT = 900.0
"""The longest wait, in seconds, after any number of failures."""

_DOUBLINGS = 10
"""The failures after the free ones until the longest wait is reached; older ones need not be remembered."""

_FREE_FOR_NAME = 5
_FREE_FOR_ADDRESS = 20
"""Failures without a wait. An address has more, because many users may share it."""

_NAME_MEMORY = 24 * 3600.0
"""Seconds for which a failure counts against a name. With the longest wait that is about 100 guesses a day."""

_ADDRESS_MEMORY = 3600.0
"""Seconds for which a failure counts against an address. It is shorter than for a name because no success clears it:
the success of one user says nothing about the others at the address, and an attacker may be a member too."""

_REMEMBERED = 16384
"""The most names, and the most addresses, that are remembered. They take 80 MB if all of them have failed often."""

_HOMES = 8
"""The most home addresses of one name: those from which it logged in."""

_ADDRESS, _NAME, _AT_HOME = range(3)
"""What failures of several servers count against, for their database."""

MOST_TIMES: Final = _FREE_FOR_ADDRESS + _DOUBLINGS
"""The most failures that count against something."""

_Key = TypeVar("_Key", bound=Hashable)


class _Failures(Generic[_Key]):
    """The times of failures, by who failed; the most recent key is last.

    Args:
        free: the number of failures that cost no wait.
        memory: the seconds for which a failure counts.
    """

    def __init__(self, free: int, memory: float) -> None:
        self._free = free
        self._memory = memory
        self._times: OrderedDict[_Key, deque[float]] = OrderedDict()

    def wait(self, key: _Key, now: float) -> float:
        times = self._times.get(key)
        if times is None:
            return 0.0
        counted = sum(time > now - self._memory for time in times)
        if counted < self._free:
            return 0.0
        return max(0.0, times[-1] + min(_FIRST_WAIT * 2 ** (counted - self._free), _LONGEST_WAIT) - now)

    def add(self, key: _Key, now: float) -> None:
        times = self._times.setdefault(key, deque(maxlen=self._free + _DOUBLINGS))
        times.append(now)
        self._times.move_to_end(key)
        oldest = next(iter(self._times.values()))
        while len(self._times) > _REMEMBERED or oldest[-1] <= now - self._memory:
            self._times.popitem(last=False)
            oldest = next(iter(self._times.values()))

    def replace(self, key: _Key, times: Sequence[float]) -> None:
        self._times.pop(key, None)
        if times:
            self._times[key] = deque(times, maxlen=self._free + _DOUBLINGS)
            if len(self._times) > _REMEMBERED:
                self._times.popitem(last=False)

    def forget(self, key: _Key) -> bool:
        return self._times.pop(key, None) is not None

    def __len__(self) -> int:
        return len(self._times)


class Throttle:
    """Counts failed logins, and makes clients wait after too many (rule 10.4).

    What holds:

    - An attacker who guesses the password of one name, from any number of addresses at which that name never logged in,
      has 5 guesses at once, and then about 100 a day: waits begin with 1 s and double up to 15 minutes. An attacker who
      guesses passwords of any names from one address has 20 guesses, and then about 30 an hour. An IPv6 address counts
      as its /64, because one machine can have all of that.
    - No wait is longer than 15 minutes, and an attempt during a wait does not make it longer.
    - An attacker elsewhere cannot lock a user out at home. The homes of a name are the last 8 addresses from which it
      logged in. There, only failures from the same home count against the name. Homes are forgotten when the server
      stops.
    - Away from home, an attacker who never gives up can keep a name waiting most of the time: without the right
      password nothing tells the two apart. Tokens do not have this problem if the server does what is described below.
    - Users who share an address with a client that fails too often share its wait, at home as well.
    - A success forgets the failures of a name; at home it forgets only those from that home. Otherwise an attacker
      elsewhere would have 5 new guesses each time a program of the member connects.
    - Memory is limited. When there is no room, the name or address that has not failed for the longest time is
      forgotten. Names and addresses have separate room, so an address that fails for ever new names stays remembered.
    - It makes no difference whether a name is a member's.

    How a server uses it: a token cannot be guessed, so the server accepts the right one without calling `wait`; a wrong
    one is `failed` with an empty name, which counts against the address only. For a password the server calls `wait`,
    checks the password, and then calls `failed` or `succeeded`, and does that for one attempt at a time. If it checked
    a thousand simultaneous attempts together, all would be checked before the first had failed.

    Servers that share a database count failures together: what is counted is kept there by `keys`, and given to
    `replace` before each `wait`. Each of these servers checks one attempt at a time, so there may be as many guesses
    more than above as there are servers. Each knows the homes of those who have logged in there.
    """

    def __init__(self) -> None:
        self._names = _Failures[bytes](_FREE_FOR_NAME, _NAME_MEMORY)
        self._addresses = _Failures[str](_FREE_FOR_ADDRESS, _ADDRESS_MEMORY)
        self._at_home = _Failures[tuple[bytes, str]](_FREE_FOR_NAME, _NAME_MEMORY)
        self._homes: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()  # of each name, the last one at the end

    def wait(self, name: bytes, address: str, now: float) -> float:
        """Return how long the client must wait before another attempt.

        Args:
            name: the name that the attempt is for, in lower case (rule 4.2); empty if it is for none.
            address: the address of the client.
            now: the time, in seconds on a clock that never goes back.

        Returns:
            The seconds to wait; 0.0 if the attempt may be made now.
        """
        network = network_of(address)
        wait = self._addresses.wait(network, now)
        if not name:
            return wait
        if self._is_home(name, network):
            return max(wait, self._at_home.wait((name, network), now))
        return max(wait, self._names.wait(name, now))

    def failed(self, name: bytes, address: str, now: float) -> None:
        """Count a failure; the arguments are those of `wait`."""
        network = network_of(address)
        self._addresses.add(network, now)
        if name:
            self._names.add(name, now)
            if self._is_home(name, network):
                self._at_home.add((name, network), now)

    def keys(self, name: bytes, address: str) -> list[tuple[int, str]]:
        """Return what a failure counts against, for the database of several servers; the arguments are as in `wait`."""
        network = network_of(address)
        keys = [(_ADDRESS, network)]
        if name:
            keys.append((_NAME, name.decode("latin-1")))
            if self._is_home(name, network):
                keys.append((_AT_HOME, f"{name.decode('latin-1')} {network}"))
        return keys

    def replace(self, name: bytes, address: str, failures: Sequence[Sequence[float]]) -> None:
        """Count the failures that all servers have counted in place of those that are known here.

        Args:
            name: as in `wait`.
            address: as in `wait`.
            failures: the times of the failures for each of `keys`, in the same order, earlier ones first.
        """
        network = network_of(address)
        for (kind, _), times in zip(self.keys(name, address), failures, strict=True):
            if kind == _ADDRESS:
                self._addresses.replace(network, times)
            elif kind == _NAME:
                self._names.replace(name, times)
            else:
                self._at_home.replace((name, network), times)

    def succeeded(self, name: bytes, address: str) -> tuple[int, str] | None:
        """Forget failures of a name, and remember the address as one of its homes.

        Args:
            name: the name that has logged in, in lower case.
            address: the address of the client.

        Returns:
            Which of `keys` has no failures any more; None if none had.
        """
        network = network_of(address)
        key = self.keys(name, address)[-1]
        was_home = self._is_home(name, network)
        forgot = self._at_home.forget((name, network)) if was_home else self._names.forget(name)
        others = [home for home in self._homes.get(name, ()) if home != network]
        self._homes[name] = (*others[1 - _HOMES :], network)
        self._homes.move_to_end(name)
        if len(self._homes) > _REMEMBERED:
            self._homes.popitem(last=False)
        return key if forgot else None

    def _is_home(self, name: bytes, network: str) -> bool:
        return network in self._homes.get(name, ())
