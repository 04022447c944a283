"""Each example does what its comments say."""

import json
import signal
import threading
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from queue import Queue
from typing import NamedTuple

import pytest

from tests.cli.commands import Started, listening
from tests.docs.conftest import Server
from tests.sockets import PATIENCE
from twotick import MemberClient, NotDelivered, join


@asynccontextmanager
async def member(place: Server, name: str, device: str = "test") -> AsyncGenerator[MemberClient, None]:
    """A member's client on a device."""
    async with join(name, place.address, token=place.token(name, device)) as client:
        yield client


async def text_of_next(client: MemberClient) -> str:
    """Take and acknowledge the next message."""
    message = await client.receive()
    await message.ack()
    return message.text


def until_listening(example: Started) -> None:
    assert example.line().endswith(" is listening")


async def test_the_bot_answers_commands_and_nothing_else(place: Server) -> None:
    async with member(place, "alice") as alice:
        with place.started("command_bot.py", "bot", TWOTICK_TOKEN=place.token("bot")) as bot:
            until_listening(bot)
            await alice.send("bot", "hello")
            sent = await alice.send("bot", "!echo wild oats")
            answer = await alice.receive()
            assert (answer.sender, answer.text, answer.reply_to) == ("bot", "wild oats", ("alice", sent.id))
            await answer.ack()
            await alice.send("bot", "!fly")
            answer = await alice.receive()
            assert "!help" in answer.text
            await answer.ack()
            await sent.delivered()


async def test_the_bot_answers_in_rooms(place: Server) -> None:
    async with member(place, "alice") as alice, member(place, "bot", "setup") as owner:
        await owner.create_room("#lab", public=True)
        await alice.join_room("#lab")
        with place.started("command_bot.py", "bot", TWOTICK_TOKEN=place.token("bot")) as bot:
            until_listening(bot)
            await alice.send("#lab", "!help")
            answer = await alice.receive()
            assert answer.room == "#lab"
            assert "!echo: Repeat the text." in answer.text
            await answer.ack()


async def test_a_restarted_bot_does_not_answer_twice(place: Server) -> None:
    """Its predecessor sent an answer and stopped before it acknowledged the message."""
    token = place.token("bot")
    async with member(place, "alice") as alice:
        async with join("bot", place.address, token=token) as predecessor:
            asked = await alice.send("bot", "!echo once")
            while (message := await predecessor.receive()).text != "!echo once":
                await message.ack()  # left over by a bot that was stopped
            await predecessor.send("alice", "once", id=f"answer-{message.seq}")
        with place.started("command_bot.py", "bot", TWOTICK_TOKEN=token) as bot:
            until_listening(bot)
            await asked.delivered()
            await alice.send("bot", "!echo twice")
            texts = [await text_of_next(alice), await text_of_next(alice)]
    assert texts == ["once", "twice"]


async def test_a_bot_without_a_valid_token_ends_with_the_reason(place: Server) -> None:
    ended = place.run("command_bot.py", "bot", TWOTICK_TOKEN="tt_wrong")
    assert ended.returncode == 1
    assert ended.stderr == "bot stopped: wrong name, password or token\n"


def test_the_alert_reaches_a_person_who_listens(place: Server) -> None:
    with listening("oncall", place.address) as oncall:
        oncall.line()
        ended = place.run("disk_alert.sh", ALERT_PERCENT="0")
        assert oncall.line().startswith("cron: ")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("server", ["", "127.0.0.1:1"])
def test_an_alert_that_nobody_gets_goes_to_the_fallback(place: Server, tmp_path: Path, server: str) -> None:
    """Nobody listens, or there is no server."""
    fallback = tmp_path / "fallback"
    variables = {"ALERT_PERCENT": "0", "ALERT_TO": "nobody", "ALERT_FALLBACK": f"cat > {fallback}"}
    ended = place.run("disk_alert.sh", **variables, **({"TWOTICK_SERVER": server} if server else {}))
    assert ended.returncode == 0
    assert "% full" in fallback.read_text()


def test_there_is_no_alert_while_the_disk_has_room(place: Server, tmp_path: Path) -> None:
    fallback = tmp_path / "fallback"
    ended = place.run("disk_alert.sh", ALERT_PERCENT="101", ALERT_TO="nobody", ALERT_FALLBACK=f"cat > {fallback}")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    assert not fallback.exists()


def test_an_announcement_is_delivered_or_the_reason_is_shown(place: Server) -> None:
    with listening("crew", place.address) as crew:
        crew.line()
        ended = place.run("announce.py", "crew", "lunch")
        assert crew.line() == "announcer: lunch"
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("crew has it, after ")
    ended = place.run("announce.py", "nobody", "lunch")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("nobody does not have it: ")
    ended = place.run("announce.py", "crew", "lunch", TWOTICK_SERVER="127.0.0.1:1")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("nothing was sent: ")


class Post(NamedTuple):
    """What a hook got: the idempotency key, and the sender and the text out of the JSON."""

    key: str
    sender: str
    text: str


@contextmanager
def hook(*statuses: int) -> Generator[tuple[str, "Queue[Post]"]]:
    """A web hook that answers with these statuses, one after the other; gives its address and what it got."""
    posts: Queue[Post] = Queue()
    answers = iter(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            data = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            posts.put(Post(self.headers["Idempotency-Key"], data["from"], data["text"]))
            status = next(answers)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "/elsewhere")
            self.end_headers()

        def log_request(self, code: object = "-", size: object = "-") -> None:
            """Keep the tests' output clean."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", posts
        finally:
            server.shutdown()
            thread.join()


async def test_a_message_is_delivered_when_the_hook_has_accepted_it(place: Server) -> None:
    with hook(503, 302, 204) as (url, posts):
        async with member(place, "alice") as alice:
            sent = await alice.send("bob", "build 7 is green")
            with place.started("webhook_bridge.py", "bob", url, TWOTICK_TOKEN=place.token("bob")) as bridge:
                until_listening(bridge)
                await sent.delivered()
                bridge.process.send_signal(signal.SIGINT)
                _, errors = bridge.process.communicate(timeout=PATIENCE)
        assert errors == "".join(
            f"the hook does not take messages now (HTTP {status}); trying again\n" for status in (503, 302)
        )
        got = [posts.get_nowait() for _ in range(3)]
        assert posts.empty()
    assert len(set(got)) == 1  # the same key: the hook can tell that it is the same message
    assert got[0][1:] == ("alice", "build 7 is green")


async def test_a_message_that_the_hook_refuses_is_not_delivered(place: Server) -> None:
    with hook(422, 200) as (url, posts):
        async with member(place, "alice") as alice:
            with place.started("webhook_bridge.py", "bob", url, TWOTICK_TOKEN=place.token("bob")) as bridge:
                until_listening(bridge)
                refused = await alice.send("bob", "nonsense")
                with pytest.raises(NotDelivered):
                    await refused.delivered()
                await (await alice.send("bob", "sense")).delivered()
        assert [posts.get_nowait().text, posts.get_nowait().text] == ["nonsense", "sense"]
