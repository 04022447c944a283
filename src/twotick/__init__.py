"""Twotick: chat where "sent" means "received".

async with twotick.connect("alice") as me:
    receipt = await me.send("bob", "hello")
    async for message in me:
        print(message.sender, message.text)

Guests use `connect`. Members, who own their names and lose no message, use `join`.
"""

from typing import TYPE_CHECKING

__version__ = "0.2.0"

if TYPE_CHECKING:
    from twotick.client import (
        Bot,
        BotMessage,
        CertificateChanged,
        Client,
        CommandError,
        ConnectionLost,
        Conversation,
        ConversationSetting,
        DeviceInfo,
        EmailDigest,
        Entry,
        Event,
        EventKind,
        FileInfo,
        FileMismatch,
        Found,
        KnownServers,
        MalformedName,
        MemberClient,
        MemberLimits,
        MemberMessage,
        MemberReceipt,
        Message,
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
        Presence,
        Profile,
        ProfileEvent,
        ProfileList,
        ProgressEvent,
        ProtocolError,
        ReadEvent,
        Receipt,
        ReceiptEvent,
        RecipientState,
        Reference,
        Replaced,
        RequestRefused,
        Role,
        RoomGuestEvent,
        RoomInfo,
        RoomMember,
        SendOptions,
        ServerUnreachable,
        ShuttingDown,
        State,
        Status,
        StatusEvent,
        StatusList,
        TooLarge,
        TooManyRequests,
        Trust,
        TrustError,
        TwotickError,
        TypingEvent,
        connect,
        join,
        send,
    )

__all__ = [
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
    "send",
]

if not TYPE_CHECKING:  # type checkers see the imports above

    def __getattr__(name: str) -> object:
        """Import a name at its first use, because most commands need few of them."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from twotick import client

        globals()[name] = found = getattr(client, name)
        return found

    def __dir__() -> list[str]:
        """List the public names, so that a REPL completes them."""
        return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
