"""What a member does about rooms."""

from enum import StrEnum
from typing import Annotated

import typer

from twotick.cli.common import AsOption, ConfigOption, JsonOption, ServerOption, app, member_of, settings_of
from twotick.client import Role
from twotick.ui.shell.leaving import run

room = typer.Typer(
    help="Rooms: create, join, leave, invite, remove, and more.",
    epilog="The '#' of a room's name may be left out here.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(room, name="room")

RoomArgument = Annotated[str, typer.Argument(help="The room: letters, digits, '-' and '_'.", metavar="ROOM")]
MemberArgument = Annotated[str, typer.Argument(help="The other member.", metavar="MEMBER")]


class RoomRole(StrEnum):
    """What somebody may be appointed to."""

    MEMBER = "member"
    MODERATOR = "moderator"
    OWNER = "owner"


@room.command("create")
def room_create(
    name: RoomArgument,
    public: Annotated[bool, typer.Option("--public", help="Every member finds it and may join.")] = False,
    topic: Annotated[str, typer.Option(metavar="TEXT", help="What it is about.")] = "",
    member: AsOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a room, and own it."""
    from twotick.ui.shell import rooms

    run(rooms.create(member_of(settings_of(config, server=server), member), name, public=public, topic=topic))


@room.command("join")
def room_join(
    name: RoomArgument, member: AsOption = None, server: ServerOption = None, config: ConfigOption = None
) -> None:
    """Be in a room: a public one, or one you were invited to."""
    from twotick.ui.shell import rooms

    run(rooms.join(member_of(settings_of(config, server=server), member), name))


@room.command("leave")
def room_leave(
    name: RoomArgument, member: AsOption = None, server: ServerOption = None, config: ConfigOption = None
) -> None:
    """Be in a room no longer."""
    from twotick.ui.shell import rooms

    run(rooms.leave(member_of(settings_of(config, server=server), member), name))


@room.command("invite")
def room_invite(
    name: RoomArgument,
    other: MemberArgument,
    member: AsOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Let another member join a room."""
    from twotick.ui.shell import rooms

    run(rooms.invite(member_of(settings_of(config, server=server), member), name, other))


@room.command("remove")
def room_remove(
    name: RoomArgument,
    other: MemberArgument,
    member: AsOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Remove a member from a room, as its moderator or owner."""
    from twotick.ui.shell import rooms

    run(rooms.remove(member_of(settings_of(config, server=server), member), name, other))


@room.command("appoint")
def room_appoint(
    name: RoomArgument,
    other: MemberArgument,
    role: Annotated[RoomRole, typer.Argument(help="What the other is from now on.")],
    member: AsOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Give a member of a room another role, as its owner."""
    from twotick.ui.shell import rooms

    run(rooms.appoint(member_of(settings_of(config, server=server), member), name, other, Role(role.value)))


@room.command("topic")
def room_topic(
    name: RoomArgument,
    text: Annotated[
        str | None, typer.Argument(help="The new topic; '' for none. The old one is shown without.")
    ] = None,
    member: AsOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Show what a room is about, or change it."""
    from twotick.ui.shell import rooms

    run(rooms.topic(member_of(settings_of(config, server=server), member), name, text))


@room.command("members")
def room_members(
    name: RoomArgument,
    as_json: JsonOption = False,
    member: AsOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """List who is in a room."""
    from twotick.ui.shell import rooms

    run(rooms.show_members(member_of(settings_of(config, server=server), member), name, as_json=as_json))


@room.command("list")
def room_list(
    as_json: JsonOption = False, member: AsOption = None, server: ServerOption = None, config: ConfigOption = None
) -> None:
    """List the rooms that are public, or that you are in or invited to."""
    from twotick.ui.shell import rooms

    run(rooms.show_rooms(member_of(settings_of(config, server=server), member), as_json=as_json))
