"""E-mail addresses of members, and what waits for these.

As for notifications, there is no queue: the log, and the entry up to which a member was told, say what to tell.
"""

from dataclasses import replace
from typing import Any, Final

from twotick.store.port import Refusal
from twotick.store.requests.digests import (
    Addressee,
    ClaimDigest,
    Digest,
    EmailState,
    FindDigest,
    ListAddressees,
    SetEmail,
    UndoDigest,
    WaitingMessages,
    WantDigests,
)
from twotick.store.requests.messages import Unfinished
from twotick.store.rules.delivery import Mailbox
from twotick.store.rules.digests import checked_address, gathered_digest
from twotick.store.rules.errors import NO_MEMBER, NotAllowed
from twotick.store.rules.guests import shown_sender
from twotick.store.rules.pushes import pushed_text
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import Ledger
from twotick.store.sqlite.pushes import CANDIDATES, beginning_of, candidate_of

_ENTRIES: Final = 512
"""The entries of a log that one step looks at."""

_MOST_ENTRIES: Final = 4096
"""The newest entries of a log that are looked at."""


class DigestRepository:
    """Carries out requests about digests.

    Args:
        ledger: the logs.
    """

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        self._tables = ledger.tables
        self._direct = ledger.tables.direct

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            SetEmail: refusing(self._set),
            WantDigests: refusing(self._want),
            ListAddressees: self._list,
            FindDigest: self._find,
            ClaimDigest: self._claim,
            UndoDigest: self._undo,
        }

    def _set(self, request: SetEmail) -> Refusal | None:
        if self._ledger.mailbox(request.member) is None:
            raise NotAllowed(NO_MEMBER)
        if request.address is None:
            self._direct("DELETE FROM email WHERE member = ?", (request.member,))
            return
        self._direct(
            "INSERT INTO email (member, address, wanted, told, told_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (member) DO UPDATE SET address = excluded.address, wanted = 1",
            (request.member, checked_address(request.address), 1, 0, 0.0),
        )

    def _want(self, request: WantDigests) -> EmailState:
        if request.wanted is not None:
            self._direct("UPDATE email SET wanted = ? WHERE member = ?", (int(request.wanted), request.member))
        row = self._direct("SELECT address, wanted FROM email WHERE member = ?", (request.member,)).fetchone()
        if row is None:
            raise NotAllowed("no e-mail address is known of you: ask the operator to set one (twotick user email)")
        return EmailState(row[0], bool(row[1]))

    def _list(self, request: ListAddressees) -> list[Addressee]:
        rows: list[tuple[Any, ...]] = self._direct(
            "SELECT e.member, m.name, e.address, e.told, e.told_at FROM email e JOIN member m ON m.number = e.member"
            " WHERE e.wanted = 1 AND e.told_at <= ? AND m.disabled = 0 ORDER BY e.member",
            (request.told_before,),
        ).fetchall()
        return [Addressee(*row) for row in rows]

    def _find(self, request: FindDigest) -> Digest | Unfinished | None:
        box = self._ledger.mailbox(request.addressee.member)
        if box is None or box.disabled:
            return None
        newest = request.newest or box.last
        floor = max(request.addressee.told, newest - _MOST_ENTRIES)
        top = newest if request.looked_from is None else request.looked_from
        bottom = max(floor, top - _ENTRIES)
        rows = (*request.rows, *self._rows(box, bottom, top))
        if bottom > floor:
            return Unfinished(replace(request, newest=newest, looked_from=bottom, rows=rows))
        candidates = [candidate_of(row, box) for row in rows]
        found = gathered_digest(candidates, request.time, request.waited)
        if found is None:
            return None
        told = tuple(self._told(*each, with_text=request.with_text) for each in found.conversations)
        return Digest(told, found.count, floor > request.addressee.told, newest)

    def _rows(self, box: Mailbox, after: int, up_to: int) -> list[Any]:
        if after >= up_to:
            return []
        rows = self._tables.read(CANDIDATES, (box.number, box.delivered, after, up_to)).fetchall()
        self._tables.work += len(rows)
        return rows

    def _told(self, found: WaitingMessages, message: int, *, with_text: bool) -> WaitingMessages:
        headers, body = beginning_of(self._tables, message)
        name = found.name if found.is_room else shown_sender(found.name, headers)
        return replace(found, name=name, text=pushed_text(headers, body) if with_text else "")

    def _claim(self, request: ClaimDigest) -> bool:
        who = request.addressee
        changed = self._direct(
            "UPDATE email SET told = ?, told_at = ? WHERE member = ? AND told = ? AND told_at = ? AND wanted = 1",
            (request.seq, request.time, who.member, who.told, who.told_at),
        )
        return changed.rowcount == 1

    def _undo(self, request: UndoDigest) -> None:
        claim, who = request.claim, request.claim.addressee
        self._direct(
            "UPDATE email SET told = ?, told_at = ? WHERE member = ? AND told = ? AND told_at = ?",
            (who.told, who.told_at, who.member, claim.seq, claim.time),
        )
