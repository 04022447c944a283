"""Frames to bytes and back: the only package that knows the grammar of docs/protocol.md.

It does no I/O: no sockets, no clock, nothing asynchronous.

- `words`: verbs, sides, and what names look like.
- `heads`: reads the start line and the headers of a frame.
- `parser`: cuts a stream of bytes into frames.
- `frames`: writes frames.
"""

from twotick.wire.frames import (
    ERROR_TEXTS,
    HEADER_INCOMPLETE,
    MALFORMED_USERNAME,
    NO_USER_REGISTERED,
    PING,
    PONG,
    UNABLE_TO_SEND,
    accepted,
    delivered,
    error,
    forward,
    forward_start,
    frame,
    received,
    register,
    registered,
    send,
    time_text,
)
from twotick.wire.heads import GivenHead, Head, HeadCache, StartLine, read_travelling
from twotick.wire.parser import MAX_HEAD, Frame, Parser
from twotick.wire.words import (
    CLASSIC_SIDES,
    DEVICE,
    MOST_DIGITS,
    SHORT_DIGITS,
    Side,
    Verb,
    is_identifier,
    is_name,
    is_room,
    read_number,
)

__all__ = [
    "CLASSIC_SIDES",
    "DEVICE",
    "ERROR_TEXTS",
    "HEADER_INCOMPLETE",
    "MALFORMED_USERNAME",
    "MAX_HEAD",
    "MOST_DIGITS",
    "NO_USER_REGISTERED",
    "PING",
    "PONG",
    "SHORT_DIGITS",
    "UNABLE_TO_SEND",
    "Frame",
    "GivenHead",
    "Head",
    "HeadCache",
    "Parser",
    "Side",
    "StartLine",
    "Verb",
    "accepted",
    "delivered",
    "error",
    "forward",
    "forward_start",
    "frame",
    "is_identifier",
    "is_name",
    "is_room",
    "read_number",
    "read_travelling",
    "received",
    "register",
    "registered",
    "send",
    "time_text",
]
