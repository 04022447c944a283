"""What members' connections ask (docs/protocol.md, rules 10.8, 11.9, and sections 12 to 17).

Theory of operation. Each verb has a function that makes of a question what the store is asked, and what makes frames of
the store's answer; or raises Wrong, which is answered 102. What a request has changed in logs is given to devices after
its answer.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from twotick.exchange.conversations import (
    ask_conversation,
    ask_conversations,
    ask_history,
    ask_report,
    ask_search,
)
from twotick.exchange.files import ask_file, ask_piece
from twotick.exchange.members import Members
from twotick.exchange.output import Output
from twotick.exchange.presence import Presence
from twotick.exchange.question import Asked, Question, Wrong
from twotick.exchange.rooms import ask_receipts, ask_room, ask_rooms
from twotick.exchange.session import Account, Session
from twotick.store import (
    AddToken,
    ConversationSet,
    Device,
    Devices,
    JoinRoom,
    Outcome,
    Refusal,
    Revoke,
    RoomChanged,
    SetConversation,
    StoreError,
)
from twotick.wire import DEVICE, Head, Verb, error, frame, time_text

_ON_ANY_CONNECTION = (Verb.FILE, Verb.PIECE)
"""What is asked on connections that only send as well (rule 16.1)."""


class Questions:
    """Answers the questions of members' connections.

    Args:
        output: where answers and requests go.
        clock: the time of day, in seconds since 1970.
        members: who is connected.
        presence: who is here.
        on_outcome: called with what a request has changed.
        new_token: makes a token, and the hash of it that the store keeps; None where there are no members.
        most_bytes: the longest body of an answer that is a list.
    """

    def __init__(
        self,
        output: Output,
        clock: Callable[[], float],
        members: Members,
        presence: Presence,
        on_outcome: Callable[[Outcome], None],
        new_token: Callable[[], tuple[bytes, bytes]] | None,
        most_bytes: int,
    ) -> None:
        self._output = output
        self._clock = clock
        self._members = members
        self._presence = presence
        self._on_outcome = on_outcome
        self._new_token = new_token
        self._most_bytes = most_bytes
        self._askers: dict[Verb, Callable[[Question], Asked]] = {
            Verb.HISTORY: ask_history,
            Verb.DEVICES: self._ask_devices,
            Verb.TOKEN: self._ask_token,
            Verb.REVOKE: self._ask_revoke,
            Verb.ROOM: ask_room,
            Verb.ROOMS: ask_rooms,
            Verb.RECEIPTS: ask_receipts,
            Verb.CONVERSATIONS: ask_conversations,
            Verb.CONVERSATION: ask_conversation,
            Verb.SEARCH: ask_search,
            Verb.STATUS: presence.ask_status,
            Verb.FILE: ask_file,
            Verb.PIECE: ask_piece,
            Verb.REPORT: ask_report,
        }

    def are(self, account: Account, head: Head) -> bool:
        """Whether a frame is a question that may be asked on a connection."""
        if account.feed is None:
            return head.verb in _ON_ANY_CONNECTION
        if head.verb is Verb.TOKEN or head.verb is Verb.REVOKE:
            return DEVICE.fullmatch(head.name) is not None
        return head.verb in self._askers

    def take(self, session: Session, account: Account, head: Head, body: bytes, answered: Callable[[], None]) -> None:
        """A question came.

        Args:
            session: the connection.
            account: whose it is.
            head: the question.
            body: its body.
            answered: called when the answer is written.
        """
        question = Question(session, account, head, body, self._clock(), self._most_bytes)
        try:
            request, answer = self._askers[head.verb](question)
        except Wrong as wrong:
            self._refuse(question, str(wrong))
            answered()
            return
        callback = partial(self._answer, question, answer, answered)
        if isinstance(request, SetConversation) and request.blocked is not None:
            self._presence.change_audience(account.member, request.peer, request, callback)
        else:
            self._output.ask(request, callback)
        if isinstance(request, JoinRoom):
            self._presence.join(account.member, head.key)

    def _answer(
        self,
        question: Question,
        answer: Callable[[Any], list[bytes]],
        answered: Callable[[], None],
        result: Any,
    ) -> None:
        if isinstance(result, Refusal):
            self._refuse(question, result.reason)
        elif isinstance(result, StoreError):
            self._refuse(question, str(result))
        else:
            try:
                self._output.write(question.session, *answer(result))
            except Wrong as wrong:
                self._refuse(question, str(wrong))
        if isinstance(result, RoomChanged | ConversationSet):
            self._on_outcome(result.outcome)
        answered()

    def _refuse(self, question: Question, reason: str) -> None:
        self._output.write(question.session, error(102, id=question.identifier, reason=reason.encode()))

    # Devices (rule 10.8)

    def _ask_devices(self, question: Question) -> Asked:
        return Devices(question.member), partial(self._devices, question)

    def _devices(self, question: Question, found: list[Device]) -> list[bytes]:
        connected = self._members.devices(question.member)
        objects = [
            {
                "device": device.name,
                "connected": device.name.encode() in connected,
                "seen": time_text(device.seen).decode(),
            }
            for device in found
        ]
        return [question.list_of(objects)]

    def _ask_token(self, question: Question) -> Asked:
        assert self._new_token is not None
        token, digest = self._new_token()
        request = AddToken(question.member, question.head.name.decode("ascii"), digest, question.now)
        return request, partial(self._token, question, token)

    def _token(self, question: Question, token: bytes, _: None) -> list[bytes]:
        return [question.answer(token=token)]

    def _ask_revoke(self, question: Question) -> Asked:
        return Revoke(question.member, question.head.name.decode("ascii")), partial(self._revoked, question)

    def _revoked(self, question: Question, _: bool) -> list[bytes]:
        # The connection that asks may be of that device: it is told before it is closed.
        answer = frame(Verb.REVOKED, question.head.name, id=question.identifier)
        self._output.write(question.session, answer)
        self._members.end_devices(question.member, question.head.name)
        return []
