"""Files, which are uploaded and downloaded in pieces (docs/protocol.md, section 16)."""

import hashlib
from dataclasses import dataclass

from twotick.store.port import Refusal, Request

PIECE = 65536
"""The bytes of a piece; the last one of a file may be shorter."""


@dataclass(frozen=True, slots=True)
class FileOffer:
    """A file that is being uploaded.

    Attributes:
        key: its key.
        have: how many of its bytes the store has.
    """

    key: bytes
    have: int


@dataclass(frozen=True, slots=True)
class FileHash:
    """The hash of the first bytes of a file.

    Attributes:
        size: how many bytes were hashed.
        sha256: their hash.
    """

    size: int
    sha256: "hashlib._Hash"  # pyright: ignore[reportPrivateUsage]


@dataclass(frozen=True, slots=True)
class OfferFile(Request[FileOffer | Refusal]):
    """Announce a file (rule 16.1); refused if its name is not allowed, it is too large, or the quota is used up.

    An announcement with an Id that the member has used before resumes that file, if size and hash are the same.

    Attributes:
        key: an unguessable key, for a new file.
        name: its name.
        size: in bytes.
        digest: its SHA-256.
    """

    member: int
    id: bytes
    key: bytes
    name: str
    size: int
    digest: bytes
    time: float


@dataclass(frozen=True, slots=True)
class WritePiece(Request[FileOffer | Refusal]):
    """Add the next piece to a file that the member has announced (rule 16.2).

    Refused if there is no such file, if the piece has a wrong size, or if the hash of the complete file is wrong: then
    the file is removed.

    Attributes:
        hashed: for the last piece, what earlier transactions of this request have hashed; None for nothing.
    """

    member: int
    key: bytes
    offset: int
    data: bytes
    hashed: FileHash | None = None


@dataclass(frozen=True, slots=True)
class ReadPiece(Request[bytes | Refusal]):
    """Read a part of a file that the member may have (rule 16.4).

    Attributes:
        offset: where to begin, in bytes.
        length: how many bytes, PIECE at most.
    """

    member: int
    key: bytes
    offset: int
    length: int
    time: float
