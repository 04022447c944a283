"""The rules of profiles (docs/protocol.md, section 18)."""

import unicodedata
from typing import Final

from twotick.store.rules.errors import NotAllowed

DISPLAY_BYTES: Final = 128
STATUS_BYTES: Final = 250
_DIRECTIONS: Final = frozenset("\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of what follows, which may be the text of others."""


def cleaned_display(text: str) -> str:
    """Return a display name as it is stored.

    Raises:
        NotAllowed: it is not valid (rule 18.1).
    """
    return _cleaned(text, "a display name", DISPLAY_BYTES)


def cleaned_status(text: str) -> str:
    """Return a status text as it is stored.

    Raises:
        NotAllowed: it is not valid (rule 18.1).
    """
    return _cleaned(text, "a status text", STATUS_BYTES)


def _cleaned(text: str, what: str, most: int) -> str:
    for letter in text:
        if letter in _DIRECTIONS or unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp"):
            raise NotAllowed(f"{what} has no control characters, line breaks or changes of direction")
    cleaned = unicodedata.normalize("NFC", " ".join(text.split()))
    if len(cleaned.encode()) > most:
        raise NotAllowed(f"{what} has at most {most} bytes")
    return cleaned
