"""Run three servers on one PostgreSQL at once, kill them in turn, and check that no message is lost or doubled.

    python -m tests.simulation.cluster --kills 3

The program starts a PostgreSQL and a NATS of its own and three server processes. Two members, who know all three
addresses and begin with different ones, write to each other all the time. The program kills one server after the other,
as a machine fails, and starts it again as a supervisor does. In the middle it kills NATS as well. In the end every
message that was sent must be accepted, and each member must have received each message once and in order.
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bus import nats_server
from tests.bus.nats_server import NatsServer
from tests.store.postgres_server import free_port, new_database, running
from twotick.client import MemberClient, MemberLimits, MemberReceipt, State, join

_MEMBERS = ("alice", "bob")

_PROGRAM = (sys.executable, "-m", "twotick")

_PATIENT = MemberLimits(longest_wait=0.5)
"""Limits with which a client soon goes to another server."""

_PATIENCE = 60.0
"""Seconds in which members must be able to go on."""


class Problem(Exception):
    """A promise is broken."""


class Supervised:
    """A server process that is started again whenever it ends, as systemd does with `Restart=always`.

    Attributes:
        port: its port.
        serves: set while it accepts connections.
    """

    def __init__(self, port: int, environment: dict[str, str]) -> None:
        self.port = port
        self.serves = asyncio.Event()
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self.port}"

    async def run(self) -> None:
        """Run the process for ever; end it when this is cancelled."""
        serve = (*_PROGRAM, "serve", "--port", str(self.port), "--no-web")
        try:
            while True:
                self._process = await asyncio.create_subprocess_exec(
                    *serve, env=self._environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
                )
                assert self._process.stdout is not None
                if await self._process.stdout.readline():
                    self.serves.set()
                await self._process.wait()
                self.serves.clear()
        finally:
            self.kill()
            if self._process is not None:
                await self._process.wait()

    def kill(self) -> None:
        """End the process as a machine that fails does."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)


@dataclass
class Talker:
    """A member who writes to the other, and notes what comes.

    Attributes:
        me: the member's connection.
        peer: the other member.
        sent: the texts, with their receipts.
        received: the texts from the other member.
        accepted: how many were accepted so far.
        longest: the longest time between sending and acceptance, in seconds.
    """

    me: MemberClient
    peer: str
    sent: list[tuple[str, MemberReceipt]] = field(default_factory=list[tuple[str, MemberReceipt]])
    received: list[str] = field(default_factory=list[str])
    accepted: int = 0
    longest: float = 0.0

    async def write(self) -> None:
        """Write messages until this is cancelled."""
        while True:
            text = f"{self.me.name} {len(self.sent)}"
            since = time.monotonic()
            writing = asyncio.create_task(self.me.send(self.peer, text))
            try:
                receipt = await asyncio.shield(writing)
            except asyncio.CancelledError:
                receipt = await writing  # it is under way: its fate is a part of the proof
                raise
            finally:
                if writing.done() and writing.exception() is None:
                    self.sent.append((text, writing.result()))
            self.accepted += receipt.state >= State.ACCEPTED
            self.longest = max(self.longest, time.monotonic() - since)
            await asyncio.sleep(0.01)

    async def read(self) -> None:
        """Take what comes until this is cancelled."""
        async for message in self.me:
            if message.sender == self.peer:
                self.received.append(message.text)


