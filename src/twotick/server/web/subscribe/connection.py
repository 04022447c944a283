"""The connection of a subscriber: what comes for its bot goes out as events.

Theory of operation. A `SubscriberConnection` is like any connection of the server, but what the exchange takes from it
is written here: a REGISTER with the subscriber's token, a HISTORY for each recipient, and the RECEIVEDs. A subscriber
is a device of its bot, with a name of its own. An entry is acknowledged when the system has taken what was written of
it. So the sender sees a message as delivered when it has left the server for the first subscriber, and what is not
acknowledged waits for the next one. The device is removed with the connection.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol, cast

from twotick.server.connection import SocketConnection
from twotick.server.web.frames import NORMAL, POLICY, PONG, FrameDecoder, close_frame
from twotick.server.web.frames import frame as web_frame
from twotick.server.web.gate import Visitor
from twotick.server.web.publish.answers import RETRY, NotPublished, refusal
from twotick.server.web.publish.bots import PublishHost
from twotick.server.web.site import WebAnswer
from twotick.server.web.subscribe.events import event, message, packed, position, stream_head
from twotick.server.web.subscribe.wanted import Subscription
from twotick.wire import Frame, Head, Side, Verb, frame, read_number, register, time_text

_WINDOW: Final = 16
"""The entries that may be on their way to a subscriber."""

_UNAUTHORIZED: Final = (104, 108)


class SubscriberHost(Protocol):
    """What a subscriber's connection needs of all of them."""

    def begin(self, connection: "SubscriberConnection") -> None:
        """Find out which bot subscribes, and let it or refuse it."""
        ...

    def read(self, data: bytes) -> list[Frame]:
        """Return the frames that the exchange has written, which are always whole."""
        ...

    def now(self) -> float:
        """Return the time, in seconds since 1970."""
        ...

    def left(self, connection: "SubscriberConnection") -> None:
        """Handle that a connection is gone."""
        ...


