"""Files, sent and fetched in pieces (docs/protocol.md, section 16).

Theory of operation. Pieces are questions like others: when the connection is lost, those on their way are asked again
on the next one, and a piece that the server has already changes nothing. Several are on their way at once, so that a
distant server does not cost a pause for each.

To go on after a new start, a file must be announced with the Id that it had before. That is derived from the file
itself, and a number: a file belongs to one message, so what the server has whole already may be another message's, and
the next number is tried. A file that goes out at once needs none of that.
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

from twotick.client.errors import FileMismatch, ProtocolError
from twotick.client.member.events import as_text, number
from twotick.client.member.messages import FileInfo
from twotick.client.member.request import Answer, Asker
from twotick.wire import Verb

Progress: TypeAlias = Callable[[int, int], None]
"""Called with how many bytes are done, and how many there are."""

_PIECES = 4
"""Pieces on their way at once."""

_PIECE = 65536
"""The bytes that are asked for at once (rule 16.4)."""

_LONGEST_PIECE = 1 << 20
"""The longest piece that a server may want, in bytes."""

_COPIES = 10_000
"""How often a file may have been sent within the 30 days for which a server keeps it."""

_READ = 1 << 20
"""The bytes that are read at once to compute a hash."""

_NAME = re.compile(r"[^\x00-\x1f\x7f/]{1,255}")
_LONGEST_NAME = 255
"""Bytes of UTF-8 (rule 16.1)."""

_KEY = re.compile(r"[!-~]{1,200}")
_HASH = re.compile(r"[0-9a-f]{64}")

_T = TypeVar("_T")


class _Digest(Protocol):
    """A hash that is being computed."""

    def update(self, data: bytes, /) -> None: ...

    def hexdigest(self) -> str: ...


def _nobody_asks(done: int, size: int) -> None:
    """In place of a progress callback."""


class FileMethods(Asker):
    """What a client can do with files. While the connection is away, it waits and goes on where it was."""

    def __init__(self) -> None:
        self._uploading = asyncio.Lock()

    async def upload(self, path: Path, *, name: str | None = None, progress: Progress = _nobody_asks) -> FileInfo:
        """Bring a file to the server, for `send(..., file=...)`. One file at a time: others wait for their turn.

        It is read in pieces. What the server has of it already, from before the connection was lost or the program was
        ended, is not sent again.

        Args:
            path: the file.
            name: what it is called for others; None for the name that it has.
            progress: called as it goes on.

        Returns:
            What is to be sent; it can go with one message, within a day.

        Raises:
            RequestRefused: the server does not take it; for example, it is too large.
            FileMismatch: it has changed meanwhile.
            OSError: it cannot be read.
            TwotickError: the client has ended.
            ValueError: it cannot be called that.
        """
        name = path.name if name is None else name
        if name in (".", "..") or not _NAME.fullmatch(name) or len(name.encode(errors="replace")) > _LONGEST_NAME:
            raise ValueError(f"a file cannot be called {name!r}")
        async with self._uploading:
            descriptor = await _in_thread(_open_to_read, path)
            try:
                file, ident = await _in_thread(_described, descriptor, path, name)
                return await self._upload(descriptor, file, ident, progress)
            finally:
                os.close(descriptor)

    async def _upload(self, descriptor: int, file: FileInfo, ident: str, progress: Progress) -> FileInfo:
        for copy in range(_COPIES):
            key, have, piece = await self._announce(file, f"{ident}-{copy}")
            if have < file.size or not file.size:
                break
        else:
            raise ProtocolError("the server says that it has had this file too often")
        progress(have, file.size)
        while have < file.size:
            offsets = range(have, min(have + _PIECES * piece, file.size), piece)
            data = await _in_thread(os.pread, descriptor, _PIECES * piece, have)
            if len(data) < min(_PIECES * piece, file.size - have):
                raise FileMismatch("the file has become shorter while it was read")
            pieces = [data[offset - have : offset - have + piece] for offset in offsets]
            answers = await _all([self._put(key, offset, each) for offset, each in zip(offsets, pieces, strict=True)])
            has = max(number(answer.head, b"have") for answer in answers)
            if not have < has <= file.size:
                raise ProtocolError("the server does not go on with a file")
            have = has
            progress(have, file.size)
        return FileInfo(key, file.name, file.size, file.hash)

    async def _announce(self, file: FileInfo, ident: str) -> tuple[str, int, int]:
        """Announce a file; its key, how much of it the server has, and how many bytes it wants at once."""
        name, digest = file.name.encode(errors="replace"), file.hash.encode()
        headers: dict[str, bytes | int | None] = {"Name": name, "Size": file.size, "Hash": digest}
        head = (await self._ask(Verb.FILE, b"", headers, ident=ident.encode(), duplex=False)).head
        key, piece = as_text(head.name), number(head, b"piece")
        if not _KEY.fullmatch(key) or not 0 < piece <= _LONGEST_PIECE:
            raise ProtocolError("the server says of a file what makes no sense")
        return key, number(head, b"have"), piece

    async def _put(self, key: str, offset: int, data: bytes) -> Answer:
        return await self._ask(Verb.PIECE, key.encode(), {"Offset": offset}, body=data, duplex=False)

    async def download(self, file: FileInfo, path: Path, *, progress: Progress = _nobody_asks) -> None:
        """Fetch a file that came with a message.

        It is written to a file beside `path` whose name ends in `.part`, from where it goes on if it was interrupted,
        and gets its name once it is whole and its hash is right. No other file is ever overwritten.

        Args:
            file: which (`MemberMessage.file`).
            path: where to put it. Never make this from `FileInfo.name` as it is: others have chosen that.
            progress: called as it goes on.

        Raises:
            RequestRefused: the server does not give it, or does not have it any more.
            FileMismatch: what came is not what was announced; it is thrown away.
            FileExistsError: there is something at that path.
            OSError: it cannot be written, or another program fetches it at the moment.
            TwotickError: the client has ended.
        """
        if not _KEY.fullmatch(file.key) or not _HASH.fullmatch(file.hash):
            raise FileMismatch("the message does not say properly which file it is")
        part = path.with_name(f"{path.name}.{file.hash[:8]}.part")
        descriptor = await _in_thread(_open_part, part, path, file.size)
        try:
            digest, have = await _in_thread(_hashed, descriptor, file.size)
            progress(have, file.size)
            while have < file.size:
                data = await self._get(file, have)
                digest.update(data)
                await _in_thread(_write, descriptor, data, have)
                have += len(data)
                progress(have, file.size)
            if digest.hexdigest() != file.hash:
                part.unlink()
                raise FileMismatch("the file came damaged, or is not the one that was announced")
            await _in_thread(_give_name, descriptor, part, path)
        finally:
            os.close(descriptor)

    async def _get(self, file: FileInfo, offset: int) -> bytes:
        """The next pieces of a file, as far as they are asked for at once."""
        offsets = range(offset, min(offset + _PIECES * _PIECE, file.size), _PIECE)
        lengths = [min(_PIECE, file.size - each) for each in offsets]
        answers = await _all(
            [
                self._ask(Verb.PIECE, file.key.encode(), {"Offset": each, "Length": length}, duplex=False)
                for each, length in zip(offsets, lengths, strict=True)
            ]
        )
        for answer, each, length in zip(answers, offsets, lengths, strict=True):
            if number(answer.head, b"offset") != each or len(answer.body) != length:
                raise FileMismatch("the server has another file than was announced")
        return b"".join(answer.body for answer in answers)


async def _in_thread(do: Callable[..., _T], *values: Any) -> _T:
    """Let a thread wait for the disk; it has ended when this returns, also when it is cancelled."""
    doing = asyncio.ensure_future(asyncio.to_thread(do, *values))
    try:
        return await asyncio.shield(doing)
    except asyncio.CancelledError:
        await asyncio.wait([doing])
        raise


async def _all(asking: list[Coroutine[Any, Any, Answer]]) -> list[Answer]:
    """All answers; the first that is refused is raised when none is waited for any more."""
    answers = await asyncio.gather(*asking, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if not isinstance(answer, BaseException)]


# What threads do


def _open_to_read(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # it may be a pipe that nobody writes to
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "that is no file with content", str(path))
    return descriptor


def _described(descriptor: int, path: Path, name: str) -> tuple[FileInfo, str]:
    """A file as it is announced, without a key; and how its Id begins. It is any Id for what goes out at once."""
    status = os.fstat(descriptor)
    digest, size = _hashed(descriptor, status.st_size)
    if size < status.st_size:
        raise FileMismatch("the file has become shorter while it was read")
    file = FileInfo("", name, size, digest.hexdigest())
    if size <= _PIECES * _PIECE:
        return file, secrets.token_hex(16)
    what = f"{path.absolute()}\0{name}\0{size}\0{status.st_mtime_ns}\0{digest.hexdigest()}"
    return file, hashlib.sha256(what.encode(errors="replace")).hexdigest()[:32]


def _hashed(descriptor: int, most: int) -> tuple[_Digest, int]:
    """The hash of a file's first bytes, and how many there are."""
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
        raise OSError(errno.EAGAIN, "another program fetches it", str(part)) from None
    if os.fstat(descriptor).st_size > size:
        os.ftruncate(descriptor, size)
    return descriptor


def _write(descriptor: int, data: bytes, offset: int) -> None:
    while data:
        done = os.pwrite(descriptor, data, offset)
        data, offset = data[done:], offset + done


def _give_name(descriptor: int, part: Path, path: Path) -> None:
    """Move a file to its place, if there is nothing."""
    os.fsync(descriptor)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))  # nobody else can take the place now
    try:
        part.replace(path)
    except OSError:
        path.unlink()
        raise
