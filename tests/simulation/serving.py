"""A server process with members, as the command starts it."""

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
    """Make members in a data folder that is not in use; returns a token for each member and device."""
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
        port: where it listens.
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
        """Bytes of memory that it has."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024


@contextmanager
def serving(
    data: Path, *, longest_file: int | None = None, preload: Path | None = None, killed: bool = False
) -> Generator[ServerProcess, None, None]:
    """Run a server on a data folder until the end of the block.

    Args:
        data: the folder.
        longest_file: the bytes that a file of the server may grow to, so that its disk is full then.
        preload: a library whose functions take the place of the system's.
        killed: whether it is ended as a power cut would, and not in good order.
    """

    def limit() -> None:
        if longest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (longest_file, longest_file))

    command = [sys.executable, "-m", "twotick", "serve", "--data", str(data), "--port", "0"]
    environment = os.environ | ({"LD_PRELOAD": str(preload)} if preload else {})
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=limit, env=environment) as process:
        try:
            yield ServerProcess(process)
        finally:
            process.send_signal(signal.SIGKILL if killed else signal.SIGTERM)
            assert process.wait(30) == (-signal.SIGKILL if killed else 0)
