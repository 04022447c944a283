"""Let each part of a cluster fail under load, in turn, and check after each failure that all promises were kept.

    python -m tests.simulation.crash_cluster --rounds 50

The program starts three PostgreSQL under Patroni with three etcd, NATS, and servers; and a crowd of members who write
to each other from two devices each. In each round, one part fails, is restored, and then everything that was sent must
have come: nothing accepted is missing on any device, nothing came twice, the numbers of the logs have no gap, the order
is kept, receipts are true, and every sender has an answer. It needs Debian's packages `postgresql`, `etcd-server` and
`nats-server`, and Patroni (`make crash-cluster` installs it).
"""

import argparse
import asyncio
import contextlib
import itertools
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Final, TypeVar

from tests.bus import nats_server
from tests.simulation.crowd import Crowd, Problem
from tests.simulation.patroni import NODES, PatroniCluster, signal_all
from tests.simulation.servers import OneServer
from tests.store.postgres_server import execute
from twotick.server.secrets import new_token, token_digest
from twotick.store import AddMember, AddToken, Member, StoreError, StoreLimits
from twotick.store.postgres.connection import PostgresConnection
from twotick.store.postgres.store import PostgresStore

_T = TypeVar("_T")

_FROZEN: Final = 30.0
"""Seconds for which a part is frozen, and for which a cable is cut."""

_KEEP_ALIVES: Final = 15.0
"""Seconds after which TCP notices a connection whose other end is gone."""

_DISK: Final = 400 << 20
"""The disk of each PostgreSQL, in bytes, if one is to be full."""

_GAPS: Final = (
    "SELECT 'log of member ' || member || ': ' || count(*) || ' of ' || max(seq) FROM twotick.log"
    " GROUP BY member HAVING count(*) <> max(seq)"
    " UNION ALL SELECT 'room ' || room || ': ' || count(*) || ' of ' || max(place) - min(place) + 1"
    " FROM twotick.message WHERE room IS NOT NULL GROUP BY room HAVING count(*) <> max(place) - min(place) + 1"
)


_ACTIVITY: Final = (
    "SELECT concat_ws('; ', pid, state, wait_event_type, wait_event, 'blocked by ' || pg_blocking_pids(pid)::text,"
    " now() - xact_start, left(query, 200)) FROM pg_stat_activity WHERE datname = 'twotick'"
    " UNION ALL SELECT concat_ws('; ', application_name, state, sync_state, replay_lag) FROM pg_stat_replication"
    " UNION ALL SELECT concat('synchronous_standby_names ', current_setting('synchronous_standby_names'))"
)


