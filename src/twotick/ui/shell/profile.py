"""A member's own account: the password, and the profile."""

import json

from twotick.client import Profile
from twotick.client.trust.tokens import Credential
from twotick.ui.people import ProfileBook, UserProfile
from twotick.ui.shell.connection import asking
from twotick.ui.shell.people import people_of
from twotick.ui.text import console, one_line


async def change_password(who: Credential, old: str, new: str, *, revoke_others: bool) -> None:
    """Change a member's password.

    Raises:
        TwotickError: nothing was changed, or the connection was lost before the answer.
        ValueError: a password is too long.
    """
    async with asking(who) as me:
        await me.change_password(old, new, revoke_others=revoke_others)
    devices = "Your devices on other machines are logged out." if revoke_others else "Your devices stay logged in."
    console().print(f"The password of {who.name} is changed. {devices}")


async def show_profile(who: Credential, name: str, *, as_json: bool) -> None:
    """Print the profile of a member.

    Raises:
        TwotickError: the server does not say.
        ValueError: `name` is not a valid name.
    """
    async with asking(who) as me:
        profile = await me.profile(name)
        people = ProfileBook() if as_json else await people_of(me)
    people.set(profile.name, UserProfile(profile.display, profile.status))
    _print(profile, people, as_json=as_json)


async def own_profile(who: Credential, *, display: str | None, status: str | None, as_json: bool) -> None:
    """Change the member's own profile where a text is given, and print it.

    Raises:
        TwotickError: nothing was changed.
        ValueError: a text cannot be in a profile.
    """
    async with asking(who) as me:
        own = await me.set_profile(display=display, status=status)
    people = ProfileBook(who.name)
    people.set(who.name, UserProfile(own.display, own.status))
    for each in own.users:
        people.set(each.name, UserProfile(each.display, each.status))
    _print(Profile(who.name, own.display, own.status), people, as_json=as_json)


def _print(profile: Profile, people: ProfileBook, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"name": profile.name, "display": profile.display, "status": profile.status}))
        return
    for line in profile_lines(profile, people):
        console().print(line)


def profile_lines(profile: Profile, people: ProfileBook) -> list[str]:
    """Return the lines that show a profile. What the member wrote cannot control the terminal."""
    person, status = people.person(profile.name), one_line(profile.status)
    return [str(person) if person.display else f"{person.name} has no display name", *([status] if status else [])]
