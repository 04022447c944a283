"""The programs that publish, as they are and as docs/integrations.md says: curl, Apprise, Alertmanager."""

import asyncio
import http.client
import json
import re
import shlex
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

import twotick
from tests.server.web import publishing
from tests.server.web.publishing import LIMITS, Program
from tests.sockets import PATIENCE, ServerProcess, patiently, serving
from tests.store.postgres_server import free_port
from tests.tools import missing, needed
from twotick import admin
from twotick.server import ServerLimits
from twotick.store import SqliteStore

PAGE = Path(__file__).parents[3] / "docs/integrations.md"
BIN = Path(sys.executable).parent


def section(about: str) -> str:
    """A section of the page."""
    return PAGE.read_text("utf-8").partition(f"\n## {about}\n")[2].partition("\n## ")[0]


def block(about: str, language: str = "") -> str:
    """The first block of a section."""
    found = re.search(rf"^```{language}\n(.*?)^```", section(about), re.DOTALL | re.MULTILINE)
    assert found, about
    return found[1]


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Generator[Program]:
    """A server, and the bot of the page, which the command of the page makes."""
    data = tmp_path_factory.mktemp("producing") / "data"
    tokens = publishing.prepare(data)
    with closing(SqliteStore(data, LIMITS)) as store:
        admin.add(store, "oncall", b"correct horse")
        tokens["oncall"] = admin.new_token(store, "oncall", "phone")
    command = re.search(r"^(twotick bot add .*?) +# ", PAGE.read_text("utf-8"), re.MULTILINE)
    assert command
    made = subprocess.run(
        ["/bin/sh", "-c", f"{BIN}/{command[1]} --data {data}"], capture_output=True, text=True, check=True
    )
    with serving(ServerLimits(), web=True, data=str(data)) as server:
        yield Program(server, data, {**tokens, "alerts": made.stdout.strip()})


def as_here(program: Program, text: str) -> str:
    """A text of the page with this server's address and token."""
    text = text.replace("https://chat.example", f"http://{program.address}")
    text = re.sub(r"\b(ntfy|gotify|mmost|json)s://", r"\1://", text).replace("chat.example", program.address)
    return text.replace("tt_TOKEN", program.tokens["alerts"])


async def test_the_lines_with_curl(program: Program, tmp_path: Path) -> None:
    """Also the one that waits for a person, who takes what comes meanwhile."""
    (tmp_path / "some-command").write_text("#!/bin/sh\necho out; echo err >&2\n")
    (tmp_path / "some-command").chmod(0o700)
    lines = re.findall(r"^(?:some-command.*\| )?curl .*$", section("curl and scripts"), re.MULTILINE)
    assert len(lines) == 7
    (tmp_path / "flower.jpg").write_bytes(b"\xff\xd8\xff")

    def run(line: str) -> dict[str, Any]:
        command = f'PATH="{tmp_path}:$PATH"; {as_here(program, line)}'
        done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=True, cwd=tmp_path)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    async def take() -> None:
        async for _ in me:
            pass  # the next one acknowledges it

    server = f"127.0.0.1:{program.server.address[1]}"
    async with twotick.join("oncall", token=program.tokens["oncall"], server=server) as me:
        taking = asyncio.create_task(take())
        answers = [await asyncio.to_thread(run, line) for line in lines]
        taking.cancel()
    assert [each["topic"] for each in answers] == ["ops", "oncall", "oncall", "oncall", "ops", "oncall", "oncall"]
    assert answers[4]["attachment"]["name"] == "flower.jpg"
    assert answers[5]["time"] > time.time()
    assert answers[6]["event"] == "message_delete"
    assert (answers[3]["state"], answers[3]["exit"]) == ("delivered", 0)
    assert program.got("oncall") == ["\u26a0\ufe0f *Backup* (high)\nfailed\ntags: db1", "out\nerr", "wake up"]
    assert program.got("alice") == ["disk full", "from the garden"]


def test_the_lines_with_apprise(program: Program, tmp_path: Path) -> None:
    if not (BIN / "apprise").exists():
        missing("apprise", "pip install apprise")
    before = len(program.got("alice"))
    with_file, *lines = sorted(as_here(program, block("Apprise")).splitlines(), key=lambda line: " -a " not in line)
    assert len(lines) == 4
    urls = [line.partition(" -b failed ")[2].strip("'") for line in lines]  # at once: each start takes a second
    command = [f"{BIN}/apprise", "-t", "Backup", "-b", "failed", *urls]
    subprocess.run(command, check=True, capture_output=True, timeout=PATIENCE)
    texts = program.got("alice")[before:]
    assert len(texts) == 4
    assert all("failed" in text and "Backup" in text for text in texts), texts
    (tmp_path / "backup.log").write_bytes(b"\xff" * 100_000)
    arguments = [f"{BIN}/apprise", *shlex.split(with_file)[1:]]
    subprocess.run(arguments, check=True, capture_output=True, timeout=PATIENCE, cwd=tmp_path)
    entry = program.entries("alice")[-1]
    assert entry.body == b"*Backup*\nthe log"
    assert b"File-name: backup.log\nFile-size: 100000\n" in entry.headers


