"""What a member can do, as far as it is known here (docs/protocol.md, rules 12.2, 13.1 and 16.3)."""

from twotick.client.member.events import State
from twotick.ui.app.model.conversations import ConversationKind, LocalConversation
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.session.base import Permission

_OWNER = "owner"
_MODERATORS = ("owner", "moderator")


def may(me: str, deed: Permission, conversation: LocalConversation | None, message: LocalMessage | None) -> bool:
    """Whether a member can do something.

    Args:
        me: the member's name.
        deed: what.
        conversation: where; None where it does not matter.
        message: to which message; None where it does not matter.
    """
    if deed in (Permission.SEARCH, Permission.ROOMS, Permission.PRESENCE):
        return True
    if conversation is None:
        return False
    if message is not None:
        return _to_message(me, deed, conversation, message)
    match conversation.kind:
        case ConversationKind.EVERYONE:
            return deed is Permission.SEND
        case ConversationKind.ROOM:
            return not conversation.left and _in_room(deed, conversation)
        case ConversationKind.DIRECT:
            others = deed in (Permission.BLOCK, Permission.REPORT) and conversation.key != me.lower()
            return others or deed in (Permission.SEND, Permission.SEND_FILE, Permission.MUTE)


def _in_room(deed: Permission, room: LocalConversation) -> bool:
    match deed:
        case Permission.INVITE:
            return room.access == "public" or room.role in _MODERATORS
        case Permission.REMOVE | Permission.SET_TOPIC:
            return room.role in _MODERATORS
        case Permission.APPOINT | Permission.SET_ACCESS:
            return room.role == _OWNER
        case _:
            return deed in (
                Permission.SEND,
                Permission.SEND_FILE,
                Permission.MUTE,
                Permission.LEAVE,
                Permission.MEMBERS,
            )


def _to_message(me: str, deed: Permission, conversation: LocalConversation, message: LocalMessage) -> bool:
    if message.event is not None or message.deleted is not None:
        return False
    if message.state is State.FAILED:
        return deed is Permission.SEND_AGAIN and may(me, Permission.SEND, conversation, None)
    match deed:
        case Permission.REPLY:
            return bool(message.id) and may(me, Permission.SEND, conversation, None)
        case Permission.REACT | Permission.EDIT | Permission.DELETE:
            return _change(deed, conversation, message)
        case Permission.SAVE_FILE:
            return message.file is not None and bool(message.file.key)
        case Permission.RECEIPTS:
            return message.outgoing and bool(message.id) and message.state is not State.QUEUED
        case Permission.REPORT:
            return message.sender.lower() != me.lower()
        case _:
            return False


def _change(deed: Permission, conversation: LocalConversation, message: LocalMessage) -> bool:
    if not message.id or conversation.kind is ConversationKind.EVERYONE or message.everyone or conversation.left:
        return False
    if message.path is not None and message.state is State.QUEUED:
        return False  # a change would overtake it
    moderated = (
        deed is Permission.DELETE and conversation.kind is ConversationKind.ROOM and conversation.role in _MODERATORS
    )
    return deed is Permission.REACT or message.outgoing or moderated
