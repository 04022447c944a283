"""Help."""

import platform
import re
from importlib.metadata import version
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from tests.cli.commands import environment, run
from twotick import __version__
from twotick.cli import manual, twotick
from twotick.cli.helping import all_commands
from twotick.ui.shell.leaving import STATUSES
from twotick.wire import parser

COMMANDS = tuple(all_commands(twotick))
"""Every command: the words that call it, and the command."""

_TERMINAL = 78
"""Columns that a command uses on a terminal of 80."""


@pytest.mark.parametrize("command", ["", *(path for path, _ in COMMANDS)])
def test_help_fits_one_screen(command: str) -> None:
    ended = CliRunner().invoke(twotick, [*command.split(), "--help"], prog_name="twotick", terminal_width=_TERMINAL)
    lines = ended.stdout.splitlines()
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert lines[0].startswith(f"Usage: twotick {command}".rstrip())
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    listed = ended.stdout.partition("\nCommands:\n")[2].splitlines()
    assert [line for line in listed if line.endswith("...")] == [], "a description is cut"


def test_help_names_every_command_and_how_to_begin() -> None:
    text = run("-h").stdout
    words = set(re.findall(r"(?:^|  )([a-z]+)  *[a-z]", text, re.MULTILINE))
    assert words >= {path for path, _ in COMMANDS if " " not in path}
    assert "twotick demo" in text
    for group in ("room", "user"):
        text = run(group, "--help").stdout
        assert text.startswith(f"Usage: twotick {group} COMMAND [OPTIONS] [ARGUMENTS]\n")
        below = [path.split()[1] for path, _ in COMMANDS if path.startswith(f"{group} ")]
        assert all(f"\n  {command} " in text for command in below)


@pytest.mark.parametrize("width", [40, 120])
def test_help_fits_other_terminals(width: int) -> None:
    lines = CliRunner().invoke(twotick, ["--help"], terminal_width=width).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert len(lines) <= 45


def test_help_describes_a_command() -> None:
    for words in (["send"], ["room", "create"], ["room"], ["help"]):
        assert run("help", *words).stdout == run(*words, "--help").stdout
    assert run("help").stdout == run("--help").stdout
    ended = run("help", "room", "destroy")
    assert (ended.returncode, ended.stdout) == (64, "")
    assert ended.stderr.startswith("twotick: there is no command 'room destroy'")


def test_help_lists_the_exit_statuses() -> None:
    shown = re.findall(r"^ *(\d+)  ", run("help", "status").stdout, re.MULTILINE)
    assert list(map(int, shown)) == list(STATUSES)


@pytest.mark.parametrize(
    ("word", "meant"),
    [("sned", "send"), ("inivte", "room invite or user invite"), ("invite", "room invite or user invite")],
)
def test_a_command_that_is_misspelt_is_recognised(word: str, meant: str) -> None:
    ended = run(word)
    assert (ended.returncode, ended.stdout) == (64, "")
    assert f"(did you mean {meant}?)" in ended.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_completes_commands_and_options(shell: str) -> None:
    script = run("completion", shell)
    assert (script.returncode, script.stderr) == (0, "")
    assert f"_TWOTICK_COMPLETE={shell}_complete" in script.stdout
    for words, expected in (
        (["se"], {"send", "search"}),
        (["room", "cr"], {"create"}),
        (["send", "--un"], {"--until"}),
        (["send", "--until", ""], {"accepted", "delivered", "read"}),
        (["completion", "z"], {"zsh"}),
    ):
        last = words[-1] if shell == "fish" else str(len(words))
        asked = {"COMP_WORDS": " ".join(["twotick", *words]), "COMP_CWORD": last}
        ended = run(env=environment(**asked) | {"_TWOTICK_COMPLETE": f"{shell}_complete"})
        assert (ended.returncode, ended.stderr) == (0, "")
        assert expected <= set(re.split(r"[,\n\t]", ended.stdout)), ended.stdout


def test_there_is_a_manual_page_for_each_command_with_its_options() -> None:
    pages = manual()
    assert set(pages) == {"twotick.1", *(f"twotick-{path}.1" for path, _ in COMMANDS if " " not in path)}
    for path, command in COMMANDS:
        page = pages[f"twotick-{path.split()[0]}.1"].replace("\\-", "-")
        for parameter in command.params:
            shown = isinstance(parameter, click.Option) and not parameter.hidden
            assert max(parameter.opts, key=len) in page or not shown
    assert all(f"\n.B {status}\n" in pages["twotick.1"] for status in STATUSES)


def test_nothing_in_a_manual_page_is_an_unknown_request() -> None:
    lines = [line for page in manual().values() for line in page.splitlines()]
    requests = {line.split()[0] for line in lines if line.startswith((".", "'"))}
    assert requests <= {".TH", ".SH", ".SS", ".B", ".I", ".TP", ".PP", ".br", ".nf", ".fi"}


def test_help_of_send_names_the_exit_statuses_of_outcomes() -> None:
    text = run("send", "--help").stdout
    assert all(f"{status} " in text for status in (0, 64, 66, 67, 68, 69, 75, 77, 79, 80, 81))


def test_without_a_command_there_is_help() -> None:
    ended = run()
    assert ended.returncode == 64
    assert "Usage: twotick COMMAND [OPTIONS] [ARGUMENTS]" in ended.stdout + ended.stderr


def test_a_command_that_does_not_exist_has_status_64() -> None:
    ended = run("sned\x1b[2J")
    assert (ended.returncode, ended.stdout) == (64, "")
    assert "there is no command" in ended.stderr


def test_the_version_is_one_line_that_says_whether_the_message_path_is_compiled() -> None:
    ended = run("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    path = "plain Python" if Path(parser.__file__).suffix == ".py" else "compiled"
    assert ended.stdout == f"twotick {__version__} (Python {platform.python_version()}, {path})\n"
    assert version("twotick") == __version__


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["--version"], ">&-"),
        (["--version"], ">/dev/full"),
        (["--help"], ">/dev/full"),
        (["demo"], ">&-"),
        (["serve", "--port", "0"], ">&-"),
    ],
)
def test_output_that_cannot_be_written_is_one_clear_line(arguments: list[str], output: str) -> None:
    ended = run(*arguments, redirect=output)
    assert (ended.returncode, ended.stdout) == (74, "")
    assert ended.stderr.startswith("twotick: cannot write: ")
    assert ended.stderr.count("\n") == 1


@pytest.mark.parametrize("redirect", ["2>&-", "2>/dev/full"])
def test_the_exit_status_is_the_same_without_standard_error(redirect: str) -> None:
    ended = run("send", "bob", "hello", "--from", "alice", "--server", "127.0.0.1:1", redirect=redirect)
    assert (ended.returncode, ended.stdout, ended.stderr) == (68, "", "")
