"""Schedules of several servers that share a database: each from a seed, and all of its promises checked.

    python -m tests.simulation.several --seeds 100
    python -m tests.simulation.several --seed 7            prints what happens

The exchanges of three servers run without sockets, on a simulated database (shared_database.py). Hints are lost, come
twice and late; the standby is away for a while; the primary is lost with what the standby does not have; connections
with the database break while the outcome of a COMMIT is unknown; servers are killed; devices move from one server to
another, with their old connection still open; messages are sent through two servers at once with one Id. Members write
to each other and to a room, change what they wrote, read, join and leave (several_people.py). Guests, of whom two want
one name, talk with them and with each other (several_guests.py).
"""

import argparse
import itertools
import random
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from tests.exchange.mail import Mail
from tests.simulation.several_checks import Checks
from tests.simulation.several_guests import Guests
from tests.simulation.several_people import NAMES, ROOM, People
from tests.simulation.shared_database import SharedDatabase
from twotick.exchange import ServerIdentity
from twotick.store import CreateRoom, JoinRoom, Member
from twotick.store.port import Request, Work
from twotick.store.requests.messages import Unfinished
from twotick.store.sqlite.tables import ServerRun

_Asked = tuple[Request[Any], Callable[[Any], None]]

_SERVERS: Final = 3

_STORY: Final = 60.0
"""Seconds in which parts fail."""

_QUIET: Final = 60.0
"""Seconds after that in which everything must have arrived."""


class SimulatedServer(Mail):
    """A server: one transaction at a time; what is asked meanwhile waits."""

    def __init__(self, story: "SeveralServers", number: int) -> None:
        self.run = ServerRun(number)
        self.story = story
        self.is_dead = False
        self._queue: deque[_Asked] = deque()
        self._busy = False
        super().__init__(store=story.database.primary, identity=ServerIdentity(number, "1", f"s{number}"))
        self.members = story.members
        self.now = story.now

    def carry_out(self, requests: list[_Asked]) -> None:
        """See Mail."""
        self._queue += requests
        self._begin()

    def _begin(self) -> None:
        if self._busy or not self._queue:
            return
        self._busy = True
        batch = list(itertools.islice(self._queue, self.story.batch()))
        self.story.database.work_on(self.run, [request for request, _ in batch], self._done)

    def _done(self, work: Work) -> None:
        if self.is_dead:
            return
        for answer in work.answers:
            request, callback = self._queue.popleft()
            del request
            if isinstance(answer, Unfinished):
                self._queue.appendleft((answer.rest, callback))
                self.exchange.publish(answer.effects)
            else:
                callback(answer)
        self._busy = False
        self._begin()
        self.story.woken[self] = None


