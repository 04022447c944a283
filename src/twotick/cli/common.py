"""What commands share: options, the settings, and the member who is logged in."""

import functools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from twotick.cli.names import complete_accounts
from twotick.ui.shell.leaving import EX_NOPERM, EX_OSERR, EX_USAGE, fail

if TYPE_CHECKING:
    from twotick.client.trust.tokens import Credential
    from twotick.settings import Settings
    from twotick.ui.shell.connection import GuestUser

Function: TypeAlias = Callable[..., None]
"""The function behind a command; it takes its options as keyword arguments."""


class NamedPath(click.Path):
    """A path that is not empty: an empty one would be the current folder, and is a variable that is not set."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        if value == "":
            self.fail("the name is empty: write . for the current folder", param, ctx)
        return super().convert(value, param, ctx)


FOLDER = NamedPath(file_okay=False, path_type=Path)
FILE = NamedPath(dir_okay=False, path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
config_option = click.option(
    "--config", type=FILE, envvar="TWOTICK_CONFIG", metavar="FILE", help="Settings file, in TOML."
)
data_option = click.option(
    "--data", type=FOLDER, metavar="DIR", help="Folder of the server's data [~/.local/share/twotick]."
)
_server_option = click.option("--server", metavar="HOST[:PORT]", help="Server to connect to [that of your account].")
_as_option = click.option(
    "--as",
    "me",
    metavar="NAME[@HOST]",
    help="Who you are [your account; see 'accounts'].",
    shell_complete=complete_accounts,
)
_plaintext_option = click.option("--plaintext", is_flag=True, help="Allow a connection without TLS.")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a command acts as.

    Attributes:
        name: the user's name; empty if the command names none and no member is logged in.
        server: the server's address.
        login: the login of a member; None for a guest.
    """

    name: str
    server: str
    login: "Credential | None"


class OldSpelling(click.Argument):
    """An argument that commands accept as before, and that their help does not mention."""

    def get_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Return nothing for the usage line."""
        return []

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Return an empty row, which is left out."""
        return "", ""


def settings_of(config: Path | None, **given: object) -> "Settings":
    """Read the settings; exit with one clear line if one of them is not valid.

    Args:
        config: the settings file, if one was named.
        **given: settings from the command line; None for an option that was not given.
    """
    from twotick.settings import SettingsError, load

    try:
        return load(config, given)
    except SettingsError as error:
        fail(EX_USAGE, *str(error).splitlines())


def with_identity(command: Function) -> Function:
    """Add --as, --server, --plaintext and --config; the command gets the keyword arguments `who` and `settings`."""

    @functools.wraps(command)
    def wrapper(
        *,
        me: str | None,
        old_me: str | None,
        server: str | None,
        plaintext: bool,
        config: Path | None,
        **options: object,
    ) -> None:
        settings = settings_of(config, server=server, plaintext=plaintext or None)
        command(who=identity_of(settings, me or old_me), settings=settings, **options)

    return _as_option(_server_option(_plaintext_option(config_option(wrapper))))


def with_server(command: Function) -> Function:
    """Add --server, --plaintext and --config; the command gets the keyword arguments `server` and `plaintext`."""

    @functools.wraps(command)
    def wrapper(*, server: str | None, plaintext: bool, config: Path | None, **options: object) -> None:
        settings = settings_of(config, server=server, plaintext=plaintext or None)
        command(server=identity_of(settings, None).server, plaintext=settings.plaintext, **options)

    return _server_option(_plaintext_option(config_option(wrapper)))


def with_member(command: Function) -> Function:
    """Add --as, --server and --config; the command gets the keyword argument `who`, the token of a member's login."""

    @functools.wraps(command)
    def wrapper(*, me: str | None, server: str | None, config: Path | None, **options: object) -> None:
        command(who=member(identity_of(settings_of(config, server=server), me)), **options)

    return _as_option(_server_option(config_option(wrapper)))


@contextmanager
def reading_credentials() -> Generator[None]:
    """Exit with one clear line if the tokens of this user cannot be used, or an address is not valid."""
    from twotick.client.trust.tokens import CredentialError

    try:
        yield
    except CredentialError as error:
        fail(EX_OSERR, str(error))
    except ValueError as error:
        fail(EX_USAGE, str(error))


def split_account(account: str) -> tuple[str, str]:
    """Return name and server of `NAME@HOST[:PORT]` or `NAME`; the server is empty if there is none."""
    name, at, server = account.partition("@")
    if not name or (at and not server):
        fail(EX_USAGE, f"'{account}' is not NAME or NAME@HOST[:PORT]; an example: alice@chat.example")
    return name, server


def identity_of(settings: "Settings", me: str | None) -> Identity:
    """Return who a command acts as.

    Args:
        settings: they may name the server, or `NAME@HOST`.
        me: what the user has said, `NAME` or `NAME@HOST[:PORT]`; None for the account that is the default.

    Returns:
        The login with this name, at this server if one is named; or else a guest at this server, which by default is
        that of the default account. A name without a server that is logged in anywhere is never a guest.
    """
    from twotick.client.address import DEFAULT_SERVER
    from twotick.client.trust import tokens

    name, server = split_account(me) if me is not None else ("", "")
    if not server and settings.server is not None:
        owner, at, host = settings.server.rpartition("@")
        name, server = name or owner, host if at else settings.server
        if not server:
            fail(EX_USAGE, "the server is empty: write HOST or HOST:PORT")
    with reading_credentials():
        login = tokens.load(server or None, name or None)
        if login is not None:
            return Identity(login.name, login.server, login)
        default = None if server else tokens.find(None, None)
    return Identity(name, server or (DEFAULT_SERVER if default is None else default.server), None)


def guest_of(who: Identity, settings: "Settings") -> "GuestUser":
    """Return the guest that a command acts as."""
    from twotick.ui.shell.connection import GuestUser

    return GuestUser(who.name, who.server, settings.max_body, plaintext=settings.plaintext)


def check_named(who: Identity) -> None:
    """Exit with one clear line if the command does not know who it acts as."""
    if not who.name:
        fail(EX_USAGE, "who are you? Log in with 'twotick login NAME@HOST', or choose a guest's name with --as NAME")


def member(who: Identity) -> "Credential":
    """Return the login of a member; exit with one clear line if there is none."""
    if who.login is None:
        name = who.name or "NAME"
        as_whom = f" as {name}" if who.name else ""
        fail(EX_NOPERM, f"not logged in{as_whom} on {who.server}: run 'twotick login {name}@{who.server}'")
    return who.login
