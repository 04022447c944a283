"""What can go wrong, each with the protocol's number for it (docs/protocol.md, section 7)."""

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
