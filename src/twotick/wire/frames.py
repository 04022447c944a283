"""The parts of a frame, and the frames that Twotick writes (docs/protocol.md, sections 2 to 4)."""

import re
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import TypeAlias


class Verb(Enum):
    """The first word of a start line (docs/protocol.md, sections 3 and 10 to 17)."""

    REGISTER = b"REGISTER"
    REGISTERED = b"REGISTERED"
    SEND = b"SEND"
    SENT = b"SEND\n"
    """SEND without a Content-length: the server's answer that the recipient has it."""
    FORWARD = b"FORWARD"
    RECEIVED = b"RECEIVED"
    ACCEPTED = b"ACCEPTED"
    READ = b"READ"
    HISTORY = b"HISTORY"
    TOKEN = b"TOKEN"
    DEVICES = b"DEVICES"
    REVOKE = b"REVOKE"
    REVOKED = b"REVOKED"
    ROOM = b"ROOM"
    ROOMS = b"ROOMS"
    RECEIPTS = b"RECEIPTS"
    CONVERSATION = b"CONVERSATION"
    CONVERSATIONS = b"CONVERSATIONS"
    SEARCH = b"SEARCH"
    STATUS = b"STATUS"
    TYPING = b"TYPING"
    FILE = b"FILE"
    PIECE = b"PIECE"
    REPORT = b"REPORT"
    ERROR = b"ERROR"
    UNKNOWN = b""
    """Any other word; or SEND or FORWARD without what they need."""
    MALFORMED = b"\n"
    """Not a word of the wire: the parser's sign that it can no longer tell where the next frame begins."""


class Side(Enum):
    """Which way a connection is registered (docs/protocol.md, sections 4 and 9)."""

    SENDING = b"TOSEND"
    RECEIVING = b"TORECV"
    DUPLEX = b"DUPLEX"
    """Both on one connection (rule 9.1)."""

    @property
    def ways(self) -> "frozenset[Side]":
        """The sides that a connection registered like this takes."""
        return _WAYS[self]


CLASSIC_SIDES: tuple[Side, ...] = (Side.SENDING, Side.RECEIVING)
"""A guest's two connections."""

_WAYS = {
    Side.SENDING: frozenset([Side.SENDING]),
    Side.RECEIVING: frozenset([Side.RECEIVING]),
    Side.DUPLEX: frozenset([Side.SENDING, Side.RECEIVING]),
}
_VERBS = {verb.value: verb for verb in Verb if verb.value.isalpha()}
_ABOUT_ONE_USER = (Verb.SEND, Verb.SENT, Verb.FORWARD)
_SIDES = {side.value: side for side in Side}

DEVICE = re.compile(rb"[A-Za-z0-9._/-]{1,64}")
"""What the name of a device looks like (rule 10.6)."""

_RESERVED = frozenset([b"all", *(verb.lower() for verb in _VERBS), *(side.lower() for side in _SIDES)])
_NAME = re.compile(rb"[A-Za-z0-9]{1,32}")
_ROOM = re.compile(rb"#[A-Za-z0-9_-]{1,32}")
_LENGTH = re.compile(rb"[0-9]{1,10}")
_CODE = re.compile(rb"[0-9]{3}")
_LONGEST_IDENTIFIER = 64
_IDENTIFIER = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_TRAVELS = re.compile(rb"content-type|time|reply-to|expires|edits|deletes|reacts-to|x-.*", re.DOTALL)
_PLAIN = frozenset([b"content-length", b"id"])
_WORD = re.compile(rb"[^ \t\r]+")


class Head:
    """A start line and its headers, understood once and then shared by every frame that has the same ones.

    Attributes:
        verb: the first word.
        id: the Id; empty if there is none, or if it cannot be one (rule 9.5).
        seq: the Seq as written; empty if there is none.
        is_plain: whether there are no headers but Content-length and an Id.
        size: bytes of body that follow; 0 without a Content-length.
        name: the user that the frame is about, as written; empty if it does not name exactly one.
        key: `name` in lower case, by which users are found (rule 4.2).
        delivered: for SEND, the answer that says that the recipient has it (rule 5.4).
        length_end: for SEND, the end of the FORWARD's head, which follows `forward_start`.
        side: for REGISTER and REGISTERED, the side that is registered; None if the word is neither.
        code: for ERROR, its number, 0 if there is none; for MALFORMED, the number of the error that says why.
        travels: the lines of the headers that go from sender to recipient, each with its line feed (rule 9.7).
    """

    __slots__ = (
        "_added",
        "_headers",
        "code",
        "delivered",
        "id",
        "is_plain",
        "key",
        "length_end",
        "name",
        "seq",
        "side",
        "size",
        "travels",
        "verb",
    )

    # Written out, since the constructor of a dataclass is not compiled.
    def __init__(
        self,
        verb: Verb,
        headers: dict[bytes, bytes],
        size: int = 0,
        name: bytes = b"",
        key: bytes = b"",
        delivered: bytes = b"",
        length_end: bytes = b"",
        side: Side | None = None,
        code: int = 0,
        travels: bytes = b"",
        identifier: bytes = b"",
        seq: bytes = b"",
        is_plain: bool = False,
    ) -> None:
        self.verb = verb
        self._headers = headers
        self._added = b""
        self.size = size
        self.name = name
        self.key = key
        self.delivered = delivered
        self.length_end = length_end
        self.side = side
        self.code = code
        self.travels = travels
        self.id = identifier
        self.seq = seq
        self.is_plain = is_plain

    @property
    def headers(self) -> dict[bytes, bytes]:
        """The values by lower-case header name; empty where there are none."""
        if self._added:  # most are never asked for
            self._headers = {**self._headers, self._added: self.id or self.seq}
            self._added = b""
        return self._headers

    def with_header(self, name: bytes, value: bytes) -> "Head":
        """The same head, which has neither, with an Id or a Seq; its name is given in lower case."""
        is_id = name == b"id"
        head = Head(
            self.verb,
            self._headers,
            self.size,
            self.name,
            self.key,
            self.delivered,
            self.length_end,
            self.side,
            self.code,
            self.travels,
            value if is_id else b"",
            b"" if is_id else value,
            is_id and self.is_plain,
        )
        head._added = name
        return head


