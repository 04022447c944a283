"""Publishing by HTTP, as ntfy, Slack, Mattermost, Gotify, Alertmanager, GitHub, Gitea and GitLab do (section 22)."""

import asyncio
import base64
import copy
import hashlib
import hmac
import json
import socket
import subprocess
from collections.abc import Generator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import twotick
from tests.server.web import publishing
from tests.server.web.publishing import Program
from tests.sockets import PATIENCE, ServerProcess, serving
from twotick import admin
from twotick.server import ServerLimits
from twotick.server.web.publish import alerts, forges, ntfy, slack
from twotick.server.web.publish.publication import Publication, Unreadable, read_object


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Generator[Program]:
    data = tmp_path_factory.mktemp("publishing") / "data"
    tokens = publishing.prepare(data)
    with serving(ServerLimits(frame_timeout=2, register_timeout=2), web=True, data=str(data)) as server:
        yield Program(server, data, tokens)


@pytest.fixture
def news(program: Program) -> Any:
    """Returns what has come to bob since the test began."""
    before = len(program.entries())
    return lambda: program.got()[before:]


# ntfy


def test_curl_publishes_as_to_ntfy(program: Program, news: Any) -> None:
    """`curl -d` says that the body is a form, and `curl -T` waits for 100 Continue."""
    url = f"http://{program.address}/bob"
    token = f"Authorization: Bearer {program.tokens['one']}"
    answers = [
        subprocess.run(
            ["curl", "-sS", "-H", token, *arguments, url], input=b"from a file", capture_output=True, check=True
        )
        for arguments in (
            ["-d", "disk full"],
            ["-T", "-", "-H", "Expect: 100-continue"],
            [
                "-d",
                "a=b&c=d",
                "-H",
                "Title: Backup",
                "-H",
                "p: high",
                "-H",
                "Tags: warning,db1",
                "-H",
                "Click: http://x/",
            ],
        )
    ]
    assert [answer.stderr for answer in answers] == [b"", b"", b""]
    first = json.loads(answers[0].stdout)
    assert first == {
        "id": first["id"],
        "time": first["time"],
        "expires": first["time"] + 400 * 86400,
        "event": "message",
        "topic": "bob",
        "message": "disk full",
        "priority": 3,
    }
    expected = "\u26a0\ufe0f *Backup* (high)\na=b&c=d\nhttp://x/\ntags: db1"
    assert news() == ["disk full", "from a file", expected]
    headers = program.entries()[-1].headers
    for line in (b"X-title: Backup\n", b"X-priority: 4\n", b"X-tags: warning,db1\n", b"X-click: http://x/\n"):
        assert line in headers


def test_all_ways_to_show_a_token_to_ntfy_and_to_say_it(program: Program, news: Any) -> None:
    token = program.tokens["one"]
    basic = base64.b64encode(f"one:{token}".encode()).decode()
    in_query = base64.urlsafe_b64encode(f"Basic {basic}".encode()).decode().rstrip("=")
    assert program.ask("/bob", "1", authorization=f"Basic {basic}")[0] == 200
    assert program.ask(f"/bob?auth={in_query}", "2")[0] == 200
    assert program.ask(f"/BOB?auth={token}&title=Query", "3")[0] == 200
    assert program.ask("/bob/publish?m=4&prio=max", method="GET", bot="one")[0] == 200
    assert program.ask("/bob", "5", method="PUT", bot="one", title="=?UTF-8?B?w6k=?=")[0] == 200
    json_body = {"topic": "bob", "message": "6", "title": "J", "tags": ["tada", "x y"], "priority": 2, "actions": [1]}
    assert program.post("/", json_body, bot="one")[0] == 200
    assert news() == ["1", "2", "*Query*\n3", "(urgent) 4", "*\xe9*\n5", "\U0001f389 *J* (low)\n6\ntags: x y"]


def test_a_room_is_named_with_and_without_its_sign(program: Program) -> None:
    before = len(program.got("alice"))
    for path in ("/ops", "/%23ops", "/OPS"):
        assert program.ask(path, path, bot="many")[0] == 200
    assert program.got("alice")[before:] == ["/ops", "/%23ops", "/OPS"]


# Who may publish what


