"""Has servers do the same work in turn, so that what changes on the machine meanwhile meets all of them."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from common import say
from peers import EJABBERD, MOSQUITTO, NATS, NGIRCD, PLAIN, PROSODY, REDIS, TWOTICK, compiled
from run_load import Figures, build, run_load, server_core
from servers import MeasurementError, Program, running


@dataclass(frozen=True)
class Contender:
    """A server in one of its roles.

    Attributes:
        label: what it is called in tables.
        program: the server.
        protocol: in which the load speaks to it.
        most_unanswered: bytes of bodies that a sender may have under way before the server refuses more; None if it
            then waits, and refuses nothing.
    """

    label: str
    program: Program
    protocol: str
    most_unanswered: int | None = None

    def refuses(self, work: Mapping[str, int]) -> str | None:
        """Why it would refuse this work; None if it would not."""
        if self.most_unanswered is None or work.get("window", 1) * work["bytes"] <= self.most_unanswered:
            return None
        return f"it refuses more than {self.most_unanswered >> 20} MiB unanswered from one sender"


def _open_to_members(folder: Path) -> dict[str, str]:
    return {**compiled(folder), "TWOTICK_SIGN_UP": "open"}


_TWOTICK_WITH_MEMBERS = dataclasses.replace(TWOTICK, environment=_open_to_members)

CONTENDERS = {
    "twotick": Contender("Twotick", TWOTICK, "window"),
    "plain": Contender("Twotick, not compiled", PLAIN, "window"),
    "classic": Contender("Twotick, classic profile", TWOTICK, "classic"),
    "identified": Contender("Twotick, guests with Ids", TWOTICK, "identified", most_unanswered=4 << 20),
    "member": Contender("Twotick, members", _TWOTICK_WITH_MEMBERS, "member"),
    "nats": Contender("nats-server", NATS, "nats"),
    "ngircd": Contender("ngircd", NGIRCD, "irc"),
    "mosquitto": Contender("mosquitto", MOSQUITTO, "mqtt"),
    "redis": Contender("Redis", REDIS, "redis"),
    "prosody": Contender("Prosody", PROSODY, "xmpp"),
    "ejabberd": Contender("ejabberd", EJABBERD, "xmpp"),
}
"""What is compared, by its name on the command line."""

MEASURE = "twotick"
"""The one by which the others are divided."""


@dataclass
class Measured:
    """What was measured with one kind of work.

    Attributes:
        work: the options of the load.
        runs: of each of CONTENDERS that could be measured.
        left_out: what is to be said of the others, by their names.
    """

    work: Mapping[str, int]
    runs: dict[str, list[Figures]] = field(default_factory=dict[str, list[Figures]])
    left_out: dict[str, str] = field(default_factory=dict[str, str])

    def remarks(self) -> list[str]:
        """What is to be said of those that were left out, in Markdown."""
        return [f"{CONTENDERS[name].label} is left out: {reason}." for name, reason in self.left_out.items()]


def take_turns(what: str, names: Sequence[str], runs: int, works: Sequence[Mapping[str, int]]) -> list[Measured]:
    """Measure.

    Args:
        what: is measured, in a word.
        names: keys of CONTENDERS.
        runs: how often; each time there is a new server process, which does all the works.
        works: each of them as options of the load.

    Returns:
        What was measured with each of the works.

    Raises:
        MeasurementError: Twotick itself cannot be measured. If another server cannot, it is left out.
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
    """Let one server do what is left. After a failure a new process goes on with the rest."""
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
