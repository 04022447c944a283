"""What could be meant by a word that is being typed: a name, a command, an emoji."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from typing import NamedTuple

_MOST = 8
"""Proposals at once."""

_WORD = re.compile(r"(?:^|(?<=\s))([@/:])(\w*)$")


class Proposal(NamedTuple):
    """What a word may be completed to.

    Attributes:
        text: what is put in its place.
        shown: how it is shown.
        start: where in the line the word begins.
    """

    text: str
    shown: str
    start: int


def proposals(before: str, first: bool, names: Iterable[str], commands: Iterable[tuple[str, str]]) -> list[Proposal]:
    """What the word before the cursor may be completed to.

    Args:
        before: the line up to the cursor.
        first: whether it is the first line.
        names: names that are known.
        commands: words of commands, each with its title.
    """
    found = _WORD.search(before)
    if found is None:
        return []
    sign, typed, start = found[1], found[2].lower(), found.start(1)
    if sign == "@":
        matching = sorted(name for name in names if name.lower().startswith(typed))
        return [Proposal(f"@{name} ", f"@{name}", start) for name in matching][:_MOST]
    if sign == "/":
        if not first or start:
            return []
        return [Proposal(f"/{word} ", f"/{word}  {title}", start) for word, title in commands if word.startswith(typed)]
    if len(typed) < 2:
        return []
    matching = [(name.find(typed) > 0, len(name), name, sign) for name, sign in _emoji() if typed in name]
    return [Proposal(sign, f"{sign}  {name}", start) for *_, name, sign in sorted(matching)][:_MOST]


@cache
def _emoji() -> list[tuple[str, str]]:
    """Emoji of one character that are two columns wide in every terminal, by their names in short."""
    import emoji  # not earlier: it takes a while

    found: list[tuple[str, str]] = []
    for sign, about in emoji.EMOJI_DATA.items():
        if len(sign) == 1 and unicodedata.east_asian_width(sign) == "W":
            names = [about["en"], *about.get("alias", [])]
            found += [(name.strip(":"), sign) for name in names]
    return found
