"""The operator's commands for web hooks, which also work while the server runs."""

import json
from datetime import UTC, datetime

import click

from twotick.cli.bots import bot
from twotick.cli.common import json_option
from twotick.cli.operating import ServerData, with_data

_hook_argument = click.argument("name", metavar="NAME", help="The bot or member whose messages are posted.")


@bot.command("hook")
@_hook_argument
@click.argument("url", metavar="URL", help="Where to post.")
@click.option("--from", "peers", metavar="RECIPIENT", multiple=True, help="A user or #ROOM of which the bot gets all.")
@with_data
def bot_hook(name: str, url: str, *, peers: tuple[str, ...], data: ServerData) -> None:
    """Post what a bot or member gets to a URL.

    It prints the secret, which is not shown again.

    The hook's answer is sent as the bot's reply. A hook replaces the one before.
    With --from, the bot may read and answer there; it is added if there is none.

    Example: twotick bot hook helper --from '#team' https://example.org/hook
    """
    from twotick import admin
    from twotick.exchange import InvalidEndpoint
    from twotick.server.web.hooks.payload import parse_hook_url

    try:
        parse_hook_url(url, allow_local=data.settings.allow_local_hooks)
    except InvalidEndpoint as error:
        raise click.UsageError(f"{error} (the setting allow_local_hooks allows those, and http)") from error
    with data.opened() as store:
        print(admin.set_hook(store, name, url, peers))


@bot.command("hooks")
@json_option
@with_data
def bot_hooks(*, as_json: bool, data: ServerData) -> None:
    """List the hooks, and how many messages each did not take."""
    from twotick import admin

    with data.opened() as store:
        for each in admin.hooks(store):
            if as_json:
                print(json.dumps({"name": each.member.name, "url": each.url, "failed": each.letters}))
            else:
                failed = f" ({each.letters} failed)" if each.letters else ""
                print(f"{each.member.name:<32} {each.url}{failed}")


@bot.command("unhook")
@_hook_argument
@with_data
def bot_unhook(name: str, *, data: ServerData) -> None:
    """Post nothing more to the hook of a bot or member."""
    from twotick import admin

    with data.opened() as store:
        admin.remove_hook(store, name)


@bot.command("failed")
@_hook_argument
@json_option
@with_data
def bot_failed(name: str, *, as_json: bool, data: ServerData) -> None:
    """List the messages that a hook did not take.

    They have their numbers in the log, and why.
    """
    from twotick import admin

    with data.opened() as store:
        for each in admin.letters(store, name):
            time = datetime.fromtimestamp(each.time, UTC).isoformat(timespec="seconds")
            if as_json:
                print(json.dumps({"seq": each.seq, "time": time, "reason": each.reason}))
            else:
                print(f"{each.seq:>8}  {time}  {each.reason}")


@bot.command("retry")
@_hook_argument
@with_data
def bot_retry(name: str, *, data: ServerData) -> None:
    """Post the messages once more that a hook did not take. Those that are deleted are forgotten."""
    from twotick import admin

    with data.opened() as store:
        count = admin.post_again(store, name)
    print(f"{count} message{'' if count == 1 else 's'} will be posted again")
