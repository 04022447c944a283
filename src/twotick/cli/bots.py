"""The operator's commands for bots, which also work while the server runs."""

import json
from datetime import UTC, datetime

import click

from twotick.cli.common import json_option
from twotick.cli.operating import ServerData, with_data

_bot_argument = click.argument("name", metavar="NAME", help="The bot's name.")
_device_argument = click.argument("device", metavar="DEVICE", help="The program that uses the token.")


@click.group(options_metavar="", subcommand_metavar="COMMAND [OPTIONS] [ARGUMENTS]")
def bot() -> None:
    """Add, list and limit bots, as the operator: programs that may send to some recipients only."""


@bot.command("add")
@_bot_argument
@click.option("--to", "sends", metavar="RECIPIENT", multiple=True, help="It may send there: a user, #ROOM or ALL.")
@click.option("--read", "reads", metavar="RECIPIENT", multiple=True, help="It gets what is sent there.")
@with_data
def bot_add(name: str, *, sends: tuple[str, ...], reads: tuple[str, ...], data: ServerData) -> None:
    """Add a bot and print its token, which is not shown again.

    The bot joins the rooms that it may use. It can do nothing but send there, and read there if --read says so.

    Example: twotick bot add alerts --to '#ops' --to oncall
    """
    from twotick import admin

    if not (sends or reads):
        raise click.UsageError("name at least one recipient with --to, for example: --to '#ops'")
    with data.opened(create=True) as store:
        print(admin.add_bot(store, name, sends, reads))


@bot.command("allow")
@_bot_argument
@click.option("--to", "sends", metavar="RECIPIENT", multiple=True, help="It may send there: a user, #ROOM or ALL.")
@click.option("--read", "reads", metavar="RECIPIENT", multiple=True, help="It gets what is sent there.")
@with_data
def bot_allow(name: str, *, sends: tuple[str, ...], reads: tuple[str, ...], data: ServerData) -> None:
    """Let a bot send to, or read from, more users and rooms."""
    from twotick import admin

    with data.opened() as store:
        admin.set_bot_rights(store, name, sends, reads, allowed=True)


@bot.command("deny")
@_bot_argument
@click.option("--to", "sends", metavar="RECIPIENT", multiple=True, help="It may not send there any more.")
@click.option("--read", "reads", metavar="RECIPIENT", multiple=True, help="It does not get what is sent there.")
@with_data
def bot_deny(name: str, *, sends: tuple[str, ...], reads: tuple[str, ...], data: ServerData) -> None:
    """Take rights from a bot, at once. It leaves a room with its last right there."""
    from twotick import admin

    with data.opened() as store:
        admin.set_bot_rights(store, name, sends, reads, allowed=False)


@bot.command("list")
@json_option
@with_data
def bot_list(*, as_json: bool, data: ServerData) -> None:
    """List the bots, and what each may do."""
    from twotick import admin

    with data.opened() as store:
        for each in admin.bots(store):
            sends = [right.name for right in each.rights if right.sends]
            reads = [right.name for right in each.rights if right.reads]
            if as_json:
                print(json.dumps({"name": each.name, "to": sends, "read": reads}))
            else:
                words = [f"sends to {', '.join(sends)}"] if sends else []
                words += [f"reads {', '.join(reads)}"] if reads else []
                print(f"{each.name:<32} {'; '.join(words) or 'may do nothing'}")


@bot.command("token")
@_bot_argument
@_device_argument
@with_data
def bot_token(name: str, device: str, *, data: ServerData) -> None:
    """Print a token for a program that sends as a bot.

    If the program has one already, the new one takes its place.
    """
    from twotick import admin

    with data.opened() as store:
        print(admin.new_token(store, admin.find_bot(store, name).name, device))


@bot.command("tokens")
@_bot_argument
@json_option
@with_data
def bot_tokens(name: str, *, as_json: bool, data: ServerData) -> None:
    """List the programs that have a token of a bot. The tokens are not shown."""
    from twotick import admin

    with data.opened() as store:
        for each in admin.devices(store, admin.find_bot(store, name).name):
            if each.has_token:
                print(json.dumps({"device": each.name}) if as_json else each.name)


@bot.command("revoke")
@_bot_argument
@_device_argument
@with_data
def bot_revoke(name: str, device: str, *, data: ServerData) -> None:
    """Revoke the token of a program, at once."""
    from twotick import admin

    with data.opened() as store:
        admin.revoke(store, admin.find_bot(store, name).name, device)


@bot.command("remove")
@_bot_argument
@with_data
def bot_remove(name: str, *, data: ServerData) -> None:
    """Remove a bot with its tokens and rights. What it has sent stays."""
    from twotick import admin

    with data.opened() as store:
        admin.remove(store, admin.find_bot(store, name).name)


@bot.command("delayed")
@_bot_argument
@json_option
@with_data
def bot_delayed(name: str, *, as_json: bool, data: ServerData) -> None:
    """List what a bot is to send later: when, to whom, and the Ids."""
    from twotick import admin

    with data.opened() as store:
        for each in admin.delayed(store, name):
            time = datetime.fromtimestamp(each.due, UTC).isoformat(timespec="seconds")
            to, ident = each.recipient.decode("ascii", "replace"), each.id.decode("ascii", "replace")
            if as_json:
                print(json.dumps({"time": time, "to": to, "id": ident, "device": each.device}))
            else:
                print(f"{time}  {to:<32} {ident}")


@bot.command("cancel")
@_bot_argument
@click.argument("identifier", metavar="ID", help="The Id of the message.")
@with_data
def bot_cancel(name: str, identifier: str, *, data: ServerData) -> None:
    """Cancel what a bot is to send later."""
    from twotick import admin

    with data.opened() as store:
        admin.cancel_delayed(store, name, identifier)
