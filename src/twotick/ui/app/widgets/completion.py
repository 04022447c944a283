"""What could be meant by a word that is being typed: a name, a room, a command, an emoji, a file."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

_MOST = 8
"""Proposals at once."""

_MOST_FILES = 2000
"""Files of a folder that are looked at."""

_WORD = re.compile(r"(?:^|(?<=\s))([@/:#])([\w-]*)$")
_FILE = re.compile(r"^/file (.*)$")


class Completion(NamedTuple):
    """What a word may be completed to.

    Attributes:
        text: what is put in its place.
        shown: how it is shown.
        start: where in the line the word begins.
    """

    text: str
    shown: str
    start: int


class CompletionSources(NamedTuple):
    """What words may be completed to.

    Attributes:
        names: names that are known.
        rooms: likewise of rooms, each with its `#`.
        commands: words of commands, each with its title.
    """

    names: Iterable[str]
    rooms: Iterable[str]
    commands: Iterable[tuple[str, str]]


def proposals(before: str, first: bool, known: CompletionSources) -> list[Completion]:
    """What the word before the cursor may be completed to.

    Args:
        before: the line up to the cursor.
        first: whether it is the first line.
        known: what is known.
    """
    path = _FILE.search(before) if first else None
    if path is not None:
        found_files = [each for each in files(path[1])[:_MOST] if each != path[1]]
        return [Completion(each, file_name(each), path.start(1)) for each in found_files]
    found = _WORD.search(before)
    if found is None:
        return []
    sign, typed, start = found[1], found[2].lower(), found.start(1)
    match sign:
        case "@":
            matching = sorted(name for name in set(known.names) if name.lower().startswith(typed))
            return [Completion(f"@{name} ", f"@{name}", start) for name in matching][:_MOST]
        case "#":
            matching = sorted(name for name in set(known.rooms) if name.lower().startswith(f"#{typed}"))
            return [Completion(f"{name} ", name, start) for name in matching][:_MOST]
        case "/":
            if not first or start:
                return []
            fitting = [(word, title) for word, title in known.commands if word.startswith(typed)]
            return [Completion(f"/{word} ", f"/{word}  {title}", start) for word, title in fitting]
        case _:
            if len(typed) < 2:
                return []
            return [Completion(sign, f"{sign}  {name}", start) for name, sign in emoji_named(typed)[:_MOST]]


def emoji_named(part: str) -> list[tuple[str, str]]:
    """Names with that part in them, in lower case, each with its emoji: first those that begin so, and short ones."""
    matching = [(name.find(part) > 0, len(name), name, sign) for name, sign in emoji() if part in name]
    return [(name, sign) for *_, name, sign in sorted(matching)]


@cache
def emoji() -> list[tuple[str, str]]:
    """Emoji of one character that are two columns wide in every terminal, by their names in short."""
    import emoji  # not earlier: it takes a while

    found: list[tuple[str, str]] = []
    for sign, about in emoji.EMOJI_DATA.items():
        if len(sign) == 1 and unicodedata.east_asian_width(sign) == "W":
            names = [about["en"], *about.get("alias", [])]
            found += [(name.strip(":"), sign) for name in names]
    return found


def file_name(path: str) -> str:
    """The last part of a path, with the `/` at its end."""
    return path[path.rstrip("/").rfind("/") + 1 :]


def files(typed: str) -> list[str]:
    """The files and folders that a path may be completed to, folders with a `/` at their end.

    Args:
        typed: the path as far as it is typed; `~` is the user's home.
    """
    folder, _, part = typed.rpartition("/")
    start = f"{folder}/" if "/" in typed else ""
    try:
        inside = Path(start or ".").expanduser()
        names = [each.name + "/" * each.is_dir() for each, _ in zip(inside.iterdir(), range(_MOST_FILES), strict=False)]
    except (OSError, RuntimeError):  # there is no such folder, or no such home
        return []
    fitting = [name for name in names if name.lower().startswith(part.lower())]
    return [start + name for name in sorted(fitting, key=str.lower) if part.startswith(".") or not name.startswith(".")]