class SubscriberConnection(SocketConnection):
    """A connection of a subscriber. It is also what the exchange writes to.

    Args:
        subscribers: all of them.
        host: the server.
        visitor: who subscribes.
        wanted: what is asked for.
        accept: the answer to the key of a WebSocket; empty if it is none.
        note: logs the status of the answer.

    Attributes:
        wanted: see above.
        visitor: see above.
        topics: the conversations, by their names in lower case, with what the subscriber calls them.
        member: the store's number of the bot; 0 if it is not known yet.
        device: the full name of the device; empty if there is none.
        wrote: when something was written last, on the clock of the event loop.
    """

    __slots__ = (
        "_accept",
        "_acknowledged",
        "_begun",
        "_decoder",
        "_failure",
        "_farewell",
        "_held",
        "_histories",
        "_is_beginning",
        "_is_over",
        "_last",
        "_note",
        "_refusal",
        "_scheduled",
        "_shown",
        "_subscribers",
        "_waiting",
        "device",
        "member",
        "topics",
        "visitor",
        "wanted",
        "wrote",
    )

    way = "web"

    def __init__(
        self,
        subscribers: SubscriberHost,
        host: PublishHost,
        visitor: Visitor,
        wanted: Subscription,
        accept: str,
        note: Callable[[int], None],
    ) -> None:
        super().__init__(host)
        self._subscribers = subscribers
        self._accept = accept
        self._note = note
        self._decoder = FrameDecoder() if accept else None
        self._begun = False  # whether the head of the answer was written
        self._is_beginning = True  # whether it is the next thing to be written
        self._is_over = False  # whether all has been written that a poll gets
        self._refusal: WebAnswer | None = None
        self._failure = 107, "the server has ended the connection"
        self._farewell = NORMAL, ""
        self._waiting: list[bytes] = []  # frames for the exchange
        self._scheduled = False
        self._histories = 0  # answers to HISTORY that are to come
        self._held: list[Frame] = []  # entries that came meanwhile
        self._shown: set[tuple[str, int]] = set()  # what these answers had
        self._last = self._acknowledged = 0
        self.visitor = visitor
        self.wanted = wanted
        self.topics: Mapping[str, str] = {}
        self.member = 0
        self.device = ""
        self.wrote = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Handle that the request was taken."""
        self.opened(cast(asyncio.Transport, transport), self, self.visitor.address)
        self.transport.set_write_buffer_limits(high=0)  # so that it is known when the system has all
        self._subscribers.begin(self)

    # What the subscribers say

    def start(self, name: str, device: str, topics: Mapping[str, str]) -> None:
        """Register.

        Args:
            name: the bot.
            device: the part of the device's name below that of the token.
            topics: the conversations.
        """
        self.topics = topics
        authorization = b"Bearer %b" % self.wanted.token.encode()
        side, window = (Side.SENDING, None) if self.wanted.polls else (Side.DUPLEX, _WINDOW)
        self._tell(
            register(
                side,
                name.encode(),
                window,
                authorization=authorization,
                device=None if self.wanted.polls else device.encode(),
                reasons=b"yes",
            )
        )

    def answer(self, answer: WebAnswer) -> None:
        """Answer without a subscription, and close the connection."""
        self._refusal = answer
        self.finish()

    def finish(self, reason: str = "") -> None:
        """End the subscription; the reason is for a WebSocket."""
        if reason:
            self._farewell = POLICY, reason
        self._host.exchange.finish(self.connection)
        self._host.flush_soon()

    def keep_alive(self) -> None:
        """Write that the server is still there, unless the subscriber has more to read."""
        if self._begun and self.connection.window and not self.lingering and not self.transport.is_closing():
            self._write_event("keepalive")

    # What the exchange writes to

    def write(self, data: bytes) -> None:
        """Take frames of the exchange."""
        out = [text for each in self._subscribers.read(data) for text in self._take(each)]
        self._write_out(out)
        self._go_on_soon()

    def writelines(self, parts: Iterable[bytes]) -> None:
        """Take frames of the exchange, of which the parts are large."""
        self.write(b"".join(parts))

    def get_protocol(self) -> asyncio.BaseProtocol | None:
        """Return the connection; None if it was lost."""
        return self.transport.get_protocol()

    def get_extra_info(self, name: str) -> Any:
        """Return what is known about the client's connection, which behind a proxy is not the socket's."""
        return self.visitor.encrypted or None if name == "ssl_object" else self.transport.get_extra_info(name)

    # Frames

    def _take(self, each: Frame) -> Iterable[bytes]:
        """Take a frame, and return what is to be written."""
        head, body = each
        seq = read_number(head.seq) or 0
        if head.verb is Verb.REGISTERED:
            return self._registered()
        if head.verb is Verb.HISTORY:
            self._histories -= 1
            return self._history_ended() if not self._histories else ()
        if b"history" in head.headers:
            self._shown.add(position(head))
            return self._message(head, body)
        if head.verb is Verb.ERROR and not seq:
            self._failed(head)
            return ()
        if self._histories:
            self._held.append(each)
            return ()
        return self._entry(head, body, seq)

    def _registered(self) -> list[bytes]:
        """Begin the answer, and ask for what was before."""
        self._begun = True
        wanted = self.wanted
        if wanted.earlier:
            since = time_text(wanted.since) if wanted.since else None
            self._histories = len(self.topics)
            self._waiting += [
                frame(Verb.HISTORY, name.encode(), id=b"h", limit=wanted.earlier, since=since) for name in self.topics
            ]
        self._note(101 if self._accept else 200)
        head = stream_head(wanted.format, self._accept, is_chunked=wanted.is_chunked)
        if wanted.polls:
            self._is_over = not self._histories
            return [head]
        return [head, self._event("open")]

    def _history_ended(self) -> list[bytes]:
        """Go on with what has come meanwhile."""
        held, self._held = self._held, []
        self._is_over = self.wanted.polls
        return [text for head, body in held for text in self._entry(head, body, read_number(head.seq) or 0)]

    def _entry(self, head: Head, body: bytes, seq: int) -> Iterable[bytes]:
        """Take an entry of the log."""
        if seq:
            self._last = seq
        if head.verb is not Verb.FORWARD or position(head) in self._shown:
            return ()
        return self._message(head, body)

    def _message(self, head: Head, body: bytes) -> Iterable[bytes]:
        series, number = position(head)
        known, last = self.wanted.after
        if series == known and number <= last:
            return ()  # the subscriber has it
        found = message(head, body, self.topics)
        return () if found is None else (packed(self.wanted.format, found),)

    def _failed(self, head: Head) -> None:
        """Take an ERROR that is no entry: the exchange closes the connection, or a HISTORY was refused."""
        self._failure = head.code, head.headers.get(b"reason", b"").decode("utf-8", "replace")
        if self._begun:
            self._farewell = POLICY, self._failure[1]
        self._host.exchange.finish(self.connection)  # no other attempt follows

    # What is written

    def _event(self, kind: str) -> bytes:
        now = self._subscribers.now()
        topic = ",".join(self.topics.values())
        return packed(self.wanted.format, event(kind, topic, f"{kind[0]}{int(now * 1000)}", now))

    def _write_event(self, kind: str) -> None:
        self._write_out([self._event(kind)])

    def _write_out(self, out: list[bytes]) -> None:
        if not out or self.transport.is_closing():
            return
        self.wrote = asyncio.get_running_loop().time()
        if self.wanted.is_chunked:
            first = out.pop(0) if self._is_beginning else b""
            content = b"".join(out)
            out = [first, *([b"%x\r\n" % len(content), content, b"\r\n"] if content else [])]
        self._is_beginning = False
        self.transport.write(b"".join(out))

    # What is told to the exchange

    def _tell(self, *frames: bytes) -> None:
        self._waiting += frames
        self._go_on_soon()

    def _go_on_soon(self) -> None:
        """Tell the exchange when the server has flushed."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._scheduled = False
        if self.lingering or self.transport.is_closing():
            return
        is_taken = not self.transport.get_write_buffer_size()
        if self._is_over and is_taken:
            self.finish()
            return
        if self._last > self._acknowledged and is_taken:
            self._acknowledged = self._last
            self._waiting.append(b"RECEIVED %b\nSeq: %d\n\n" % (self.connection.name, self._last))
        if not self._waiting:
            return
        frames = self._parser.feed(b"".join(self._waiting))
        self._waiting.clear()
        if self._untaken:
            self._untaken += (*frames,)
        else:
            untaken = self._host.exchange.take(self.connection, frames)
            if self.connection.paused:
                self._stop_reading(untaken)
        self._host.flush_soon()

    # What the event loop reports

    @property
    def held(self) -> int:
        """The bytes that it holds."""
        return super().held + sum(len(body) for _, body in self._held)

    @property
    def admitted(self) -> bool:
        """True: it was counted when it began with HTTP."""
        return True

    def begins_tls(self, data: bytes) -> bool:
        """Return False: the connection has begun with HTTP."""
        return False

    def handle(self, data: bytes) -> None:
        """Handle bytes that have arrived: only a WebSocket has anything to say."""
        decoder = self._decoder
        if decoder is None:
            return
        decoder.feed(data)
        if decoder.ping is not None:
            if self._begun and self.connection.window:  # otherwise the client does not read
                self.transport.write(web_frame(PONG, decoder.ping))
            decoder.ping = None
        if decoder.failure is not None:
            self.explain(*decoder.failure)
        if decoder.failure is not None or decoder.closed is not None:
            self.ended = True
            self.finish()

    def resume_writing(self) -> None:
        """Handle that the system has taken all that was written."""
        super().resume_writing()
        self._go_on_soon()

    def explain(self, code: int, reason: str) -> None:
        """Note why the connection is about to be closed."""
        self._farewell = code, reason

    def say_goodbye(self) -> None:
        """Write what comes last: the answer, if there was none, or the close frame."""
        if self._begun:
            if self._decoder is not None:
                self.transport.write(close_frame(*self._farewell))
            elif self.wanted.is_chunked:
                self.transport.write(b"0\r\n\r\n")
            return
        answer = self._refusal
        if answer is None:
            code, reason = self._failure
            refused = NotPublished(401, reason) if code in _UNAUTHORIZED else NotPublished(503, reason, 69, RETRY)
            answer = refusal(refused)
        self._begun = True
        self._note(answer.status)
        self.transport.write(_plain(answer))

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle that the connection is gone."""
        super().connection_lost(exc)
        self._subscribers.left(self)


def _plain(answer: WebAnswer) -> bytes:
    """Return an answer that is the last one on its connection."""
    headers = [*answer.headers, ("Access-Control-Allow-Origin", "*"), ("Connection", "close")]
    headers.append(("Content-Length", str(len(answer.body))))
    lines = [f"HTTP/1.1 {answer.status} {_PHRASES.get(answer.status, 'Refused')}", *(f"{n}: {v}" for n, v in headers)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", "replace") + answer.body


_PHRASES: Final = {200: "OK", 503: "Service Unavailable"}
