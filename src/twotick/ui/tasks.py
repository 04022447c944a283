"""Task groups, and requests that are repeated."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TypeVar

from twotick.client.errors import ProtocolError

_T = TypeVar("_T")

_FIRST_WAIT = 0.25
"""Seconds before the first repetition of a request whose answer was malformed. Each further wait is twice as long."""

_LONGEST_WAIT = 30.0
"""The longest wait between two repetitions, in seconds."""


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


async def until_well_formed(ask: Callable[[], Awaitable[_T]], tell: Callable[[ProtocolError], None]) -> _T:
    """Repeat a request, with growing waits, until its answer is not malformed (rule 9.11).

    Args:
        ask: sends the request.
        tell: called with the first problem.

    Returns:
        What `ask` returns.

    Raises:
        TwotickError: the request failed for another reason.
    """
    wait = _FIRST_WAIT
    while True:
        try:
            return await ask()
        except ProtocolError as error:
            if wait == _FIRST_WAIT:
                tell(error)
        await asyncio.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT)
