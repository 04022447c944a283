"""Who is here, and who types (docs/protocol.md, section 15)."""

from datetime import datetime

from twotick.client.errors import ProtocolError
from twotick.client.member.events import Presence, as_text, moment
from twotick.client.member.request import Answer, Asker, peer_name, yes_or_no
from twotick.client.member.results import Status, StatusList, listed
from twotick.wire import Head, Verb, frame


class PresenceMethods(Asker):
    """What a client can say and ask about presence."""

    _presence: Presence | None = None
    _watches = False

    async def status(self, state: Presence | None = None, *, shown: bool | None = None) -> StatusList:
        """Say that the member is here, or away from the keys; and ask where the others are.

        From then on changes come as `StatusEvent`, and who types as `TypingEvent`. While the connection is away, wait
        for it; when it was lost and comes back, the server is told the state again, and all are told anew.

        Args:
            state: HERE or AWAY; None to say nothing.
            shown: whether others may see where the member is, on all devices; None to leave that as it is.

        Raises:
            RequestRefused: the server does not say.
            TwotickError: the client has ended.
            ValueError: nobody can say of themselves that they are gone.
        """
        if state is Presence.GONE:
            raise ValueError("whoever can say so is not gone")
        self._presence = state or self._presence
        self._watches = True
        headers = {"State": None if state is None else state.value.encode(), "Shown": yes_or_no(shown)}
        return statuses(await self._ask(Verb.STATUS, b"", headers))

    async def typing(self, peer: str) -> None:
        """Say that the member types, to a user or in a room. Nobody hears of it while the connection is away.

        The server passes it on every 2 s at most, and it is shown for 6 s at most (rule 15.3).

        Raises:
            TwotickError: the client has ended.
            ValueError: nobody can be called that.
        """
        self._say(frame(Verb.TYPING, peer_name(peer)))


def status_of(head: Head) -> tuple[Presence, datetime | None]:
    """Understand a STATUS about somebody.

    Raises:
        ProtocolError: it makes no sense.
    """
    try:
        state = Presence(as_text(head.headers.get(b"state", b"")))
    except ValueError as error:
        raise ProtocolError("the server says of somebody what makes no sense") from error
    return state, moment(as_text(head.headers.get(b"since", b"")))


def statuses(answer: Answer) -> StatusList:
    """Understand the answer to STATUS.

    Raises:
        ProtocolError: it makes no sense.
    """
    return StatusList(answer.head.headers.get(b"shown") != b"no", listed(answer.body, Status.of))
