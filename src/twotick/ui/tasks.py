"""Task groups."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator


@contextlib.asynccontextmanager
async def together() -> AsyncGenerator[asyncio.TaskGroup, None]:
    """Return a task group that raises the first error of a task itself, not inside an exception group.

    As in every task group, the first error cancels the other tasks.
    """
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
