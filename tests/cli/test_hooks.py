"""`twotick bot hook` and its kin: what the operator does about web hooks, while the server runs."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue

import twotick
from tests.cli.operating import Operator
from tests.sockets import PATIENCE
from twotick import admin
from twotick.store import AddDelayed, DelayedMessage, StoreLimits


async def test_a_hook_is_added_posted_to_listed_and_removed(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "server", ALLOW_LOCAL_HOOKS="yes")
    operator.add("alice")
    posts: Queue[str] = Queue()
    statuses = iter([404, 200])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.put(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["text"])
            self.send_response(next(statuses))
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(b"thanks")

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Keep the tests' output clean."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        with operator.serving() as (_, (host, port)):
            secret = operator.do("bot", "hook", "helper", "--from", "alice", url)
            assert secret.startswith("whsec_")
            assert operator.do("bot", "hooks") == f"{'helper':<32} {url}\n"
            token = operator.do("token", "alice", "main").strip()
            async with twotick.join("alice", f"{host}:{port}", token=token) as alice:
                await (await alice.send("helper", "hello")).delivered()
                assert posts.get(timeout=PATIENCE) == "hello"
                while not (failed := operator.do("bot", "failed", "helper", "--json")):
                    pass
                assert json.loads(failed)["reason"] == "it answers 404"
                assert operator.do("bot", "retry", "helper") == "1 message will be posted again\n"
                assert (await alice.receive()).text == "thanks"
            assert secret.strip() not in operator.do("bot", "hooks", "--json")
            assert operator.do("bot", "unhook", "helper") == ""
            assert operator.do("bot", "hooks") == ""
        server.shutdown()


def test_what_a_bot_is_to_send_later_is_listed_and_cancelled(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "server")
    operator.add("alice")
    operator.do("bot", "add", "cron", "--to", "alice")
    with admin.opened(admin.DataFolder(operator.data), StoreLimits()) as store:
        bot = admin.find_bot(store, "cron")
        store.ask(
            AddDelayed(DelayedMessage(bot.number, b"alice", b"d1", b"", 1796385600.0, "main", b"", b"", b"hello"))
        )
    assert operator.do("bot", "delayed", "cron") == f"2026-12-04T12:00:00+00:00  {'alice':<32} d1\n"
    assert json.loads(operator.do("bot", "delayed", "cron", "--json")) == {
        "time": "2026-12-04T12:00:00+00:00",
        "to": "alice",
        "id": "d1",
        "device": "main",
    }
    assert operator.do("bot", "cancel", "cron", "d1") == ""
    assert operator.do("bot", "delayed", "cron") == ""
    ended = operator.run("bot", "cancel", "cron", "d1")
    assert (ended.returncode, ended.stdout) == (65, "")
    assert "no message of cron with this Id waits: 'twotick bot delayed cron' lists them" in ended.stderr


def test_what_cannot_be_a_hook_is_refused(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "server")
    operator.add("alice")
    for url in ("http://example.org/", "https://127.0.0.1/"):
        ended = operator.run("bot", "hook", "alice", url)
        assert (ended.returncode, ended.stdout) == (64, "")
        assert "the URL of a hook" in ended.stderr
    for arguments in (["hook", "bob", "https://example.org/"], ["retry", "bob"]):
        assert operator.run("bot", *arguments).returncode == 65
    ended = operator.run("bot", "hook", "alice", "--from", "#team", "https://example.org/")
    assert (ended.returncode, ended.stdout) == (65, "")
    assert "alice is no bot" in ended.stderr
