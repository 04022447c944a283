"""Several things at once."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator


@contextlib.asynccontextmanager
async def together() -> AsyncGenerator[asyncio.TaskGroup, None]:
    """A group of tasks of which the first that fails ends all; its error is raised as it is, not in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
