"""Mute, block, pin and report (docs/protocol.md, rules 13.7, 14.3, 14.4 and 17.1)."""

import json

from twotick.client import Conversation, MemberClient, NotDelivered, RequestRefused
from twotick.client.trust.tokens import Credential
from twotick.ui.people import ProfileBook
from twotick.ui.shell.connection import asking
from twotick.ui.shell.history import print_message
from twotick.ui.shell.people import people_of
from twotick.ui.text import console, visible


async def mute(who: Credential, peer: str, *, off: bool) -> None:
    """Turn notifications off for a conversation on all devices, or on again if `off`.

    Raises:
        TwotickError: nothing was changed.
        ValueError: `peer` is not a valid name.
    """
    async with asking(who) as me:
        _say(await muted_line(me, peer, muted=not off))


async def block(who: Credential, name: str, *, off: bool) -> None:
    """Block a user, or unblock the user if `off`.

    Raises:
        TwotickError: nothing was changed.
        ValueError: `name` is not a valid name.
    """
    async with asking(who) as me:
        _say(await blocked_line(me, name, blocked=not off))


async def show_muted(who: Credential, *, as_json: bool) -> None:
    """Print the muted conversations."""
    async with asking(who) as me:
        found = [each for each in await me.conversations() if each.muted]
        _show(found, await people_of(me), as_json, "No conversations are muted.")


async def show_blocked(who: Credential, *, as_json: bool) -> None:
    """Print the blocked users."""
    async with asking(who) as me:
        found = [each for each in await me.conversations() if each.blocked]
        _show(found, await people_of(me), as_json, "No users are blocked.")


async def report(who: Credential, name: str, text: str, *, about: str | None) -> None:
    """Report a user to the operator.

    Args:
        who: the member who reports.
        name: the user.
        text: what is wrong.
        about: the Id of a message from the user; None to report no message.

    Raises:
        TwotickError: the report was not stored.
        ValueError: `name` is not a valid name, or the text is too long.
    """
    async with asking(who) as me:
        _say(await reported_line(me, name, text, about))


async def show_pins(who: Credential, peer: str, *, as_json: bool) -> None:
    """Print the pinned messages of a conversation, those pinned last first.

    Raises:
        TwotickError: the server does not say.
        ValueError: `peer` is not a valid name.
    """
    async with asking(who) as me:
        found = await me.pins(peer)
        people = await people_of(me) if found and not as_json else ProfileBook()
    for message in found:
        print_message(message, people, as_json=as_json)
    if not found and not as_json:
        _say("No messages are pinned.")


async def pin(who: Credential, peer: str, ident: str, *, sender: str | None, off: bool) -> None:
    """Pin a message in a conversation, or unpin it if `off`.

    Raises:
        TwotickError: nothing was changed.
        ValueError: a name or the Id is not valid.
    """
    async with asking(who) as me:
        try:
            await (me.unpin if off else me.pin)(peer, ident, sender)
        except NotDelivered as error:
            raise RequestRefused(str(error)) from error
    _say(f"The message is {'no longer ' if off else ''}pinned in {peer}.")


async def muted_line(me: MemberClient, peer: str, *, muted: bool) -> str:
    """Mute or unmute a conversation; return a line that says so."""
    await me.set_conversation(peer, muted=muted)
    return f"Notifications for {peer} are {'off' if muted else 'on'}."


async def blocked_line(me: MemberClient, name: str, *, blocked: bool) -> str:
    """Block or unblock a user; return a line that says so."""
    if name.startswith("#"):
        raise ValueError(f"a room cannot be blocked: mute {name}, or leave it")
    if name.lower() == me.name.lower() and blocked:
        raise ValueError("you cannot block yourself")
    await me.set_conversation(name, blocked=blocked)
    return f"{name} is blocked, and is not told." if blocked else f"{name} is no longer blocked."


async def reported_line(me: MemberClient, name: str, text: str, about: str | None) -> str:
    """Report a user to the operator; return a line that says so."""
    await me.report(name, text, about)
    return f"{name} was reported to the operator" + ("." if about is None else ", with a copy of the message.")


def _show(found: list[Conversation], people: ProfileBook, as_json: bool, nothing: str) -> None:
    for each in found:
        if as_json:
            print(json.dumps({"name": each.name, "muted": each.muted, "blocked": each.blocked}))
        else:
            _say(str(people.person(each.name)))
    if not found and not as_json:
        _say(nothing)


def _say(line: str) -> None:
    console().print(visible(line, keep=""))
