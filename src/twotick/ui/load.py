"""A load on a server, from the user's own command line."""

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
class Result:
    """What a load measured. Latencies are milliseconds from a send to the answer that says that it was delivered."""

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


async def measure(server: str, *, pairs: int, window: int, size: int, deliveries: int, as_json: bool) -> None:
    """Let pairs of users talk, and print how fast it went.

    Args:
        server: `HOST:PORT`.
        pairs: senders, each with a receiver of its own.
        window: messages that each sender has on their way.
        size: bytes of a message.
        deliveries: messages in all.
        as_json: print one JSON object and no progress.

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
        result = await _deliver_all(server, pairs, window, size, deliveries, progress)
    if as_json:
        print(json.dumps(asdict(result)))
        return
    console().print(
        f"{result.deliveries_per_second:,.0f} deliveries/s; from send to answer "
        f"p50 {result.p50_ms:.2f}, p90 {result.p90_ms:.2f}, p99 {result.p99_ms:.2f}, worst {result.max_ms:.2f} ms\n"
        f"({result.deliveries} deliveries in {result.seconds:.2f} s: {pairs} pairs, {window} in flight each, "
        f"{size} bytes; this load runs on Python too, so the server may be faster than it can show)"
    )


async def _deliver_all(server: str, pairs: int, window: int, size: int, deliveries: int, progress: Progress) -> Result:
    body = b"x" * size
    run = secrets.token_hex(4)
    connecting = progress.add_task("connecting", total=2 * pairs)
    async with contextlib.AsyncExitStack() as stack:

        async def user(kind: str, number: int) -> Client:
            client = await stack.enter_async_context(
                connect(f"bench{run}{kind}{number}", server, window=max(window, 2), max_body=max(size, 1))
            )
            progress.advance(connecting)
            return client

        senders = [await user("s", number) for number in range(pairs)]
        receivers = [await user("r", number) for number in range(pairs)]
        sending = progress.add_task("delivering", total=deliveries)
        left = deliveries
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
                    for _ in range(window):
                        sends.create_task(send(sender, receiver.name))
            seconds = time.perf_counter() - start
            for task in answering:
                task.cancel()
        progress.update(sending, completed=deliveries)
    cuts = statistics.quantiles(latencies, n=100, method="inclusive") if len(latencies) > 1 else latencies * 99
    return Result(
        pairs=pairs,
        window=window,
        size=size,
        deliveries=len(latencies),
        seconds=seconds,
        deliveries_per_second=len(latencies) / seconds,
        p50_ms=cuts[49] * 1000,
        p90_ms=cuts[89] * 1000,
        p99_ms=cuts[98] * 1000,
        max_ms=max(latencies) * 1000,
    )