class World:
    """The cluster and those who use it.

    Attributes:
        database: PostgreSQL under Patroni.
        nats: NATS.
        servers: the servers.
        crowd: the members.
        chance: decides what fails.
    """

    def __init__(
        self, database: PatroniCluster, nats: nats_server.NatsServer, servers: list[OneServer], crowd: Crowd, seed: int
    ) -> None:
        self.database = database
        self.nats = nats
        self.servers = servers
        self.crowd = crowd
        self.chance = random.Random(seed)

    async def serving(self, count: int | None = None) -> list[OneServer]:
        """Return the servers that serve, as soon as there are so many; None for all."""
        wanted = count or len(self.servers)
        async with asyncio.timeout(120):
            while len(found := [each for each in self.servers if each.serves.is_set()]) < wanted:
                await asyncio.sleep(0.05)
        return found

    async def one_serving(self) -> OneServer:
        """Return one of the servers that serve."""
        return self.chance.choice(await self.serving(1))

    async def in_database(self, work: Callable[[PatroniCluster], _T]) -> _T:
        """Ask the database or do something to it, while the crowd goes on."""
        return await asyncio.to_thread(work, self.database)

    async def _primary(self) -> str:
        leader = await self.in_database(PatroniCluster.leader)
        port = self.database.ports[leader]
        return f"postgresql://postgres@127.0.0.1:{port}/twotick"

    async def check(self) -> None:
        """Check what is stored.

        Raises:
            Problem: a log has a gap.
        """
        where = await self._primary()

        def gaps() -> list[str]:
            with closing(PostgresConnection(where)) as connection:
                return [str(text) for (text,) in connection.run(_GAPS)]

        if found := await asyncio.to_thread(gaps):
            raise Problem(f"numbers are missing: {'; '.join(found)}")

    async def describe(self) -> str:
        """Return what all are at, to find the reason of a problem. The servers are ended."""
        parts = [f"--- members\n{self.crowd.describe()}"]
        parts.append(f"--- Patroni\n{await self.in_database(PatroniCluster.describe)}")

        def activity(where: str) -> str:
            with closing(PostgresConnection(where)) as connection:
                return "\n".join(str(text) for (text,) in connection.run(_ACTIVITY))

        try:
            async with asyncio.timeout(20):
                parts.append(f"--- PostgreSQL\n{await asyncio.to_thread(activity, await self._primary())}")
        except (StoreError, OSError) as error:
            parts.append(f"--- PostgreSQL: {error!r}")
        for each in self.servers:
            parts.append(f"--- {each.log}\n{await each.tail()}")
        return "\n".join(parts)

    async def freeze(self, processes: list[int]) -> None:
        """Stop processes for a while."""
        signal_all(processes, signal.SIGSTOP)
        try:
            await asyncio.sleep(_FROZEN)
        finally:
            signal_all(processes, signal.SIGCONT)


Failure = Callable[[World], Awaitable[None]]
"""Lets a part fail, and restores it."""

FAILURES: Final[dict[str, Failure]] = {}


def _failure(function: Failure) -> Failure:
    FAILURES[function.__name__.strip("_").replace("_", "-")] = function
    return function


@_failure
async def _server(world: World) -> None:
    (await world.one_serving()).kill()
    await world.crowd.progress()


@_failure
async def _primary(world: World) -> None:
    leader = await world.in_database(PatroniCluster.leader)
    signal_all(world.database.postgres_processes(leader)[:1], signal.SIGKILL)
    await world.crowd.progress()


async def _lose_node(world: World, number: int) -> None:
    signal_all(world.database.node_processes(number), signal.SIGKILL)
    await world.in_database(lambda database: database.forget_node(number))


@_failure
async def _machine_of_primary(world: World) -> None:
    """Nothing answers there any more, not even with a refusal."""
    leader = await world.in_database(PatroniCluster.leader)
    cables = [server.databases[leader] for server in world.servers]
    for cable in cables:
        cable.cut(silent=True)
    await _lose_node(world, leader)
    await asyncio.sleep(_KEEP_ALIVES)
    for cable in cables:
        cable.keep_alives_fail(near=True)
    await world.crowd.progress()
    for cable in cables:
        cable.mend()
    world.database.start_node(leader)


@_failure
async def _standby(world: World) -> None:
    number = (await world.in_database(PatroniCluster.synchronous))[0]
    await _lose_node(world, number)
    await world.crowd.progress()
    world.database.start_node(number)


@_failure
async def _only_standby(world: World) -> None:
    """Nothing may be accepted while there is none."""
    leader = await world.in_database(PatroniCluster.leader)
    standbys = [number for number in range(NODES) if number != leader]
    try:
        for number in standbys:
            await _lose_node(world, number)
        await asyncio.sleep(1.0)  # what the standby had before it ended may still be answered
        before = len(world.crowd.accepted)
        await asyncio.sleep(3.0)
        if len(world.crowd.accepted) != before:
            raise Problem("messages were accepted that only one machine has")
    finally:
        for number in standbys:
            world.database.start_node(number)
    await world.crowd.progress()


@_failure
async def _nats(world: World) -> None:
    world.nats.kill()
    await world.crowd.progress()
    await asyncio.to_thread(world.nats.start)
    await world.crowd.progress()


