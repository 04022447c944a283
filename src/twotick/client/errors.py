"""The exceptions of the library, each with its error number in the protocol (docs/protocol.md, sections 7 and 9)."""

import re
from typing import ClassVar

NOT_THIS_PROTOCOL = "the server sent something that makes no sense: check that a Twotick server runs at this address"
"""The text of a `ProtocolError` for a frame that has no meaning where it came."""


class TwotickError(Exception):
    """Base class of all exceptions that the library defines.

    Attributes:
        code: the error number in the protocol; None if the protocol has no number for this error.
    """

    code: ClassVar[int | None] = None


class NameRefused(TwotickError):
    """The server does not let the client use this name (rule 4.6)."""

    code = 100


class NameTaken(NameRefused):
    """Another user has the name, or the server reserves it."""


class NameOfMember(NameTaken):
    """The name belongs to a member: only that member can use it, after logging in (rule 10.1)."""


class MalformedName(NameRefused):
    """The name does not have the form of a user name (rule 4.1)."""


class NotRegistered(TwotickError):
    """The server answered that the client is not registered (rule 4.5)."""

    code = 101


class NotDelivered(TwotickError):
    """The recipient did not get the message (rule 5.7)."""

    code = 102


class NoRecipient(NotDelivered):
    """There is no such room, or no member and no connected guest with this name (rule 9.6)."""


class MessageRefused(NotDelivered):
    """The recipient's program refused the message (rules 5.3 and 11.4)."""


class OutcomeUnknown(NotDelivered):
    """It is not known whether the recipient has the message: the server was restarted meanwhile (rule 11.11)."""


class ProtocolError(TwotickError):
    """The client or the server received a frame that it did not understand; the connection is closed (rule 7.4)."""

    code = 103


class ConnectionLost(TwotickError):
    """The connection was lost. Messages without an answer may or may not have arrived."""


class ServerUnreachable(ConnectionLost):
    """No connection to the server could be made. Nothing was sent."""


# Members only


class RequestRefused(TwotickError):
    """The server refused a request; the message says why (rules 10.8 and 11.9)."""

    code = 102


class NoSuchRoom(RequestRefused):
    """There is no such room, or the member may not know of it (rule 12.2)."""


class NotAuthenticated(TwotickError):
    """The name, password or token is wrong, or the server refused the sign-up (rules 10.2 and 10.3)."""

    code = 104


class TooManyRequests(TwotickError):
    """The server refuses further attempts for some time (rule 10.4).

    Attributes:
        retry_after: the number of seconds to wait before the next attempt.
    """

    code = 105

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooLarge(ProtocolError):
    """A body was larger than the server accepts; the connection is closed (rule 9.3)."""

    code = 106


class ShuttingDown(ConnectionLost):
    """The server is shutting down. It may be back soon.

    Attributes:
        retry_after: the number of seconds to wait before the next attempt (rule 9.13).
    """

    code = 107

    def __init__(self, message: str, retry_after: int = 0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Replaced(TwotickError):
    """The same device has connected again elsewhere, or was revoked (rules 10.7 and 10.8)."""

    code = 108


class NotEncrypted(TwotickError):
    """The connection is not encrypted, so the client did not send the password or token (rule 10.5)."""


class OutboxError(TwotickError):
    """The file of the outbox cannot be used. The message in question was not queued."""


class FileMismatch(TwotickError):
    """A file differs from its description: it changed during the upload, or was damaged on its way (section 16)."""


# Errors by their Reasons

_NO_RECIPIENT = re.compile(r"\S+ is not connected|there is no such room")
_REASONS_OF_REFUSALS = ("the recipient refused the message", "refused")
_REASON_OF_UNKNOWN = "the server was restarted: it is not known whether the message arrived"
_REASON_OF_MEMBER = "the name is a member's"


def delivery_failure(reason: str) -> NotDelivered:
    """Return the exception for an ERROR 102 that answers a message.

    Args:
        reason: the server's Reason, which has the same words for the same case (rule 9.6); empty if it gave none.
    """
    if _NO_RECIPIENT.fullmatch(reason):
        return NoRecipient(reason)
    if reason in _REASONS_OF_REFUSALS:
        return MessageRefused(reason)
    if reason == _REASON_OF_UNKNOWN:
        return OutcomeUnknown(reason)
    return NotDelivered(reason or "the recipient is not connected, refused the message, or did not answer in time")


def name_failure(name: str, reason: str) -> NameTaken:
    """Return the exception for an ERROR 100 that answers a guest's registration.

    Args:
        name: the name.
        reason: the server's Reason (rule 9.6); empty if it gave none.
    """
    if reason == _REASON_OF_MEMBER:
        return NameOfMember(f"the name {name} is a member's: log in as {name}, or choose another")
    if reason:
        return NameTaken(f"the name {name} cannot be used: {reason}")
    return NameTaken(f"the name {name} is taken or reserved: choose another")
