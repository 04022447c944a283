"""Twotick as in a container: a root file system that is read-only, a user whom the system does not know, no home."""

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.commands import Started, checked
from tests.cli.operating import PASSWORD
from tests.sockets import PATIENCE
from tests.tools import needed

ROOT = Path(__file__).parents[2]

_INSIDE = {"PATH": "/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE": "1", "TWOTICK_RESERVE_BYTES": "65536"}


@pytest.fixture
def boxed(tmp_path: Path) -> Callable[..., list[str]]:
    """Return a command as it runs in a box, in which only the data can be written."""
    bwrap = needed("bwrap", "apt-get install -y bubblewrap")
    data = tmp_path / "data"
    data.mkdir()
    box = [bwrap, "--unshare-user", "--uid", "10001", "--gid", "10001", "--die-with-parent", "--clearenv"]
    box += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--tmpfs", "/tmp"]  # in the box
    for folder in {ROOT, Path(sys.prefix), Path(sys.base_prefix)}:
        box += ["--ro-bind", str(folder), str(folder)]
    for name, value in {**_INSIDE, "TWOTICK_DATA": str(data)}.items():
        box += ["--setenv", name, value]

    def command(*arguments: str, is_read_only: bool = False, **settings: str) -> list[str]:
        more = ["--ro-bind" if is_read_only else "--bind", str(data), str(data)]
        more += [each for name, value in settings.items() for each in ("--setenv", f"TWOTICK_{name}", value)]
        return [*box, *more, sys.executable, "-P", "-m", "twotick", *arguments]

    probe = subprocess.run([*box, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"this system has no such boxes: {probe.stderr}")
    return command


def test_a_server_in_a_container_serves_and_stops(boxed: Callable[..., list[str]]) -> None:
    """Without HOME, a user whom the system does not know had no folder for settings, which ended every command."""

    def do(*arguments: str, stdin: str = "", **settings: str) -> str:
        ended = checked(
            subprocess.run(
                boxed(*arguments, **settings), input=stdin, capture_output=True, text=True, timeout=60, check=False
            )
        )
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return ended.stdout

    made = do("cert", "localhost")
    tls = dict(re.findall(r'^(tls_\w+) = "(.*)"$', made, re.MULTILINE))
    ports = dict.fromkeys(("PORT", "TLS_PORT", "WEB_PORT", "WEB_TLS_PORT", "METRICS_PORT"), "0")
    settings = {**{name.upper(): file for name, file in tls.items()}, **ports}
    do("user", "add", "alice", stdin=f"{PASSWORD}\n", **settings)
    pipe = subprocess.PIPE
    with subprocess.Popen(boxed("serve", **settings), stdin=pipe, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            server = Started(process)
            lines = [server.line() for _ in range(5)]
            assert lines[1].startswith("listening with TLS on 127.0.0.1:"), lines
            found = re.fullmatch(r"metrics: (http://\S+)/metrics", lines[4])
            assert found, lines
            with urllib.request.urlopen(f"{found[1]}/readyz", timeout=PATIENCE) as ready:
                assert ready.read() == b"ready\n"
            runs = re.search(
                r"^ok       server       runs as process (\d+), and is ready$", do("doctor", **settings), re.MULTILINE
            )
            assert runs
            os.kill(int(runs[1]), signal.SIGTERM)
            ended = server.end()
        finally:
            process.kill()
    assert (ended.returncode, ended.stderr) == (0, "")


def test_data_that_cannot_be_written_are_one_clear_line(boxed: Callable[..., list[str]]) -> None:
    for command in (["serve", "--port", "0", "--no-web"], ["user", "invite"]):
        ended = subprocess.run(boxed(*command, is_read_only=True), capture_output=True, text=True, check=False)
        assert (ended.returncode, ended.stdout) == (71, ""), ended
        assert re.fullmatch(r"twotick: \S+ cannot be used: Read-only file system.*\n", ended.stderr)
