"""Requests about members, their devices and tokens, and invitations (docs/protocol.md, section 10)."""

# ruff: noqa: S608 - queries are put together from constants of this package, never from what came from outside

from twotick.store.port import Refusal
from twotick.store.requests.members import (
    AddInvitation,
    AddMember,
    AddToken,
    Device,
    FindMember,
    FindMembers,
    FindToken,
    ListDevices,
    ListMembers,
    Member,
    OpenDevice,
    OpenedDevice,
    RemoveMember,
    Revoke,
    SetPassword,
)
from twotick.store.requests.messages import Effects
from twotick.store.sqlite.files import FileRepository
from twotick.store.sqlite.logs import MESSAGE, RECEIVED, SENT, Logs
from twotick.store.sqlite.presence import PresenceRepository
from twotick.store.sqlite.rooms import RoomRepository


class AccountRepository:
    """Carries out requests about members and devices. Each method carries out the request that it takes; see there."""

    def __init__(self, logs: Logs, rooms: RoomRepository, files: FileRepository, presence: PresenceRepository):
        self._logs = logs
        self._rooms = rooms
        self._files = files
        self._presence = presence

    # Members

    def members(self, request: ListMembers) -> list[Member]:
        """List all members, by name."""
        rows = self._logs.execute("SELECT number, name, password FROM member ORDER BY folded")
        return [Member(*row) for row in rows]

    def find_member(self, request: FindMember) -> Member | None:
        """Find a member by name."""
        row = self._logs.execute(
            "SELECT number, name, password FROM member WHERE folded = ?", (request.name.lower(),)
        ).fetchone()
        return Member(*row) if row else None

    def find_members(self, request: FindMembers) -> list[Member]:
        """Find members by name or number."""
        found = [self.find_member(FindMember(name)) for name in request.names]
        for number in request.numbers:
            row = self._logs.execute("SELECT number, name, password FROM member WHERE number = ?", (number,)).fetchone()
            found.append(Member(*row) if row else None)
        return [member for member in found if member is not None]

    def find_token(self, request: FindToken) -> tuple[Member, str] | None:
        """Find out whose a token is."""
        row = self._logs.execute(
            "SELECT m.number, m.name, m.password, d.name FROM device d JOIN member m ON m.number = d.member"
            " WHERE d.token = ?",
            (request.digest,),
        ).fetchone()
        return (Member(*row[:3]), row[3]) if row else None

    def add_member(self, request: AddMember) -> Member | Refusal:
        """Make a name a member's (rule 10.3)."""
        logs = self._logs
        folded = request.name.lower()
        if logs.execute("SELECT 1 FROM member WHERE folded = ?", (folded,)).fetchone():
            return Refusal(f"{request.name} is a member already")
        if request.invitation is not None:
            # All that are over go as well; nothing else removes them.
            logs.execute("DELETE FROM invitation WHERE expires <= ?", (request.time,))
            used = logs.execute("DELETE FROM invitation WHERE digest = ?", (request.invitation,))
            if not used.rowcount:
                return Refusal("the invitation is not good, was used before, or is too old")
        number = logs.execute(
            "INSERT INTO member (name, folded, password, added) VALUES (?, ?, ?, ?)",
            (request.name, folded, request.password, request.time),
        ).lastrowid
        assert number is not None
        return Member(number, request.name, request.password)

    def set_password(self, request: SetPassword) -> bool:
        """Change a password."""
        changed = self._logs.execute(
            "UPDATE member SET password = ? WHERE folded = ?", (request.password, request.name.lower())
        )
        return changed.rowcount > 0

    def remove_member(self, request: RemoveMember) -> Effects | None:
        """Remove a member with all that is its own; others keep what they had of it."""
        logs = self._logs
        member = self.find_member(FindMember(request.name))
        if member is None:
            return None
        outcome = Effects()
        box = logs.mailbox(member.number)
        assert box is not None
        self._presence.keep_audience(box.number, request.time)
        self._rooms.remove_member(box, request.time, outcome)
        logs.flush()
        # From now on nobody is told what becomes of its messages.
        logs.execute(
            "UPDATE message SET sender = NULL WHERE number IN"
            f" (SELECT message FROM log WHERE member = ? AND kind = {SENT})",
            (box.number,),
        )
        logs.drop_remembered()
        failure = f"{box.name} is not a member any more"
        for row in logs.execute(
            f"SELECT {MESSAGE} FROM log l CROSS JOIN message m ON m.number = l.message"
            f" WHERE l.member = ? AND l.seq > ? AND l.kind = {RECEIVED} AND l.taken = 0 ORDER BY l.seq",
            (box.number, box.mark),
        ).fetchall():
            logs.settle(logs.message(row), failure, outcome)
        for row in logs.execute(
            f"SELECT {MESSAGE} FROM absent a CROSS JOIN message m ON m.number = a.message"
            " WHERE a.member = ? AND a.waits = 1 ORDER BY m.number",
            (box.number,),
        ).fetchall():
            message = logs.message(row)
            logs.settle(message, failure, outcome)
            logs.remove_if_unused(message)
        logs.flush()
        unused = logs.execute(
            "SELECT message.number FROM message LEFT JOIN room ON room.number = message.room"
            " WHERE waiting = 0 AND folded IS NULL AND message.number IN (SELECT message FROM log WHERE member = ?1)"
            " AND NOT EXISTS (SELECT 1 FROM log WHERE log.message = message.number AND member <> ?1)",
            (box.number,),
        ).fetchall()
        logs.remove_messages(number for (number,) in unused)
        for table in ("log", "device", "reading", "conversation", "absent", "contact"):
            logs.execute(f"DELETE FROM {table} WHERE member = ?", (box.number,))
        logs.execute("DELETE FROM contact WHERE other = ?", (box.number,))
        self._files.remove_member(box.number)
        logs.execute("DELETE FROM member WHERE number = ?", (box.number,))
        logs.drop_remembered()
        return outcome

    def add_invitation(self, request: AddInvitation) -> None:
        """Let somebody sign up."""
        self._logs.execute(
            "INSERT INTO invitation VALUES (?, ?) ON CONFLICT (digest) DO UPDATE SET expires = excluded.expires",
            (request.digest, request.expires),
        )

    # Devices

    def add_token(self, request: AddToken) -> Refusal | None:
        """Give a device a token (rule 10.8)."""
        logs = self._logs
        refusal = self._refuse_device(request.member, request.device)
        if refusal is not None:
            return refusal
        key = (request.member, request.device)
        whose = logs.execute("SELECT member, name FROM device WHERE token = ?", (request.digest,)).fetchone()
        if whose is not None and whose != key:
            return Refusal("this is the token of another device")
        logs.execute(
            "INSERT INTO device (member, name, token, seen) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (member, name) DO UPDATE SET token = excluded.token",
            (*key, request.digest, request.time),
        )
        return None

    def open_device(self, request: OpenDevice) -> OpenedDevice | Refusal:
        """Let a device receive (rules 11.2 and 11.5)."""
        logs = self._logs
        logs.flush()
        refusal = self._refuse_device(request.member, request.device)
        if refusal is not None:
            return refusal
        box = logs.mailbox(request.member)
        assert box is not None
        cursor = box.cursors.get(request.device)
        is_new = cursor is None
        if cursor is None:
            row = logs.execute(
                f"SELECT seq FROM log WHERE member = ? AND seq > ? AND kind = {RECEIVED} AND taken = 0"
                " ORDER BY seq LIMIT 1",
                (box.number, box.mark),
            ).fetchone()
            cursor = row[0] - 1 if row else box.last
            box.mark = max(box.mark, cursor)
            box.cursors[request.device] = cursor
        logs.execute(
            "INSERT INTO device (member, name, cursor, seen) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (member, name) DO UPDATE SET cursor = excluded.cursor, seen = excluded.seen",
            (box.number, request.device, cursor, request.time),
        )
        if is_new:
            logs.count(box)
        outcome = Effects()
        logs.advance(box, request.device, request.resume, request.time, outcome)
        return OpenedDevice(box.cursors[request.device], box.last, outcome)

    def devices(self, request: ListDevices) -> list[Device]:
        """List a member's devices, by name."""
        self._logs.flush()
        rows = self._logs.execute(
            "SELECT name, cursor, token IS NOT NULL, seen FROM device WHERE member = ? ORDER BY name", (request.member,)
        )
        return [Device(name, cursor, bool(has_token), seen) for name, cursor, has_token, seen in rows]

    def revoke(self, request: Revoke) -> bool:
        """Remove a device and those below it (rule 10.8)."""
        logs = self._logs
        logs.flush()
        box = logs.mailbox(request.member)  # with the devices as they are
        below = request.device + "/"
        removed = logs.execute(
            "DELETE FROM device WHERE member = ? AND (name = ? OR substr(name, 1, ?) = ?)",
            (request.member, request.device, len(below), below),
        )
        if box is not None:
            gone = [name for name in box.cursors if name == request.device or name.startswith(below)]
            for name in gone:
                del box.cursors[name]
            if gone:
                logs.count(box)
        return removed.rowcount > 0

    def _refuse_device(self, member: int, device: str) -> Refusal | None:
        """Why a device cannot be made; None if it can, or is there (rule 10.6)."""
        logs = self._logs
        if logs.mailbox(member) is None:
            return Refusal("there is no such member any more")
        names = [name for (name,) in logs.execute("SELECT name FROM device WHERE member = ?", (member,))]
        if device not in names and len(names) >= logs.limits.devices:
            return Refusal(f"too many devices; a member has at most {logs.limits.devices}")
        return None
