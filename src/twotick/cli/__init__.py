"""The `twotick` command: parses the command line, calls, prints, and exits with a status that scripts can rely on."""

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from twotick import __version__
from twotick.cli import (
    accounts,
    conversations,
    hooks,
    members,
    observing,
    operating,
    profile,
    rooms,
    serving,
    setting_up,
    talking,
)
from twotick.cli.helping import ARGUMENTS, COMPLETION, Section, Twotick, complain_of_usage, completion, show_help
from twotick.ui.shell.leaving import EX_INTERRUPTED, EX_USAGE, output_lost
from twotick.ui.shell.streams import open_missing

_SECTIONS: dict[str, Section] = {
    "Talk": {
        "chat": (talking.chat, "talk, in the app or lines"),
        "send": (talking.send, "send one message"),
        "listen": (talking.listen, "print what arrives"),
        "history": (members.history, "print your last messages"),
        "search": (members.search, "find messages"),
        "room": (rooms.room, "create, join, manage rooms"),
        "pins": (conversations.pins, "list or pin messages"),
        "mute": (conversations.mute, "turn notifications off"),
        "block": (conversations.block, "refuse a user's messages"),
        "report": (conversations.report_user, "report a user"),
    },
    "Account": {
        "login": (members.login, "log in, or sign up"),
        "logout": (members.logout, "log out"),
        "accounts": (members.accounts, "list your accounts"),
        "account": (members.account, "choose the account to use"),
        "devices": (members.devices, "list or revoke your devices"),
        "password": (profile.password, "change your password"),
        "profile": (profile.profile, "show or change a profile"),
        "export": (members.export, "print all your messages"),
    },
    "Server": {
        "quickstart": (setting_up.quickstart, "set up a server"),
        "serve": (serving.serve, "run a server"),
        "user": (accounts.user, "add, remove, invite users"),
        "bot": (hooks.bot, "add, list, limit bots"),
        "token": (operating.token, "print a device's token"),
        "admin": (observing.admin, "open the operator's page"),
        "reload": (observing.reload, "load the settings again"),
        "status": (observing.status, "show how the server is"),
        "doctor": (observing.doctor, "find what is wrong"),
        "backup": (operating.backup, "copy the database"),
        "migrate": (operating.migrate, "copy to PostgreSQL or back"),
        "check": (operating.check, "check the database"),
        "clock": (operating.clock, "compare the clocks"),
        "cert": (operating.cert, "make a certificate for TLS"),
    },
    "Try and learn": {
        "demo": (talking.demo, "a server and a friend"),
        "bench": (talking.bench, "measure a server"),
        "help": (show_help, "describe a command"),
        "completion": (completion, "complete words in a shell"),
    },
}


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    import platform

    from twotick.wire import parser

    python = platform.python_version()
    path = "plain Python" if str(parser.__file__).endswith(".py") else "compiled"
    print(f"twotick {__version__} (Python {python}, {path})")
    context.exit()


@click.group(
    cls=Twotick,
    sections=_SECTIONS,
    options_metavar="",
    subcommand_metavar=ARGUMENTS,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version)
def twotick() -> None:
    """Chat where "sent" means "received". To see it work, run: twotick demo"""  # noqa: D415  # a command to copy


def manual() -> dict[str, str]:
    """Return the manual pages by the names of their files; called when the package is built."""
    from twotick.cli.manual import manual_pages

    return manual_pages(
        twotick, {name: words for section in _SECTIONS.values() for name, (_, words) in section.items()}
    )


def _run(arguments: list[str]) -> int:
    """Run a command line; return its exit status."""
    try:
        with twotick.make_context("twotick", arguments) as context:
            twotick.invoke(context)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return EX_USAGE
    except click.UsageError as error:
        complain_of_usage(error)
        return EX_USAGE
    except (click.Abort, KeyboardInterrupt):
        return EX_INTERRUPTED
    return 0


def _complete(instruction: str) -> int:
    """Print what completes the words that a shell has put into its variables; return the exit status.

    Nothing but completions is printed, whatever the variables contain and however the files of the user look: it would
    appear in the line that the user types.
    """
    from click.shell_completion import shell_complete

    with contextlib.suppress(Exception), contextlib.redirect_stderr(io.StringIO()):
        return shell_complete(twotick, {}, "twotick", COMPLETION, instruction)
    return 1


def _find_home() -> None:
    """Set HOME if there is none, as for a user of a container whom the system does not know: files are sought there."""
    try:
        Path.home()
    except RuntimeError:
        os.environ["HOME"] = "/"  # as container engines set it


def main() -> NoReturn:
    """Run the command and exit."""
    open_missing()
    _find_home()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    status: str | int | None
    try:
        try:
            status = _run(sys.argv[1:]) if COMPLETION not in os.environ else _complete(os.environ[COMPLETION])
        except SystemExit as leaving:
            status = leaving.code
        sys.stdout.flush()
    except OSError as error:
        status = output_lost(error)
    sys.exit(status)
