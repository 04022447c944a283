"""Reports to the operator (docs/protocol.md, section 17)."""

from twotick.store.port import Refusal
from twotick.store.requests.reports import AddReport, CloseReport, ListReports, ReportInfo
from twotick.store.rules.reports import COPY_BYTES, MOST_REPORTS, REPORT_BYTES
from twotick.store.sqlite.logs import RECEIVED, Logs
from twotick.store.sqlite.reading import LogReader

LATELY = 10_000
"""Messages of a sender that are looked through for one with an Id, where that is not unique."""

TOO_LONG = f"a report has at most {REPORT_BYTES} bytes"


def too_many(most: int) -> str:
    """Why a member cannot report anything for now."""
    return f"at most {most} reports of a member are kept until they are dealt with"


class ReportRepository:
    """Carries out requests about reports. Each method carries out the request that it takes; see there.

    Args:
        logs: the logs, whose database has the reports too.
        reading: finds the messages that are reported.
    """

    def __init__(self, logs: Logs, reading: LogReader):
        self._logs = logs
        self._reading = reading

    def report(self, request: AddReport) -> Refusal | None:
        """Keep a report, with a copy of what it is about (rule 17.1)."""
        execute = self._logs.execute
        if self._logs.mailbox(request.member) is None:
            return Refusal("there is no such member any more")
        if len(request.text) > REPORT_BYTES:
            return Refusal(TOO_LONG)
        most = self._logs.limits.reports
        (held,) = execute("SELECT count(*) FROM report WHERE member = ?", (request.member,)).fetchone()
        if held >= most:
            return Refusal(too_many(most))
        copy = self._copy(request.member, request.about.lower(), request.id) if request.id else None
        execute(
            "INSERT INTO report (member, about, id, copy, text, time) VALUES (?, ?, ?, ?, ?, ?)",
            (request.member, request.about, request.id, copy, request.text, request.time),
        )
        return None

    def _copy(self, member: int, sender: bytes, ident: bytes) -> bytes | None:
        """The body of the message that somebody has sent with an Id, if a member may read it."""
        logs = self._logs
        logs.flush()
        row = logs.execute(
            "SELECT m.number FROM member s CROSS JOIN message m INDEXED BY message_id"
            " ON m.sender = s.number AND m.id = ? AND m.id <> x'' WHERE s.folded = ?",
            (ident, sender.decode("ascii", "replace")),
        ).fetchone()
        if row is None:  # those of guests, and of who is no member any more, may be of many messages
            row = logs.execute(
                "SELECT m.number FROM"
                " (SELECT message FROM log WHERE member = ? AND peer = ? AND kind = ? ORDER BY seq DESC LIMIT ?) l"
                " CROSS JOIN message m ON m.number = l.message WHERE m.id = ? LIMIT 1",
                (member, sender, RECEIVED, LATELY, ident),
            ).fetchone()
        if row is None or not self._reading.may_read(member, row[0]):
            return None
        (body,) = logs.execute(
            "SELECT substr(body, 1, ?) FROM content WHERE message = ?", (COPY_BYTES, *row)
        ).fetchone()
        return body or b""  # SQLite says NULL for a part of nothing

    def reports(self, request: ListReports) -> list[ReportInfo]:
        """What is not dealt with."""
        rows = self._logs.execute(
            "SELECT r.number, ifnull(m.name, ''), r.about, r.id, r.copy, r.text, r.time"
            " FROM report r LEFT JOIN member m ON m.number = r.member ORDER BY r.number LIMIT ?",
            (MOST_REPORTS,),
        )
        return [ReportInfo(*row) for row in rows]

    def close(self, request: CloseReport) -> bool:
        """A report is dealt with."""
        return self._logs.execute("DELETE FROM report WHERE number = ?", (request.number,)).rowcount > 0
