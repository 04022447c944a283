"""A member's commands: login, logout, devices, history, search and export."""

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twotick.cli.common import (
    config_option,
    identity_of,
    json_option,
    reading_credentials,
    settings_of,
    split_account,
    with_member,
)
from twotick.cli.free_text import TextCommand
from twotick.cli.names import complete_accounts, complete_peers
from twotick.ui.shell.leaving import EX_INTERRUPTED, EX_NOPERM, EX_USAGE, fail, run
from twotick.ui.shell.streams import complain

if TYPE_CHECKING:
    from twotick.client.trust.tokens import Credential


class _Time(click.ParamType[datetime]):
    """A date, or a date and a time."""

    name = "time"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Parse a time in ISO 8601; without an offset it is local."""
        if isinstance(value, datetime):
            return value
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"'{value}' is not a time: write 2026-05-01 or '2026-05-01 14:30'", param, ctx)


@click.command
@click.argument("account", metavar="NAME@HOST[:PORT]", help="Your name and the server.")
@click.option("--device", metavar="DEVICE", default="", help="Name for this device [the host's name].")
@click.option("--sign-up", metavar="CODE", help="Sign up with an invitation, or 'yes' where sign-up is open.")
@config_option
def login(account: str, *, device: str, sign_up: str | None, config: Path | None) -> None:
    """Log in as a member on this device, or sign up.

    Asks for the password and keeps a token for this device; the password itself is
    not kept. Without a terminal, the password is one line of standard input. From
    then on, this account is the one that all commands use.

    Example: twotick login alice@chat.example --sign-up yes
    """
    from twotick.ui.shell.login import log_in
    from twotick.ui.shell.password import read_password
    from twotick.wire import is_name

    name, server = split_account(account)
    if not is_name(name.encode(errors="replace")):  # before a password is asked for
        fail(EX_USAGE, f"{name!r} cannot be a name: use 1 to 32 letters and digits, but no word of the protocol")
    if not server:
        fail(EX_USAGE, f"'{account}' names no server: write {account}@HOST, for example {account}@chat.example")
    try:
        password = read_password(new=sign_up is not None).decode()
    except (EOFError, ValueError, OSError, UnicodeDecodeError) as error:
        fail(EX_USAGE, str(error) or "no password was given")
    except KeyboardInterrupt:
        raise SystemExit(EX_INTERRUPTED) from None
    if not password:
        fail(EX_USAGE, "no password was given")
    run(log_in(name, server, password=password, device=device or None, sign_up=sign_up))
    _mind_setting(config, name, server)


@click.command
@click.argument(
    "account",
    metavar="[NAME[@HOST]]",
    required=False,
    help="Your account [the one in use].",
    shell_complete=complete_accounts,
)
@config_option
def logout(account: str | None, *, config: Path | None) -> None:
    """Log out: revoke and delete the token of this device."""
    from twotick.ui.shell.login import log_out

    who = identity_of(settings_of(config), account)
    if who.login is None:
        as_whom = f"as {who.name} on {who.server}" if who.name else "anywhere"
        fail(EX_NOPERM, f"not logged in {as_whom}: nothing to do ('twotick accounts' lists your accounts)")
    run(log_out(who.login))


@click.command
@json_option
def accounts(*, as_json: bool) -> None:
    """List the accounts that are logged in on this device.

    The one with the star is used by all commands. Another one is used once with
    --as, and from then on with 'twotick account use'.
    """
    from twotick.ui.shell.login import show_accounts

    with reading_credentials():
        show_accounts(as_json=as_json)


@click.group
def account() -> None:
    """Choose the account that all commands use."""


@account.command("use")
@click.argument(
    "account",
    metavar="NAME[@HOST]",
    help="The account, as 'twotick accounts' shows it.",
    shell_complete=complete_accounts,
)
@config_option
def use(account: str, *, config: Path | None) -> None:
    """Use this account in all commands, from now on."""
    from twotick.ui.shell.login import use_account

    name, server = split_account(account)
    with reading_credentials():
        used = use_account(name, server or None)
    if used is None:
        fail(EX_NOPERM, f"not logged in as {account}: 'twotick accounts' lists your accounts")
    _mind_setting(config, name, used.server)


def _mind_setting(config: Path | None, name: str, server: str) -> None:
    """Say so if a setting keeps commands from using an account that was just chosen."""
    from twotick.client import parse_server

    setting = settings_of(config).server
    with reading_credentials():
        if setting and not parse_server(server).is_meant_by(parse_server(setting.rpartition("@")[2])):
            complain(
                f"the setting server is {setting}, which comes first: remove it (from TWOTICK_SERVER or twotick.toml),"
                f" or use --as {name}@{server}"
            )


@click.command
@click.option("--revoke", metavar="DEVICE", help="Log this device out: its token stops working.")
@json_option
@with_member
def devices(*, revoke: str | None, as_json: bool, who: "Credential") -> None:
    """List your devices, or revoke one."""
    from twotick.ui.shell.login import show_devices

    run(show_devices(who, revoke=revoke, as_json=as_json))


@click.command
@click.argument(
    "peer",
    metavar="[PEER]",
    required=False,
    help="A user or a room ('#team') [all conversations].",
    shell_complete=complete_peers,
)
@click.option("--since", type=_Time(), metavar="TIME", help="Earliest time: 2026-05-01 or '2026-05-01 14:30'.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", default=50, help="Most messages to print [50].")
@json_option
@with_member
def history(peer: str | None, *, since: datetime | None, limit: int, as_json: bool, who: "Credential") -> None:
    """Print your last messages, oldest first.

    To print all of them as JSON, use 'twotick export'.
    """
    from twotick.ui.shell.history import show_history

    run(show_history(who, peer, since=since, limit=limit, as_json=as_json))


@click.command(cls=TextCommand)
@click.argument(
    "words", metavar="WORDS...", nargs=-1, required=True, help="Words, or how they begin; and filters such as from:bob."
)
@click.option(
    "--in",
    "peer",
    metavar="PEER",
    help="Search only with this user, or in this room ('#team').",
    shell_complete=complete_peers,
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", default=20, help="Most messages to print [20].")
@json_option
@with_member
def search(words: tuple[str, ...], *, peer: str | None, limit: int, as_json: bool, who: "Credential") -> None:
    """Find messages by their words and the names of their files, newest first.

    Put a phrase in double quotes: twotick search 'red "wild oats"'

    Filters: from:bob (from:me), in:#team, before:2026-11-01, after:yesterday (or
    after:7d, for seven days ago), has:file. Words can be missing then.
    """  # a command to copy
    from twotick.ui.shell.history import search

    run(search(who, " ".join(words), peer=peer, limit=limit, as_json=as_json))


@click.command
@with_member
def export(*, who: "Credential") -> None:
    """Print all your messages, oldest first, as JSON lines.

    Example: twotick export > messages.jsonl
    """
    from twotick.ui.shell.history import export

    run(export(who))
