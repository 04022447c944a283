"""Conversations: how they stand, and what was said (docs/protocol.md, rule 11.9, sections 14 and 17)."""

from dataclasses import dataclass
from datetime import UTC, datetime

from twotick.client.member.events import Decision, Owner, number
from twotick.client.member.messages import MemberMessage
from twotick.client.member.request import Asker, identifier, peer_name, user_name, yes_or_no
from twotick.client.member.results import Conversation, ConversationSetting, listed
from twotick.wire import Frame, Verb, is_name, is_room

_PAGE = 1000
"""The most messages in an answer to HISTORY (rule 11.9)."""

_MOST_FOUND = 100
"""The most messages in an answer to SEARCH (rule 14.5)."""

_LONGEST_REPORT = 4096
"""Bytes of UTF-8 (rule 17.1)."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search has found.

    Attributes:
        messages: them, newest first. They need not be acknowledged.
        before: what to give to `search` to go on; None if there is no more.
    """

    messages: list[MemberMessage]
    before: int | None


class ConversationMethods(Asker, Owner):
    """What a client can ask about conversations. All of it waits for the connection while that is away."""

    name: str

    async def history(
        self, peer: str | None = None, *, before: int | None = None, limit: int = 50, since: datetime | None = None
    ) -> list[MemberMessage]:
        """Ask for messages of the past (rules 11.9 and 12.10).

        Args:
            peer: the user with whom they were exchanged, or the room; None for everybody's.
            before: only those before this number of the log (`MemberMessage.seq`), or of a room
                (`MemberMessage.place`); None for the newest.
            limit: the most messages.
            since: only those from this time on.

        Returns:
            The messages, oldest first. They need not be acknowledged.

        Raises:
            RequestRefused: the server does not say.
            TwotickError: the client has ended.
        """
        name = (peer or "").encode(errors="replace")
        in_room = is_room(name)
        if name and not in_room and not is_name(name):
            return []
        since_then = None if since is None else since.astimezone(UTC).isoformat(timespec="milliseconds").encode()
        messages: list[MemberMessage] = []
        while len(messages) < limit:
            headers = {"Before": before, "Limit": min(limit - len(messages), _PAGE), "Since": since_then}
            answer = await self._ask(Verb.HISTORY, name, headers)
            page = self._told(answer.parts)
            messages[:0] = page
            before = (page[0].place if in_room else page[0].seq) if page else 0
            if before <= 1:
                break
        return messages

    async def search(self, query: str, *, peer: str | None = None, limit: int = 20, before: int | None = None) -> Found:
        """Look for messages that hold all of these words (rule 14.5).

        Args:
            query: words, in any case and without regard to accents; words in double quotes stand one after the other;
                one that ends in `*` stands for all that begin so.
            peer: only those with this user, or in this room; None for all.
            limit: the most messages: 1 to 100.
            before: where the search before this one ended (`Found.before`); None to begin with the newest.

        Raises:
            RequestRefused: there is no word in the query.
            TwotickError: the client has ended.
            ValueError: nobody can be called that, or so many cannot be asked for.
        """
        if not 1 <= limit <= _MOST_FOUND:
            raise ValueError(f"{limit} messages cannot be asked for: 1 to {_MOST_FOUND} can")
        where = None if peer is None else peer_name(peer)
        headers = {"In": where, "Limit": limit, "Before": before}
        answer = await self._ask(Verb.SEARCH, b"", headers, body=query.encode(errors="replace"))
        return Found(self._told(answer.parts), number(answer.head, b"before") or None)

    def _told(self, frames: list[Frame]) -> list[MemberMessage]:
        """The messages in an answer."""
        messages = [MemberMessage(self, number(head, b"seq"), head, body, self.name) for head, body in frames]
        for message in messages:
            message.decision = Decision.TAKEN
        return messages

    async def conversations(self) -> list[Conversation]:
        """List the member's conversations, the newest 1,000, with what is unread in them (rule 14.1).

        Raises:
            RequestRefused: the server does not say.
            TwotickError: the client has ended.
        """
        return listed((await self._ask(Verb.CONVERSATIONS)).body, Conversation.of)

    async def set_conversation(
        self, peer: str, *, muted: bool | None = None, blocked: bool | None = None
    ) -> ConversationSetting:
        """Mute a conversation, or block its user (rules 14.3 and 14.4).

        Args:
            peer: the user, or the room, which can only be muted.
            muted: whether one wants no rings; None to leave it as it is.
            blocked: whether one wants nothing from that user; None to leave it as it is.

        Returns:
            How it is set now.

        Raises:
            RequestRefused: the server does not do it.
            TwotickError: the client has ended.
            ValueError: nobody can be called that.
        """
        headers = {"Muted": yes_or_no(muted), "Blocked": yes_or_no(blocked)}
        fields = (await self._ask(Verb.CONVERSATION, peer_name(peer), headers)).head.headers
        return ConversationSetting(fields.get(b"muted") == b"yes", fields.get(b"blocked") == b"yes")

    async def report(self, name: str, text: str, about: str | None = None) -> None:
        """Tell the operator about a user (rule 17.1).

        Args:
            name: the user.
            text: what is to be said, at most 4 KiB of UTF-8.
            about: the Id of that user's message; a copy of it is kept with the report.

        Raises:
            RequestRefused: the server does not take it; for example, there are too many.
            ConnectionLost: nobody knows whether it was taken.
            TwotickError: the client has ended.
            ValueError: nobody can be called that, or the text is too long.
        """
        body = text.encode(errors="replace")
        if len(body) > _LONGEST_REPORT:
            raise ValueError(f"a report has at most {_LONGEST_REPORT} bytes")
        message = None if about is None else identifier(about)
        await self._ask(Verb.REPORT, user_name(name), {"About": message}, body=body, once=True)
