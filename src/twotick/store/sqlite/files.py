"""Files, in pieces (docs/protocol.md, section 16).

A file that is removed loses its key at once, so no request finds it any more. Overwriting a large one takes a while, so
its pieces are removed a few at a time, by `expire`.
"""

# ruff: noqa: S608 - statements are put together from constants of this module, never from input

import hashlib
from dataclasses import replace
from typing import Final

from twotick.store.port import Refusal
from twotick.store.requests.files import PIECE, FileHash, FileOffer, OfferFile, ReadPiece, WritePiece
from twotick.store.requests.messages import Append, Unfinished
from twotick.store.rules import files
from twotick.store.rules.errors import NotAllowed
from twotick.store.rules.files import NO_FILE, FileRecord
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import Ledger
from twotick.store.sqlite.reading import LogReader

_AT_ONCE: Final = 64
"""The files that `expire` looks at in one call, and the pieces that it removes; the pieces that one step hashes."""


_COPIED: Final = "EXISTS (SELECT 1 FROM file o WHERE o.source = file.number AND o.source <> 0)"
_LATER: Final = "9e15"
"""Seconds since 1970 that never come."""


class FileRepository:
    """Carries out requests about files, and knows which message has which file.

    Args:
        ledger: the logs.
        reader: tells who may read a message, and so its file.
    """

    def __init__(self, ledger: Ledger, reader: LogReader):
        self._ledger = ledger
        self._tables = ledger.tables
        self._cache = ledger.tables.cache
        self._reader = reader

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {OfferFile: refusing(self._offer), WritePiece: self._write_piece, ReadPiece: refusing(self._read_piece)}

    # Uploading and downloading

    def _offer(self, request: OfferFile) -> FileOffer:
        direct, limits = self._tables.direct, self._ledger.limits
        if self._ledger.mailbox(request.member) is None:
            raise NotAllowed("there is no such member any more")
        offer = self._resume(request)
        if offer is not None:
            return offer
        # Removed files count until their pieces are gone.
        files.check_offer(request, self._used(request.member), limits)
        direct(
            "INSERT INTO file (key, member, id, name, size, digest, have, expires) VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
            (
                request.key,
                request.member,
                request.id,
                request.name.encode(),
                request.size,
                request.digest,
                request.time + limits.offer_age,
            ),
        )
        return FileOffer(request.key, 0)

    def _resume(self, request: OfferFile) -> FileOffer | None:
        """Return the file that the member has announced with the same Id before; None if there is none."""
        row = self._tables.direct(
            "SELECT number, key, size, digest, have, expires FROM file WHERE member = ? AND id = ? AND key IS NOT NULL",
            (request.member, request.id),
        ).fetchone()
        if row is None:
            return None
        number, key, size, digest, have, expires = row
        if expires <= request.time:
            self._discard("number = ?", number)
            return None
        if (size, digest) != (request.size, request.digest):
            raise NotAllowed("another file was announced with this Id")
        return FileOffer(key, have)

    def _write_piece(self, request: WritePiece) -> FileOffer | Refusal | Unfinished:
        direct = self._tables.direct
        row = direct(
            "SELECT number, size, digest, have FROM file WHERE key = ? AND member = ?", (request.key, request.member)
        ).fetchone()
        if row is None:
            return Refusal(NO_FILE)
        number, size, digest, have = row
        if request.offset != have or have == size:
            return FileOffer(request.key, have)
        if (reason := files.wrong_piece(request.data, have, size)) is not None:
            return Refusal(reason)
        hashed = self._hashed(request, number)
        complete = have + len(request.data)
        if complete == size and hashed.size < have:
            return Unfinished(replace(request, hashed=self._hash_more(number, hashed)))
        direct("INSERT INTO piece VALUES (?, ?, ?)", (number, have // PIECE, request.data))
        direct("UPDATE file SET have = ? WHERE number = ?", (complete, number))
        if hashed.size == have:
            sha256 = hashed.sha256.copy()  # the other one is needed again if the transaction fails
            sha256.update(request.data)
            if complete < size:
                self._cache.keep_hash(number, FileHash(complete, sha256))
            elif sha256.digest() != digest:
                self._discard("number = ?", number)  # which the refusal must not undo
                return Refusal("the hash is wrong: the file is gone")
        return FileOffer(request.key, complete)

    def _read_piece(self, request: ReadPiece) -> bytes:
        direct = self._tables.direct
        row = direct(
            "SELECT iif(source, source, number), message FROM file"
            " WHERE key = ? AND message IS NOT NULL AND expires > ?",
            (request.key, request.time),
        ).fetchone()
        box = self._ledger.mailbox(request.member)
        is_deaf = box is not None and box.rights is not None and not box.rights.reads
        if row is None or is_deaf or not self._reader.may_read(request.member, row[1]):
            raise NotAllowed(NO_FILE)
        first, skipped = divmod(request.offset, PIECE)
        length = min(request.length, PIECE)
        pieces = direct(
            "SELECT data FROM piece WHERE file = ? AND number BETWEEN ? AND ? ORDER BY number",
            (row[0], first, (request.offset + length - 1) // PIECE),
        )
        return b"".join(data for (data,) in pieces)[skipped : skipped + length]

    # Files and messages

    def headers_for(self, request: Append) -> bytes:
        """Return the header lines that describe the file which a message brings (rule 16.3).

        Raises:
            NotAllowed: the file cannot be sent, or not with this message.
        """
        row = self._tables.direct(
            "SELECT name, size, digest, have, message FROM file WHERE key = ? AND member = ? AND expires > ?",
            (request.file, request.sender, request.time),
        ).fetchone()
        return files.headers_of(request, FileRecord(*row) if row else None)

    def lines_for_copy(self, message: int, request: Append) -> bytes:
        """Return the header lines that describe the file of a message that is sent on (rule 13.11).

        Args:
            message: the number of the message that the file came with.
            request: the message that sends it on.

        Raises:
            NotAllowed: the file is gone, or the member has too many.
        """
        row = self._tables.direct(
            "SELECT name, size, digest, have, message FROM file WHERE message = ? AND key IS NOT NULL AND expires > ?",
            (message, request.time),
        ).fetchone()
        if row is None:
            raise NotAllowed("the file of that message is gone")
        file = FileRecord(*row)
        files.check_room(file.size, self._used(request.sender or 0), self._ledger.limits)
        return files.header_lines(request.new_key, file)

    def copy(self, original: int, request: Append, message: int) -> None:
        """Give a message that sends another one on a file with the pieces of the other one's.

        Args:
            original: the number of the other message.
            request: the message that sends it on.
            message: the number of that one.
        """
        self._tables.direct(
            "INSERT INTO file (key, member, id, name, size, digest, have, message, expires, source)"
            " SELECT ?1, ?2, ?1, name, size, digest, have, ?3, ?4, iif(source, source, number)"
            " FROM file WHERE message = ?5",
            (request.new_key, request.sender, message, request.time + self._ledger.limits.file_age, original),
        )

    def _used(self, member: int) -> int:
        """Return the bytes of a member's files. An empty one takes some room as well."""
        (used,) = self._tables.direct(
            "SELECT ifnull(sum(max(size, ?)), 0) FROM file WHERE member = ?", (PIECE, member)
        ).fetchone()
        return int(used)

    def sent(self, key: bytes, message: int, time: float) -> None:
        """Note that a file was sent with a message, which prolongs its life (rule 16.5)."""
        self._tables.direct(
            "UPDATE file SET message = ?, expires = ? WHERE key = ?",
            (message, time + self._ledger.limits.file_age, key),
        )

    def remove_with_messages(self, messages: list[int]) -> None:
        """Remove the files of messages that are deleted or removed."""
        for message in messages:
            self._discard("message = ?", message)

    def leave_some(self, member: int, most: int) -> bool:
        """Remove files of a member who is removed; a file that was sent stays with its message.

        Args:
            member: the member.
            most: how many files to look at.

        Returns:
            Whether there were any.
        """
        direct = self._tables.direct
        rows = direct("SELECT number, message FROM file WHERE member = ? LIMIT ?", (member, most)).fetchall()
        for number, message in rows:
            if message is None:
                self._discard("number = ?", number)
            direct("UPDATE file SET member = NULL WHERE number = ?", (number,))
        return bool(rows)

    def expire(self, time: float) -> None:
        """Remove expired files, and some pieces of removed ones (rule 16.5); `time` is in seconds since 1970."""
        direct = self._tables.direct
        rows = direct(
            "SELECT number, key, source FROM file WHERE expires <= ? ORDER BY expires LIMIT ?", (time, _AT_ONCE)
        ).fetchall()
        left = _AT_ONCE
        for number, key, source in rows:
            if key is not None:
                self._discard("number = ?", number)
            if source:
                self._remove_copy(number, source)
            elif not self._has_copies(number):
                if left:
                    pieces = "SELECT rowid FROM piece WHERE file = ? LIMIT ?"
                    left -= direct(f"DELETE FROM piece WHERE rowid IN ({pieces})", (number, left)).rowcount
                if left:  # that was the last piece
                    direct("DELETE FROM file WHERE number = ?", (number,))
                    self._tables.erased = True

    def _has_copies(self, number: int) -> bool:
        row = self._tables.direct("SELECT 1 FROM file WHERE source = ? AND source <> 0 LIMIT 1", (number,)).fetchone()
        return row is not None

    def _remove_copy(self, number: int, source: int) -> None:
        """Remove a file that has the pieces of another one; if that one is removed, its pieces may go now."""
        direct = self._tables.direct
        direct("DELETE FROM file WHERE number = ?", (number,))
        if not self._has_copies(source):
            direct("UPDATE file SET expires = 0 WHERE number = ? AND key IS NULL", (source,))

    def _discard(self, which: str, value: int) -> None:
        """Make a file unknown to all requests. Its pieces stay while other files have them (rule 13.11)."""
        self._tables.direct(
            f"UPDATE file SET key = NULL, id = x'', name = x'', message = NULL, member = iif({_COPIED}, NULL, member),"
            f" expires = iif({_COPIED}, {_LATER}, 0) WHERE {which}",
            (value,),
        )

    # Hashes

    def _hashed(self, request: WritePiece, number: int) -> FileHash:
        """Return the hash of the first bytes of a file, as many as were hashed and are not forgotten."""
        known = self._cache.hashes.pop(number, None)
        if known is None or (request.hashed is not None and request.hashed.size > known.size):
            known = request.hashed
        return known or FileHash(0, hashlib.sha256())

    def _hash_more(self, number: int, hashed: FileHash) -> FileHash:
        """Hash some more pieces of a file whose hash was forgotten."""
        first = hashed.size // PIECE
        size, sha256 = hashed.size, hashed.sha256.copy()
        for (data,) in self._tables.direct(
            "SELECT data FROM piece WHERE file = ? AND number >= ? AND number < ? ORDER BY number",
            (number, first, first + _AT_ONCE),
        ):
            sha256.update(data)
            size += len(data)
        self._tables.work += (size - hashed.size) >> 10
        return FileHash(size, sha256)
