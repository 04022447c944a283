"""Upload and download files in pieces (docs/protocol.md, section 16).

Theory of operation. Each piece is a request of its own: if the connection is lost, the client repeats the requests
without an answer on the next one, and a piece that the server has already changes nothing. Several requests are
unanswered at once, so that the distance to the server does not cost a pause for each piece.

To resume after a restart of the program, the client must announce the file with the Id that it had before. The Id is
therefore derived from the file itself, and a number. A file belongs to one message, so if the server has the whole file
already, it may belong to another message, and the client tries the next number. A file that fits into the first
requests is not resumed, and gets a random Id.
"""

import asyncio
import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol, TypeAlias, TypeVar

from twotick.client.errors import FileMismatch, ProtocolError, TooManyRequests
from twotick.client.member.headers import as_text, number
from twotick.client.member.messages import FileInfo
from twotick.client.member.request import Answer, RequestMethods
from twotick.wire import Verb

Progress: TypeAlias = Callable[[int, int], None]
"""Called with the number of bytes that are done, and the size of the file in bytes."""

_PIECES = 4
"""How many pieces may be unanswered at once."""

_PIECE = 65536
"""The size of the pieces of a download, in bytes (rule 16.4)."""

_LONGEST_PIECE = 1 << 20
"""The largest piece of an upload that the client accepts from a server, in bytes."""

_COPIES = 10_000
"""How often the same file can be sent within the 30 days for which a server keeps it (rule 16.5)."""

_READ = 1 << 20
"""How many bytes are read at once to compute a hash."""

_SHORTEST_PAUSE = 1
_LONGEST_PAUSE = 600
"""The time, in seconds, until a piece is sent again that came too early, whatever the server says (rule 16.6)."""

_NAME = re.compile(r"[^\x00-\x1f\x7f/]{1,255}")
_LONGEST_NAME = 255
"""The longest name, in bytes of UTF-8 (rule 16.1)."""

_KEY = re.compile(r"[!-~]{1,200}")
_HASH = re.compile(r"[0-9a-f]{64}")

_T = TypeVar("_T")


