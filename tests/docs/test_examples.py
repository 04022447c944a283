"""Each example does what its comments say."""

import json
import re
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
from tests.docs.conftest import EXAMPLES, Server
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


async def ask(client: MemberClient, text: str, to: str = "bot") -> str:
    """Send a message, and return the next one that comes."""
    await client.send(to, text)
    return await text_of_next(client)


@contextmanager
def bot_at_work(place: Server, example: str, *arguments: str, **variables: str) -> Generator[Started]:
    with place.started(example, "bot", *arguments, TWOTICK_TOKEN=place.token("bot"), **variables) as bot:
        assert bot.stderr.readline() == "bot is listening\n"
        yield bot
        bot.process.send_signal(signal.SIGTERM)
        assert bot.process.wait(PATIENCE) == 0


async def test_bots_answer(place: Server, tmp_path: Path) -> None:
    """Each of them is killed while it has a command, or stopped, and does what its comments say."""
    async with member(place, "alice") as alice, member(place, "bob") as bob:
        with bot_at_work(place, "command_bot.py"):
            assert await ask(alice, "echo wild  oats") == "wild  oats"
            assert await ask(alice, "help") == "!echo TEXT...  Repeat the text.\n!time  Tell the time in UTC."
            assert "there is no command 'fly': !help" in await ask(alice, "!fly")
        program = tmp_path / "deploy"
        program.write_text(f'#!/bin/sh\n[ $1 = web ] && echo "$2 $DEPLOY_KEY" >> {tmp_path}/log && echo as "$2"')
        program.chmod(0o700)
        with bot_at_work(place, "deploy_bot.py", str(program), DEPLOY_OWNER="bob"):
            assert await ask(alice, "deploy web") == "web is on staging: as staging"
            assert await ask(alice, "deploy api") == "api was not deployed: status 1"
            assert await ask(alice, "deploy web production") == "alice may not deploy to production"
            assert await ask(bob, "deploy web production") == "web is on production: as production"
        assert len({line.split()[1] for line in (tmp_path / "log").read_text().splitlines()}) == 2
        with bot_at_work(place, "note_bot.py", str(tmp_path)):
            assert await ask(alice, "buy milk") == "noted, as number 1"
            assert await ask(bob, "notes") == "you have no notes"
        with bot_at_work(place, "note_bot.py", str(tmp_path)):
            assert await ask(alice, "buy oats") == "noted, as number 2"
            assert await ask(alice, "notes 1") == "buy oats"
        with bot_at_work(place, "poll_bot.py"):
            await alice.send("bot", "poll pizza?")
            question = await alice.receive()
            assert question.text == "pizza? React to this message."
            await question.ack()
            await alice.react("bot", question.id, "+1", sender="bot")
            assert await ask(alice, "votes") == "+1 1"


async def test_the_ten_lines_are_a_bot(place: Server, tmp_path: Path) -> None:
    """The block in docs/bots.md."""
    page = (EXAMPLES.parent / "docs" / "bots.md").read_text("utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "ten.py").write_text(program.replace('"helper"', '"bot"'))
    async with member(place, "alice") as alice:
        with place.started(str(tmp_path / "ten.py"), TWOTICK_TOKEN=place.token("bot")):
            assert await ask(alice, "add 2 3") == "alice, that is 5"
            assert await ask(alice, "add two") == "FIRST is a whole number, not two\nusage: !add FIRST [SECOND]"
            assert await ask(alice, "help") == "!add FIRST [SECOND]  Add two numbers."


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
