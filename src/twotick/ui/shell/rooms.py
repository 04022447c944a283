"""What a member does about rooms from a shell."""

import json
from dataclasses import asdict
from typing import Any

from twotick.client import MemberClient, Role, RoomInfo
from twotick.client.trust.tokens import Credential
from twotick.ui.shell.connection import asking
from twotick.ui.text import console, visible


def named(room: str) -> str:
    """A room's name, which may be given without the `#`, since that means something to shells."""
    return room if room.startswith("#") else f"#{room}"


async def create(who: Credential, room: str, *, public: bool, topic: str) -> None:
    """Make a room.

    Raises:
        TwotickError: it is not made.
        ValueError: no room can be called that, or have that topic.
    """
    async with asking(who) as me:
        made = await me.create_room(named(room), public=public, topic=topic)
    _say(f"{made.name} is yours; {_who_may_join(made)}.")


async def join(who: Credential, room: str) -> None:
    """Be in a room from now on."""
    async with asking(who) as me:
        joined = await me.join_room(named(room))
    _say(f"You are in {joined.name}, with {others(joined)}." + (f" {joined.topic}" if joined.topic else ""))


async def leave(who: Credential, room: str) -> None:
    """Be in a room no longer."""
    async with asking(who) as me:
        await me.leave_room(named(room))
    _say(f"You are no longer in {named(room)}.")


async def invite(who: Credential, room: str, member: str) -> None:
    """Let somebody join a room."""
    async with asking(who) as me:
        await me.invite(named(room), member)
    _say(f"{member} may come to {named(room)}, and is told so.")


async def remove(who: Credential, room: str, member: str) -> None:
    """Remove somebody from a room."""
    async with asking(who) as me:
        await me.remove(named(room), member)
    _say(f"{member} is not in {named(room)} any more.")


async def appoint(who: Credential, room: str, member: str, role: Role) -> None:
    """Give somebody in a room another role."""
    async with asking(who) as me:
        await me.appoint(named(room), member, role)
    _say(f"{member} is {role.value} in {named(room)}.")


async def topic(who: Credential, room: str, text: str | None) -> None:
    """Show what a room is about, or change it."""
    async with asking(who) as me:
        known = await (me.room(named(room)) if text is None else me.change_room(named(room), topic=text))
    _say(known.topic or f"{known.name} has no topic.")


async def show_members(who: Credential, room: str, *, as_json: bool) -> None:
    """List who is in a room."""
    async with asking(who) as me:
        found = await me.room_members(named(room))
    for each in found:
        since = each.since.astimezone().isoformat(timespec="seconds")
        if as_json:
            print(json.dumps({"name": each.name, "role": each.role, "since": since}))
        else:
            _say(f"{each.name:<32} {each.role:<9} since {since}")


async def show_rooms(who: Credential, *, as_json: bool) -> None:
    """List the rooms that there are for the member."""
    async with asking(who) as me:
        found = await me.rooms()
    for each in found:
        if as_json:
            line: dict[str, Any] = asdict(each)
            print(json.dumps(line))
        else:
            _say(room_line(each))


async def members_text(me: MemberClient, room: str) -> str:
    """Who is in a room, in a line."""
    found = await me.room_members(room)
    return ", ".join(each.name if each.role is Role.MEMBER else f"{each.name} ({each.role})" for each in found)


def room_line(room: RoomInfo) -> str:
    """A room, as the member sees it."""
    access = "public" if room.public else "private"
    role = "invited" if room.invited else "" if room.role is Role.NONE else room.role.value
    return f"{room.name:<33} {access:<7} {role:<9} {room.members:>5}  {room.topic}".rstrip()


def others(room: RoomInfo) -> str:
    """How many others are in a room that the member is in."""
    count = room.members - 1
    return "nobody else" if not count else "one other" if count == 1 else f"{count} others"


def _who_may_join(room: RoomInfo) -> str:
    return "every member may join" if room.public else "nobody finds it who is not invited"


def _say(line: str) -> None:
    console().print(visible(line, keep=""))
