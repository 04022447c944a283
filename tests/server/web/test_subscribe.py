"""Subscribing by HTTP, as ntfy's clients do (docs/protocol.md, section 23)."""

import asyncio
import base64
import http.client
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import ExitStack, closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_websocket

from tests.client.room_guests import guest_in
from tests.server.web import publishing
from tests.server.web.publishing import LIMITS, Program
from tests.sockets import PATIENCE, Peer, ServerProcess, patiently, serving
from twotick import admin
from twotick.client import join
from twotick.exchange import Limits
from twotick.server import ServerLimits
from twotick.store import FindMember, ListDevices, SqliteStore
from twotick.wire import Side, Verb, frame, register


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Generator[Program]:
    data = tmp_path_factory.mktemp("subscribing") / "data"
    tokens = publishing.prepare(data)
    with closing(SqliteStore(data, LIMITS)) as store:
        for name, sends, reads in (
            ("both", ["#ops"], ["#ops", "alice"]),
            ("lost", [], ["bob", "alice"]),
        ):
            tokens[name] = admin.add_bot(store, name, sends, reads)
    with serving(ServerLimits(register_timeout=5), web=True, data=str(data)) as server:
        yield Program(server, data, tokens)


_NUMBERS = count(1)


@pytest.fixture
def team(program: Program) -> str:
    """A bot that no other test uses, so that nothing waits for it; it reads #ops, and sends there."""
    name = f"team{next(_NUMBERS)}"
    with closing(SqliteStore(program.data, LIMITS, exclusive=False)) as store:
        program.tokens[name] = admin.add_bot(store, name, ["#ops"], ["#ops"])
    return name


@pytest.fixture
def feed(program: Program) -> str:
    """Another one, which reads what a bot sends to it that is named as it is, with `to` in front."""
    name = f"feed{next(_NUMBERS)}"
    with closing(SqliteStore(program.data, LIMITS, exclusive=False)) as store:
        program.tokens[f"to{name}"] = admin.add_bot(store, f"to{name}", [], [])
        program.tokens[name] = admin.add_bot(store, name, [], [f"to{name}"])
        admin.set_bot_rights(store, f"to{name}", [name], [], allowed=True)
    return name


class Stream:
    """The lines of a subscription."""

    def __init__(self, program: Program, path: str, bot: str = "", **headers: str) -> None:
        assert program.server.page is not None
        self._connection = http.client.HTTPConnection(*program.server.page, timeout=PATIENCE)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if bot:
            headers["authorization"] = f"Bearer {program.tokens[bot]}"
        self._connection.request("GET", path, headers=headers)
        self.answer = self._connection.getresponse()
        self.status = self.answer.status

    def line(self) -> bytes:
        return self.answer.readline()

    def event(self) -> dict[str, Any]:
        return json.loads(self.line())

    def rest(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.answer.read().splitlines()]

    def close(self) -> None:
        self.answer.close()
        self._connection.close()


@contextmanager
def subscribed(program: Program, path: str, bot: str, **headers: str) -> Generator[Stream]:
    """A subscription in JSON that is there."""
    with closing(Stream(program, path, bot, **headers)) as stream:
        assert stream.status == 200
        assert stream.event()["event"] == "open"
        yield stream


def test_a_file_is_told_as_ntfy_tells_of_one(program: Program, feed: str) -> None:
    with subscribed(program, f"/to{feed}/json", feed) as stream:
        program.ask(f"/{feed}", b"\xff\xd8\xff\xe0", bot=f"to{feed}", message="look")
        event = stream.event()
        assert event["message"] == "look\nfile: attachment.jpg"
        assert event["attachment"] == {"name": "attachment.jpg", "type": "image/jpeg", "size": 4}


def test_messages_come_as_ntfy_has_them_and_are_delivered(program: Program, feed: str) -> None:
    with subscribed(program, f"/to{feed}/json", feed) as stream:
        headers = {"title": "Backup", "priority": "high", "tags": "warning,db1", "click": "http://x/"}
        status, _, sent = program.ask(f"/{feed}?until=delivered&wait=60", "disk\nfull", bot=f"to{feed}", **headers)
        assert (status, sent["state"]) == (200, "delivered")
        first = stream.event()
        assert first == {
            "id": first["id"],
            "time": first["time"],
            "expires": first["time"] + 400 * 86400,
            "event": "message",
            "topic": f"to{feed}",
            "from": f"to{feed}",
            "sequence_id": sent["id"],
            "title": "Backup",
            "message": "disk\nfull",
            "priority": 4,
            "tags": ["warning", "db1"],
            "click": "http://x/",
        }
    assert wait_for_devices(program, feed) == []


def wait_for_devices(program: Program, bot: str) -> list[str]:
    """The devices of a bot besides that of its token, when those of subscribers that have left are gone."""
    for _ in patiently():
        if not devices(program, bot):
            break
    return devices(program, bot)


