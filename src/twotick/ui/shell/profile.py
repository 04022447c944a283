"""A member's own account: the password, and the profile."""

import json
from pathlib import Path

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


async def own_profile(
    who: Credential, *, display: str | None, status: str | None, picture: str | None, as_json: bool
) -> None:
    """Change the member's own profile where something is given, and print it.

    Args:
        who: the member.
        display: the display name; empty to remove it, None to leave it.
        status: the status text, in the same way.
        picture: the file of the picture, in the same way.
        as_json: whether to print it as JSON.

    Raises:
        TwotickError: nothing was changed.
        ValueError: a text or the picture cannot be in a profile.
    """
    portrait = await _portrait(picture)
    async with asking(who) as me:
        own = await me.set_profile(display=display, status=status, picture=portrait)
    people = ProfileBook(who.name)
    people.set(who.name, UserProfile(own.display, own.status))
    for each in own.users:
        people.set(each.name, UserProfile(each.display, each.status))
    _print(Profile(who.name, own.display, own.status, own.picture), people, as_json=as_json)


async def show_digest(who: Credential, *, wanted: bool | None, as_json: bool) -> None:
    """Print where the member is told by e-mail of messages that wait, and whether it is; change it before.

    Args:
        who: the member.
        wanted: whether the member wants that from now on; None to leave it as it is.
        as_json: whether to print it as JSON.

    Raises:
        TwotickError: nothing was changed.
    """
    async with asking(who) as me:
        found = await me.digest(wanted)
    if as_json:
        print(json.dumps({"address": found.address, "wanted": found.wanted}))
    else:
        state = "on" if found.wanted else "off"
        console().print(f"E-mail about messages that wait goes to {one_line(found.address)}: {state}")


async def _portrait(file: str | None) -> bytes | None:
    """Return the picture of a file; empty if the file is, None if there is none.

    Raises:
        ValueError: the file cannot be read, or is no picture.
    """
    if not file:
        return None if file is None else b""
    from twotick.ui.portrait import portrait
    from twotick.ui.thumbnail import CannotShow

    try:
        return await portrait(Path(file))
    except CannotShow as error:
        raise ValueError(f"{file} cannot be your picture: {error}") from None
    except OSError as error:
        raise ValueError(f"{file} cannot be your picture: {error.strerror}") from None


def _print(profile: Profile, people: ProfileBook, *, as_json: bool) -> None:
    if as_json:
        said = {"name": profile.name, "display": profile.display, "status": profile.status, "picture": profile.picture}
        print(json.dumps(said))
        return
    for line in profile_lines(profile, people):
        console().print(line)


def profile_lines(profile: Profile, people: ProfileBook) -> list[str]:
    """Return the lines that show a profile. What the member wrote cannot control the terminal."""
    person, status = people.person(profile.name), one_line(profile.status)
    said = [status] if status else []
    picture = ["has a picture"] if profile.picture else []
    return [str(person) if person.display else f"{person.name} has no display name", *said, *picture]
