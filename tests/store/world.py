"""Who may see what: of everything that was said, and nothing of logs, places, states or how anything is kept."""

import re
from dataclasses import dataclass, field

from twotick.store import MessageAction


def secrets(answer: object) -> list[str]:
    """The secrets that an answer gives away, in its order."""
    return re.findall(r"secret\d+", repr(answer))


@dataclass(eq=False)
class Said:
    """Something that was said: by whom, to whom, and which members have it in their logs."""

    id: bytes
    sender: int
    name: str
    to: str
    header: str
    body: str
    holders: set[int]
    action: MessageAction = MessageAction.NONE
    edits: "list[Said]" = field(default_factory=list["Said"])
    is_blocked: bool = False
    unedited: dict[int, str] = field(default_factory=dict[int, str])
    """The body for members who had blocked who said it when it was edited."""

    def secrets(self, member: int) -> list[str]:
        """What is to be seen of it by a member who may read it: nothing if it was deleted."""
        return [secret for secret in (self.header, self.unedited.get(member, self.body)) if secret]


@dataclass(eq=False)
class Chat:
    """A room: who may read what was said in it, and from what on."""

    public: bool
    topic: str
    members: dict[int, int]
    invited: set[int] = field(default_factory=set[int])
    said: list[Said] = field(default_factory=list[Said])
    open_from: int = 0

    def is_known_to(self, member: int) -> bool:
        return self.public or member in self.members or member in self.invited

    def open_to(self, member: int) -> "list[Said]":
        """What a member may read of it."""
        return self.said[self.members[member] :] if member in self.members else []

    def readable_by(self, member: int) -> list[str]:
        """The secrets in that."""
        return [secret for said in self.open_to(member) for secret in said.secrets(member)]


class World:
    """Who may see what."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.chats: dict[str, Chat] = {}
        self.blocked: set[tuple[int, str]] = set()
        self.hidden: set[int] = set()
        self.profiles: dict[str, str] = {}
        self.wrote: set[tuple[int, int]] = set()
        self.talked: set[tuple[int, str]] = set()
        self.unread: set[tuple[int, Said]] = set()

    def say(self, said: Said) -> None:
        """Something is said to all who hold it."""
        self.said.append(said)
        if said.to in self.chats:
            self.chats[said.to].said.append(said)
        if said.action is MessageAction.NONE and said.name:
            self.unread.update((holder, said) for holder in said.holders if holder != said.sender)

    def tell(self, room: str, secret: str) -> None:
        """Something happens in a room, which all its members are told."""
        chat = self.chats[room]
        self.say(Said(b"", 0, "", room, secret, "", set(chat.members)))

    def leave(self, member: int, room: str) -> None:
        chat = self.chats[room]
        chat.members.pop(member, None)
        chat.invited.discard(member)
        if not chat.members:
            del self.chats[room]

    def held_by(self, member: int) -> list[Said]:
        return [said for said in self.said if member in said.holders]

    def found_by(self, member: int) -> set[str]:
        """All secrets in the messages that a member finds who looks for everything: in those with words."""
        open_rooms = [said for chat in self.chats.values() for said in chat.open_to(member)]
        with_words = [
            said for said in self.held_by(member) + open_rooms if said.body and said.action is MessageAction.NONE
        ]
        return {secret for said in with_words for secret in said.secrets(member)}

    def conversation(self, said: Said, member: int) -> str:
        return said.to if said.sender == member or said.to.startswith("#") else said.name

    def may_see(self, member: int) -> set[str]:
        """All secrets that may be in an answer to a member."""
        read = {secret for chat in self.chats.values() for secret in chat.readable_by(member)}
        topics = {chat.topic for chat in self.chats.values() if chat.is_known_to(member)}
        return {secret for said in self.held_by(member) for secret in said.secrets(member)} | read | topics
