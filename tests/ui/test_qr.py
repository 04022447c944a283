"""Invitations as QR codes, as a camera sees them on a terminal."""

import re

import pyte
import pytest
import segno

from tests.ui.terminal import terminal
from twotick.ui.shell.qr import print_qr

_COLOURS = {"000000": 1, "ffffff": 0}


def seen(output: str, columns: int, lines: int) -> list[list[int]]:
    """The cells of a QR code on a screen."""
    screen = pyte.Screen(columns, lines)
    pyte.Stream(screen).feed(output.replace("\n", "\r\n"))
    cells: list[list[int]] = []
    for line in range(lines):
        shown = [screen.buffer[line][column] for column in range(columns)]
        marks = [each for each in shown if each.data == "\N{UPPER HALF BLOCK}"]
        if marks:
            cells += [[_COLOURS[each.fg] for each in marks], [_COLOURS[each.bg] for each in marks]]
    return cells


def test_it_has_the_cells_of_the_code_in_black_and_white(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = "https://chat.example/#invite=7q0m2-7q0m2-7q0m2-7q0m2-7q0m2"
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("LINES", "23")
    print_qr(link, f"code\n{link}")
    expected = [list(row) for row in segno.make(link, error="l").matrix_iter(border=2)]
    if len(expected) % 2:
        expected.append([0] * len(expected[0]))
    assert seen(capsys.readouterr().out, 40, 20) == expected


@pytest.mark.parametrize(("columns", "lines"), [("30", "40"), ("80", "21"), ("40", "22")])
def test_a_terminal_without_room_for_it_shows_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: str, lines: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("LINES", lines)
    link = "https://chat.example/#invite=7q0m2-7q0m2-7q0m2-7q0m2-7q0m2"
    print_qr(link, f"code\n{link}")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("options", "has_code"), [([], True), (["--no-qr"], False)])
def test_an_invitation_on_a_terminal(
    tmp_path_factory: pytest.TempPathFactory, options: list[str], has_code: bool
) -> None:
    data = tmp_path_factory.mktemp("data") / "data"
    settings = {"DATA": str(data), "MEMORY": "no", "WEB": "yes", "WEB_URL": "https://chat.example", "SIGN_UP": "invite"}
    env = {f"TWOTICK_{name}": value for name, value in settings.items()}
    with terminal("user", "invite", *options, columns=80, env=env) as screen:
        assert screen.ends() == 0
    assert re.search(r"https://chat\.example/#invite=[0-9a-z-]{29}", screen.output)
    assert ("\N{UPPER HALF BLOCK}" in screen.output) is has_code