@pytest.mark.parametrize(
    ("path", "bot", "status", "words"),
    [
        ("/bob", "", 401, "the token is missing or wrong"),
        ("/alice", "one", 403, "one may not send there"),
        ("/nobody", "many", 403, "many may not send there"),
        ("/bob", "none", 403, "none may not send there"),
        ("/bob", "alice", 403, "only bots publish here"),
        ("/hooks/tt_wrong/bob", "", 401, "the token is missing or wrong"),
        ("/message?token=x", "", 401, "the token is missing or wrong"),
        ("/bob/other", "one", 404, "there is nothing here"),
        ("/hooks/a/b/c", "one", 404, "there is nothing here"),
        ("/hooks", "many", 400, "name the recipient in the path"),
        ("/bob?until=seen", "one", 400, "until is accepted, delivered or read"),
        ("/bob?until=read&wait=1e9", "one", 400, "wait is a number of seconds"),
        ("/bob?delay=soon", "one", 400, "delay is no time"),
        ("/bob?in=5s", "one", 400, "a delay is at least 10 seconds"),
        ("/bob?at=96h", "one", 400, "at most 3 days"),
        ("/bob?delay=1h&until=delivered", "one", 400, "leave out until"),
        ("/bob?priority=9", "one", 400, "priority is 1 to 5"),
        ("/bob?" + "&".join(f"a{n}=1" for n in range(999)), "one", 400, "too many parameters"),
    ],
)
def test_what_is_refused_stores_nothing(
    program: Program, news: Any, path: str, bot: str, status: int, words: str
) -> None:
    found, headers, answer = program.ask(path, '{"text": "spam"}', bot=bot)
    assert (found, answer["http"]) == (status, status), answer
    assert words in answer["error"]
    assert answer["exit"] != 0
    assert ("www-authenticate" in headers) is (status == 401)
    assert program.tokens["many"] not in json.dumps(answer)
    assert news() == []


async def test_who_refuses_a_message_or_is_disabled_is_told_as_a_conflict(program: Program, tmp_path: Path) -> None:
    """Rule 22.6: to try again at once would be of no use."""
    host, port = program.server.address
    asking = asyncio.create_task(asyncio.to_thread(program.ask, "/bob?until=delivered&wait=60", "refuse me", bot="one"))
    async with twotick.join("bob", f"{host}:{port}", token=program.tokens["bob"]) as bob:
        async for message in bob:
            if message.text == "refuse me":
                await message.reject()
                break
        status, _, answer = await asking
    assert (status, answer["exit"]) == (409, 79), answer
    with admin.opened(admin.DataFolder(program.data), publishing.LIMITS) as store:
        admin.disable(store, "bob")
        status, headers, answer = program.ask("/bob", "to none", bot="one")
        assert (status, answer["exit"], "retry-after" in headers) == (409, 69, False), answer
        assert "bob is disabled" in answer["error"]
        admin.disable(store, "bob", disabled=False)
    assert program.ask("/bob", "to bob again", bot="one")[0] == 200


def test_bodies_that_are_no_text_or_too_long_or_slow(program: Program, news: Any) -> None:
    """A body that is sent to a recipient, and is no text or too long, is a file: see test_attachments."""
    assert program.ask("/hooks/bob", b"\xff\xfe", bot="one")[0] == 400
    assert program.ask("/hooks/bob", b"x" * ((1 << 20) + 1), bot="one")[0] == 413
    long = json.dumps({"text": "x" * ((1 << 20) - 20), "title": "makes it too long"})
    assert program.ask("/hooks/bob", long, bot="one")[0] == 413
    assert program.ask("/hooks", b'{"a":' * 100_000, bot="one")[0] == 400
    assert program.server.page is not None
    with closing(socket.create_connection(program.server.page, PATIENCE)) as slow:
        head = f"POST /bob HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {program.tokens['one']}\r\n"
        slow.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhel")
        assert slow.recv(100).startswith(b"HTTP/1.1 408 ")
    with closing(socket.create_connection(program.server.page, PATIENCE)) as endless:
        endless.sendall(head.replace("/bob", "/hooks/bob").encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        endless.settimeout(PATIENCE)
        try:
            for _ in range(64):
                endless.sendall(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
        except OSError:  # the server has closed it
            endless.close()
        else:
            assert endless.recv(100).startswith(b"HTTP/1.1 413 ")
    assert news() == []


def test_headers_cannot_add_lines_to_the_frame(program: Program, news: Any) -> None:
    content = {"topic": "bob", "message": "m", "title": "a\nContent-length: 0\r\n\r\nSEND alice", "tags": ["t\nu"]}
    assert program.post("/", content | {"click": "http://x/\n\nSEND"}, bot="one")[0] == 200
    assert news() == ["*a Content-length: 0 SEND alice*\nm\nhttp://x/ SEND\ntags: t u"]
    assert b"X-title: a Content-length: 0 SEND alice\n" in program.entries()[-1].headers


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("=?\xe9?q?x?=", "=?\xe9?q?x?=\nm"),  # a name of an encoding that is none
        ("=?utf-7?q?a+2AA-?=", "*a?*\nm"),  # half a character
        ("=?unicode_escape?q?a=5Cud800?=", "*a?*\nm"),
    ],
)
def test_a_title_in_an_odd_encoding_is_shown_as_well_as_it_can_be(
    program: Program, news: Any, given: str, shown: str
) -> None:
    assert program.ask("/bob", "m", bot="one", title=given)[0] == 200
    assert news() == [shown]


