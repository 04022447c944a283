"""Messages that bots have scheduled (docs/protocol.md, rule 22.7)."""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from typing import Any, Final

from twotick.store.requests.delayed import (
    AddDelayed,
    CancelDelayed,
    DelayedMessage,
    DueMessage,
    FindDue,
    ListDelayed,
    SettleDelayed,
    TakeDelayed,
)
from twotick.store.rules.bots import MOST_DELAYED, MOST_DELAYED_BYTES
from twotick.store.rules.errors import NO_MEMBER, NotAllowed
from twotick.store.sqlite.accounts import AccountRepository
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import MEMBERS
from twotick.store.sqlite.tables import Tables

_COLUMNS: Final = "d.member, d.recipient, d.id, d.slot, d.due, d.device, d.token, d.headers, d.body"


class DelayedRepository:
    """Carries out requests about messages that wait for their time.

    Args:
        tables: the database.
        accounts: knows the members.
    """

    def __init__(self, tables: Tables, accounts: AccountRepository):
        self._tables = tables
        self._direct = tables.direct
        self._accounts = accounts

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            AddDelayed: refusing(self._add),
            ListDelayed: self._list,
            CancelDelayed: self._cancel,
            FindDue: self._find_due,
            TakeDelayed: self._take,
            SettleDelayed: self._settle,
        }

    def _add(self, request: AddDelayed) -> float:
        new = request.message
        if self._direct(f"SELECT 1 FROM member WHERE number = ? AND {MEMBERS}", (new.member,)).fetchone() is None:
            raise NotAllowed(NO_MEMBER)
        row = self._direct("SELECT due FROM delayed WHERE member = ? AND id = ?", (new.member, new.id)).fetchone()
        if row is not None:
            return float(row[0])
        peer = new.recipient.lower()
        others = "member = ? AND (slot = x'' OR slot <> ? OR peer <> ?)"
        count, size = self._direct(
            f"SELECT count(*), ifnull(sum(length(body)), 0) FROM delayed WHERE {others}", (new.member, new.slot, peer)
        ).fetchone()
        if count >= MOST_DELAYED or size + len(new.body) > MOST_DELAYED_BYTES:
            raise NotAllowed(
                f"a bot has at most {MOST_DELAYED} messages, and {MOST_DELAYED_BYTES} bytes, that wait for their time"
            )
        if new.slot:
            self._forget("member = ? AND slot = ? AND peer = ? AND taken = 0", (new.member, new.slot, peer))
        self._direct(
            "INSERT INTO delayed (member, peer, recipient, id, slot, due, attempt, device, token, headers, body)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(new.member, peer, new.recipient, new.id, new.slot, new.due, new.due),
                *(new.device, new.token, new.headers, new.body),
            ),
        )
        return new.due

    def _list(self, request: ListDelayed) -> list[DelayedMessage]:
        rows: list[tuple[Any, ...]] = self._direct(
            f"SELECT {_COLUMNS} FROM delayed d WHERE d.member = ? ORDER BY d.due, d.id", (request.member,)
        ).fetchall()
        return [_message(row) for row in rows]

    def _cancel(self, request: CancelDelayed) -> int:
        peer = None if request.recipient is None else request.recipient.lower()
        which, parameters = ("", ()) if peer is None else (" AND peer = ?", (peer,))
        return self._forget(
            f"member = ? AND (id = ? OR (slot <> x'' AND slot = ?)) AND taken = 0{which}",
            (request.member, request.id, request.slot, *parameters),
        )

    def _forget(self, which: str, parameters: tuple[Any, ...]) -> int:
        """Delete messages, also from the write-ahead log; return how many."""
        count = self._direct(f"DELETE FROM delayed WHERE {which}", parameters).rowcount
        self._tables.erased |= count > 0
        return count

    def _find_due(self, request: FindDue) -> list[DueMessage]:
        rows: list[tuple[Any, ...]] = self._direct(
            f"SELECT m.name, {_COLUMNS} FROM delayed d JOIN member m ON m.number = d.member"
            f" WHERE d.attempt <= ? AND {MEMBERS} ORDER BY d.attempt, d.due, d.id LIMIT ?",
            (request.time, request.most),
        ).fetchall()
        found = [(self._accounts.find(name), _message(rest)) for name, *rest in rows]
        return [DueMessage(bot, message) for bot, message in found if bot is not None]

    def _take(self, request: TakeDelayed) -> bool:
        key = request.member, request.id
        return self._direct("UPDATE delayed SET taken = 1 WHERE member = ? AND id = ?", key).rowcount > 0

    def _settle(self, request: SettleDelayed) -> None:
        key = request.member, request.id
        if request.again is None:
            self._forget("member = ? AND id = ?", key)
        else:
            self._direct("UPDATE delayed SET taken = 0, attempt = ? WHERE member = ? AND id = ?", (request.again, *key))


def _message(row: Any) -> DelayedMessage:
    member, recipient, ident, slot, due, device, token, headers, body = row
    return DelayedMessage(
        *(member, bytes(recipient), bytes(ident), bytes(slot), due, device),
        *(bytes(token), bytes(headers), bytes(body)),
    )