async def _operate(environment: dict[str, str], *words: str, given: str = "") -> str:
    """Run a command of the operator, and return what it prints."""
    process = await asyncio.create_subprocess_exec(
        *_PROGRAM, *words, env=environment, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate(given.encode())
    if process.returncode:
        raise Problem(f"'twotick {' '.join(words)}' has failed with status {process.returncode}")
    return printed.decode().strip()


@contextlib.asynccontextmanager
async def _background(*tasks: "asyncio.Task[None]") -> AsyncGenerator[None]:
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_progress(talkers: Sequence[Talker]) -> None:
    """Wait until each member has had further messages accepted."""
    before = [each.accepted for each in talkers]
    async with asyncio.timeout(_PATIENCE):
        while any(each.accepted < count + 5 for each, count in zip(talkers, before, strict=True)):
            await asyncio.sleep(0.02)


async def run(database: str, nats: NatsServer, folder: Path, kills: int) -> None:
    """Hold the conversation, kill servers meanwhile, and check what has come.

    Args:
        database: the address of an empty database.
        nats: the NATS server.
        folder: an empty folder for the settings of the servers.
        kills: how many times a server is killed.

    Raises:
        Problem: a promise is broken.
    """
    common = {"TWOTICK_DATABASE": database, "HOME": str(folder), "TWOTICK_KEYRING": "no"}
    environment = {**os.environ, **common, "TWOTICK_BUS": f"nats://127.0.0.1:{nats.port}"}
    servers = [
        Supervised(free_port(), {**environment, "TWOTICK_DATA": str(folder / str(number))}) for number in range(3)
    ]
    tokens: dict[str, str] = {}
    for name in _MEMBERS:
        await _operate(environment, "user", "add", name, given="a long password\n")
        tokens[name] = (await _operate(environment, "token", name, "laptop")).split()[-1]
    async with _background(*(asyncio.create_task(each.run()) for each in servers)):
        async with asyncio.timeout(_PATIENCE):
            await asyncio.gather(*(each.serves.wait() for each in servers))
        print(f"three servers serve: {', '.join(each.address for each in servers)}", flush=True)
        async with (
            join("alice", _beginning(servers, 0), token=tokens["alice"], limits=_PATIENT) as alice,
            join("bob", _beginning(servers, 1), token=tokens["bob"], limits=_PATIENT) as bob,
        ):
            talkers = [Talker(alice, "bob"), Talker(bob, "alice")]
            async with _background(*(asyncio.create_task(each.read()) for each in talkers)):
                async with _background(*(asyncio.create_task(each.write()) for each in talkers)):
                    await _fail(servers, nats, talkers, kills)
                await _until_all_have_come(talkers)
    _check(talkers)


def _beginning(servers: Sequence[Supervised], first: int) -> str:
    """Return the addresses of all servers, as a client that tries this one first has them."""
    return ",".join(each.address for each in (*servers[first:], *servers[:first]))


async def _fail(servers: Sequence[Supervised], nats: NatsServer, talkers: Sequence[Talker], kills: int) -> None:
    """Kill servers in turn, and NATS for a while in the middle, and wait each time until both members go on."""
    for number in range(kills):
        await _until_progress(talkers)
        server = servers[number % len(servers)]
        async with asyncio.timeout(_PATIENCE):
            await server.serves.wait()
        if number == kills // 2:
            nats.kill()
            print("NATS is gone", flush=True)
            await _until_progress(talkers)
        server.serves.clear()
        server.kill()
        print(f"kill {number + 1}: the server at {server.address} is gone", flush=True)
        await _until_progress(talkers)
        if number == kills // 2:
            nats.start()
            print("NATS is back", flush=True)
    await _until_progress(talkers)


async def _until_all_have_come(talkers: Sequence[Talker]) -> None:
    """Wait until each member has as many messages as the other has sent; what is wrong then, `_check` finds."""
    one, other = talkers
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while len(one.received) < len(other.sent) or len(other.received) < len(one.sent):
                await asyncio.sleep(0.02)


def _check(talkers: Sequence[Talker]) -> None:
    """Raise Problem unless each member has each message of the other once and in order, and none was refused."""
    for talker, other in zip(talkers, reversed(talkers), strict=True):
        name = talker.me.name
        if refused := [text for text, receipt in talker.sent if receipt.state < State.ACCEPTED]:
            raise Problem(f"not accepted: {refused[:5]}")
        if other.received != [text for text, _ in talker.sent]:
            missing = {text for text, _ in talker.sent} - set(other.received)
            raise Problem(f"of {name}'s {len(talker.sent)} messages {len(other.received)} came, without {missing}")
        print(
            f"{name}: {len(talker.sent)} messages sent, all accepted, and all received once and in order;"
            f" the longest wait for an answer was {talker.longest:.1f} s",
            flush=True,
        )


def main() -> None:
    """Parse the command line, and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=4, help="how many times a server is killed")
    kills: int = parser.parse_args().kills
    with running() as server, TemporaryDirectory() as folder, nats_server.running(Path(folder)) as nats:
        try:
            asyncio.run(run(new_database(server), nats, Path(folder), kills))
        except Problem as problem:
            raise SystemExit(f"broken: {problem}") from problem


if __name__ == "__main__":
    main()
