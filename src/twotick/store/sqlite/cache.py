"""What the store remembers between batches.

One rule: everything is forgotten when a batch fails, when another process has written, when members or their devices
change in a way that is not followed here, and at the end of a batch that has made it too large.
"""

from typing import Final

from twotick.store.requests.files import FileHash
from twotick.store.rules.delivery import Mailbox, MessageRecord
from twotick.store.rules.rooms import RoomState

_MOST: Final = 20_000
"""The most mailboxes, of about 700 bytes each, and messages with several recipients; the most members of rooms is ten
times that."""

_FILES: Final = 256
"""The most files whose hash is computed while they are uploaded; that of others is computed at the end."""


class Cache:
    """Records that were read from the database, or will be what is written to it.

    Attributes:
        mailboxes: members, by number.
        names: their numbers, by their names in lower case.
        shared: messages that several members wait for, by number: one object in all of their mailboxes.
        rooms: rooms, by number.
        room_names: the numbers of the rooms that names in lower case mean to members, by name and member.
        hashes: the hashes of files that are being uploaded, by number.
        next_message: the number of the next message; 0 if it must be looked up.
        retention_bound: the bound of the round of retention that is under way; None for none (see retention.py).
    """

    def __init__(self) -> None:
        self.mailboxes: dict[int, Mailbox] = {}
        self.names: dict[bytes, int] = {}
        self.shared: dict[int, MessageRecord] = {}
        self.rooms: dict[int, RoomState] = {}
        self.room_names: dict[bytes, dict[int, int]] = {}
        self.hashes: dict[int, FileHash] = {}
        self.next_message = 0
        self.retention_bound: float | None = None
        self._room_members = 0

    @property
    def is_too_large(self) -> bool:
        """Whether everything should be forgotten once nothing waits to be written."""
        return max(len(self.mailboxes), len(self.shared), self._room_members // 10) > _MOST

    def forget(self) -> None:
        """Forget everything."""
        self.mailboxes.clear()
        self.names.clear()
        self.shared.clear()
        self.rooms.clear()
        self.room_names.clear()
        self.hashes.clear()
        self.next_message = 0
        self.retention_bound = None
        self._room_members = 0

    def add_mailbox(self, box: Mailbox) -> Mailbox:
        """Remember a member."""
        self.mailboxes[box.number] = box
        self.names[box.folded] = box.number
        return box

    def add_room(self, room: RoomState, members: int) -> None:
        """Remember a room, of which so many members were not remembered before."""
        self.rooms[room.number] = room
        self._room_members += members

    def note_room_name(self, name: bytes, member: int, number: int) -> None:
        """Remember which room a name means to a member."""
        meanings = self.room_names.setdefault(name, {})
        if member not in meanings:
            meanings[member] = number
            self._room_members += 1

    def share(self, message: MessageRecord) -> MessageRecord:
        """Return the object for a message that all mailboxes use, if several members wait for it."""
        if message.total == 1 or not message.waiting:
            return message
        return self.shared.setdefault(message.number, message)

    def keep_hash(self, file: int, sha256: FileHash) -> None:
        """Remember the hash of the first bytes of a file, in place of the file that has waited longest."""
        self.hashes[file] = sha256
        if len(self.hashes) > _FILES:
            del self.hashes[next(iter(self.hashes))]
