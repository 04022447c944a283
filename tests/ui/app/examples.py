"""Messages and conversations for tests."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from twotick.client import State
from twotick.ui.app.model.messages import WAITING, LocalMessage
from twotick.ui.app.model.registry import ConversationRegistry
from twotick.ui.app.storage.store import LocalStore

MORNING = datetime(2026, 11, 23, 9, 30).astimezone(UTC)
"""Half past nine in the local time zone."""


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
    """Return a message from or to bob or, if `peer` is a room, from a sender in that room."""
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
    """Add messages to conversations, which are completely loaded then."""
    for each in messages:
        conversation = conversations.open(each.conversation)
        conversation.loaded = conversation.complete = True
        each.number = each.number or 1 + max(
            (other.number for one in conversations for other in one.messages), default=0
        )
        conversations.add(each)


def stored(store: LocalStore, *messages: LocalMessage) -> list[LocalMessage]:
    """Store messages, and return them with their numbers."""
    for each in messages:
        store.add(each)
    return list(messages)


def texts(messages: Iterable[LocalMessage]) -> list[str]:
    """Return the texts of messages."""
    return [each.text for each in messages]
