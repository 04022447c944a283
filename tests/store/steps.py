"""A long request, of which each step is a transaction."""

from collections.abc import Callable
from typing import Any, TypeVar

from tests.store.helpers import Asker
from twotick.store.port import Request
from twotick.store.requests.messages import Effects, Unfinished

STEP = 2048
"""The most units of work in one step (see `Work`): a request that arrives meanwhile waits for so much."""

Answer = TypeVar("Answer")


class Steps:
    """The steps of one request.

    Attributes:
        costs: what each of them has cost.
        told: all that they have changed.
        answer: the last answer.
    """

    def __init__(self, asker: Asker, request: Request[Any]) -> None:
        self._asker = asker
        self._rest = request
        self.costs: list[int] = []
        self.told = Effects()
        self.answer: Any = None

    def step(self) -> bool:
        """Do a step. Return whether there are more."""
        work = self._asker.store.work_on([self._rest])
        self.costs += work.costs
        (self.answer,) = work.answers
        effects = self.answer if isinstance(self.answer, Effects) else getattr(self.answer, "effects", None)
        if effects is not None:
            self.told.add(effects)
        if isinstance(self.answer, Unfinished):
            self._rest = self.answer.rest
            return True
        return False

    def finish(self, between: Callable[[], object] = lambda: None) -> Any:
        """Do all steps, and something between them. Return the last answer."""
        while self.step():
            between()
        return self.answer
