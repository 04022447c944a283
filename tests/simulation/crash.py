"""Kill a server again and again under load, and check that it keeps its promises.

    python -m tests.simulation.crash --crashes 200

Two members write to each other, each from two devices. The program kills the server with SIGKILL at random moments and
starts it again; the client library reconnects by itself. At the end every device must have received every message once
and in order, and every sender must know that it was delivered.
"""

import argparse
import asyncio
import itertools
import random
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulation.serving import make_members
from twotick.client import MemberClient, MemberLimits, MemberReceipt, State, join
from twotick.store import SqliteStore, StoreLimits

_LIFE = 0.15
"""Longest time, in seconds, between the first message that a new server accepts and its end."""

_IN_FLIGHT = 24
"""Unanswered messages of each device."""

_DEVICES = [(member, device) for member in ("alice", "bob") for device in ("laptop", "phone")]


@dataclass
class Device:
    """A device of a member.

    Attributes:
        member: the member's name.
        name: the device's name.
        client: its connection.
        sent: bodies and receipts of the messages that it has sent.
        received: texts of the messages that it has received.
        numbers: numbers for the next messages.
    """

    member: str
    name: str
    client: MemberClient
    sent: list[tuple[str, MemberReceipt]] = field(default_factory=list[tuple[str, MemberReceipt]])
    received: list[str] = field(default_factory=list[str])
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def accepted(self) -> int:
        """Return how many of its messages the server has accepted."""
        return sum(receipt.state >= State.ACCEPTED for _, receipt in self.sent)


class Server:
    """A server process that can be killed and started again with the same data and port."""

    def __init__(self, data: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = int(listener.getsockname()[1])
        self._data = data
        self.address = f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start the server and wait until it listens."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "twotick", "serve", "--data", str(self._data), "--port", str(self._port)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line.startswith(b"listening on "), line

    async def kill(self) -> None:
        """Kill the server with SIGKILL, which it cannot handle."""
        self._process.kill()
        assert await self._process.wait() == -signal.SIGKILL, "the server ended by itself"

    async def stop(self) -> None:
        """Stop the server with SIGTERM, and check that it exits with status 0."""
        self._process.terminate()
        assert await self._process.wait() == 0


async def run(crashes: int, seed: int) -> str:
    """Crash a server under load, and check every message at the end.

    Args:
        crashes: number of crashes.
        seed: seed of the random moments.

    Returns:
        A summary in one line.

    Raises:
        AssertionError: the server broke a promise.
    """
    moments = random.Random(seed)
    limits = MemberLimits(first_wait=0.01, longest_wait=0.1)
    with tempfile.TemporaryDirectory() as folder:
        tokens = dict(zip(_DEVICES, make_members(Path(folder), *_DEVICES), strict=True))
        server = Server(Path(folder))
        await server.start()
        async with AsyncExitStack() as stack:
            devices = [
                Device(
                    member,
                    device,
                    await stack.enter_async_context(
                        join(member, server.address, token=token, window=16, limits=limits)
                    ),
                )
                for (member, device), token in tokens.items()
            ]
            stop = asyncio.Event()
            listening = [asyncio.create_task(_listen(device)) for device in devices]
            sending = [asyncio.create_task(_send(device, stop)) for device in devices for _ in range(_IN_FLIGHT)]
            for _ in range(crashes):
                before = sum(device.accepted for device in devices)
                await _until(
                    lambda before=before: sum(device.accepted for device in devices) > before, listening + sending
                )
                await asyncio.sleep(moments.uniform(0, _LIFE))  # any moment may be the one that matters
                await server.kill()
                await server.start()
            stop.set()
            await asyncio.gather(*sending)
            for device in devices:
                for _, receipt in device.sent:
                    await receipt.delivered()
            total = sum(len(device.sent) for device in devices)
            await _until(lambda: all(len(device.received) >= total - len(device.sent) for device in devices), listening)
        await asyncio.gather(*listening)
        await server.stop()
        store = SqliteStore(Path(folder), StoreLimits())
        problems = store.check()
        store.close()
    assert not problems, problems
    for device in devices:
        _look(device, [other for other in devices if other is not device])
    return f"{crashes} crashes, {total} messages, each delivered once and in order to every device"


async def _send(device: Device, stop: asyncio.Event) -> None:
    """Send messages to the other member, one after the other, until `stop` is set."""
    recipient = "bob" if device.member == "alice" else "alice"
    while not stop.is_set():
        body = f"{device.member} on {device.name}: {next(device.numbers)}"
        receipt = await device.client.queue(recipient, body)
        device.sent.append((body, receipt))
        await receipt.delivered()


async def _listen(device: Device) -> None:
    async for message in device.client:
        device.received.append(message.text)


async def _until(condition: Callable[[], bool], tasks: Iterable[asyncio.Task[None]]) -> None:
    """Wait until a condition is true. Raise the error of a task that fails meanwhile."""
    while not condition():
        await asyncio.sleep(0.005)
        for task in tasks:
            if task.done():
                task.result()


def _look(device: Device, others: list[Device]) -> None:
    """Check that a device received every message of the other devices once and in order."""
    by_sender = {
        sender: list(bodies)
        for sender, bodies in itertools.groupby(
            sorted(device.received, key=lambda body: body.partition(":")[0]), key=lambda body: body.partition(":")[0]
        )
    }
    for other in others:
        sent = [body for body, _ in other.sent]
        assert by_sender.pop(f"{other.member} on {other.name}", []) == sent, (device.member, device.name, other.name)
    assert not by_sender, "a device received its own messages"


def main() -> None:
    """Run the program with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--crashes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    print(asyncio.run(run(options.crashes, options.seed)))


if __name__ == "__main__":
    main()
