"""Sending messages on (docs/protocol.md, rules 13.10 and 13.11)."""

from dataclasses import replace

from twotick.store.requests.messages import Append
from twotick.store.rules.errors import NotAllowed
from twotick.store.rules.forwarding import GONE, check_forward, forwarded_headers, has_file
from twotick.store.sqlite.files import FileRepository
from twotick.store.sqlite.ledger import Ledger
from twotick.store.sqlite.reading import LogReader


class ForwardRepository:
    """Fills messages that send others on.

    Args:
        ledger: the logs.
        reader: reads the others.
        files: the files that go along.
    """

    def __init__(self, ledger: Ledger, reader: LogReader, files: FileRepository):
        self._tables = ledger.tables
        self._reader = reader
        self._files = files

    def filled(self, request: Append) -> Append:
        """Return a message with the content of the one that it sends on; as it is if it sends none on.

        Raises:
            NotAllowed: there is no such message, or the sender may not read it, or it cannot be sent on.
        """
        if not request.forwards:
            return request
        check_forward(request)
        name = request.forwards_name or request.sender_name.lower()
        row = self._tables.read(
            "SELECT m.number, m.sender_name FROM member a CROSS JOIN message m INDEXED BY message_id"
            " ON m.sender = a.number WHERE a.folded = ? AND m.id = ? AND m.id <> x'' AND m.sender IS NOT NULL",
            (name.decode(errors="replace"), request.forwards),
        ).fetchone()
        number, sender = row or (0, b"")
        entry = self._reader.find(request.sender or 0, number, b"", request.time)
        if entry is None:
            raise NotAllowed(GONE)
        headers = forwarded_headers(request, sender, request.forwards, entry.headers)
        filled = replace(request, headers=headers, body=entry.body, forwards=b"")
        if has_file(entry.headers):
            filled.headers += self._files.lines_for_copy(entry.message, request)
            filled.forwarded = entry.message
        return filled
