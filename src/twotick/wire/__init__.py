"""Frames to bytes and back: the only place that knows the grammar of docs/protocol.md.

Sans-I/O: no sockets, no clock, nothing asynchronous. `Parser` turns bytes into heads and bodies; the functions of
`frames` write the few frames that Twotick sends.
"""

from twotick.wire.frames import (
    CLASSIC_SIDES,
    DEVICE,
    ERROR_TEXTS,
    HEADER_INCOMPLETE,
    MALFORMED_USERNAME,
    NO_USER_REGISTERED,
    UNABLE_TO_SEND,
    Frame,
    Head,
    Side,
    Verb,
    accepted,
    delivered,
    error,
    forward,
    forward_start,
    frame,
    is_identifier,
    is_name,
    is_room,
    received,
    register,
    registered,
    send,
)
from twotick.wire.parser import MAX_HEAD, HeadCache, Parser

__all__ = [
    "CLASSIC_SIDES",
    "DEVICE",
    "ERROR_TEXTS",
    "HEADER_INCOMPLETE",
    "MALFORMED_USERNAME",
    "MAX_HEAD",
    "NO_USER_REGISTERED",
    "UNABLE_TO_SEND",
    "Frame",
    "Head",
    "HeadCache",
    "Parser",
    "Side",
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
    "received",
    "register",
    "registered",
    "send",
]