def test_a_long_title_is_cut_in_its_header_only(program: Program, news: Any) -> None:
    party = "\U0001f389" * 250
    content = {"topic": "bob", "message": "m", "title": party, "tags": [party], "click": "https://x/" + "\xe9" * 240}
    assert program.post("/", content, bot="one")[0] == 200
    assert news()[0].startswith(f"{party}\nm\n")
    assert f"X-title: {party[:62]}\n".encode() in program.entries()[-1].headers


def test_a_form_with_parts_within_parts_does_not_keep_the_server_busy(program: Program, news: Any) -> None:
    """A second request is answered meanwhile: the parser for e-mail took minutes for a body like this one."""
    nested = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(150))
    odd = "Content-Disposition: form-data; name*=a'b'c; name*x=1\r\n\r\nhi"
    for part in (nested + "\n" * 900_000, odd):
        body = f"--x\r\n{part}\r\n--x\r\nContent-Disposition: form-data; name=text\r\n\r\nshown\r\n--x--\r\n"
        kind = 'multipart/form-data; charset=utf-8; boundary="x"'
        assert program.ask("/hooks/bob", body, bot="one", content_type=kind)[0] == 200
    many = "--x\r\nContent-Disposition: form-data; name=text\r\n\r\na\r\n" * 1000
    assert program.ask("/hooks/bob", many, bot="one", content_type="multipart/form-data; boundary=x")[0] == 400
    assert news() == ["shown", "shown"]


# What becomes of it


def test_the_answer_says_how_far_the_message_has_got(program: Program) -> None:
    """As the exit status of `twotick send` does."""
    status, _, answer = program.ask("/bob?until=delivered&wait=0", "not yet", bot="one")
    assert (status, answer["state"], answer["exit"]) == (202, "accepted", 75)
    status, _, answer = program.ask("/bob?until=accepted", "stored", bot="one")
    assert (status, answer["state"], answer["exit"]) == (200, "accepted", 0)


async def test_the_answer_waits_until_a_device_has_the_message(program: Program) -> None:
    """Also if the message comes again, when all is known of it at once."""

    async def take() -> None:
        async for _ in me:
            pass  # the next one acknowledges it

    server = f"127.0.0.1:{program.server.address[1]}"
    async with twotick.join("bob", token=program.tokens["bob"], server=server) as me:
        taking = asyncio.create_task(take())
        for _ in range(2):
            status, _, answer = await asyncio.to_thread(
                program.ask, "/bob?until=delivered&wait=60", "soon", bot="one", idempotency_key="until"
            )
            assert (status, answer["state"], answer["exit"]) == (200, "delivered", 0)
        taking.cancel()


def test_programs_that_wait_and_hang_up_do_not_keep_others_from_publishing(program: Program) -> None:
    head = f"POST /bob?until=read&wait=60 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {program.tokens['many']}"
    assert program.server.page is not None
    before = len(program.entries())
    for _ in range(520):  # more than may be stored at once
        with closing(socket.create_connection(program.server.page, PATIENCE)) as connection:
            connection.sendall(f"{head}\r\nContent-Length: 1\r\n\r\nx".encode())
    while len(program.entries()) < before + 520:
        assert program.server.running
    assert program.ask("/bob", "from another", bot="many")[0] == 200


