"""Web hooks: what is posted, what an answer does, and that nothing is lost, posted inside, or without a bound."""

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.client.members import Chat, chatting, take, until
from tests.client.room_guests import guest_in
from twotick.client import MemberClient, State, join
from twotick.exchange import InvalidEndpoint
from twotick.server.web.hooks.payload import answer_of, parse_hook_url
from twotick.server.web.hooks.runner import HookRunner
from twotick.server.web.push.posting import Poster
from twotick.store import (
    AddBot,
    DropHook,
    Hook,
    Letter,
    ListHooks,
    ListLetters,
    PostLettersAgain,
    SetBotRight,
    SetDisabled,
    SetHook,
)

SECRET = b"whsec_test"
OK = b"HTTP/1.1 204 No Content\r\n\r\n"
BUSY = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"


def answering(text: str, kind: str = "application/json", status: int = 200) -> bytes:
    body = text.encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


@dataclass
class Endpoint:
    """A web server that answers as it is told, one answer after the other, the last one for ever.

    Attributes:
        answers: what it answers; None for never.
        got: the headers and the content of each post.
    """

    answers: list[bytes | None] = field(default_factory=lambda: [OK])
    got: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list[Any])
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if line)
            body = await reader.readexactly(int(headers["content-length"]))
            signature = hmac.new(SECRET, headers["x-twotick-timestamp"].encode() + b"." + body, hashlib.sha256)
            assert headers["x-twotick-signature"] == f"sha256={signature.hexdigest()}"
            self.got.append((headers, json.loads(body)))
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
            if answer is None:
                await reader.read()  # until the server gives up
            else:
                writer.write(answer)
                await writer.drain()
        except ConnectionError:
            pass  # the server has read enough
        finally:
            writer.close()

    @property
    def texts(self) -> list[str]:
        return [content["text"] for _, content in self.got]


@contextlib.asynccontextmanager
async def endpoint(*answers: bytes | None) -> AsyncGenerator[Endpoint]:
    found = Endpoint(list(answers) or [OK])
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()


async def ask(chat: Chat, request: Any) -> Any:
    answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    chat.server.ask(request, answer.set_result)
    return await answer


async def hook(chat: Chat, url: str, **options: Any) -> Hook:
    """Give the bot a hook, and let the server post to hooks; `options` are those of the runner."""
    found = await ask(chat, SetHook("bot", url, SECRET, 1.0))
    work(chat, **options)
    return found


def work(chat: Chat, **options: Any) -> None:
    options = {"allow_local": True, "first_wait": 0.001, "longest_wait": 0.01, "every": 0.0, **options}
    chat.server.hooks = HookRunner(chat.server, chat.server.ask, chat.server.clock, **options)


@contextlib.asynccontextmanager
async def hooked(*answers: bytes | None, **options: Any) -> AsyncGenerator[tuple[Chat, MemberClient, Endpoint]]:
    """Run a server with alice, who is connected, and a bot with a hook that answers so."""
    async with endpoint(*answers) as there, chatting("alice", "bot") as chat, chat.join("alice") as alice:
        await hook(chat, f"http://127.0.0.1:{there.port}/in?x=1", **options)
        yield chat, alice, there


async def letters(chat: Chat, count: int) -> list[Letter]:
    """Wait until so many messages were given up, and return them."""
    (found,) = await ask(chat, ListHooks())
    while len(failed := await ask(chat, ListLetters(found.member.number))) != count:
        await asyncio.sleep(0.002)
    return failed


async def test_a_message_is_posted_and_signed_and_the_answer_is_the_reply() -> None:
    async with hooked(answering('{"text": "green"}'), answering("as text", "text/plain; charset=utf-8"), OK) as (
        _,
        alice,
        there,
    ):
        sent = await alice.send("bot", "build 7?", headers={"X-Title": "CI"})
        answer, *_ = await take(alice, 1)
        assert (answer.sender, answer.text, answer.reply_to) == ("bot", "green", ("alice", sent.id))
        await sent.delivered()
        headers, content = there.got[0]
        assert {key: content[key] for key in ("bot", "from", "to", "text", "x-title")} == {
            "bot": "bot", "from": "alice", "to": "bot", "text": "build 7?", "x-title": "CI"
        }  # fmt: skip
        assert headers["x-twotick-id"] == content["id"]
        await alice.send("bot", b"\xff")
        assert (await take(alice, 1))[0].text == "as text"
        assert there.got[1][1]["base64"] == "/w=="
        await alice.react("bot", sent.id, "+1")
        await alice.send("bot", "an answer", headers={"X-Bot": "yes"})
        await (await alice.send("bot", "the last")).delivered()
        assert there.got[2][1]["text"] == "the last"
        assert len(there.got) == 3


