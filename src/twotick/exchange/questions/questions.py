"""How questions are answered: verb -> request for the store -> frames of the answer.

Theory of operation. Each verb has a function that turns a question into a request for the store, and names a function
that turns the store's answer into frames. It raises InvalidQuestion if the question makes no sense, which is answered
102. If the request has changed logs, devices are given the new entries after the answer.
"""

from collections.abc import Callable

from twotick.exchange.connection import Connection, MemberDevice
from twotick.exchange.effects import EffectsPublisher
from twotick.exchange.members import ConnectedMembers
from twotick.exchange.output import Output
from twotick.exchange.presence import PresenceTracker
from twotick.exchange.profiles import ProfileNews
from twotick.exchange.pushes import PushQueue
from twotick.exchange.questions.conversations import (
    ask_conversation,
    ask_conversations,
    ask_history,
    ask_pins,
    ask_report,
    ask_search,
)
from twotick.exchange.questions.devices import DeviceQuestions
from twotick.exchange.questions.files import ask_file, ask_piece
from twotick.exchange.questions.profiles import ProfileQuestions
from twotick.exchange.questions.pushes import PushQuestions
from twotick.exchange.questions.question import InvalidQuestion, Question, QuestionContext
from twotick.exchange.questions.rooms import ask_receipts, ask_room, ask_rooms
from twotick.exchange.questions.status import ask_status
from twotick.exchange.rates import SenderRates
from twotick.exchange.room_guests import RoomGuests
from twotick.exchange.tally import Tally
from twotick.wire import Head, Verb

QUESTIONS = (
    Verb.HISTORY,
    Verb.DEVICES,
    Verb.TOKEN,
    Verb.REVOKE,
    Verb.ROOM,
    Verb.ROOMS,
    Verb.RECEIPTS,
    Verb.CONVERSATIONS,
    Verb.CONVERSATION,
    Verb.SEARCH,
    Verb.STATUS,
    Verb.FILE,
    Verb.PIECE,
    Verb.REPORT,
    Verb.PROFILE,
    Verb.PINS,
    Verb.PUSH,
)
"""The verbs that a member can ask, on a device or on a connection that only sends (rule 12.2)."""


class Questions:
    """Answers the questions of members' connections.

    Args:
        output: takes what is written and the requests.
        clock: returns the time of day, in seconds since 1970.
        members: the members who are connected.
        presence: the presence of members.
        profiles: tells devices of changed profiles.
        effects: takes what a request has changed.
        new_token: makes a token, and the hash of it that the store keeps; None if the server has no members.
        most_bytes: the longest body of an answer that is a list.
        uploads: how much users have uploaded.
        asked: how often they have asked for what costs much.
        tally: counts who met a limit.
        pushes: the members for whom the server looks for notifications.
        room_guests: the guests who are in rooms.
    """

    def __init__(
        self,
        output: Output,
        clock: Callable[[], float],
        *,
        members: ConnectedMembers,
        presence: PresenceTracker,
        profiles: ProfileNews,
        effects: EffectsPublisher,
        new_token: Callable[[], tuple[bytes, bytes]] | None,
        most_bytes: int,
        uploads: SenderRates,
        asked: SenderRates,
        tally: Tally,
        pushes: PushQueue,
        room_guests: RoomGuests,
    ) -> None:
        self._clock = clock
        self._context = QuestionContext(
            *(output, presence, effects, most_bytes, uploads, asked, tally), room_guests=room_guests
        )
        devices = DeviceQuestions(members, new_token)
        self._askers: dict[Verb, Callable[[Question], None]] = {
            Verb.HISTORY: ask_history,
            Verb.DEVICES: devices.ask_devices,
            Verb.TOKEN: devices.ask_token,
            Verb.REVOKE: devices.ask_revoke,
            Verb.ROOM: ask_room,
            Verb.ROOMS: ask_rooms,
            Verb.RECEIPTS: ask_receipts,
            Verb.CONVERSATIONS: ask_conversations,
            Verb.CONVERSATION: ask_conversation,
            Verb.SEARCH: ask_search,
            Verb.STATUS: ask_status,
            Verb.FILE: ask_file,
            Verb.PIECE: ask_piece,
            Verb.REPORT: ask_report,
            Verb.PINS: ask_pins,
            Verb.PUSH: PushQuestions(pushes).ask_push,
            Verb.PROFILE: ProfileQuestions(profiles).ask_profile,
        }

    def ask(
        self, connection: Connection, device: MemberDevice, head: Head, body: bytes, answered: Callable[[], None]
    ) -> None:
        """Answer a question.

        Args:
            connection: the connection that it came on.
            device: the member's device that asks.
            head: the question.
            body: its body.
            answered: called when the answer is written.

        Raises:
            NotUnderstood: the question is not a frame of the protocol.
        """
        question = Question(connection, device, head, body, now=self._clock(), context=self._context, answered=answered)
        try:
            if not _costs_much(head) or question.count():
                self._askers[head.verb](question)
        except InvalidQuestion as invalid:
            question.refuse(str(invalid))

    def flowing(self, connection: Connection) -> None:
        """Go on with the answer that a connection is given, since it takes output again."""
        rest = self._context.clogged.pop(connection, None)
        if rest is not None:
            rest()

    def forget(self, connection: Connection) -> None:
        """Forget the rest of the answer that a connection was given, since it is gone."""
        self._context.clogged.pop(connection, None)


def _costs_much(head: Head) -> bool:
    """Tell whether a question counts for rule 8.8."""
    if head.verb is Verb.ROOM:
        return head.headers.get(b"do", b"members") != b"members"
    return head.verb in (Verb.SEARCH, Verb.REPORT)
