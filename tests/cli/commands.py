"""Run the `twotick` command as a process."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Generator
from typing import Any

from tests.cli.forked import COMMAND, Forked
from twotick.client import NotDelivered, connect

READY = "are you there?"
"""The first message that a user receives from `wait_until_there`."""

_LIMIT = 60.0
"""Seconds after which a command counts as stuck."""


def environment(**variables: str) -> dict[str, str]:
    """Return an environment with no other settings than these variables; a server keeps its data in memory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TWOTICK_", "XDG_"))}
    return {
        **kept,
        "HOME": "/nonexistent",
        "TWOTICK_MEMORY": "yes",
        "TWOTICK_RESERVE_BYTES": "65536",
        "TWOTICK_WEB": "no",
        **variables,
    }


def run(
    *arguments: str | bytes, stdin: bytes | int = b"", env: dict[str, str] | None = None, redirect: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end.

    Args:
        arguments: the arguments of the command.
        stdin: its standard input, or a file descriptor.
        env: its environment; None for one without settings.
        redirect: redirections by a shell, such as `>&-`.
    """
    process: subprocess.Popen[Any]
    if redirect:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f'"$0" "$@" {redirect}', COMMAND, *arguments], **_pipes(stdin, env)
        )
    else:
        process = Forked([COMMAND, *arguments], **_pipes(stdin, env))
    with process:
        try:
            stdout, stderr = process.communicate(stdin if isinstance(stdin, bytes) else None, timeout=_LIMIT)
        except BaseException:
            process.kill()
            raise
    return checked(subprocess.CompletedProcess(arguments, process.returncode, stdout.decode(), stderr.decode()))


def _pipes(stdin: bytes | int, env: dict[str, str] | None) -> dict[str, Any]:
    pipe = subprocess.PIPE
    return {
        "stdin": pipe if isinstance(stdin, bytes) else stdin,
        "stdout": pipe,
        "stderr": pipe,
        "env": env or environment(),
    }


def checked(ended: subprocess.CompletedProcess[str]) -> subprocess.CompletedProcess[str]:
    """Return what was given, after a check that the errors of the command are written for people."""
    for sign in ("Traceback", "Exception", "Warning", "Assertion"):
        assert sign not in ended.stderr, ended.stderr
    return ended


class Started:
    """A running command, whose output is read line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self.stdin = process.stdin
        self.stdout = process.stdout
        self.stderr = process.stderr

    def line(self) -> str:
        """Return the next line of its output."""
        return self.stdout.readline().removesuffix("\n")

    def type(self, line: str) -> None:
        """Write a line to its input."""
        self.stdin.write(line + "\n")
        self.stdin.flush()

    def end(self, number: signal.Signals | None = None) -> subprocess.CompletedProcess[str]:
        """Close its input, or send it a signal, and wait until it has exited."""
        if number is not None:
            self.process.send_signal(number)
        stdout, stderr = self.process.communicate(timeout=_LIMIT)
        return checked(subprocess.CompletedProcess(self.process.args, self.process.returncode, stdout, stderr))


@contextlib.contextmanager
def started(*arguments: str, env: dict[str, str] | None = None, forked: bool = True) -> Generator[Started, None, None]:
    """Run a command until the end of the block.

    Args:
        arguments: the arguments of the command.
        env: its environment; None for one without settings.
        forked: whether its process may be forked from one that has imported everything (tests/cli/forked.py).
    """
    with (Forked if forked else subprocess.Popen[str])(
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
    """Run `twotick listen`; the block begins once it has received a message."""
    with started("listen", name, "--server", server, *options) as listener:
        wait_until_there(name, server)
        yield listener


def wait_until_there(name: str, server: str) -> None:
    """Send messages to a user until one is delivered."""

    async def probe() -> None:
        async with connect("prober", server) as prober:
            while True:
                with contextlib.suppress(NotDelivered):
                    await prober.send(name, READY)
                    return
                await asyncio.sleep(0.01)

    asyncio.run(probe())