def test_what_comes_again_is_sent_once(program: Program, news: Any) -> None:
    for _ in range(2):
        assert program.ask("/bob", "once", bot="one", idempotency_key="job 7")[0] == 200
    assert program.ask("/bob", "another", bot="one", idempotency_key="job 8")[0] == 200
    assert program.ask("/bob", "without a key", bot="one")[0] == 200
    assert program.ask("/bob", "without a key", bot="one")[0] == 200
    assert news() == ["once", "another", "without a key", "without a key"]


def test_a_message_of_ntfy_is_updated_by_its_sequence(program: Program) -> None:
    for text in ("10 %", "100 %"):
        assert program.ask("/bob", text, bot="one", x_sequence_id="backup-7")[0] == 200
    first, second = program.entries()[-2:]
    assert b"Edits: %b\n" % first.id in second.headers
    assert first.body == b"100 %"


# Web hooks


def test_slack_and_mattermost(program: Program, news: Any) -> None:
    token = program.tokens["one"]
    status, _, answer = program.ask(f"/hooks/{token}", '{"text": "a <http://x/|link> &lt;b&gt;"}')
    assert (status, answer) == (200, "ok")
    form = urlencode({"payload": json.dumps({"text": "in a form", "channel": "@bob"})})
    kind = "application/x-www-form-urlencoded"
    assert program.ask(f"/hooks/{token}/bob", form, content_type=kind)[0] == 200
    blocks = [
        {"type": "header", "text": {"type": "plain_text", "text": "Deploy"}},
        {"type": "section", "fields": [{"type": "mrkdwn", "text": "*Who*"}, {"type": "mrkdwn", "text": "ann"}]},
        {"type": "context", "elements": [{"type": "mrkdwn", "text": "at 9"}, {"type": "image"}]},
        {"type": "divider"},
    ]
    assert program.post(f"/hooks/{token}", {"blocks": blocks})[0] == 200
    attachment = {
        "fallback": "not shown",
        "pretext": "pre",
        "title": "Title",
        "title_link": "http://y/",
        "text": "body",
        "fields": [{"title": "host", "value": "db1", "short": True}],
    }
    assert program.post("/hooks", {"attachments": [attachment, {"fallback": "only this"}]}, bot="one")[0] == 200
    assert news() == [
        "a link (http://x/) <b>",
        "in a form",
        "*Deploy*\n*Who*\nann\nat 9",
        "pre\n*Title*\nhttp://y/\nbody\nhost: db1\nonly this",
    ]


def test_gotify_and_others(program: Program, news: Any) -> None:
    token = program.tokens["one"]
    extras = {"client::notification": {"click": {"url": "http://x/"}}, "other": 1}
    content = {"title": "T", "message": "m", "priority": 8, "extras": extras}
    status, answer = program.post(f"/message?token={token}", content)
    assert (status, answer["message"], answer["title"], answer["appid"]) == (200, "m", "T", 1)
    assert program.post("/bob/message", {"message": "plain"}, x_gotify_key=token)[0] == 200
    multipart = b'--b\r\nContent-Disposition: form-data; name="message"\r\n\r\nby form\r\n--b--\r\n'
    assert program.ask("/message", multipart, bot="one", content_type="multipart/form-data; boundary=b")[0] == 200
    kuma = {"heartbeat": {"status": 0}, "monitor": None, "msg": "kuma"}
    assert program.post(f"/hooks/{token}", kuma)[0] == 200
    form = f'--b\r\nContent-Disposition: form-data; name="data"\r\n\r\n{json.dumps(kuma)}\r\n--b--\r\n'
    assert program.ask(f"/hooks/{token}", form, content_type="multipart/form-data; boundary=b")[0] == 200
    shown: dict[str, Any] = {"version": "1.0", "title": "Apprise", "message": "json", "type": "info", "attachments": []}
    assert program.post(f"/hooks/{token}", shown)[0] == 200
    assert news() == ["*T* (high)\nm\nhttp://x/", "plain", "by form", "kuma", "kuma", "*Apprise*\njson"]


