"""Reports to the operator (docs/protocol.md, section 17)."""

from typing import Final

from twotick.store.requests.reports import AddReport, CloseReport, ListReports, ReportInfo
from twotick.store.rules.errors import NotAllowed
from twotick.store.rules.reports import COPY_BYTES, MOST_REPORTS, check_report
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import RECEIVED, Ledger
from twotick.store.sqlite.reading import LogReader

_LATEST: Final = 10_000
"""How many messages of a sender are searched for one with an Id, where Ids are not unique."""


class ReportRepository:
    """Carries out requests about reports.

    Args:
        ledger: the logs.
        reader: tells whether the reporter may read the reported message.
    """

    def __init__(self, ledger: Ledger, reader: LogReader):
        self._ledger = ledger
        self._tables = ledger.tables
        self._reader = reader

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {AddReport: refusing(self._add), ListReports: self._list, CloseReport: self._close}

    def _add(self, request: AddReport) -> None:
        direct = self._tables.direct
        if self._ledger.mailbox(request.member) is None:
            raise NotAllowed("there is no such member any more")
        (held,) = direct("SELECT count(*) FROM report WHERE member = ?", (request.member,)).fetchone()
        check_report(request.text, held, self._ledger.limits)
        copy = self._copy(request.member, request.about.lower(), request.id) if request.id else None
        direct(
            "INSERT INTO report (member, about, id, copy, text, time) VALUES (?, ?, ?, ?, ?, ?)",
            (request.member, request.about, request.id, copy, request.text, request.time),
        )

    def _copy(self, member: int, sender: bytes, ident: bytes) -> bytes | None:
        """Return the body of the message that a user has sent with an Id, if a member may read it."""
        read = self._tables.read
        row = read(
            "SELECT m.number FROM member s CROSS JOIN message m INDEXED BY message_id"
            " ON m.sender = s.number AND m.id = ? AND m.id <> x'' WHERE s.folded = ?",
            (ident, sender.decode("ascii", "replace")),
        ).fetchone()
        if row is None:  # guests and removed members may have used the Id several times
            row = read(
                "SELECT m.number FROM"
                " (SELECT message FROM log WHERE member = ? AND peer = ? AND kind = ? ORDER BY seq DESC LIMIT ?) l"
                " CROSS JOIN message m ON m.number = l.message WHERE m.id = ? LIMIT 1",
                (member, sender, RECEIVED, _LATEST, ident),
            ).fetchone()
        if row is None or not self._reader.may_read(member, row[0]):
            return None
        (body,) = read(
            "SELECT substr(ifnull(u.body, c.body), 1, ?) FROM content c"
            " LEFT JOIN unedited u ON u.message = c.message AND u.member = ? WHERE c.message = ?",
            (COPY_BYTES, member, *row),
        ).fetchone()
        return body or b""  # SQLite returns NULL for a part of an empty body

    def _list(self, request: ListReports) -> list[ReportInfo]:
        rows = self._tables.direct(
            "SELECT r.number, ifnull(m.name, ''), r.about, r.id, r.copy, r.text, r.time"
            " FROM report r LEFT JOIN member m ON m.number = r.member ORDER BY r.number LIMIT ?",
            (MOST_REPORTS,),
        )
        return [ReportInfo(*row) for row in rows]

    def _close(self, request: CloseReport) -> bool:
        return self._tables.direct("DELETE FROM report WHERE number = ?", (request.number,)).rowcount > 0
