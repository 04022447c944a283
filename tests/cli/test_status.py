"""How a running server is: `twotick status`, health and metrics."""

import contextlib
import itertools
import json
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import urllib.request
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cli.commands import Started, run, started
from tests.cli.operating import PASSWORD, Operator, address, answer, basic, log_in, outcome
from tests.sockets import PATIENCE, patiently
from tests.store.postgres_server import free_port
from tests.tools import needed

ROOT = Path(__file__).parents[2]


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    operator = Operator(tmp_path / "data", METRICS_PORT="0", REQUESTS_MEMBER="2")
    operator.prepare("alice", "bob")
    return operator


@contextmanager
def serving(operator: Operator) -> Generator[tuple[Started, tuple[str, int], tuple[str, int]]]:
    """Run a server; yield it, its address, and that of its metrics."""
    with started("serve", "--port", "0", env=operator.environment) as server:
        where = address(server.line().removeprefix("listening on "))
        found = re.fullmatch(r"metrics: http://(\S+:\d+)/metrics", server.line())
        assert found
        yield server, where, address(found[1])


def ask(where: tuple[str, int], request: bytes) -> tuple[int, str]:
    """Send a request; return the status and the content of the answer."""
    with socket.create_connection(where, PATIENCE) as connection:
        connection.sendall(request)
        found = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, content = found.partition(b"\r\n\r\n")
    return int(head.split()[1]), content.decode()


def get(where: tuple[str, int], path: str) -> tuple[int, str]:
    return ask(where, f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())


def promtool(*arguments: str, stdin: str = "") -> None:
    """Let Prometheus's own tool check something."""
    program = needed("promtool", "apt-get install prometheus")
    checked = subprocess.run([program, *arguments], input=stdin, capture_output=True, text=True, timeout=PATIENCE)
    assert (checked.returncode, checked.stderr) == (0, ""), checked


def test_a_message_is_counted_and_no_metric_names_a_user(operator: Operator) -> None:
    with serving(operator) as (_, where, metrics):
        assert outcome(where, "alice", basic("alice", "wrong")).startswith("ERROR 104 ")
        alice, _ = log_in(where, "alice", basic("alice", PASSWORD))
        bob, _ = log_in(where, "bob", basic("bob", PASSWORD))
        alice.write(b"SEND bob\nContent-length: 5\nId: m1\n\nhello")
        assert answer(alice).startswith("ACCEPTED bob\n")
        assert answer(bob).startswith("FORWARD alice\n")
        bob.expect(b"hello")
        assert 'twotick_messages_total{outcome="delivered"} 0.0' in get(metrics, "/metrics")[1]
        bob.write(b"RECEIVED alice\nSeq: 1\n\n")
        for _ in patiently():
            if 'outcome="delivered"} 1.0' in get(metrics, "/metrics")[1]:
                break
        status, text = get(metrics, "/metrics")
        assert status == 200
        for line in (
            'twotick_messages_total{outcome="accepted"} 1.0',
            'twotick_delivery_seconds_count{to="member"} 1.0',
            'twotick_delivery_seconds_count{to="room"} 0.0',
            'twotick_logins_total{result="accepted"} 2.0',
            'twotick_logins_total{result="refused"} 1.0',
            'twotick_connections{kind="member",transport="socket"} 2.0',
            "twotick_disk_full 0.0",
        ):
            assert f"{line}\n" in text, text
        assert not re.search("alice|bob|127.0", text)
        found = json.loads(operator.do("status", "--json"))
        assert found["messages"].pop("per_second") >= 0
        assert found["messages"] == {"accepted": 1, "delivered": 1, "failed": 0, "relayed": 0}
        assert (found["members"], found["ready"], found["warnings"], found["met_limits"]) == (2, True, [], [])
        assert "connections  2 of members, 0 of guests" in operator.do("status")
        said = ""
        # Beyond two: what was counted is paid off meanwhile, so that the third may still be in the limit.
        for number in itertools.count():
            alice.write(b"SEARCH\nContent-length: 4\nId: s%d\n\nword" % number)
            while f"Id: s{number}\n" not in said:  # after what became of the message
                said = answer(alice)
            if said.startswith("ERROR 105"):
                break
        status = operator.do("status")
        assert re.search(r"^limit +alice met requests once .+ ago$", status, re.MULTILINE), status
        alice.close()
        bob.close()
        promtool("check", "metrics", stdin=text)


