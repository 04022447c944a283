"""Help."""

import platform
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.cli.commands import run
from twotick import __version__
from twotick.cli import twotick
from twotick.wire import parser

COMMANDS = (
    "demo",
    "serve",
    "chat",
    "send",
    "listen",
    "bench",
    "login",
    "devices",
    "history",
    "search",
    "room",
    "user",
)
MEMBER_COMMANDS = ("logout", "password", "mute", "block", "export")
OPERATOR_COMMANDS = ("token", "invite", "report", "backup", "check", "clock", "cert")
USER_COMMANDS = ("add", "passwd", "remove", "list")
ROOM_COMMANDS = ("create", "join", "leave", "invite", "remove", "appoint", "topic", "members", "list")
REPORT_COMMANDS = ("list", "close", "user")


@pytest.mark.parametrize(
    "command",
    [
        "",
        *MEMBER_COMMANDS,
        *COMMANDS,
        *OPERATOR_COMMANDS,
        *(f"user {command}" for command in USER_COMMANDS),
        *(f"room {command}" for command in ROOM_COMMANDS),
        *(f"report {command}" for command in REPORT_COMMANDS),
    ],
)
def test_help_fits_one_screen(command: str) -> None:
    ended = CliRunner().invoke(twotick, [*command.split(), "--help"], prog_name="twotick")
    lines = ended.stdout.splitlines()
    assert (ended.exit_code, ended.stderr) == (0, "")
    assert lines[0].startswith(f"Usage: twotick {command}".rstrip())
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80


def test_help_names_every_command_and_how_to_begin() -> None:
    text = run("-h").stdout
    assert all(f"\n  {command} " in text for command in COMMANDS)
    assert "twotick demo" in " ".join(text.split())
    assert f"\n  {', '.join(MEMBER_COMMANDS)}, report user\n" in text
    assert f"\n  {', '.join(OPERATOR_COMMANDS)}\n" in text
    text = run("user", "--help").stdout
    assert all(f"\n  {command} " in text for command in USER_COMMANDS)
    text = run("room", "--help").stdout
    assert all(f"\n  {command} " in text for command in ROOM_COMMANDS)
    text = run("report", "--help").stdout
    assert all(f"\n  {command} " in text for command in REPORT_COMMANDS)


def test_help_of_send_names_the_exit_statuses_of_outcomes() -> None:
    text = run("send", "--help").stdout
    assert all(f"{status} " in text for status in (0, 64, 66, 67, 68, 69, 75, 77, 79, 80, 81))


def test_without_a_command_there_is_help() -> None:
    ended = run()
    assert ended.returncode == 64
    assert "Usage: twotick [OPTIONS] COMMAND" in ended.stdout + ended.stderr


def test_a_command_that_does_not_exist_has_status_64() -> None:
    ended = run("sned\x1b[2J")
    assert (ended.returncode, ended.stdout) == (64, "")
    assert "No such command" in ended.stderr


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
