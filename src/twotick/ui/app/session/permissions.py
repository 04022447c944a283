"""What a member is allowed to do, as far as the app knows (docs/protocol.md, rules 12.2, 13.1 and 16.3)."""

from enum import Enum

from twotick.client.member.events import State
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation
from twotick.ui.app.model.messages import LocalMessage

_OWNER = "owner"
_MODERATORS = ("owner", "moderator")


class Permission(Enum):
    """What a user may be allowed to do; see `ChatSession.can`."""

    SEND = "send"
    """Send a message to a conversation."""
    REPLY = "reply"
    """Reply to a message."""
    EDIT = "edit"
    """Edit a message."""
    DELETE = "delete"
    """Delete a message."""
    FORWARD = "forward"
    """Send a message on to another conversation, as its sender's."""
    REACT = "react"
    """React to a message."""
    SEND_AGAIN = "send again"
    """Send a message again that was not delivered."""
    CANCEL = "cancel"
    """Cancel a message that waits to be sent."""
    PIN = "pin"
    """Pin or unpin a message. In a room, its settings decide, which only the server knows."""
    SEND_FILE = "send file"
    """Send a file to a conversation."""
    SAVE_FILE = "save file"
    """Save the file of a message."""
    RECEIPTS = "receipts"
    """See the delivery state of a message for each recipient."""
    SEARCH = "search"
    """Search in one or all conversations."""
    ROOMS = "rooms"
    """List, create and join rooms."""
    MEMBERS = "members"
    """List the members of a room."""
    LEAVE = "leave"
    """Leave a room."""
    INVITE = "invite"
    """Invite a user to a room."""
    REMOVE = "remove"
    """Remove a member from a room."""
    APPOINT = "appoint"
    """Change the role of a member of a room."""
    SET_TOPIC = "set topic"
    """Change the topic of a room."""
    SET_ACCESS = "set access"
    """Make a room public or private."""
    MUTE = "mute"
    """Mute a conversation."""
    BLOCK = "block"
    """Block the user of a conversation."""
    REPORT = "report"
    """Report the user of a conversation, or the sender of a message."""
    PRESENCE = "presence"
    """Set the own presence, and see the presence of others."""
    ACCOUNT = "account"
    """List and revoke the own devices, change the password, and get e-mail or none."""


def is_allowed(
    me: str, permission: Permission, conversation: LocalConversation | None, message: LocalMessage | None
) -> bool:
    """Return whether a member has a permission.

    Args:
        me: the member's name.
        permission: the permission.
        conversation: the conversation it is for; None if it does not depend on one.
        message: the message it is for; None if it does not depend on one.
    """
    if permission in (Permission.SEARCH, Permission.ROOMS, Permission.PRESENCE, Permission.ACCOUNT):
        return True
    if conversation is None:
        return False
    if message is not None:
        return _for_message(me, permission, conversation, message)
    match conversation.kind:
        case ConversationKind.EVERYONE:
            return permission is Permission.SEND
        case ConversationKind.ROOM:
            return not conversation.left and _in_room(permission, conversation)
        case ConversationKind.DIRECT:
            others = permission in (Permission.BLOCK, Permission.REPORT) and conversation.key != me.lower()
            return others or permission in (Permission.SEND, Permission.SEND_FILE, Permission.MUTE)


def _in_room(permission: Permission, room: LocalConversation) -> bool:
    match permission:
        case Permission.INVITE:
            return room.access in ("public", "guests") or room.role in _MODERATORS
        case Permission.REMOVE | Permission.SET_TOPIC:
            return room.role in _MODERATORS
        case Permission.APPOINT | Permission.SET_ACCESS:
            return room.role == _OWNER
        case _:
            return permission in (
                Permission.SEND,
                Permission.SEND_FILE,
                Permission.MUTE,
                Permission.LEAVE,
                Permission.MEMBERS,
            )


def _for_message(me: str, permission: Permission, conversation: LocalConversation, message: LocalMessage) -> bool:
    if message.event is not None or message.deleted is not None:
        return False
    if message.state is State.FAILED:
        again = permission is Permission.SEND_AGAIN and not message.forwarded_from
        return again and is_allowed(me, Permission.SEND, conversation, None)
    if permission is Permission.CANCEL:
        return message.state is State.QUEUED
    match permission:
        case Permission.REPLY | Permission.PIN:
            return bool(message.id) and is_allowed(me, Permission.SEND, conversation, None)
        case Permission.REACT | Permission.EDIT | Permission.DELETE:
            return _for_change(permission, conversation, message)
        case Permission.FORWARD:
            return bool(message.id) and message.state is not State.QUEUED
        case Permission.SAVE_FILE:
            return message.file is not None and bool(message.file.key)
        case Permission.RECEIPTS:
            return message.outgoing and bool(message.id) and message.state is not State.QUEUED
        case Permission.REPORT:
            return message.sender.lower() != me.lower()
        case _:
            return False


def _for_change(permission: Permission, conversation: LocalConversation, message: LocalMessage) -> bool:
    if not message.id or conversation.kind is ConversationKind.EVERYONE or message.everyone or conversation.left:
        return False
    if message.path is not None and message.state is State.QUEUED:
        return False  # the change would reach the server before the message
    if permission is Permission.EDIT and message.forwarded_from:
        return False
    moderated = (
        permission is Permission.DELETE
        and conversation.kind is ConversationKind.ROOM
        and conversation.role in _MODERATORS
    )
    return permission is Permission.REACT or message.outgoing or moderated
