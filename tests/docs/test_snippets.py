"""The commands of README.md, run as they stand, one after the other, in one fresh home.

Only two things differ from what a reader does: the server is on a free port, and passwords come from a pipe.
"""

import os
import re
import socket
import subprocess
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, environment
from tests.sockets import patiently

ROOT = Path(__file__).parents[2]
PASSWORD = "correct horse"

_STAYING = ("listen", "serve")
"""Commands that run until they are stopped."""


def snippets() -> list[str]:
    """Return the lines of the shell blocks of the two parts about the shell."""
    text = (
        (ROOT / "README.md").read_text("utf-8").partition("## Use it from a shell")[2].partition("## Use it from Py")[0]
    )
    blocks = re.findall(r"^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines() if line]


class Home:
    """A user's home folder, in which lines are run as by a shell.

    Attributes:
        staying: the commands that still run.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self.staying: list[subprocess.Popen[bytes]] = []
        kept = {name: value for name, value in environment().items() if not name.startswith("TWOTICK_")}
        self._environment = {
            **kept,
            "HOME": str(folder),
            "PATH": f"{folder}/bin:{Path(COMMAND).parent}:{os.environ['PATH']}",
            "TWOTICK_KEYRING": "no",
            "TWOTICK_RESERVE_BYTES": "64 KiB",
            "TWOTICK_PORT": str(port),
            "TWOTICK_SERVER": f"127.0.0.1:{port}",
        }

    def run(self, line: str) -> int:
        """Run a line to its end, or until it says that it listens; return its exit status."""
        words = line.split()
        command = re.sub(r"(?<=@)127\.0\.0\.1(?!:)", f"127.0.0.1:{self._port}", line)
        if words[1] in _STAYING:
            self._start(command, words)
            return 0
        stdin = f"{PASSWORD}\n".encode() if words[1] in ("user", "login") else b""
        for _ in patiently():
            status = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=self._folder,
                env=self._environment,
                input=stdin,
                timeout=60,
                check=False,
            ).returncode
            if words[1] != "search" or status == 0:  # words are found some seconds after they were sent
                return status
        return 1

    def _start(self, command: str, words: list[str]) -> None:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {command}"], cwd=self._folder, env=self._environment, stdout=subprocess.PIPE
        )
        self.staying.append(process)
        assert process.stdout is not None
        if words[1] == "serve":
            assert process.stdout.readline().startswith(b"listening on ")
        elif ">>" not in words:
            while self.run(f"twotick send {words[words.index('--as') + 1]} hello --as tester") != 0:
                assert process.poll() is None, command


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def home(tmp_path: Path) -> Generator[Home]:
    """A home with what the snippets need: a script, a picture, and a program that sends mail."""
    for name, text in {"deploy.sh": "cat", "bin/mail": "exit 1"}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o700)
    (tmp_path / "photo.png").write_bytes(b"oats")
    with ExitStack() as stack:
        home = Home(tmp_path, _free_port())
        stack.callback(lambda: [(each.kill(), each.communicate()) for each in home.staying])
        yield home


def test_the_snippets_do_what_they_say(home: Home, tmp_path: Path) -> None:
    lines = snippets()
    assert len(lines) > 20
    for line in lines:
        assert home.run(line) == 0, line
    assert (tmp_path / "Downloads" / "photo.png").read_bytes() == b"oats"
