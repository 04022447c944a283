"""`twotick send --file` and `twotick listen --files`."""

import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.commands import run, started
from tests.cli.operating import Person, people
from tests.ui.terminal import terminal
from twotick.client import FileInfo, FileMismatch
from twotick.ui.shell.saving import safe_name, save

CONTENT = os.urandom(300_000)


@pytest.fixture
def two(tmp_path: Path) -> Generator[list[Person]]:
    with people(tmp_path, "alice", "bob") as found:
        yield found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "photo.png"
    file.write_bytes(CONTENT)
    return file


def test_a_file_is_sent_and_saved(two: list[Person], file: Path, tmp_path: Path) -> None:
    alice, bob = two
    came = tmp_path / "came" / "here"
    with started("listen", "bob", "--files", str(came), env=bob.environment) as listening:
        sent = alice.do("send", "bob", "look", "--file", str(file), "--from", "alice", "--wait", "60")
        assert sent.startswith("\u2713\u2713 delivered to bob (")
        assert listening.line() == "alice: look [photo.png, 293 KiB]"
        assert listening.line() == f"  saved as {came}/photo.png"
        alice.do("send", "bob", "--file", str(file), "--from", "alice", "--wait", "60")
        assert listening.line() == "alice: [photo.png, 293 KiB]"
        assert listening.line() == f"  saved as {came}/photo (2).png"
    assert {path.name: path.read_bytes() for path in came.iterdir()} == {
        "photo.png": CONTENT,
        "photo (2).png": CONTENT,
    }


def test_a_program_is_told_where_a_file_is(two: list[Person], file: Path, tmp_path: Path) -> None:
    alice, bob = two
    for _ in range(2):
        alice.do("send", "bob", "--file", str(file), "--from", "alice", "--until", "accepted")
    (line,) = bob.do("listen", "bob", "--files", str(tmp_path / "a"), "--json", "--count", "1").splitlines()
    told = json.loads(line)
    assert (told["saved"], told["text"]) == (f"{tmp_path}/a/photo.png", "")
    assert (told["file"]["name"], told["file"]["size"]) == ("photo.png", 300_000)
    command = 'cmp "$TWOTICK_FILE" ' + str(file)
    assert bob.do("listen", "bob", "--files", str(tmp_path / "b"), "--exec", command, "--count", "1") == ""


def test_without_a_folder_a_file_is_only_named(two: list[Person], file: Path) -> None:
    alice, bob = two
    alice.do("send", "bob", "--file", str(file), "--from", "alice", "--until", "accepted")
    assert bob.do("listen", "bob", "--count", "1") == "alice: [photo.png, 293 KiB]\n"
    assert bob.do("history", "alice").endswith(" alice: [photo.png, 293 KiB]\n")


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".bashrc",
        "-rf",
        "a\\b",
        "a\x1b[2J",
        "\u202egnp.exe",
        " ",
        "~",
        "\u3164",
        "x" * 250,
        "\u00e9" * 120 + ".png",
    ],
)
def test_names_of_others_never_leave_the_folder(name: str) -> None:
    safe = safe_name(name)
    assert safe not in ("", ".", "..")
    assert not set(safe) & set("/\\\0\n\x1b\u202e\u3164")
    assert safe[0] not in ".-~"
    assert len(safe.encode()) <= 150
    assert safe_name(safe) == safe
    assert safe.endswith(".png") is name.endswith(".png")


def test_a_hostile_name_is_saved_in_the_folder(two: list[Person], tmp_path: Path) -> None:
    alice, bob = two
    (tmp_path / "out").mkdir()
    hostile = tmp_path / "out" / "..\\..\\.bashrc \u202egnp"
    hostile.write_bytes(b"x")
    alice.do("send", "bob", "--file", str(hostile), "--from", "alice", "--until", "accepted")
    shown = bob.do("listen", "bob", "--files", str(tmp_path / "in"), "--count", "1")
    (saved,) = (tmp_path / "in").iterdir()
    assert saved.name == "_._.._.bashrc _U+202E_gnp"
    assert "\u202e" not in shown


