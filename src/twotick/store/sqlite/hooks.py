"""Web hooks, and what they did not take."""

from typing import Any, Final

from twotick.store.requests.hooks import (
    AddLetter,
    DropHook,
    DropLetter,
    Hook,
    Letter,
    ListHooks,
    ListLetters,
    PostLettersAgain,
    SetHook,
)
from twotick.store.rules.errors import NotAllowed
from twotick.store.sqlite.accounts import AccountRepository
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.tables import Tables

_MOST_LETTERS: Final = 1000


class HookRepository:
    """Carries out requests about hooks.

    Args:
        tables: the database.
        accounts: knows the members.
    """

    def __init__(self, tables: Tables, accounts: AccountRepository):
        self._direct = tables.direct
        self._read = tables.read
        self._accounts = accounts

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            SetHook: refusing(self._set),
            DropHook: self._drop,
            ListHooks: self._list,
            AddLetter: self._add_letter,
            ListLetters: self._list_letters,
            DropLetter: self._drop_letter,
            PostLettersAgain: self._again,
        }

    def _set(self, request: SetHook) -> Hook:
        member = self._accounts.find(request.name)
        if member is None:
            raise NotAllowed(f"no member has the name {request.name}")
        self._direct(
            "INSERT INTO hook (member, url, secret, added) VALUES (?, ?, ?, ?) ON CONFLICT (member) DO UPDATE"
            " SET url = excluded.url, secret = excluded.secret, added = excluded.added",
            (member.number, request.url, request.secret, request.time),
        )
        return Hook(member, request.url, request.secret, again=False, letters=0)

    def _drop(self, request: DropHook) -> None:
        for table in ("hook", "letter"):
            self._direct(f"DELETE FROM {table} WHERE member = ?", (request.member,))  # noqa: S608

    def _list(self, request: ListHooks) -> list[Hook]:
        rows: list[tuple[Any, ...]] = self._direct(
            "SELECT m.name, h.url, h.secret, h.again, (SELECT count(*) FROM letter l WHERE l.member = h.member)"
            " FROM hook h JOIN member m ON m.number = h.member ORDER BY m.folded"
        ).fetchall()
        found = [(self._accounts.find(name), url, secret, again, count) for name, url, secret, again, count in rows]
        return [
            Hook(member, url, bytes(secret), bool(again), count)
            for member, url, secret, again, count in found
            if member is not None
        ]

    def _add_letter(self, request: AddLetter) -> None:
        letter = request.letter
        self._direct(
            "INSERT INTO letter (member, seq, time, reason) VALUES (?, ?, ?, ?) ON CONFLICT (member, seq) DO UPDATE"
            " SET time = excluded.time, reason = excluded.reason",
            (request.member, letter.seq, letter.time, letter.reason),
        )
        self._direct(
            "DELETE FROM letter WHERE member = ?1 AND seq <= (SELECT seq FROM letter WHERE member = ?1"
            " ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
            (request.member, _MOST_LETTERS),
        )

    def _list_letters(self, request: ListLetters) -> list[Letter]:
        rows: list[tuple[Any, ...]] = self._read(
            "SELECT t.seq, t.time, t.reason, l.peer, m.place FROM letter t"
            " LEFT JOIN log l ON l.member = t.member AND l.seq = t.seq LEFT JOIN message m ON m.number = l.message"
            " WHERE t.member = ? ORDER BY t.seq",
            (request.member,),
        ).fetchall()
        return [Letter(seq, time, reason, bytes(peer or b""), place or 0) for seq, time, reason, peer, place in rows]

    def _drop_letter(self, request: DropLetter) -> None:
        self._direct("DELETE FROM letter WHERE member = ? AND seq = ?", (request.member, request.seq))

    def _again(self, request: PostLettersAgain) -> None:
        self._direct("UPDATE hook SET again = ? WHERE member = ?", (int(request.wanted), request.member))
