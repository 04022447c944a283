"""What the operator does to members (docs/protocol.md, rule 10.11).

Each act that concerns connections gets a row in `member_act`. Servers look there when the database has changed.
"""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from typing import Final

from twotick.store.requests.members import InvitationInfo, ListInvitations, WithdrawInvitation
from twotick.store.requests.operating import (
    ActKind,
    ActsSoFar,
    FindActs,
    MemberAct,
    SetDisabled,
    SetDisplay,
    SetOperator,
    SignOut,
)
from twotick.store.rules.errors import NO_MEMBER, NotAllowed
from twotick.store.rules.profiles import cleaned_display
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import MEMBERS, Ledger

_KEPT: Final = 86400.0
"""Seconds for which servers can find out what was done."""

_LIST: Final = 1000
"""The most invitations in a list."""


class OperatorRepository:
    """Carries out what the operator asks for.

    Args:
        ledger: the logs.
    """

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        self._direct = ledger.tables.direct

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            FindActs: self._find_acts,
            SetDisabled: self._set_disabled,
            SetOperator: self._set_operator,
            SignOut: self._sign_out,
            SetDisplay: refusing(self._set_display),
            ListInvitations: self._list_invitations,
            WithdrawInvitation: self._withdraw_invitation,
        }

    def _find_acts(self, request: FindActs) -> ActsSoFar:
        row = self._direct("SELECT value FROM counter WHERE name = 'member_act'").fetchone()
        last: int = row[0] if row else 0
        if request.after is None:
            return ActsSoFar(last, ())
        rows = self._direct(
            "SELECT member, act, device, reason FROM member_act WHERE number > ? ORDER BY number", (request.after,)
        )
        acts = tuple(MemberAct(member, ActKind(act), device, reason) for member, act, device, reason in rows)
        return ActsSoFar(last, acts)

    def _note(self, act: MemberAct, time: float) -> None:
        """Let servers take notice of an act."""
        # The counter's row is locked until the transaction is over, so the numbers are in the order of transactions.
        (number,) = self._direct(
            "INSERT INTO counter VALUES ('member_act', 1)"
            " ON CONFLICT (name) DO UPDATE SET value = counter.value + 1 RETURNING value"
        ).fetchone()
        self._direct("DELETE FROM member_act WHERE time < ?", (time - _KEPT,))
        self._direct(
            "INSERT INTO member_act VALUES (?, ?, ?, ?, ?, ?)",
            (number, act.member, int(act.kind), act.device, act.reason, time),
        )
        self._direct("UPDATE counter SET value = value + 1 WHERE name = 'changes'")  # for other servers on PostgreSQL

    def _set_disabled(self, request: SetDisabled) -> bool:
        box = self._ledger.mailbox_named(request.name.encode(errors="replace"))
        if box is None:
            return False
        if box.disabled is not request.disabled:
            since = request.time if request.disabled else 0.0
            self._direct("UPDATE member SET disabled = ? WHERE number = ?", (since, box.number))
            box.disabled = request.disabled
            if request.disabled:
                self._note(MemberAct(box.number, ActKind.SIGN_OUT, "", "the account was disabled"), request.time)
        return True

    def _set_operator(self, request: SetOperator) -> bool:
        changed = self._direct(
            f"UPDATE member SET operator = ? WHERE folded = ? AND {MEMBERS}",
            (int(request.operator), request.name.lower()),
        )
        return changed.rowcount > 0

    def _sign_out(self, request: SignOut) -> bool:
        below = request.device + "/"
        changed = self._direct(
            "UPDATE device SET token = NULL, endpoint = NULL"
            " WHERE member = ?1 AND (?2 = '' OR name = ?2 OR substr(name, 1, ?3) = ?4)",
            (request.member, request.device, len(below), below),
        )
        self._note(MemberAct(request.member, ActKind.SIGN_OUT, request.device, request.reason), request.time)
        return changed.rowcount > 0

    def _set_display(self, request: SetDisplay) -> None:
        if self._ledger.mailbox(request.member) is None:
            raise NotAllowed(NO_MEMBER)
        display = cleaned_display(request.display)
        self._direct("UPDATE member SET display = ? WHERE number = ?", (display, request.member))
        self._note(MemberAct(request.member, ActKind.PROFILE, "", ""), request.time)

    def _list_invitations(self, request: ListInvitations) -> list[InvitationInfo]:
        rows = self._direct(
            "SELECT i.digest, i.expires, ifnull(m.name, '') FROM invitation i LEFT JOIN member m ON m.number = i.member"
            f" WHERE i.expires > ? AND (i.member IS NULL OR m.{MEMBERS}) ORDER BY i.expires, i.digest LIMIT ?",
            (request.time, _LIST),
        )
        return [InvitationInfo(*row) for row in rows]

    def _withdraw_invitation(self, request: WithdrawInvitation) -> bool:
        return self._direct("DELETE FROM invitation WHERE digest = ?", (request.digest,)).rowcount > 0
