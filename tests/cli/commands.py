"""The `twotick` command as a process."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Generator
from pathlib import Path

from twotick.client import NotDelivered, connect

COMMAND = str(Path(sys.executable).with_name("twotick"))

READY = "are you there?"
"""The first message that a user gets whom `wait_until_there` has waited for."""

_LIMIT = 60.0
"""Seconds after which a command is taken to hang."""


def environment(**variables: str) -> dict[str, str]:
    """An environment without settings, but for these variables; a server keeps nothing on the disk."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TWOTICK_", "XDG_"))}
    return {**kept, "HOME": "/nonexistent", "TWOTICK_MEMORY": "yes", **variables}


def run(
    *arguments: str | bytes, stdin: bytes | int = b"", env: dict[str, str] | None = None, redirect: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end.

    Args:
        arguments: the words of the command line.
        stdin: what it reads, or a file descriptor.
        env: its environment; None for one without settings.
        redirect: what a shell does with its input and output, such as `>&-`.
    """
    command = ["/bin/sh", "-c", f'"$0" "$@" {redirect}', COMMAND, *arguments] if redirect else [COMMAND, *arguments]
    ended = subprocess.run(
        command,
        input=stdin if isinstance(stdin, bytes) else None,
        stdin=stdin if isinstance(stdin, int) else None,
        capture_output=True,
        env=env or environment(),
        timeout=_LIMIT,
        check=False,
    )
    stdout, stderr = ended.stdout.decode(), ended.stderr.decode()
    return checked(subprocess.CompletedProcess(arguments, ended.returncode, stdout, stderr))


def checked(ended: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """The same; what a command says when it fails is for people."""
    for sign in ("Traceback", "Exception", "Warning", "Assertion"):
        assert sign not in ended.stderr, ended.stderr
    return ended


class Started:
    """A command that runs. Its lines are read one by one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self.stdin = process.stdin
        self.stdout = process.stdout
        self.stderr = process.stderr

    def line(self) -> str:
        """The next line of its output."""
        return self.stdout.readline().removesuffix("\n")

    def type(self, line: str) -> None:
        """Give it a line of input."""
        self.stdin.write(line + "\n")
        self.stdin.flush()

    def end(self, number: signal.Signals | None = None) -> subprocess.CompletedProcess[str]:
        """Wait until it has ended, at the end of its input or after a signal."""
        if number is not None:
            self.process.send_signal(number)
        stdout, stderr = self.process.communicate(timeout=_LIMIT)
        return checked(subprocess.CompletedProcess(self.process.args, self.process.returncode, stdout, stderr))


@contextlib.contextmanager
def started(*arguments: str, env: dict[str, str] | None = None) -> Generator[Started, None, None]:
    """Run a command for a while."""
    with subprocess.Popen(
        [COMMAND, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env or environment(),
        text=True,
    ) as process:
        try:
            yield Started(process)
        finally:
            process.kill()


@contextlib.contextmanager
def listening(name: str, server: str, *options: str) -> Generator[Started, None, None]:
    """Run `twotick listen`, from when it has taken a first message."""
    with started("listen", name, "--server", server, *options) as listener:
        wait_until_there(name, server)
        yield listener


def wait_until_there(name: str, server: str) -> None:
    """Wait until a user has taken a first message."""

    async def probe() -> None:
        async with connect("prober", server) as prober:
            while True:
                with contextlib.suppress(NotDelivered):
                    await prober.send(name, READY)
                    return
                await asyncio.sleep(0.01)

    asyncio.run(probe())
