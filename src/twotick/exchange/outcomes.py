"""How the parts of the exchange learn what a request has changed in the store."""

from collections.abc import Callable

from twotick.exchange.output import Output
from twotick.store import Acknowledge, Effects, Expire, MarkRead, Refuse, Settle, StoreError


class Outcomes:
    """Passes each outcome on to the parts that act on it.

    Args:
        output: takes the requests.

    Attributes:
        listeners: called with each outcome, in this order.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self.listeners: list[Callable[[Effects], None]] = []

    def publish(self, outcome: Effects) -> None:
        """Pass an outcome on."""
        for listener in self.listeners:
            listener(outcome)

    def ask(self, request: Acknowledge | Refuse | MarkRead | Settle | Expire) -> None:
        """Send a request whose only answer is its outcome, and publish that.

        A StoreError is dropped: no user waits for the answer, and the exchange or the device repeats the request later.
        """
        self._output.ask(request, self._answered)

    def _answered(self, result: Effects | StoreError) -> None:
        if isinstance(result, Effects):
            self.publish(result)
