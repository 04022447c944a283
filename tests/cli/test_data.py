"""The data folder: `twotick backup`, `twotick check`, and what a server does with a folder that it cannot use."""

import json
import os
import re
import shutil
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.cli.commands import environment, started
from tests.cli.operating import PASSWORD, Operator, answer, basic, log_in
from tests.sockets import patiently
from twotick.store import AddMember, Append, History, Member, MessagesPart, SqliteStore, StoreLimits


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with alice and bob."""
    operator = Operator(tmp_path_factory.mktemp("made") / "data")
    operator.prepare("alice", "bob")
    return operator.data


@pytest.fixture
def operator(tmp_path: Path, made: Path) -> Operator:
    return Operator(shutil.copytree(made, tmp_path / "data"))


def alice_sends_to_bob(server: tuple[str, int]) -> None:
    alice, line = log_in(server, "alice", basic("alice", PASSWORD))
    assert line == "REGISTERED DUPLEX alice"
    alice.write(b"SEND bob\nContent-length: 5\nId: m1\n\nhello")
    assert answer(alice).startswith("ACCEPTED bob\nId: m1\n")
    alice.close()


def bob_is_given_it(server: tuple[str, int]) -> None:
    bob, line = log_in(server, "bob", basic("bob", PASSWORD))
    assert line == "REGISTERED DUPLEX bob"
    assert answer(bob).startswith("FORWARD alice\nContent-length: 5\nId: m1\n")
    bob.expect(b"hello")
    bob.close()


def test_a_backup_of_a_running_server_can_be_served(operator: Operator, tmp_path: Path) -> None:
    copy = tmp_path / "backups" / "today"
    copy.parent.mkdir()
    copy.write_text("yesterday's")
    with operator.serving() as (_, server):
        alice_sends_to_bob(server)
        assert operator.do("check") == f"no damage in {operator.data}\n"
        assert operator.do("backup", str(copy)) == ""
        bob_is_given_it(server)
    assert [each.name for each in copy.parent.iterdir()] == ["today"]
    assert copy.stat().st_mode & 0o777 == 0o600

    restored = Operator(tmp_path / "restored")
    restored.data.mkdir()
    copy.rename(restored.data / "twotick.db")
    assert restored.do("check") == f"no damage in {restored.data}\n"
    with restored.serving() as (_, server):
        bob_is_given_it(server)


@pytest.mark.parametrize(
    ("file", "status", "problem"),
    [
        ("{data}/copy", 64, "{data}/copy is in the server's data folder: "),
        ("{data}/../link/twotick.db", 64, ".*/link/twotick.db is in the server's data folder: "),
        ("{data}/..", 64, "'{data}/..' is a folder: name a file"),
        ("", 64, "'.' is a folder: name a file"),
        ("{data}/../pipe", 64, "'{data}/../pipe' is not a regular file: name another one"),
        ("{data}/../missing/copy", 71, ".*: No such file or directory"),
        ("{data}/../" + "x" * 300, 71, ".*: File name too long"),
    ],
)
def test_a_backup_that_cannot_be_made_leaves_everything_as_it_was(
    operator: Operator, file: str, status: int, problem: str
) -> None:
    (operator.data.parent / "link").symlink_to(operator.data)
    pipe = operator.data.parent / "pipe"
    os.mkfifo(pipe)
    ended = operator.run("backup", file.format(data=operator.data))
    assert (ended.returncode, ended.stdout) == (status, "")
    assert re.fullmatch(f"twotick: {problem.format(data=operator.data)}.*\n", ended.stderr), ended.stderr
    assert len(operator.do("user", "list").splitlines()) == 2
    assert pipe.is_fifo()


def test_each_damage_is_a_line(operator: Operator) -> None:
    with operator.serving() as (_, server):
        alice_sends_to_bob(server)
    operator.do("check")  # all is well, and in its tables
    with sqlite3.connect(operator.data / "twotick.db") as database:
        database.execute("DELETE FROM content")
        database.execute("UPDATE member SET last = 0")
    database.close()
    ended = operator.run("check")
    assert (ended.returncode, ended.stderr) == (65, "")
    problems = ended.stdout.splitlines()
    assert "message 1 has no content" in problems
    assert "entry 1 in the log of bob has a number that was not given out" in problems


def test_damage_that_leaves_nothing_to_look_at_is_damage(operator: Operator) -> None:
    (operator.data / "twotick.db").write_bytes(b"x" * 100_000)
    ended = operator.run("check")
    assert (ended.returncode, ended.stdout) == (65, "")
    assert ended.stderr == f"twotick: {operator.data}/twotick.db is not a database of Twotick\n"


# What a server does


def test_a_server_keeps_its_data_in_the_usual_place(tmp_path: Path) -> None:
    with started("serve", "--port", "0", env=environment(TWOTICK_MEMORY="no", XDG_DATA_HOME=str(tmp_path))) as server:
        assert server.line().startswith("listening on 127.0.0.1:")
        assert (tmp_path / "twotick" / "twotick.db").exists()
        assert server.end(signal.SIGTERM).returncode == 0


def test_a_server_in_memory_touches_no_disk(tmp_path: Path) -> None:
    with started("serve", "--port", "0", "--memory", env=environment(XDG_DATA_HOME=str(tmp_path))) as server:
        assert server.line().startswith("listening on 127.0.0.1:")
        assert server.end(signal.SIGTERM).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_memory_and_a_folder_exclude_each_other(operator: Operator) -> None:
    ended = operator.run("serve", "--memory", "--data", str(operator.data))
    assert (ended.returncode, ended.stdout) == (64, "")
    assert "--memory and --data exclude each other" in ended.stderr


def refused(operator: Operator) -> str:
    """Why a server does not take a folder."""
    ended = operator.run("serve", "--port", "0")
    assert (ended.returncode, ended.stdout) == (71, "")
    line = re.fullmatch(
        r"twotick: (.*) \(choose another folder with --data, or keep nothing with --memory\)\n", ended.stderr
    )
    assert line, ended.stderr
    return line[1]


def test_a_folder_belongs_to_one_server(operator: Operator) -> None:
    with operator.serving() as (server, _):
        assert refused(operator) == f"{operator.data} is in use by another server: stop that one first"
        server.process.kill()
        server.process.wait()
        with operator.serving() as (_, address):
            alice_sends_to_bob(address)


def test_a_folder_of_a_newer_version_is_left_alone(operator: Operator) -> None:
    file = operator.data / "twotick.db"
    with sqlite3.connect(file) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    assert refused(operator).startswith(f"{file} was written by a newer version of Twotick (format 99; ")
    ended = operator.run("user", "list")
    assert (ended.returncode, ended.stdout) == (71, "")
    assert ended.stderr.startswith(f"twotick: {file} was written by a newer version of Twotick")
    assert operator.run("check").returncode == 71, "nothing is known about damage"


def test_a_database_of_another_program_is_left_alone(operator: Operator) -> None:
    file = operator.data / "twotick.db"
    file.unlink()
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE diary (day TEXT)")
    database.close()
    content = file.read_bytes()
    assert refused(operator) == f"{file} is not a database of Twotick"
    assert file.read_bytes() == content


def test_what_is_no_folder_is_named(tmp_path: Path) -> None:
    """Also links that lead in a circle, which Python takes for an error of a kind of its own."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for data in (tmp_path / "loop", Path(os.devnull)):
        folder = Operator(data)
        for command in ("serve --port 0", "user list", "check", "clock", f"backup {tmp_path}/x.db"):
            ended = folder.run(*command.split())
            assert ended.returncode in (65, 71, 74), ended
            assert re.fullmatch(rf"twotick: [^\n]*{data}[^\n]*\n", ended.stderr), ended


