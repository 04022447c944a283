"""A store to ask, in fewer words."""

from pathlib import Path

from twotick.store.memory import MemoryStore
from twotick.store.records import (
    Acknowledge,
    AddMember,
    Append,
    Appended,
    Device,
    Devices,
    Entry,
    Fetch,
    Fetched,
    FindMember,
    History,
    MarkRead,
    Member,
    OpenDevice,
    Opened,
    Outcome,
    Refusal,
    Refuse,
    RemoveMember,
    StoreLimits,
)
from twotick.store.requests import Request, Result
from twotick.store.sqlite import SqliteStore

NOW = 1_800_000_000.0


class Asker:
    """Asks one store, on disk or (without a folder) in memory, and keeps the numbers of members by their names."""

    def __init__(self, folder: Path | None = None, limits: StoreLimits | None = None):
        self.folder = folder
        self.limits = limits or StoreLimits()
        self.store: SqliteStore | MemoryStore
        self.store = SqliteStore(folder, self.limits) if folder else MemoryStore(self.limits)
        self.members: dict[str, int] = {}

    @property
    def disk(self) -> SqliteStore:
        """The store, where it must be one on disk."""
        assert isinstance(self.store, SqliteStore)
        return self.store

    def reopen(self) -> None:
        assert self.folder is not None
        self.store.close()
        self.store = SqliteStore(self.folder, self.limits)

    def ask(self, request: Request) -> Result:
        (result,) = self.store.apply([request])
        return result

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
            number,
            sender.encode(),
            device if number is not None else b"",
            id,
            (to or (recipients[0] if len(recipients) == 1 else "ALL")).encode(),
            tuple(self.members[name] for name in recipients),
            live,
            b"X-a: 1\n",
            body,
            time,
            expires,
        )

    def send(self, sender: str, *recipients: str, **more: object) -> Appended:
        result = self.ask(self.append(sender, *recipients, **more))  # type: ignore[arg-type]
        assert isinstance(result, Appended), result
        return result

    def open(self, name: str, device: str = "main", resume: int = 0) -> Opened:
        result = self.ask(OpenDevice(self.members[name], device, resume, NOW))
        assert isinstance(result, Opened), result
        return result

    def _outcome(self, request: Request) -> Outcome:
        result = self.ask(request)
        assert isinstance(result, Outcome), result
        return result

    def ack(self, name: str, seq: int, device: bytes = b"main") -> Outcome:
        return self._outcome(Acknowledge(self.members[name], device, seq, NOW))

    def refuse(self, name: str, seq: int, device: bytes = b"main") -> Outcome:
        return self._outcome(Refuse(self.members[name], device, seq, NOW))

    def read(self, name: str, peer: str, seq: int, device: bytes = b"main") -> Outcome:
        return self._outcome(MarkRead(self.members[name], device, peer.encode(), seq, NOW))

    def fetch(self, name: str, after: int = 0, most: int = 1000, size: int = 1 << 30) -> Fetched:
        result = self.ask(Fetch(self.members[name], after, most, size))
        assert isinstance(result, Fetched)
        return result

    def log(self, name: str) -> list[Entry]:
        return self.fetch(name).entries

    def history(self, name: str, peer: str = "", before: int = 0, since: float = 0, most: int = 1000) -> list[Entry]:
        result = self.ask(History(self.members[name], peer.encode(), before, since, most))
        assert isinstance(result, Fetched)
        return result.entries

    def cursors(self, name: str) -> dict[str, int | None]:
        result = self.ask(Devices(self.members[name]))
        assert isinstance(result, list)
        return {device.name: device.cursor for device in result if isinstance(device, Device)}

    def refusal(self, request: Request) -> str:
        result = self.ask(request)
        assert isinstance(result, Refusal), result
        return result.reason

    def remove(self, name: str) -> Outcome:
        return self._outcome(RemoveMember(name, NOW))

    def exists(self, name: str) -> bool:
        return self.ask(FindMember(name)) is not None


def brief(entries: list[Entry]) -> list[tuple[int, str, bytes]]:
    """Entries as their number, their kind, and the message's Id."""
    return [(entry.seq, entry.kind.name, entry.id) for entry in entries]