async def test_what_is_not_taken_for_now_is_posted_again_in_order() -> None:
    async with hooked(BUSY, b"nonsense\r\n\r\n", b"", OK) as (_, alice, there):
        first = await alice.send("bot", "first")
        second = await alice.send("bot", "second")
        await second.delivered()
        assert first.state is State.DELIVERED
        assert there.texts == ["first"] * 4 + ["second"]
        assert len({headers["x-twotick-id"] for headers, _ in there.got}) == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "it answers 404"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n\r\n", "it answers 302: redirects are not followed"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", "it answers 500"),
    ],
)
async def test_what_a_hook_refuses_is_kept_and_posted_again_on_demand(answer: bytes, reason: str) -> None:
    async with hooked(answer, OK, answer, OK, patience=0.0) as (chat, alice, there):
        sent = await alice.send("bot", "first")
        await (await alice.send("bot", "second")).delivered()
        await sent.delivered()  # to the bot, which keeps it
        (letter,) = await letters(chat, 1)
        assert letter.reason == reason
        deleted = await alice.send("bot", "third")
        await letters(chat, 2)
        await alice.delete("bot", deleted.id)
        (found,) = await ask(chat, ListHooks())
        await ask(chat, PostLettersAgain(found.member.number, wanted=True))
        await letters(chat, 0)
        assert there.texts == ["first", "second", "third", "first"]
        await until(lambda: len(there.got) == 4)


async def test_what_is_posted_has_the_time_of_the_server_and_an_id_of_its_own() -> None:
    """Whatever the sender's clock says, and also if a member uses the name and the Id of a guest of earlier."""
    async with hooked() as (chat, alice, there):
        await alice.create_room("#open", public=True, guests=True)
        async with chat.join("bot") as bot:
            await bot.join_room("#open")
        async with guest_in("#open", chat.address) as guest:
            await guest.say("as a guest", headers={"time": b"1999-12-31T23:59:59Z"})
        async with join("ann", chat.address, password="correct horse", sign_up="yes") as ann:
            await ann.join_room("#open")
            await ann.send("#open", "as a member", id="m1")
        await until(lambda: there.texts == ["as a guest", "as a member"])
        ids, times = ([content[name] for _, content in there.got] for name in ("id", "time"))
        assert len(set(ids)) == 2
        assert [content.get("guest") for _, content in there.got] == [True, None]
        told = [message.time for message in await alice.history("#open") if message.event is None]
        assert [datetime.fromisoformat(time) for time in times] == told


async def test_what_was_sent_to_a_room_is_posted_and_answered_there() -> None:
    refused = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    async with hooked(refused, answering('{"text": "green"}')) as (chat, alice, there):
        await alice.create_room("#team", public=True)
        async with chat.join("bot") as bot:
            await bot.join_room("#team")
        sent = await alice.send("#team", "build 7?")
        await letters(chat, 1)
        (found,) = await ask(chat, ListHooks())
        await ask(chat, PostLettersAgain(found.member.number, wanted=True))
        (answer,) = await take(alice, 1)
        assert (answer.room, answer.text, answer.reply_to) == ("#team", "green", ("alice", sent.id))
        assert [content["to"] for _, content in there.got] == ["#team", "#team"]
        await letters(chat, 0)


async def test_a_server_that_was_restarted_goes_on_where_it_was(tmp_path: Path) -> None:
    async with (
        endpoint(OK, b"", OK) as there,
        chatting("alice", "bot", folder=tmp_path) as chat,
    ):
        async with chat.join("alice") as alice:
            await hook(chat, f"http://127.0.0.1:{there.port}/", first_wait=3600, longest_wait=3600)
            await (await alice.send("bot", "first")).delivered()
            await alice.send("bot", "second")
            await until(lambda: len(there.got) == 2)
        await chat.stop()
        await chat.start()
        work(chat)
        async with chat.join("alice") as alice:
            await (await alice.send("bot", "third")).delivered()
        assert there.texts == ["first", "second", "second", "third"]
        assert there.got[1][0]["x-twotick-id"] == there.got[2][0]["x-twotick-id"]


async def test_of_several_servers_the_one_that_leads_posts() -> None:
    async with hooked() as (chat, alice, there):
        await (await alice.send("bot", "first")).delivered()
        chat.server.exchange.neighbours.leads = False
        await until(lambda: chat.server.exchange.members_connected == 1)
        sent = await alice.send("bot", "second")
        assert there.texts == ["first"]
        chat.server.exchange.neighbours.leads = True
        await sent.delivered()
        assert there.texts == ["first", "second"]


