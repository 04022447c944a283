"""A bot's connection to the exchange within the server: what it publishes takes the way of every other message.

So all rules and limits apply to it that apply to a bot's own connection: its token can be revoked, its rates are
limited, and its messages are answered (docs/protocol.md, sections 8, 9 and 21).
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from twotick.server.connection import ConnectionHost, SocketConnection
from twotick.server.web.publish.publication import digest
from twotick.server.web.publish.spool import Spool
from twotick.store import LoginProof, Member
from twotick.wire import Frame, Head, HeadCache, Parser, Side, Verb, frame, register

_MOST_STORED: Final = 512
"""The messages of a connection that may be stored at once."""

_MOST_WAITING: Final = 4096
"""The messages of a connection that may wait until they are delivered or read; programs may be gone meanwhile."""

_MOST_HELD: Final = 4 << 20
"""The bytes that may wait on a connection."""

_FAILED: Final = 3
"""Stands for a message that was not sent, beside the indices in `STATES`."""

STATES: Final = ("accepted", "delivered", "read")
"""How far a message has got (rule 11.6)."""


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What became of a message.

    Attributes:
        state: `accepted`, `delivered` or `read`; `failed` if it was not sent.
        code: the number of the error; 0 for none.
        reason: why it was not sent.
        retry_after: the seconds to wait before the next attempt; 0 if the server does not say.
    """

    state: str
    code: int = 0
    reason: str = ""
    retry_after: int = 0


_BUSY: Final = SendOutcome("failed", 105, "too many messages of this bot are being stored", 1)
_LOST: Final = SendOutcome("failed", 107, "the server has ended the connection of this bot")


class _Sending:
    """A message whose sender waits.

    Attributes:
        level: how far it has got (the index in `STATES`, or _FAILED); -1 if nothing is known.
        outcome: the same for the sender.
        changed: set when it has got farther.
    """

    def __init__(self) -> None:
        self.level = -1
        self.outcome = _LOST
        self.changed = asyncio.Event()

    def note(self, level: int, outcome: SendOutcome) -> None:
        """Note how far it has got. What was known before stays, if the connection ends later."""
        if self.level < level and not (self.level >= 0 and outcome.code in (107, 108)):
            self.level, self.outcome = level, outcome
        self.changed.set()


