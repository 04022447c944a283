"""What must be true of what is kept in memory, and is not (for `MemoryStore.check`)."""

from collections import Counter
from collections.abc import Iterator

from twotick.store.memory_logs import Logs
from twotick.store.memory_mailboxes import GONE, READ_HERE, RECEIVED, Mailbox, Message, RoomLog
from twotick.store.memory_members import Directory
from twotick.store.records import State
from twotick.store.room_records import Role


def problems(logs: Logs, directory: Directory) -> list[str]:
    """Look for what must not be.

    Returns:
        The problems in words.
    """
    found: list[str] = []
    messages: dict[int, Message] = {}
    message = logs.ends.after
    while message is not logs.ends:
        if message.before.after is not message or message.number in messages:
            return [f"the list of messages is broken at message {message.number}"]
        messages[message.number] = message
        message = message.after
    waiting: Counter[int] = Counter(logs.live.keys())
    for key, room in logs.rooms.items():
        found += (f"{key.decode()}: {words}" for words in _room_problems(key, room, logs, messages))
    for box in logs.mailboxes.values():
        found += (f"{box.member.name}: {words}" for words in _mailbox_problems(box, logs, messages))
        waiting.update(box.message(seq).number for seq in range(box.base + 1, box.last + 1) if box.waits(seq))
        waiting.update(box.shut_out.keys())
    for message in messages.values():
        found += (f"message {message.number}: {words}" for words in _message_problems(message, logs, waiting))
    found += _directory_problems(logs, directory)
    return found


def _room_problems(key: bytes, room: RoomLog, logs: Logs, messages: dict[int, Message]) -> Iterator[str]:
    state = room.state
    if state.key != key or state.last != room.base + len(room.messages):
        yield "it does not have the name or the length that it should have"
    roles = Counter(membership.role for membership in state.members.values())
    if roles[Role.OWNER] != 1 or roles[Role.NONE] or state.touched or state.invited & state.members.keys():
        yield "its members do not have the roles that they should have"
    if not (state.members.keys() | state.invited) <= logs.mailboxes.keys():
        yield "somebody is in it or invited who is no member"
    for place, message in enumerate(room.messages, room.base + 1):
        if message is None:
            continue
        special = message.special
        if messages.get(message.number) is not message or special is None:
            yield f"at place {place} is a message that does not exist"
        elif special.room is not room or special.place != place:
            yield f"at place {place} is a message that is elsewhere"


def _mailbox_problems(box: Mailbox, logs: Logs, messages: dict[int, Message]) -> Iterator[str]:
    if not len(box.kinds) == len(box.messages) == box.last - box.base:
        yield "the log does not have the length that it should have"
        return
    for seq in range(box.base + 1, box.last + 1):
        kind, message = box.kind(seq), box.message(seq)
        if kind == GONE:
            continue
        if messages.get(message.number) is not message:
            yield f"entry {seq} is about a message that does not exist"
        if (box, seq) not in message.entries():
            yield f"entry {seq} is not known to its message"
        if kind == READ_HERE and seq not in box.here:
            yield f"what was read is not noted for entry {seq}"
    for seq in box.here:
        if box.kind(seq) != READ_HERE:
            yield f"what was read is noted for entry {seq} and should not be"
    for seq in box.taken:
        if seq <= box.mark or box.kind(seq) != RECEIVED:
            yield f"entry {seq} is noted as taken and should not be"
    if not 0 <= box.floor <= box.mark <= box.last or box.floor != box.lowest_cursor():
        yield f"the cursors do not go with the floor {box.floor}, the mark {box.mark} and the end {box.last}"
    entries, size = box.held(box.floor, box.last)
    if (entries, size) != (box.entries, box.size):
        yield f"the mailbox holds {entries} messages with {size} bytes, but {box.entries} with {box.size} were counted"
    for ident, message in box.ids.items():
        if message.sender is not box or message.id != ident or messages.get(message.number) is not message:
            yield f"the Id {ident!r} is of a message that has another, or is not there"
    for key, room in box.rooms.items():
        if logs.rooms.get(key) is not room or box.number not in room.state.members:
            yield f"it is not in {key.decode()}"
    if sum(box.number in room.state.members for room in logs.rooms.values()) != len(box.rooms):
        yield "it is in a room and does not know"
    if box.blocked != {peer for peer, setting in box.settings.items() if setting.blocked}:
        yield "it is not settled who is blocked"
    for number, message in box.shut_out.items():
        if messages.get(number) is not message or message.special is None or box not in message.special.shut_out:
            yield f"message {number} is not kept from it"
    for other in logs.mailboxes.values():
        if (other.number in box.written) != (box.number in other.writers):
            yield f"it is not settled whether it has written to {other.member.name}"


def _message_problems(message: Message, logs: Logs, waiting: Counter[int]) -> Iterator[str]:
    box = message.sender
    if box is not None and logs.mailboxes.get(box.number) is not box:
        yield "its sender does not exist"
    if box is not None and message.id and box.ids.get(message.id) is not message:
        yield "its Id is not known to its sender"
    special = message.special
    is_kept = message.is_in_room() or (special is not None and special.shut_out)
    if not is_kept and not message.entries() and message.number not in logs.live:
        yield "it is in no log"
    if special is None:
        return
    if special.room is not None and logs.rooms.get(special.room_name.lower()) is not special.room:
        yield "its room is gone"
    for each in special.shut_out:
        if each.shut_out.get(message.number) is not message:
            yield "who has blocked its sender does not know of it"
    if message.waiting != waiting[message.number]:
        yield f"{waiting[message.number]} recipients do not have it, but {message.waiting} were counted"
    if message.waiting:
        sound = message.state is State.ACCEPTED
    elif message.failed:
        sound = message.state is State.FAILED and message.reason != ""
    else:
        sound = message.state is State.DELIVERED or (
            message.state is State.READ and message.total == 1 and not message.is_in_room()
        )
    if message.failed < 0 or message.waiting + message.failed > message.total or not sound:
        yield "it is in a state that its recipients are not in"


def _directory_problems(logs: Logs, directory: Directory) -> Iterator[str]:
    names = {box.member.name.lower(): box.number for box in logs.mailboxes.values()}
    if names != {name: box.number for name, box in logs.names.items()}:
        yield "the members' names and their mailboxes differ"
    held = {
        (device.token, box.number, name)
        for box in logs.mailboxes.values()
        for name, device in box.devices.items()
        if device.token is not None
    }
    if held != {(token, box.number, name) for token, (box, name) in directory.tokens.items()}:
        yield "the tokens and the devices that have them differ"
