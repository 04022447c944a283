"""Twotick: chat where "sent" means "received".

async with twotick.connect("alice") as me:
    receipt = await me.send("bob", "hello")
    async for message in me:
        print(message.sender, message.text)
"""

from twotick.client import (
    Client,
    ConnectionLost,
    MalformedName,
    Message,
    NameRefused,
    NameTaken,
    NotDelivered,
    NotRegistered,
    ProtocolError,
    Receipt,
    ServerUnreachable,
    TwotickError,
    connect,
    send,
)

__all__ = [
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
    "send",
]
