"""The names of users and rooms that a member's programs on this machine know, for completion in a shell.

They come from the database of the app, which can be read while the app is closed, and from a small file that the app
and the commands write. Nothing asks the server.
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote

import platformdirs

from twotick.client.address import parse_server
from twotick.client.trust import private_files
from twotick.wire import is_name, is_room

_FILE = "names.json"
_MAX_NAMES = 500
"""Names in the file; the ones that were used last stay."""

_MAX_SIZE = 100_000
"""Bytes of the file that are read."""

_NEWEST = 2000
"""Messages in the app's database whose senders count."""

_PATIENCE = 0.1
"""Seconds to wait for a database that another program changes."""

_QUERY = """
SELECT name FROM conversation UNION SELECT sender FROM (SELECT sender FROM message ORDER BY number DESC LIMIT ?)
"""


def data_folder() -> Path:
    """Return the folder for the data of all users."""
    return platformdirs.user_data_path("twotick") / "chat"


def folder_of(name: str, server: str, inside: Path | None = None) -> Path:
    """Return the folder for the data of one user at one server.

    Args:
        name: the user's name.
        server: the address of the server.
        inside: the folder for the data of all users; None for the platform's default.
    """
    return (inside or data_folder()) / f"{name.lower()}@{quote(parse_server(server).known_as, safe='')}"


def known_names(folder: Path) -> list[str]:
    """Return the names of users and rooms that are known in a user's folder. What cannot be read is left out."""
    names = {name.lower(): name for name in [*_in_database(folder / "chat.db"), *_in_file(folder / _FILE)]}
    return sorted(names.values(), key=str.lower)


def remember_names(folder: Path, names: Iterable[str]) -> None:
    """Keep names for completion. If that fails, they are not completed.

    Args:
        folder: the user's folder.
        names: users and rooms.
    """
    kept = _in_file(folder / _FILE)
    new = dict.fromkeys(name for name in names if name not in kept and _is_valid(name))
    if not new:
        return
    with contextlib.suppress(OSError):  # a full disk must not make a command fail that has done its work
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        private_files.replace(folder / _FILE, json.dumps([*kept, *new][-_MAX_NAMES:]))


def _in_file(file: Path) -> list[str]:
    try:
        with file.open("rb") as opened:
            found: Any = json.loads(opened.read(_MAX_SIZE))
    except (OSError, ValueError, RecursionError):
        return []
    names = cast("list[object]", found) if isinstance(found, list) else []
    return [name for name in names if isinstance(name, str) and _is_valid(name)]


def _in_database(file: Path) -> list[str]:
    try:
        with contextlib.closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", _PATIENCE, uri=True)) as database:
            found = database.execute(_QUERY, (_NEWEST,)).fetchall()
    except sqlite3.Error:  # there is none, it is damaged, or it has another format
        return []
    return [name for (name,) in found if isinstance(name, str) and _is_valid(name)]


def _is_valid(name: str) -> bool:
    encoded = name.encode(errors="replace")
    return is_name(encoded) or is_room(encoded)
