"""What is hidden of those whom a member has blocked (docs/protocol.md, rule 14.4)."""

from twotick.client import EventKind, MemberClient, MemberMessage


class Blocked:
    """Whom a member has blocked: what they say in rooms arrives, and is not shown (rule 14.4).

    Args:
        names: whom, at first, in lower case.
    """

    def __init__(self, names: set[str]) -> None:
        self._names = names

    @classmethod
    async def by(cls, me: MemberClient) -> "Blocked":
        """Ask whom a member has blocked, in the newest 1,000 conversations.

        Raises:
            TwotickError: the server does not say.
        """
        return cls({each.name.lower() for each in await me.conversations() if each.blocked})

    def heed(self, message: MemberMessage) -> None:
        """Learn from what comes who is blocked from now on, or no longer."""
        event = message.event
        if event is not None and event.kind is EventKind.SET:
            (self._names.add if event.blocked else self._names.discard)(event.peer.lower())

    def hides(self, message: MemberMessage) -> bool:
        """Whether a message is not to be shown."""
        return bool(message.room) and message.event is None and message.sender.lower() in self._names
