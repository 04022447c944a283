"""What the commands have in common: the application, options, settings, and who is logged in."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from twotick.ui.shell.leaving import EX_OSERR, EX_UNAVAILABLE, EX_USAGE, fail

if TYPE_CHECKING:
    from twotick.client.trust.tokens import Credential
    from twotick.settings import Settings

app = typer.Typer(
    help='Chat where "sent" means "received".',
    epilog="\b\nFor a member also: logout, mute, block, report user, export.\n"
    "For a server also: user, token, invite, report, backup, check, cert.\n"
    "Settings: --option, TWOTICK_OPTION or twotick.toml. Start with: twotick demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", envvar="TWOTICK_CONFIG", metavar="FILE", help="Settings file [TOML].", dir_okay=False),
]
ServerOption = Annotated[
    str | None, typer.Option("--server", metavar="HOST:PORT", help="Where the server is [127.0.0.1:18000].")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder of the server's data.", file_okay=False)
]


NameArgument = Annotated[str, typer.Argument(help="Your name: 1 to 32 letters and digits.")]
AsOption = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="The member; the one who logged in last if not given.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")]


def settings_of(config: Path | None, **given: Any) -> "Settings":
    """Put the settings together; leaves with a clear line if they make no sense.

    Args:
        config: the settings file, if it was named.
        **given: what the command line says; None for what it does not.
    """
    from twotick.settings import SettingsError, load

    try:
        return load(config, given)
    except SettingsError as error:
        fail(EX_USAGE, str(error))


@contextmanager
def reading_credentials() -> Generator[None]:
    """Leave with a clear line if what is remembered cannot be read."""
    from twotick.client.trust.tokens import CredentialError

    try:
        yield
    except CredentialError as error:
        fail(EX_OSERR, str(error))
    except ValueError as error:
        fail(EX_USAGE, str(error))


def login_of(settings: "Settings", name: str | None) -> "Credential | None":
    """The login with this name on this server, if there is one."""
    from twotick.client.trust import tokens

    with reading_credentials():
        return tokens.load(settings.server, name)


def member_of(settings: "Settings", name: str | None) -> "Credential":
    """The login with this name on this server; leaves with a clear line if there is none."""
    who = login_of(settings, name)
    if who is None:
        whom = name or "anybody"
        fail(EX_UNAVAILABLE, f"not logged in as {whom} on {settings.server}: 'twotick login NAME@HOST' does that")
    return who
