"""A store to ask, in fewer words."""

from pathlib import Path
from typing import Any

from twotick.store.port import Answer, Refusal, Request, StoreLimits
from twotick.store.requests.conversations import (
    ConversationInfo,
    ConversationSet,
    ListConversations,
    ListReceipts,
    SetConversation,
)
from twotick.store.requests.members import (
    AddMember,
    FindMember,
    ListDevices,
    Member,
    OpenDevice,
    OpenedDevice,
    RemoveMember,
)
from twotick.store.requests.messages import (
    Acknowledge,
    Append,
    Appended,
    Effects,
    Fetch,
    Fetched,
    History,
    LogEntry,
    MarkRead,
    MessageAction,
    MessagesPart,
    MessageState,
    Refuse,
)
from twotick.store.requests.rooms import (
    CreateRoom,
    GetRoom,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    ListRoomMembers,
    RemoveFromRoom,
    RoomChanged,
    RoomDescription,
    RoomRole,
    SetRoomRole,
)
from twotick.store.sqlite.store import SqliteStore

NOW = 1_800_000_000.0
TIME = "Time: 2027-01-15T08:00:00.000Z\n"
"""That of an event at this time."""


class Asker:
    """Asks one store, on disk or (without a folder) in memory, and keeps the numbers of members by their names."""

    def __init__(self, folder: Path | None = None, limits: StoreLimits | None = None):
        self.folder = folder
        self.limits = limits or StoreLimits()
        self.store = self.open_store()
        self.members: dict[str, int] = {}

    def open_store(self) -> SqliteStore:
        return SqliteStore(self.folder, self.limits)

    def close(self) -> None:
        self.store.close()

    def reopen(self) -> None:
        assert self.folder is not None
        self.store.close()
        self.store = self.open_store()

    def ask(self, request: Request[Answer]) -> Answer:
        return self.store.ask(request)

    def add(self, *names: str, device: str = "main") -> None:
        """Add members, each with a device that receives (none if its name is empty)."""
        for name in names:
            member = self.ask(AddMember(name, "", NOW))
            assert isinstance(member, Member)
            self.members[name] = member.number
            if device:
                self.open(name, device)

    def append(
        self,
        sender: str,
        *recipients: str,
        id: bytes = b"",  # noqa: A002
        body: bytes = b"hello",
        to: str = "",
        live: bool = False,
        expires: float | None = None,
        time: float = NOW,
        device: bytes = b"main",
    ) -> Append:
        """A message; from a guest, if the sender is no member."""
        number = self.members.get(sender)
        return Append(
            sender=number,
            sender_name=sender.encode(),
            device=device if number is not None else b"",
            id=id,
            recipient=(to or (recipients[0] if len(recipients) == 1 else "ALL")).encode(),
            members=tuple(self.members[name] for name in recipients),
            live=live,
            headers=b"X-a: 1\n",
            body=body,
            time=time,
            expires=expires,
        )

    def send(self, sender: str, *recipients: str, **more: object) -> Appended:
        result = self.ask(self.append(sender, *recipients, **more))  # type: ignore[arg-type]
        assert isinstance(result, Appended), result
        return result

    def open(self, name: str, device: str = "main", resume: int = 0) -> OpenedDevice:
        result = self.ask(OpenDevice(self.members[name], device, resume, NOW))
        assert isinstance(result, OpenedDevice), result
        return result

    def _outcome(self, request: Request[Any]) -> Effects:
        result = self.ask(request)
        assert isinstance(result, Effects), result
        return result

    def ack(self, name: str, seq: int, device: bytes = b"main") -> Effects:
        return self._outcome(Acknowledge(self.members[name], device, seq, NOW))

    def refuse(self, name: str, seq: int, device: bytes = b"main") -> Effects:
        return self._outcome(Refuse(self.members[name], device, seq, NOW))

    def read(self, name: str, peer: str, seq: int, device: bytes = b"main", *, quiet: bool = False) -> Effects:
        return self._outcome(MarkRead(self.members[name], device, peer.encode(), seq, NOW, quiet=quiet))

    def fetch(self, name: str, after: int = 0, most: int = 1000, size: int = 1 << 30) -> Fetched:
        result = self.ask(Fetch(self.members[name], after, most, size))
        assert isinstance(result, Fetched)
        return result

    def log(self, name: str) -> list[LogEntry]:
        return self.fetch(name).entries

    def history(self, name: str, peer: str = "", before: int = 0, since: float = 0, most: int = 1000) -> list[LogEntry]:
        return self.parts_of(History(self.members[name], peer.encode(), before, since, most))

    def parts_of(self, request: History) -> list[LogEntry]:
        """All that a History asks for."""
        entries: list[LogEntry] = []
        rest: Request[MessagesPart] | None = request
        while rest is not None:
            part = self.ask(rest)
            entries += part.entries
            rest = part.rest
        return entries

    def cursors(self, name: str) -> dict[str, int | None]:
        result = self.ask(ListDevices(self.members[name]))
        assert isinstance(result, list)
        return {device.name: device.cursor for device in result}

    def refusal(self, request: Request[Any]) -> str:
        result = self.ask(request)
        assert isinstance(result, Refusal), result
        return result.reason

    def remove(self, name: str) -> Effects:
        return self._outcome(RemoveMember(name, NOW))

    # Rooms

    def create(self, name: str, room: str = "#Team", *, public: bool = False, topic: str = "") -> RoomChanged:
        return self.change(CreateRoom(self.members[name], room, public, topic, NOW))

    def gather(self, *names: str, room: str = "#Team", public: bool = False) -> None:
        """Make a room of the first of these members, in which are all of them."""
        self.create(names[0], room, public=public)
        for name in names[1:]:
            self.invite(names[0], name, room)
            self.join(name, room)

    def join(self, name: str, room: str = "#team", time: float = NOW) -> RoomChanged:
        return self.change(JoinRoom(self.members[name], room, time))

    def leave(self, name: str, room: str = "#team") -> RoomChanged:
        return self.change(LeaveRoom(self.members[name], room, NOW))

    def invite(self, name: str, other: str, room: str = "#team") -> RoomChanged:
        return self.change(InviteToRoom(self.members[name], room, other, NOW))

    def dismiss(self, name: str, other: str, room: str = "#team") -> RoomChanged:
        return self.change(RemoveFromRoom(self.members[name], room, other, NOW))

    def appoint(self, name: str, other: str, role: RoomRole, room: str = "#team") -> RoomChanged:
        return self.change(SetRoomRole(self.members[name], room, other, role, NOW))

    def change(self, request: Request[Any]) -> RoomChanged:
        """Change a room, or look at it."""
        result = self.ask(request)
        assert isinstance(result, RoomChanged), result
        return result

    def look(self, name: str, room: str = "#team") -> RoomDescription:
        return self.change(GetRoom(self.members[name], room)).room

    def roles(self, name: str, room: str = "#team") -> dict[str, RoomRole]:
        """Who is in a room, longest first, as one of them sees it."""
        result = self.ask(ListRoomMembers(self.members[name], room))
        assert isinstance(result, list), result
        return {member.name: member.role for member in result}

    def speech(self, name: str, body: bytes = b"hello", id: bytes = b"", room: str = "#team") -> Append:  # noqa: A002
        """A message to a room."""
        return self.append(name, to=room, id=id, body=body)

    def say(self, name: str, body: bytes = b"hello", id: bytes = b"", room: str = "#team") -> Appended:  # noqa: A002
        """Send a message to a room."""
        result = self.ask(self.speech(name, body, id, room))
        assert isinstance(result, Appended), result
        return result

    def correction(
        self,
        name: str,
        action: MessageAction,
        about: bytes,
        body: bytes = b"",
        *,
        to: str = "#team",
        about_name: bytes = b"",
        id: bytes = b"",  # noqa: A002
        time: float = NOW + 1,
    ) -> Append:
        """A message that changes another."""
        request = self.append(name, *([to] if to in self.members else []), to=to, id=id, body=body, time=time)
        request.headers = b"X-a: 2\n"
        request.action, request.about, request.about_name = action, about, about_name
        return request

    def receipts(self, name: str, recipient: str, id: bytes) -> dict[str, MessageState]:  # noqa: A002
        result = self.ask(ListReceipts(self.members[name], recipient.encode(), id))
        assert isinstance(result, list), result
        return {each.name: MessageState(each.state) for each in result}

    def conversations(self, name: str, most: int = 1000) -> list[ConversationInfo]:
        return self.ask(ListConversations(self.members[name], most))

    def conversation(self, name: str, peer: str) -> ConversationInfo:
        (found,) = [each for each in self.conversations(name) if each.name == peer]
        return found

    def set(self, name: str, peer: str, *, muted: bool | None = None, blocked: bool | None = None) -> ConversationSet:
        result = self.ask(SetConversation(self.members[name], peer.encode(), muted, blocked, NOW))
        assert isinstance(result, ConversationSet), result
        return result

    def exists(self, name: str) -> bool:
        return self.ask(FindMember(name)) is not None


def brief(entries: list[LogEntry]) -> list[tuple[int, str, bytes]]:
    """Entries as their number, their kind, and the message's Id."""
    return [(entry.seq, entry.kind.name, entry.id) for entry in entries]


def events(entries: list[LogEntry]) -> list[str]:
    """Of entries that are events, who did what, and all that is said of it but the time."""
    return [
        " ".join([entry.peer.decode(), *entry.headers.decode().removeprefix(TIME).splitlines()])
        for entry in entries
        if entry.headers.decode().removeprefix(TIME).startswith("Event: ")
    ]


def bodies(entries: list[LogEntry]) -> list[bytes]:
    """The bodies of entries that are no events."""
    return [entry.body for entry in entries if not events([entry])]