async def test_an_endless_answer_is_not_read_and_one_that_never_comes_is_not_awaited(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    endless = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1073741824\r\n\r\n" + bytes(1 << 20)
    async with hooked(endless, None, OK) as (_, alice, there):
        await (await alice.send("bot", "first")).delivered()
        monkeypatch.setattr("twotick.server.web.push.posting._PATIENCE", 0.05)
        await (await alice.send("bot", "second")).delivered()
        assert there.texts[:3] == ["first", "second", "second"]
        assert len({headers["x-twotick-id"] for headers, _ in there.got}) == 2


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/",
        "https://localhost/",
        "https://[::1]/",
        "http://example.org/",
        "ftp://x.org/",
        "https://u@x.org/",
    ],
)
async def test_a_hook_inside_the_own_network_is_refused(url: str) -> None:
    with pytest.raises(InvalidEndpoint, match="the URL of a hook"):
        parse_hook_url(url, allow_local=False)
    async with chatting("alice", "bot") as chat, chat.join("alice") as alice:
        await hook(chat, url, allow_local=False)
        await alice.send("bot", "first")
        (letter,) = await letters(chat, 1)
        assert letter.reason.startswith("the URL of a hook is an")


async def test_a_name_that_leads_into_the_own_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("twotick.server.web.push.posting._look_up", lambda _: ["93.184.216.34", "127.0.0.1"])  # pyright: ignore
    async with endpoint() as there, chatting("alice", "bot") as chat, chat.join("alice") as alice:
        url = f"https://hook.example:{there.port}/"
        await hook(chat, url, allow_local=False, patience=0.0, poster=Poster(allow_local=False))
        await alice.send("bot", "first")
        (letter,) = await letters(chat, 1)
        assert letter.reason == "it has an address of this machine or of a private network"
        assert there.got == []


async def test_what_is_deleted_meanwhile_is_not_posted_again() -> None:
    async with hooked(BUSY) as (_, alice, there):
        first = await alice.send("bot", "first")
        await until(lambda: len(there.got) > 1)
        await alice.delete("bot", first.id)
        await first.delivered()  # the hook is done with it, although it is still busy
        there.answers = [OK]
        await (await alice.send("bot", "second")).delivered()
        assert set(there.texts[:-1]) == {"first"}
        assert there.texts[-1] == "second"


async def test_what_a_bot_may_not_read_any_more_is_not_posted_again() -> None:
    async with endpoint(BUSY) as there, chatting("alice") as chat, chat.join("alice") as alice:
        bot = await ask(chat, AddBot("bot", 1.0))
        await ask(chat, SetBotRight(bot.number, "alice", True, True, 1.0))
        await hook(chat, f"http://127.0.0.1:{there.port}/")
        sent = await alice.send("bot", "first")
        await until(lambda: len(there.got) > 1)
        await ask(chat, SetBotRight(bot.number, "alice", True, False, 1.0))
        await sent.delivered()
        assert set(there.texts) == {"first"}


async def test_the_hook_of_a_disabled_member_is_not_served() -> None:
    async with hooked() as (chat, alice, there):
        await alice.create_room("#team", public=True)
        async with chat.join("bot") as bot:
            await bot.join_room("#team")
        await (await alice.send("#team", "first")).delivered()
        await ask(chat, SetDisabled("bot", True, 1.0))
        await until(lambda: chat.server.exchange.members_connected == 1)  # alice
        await alice.send("#team", "second")
        assert there.texts == ["first"]
        await ask(chat, SetDisabled("bot", False, 1.0))
        await until(lambda: there.texts == ["first", "second"])


async def test_a_hook_that_is_taken_away_gets_nothing_more() -> None:
    async with hooked() as (chat, alice, there):
        await (await alice.send("bot", "first")).delivered()
        (found,) = await ask(chat, ListHooks())
        await ask(chat, DropHook(found.member.number))
        async with chat.join("bot") as bot:
            await until(lambda: chat.server.exchange.members_connected == 2)
            sent = await alice.send("bot", "second")
            (message,) = await take(bot, 1)
            assert message.text == "second"
            await sent.delivered()
        assert there.texts == ["first"]


@pytest.mark.parametrize(
    ("kind", "body", "text"),
    [
        ("application/json", b'{"text": " a "}', "a"),
        ("application/json; charset=utf-8", b'{"text": 1}', ""),
        ("application/json", b'["text"]', ""),
        ("application/json", b"{" * 100_000, ""),
        ("application/json", b'{"text": "\\ud800"}', "?"),
        ("text/plain", b"\xff", "\ufffd"),
        ("text/html", b"<p>", ""),
        ("", b"x", ""),
        ("text/plain", b"x" * 20_000, "x" * (16 << 10)),
    ],
)
def test_an_answer_is_text_or_nothing(kind: str, body: bytes, text: str) -> None:
    assert answer_of(kind, body) == text


@pytest.mark.parametrize(
    ("url", "origin", "port"),
    [
        ("http://[::1]:8080/a", "http://[::1]:8080", 8080),
        ("http://hook.lan", "http://hook.lan", 80),
        ("https://hook.lan:8443/a", "https://hook.lan:8443", 8443),
    ],
)
def test_where_private_hooks_are_allowed_they_need_no_encryption(url: str, origin: str, port: int) -> None:
    found = parse_hook_url(url, allow_local=True)
    assert (found.origin, found.port) == (origin, port)
