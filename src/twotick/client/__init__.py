"""The asyncio library, and a blocking `send` for scripts.

What talks to servers is imported when it is first used: programs that show what they have on the disk need not wait for
it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from twotick.client.address import DEFAULT_SERVER, parse_server, reason
from twotick.client.answers import (
    Conversation,
    ConversationSetting,
    DeviceInfo,
    RecipientState,
    Role,
    RoomInfo,
    RoomMember,
    Status,
    StatusList,
)
from twotick.client.entries import (
    Entry,
    Presence,
    ProgressEvent,
    ReadEvent,
    ReceiptEvent,
    State,
    StatusEvent,
    TypingEvent,
)
from twotick.client.errors import (
    ConnectionLost,
    FileMismatch,
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
from twotick.client.limits import MemberLimits
from twotick.client.messages import Event, EventKind, FileInfo, MemberMessage, Reference

if TYPE_CHECKING:
    from twotick.client.client import Client, Message, Receipt, connect, send
    from twotick.client.conversations import Found
    from twotick.client.joining import join
    from twotick.client.member import MemberClient
    from twotick.client.receipts import MemberReceipt
    from twotick.client.trust import CertificateChanged, KnownServers, Trust, TrustError
    from twotick.client.writing import SendOptions

__all__ = [
    "DEFAULT_SERVER",
    "CertificateChanged",
    "Client",
    "ConnectionLost",
    "Conversation",
    "ConversationSetting",
    "DeviceInfo",
    "Entry",
    "Event",
    "EventKind",
    "FileInfo",
    "FileMismatch",
    "Found",
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
    "Presence",
    "ProgressEvent",
    "ProtocolError",
    "ReadEvent",
    "Receipt",
    "ReceiptEvent",
    "RecipientState",
    "Reference",
    "Replaced",
    "RequestRefused",
    "Role",
    "RoomInfo",
    "RoomMember",
    "SendOptions",
    "ServerUnreachable",
    "ShuttingDown",
    "State",
    "Status",
    "StatusEvent",
    "StatusList",
    "TooLarge",
    "TooManyRequests",
    "Trust",
    "TrustError",
    "TwotickError",
    "TypingEvent",
    "connect",
    "join",
    "parse_server",
    "reason",
    "send",
]

_LATER = {
    "Client": "client",
    "Message": "client",
    "Receipt": "client",
    "connect": "client",
    "send": "client",
    "Found": "conversations",
    "join": "joining",
    "MemberClient": "member",
    "MemberReceipt": "receipts",
    "CertificateChanged": "trust",
    "KnownServers": "trust",
    "Trust": "trust",
    "TrustError": "trust",
    "SendOptions": "writing",
}
"""What is imported when it is used, each with its module."""

if not TYPE_CHECKING:  # whoever checks types knows all that there is

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        return found
