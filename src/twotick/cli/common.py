"""What commands share: options, the settings, and the member who is logged in."""

import functools
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import click

from twotick.ui.shell.leaving import EX_NOPERM, EX_OSERR, EX_USAGE, fail

if TYPE_CHECKING:
    from twotick.client.trust.tokens import Credential
    from twotick.settings import Settings

Function: TypeAlias = Callable[..., None]
"""The function behind a command; it takes its options as keyword arguments."""

FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
config_option = click.option(
    "--config", type=FILE, envvar="TWOTICK_CONFIG", metavar="FILE", help="Settings file, in TOML."
)
data_option = click.option(
    "--data", type=FOLDER, metavar="DIR", help="Folder of the server's data [~/.local/share/twotick]."
)
_server_option = click.option("--server", metavar="HOST:PORT", help="Server to connect to [127.0.0.1:18000].")
_as_option = click.option("--as", "name", metavar="NAME", help="Member to act as [the one who logged in last].")


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
        fail(EX_USAGE, str(error))


def with_server(command: Function) -> Function:
    """Add --server and --config; the command gets the keyword argument `settings`."""

    @functools.wraps(command)
    def wrapper(*, server: str | None, config: Path | None, **options: object) -> None:
        command(settings=settings_of(config, server=server), **options)

    return _server_option(config_option(wrapper))


def with_member(command: Function) -> Function:
    """Add --as, --server and --config; the command gets the keyword argument `who`, the token of a member's login."""

    @functools.wraps(command)
    def wrapper(*, name: str | None, settings: "Settings", **options: object) -> None:
        command(who=member_of(settings, name), **options)

    return _as_option(with_server(wrapper))


@contextmanager
def reading_credentials() -> Generator[None]:
    """Exit with one clear line if the tokens of this user cannot be read."""
    from twotick.client.trust.tokens import CredentialError

    try:
        yield
    except CredentialError as error:
        fail(EX_OSERR, str(error))
    except ValueError as error:
        fail(EX_USAGE, str(error))


def login_of(settings: "Settings", name: str | None) -> "Credential | None":
    """Return the login of a name on the server of the settings, or None.

    Args:
        settings: they name the server.
        name: the member; None for the one who logged in last.
    """
    from twotick.client.trust import tokens

    with reading_credentials():
        return tokens.load(settings.server, name)


def member_of(settings: "Settings", name: str | None) -> "Credential":
    """Return the login of a name on the server of the settings; exit with one clear line if there is none."""
    who = login_of(settings, name)
    if who is None:
        as_whom = f" as {name}" if name else ""
        fail(EX_NOPERM, f"not logged in{as_whom} on {settings.server}: run 'twotick login NAME@HOST'")
    return who
