"""Messages and conversations for tests."""

from datetime import UTC, datetime, timedelta

from twotick.client import State
from twotick.ui.app.model import Message
from twotick.ui.app.store import LocalStore

MORNING = datetime(2026, 11, 23, 9, 30).astimezone(UTC)
"""Half past nine, wherever we are."""


def message(
    text: str = "hello",
    seq: int = 1,
    *,
    peer: str = "bob",
    outgoing: bool = False,
    minutes: float = 0,
    state: State | None = None,
    ident: str = "",
    reason: str = "",
) -> Message:
    """A message from or to bob."""
    if outgoing and state is None:
        state = State.ACCEPTED
    return Message(
        peer.lower(),
        "alice" if outgoing else peer,
        text,
        MORNING + timedelta(minutes=minutes),
        outgoing,
        (seq, 0),
        ident,
        state,
        reason,
    )


def stored(store: LocalStore, *messages: Message) -> list[Message]:
    """Keep messages; gives them back with their numbers."""
    for each in messages:
        store.add(each)
    return list(messages)
