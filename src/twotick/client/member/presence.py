"""Presence and typing (docs/protocol.md, section 15)."""

from datetime import datetime

from twotick.client.member.events import Presence
from twotick.client.member.headers import encode_flag, encode_peer, parse_list, parse_time, text_of
from twotick.client.member.request import RequestMethods
from twotick.client.member.results import PRESENCES, Status, StatusList
from twotick.wire import Frame, Head, Verb, frame


class PresenceSubscription:
    """What the member has told the server about presence, to repeat it on every new connection.

    Attributes:
        active: whether the server sends events about presence.
        state: the member's own presence; None if the program has not set it.
    """

    def __init__(self) -> None:
        self.active = False
        self.state: Presence | None = None

    def request(self, ident: bytes) -> bytes:
        """Return the frame that repeats the subscription.

        Args:
            ident: the Id of the request.
        """
        return frame(Verb.STATUS, state=None if self.state is None else self.state.value.encode(), id=ident)


class PresenceMethods(RequestMethods):
    """The methods of `MemberClient` for presence and typing."""

    _subscription: PresenceSubscription

    async def status(self, state: Presence | None = None, *, shown: bool | None = None) -> StatusList:
        """Set the member's own presence, and return the presence of others (rule 15.1).

        From then on, the client receives a `StatusEvent` for each change and a `TypingEvent` when others type. If the
        connection is lost, the call waits for the next one; on every new connection the client repeats the presence and
        receives the presence of all others as events.

        Args:
            state: `Presence.HERE` or `Presence.AWAY`; None to leave it as it is.
            shown: whether others may see the member's presence, on all devices; None to leave it as it is.

        Returns:
            The presence of all members whom this member may see.

        Raises:
            RequestRefused: the server refused the request.
            TwotickError: the client has ended.
            ValueError: `state` is neither `Presence.HERE` nor `Presence.AWAY`.
        """
        if state not in (None, Presence.HERE, Presence.AWAY):
            raise ValueError("a member can be set to HERE or AWAY; the server sets GONE when the device disconnects")
        self._subscription.state = state or self._subscription.state
        self._subscription.active = True
        headers = {"State": None if state is None else state.value.encode(), "Shown": encode_flag(shown)}
        answer = await self._requests.ask(Verb.STATUS, b"", headers)
        return parse_statuses((answer.head, answer.body))

    async def typing(self, peer: str) -> None:
        """Tell a user, or the members of a room, that the member is typing (rule 15.3).

        The server passes this on at most once in 2 s, and clients show it for at most 6 s. Nothing is sent while the
        connection is lost.

        Args:
            peer: the user or room.

        Raises:
            TwotickError: the client has ended.
            ValueError: `peer` cannot be the name of a user or room.
        """
        self._requests.tell(frame(Verb.TYPING, encode_peer(peer)))


def parse_status(head: Head) -> tuple[Presence, datetime | None]:
    """Parse a STATUS about one member.

    Args:
        head: the head of the frame.

    Returns:
        The member's presence, and since when; None if the server does not know.
    """
    return PRESENCES.get(text_of(head, b"state"), Presence.UNKNOWN), parse_time(text_of(head, b"since"))


def parse_statuses(answer: Frame) -> StatusList:
    """Parse the answer to a STATUS request.

    Args:
        answer: the head and the body.

    Raises:
        ProtocolError: the body is malformed.
    """
    head, body = answer
    return StatusList(head.headers.get(b"shown") != b"no", parse_list(body, Status.from_json))