class _Digest(Protocol):
    """A hash in progress, as `hashlib` makes it."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


def _ignore_progress(done: int, size: int) -> None:
    """Ignore the progress of a transfer."""


class FileMethods(RequestMethods):
    """The methods of `MemberClient` for files. While the connection is lost, they wait for the next, and resume."""

    def __init__(self) -> None:
        self._uploading = asyncio.Lock()

    async def upload(self, path: Path, *, name: str | None = None, progress: Progress = _ignore_progress) -> FileInfo:
        """Upload a file, to send it with `send(..., file=...)` (rules 16.1 and 16.2).

        The file is read and sent in pieces. Pieces that the server has already, from before the connection was lost or
        the program was restarted, are not sent again. If the file grows meanwhile, as a log does, what it had at first
        is sent. Only one file is uploaded at a time; further calls wait.

        Args:
            path: the path of the file.
            name: the name that recipients see; None for the file's own name.
            progress: called after each step with the number of bytes that the server has, and the size of the file.

        Returns:
            The description of the file, for the option `file` of one message. The message must be sent within a day.

        Raises:
            RequestRefused: the server refused the file, for example because it is too large.
            FileMismatch: the file changed during the upload.
            OSError: the file cannot be read.
            TwotickError: the client has ended.
            ValueError: `name` cannot be the name of a file (rule 16.1).
        """
        name = path.name if name is None else name
        if name in (".", "..") or not _NAME.fullmatch(name) or len(name.encode(errors="replace")) > _LONGEST_NAME:
            raise ValueError(f"{name!r} cannot be the name of a file: use at most {_LONGEST_NAME} bytes without '/'")
        async with self._uploading:
            descriptor = await _run_in_thread(_open_to_read, path)
            try:
                file, ident = await _run_in_thread(_describe, descriptor, path, name)
                return await self._upload(descriptor, file, ident, progress)
            finally:
                os.close(descriptor)

    async def _upload(self, descriptor: int, file: FileInfo, ident: str, progress: Progress) -> FileInfo:
        """Upload a file that is open.

        Args:
            descriptor: the open file.
            file: its description, without a key.
            ident: the beginning of its Id.
            progress: see `upload`.
        """
        for copy in range(_COPIES):
            key, have, piece = await self._announce(file, f"{ident}-{copy}")
            if have < file.size or not file.size:
                break
        else:
            raise ProtocolError("the server says that this file was sent too often: rename it, and send it again")
        progress(have, file.size)
        while have < file.size:
            offsets = range(have, min(have + _PIECES * piece, file.size), piece)
            wanted = min(_PIECES * piece, file.size - have)  # the file may have grown since it was announced
            data = await _run_in_thread(os.pread, descriptor, wanted, have)
            if len(data) < wanted:
                raise FileMismatch("the file became shorter while it was read: send it again when it does not change")
            pieces = [data[offset - have : offset - have + piece] for offset in offsets]
            answers = await _all([self._put(key, offset, each) for offset, each in zip(offsets, pieces, strict=True)])
            has = max(number(answer.head, b"have") for answer in answers)
            if not have < has <= file.size:
                raise ProtocolError("the server sent a wrong count of the bytes that it has of a file")
            have = has
            progress(have, file.size)
        return FileInfo(key, file.name, file.size, file.hash)

    async def _announce(self, file: FileInfo, ident: str) -> tuple[str, int, int]:
        """Announce a file.

        Args:
            file: its description, without a key.
            ident: its Id.

        Returns:
            The file's key, how many bytes of it the server has, and the size of the pieces to send, in bytes.
        """
        name, digest = file.name.encode(errors="replace"), file.hash.encode()
        headers: dict[str, bytes | int | None] = {"Name": name, "Size": file.size, "Hash": digest}
        head = (await self._requests.ask(Verb.FILE, b"", headers, ident=ident.encode())).head
        key, piece = as_text(head.name), number(head, b"piece")
        if not _KEY.fullmatch(key) or not 0 < piece <= _LONGEST_PIECE:
            raise ProtocolError("the server sent a malformed key or piece size for a file")
        return key, number(head, b"have"), piece

    async def _put(self, key: str, offset: int, data: bytes) -> Answer:
        """Send a piece, and again when the server says so if it takes no more now (rule 16.6)."""
        while True:
            try:
                return await self._requests.ask(Verb.PIECE, key.encode(), {"Offset": offset}, body=data)
            except TooManyRequests as busy:
                await asyncio.sleep(min(max(busy.retry_after, _SHORTEST_PAUSE), _LONGEST_PAUSE))

    async def download(self, file: FileInfo, path: Path, *, progress: Progress = _ignore_progress) -> None:
        """Download a file that came with a message (rule 16.4).

        The content is first written to a file beside `path` whose name ends in `.part`. If the download is interrupted,
        a later call resumes it from there. When the file is complete and its hash is correct, it is renamed to `path`.
        An existing file is never overwritten.

        Args:
            file: the file, from `MemberMessage.file`.
            path: the path of the new file. Do not use `FileInfo.name` as a path without a check: the sender chose it.
            progress: called after each step with the number of bytes that are done, and the size of the file.

        Raises:
            RequestRefused: the member may not have the file, or the server does not have it any more.
            FileMismatch: the content differs from the description; it was deleted.
            FileExistsError: there is a file at `path` already.
            OSError: the file cannot be written, or another program is downloading it.
            TwotickError: the client has ended.
        """
        if not _KEY.fullmatch(file.key) or not _HASH.fullmatch(file.hash):
            raise FileMismatch("the message does not describe its file properly")
        part = path.with_name(f"{path.name}.{file.hash[:8]}.part")
        descriptor = await _run_in_thread(_open_part, part, path, file.size)
        try:
            digest, have = await _run_in_thread(_hash, descriptor, file.size)
            progress(have, file.size)
            while have < file.size:
                data = await self._get(file, have)
                digest.update(data)
                await _run_in_thread(_write, descriptor, data, have)
                have += len(data)
                progress(have, file.size)
            if digest.hexdigest() != file.hash:
                part.unlink()
                raise FileMismatch("the file was damaged on its way, and was deleted: download it again")
            await _run_in_thread(_rename, descriptor, part, path)
        finally:
            os.close(descriptor)

    async def _get(self, file: FileInfo, offset: int) -> bytes:
        """Return the next pieces of a file, as many as may be unanswered at once."""
        offsets = range(offset, min(offset + _PIECES * _PIECE, file.size), _PIECE)
        lengths = [min(_PIECE, file.size - each) for each in offsets]
        answers = await _all(
            [
                self._requests.ask(Verb.PIECE, file.key.encode(), {"Offset": each, "Length": length})
                for each, length in zip(offsets, lengths, strict=True)
            ]
        )
        for answer, each, length in zip(answers, offsets, lengths, strict=True):
            if number(answer.head, b"offset") != each or len(answer.body) != length:
                raise FileMismatch("the server sent another part of the file than was asked for")
        return b"".join(answer.body for answer in answers)


async def _run_in_thread(do: Callable[..., _T], *values: Any) -> _T:
    """Run a function in a thread. The thread has ended when this returns, also if the call is cancelled."""
    doing = asyncio.ensure_future(asyncio.to_thread(do, *values))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise


async def _all(asking: list[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """Wait for all answers, and raise the first error when every request is done."""
    answers = await asyncio.gather(*asking, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if not isinstance(answer, BaseException)]


# Run in threads


def _open_to_read(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # do not wait for the writer of a pipe
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor


def _describe(descriptor: int, path: Path, name: str) -> tuple[FileInfo, str]:
    """Return the description of a file, without a key, and the beginning of its Id."""
    status = os.fstat(descriptor)
    digest, size = _hash(descriptor, status.st_size)
    if size < status.st_size:
        raise FileMismatch("the file became shorter while it was read: send it again when it does not change")
    file = FileInfo("", name, size, digest.hexdigest())
    if size <= _PIECES * _PIECE:
        return file, secrets.token_hex(16)
    what = f"{path.absolute()}\0{name}\0{size}\0{status.st_mtime_ns}\0{digest.hexdigest()}"
    return file, hashlib.sha256(what.encode(errors="replace")).hexdigest()[:32]


def _hash(descriptor: int, most: int) -> tuple[_Digest, int]:
    """Return the hash of the first `most` bytes of a file, and how many there are."""
    digest = hashlib.sha256()
    done = 0
    while done < most and (data := os.pread(descriptor, min(_READ, most - done), done)):
        digest.update(data)
        done += len(data)
    return digest, done


def _open_part(part: Path, path: Path, size: int) -> int:
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, "there is a file already", str(path))
    descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise OSError(errno.EAGAIN, "another program is downloading it", str(part)) from None
    if os.fstat(descriptor).st_size > size:
        os.ftruncate(descriptor, size)
    return descriptor


def _write(descriptor: int, data: bytes, offset: int) -> None:
    while data:
        done = os.pwrite(descriptor, data, offset)
        data, offset = data[done:], offset + done


def _rename(descriptor: int, part: Path, path: Path) -> None:
    """Rename a complete file, unless there is a file with that name."""
    os.fsync(descriptor)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # reserves the name
    try:
        part.replace(path)
    except OSError:
        path.unlink()
        raise
