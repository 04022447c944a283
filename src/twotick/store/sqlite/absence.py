"""Devices that stay away (docs/protocol.md, rule 10.9)."""

from itertools import groupby
from typing import Final

from twotick.store.requests.devices import AbsentDevices, FindAbsent, LapseDevice, NoteDevice, TellOfAbsence
from twotick.store.requests.messages import Effects, Unfinished
from twotick.store.rules.absence import ReceivingDevice, absence_headers, find_absent
from twotick.store.rules.delivery import UNREAD_NONE, is_nearly_full
from twotick.store.sqlite.handlers import Handlers
from twotick.store.sqlite.ledger import Ledger, NewMessage

_MEMBERS_AT_ONCE: Final = 256
"""The members whose devices one call looks at."""


class AbsenceRepository:
    """Carries out requests about devices that stay away.

    Args:
        ledger: the logs.
    """

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        self._tables = ledger.tables

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            FindAbsent: self._find,
            NoteDevice: self._note,
            TellOfAbsence: self._tell,
            LapseDevice: self._lapse,
        }

    def _find(self, request: FindAbsent) -> AbsentDevices:
        members = self._tables.read(
            "SELECT number, entries, bytes FROM member WHERE number > ? ORDER BY number LIMIT ?",
            (request.after, _MEMBERS_AT_ONCE),
        ).fetchall()
        if not members:
            return AbsentDevices([], None)
        last = members[-1][0]
        rows = self._tables.read(
            "SELECT member, name, seen, told FROM device WHERE member > ? AND member <= ? AND cursor IS NOT NULL"
            " ORDER BY member",
            (request.after, last),
        ).fetchall()
        held = {number: (entries, size) for number, entries, size in members}
        devices = groupby((ReceivingDevice(*row) for row in rows), lambda device: device.member)
        found = [
            absent
            for member, of_member in devices
            for absent in find_absent(
                list(of_member),
                request.time,
                request.absence,
                is_filling=is_nearly_full(*held.get(member, (0, 0)), self._ledger.limits),
            )
        ]
        return AbsentDevices(found, last if len(members) == _MEMBERS_AT_ONCE else None)

    def _note(self, request: NoteDevice) -> None:
        box = self._ledger.mailbox(request.member)
        if box is not None and request.device in box.cursors:
            key = (box.number, request.device)
            self._tables.pending.cursors[key] = (box.cursors[request.device], request.time, *key)

    def _tell(self, request: TellOfAbsence) -> Effects:
        """Tell a member even if the mailbox is full, which is what the member must know of."""
        ledger, effects = self._ledger, Effects()
        box = ledger.mailbox(request.member)
        times = self._times(request.member, request.device)
        if box is None or times is None or times[1] > times[0]:
            return effects
        self._tables.write(
            "UPDATE device SET told = ? WHERE member = ? AND name = ?", (request.time, box.number, request.device)
        )
        new = NewMessage(
            sender=None,
            sender_name=box.name.encode(),
            recipient=box.name.encode(),
            headers=absence_headers(request.device, request.time, times[0], request.until),
            body=b"",
            time=request.time,
            total=1,
            waiting=1,
            payer=box.number,
        )
        effects.entries.append(ledger.receive(box, ledger.add(new), new, None, UNREAD_NONE))
        return effects

    def _lapse(self, request: LapseDevice) -> Unfinished | None:
        box = self._ledger.mailbox(request.member)
        times = self._times(request.member, request.device)
        if box is None or times is None or times[1] <= times[0] or request.device not in box.cursors:
            return None
        if self._ledger.let_go(box, [request.device]):
            return Unfinished(request)
        self._tables.write(
            "UPDATE device SET cursor = NULL WHERE member = ? AND name = ?", (box.number, request.device)
        )
        del box.cursors[request.device]
        return None

    def _times(self, member: int, device: str) -> tuple[float, float] | None:
        """Return when a device was last connected, and when its owner was last told that it stays away."""
        row: tuple[float, float] | None = self._tables.read(
            "SELECT seen, told FROM device WHERE member = ? AND name = ?", (member, device)
        ).fetchone()
        return row
