"""A member's shell commands for rooms."""

import json
from dataclasses import asdict
from typing import Any, Final

from twotick.client import MemberClient, Role, RoomInfo
from twotick.client.trust.tokens import Credential
from twotick.ui.people import Person, ProfileBook
from twotick.ui.shell.connection import asking
from twotick.ui.shell.describing import ROLES
from twotick.ui.shell.people import note_names, people_of
from twotick.ui.text import console, visible


def named(room: str) -> str:
    """Return a room's name with its `#`, which users may leave out because it begins a comment in shells."""
    return room if room.startswith("#") else f"#{room}"


ACCESS: Final = {
    "private": "Only members who are invited can join it.",
    "public": "Every member can find and join it.",
    "guests": "Every member can find and join it, and so can guests.",
}
"""Who may join a room, in a word and in a sentence."""


def access_of(room: RoomInfo) -> str:
    """Return who may join a room: `private`, `public` or `guests`."""
    return "guests" if room.guests else "public" if room.public else "private"


async def create(who: Credential, room: str, *, public: bool, guests: bool, topic: str) -> None:
    """Create a room.

    Raises:
        TwotickError: the server refuses it.
        ValueError: the name or the topic is not valid.
    """
    async with asking(who) as me:
        made = await me.create_room(named(room), public=public, guests=guests, topic=topic)
    note_names(who, [made.name])
    _say(f"You created {made.name}. {ACCESS[access_of(made)]}")


async def join(who: Credential, room: str) -> None:
    """Join a room."""
    async with asking(who) as me:
        joined = await me.join_room(named(room))
    note_names(who, [joined.name])
    _say(f"You joined {joined.name}, which has {others(joined)}." + (f" Topic: {joined.topic}" if joined.topic else ""))


async def leave(who: Credential, room: str) -> None:
    """Leave a room."""
    async with asking(who) as me:
        await me.leave_room(named(room))
    _say(f"You left {named(room)}.")


async def invite(who: Credential, room: str, member: str) -> None:
    """Invite a member to a room."""
    async with asking(who) as me:
        await me.invite(named(room), member)
        who_is_it = (await people_of(me)).person(member)
    _say(f"{who_is_it} was invited to {named(room)}.")


async def remove(who: Credential, room: str, member: str) -> None:
    """Remove a member from a room."""
    async with asking(who) as me:
        await me.remove(named(room), member)
    _say(f"{member} was removed from {named(room)}.")


async def appoint(who: Credential, room: str, member: str, role: Role) -> None:
    """Change the role of a member of a room."""
    async with asking(who) as me:
        await me.appoint(named(room), member, role)
    _say(f"{member} is now {ROLES[role]} of {named(room)}.")


async def access(who: Credential, room: str, wanted: str | None) -> None:
    """Print who may join a room; or change it, if `wanted` is a word of `ACCESS`."""
    async with asking(who) as me:
        known = await (me.room(named(room)) if wanted is None else set_access(me, named(room), wanted))
    _say(f"{access_of(known)}: {ACCESS[access_of(known)]}")


async def set_access(me: MemberClient, room: str, wanted: str) -> RoomInfo:
    """Change who may join a room, as its owner, to one of the words of `ACCESS`."""
    guests = True if wanted == "guests" else False if wanted == "public" else None  # a private room never lets them in
    return await me.change_room(room, public=wanted != "private", guests=guests)


async def topic(who: Credential, room: str, text: str | None) -> None:
    """Print the topic of a room; or change it, if `text` is one."""
    async with asking(who) as me:
        known = await (me.room(named(room)) if text is None else me.change_room(named(room), topic=text))
    _say(known.topic or f"{known.name} has no topic.")


async def show_members(who: Credential, room: str, *, as_json: bool) -> None:
    """Print the members of a room, and the guests in it."""
    async with asking(who) as me:
        found = await me.room_members(named(room))
        people = await people_of(me)
    note_names(who, [named(room), *(each.name for each in found)])
    for each in found:
        people.know(each.name)
    for each in found:
        since = each.since and each.since.astimezone().isoformat(timespec="seconds")
        if as_json:
            display = people.of(each.name).display
            print(json.dumps({"name": each.name, "display": display, "role": each.role, "since": since}))
        else:
            person = people.person(each.name)
            _say(f"{person.name:<32} {each.role:<9} {f'since {since}' if since else ''}  {person.beside}".rstrip())


async def show_rooms(who: Credential, *, as_json: bool) -> None:
    """Print the member's rooms and invitations, and all public rooms."""
    async with asking(who) as me:
        found = await me.rooms()
    note_names(who, (each.name for each in found))
    for each in found:
        if as_json:
            line: dict[str, Any] = asdict(each)
            print(json.dumps(line))
        else:
            _say(room_line(each))


async def member_lines(me: MemberClient, room: str, people: ProfileBook) -> list[str]:
    """Return the members of a room, in a line each."""
    found = await me.room_members(room)
    for each in found:
        people.know(each.name)
    return [person_line(people.person(each.name), "" if each.role is Role.MEMBER else each.role) for each in found]


def person_line(person: Person, what: str) -> str:
    """Return a line about a user: the name, a word, and at the end the display name, which may contain anything."""
    return f"{person.name:<16} {what:<9} {person.beside}".rstrip()


def room_line(room: RoomInfo) -> str:
    """Return a line about a room, as the member sees it."""
    role = "invited" if room.invited else "" if room.role is Role.NONE else room.role.value
    return f"{room.name:<33} {access_of(room):<7} {role:<9} {room.members:>5}  {room.topic}".rstrip()


def others(room: RoomInfo) -> str:
    """Return how many other members a room has, in words."""
    count = room.members - 1
    return f"{count or 'no'} other member{'' if count == 1 else 's'}"


def _say(line: str) -> None:
    console().print(visible(line, keep=""))