Frame: TypeAlias = tuple[Head, bytes]
"""A head and its body; the body is empty if the head has no Content-length."""

_FRAMING_ERROR = Head(Verb.MALFORMED, {}, code=103)
_TOO_LARGE = Head(Verb.MALFORMED, {}, code=106)


def read_head(text: bytes, max_body: int) -> Head:
    """Understand a head (docs/protocol.md, section 2).

    Args:
        text: start line and header lines, without the blank line that ends them, at least one word.
        max_body: the longest body accepted, in bytes.

    Returns:
        The head; one with the verb MALFORMED if the end of the frame cannot be told from it (rule 2.8).
    """
    start, *lines = text.split(b"\n")
    verb, *words = _WORD.findall(start)
    headers: dict[bytes, bytes] = {}
    travels = b""
    for line in lines:
        name, colon, value = line.partition(b":")
        written = name.strip(b" \t\r")
        name = written.lower()
        value = value.strip(b" \t\r")
        if not colon or not name or (name == b"content-length" and name in headers):
            return _FRAMING_ERROR
        headers[name] = value
        if _TRAVELS.fullmatch(name):
            travels += b"%b: %b\n" % (written, value)
    digits = headers.get(b"content-length")
    if digits is not None and not _LENGTH.fullmatch(digits):
        return _FRAMING_ERROR
    size = int(digits or 0)
    if size > max_body:
        return _TOO_LARGE
    head = Head(_VERBS.get(verb, Verb.UNKNOWN), headers, size, travels=travels)
    head.is_plain = headers.keys() <= _PLAIN
    head.seq = headers.get(b"seq", b"")
    identifier = headers.get(b"id", b"")
    if is_identifier(identifier):
        head.id = identifier
    match head.verb:
        case Verb.REGISTER | Verb.REGISTERED if words:
            head.side = _SIDES.get(words.pop(0))
        case Verb.ERROR:
            head.code = int(words[0]) if words and _CODE.fullmatch(words[0]) else 0
            words = []
        case _:
            pass
    if len(words) == 1:
        head.name = words[0]
        head.key = head.name.lower()
    if head.verb is Verb.SEND:
        head.delivered = b"SEND %b\n\n" % head.name
        head.length_end = b"%d\n\n" % size
        if digits is None:
            head.verb = Verb.SENT
    elif head.verb is Verb.FORWARD and digits is None:
        head.verb = Verb.UNKNOWN
    if head.verb in _ABOUT_ONE_USER and not head.name:
        head.verb = Verb.UNKNOWN
    return head


def is_name(word: bytes) -> bool:
    """Whether `word` may be a user's name: well formed and not reserved (rule 4.1)."""
    return _NAME.fullmatch(word) is not None and word.lower() not in _RESERVED


def time_text(seconds: float) -> bytes:
    """A time, given in seconds since 1970, as it is written in frames (rule 9.7): UTC, to the millisecond."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z").encode()


def is_room(word: bytes) -> bool:
    """Whether `word` may be a room's name (rule 12.1)."""
    return _ROOM.fullmatch(word) is not None


def is_identifier(value: bytes) -> bool:
    """Whether `value` may be an Id (rule 9.5)."""
    # Most are letters, digits and hyphens, which is seen faster like this.
    if len(value) <= _LONGEST_IDENTIFIER and value.replace(b"-", b"").isalnum():
        return True
    return _IDENTIFIER.fullmatch(value) is not None


def register(
    side: Side,
    name: bytes,
    window: int | None = None,
    *,
    authorization: bytes | None = None,
    device: bytes | None = None,
    seq: int | None = None,
    sign_up: bytes | None = None,
) -> bytes:
    """The frame by which a client registers a connection, and what it asks for (rules 4.3, 6.1, 9.1; section 10)."""
    asked = header_lines(authorization=authorization, device=device, window=window, seq=seq, sign_up=sign_up)
    return b"REGISTER %b %b\n%b\n" % (side.value, name, asked)