def test_a_folder_that_cannot_be_used_is_named(operator: Operator) -> None:
    operator.settings["DATA"] = "/dev/null/data"
    assert refused(operator) == "/dev/null/data cannot be used: Not a directory"


@pytest.mark.parametrize(("file", "mode"), [("", 0o777), ("", 0o1777), ("", 0o702), ("twotick.db", 0o666)])
def test_data_that_every_user_can_change_is_not_used(operator: Operator, file: str, mode: int) -> None:
    exposed = operator.data / file
    exposed.chmod(mode)
    problem = f"every user of this machine can change {exposed} (its mode is {mode:04o}): run 'chmod o-w {exposed}'"
    assert refused(operator).startswith(problem)
    ended = operator.run("user", "add", "carol", stdin=b"correct horse\n")
    assert (ended.returncode, ended.stdout) == (71, "")
    assert ended.stderr.startswith(f"twotick: {problem}")


@pytest.mark.parametrize(("file", "mode"), [("", 0o770), ("twotick.db", 0o640), ("twotick.db", 0o604)])
def test_the_operator_is_told_who_else_has_access(operator: Operator, file: str, mode: int) -> None:
    (operator.data / file).chmod(mode)
    with operator.serving() as (server, _):
        ended = server.end(signal.SIGTERM)
    assert ended.returncode == 0
    warning = json.loads(ended.stderr)
    assert warning["event"] == "other users of this machine have access to the data"
    assert (warning["path"], warning["mode"]) == (str(operator.data / file).rstrip("/"), f"{mode:04o}")


def test_a_server_removes_messages_that_are_too_old(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "data", RETENTION_DAYS="2", SETTLING_TIME="0.001")
    store = SqliteStore(operator.data, StoreLimits())
    (member,) = store.apply([AddMember("alice", "", 0)])
    assert isinstance(member, Member)

    def sent(age: float) -> Append:
        return Append(
            sender=member.number,
            sender_name=b"alice",
            device=b"main",
            id=b"%d" % age,
            recipient=b"ALL",
            members=(),
            live=False,
            headers=b"",
            body=b"hello",
            time=time.time() - age,
        )

    store.apply([*(sent(3 * 86400 - number) for number in range(1000)), sent(86400)])  # more than are looked at at once
    store.close()

    with operator.serving():
        beside = SqliteStore(operator.data, StoreLimits(), exclusive=False)
        for _ in patiently():
            (found,) = beside.apply([History(member.number, b"", 0, 0, 2, 1 << 20)])
            assert isinstance(found, MessagesPart)
            if [entry.id for entry in found.entries] == [b"86400"]:
                break
        else:
            raise TimeoutError("the old messages are still there")
        beside.close()
    assert operator.do("check") == f"no damage in {operator.data}\n"


