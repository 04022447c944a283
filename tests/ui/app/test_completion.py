"""Tests of completion."""

from pathlib import Path

import pytest

from twotick.ui.app.widgets.completion import CompletionSources, completions, files

NAMES = ["Bob", "barbara", "carol"]
KNOWN = CompletionSources(NAMES, ["#team", "#Tea-room", "#hall"], [("theme", "Colours"), ("to", "Go to")])


def texts(before: str, first: bool = True) -> list[str]:
    return [each.text for each in completions(before, first, KNOWN)]


def test_names_are_completed_after_an_at_sign() -> None:
    assert texts("hi @b") == ["@Bob ", "@barbara "]
    assert texts("mail me@b") == texts("bob") == []


def test_commands_are_completed_at_the_beginning_only() -> None:
    assert texts("/t") == ["/theme ", "/to "]
    assert texts("a /t") == texts("/t", first=False) == []


def test_emoji_are_completed_after_two_letters() -> None:
    assert texts(":t") == []
    assert "\U0001f389" in texts("well done :tada")
    assert texts(":no_such_emoji") == []


def test_a_completion_replaces_the_word() -> None:
    (found,) = completions("hi @car", True, KNOWN)
    assert "hi @car"[: found.start] + found.text == "hi @carol "


def test_rooms_are_completed_after_a_hash_sign() -> None:
    assert texts("in #te") == ["#Tea-room ", "#team "]
    assert texts("in #tea-r") == ["#Tea-room "]


def test_paths_are_completed_after_the_command_to_send_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("Notes.txt", "no way.txt", ".notes"):
        (tmp_path / name).touch()
    (tmp_path / "novels").mkdir()
    assert files(f"{tmp_path}/no") == [f"{tmp_path}/{name}" for name in ("no way.txt", "Notes.txt", "novels/")]
    assert files(f"{tmp_path}/.n") == [f"{tmp_path}/.notes"]
    assert files(f"{tmp_path}/nowhere/x") == files("~nobody-at-all/x") == []
    monkeypatch.setenv("HOME", str(tmp_path))
    (found,) = completions("/file ~/nov", True, KNOWN)
    assert (found.text, found.start) == ("~/novels/", 6)
    assert texts("/file ~/nov", first=False) == []
