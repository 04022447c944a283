"""Whom a member has muted and blocked, and reports to the operator (docs/protocol.md, rules 14.3, 14.4 and 17.1)."""

import json

from twotick.client import Conversation, MemberClient
from twotick.client.trust.tokens import Credential
from twotick.ui.shell.connection import asking
from twotick.ui.text import console, visible


async def mute(who: Credential, peer: str, *, off: bool) -> None:
    """Silence a conversation on all devices; or let it ring again.

    Raises:
        TwotickError: it is as before.
        ValueError: nobody can be called that.
    """
    async with asking(who) as me:
        _say(await muted_line(me, peer, muted=not off))


async def block(who: Credential, name: str, *, off: bool) -> None:
    """Take nothing more from a user; or do again.

    Raises:
        TwotickError: it is as before.
        ValueError: nobody can be called that.
    """
    async with asking(who) as me:
        _say(await blocked_line(me, name, blocked=not off))


async def show_muted(who: Credential, *, as_json: bool) -> None:
    """List the conversations that are muted."""
    async with asking(who) as me:
        _show([each for each in await me.conversations() if each.muted], as_json, "Nothing is muted.")


async def show_blocked(who: Credential, *, as_json: bool) -> None:
    """List the users who are blocked."""
    async with asking(who) as me:
        _show([each for each in await me.conversations() if each.blocked], as_json, "Nobody is blocked.")


async def report(who: Credential, name: str, text: str, *, about: str | None) -> None:
    """Tell the operator about a user, and about a message of that user's.

    Raises:
        TwotickError: the operator is not told.
        ValueError: nobody can be called that, or the text is too long.
    """
    async with asking(who) as me:
        _say(await reported_line(me, name, text, about))


async def muted_line(me: MemberClient, peer: str, *, muted: bool) -> str:
    """Mute a conversation, or do not any more, and say so."""
    await me.set_conversation(peer, muted=muted)
    return f"{peer} is muted." if muted else f"{peer} is not muted any more."


async def blocked_line(me: MemberClient, name: str, *, blocked: bool) -> str:
    """Block a user, or do not any more, and say so."""
    if name.startswith("#"):
        raise ValueError(f"a room cannot be blocked: mute {name}, or leave it")
    await me.set_conversation(name, blocked=blocked)
    return f"{name} is blocked, and is not told." if blocked else f"{name} is not blocked any more."


async def reported_line(me: MemberClient, name: str, text: str, about: str | None) -> str:
    """Tell the operator about a user, and say so."""
    await me.report(name, text, about)
    return f"The operator is told about {name}" + ("." if about is None else ", with a copy of the message.")


def _show(found: list[Conversation], as_json: bool, nothing: str) -> None:
    for each in found:
        if as_json:
            print(json.dumps({"name": each.name, "muted": each.muted, "blocked": each.blocked}))
        else:
            _say(each.name)
    if not found and not as_json:
        _say(nothing)


def _say(line: str) -> None:
    console().print(visible(line, keep=""))
