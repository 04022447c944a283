"""Members, their devices and tokens, and invitations (docs/protocol.md, section 10)."""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from dataclasses import replace
from typing import Any, Final

from twotick.store.requests.members import (
    AddInvitation,
    AddMember,
    AddToken,
    CheckLogin,
    Device,
    FindMember,
    FindMembers,
    FindReset,
    FindToken,
    ListDevices,
    ListFull,
    ListMembers,
    LoginProof,
    Member,
    MemberSummary,
    OpenDevice,
    OpenedDevice,
    Revoke,
    RevokeOthers,
    SetPassword,
    SurveyMembers,
)
from twotick.store.requests.messages import Effects, Unfinished
from twotick.store.rules import delivery
from twotick.store.rules.delivery import Mailbox
from twotick.store.rules.errors import DISABLED, NotAllowed
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import CURSOR_STEP, MEMBERS, Ledger

_MEMBER: Final = f"SELECT number, name, password, disabled, operator, bot FROM member WHERE {MEMBERS}"
_SURVEY: Final = f"""
    SELECT o.name, o.added,
        (SELECT count(*) FROM device d WHERE d.member = o.number),
        (SELECT max(d.seen) FROM device d WHERE d.member = o.number),
        o.entries, o.bytes,
        (SELECT m.time FROM log l JOIN message m ON m.number = l.message
            WHERE o.entries > 0 AND l.member = o.number AND l.seq > o.mark AND l.kind = 1 AND l.taken = 0
            ORDER BY l.seq LIMIT 1),
        (SELECT CAST(coalesce(sum(f.size), 0) AS bigint) FROM file f WHERE f.member = o.number AND f.key IS NOT NULL),
        o.display, o.disabled, o.operator
    FROM (SELECT * FROM member WHERE {MEMBERS} AND folded > ? AND folded LIKE ?
        ORDER BY folded LIMIT ?) o ORDER BY o.folded
"""
_FULL: Final = f"SELECT name FROM member WHERE {MEMBERS} AND (entries >= ? OR bytes >= ?) ORDER BY folded LIMIT ?"
_LIST: Final = 1000
_ALL: Final = 1 << 60
_RESUME_AT_ONCE: Final = 512
"""The entries that a device says it has, of those that no device had, after which a transaction ends."""
_HAS_LAPSED: Final = "cursor IS NULL AND told > seen"
"""Whether a device has stayed away for so long that it starts again from history."""


