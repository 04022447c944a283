"""What must be true of a database on PostgreSQL, and is not: the same as on SQLite."""

from collections.abc import Callable
from typing import Any

from twotick.store.sqlite.check import MOST, RULES


def problems(read: Callable[[str], Any]) -> list[str]:
    """Return the problems in words, at most 20 of each kind."""
    return [words.format(*row) for words, query in RULES for row in read(query).fetchmany(MOST)]
