"""The asyncio library, and a blocking `send` for scripts."""

from twotick.client.address import DEFAULT_SERVER, parse_server, reason
from twotick.client.client import Client, Message, Receipt, connect, send
from twotick.client.entries import (
    DeviceInfo,
    Entry,
    MemberMessage,
    MemberReceipt,
    ReadEvent,
    ReceiptEvent,
    State,
)
from twotick.client.errors import (
    ConnectionLost,
    MalformedName,
    NameRefused,
    NameTaken,
    NotAuthenticated,
    NotDelivered,
    NotEncrypted,
    NotRegistered,
    OutboxError,
    ProtocolError,
    Replaced,
    RequestRefused,
    ServerUnreachable,
    ShuttingDown,
    TooLarge,
    TooManyRequests,
    TwotickError,
)
from twotick.client.joining import join
from twotick.client.limits import MemberLimits
from twotick.client.member import MemberClient
from twotick.client.trust import CertificateChanged, KnownServers, Trust, TrustError

__all__ = [
    "DEFAULT_SERVER",
    "CertificateChanged",
    "Client",
    "ConnectionLost",
    "DeviceInfo",
    "Entry",
    "KnownServers",
    "MalformedName",
    "MemberClient",
    "MemberLimits",
    "MemberMessage",
    "MemberReceipt",
    "Message",
    "NameRefused",
    "NameTaken",
    "NotAuthenticated",
    "NotDelivered",
    "NotEncrypted",
    "NotRegistered",
    "OutboxError",
    "ProtocolError",
    "ReadEvent",
    "Receipt",
    "ReceiptEvent",
    "Replaced",
    "RequestRefused",
    "ServerUnreachable",
    "ShuttingDown",
    "State",
    "TooLarge",
    "TooManyRequests",
    "Trust",
    "TrustError",
    "TwotickError",
    "connect",
    "join",
    "parse_server",
    "reason",
    "send",
]
