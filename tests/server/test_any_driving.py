"""Random conversations with a server over real sockets: every frame is answered, and the server logs no error.

The exchange's own random tests (tests/exchange) call it as a driver does. Here the driver itself is under test:
sockets, TLS, logins, the store's thread and the order of writing, pausing and closing.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import uvloop
from hypothesis import example, given
from hypothesis import strategies as st

from tests.examples import examples
from tests.helpers import cut
from tests.sockets import PATIENCE
from twotick.exchange import Limits
from twotick.server import Server, ServerLimits
from twotick.server.secrets import new_token, token_digest
from twotick.server.tls import make_certificate, server_context
from twotick.store import AddMember, AddToken, Member, SqliteStore, StoreLimits
from twotick.wire import Frame, HeadCache, Parser, Side, Verb, frame, register

REFUSALS = 4
MALFORMED = b"SEND bob\nContent-length: 5 5\n\nhello"
"""A frame that the server answers with ERROR 103 (rule 2.8)."""

QUESTIONS = (Verb.ROOMS, Verb.CONVERSATIONS, Verb.DEVICES, Verb.STATUS, Verb.HISTORY)


@dataclass(frozen=True)
class Step:
    """Something that a client writes.

    Attributes:
        kind: what it is.
        number: makes it different from others of its kind.
    """

    kind: str
    number: int


@dataclass
class Script:
    """All that one client writes, and how.

    Attributes:
        side: the side on which it registers as alice, with a token.
        wrong: how many wrong tokens it tries first.
        steps: what it writes after that, in one stream.
        places: where the stream is cut into writes.
        end: what comes last: `malformed` for a frame that cannot be understood, `eof` for closing this half, or
            `reset` for a connection that vanishes.
        encrypted: whether the client uses TLS.
    """

    side: Side
    wrong: int
    steps: list[Step]
    places: list[int]
    end: str
    encrypted: bool

    @property
    def frames(self) -> list[bytes]:
        """The frames of the steps."""
        return [self._frame(each) for each in self.steps]

    def asks(self, step: Step) -> bool:
        """Tell whether a step is a question, for whose answer the frames after it wait."""
        return step.kind in {"question", "file"} and self.side is Side.DUPLEX

    def _frame(self, step: Step) -> bytes:
        identifier = b"i%d" % step.number
        match step.kind:
            case "question" if self.side is Side.DUPLEX:
                return frame(QUESTIONS[step.number % len(QUESTIONS)], id=identifier)
            case "file" if self.side is Side.DUPLEX:
                return frame(Verb.FILE, id=identifier, name=b"a", size=step.number + 1, hash=b"0" * 64)
            case "again":
                return register(Side.DUPLEX, b"alice")
            case "store":
                return frame(Verb.SEND, b"bob", bytes(step.number * 100), id=identifier)
            case _:
                return frame(Verb.SEND, b"nobody", b"hello", id=identifier)


scripts = st.builds(
    Script,
    side=st.sampled_from([Side.DUPLEX, Side.SENDING]),
    wrong=st.integers(0, REFUSALS),
    steps=st.lists(
        st.builds(Step, st.sampled_from(["question", "file", "again", "store", "send"]), st.integers(0, 400)),
        max_size=12,
        unique_by=lambda step: step.number,
    ),
    places=st.lists(st.integers(1, 1500), max_size=4),
    end=st.sampled_from(["malformed", "eof", "reset"]),
    encrypted=st.booleans(),
)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The TLS contexts of the server and of its clients."""
    certificate, key, _ = make_certificate(tmp_path_factory.mktemp("tls"), ["127.0.0.1"], 3)
    return server_context(certificate, key), ssl.create_default_context(cafile=str(certificate))


