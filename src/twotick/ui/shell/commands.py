"""The command of `listen --exec`, which works on messages."""

import asyncio
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

from twotick.client import MemberMessage, Message
from twotick.ui.shell.job_folder import Job
from twotick.ui.shell.streams import complain
from twotick.ui.text import visible

_PREFIX: Final = "TWOTICK_"
_DESCRIBING: Final = ("FROM", "GUEST", "TO", "ROOM", "ID", "TIME", "JOB", "FILE")
"""Variables that describe a message to a command, each after the prefix."""

_PATIENCE: Final = 10.0
"""Seconds that a command has to end when it is stopped."""

_LOOK: Final = 0.05
"""Seconds between two looks whether the processes of a command have ended."""

_ANSWER: Final = 64 << 10
"""The most bytes of a command's output that are sent as an answer."""


@dataclass(frozen=True, slots=True)
class MessageCommand:
    """A command that works on messages.

    Attributes:
        command: the shell command. It gets the body on standard input, and what else is known in variables.
        timeout: the seconds that it may work on a message; None for any time.
        at_once: how many messages it may work on at the same time.
        replies: whether what it prints is sent as an answer.
    """

    command: str
    timeout: float | None = None
    at_once: int = 1
    replies: bool = False

    async def run(self, message: Message | MemberMessage, saved: Path | None, job: Job | None, lock: int | None) -> int:
        """Run the command for a message.

        If the caller is cancelled, the command and all processes that it has started are ended first: a message is
        handed out again only if nothing works on it any more.

        Args:
            message: the message.
            saved: its file, if that was saved.
            job: where its end is noted; None for a guest's message.
            lock: the open file that its processes inherit; None for none.

        Returns:
            The exit status.

        Raises:
            CancelledError: the caller was cancelled, and the command has failed; its end is not noted.
            OSError: the command cannot be started.
        """
        words = ("/bin/sh", "-c", self.command) if job is None else job.command(self.command)
        output = job.output.open("wb") if job is not None and self.replies else None
        try:
            starting = asyncio.ensure_future(self._start(words, message, saved, job, lock, output))
            try:
                process = await asyncio.shield(starting)
                return await self._wait(process, message.body)
            except asyncio.CancelledError:  # the message must not be handed out again while the command runs
                process = await starting
                await _end(process)
                if process.returncode == 0:
                    return 0
                if job is not None:
                    job.forget()
                raise
        finally:
            if output is not None:
                output.close()

    async def _start(
        self,
        words: tuple[str, ...],
        message: Message | MemberMessage,
        saved: Path | None,
        job: Job | None,
        lock: int | None,
        output: IO[bytes] | None,
    ) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            env=_environment(message, saved, job),
            start_new_session=True,
            pass_fds=() if lock is None else (lock,),
        )

    async def _wait(self, process: asyncio.subprocess.Process, body: bytes) -> int:
        """Give a command its input, and wait until it has ended; end it when its time is over."""
        try:
            async with asyncio.timeout(self.timeout):
                await process.communicate(body)
        except TimeoutError:
            complain(f"the command was stopped after {self.timeout:g} s")
            await _end(process)
        return 0 if process.returncode is None else process.returncode

    def answer(self, job: Job) -> str:
        """Return what a command has printed for a message; empty for nothing."""
        if not self.replies:
            return ""
        try:
            with job.output.open("rb") as output:
                text = output.read(_ANSWER).decode(errors="replace").rstrip()
                return f"{text}\n(cut: there is more)" if output.read(1).strip() else text
        except FileNotFoundError:
            return ""  # an earlier `listen` ran it, without --reply


def _environment(message: Message | MemberMessage, saved: Path | None, job: Job | None) -> Mapping[str, str]:
    """Return the variables of a command."""
    described = {"FROM": message.sender, "FILE": None if saved is None else str(saved)}
    if isinstance(message, MemberMessage):
        sent = message.time
        described |= {
            "GUEST": "yes" if message.is_guest else None,
            "TO": message.recipient,
            "ROOM": message.room or None,
            "ID": message.id or None,
            "TIME": None if sent is None else sent.isoformat(),
            "JOB": None if job is None else job.key,
        }
    variables = {_PREFIX + name for name in _DESCRIBING}
    others = {name: value for name, value in os.environ.items() if name not in variables}
    return others | {
        _PREFIX + name: value if name == "FILE" else visible(value, keep="")
        for name, value in described.items()
        if value is not None
    }


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a command and all processes that it has started, and wait until there are none of them.

    They get SIGTERM, and SIGKILL after 10 s or when the caller is cancelled again.
    """
    try:
        _signal(process, signal.SIGTERM)
        async with asyncio.timeout(_PATIENCE):
            await process.wait()
            while _signal(process, 0):  # noqa: ASYNC110 # the system does not tell when a group has ended
                await asyncio.sleep(_LOOK)
    except (asyncio.CancelledError, TimeoutError):
        _signal(process, signal.SIGKILL)
        await process.wait()


def _signal(process: asyncio.subprocess.Process, number: int) -> bool:
    """Send a signal to the processes of a command; return whether there are any."""
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        return False
    return True
