"""A load on a server: pairs of users who send each other messages as fast as the server delivers them."""

import contextlib
import json
import secrets
import statistics
import time
from dataclasses import asdict, dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from twotick.client import Client, connect
from twotick.ui.tasks import together
from twotick.ui.text import console


@dataclass(frozen=True, slots=True)
class Load:
    """What to put on a server.

    Attributes:
        pairs: number of senders, each with a receiver of its own.
        window: number of messages that each sender has in flight.
        size: bytes per message.
        deliveries: number of messages in total.
    """

    pairs: int
    window: int
    size: int
    deliveries: int


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a load measured. Latencies are in milliseconds, from a send to the answer that reports the delivery."""

    pairs: int
    window: int
    size: int
    deliveries: int
    seconds: float
    deliveries_per_second: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float


async def measure(server: str, load: Load, *, as_json: bool, tls: bool | None = None) -> None:
    """Put a load on a server, and print the rate and the latencies.

    Args:
        server: `HOST:PORT`.
        load: what to put on it.
        as_json: print one JSON object, and no progress.
        tls: False to allow connections without TLS to another machine.

    Raises:
        TwotickError: a message was not delivered, or a connection failed.
    """
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console(stderr=True),
        disable=as_json,
    ) as progress:
        seconds, latencies = await _deliver_all(server, load, progress, tls)
    result = _measurement(load, seconds, latencies)
    if as_json:
        print(json.dumps(asdict(result)))
        return
    console().print(
        f"{result.deliveries_per_second:,.0f} deliveries/s; from send to answer "
        f"p50 {result.p50_ms:.2f}, p90 {result.p90_ms:.2f}, p99 {result.p99_ms:.2f}, max {result.max_ms:.2f} ms\n"
        f"({result.deliveries} deliveries in {result.seconds:.2f} s: {load.pairs} pairs, {load.window} in flight each, "
        f"{load.size} bytes. The load itself is a Python program, so the server may be faster than this shows.)"
    )


async def _deliver_all(server: str, load: Load, progress: Progress, tls: bool | None) -> tuple[float, list[float]]:
    """Send every message; return how many seconds that took, and each one's seconds from send to answer."""
    body = b"x" * load.size
    run = secrets.token_hex(4)
    connecting = progress.add_task("connecting", total=2 * load.pairs)
    async with contextlib.AsyncExitStack() as stack:

        async def user(kind: str, number: int) -> Client:
            client = await stack.enter_async_context(
                connect(
                    f"bench{run}{kind}{number}", server, window=max(load.window, 2), max_body=max(load.size, 1), tls=tls
                )
            )
            progress.advance(connecting)
            return client

        senders = [await user("s", number) for number in range(load.pairs)]
        receivers = [await user("r", number) for number in range(load.pairs)]
        sending = progress.add_task("delivering", total=load.deliveries)
        left = load.deliveries
        latencies: list[float] = []

        async def send(sender: Client, recipient: str) -> None:
            nonlocal left
            while left > 0:
                left -= 1
                latencies.append((await sender.send(recipient, body)).seconds)
                if len(latencies) % 100 == 0:
                    progress.update(sending, completed=len(latencies))

        async def receive(receiver: Client) -> None:
            async for message in receiver:
                await message.ack()

        start = time.perf_counter()
        async with together() as group:
            answering = [group.create_task(receive(receiver)) for receiver in receivers]
            async with together() as sends:
                for sender, receiver in zip(senders, receivers, strict=True):
                    for _ in range(load.window):
                        sends.create_task(send(sender, receiver.name))
            seconds = time.perf_counter() - start
            for task in answering:
                task.cancel()
        progress.update(sending, completed=load.deliveries)
    return seconds, latencies


def _measurement(load: Load, seconds: float, latencies: list[float]) -> Measurement:
    cuts = statistics.quantiles(latencies, n=100, method="inclusive") if len(latencies) > 1 else latencies * 99
    return Measurement(
        pairs=load.pairs,
        window=load.window,
        size=load.size,
        deliveries=len(latencies),
        seconds=seconds,
        deliveries_per_second=len(latencies) / seconds,
        p50_ms=cuts[49] * 1000,
        p90_ms=cuts[89] * 1000,
        p99_ms=cuts[98] * 1000,
        max_ms=max(latencies) * 1000,
    )
