"""A file while it arrives: on the disk, because it may be too large for the memory.

The server learns the size and the hash of a file only at its end, and needs both before it can store a piece of it
(rule 16.1). So the file waits in one that has no name, is gone with the process, and is encrypted with a key that is
nowhere else: what is left of it on the disk says nothing.
"""

import asyncio
import hashlib
import secrets
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from twotick.store import PIECE

_HEAD: Final = 512


class Spool:
    """A file while it arrives.

    Args:
        folder: where it waits; None for the folder of the system for such files.

    Attributes:
        head: its first bytes, which show what it is.
        size: how many bytes have arrived.
    """

    def __init__(self, folder: Path | None) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 # closed by `close`
        self._cipher = Cipher(algorithms.AES(secrets.token_bytes(32)), modes.CTR(secrets.token_bytes(16)))
        self._encryptor = self._cipher.encryptor()
        self._sha256 = hashlib.sha256()
        self.head = b""
        self.size = 0

    def _add(self, data: bytes) -> None:
        self._sha256.update(data)
        self._file.write(self._encryptor.update(data))

    async def add(self, data: bytes) -> None:
        """Add bytes.

        Raises:
            OSError: they cannot be written.
        """
        self.head = (self.head + data[:_HEAD])[:_HEAD]
        self.size += len(data)
        await asyncio.to_thread(self._add, data)

    @property
    def digest(self) -> bytes:
        """The SHA-256 of what has arrived, in hexadecimal digits."""
        return self._sha256.hexdigest().encode()

    async def pieces(self, start: int) -> AsyncIterator[bytes]:
        """Yield the file in pieces (rule 16.2), from one on that begins at this byte.

        Raises:
            OSError: it cannot be read.
        """
        decryptor = self._cipher.decryptor()
        await asyncio.to_thread(self._file.seek, 0)
        position = 0
        while data := await asyncio.to_thread(self._file.read, PIECE):
            plain = decryptor.update(data)
            if position >= start:
                yield plain
            position += len(data)

    def close(self) -> None:
        """Forget it."""
        self._file.close()