class SeveralServers:
    """A schedule.

    Args:
        seed: decides everything in it.
        barrier: False plants the fault that a transaction which has only read does not wait for the standby.
        print_it: whether to print what happens.

    Attributes:
        problems: the promises that were broken.
        now: the time, in seconds.
        chance: what decides.
        failing: whether parts fail.
        database: the database.
        members: the members, by name.
        woken: the servers to which the database has answered.
    """

    def __init__(self, seed: str, *, barrier: bool = True, print_it: bool = False) -> None:
        self.chance = random.Random(seed)
        self._print = print_it
        self.now = 1000.0
        self.problems: list[str] = []
        self.woken: dict[SimulatedServer, None] = {}
        self._numbers = itertools.count(1)
        self.members: dict[bytes, Member] = {}
        self.database = SharedDatabase(lambda: self.now, self.chance, barrier=barrier)
        adding = Mail(*NAMES, store=self.database.primary)
        self.members = adding.members
        self._make_room()
        self.database.place += 1
        self.database._copies[1] = self.database.primary.copied()  # pyright: ignore[reportPrivateUsage]
        self.database.replicate(1)
        self._slots: list[SimulatedServer | None] = [None] * _SERVERS
        self._restarts: dict[int, float] = dict.fromkeys(range(_SERVERS), 0.0)
        self._hints: list[tuple[float, int, bytes]] = []
        self._standby_away = 0.0
        self.failing = False
        self._people = People(self, self.problems)
        self._guests = Guests(self, self._people)

    def _make_room(self) -> None:
        store, alice, bob = self.database.primary, self.members[b"alice"].number, self.members[b"bob"].number
        name = ROOM.decode()
        store.ask(CreateRoom(alice, name, True, "", self.now, guests=True))
        store.ask(JoinRoom(bob, name, self.now))

    def say(self, text: str) -> None:
        """Print what happens, if that is wanted."""
        if self._print:
            print(f"{self.now - 1000:8.3f}  {text}")

    def batch(self) -> int:
        """Return how many requests a server carries out in one transaction."""
        return self.chance.choice((1, 4, 64))

    # The story

    def run(self) -> list[str]:
        """Run it. Return the promises that were broken."""
        self._let_pass(20.0, until=self._people.have_all)
        self.failing = True
        self._let_pass(_STORY)
        self.failing = False
        self._standby_away = 0.0
        self._let_pass(_QUIET, until=self._is_quiet)
        self._let_pass(6.0)
        if not self.problems:
            Checks(self._people, self.database, self.members).check()
        self.database.close()
        return self.problems

    def _is_quiet(self) -> bool:
        return self._people.is_quiet() and not self._hints

    def _let_pass(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end = self.now + seconds
        while self.now < end and not until() and not self.problems:
            self.now += self.chance.choice((0.02, 0.05, 0.1, 0.25))
            self._step()

    def _step(self) -> None:
        if self.failing:
            self._fail()
        for slot, when in [*self._restarts.items()]:
            if when <= self.now:
                del self._restarts[slot]
                self._slots[slot] = server = SimulatedServer(self, next(self._numbers))
                self.say(f"server {server.run.number} starts in slot {slot}")
        for server in self.living():
            server.advance(self.now - server.now)
        if self.now >= self._standby_away:
            behind = self.database.place - self.database.replicated
            self.database.replicate(self.database.replicated + self.chance.randint(0, behind))
        self.database.find_out()
        self._wake()
        self._carry()
        self._people.act()
        self._guests.act()
        self._wake()

    def living(self) -> list[SimulatedServer]:
        """Return the servers that run."""
        return [each for each in self._slots if each is not None]

    def _wake(self) -> None:
        while self.woken:
            server = next(iter(self.woken))
            del self.woken[server]
            if not server.is_dead:
                server.settle()

    def _fail(self) -> None:
        chance = self.chance.random()
        if chance < 0.02 and self.now >= self._standby_away:
            self._standby_away = self.now + self.chance.choice((1.0, 2.0, 4.0, 12.0))
            self.say(f"the standby is away until {self._standby_away - 1000:.1f}")
        elif chance < (0.035 if self.now < self._standby_away else 0.022):
            self.say(f"failover: {self.database.fail_over()} transactions are lost")
            self._standby_away = 0.0
            if len(living := self.living()) > 1 and self.chance.random() < 0.5:
                self._kill(self.chance.choice(living))  # it was on the machine of the primary
        elif 0.04 < chance < 0.05 and (living := self.living()):
            server = self.chance.choice([each for each in living if self.database.waits(each.run)] or living)
            self.say(f"server {server.run.number} loses its connection with the database")
            self.database.break_off(server.run, is_dead=False)
        elif 0.05 < chance < 0.053 and len(living := self.living()) > 1:
            self._kill(self.chance.choice(living))

    def _kill(self, server: SimulatedServer) -> None:
        self.say(f"server {server.run.number} is killed")
        slot = self._slots.index(server)
        self._slots[slot] = None
        server.is_dead = True
        self.database.break_off(server.run, is_dead=True)
        self._restarts[slot] = self.now + self.chance.choice((0.5, 5.0, 15.0))
        self._people.server_ended(server)

    def _carry(self) -> None:
        """Carry hints: most of them at once; some late, some twice, some never."""
        for server in self.living():
            for hint in server.exchange.neighbours.take():
                for slot in range(_SERVERS):
                    if self._slots[slot] is server or (self.failing and self.chance.random() < 0.1):
                        continue
                    for _ in range(2 if self.failing and self.chance.random() < 0.1 else 1):
                        late = self.chance.choice((0.0, 0.0, 0.0, 0.3, 5.0)) if self.failing else 0.0
                        self._hints.append((self.now + late, slot, hint))
        due = [each for each in self._hints if each[0] <= self.now]
        self._hints = [each for each in self._hints if each[0] > self.now]
        for _, slot, hint in due:
            if (server := self._slots[slot]) is not None:
                server.exchange.neighbours.take_hint(hint)
                server.settle()


def first_problem(seeds: range, *, barrier: bool = True) -> tuple[int, list[str]] | None:
    """Run schedules until one breaks a promise. Return its seed and what it broke; None if all is well."""
    for seed in seeds:
        if problems := SeveralServers(str(seed), barrier=barrier).run():
            return seed, problems
    return None


def main() -> None:
    """Run the program with the options of the command line."""
    parser = argparse.ArgumentParser(description="Run schedules of several servers on one simulated database.")
    parser.add_argument("--seeds", type=int, default=100, help="how many schedules to run")
    parser.add_argument("--first", type=int, help="the first seed; any if it is left out")
    parser.add_argument("--seed", type=int, help="run this one, and print what happens")
    parser.add_argument("--no-barrier", action="store_true", help="plant the fault that reading does not wait")
    options = parser.parse_args()
    barrier = not options.no_barrier
    if options.seed is not None:
        problems = SeveralServers(str(options.seed), barrier=barrier, print_it=True).run()
        print(*problems, sep="\n")
        raise SystemExit(bool(problems))
    first = random.randrange(1 << 32) if options.first is None else options.first
    found = first_problem(range(first, first + options.seeds), barrier=barrier)
    print(f"several servers, seeds from {first}: {'all is well' if found is None else found}")
    raise SystemExit(found is not None)


if __name__ == "__main__":
    main()
