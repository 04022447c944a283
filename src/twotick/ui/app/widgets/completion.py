"""Completion of the word that is being typed: a name, a room, a command, an emoji or a file."""

import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import NamedTuple

_MAX_SHOWN = 8
"""Completions that are shown at a time."""

_MAX_FILES = 2000
"""Files of a folder that are considered."""

_WORD = re.compile(r"(?:^|(?<=\s))(?:([@/#])([\w-]*)|(:)([^\W\d_][\w-]+))$")
_NAMED = re.compile(r"(?:^|(?<=\s)):([\w+-]+):$")
_FILE = re.compile(r"^/file (.*)$")


class Completion(NamedTuple):
    """A possible completion of a word.

    Attributes:
        text: the text that replaces the word.
        shown: the text that is shown in the list.
        start: the column at which the word begins.
    """

    text: str
    shown: str
    start: int


class CompletionSources(NamedTuple):
    """The words that can be completed.

    Attributes:
        names: names of users.
        rooms: names of rooms, each with its `#`.
        commands: words of commands, each with its title.
    """

    names: Iterable[str]
    rooms: Iterable[str]
    commands: Iterable[tuple[str, str]]


def completions(before: str, first: bool, known: CompletionSources) -> list[Completion]:
    """Return the completions of the word before the cursor.

    Args:
        before: the line up to the cursor.
        first: whether this is the first line of the text.
        known: the words that can be completed.
    """
    path = _FILE.search(before) if first else None
    if path is not None:
        found_files = [each for each in files(path[1])[:_MAX_SHOWN] if each != path[1]]
        return [Completion(each, file_name(each), path.start(1)) for each in found_files]
    found = _WORD.search(before)
    if found is None:
        return []
    sign, typed, start = found[1] or found[3], (found[2] or found[4] or "").lower(), found.start()
    match sign:
        case "@":
            matching = sorted(name for name in set(known.names) if name.lower().startswith(typed))
            return [Completion(f"@{name} ", f"@{name}", start) for name in matching][:_MAX_SHOWN]
        case "#":
            matching = sorted(name for name in set(known.rooms) if name.lower().startswith(f"#{typed}"))
            return [Completion(f"{name} ", name, start) for name in matching][:_MAX_SHOWN]
        case "/":
            if not first or start:
                return []
            fitting = [(word, title) for word, title in known.commands if word.startswith(typed)]
            return [Completion(f"/{word} ", f"/{word}  {title}", start) for word, title in fitting]
        case _:
            return [Completion(sign, f"{sign}  {name}", start) for name, sign in emoji_named(typed)[:_MAX_SHOWN]]


def named_emoji(before: str) -> Completion | None:
    """Return the emoji whose name between colons ends a text, such as `:tada:` or `:+1:`; None if there is none."""
    found = _NAMED.search(before)
    if found is None:
        return None
    import emoji  # imported late: it is slow

    name = found[0].lower()
    sign = emoji.emojize(name, language="alias")
    return None if sign == name else Completion(sign, name, found.start())


def emoji_named(part: str) -> list[tuple[str, str]]:
    """Return the names of emoji that contain a text in lower case, each with its emoji; the best matches come first."""
    matching = [(name.find(part) > 0, len(name), name, sign) for name, sign in emoji() if part in name]
    return [(name, sign) for *_, name, sign in sorted(matching)]


@cache
def emoji() -> list[tuple[str, str]]:
    """Return the short names of emoji, each with its emoji: those that have the same width in every terminal."""
    import emoji  # imported late: it is slow

    found: list[tuple[str, str]] = []
    for sign, about in emoji.EMOJI_DATA.items():
        if len(sign) == 1 and unicodedata.east_asian_width(sign) == "W":
            names = [about["en"], *about.get("alias", [])]
            found += [(name.strip(":"), sign) for name in names]
    return found


def file_name(path: str) -> str:
    """Return the last part of a path, with the `/` at its end if there is one."""
    return path[path.rstrip("/").rfind("/") + 1 :]


def files(typed: str) -> list[str]:
    """Return the files and folders that a path can be completed to. Folders end with a `/`.

    Args:
        typed: the beginning of a path; `~` is the user's home.
    """
    folder, _, part = typed.rpartition("/")
    start = f"{folder}/" if "/" in typed else ""
    try:
        inside = Path(start or ".").expanduser()
        names = [each.name + "/" * each.is_dir() for each, _ in zip(inside.iterdir(), range(_MAX_FILES), strict=False)]
    except (OSError, RuntimeError):  # the folder or the home does not exist
        return []
    fitting = [name for name in names if name.lower().startswith(part.lower())]
    return [start + name for name in sorted(fitting, key=str.lower) if part.startswith(".") or not name.startswith(".")]