@pytest.mark.parametrize("forge", ["github", "gitea", "gitlab"])
def test_events_of_forges(program: Program, news: Any, forge: str) -> None:
    """The signature must be right; what is delivered again is sent once."""
    token = program.tokens["one"]
    body = json.dumps(
        {
            "action": "opened",
            "repository": {"full_name": "acme/shop"},
            "sender": {"login": "ann"},
            "pull_request": {"number": 7, "title": "Mend it", "html_url": "http://x/7"},
            "object_kind": "merge_request",
            "user": {"username": "ann"},
            "project": {"path_with_namespace": "acme/shop"},
            "object_attributes": {"iid": 7, "title": "Mend it", "url": "http://x/7", "action": "opened"},
        }
    ).encode()
    signature = hmac.new(token.encode(), body, hashlib.sha256).hexdigest()
    headers = {
        "github": {
            "x_github_event": "pull_request",
            "x_github_delivery": "d1",
            "x_hub_signature_256": f"sha256={signature}",
        },
        "gitea": {"x_gitea_event": "pull_request", "x_gitea_delivery": "d2", "x_gitea_signature": signature},
        "gitlab": {"x_gitlab_event": "Merge Request Hook", "x_gitlab_event_uuid": "d3", "x_gitlab_token": token},
    }[forge]
    for name in [name for name in headers if "signature" in name or "token" in name]:
        wrong = headers | {name: "sha256=" + "0" * 64}
        assert program.ask(f"/hooks/{token}", body, **wrong)[0] in (400, 401)
        assert program.ask(f"/hooks/{token}", body + b" ", **{k: v for k, v in headers.items() if k != name})[0] != 200
    for _ in range(2):
        assert program.ask(f"/hooks/{token}", body, **headers)[0] == 200
    event = {"gitlab": "ann opened merge request !7: Mend it"}.get(forge, "ann opened pull request #7: Mend it")
    assert news() == [f"*acme/shop*\n{event}\nhttp://x/7"]


# Alertmanager


def alert(name: str, status: str = "firing", start: str = "2026-11-29T09:00:00Z") -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": "DiskFull", "instance": name},
        "annotations": {"summary": f"{name} is full"},
        "startsAt": start,
        "endsAt": "0001-01-01T00:00:00Z",
        "fingerprint": name,
    }


def group(*alerts: dict[str, Any]) -> dict[str, Any]:
    is_firing = any(each["status"] == "firing" for each in alerts)
    return {
        "version": "4",
        "groupKey": '{}:{alertname="DiskFull"}',
        "truncatedAlerts": 0,
        "status": "firing" if is_firing else "resolved",
        "receiver": "chat",
        "groupLabels": {"alertname": "DiskFull"},
        "commonLabels": {"alertname": "DiskFull", "severity": "critical"},
        "commonAnnotations": {},
        "externalURL": "http://am/",
        "alerts": [*alerts],
    }


def test_alerts_are_one_message_that_is_edited_when_they_resolve(program: Program, news: Any) -> None:
    def send(*alerts: dict[str, Any]) -> None:
        assert program.post("/hooks/bob", group(*alerts), bot="one") == (
            200,
            {"status": "ok", "id": IdLike, "recipient": "bob"},
        )

    class _Id:
        def __eq__(self, other: object) -> bool:
            return isinstance(other, str) and len(other) == 32

        __hash__ = None  # type: ignore[assignment]

    IdLike = _Id()  # noqa: N806
    first = "\U0001f525 *firing: DiskFull* (urgent)\nfiring: db1 is full\nhttp://am/"
    send(alert("db1"))
    send(alert("db1"))
    assert news() == [first]
    send(alert("db1"), alert("db2"))
    assert len(news()) == 2, "one more is firing, of which no message has told"
    send(alert("db1", "resolved"), alert("db2"))
    send(alert("db1", "resolved"), alert("db2", "resolved"))
    send(alert("db1", "resolved"), alert("db2", "resolved"))
    entries = program.entries()[-4:]
    assert [b"Edits: %b\n" % entries[1].id in each.headers for each in entries] == [False, False, True, True]
    assert entries[1].body.decode().splitlines()[0] == "\u2705 *resolved: DiskFull (2)*"
    assert news()[0] == first
    send(alert("db1", start="2026-11-29T10:00:00Z"))
    assert b"Edits" not in program.entries()[-1].headers, "it fires again"


