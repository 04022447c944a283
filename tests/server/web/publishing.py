"""A server with bots, programs that publish, and what their recipients have got."""

import http.client
import json
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.sockets import PATIENCE, ServerProcess
from twotick import admin
from twotick.store import CreateRoom, Fetch, FindMember, JoinRoom, LogEntry, SqliteStore, StoreLimits

LIMITS = StoreLimits()


def prepare(data: Path) -> dict[str, str]:
    """Make alice and bob, who are in #ops, and bots; the tokens of these, by name."""
    store = SqliteStore(data, LIMITS)
    for name in ("alice", "bob"):
        admin.add(store, name, b"correct horse")
    alice, bob = store.ask(FindMember("alice")), store.ask(FindMember("bob"))
    assert alice is not None
    assert bob is not None
    store.ask(CreateRoom(alice.number, "#ops", True, "", time.time()))
    store.ask(JoinRoom(bob.number, "#ops", time.time()))
    tokens = {
        "one": admin.add_bot(store, "one", ["bob"], []),
        "many": admin.add_bot(store, "many", ["bob", "#ops"], []),
        "none": admin.add_bot(store, "none", [], ["bob"]),
        "bob": admin.new_token(store, "bob", "phone"),
        "alice": admin.new_token(store, "alice", "phone"),
    }
    store.close()
    return tokens


class Program:
    """A program that publishes.

    Attributes:
        server: the server.
        data: its data.
        tokens: the tokens of the bots, by name.
    """

    def __init__(self, server: ServerProcess, data: Path, tokens: dict[str, str]) -> None:
        self.server = server
        self.data = data
        self.tokens = tokens

    @property
    def address(self) -> str:
        assert self.server.page is not None
        return f"127.0.0.1:{self.server.page[1]}"

    def ask(
        self, path: str, body: bytes | str | None = None, *, method: str = "POST", bot: str = "", **headers: str
    ) -> tuple[int, dict[str, str], Any]:
        """Send one request; the status, the headers and the content of the answer, which is JSON or a text."""
        assert self.server.page is not None
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if bot:
            given["authorization"] = f"Bearer {self.tokens[bot]}"
        with closing(http.client.HTTPConnection(*self.server.page, timeout=PATIENCE)) as connection:
            connection.request(method, path, body.encode() if isinstance(body, str) else body, given)
            answer = connection.getresponse()
            content = answer.read()
        found = {name.lower(): value for name, value in answer.getheaders()}
        is_json = found.get("content-type") == "application/json"
        return answer.status, found, json.loads(content) if is_json else content.decode()

    def post(self, path: str, content: Any, **more: str) -> tuple[int, Any]:
        """Publish JSON; the status and the answer."""
        status, _, answer = self.ask(path, json.dumps(content), content_type="application/json", **more)
        return status, answer

    def entries(self, name: str = "bob") -> list[LogEntry]:
        """The messages in a member's log, without events and receipts."""
        with closing(SqliteStore(self.data, LIMITS, exclusive=False)) as store:
            member = store.ask(FindMember(name))
            assert member is not None
            log = store.ask(Fetch(member.number, 0, 10_000, 1 << 30)).entries
        return [entry for entry in log if entry.kind == 1 and entry.id]

    def got(self, name: str = "bob") -> list[str]:
        """The texts that a member has got."""
        return [entry.body.decode() for entry in self.entries(name)]
