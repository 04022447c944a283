"""Reports to the operator, in memory (docs/protocol.md, section 17)."""

from dataclasses import replace

from twotick.store.file_records import COPY_BYTES, MOST_REPORTS, REPORT_BYTES, CloseReport, Report, Reported, Reports
from twotick.store.memory_logs import Logs
from twotick.store.memory_mailboxes import RECEIVED, Mailbox, Message
from twotick.store.memory_reading import Reading
from twotick.store.records import Refusal
from twotick.store.reports import LATELY, TOO_LONG, too_many


class Desk:
    """Carries out requests about reports. Each method carries out the request that it takes; see there.

    Args:
        logs: the members, and the messages that are reported.
        reading: says who may read a message.
    """

    def __init__(self, logs: Logs, reading: Reading) -> None:
        self._logs = logs
        self._reading = reading
        self._newest = 0
        self._reports: dict[int, tuple[int, Reported]] = {}  # with the member's number, by the report's

    def report(self, request: Report) -> Refusal | None:
        """Keep a report, with a copy of what it is about (rule 17.1)."""
        box = self._logs.mailboxes.get(request.member)
        if box is None:
            return Refusal("there is no such member any more")
        if len(request.text) > REPORT_BYTES:
            return Refusal(TOO_LONG)
        most = self._logs.limits.reports
        if sum(member == box.number for member, _ in self._reports.values()) >= most:
            return Refusal(too_many(most))
        message = self._find(box, request.about.lower(), request.id) if request.id else None
        copy = message.body[:COPY_BYTES] if message is not None else None
        self._newest += 1
        reported = Reported(self._newest, "", request.about, request.id, copy, request.text, request.time)
        self._reports[self._newest] = box.number, reported
        return None

    def _find(self, box: Mailbox, peer: bytes, ident: bytes) -> Message | None:
        """The message that somebody has sent with an Id, if a member may read it."""
        sender = self._logs.names.get(peer.decode("ascii", "replace"))
        if sender is not None and (message := sender.ids.get(ident)) is not None:
            return message if self._reading.may_read(box, message) else None
        for seq in reversed(box.with_peer(peer)[-LATELY:]):
            if box.kind(seq) == RECEIVED and box.message(seq).id == ident:
                return box.message(seq)
        return None

    def reports(self, request: Reports) -> list[Reported]:
        """What is not dealt with."""
        found: list[Reported] = []
        for member, reported in list(self._reports.values())[:MOST_REPORTS]:
            box = self._logs.mailboxes.get(member)
            found.append(replace(reported, reporter=box.member.name if box is not None else ""))
        return found

    def close(self, request: CloseReport) -> bool:
        """A report is dealt with."""
        return self._reports.pop(request.number, None) is not None
