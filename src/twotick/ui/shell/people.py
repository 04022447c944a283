"""What the users whom a member may see say of themselves, for commands and the line client."""

import contextlib
from collections.abc import Iterable

from twotick.client import MemberClient, RequestRefused, TooManyRequests
from twotick.client.trust.tokens import Credential
from twotick.ui.known_names import folder_of, remember_names
from twotick.ui.people import ProfileBook, UserProfile


async def people_of(me: MemberClient) -> ProfileBook:
    """Ask the server for the profiles of the users whom a member may see; an old server has none.

    Raises:
        TwotickError: the server does not answer, or its answer is malformed.
    """
    book = ProfileBook(me.name)
    await know_profiles(me, book)
    return book


def note_names(who: Credential, names: Iterable[str]) -> None:
    """Keep names that a command has met, so that a shell can complete them."""
    remember_names(folder_of(who.name, who.server), names)


async def know_profiles(me: MemberClient, book: ProfileBook) -> None:
    """Record the profiles of a member and of those whom it may see. Changes come as `ProfileEvent` from then on."""
    with contextlib.suppress(RequestRefused, TooManyRequests):
        found = await me.profiles()
        book.set(me.name, UserProfile(found.display, found.status))
        for each in found.users:
            book.set(each.name, UserProfile(each.display, each.status))