def devices(program: Program, bot: str) -> list[str]:
    with closing(SqliteStore(program.data, LIMITS, exclusive=False)) as store:
        member = store.ask(FindMember(bot))
        assert member is not None
        return [each.name for each in store.ask(ListDevices(member.number)) if each.name != "main"]


def test_curl_follows_a_room(program: Program, team: str) -> None:
    url = f"http://{program.address}/ops/json"
    command = ["curl", "-sSN", "-H", f"Authorization: Bearer {program.tokens[team]}", url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as curl:
        assert curl.stdout is not None
        opened = json.loads(curl.stdout.readline())
        assert (opened["event"], opened["topic"]) == ("open", "ops")
        for bot, text in (("many", "to all"), (team, "my own")):
            assert program.ask("/ops", text, bot=bot)[0] == 200
            found = json.loads(curl.stdout.readline())
            assert (found["from"], found["message"], found["topic"]) == (bot, text, "ops")
        curl.terminate()


def test_what_a_guest_has_sent_says_so(program: Program, team: str) -> None:
    address = ":".join(map(str, program.server.address))

    async def say() -> None:
        async with join("alice", address, password="correct horse") as alice:
            await alice.change_room("#ops", guests=True)
            async with guest_in("#ops", address) as guest:
                await guest.say("from outside")
            await alice.send("#ops", "from inside")

    with subscribed(program, "/ops/json", team) as stream:
        asyncio.run(say())
        told = [stream.event() for _ in range(2)]
    assert [(each["from"], each["message"], each.get("guest")) for each in told] == [
        ("ann", "from outside", True),
        ("alice", "from inside", None),
    ]


def test_a_browser_gets_events(program: Program, team: str) -> None:
    """EventSource sends no headers: the token is in the parameter `auth`, as ntfy has it."""
    credential = base64.b64encode(f":{program.tokens[team]}".encode()).decode()
    auth = base64.urlsafe_b64encode(f"Basic {credential}".encode()).decode().rstrip("=")
    with closing(Stream(program, f"/ops/sse?auth={auth}", origin="https://elsewhere.example")) as stream:
        assert stream.answer.getheader("content-type") == "text/event-stream; charset=utf-8"
        assert stream.answer.getheader("access-control-allow-origin") == "*"
        assert stream.line() == b"event: open\n"
        assert json.loads(stream.line().removeprefix(b"data: "))["topic"] == "ops"
        assert stream.line() == b"\n"
        assert program.ask("/ops", "line\n\nline", bot="many")[0] == 200
        identifier = stream.line().removeprefix(b"id: ").strip().decode()
        assert json.loads(stream.line().removeprefix(b"data: "))["message"] == "line\n\nline"
        assert stream.line() == b"\n"
    assert program.ask("/ops", "missed", bot="many")[0] == 200
    with closing(Stream(program, f"/ops/sse?auth={auth}", last_event_id=identifier)) as stream:
        assert stream.line() == b"event: open\n"
        assert [stream.line()[:4] for _ in range(3)] == [b"data", b"\n", b"id: "]
        assert json.loads(stream.line().removeprefix(b"data: "))["message"] == "missed"
    with closing(Stream(program, "/ops/raw", team)) as stream:
        assert stream.line() == b"\n"
        assert program.ask("/ops", "two\nlines", bot="many")[0] == 200
        assert b"two lines\n" in iter(stream.line, b"")  # what was missed may come again


def test_websockets(program: Program, team: str) -> None:
    headers = {"Authorization": f"Bearer {program.tokens[team]}"}
    with connect_websocket(f"ws://{program.address}/ops/ws", additional_headers=headers, proxy=None) as web:
        assert json.loads(web.recv(PATIENCE))["event"] == "open"
        assert web.ping().wait(PATIENCE)
        assert program.ask("/ops", "over a WebSocket", bot="many")[0] == 200
        assert json.loads(web.recv(PATIENCE))["message"] == "over a WebSocket"
    assert web.close_code == 1000
    assert program.ask("/ops/ws", method="GET", bot=team)[0] == 426
    with connect_websocket(f"ws://{program.address}/ops/ws", additional_headers=headers, proxy=None) as web:
        assert json.loads(web.recv(PATIENCE))["event"] == "open"
        web.socket.sendall(b"\xff" * 100)
        with pytest.raises(ConnectionClosed) as closed:
            web.recv(PATIENCE)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1002
    assert wait_for_devices(program, team) == []


def test_an_old_proxy_gets_no_chunks(program: Program, team: str) -> None:
    """Nginx asks with HTTP/1.0 unless it is told otherwise."""
    assert program.server.page is not None
    with socket.create_connection(program.server.page, PATIENCE) as proxy, proxy.makefile("rb") as lines:
        request = "GET /ops/json HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n"
        proxy.sendall(request.format(program.tokens[team]).encode())
        head = list(iter(lines.readline, b"\r\n"))
        assert head[0] == b"HTTP/1.1 200 OK\r\n"
        assert b"Transfer-Encoding: chunked\r\n" not in head
        assert json.loads(lines.readline())["event"] == "open"


def test_polling_and_what_was_before(program: Program, team: str) -> None:
    for text in ("one", "two", "three"):
        assert program.ask("/ops", text, bot="many")[0] == 200
    with closing(Stream(program, "/ops/json?poll=1", team)) as stream:
        found = stream.rest()
    assert [each["message"] for each in found][-3:] == ["one", "two", "three"]
    assert {each["event"] for each in found} == {"message"}
    second, third = found[-2:]

    def since(value: str, **headers: str) -> list[str]:
        with closing(Stream(program, f"/ops/json?poll=1&since={value}", team, **headers)) as stream:
            return [each["message"] for each in stream.rest()]

    everything = [each["message"] for each in found]
    assert since(second["id"]) == ["three"]
    assert since("latest") == ["three"]
    assert since("none") == []
    assert since("1h") == since("all") == since("anIdThatIsNotOurs") == since("1h30m") == everything
    assert since("1") == everything
    assert since(str(third["time"] + 3600)) == []
    with subscribed(program, f"/ops/json?since={second['id']}", team) as stream:
        assert stream.event()["message"] == "three"
        assert program.ask("/ops", "four", bot="many")[0] == 200
        assert stream.event()["message"] == "four"
    with closing(Peer(program.server.address, "127.0.0.1")) as old:  # its program says when it was written
        authorization = b"Bearer " + program.tokens["many"].encode()
        old.write(register(Side.SENDING, b"many", authorization=authorization))
        assert old.frame()[0] == Verb.REGISTERED.value
        old.write(frame(Verb.SEND, b"#ops", b"five", id=b"m5", time=b"2001-01-01T00:00:00.000Z"))
        assert old.frame()[0] == Verb.ACCEPTED.value
    with closing(Stream(program, f"/ops/json?poll=1&since={third['time']}", team)) as stream:
        last = stream.rest()[-1]
    assert last["message"] == "five"
    assert last["time"] >= third["time"], "when the server took it"


def test_several_recipients(program: Program) -> None:
    with subscribed(program, "/alice,ops/json", "both") as stream:
        assert program.ask("/ops", "in the room", bot="many")[0] == 200
        assert stream.event()["topic"] == "ops"
    status, _, answer = program.ask("/ops/json", method="GET", bot="both")
    assert (status, "both also reads alice" in answer["error"]) == (403, True)


@pytest.mark.parametrize(
    ("path", "bot", "status", "words"),
    [
        ("/bob/json", "", 401, "the token is missing or wrong"),
        ("/bob/json?auth=tt_wrong", "", 401, "the token is missing or wrong"),
        ("/alice/sse", "none", 403, "none may not read there"),
        ("/bob,alice/json", "none", 403, "none may not read there"),
        ("/ops/json", "many", 403, "many may not read there"),
        ("/bob/json", "alice", 403, "only bots publish here"),
        ("/bob/auth", "one", 403, "one may not read there"),
        ("/bob/json?priority=5", "none", 400, "filters no messages"),
        ("/,/json", "none", 400, "name 1 to 16 recipients"),
        ("/%2F/json?poll=1", "none", 403, "none may not read there"),
        ("/" + ",".join(f"a{n}" for n in range(17)) + "/json", "none", 400, "name 1 to 16 recipients"),
        ("/bob/json?" + "&".join(f"a{n}=1" for n in range(999)), "none", 400, "too many parameters"),
    ],
)
def test_what_is_refused(program: Program, path: str, bot: str, status: int, words: str) -> None:
    found, _, answer = program.ask(path, method="GET", bot=bot)
    assert (found, words in str(answer)) == (status, True), answer
    if bot:
        assert devices(program, bot) in ([], ["phone"])


def test_apps_check_the_token(program: Program) -> None:
    status, _, answer = program.ask("/bob/auth", method="GET", bot="none")
    assert (status, answer) == (200, {"success": True})


def test_a_bot_has_so_many_subscriptions(program: Program) -> None:
    streams = [Stream(program, "/bob/json", "none") for _ in range(16)]
    assert {stream.event()["event"] for stream in streams} == {"open"}
    with closing(Stream(program, "/bob/json", "none")) as stream:
        assert stream.status == 429
        assert stream.answer.getheader("retry-after") == "10"
    for stream in streams:
        stream.close()
    assert wait_for_devices(program, "none") == []


def test_a_subscription_ends_with_the_right_to_it(program: Program) -> None:
    """Of each bot it ends for another reason, and leaves no device."""
    acts: dict[str, Callable[[SqliteStore, str], object]] = {
        "right": lambda store, name: admin.set_bot_rights(store, name, [], ["bob"], allowed=False),
        "more": lambda store, name: admin.set_bot_rights(store, name, [], ["alice"], allowed=True),
        "token": lambda store, name: admin.revoke(store, name, "main"),
        "disabled": admin.disable,
        "removed": admin.remove,
    }
    with closing(SqliteStore(program.data, LIMITS, exclusive=False)) as store, ExitStack() as stack:
        for act in acts:
            program.tokens[f"ends{act}"] = admin.add_bot(store, f"ends{act}", [], ["bob"])
        streams = {act: stack.enter_context(subscribed(program, "/bob/json", f"ends{act}")) for act in acts}
        kept = stack.enter_context(subscribed(program, "/bob/json", "none"))
        for act, end in acts.items():
            end(store, f"ends{act}")
        assert {act: stream.line() for act, stream in streams.items()} == dict.fromkeys(acts, b"")
        kept.close()
    for act in ("right", "more", "token", "disabled"):
        assert wait_for_devices(program, f"ends{act}") == []
    assert wait_for_devices(program, "none") == []


def test_what_nobody_takes_waits_for_the_next_subscriber(program: Program, feed: str) -> None:
    """A subscriber that does not read has what fits into sockets; the rest is not delivered to it."""
    assert program.server.page is not None
    token = program.tokens[feed]
    with socket.socket() as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect(program.server.page)
        slow.settimeout(PATIENCE)
        request = f"GET /to{feed}/json HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
        slow.sendall(request.encode())
        assert slow.recv(15) == b"HTTP/1.1 200 OK"
        texts = [f"{number} " + 500_000 * "x" for number in range(12)]
        for text in texts:
            assert program.ask(f"/{feed}", text, bot=f"to{feed}")[0] == 200
        status, _, answer = program.ask(f"/{feed}?until=delivered&wait=0", "last", bot=f"to{feed}")
        assert (status, answer["state"]) == (202, "accepted")
    with subscribed(program, f"/to{feed}/json", feed) as stream:
        found = stream.event()["message"]
        while found != "last":
            assert found in texts
            texts = texts[texts.index(found) + 1 :]
            found = stream.event()["message"]
        assert texts == []


def test_a_server_that_stops_ends_subscriptions_and_one_that_was_killed_leaves_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    tokens = publishing.prepare(data)
    server = ServerProcess(ServerLimits(), web=True, data=str(data))
    program = Program(server, data, tokens)
    with subscribed(program, "/bob/json", "none"):
        server.kill()
    (left,) = devices(program, "none")
    quick = ServerLimits(exchange=Limits(peer_timeout=2))
    with serving(quick, web=True, data=str(data)) as server:
        program = Program(server, data, tokens)
        with subscribed(program, "/bob/json", "none") as stream:
            assert stream.event()["event"] == "keepalive"
            for _ in patiently():
                if left not in devices(program, "none"):
                    break
            server.stop()
            assert {each["event"] for each in stream.rest()} <= {"keepalive"}
            server.wait()
    assert devices(program, "none") == []


def blocks(program: Program, team: str, language: str = "") -> list[str]:
    """The blocks of the documentation, for this server and the bot of the room."""
    page = (Path(__file__).parents[3] / "docs" / "integrations.md").read_text("utf-8").partition("## Subscribe\n")[2]
    found = re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert found
    return [
        each.replace("https://chat.example", f"http://{program.address}").replace("tt_TOKEN", program.tokens[team])
        for each in found
    ]


def read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_the_blocks_of_the_documentation_do_what_they_say(program: Program, team: str) -> None:
    assert program.ask("/ops", "before them", bot="many")[0] == 200
    (script,) = blocks(program, team, "python")
    commands = [line for block in blocks(program, team) for line in block.splitlines() if line.startswith("curl")]
    assert len(commands) == 3
    runs = [[sys.executable, "-c", script], *(["/bin/sh", "-c", f"exec {line}"] for line in commands)]
    processes: list[subprocess.Popen[str]] = []
    try:
        for run, first in zip(runs, ("before them", '"open"', "before them", "\n"), strict=True):
            processes.append(subprocess.Popen(run, stdout=subprocess.PIPE, text=True))
            if run is not runs[2]:
                assert first in read_line(processes[-1])
        assert program.ask("/ops", "for all blocks", bot="many")[0] == 200
        for process in (processes[0], processes[1], processes[3]):
            assert "for all blocks" in read_line(process)
        polled, _ = processes[2].communicate(timeout=PATIENCE)
        assert '"event": "open"' not in polled
        assert "before them" in polled
    finally:
        for process in processes:
            process.kill()
            process.communicate()
