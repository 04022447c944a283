"""Start a server process with members, as `twotick serve` does."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from twotick.server.secrets import new_token, token_digest
from twotick.store import AddMember, AddToken, Member, SqliteStore, StoreLimits


def make_members(data: Path, *devices: tuple[str, str]) -> list[str]:
    """Add members to a data folder that no server uses, and return a token for each pair of member and device."""
    store = SqliteStore(data, StoreLimits())
    members: dict[str, Member] = {}
    tokens: list[str] = []
    for name, device in devices:
        if name not in members:
            (member,) = store.apply([AddMember(name, "", 0.0)])
            assert isinstance(member, Member)
            members[name] = member
        tokens.append(new_token())
        store.apply([AddToken(members[name].number, device, token_digest(tokens[-1]), 0.0)])
    store.close()
    return tokens


class ServerProcess:
    """A server process.

    Attributes:
        port: its port on 127.0.0.1.
        process: the process.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on "), line
        self.port = int(line.rpartition(":")[2])
        self.process = process

    @property
    def memory(self) -> int:
        """Return the resident bytes of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024


@contextmanager
def serving(
    data: Path, *, longest_file: int | None = None, preload: Path | None = None, killed: bool = False
) -> Generator[ServerProcess, None, None]:
    """Run a server on a data folder until the end of the block.

    Args:
        data: the folder.
        longest_file: the largest size of a file, in bytes, to simulate a full disk.
        preload: a library whose functions replace those of the system.
        killed: whether to end the server with SIGKILL instead of SIGTERM.
    """

    def limit() -> None:
        if longest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (longest_file, longest_file))

    command = [sys.executable, "-m", "twotick", "serve", "--no-web", "--data", str(data), "--port", "0"]
    environment = os.environ | {"TWOTICK_RESERVE_BYTES": "0"} | ({"LD_PRELOAD": str(preload)} if preload else {})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=limit, env=environment) as process:
        try:
            yield ServerProcess(process)
        finally:
            process.send_signal(signal.SIGKILL if killed else signal.SIGTERM)
            assert process.wait(30) == (-signal.SIGKILL if killed else 0)
