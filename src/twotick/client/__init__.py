"""The asyncio library, and a blocking `send` for scripts.

Guests use `connect`, members use `join`. The modules that talk to servers are imported at their first use, so that
programs which only show what is on disk start quickly.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from twotick.client.address import DEFAULT_SERVER, parse_server, reason
from twotick.client.errors import (
    ConnectionLost,
    FileMismatch,
    MalformedName,
    MessageRefused,
    NameOfMember,
    NameRefused,
    NameTaken,
    NoRecipient,
    NoSuchRoom,
    NotAuthenticated,
    NotDelivered,
    NotEncrypted,
    NotRegistered,
    OutboxError,
    OutcomeUnknown,
    ProtocolError,
    Replaced,
    RequestRefused,
    ServerUnreachable,
    ShuttingDown,
    TooLarge,
    TooManyRequests,
    TwotickError,
)
from twotick.client.member.events import (
    Entry,
    Presence,
    ProfileEvent,
    ProgressEvent,
    ReadEvent,
    ReceiptEvent,
    RoomGuestEvent,
    State,
    StatusEvent,
    TypingEvent,
)
from twotick.client.member.limits import MemberLimits
from twotick.client.member.messages import Event, EventKind, FileInfo, MemberMessage, Reference
from twotick.client.member.results import (
    Conversation,
    ConversationSetting,
    DeviceInfo,
    EmailDigest,
    Profile,
    ProfileList,
    RecipientState,
    Role,
    RoomInfo,
    RoomMember,
    Status,
    StatusList,
)

if TYPE_CHECKING:
    from twotick.client.bot import Bot, BotMessage, CommandError
    from twotick.client.guest import Client, Message, Receipt, connect, send
    from twotick.client.member.client import MemberClient
    from twotick.client.member.conversations import Found
    from twotick.client.member.join import join
    from twotick.client.member.receipts import MemberReceipt
    from twotick.client.member.send_headers import SendOptions
    from twotick.client.trust.known_servers import CertificateChanged, KnownServers, Trust, TrustError

__all__ = [
    "DEFAULT_SERVER",
    "Bot",
    "BotMessage",
    "CertificateChanged",
    "Client",
    "CommandError",
    "ConnectionLost",
    "Conversation",
    "ConversationSetting",
    "DeviceInfo",
    "EmailDigest",
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
    "MessageRefused",
    "NameOfMember",
    "NameRefused",
    "NameTaken",
    "NoRecipient",
    "NoSuchRoom",
    "NotAuthenticated",
    "NotDelivered",
    "NotEncrypted",
    "NotRegistered",
    "OutboxError",
    "OutcomeUnknown",
    "Presence",
    "Profile",
    "ProfileEvent",
    "ProfileList",
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
    "RoomGuestEvent",
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
    "Bot": "bot",
    "BotMessage": "bot",
    "CommandError": "bot",
    "Client": "guest",
    "Message": "guest",
    "Receipt": "guest",
    "connect": "guest",
    "send": "guest",
    "Found": "member.conversations",
    "join": "member.join",
    "MemberClient": "member.client",
    "MemberReceipt": "member.receipts",
    "CertificateChanged": "trust.known_servers",
    "KnownServers": "trust.known_servers",
    "Trust": "trust.known_servers",
    "TrustError": "trust.known_servers",
    "SendOptions": "member.send_headers",
}
"""The names that are imported at their first use, each with its module."""

if not TYPE_CHECKING:  # type checkers see the imports above

    def __getattr__(name: str) -> object:
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = getattr(import_module(f"{__name__}.{_LATER[name]}"), name)
        return found
