"""The words of the protocol: verbs, sides, and the syntax of names and Ids (docs/protocol.md, sections 3 and 4)."""

import re
from enum import Enum


class Verb(Enum):
    """The first word of a start line (sections 3 and 10 to 17)."""

    REGISTER = b"REGISTER"
    REGISTERED = b"REGISTERED"
    SEND = b"SEND"
    SENT = b"SEND\n"
    """SEND without a Content-length: the server's answer that the recipient has the message (rule 5.4)."""
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
    PASSWORD = b"PASSWORD"
    PROFILE = b"PROFILE"
    PINS = b"PINS"
    PUSH = b"PUSH"
    PING = b"PING"
    PONG = b"PONG"
    ERROR = b"ERROR"
    UNKNOWN = b""
    """Any other word, or a SEND or FORWARD that lacks what rule 3.2 requires."""
    MALFORMED = b"\n"
    """Never sent: the parser's sign that it cannot tell where the next frame begins (rule 2.8)."""

    # The handler of every frame is looked up by its verb. The hash of an Enum is computed in Python, this one is not.
    __hash__ = object.__hash__


class Side(Enum):
    """The direction of messages for which a connection is registered (sections 4 and 9)."""

    SENDING = b"TOSEND"
    RECEIVING = b"TORECV"
    DUPLEX = b"DUPLEX"
    """Both directions on one connection (rule 9.1)."""

    @property
    def ways(self) -> "frozenset[Side]":
        """The directions of a connection that is registered for this side: SENDING, RECEIVING, or both."""
        return _WAYS[self]


CLASSIC_SIDES: tuple[Side, ...] = (Side.SENDING, Side.RECEIVING)
"""The sides of the two connections of a guest who uses the classic profile."""

VERBS: dict[bytes, Verb] = {verb.value: verb for verb in Verb if verb.value.isalpha()}
"""The verbs by the word that is on the wire."""

SIDES: dict[bytes, Side] = {side.value: side for side in Side}
"""The sides by the word that is on the wire."""

MOST_DIGITS = 18
"""The most digits of a number in a header, unless a rule says otherwise (rule 2.9). It fits into 64 bits."""

SHORT_DIGITS = 10
"""The most digits of Content-length, Window and Expires (rules 2.6, 6.1 and 11.10)."""

DEVICE = re.compile(rb"[A-Za-z0-9._/-]{1,64}")
"""The pattern of a device's name (rule 10.6)."""

_WAYS = {
    Side.SENDING: frozenset([Side.SENDING]),
    Side.RECEIVING: frozenset([Side.RECEIVING]),
    Side.DUPLEX: frozenset([Side.SENDING, Side.RECEIVING]),
}
_NOT_RESERVED = frozenset([b"PING", b"PONG", b"PASSWORD", b"PROFILE", b"PINS", b"PUSH"])
"""Verbs that are also names, because users had them before there were such verbs."""

_RESERVED = frozenset([b"all", *(verb.lower() for verb in VERBS.keys() - _NOT_RESERVED), *map(bytes.lower, SIDES)])
_NAME = re.compile(rb"[A-Za-z0-9]{1,32}")
_ROOM = re.compile(rb"#[A-Za-z0-9_-]{1,32}")
_LONGEST_IDENTIFIER = 64
_IDENTIFIER = re.compile(rb"[A-Za-z0-9._-]{1,64}")


def is_name(word: bytes) -> bool:
    """Return whether `word` may be the name of a user: well formed, and not reserved (rule 4.1)."""
    return _NAME.fullmatch(word) is not None and word.lower() not in _RESERVED


def is_room(word: bytes) -> bool:
    """Return whether `word` may be the name of a room (rule 12.1)."""
    return _ROOM.fullmatch(word) is not None


def read_number(value: bytes, digits: int = MOST_DIGITS) -> int | None:
    """Return the value of a header that is a number; None if it is malformed (rule 2.9).

    Args:
        value: the header's value.
        digits: the most digits that it may have.
    """
    return int(value) if value.isdigit() and len(value) <= digits else None


def is_identifier(value: bytes) -> bool:
    """Return whether `value` may be an Id (rule 9.5)."""
    # Most Ids are letters, digits and hyphens, for which this is faster than the regular expression.
    if len(value) <= _LONGEST_IDENTIFIER and value.replace(b"-", b"").isalnum():
        return True
    return _IDENTIFIER.fullmatch(value) is not None
