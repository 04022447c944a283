"""Names of the files that programs publish, and what these are."""

import mimetypes
from typing import Final

from twotick.server.web.publish.publication import one_line

_LONGEST: Final = 255
"""The bytes of the longest name (rule 16.1)."""

_KINDS: Final = (
    (b"\xff\xd8\xff", ".jpg"),
    (b"\x89PNG\r\n\x1a\n", ".png"),
    (b"GIF8", ".gif"),
    (b"%PDF-", ".pdf"),
    (b"PK\x03\x04", ".zip"),
    (b"\x1f\x8b", ".gz"),
    (b"OggS", ".ogg"),
    (b"\x1aE\xdf\xa3", ".webm"),
)
"""How files begin, and what their names end with."""


def file_name(given: str, head: bytes) -> str:
    """Return a name for a file that can be stored.

    Args:
        given: the name that the program gives; empty for none.
        head: the first bytes of the file.
    """
    name = one_line(given.replace("\\", "/").rpartition("/")[2])
    while len(name.encode("utf-8", "replace")) > _LONGEST:
        name = name[:-1]
    if name not in ("", ".", ".."):
        return name
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "attachment.webp"
    ending = next((ending for begin, ending in _KINDS if head.startswith(begin)), "")
    return "attachment" + (ending or (".txt" if is_text(head) else ".bin"))


def is_text(head: bytes) -> bool:
    """Tell whether bytes are text in UTF-8, of which the last character may be cut off."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"
    return True


def file_type(name: str) -> str:
    """Return the media type of a file with a name."""
    return mimetypes.guess_type(name)[0] or "application/octet-stream"
