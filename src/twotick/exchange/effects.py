"""How the parts of the exchange learn what a request has changed in the store."""

from collections.abc import Callable

from twotick.exchange.output import Output
from twotick.store import Acknowledge, Effects, Expire, MarkRead, Refuse, Settle, StoreError, TellOfAbsence


class EffectsPublisher:
    """Passes the effects of requests on to the parts that act on them.

    Args:
        output: takes the requests.

    Attributes:
        listeners: called with the effects of each request, in this order.
    """

    def __init__(self, output: Output) -> None:
        self._output = output
        self.listeners: list[Callable[[Effects], None]] = []

    def publish(self, effects: Effects) -> None:
        """Pass effects on."""
        for listener in self.listeners:
            listener(effects)

    def ask(self, request: Acknowledge | Refuse | MarkRead | Settle | Expire | TellOfAbsence) -> None:
        """Send a request whose only answer is its effects, and publish these.

        A StoreError is dropped: no user waits for the answer, and the exchange or the device repeats the request later.
        """
        self._output.ask(request, self._answered)

    def _answered(self, result: Effects | StoreError) -> None:
        if isinstance(result, Effects):
            self.publish(result)
