"""`twotick doctor`: each problem is found, and nothing is changed."""

import fcntl
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import twotick
from tests.cli.commands import run
from tests.cli.operating import Operator
from tests.cli.test_serve_safety import certificate_of_days
from tests.store.faults import damage_definition
from twotick.doctor import PROBLEMS, Level, examine_server
from twotick.server.observing.control import NotRunning
from twotick.server.tls import make_certificate

ROOT = Path(__file__).parents[2]

STATUS: dict[str, Any] = {"process": 1, "problems": [], "disk_full": False}
"""What a server says of itself that is well."""


class Installation:
    """A server's settings and data, in which nothing is wrong but what a test makes so."""

    def __init__(self, folder: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.data, self.config = folder, folder / "data", folder / "settings.toml"
        self.patch = monkeypatch
        self.settings: dict[str, Any] = dict.fromkeys(("port", "tls_port", "web_port", "web_tls_port"), 0)
        self.settings |= {"data": str(self.data), "backup_folder": str(folder), "guests": False, "reserve_bytes": 4096}
        shutil.copytree(prepared, self.data)
        (folder / "twotick-2026-11-29T000000Z.db").touch()
        monkeypatch.setattr("twotick.doctor.machine.is_synchronised", lambda: True)

    def found(self) -> dict[str, Level]:
        """What is found, without details; what is fine is left out."""
        self.config.write_text("".join(f"{name} = {json.dumps(each)}\n" for name, each in self.settings.items()))
        before = self.files()
        found = examine_server(self.config, None)
        assert self.files() == before, "nothing is changed"
        assert "SECRET" not in str(found)
        assert all(bool(each.remedy) is (each.level is not Level.OK) for each in found)
        return {
            next(name for name in PROBLEMS if each.text == name or each.text.startswith(f"{name}: ")): each.level
            for each in found
            if each.level is not Level.OK
        }

    def files(self) -> dict[str, tuple[int, int, int]]:
        states = {str(each): each.stat() for each in self.folder.rglob("*")}
        return {
            each: (state.st_mode, state.st_size, state.st_mtime_ns)
            for each, state in states.items()
            if each != str(self.data)
        }

    @property
    def database(self) -> Path:
        return self.data / "twotick.db"

    def certificate(self, first: int, last: int) -> None:
        made = certificate_of_days(self.folder, first, last)
        self.settings |= {name.lower(): file for name, file in made.items()}

    def named_certificate(self, name: str, web_url: str = "") -> None:
        certificate, key, _ = make_certificate(self.folder / "tls", [name], 365)
        self.settings |= {"tls_certificate": str(certificate), "tls_key": str(key)}
        self.settings |= {"web_url": web_url} if web_url else {}

    def answers(self, **more: Any) -> None:
        """Let a server run that says this of itself."""

        def ask(*_: object) -> tuple[int, dict[str, Any]]:
            return 200, {**STATUS, **more}

        self.patch.setattr("twotick.doctor.examining.ask_server", ask)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("prepared") / "data"
    Operator(data).prepare("alice")
    return data


@pytest.fixture
def installation(tmp_path: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    installation = Installation(tmp_path, prepared, monkeypatch)
    installation.answers()
    return installation


def _no_server(here: Installation) -> None:
    def ask(*_: object) -> None:
        raise NotRunning

    here.patch.setattr("twotick.doctor.examining.ask_server", ask)


def _hung_server(here: Installation) -> None:
    _no_server(here)
    lock = os.open(here.data / "lock", os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)  # until the process of the tests ends


def _without_a_folder(here: Installation) -> None:
    here.settings["data"] = str(here.folder / "nothing")


def _no_folder(here: Installation) -> None:
    here.settings["data"] = os.devnull


def _of_another_user(here: Installation) -> None:
    here.patch.setattr("os.geteuid", lambda: 12345)


def _unreadable_settings(here: Installation) -> None:
    def refuse(file: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(file))

    here.patch.setattr("twotick.doctor.examining.read_named", refuse)


def _unwritable(here: Installation) -> None:
    def refuse(**_: object) -> None:
        raise OSError(30, "Read-only file system")

    here.patch.setattr("tempfile.TemporaryFile", refuse)


def _other_owner(here: Installation) -> None:
    real = Path.stat

    def stat(self: Path, **options: Any) -> os.stat_result:
        found = real(self, **options)
        return os.stat_result([*found[:4], 12345, *found[5:]]) if self.name == "twotick.db" else found

    here.patch.setattr(Path, "stat", stat)


def _port(
    name: str, *, is_taken: bool = False, has_server: bool = False, error: int | None = None
) -> Callable[[Installation], None]:
    def prepare(here: Installation) -> None:
        listening = socket.create_server(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        if name == "usual":
            del here.settings["web_port"]
            here.patch.setattr("twotick.doctor.machine.WEB_PORT", port)
        else:
            here.settings[name] = port
        if is_taken:
            _KEPT.append(listening)
        else:
            listening.close()
        if not has_server:
            _no_server(here)
        if error is not None:

            def bind(*_: object) -> int | None:
                return error

            here.patch.setattr("twotick.doctor.machine.why_not_bound", bind)

    return prepare


_KEPT: list[socket.socket] = []


def _file(write: Callable[[Path], object]) -> Callable[[Installation], None]:
    def prepare(here: Installation) -> None:
        _no_server(here)
        write(here.database)

    return prepare


def _database(statement: str) -> Callable[[Installation], None]:
    def change(file: Path) -> None:
        connection = sqlite3.connect(file)
        connection.execute(statement)
        connection.commit()
        connection.close()

    return _file(change)


def _as_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def _setting(name: str, value: object) -> Callable[[Installation], None]:
    return lambda here: here.settings.update({name: value})


def _not_renewed(here: Installation) -> None:
    here.certificate(-80, 20)
    order = {"names": ["a"], "directory": "b", "email": "", "port": 80}
    (here.folder / "authority.json").write_text(json.dumps(order))


def _elsewhere(here: Installation) -> None:
    here.named_certificate("chat.example")

    def look_up(_name: str) -> tuple[list[str], list[str]]:
        return [], ["192.0.2.1"]

    here.patch.setattr("twotick.doctor.machine.addresses_here", look_up)


def _nowhere(here: Installation) -> None:
    here.named_certificate("chat.example")

    def look_up(_name: str) -> tuple[list[str], list[str]]:
        return [], []

    here.patch.setattr("twotick.doctor.machine.addresses_here", look_up)


def _other_name(here: Installation) -> None:
    here.named_certificate("localhost", "https://chat.example")


def _clock(here: Installation) -> None:
    here.patch.setattr("twotick.doctor.machine.is_synchronised", lambda: False)


def _old_backup(here: Installation) -> None:
    os.utime(here.folder / "twotick-2026-11-29T000000Z.db", (0, 0))


def _free(here: Installation) -> None:
    found = os.statvfs(here.data)
    here.settings["reserve_bytes"] = found.f_bavail * found.f_frsize // 2


def _without_room(here: Installation) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    here.patch.setattr("os.fsync", refuse)
    here.settings["reserve_bytes"] = "1024 TiB"


def _mail_server(here: Installation) -> None:
    here.settings.update(mail_url="smtp://user:SECRET@127.0.0.1:1", mail_from="twotick@chat.example")


CASES: list[tuple[str, Callable[[Installation], object]]] = [
    ("a setting is not valid", _setting("prot", 1)),
    ("a setting is not valid", _setting("max_body", "10 parsecs")),
    ("the settings are not safe", lambda here: here.settings.update(host="0.0.0.0", web=False)),
    ("the settings cannot be read by the server", _unreadable_settings),
    ("there is no data folder", _without_a_folder),
    ("the data folder cannot be used", _no_folder),
    ("the data are another user's", _of_another_user),
    ("some data are another user's", _other_owner),
    ("the data cannot be written", _unwritable),
    ("others can change the data", lambda here: here.data.chmod(0o777)),
    ("others can read the data", lambda here: here.database.chmod(0o644)),
    ("no server runs on these data", _no_server),
    ("the server does not answer", _hung_server),
    ("the server warns", lambda here: here.answers(problems=["the disk is full"])),
    ("a port is taken", _port("port", is_taken=True)),
    ("the page has no port", _port("usual", is_taken=True)),
    ("a port needs a right", _port("port", error=13)),
    ("the server does not listen on a port", _port("metrics_port", has_server=True)),
    ("an address cannot be used", _port("metrics_port", error=99)),
    ("an address cannot be used", _setting("host", "nowhere.invalid")),
    ("the certificate cannot be used", lambda here: here.settings.update(tls_certificate="/no", tls_key="/no")),
    ("the certificate has expired", lambda here: here.certificate(-9, -1)),
    ("the certificate is not valid yet", lambda here: here.certificate(1, 400)),
    ("the certificate expires soon", lambda here: here.certificate(-400, 13)),
    ("the certificate was not renewed", _not_renewed),
    ("the certificate has another name", _other_name),
    ("the clock is not synchronised", _clock),
    ("the clock is behind", _file(lambda file: os.utime(file, (time.time() + 1e6, time.time() + 1e6)))),
    ("the disk is full", lambda here: here.answers(disk_full=True)),
    ("the disk is full", _without_room),
    ("the disk is nearly full", _free),
    ("the disk is slow", lambda here: here.patch.setattr("twotick.doctor.folder.SLOW", -1.0)),
    ("the database is of another program", _database("PRAGMA application_id = 1")),
    ("the database is of a newer version", _database("PRAGMA user_version = 99")),
    ("the database is damaged", _file(lambda file: file.write_bytes(b"nonsense" * 1000))),
    ("the database is damaged", _file(lambda file: os.truncate(file, file.stat().st_size // 2))),
    ("the database is damaged", _file(damage_definition)),
    ("the database cannot be read", _file(_as_folder)),
    ("the database was not looked at", _file(lambda file: file.with_name("twotick.db-wal").write_bytes(b"x" * 4096))),
    ("PostgreSQL cannot be reached", _setting("database", "postgresql://nobody:SECRET@127.0.0.1:1/x")),
    ("NATS cannot be reached", _setting("bus", "nats://user:SECRET@127.0.0.1:1")),
    ("the mail server cannot be used", _mail_server),
    ("no backups are made", lambda here: here.settings.pop("backup_folder")),
    ("there is no backup yet", _setting("backup_folder", "/nonexistent")),
    ("the last backup is too old", _old_backup),
    ("the name leads nowhere", _nowhere),
    ("the name leads elsewhere", _elsewhere),
]


def test_in_a_good_installation_nothing_is_found(installation: Installation) -> None:
    assert installation.found() == {}


def test_a_database_that_a_server_could_not_begin_is_not_damaged(installation: Installation) -> None:
    os.truncate(installation.database, 0)
    assert installation.found() == {}


@pytest.mark.parametrize(("name", "make"), CASES, ids=[name.replace(" ", "-") for name, _ in CASES])
def test_each_problem_is_found(installation: Installation, name: str, make: Callable[[Installation], object]) -> None:
    make(installation)
    try:
        assert installation.found()[name] is PROBLEMS[name][0]
    finally:
        for each in _KEPT:
            each.close()
        _KEPT.clear()


UNREADABLE_PROGRAM = "the owner of the data cannot read this program"  # has a test of its own


def test_every_problem_is_tested_and_documented() -> None:
    assert {*(name for name, _ in CASES), UNREADABLE_PROGRAM} == PROBLEMS.keys()
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    table = page.partition("\n### Doctor")[2].partition("\n## ")[0].partition("\n### ")[0]
    assert re.findall(r"^\| `([^`]+)` \| (\w+) \|", table, re.MULTILINE) == [
        (name, str(level)) for name, (level, _) in PROBLEMS.items()
    ]


def test_the_command_works_beside_a_server_and_without_one(tmp_path: Path, prepared: Path) -> None:
    shutil.copytree(prepared, tmp_path / "data")
    operator = Operator(tmp_path / "data", BACKUP_FOLDER=str(tmp_path / "backups"))
    with operator.serving() as (server, _):
        ended = operator.run("doctor")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert re.search(
            rf"^ok       server       runs as process {server.process.pid}, and is ready$", ended.stdout, re.MULTILINE
        )
        assert re.search(r"^ok       database     format \d+; no damage$", ended.stdout, re.MULTILINE)
    (operator.data / "twotick.db").write_bytes(b"nonsense")
    ended = operator.run("doctor", "--json")
    assert (ended.returncode, ended.stderr) == (1, "")
    found = [json.loads(line) for line in ended.stdout.splitlines()]
    wrong = [(each["part"], each["remedy"]) for each in found if each["level"] == "wrong"]
    assert wrong == [("database", "run twotick check, and restore a backup")]
    assert run("doctor", "--data", "/nonexistent").returncode == 0, "a server that never ran is no fault"


def test_the_owner_of_the_data_cannot_read_the_program(tmp_path: Path, prepared: Path) -> None:
    """The command imported what it needed as that user, which ended with a traceback."""
    if os.geteuid():
        pytest.skip("only root can give files away")
    with tempfile.TemporaryDirectory() as folder:  # which only root can enter
        program = Path(folder) / "program"
        program.symlink_to(Path(twotick.__file__).parents[1])
        data = tmp_path / "data"
        shutil.copytree(prepared, data)
        os.chown(data, 65534, 65534)
        command = [sys.executable, "-m", "twotick", "doctor", "--data", str(data)]
        environment = {**os.environ, "PYTHONPATH": str(program)}
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (1, "")
    assert UNREADABLE_PROGRAM in ended.stdout


def test_root_looks_as_the_owner_of_the_data(tmp_path: Path, prepared: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give files away")
    data = tmp_path / "data"
    shutil.copytree(prepared, data)
    for each in (data, *data.iterdir()):
        os.chown(each, 65534, 65534)  # who cannot enter the folder of this test
    found = examine_server(None, data)
    assert "the data are another user's" in " ".join(each.text for each in found)
    assert os.geteuid() == 0