@pytest.mark.parametrize(("what", "status"), [("nothing", 74), (".", 64), ("pipe", 74), ("guest", 77), ("large", 69)])
def test_a_file_that_cannot_be_sent(two: list[Person], tmp_path: Path, what: str, status: int) -> None:
    alice, _ = two
    path = tmp_path / what
    if what == "pipe":
        os.mkfifo(path)
    elif what == "guest":
        path.write_bytes(b"x")
    elif what == "large":
        with path.open("wb") as file:
            file.truncate((100 << 20) + 1)
    sender = "mallory" if what == "guest" else "alice"
    ended = alice.run("send", "bob", "x", "--file", str(path), "--from", sender)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert ended.stderr


def test_a_folder_that_cannot_be_written_leaves_the_message_for_the_next_time(
    two: list[Person], file: Path, tmp_path: Path
) -> None:
    alice, bob = two
    (tmp_path / "taken").write_bytes(b"")
    alice.do("send", "bob", "look", "--file", str(file), "--from", "alice", "--until", "accepted")
    ended = bob.run("listen", "bob", "--files", str(tmp_path / "taken" / "in"), "--count", "1")
    assert (ended.returncode, ended.stdout) == (74, "")
    assert ended.stderr.startswith("twotick: cannot save a file in ")
    bob.do("listen", "bob", "--files", str(tmp_path / "in"), "--count", "1")
    assert (tmp_path / "in" / "photo.png").read_bytes() == CONTENT


def test_a_file_whose_message_was_deleted_is_not_missed(two: list[Person], file: Path, tmp_path: Path) -> None:
    alice, bob = two
    with started("chat", "alice", env=alice.environment) as chat:
        chat.line()
        chat.type(f"/file @bob {file}")
        assert chat.line() == "\u2713 stored for bob"
        chat.type("/delete")
        assert chat.line() == "\u2713 deleted"
        chat.end()
    assert bob.do("listen", "bob", "--files", str(tmp_path / "in"), "--count", "1") == "alice: (deleted)\n"
    assert not (tmp_path / "in").exists()


def test_an_interrupted_transfer_goes_on(two: list[Person], tmp_path: Path) -> None:
    """The command is killed while it sends, and given again; then the one that saves."""
    alice, bob = two
    large = tmp_path / "large"
    large.write_bytes(os.urandom(30_000_000))
    send = ("send", "bob", "--file", str(large), "--from", "alice", "--until", "accepted")
    save = ("listen", "bob", "--files", str(tmp_path / "in"), "--count", "1")
    with terminal(*send, env=alice.variables) as sending:
        sending.has("large", "MB")
        sending.kill()
    alice.do(*send)
    with terminal(*save, env=bob.variables) as saving:
        saving.has("large", "MB")
        saving.kill()
    assert [path.suffix for path in (tmp_path / "in").iterdir()] == [".part"]
    bob.do(*save)
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "in").iterdir()] == [("large", large.read_bytes())]


def test_progress_is_shown_on_a_terminal(two: list[Person], tmp_path: Path) -> None:
    alice, bob = two
    large = tmp_path / "large.bin"
    large.write_bytes(os.urandom(8_000_000))
    arguments = ["send", "bob", "--file", str(large), "--from", "alice", "--until", "accepted"]
    with terminal(*arguments, env=alice.variables) as sending:
        sending.has("large.bin")
        assert sending.ends() == 0
        assert sending.lines == ["\u2713 stored for bob"]  # the bar is gone
    with terminal("listen", "bob", "--files", str(tmp_path / "in"), "--count", "1", env=bob.variables) as listening:
        assert listening.ends() == 0
    assert (tmp_path / "in" / "large.bin").stat().st_size == 8_000_000


def test_a_guest_has_no_files(address: str, file: Path) -> None:
    for arguments in (["send", "bob", "--file", str(file), "--from", "carol"], ["listen", "carol", "--files", "."]):
        ended = run(*arguments, "--server", address)
        assert (ended.returncode, ended.stdout) == (77, "")
        assert "twotick login" in ended.stderr


async def test_a_file_that_no_disk_can_hold_is_not_fetched(tmp_path: Path) -> None:
    class NotAsked:
        async def download(self, file: FileInfo, path: Path, *, progress: object) -> None:
            raise AssertionError

    with pytest.raises(FileMismatch, match="more than the disk can hold"):
        await save(NotAsked(), FileInfo("k", "f", 10**17, "0" * 64), tmp_path, lambda *_: None)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