# Alertmanager


class Unlucky:
    """A server that is killed before Alertmanager gets its first answers: it has stored what comes again.

    Attributes:
        told: the statuses of the alerts, each time they came.
        answered: how often Alertmanager got an answer, by the status of the alerts.
    """

    def __init__(self, data: Path, tokens: dict[str, str]) -> None:
        self._data = data
        self._tokens = tokens
        self.told: list[str] = []
        self.answered: dict[str, int] = {}
        self.program = self._started()

    def _started(self) -> Program:
        return Program(ServerProcess(ServerLimits(), web=True, data=str(self._data)), self._data, self._tokens)

    def pass_on(self, path: str, headers: dict[str, str], body: bytes) -> int:
        """The status of the answer; 0 if none comes."""
        status: str = json.loads(body)["status"]
        self.told.append(status)
        with closing(http.client.HTTPConnection(self.program.address, timeout=PATIENCE)) as connection:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse().status
        if self.told.count(status) == 1:
            self.program.server.kill()
            self.program = self._started()
            return 0
        self.answered[status] = self.answered.get(status, 0) + 1
        return answer


@contextmanager
def before(unlucky: Unlucky) -> Generator[int]:
    """The port at which Alertmanager meets it."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept = {name: self.headers[name] for name in ("Authorization", "Content-Type", "User-Agent")}
            if status := unlucky.pass_on(self.path, kept, body):
                with suppress(OSError):  # it may have given up
                    self.send_response(status)
                    self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield proxy.server_port
        finally:
            proxy.shutdown()
            thread.join()
            unlucky.program.server.kill()


def raise_alert(port: int, ends: float) -> None:
    def shown(moment: float) -> str:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))

    one = {
        "labels": {"alertname": "DiskFull", "instance": "db1", "severity": "critical"},
        "annotations": {"summary": "db1 is full"},
        "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": shown(ends),
    }
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/v2/alerts",
        json.dumps([one]).encode(),
        {"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=PATIENCE).close()


def test_alertmanager_tells_of_each_alert_once_though_the_server_is_killed(tmp_path: Path) -> None:
    """Before its answer, when an alert fires and when it resolves."""
    alertmanager = needed("prometheus-alertmanager", "apt-get install prometheus-alertmanager")
    data = tmp_path / "data"
    tokens = publishing.prepare(data)
    unlucky = Unlucky(data, tokens)
    with before(unlucky) as port:
        settings = block("Alertmanager", "yaml").replace(
            "https://chat.example/hooks/ops", f"http://127.0.0.1:{port}/hooks/bob"
        )
        route = "route: {receiver: chat, group_by: [alertname], group_wait: 0s, group_interval: 1s}\n"
        (tmp_path / "settings.yml").write_text(route + settings.replace("tt_TOKEN", tokens["one"]))
        own = free_port()
        command = [alertmanager, f"--config.file={tmp_path}/settings.yml", f"--storage.path={tmp_path}/state"]
        command += [f"--web.listen-address=127.0.0.1:{own}", "--cluster.listen-address=", "--log.level=error"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            try:
                for _ in patiently():
                    with suppress(OSError):
                        urllib.request.urlopen(f"http://127.0.0.1:{own}/-/ready", timeout=PATIENCE).close()
                        break
                    assert process.poll() is None
                for status, ends in (("firing", time.time() + 3600), ("resolved", time.time() - 1)):
                    raise_alert(own, ends)
                    for _ in patiently():
                        if unlucky.answered.get(status):
                            break
                    else:
                        pytest.fail(f"Alertmanager does not tell that it is {status}")
            finally:
                process.kill()
    program = unlucky.program
    assert unlucky.told[:2] == ["firing", "firing"]
    assert unlucky.told[-1] == "resolved"
    first, second = program.entries()
    assert second.headers.endswith(b"Edits: %b\n" % first.id)
    assert first.body == second.body, "the first one is edited"
    assert first.body.decode().splitlines()[:2] == ["\u2705 *resolved: DiskFull*", "resolved: db1 is full"]
    assert b"X-priority" not in first.headers