class UploadRefused(Exception):
    """A file is not stored.

    Attributes:
        outcome: why.
    """

    def __init__(self, outcome: SendOutcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class _Wire(asyncio.Transport):
    """The socket that there is none of: what the server writes is read at once.

    Args:
        take: takes what the server writes.
    """

    def __init__(self, take: Callable[[bytes], None]) -> None:
        super().__init__()
        self._take = take
        self._closing = False
        self.link: SocketConnection | None = None

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._take(bytes(data))

    def writelines(self, list_of_data: Iterable[Any]) -> None:
        self._take(b"".join(list_of_data))

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        if not self._closing:
            self._closing = True
            asyncio.get_running_loop().call_soon(self._lost)

    def abort(self) -> None:
        self.close()

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self.link is not None
        return self.link

    def _lost(self) -> None:
        if self.link is not None:
            self.link.connection_lost(None)
        self._take(b"")


class _Port:
    """What the exchange writes to.

    Args:
        wire: the socket.
        encrypted: whether the program's own connection is encrypted.
    """

    def __init__(self, wire: _Wire, encrypted: bool) -> None:
        self._encrypted = encrypted or None
        self.write = wire.write
        self.writelines = wire.writelines
        self.get_protocol = wire.get_protocol

    def get_extra_info(self, name: str) -> Any:
        """Return what is known about the program's connection."""
        return self._encrypted if name == "ssl_object" else None


def _failed(head: Head) -> SendOutcome:
    """Return what an ERROR says."""
    wait = head.headers.get(b"retry-after", b"0")
    reason = head.headers.get(b"reason", b"").decode("utf-8", "replace")
    return SendOutcome("failed", head.code, reason, int(wait) if wait.isdigit() else 0)


class PublishingConnection(SocketConnection):
    """A connection of a bot that publishes by HTTP."""

    __slots__ = ()

    way = "web"


class BotSession:
    """The connection of a bot, for what one program publishes.

    Args:
        host: the server.
        name: the bot.
        token: its token; or the bot itself, the device of its token, and what was checked when that was shown.
        address: the address of the program.
        encrypted: whether the program's connection is encrypted.

    Attributes:
        is_over: whether it is closed.
        used: when it was used last, in seconds on the clock of the event loop.
    """

    def __init__(
        self,
        host: ConnectionHost,
        name: str,
        token: str | tuple[Member, str, LoginProof],
        address: str,
        *,
        encrypted: bool,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._parser = Parser(HeadCache(1 << 10, 0))
        self._waiting: dict[bytes, list[_Sending]] = {}
        self._asked: dict[bytes, deque[asyncio.Future[Head]]] = {}  # about files, by their Ids
        self._stored = 0  # how many messages are being stored
        self.is_over = False
        self.used = self._loop.time()
        wire = _Wire(self._take)
        self._link = link = PublishingConnection(host, address)
        wire.link = link
        link.opened(wire, _Port(wire, encrypted), address)
        if wire.is_closing():  # its address may have too many connections
            return
        if isinstance(token, tuple):
            ((head, _),) = Parser(HeadCache(1 << 10, 0)).feed(register(Side.SENDING, name.encode()))
            host.exchange.admit(link.connection, head, *token)
            host.flush_soon()
        else:
            authorization = b"Bearer %b" % token.encode()
            link.data_received(register(Side.SENDING, name.encode(), authorization=authorization, reasons=b"yes"))

    @property
    def is_idle(self) -> bool:
        """Whether no message, and no file, waits for an answer."""
        return not (self._waiting or self._asked)

    def close(self) -> None:
        """Close it."""
        self._link.transport.close()

    async def send(
        self, recipient: str, identifier: str, body: bytes, headers: bytes, until: str, wait: float
    ) -> SendOutcome:
        """Send a message.

        Args:
            recipient: the recipient.
            identifier: the Id.
            body: the body.
            headers: further lines of the SEND, each with its line feed.
            until: how far it is to get (`STATES`).
            wait: the seconds to wait for that once it is accepted.

        Returns:
            How far it has got; it is not waited for that if too many messages wait already.
        """
        if self.is_over:
            return _LOST
        if self._stored >= _MOST_STORED or self._link.held > _MOST_HELD:
            return _BUSY
        self.used = self._loop.time()
        key = identifier.encode()
        sending = _Sending()
        self._waiting.setdefault(key, []).append(sending)
        try:
            await self._store(sending, lambda: self._write(recipient, key, body, headers))
            if len(self._waiting) <= _MOST_WAITING:
                await self._reach(sending, STATES.index(until), self._loop.time() + wait)
        finally:
            self._waiting[key].remove(sending)
            if not self._waiting[key]:
                del self._waiting[key]
        return sending.outcome

    async def upload(self, identifier: str, name: str, spool: Spool) -> bytes:
        """Store a file (section 16); return its key. The same file with the same Id is stored once.

        Raises:
            UploadRefused: it is not stored.
            OSError: it cannot be read.
        """
        key = f"{digest(identifier)}-{spool.digest[:32].decode()}".encode()
        about = frame(Verb.FILE, b"", None, b"Name: %b\n" % name.encode(), id=key, size=spool.size, hash=spool.digest)
        offer = await self._ask(key, about)
        have = int(offer.headers.get(b"have", b"0"))
        async for piece in spool.pieces(have):
            answer = await self._ask(key, frame(Verb.PIECE, offer.name, piece, b"", id=key, offset=have))
            if int(answer.headers.get(b"have", b"0")) != have + len(piece):
                raise UploadRefused(_BUSY)  # the same file comes twice at once
            have += len(piece)
        return offer.name

    async def _ask(self, key: bytes, question: bytes) -> Head:
        """Ask about a file; return the head of the answer.

        Raises:
            UploadRefused: it is refused.
        """
        if self.is_over:
            raise UploadRefused(_LOST)
        self.used = self._loop.time()
        answered: asyncio.Future[Head] = self._loop.create_future()
        waiting = self._asked.setdefault(key, deque())
        waiting.append(answered)
        self._link.data_received(question)
        head = await answered
        if head.verb is Verb.ERROR:
            raise UploadRefused(_failed(head))
        return head

    def _answer_about_file(self, head: Head) -> bool:
        """Take an answer about a file; return whether it is one."""
        waiting = self._asked.get(head.id)
        if not waiting:
            return False
        answered = waiting.popleft()
        if not waiting:
            del self._asked[head.id]
        if not answered.done():  # otherwise the program is gone
            answered.set_result(head)
        return True

    async def _store(self, sending: "_Sending", write: Callable[[], None]) -> None:
        """Wait until a message is stored, or has failed."""
        self._stored += 1
        try:
            write()
            await sending.changed.wait()
        finally:
            self._stored -= 1

    async def _reach(self, sending: "_Sending", level: int, deadline: float) -> None:
        """Wait until a message has got so far, or has failed, or until a time on the clock of the event loop."""
        while sending.level < level:
            sending.changed.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await sending.changed.wait()
            except TimeoutError:
                return

    def _write(self, recipient: str, key: bytes, body: bytes, headers: bytes) -> None:
        self._link.data_received(frame(Verb.SEND, recipient.encode(), body, headers, id=key))

    # What the server writes

    def _take(self, data: bytes) -> None:
        if not data:
            self._end(_LOST)
            return
        for each in self._parser.feed(data):
            self._take_frame(each)

    def _take_frame(self, each: Frame) -> None:
        head = each[0]
        if head.id and self._answer_about_file(head):
            return
        if head.verb is Verb.ACCEPTED:
            self._answer(head.id, 0, SendOutcome("accepted"))
        elif head.verb is Verb.SENT and b"have" not in head.headers:
            self._answer(head.id, 1, SendOutcome("delivered"))
        elif head.verb is Verb.READ:
            self._answer(head.id, 2, SendOutcome("read"))
        elif head.verb is Verb.ERROR:
            failure = _failed(head)
            if head.id:
                self._answer(head.id, _FAILED, failure)
            else:
                self._end(failure)

    def _answer(self, key: bytes, level: int, outcome: SendOutcome) -> None:
        for sending in self._waiting.get(key, []):
            sending.note(level, outcome)

    def _end(self, outcome: SendOutcome) -> None:
        """Handle that no message can be sent any more."""
        self.is_over = True
        for waiting in self._waiting.values():
            for sending in waiting:
                sending.note(_FAILED, outcome)
        asked, self._asked = self._asked, {}
        for answered in (each for waiting in asked.values() for each in waiting if not each.done()):
            answered.set_exception(UploadRefused(outcome))
        self._link.transport.close()
