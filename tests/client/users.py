"""Users that do the usual."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from twotick.client import Client, Message, connect


@contextlib.asynccontextmanager
async def acknowledging(name: str, address: str, *, window: int = 1) -> AsyncGenerator[list[Message]]:
    """A user who acknowledges all that comes, for a while; gives what came."""
    came: list[Message] = []

    async def acknowledge(client: Client) -> None:
        async for message in client:
            came.append(message)

    async with connect(name, address, window=window) as client:
        task = asyncio.create_task(acknowledge(client))
        yield came
    await task
