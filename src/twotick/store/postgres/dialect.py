"""The statements of the repositories, which are written for SQLite, in the words of PostgreSQL.

The two differ in few words (`ifnull`, `x''`, `INDEXED BY`), and in how parameters are written. Functions
that SQLite has and PostgreSQL has not are made by schema.py. The type of each parameter is that of the Python object,
so PostgreSQL does not have to guess it.
"""

# ruff: noqa: S608 - statements are put together from those of the repositories, never from input

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
_INSERT: Final = re.compile(r"(INSERT INTO \w+(?: \([\w, ]+\))?) VALUES \(\?(?:, \?)*\)")
_SETTING: Final = r"\w+ = (?:\?|\d+)"
_UPDATE: Final = re.compile(rf"UPDATE (\w+) SET ({_SETTING}(?:, {_SETTING})*) WHERE (\w+ = \?(?: AND \w+ = \?)*)")
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


@lru_cache(maxsize=256)
def inserted_into(statement: str) -> tuple[str, list[str] | None] | None:
    """Return the table and the columns into which a statement inserts its parameters as they are.

    Args:
        statement: any statement that is written for SQLite.

    Returns:
        The name of the table, and those of its columns, or None for all of them; None if it is another statement.
    """
    if (found := _INSERT.fullmatch(statement)) is None:
        return None
    table, _, columns = found[1].removeprefix("INSERT INTO ").partition(" ")
    return table, columns[1:-1].split(", ") if columns else None


@lru_cache(maxsize=256)
def for_arrays(statement: str, types: tuple[type, ...]) -> str | None:
    """Return a statement that does with arrays, one for each parameter, what another does for each row of parameters.

    Args:
        statement: it inserts a row, or updates one that it finds by a key.
        types: the types of its parameters; those that are NULL have no array.

    Returns:
        The statement in PostgreSQL's words; None if it is of another kind.
    """
    inserting, updating = _INSERT.fullmatch(statement), _UPDATE.fullmatch(statement)
    names = [f"u.c{number}" if kind is not type(None) else "NULL" for number, kind in enumerate(types)]
    given = [(name, f"{_type(kind)}[]") for name, kind in zip(names, types, strict=True) if name != "NULL"]
    if not given or any(kind == "[]" for _, kind in given):
        return None
    arrays = ", ".join(f"${number}{kind}" for number, (_, kind) in enumerate(given, 1))
    source = f"unnest({arrays}) AS u ({', '.join(name[2:] for name, _ in given)})"
    if inserting:
        return f"{inserting[1]} SELECT {', '.join(names)} FROM {source}"
    if updating and "NULL" not in names:
        values = iter(names)
        table, settings, key = (_PARAMETER.sub(lambda _: next(values), part) for part in updating.groups())
        return f"UPDATE {table} AS t SET {settings} FROM {source} WHERE t.{key.replace(' AND ', ' AND t.')}"
    return None


def _type(python: type) -> str:
    """Return the cast for a parameter; none for NULL, whose type PostgreSQL finds in the statement."""
    for each in python.__mro__:  # an enumeration of numbers is a number
        if each in _TYPES:
            return _TYPES[each]
    return ""
