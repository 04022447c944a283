"""Help: the list of all commands, `twotick help`, completion for shells, and the manual pages.

All of them show the same descriptions, which stand beside the commands.
"""

import difflib
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import click

from twotick.cli.free_text import TextCommand
from twotick.ui.shell.leaving import EX_USAGE, STATUSES, fail
from twotick.ui.shell.streams import complain

Section: TypeAlias = Mapping[str, tuple[click.Command, str]]
"""Commands by name, each with what it does in a few words."""

COMPLETION = "_TWOTICK_COMPLETE"
"""The variable in which a shell says what it wants to have completed."""

_SHELLS = ("bash", "zsh", "fish")
_TWO_COLUMNS = 76
"""Columns of a terminal from which on two commands stand on one line."""


ARGUMENTS = "COMMAND [OPTIONS] [ARGUMENTS]"
"""What follows the name of a group of commands."""


def complain_of_usage(error: click.UsageError) -> None:
    """Say what is wrong with a command line, how the command is used, and where there is more about it."""
    problem = " ".join(error.format_message().split()).rstrip(".")
    if isinstance(error.ctx and error.ctx.command, TextCommand) and "unexpected extra argument" in problem:
        problem += ": put a text of several words in quotes"
    complain(problem[:1].lower() + problem[1:])
    if error.ctx is not None:
        path = error.ctx.command_path
        pieces = " ".join(piece for piece in error.ctx.command.collect_usage_pieces(error.ctx) if piece)
        more = path.replace("twotick", "twotick help", 1)
        complain(f"usage: {path} {pieces} ('{more}' says more)")


class Twotick(click.Group):
    """The `twotick` command: its help lists the commands in sections.

    Args:
        sections: the commands by section, in the order in which they are listed.
    """

    def __init__(self, *args: Any, sections: Mapping[str, Section] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sections = sections or {}
        for section in self.sections.values():
            for name, (command, _) in section.items():
                self.add_command(command, name)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help: every command with a few words, in two columns where there is room."""
        formatter.write(f"Usage: twotick {ARGUMENTS} (more: help COMMAND, help status)\n")
        formatter.write('Chat where "sent" means "received". To see it work, run: twotick demo\n')
        for title, section in self.sections.items():
            formatter.write_heading(title)
            _write_section(formatter, [(name, words) for name, (_, words) in section.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; if there is none, say which ones have a similar name."""
        name = args[0]
        if self.get_command(ctx, name) is None and not ctx.resilient_parsing:
            fail(EX_USAGE, f"there is no command {name!r}{_similar(self, name)}: 'twotick --help' lists them")
        return super().resolve_command(ctx, args)


def _write_section(formatter: click.HelpFormatter, rows: Sequence[tuple[str, str]]) -> None:
    cells = [f"  {name:<10} {words}" for name, words in rows]
    if formatter.width < _TWO_COLUMNS:
        formatter.write("".join(f"{cell}\n" for cell in cells))
        return
    half = (len(cells) + 1) // 2
    for left, right in zip(cells[:half], [*cells[half:], ""], strict=False):
        formatter.write(f"{left:<38}{right}".rstrip() + "\n")


def _similar(group: click.Group, name: str) -> str:
    """Return words about the commands, also of groups, that were probably meant; empty if there are none."""
    paths = [path for path, _ in all_commands(group)]
    words = [path.split()[-1] for path in paths]
    close = difflib.get_close_matches(name, set(words), n=3)
    found = [path for path, word in zip(paths, words, strict=True) if word in close]
    return f" (did you mean {' or '.join(found[:3])}?)" if found else ""


def all_commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield every command with the words that call it, groups before their commands."""
    for name, command in group.commands.items():
        yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{path}{name} ")


@click.command("help")
@click.argument("words", metavar="[COMMAND]", nargs=-1, help="The command, such as 'send' or 'room create'.")
@click.pass_context
def show_help(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Describe a command; 'twotick help status' lists the exit statuses.

    Example: twotick help room create
    """
    if words == ("status",):
        click.echo(status_table(), nl=False)
        return
    root = ctx.find_root()
    command, described = root.command, root
    for word in words:
        found = command.get_command(described, word) if isinstance(command, click.Group) else None
        if found is None:
            assert isinstance(root.command, click.Group)
            fail(EX_USAGE, f"there is no command {' '.join(words)!r}{_similar(root.command, word)}")
        command, described = found, click.Context(found, info_name=word, parent=described)
    click.echo(command.get_help(described))


def status_table() -> str:
    """Return the exit statuses and their meanings, a line each."""
    lines: list[str] = []
    for status, meaning in STATUSES.items():
        text = meaning.replace("`", "'")
        lines += textwrap.wrap(text, 79, initial_indent=f"{status:>4}  ", subsequent_indent=" " * 6)
    return "\n".join(lines) + "\n"


@click.command
@click.argument("shell", metavar="SHELL", type=click.Choice(_SHELLS), help="bash, zsh or fish.")
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print a script with which a shell completes commands and options.

    \b
    bash, in ~/.bashrc: eval "$(twotick completion bash)"
    zsh, in ~/.zshrc:   eval "$(twotick completion zsh)"
    fish: twotick completion fish > ~/.config/fish/completions/twotick.fish
    """  # noqa: D301
    from click.shell_completion import get_completion_class

    script = get_completion_class(shell)
    assert script is not None
    click.echo(script(ctx.find_root().command, {}, "twotick", COMPLETION).source())
