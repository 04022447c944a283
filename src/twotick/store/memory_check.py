"""What must be true of what is kept in memory, and is not (for `MemoryStore.check`)."""

from collections import Counter
from collections.abc import Iterator

from twotick.store.memory_logs import GONE, READ_HERE, RECEIVED, Logs, Mailbox, Message
from twotick.store.memory_members import Directory
from twotick.store.records import State


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
    for box in logs.mailboxes.values():
        found += (f"{box.member.name}: {words}" for words in _mailbox_problems(box, messages))
        waiting.update(box.message(seq).number for seq in range(box.base + 1, box.last + 1) if box.waits(seq))
    for message in messages.values():
        found += (f"message {message.number}: {words}" for words in _message_problems(message, logs, waiting))
    found += _directory_problems(logs, directory)
    return found


def _mailbox_problems(box: Mailbox, messages: dict[int, Message]) -> Iterator[str]:
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


def _message_problems(message: Message, logs: Logs, waiting: Counter[int]) -> Iterator[str]:
    box = message.sender
    if box is not None and logs.mailboxes.get(box.number) is not box:
        yield "its sender does not exist"
    if box is not None and message.id and box.ids.get(message.id) is not message:
        yield "its Id is not known to its sender"
    if not message.entries() and message.number not in logs.live:
        yield "it is in no log"
    if message.waiting != waiting[message.number]:
        yield f"{waiting[message.number]} recipients do not have it, but {message.waiting} were counted"
    if message.waiting:
        sound = message.state is State.ACCEPTED
    elif message.failed:
        sound = message.state is State.FAILED and message.reason != ""
    else:
        sound = message.state is State.DELIVERED or (message.state is State.READ and message.total == 1)
    if message.failed < 0 or message.waiting + message.failed > message.total or not sound:
        yield "it is in a state that its recipients are not in"


def _directory_problems(logs: Logs, directory: Directory) -> Iterator[str]:
    names = {box.member.name.lower(): box.number for box in logs.mailboxes.values()}
    if names != {name: box.number for name, box in directory.names.items()}:
        yield "the members' names and their mailboxes differ"
    held = {
        (device.token, box.number, name)
        for box in logs.mailboxes.values()
        for name, device in box.devices.items()
        if device.token is not None
    }
    if held != {(token, box.number, name) for token, (box, name) in directory.tokens.items()}:
        yield "the tokens and the devices that have them differ"
