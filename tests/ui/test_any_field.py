"""Whatever a peer or a server writes into a field, every way that shows it shows it, and the terminal obeys none of it.

A scripted server passes on messages with extreme values. They are listed, searched, exported, listened to, and read in
the line client and in the app.
"""

import asyncio
import contextlib
import io
import itertools
import json
import time
from collections.abc import AsyncGenerator, Generator
from pathlib import Path
from typing import Any, Self, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.widgets import Static

from tests.client.members import Spoken, scripted, until
from tests.sockets import PATIENCE
from tests.ui.app.users import app_user
from tests.ui.test_text import obeyed
from twotick.client import MemberMessage, Message
from twotick.client.trust.tokens import Credential
from twotick.ui.app import AppOptions
from twotick.ui.app.layout.messages import LayoutContext, lines, summary
from twotick.ui.app.widgets.details import DetailsPane
from twotick.ui.line.chat import _MemberChat  # pyright: ignore[reportPrivateUsage]
from twotick.ui.searching import SearchText
from twotick.ui.shell import history, listen, member
from twotick.ui.shell.connection import connected
from twotick.ui.text import console
from twotick.wire import Verb, error, frame

TIMES = [
    "0001-01-01T00:00:00Z",
    "0001-01-01T00:00:00+23:59",
    "9999-12-31T23:59:59.999Z",
    "9999-12-31T23:59:59-23:59",
    "0001-01-02T00:00:00Z",
    "9999-12-30T23:59:59Z",
    "2026-11-22",
    "2026-11-22T09:30:00",
    "1e999",
    "nonsense",
    "",
]
NUMBERS = ["0", "1", "999999999999999999", "1e999", "-1", "\u0661", "", "0x5", "1.5"]
TRICKS = ["", " ", "\x1b]0;mine\x07", "\x1b[2J\x9b31m", "\u202eroot\r", "\u2028", "\ud7ff\ufffe", "x" * 300, "\x00"]
WORDS = ["bob m1", "carol m1", "m1", "a b c", "#team", "bob", "alice", "owner", "created", "yes", "read", "public"]

fields = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.sampled_from(TIMES) for name in ("Time", "Edited", "Deleted")},
        **{name: st.sampled_from(NUMBERS) for name in ("File-size", "Have", "Of")},
        **{
            name: st.sampled_from(TRICKS + WORDS) | st.text(max_size=20)
            for name in ("Id", "To", "Reply-to", "Edits", "Deletes", "Reacts-to", "File", "File-name", "File-hash")
        },
        "Event": st.sampled_from(
            ["created", "joined", "left", "changed", "removed", "appointed", "invited", "set", *TRICKS]
        ),
        **{
            name: st.sampled_from(TRICKS + WORDS)
            for name in ("Topic", "Access", "Member", "Role", "Room", "State", "Muted", "X-To", "X-a", "Content-type")
        },
    },
)
bodies = st.sampled_from([b"", b"\xff\xfe", b"\n" * 300, b"\x1b[2J" * 50, b"a\r\nb\tc", b"\xe2\x80\xae"]) | st.binary(
    max_size=30
)
senders = st.sampled_from([b"bob", b"alice", b"ALICE", b"\x1b[31m", b"\xff", b"x" * 300, b"ALL", b"#team"])
messages = st.tuples(senders, fields, bodies)

Written: TypeAlias = tuple[bytes, dict[str, str], bytes]


