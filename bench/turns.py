"""Let servers take turns at the same work, so that changes on the machine affect all of them alike."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common import say
from peers import COMPILED, MOSQUITTO, NATS, NGIRCD, PROSODY, REDIS, TWOTICK
from run_load import Figures, build, run_load, server_core
from servers import MeasurementError, Program, running


@dataclass(frozen=True)
class Contender:
    """A server and the protocol by which it is measured.

    Attributes:
        label: its name in tables.
        program: the server.
        protocol: the load's --protocol.
        most_unanswered: bytes of unanswered bodies that the server accepts from one sender before it refuses more;
            None if the server makes the sender wait instead.
    """

    label: str
    program: Program
    protocol: str
    most_unanswered: int | None = None

    def refuses(self, work: Mapping[str, int]) -> str | None:
        """Return why the server would refuse this work, or None if it would accept it."""
        if self.most_unanswered is None or work.get("window", 1) * work["bytes"] <= self.most_unanswered:
            return None
        return f"it refuses more than {self.most_unanswered >> 20} MiB unanswered from one sender"


def _members_command(port: int, folder: Path) -> list[str]:
    return [sys.executable, "-m", "twotick", "serve", "--no-web", "--port", str(port), "--data", str(folder / "data")]


def _open_sign_up(_folder: Path) -> dict[str, str]:
    # All senders have one address, and send as fast as they can.
    limits = dict.fromkeys(("TWOTICK_SENT_BYTES_MEMBER", "TWOTICK_SENT_BYTES_ADDRESS"), str(1 << 40))
    return {"TWOTICK_SIGN_UP": "open", **limits}


_TWOTICK_WITH_MEMBERS = dataclasses.replace(TWOTICK, command=_members_command, environment=_open_sign_up)


def _irc_command(port: int, _folder: Path) -> list[str]:
    ports = ["--port", "0", "--irc-port", str(port)]
    return [sys.executable, "-m", "twotick", "serve", "--no-web", *ports, "--memory"]


CONTENDERS = {
    "twotick": Contender("Twotick", TWOTICK, "window"),
    "compiled": Contender("Twotick, compiled", COMPILED, "window"),
    "classic": Contender("Twotick, classic profile", TWOTICK, "classic"),
    "identified": Contender("Twotick, guests with Ids", TWOTICK, "identified", most_unanswered=4 << 20),
    "member": Contender("Twotick, members", _TWOTICK_WITH_MEMBERS, "member"),
    "irc": Contender("Twotick", dataclasses.replace(TWOTICK, command=_irc_command), "irc"),
    "irc-compiled": Contender("Twotick, compiled", dataclasses.replace(COMPILED, command=_irc_command), "irc"),
    "nats": Contender("nats-server", NATS, "nats"),
    "ngircd": Contender("ngircd", NGIRCD, "irc"),
    "mosquitto": Contender("mosquitto", MOSQUITTO, "mqtt"),
    "redis": Contender("Redis", REDIS, "redis"),
    "prosody": Contender("Prosody", PROSODY, "xmpp"),
}
"""By their names on the command line."""

MEASURE = "twotick"
"""Figures are divided by those of this one."""


@dataclass
class Measured:
    """Figures of one kind of work.

    Attributes:
        work: the options of the load.
        runs: for each key of CONTENDERS that could be measured, the figures of its runs.
        left_out: for each of the others, the reason why it was left out.
    """

    work: Mapping[str, int]
    runs: dict[str, list[Figures]] = field(default_factory=dict[str, list[Figures]])
    left_out: dict[str, str] = field(default_factory=dict[str, str])

    def remarks(self) -> list[str]:
        """Return a sentence for each contender that was left out."""
        return [f"{CONTENDERS[name].label} is left out: {reason}." for name, reason in self.left_out.items()]


def take_turns(what: str, names: Sequence[str], runs: int, works: Sequence[Mapping[str, int]]) -> list[Measured]:
    """Measure.

    Args:
        what: name of the part, for progress messages.
        names: keys of CONTENDERS.
        runs: number of runs. In each run a new server process does all the works.
        works: each of them as options of the load.

    Returns:
        The figures of each of the works.

    Raises:
        MeasurementError: Twotick itself cannot be measured. Any other server is left out instead.
    """
    build()
    measured = [
        Measured(work, left_out={name: why for name in names if (why := CONTENDERS[name].refuses(work))})
        for work in works
    ]
    for number in range(runs):
        for name in names:
            say(f"{what}, run {number + 1} of {runs}: {CONTENDERS[name].label}")
            _measure_once(name, [each for each in measured if name not in each.left_out])
    return measured


def _measure_once(name: str, left: list[Measured]) -> None:
    """Let one server do the works that are left. After a failure a new process continues with the next work."""
    contender = CONTENDERS[name]
    while left:
        try:
            with running(contender.program, server_core()) as server:
                while left:
                    figures = run_load(server, contender.protocol, **left[0].work)
                    left.pop(0).runs.setdefault(name, []).append(figures)
        except MeasurementError as error:
            if contender.program.name == TWOTICK.name:
                raise
            say(f"{contender.label} is left out: {error}")
            failed = left.pop(0)
            failed.runs.pop(name, None)
            failed.left_out[name] = str(error)
