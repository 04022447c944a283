"""Kill the server again and again under a load, and look whether it kept its promises.

    python -m tests.simulation.crash --crashes 200

Two members talk to each other, each from two devices. The server is killed with SIGKILL at random moments and started
again; the library connects again by itself. At the end every message must have been delivered, to every device once and
in order, and every sender must know.
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
"""Seconds that the server lives at most after it has come up and has accepted something."""

_IN_FLIGHT = 24
"""Messages that each device has on their way."""

_DEVICES = [(member, device) for member in ("alice", "bob") for device in ("laptop", "phone")]


@dataclass
class Seat:
    """A device: what it has sent, and what it was given."""

    member: str
    device: str
    client: MemberClient
    sent: list[tuple[str, MemberReceipt]] = field(default_factory=list[tuple[str, MemberReceipt]])
    given: list[str] = field(default_factory=list[str])
    numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def accepted(self) -> int:
        """How many of its messages are known to be stored."""
        return sum(receipt.state >= State.ACCEPTED for _, receipt in self.sent)


class Server:
    """A server process that can be killed and started again, with the same data on the same port."""

    def __init__(self, data: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self._port = int(listener.getsockname()[1])
        self._data = data
        self.address = f"127.0.0.1:{self._port}"

    async def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "twotick", "serve", "--data", str(self._data), "--port", str(self._port)),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        assert line.startswith(b"listening on "), line

    async def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        assert await self._process.wait() == -signal.SIGKILL, "the server ended by itself"

    async def stop(self) -> None:
        """End it in good order."""
        self._process.terminate()
        assert await self._process.wait() == 0


async def run(crashes: int, seed: int) -> str:
    """Crash a server, and look whether it kept its promises.

    Args:
        crashes: how often.
        seed: of the random moments.

    Returns:
        What was done, in words.

    Raises:
        AssertionError: it did not.
    """
    moments = random.Random(seed)
    limits = MemberLimits(first_wait=0.01, longest_wait=0.1)
    with tempfile.TemporaryDirectory() as folder:
        tokens = dict(zip(_DEVICES, make_members(Path(folder), *_DEVICES), strict=True))
        server = Server(Path(folder))
        await server.start()
        async with AsyncExitStack() as stack:
            seats = [
                Seat(
                    member,
                    device,
                    await stack.enter_async_context(
                        join(member, server.address, token=token, window=16, limits=limits)
                    ),
                )
                for (member, device), token in tokens.items()
            ]
            stop = asyncio.Event()
            listening = [asyncio.create_task(_listen(seat)) for seat in seats]
            sending = [asyncio.create_task(_send(seat, stop)) for seat in seats for _ in range(_IN_FLIGHT)]
            for _ in range(crashes):
                before = sum(seat.accepted for seat in seats)
                await _until(lambda before=before: sum(seat.accepted for seat in seats) > before, listening + sending)
                await asyncio.sleep(moments.uniform(0, _LIFE))  # not to wait for anything: any moment may be the one
                await server.kill()
                await server.start()
            stop.set()
            await asyncio.gather(*sending)
            for seat in seats:
                for _, receipt in seat.sent:
                    await receipt.delivered()
            total = sum(len(seat.sent) for seat in seats)
            await _until(lambda: all(len(seat.given) >= total - len(seat.sent) for seat in seats), listening)
        await asyncio.gather(*listening)
        await server.stop()
        store = SqliteStore(Path(folder), StoreLimits())
        problems = store.check()
        store.close()
    assert not problems, problems
    for seat in seats:
        _look(seat, [other for other in seats if other is not seat])
    return f"{crashes} crashes, {total} messages, each delivered once and in order to every device"


async def _send(seat: Seat, stop: asyncio.Event) -> None:
    """Send one message after the other to the other member."""
    recipient = "bob" if seat.member == "alice" else "alice"
    while not stop.is_set():
        body = f"{seat.member} on {seat.device}: {next(seat.numbers)}"
        receipt = await seat.client.queue(recipient, body)
        seat.sent.append((body, receipt))
        await receipt.delivered()


async def _listen(seat: Seat) -> None:
    async for message in seat.client:
        seat.given.append(message.text)


async def _until(condition: Callable[[], bool], tasks: Iterable[asyncio.Task[None]]) -> None:
    """Wait until something is true; an error in a task that is needed for it ends the wait."""
    while not condition():
        await asyncio.sleep(0.005)
        for task in tasks:
            if task.done():
                task.result()


def _look(seat: Seat, others: list[Seat]) -> None:
    """Whether a device was given all that the others have sent, once and in order."""
    by_sender = {
        sender: list(bodies)
        for sender, bodies in itertools.groupby(
            sorted(seat.given, key=lambda body: body.partition(":")[0]), key=lambda body: body.partition(":")[0]
        )
    }
    for other in others:
        sent = [body for body, _ in other.sent]
        assert by_sender.pop(f"{other.member} on {other.device}", []) == sent, (seat.member, seat.device, other.device)
    assert not by_sender, "a device is given what it has sent itself"


def main() -> None:
    """Run it from a command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--crashes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    print(asyncio.run(run(options.crashes, options.seed)))


if __name__ == "__main__":
    main()