class AccountRepository:
    """Carries out requests about members and devices.

    Args:
        ledger: the logs.
    """

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        self._tables = ledger.tables

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            ListMembers: self._list_members,
            SurveyMembers: self._survey,
            ListFull: self._list_full,
            FindMember: self._find_member,
            FindMembers: self._find_members,
            FindToken: self._find_token,
            AddMember: refusing(self._add_member),
            FindReset: self._find_reset,
            SetPassword: self._set_password,
            AddInvitation: self._add_invitation,
            AddToken: refusing(self._add_token),
            CheckLogin: refusing(self._check_login),
            OpenDevice: refusing(self._open_device),
            ListDevices: self._list_devices,
            Revoke: self._revoke,
            RevokeOthers: self._revoke_others,
        }

    # Members

    def _list_members(self, request: ListMembers) -> list[Member]:
        return [_member(row) for row in self._tables.direct(f"{_MEMBER} ORDER BY folded")]

    def _survey(self, request: SurveyMembers) -> list[MemberSummary]:
        find = request.find.lower()
        if find and not find.isalnum():  # as no name is
            return []
        parameters = (request.after.lower(), f"%{find}%", request.most or _ALL)
        self._tables.work += 8 * request.most
        return [
            MemberSummary(*row, disabled=since or None, operator=bool(operator))
            for *row, since, operator in self._tables.read(_SURVEY, parameters)
        ]

    def _list_full(self, _request: ListFull) -> list[str]:
        limits = self._ledger.limits
        rows = self._tables.read(_FULL, (limits.mailbox_entries, limits.mailbox_bytes, _LIST))
        return [name for (name,) in rows]

    def _find_member(self, request: FindMember) -> Member | None:
        return self.find(request.name)

    def find(self, name: str) -> Member | None:
        """Return the member with a name, in any case; None if there is none."""
        return self._one("folded = ?", name.lower())

    def _find_members(self, request: FindMembers) -> list[Member]:
        found = [self._one("folded = ?", name.lower()) for name in request.names]
        found += [self._one("number = ?", number) for number in request.numbers]
        self._tables.work += 2 * len(found)
        return [member for member in found if member is not None]

    def _one(self, which: str, key: str | int) -> Member | None:
        row = self._tables.direct(f"{_MEMBER} AND {which}", (key,)).fetchone()
        return _member(row) if row else None

    def _find_token(self, request: FindToken) -> tuple[Member, str] | None:
        row = self._tables.direct(
            "SELECT m.number, m.name, m.password, m.disabled, m.operator, m.bot, d.name"
            " FROM device d JOIN member m ON m.number = d.member WHERE d.token = ?",
            (request.digest,),
        ).fetchone()
        return (_member(row[:6]), row[6]) if row else None

    def _add_member(self, request: AddMember) -> Member:
        direct = self._tables.direct
        folded = request.name.lower()
        owner = self._one("folded = ?", folded)
        if owner is not None:
            return self._reset(owner, request)
        if request.invitation is not None:
            # Nothing else removes expired invitations.
            direct("DELETE FROM invitation WHERE expires <= ?", (request.time,))
            used = direct("DELETE FROM invitation WHERE digest = ? AND member IS NULL", (request.invitation,))
            if not used.rowcount:
                raise NotAllowed("the invitation is not good, was used before, or is too old", "invitation")
        (number,) = direct(
            "INSERT INTO member (name, folded, password, added) VALUES (?, ?, ?, ?) RETURNING number",
            (request.name, folded, request.password, request.time),
        ).fetchone()
        return Member(number, request.name, request.password)

    def _reset(self, member: Member, request: AddMember) -> Member:
        """Set a new password for a member, with a code that the operator has given out."""
        if not self._find_reset(FindReset(member.name, request.reset or b"", request.time)):
            raise NotAllowed(f"{request.name} is a member already", "taken")
        if member.disabled:  # the code stays good until the member is enabled
            raise NotAllowed(DISABLED, "disabled")
        self._set_password(SetPassword(member.name, request.password))
        return replace(member, password=request.password)

    def _find_reset(self, request: FindReset) -> bool:
        row = self._tables.direct(
            "SELECT 1 FROM invitation i JOIN member m ON m.number = i.member"
            " WHERE i.digest = ? AND m.folded = ? AND i.expires > ?",
            (request.digest, request.name.lower(), request.time),
        ).fetchone()
        return row is not None

    def _set_password(self, request: SetPassword) -> bool:
        """Set a password; a code that was given out to set one is void from then on."""
        folded = request.name.lower()
        self._tables.direct(
            "DELETE FROM invitation WHERE member = (SELECT number FROM member WHERE folded = ?)", (folded,)
        )
        changed = self._tables.direct("UPDATE member SET password = ? WHERE folded = ?", (request.password, folded))
        return changed.rowcount > 0

    def _add_invitation(self, request: AddInvitation) -> None:
        self._tables.direct(
            "INSERT INTO invitation (digest, expires, member) VALUES (?, ?, ?)"
            " ON CONFLICT (digest) DO UPDATE SET expires = excluded.expires",
            (request.digest, request.expires, request.member),
        )

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

    def _check_login(self, request: CheckLogin) -> None:
        self._check_credential(request.member, request.credential)

    def _check_credential(self, member: int, credential: LoginProof) -> None:
        """Check that a login is still right.

        Raises:
            NotAllowed: its token was withdrawn, the password is another one now, or the member is disabled.
        """
        box = self._ledger.mailbox(member)
        if box is not None and box.disabled:
            raise NotAllowed(DISABLED, "disabled")
        if credential.token is not None:
            sql = "SELECT 1 FROM device WHERE member = ? AND token = ?"
        else:
            sql = "SELECT 1 FROM member WHERE number = ? AND password = ?"
        value = credential.password if credential.token is None else credential.token
        if self._tables.direct(sql, (member, value)).fetchone() is None:
            raise NotAllowed("wrong name, password or token", "login")

    def _open_device(self, request: OpenDevice) -> OpenedDevice | Unfinished:
        ledger, tables = self._ledger, self._tables
        if request.credential is not None:
            self._check_credential(request.member, request.credential)
        box = self._check_device(request.member, request.device)
        if box.disabled:  # also a device that needs no credential, such as a hook
            raise NotAllowed(DISABLED, "disabled")
        cursor = box.cursors.get(request.device)
        if cursor is None:  # it begins at the end of the log, but before the first message that waits (rule 11.2)
            if ledger.skip_delivered(box):
                return Unfinished(request)
            cursor = box.cursors[request.device] = box.delivered
        tables.write(
            "INSERT INTO device (member, name, cursor, seen) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (member, name) DO UPDATE SET cursor = excluded.cursor, seen = excluded.seen",
            (box.number, request.device, cursor, request.time),
        )
        effects = Effects()
        end = min(cursor + CURSOR_STEP, max(box.delivered, cursor) + _RESUME_AT_ONCE)
        ledger.advance(box, request.device, min(request.resume, end), request.time, effects)
        if end < min(request.resume, box.last):
            return Unfinished(request, effects)
        session = tables.new_session(box.number, request.device)
        return OpenedDevice(box.cursors[request.device], box.last, effects, session=session)

    def _list_devices(self, request: ListDevices) -> list[Device]:
        rows = self._tables.read(
            "SELECT name, cursor, token IS NOT NULL, seen FROM device WHERE member = ? ORDER BY name", (request.member,)
        )
        elsewhere = self._tables.connected_elsewhere(request.member)
        return [Device(name, cursor, bool(token), seen, name in elsewhere) for name, cursor, token, seen in rows]

    def _revoke(self, request: Revoke) -> bool | Unfinished:
        ledger, tables = self._ledger, self._tables
        box = ledger.mailbox(request.member)
        tables.devices_changed(request.member)
        below = request.device + "/"
        which = "WHERE member = ? AND (name = ? OR substr(name, 1, ?) = ?)"
        parameters = (request.member, request.device, len(below), below)
        receiving = [] if box is None else delivery.with_below(box, request.device)
        if box is not None and receiving and ledger.let_go(box, receiving):
            tables.write(
                f"UPDATE device SET token = NULL, endpoint = NULL {which}", parameters
            )  # nothing can log in meanwhile
            return Unfinished(request)
        if box is not None:
            for device in receiving:
                del box.cursors[device]
        return tables.write(f"DELETE FROM device {which}", parameters).rowcount > 0

    def _revoke_others(self, request: RevokeOthers) -> Unfinished | None:
        names = [name for (name,) in self._tables.direct("SELECT name FROM device WHERE member = ?", (request.member,))]
        machines = {delivery.machine_of(name) for name in names}
        others = sorted(machines - {delivery.machine_of(request.device)})
        if not others:
            return None
        self._revoke(Revoke(request.member, others[0]))  # or a part of what that takes
        return Unfinished(request)

    def _check_device(self, member: int, device: str) -> Mailbox:
        """Return a member's mailbox, if the member has or may have a device (rule 10.6).

        Raises:
            NotAllowed: there is no such member, or it has too many devices.
        """
        box = self._ledger.mailbox(member)
        if box is None:
            raise NotAllowed("there is no such member any more", "login")
        devices = self._tables.direct(
            f"SELECT name FROM device WHERE member = ? AND NOT ({_HAS_LAPSED})",
            (member,),
        )
        names = [name for (name,) in devices]
        refusal = delivery.refuse_device(names, device, self._ledger.limits)
        if refusal is not None:
            raise NotAllowed(refusal, "device")
        return box


def _member(row: tuple[Any, ...]) -> Member:
    """Return the member with these columns (_MEMBER)."""
    number, name, password, disabled, operator, is_bot = row
    return Member(number, name, password, disabled=bool(disabled), operator=bool(operator), is_bot=bool(is_bot))
