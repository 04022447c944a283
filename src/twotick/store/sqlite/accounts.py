"""Members, their devices and tokens, and invitations (docs/protocol.md, section 10)."""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from typing import Final

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
from twotick.store.requests.messages import Effects, Unfinished
from twotick.store.rules import delivery
from twotick.store.rules.delivery import Mailbox
from twotick.store.rules.errors import NotAllowed
from twotick.store.sqlite.files import FileRepository
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import MESSAGE, RECEIVED, SENT, Ledger
from twotick.store.sqlite.presence import PresenceRepository
from twotick.store.sqlite.rooms import RoomRepository

_MEMBER: Final = "SELECT number, name, password FROM member"
_RESUME_AT_ONCE: Final = 512
"""The entries that a device says it has, of those that no device had, after which a transaction ends."""

_OWN_TABLES: Final = ("log", "device", "reading", "conversation", "absent", "contact", "room_stay")
"""The tables with rows of a member that go with the member."""


class AccountRepository:
    """Carries out requests about members and devices.

    Args:
        ledger: the logs.
        rooms: what a member leaves when it is removed.
        files: what remains of its files.
        presence: remembers who could see it.
    """

    def __init__(self, ledger: Ledger, rooms: RoomRepository, files: FileRepository, presence: PresenceRepository):
        self._ledger = ledger
        self._tables = ledger.tables
        self._rooms = rooms
        self._files = files
        self._presence = presence

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            ListMembers: self._list_members,
            FindMember: self._find_member,
            FindMembers: self._find_members,
            FindToken: self._find_token,
            AddMember: refusing(self._add_member),
            SetPassword: self._set_password,
            RemoveMember: self._remove_member,
            AddInvitation: self._add_invitation,
            AddToken: refusing(self._add_token),
            OpenDevice: refusing(self._open_device),
            ListDevices: self._list_devices,
            Revoke: self._revoke,
        }

    # Members

    def _list_members(self, request: ListMembers) -> list[Member]:
        return [Member(*row) for row in self._tables.direct(f"{_MEMBER} ORDER BY folded")]

    def _find_member(self, request: FindMember) -> Member | None:
        return self._one("folded = ?", request.name.lower())

    def _find_members(self, request: FindMembers) -> list[Member]:
        found = [self._one("folded = ?", name.lower()) for name in request.names]
        found += [self._one("number = ?", number) for number in request.numbers]
        return [member for member in found if member is not None]

    def _one(self, which: str, key: str | int) -> Member | None:
        row = self._tables.direct(f"{_MEMBER} WHERE {which}", (key,)).fetchone()
        return Member(*row) if row else None

    def _find_token(self, request: FindToken) -> tuple[Member, str] | None:
        row = self._tables.direct(
            "SELECT m.number, m.name, m.password, d.name FROM device d JOIN member m ON m.number = d.member"
            " WHERE d.token = ?",
            (request.digest,),
        ).fetchone()
        return (Member(*row[:3]), row[3]) if row else None

    def _add_member(self, request: AddMember) -> Member:
        direct = self._tables.direct
        folded = request.name.lower()
        if self._one("folded = ?", folded) is not None:
            raise NotAllowed(f"{request.name} is a member already")
        if request.invitation is not None:
            # Nothing else removes expired invitations.
            direct("DELETE FROM invitation WHERE expires <= ?", (request.time,))
            used = direct("DELETE FROM invitation WHERE digest = ?", (request.invitation,))
            if not used.rowcount:
                raise NotAllowed("the invitation is not good, was used before, or is too old")
        number = direct(
            "INSERT INTO member (name, folded, password, added) VALUES (?, ?, ?, ?)",
            (request.name, folded, request.password, request.time),
        ).lastrowid
        assert number is not None
        return Member(number, request.name, request.password)

    def _set_password(self, request: SetPassword) -> bool:
        changed = self._tables.direct(
            "UPDATE member SET password = ? WHERE folded = ?", (request.password, request.name.lower())
        )
        return changed.rowcount > 0

    def _add_invitation(self, request: AddInvitation) -> None:
        self._tables.direct(
            "INSERT INTO invitation VALUES (?, ?) ON CONFLICT (digest) DO UPDATE SET expires = excluded.expires",
            (request.digest, request.expires),
        )

    # Removing a member

    def _remove_member(self, request: RemoveMember) -> Effects | None:
        member = self._one("folded = ?", request.name.lower())
        if member is None:
            return None
        effects = Effects()
        box = self._ledger.mailbox(member.number)
        assert box is not None, "the member was just found"
        self._presence.keep_audience(box.number, request.time)
        self._rooms.remove_member(box, request.time, effects)
        self._disown(box)
        self._fail_waiting(box, effects)
        self._remove_unused(box)
        tables = self._tables
        for table in _OWN_TABLES:
            tables.write(f"DELETE FROM {table} WHERE member = ?", (box.number,))
        tables.write("DELETE FROM contact WHERE other = ?", (box.number,))
        self._files.remove_member(box.number)
        tables.write("DELETE FROM member WHERE number = ?", (box.number,))
        self._forget()
        return effects

    def _disown(self, box: Mailbox) -> None:
        """Remove the sender from a member's messages, so that their states are no longer reported."""
        self._tables.write(
            "UPDATE message SET sender = NULL WHERE number IN"
            f" (SELECT message FROM log WHERE member = ? AND kind = {SENT})",
            (box.number,),
        )
        self._forget()

    def _fail_waiting(self, box: Mailbox, effects: Effects) -> None:
        """Let messages that wait for a member fail."""
        ledger, tables = self._ledger, self._tables
        failure = f"{box.name} is not a member any more"
        for row in tables.read(
            f"SELECT {MESSAGE} FROM log l CROSS JOIN message m ON m.number = l.message"
            f" WHERE l.member = ? AND l.seq > ? AND l.kind = {RECEIVED} AND l.taken = 0 ORDER BY l.seq",
            (box.number, box.delivered),
        ).fetchall():
            ledger.settle(ledger.message(row), failure, effects)
        for row in tables.read(
            f"SELECT {MESSAGE} FROM absent a CROSS JOIN message m ON m.number = a.message"
            " WHERE a.member = ? AND a.waits = 1 ORDER BY m.number",
            (box.number,),
        ).fetchall():
            message = ledger.message(row)
            ledger.settle(message, failure, effects)
            ledger.remove_if_unused(message)

    def _remove_unused(self, box: Mailbox) -> None:
        """Remove messages that are in no other log and in no room."""
        unused = self._tables.read(
            "SELECT message.number FROM message LEFT JOIN room ON room.number = message.room"
            " WHERE waiting = 0 AND folded IS NULL AND message.number IN (SELECT message FROM log WHERE member = ?1)"
            " AND NOT EXISTS (SELECT 1 FROM log WHERE log.message = message.number AND member <> ?1)",
            (box.number,),
        ).fetchall()
        self._ledger.remove(number for (number,) in unused)

    def _forget(self) -> None:
        """Forget what is remembered, which changed in the database, once nothing waits."""
        self._tables.flush()
        self._tables.cache.forget()

    # Devices

    def _add_token(self, request: AddToken) -> None:
        self._check_device(request.member, request.device)
        direct = self._tables.direct
        key = (request.member, request.device)
        owner = direct("SELECT member, name FROM device WHERE token = ?", (request.digest,)).fetchone()
        if owner is not None and owner != key:
            raise NotAllowed("this is the token of another device")
        direct(
            "INSERT INTO device (member, name, token, seen) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (member, name) DO UPDATE SET token = excluded.token",
            (*key, request.digest, request.time),
        )

    def _open_device(self, request: OpenDevice) -> OpenedDevice | Unfinished:
        ledger, tables = self._ledger, self._tables
        box = self._check_device(request.member, request.device)
        cursor = box.cursors.get(request.device)
        is_new = cursor is None
        if cursor is None:
            row = tables.read(
                f"SELECT seq FROM log WHERE member = ? AND seq > ? AND kind = {RECEIVED} AND taken = 0"
                " ORDER BY seq LIMIT 1",
                (box.number, box.delivered),
            ).fetchone()
            cursor = delivery.add_device(box, request.device, row[0] if row else None)
        tables.write(
            "INSERT INTO device (member, name, cursor, seen) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (member, name) DO UPDATE SET cursor = excluded.cursor, seen = excluded.seen",
            (box.number, request.device, cursor, request.time),
        )
        if is_new:
            ledger.recount(box)
        effects = Effects()
        end = max(box.delivered, cursor) + _RESUME_AT_ONCE
        ledger.advance(box, request.device, min(request.resume, end), request.time, effects)
        if end < min(request.resume, box.last):
            return Unfinished(request, effects)
        return OpenedDevice(box.cursors[request.device], box.last, effects)

    def _list_devices(self, request: ListDevices) -> list[Device]:
        rows = self._tables.read(
            "SELECT name, cursor, token IS NOT NULL, seen FROM device WHERE member = ? ORDER BY name", (request.member,)
        )
        return [Device(name, cursor, bool(has_token), seen) for name, cursor, has_token, seen in rows]

    def _revoke(self, request: Revoke) -> bool:
        box = self._ledger.mailbox(request.member)  # with the devices as they are
        below = request.device + "/"
        removed = self._tables.write(
            "DELETE FROM device WHERE member = ? AND (name = ? OR substr(name, 1, ?) = ?)",
            (request.member, request.device, len(below), below),
        )
        if box is not None and delivery.remove_devices(box, request.device):
            self._ledger.recount(box)
        return removed.rowcount > 0

    def _check_device(self, member: int, device: str) -> Mailbox:
        """Return a member's mailbox, if the member has or may have a device (rule 10.6).

        Raises:
            NotAllowed: there is no such member, or it has too many devices.
        """
        box = self._ledger.mailbox(member)
        if box is None:
            raise NotAllowed("there is no such member any more")
        names = [name for (name,) in self._tables.direct("SELECT name FROM device WHERE member = ?", (member,))]
        refusal = delivery.refuse_device(names, device, self._ledger.limits)
        if refusal is not None:
            raise NotAllowed(refusal)
        return box
