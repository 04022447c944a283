"""Names are completed in a shell: those that programs on this machine know, without asking a server."""

import os
import re
from pathlib import Path

import pexpect
import pytest

from tests.cli.commands import COMMAND, run
from tests.cli.operating import Person, people
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.storage.store import LocalStore


def completed(person: Person, line: str, shell: str = "fish") -> list[str]:
    """Return how a shell can complete the last word of a command line of a person."""
    words = line.split(" ")
    last = words[-1] if shell == "fish" else str(len(words) - 1)
    asked = {"COMP_WORDS": line, "COMP_CWORD": last, "_TWOTICK_COMPLETE": f"{shell}_complete"}
    ended = run(env=person.environment | asked)
    assert ended.stderr == ""
    return [re.split(r"[,\t]", each)[1] for each in ended.stdout.splitlines() if each.startswith("plain,")]


def test_names_that_commands_have_met_are_completed(tmp_path: Path) -> None:
    with people(tmp_path, "alice", "bob", "bobby") as (alice, bob, _):
        assert completed(alice, "twotick send bo") == []
        alice.do("room", "create", "team", "--public")
        alice.do("room", "create", "tea")
        bob.do("send", "alice", "hello", "--until", "accepted")
        alice.do("send", "bobby", "hello", "--until", "accepted")
        alice.do("history")
    # the server is gone
    for line, expected in (
        ("twotick send bo", ["bob", "bobby"]),
        ("twotick send BOBB", ["bobby"]),
        ("twotick send x --as al", ["alice"]),
        ("twotick send #t", ["#tea", "#team"]),
        ("twotick history te", ["#tea", "#team"]),
        ("twotick search oats --in tea", ["#tea", "#team"]),
        ("twotick room topic te", ["tea", "team"]),
        ("twotick room invite team bo", ["bob", "bobby"]),
        ("twotick mute b", ["bob", "bobby"]),
        ("twotick block b", ["bob", "bobby"]),
        ("twotick report b", ["bob", "bobby"]),
        ("twotick profile b", ["bob", "bobby"]),
        ("twotick pins #te", ["#tea", "#team"]),
        ("twotick logout a", ["alice"]),
        ("twotick account use a", ["alice"]),
        ("twotick send --as bob bo", []),
        ("twotick send bob ", []),
    ):
        assert completed(alice, line) == expected, line
    assert completed(alice, "twotick history te", "bash") == ["'#tea'", "'#team'"]
    assert completed(alice, "twotick history #tea", "bash") == ["#tea", "#team"]
    [account] = completed(alice, "twotick logout alice@")
    assert account.startswith("alice@127.0.0.1")


def test_names_in_the_app_are_completed_and_damage_gives_none(tmp_path: Path) -> None:
    with people(tmp_path, "alice", "bob") as (alice, _):
        alice.do("send", "bob", "hello", "--until", "accepted")
        [names] = tmp_path.rglob("names.json")
    store = LocalStore(names.parent / "chat.db")
    with store.transaction():
        store.add_conversation(LocalConversation("carol", "carol"))
        store.add_conversation(LocalConversation("#cellar", "#cellar"))
    store.close()
    assert completed(alice, "twotick history c") == ["carol", "#cellar"]
    for damage in ("", "[", "[1, null]", '{"a": 1}', "[" * 5000, '["\\u001b[2J", "bo b"]'):
        names.write_text(damage)
        assert completed(alice, "twotick send b") == []
    (names.parent / "chat.db").write_bytes(b"no database" * 100)
    assert completed(alice, "twotick send b") == []
    [credentials] = (tmp_path / "alice").rglob("credentials.json")
    credentials.write_text("{")
    assert completed(alice, "twotick send --as a") == []
    assert completed(alice, "twotick send b") == []


@pytest.mark.parametrize("wrong", [{}, {"COMP_WORDS": "twotick 'send", "COMP_CWORD": "x"}, {"COMP_WORDS": "\x1b"}])
def test_nothing_that_a_shell_says_gets_a_traceback(tmp_path: Path, wrong: dict[str, str]) -> None:
    variables = {**os.environ, "HOME": str(tmp_path), "_TWOTICK_COMPLETE": "bash_complete", **wrong}
    ended = run("send", env=variables)
    assert (ended.stdout, ended.stderr) == ("", "")


def test_tab_in_bash_completes_a_user_and_a_quoted_room(tmp_path: Path) -> None:
    with people(tmp_path, "alice") as (alice,):
        alice.do("room", "create", "team")
        alice.do("send", "alice", "a note", "--until", "accepted")
    folder = str(Path(COMMAND).parent)
    variables = {**alice.environment, "PATH": f"{folder}:{os.environ['PATH']}", "PS1": "$ ", "TERM": "dumb"}
    bash = pexpect.spawn("bash", ["--norc", "--noprofile"], env=variables, encoding="utf-8", timeout=30)  # type: ignore[arg-type]
    bash.sendline('eval "$(twotick completion bash)"; twotick() { printf "<%s>" "$@"; }; echo rea"dy"')
    bash.expect("ready")
    for typed, expected in (("twotick send al\t", "<send><alice>"), ("twotick history te\t", "<history><#team>")):
        bash.send(f"{typed}\r")
        bash.expect_exact(expected)
    bash.close()
