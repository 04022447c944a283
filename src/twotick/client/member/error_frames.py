"""Turn ERROR frames into exceptions (docs/protocol.md, rules 7.1 and 9.9)."""

from twotick.client.errors import (
    NOT_THIS_PROTOCOL,
    NameTaken,
    NoSuchRoom,
    NotAuthenticated,
    NotDelivered,
    NotRegistered,
    ProtocolError,
    Replaced,
    RequestRefused,
    ShuttingDown,
    TooLarge,
    TooManyRequests,
    TwotickError,
    delivery_failure,
)
from twotick.client.member.headers import number
from twotick.client.visible import reason_of
from twotick.wire import Head, Verb


def delivery_error(head: Head) -> NotDelivered:
    """Return the exception for an ERROR 102 that answers a message (rule 5.7)."""
    return delivery_failure(reason_of(head) or "the recipient did not get the message")


def request_error(head: Head) -> TwotickError:
    """Return the exception for an ERROR that answers a request (rules 10.4, 10.8 and 12.2)."""
    if head.code == RequestRefused.code:
        if reason_of(head) == "there is no such room":
            return NoSuchRoom(reason_of(head))
        return RequestRefused(reason_of(head) or "the server refused the request and gave no reason")
    return connection_error(head)


def connection_error(head: Head) -> TwotickError:
    """Return the exception for an ERROR that concerns the connection, or for a frame that does not belong there.

    Args:
        head: the head of the frame.
    """
    reason = reason_of(head)
    match head.code if head.verb is Verb.ERROR else 0:
        case 100:
            return NameTaken(reason or "the name is taken, reserved, or not a member's")
        case 101:
            return NotRegistered(reason or "the server does not support members: connect as a guest")
        case 103:
            return ProtocolError(reason or "the server did not understand what we sent")
        case 104:
            return NotAuthenticated(reason or "wrong name, password or token")
        case 105:
            return TooManyRequests(reason or "too many requests", number(head, b"retry-after"))
        case 106:
            return TooLarge(reason or "the message is too large for the server")
        case 107:
            return ShuttingDown(reason or "the server is shutting down", number(head, b"retry-after"))
        case 108:
            return Replaced(reason or "this device has connected again elsewhere")
        case _:
            return ProtocolError(NOT_THIS_PROTOCOL)
