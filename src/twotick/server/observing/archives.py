"""Archives of members for the operator's page, each by the command that the operator has too, in a process of its own.

An archive waits in a file without a name, which is gone when the server ends, and is given in pieces: so it needs no
memory, however large it is.
"""

import asyncio
import contextlib
import os
import secrets
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

_MOST: Final = 2
"""The most archives that there are at a time; each may need as much room as the member's files."""

_KEPT: Final = 600.0
_LONGEST: Final = 1800.0
"""Seconds for which an archive is kept, and in which it is made."""

_PIECE: Final = 1 << 20


class ArchiveFailed(Exception):
    """An archive cannot be made; the text says why."""


class TooManyArchives(Exception):
    """There are as many archives as there may be."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive that was made.

    Attributes:
        owner: the store's number of the operator for whom it was made.
        file: the file.
        size: its bytes.
    """

    owner: int
    file: IO[bytes]
    size: int


class Archives:
    """Makes archives, and gives them.

    Args:
        data: the folder of the data; None if they are elsewhere.
        database: the address of the database on PostgreSQL; None if the data are not there.
    """

    def __init__(self, data: Path | None, database: str | None) -> None:
        self._data = data
        self._database = database
        self._made: dict[str, Archive] = {}
        self._making = 0

    @property
    def are_possible(self) -> bool:
        """Whether another process can read the data, which it cannot if they are in memory."""
        return self._data is not None or self._database is not None

    async def make(self, owner: int, name: str) -> tuple[str, int]:
        """Make an archive; return by which name `piece` gives it, and its size in bytes.

        Args:
            owner: the store's number of the operator who asks for it.
            name: the name of the member that it is about.

        Raises:
            TooManyArchives: there are as many as there may be.
            ArchiveFailed: it cannot be made.
        """
        for key, each in list(self._made.items()):
            if each.owner == owner:  # an operator has one at a time
                self._forget(key)
        if len(self._made) + self._making >= _MOST:
            raise TooManyArchives
        self._making += 1
        try:
            file = await self._written(name)
        except OSError as error:
            raise ArchiveFailed(error.strerror or str(error)) from error
        finally:
            self._making -= 1
        key = secrets.token_urlsafe(32)
        self._made[key] = archive = Archive(owner, file, os.fstat(file.fileno()).st_size)
        asyncio.get_running_loop().call_later(_KEPT, self._forget, key)
        return key, archive.size

    async def _written(self, name: str) -> IO[bytes]:
        """Return a file with an archive, which the command has written."""
        file: IO[bytes] = tempfile.TemporaryFile(dir=self._data)  # noqa: SIM115 # it is given in pieces later
        try:
            await self._run(name, file)
        except BaseException:
            file.close()
            raise
        return file

    async def _run(self, name: str, file: IO[bytes]) -> None:
        """Let the command write an archive to a file."""
        environment, place = dict(os.environ), ["--data", str(self._data)]
        if self._data is None:
            environment["TWOTICK_DATABASE"], place = str(self._database), []
        command = (sys.executable, "-P", "-m", "twotick", "user", "export", name, "-", *place)
        process = await asyncio.create_subprocess_exec(
            *command, stdin=asyncio.subprocess.DEVNULL, stdout=file, stderr=asyncio.subprocess.PIPE, env=environment
        )
        try:
            async with asyncio.timeout(_LONGEST):
                _, said = await process.communicate()
        except TimeoutError:
            raise ArchiveFailed(f"it was not complete after {_LONGEST / 60:.0f} minutes") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        if process.returncode:
            reason = said.decode(errors="replace").strip().removeprefix("twotick: ")
            raise ArchiveFailed(reason or f"the command ended with status {process.returncode}")

    def piece(self, owner: int, key: str, offset: int) -> bytes | None:
        """Return a piece of an archive; None if there is no such archive any more. With its end, it is forgotten.

        Args:
            owner: the store's number of the operator who asks.
            key: by which name `make` gave it.
            offset: the bytes before the piece.
        """
        found = self._made.get(key)
        if found is None or found.owner != owner:
            return None
        content = os.pread(found.file.fileno(), _PIECE, offset)
        if offset + len(content) >= found.size:
            self._forget(key)
        return content

    def _forget(self, key: str) -> None:
        found = self._made.pop(key, None)
        if found is not None:
            found.file.close()
