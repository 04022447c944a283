"""The manual pages, made from the descriptions of the commands when the package is built."""

import inspect
import re
from collections.abc import Mapping

import click

from twotick import __version__
from twotick.ui.shell.leaving import STATUSES


def manual_pages(root: click.Group, summaries: Mapping[str, str]) -> dict[str, str]:
    """Return the manual pages: one for `twotick`, and one for each command.

    Args:
        root: the `twotick` command.
        summaries: what each of its commands does, in a few words.

    Returns:
        The text of each page, in the man(7) language, by the name of its file.
    """
    context = click.Context(root, info_name="twotick")
    pages = {"twotick.1": _main_page(summaries)}
    for name, command in root.commands.items():
        below = click.Context(command, info_name=name, parent=context)
        pages[f"twotick-{name}.1"] = _page(command, below, summaries[name])
    return pages


def _main_page(summaries: Mapping[str, str]) -> str:
    lines = [
        _title("twotick"),
        *_name("twotick", "chat where sent means received"),
        ".SH SYNOPSIS",
        ".B twotick",
        r"\fICOMMAND\fR [\fIOPTIONS\fR] [\fIARGUMENTS\fR]",
        ".SH COMMANDS",
    ]
    for name, words in summaries.items():
        lines += [".TP", rf"\fBtwotick\-{_escaped(name)}\fR(1)", _escaped(words)]
    lines.append(".SH EXIT STATUS")
    for status, meaning in STATUSES.items():
        lines += [".TP", f".B {status}", _escaped(meaning.replace("`", "'"))]
    lines += [
        ".SH FILES",
        ".TP",
        ".I twotick.toml",
        "Settings, in the platform's folder for configuration, such as ~/.config/twotick.",
        "Each can also be a variable, such as TWOTICK_SERVER.",
    ]
    return "\n".join(lines) + "\n"


def _page(command: click.Command, context: click.Context, summary: str) -> str:
    path = context.command_path
    lines = [_title(path.replace(" ", "-")), *_name(path.replace(" ", "-"), summary), ".SH SYNOPSIS"]
    if isinstance(command, click.Group):
        below = [click.Context(each, info_name=name, parent=context) for name, each in command.commands.items()]
        for each in below:
            lines += [*_synopsis(each), ".br"]
        lines += [".SH DESCRIPTION", *_described(command), ".SH COMMANDS"]
        for each in below:
            lines += [f".SS {_escaped(each.info_name or '')}", *_described(each.command), *_parameters(each)]
    else:
        lines += [*_synopsis(context), ".SH DESCRIPTION", *_described(command), ".SH OPTIONS", *_parameters(context)]
    return "\n".join([*lines, ".SH SEE ALSO", r"\fBtwotick\fR(1), which lists the exit statuses"]) + "\n"


def _title(name: str) -> str:
    return f'.TH {name.upper()} 1 "" "twotick {__version__}" "Twotick"'


def _name(name: str, summary: str) -> list[str]:
    return [".SH NAME", rf"{_escaped(name)} \- {_escaped(summary)}"]


def _synopsis(context: click.Context) -> list[str]:
    pieces = context.command.collect_usage_pieces(context)
    return [f".B {_escaped(context.command_path)}", " ".join(map(_escaped, pieces))]


def _described(command: click.Command) -> list[str]:
    """Return the description of a command; paragraphs that keep their lines stay as they are."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(command.help or "")):
        kept = paragraph.startswith("\b\n")
        text = [_escaped(line) for line in paragraph.removeprefix("\b\n").split("\n")]
        lines += [".PP", *([".nf", *text, ".fi"] if kept else text)]
    return lines[1:]


def _parameters(context: click.Context) -> list[str]:
    lines: list[str] = []
    for each in context.command.get_params(context):
        record = each.get_help_record(context)
        if record is not None and record[0]:  # an old spelling has no name
            lines += [".TP", f".B {_escaped(record[0])}", _escaped(record[1])]
    return lines


def _escaped(text: str) -> str:
    """Return a text in which nothing is a request or an escape of man(7)."""
    text = text.replace("\n", " ").replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{text}" if text.startswith((".", "'")) else text
