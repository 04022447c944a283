"""E-mail about messages that wait, as the operator and members set it up, by a server that is killed."""

import asyncio
import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from typing import Any

from aiosmtpd.smtp import SMTP

import twotick
from tests.cli.operating import Operator, Person
from tests.sockets import PATIENCE


class Inbox:
    """What a mail server got.

    Attributes:
        mails: each address to which it got an e-mail.
        is_stuck: whether the mail server then never answers.
    """

    def __init__(self) -> None:
        self.mails: Queue[str] = Queue()
        self.is_stuck = threading.Event()

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.put(envelope.rcpt_tos[0])
        if self.is_stuck.is_set():
            await asyncio.Event().wait()
        return "250 OK"


@contextmanager
def receiving() -> Generator[tuple[Inbox, str]]:
    """Run a mail server; yield what it gets, and its URL."""
    inbox = Inbox()
    started: Queue[tuple[int, Callable[[], object]]] = Queue()

    async def receive() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        server = await loop.create_server(lambda: SMTP(inbox, hostname="mail.example"), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        started.put((port, lambda: loop.call_soon_threadsafe(stop.set)))
        await stop.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(receive()))
    thread.start()
    port, stop = started.get(timeout=PATIENCE)
    try:
        yield inbox, f"smtp://127.0.0.1:{port}"
    finally:
        stop()
        thread.join()


async def test_a_server_that_is_killed_while_it_sends_does_not_send_twice(tmp_path: Path) -> None:
    with receiving() as (inbox, url):
        operator = Operator(tmp_path / "server", MAIL_URL=url, MAIL_FROM="twotick@chat.example", DIGEST_AFTER="0.1")
        operator.prepare("alice", "bob", "carol")
        assert operator.do("user", "email", "alice", "alice@example.org") == ""
        token = operator.do("token", "bob", "main").strip()
        inbox.is_stuck.set()
        with operator.serving() as (server, (host, port)):
            async with twotick.join("bob", f"{host}:{port}", token=token) as bob:
                await bob.send("alice", "hello")
            assert inbox.mails.get(timeout=PATIENCE) == "alice@example.org"
            server.process.kill()
        inbox.is_stuck.clear()
        with operator.serving() as (_, (host, port)):
            async with twotick.join("bob", f"{host}:{port}", token=token) as bob:
                await bob.send("carol", "hello")
            operator.do("user", "email", "carol", "carol@example.org")
            assert inbox.mails.get(timeout=PATIENCE) == "carol@example.org", "and not alice, whose turn is first"
            while not (mail := json.loads(operator.run("status", "--json").stdout)["mail"])["sent"]:
                pass
            assert mail == {"sent": 1, "refused": 0, "problem": "", "problem_since": None}
            assert "e-mail       1 sent\n" in operator.run("status").stdout
            alice = Person(tmp_path / "alice", (host, port))
            alice.log_in("alice", "desk")
            told = "E-mail about messages that wait goes to alice@example.org:"
            assert alice.do("profile", "--digest", "show") == f"{told} on\n"
            assert alice.do("profile", "--digest", "off") == f"{told} off\n"
            assert json.loads(alice.do("profile", "--digest", "show", "--json"))["wanted"] is False
            assert operator.do("user", "email", "alice") == "alice@example.org (switched off by the member)\n"
            assert operator.do("user", "email", "alice", "--remove") == ""
            assert operator.do("user", "email", "alice") == "none\n"
            ended = alice.run("profile", "--digest", "on")
            assert (ended.returncode, ended.stdout) != (0, "")
            assert "no e-mail address is known of you" in ended.stderr
        assert inbox.mails.empty()


def test_what_cannot_be_set_is_refused(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "server")
    operator.prepare("alice")
    for address in ("alice", "alice@example.org\nBcc: eve@example.org"):
        ended = operator.run("user", "email", "alice", address)
        assert (ended.returncode, ended.stdout) == (64, "")
        assert "is no e-mail address" in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
    assert operator.run("user", "email", "bob", "bob@example.org").returncode == 65
    ended = operator.run("user", "email", "alice", "alice@example.org")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert "nothing is sent until mail_url and mail_from are set" in ended.stderr
    operator.settings |= {"MAIL_URL": "smtp://user:SECRET@mail.example/x", "MAIL_FROM": "twotick@chat.example"}
    ended = operator.run("serve", "--port", "0")
    assert ended.returncode == 64
    assert "mail_url is no address of an SMTP server" in ended.stderr
    assert "SECRET" not in ended.stderr
