"""What carries out requests, by their types."""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

from twotick.store.port import Refusal, Request
from twotick.store.rules.errors import NotAllowed

Handlers: TypeAlias = dict[type[Request[Any]], Callable[[Any], Any]]

_Answer = TypeVar("_Answer")


def refusing(handler: Callable[[Any], _Answer]) -> Callable[[Any], _Answer | Refusal]:
    """Return a handler that answers with a Refusal where the given one raises NotAllowed."""

    def handle(request: Any) -> _Answer | Refusal:
        try:
            return handler(request)
        except NotAllowed as error:
            return Refusal(str(error), error.kind)

    return handle
