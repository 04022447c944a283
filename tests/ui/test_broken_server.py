"""A server that sends something malformed for a while: what keeps running goes on, and says so; a command ends."""

import asyncio
import contextlib
import io
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.client.members import Spoken, until
from tests.sockets import PATIENCE
from tests.ui.app.users import app_user
from twotick.client import ProtocolError
from twotick.client.trust.tokens import Credential
from twotick.ui.app import AppOptions
from twotick.ui.line.chat import _MemberChat  # pyright: ignore[reportPrivateUsage]
from twotick.ui.shell import history, listen, member
from twotick.ui.shell.connection import connected
from twotick.ui.text import console
from twotick.wire import Verb, frame

LISTS = (Verb.CONVERSATIONS, Verb.ROOMS, Verb.STATUS, Verb.HISTORY)


class Recovering:
    """A server whose first answers to a verb, or first frames, are malformed. Then it sends a message.

    Args:
        verb: the verb; None for a frame that breaks the connection.
    """

    def __init__(self, verb: Verb | None) -> None:
        self.verb = verb
        self.malformed = 0  # how often it has been so
        self.acknowledged = False
        self._sent = False  # whether the message was sent on this connection

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = Spoken(reader, writer)
        with contextlib.suppress(EOFError, ConnectionError):
            await server.register()
            self._sent = False
            if self.verb is None and self.malformed < 2:
                self.malformed += 1
                server.write(b"FORWARD bob\nContent-length: 0\nSeq: -1\n\n")
            while True:
                head, _ = await server.frame()
                self._answer(server, head.verb, head.headers.get(b"id", b""))
                await writer.drain()
        writer.close()

    def _answer(self, server: Spoken, verb: Verb, ident: bytes) -> None:
        if verb is Verb.RECEIVED:
            self.acknowledged = True
        elif verb is self.verb and self.malformed < 2:
            self.malformed += 1
            if verb is Verb.HISTORY:
                for seq in (5, 4):
                    server.write(frame(Verb.FORWARD, b"bob", b"old", b"History: %b\n" % ident, seq=seq))
            server.write(frame(verb, body=b"[7]", id=ident))
        elif verb in LISTS:
            server.write(frame(verb, body=b"[]", id=ident))
        if self.malformed == 2 and not self._sent and not self.acknowledged:
            self._sent = True
            server.write(frame(Verb.FORWARD, b"bob", b"the end", id=b"b1", seq=1))


@contextlib.asynccontextmanager
async def recovering(verb: Verb | None) -> AsyncGenerator[tuple[Recovering, Credential]]:
    server = Recovering(verb)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    host, port = listening.sockets[0].getsockname()
    async with listening, asyncio.timeout(PATIENCE):
        yield server, Credential(f"{host}:{port}", "alice", "laptop", "t")


@pytest.mark.parametrize("verb", [None, Verb.CONVERSATIONS])
async def test_listen_goes_on_and_says_so(verb: Verb | None) -> None:
    async with recovering(verb) as (server, who):
        with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.redirect_stdout(io.StringIO()) as printed:
            await member.listen(who, listen.print_line, count=1, folder=None)
    assert "bob: the end" in printed.getvalue()
    assert server.malformed == 2
    assert (
        "the server sent a malformed list: asking again" if verb else "not a number: reconnecting"
    ) in said.getvalue()


@pytest.mark.parametrize("verb", [None, Verb.CONVERSATIONS])
async def test_the_line_client_goes_on(verb: Verb | None) -> None:
    async with recovering(verb) as (_, who):
        with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()) as printed:

            async def ask(_: str) -> str:
                await until(lambda: "bob: the end" in printed.getvalue())
                raise EOFError

            async with connected(who, patient=True) as me:
                await _MemberChat(me, ask, console()).run()


@pytest.mark.parametrize("verb", [None, *LISTS])
async def test_the_app_goes_on_and_says_so(tmp_path: Path, verb: Verb | None) -> None:
    async with recovering(verb) as (server, who):
        async with app_user(AppOptions(who.server, who.name, who, folder=tmp_path)) as alice:
            said: list[str] = []
            alice.session.on_refusal = said.append
            await until(lambda: server.malformed == 2 and server.acknowledged)
            await alice.sees("bob")
            assert [each.text for each in alice.session.open("bob").messages] == ["the end"]
            await until(lambda: alice.session.connected)
            assert not alice.session.ended
            assert said or verb is None  # a broken connection is in the status line
        assert not alice.app.return_code


async def _ask(who: Credential, verb: Verb | None) -> None:
    if verb is Verb.HISTORY:
        await history.show_history(who, None, since=None, limit=10, as_json=False)
    else:
        options: dict[str, Any] = {"file": None, "until": 1, "wait": 1.0, "expires": None}
        await member.send(who, "bob", b"hello", **options)


@pytest.mark.parametrize("verb", [None, Verb.HISTORY])
async def test_a_command_for_one_request_ends(verb: Verb | None) -> None:
    async with recovering(verb) as (server, who):
        with pytest.raises(ProtocolError):
            await _ask(who, verb)
    assert server.malformed == 1
