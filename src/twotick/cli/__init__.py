"""The `twotick` command: parses the command line, calls, prints, and exits with a status that scripts can rely on."""

import io
import sys
from collections.abc import Collection
from typing import NoReturn

import click

from twotick import __version__
from twotick.cli import conversations, members, operating, profile, rooms, serving, talking
from twotick.ui.shell.leaving import EX_INTERRUPTED, EX_USAGE, output_lost
from twotick.ui.shell.streams import open_missing

_TALKING: dict[str, click.Command] = {
    "chat": talking.chat,
    "send": talking.send,
    "listen": talking.listen,
    "history": members.history,
    "search": members.search,
    "room": rooms.room,
}
_ACCOUNT: dict[str, click.Command] = {"login": members.login, "devices": members.devices}
_ACCOUNT_MORE: dict[str, click.Command] = {
    "logout": members.logout,
    "password": profile.password,
    "mute": conversations.mute,
    "block": conversations.block,
    "export": members.export,
}
_SERVER: dict[str, click.Command] = {
    "demo": talking.demo,
    "serve": serving.serve,
    "bench": talking.bench,
    "user": operating.user,
}
_SERVER_MORE: dict[str, click.Command] = {
    "token": operating.token,
    "invite": operating.invite,
    "report": operating.report,
    "backup": operating.backup,
    "check": operating.check,
    "clock": operating.clock,
    "cert": operating.cert,
}


class _Twotick(click.Group):
    """The command with its subcommands in sections, so that its help fits on one screen."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help: the commands that most people need with a line each, the rest by name."""
        self.format_usage(ctx, formatter)
        self.format_help_text(ctx, formatter)
        formatter.write("\n")
        _write_section(formatter, "Talk", _TALKING)
        _write_section(formatter, "Account", _ACCOUNT, [*_ACCOUNT_MORE, "report user"])
        _write_section(formatter, "Server", _SERVER, _SERVER_MORE)
        formatter.write("\nOptions: --version, -h, --help; for a command: twotick send --help\n")
        formatter.write("Settings: --option, TWOTICK_OPTION, or twotick.toml.\n")


def _write_section(
    formatter: click.HelpFormatter, title: str, commands: dict[str, click.Command], more: Collection[str] = ()
) -> None:
    formatter.write_heading(title)
    with formatter.indentation():
        formatter.write_dl([(f"{name:<7}", command.get_short_help_str(66)) for name, command in commands.items()])
        if more:
            formatter.write_text(", ".join(more))


def _print_version(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted:
        return
    import platform

    from twotick.wire import parser

    python = platform.python_version()
    path = "plain Python" if str(parser.__file__).endswith(".py") else "compiled"
    print(f"twotick {__version__} (Python {python}, {path})")
    context.exit()


@click.group(cls=_Twotick, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version)
def twotick() -> None:
    """Chat where "sent" means "received". To see it work, run: twotick demo"""  # noqa: D415  # a command to copy


for _name, _command in (_TALKING | _ACCOUNT | _ACCOUNT_MORE | _SERVER | _SERVER_MORE).items():
    twotick.add_command(_command, _name)


def _run(arguments: list[str]) -> int:
    """Run a command line; return its exit status."""
    try:
        with twotick.make_context("twotick", arguments) as context:
            twotick.invoke(context)
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except click.UsageError as error:
        error.show()
        return EX_USAGE
    except (click.Abort, KeyboardInterrupt):
        return EX_INTERRUPTED
    return 0


def main() -> NoReturn:
    """Run the command and exit."""
    open_missing()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    status: str | int | None
    try:
        try:
            status = _run(sys.argv[1:])
        except SystemExit as leaving:
            status = leaving.code
        sys.stdout.flush()
    except OSError as error:
        status = output_lost(error)
    sys.exit(status)
