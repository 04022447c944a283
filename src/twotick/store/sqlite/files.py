"""Files, in pieces (docs/protocol.md, section 16).

A file that is gone loses its key at once: nobody finds it any more. To overwrite a large one takes a while, so its
pieces are removed a few at a time, whenever `expire` is asked.
"""

# ruff: noqa: S608 - queries are put together from constants of this module, never from what came from outside

import hashlib

from twotick.store.port import Refusal
from twotick.store.requests.files import PIECE, FileOffer, OfferFile, ReadPiece, WritePiece
from twotick.store.requests.messages import Append, MessageAction
from twotick.store.rules.files import NO_FILE, is_file_name
from twotick.store.rules.rooms import NotAllowed
from twotick.store.sqlite.logs import Logs
from twotick.store.sqlite.reading import LogReader

_HASHED = 256
"""Files whose hash is computed while they come; of others it is computed from what is on the disk, in the end."""

_AT_ONCE = 64
"""Files that `expire` looks at in one call, and pieces that it removes."""


class FileRepository:
    """Carries out requests about files, and knows which message has which.

    Args:
        logs: the logs, whose database has the files too.
        reading: says who may read a message.
    """

    def __init__(self, logs: Logs, reading: LogReader):
        self._logs = logs
        self._reading = reading
        # By the file's number: how many of its bytes were hashed, and their hash. It may be ahead of the database, if
        # a transaction has failed: then it counts for nothing.
        self._hashed: dict[int, tuple[int, hashlib._Hash]] = {}  # pyright: ignore[reportPrivateUsage]

    # Requests

    def offer(self, request: OfferFile) -> FileOffer | Refusal:
        """Announce a file, or go on with one (rule 16.1)."""
        logs = self._logs
        if logs.mailbox(request.member) is None:
            return Refusal("there is no such member any more")
        row = logs.execute(
            "SELECT number, key, size, digest, have, expires FROM file WHERE member = ? AND id = ? AND key IS NOT NULL",
            (request.member, request.id),
        ).fetchone()
        if row is not None:
            number, key, size, digest, have, expires = row
            if expires > request.time:
                if (size, digest) != (request.size, request.digest):
                    return Refusal("another file was announced with this Id")
                return FileOffer(key, have)
            self._discard("number = ?", number)
        if not is_file_name(request.name):
            return Refusal("this is no name for a file")
        most, together = logs.limits.file_bytes, logs.limits.files_bytes
        if request.size > most:
            return Refusal(f"a file has at most {most} bytes")
        # Those that are gone count until they are removed; and an empty one takes some room as well.
        (used,) = logs.execute(
            "SELECT ifnull(sum(max(size, ?)), 0) FROM file WHERE member = ?", (PIECE, request.member)
        ).fetchone()
        if used + max(request.size, PIECE) > together:
            return Refusal(f"the files of a member have at most {together} bytes together")
        if not request.size and request.digest != hashlib.sha256().digest():
            return Refusal("this is not the hash of an empty file")
        logs.execute(
            "INSERT INTO file (key, member, id, name, size, digest, have, expires) VALUES (?, ?, ?, ?, ?, ?, 0, ?)",
            (
                request.key,
                request.member,
                request.id,
                request.name.encode(),
                request.size,
                request.digest,
                request.time + logs.limits.offer_age,
            ),
        )
        return FileOffer(request.key, 0)

    def write(self, request: WritePiece) -> FileOffer | Refusal:
        """Take the next piece of a file (rule 16.2)."""
        execute = self._logs.execute
        row = execute(
            "SELECT number, size, digest, have FROM file WHERE key = ? AND member = ?", (request.key, request.member)
        ).fetchone()
        if row is None:
            return Refusal(NO_FILE)
        number, size, digest, have = row
        if request.offset != have or have == size:
            return FileOffer(request.key, have)
        data = request.data
        if len(data) != min(PIECE, size - have):
            return Refusal(f"a piece has {PIECE} bytes, and the last one what is left")
        execute("INSERT INTO piece VALUES (?, ?, ?)", (number, have // PIECE, data))
        have += len(data)
        execute("UPDATE file SET have = ? WHERE number = ?", (have, number))
        self._hash(number, have, data)
        if have == size and self._digest(number, have) != digest:
            self._discard("number = ?", number)
            return Refusal("the hash is wrong: the file is gone")
        return FileOffer(request.key, have)

    def read(self, request: ReadPiece) -> bytes | Refusal:
        """A part of a file (rule 16.4)."""
        execute = self._logs.execute
        row = execute(
            "SELECT number, message FROM file WHERE key = ? AND message IS NOT NULL AND expires > ?",
            (request.key, request.time),
        ).fetchone()
        if row is None or not self._reading.may_read(request.member, row[1]):
            return Refusal(NO_FILE)
        first, skipped = divmod(request.offset, PIECE)
        length = min(request.length, PIECE)
        pieces = execute(
            "SELECT data FROM piece WHERE file = ? AND number BETWEEN ? AND ? ORDER BY number",
            (row[0], first, (request.offset + length - 1) // PIECE),
        )
        return b"".join(data for (data,) in pieces)[skipped : skipped + length]

    # What the messages do to files

    def attach(self, request: Append) -> bytes:
        """The header lines for the file that is to be sent with a message (rule 16.3).

        Raises:
            NotAllowed: it cannot be sent, or not with this message.
        """
        row = self._logs.execute(
            "SELECT name, size, digest, have, message FROM file WHERE key = ? AND member = ? AND expires > ?",
            (request.file, request.sender, request.time),
        ).fetchone()
        if row is None:
            raise NotAllowed(NO_FILE)
        name, size, digest, have, message = row
        if have < size:
            raise NotAllowed("the file is not complete")
        if message is not None:
            raise NotAllowed("the file was sent with another message")
        if request.live or request.recipient.upper() == b"ALL":
            raise NotAllowed("files can be sent to members and rooms only")
        if request.action is not MessageAction.NONE:
            raise NotAllowed("a message that changes another has no file")
        lines = b"File: %b\nFile-name: %b\nFile-size: %d\nFile-hash: %b\n"
        return lines % (request.file, name, size, digest.hex().encode())

    def sent(self, key: bytes, message: int, time: float) -> None:
        """A file was sent with a message; from then on it is kept for as long as that is said to be (rule 16.5)."""
        self._logs.execute(
            "UPDATE file SET message = ?, expires = ? WHERE key = ?", (message, time + self._logs.limits.file_age, key)
        )

    def remove_with_messages(self, messages: list[int]) -> None:
        """Messages are deleted, or removed."""
        for message in messages:
            self._discard("message = ?", message)

    def remove_member(self, member: int) -> None:
        """A member is no more. What it has sent stays with the message."""
        self._discard("message IS NULL AND member = ?", member)
        self._logs.execute("UPDATE file SET member = NULL WHERE member = ?", (member,))

    # What happens by itself

    def expire(self, time: float) -> None:
        """Remove files whose time is over, and some pieces of those that are gone (rule 16.5)."""
        execute = self._logs.execute
        rows = execute(
            "SELECT number, key FROM file WHERE expires <= ? ORDER BY expires LIMIT ?", (time, _AT_ONCE)
        ).fetchall()
        left = _AT_ONCE
        for number, key in rows:
            if key is not None:
                self._discard("number = ?", number)
            if left:
                pieces = "SELECT rowid FROM piece WHERE file = ? LIMIT ?"
                left -= execute(f"DELETE FROM piece WHERE rowid IN ({pieces})", (number, left)).rowcount
            if left:  # these were all
                execute("DELETE FROM file WHERE number = ?", (number,))
                self._logs.erased = True

    def _discard(self, which: str, value: int) -> None:
        """Let nobody find a file any more."""
        self._logs.execute(
            f"UPDATE file SET key = NULL, id = x'', name = x'', message = NULL, expires = 0 WHERE {which}", (value,)
        )

    # The hash

    def _hash(self, number: int, have: int, data: bytes) -> None:
        """Hash a piece that has come, if all before it were."""
        before = have - len(data)
        hashed, sha256 = self._hashed.pop(number, (0, hashlib.sha256()))
        if not before:
            hashed, sha256 = 0, hashlib.sha256()
        if hashed == before:
            sha256.update(data)
            self._hashed[number] = have, sha256
            if len(self._hashed) > _HASHED:
                del self._hashed[next(iter(self._hashed))]  # the one that has waited for a piece for longest

    def _digest(self, number: int, have: int) -> bytes:
        """The hash of a file that is complete."""
        hashed, sha256 = self._hashed.pop(number, (0, hashlib.sha256()))
        if hashed != have:
            sha256 = hashlib.sha256()
            for (data,) in self._logs.execute("SELECT data FROM piece WHERE file = ? ORDER BY number", (number,)):
                sha256.update(data)
        return sha256.digest()
