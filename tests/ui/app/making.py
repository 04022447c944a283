"""Messages and conversations for tests."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from twotick.client import State
from twotick.ui.app.model.messages import WAITING, LocalMessage
from twotick.ui.app.model.registry import ConversationRegistry
from twotick.ui.app.storage.store import LocalStore

MORNING = datetime(2026, 11, 23, 9, 30).astimezone(UTC)
"""Half past nine, wherever we are."""


def message(
    text: str = "hello",
    seq: int = 1,
    *,
    peer: str = "bob",
    sender: str = "",
    outgoing: bool = False,
    minutes: float = 0,
    state: State | None = None,
    ident: str = "",
    reason: str = "",
    **more: Any,
) -> LocalMessage:
    """A message from or to bob; in a room from a sender, with `peer` the room."""
    if outgoing and state is None:
        state = State.ACCEPTED
    return LocalMessage(
        peer.lower(),
        "alice" if outgoing else sender or peer,
        text,
        MORNING + timedelta(minutes=minutes),
        outgoing,
        (seq, 0),
        ident,
        state,
        reason,
        seq=seq if seq < WAITING else 0,
        **more,
    )


def put(conversations: ConversationRegistry, *messages: LocalMessage) -> None:
    """Have messages in conversations, all of which are there then."""
    for each in messages:
        conversation = conversations.open(each.conversation)
        conversation.loaded = conversation.complete = True
        each.number = each.number or 1 + max(
            (other.number for one in conversations for other in one.messages), default=0
        )
        conversations.add(each)


def stored(store: LocalStore, *messages: LocalMessage) -> list[LocalMessage]:
    """Keep messages; gives them back with their numbers."""
    for each in messages:
        store.add(each)
    return list(messages)


def texts(messages: Iterable[LocalMessage]) -> list[str]:
    """What messages say."""
    return [each.text for each in messages]
