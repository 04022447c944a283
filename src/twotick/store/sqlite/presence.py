"""Requests about who is here (docs/protocol.md, section 15)."""

# ruff: noqa: S608 - queries are put together from constants of this package, never from what came from outside

from twotick.store.requests.presence import Contact, ListAudience, ListContacts, SetShown
from twotick.store.rules.rooms import FAREWELL, SEEN_MOST
from twotick.store.sqlite.logs import Logs
from twotick.store.sqlite.rooms import RoomRepository

_MATES = (
    "SELECT o.member FROM room_member own CROSS JOIN room_member o ON o.room = own.room"
    " WHERE own.member = ?1 AND o.member <> ?1"
)
_NOT_BLOCKED = (
    "NOT EXISTS (SELECT 1 FROM member m CROSS JOIN conversation c ON c.member = ?1 AND c.peer = CAST(m.folded AS BLOB)"
    " WHERE m.number = {} AND c.blocked = 1)"
)
_WRITTEN = f"SELECT other FROM contact WHERE member = ?1 AND {_NOT_BLOCKED.format('other')}"
_SEEING_MATES = f"SELECT DISTINCT member FROM ({_MATES}) AS mate WHERE {_NOT_BLOCKED.format('mate.member')}"


class PresenceRepository:
    """Carries out requests about presence. Each method carries out the request that it takes; see there."""

    def __init__(self, logs: Logs, rooms: RoomRepository):
        self._logs = logs
        self._rooms = rooms

    def audience(self, request: ListAudience) -> list[int]:
        """See who may see whether a member is here."""
        member = request.member
        peer = request.peer.lower()
        if not self.set_shown(SetShown(member, None)):
            if not request.is_gone:
                return []
            return self._numbers("SELECT other FROM farewell WHERE member = ? ORDER BY other", member)
        if peer[:1] == b"#":
            room = self._rooms.find(peer)
            if room is None or member not in room.members:
                return []
            return self._numbers(
                "SELECT member FROM room_member o WHERE room = ?2 AND member <> ?1"
                f" AND {_NOT_BLOCKED.format('o.member')} ORDER BY member",
                member,
                room.number,
            )
        if peer:
            return self._numbers(
                "SELECT number FROM member o WHERE folded = ?2 AND number <> ?1"
                f" AND (number IN (SELECT other FROM contact WHERE member = ?1) OR number IN ({_MATES}))"
                f" AND {_NOT_BLOCKED.format('o.number')}",
                member,
                peer.decode(errors="replace"),
            )
        return self._first(f"{_WRITTEN} ORDER BY other", f"{_SEEING_MATES} ORDER BY member", member)

    def keep_audience(self, member: int, time: float) -> None:
        """A member is about to be removed: those who may see it are its audience from then on."""
        for other in self.audience(ListAudience(member, b"")):
            self._logs.execute("INSERT INTO farewell VALUES (?, ?, ?)", (member, other, time))

    def prune(self, time: float) -> None:
        """Forget who could see members that were removed a while before a time."""
        self._logs.execute("DELETE FROM farewell WHERE time < ?", (time - FAREWELL,))

    def contacts(self, request: ListContacts) -> list[Contact]:
        """See whose presence a member may see."""
        logs = self._logs
        logs.flush()
        box = logs.mailbox(request.member)
        if box is None:
            return []
        if request.room:
            room = self._rooms.find(request.room.lower())
            is_in = room is not None and box.number in room.members
            numbers = sorted(room.others(box.number))[:SEEN_MOST] if room is not None and is_in else []
        else:
            numbers = self._first(
                "SELECT member FROM contact WHERE other = ?1 ORDER BY member",
                f"SELECT DISTINCT member FROM ({_MATES}) ORDER BY member",
                box.number,
            )
        found: list[tuple[str, Contact]] = []
        for number in numbers:
            folded, name, shown, seen = logs.execute(
                "SELECT folded, name, shown AND NOT EXISTS (SELECT 1 FROM conversation"
                " WHERE member = o.number AND peer = ? AND blocked = 1),"
                " (SELECT max(seen) FROM device WHERE member = o.number) FROM member o WHERE number = ?",
                (box.folded, number),
            ).fetchone()
            found.append((folded, Contact(number, name, bool(shown), (seen or 0.0) if shown else 0.0)))
        return [contact for _, contact in sorted(found, key=lambda each: each[0])]

    def set_shown(self, request: SetShown) -> bool:
        """Note whether others may see that a member is here, or ask."""
        logs = self._logs
        if request.shown is not None:
            logs.execute("UPDATE member SET shown = ? WHERE number = ?", (int(request.shown), request.member))
        row = logs.execute("SELECT shown FROM member WHERE number = ?", (request.member,)).fetchone()
        return bool(row and row[0])

    def _first(self, better: str, others: str, member: int) -> list[int]:
        """The first numbers of two lists, in order: all of the one, and as many of the other as there is room for.

        Args:
            better: the query for the one.
            others: the query for the other.
            member: who asks.
        """
        numbers = set(self._numbers(f"{better} LIMIT {SEEN_MOST}", member))
        for number in self._numbers(f"{others} LIMIT {SEEN_MOST}", member):
            if len(numbers) == SEEN_MOST:
                break
            numbers.add(number)
        return sorted(numbers)

    def _numbers(self, query: str, *parameters: object) -> list[int]:
        return [number for (number,) in self._logs.execute(query, parameters)]
