"""Have servers do the same work in turn, so that changes on the machine meanwhile affect all of them."""

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
    """A server, and the protocol over which it is measured.

    Attributes:
        label: its name in tables.
        program: the server.
        protocol: the protocol of the load.
        most_unanswered: the bytes of bodies that a sender may have in flight before the server refuses more;
            None if the server makes the sender wait instead.
    """

    label: str
    program: Program
    protocol: str
    most_unanswered: int | None = None

    def refuses(self, work: Mapping[str, int]) -> str | None:
        """Return why the server would refuse this work; None if it would not."""
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
"""The servers that can be compared, by their names on the command line."""

MEASURE = "twotick"
"""The server to which the others are compared."""


@dataclass
class Measured:
    """The measurements of the servers that did the same work.

    Attributes:
        work: the options of the load.
        runs: the figures of each run, by the key of the server in CONTENDERS.
        left_out: why a server could not be measured, by its key.
    """

    work: Mapping[str, int]
    runs: dict[str, list[Figures]] = field(default_factory=dict[str, list[Figures]])
    left_out: dict[str, str] = field(default_factory=dict[str, str])

    def remarks(self) -> list[str]:
        """Return a sentence in Markdown for each server that is left out."""
        return [f"{CONTENDERS[name].label} is left out: {reason}." for name, reason in self.left_out.items()]


def take_turns(what: str, names: Sequence[str], runs: int, works: Sequence[Mapping[str, int]]) -> list[Measured]:
    """Measure each server with each kind of work.

    Args:
        what: what is measured, in a word, for the progress messages.
        names: the servers, as keys of CONTENDERS.
        runs: how often; in each run a new process of each server does all the works.
        works: the options of the load for each kind of work.

    Returns:
        The measurements for each kind of work, in the order of `works`.

    Raises:
        MeasurementError: Twotick itself cannot be measured. Another server that cannot be measured is left out.
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
    """Have one server do the works in `left`. After a failure, a new process continues with the next of them."""
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
