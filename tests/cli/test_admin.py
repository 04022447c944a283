"""The operator's page: who may use it, and what it does (docs/operations.md, "The operator's page")."""

import base64
import http.client
import io
import json
import signal
import zipfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from tests.cli.commands import started
from tests.cli.operating import PASSWORD, Operator, address, answer, basic, log_in, outcome
from tests.sockets import PATIENCE


class PageClient:
    """What the operator's page does in a browser.

    Attributes:
        url: the page of the chat.
        session: the session, once an operator has logged in.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._host = urlsplit(url).netloc
        self._connection = http.client.HTTPConnection(self._host, timeout=PATIENCE)
        self.session = ""

    def ask(self, method: str, what: str, query: dict[str, str] | None = None, **headers: str) -> tuple[int, Any]:
        """Ask; return the status and the content of the answer."""
        given = {"Authorization": f"Bearer {self.session}", "Origin": f"http://{self._host}"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"/admin/api/{what}" + (f"?{urlencode(query)}" if query else "")
        self._connection.request(method, path, headers=given)
        answered = self._connection.getresponse()
        assert answered.headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self';")
        content = answered.read()
        return answered.status, json.loads(content) if answered.headers[
            "Content-Type"
        ] == "application/json" else content

    def get(self, target: str) -> None:
        """Ask with any target, as one asks a proxy."""
        self._connection.request("GET", target)
        self._connection.getresponse().read()

    def log_in(self, name: str, password: str = PASSWORD, **headers: str) -> int:
        credential = base64.b64encode(f"{name}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {credential}", "X-Name": name, **headers}
        status, found = self.ask("POST", "login", None, **headers)
        self.session = found["session"] if status == 200 else self.session
        return status

    def act(self, what: str, **query: str) -> Any:
        """Do what must succeed."""
        status, found = self.ask("POST", what, query)
        assert status == 200, found
        return found

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    operator = Operator(tmp_path / "data", WEB="yes", WEB_PORT="0", SIGN_UP="invite")
    operator.prepare("alice", "bob", "olga")
    operator.do("user", "role", "olga", "operator")
    return operator


@contextmanager
def serving(operator: Operator) -> Generator[tuple[tuple[str, int], PageClient]]:
    with started("serve", "--port", "0", env=operator.environment) as server:
        where = address(server.line().removeprefix("listening on "))
        page = PageClient(server.line().removeprefix("web page: "))
        yield where, page
        page.close()


def test_only_a_member_with_the_role_is_let_in(operator: Operator) -> None:
    with serving(operator) as (_, page):
        assert page.ask("GET", "members") == (401, {"problem": "log in again"})
        assert page.log_in("alice") == 403
        assert page.log_in("olga", "wrong password") == 401
        assert page.ask("POST", "login", Authorization="Bearer x", X_Name="olga")[0] == 401
        assert page.log_in("olga", Origin="http://evil.example") == 403
        assert page.log_in("olga", Sec_Fetch_Site="cross-site") == 403
        assert page.log_in("olga") == 200
        status, found = page.ask("GET", "members")
        assert (status, [each["name"] for each in found["members"]]) == (200, ["alice", "bob", "olga"])
        assert page.ask("GET", "members", Origin="http://evil.example")[0] == 403
        assert page.ask("GET", "members", Authorization="Bearer wrong")[0] == 401
        for method, what in (("GET", "disable"), ("POST", "members"), ("GET", "nothing"), ("PUT", "disable")):
            assert page.ask(method, what)[0] == 404
        for what in ("disable", "remove", "role", "reset"):
            assert page.ask("POST", what, {"name": "OLGA"})[0] == 409, "an operator cannot lock itself out"
        operator.do("user", "role", "olga", "member")
        assert page.ask("GET", "members") == (401, {"problem": "your rights have changed: log in again"})
        operator.do("user", "role", "olga", "operator")
        assert page.ask("GET", "members")[0] == 401, "the session has ended"
        assert page.log_in("olga") == 200
        operator.do("user", "passwd", "olga", stdin=b"another password\n")
        assert page.ask("GET", "members")[0] == 401
        assert page.log_in("olga", "another password") == 200
        assert page.ask("POST", "logout")[0] == 200
        assert page.ask("GET", "members")[0] == 401


def test_all_that_the_page_does_takes_effect_at_once(operator: Operator) -> None:
    with serving(operator) as (where, page):
        assert page.log_in("olga") == 200
        alice, _ = log_in(where, "alice", basic("alice", PASSWORD))
        page.act("disable", name="alice")
        assert answer(alice).splitlines()[:2] == ["ERROR 108 Replaced", "Reason: the account was disabled"]
        assert page.ask("POST", "reset", {"name": "alice"})[0] == 409
        page.act("enable", name="alice")
        alice.close()
        alice, line = log_in(where, "alice", basic("alice", PASSWORD))
        assert line.startswith("REGISTERED ")
        code = page.act("reset", name="alice")["code"]
        assert "has reset this account" in answer(alice)
        alice.close()
        assert outcome(where, "alice", basic("alice", "a new password"), sign_up=code).startswith("REGISTERED ")
        (device,) = page.ask("GET", "devices", {"name": "alice"})[1]
        page.act("revoke", name="alice", device=device["name"])
        assert page.ask("GET", "devices", {"name": "alice"})[1] == []
        operator.do("bot", "add", "helper", "--to", "alice")
        assert page.ask("POST", "reset", {"name": "helper"})[0] == 409, "a bot has no password"
        assert operator.run("user", "reset", "helper").returncode == 65
        operator.do("user", "remove", "helper", "--yes")
        page.act("rename", name="bob", display="Bob B.")
        assert page.ask("POST", "rename", {"name": "bob", "display": "a\u202eb"})[0] == 400
        (bob,) = page.ask("GET", "members", {"find": "BO"})[1]["members"]
        assert (bob["name"], bob["display"]) == ("bob", "Bob B.")
        assert page.ask("GET", "members", {"find": "%"})[1]["members"] == []
        code = page.act("invite", days="3")["code"]
        (invitation,) = page.ask("GET", "invitations")[1]
        assert outcome(where, "carol", basic("carol", PASSWORD), sign_up=code).startswith("REGISTERED ")
        assert page.ask("POST", "withdraw", {"id": invitation["id"]})[0] == 404
        page.act("invite")
        page.act("withdraw", id=page.ask("GET", "invitations")[1][0]["id"])
        assert page.ask("POST", "invite", {"days": "0"})[0] == page.ask("POST", "invite", {"days": "x"})[0] == 400
        reporter, _ = log_in(where, "bob", basic("bob", PASSWORD))
        reporter.write(b"REPORT alice\nContent-length: 4\nId: p1\n\nspam")
        assert answer(reporter).startswith("REPORT alice\n")
        (report,) = page.ask("GET", "reports")[1]
        assert (report["from"], report["about"], report["text"], report["message"]) == ("bob", "alice", "spam", None)
        page.act("close", number=str(report["number"]))
        assert page.ask("POST", "close", {"number": str(report["number"])})[0] == 404
        assert page.ask("POST", "close", {"number": "\u0663"})[0] == 404
        reporter.close()
        page.act("role", name="bob", role="operator")
        assert page.ask("GET", "status")[1]["connections"]["limit"] > 0
        page.act("remove", name="bob")
        assert page.ask("POST", "remove", {"name": "bob"})[0] == 404
    operator.settings["WEB_URL"] = "https://chat.example"
    assert operator.do("admin", "--no-open") == "https://chat.example/admin/\n"


def test_bots_and_archives_are_on_the_page(operator: Operator) -> None:
    operator.do("bot", "add", "helper", "--to", "alice", "--read", "bob")
    operator.do("user", "role", "bob", "operator")
    with serving(operator) as (_, page):
        assert page.log_in("olga") == 200
        assert page.ask("POST", "disable", {"name": "helper"})[0] == 200
        assert page.ask("GET", "bots") == (
            200,
            [{"name": "helper", "to": ["alice"], "read": ["bob"], "disabled": True}],
        )
        made = page.act("export", name="alice")
        piece = {"id": made["id"], "offset": "0"}
        other = PageClient(page.url)
        assert other.log_in("bob") == 200
        assert other.ask("GET", "archive", piece)[0] == 404, "it is of another operator"
        assert other.ask("GET", "archive", {"id": "x", "offset": "-1"})[0] == 404
        second = page.act("export", name="helper")
        assert page.ask("GET", "archive", piece)[0] == 404, "an operator has one at a time"
        status, content = page.ask("GET", "archive", {"id": second["id"], "offset": "0"})
        assert (status, len(content)) == (200, second["size"])
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            assert json.loads(archive.read("profile.json"))["bot"] is True
        assert page.ask("GET", "archive", {"id": second["id"], "offset": "0"})[0] == 404, "it was given"
        assert page.ask("POST", "export", {"name": "nina"})[0] == 404
        other.act("export", name="olga")
        operator.do("user", "role", "bob", "member")
        assert other.ask("GET", "archive", piece)[0] == 401
        other.close()
    assert {each.name for each in operator.data.iterdir()} >= {"twotick.db", "lock"}
    assert not list(operator.data.glob("tmp*")), "archives have no names"


def test_requests_and_logins_are_logged_if_the_levels_say_so(operator: Operator) -> None:
    settings = operator.data.parent / "twotick.toml"
    settings.write_text('log_level = "warning, web=info, login=info"\n')
    operator.settings["CONFIG"] = str(settings)
    with started("serve", "--port", "0", env=operator.environment) as server:
        where = address(server.line().removeprefix("listening on "))
        page = PageClient(server.line().removeprefix("web page: "))
        assert page.log_in("olga") == 200
        assert page.ask("GET", "members", {"find": "topsecret"})[0] == 200
        for token in ("tt_topsecret", "%74t_topsecret"):
            page.ask("GET", f"hooks/{token}")
        page.get("http://olga:topsecret@chat.example/x%0d%0ay")
        assert outcome(where, "alice", basic("alice", "wrong password")).startswith("ERROR 104 ")
        assert outcome(where, "alice", basic("alice", PASSWORD)).startswith("REGISTERED ")
        settings.write_text('log_level = "warning, web=error"\n')
        assert operator.do("reload") == "changed: log_level\n"
        assert outcome(where, "alice", basic("alice", PASSWORD)).startswith("REGISTERED ")
        assert page.ask("GET", "members")[0] == 200
        page.close()
        ended = server.end(signal.SIGTERM)
    entries = [json.loads(line) for line in ended.stderr.splitlines()]
    for entry in entries:
        del entry["timestamp"]
    here = {"address": "127.0.0.1", "level": "info"}
    assert entries == [
        {"event": "request", "part": "web", "request": "POST /admin/api/login", "status": 200, **here},
        {"event": "request", "part": "web", "request": "GET /admin/api/members", "status": 200, **here},
        {"event": "request", "part": "web", "request": "GET /admin/api/hooks/tt_...", "status": 404, **here},
        {"event": "request", "part": "web", "request": "GET /admin/api/hooks/tt_...", "status": 404, **here},
        {"event": "request", "part": "web", "request": "GET /x\r\ny", "status": 400, **here},
        {
            "event": "login refused",
            "part": "login",
            "name": "alice",
            **here,
            "reason": "wrong name, password or token",
        },
        {"event": "logged in", "part": "login", "name": "alice", "device": "main", "by": "password", **here},
        {"event": "the settings were loaded again", "level": "warning", "changed": ["log_level"], "after_restart": []},
    ]
    assert not any(secret in ended.stderr for secret in ("topsecret", PASSWORD, "wrong password", page.session))
