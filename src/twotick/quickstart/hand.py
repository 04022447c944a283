"""What setting up does to the machine: it writes files and runs commands, or only says so."""

import os
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

from twotick.server.tls import write_new


class StepFailed(Exception):
    """A command failed, and has said why.

    Attributes:
        status: its exit status.
    """

    def __init__(self, command: list[str], status: int) -> None:
        super().__init__(f"this command failed: {shlex.join(command)}")
        self.status = status


class Hand:
    """Writes files and runs commands.

    Args:
        say: prints a line.
        dry: only print what would be done.

    Attributes:
        is_dry: see above.
    """

    def __init__(self, say: Callable[[str], None], *, dry: bool) -> None:
        self._say = say
        self.is_dry = dry

    def tell(self, part: str, text: str) -> None:
        """Say how a part of the server is."""
        self._say(f"{part:<12} {text}")

    def note(self, text: str = "") -> None:
        """Say something else."""
        self._say(text)

    def write(self, part: str, file: Path, content: str, mode: int) -> None:
        """Write a new file, completely or not at all; its folder is made if it is missing.

        Raises:
            OSError: it cannot be written, or it exists.
        """
        if self.is_dry:
            self.tell(part, f"would write {file}:")
            for line in content.splitlines():
                self.note(f"    {line}".rstrip())
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            write_new(file, content.encode(), mode)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(file)) from error  # that of a full disk names no file
        self.tell(part, f"{file}: written")

    def run(self, part: str, command: list[str], *, quiet: bool = False) -> None:
        """Run a command, which has standard input, output and error of this process.

        Args:
            part: what it is for.
            command: the command.
            quiet: whether its output is of no interest.

        Raises:
            StepFailed: it failed.
        """
        if self.is_dry:
            self.tell(part, f"would run: {shlex.join(command)}")
            return
        output = subprocess.DEVNULL if quiet else None
        try:
            ended = subprocess.run(command, stdout=output, env=_environment(), check=False)
        except OSError as error:
            raise StepFailed([*command, f"({error.strerror})"], 71) from error
        if ended.returncode:
            raise StepFailed(command, ended.returncode)

    def ask(self, command: list[str]) -> str | None:
        """Return the output of a command that changes nothing; None if it fails."""
        try:
            ended = subprocess.run(command, capture_output=True, text=True, env=_environment(), check=False)
        except OSError:
            return None
        return None if ended.returncode else ended.stdout


def _environment() -> dict[str, str]:
    """Return the environment without settings: the server that is set up will not have them."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TWOTICK_")}