def registered(
    side: Side,
    name: bytes,
    window: int | None = None,
    *,
    device: bytes | None = None,
    seq: int | None = None,
    max_body: int | None = None,
) -> bytes:
    """The answer that grants a registration, and what was asked for with it (rules 4.4, 6.2 and 9.2)."""
    granted = header_lines(device=device, window=window, seq=seq, max_body=max_body)
    return b"REGISTERED %b %b\n%b\n" % (side.value, name, granted)


def header_lines(**headers: bytes | int | None) -> bytes:
    """Header lines in this order, without those that are None; in the names, `_` stands for `-`."""
    return b"".join(
        b"%b: %b\n" % (_header_name(name), value if isinstance(value, bytes) else b"%d" % value)
        for name, value in headers.items()
        if value is not None
    )


@cache
def _header_name(name: str) -> bytes:
    return name.replace("_", "-").capitalize().encode()


def frame(
    verb: Verb, name: bytes = b"", body: bytes | None = None, travels: bytes = b"", **headers: bytes | int | None
) -> bytes:
    """Any frame of the extended profile (sections 9 to 17).

    Args:
        verb: the first word; SENT is written as SEND.
        name: the word after it; none if empty.
        body: the body; None for none.
        travels: header lines that go along as they are.
        headers: further headers, as for `header_lines`.
    """
    start = verb.value.strip() + (b" " + name if name else b"")
    length = None if body is None else len(body)
    return b"%b\n%b%b\n%b" % (start, header_lines(content_length=length, **headers), travels, body or b"")


def accepted(recipient: bytes, identifier: bytes, seq: int | None) -> bytes:
    """The answer that a message is stored; its number is for devices that receive (rule 11.6)."""
    if seq is None:
        return b"ACCEPTED %b\nId: %b\n\n" % (recipient, identifier)
    return b"ACCEPTED %b\nId: %b\nSeq: %d\n\n" % (recipient, identifier, seq)


def delivered(recipient: bytes, identifier: bytes, seq: int | None) -> bytes:
    """The answer, or the entry of a log, which says that a message has arrived (rules 9.6 and 11.6)."""
    if seq is None:
        return b"SEND %b\nId: %b\n\n" % (recipient, identifier)
    return b"SEND %b\nId: %b\nSeq: %d\n\n" % (recipient, identifier, seq)


def forward(
    sender: bytes,
    body: bytes,
    identifier: bytes,
    seq: int | None,
    travels: bytes,
    room: bytes = b"",
    place: int = 0,
) -> bytes:
    """A message from an extended connection, or an entry of a log that is one (rules 9.7, 11.1 and 12.5).

    Args:
        sender: who sent it.
        body: the body.
        identifier: its Id; empty if it has none.
        seq: the entry's number; None for a message that is no entry.
        travels: the header lines that go along.
        room: the room that it was sent to.
        place: its number in the room; 0 if it was not sent to one.
    """
    if seq is not None and not place and identifier:  # most are like this
        return b"FORWARD %b\nContent-length: %d\nId: %b\nSeq: %d\n%b\n%b" % (
            sender,
            len(body),
            identifier,
            seq,
            travels,
            body,
        )
    room_lines = b"To: %b\nPlace: %d\n" % (room, place) if place else b""
    id_line = b"Id: %b\n" % identifier if identifier else b""
    seq_line = b"" if seq is None else b"Seq: %d\n" % seq
    return b"FORWARD %b\nContent-length: %d\n%b%b%b%b\n%b" % (
        sender,
        len(body),
        room_lines,
        id_line,
        seq_line,
        travels,
        body,
    )


def send(recipient: bytes, body: bytes) -> bytes:
    """The frame by which a client sends (rule 5.1)."""
    return b"SEND %b\nContent-length: %d\n\n%b" % (recipient, len(body), body)


def forward_start(sender: bytes) -> bytes:
    """The beginning of a FORWARD: `Head.length_end` of the SEND and its body complete it (rule 5.2)."""
    return b"FORWARD %b\nContent-length: " % sender


def received(sender: bytes) -> bytes:
    """The frame by which a client says that it has a message (rule 5.3)."""
    return b"RECEIVED %b\n\n" % sender


ERROR_TEXTS = {
    100: b"Malformed username",
    101: b"No user registered",
    102: b"Unable to send",
    103: b"Header incomplete",
    104: b"Not authenticated",
    105: b"Too many requests",
    106: b"Too large",
    107: b"Shutting down",
    108: b"Replaced",
}
"""The errors (docs/protocol.md, rules 7.1 and 9.9)."""


def error(code: int, **headers: bytes | int | None) -> bytes:
    """The ERROR frame with this number, its text from `ERROR_TEXTS`, and headers as for `header_lines`."""
    return b"ERROR %d %b\n%b\n" % (code, ERROR_TEXTS[code], header_lines(**headers))


MALFORMED_USERNAME = error(100)
NO_USER_REGISTERED = error(101)
UNABLE_TO_SEND = error(102)
HEADER_INCOMPLETE = error(103)
