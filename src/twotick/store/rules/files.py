"""The rules of files (docs/protocol.md, section 16)."""

import hashlib
import unicodedata
from dataclasses import dataclass

from twotick.store.port import StoreLimits
from twotick.store.requests.files import PIECE, OfferFile
from twotick.store.requests.messages import Append, MessageAction
from twotick.store.rules.errors import NotAllowed

NO_FILE = "there is no such file"
"""Why a request is refused about a file that does not exist, or that the member may not have."""


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file, as far as the rules need it.

    Attributes:
        name: its name.
        size: its bytes.
        digest: its SHA-256.
        have: how many of its bytes are stored.
        message: the number of the message that it was sent with; None if it was not sent.
    """

    name: bytes
    size: int
    digest: bytes
    have: int
    message: int | None


def is_file_name(name: str) -> bool:
    """Tell whether a file may have this name (rule 16.1)."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return (
        0 < len(encoded) <= 255
        and name not in (".", "..")
        and not any(letter == "/" or unicodedata.category(letter) == "Cc" for letter in name)
    )


def check_offer(request: OfferFile, used: int, limits: StoreLimits) -> None:
    """Check that a member may upload a file (rules 16.1 and 16.5).

    Args:
        request: the file.
        used: bytes of the member's other files, each counted as at least one piece.
        limits: the quotas.

    Raises:
        NotAllowed: it may not.
    """
    if not is_file_name(request.name):
        raise NotAllowed("this is no name for a file")
    if request.size > limits.file_bytes:
        raise NotAllowed(f"a file has at most {limits.file_bytes} bytes", "file_bytes")
    check_room(request.size, used, limits)
    if not request.size and request.digest != hashlib.sha256().digest():
        raise NotAllowed("this is not the hash of an empty file")


def check_room(size: int, used: int, limits: StoreLimits) -> None:
    """Check that a member may have one more file (rule 16.5).

    Args:
        size: its bytes.
        used: bytes of the member's other files, each counted as at least one piece.
        limits: the quotas.

    Raises:
        NotAllowed: it may not.
    """
    if used + max(size, PIECE) > limits.files_bytes:
        raise NotAllowed(f"the files of a member have at most {limits.files_bytes} bytes together", "files_bytes")


def wrong_piece(data: bytes, have: int, size: int) -> str | None:
    """Return why data cannot be the next piece of a file (rule 16.2); None if it can.

    Args:
        data: the piece.
        have: how many bytes of the file are stored.
        size: how many bytes the file has.
    """
    if len(data) != min(PIECE, size - have):
        return f"a piece has {PIECE} bytes, and the last one what is left"
    return None


def headers_of(request: Append, file: FileRecord | None) -> bytes:
    """Return the header lines that describe the file which a message brings (rule 16.3).

    Raises:
        NotAllowed: the file cannot be sent, or not with this message.
    """
    if file is None:
        raise NotAllowed(NO_FILE)
    if file.have < file.size:
        raise NotAllowed("the file is not complete")
    if file.message is not None:
        raise NotAllowed("the file was sent with another message")
    if request.live or request.recipient.upper() == b"ALL":
        raise NotAllowed("files can be sent to members and rooms only")
    if request.action is not MessageAction.NONE:
        raise NotAllowed("a message that changes another has no file")
    return header_lines(request.file, file)


def header_lines(key: bytes, file: FileRecord) -> bytes:
    """Return the header lines that describe a file with a key."""
    lines = b"File: %b\nFile-name: %b\nFile-size: %d\nFile-hash: %b\n"
    return lines % (key, file.name, file.size, file.digest.hex().encode())