def test_alerts_survive_that_the_server_is_killed(tmp_path: Path) -> None:
    tokens = publishing.prepare(tmp_path / "data")
    for step, one in enumerate((alert("db1"), alert("db1"), alert("db1", "resolved"), alert("db1", "resolved"))):
        server = ServerProcess(ServerLimits(), web=True, data=str(tmp_path / "data"))
        program = Program(server, tmp_path / "data", tokens)
        assert program.post("/hooks", group(one), bot="one")[0] == 200
        server.kill()
        assert len(program.entries()) == 1 + step // 2
        if step == 3:
            first, second = program.entries()
            assert b"Edits: %b\n" % first.id in second.headers


# Broken formats


def read_forge(forge: str, event: bytes, content: dict[str, Any]) -> Publication:
    return forges.read_event(forge, content, {b"x-%b-event" % forge.encode(): event})


def read_ntfy(content: dict[str, Any]) -> Publication:
    return ntfy.read_json(json.dumps(content).encode(), {}, {})


VALID: list[tuple[Any, dict[str, Any]]] = [
    (alerts.read_alerts, group(alert("db1"), alert("db2", "resolved"))),
    (slack.read_slack, {"text": "t", "channel": "#ops", "attachments": [{"title": "t", "fields": [{"title": "f"}]}]}),
    (slack.read_slack, {"blocks": [{"type": "section", "text": {"text": "t"}, "elements": [{"text": "e"}]}]}),
    (
        slack.read_gotify,
        {"title": "t", "message": "m", "priority": 5, "extras": {"client::notification": {"click": {"url": "u"}}}},
    ),
    (slack.read_other, {"title": "t", "message": "m", "url": "u"}),
    (
        partial(read_forge, "github", b"push"),
        {
            "repository": {"full_name": "a/b"},
            "sender": {"login": "x"},
            "commits": [{"id": "1", "message": "m"}],
            "ref": "r",
        },
    ),
    (
        partial(read_forge, "gitlab", b"Push Hook"),
        {"project": {"path_with_namespace": "a/b"}, "user": {"username": "x"}, "object_attributes": {"title": "t"}},
    ),
    (
        read_ntfy,
        {"topic": "t", "message": "m", "title": "t", "priority": 3, "tags": ["a"], "click": "c", "attach": "a"},
    ),
]
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.lists(st.integers()), st.just({}), st.just([[]])
)


def paths(content: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children: list[tuple[Any, Any]] = []
    if isinstance(content, dict):
        children = list(cast("dict[str, Any]", content).items())
    elif isinstance(content, list):
        children = list(enumerate(cast("list[Any]", content)))
    return [here, *(each for key, value in children for each in paths(value, (*here, key)))]


def with_other(content: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    changed: Any = copy.copy(content)
    changed[path[0]] = with_other(content[path[0]], path[1:], value)
    return changed


def read(reader: Any, content: Any) -> Publication | str:
    """A publication, or what is wrong."""
    try:
        return reader(content)
    except Unreadable as error:
        return str(error)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_field_may_be_broken(data: st.DataObject) -> None:
    """A publication, or one line about what is wrong."""
    reader, content = data.draw(st.sampled_from(VALID))
    path = data.draw(st.sampled_from(paths(content)[1:]))
    found = read(reader, with_other(content, path, data.draw(ODD)))
    if isinstance(found, str):
        assert "\n" not in found
        return
    headers = found.headers().split(b"\n")
    assert headers.pop() == b""
    assert [name for name, _, _ in (line.partition(b": ") for line in headers)] == [
        name
        for name in (b"X-title", b"X-priority", b"X-tags", b"X-click", b"Slot", b"Items")
        if b"%b: " % name in found.headers()
    ]
    assert len(found.headers()) < 4600
    assert found.body().encode("utf-8", "replace")


@given(st.binary(max_size=200))
def test_any_bytes_may_come_as_a_body(body: bytes) -> None:
    def read_raw(content: bytes) -> Publication:
        return ntfy.read_raw(content, {b"title": content}, {})

    read(read_raw, body)
    read(read_object, body)
