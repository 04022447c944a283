"""What can go wrong, each with the protocol's number for it (docs/protocol.md, sections 7 and 9)."""

from typing import ClassVar


class TwotickError(Exception):
    """Base of all errors of the library.

    Attributes:
        code: the protocol's number, or None where the protocol has none.
    """

    code: ClassVar[int | None] = None


class NameRefused(TwotickError):
    """The name cannot be had (rule 4.6)."""

    code = 100


class NameTaken(NameRefused):
    """Somebody else has the name, or the server keeps it."""


class MalformedName(NameRefused):
    """No name looks like that (rule 4.1)."""


class NotRegistered(TwotickError):
    """The server does not know who is asking (rule 4.5)."""

    code = 101


class NotDelivered(TwotickError):
    """The recipient does not have the message (rule 5.7)."""

    code = 102


class ProtocolError(TwotickError):
    """One side did not understand the other; the connection is closed (rule 7.4)."""

    code = 103


class ConnectionLost(TwotickError):
    """The connection is gone: what was not answered may or may not have arrived."""


class ServerUnreachable(ConnectionLost):
    """There is no connection: nothing was sent."""


# Members only


class RequestRefused(TwotickError):
    """The server does not do what it was asked to (rules 10.8 and 11.9)."""

    code = 102


class NotAuthenticated(TwotickError):
    """The name, password or token is wrong, or sign-up is refused (rules 10.2 and 10.3)."""

    code = 104


class TooManyRequests(TwotickError):
    """The server wants to be left alone for a while (rule 10.4).

    Attributes:
        retry_after: for how many seconds.
    """

    code = 105

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooLarge(ProtocolError):
    """A body was longer than the server takes (rule 9.3)."""

    code = 106


class ShuttingDown(ConnectionLost):
    """The server stops; it may be back soon."""

    code = 107


class Replaced(TwotickError):
    """The same device has connected again elsewhere, or was revoked (rules 10.7 and 10.8)."""

    code = 108


class NotEncrypted(TwotickError):
    """A password or token would have gone over a connection that others can read (rule 10.5). It was not sent."""


class OutboxError(TwotickError):
    """The outbox on disk cannot be used: what was to go into it is not queued."""


class FileMismatch(TwotickError):
    """A file is not what it was said to be: it changed while it was read, or came damaged (section 16)."""