@_failure
async def _leader_of_etcd(world: World) -> None:
    number = await world.in_database(PatroniCluster.etcd_leader)
    signal_all(world.database.etcd_process(number), signal.SIGKILL)
    await world.in_database(lambda database: database.forget_etcd(number))
    await world.crowd.progress()
    world.database.start_etcd(number)


@_failure
async def _frozen_server(world: World) -> None:
    await world.freeze((await world.one_serving()).processes)
    await world.crowd.progress()


@_failure
async def _frozen_primary(world: World) -> None:
    leader = await world.in_database(PatroniCluster.leader)
    await world.freeze(world.database.node_processes(leader))
    await world.crowd.progress()


@_failure
async def _frozen_standby(world: World) -> None:
    number = (await world.in_database(PatroniCluster.synchronous))[0]
    await world.freeze(world.database.node_processes(number))
    await world.crowd.progress()


@_failure
async def _frozen_nats(world: World) -> None:
    await world.freeze(world.nats.processes)
    await world.crowd.progress()


@_failure
async def _frozen_leader_of_etcd(world: World) -> None:
    number = await world.in_database(PatroniCluster.etcd_leader)
    await world.freeze(world.database.etcd_process(number))
    await world.crowd.progress()


@_failure
async def _switchover(world: World) -> None:
    await world.in_database(PatroniCluster.switch_over)
    await world.crowd.progress()


@_failure
async def _server_without_database(world: World) -> None:
    """Its connections are reset, and no new one can be made."""
    server = await world.one_serving()
    for cable in server.databases:
        cable.cut()
    await asyncio.sleep(_FROZEN)
    for cable in server.databases:
        cable.mend()
    await world.crowd.progress()


@_failure
async def _server_with_silent_database(world: World) -> None:
    """Nothing comes through, as when a switch fails; after a while PostgreSQL notices, and the server does not."""
    server = await world.one_serving()
    for cable in server.databases:
        cable.cut(silent=True)
    await asyncio.sleep(_KEEP_ALIVES)
    for cable in server.databases:
        cable.keep_alives_fail(near=False)
    await asyncio.sleep(_FROZEN - _KEEP_ALIVES)
    for cable in server.databases:
        cable.mend()
    await world.crowd.progress()


@_failure
async def _servers_apart(world: World) -> None:
    """No server reaches another one by NATS."""
    cables = [cable for server in world.servers for cable in server.buses]
    for cable in cables:
        cable.cut(silent=world.chance.random() < 0.5)
    await world.crowd.progress()
    await asyncio.sleep(3.0)
    for cable in cables:
        cable.mend()
    await world.crowd.progress()


@_failure
async def _full_disk(world: World) -> None:
    """The disk of the primary is full for a while."""
    leader = await world.in_database(PatroniCluster.leader)
    filler = await world.in_database(lambda database: database.fill_disk(leader))
    try:
        await asyncio.sleep(_KEEP_ALIVES)
    finally:
        filler.unlink()
    await world.crowd.progress()


def can_mount(folder: Path) -> bool:
    """Tell whether a file system of a limited size can be made."""
    tried = folder / "mounted"
    tried.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(tried)], capture_output=True)
    if made.returncode == 0:
        subprocess.run(["umount", str(tried)], check=True)
    return made.returncode == 0


