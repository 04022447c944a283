"""Users for the tests of the guest client."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from twotick.client import Client, Message, connect


@contextlib.asynccontextmanager
async def acknowledging(name: str, address: str, *, window: int = 1) -> AsyncGenerator[list[Message]]:
    """Connect a user who acknowledges every message, and give the list of messages that have come."""
    came: list[Message] = []

    async def acknowledge(client: Client) -> None:
        async for message in client:
            came.append(message)

    async with connect(name, address, window=window) as client:
        task = asyncio.create_task(acknowledge(client))
        yield came
    await task