@pytest.fixture(autouse=True, params=["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def _time_zone(request: pytest.FixtureRequest) -> Generator[None]:
    """Run each test in the middle, and in the most eastern and western time zones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", request.param)
        time.tzset()
        yield
    time.tzset()


def headers(written: dict[str, str]) -> bytes:
    """Return header lines with these values, as far as a line can hold them."""
    return b"".join(
        b"%b: %b\n" % (name.encode(), value.encode(errors="replace").replace(b"\n", b" "))
        for name, value in written.items()
    )


END: Written = b"bob", {}, b"the end"

EVERY: list[Written] = [
    *((b"bob", {name: value}, b"a") for name in ("Time", "Edited", "Deleted") for value in TIMES),
    *((b"bob", {"File": "k", "File-name": "f", "File-size": value, "File-hash": "h"}, b"a") for value in NUMBERS),
    *(
        (b"bob", {name: value, "Id": f"i{number}"}, body)
        for number, (name, value, body) in enumerate(
            itertools.product(
                ("Reply-to", "Edits", "Deletes", "Reacts-to", "File-name", "Event", "X-To", "Content-type"),
                [*TRICKS, "bob i1", "i2"],
                (b"a", b"\x1b[2J\xff\n\n"),
            )
        )
    ),
    *(
        (b"bob", {"Event": event, name: value}, b"")
        for event in ("changed", "invited", "appointed", "set")
        for name in ("Topic", "Access", "Member", "Role", "Room", "To")
        for value in TRICKS
    ),
    *((sender, {}, b"a") for sender in (b"\x1b[31m", b"\xff", b"x" * 300, b"alice", b"ALL", b"#team")),
]
"""A message for each extreme value of each field."""


_WINDOW = 64


class Log:
    """A server with a log of these messages, each of which is in the history, is found, and is sent to devices.

    Attributes:
        address: its HOST:PORT.
    """

    def __init__(self, told: list[Written]) -> None:
        self._told = told
        self.address = ""
        self._sent = 0  # to the device that listens

    def _forward(self, number: int, **more: Any) -> bytes:
        sender, written, body = self._told[number]
        if written.get("To", "").startswith("#") and "place" not in more:
            more["place"] = number + 1
        return frame(Verb.FORWARD, sender, body, headers(written), seq=number + 1, **more)

    def _send_up_to(self, server: Spoken, acknowledged: int, up_to: int) -> None:
        up_to = min(up_to, len(self._told))
        for number in range(max(acknowledged, self._sent), up_to):
            server.write(self._forward(number))
        self._sent = max(self._sent, up_to)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = Spoken(reader, writer)
        self._sent = 0
        with contextlib.suppress(EOFError, ConnectionError):
            await server.register()
            while True:
                head, _ = await server.frame()
                self._answer(server, head.verb, head.name, head.headers)
                await writer.drain()
        writer.close()

    def _answer(self, server: Spoken, verb: Verb, name: bytes, asked: dict[bytes, bytes]) -> None:
        ident = asked.get(b"id", b"")
        match verb:
            case Verb.HISTORY | Verb.SEARCH:
                before = int(asked.get(b"before", b"0")) or len(self._told) + 1
                shown = [number for number in range(len(self._told)) if number + 1 < before]
                shown = shown[-int(asked[b"limit"]) :]
                for number in shown if verb is Verb.HISTORY else shown[::-1]:
                    server.write(self._forward(number, history=ident))
                server.write(frame(verb, id=ident, count=len(shown)))
            case Verb.CONVERSATIONS:
                server.write(frame(verb, body=b"[]", id=ident))
                self._send_up_to(server, 0, _WINDOW)  # a listener or a chat has begun
            case Verb.RECEIVED:
                self._send_up_to(server, int(asked[b"seq"]), int(asked[b"seq"]) + _WINDOW)
            case Verb.ROOMS | Verb.PROFILE:
                server.write(frame(verb, body=b"[]", id=ident))
            case Verb.STATUS:
                server.write(frame(verb, body=b"[]", id=ident))
                for each in TIMES:
                    server.write(frame(verb, b"bob", None, headers({"State": "away", "Since": each})))
            case Verb.SEND | Verb.REPORT:
                server.write(error(102, id=ident, reason=TRICKS[2].encode() + TRICKS[3].encode()))
            case Verb.REVOKE:
                server.write(frame(Verb.REVOKED, name))
            case _:
                pass


@contextlib.asynccontextmanager
async def log_of(told: list[Written]) -> AsyncGenerator[Credential]:
    """Run a server with these messages, and give a login."""
    log = Log(told)
    server = await asyncio.start_server(log.serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, asyncio.timeout(PATIENCE):
        yield Credential(f"{host}:{port}", "alice", "laptop", "t")


def check(shown: str) -> None:
    assert obeyed(shown) <= {"\n", "\t"}, shown


class Printed(io.StringIO):
    """What is printed while it stands in for standard output."""

    def __enter__(self) -> Self:
        self._stack = contextlib.ExitStack()
        self._stack.enter_context(contextlib.redirect_stdout(self))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()


async def listen_until_the_end(who: Credential, handle: listen.Handler) -> None:
    """Listen until the last message is handled."""
    ended = asyncio.Event()

    async def watched(message: Message | MemberMessage, saved: Path | None) -> None:
        await handle(message, saved)
        if message.body == END[2]:
            ended.set()

    listening = asyncio.create_task(member.listen(who, watched, count=None, folder=None))
    ending = asyncio.create_task(ended.wait())
    await asyncio.wait([listening, ending], return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()
    listening.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await listening


@given(st.lists(messages, min_size=1, max_size=4))
def test_shell_commands_show_any_field(told: list[Written]) -> None:
    async def show() -> None:
        async with log_of([*told, END]) as who:
            await history.show_history(who, None, since=None, limit=10, as_json=False)
            await history.search(who, "oats", peer=None, limit=5, as_json=False)
            await history.show_history(who, None, since=None, limit=10, as_json=True)
            await history.export(who)
            await listen_until_the_end(who, listen.print_line)
            await listen_until_the_end(who, listen.print_json)

    with Printed() as printed:
        asyncio.run(show())
    check(printed.getvalue())
    exported = [json.loads(line) for line in printed.getvalue().splitlines() if line.startswith("{")]
    assert len(exported) >= 2 * (len(told) + 1)


async def test_the_line_client_shows_any_field() -> None:
    async with log_of([*EVERY, END]) as who:
        with Printed() as printed:
            async with connected(who) as me:
                ended = asyncio.Event()
                lines = iter(
                    ["/history", "/search oats", "/reply hm", "/react +", "/report hm", "/save", "/who", "/rooms"]
                )

                async def ask(_: str) -> str:
                    await until(lambda: "bob: the end" in printed.getvalue())
                    line = next(lines, None)
                    if line is None:
                        raise EOFError
                    return line

                chat = _MemberChat(me, ask, console())
                await chat.run()
                ended.set()
    check(printed.getvalue())


async def test_the_app_shows_any_field(tmp_path: Path) -> None:
    async with log_of([*EVERY, END]) as who:
        options = AppOptions(who.server, who.name, who, folder=tmp_path)
        async with app_user(options, height=50) as alice:
            await alice.opens("bob")
            await alice.press("ctrl+end")
            await alice.sees("the end")
            details = alice.app.screen.query_one(DetailsPane)
            await alice.press("ctrl+t")
            for conversation in list(alice.session.conversations):
                await alice.session.load_older(conversation)
                for message in conversation.messages:
                    check(summary(message))
                    for line in lines(message, LayoutContext(None), 80):
                        check("".join(span.text for span in line))
                    details.update_details(alice.session, conversation, message, None, None)
                    check(str(details.query_one(Static).content))
                check(alice.screen)
            for hit in (await alice.session.search(SearchText("oats"))).found:
                await alice.session.around(hit, 5)
            await alice.press("escape", "escape", "home", "down", "end", "up", "i")
            check(alice.screen)
        assert not alice.app.return_code


async def test_a_search_ends_although_the_server_sends_empty_pages_for_ever(capsys: pytest.CaptureFixture[str]) -> None:
    async def serve(server: Spoken) -> None:
        await server.register()
        for before in range(10**9, 0, -1):
            head, _ = await server.frame()
            if head.verb is Verb.REVOKE:
                server.write(frame(Verb.REVOKED, head.name))
            elif head.verb is Verb.PROFILE:
                server.write(frame(Verb.PROFILE, body=b"[]", id=head.headers[b"id"]))
            else:
                server.write(frame(Verb.SEARCH, id=head.headers[b"id"], count=0, before=before))

    async with asyncio.timeout(PATIENCE), scripted(serve) as address:
        who = Credential(address, "alice", "laptop", "t")
        await history.search(who, "oats", peer=None, limit=10, as_json=False)
    assert capsys.readouterr().err.startswith("twotick: stopped after 1000 pages")
