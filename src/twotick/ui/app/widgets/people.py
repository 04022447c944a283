"""Users in lists and lines of the app: presence, the name in its colour, and beside it the display name."""

from typing import TypeAlias

from rich.cells import cell_len, set_cell_size

from twotick.ui.app.layout.wrapping import shortened
from twotick.ui.app.model.conversations import UserPresence
from twotick.ui.names import colour_of
from twotick.ui.people import Person
from twotick.ui.text import for_screen
from twotick.ui.texts import later, t

Part: TypeAlias = str | tuple[str, str]
"""A part of a line, with or without a style."""

_SIGNS = {"here": ("\u25cf", "$success"), "away": ("\u25d0", "$warning"), "gone": ("\u25cb", "dim")}

_LEAST = 4
"""Columns of a display name below which it is left out."""


_ROLES = {"owner": later("owner"), "moderator": later("moderator"), "member": later("member"), "guest": later("guest")}

_MAX_ROLE = 9
"""Characters that are shown of a role that this version of Twotick does not know."""


def role_name(role: str) -> str:
    """Return the name of a role in a room, safe for the terminal."""
    return t(_ROLES[role]) if role in _ROLES else for_screen(role[:_MAX_ROLE], keep="")


def presence_sign(presence: UserPresence | None) -> tuple[str, str]:
    """Return the sign for a presence and its style. The signs differ also without colours."""
    return (" ", "") if presence is None else _SIGNS.get(presence.state, (" ", ""))


def colour(name: str) -> str:
    """Return the style of a name: its colour."""
    return f"$name-{colour_of(name)}"


def person_parts(person: Person, columns: int, *, column: int = 0, role: str = "") -> list[Part]:
    """Return a user as parts of a line: the name, the display name, and the warning if it is like another's.

    The display name is shortened, so that the warning is seen. In a list with roles, each user has one, and it stands
    before the display name, so that no display name can be taken for a role.

    Args:
        person: the user.
        columns: the available columns.
        column: the column at which the display name begins, if the name ends before it.
        role: the role in a room; empty in lists without roles.
    """
    name = shortened(person.name, columns)
    warning = f"  {person.warning}" if person.warning else ""
    name = set_cell_size(name, max(cell_len(name), min(column, columns)))
    if role:
        role = "  " + set_cell_size(role, max(cell_len(t(each)) for each in _ROLES.values()))
    if not person.beside:
        role = role.rstrip()
    parts: list[Part] = [(name, colour(person.name)), role]
    name += role
    left = columns - cell_len(name) - cell_len(warning) - 2
    if person.display and left >= _LEAST:
        parts.append((f"  {shortened(person.display, left)}", "dim"))
    if warning:
        parts.append((shortened(warning, max(0, columns - cell_len(name))), "$error"))
    return parts
