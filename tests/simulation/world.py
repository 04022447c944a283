"""A simulated world: machines with disks and clocks, the processes on them, and the network between them."""

import asyncio
import hashlib
import os
import random
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

from tests.simulation import disk, encryption, scheduler
from tests.simulation.disk import Disk, RealFiles
from tests.simulation.network import Network
from tests.simulation.scheduler import Loop, Process, Thread
from twotick.server import logs


class Trace:
    """What has happened in a world: a hash of all of it, and a text for people if they want one.

    Args:
        loop: whose time the lines have.
        print_it: whether to print the lines.
    """

    def __init__(self, loop: Loop, print_it: bool) -> None:
        self._loop = loop
        self._print = print_it
        self._hash = hashlib.blake2b(digest_size=8)
        self.lines = 0

    def __call__(self, text: str) -> None:
        """Note something."""
        self.lines += 1
        self._hash.update(text.encode("utf-8", "backslashreplace"))
        if self._print:
            print(f"{self._loop.now - 1000:11.6f}  {text}", file=sys.stdout)

    @property
    def digest(self) -> str:
        """The hash of everything so far."""
        return self._hash.hexdigest()


class Machine:
    """A machine: a disk, a clock and an address.

    Attributes:
        name: its name, and the folder of its disk.
        address: its address.
        disk: its disk.
        clock_error: by how many seconds its clock is wrong.
        processes: those that run on it.
    """

    def __init__(self, world: "World", name: str, address: str) -> None:
        self.name = name
        self.address = address
        self.disk = Disk(name, world.chance(f"disk {name}"), world.trace)
        self.clock_error = 0.0
        self.processes: list[Process] = []
        self._world = world
        disk.add(self.disk)
        Path(name).mkdir(exist_ok=True)

    def start(self, name: str) -> Process:
        """Start a process on it."""
        world = self._world
        process = Process(name, lambda: self.clock_error)
        world.network.addresses[process] = self.address
        process.on_death.append(lambda: self._ended(process))
        self.processes.append(process)
        world.trace(f"start {name}")
        return process

    def _ended(self, process: Process) -> None:
        world = self._world
        world.trace(f"end of {process.name} after {process.steps} steps")
        self.processes.remove(process)
        if self.address not in world.network.down:
            world.network.process_ended(process)
        self.disk.release(process)
        world.files.release(process)

    def fail(self) -> None:
        """Let the power fail: every process ends, and the disk loses what was not synced."""
        world = self._world
        world.trace(f"power failure of {self.name}")
        world.network.down.add(self.address)
        world.network.power_failed(self.address)
        for process in [*self.processes]:
            process.kill()
        self.disk.lose_power()

    def boot(self) -> None:
        """Let the power come back."""
        self._world.network.down.discard(self.address)


class World:
    """A simulated world.

    Args:
        seed: decides everything in it.
        print_it: whether to print the trace.

    Attributes:
        loop: its event loop.
        network: its network.
        machines: its machines, by name.
        trace: what has happened.
        files: what its processes have open beside databases.
        log: what servers have logged.
    """

    def __init__(self, seed: str, print_it: bool = False) -> None:
        self.seed = seed
        self.loop = Loop(self.chance("threads"))
        self.trace = Trace(self.loop, print_it)
        self.network = Network(self.loop, self.chance("network"), self.trace)
        self.network.encrypt = encryption.encrypt
        self.loop.network = self.network
        self.machines: dict[str, Machine] = {}
        self.files = RealFiles()
        self.log: list[str] = []
        self._patch_chance()
        logs.log.write = self._logged

    def _logged(self, level: str, entry: Mapping[str, object]) -> None:
        """Take an entry of the server's log."""
        self.log.append(f"{level}: {entry}")
        self.trace(f"log {level} {entry}")

    def chance(self, what: str) -> Random:
        """Return a generator of random numbers for something."""
        return Random(f"{self.seed}: {what}")

    def close(self) -> None:
        """Give the process back what the world has replaced."""
        self.files.close()
        random._urandom = os.urandom = self._urandom  # type: ignore[attr-defined]
        sys.unraisablehook = sys.__unraisablehook__

    def _patch_chance(self) -> None:
        self._urandom = os.urandom
        source = self.chance("secrets")
        random._urandom = os.urandom = source.randbytes  # type: ignore[attr-defined]
        random.seed(f"{self.seed}: programs")
        sys.unraisablehook = lambda problem: self.loop.failures.append(f"{problem.err_msg}: {problem.exc_value!r}")

    def machine(self, name: str) -> Machine:
        """Add a machine."""
        machine = self.machines[name] = Machine(self, name, f"127.0.0.{len(self.machines) + 1}")
        return machine

    def run(self, main: Callable[[], Awaitable[None]]) -> None:
        """Run something that belongs to no process until it is done."""
        disk.use(self.loop, self.chance("sqlite"))
        asyncio.set_event_loop(self.loop)
        with scheduler.simulated(self.loop):
            self.loop.run_until_complete(main())

    def spawn(self, process: Process, program: Callable[[], Any], name: str = "") -> "asyncio.Future[Any]":
        """Let a process run a coroutine function. The future is cancelled if the process is killed."""
        outcome: asyncio.Future[Any] = self.loop.create_future()
        process.on_death.append(lambda: _cancel(outcome))

        async def run() -> None:
            try:
                result = await program()
            except Exception as error:
                if not outcome.done():
                    outcome.set_exception(error)
            else:
                if not outcome.done():
                    outcome.set_result(result)

        process.context.run(self.loop.create_task, run())
        return outcome

    def command(self, process: Process, program: Callable[[], Any]) -> "asyncio.Future[Any]":
        """Let a process run a function that may block. The future is cancelled if the process is killed."""
        outcome: asyncio.Future[Any] = self.loop.create_future()
        process.on_death.append(lambda: _cancel(outcome))

        def finish(result: Any, error: Exception | None) -> None:
            if outcome.done():
                return
            if error is None:
                outcome.set_result(result)
            else:
                outcome.set_exception(error)

        def run() -> None:
            try:
                result = program()
            except Exception as error:
                self.loop.call_soon(finish, None, error)
            else:
                self.loop.call_soon(finish, result, None)

        process.context.run(lambda: Thread(target=run, name=process.name).start())
        return outcome


def _cancel(future: "asyncio.Future[Any]") -> None:
    future.cancel()