def test_backups_are_added_to_a_folder_and_the_oldest_is_removed(operator: Operator, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    for name in ("twotick-2001-01-01T000000Z.db", "twotick-2002-01-01T000000Z.db"):
        (folder / name).write_text("old")
    (folder / ".twotick-killed").mkdir()
    others = {"mine.db", "twotick-before-upgrade.db", ".twotick-notes"}  # which this command has not made
    for name in others:
        (folder / name).write_text("mine")
    for name in (".twotick-killed", ".twotick-notes"):
        os.utime(folder / name, (1e9, 1e9))
    made = Path(operator.do("backup", "--folder", str(folder), "--keep", "2").strip())
    assert {each.name for each in folder.iterdir()} == {*others, "twotick-2002-01-01T000000Z.db", made.name}
    assert made.stat().st_mode & 0o777 == 0o600
    assert operator.do("check", "--backup", str(made)) == f"{made} can be restored: 2 members, no damage\n"
    content = bytearray(made.read_bytes())
    content[4096:12288] = os.urandom(8192)
    made.write_bytes(content)
    ended = operator.run("check", "--backup", str(made))
    assert (ended.returncode, ended.stdout) == (65, "")
    for arguments in ((), ("x", "--folder", str(folder)), ("--folder", str(operator.data))):
        assert operator.run("backup", *arguments).returncode == 64


def test_a_backup_is_never_removed_by_the_command_that_makes_it(operator: Operator, tmp_path: Path) -> None:
    (tmp_path / "twotick-2999-01-01T000000Z.db").write_text("made while the clock was wrong")
    made = Path(operator.do("backup", "--folder", str(tmp_path), "--keep", "1").strip())
    assert list(tmp_path.glob("twotick-*.db")) == [made]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b"what", "is not a database of Twotick"),
        (b"SQLite format 3\0" + bytes(5000), "is not a database|damaged"),
        (None, "is not a regular file"),
    ],
)
def test_what_is_no_backup_cannot_be_restored(
    operator: Operator, tmp_path: Path, content: bytes | None, problem: str
) -> None:
    file = Path(os.devnull) if content is None else tmp_path / "backup"
    if content is not None:
        file.write_bytes(content)
    ended = operator.run("check", "--backup", str(file))
    assert (ended.returncode, ended.stdout) == (65, "")
    assert re.match(f"twotick: {file} .*({problem})", ended.stderr), ended.stderr


def test_a_server_makes_backups_by_itself(operator: Operator, tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    operator.settings |= {"BACKUP_FOLDER": str(folder), "BACKUP_EVERY": "1d", "BACKUP_KEEP": "1"}
    with operator.serving() as (server, _):
        for _ in patiently():
            if json.loads(operator.run("status", "--json").stdout)["backup"]["newest"] is not None:
                break
        found = json.loads(operator.do("status", "--json"))
        assert (found["backup"]["every"], found["warnings"]) == (86400, [])
        assert server.end(signal.SIGTERM).stderr == ""
    [made] = folder.glob("twotick-*.db")
    assert operator.do("check", "--backup", str(made)).endswith("2 members, no damage\n")

    operator.settings["BACKUP_FOLDER"] = str(made)  # which is a file
    with operator.serving() as (server, _):
        found = json.loads(server.stderr.readline())
        assert (found["event"], found["level"], found["folder"]) == ("the backup failed", "error", str(made))
        assert json.loads(operator.run("status", "--json").stdout)["warnings"][0]["warning"] == "there is no backup yet"
        server.end(signal.SIGTERM)


@pytest.mark.parametrize("arguments", [["backup", "--folder", ""], ["serve", "--data", ""], ["check", "--data", ""]])
def test_an_empty_name_is_not_the_current_folder(operator: Operator, arguments: list[str]) -> None:
    ended = operator.run(*arguments)
    assert (ended.returncode, ended.stdout) == (64, "")
    assert "the name is empty: write . for the current folder" in ended.stderr


def test_root_does_not_touch_the_data_of_another_user(operator: Operator) -> None:
    """The server could not open what root has made there."""
    if os.geteuid():
        pytest.skip("only root can give files away")
    for each in (operator.data, *operator.data.iterdir()):
        os.chown(each, 65534, 65534)
    before = {each: each.stat() for each in operator.data.rglob("*")}
    problem = f"{operator.data} belongs to another user than root: run this as that user, with 'sudo -u nobody'"
    assert refused(operator) == problem
    ended = operator.run("user", "list")
    assert (ended.returncode, ended.stdout, ended.stderr) == (71, "", f"twotick: {problem}\n")
    assert {each: each.stat() for each in operator.data.rglob("*")} == before
