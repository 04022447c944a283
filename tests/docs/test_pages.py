"""What the documents name exists."""

import re
from pathlib import Path

import pytest

from twotick.server.observing.condition import WARNINGS

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    """Of each promise, the tests that check it (docs/guarantees.md); of each figure, the program that measures it."""
    named = set(re.findall(r"\b(?:tests|bench|examples|fuzz)/[\w./]+\.\w+", page.read_text("utf-8")))
    assert sorted(name for name in named if not (ROOT / name).exists()) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_targets_that_a_page_names_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", page.read_text("utf-8"))) <= targets


def test_operators_find_every_event_of_the_log() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    table = page.partition("\n## The log")[2].partition("\n## ")[0]
    sources = "".join(path.read_text("utf-8") for path in ROOT.glob("src/twotick/server/**/*.py"))
    logged = set(re.findall(r'\blog\.(?:info|warning|error)\(\s*"([^"]+)"', sources))
    assert set(re.findall(r"^\| `([^`]+)` \| `(?:info|warning|error)`", table, re.MULTILINE)) == logged


def test_operators_find_what_each_warning_and_alert_means() -> None:
    page = (ROOT / "docs" / "operations.md").read_text("utf-8")
    table = page.partition("\n## How it is")[2].partition("\n### Doctor")[0]
    told = set(re.findall(r"`([^`]+)`", "".join(re.findall(r"^\| (`[^|]+) \|", table, re.MULTILINE))))
    warnings = {each if each.startswith("not ready: ") else each.partition(":")[0] for each in WARNINGS}
    assert told == warnings
    observer = (ROOT / "src/twotick/server/observing/observer.py").read_text("utf-8")
    reasons = re.findall(r"problems(?:\.append\(| = \[)f?\"([^\"{:]+)", observer)
    not_ready = {each.removesuffix("5 s") for each in warnings if each.startswith("not ready: ")}
    assert not_ready == {f"not ready: {each}" for each in reasons}
    rules = (ROOT / "deploy/prometheus/twotick.rules.yml").read_text("utf-8")
    assert set(re.findall(r"`(Twotick\w+)`", page)) == set(re.findall(r"alert: (\w+)", rules))
