"""Measures everything again and writes the figures into docs/performance.md, between the marks that it has for them."""

import re

import idle
import relay
import start
from common import ROOT, MeasurementError, machine, run, say

_PAGE = ROOT / "docs/performance.md"


def fill(page: str, name: str, content: str) -> str:
    """Replace what stands between the marks of a section."""
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    filled, count = pattern.subn(lambda _: f"{begin}\n{content}\n{end}", page)
    if count != 1:
        raise MeasurementError(f"{_PAGE} has {count} sections {name}, and should have one")
    return filled


def main() -> None:
    sections = {"machine": machine(), "start": start.report(), "idle": idle.report(), "relay": relay.report()}
    page = _PAGE.read_text()
    for name, content in sections.items():
        page = fill(page, name, content)
    _PAGE.write_text(page)
    say(f"wrote {_PAGE.relative_to(ROOT)}")


if __name__ == "__main__":
    run(main)
