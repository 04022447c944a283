"""Measure the parts of docs/performance.md, and write their figures and plots into the page."""

import argparse
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import compiled
import durable
import everyone
import frames
import growth
import idle
import irc
import neighbours
import on_postgres
import page
import peers
import plots
import publish
import relay
import several
import start
import steady
import stored_peers
import waiting
import web
from common import machine, run, say
from servers import ROOT, MeasurementError, Program

_PAGE = ROOT / "docs/performance.md"


@dataclass(frozen=True)
class Part:
    """A part of the page.

    Attributes:
        report: measures the part and returns it as Markdown.
        programs: the servers that take part besides Twotick.
    """

    report: Callable[[], str]
    programs: Sequence[Program] = ()


def _relay() -> str:
    measured = relay.measure()
    return f"{plots.relay(measured)}\n\n{relay.describe(measured)}"


def _durable() -> str:
    works = [durable.Work(number, size) for size in durable.BYTES for number in durable.IN_FLIGHT]
    measured = durable.measure(durable.NAMES, works, durable.RUNS)
    return f"{plots.stored(measured)}\n\n{durable.describe(measured)}"


def _idle() -> str:
    measured = idle.measure()
    return f"{plots.memory(measured)}\n\n{idle.describe(measured)}"


_STORED = [stored_peers.PEERS[name].program for name in durable.NAMES if name != "twotick"]

PARTS = {
    "relay": Part(_relay, peers.PEERS),
    "durable": Part(_durable, _STORED),
    "on-postgres": Part(on_postgres.report, (on_postgres.ON_POSTGRES,)),
    "several": Part(several.report, (several.ON_POSTGRES, several.NATS)),
    "steady": Part(steady.report, (peers.NATS, peers.MOSQUITTO, stored_peers.PEERS["postgres"].program)),
    "everyone": Part(everyone.report, (peers.NATS, peers.NGIRCD, peers.MOSQUITTO)),
    "irc": Part(irc.report, (peers.NGIRCD,)),
    "waiting": Part(waiting.report, [stored_peers.PEERS[name].program for name in waiting.COMPARED[1:]]),
    "neighbours": Part(neighbours.report),
    "idle": Part(_idle, (*peers.PEERS, on_postgres.ON_POSTGRES)),
    "web": Part(web.report),
    "publish": Part(publish.report),
    "page": Part(page.report),
    "growth": Part(growth.report),
    "frames": Part(frames.report),
    "compiled": Part(compiled.report),
    "start": Part(start.report),
}
"""By the names of their sections, in the order of the page."""


def fill(text: str, name: str, content: str) -> str:
    """Replace the content of a section of the page, which is between two HTML comments.

    Raises:
        MeasurementError: the page has no such section, or several.
    """
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    filled, count = pattern.subn(lambda _: f"{begin}\n{content}\n{end}", text)
    if count != 1:
        raise MeasurementError(f"{_PAGE} has {count} sections named {name} instead of one")
    return filled


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "parts", nargs="*", metavar="PART", help=f"which parts to measure (default: all): {', '.join(PARTS)}"
    )
    names: list[str] = parser.parse_args().parts or list(PARTS)
    if unknown := [name for name in names if name not in PARTS]:
        parser.error(f"there is no part {unknown[0]}; the parts are {', '.join(PARTS)}")
    for name in names:
        fill(_PAGE.read_text(), name, "")  # fails before anything is measured
    began = time.monotonic()
    for number, name in enumerate(names):
        say(f"part {number + 1} of {len(names)}, after {_minutes(began)}: {name}")
        part_began = time.monotonic()
        content = PARTS[name].report()
        origin = f"<sub>Measured in {_minutes(part_began)}: {machine(PARTS[name].programs)}</sub>"
        _PAGE.write_text(fill(_PAGE.read_text(), name, f"{content}\n\n{origin}"))
    say(f"wrote {_PAGE.relative_to(ROOT)}, after {_minutes(began)}")


def _minutes(began: float) -> str:
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    return f"{minutes} min {seconds:02} s"


if __name__ == "__main__":
    run(main)
