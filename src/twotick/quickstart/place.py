"""Where a server is set up: its settings, its data, its user."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROGRAM: Final = Path("/opt/twotick/bin/twotick")
_UNITS: Final = Path(__file__).with_name("units")

SERVICE: Final = "twotick.service"
RENEWAL: Final = ("twotick-certificate.service", "twotick-certificate.timer")
"""The units of systemd: the server, and what renews its certificate."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a server is set up.

    Attributes:
        settings: the settings file.
        data: the data folder.
        owner: the user of the system that runs the server; None for the user of this process.
        units: the folder of systemd's units; None if there are to be none.
        program: the `twotick` command.
    """

    settings: Path
    data: Path
    owner: str | None
    units: Path | None
    program: Path

    def command(self, *arguments: str) -> list[str]:
        """Return a `twotick` command on this server, for the user of this process if that is the owner."""
        return [str(self.program), *arguments, "--config", str(self.settings)]

    def as_owner(self, command: list[str], *, low_port: bool = False) -> list[str]:
        """Return a command as the owner runs it.

        Args:
            command: the command.
            low_port: whether it may listen on a port below 1024.
        """
        if self.owner is None:
            return command
        right = ["--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service"] if low_port else []
        return ["setpriv", f"--reuid={self.owner}", f"--regid={self.owner}", "--init-groups", *right, *command]

    def shown(self, *arguments: str) -> str:
        """Return a `twotick` command as the operator types it; `runuser` is on every Linux, `sudo` is not."""
        as_owner = "" if self.owner is None else f"runuser -u {self.owner} -- "
        return as_owner + shlex.join(["twotick", *arguments, "--config", str(self.settings)])

    def unit(self, name: str) -> str:
        """Return the content of a unit."""
        return (_UNITS / name).read_text("utf-8").replace(str(_PROGRAM), _in_unit(self.program))


def _in_unit(program: Path) -> str:
    """Return the name of a command as a unit has it (systemd.unit, "Specifiers"; systemd.syntax, "Quoting")."""
    escaped = str(program).replace("%", "%%")
    return f'"{escaped}"' if " " in escaped else escaped


def _program() -> Path:
    """Return the command of the environment in which this process runs."""
    return Path(sys.executable).with_name("twotick")


def system_place() -> Place:
    """Return the place of a server of the machine."""
    units = Path("/etc/systemd/system")
    return Place(Path("/etc/twotick.toml"), Path("/var/lib/twotick"), "twotick", units, _program())


def own_place(settings: Path, data: Path) -> Place:
    """Return the place of a server in the folders of a user."""
    return Place(settings.absolute(), data.absolute(), None, None, _program())