def add_members(where: str, devices: list[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Add members, and return a token for each device."""
    tokens: dict[tuple[str, str], str] = {}
    members: dict[str, int] = {}
    with closing(PostgresStore(where, StoreLimits(), exclusive=False)) as store:
        for name, device in devices:
            if name not in members:
                added = store.ask(AddMember(name, "", 0.0))
                assert isinstance(added, Member)
                members[name] = added.number
            tokens[name, device] = new_token()
            store.ask(AddToken(members[name], device, token_digest(tokens[name, device]), 0.0))
    return tokens


@contextlib.asynccontextmanager
async def background(tasks: list["asyncio.Task[None]"]) -> AsyncGenerator[None]:
    """Cancel tasks at the end."""
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run(folder: Path, patroni: Path, count: int, rounds: list[str], seed: int) -> None:
    """Let parts fail, one in each round.

    Args:
        folder: an empty folder.
        patroni: Patroni's program.
        count: how many servers there are.
        rounds: what fails in each round.
        seed: decides who does what.

    Raises:
        Problem: a promise is broken.
    """
    began = time.monotonic()
    database = PatroniCluster(folder, patroni, _DISK if "full-disk" in rounds else None)
    async with AsyncExitStack() as stack:
        stack.callback(database.stop)
        for number in range(NODES):
            database.start_node(number)
        nats = stack.enter_context(nats_server.running(folder))
        await asyncio.to_thread(database.wait)
        server = f"postgresql://postgres@127.0.0.1:{database.ports[await asyncio.to_thread(database.leader)]}"
        await asyncio.to_thread(execute, f"{server}/postgres", "CREATE DATABASE twotick")
        names = [f"m{number}" for number in range(20)]
        devices = [(name, device) for name in names for device in ("laptop", "phone")]
        tokens = await asyncio.to_thread(add_members, f"{server}/twotick", devices)
        servers = [OneServer(folder, database.ports, nats.port) for _ in range(count)]
        where = ",".join(f"127.0.0.1:{each.port}" for each in servers)
        crowd = Crowd(where, names, ["#one", "#two", "#three"], seed=seed)
        crowd.add_devices(tokens)
        world = World(database, nats, servers, crowd, seed)
        await stack.enter_async_context(background([asyncio.create_task(each.run()) for each in servers]))
        await world.serving()
        stack.push_async_callback(crowd.stop)
        await crowd.start()
        print(f"{count} servers and {NODES} PostgreSQL after {time.monotonic() - began:.0f} s", flush=True)
        for number, name in enumerate(rounds, 1):
            try:
                await _round(world, number, name, len(rounds))
            except (Problem, TimeoutError) as problem:
                print(await world.describe(), file=sys.stderr)
                raise Problem(f"round {number}, {name}: {problem}") from problem


async def _round(world: World, number: int, name: str, count: int) -> None:
    crowd = world.crowd
    began, delivered = time.monotonic(), crowd.deliveries
    crowd.refusals.clear()
    crowd.write()
    await crowd.progress()
    failed = time.monotonic()
    await FAILURES[name](world)
    await world.in_database(PatroniCluster.wait)
    pause = crowd.pause_after(failed)
    await crowd.progress()
    await world.serving()
    await crowd.settle()
    await world.check()
    print(
        f"round {number} of {count}, {name}: {len(crowd.sent):,} messages, {crowd.deliveries - delivered:,} deliveries,"
        f" longest pause {pause:.1f} s, {time.monotonic() - began:.0f} s in all"
        + (f"; refused: {', '.join(sorted(crowd.refusals))[:200]}" if crowd.refusals else ""),
        flush=True,
    )


def main() -> None:
    """Parse the command line, and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--only", default="", help=f"what fails, with commas: {', '.join(FAILURES)}")
    parser.add_argument("--patroni", type=Path, default=Path("build/patroni/bin/patroni"))
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    kinds = [each.strip() for each in options.only.split(",") if each.strip()] or list(FAILURES)
    if unknown := set(kinds) - FAILURES.keys():
        raise SystemExit(f"there is no failure called {', '.join(unknown)}: {', '.join(FAILURES)}")
    with tempfile.TemporaryDirectory(prefix="twotick-cluster-") as name:
        folder = Path(name)
        if "full-disk" in kinds and not can_mount(folder):
            print("full-disk is left out: this user cannot mount a small file system", flush=True)
            kinds.remove("full-disk")
        rounds = list(itertools.islice(itertools.cycle(kinds), options.rounds))
        print(f"seed {options.seed}", flush=True)
        try:
            asyncio.run(run(folder, options.patroni.absolute(), options.servers, rounds, options.seed))
        except Problem as problem:
            raise SystemExit(f"broken: {problem}") from problem
    print(f"{len(rounds)} rounds: nothing accepted was lost, doubled or out of order")


if __name__ == "__main__":
    main()
