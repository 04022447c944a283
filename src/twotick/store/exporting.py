"""Reads all that is stored about a member, some rows at a time, for the member to have."""

# ruff: noqa: S608 - statements are put together from constants of this module, never from input

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from twotick.store.sqlite.store import SqliteStore
from twotick.store.sqlite.tables import Tables

Row: TypeAlias = dict[str, Any]
"""What a row has, by column."""

_AT_ONCE: Final = 100
_BYTES_AT_ONCE: Final = 4 << 20
"""The messages that are read in one transaction, and the bytes of their bodies after which it ends."""

_LISTS: Final = {
    "devices": "SELECT name, seen, told, token IS NOT NULL AS has_token, cursor AS received_up_to,"
    " endpoint AS pushed_to FROM device WHERE member = ? ORDER BY name",
    "conversations": "SELECT c.name, c.muted, c.muted_until, c.blocked, c.pinned, c.closed_at, c.notify"
    " FROM conversation c WHERE c.member = ? ORDER BY c.peer",
    "read": "SELECT peer, up_to FROM reading WHERE member = ? ORDER BY peer",
    "rooms": "SELECT r.name, r.public, r.topic, o.role, o.since FROM room_member o JOIN room r ON r.number = o.room"
    " WHERE o.member = ? AND r.folded IS NOT NULL ORDER BY r.name",
    "room_invitations": "SELECT r.name, r.public FROM room_invitation i JOIN room r ON r.number = i.room"
    " WHERE i.member = ? AND i.hidden = 0 AND r.folded IS NOT NULL ORDER BY r.name",
    "written_to": "SELECT o.name FROM contact c JOIN member o ON o.number = c.other"
    " WHERE c.member = ? AND o.folded > '+' ORDER BY o.name",
    "pins": "SELECT p.peer, p.pinned_by, p.time, m.id, m.sender_name FROM pin p JOIN message m ON m.number = p.message"
    " WHERE p.member = ? ORDER BY p.time, m.number",
    "reports": "SELECT about, id, text, copy AS message, time FROM report WHERE member = ? ORDER BY number",
    "email": "SELECT address, wanted, told AS told_up_to, told_at FROM email WHERE member = ?",
    "hook": "SELECT url, added FROM hook WHERE member = ?",
    "delayed": "SELECT recipient, id, due, headers, body FROM delayed WHERE member = ? ORDER BY due, id",
    "bot_rights": "SELECT name, sends, reads FROM bot_right WHERE member = ? ORDER BY peer",
}
"""The lists, without secrets. What others have stored about the member, such as reports of it, belongs to them."""

_MESSAGES: Final = (
    "SELECT l.seq, l.kind, l.device, l.up_to, m.sender_name, m.recipient, m.id, m.reason, m.state, m.time, m.expires,"
    " r.name AS room, m.place, CASE WHEN l.kind <= 2 THEN ifnull(u.headers, c.headers) END AS headers,"
    " CASE WHEN l.kind <= 2 THEN ifnull(u.body, c.body) END AS body"
    " FROM log l CROSS JOIN message m ON m.number = l.message CROSS JOIN content c ON c.message = l.message"
    " LEFT JOIN room r ON r.number = m.room LEFT JOIN unedited u ON u.message = l.message AND u.member = l.member"
    " WHERE l.member = ? AND l.seq > ? AND l.seq <= ? ORDER BY l.seq LIMIT ?"
)
_COLUMNS: Final = (
    *("seq", "kind", "device", "up_to", "sender_name", "recipient", "id", "reason", "state", "time", "expires"),
    *("room", "place", "headers", "body"),
)


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file that a member has uploaded.

    Attributes:
        number: the store's number.
        pieces: the number of the file whose pieces it has.
        about: what is known of it.
    """

    number: int
    pieces: int
    about: Row


class MemberExport:
    """All that is stored about a member at one time.

    Args:
        store: where it is stored.
        member: the store's number of the member.
    """

    def __init__(self, store: SqliteStore, member: int) -> None:
        self._store = store
        self._member = member
        store.writing(lambda tables: tables.flush())  # what waits in the journal moves to where it is read
        self._last: int = self._rows("SELECT last FROM member WHERE number = ?")[0][0]

    def _rows(self, query: str, *parameters: object) -> list[Any]:
        return self._store.looking(lambda tables: tables.direct(query, (self._member, *parameters)).fetchall())

    def profile(self) -> tuple[Row, bytes | None]:
        """Return the account, and the picture if there is one."""
        columns = ("name", "display", "status", "added", "shown", "disabled", "operator", "bot")
        (row,) = self._rows(f"SELECT {', '.join(columns)} FROM member WHERE number = ?")
        pictures = self._rows("SELECT data FROM picture WHERE member = ?")
        return dict(zip(columns, row, strict=True)), bytes(pictures[0][0]) if pictures else None

    def lists(self) -> Iterator[tuple[str, list[Row]]]:
        """Yield the lists, each with its name."""
        for name, query in _LISTS.items():
            shown = query.partition(" FROM ")[0].removeprefix("SELECT ").split(", ")
            columns = [each.rpartition(" ")[2].rpartition(".")[2] for each in shown]
            yield name, [dict(zip(columns, row, strict=True)) for row in self._rows(query)]

    def messages(self) -> Iterator[Row]:
        """Yield the entries of the log, oldest first."""
        after = 0
        while rows := self._store.looking(partial(self._some_messages, after)):
            yield from rows
            after = rows[-1]["seq"]

    def _some_messages(self, after: int, tables: Tables) -> list[Row]:
        rows: list[Row] = []
        size = 0
        for row in tables.direct(_MESSAGES, (self._member, after, self._last, _AT_ONCE)):
            rows.append(dict(zip(_COLUMNS, row, strict=True)))
            size += len(row[-1] or b"")
            if size >= _BYTES_AT_ONCE:
                break
        return rows

    def files(self) -> Iterator[ExportedFile]:
        """Yield the files that the member has uploaded and that are still there, oldest first."""
        number = 0
        query = (
            "SELECT number, source, id, name, size, have, digest, expires FROM file"
            " WHERE member = ? AND key IS NOT NULL AND number > ? ORDER BY number LIMIT 1"
        )
        while rows := self._rows(query, number):
            number, source, *about = rows[0]
            names = ("id", "name", "size", "have", "digest", "expires")
            yield ExportedFile(number, source or number, dict(zip(names, about, strict=True)))

    def content(self, file: ExportedFile) -> Iterator[bytes]:
        """Yield the pieces of a file, in order."""
        piece = -1
        query = "SELECT number, data FROM piece WHERE file = ? AND number > ? ORDER BY number LIMIT 1"
        while row := self._store.looking(lambda tables, at=piece: tables.direct(query, (file.pieces, at)).fetchone()):
            piece, data = row
            yield bytes(data)
