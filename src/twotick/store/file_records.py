"""What a store is asked about files and reports, and what it answers (docs/protocol.md, sections 16 and 17)."""

import unicodedata
from dataclasses import dataclass

PIECE = 65536
"""The bytes of a piece; the last one of a file may be shorter."""

REPORT_BYTES = 4096
"""What a member says in a report, in bytes at most."""

COPY_BYTES = 65536
"""What is kept of the body of a message that is reported, in bytes at most."""

MOST_REPORTS = 1000
"""Reports that are listed at once."""

NO_FILE = "there is no such file"
"""Why a file is refused that is not there, or that the member may not have."""


def is_file_name(name: str) -> bool:
    """Whether a file may have this name (rule 16.1)."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return (
        0 < len(encoded) <= 255
        and name not in (".", "..")
        and not any(letter == "/" or unicodedata.category(letter) == "Cc" for letter in name)
    )


@dataclass(frozen=True, slots=True)
class OfferFile:
    """Announce a file (rule 16.1).

    Answered by Offered; or Refusal: a name that none can have, too large, or the quota is used up.

    An announcement with an Id that the member has used before goes on with that file, if size and hash are the same;
    otherwise it is refused.

    Attributes:
        key: a key for it that nobody can guess, if it is new.
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
class Offered:
    """The file's key, and how many of its bytes the store has."""

    key: bytes
    have: int


@dataclass(frozen=True, slots=True)
class WritePiece:
    """The next piece of a file that the member has announced (rule 16.2).

    Answered by Offered; or Refusal: there is no such file, the piece has a wrong size, or the hash of the whole is
    wrong, and then the file is gone.
    """

    member: int
    key: bytes
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class ReadPiece:
    """A part of a file that the member may have (rule 16.4). Answered by bytes, or Refusal.

    Attributes:
        offset: from where, in bytes.
        length: how many bytes, PIECE at most.
    """

    member: int
    key: bytes
    offset: int
    length: int
    time: float


@dataclass(frozen=True, slots=True)
class Report:
    """A user is reported to the operator (rule 17.1). Answered by None, or Refusal: too many, or too long.

    Attributes:
        about: the user who is reported, as written.
        id: the Id of that user's message; empty for none.
        text: what the member says.
    """

    member: int
    about: bytes
    id: bytes
    text: bytes
    time: float


@dataclass(frozen=True, slots=True)
class Reported:
    """A report, as the operator sees it.

    Attributes:
        number: its number.
        reporter: the member's name; empty if it is no member any more.
        about: who is reported.
        id: the Id of the message; empty for none.
        copy: the message's body, or the first COPY_BYTES of it; None if the member does not have it.
        text: what the member says.
        time: when, in seconds since 1970.
    """

    number: int
    reporter: str
    about: bytes
    id: bytes
    copy: bytes | None
    text: bytes
    time: float


@dataclass(frozen=True, slots=True)
class Reports:
    """What was reported and is not dealt with, the oldest MOST_REPORTS first. Answered by a list of Reported."""


@dataclass(frozen=True, slots=True)
class CloseReport:
    """A report is dealt with, and removed. Answered by whether there was one."""

    number: int
