"""What the user has chosen in the app and what lasts, such as the theme. It is the same for all accounts."""

import json
from pathlib import Path
from typing import Any, TypeVar, cast

Value = TypeVar("Value", str, bool)

_MAX_SIZE = 10_000
"""Bytes of the file that are read."""


class Choices:
    """The choices of the user, in a file.

    A choice stands instead of the setting that the user had then. If the user changes that setting later, the setting
    counts again.

    Args:
        file: the file. If it cannot be read, there are no choices.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._all: dict[str, Any] = self._read()

    def _read(self) -> dict[str, Any]:
        try:
            with self._file.open("rb") as opened:
                found = json.loads(opened.read(_MAX_SIZE))
        except (OSError, ValueError, RecursionError):
            return {}
        return cast("dict[str, Any]", found) if isinstance(found, dict) else {}

    def get(self, name: str, setting: Value) -> Value:
        """Return what the user has chosen instead of a setting; the setting if nothing was chosen."""
        match self._all.get(name):
            case [chosen, before] if before == setting and type(chosen) is type(setting):
                return chosen
            case _:
                return setting

    def choose(self, name: str, value: str | bool, setting: str | bool) -> None:
        """Keep a choice.

        Args:
            name: the name of the setting.
            value: the choice.
            setting: the setting that it stands for.

        Raises:
            OSError: the file cannot be written. The file is as it was then.
        """
        self._all = {**self._read(), name: [value, setting]}  # another app may have chosen something meanwhile
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._file.with_suffix(".part")
        part.write_text(json.dumps(self._all))
        part.replace(self._file)
