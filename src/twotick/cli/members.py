"""A member's commands: login, logout, devices, history, search, export."""

from datetime import datetime
from typing import Annotated

import typer

from twotick.cli.common import (
    AsOption,
    ConfigOption,
    JsonOption,
    ServerOption,
    app,
    member_of,
    reading_credentials,
    settings_of,
)
from twotick.ui.shell.leaving import EX_INTERRUPTED, EX_UNAVAILABLE, EX_USAGE, fail, run

AccountArgument = Annotated[str, typer.Argument(metavar="NAME@HOST[:PORT]", help="Who, and on which server.")]


@app.command()
def login(
    account: AccountArgument,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="What this device is to be called.")] = "",
    sign_up: Annotated[
        str | None, typer.Option(metavar="CODE", help="Sign up, with an invitation or 'yes' where it is open.")
    ] = None,
) -> None:
    """Log in as a member: asks for the password, and remembers a token for this device."""
    from twotick.ui.shell.login import log_in, this_device
    from twotick.ui.shell.password import read_password

    name, server = _account(account)
    try:
        password = read_password(new=sign_up is not None).decode()
    except (EOFError, ValueError, OSError, UnicodeDecodeError) as error:
        fail(EX_USAGE, str(error) or "no password was given")
    except KeyboardInterrupt:
        raise typer.Exit(EX_INTERRUPTED) from None
    run(log_in(name, server, password=password, device=device or this_device(), sign_up=sign_up))


@app.command(hidden=True)
def logout(account: AccountArgument) -> None:
    """Log out: this device's token no longer works."""
    from twotick.client.trust import tokens
    from twotick.ui.shell.login import log_out

    name, server = _account(account)
    with reading_credentials():
        who = tokens.load(server, name)
    if who is None:
        fail(EX_UNAVAILABLE, f"nobody is logged in as {name} on {server}")
    run(log_out(who))


@app.command()
def devices(
    revoke: Annotated[str | None, typer.Option(metavar="DEVICE", help="Let its token no longer work.")] = None,
    as_json: JsonOption = False,
    name: AsOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """List a member's devices, or revoke one."""
    from twotick.ui.shell.login import show_devices

    run(show_devices(member_of(settings_of(config, server=server), name), revoke=revoke, as_json=as_json))


@app.command()
def history(
    peer: Annotated[str | None, typer.Argument(help="With whom, or '#room'; everybody's if not given.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Not before this time.")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="So many messages at most.")] = 50,
    as_json: JsonOption = False,
    name: AsOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Print a member's last messages, oldest first.

    'twotick export' prints all of them as JSON lines.
    """
    from twotick.ui.shell.history import show_history

    who = member_of(settings_of(config, server=server), name)
    run(show_history(who, peer, since=since.astimezone() if since else None, limit=limit, as_json=as_json))


@app.command()
def search(
    words: Annotated[
        list[str], typer.Argument(help="Words that all stand in it; the last may be cut: 'oat*'.", metavar="WORDS")
    ],
    peer: Annotated[str | None, typer.Option("--in", metavar="PEER", help="With whom, or '#room'.")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="So many messages at most.")] = 20,
    as_json: JsonOption = False,
    name: AsOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Find messages by their words, newest first.

    Words in double quotes stand one after the other: 'red "wild oats"'.
    """
    from twotick.ui.shell.history import search

    who = member_of(settings_of(config, server=server), name)
    run(search(who, " ".join(words), peer=peer, limit=limit, as_json=as_json))


@app.command(hidden=True)
def export(name: AsOption = None, server: ServerOption = None, config: ConfigOption = None) -> None:
    """Print all of a member's messages as JSON lines."""
    from twotick.ui.shell.history import export

    run(export(member_of(settings_of(config, server=server), name)))


def _account(account: str) -> tuple[str, str]:
    """Understand NAME@HOST[:PORT]."""
    name, at, server = account.partition("@")
    if not at or not name or not server:
        fail(EX_USAGE, f"'{account}' is not NAME@HOST[:PORT]")
    return name, server
