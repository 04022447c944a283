"""A member's commands for rooms."""

from typing import TYPE_CHECKING

import click

from twotick.cli.common import json_option, with_member
from twotick.cli.free_text import TextCommand
from twotick.cli.names import complete_rooms, complete_users
from twotick.ui.shell.leaving import run

if TYPE_CHECKING:
    from twotick.client.trust.tokens import Credential

_room_argument = click.argument(
    "room", metavar="ROOM", help="The room: letters, digits, '-' and '_'.", shell_complete=complete_rooms
)
_other_argument = click.argument("other", metavar="MEMBER", help="The other member.", shell_complete=complete_users)


@click.group(
    options_metavar="",
    subcommand_metavar="COMMAND [OPTIONS] [ARGUMENTS]",
    epilog="The '#' of a room's name may be left out here.",
)
def room() -> None:
    """Create, join, leave and manage rooms."""


@room.command("create")
@_room_argument
@click.option("--public", is_flag=True, help="Let every member find and join it.")
@click.option("--guests", is_flag=True, help="Let guests join it, too; needs --public.")
@click.option("--topic", metavar="TEXT", default="", help="What the room is about.")
@with_member
def create(room: str, *, public: bool, guests: bool, topic: str, who: "Credential") -> None:
    """Create a room that you own.

    Example: twotick room create team --public --topic "our work"
    """
    from twotick.ui.shell import rooms

    if guests and not public:
        raise click.UsageError("only public rooms let guests in: give --public as well")
    run(rooms.create(who, room, public=public, guests=guests, topic=topic))


@room.command("join")
@_room_argument
@with_member
def join(room: str, *, who: "Credential") -> None:
    """Join a room that is public or that you were invited to."""
    from twotick.ui.shell import rooms

    run(rooms.join(who, room))


@room.command("leave")
@_room_argument
@with_member
def leave(room: str, *, who: "Credential") -> None:
    """Leave a room."""
    from twotick.ui.shell import rooms

    run(rooms.leave(who, room))


@room.command("invite")
@_room_argument
@_other_argument
@with_member
def invite(room: str, other: str, *, who: "Credential") -> None:
    """Invite another member to a room."""
    from twotick.ui.shell import rooms

    run(rooms.invite(who, room, other))


@room.command("remove")
@_room_argument
@_other_argument
@with_member
def remove(room: str, other: str, *, who: "Credential") -> None:
    """Remove a member or a guest; for moderators and owners only.

    For an hour, no guest can then join the room from the guest's address.
    """
    from twotick.ui.shell import rooms

    run(rooms.remove(who, room, other))


@room.command("appoint")
@_room_argument
@_other_argument
@click.argument(
    "role",
    metavar="ROLE",
    type=click.Choice(["member", "moderator", "owner"]),
    help="The new role: member, moderator or owner.",
)
@with_member
def appoint(room: str, other: str, role: str, *, who: "Credential") -> None:
    """Change the role of a member of a room; for owners only."""
    from twotick.client import Role
    from twotick.ui.shell import rooms

    run(rooms.appoint(who, room, other, Role(role)))


@room.command("access")
@_room_argument
@click.argument(
    "wanted",
    metavar="[ACCESS]",
    required=False,
    type=click.Choice(["private", "public", "guests"]),
    help="Who may join: private, public or guests [show the current one].",
)
@with_member
def access(room: str, wanted: str | None, *, who: "Credential") -> None:
    """Show or change who may join a room.

    A private room is for invited members, a public one for all members. With "guests", a room is public, and guests may
    join it as well: what they write is marked. Only the owner can change this. Guests who are in the room are put out
    when it lets them in no more.
    """
    from twotick.ui.shell import rooms

    run(rooms.access(who, room, wanted))


@room.command("topic", cls=TextCommand)
@_room_argument
@click.argument("text", metavar="[TEXT]", required=False, help="The new topic, '' for none [show the current one].")
@with_member
def topic(room: str, text: str | None, *, who: "Credential") -> None:
    """Show or change the topic of a room."""
    from twotick.ui.shell import rooms

    run(rooms.topic(who, room, text))


@room.command("members")
@_room_argument
@json_option
@with_member
def members(room: str, *, as_json: bool, who: "Credential") -> None:
    """List the members of a room and its guests, with their roles."""
    from twotick.ui.shell import rooms

    run(rooms.show_members(who, room, as_json=as_json))


@room.command("list")
@json_option
@with_member
def list_rooms(*, as_json: bool, who: "Credential") -> None:
    """List your rooms, your invitations and all public rooms."""
    from twotick.ui.shell import rooms

    run(rooms.show_rooms(who, as_json=as_json))
