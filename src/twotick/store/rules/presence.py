"""The rules of presence (docs/protocol.md, section 15)."""

from collections.abc import Sequence
from typing import Final

SEEN_MOST: Final = 2000
"""The most members whose presence a member sees, and who see it (rule 15.2)."""

FAREWELL: Final = 3600.0
"""The seconds for which the audience of a removed member is remembered."""


def first_of(preferred: Sequence[int], others: Sequence[int]) -> list[int]:
    """Return the preferred members, and as many of the others as there is room for, in order of their numbers."""
    chosen = set(preferred[:SEEN_MOST])
    for number in others:
        if len(chosen) == SEEN_MOST:
            break
        chosen.add(number)
    return sorted(chosen)
