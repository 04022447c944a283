"""Tests of notifications."""

import subprocess
import sys

import pytest

from tests.ui.app.examples import message, put
from twotick.ui.app.model.messages import LocalMessage, RoomNotice
from twotick.ui.app.model.registry import ConversationRegistry
from twotick.ui.app.session.notifications import Notify, notify, should_notify


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Return the commands that are run."""
    commands: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda command, **_: commands.append(command))  # type: ignore[misc]
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")  # type: ignore[misc]
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.delenv("SSH_CONNECTION", raising=False)
    return commands


def rung(how: Notify) -> bool:
    rung_by: list[bool] = []
    notify(how, "bob", "<b>hi</b> --x\n\x1b[2J", lambda: rung_by.append(True))
    return bool(rung_by)


def test_the_desktop_shows_a_message_as_text(shown: list[list[str]]) -> None:
    assert not rung("desktop")
    (command,) = shown
    assert command[-3:] == ["--", "bob", "&lt;b&gt;hi&lt;/b&gt; --x\u240a\u241b[2J"]


def test_without_a_desktop_the_bell_rings(shown: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSH_CONNECTION", "here there")
    assert rung("desktop")
    assert shown == []


def test_the_bell_rings_unless_it_is_off(shown: list[list[str]]) -> None:
    assert rung("bell")
    assert not rung("off")
    assert shown == []


def told(message: LocalMessage, muted: str = "", blocked: str = "") -> bool:
    """Return whether a message causes a notification."""
    conversations = ConversationRegistry("alice")
    put(conversations, message)
    if muted:
        conversations.open(muted).muted = True
    if blocked:
        conversations.open(blocked).blocked = True
    return should_notify(conversations, message)


def test_direct_messages_and_mentions_notify() -> None:
    assert told(message("hi"))
    assert told(message("hi all", everyone=True))
    assert told(message("hi @alice", peer="#team", sender="bob", mention=True))
    assert not told(message("hi", peer="#team", sender="bob"))


def test_muted_conversations_and_blocked_users_do_not_notify() -> None:
    assert not told(message("hi"), muted="bob")
    assert not told(message("hi"), blocked="bob")
    assert not told(message("hi @alice", peer="#team", sender="bob", mention=True), muted="#team")
    assert not told(message("hi @alice", peer="#team", sender="bob", mention=True), blocked="bob")
    assert told(message("hi @alice", peer="#team", sender="bob", mention=True), muted="bob")


def test_of_all_room_events_only_invitations_notify() -> None:
    assert told(message("", event=RoomNotice("invited", room="#team")))
    assert told(message("", event=RoomNotice("absent", "phone")))
    assert not told(message("", peer="#team", sender="bob", event=RoomNotice("joined")))
