"""How long somebody who failed has to wait before the next attempt (rule 10.4). Sans-I/O: times come from outside."""

import ipaddress
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

_FIRST_WAIT = 1.0
"""Seconds to wait after the last failure that is free; twice as long after each further one."""

_LONGEST_WAIT = 900.0
"""Seconds that nobody waits longer than, however often they failed."""

_DOUBLINGS = 10
"""Further failures until the longest wait is reached, so that older ones need not be remembered."""

_FREE_FOR_NAME = 5
_FREE_FOR_ADDRESS = 20
"""Failures without a wait. More for an address, behind which there may be many people."""

_NAME_MEMORY = 24 * 3600.0
"""Seconds for which a failure counts against a name. With the longest wait that is about 100 guesses a day."""

_ADDRESS_MEMORY = 3600.0
"""Seconds for which a failure counts against an address. Shorter, since no success makes up for it: one person's
says nothing about the others behind the address, and an attacker who is a member as well could always have one."""

_REMEMBERED = 16384
"""Names, and likewise addresses, of which failures or successes are remembered: 80 MB if all of them failed often."""

_HOMES = 8
"""Addresses from which one name succeeded that are remembered."""

_HOST_BITS = 64
"""Bits of an IPv6 address that whoever has the rest of it can choose freely (RFC 4291, section 2.5.1)."""

_Key = TypeVar("_Key", bound=Hashable)


class _Failures(Generic[_Key]):
    """When somebody failed, for each who did, the one who did so last at the end.

    Args:
        free: how many failures cost nothing.
        memory: seconds for which a failure counts.
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

    def take_back(self, key: _Key, time: float) -> None:
        times = self._times.get(key, deque[float]())
        if time in times:
            times.remove(time)
        if not times:
            self.forget(key)

    def forget(self, key: _Key) -> None:
        self._times.pop(key, None)

    def __len__(self) -> int:
        return len(self._times)


class Throttle:
    """Who failed to prove who they are, and how long they have to wait (rule 10.4).

    What holds:

    - Whoever guesses a name's password from any number of addresses at which the name never succeeded has 5 guesses,
      and then, with waits of 1 s that double up to 15 minutes, about 100 a day. Whoever guesses any names' passwords
      from one address has 20, and then about 30 an hour. An IPv6 address stands for its /64, all of which one machine
      can have.
    - No wait is longer than 15 minutes, and to try while one has to wait does not make it longer.
    - A name cannot be locked out from afar where it is at home. The last 8 addresses at which it succeeded are its
      homes: there, failures for the name count only if they came from the same home. Homes are forgotten when the
      server stops.
    - Elsewhere, an attacker who never gives up can keep the name waiting most of the time, since nothing but the right
      password tells the two apart. A token has no such trouble, if the server does what follows.
    - Whoever shares an address with somebody who fails too often shares that wait, at home as well.
    - Success forgets the failures of a name, but at home only those that came from there: otherwise each time that one
      of the member's programs connects, an attacker elsewhere would have 5 guesses again.
    - Memory is bounded. When there is no room, whoever has not failed for the longest time is forgotten. Names and
      addresses do not take each other's room, so an address that fails for ever new names is always remembered.
    - Whether a name is a member's makes no difference.

    How a server uses it: a token cannot be guessed, so the right one is taken without asking how long to wait; a wrong
    one is `failed` with an empty name, which counts for the address alone. For a password it asks `wait`, and calls
    `failed` *before* it looks at the password and `succeeded` with that time if it was right. If it counted
    afterwards, a thousand attempts at once would all be looked at before the first had failed.
    """

    def __init__(self) -> None:
        self._names = _Failures[bytes](_FREE_FOR_NAME, _NAME_MEMORY)
        self._addresses = _Failures[str](_FREE_FOR_ADDRESS, _ADDRESS_MEMORY)
        self._at_home = _Failures[tuple[bytes, str]](_FREE_FOR_NAME, _NAME_MEMORY)
        self._homes: OrderedDict[bytes, tuple[str, ...]] = OrderedDict()  # of each name, the last one at the end

    def wait(self, name: bytes, address: str, now: float) -> float:
        """Tell how long to wait before another attempt.

        Args:
            name: whose password it would be, in lower case (rule 4.2); empty if the attempt is for no name.
            address: where it comes from.
            now: the time, in seconds, on a clock that never goes back.

        Returns:
            Seconds, 0.0 if the attempt may be made now.
        """
        network = _network(address)
        wait = self._addresses.wait(network, now)
        if not name:
            return wait
        if self._is_home(name, network):
            return max(wait, self._at_home.wait((name, network), now))
        return max(wait, self._names.wait(name, now))

    def failed(self, name: bytes, address: str, now: float) -> None:
        """Count a failure. Arguments are those of `wait`."""
        network = _network(address)
        self._addresses.add(network, now)
        if name:
            self._names.add(name, now)
            if self._is_home(name, network):
                self._at_home.add((name, network), now)

    def succeeded(self, name: bytes, address: str, counted: float | None = None) -> None:
        """Forget failures of a name, and remember that it is at home at an address.

        Args:
            name: whose password or token it was, in lower case.
            address: where it came from.
            counted: the time with which this attempt was counted as `failed` before it was looked at; None if it was
                not counted.
        """
        network = _network(address)
        if counted is not None:
            self._addresses.take_back(network, counted)
            self._names.take_back(name, counted)
        if self._is_home(name, network):
            self._at_home.forget((name, network))
        else:
            self._names.forget(name)
        others = [home for home in self._homes.get(name, ()) if home != network]
        self._homes[name] = (*others[1 - _HOMES :], network)
        self._homes.move_to_end(name)
        if len(self._homes) > _REMEMBERED:
            self._homes.popitem(last=False)

    def _is_home(self, name: bytes, network: str) -> bool:
        return network in self._homes.get(name, ())


def _network(address: str) -> str:
    """What stands for an address: of IPv6 the part that is not chosen freely; what is no address stands for itself."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{int(parsed) >> _HOST_BITS:x}"
