"""What is looked at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from twotick.settings import Settings


@dataclass(frozen=True, slots=True)
class Case:
    """An installation.

    Attributes:
        settings: its settings, as far as they are valid.
        folder: its data folder; None if it keeps its data elsewhere.
        user: the number of the user as which it is looked at.
        has_server: whether a server has the folder.
        status: what that server says of itself; None if it says nothing.
    """

    settings: Settings
    folder: Path | None
    user: int
    has_server: bool
    status: dict[str, Any] | None
