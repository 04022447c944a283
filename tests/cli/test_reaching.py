"""The operator's commands fail where they cannot reach the data of the server that runs."""

import json
import signal
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.commands import Started, started
from tests.cli.operating import PASSWORD, Operator, address, basic, outcome


class User(Operator):
    """An operator with a home and a folder for temporary files, who has set nothing."""

    def __init__(self, home: Path, **settings: str) -> None:
        super().__init__(home / "share" / "twotick")
        self.settings = settings
        self._home = home
        self.temporary = home / "tmp"
        self.temporary.mkdir()

    @property
    def environment(self) -> dict[str, str]:
        variables = {
            "HOME": str(self._home),
            "XDG_DATA_HOME": str(self._home / "share"),
            "TMPDIR": str(self.temporary),
            "TWOTICK_MEMORY": "no",
        }
        return {
            **super().environment,
            **variables,
            **{f"TWOTICK_{name}": value for name, value in self.settings.items()},
        }

    @contextmanager
    def server(self, *options: str) -> Generator[tuple[Started, str]]:
        with started("serve", "--port", "0", *options, env=self.environment) as server:
            yield server, server.line().removeprefix("listening on ")

    def refused(self, *arguments: str) -> str:
        """Run a command that must fail with one line; return that."""
        ended = self.run(*arguments, stdin=f"{PASSWORD}\n".encode())
        assert (ended.returncode, ended.stdout) == (69, ""), ended
        (line,) = ended.stderr.splitlines()
        return line.removeprefix("twotick: ")


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


def test_a_server_in_memory_is_out_of_reach_until_it_is_gone(user: User) -> None:
    with user.server("--memory") as (server, where):
        for arguments in (
            ["user", "add", "alice"],
            ["user", "list"],
            ["user", "invite"],
            ["check"],
            ["backup", "copy"],
        ):
            assert user.refused(*arguments).startswith(
                f"the server on {where} (process {server.process.pid}) keeps its data in memory, "
            )
        assert not user.data.exists()
        server.end(signal.SIGKILL)
    user.add("alice")
    listed = json.loads(user.do("user", "list", "--json"))
    assert (listed["name"], listed["devices"], listed["seen"]) == ("alice", 0, None)
    assert list(user.temporary.rglob("*.json")) == [], "what the killed server left behind is removed"


def test_a_server_that_has_stopped_leaves_nothing_behind(user: User) -> None:
    with user.server("--memory") as (server, _):
        assert len(list(user.temporary.rglob("*.json"))) == 1
        ended = server.end(signal.SIGTERM)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert [path for path in user.temporary.rglob("*") if path.is_file()] == []


def test_of_two_servers_the_one_on_the_disk_is_reached(user: User) -> None:
    with user.server("--memory"), user.server() as (_, where):
        user.add("alice")
        assert outcome(address(where), "alice", basic("alice", PASSWORD)) == "REGISTERED DUPLEX alice"


def test_settings_that_keep_everything_in_memory_name_no_database(user: User) -> None:
    user.settings["MEMORY"] = "yes"
    assert user.refused("user", "add", "alice").startswith("the setting memory is true, so the server has no database")
    assert not user.data.exists()
    user.do("user", "add", "alice", "--data", str(user.data), stdin=f"{PASSWORD}\n".encode())


def test_no_database_is_made_that_the_server_that_runs_would_not_read(user: User, tmp_path: Path) -> None:
    other = tmp_path / "other"
    with user.server("--data", str(other)) as (_, where):
        for arguments in (["user", "add", "alice"], ["user", "invite"]):
            assert user.refused(*arguments) == (
                f"there is no database in {user.data}, and the server on {where} has its data in {other}:"
                f" name that folder with --data, or name {user.data} to create a database there"
            )
        assert not user.data.exists()
        user.do("user", "add", "alice", "--data", str(other), stdin=f"{PASSWORD}\n".encode())
        assert outcome(address(where), "alice", basic("alice", PASSWORD)) == "REGISTERED DUPLEX alice"
        user.do("user", "add", "bob", "--data", str(user.data), stdin=f"{PASSWORD}\n".encode())
    assert (user.data / "twotick.db").exists()
    assert user.do("user", "list").startswith("bob ")


def test_another_server_in_memory_does_not_matter_to_a_folder_that_is_named(user: User, tmp_path: Path) -> None:
    with user.server("--memory"):
        user.do("user", "add", "alice", "--data", str(tmp_path / "other"), stdin=f"{PASSWORD}\n".encode())
    assert not user.data.exists()


def test_a_server_runs_and_says_so_where_it_cannot_be_seen(user: User) -> None:
    folder = user.temporary / f"twotick-{user.temporary.stat().st_uid}"
    folder.mkdir()
    folder.chmod(0o777)
    with user.server("--memory") as (server, _):
        line = json.loads(server.stderr.readline())
        assert (line["event"], line["level"]) == ("other commands cannot see that this server runs", "warning")
        assert "others may write there" in line["reason"]
        assert server.end(signal.SIGTERM).returncode == 0
    assert list(folder.iterdir()) == []
