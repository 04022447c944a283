"""How somebody who looks elsewhere is told of a message."""

import subprocess
import sys

import pytest

from twotick.ui.app.notices import Notify, tell


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands that are run."""
    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: commands.append(command))  # type: ignore[misc]
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")  # type: ignore[misc]
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    return commands


def rings(how: Notify) -> bool:
    rung: list[bool] = []
    tell(how, "bob", "<b>hi</b> --x\n\x1b[2J", lambda: rung.append(True))
    return bool(rung)


def test_the_desktop_shows_a_message_as_text(shown: list[list[str]]) -> None:
    assert not rings("desktop")
    (command,) = shown
    assert command[-3:] == ["--", "bob", "&lt;b&gt;hi&lt;/b&gt; --x\u240a\u241b[2J"]


def test_where_there_is_no_desktop_the_bell_rings(shown: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "here there")
    assert rings("desktop")
    assert shown == []


def test_the_bell_rings_unless_it_is_off(shown: list[list[str]]) -> None:
    assert rings("bell")
    assert not rings("off")
    assert shown == []
