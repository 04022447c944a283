"""The files of deploy/: they are valid, and say what the documents say."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.simulation.patroni import DCS
from tests.tools import needed
from twotick.settings import Settings

ROOT = Path(__file__).parents[2]
UNIT = ROOT / "deploy/systemd/twotick.service"
RENEWAL = UNIT.with_name("twotick-certificate.service")
LITESTREAM = UNIT.with_name("twotick-litestream.service")


@pytest.mark.parametrize("unit", [UNIT, RENEWAL, LITESTREAM], ids=["server", "renewal", "litestream"])
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
    files.append(ROOT / "deploy/cluster/compose.yml")
    text = "".join(file.read_text("utf-8") for file in files)
    assert set(re.findall(r"(?:bin/|twotick )twotick (\w+)|\"twotick\", \"(\w+)\"", text)) == {
        ("serve", ""),
        ("reload", ""),
        ("cert", ""),
        ("", "serve"),
    }


def test_the_failures_are_tried_with_the_settings_of_patroni_that_are_recommended() -> None:
    """What `make crash-cluster` uses is what deploy/patroni.yml says."""
    text = (ROOT / "deploy/patroni.yml").read_text("utf-8")
    said = dict(re.findall(r"^ +(\w+): \"?([\w]+)\"?(?: +#.*)?$", text, re.MULTILINE))
    used = DCS | DCS["postgresql"]["parameters"]
    for name, value in said.items():
        if name != "wal_keep_size":  # the tests have small disks
            assert str(used.get(name, DCS["postgresql"].get(name))).lower() == value, name
    assert {"ttl", "synchronous_mode_strict", "tcp_keepalives_idle"} <= said.keys()


def test_the_servers_of_the_cluster_have_settings_that_exist() -> None:
    text = (ROOT / "deploy/cluster/compose.yml").read_text("utf-8")
    found = {name.lower() for name in re.findall(r"TWOTICK_(\w+):", text)}
    assert "database" in found
    assert found <= set(Settings.__struct_fields__) | {"bus", "bus_ca"}
