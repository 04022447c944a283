"""For a process of its own: how much memory a large file takes on its way through a store."""

import gc
from hashlib import sha256
from pathlib import Path

from tests.store.helpers import NOW, Asker
from tests.store.sending_files import read, send_file
from twotick.store.requests.files import PIECE, FileOffer, OfferFile, WritePiece

_CACHE = 40 << 20
"""A little more than the database keeps in memory."""


def grown(folder: str, size: int) -> int:
    """The bytes by which the process is larger at its largest, while a file is written and read."""
    asker = Asker(Path(folder) / "data")
    asker.add("alice", "bob")
    _through(asker, b"first", _CACHE)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the largest from now on
    before = _memory("VmRSS")
    _through(asker, b"second", size)
    after = _memory("VmHWM")
    asker.store.close()
    return after - before


def _through(asker: Asker, key: bytes, size: int) -> None:
    piece = bytes(range(256)) * (PIECE // 256)
    digest = sha256()
    for _ in range(0, size, PIECE):
        digest.update(piece)
    alice = asker.members["alice"]
    asker.ask(OfferFile(alice, key, key, "large", size, digest.digest(), NOW))
    for offset in range(0, size, PIECE):
        assert asker.ask(WritePiece(alice, key, offset, piece)) == FileOffer(key, offset + PIECE)
    send_file(asker, "alice", "bob", key=key)
    for offset in range(0, size, PIECE):
        assert read(asker, "bob", offset, key=key) == piece


def _memory(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) << 10
    raise LookupError(name)
