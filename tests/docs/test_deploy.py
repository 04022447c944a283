"""The files of deploy/: they are valid, and say what the documents say."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.tools import needed

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/systemd/twotick.service"
RENEWAL = UNIT.with_name("twotick-certificate.service")


@pytest.mark.parametrize("unit", [UNIT, RENEWAL], ids=["server", "renewal"])
def test_the_units_expose_little(unit: Path) -> None:
    program = needed("systemd-analyze", "apt-get install systemd")
    command = [program, "security", "--offline=yes", "--no-pager", str(unit)]
    analysed = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"})
    found = re.search(rf"Overall exposure level for {unit.name}: ([0-9.]+)", analysed.stdout)
    assert found, analysed
    assert float(found[1]) <= 2.0, analysed.stdout


def test_the_examples_for_proxies_are_those_of_the_documentation() -> None:
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    for file, kind in ("nginx.conf", "nginx"), ("Caddyfile", "caddy"):
        shown = page.partition(f"```{kind}\n")[2].partition("```")[0]
        assert (ROOT / "deploy/proxy" / file).read_text("utf-8").partition("\n")[2] == shown


def test_what_runs_in_the_unit_and_the_container_are_commands() -> None:
    files = [UNIT, RENEWAL, ROOT / "deploy/container/Containerfile", ROOT / "deploy/container/compose.yml"]
    text = "".join(file.read_text("utf-8") for file in files)
    assert set(re.findall(r"(?:bin/|twotick )twotick (\w+)|\"twotick\", \"(\w+)\"", text)) == {
        ("serve", ""),
        ("reload", ""),
        ("cert", ""),
        ("", "serve"),
    }
