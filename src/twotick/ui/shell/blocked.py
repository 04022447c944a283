"""Hide what blocked users write in rooms (docs/protocol.md, rule 14.4)."""

from twotick.client import EventKind, MemberClient, MemberMessage


class Blocked:
    """The users whom a member has blocked. What they write in rooms arrives, but is not shown (rule 14.4).

    Args:
        names: the users who are blocked at first, in lower case.
    """

    def __init__(self, names: set[str]) -> None:
        self._names = names

    @classmethod
    async def of(cls, me: MemberClient) -> "Blocked":
        """Ask the server whom a member has blocked, in the newest 1,000 conversations.

        Raises:
            TwotickError: the server does not answer.
        """
        return cls({each.name.lower() for each in await me.conversations() if each.blocked})

    def observe(self, message: MemberMessage) -> None:
        """Take note if a message says that a user was blocked or unblocked."""
        event = message.event
        if event is not None and event.kind is EventKind.SET:
            (self._names.add if event.blocked else self._names.discard)(event.peer.lower())

    def hides(self, message: MemberMessage) -> bool:
        """Tell whether a message must not be shown."""
        return bool(message.room) and message.event is None and message.sender.lower() in self._names
