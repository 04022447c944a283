"""Conversations: their settings and unread counts, history and search (docs/protocol.md, 11.9, sections 14 and 17)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from twotick.client.errors import ProtocolError
from twotick.client.member.events import Decision, EntryOwner
from twotick.client.member.headers import (
    bounded_time,
    encode_flag,
    encode_id,
    encode_peer,
    encode_reference,
    encode_time,
    encode_user,
    number,
    parse_list,
    parse_time,
    text_of,
)
from twotick.client.member.messages import MemberMessage
from twotick.client.member.request import RequestMethods
from twotick.client.member.results import Conversation, ConversationSetting
from twotick.wire import Frame, Verb, is_name, is_room

_PAGE = 1000
"""The most messages in one answer to HISTORY (rule 11.9)."""

_MOST_FOUND = 100
"""The most messages in one answer to SEARCH (rule 14.5)."""

_ROUNDED = timedelta(milliseconds=1)
"""How far a time may be from the one that was meant."""

_MOST_PINS = 50
"""The most pinned messages of a conversation (rule 13.8)."""

_LONGEST_REPORT = 4096
"""The longest report, in bytes of UTF-8 (rule 17.1)."""


@dataclass(frozen=True, slots=True)
class Found:
    """A page of search results.

    Attributes:
        messages: the messages, newest first. They need not be acknowledged.
        before: the argument `before` for the next page; None if this is the last one.
    """

    messages: list[MemberMessage]
    before: int | None


class ConversationMethods(RequestMethods):
    """The methods of `MemberClient` for conversations. While the connection is lost, they wait for the next."""

    name: str
    _entry_owner: EntryOwner

    async def history(
        self,
        peer: str | None = None,
        *,
        before: int | None = None,
        limit: int = 50,
        since: datetime | None = None,
        thread: tuple[str, str] | None = None,
    ) -> list[MemberMessage]:
        """Return earlier messages (rules 11.9 and 12.10).

        Args:
            peer: the user or room of the conversation; None for all conversations.
            before: return only messages before this one: its `MemberMessage.place` for a room, else its
                `MemberMessage.seq`. None for the newest messages.
            limit: the most messages to return.
            since: return only messages from this time on; None for no limit.
            thread: return only the thread of this message (rule 13.6), as its sender and Id: a `Reference` will do. The
                sender may be empty for the member. None for all messages.

        Returns:
            The messages, oldest first. They need not be acknowledged.

        Raises:
            RequestRefused: the server refused the request, for example because the member is not in the room.
            ProtocolError: the answer is malformed, or not what was asked for.
            TwotickError: the client has ended.
        """
        name = (peer or "").encode(errors="replace")
        in_room = is_room(name)
        if name and not in_room and not is_name(name):
            return []
        thread_text = None if thread is None else encode_reference(*thread)
        since_text = None if since is None else encode_time(since)
        messages: list[MemberMessage] = []
        while len(messages) < limit:
            most = min(limit - len(messages), _PAGE)
            headers = {"Before": before, "Limit": most, "Since": since_text, "Thread": thread_text}
            answer = await self._requests.ask(Verb.HISTORY, name, headers, parts=most)
            page = self._messages(answer.parts)
            messages[:0] = page
            positions = [each.place if in_room else each.seq for each in page]
            _check_order([0, *positions, *([before] if before else [])])
            if not page or positions[0] == 1:
                break
            before = positions[0]
        return messages

    async def search(
        self,
        query: str = "",
        *,
        peer: str | None = None,
        sender: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        has_file: bool = False,
        limit: int = 20,
        before: int | None = None,
    ) -> Found:
        """Search for messages that contain all words of a query (rules 14.5, 14.7 and 14.8).

        Args:
            query: the words. Case and accents do not matter. Words in double quotes must follow one another. A word
                that ends in `*` matches all words that begin with it. Empty for all messages that another argument
                selects.
            peer: search only the conversation with this user or in this room; None for all conversations.
            sender: return only messages from this user, who may be the member; None for all users.
            since: return only messages from this time on; without a time zone it is local. None for no limit.
            until: return only messages before this time; None for no limit.
            has_file: whether to return only messages with a file.
            limit: the most messages to return, 1 to 100.
            before: `Found.before` of the previous page; None for the first page. The other arguments must be the same.

        Returns:
            A page of results. It may hold fewer messages than `limit`, although there are further pages.

        Raises:
            RequestRefused: there are no words and no filters, or the query is too long, or takes the server too long.
            ProtocolError: the answer is malformed, or not what was asked for; an old server ignores `sender`, `since`,
                `until` and `has_file`.
            TwotickError: the client has ended.
            ValueError: `peer` or `sender` cannot be the name of a user or room, or `limit` is out of range.
        """
        if not 1 <= limit <= _MOST_FOUND:
            raise ValueError(f"a search returns 1 to {_MOST_FOUND} messages, not {limit}")
        headers = {
            "In": None if peer is None else encode_peer(peer),
            "From": None if sender is None else encode_user(sender),
            "Since": None if since is None else encode_time(since),
            "Until": None if until is None else encode_time(until),
            "Has": b"file" if has_file else None,
            "Limit": limit,
            "Before": before,
        }
        answer = await self._requests.ask(Verb.SEARCH, b"", headers, body=query.encode(errors="replace"), parts=limit)
        after = number(answer.head, b"before")
        _check_order([after, *([before] if before else [])])
        found = self._messages(answer.parts)
        for message in found:
            _check_asked_for(message, sender, since, until, has_file=has_file)
        return Found(found, after or None)

    def _messages(self, frames: list[Frame]) -> list[MemberMessage]:
        """Return the messages of an answer, marked so that they need not be acknowledged."""
        messages = [
            MemberMessage(self._entry_owner, number(head, b"seq"), head, body, self.name) for head, body in frames
        ]
        for message in messages:
            message.decision = Decision.TAKEN
        return messages

    async def pins(self, peer: str) -> list[MemberMessage]:
        """Return the pinned messages of a conversation, those pinned last first (rule 13.9).

        Args:
            peer: the user or room of the conversation.

        Returns:
            The messages, each with `pinned` and `pinned_by`. They need not be acknowledged.

        Raises:
            RequestRefused: the server refused the request.
            ProtocolError: the answer is malformed, or not what was asked for.
            TwotickError: the client has ended.
            ValueError: `peer` cannot be the name of a user or room.
        """
        answer = await self._requests.ask(Verb.PINS, encode_peer(peer), parts=_MOST_PINS)
        return self._messages(answer.parts)

    async def conversations(self) -> list[Conversation]:
        """List the member's conversations with their unread counts (rule 14.1).

        Returns:
            The conversations with the newest messages, at most 1,000.

        Raises:
            RequestRefused: the server refused the request.
            TwotickError: the client has ended.
        """
        return parse_list((await self._requests.ask(Verb.CONVERSATIONS)).body, Conversation.from_json)

    async def set_conversation(
        self,
        peer: str,
        *,
        muted: bool | None = None,
        blocked: bool | None = None,
        pinned: bool | None = None,
        closed: bool | None = None,
        muted_until: datetime | None = None,
    ) -> ConversationSetting:
        """Mute, pin or close a conversation, or block a user, on all devices (rules 14.3 and 14.4).

        Args:
            peer: the user or room. A room can be muted, but not blocked.
            muted: whether notifications are off; None to leave this as it is.
            blocked: whether messages from the user are kept from the member; None to leave this as it is.
            pinned: whether it is to be shown at the top; None to leave this as it is.
            closed: whether it is hidden until the next message; None to leave this as it is.
            muted_until: turn notifications off until this time; without a time zone it is local. None for no such time.

        Returns:
            The settings after the change.

        Raises:
            RequestRefused: the server refused the request.
            TwotickError: the client has ended.
            ValueError: `peer` cannot be the name of a user or room.
        """
        headers = {
            "Muted": encode_flag(muted),
            "Blocked": encode_flag(blocked),
            "Pinned": encode_flag(pinned),
            "Closed": encode_flag(closed),
            "Muted-until": None if muted_until is None else encode_time(muted_until),
        }
        head = (await self._requests.ask(Verb.CONVERSATION, encode_peer(peer), headers)).head
        muted, blocked, pinned, closed = (
            head.headers.get(name) == b"yes" for name in (b"muted", b"blocked", b"pinned", b"closed")
        )
        return ConversationSetting(muted, blocked, pinned, closed, parse_time(text_of(head, b"muted-until")))

    async def report(self, name: str, text: str, about: str | None = None) -> None:
        """Report a user to the operator of the server (rule 17.1).

        Args:
            name: the user's name.
            text: the report, at most 4 KiB of UTF-8.
            about: the Id of a message of that user; None for none. The server keeps a copy of the message.

        Raises:
            RequestRefused: the server refused the report, for example because the member has too many open reports.
            ConnectionLost: the server may or may not have received the report.
            TwotickError: the client has ended.
            ValueError: `name` or `about` is not well formed, or `text` is too long.
        """
        body = text.encode(errors="replace")
        if len(body) > _LONGEST_REPORT:
            raise ValueError(f"the report has {len(body)} bytes, and {_LONGEST_REPORT} is the limit")
        message = None if about is None else encode_id(about)
        await self._requests.ask(Verb.REPORT, encode_user(name), {"About": message}, body=body, once=True)


def _check_order(positions: list[int]) -> None:
    """Check that positions increase, so that each page comes before the last one, and reading pages has an end."""
    if not all(one < next_one for one, next_one in pairwise(positions)):
        raise ProtocolError("the server sent a page that does not come before the last one: nothing more can be read")


def _check_asked_for(
    message: MemberMessage, sender: str | None, since: datetime | None, until: datetime | None, *, has_file: bool
) -> None:
    """Check that a message was asked for: a server that does not know a filter ignores it (rule 14.8)."""
    others = sender is not None and message.sender.lower() != sender.lower()
    if message.time is not None:  # sent in milliseconds, as are the times that it is compared with
        early = since is not None and message.time < bounded_time(since) - _ROUNDED
        late = until is not None and message.time > bounded_time(until) + _ROUNDED
        others = others or early or late
    if others or (has_file and message.file is None):
        raise ProtocolError("the server sent messages that were not asked for: it does not support search with filters")
