"""The rules of bots, and of messages that later ones update (docs/protocol.md, section 21)."""

from dataclasses import dataclass
from typing import Final

from twotick.store.requests.messages import Append
from twotick.store.rules.errors import NotAllowed

MOST_RIGHTS: Final = 1000
"""The most conversations in which a bot has rights."""

MOST_SLOTS: Final = 1000
"""The most messages of a sender that later ones can update; the oldest is forgotten first."""

MOST_DELAYED: Final = 1000
"""The most messages of a bot that wait for their time (rule 22.7)."""

MOST_DELAYED_BYTES: Final = 16 << 20
"""The most bytes of their bodies."""


@dataclass(frozen=True, slots=True)
class BotRights:
    """What a bot may do, by users, rooms and ALL in lower case.

    Attributes:
        sends: where it may send.
        reads: of which conversations it gets the messages.
    """

    sends: frozenset[bytes]
    reads: frozenset[bytes]


def check_sender(rights: BotRights, request: Append) -> None:
    """Check that a bot may send a message (rule 21.2).

    Raises:
        NotAllowed: it may not.
    """
    if request.recipient.lower() not in rights.sends:
        shown = request.recipient.decode("ascii", "replace")
        raise NotAllowed(f"{request.sender_name.decode()} may not send to {shown}")


def takes_nothing(name: str) -> str:
    """Return why a message to a bot is refused that does not read there (rule 21.3)."""
    return f"{name} is a bot, and takes no messages from you"


def is_update(known: bytes, items: bytes) -> bool:
    """Tell whether a message updates the last one with its slot, because it is about nothing new (rule 21.6).

    Args:
        known: what that one is about, with spaces between.
        items: what the new one is about.
    """
    return set(items.split()) <= set(known.split())
