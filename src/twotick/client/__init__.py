"""The asyncio library, and a blocking `send` for scripts."""

from twotick.client.address import DEFAULT_SERVER, parse_server, reason
from twotick.client.client import Client, Message, Receipt, connect, send
from twotick.client.errors import (
    ConnectionLost,
    MalformedName,
    NameRefused,
    NameTaken,
    NotDelivered,
    NotRegistered,
    ProtocolError,
    ServerUnreachable,
    TwotickError,
)

__all__ = [
    "DEFAULT_SERVER",
    "Client",
    "ConnectionLost",
    "MalformedName",
    "Message",
    "NameRefused",
    "NameTaken",
    "NotDelivered",
    "NotRegistered",
    "ProtocolError",
    "Receipt",
    "ServerUnreachable",
    "TwotickError",
    "connect",
    "parse_server",
    "reason",
    "send",
]