def test_a_server_says_whether_it_is_ready(operator: Operator, tmp_path: Path) -> None:
    with serving(operator) as (server, _, metrics):
        assert get(metrics, "/healthz") == (200, "ok\n")
        assert get(metrics, "/readyz") == (200, "ready\n")
        operator.data.rename(tmp_path / "away")
        status, text = get(metrics, "/readyz")
        assert (status, text.startswith("the data folder cannot be written: ")) == (503, True), text
        assert get(metrics, "/healthz") == (200, "ok\n")
        (tmp_path / "away").rename(operator.data)
        assert get(metrics, "/readyz") == (200, "ready\n")

        assert ask(metrics, b"HEAD /readyz HTTP/1.1\r\nHost: x\r\n\r\n") == (200, "")
        assert get(metrics, "/status")[0] == 404  # only the owner of the data may ask that
        assert ask(metrics, b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")[0] == 405
        assert ask(metrics, b"\x16\x03\x01 nonsense\r\n\r\n")[0] == 400
        assert ask(metrics, b"GET / HTTP/1.1\r\nX: " + b"x" * 20000 + b"\r\n\r\n")[0] == 431
        idle = [socket.create_connection(metrics, PATIENCE) for _ in range(100)]
        assert get(metrics, "/healthz") == (200, "ok\n")  # at once, although these say nothing
        for each in idle:
            each.close()
        ended = server.end(signal.SIGTERM)
        assert (ended.returncode, ended.stderr) == (0, "")
    assert not (operator.data / "control").exists()


def test_status_says_what_the_server_says_when_the_database_is_locked(operator: Operator) -> None:
    with serving(operator), closing(sqlite3.connect(operator.data / "twotick.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        ended = operator.run("status")
    assert (ended.returncode, ended.stderr) == (65, "")
    assert ended.stdout.startswith("version ")
    assert "Warning: not ready: the data did not answer within 5 s\n  look at the disk: " in ended.stdout


def test_status_without_a_server_says_what_to_do(operator: Operator) -> None:
    ended = operator.run("status")
    assert (ended.returncode, ended.stderr) == (65, "")
    assert ended.stdout.startswith("members      2, with 0 devices\n")
    assert "Warning: no server runs on this data\n  start it: " in ended.stdout
    assert run("status", "--data", "/nonexistent").returncode == 65


def test_the_port_for_monitoring_needs_an_address(operator: Operator) -> None:
    operator.settings["METRICS_HOST"] = ""
    ended = run("serve", "--port", "0", env=operator.environment)
    assert (ended.returncode, ended.stdout) == (64, "")
    assert ended.stderr == "twotick: metrics_host names no address: set it to one, for example '127.0.0.1'\n"


def test_the_port_for_monitoring_can_be_taken(operator: Operator) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        ended = run("serve", "--port", "0", env={**operator.environment, "TWOTICK_METRICS_PORT": port})
    assert (ended.returncode, ended.stdout) == (71, "")
    assert "choose another port with the setting metrics_port" in ended.stderr


def test_members_are_listed_with_what_is_kept_for_them(operator: Operator) -> None:
    with serving(operator) as (_, where, _):
        bob, _ = log_in(where, "bob", basic("bob", PASSWORD))
        bob.close()
        alice, _ = log_in(where, "alice", basic("alice", PASSWORD))
        alice.write(b"SEND bob\nContent-length: 5\nId: m1\n\nhello")
        assert answer(alice).startswith("ACCEPTED bob\n")
        listed = [json.loads(line) for line in operator.do("user", "list", "--json").splitlines()]
        assert [(each["name"], each["devices"], each["waiting"], each["waiting_bytes"]) for each in listed] == [
            ("alice", 1, 0, 0),
            ("bob", 1, 1, 5),
        ]
        shown = operator.do("user", "list").splitlines()
        alice.close()
        assert re.fullmatch(r"bob +1 device +seen \d+ (s|min) ago, 1 waiting \(5 bytes\)", shown[1]), shown


def test_alerts_and_the_dashboard_name_metrics_that_exist(operator: Operator) -> None:
    rules = (ROOT / "deploy/prometheus/twotick.rules.yml").read_text("utf-8")
    dashboard = (ROOT / "deploy/grafana/twotick.json").read_text("utf-8")
    with serving(operator) as (_, _, metrics):
        text = get(metrics, "/metrics")[1]
    missing = [name for name in set(re.findall(r"twotick_[a-z_]+", rules + dashboard)) if name not in text]
    # This server has no certificate, and makes no backups.
    assert set(missing) == {"twotick_certificate_expiry_timestamp_seconds", "twotick_backup_timestamp_seconds"}
    assert json.loads(dashboard)["title"] == "Twotick"
    promtool("check", "rules", str(ROOT / "deploy/prometheus/twotick.rules.yml"))


def prometheus_says(port: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v1/{path}", timeout=PATIENCE) as found:
        return json.load(found)["data"]


def test_prometheus_reads_the_metrics_with_the_settings_of_the_documentation(
    operator: Operator, tmp_path: Path
) -> None:
    program = needed("prometheus", "apt-get install prometheus")
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    settings = page.partition("```yaml\nscrape_configs:")[2].partition("```")[0]
    shutil.copy(ROOT / "deploy/prometheus/twotick.rules.yml", tmp_path)
    port = free_port()
    with serving(operator) as (_, _, metrics):
        config = tmp_path / "prometheus.yml"
        settings = settings.replace("127.0.0.1:18090", f"127.0.0.1:{metrics[1]}")
        config.write_text(f"global: {{scrape_interval: 200ms, evaluation_interval: 200ms}}\nscrape_configs:{settings}")
        options = [f"--config.file={config}", f"--storage.tsdb.path={tmp_path}/tsdb"]
        options += [f"--web.listen-address=127.0.0.1:{port}", "--log.level=error"]
        with subprocess.Popen([program, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as prometheus:
            try:
                for _ in patiently():
                    with contextlib.suppress(OSError):
                        if prometheus_says(port, "query?query=twotick_info")["result"]:
                            break
                    assert prometheus.poll() is None
                targets = prometheus_says(port, "targets")["activeTargets"]
                assert [(each["labels"]["job"], each["health"], each["lastError"]) for each in targets] == [
                    ("twotick", "up", "")
                ]
                rules: list[Any] = []
                for _ in patiently():
                    rules = prometheus_says(port, "rules")["groups"][0]["rules"]
                    if all(each["health"] != "unknown" for each in rules):
                        break
                assert {each["name"]: each["lastError"] for each in rules if each["health"] != "ok"} == {}
                assert {each["name"] for each in rules} >= {"TwotickDown", "TwotickDiskFull"}
            finally:
                prometheus.kill()
