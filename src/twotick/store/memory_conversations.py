"""Requests about conversations and presence, in memory (docs/protocol.md, rule 12.7, sections 14 and 15)."""

from bisect import bisect_right
from typing import Final

from twotick.store.memory_logs import Logs
from twotick.store.memory_mailboxes import GONE, RECEIVED, Mailbox, Message, Setting
from twotick.store.memory_messages import Messages
from twotick.store.records import Outcome, Refusal, State
from twotick.store.room_records import (
    Audience,
    Contact,
    Contacts,
    Conversation,
    Conversations,
    ConversationSet,
    Receipt,
    Receipts,
    Role,
    SetConversation,
    SetShown,
)
from twotick.store.rooms import FAREWELL, NO_MESSAGE, SEEN_MOST, Event, NotAllowed, check_setting, known

_YES_OR_NO: Final = (b"no", b"yes")


class Talk:
    """Carries out requests about conversations. Each method carries out the request that it takes; see there."""

    def __init__(self, logs: Logs, messages: Messages) -> None:
        self._logs = logs
        self._messages = messages
        self._farewells: dict[int, tuple[float, list[int]]] = {}  # when members were removed, and who could see them

    def receipts(self, request: Receipts) -> list[Receipt] | Refusal:
        """List what became of a message for each recipient (rule 12.7)."""
        logs = self._logs
        box = logs.mailboxes.get(request.member)
        message = box.ids.get(request.id) if box is not None else None
        if message is None or message.recipient.lower() != request.recipient.lower():
            return Refusal(NO_MESSAGE)
        to = message.recipient.lower()
        if to != b"all" and not to.startswith(b"#"):
            other = logs.names.get(to.decode())
            name = message.recipient.decode() if other is None else other.member.name
            return [Receipt(name, message.state)]
        states: dict[str, State] = {}
        special = message.special
        if special is not None:
            states.update({each.member.name: State.ACCEPTED for each in special.shut_out if self._is_member(each)})
            states.update({each.member.name: State.FAILED for each in special.failed if self._is_member(each)})
        for each, seq in message.entries():
            if each.kind(seq) == RECEIVED:
                states[each.member.name] = _state(message, each, seq)
        return [Receipt(name, states[name]) for name in sorted(states, key=str.lower)]

    def _is_member(self, box: Mailbox) -> bool:
        return self._logs.mailboxes.get(box.number) is box

    def conversations(self, request: Conversations) -> list[Conversation]:
        """List a member's conversations, the newest first (rule 14.1)."""
        box = self._logs.mailboxes.get(request.member)
        if box is None:
            return []
        peers = {*(peer for peer in box.peers() if not peer.startswith(b"#")), *box.settings, *box.rooms}
        newest: list[tuple[int, bytes]] = []
        for peer in peers:
            seq = _newest(box, peer)
            if peer.startswith(b"#"):
                is_one = peer in box.rooms
            else:
                is_one = peer != b"all" and (seq > 0 or peer in box.settings)
            if is_one:
                newest.append((-seq, peer))
        newest.sort()
        return [self._conversation(box, peer, -seq) for seq, peer in newest[: request.most]]

    def _conversation(self, box: Mailbox, peer: bytes, newest: int) -> Conversation:
        """How a conversation stands, given the number of its newest message; 0 for none."""
        unread = mentions = 0
        numbers = box.with_peer(peer)
        read = box.reading.get(peer, 0)
        for seq in numbers[bisect_right(numbers, read) :]:
            if box.kind(seq) == RECEIVED:
                weight = box.message(seq).weight(box.number)
                unread += weight > 0
                mentions += weight > 1
        setting = box.settings.get(peer)
        muted, blocked = (False, False) if setting is None else (setting.muted, setting.blocked)
        room = box.rooms.get(peer)
        role = Role.NONE if room is None else room.state.role(box.number)
        return Conversation(
            self._name(box, peer, newest).decode(), unread, mentions, read, newest, muted, blocked, role
        )

    def _name(self, box: Mailbox, peer: bytes, newest: int) -> bytes:
        """The name of a conversation, as it is shown."""
        room = box.rooms.get(peer)
        if room is not None:
            return room.state.name
        other = self._logs.names.get(peer.decode())
        if other is not None:
            return other.member.name.encode()
        if newest:
            message = box.message(newest)
            return message.sender_name if box.kind(newest) == RECEIVED else message.recipient
        return box.settings[peer].name

    def set_conversation(self, request: SetConversation) -> ConversationSet | Refusal:
        """Mute or block (rule 14.3)."""
        box = self._logs.mailboxes.get(request.member)
        if box is None:
            return Refusal("you are not a member any more")
        peer = request.peer.lower()
        name = request.peer
        try:
            if peer.startswith(b"#"):
                room = self._logs.rooms.get(peer)
                state = known(None if room is None else room.state, box.number)
                state.check_in(box.number)
                name = state.name
            check_setting(peer, request.blocked, len(box.settings) - (peer in box.settings), self._logs.limits)
        except NotAllowed as refusal:
            return Refusal(str(refusal))
        other = self._logs.names.get(peer.decode())
        if other is not None:
            name = other.member.name.encode()
        before = box.settings.get(peer) or Setting(name, False, False)
        muted = before.muted if request.muted is None else request.muted
        blocked = before.blocked if request.blocked is None else request.blocked
        outcome = Outcome()
        if (muted, blocked) != (before.muted, before.blocked):
            box.settings[peer] = Setting(before.name, muted, blocked)
            if not muted and not blocked:
                del box.settings[peer]
            if blocked:
                box.blocked.add(peer)
            else:
                box.blocked.discard(peer)
            lines = b"Event: set\nOf: %b\nMuted: %b\nBlocked: %b\n" % (name, _YES_OR_NO[muted], _YES_OR_NO[blocked])
            own = box.member.name.encode()
            event = Event(lines, [box.number], placed=False)
            self._messages.tell(event, own, own, None, request.time, outcome)
        return ConversationSet(muted, blocked, outcome)

    # Presence

    def audience(self, request: Audience) -> list[int]:
        """List who may see whether a member is here (rule 15.2)."""
        logs = self._logs
        box = logs.mailboxes.get(request.member)
        peer = request.peer.lower()
        if box is None or not box.is_shown:
            farewell = self._farewells.get(request.member) if request.is_gone else None
            return [] if farewell is None else farewell[1]
        if peer.startswith(b"#"):
            room = box.rooms.get(peer)
            members = set[int]() if room is None else set(room.state.members)
            return [each.number for each in self._who_see(box, members)]
        mates: set[int] = set()
        for room in box.rooms.values():
            mates.update(room.state.members)
        if peer:
            other = logs.names.get(peer.decode("ascii", "replace"))
            named = set[int]() if other is None else {other.number} & (box.written | mates)
            return [each.number for each in self._who_see(box, named)]
        seeing = self._who_see(box, box.written)
        seeing += self._who_see(box, mates - box.written)
        return sorted([each.number for each in seeing[:SEEN_MOST]])

    def _who_see(self, box: Mailbox, members: set[int]) -> list[Mailbox]:
        """Those of these members whom a member has not blocked, and who are not that member, by number."""
        boxes = [self._logs.mailboxes[number] for number in sorted(members) if number != box.number]
        return [each for each in boxes if each.member.name.lower().encode() not in box.blocked]

    def keep_audience(self, member: int, time: float) -> None:
        """A member is about to be removed: those who may see it are its audience from then on."""
        self._farewells[member] = time, self.audience(Audience(member, b""))

    def prune(self, time: float) -> None:
        """Forget who could see members that were removed a while before a time."""
        self._farewells = {key: each for key, each in self._farewells.items() if each[0] >= time - FAREWELL}

    def contacts(self, request: Contacts) -> list[Contact]:
        """List whose presence a member may see (rule 15.1)."""
        logs = self._logs
        box = logs.mailboxes.get(request.member)
        if box is None:
            return []
        mates: set[int] = set()
        for key, room in box.rooms.items():
            if request.room.lower() in (b"", key):
                mates.update(room.state.members)
        writers = set[int]() if request.room else box.writers
        numbers = [number for number in [*sorted(writers), *sorted(mates - writers)] if number != box.number]
        boxes = [logs.mailboxes[number] for number in numbers[:SEEN_MOST]]
        boxes.sort(key=lambda each: each.member.name.lower())
        return [_contact(each, box.member.name.lower().encode()) for each in boxes]

    def set_shown(self, request: SetShown) -> bool:
        """Note whether others may see that a member is here (rule 15.1)."""
        box = self._logs.mailboxes.get(request.member)
        if box is None:
            return False
        if request.shown is not None:
            box.is_shown = request.shown
        return box.is_shown


def _state(message: Message, box: Mailbox, seq: int) -> State:
    """What became of a message to several for one of them, in whose log it is."""
    if box.waits(seq):
        return State.ACCEPTED
    peer = message.conversation()
    if seq <= box.reading.get(peer, 0) and peer not in box.blocked:
        return State.READ
    return State.DELIVERED


def _newest(box: Mailbox, peer: bytes) -> int:
    """The number of the newest message in a conversation; 0 if there is none."""
    for seq in reversed(box.with_peer(peer)):
        if box.kind(seq) != GONE:
            return seq
    return 0


def _contact(box: Mailbox, asking: bytes) -> Contact:
    """A member as another one is shown it."""
    if not box.is_shown or asking in box.blocked:
        return Contact(box.number, box.member.name, shown=False, seen=0.0)
    seen = max([device.seen for device in box.devices.values()], default=0.0)
    return Contact(box.number, box.member.name, shown=True, seen=seen)