class Driven:
    """A server in this event loop, with the members alice and bob.

    Attributes:
        complaints: what the event loop was told about errors.
        token: a token of alice's.
    """

    def __init__(self) -> None:
        store = SqliteStore(None, StoreLimits())
        alice, _ = store.apply([AddMember(name, "", 0.0) for name in ("alice", "bob")])
        assert isinstance(alice, Member)
        self.token = new_token()
        store.apply([AddToken(alice.number, "main", token_digest(self.token), 0.0)])
        self.complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.complaints.append(context))
        limits = ServerLimits(exchange=Limits(refusals=REFUSALS, unanswered=4), max_body=1 << 20)
        self._server = Server(limits, store)
        self._ports: dict[bool, int] = {}

    async def start(self, context: ssl.SSLContext) -> None:
        for encrypted in (False, True):
            _, self._ports[encrypted] = await self._server.start("127.0.0.1", 0, context if encrypted else None)

    async def stop(self) -> None:
        await self._server.stop()

    async def play(self, script: Script, context: ssl.SSLContext) -> list[Frame]:
        """Write what a script says, and return all frames that come until the server closes the connection."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self._ports[script.encrypted], ssl=context if script.encrypted else None
        )
        hello = [register(script.side, b"alice", authorization=b"Bearer tt_%d" % n) for n in range(script.wrong)]
        hello.append(register(script.side, b"alice", authorization=b"Bearer " + self.token.encode()))
        last = [MALFORMED] if script.end == "malformed" else []
        for piece in cut(b"".join(hello + script.frames + last), script.places):
            writer.write(piece)
            await asyncio.sleep(0)  # lets the server read what it has, which may be any part of it
        if script.end == "reset":
            writer.transport.abort()
            return []
        try:
            return await self._read(script, reader, writer)
        finally:
            writer.close()

    async def _read(self, script: Script, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> list[Frame]:
        if script.end == "eof" and not script.encrypted:
            writer.write_eof()
        parser = Parser(HeadCache(1 << 20))
        frames: list[Frame] = []
        answers = script.wrong + 1 + len(script.steps)
        while data := await reader.read(1 << 16):
            frames += parser.feed(data)
            if script.encrypted and script.end == "eof" and len(answered(frames)) >= answers:
                break  # TLS has no half-close (rule 4.12)
        return frames


def answered(frames: list[Frame]) -> list[Frame]:
    """Return the frames that answer something: not the entries of the log."""
    return [
        each for each in frames if b"seq" not in each[0].headers or each[0].verb in {Verb.REGISTERED, Verb.ACCEPTED}
    ]


def check(script: Script, frames: list[Frame]) -> None:
    """Check that each frame of a script was answered, once, and the malformed one last."""
    heads = [head for head, _ in answered(frames)]
    refused = min(script.wrong, REFUSALS)
    assert [head.code for head in heads[:refused]] == [104] * refused
    if refused == REFUSALS:
        assert len(heads) == REFUSALS, "the connection is closed after so many errors (rule 4.11)"
        return
    assert heads[refused].verb is Verb.REGISTERED
    rest = heads[refused + 1 :]
    if script.end == "malformed":
        assert rest.pop().code == 103
    found = sorted(head.headers[b"id"] for head in rest if b"id" in head.headers)
    asked = sorted(b"i%d" % step.number for step in script.steps if script.asks(step))
    sent = sorted(b"i%d" % step.number for step in script.steps if step.kind != "again" and not script.asks(step))
    if script.end == "malformed":  # SENDs whose outcome was not known by then stay unanswered (rule 7.4)
        sent = [each for each in sent if each in found]
    assert found == sorted(asked + sent)
    again = [step for step in script.steps if step.kind == "again"]
    assert [head.code for head in rest if b"id" not in head.headers] == [100] * len(again)


def run(loop_factory: Callable[[], asyncio.AbstractEventLoop], main: Callable[[], Awaitable[None]]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(PATIENCE):
            await main()

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(limited())


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
@examples(0.4)
@given(together=st.lists(scripts, min_size=1, max_size=3))
@example(together=[Script(Side.DUPLEX, 0, [Step("question", 0)], [], "malformed", False)])
@example(together=[Script(Side.DUPLEX, 1, [], [], "malformed", False)])
@example(together=[Script(Side.DUPLEX, 4, [], [], "malformed", True)])
def test_every_frame_is_answered(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
    together: list[Script],
) -> None:
    async def main() -> None:
        driven = Driven()
        try:
            await driven.start(contexts[0])
            for script in together:
                check_played(script, await driven.play(script, contexts[1]))
        finally:
            await driven.stop()
        assert driven.complaints == []

    def check_played(script: Script, frames: list[Frame]) -> None:
        if script.end != "reset":
            check(script, frames)

    run(loop_factory, main)
