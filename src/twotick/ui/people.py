"""How users are written: the name, and beside it how they want to be called (docs/protocol.md, section 18)."""

from typing import NamedTuple

from twotick.ui.names import skeleton
from twotick.ui.text import one_line, user_name

_MAX_PROFILES = 20_000
"""Users whose profiles are remembered."""

_MAX_ALIKE = 8
"""Users that are remembered of those who look alike."""

_MAX_TEXT = 250
"""Characters of a display name and of a status text that are remembered."""


class UserProfile(NamedTuple):
    """What a user says of itself. It is never shown in place of the name: no two users have the same name.

    Attributes:
        display: the display name; empty if there is none.
        status: the status text; empty if there is none.
    """

    display: str = ""
    status: str = ""


class Person(NamedTuple):
    """A user as all screens and commands write it. All texts are in one line and safe for the terminal.

    Attributes:
        name: the name, which comes first.
        display: the display name, which stands beside it; empty if there is none.
        warning: `not alice`, if the display name looks like the name or the display name of alice; else empty.
    """

    name: str
    display: str = ""
    warning: str = ""

    @property
    def beside(self) -> str:
        """What stands beside the name; empty for nothing."""
        return f"{self.display}  {self.warning}".rstrip()

    def __str__(self) -> str:
        """Return the user as in a sentence: `bob (Bob Miller)`."""
        about = ", ".join(each for each in (self.display, self.warning) if each)
        return f"{self.name} ({about})" if about else self.name


class ProfileBook:
    """The profiles of users, and who looks like whom.

    Args:
        me: the user's name, for which no other user should be mistaken; empty to know no name yet.
    """

    def __init__(self, me: str = "") -> None:
        self._profiles: dict[str, UserProfile] = {}  # by name in lower case
        self._persons: dict[str, Person] = {}  # by name; forgotten when anything changes
        self._alike: dict[str, dict[str, str]] = {}  # who has a name or display name with a skeleton: by key, the name
        self.know(me)

    def know(self, name: str) -> None:
        """Record that there is a user with a name."""
        self._add(name, name)

    def set(self, name: str, profile: UserProfile) -> None:
        """Record the profile of a user."""
        key = name.lower()
        if key not in self._profiles and len(self._profiles) >= _MAX_PROFILES:
            return
        before = skeleton(self.of(name).display)
        if before and before != skeleton(name):
            self._alike.get(before, {}).pop(key, None)
        self.know(name)
        self._persons.clear()
        self._profiles[key] = UserProfile(profile.display[:_MAX_TEXT], profile.status[:_MAX_TEXT])
        self._add(self._profiles[key].display, name)

    def of(self, name: str) -> UserProfile:
        """Return the profile of a user; an empty one if it is unknown."""
        return self._profiles.get(name.lower(), _EMPTY)

    def person(self, name: str) -> Person:
        """Return how to write a user."""
        known = self._persons.get(name)
        if known is None:
            if len(self._persons) >= _MAX_PROFILES:
                self._persons.clear()
            known = self._persons[name] = self._written(name)
        return known

    def _written(self, name: str) -> Person:
        other = self.mistaken_for(name)
        warning = f"not {user_name(other)}" if other else ""
        return Person(user_name(name), one_line(self.of(name).display), warning)

    def mistaken_for(self, name: str) -> str:
        """Return the name of another user whose name or display name looks like the display name of a user.

        Args:
            name: the name of the user.

        Returns:
            The name of the other user; empty if there is none.
        """
        alike = self._alike.get(skeleton(self.of(name).display), {})
        return next((other for key, other in alike.items() if key != name.lower()), "")

    def _add(self, text: str, name: str) -> None:
        """Record that a text is the name or the display name of a user."""
        key = skeleton(text)
        if key and (key in self._alike or len(self._alike) < 2 * _MAX_PROFILES):
            alike = self._alike.setdefault(key, {})
            if len(alike) < _MAX_ALIKE and alike.get(name.lower()) != name:
                alike[name.lower()] = name
                self._persons.clear()


_EMPTY = UserProfile()
