"""Waits for an answer of the store."""

import asyncio
from collections.abc import Callable
from typing import Any

from twotick.store import Answer, Request, StoreError


async def stored_answer(
    ask: Callable[[Request[Any], Callable[[Any], None]], None], request: Request[Answer]
) -> Answer | StoreError:
    """Ask the store, and wait for its answer.

    Args:
        ask: asks the store; its callback takes the answer, or the StoreError.
        request: the request.

    Returns:
        Its answer; the StoreError if it cannot be carried out.
    """
    answered: asyncio.Future[Answer | StoreError] = asyncio.get_running_loop().create_future()

    def take(answer: Answer | StoreError) -> None:
        if not answered.done():  # otherwise the task that asked was cancelled
            answered.set_result(answer)

    ask(request, take)
    return await answered
