"""The rules of files (docs/protocol.md, section 16)."""

import unicodedata

NO_FILE = "there is no such file"
"""Why a request is refused about a file that does not exist, or that the member may not have."""


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
