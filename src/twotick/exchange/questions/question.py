"""A question of a member's connection, and how its headers are read (docs/protocol.md, rule 12.2)."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from twotick.exchange.connection import Connection, MemberDevice
from twotick.exchange.effects import EffectsPublisher
from twotick.exchange.numbers import malformed_number
from twotick.exchange.output import Output
from twotick.exchange.presence import PresenceTracker
from twotick.exchange.rates import SenderRates
from twotick.exchange.room_guests import RoomGuests
from twotick.exchange.tally import Tally
from twotick.store import LIMITS, ConversationSet, Refusal, Request, RoomChanged, StoreError
from twotick.wire import Head, error, frame, read_number

_Answer = TypeVar("_Answer")

_ENCODE = json.JSONEncoder(ensure_ascii=False).encode

LIST_MOST = 2000
"""The most objects in a list (rule 12.3)."""


class InvalidQuestion(Exception):
    """The question cannot be answered; the text says why, for a user to read."""


class QuestionContext:
    """What it takes to answer questions.

    Args:
        output: takes what is written and the requests.
        presence: the presence of members.
        effects: takes what a request has changed.
        most_bytes: the longest body of an answer that is a list.
        uploads: how much users have uploaded.
        asked: how often they have asked for what costs much (rule 8.8).
        tally: counts who met a limit.
        room_guests: the guests who are in rooms.

    Attributes:
        clogged: what asks for the rest of an answer, by the connection that takes no output for now.
    """

    __slots__ = ("asked", "clogged", "effects", "most_bytes", "output", "presence", "room_guests", "tally", "uploads")

    def __init__(
        self,
        output: Output,
        presence: PresenceTracker,
        effects: EffectsPublisher,
        most_bytes: int,
        uploads: SenderRates,
        asked: SenderRates,
        tally: Tally,
        *,
        room_guests: RoomGuests,
    ) -> None:
        self.room_guests = room_guests
        self.output = output
        self.presence = presence
        self.effects = effects
        self.most_bytes = most_bytes
        self.uploads = uploads
        self.asked = asked
        self.tally = tally
        self.clogged: dict[Connection, Callable[[], None]] = {}


class Question:
    """A question.

    Attributes:
        connection: the connection that it came on.
        device: the member's device that asks.
        head: the frame.
        body: its body.
        now: when it came, in seconds since 1970.
        context: what it takes to answer it.
        answered: called when the answer is written.
    """

    __slots__ = ("_rest", "answered", "body", "connection", "context", "device", "head", "now")

    def __init__(
        self,
        connection: Connection,
        device: MemberDevice,
        head: Head,
        body: bytes,
        *,
        now: float,
        context: QuestionContext,
        answered: Callable[[], None],
    ) -> None:
        self.connection = connection
        self.device = device
        self.head = head
        self.body = body
        self.now = now
        self.context = context
        self.answered = answered
        self._rest: Callable[[], None] | None = None

    @property
    def member(self) -> int:
        """The member who asks."""
        return self.device.member

    @property
    def identifier(self) -> bytes | None:
        """The Id, which the answer repeats."""
        return self.head.headers.get(b"id")

    # Its headers

    def required(self, header: bytes) -> bytes:
        """Return the value of a header.

        Raises:
            InvalidQuestion: it is missing.
        """
        value = self.head.headers.get(header)
        if value is None:
            raise InvalidQuestion(f"{_title(header)} is missing")
        return value

    def number(self, header: bytes, least: int = 0) -> int | None:
        """Return the value of a header that is a number; None if it is missing.

        Args:
            header: the name of the header.
            least: the smallest number that is allowed.

        Raises:
            InvalidQuestion: it is malformed (rule 2.9), or too small.
        """
        digits = self.head.headers.get(header)
        if digits is None:
            return None
        number = read_number(digits)
        if number is None or number < least:
            raise InvalidQuestion(malformed_number(header, least=least))
        return number

    def limit(self, default: int, most: int) -> int:
        """Return how many results are asked for, at most the given number.

        Raises:
            InvalidQuestion: Limit is malformed, or 0.
        """
        return min(self.number(b"limit", least=1) or default, most)

    def text(self, header: bytes) -> str | None:
        """Return the value of a header that is text; None if it is missing.

        Raises:
            InvalidQuestion: it is not UTF-8.
        """
        value = self.head.headers.get(header)
        if value is None:
            return None
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise InvalidQuestion(f"{_title(header)} is not UTF-8") from error

    def choice(self, header: bytes, *choices: bytes) -> bytes | None:
        """Return the value of a header that is one of a few words; None if it is missing.

        Raises:
            InvalidQuestion: it is another word.
        """
        value = self.head.headers.get(header)
        if value is not None and value not in choices:
            raise InvalidQuestion(f"{_title(header)} is {b', '.join(choices[:-1]).decode()} or {choices[-1].decode()}")
        return value

    def yes_or_no(self, header: bytes) -> bool | None:
        """Return the value of a header that is yes or no; None if it is missing.

        Raises:
            InvalidQuestion: it is another word.
        """
        value = self.choice(header, b"yes", b"no")
        return None if value is None else value == b"yes"

    # Its answer

    def ask(self, request: Request[_Answer | Refusal], answer: Callable[[_Answer], list[bytes]]) -> None:
        """Send a request to the store.

        Args:
            request: the request.
            answer: makes the frames of the answer from the store's answer; not called if that is a Refusal or
                StoreError.
        """
        self.context.output.ask(self.device.guarded(request), partial(self._answer, answer))

    def go_on(self, request: Request[_Answer | Refusal], answer: Callable[[_Answer], list[bytes]]) -> None:
        """Send one more request, whose answer continues this one, as soon as the connection takes more output.

        So no more of an answer is in memory than a part or two, and the store and the event loop do other work between
        the parts. The arguments are those of `ask`.
        """
        self._rest = partial(self.ask, request, answer)

    def ask_about_audience(
        self, peer: bytes, request: Request[_Answer | Refusal], answer: Callable[[_Answer], list[bytes]]
    ) -> None:
        """Send a request to the store, like `ask`, that changes whether a peer may see the member (rule 15.2)."""
        guarded = self.device.guarded(request)
        self.context.presence.change_audience(self.member, peer, guarded, partial(self._answer, answer))

    def _answer(self, answer: Callable[[_Answer], list[bytes]], result: _Answer | Refusal | StoreError) -> None:
        if isinstance(result, Refusal):
            if result.kind in LIMITS:
                self.context.tally.note_met(self.connection.name, result.kind)
            self.refuse(result.reason)
        elif isinstance(result, StoreError):
            self.refuse(str(result))
        else:
            self.context.output.write(self.connection, *answer(result))
            if isinstance(result, RoomChanged | ConversationSet):
                self.context.effects.publish(result.effects)
            self._end_or_go_on()

    def _end_or_go_on(self) -> None:
        rest, self._rest = self._rest, None
        if rest is None or self.connection.closing:
            self.answered()
        elif self.connection.window:
            rest()
        else:
            self.context.clogged[self.connection] = rest

    def refuse(self, reason: str) -> None:
        """Answer with 102, for this reason."""
        self.context.output.write(self.connection, error(102, id=self.identifier, reason=reason.encode()))
        self.answered()

    def count(self) -> bool:
        """Count a question that costs much. Return whether it may be answered; if not, it was answered with 105."""
        if seconds := self.context.asked.wait(self.connection):
            self.postpone(seconds, "requests", b"asked")
            return False
        self.context.asked.use(self.connection, 1)
        return True

    def postpone(self, seconds: int, limit: str = "uploaded_bytes", done: bytes = b"uploaded") -> None:
        """Answer with 105: it may be asked again after so many seconds (rules 8.8 and 16.6).

        Args:
            seconds: how many.
            limit: the limit that was met, for the operator.
            done: what the user has done much of.
        """
        self.context.tally.note_met(self.connection.name, limit)
        reason = b"this user or address has %b much: try again in %d s" % (done, seconds)
        self.context.output.write(self.connection, error(105, id=self.identifier, reason=reason, retry_after=seconds))
        self.answered()

    def answer(self, body: bytes | None = None, **headers: bytes | int | None) -> bytes:
        """Return the frame that answers it: with its verb, name and Id, and these headers."""
        return frame(self.head.verb, self.head.name, body, b"", id=self.identifier, **headers)

    def list_of(self, objects: Sequence[Mapping[str, object]], **headers: bytes | int | None) -> bytes:
        """Return the frame that answers it with a list: the first objects, as many as a list may have (rule 12.3)."""
        some = list(objects[:LIST_MOST])
        # It takes a third of the time to encode all at once, and nearly every list fits.
        body = _ENCODE(some).encode()
        if len(body) > self.context.most_bytes:
            body = _shortened(some, self.context.most_bytes)
        return self.answer(body, content_type=b"application/json", **headers)


def _shortened(objects: Sequence[Mapping[str, object]], most_bytes: int) -> bytes:
    """Return the list with as many of the first objects as fit into so many bytes."""
    texts: list[bytes] = []
    size = 0
    for each in objects:
        text = _ENCODE(each).encode()
        size += len(text) + 2  # with the brackets, or with what is between two objects
        if size > most_bytes:
            break
        texts.append(text)
    return b"[%b]" % b", ".join(texts)


def yes_or_no(value: bool) -> bytes:
    """Return the value of a header that is yes or no."""
    return b"yes" if value else b"no"


def _title(header: bytes) -> str:
    return header.decode().capitalize()
