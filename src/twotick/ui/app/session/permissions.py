"""What a member can do, as far as it is known here (docs/protocol.md, rules 12.2, 13.1 and 16.3)."""

from twotick.client.member.events import State
from twotick.ui.app.model.model import Conversation, Kind, Message
from twotick.ui.app.session.base import Deed

_OWNER = "owner"
_MODERATORS = ("owner", "moderator")


def may(me: str, deed: Deed, conversation: Conversation | None, message: Message | None) -> bool:
    """Whether a member can do something.

    Args:
        me: the member's name.
        deed: what.
        conversation: where; None where it does not matter.
        message: to which message; None where it does not matter.
    """
    if deed in (Deed.SEARCH, Deed.ROOMS, Deed.PRESENCE):
        return True
    if conversation is None:
        return False
    if message is not None:
        return _to_message(me, deed, conversation, message)
    match conversation.kind:
        case Kind.EVERYONE:
            return deed is Deed.SEND
        case Kind.ROOM:
            return not conversation.left and _in_room(deed, conversation)
        case Kind.DIRECT:
            others = deed in (Deed.BLOCK, Deed.REPORT) and conversation.key != me.lower()
            return others or deed in (Deed.SEND, Deed.SEND_FILE, Deed.MUTE)


def _in_room(deed: Deed, room: Conversation) -> bool:
    match deed:
        case Deed.INVITE:
            return room.access == "public" or room.role in _MODERATORS
        case Deed.REMOVE | Deed.SET_TOPIC:
            return room.role in _MODERATORS
        case Deed.APPOINT | Deed.SET_ACCESS:
            return room.role == _OWNER
        case _:
            return deed in (Deed.SEND, Deed.SEND_FILE, Deed.MUTE, Deed.LEAVE, Deed.MEMBERS)


def _to_message(me: str, deed: Deed, conversation: Conversation, message: Message) -> bool:
    if message.event is not None or message.deleted is not None:
        return False
    if message.state is State.FAILED:
        return deed is Deed.SEND_AGAIN and may(me, Deed.SEND, conversation, None)
    match deed:
        case Deed.REPLY:
            return bool(message.id) and may(me, Deed.SEND, conversation, None)
        case Deed.REACT | Deed.EDIT | Deed.DELETE:
            return _change(deed, conversation, message)
        case Deed.SAVE_FILE:
            return message.file is not None and bool(message.file.key)
        case Deed.RECEIPTS:
            return message.outgoing and bool(message.id) and message.state is not State.QUEUED
        case Deed.REPORT:
            return message.sender.lower() != me.lower()
        case _:
            return False


def _change(deed: Deed, conversation: Conversation, message: Message) -> bool:
    if not message.id or conversation.kind is Kind.EVERYONE or message.everyone or conversation.left:
        return False
    if message.path is not None and message.state is State.QUEUED:
        return False  # a change would overtake it
    moderated = deed is Deed.DELETE and conversation.kind is Kind.ROOM and conversation.role in _MODERATORS
    return deed is Deed.REACT or message.outgoing or moderated
