"""The statements of the repositories, which are written for SQLite, in the words of PostgreSQL.

The two differ in few words (`ifnull`, `x''`, `INDEXED BY`), and in how parameters are written. Functions
that SQLite has and PostgreSQL has not are made by schema.py. The type of each parameter is that of the Python object,
so PostgreSQL does not have to guess it.
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

Parameters: TypeAlias = Sequence[Any] | Mapping[str, Any]

_TYPES: Final = {
    int: "::bigint",
    bool: "::bigint",
    float: "::double precision",
    str: "::text",
    bytes: "::bytea",
    bytearray: "::bytea",
}

_WORDS: Final = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"x''", "''::bytea"),
        (r" INDEXED BY \w+", ""),
        (r"\bCROSS JOIN\b", "JOIN"),
        (r"\bifnull\(", "coalesce("),
        (r"\browid\b", "ctid"),
        (r"CAST\(((?:[^()]|\([^()]*\))*) AS BLOB\)", r"convert_to(\1, 'UTF8')"),
        (r"CAST\(((?:[^()]|\([^()]*\))*) AS TEXT\)", r"encode(\1, 'escape')"),
        (r" IS NOT (?=\?|convert_to)", " IS DISTINCT FROM "),
        (r" IS (?=\?)", " IS NOT DISTINCT FROM "),
    )
)
_IGNORE: Final = "INSERT OR IGNORE INTO"
_PARAMETER: Final = re.compile(r"\?(\d*)|(?<!:):([a-z]\w*)")


def translate(statement: str, parameters: Parameters) -> tuple[str, list[Any]]:
    """Return a statement in PostgreSQL's words, and its parameters in their order."""
    if isinstance(parameters, Mapping):
        names, values = tuple(parameters), list(parameters.values())
    else:
        names, values = (), list(parameters)
    translated, used = _translated(statement, names, tuple(map(type, values)))
    return translated, [_cleaned(values[at]) for at in used]


def _cleaned(value: Any) -> Any:
    """Return a parameter as PostgreSQL takes it: its texts have no zero bytes. Nothing is found by one that had."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


@lru_cache(maxsize=2048)
def _translated(statement: str, names: tuple[str, ...], types: tuple[type, ...]) -> tuple[str, tuple[int, ...]]:
    if statement.startswith(_IGNORE):
        statement = f"INSERT INTO{statement[len(_IGNORE) :]} ON CONFLICT DO NOTHING"
    for pattern, replacement in _WORDS:
        statement = pattern.sub(replacement, statement)
    used: dict[int, int] = {}
    count = 0

    def number(found: re.Match[str]) -> str:
        nonlocal count
        if found[2]:
            at = names.index(found[2])
        elif found[1]:
            at = int(found[1]) - 1
        else:
            at, count = count, count + 1
        return f"${used.setdefault(at, len(used) + 1)}{_type(types[at])}"

    return _PARAMETER.sub(number, statement), tuple(used)


def _type(python: type) -> str:
    """Return the cast for a parameter; none for NULL, whose type PostgreSQL finds in the statement."""
    for each in python.__mro__:  # an enumeration of numbers is a number
        if each in _TYPES:
            return _TYPES[each]
    return ""
