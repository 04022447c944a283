"""Connections to the web page: requests for files, and WebSockets.

Theory of operation. A connection begins with HTTP, whose requests h11 reads. A request for `/connect` turns it into a
WebSocket: the socket gets a `WebSocketConnection` instead, which is like any connection of the server, except that its
bytes go through frames of WebSocket. To the page, HTTP carries nothing that users have written: that only comes over
the WebSocket. A POST or PUT publishes: its body is kept until it is whole, and goes to the `Publisher`, which answers
later. A GET that subscribes gives the socket to a `SubscriberConnection`, which answers until the subscriber leaves.
"""

import asyncio
import re
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import lru_cache
from typing import Any, Final, Protocol, TypeAlias, cast
from urllib.parse import unquote

import h11

from twotick.net import network_of
from twotick.server.connection import SocketConnection, client_address, own_address
from twotick.server.deadlines import Deadlines
from twotick.server.logs import PartLog
from twotick.server.options import ServerLimits
from twotick.server.web.bodies import ArrivingBody
from twotick.server.web.gate import Gate, Turned, Visitor
from twotick.server.web.publish.bots import Bots, PublishHost
from twotick.server.web.publish.publication import Unreadable
from twotick.server.web.publish.publisher import FileLimits, Publisher
from twotick.server.web.publish.request import RequestHead, is_publishing, may_bring_file
from twotick.server.web.site import SECURITY, Site, WebAnswer, plain_answer
from twotick.server.web.subscribe.subscribers import Subscribers
from twotick.server.web.subscribe.wanted import is_subscribing, read_subscription
from twotick.server.web.web_socket import WebSocketConnection, accept_key

log: Final = PartLog("web")

_CONNECT: Final = "/connect"
"""Where WebSockets are opened."""

_OPERATING: Final = "/admin/api/"
"""Where the operator's page asks."""

_IRC: Final = "/irc"
"""Where IRC clients open them."""

_IRC_PROTOCOLS: Final = (b"text.ircv3.net", b"binary.ircv3.net")

_TOKENS: Final = re.compile(r"tt_[\w-]*")
"""The tokens in a path: those who post web hooks have no other place for them."""

_ORIGIN: Final = re.compile(r"\A[a-z]+://[^/]*", re.IGNORECASE)
"""What is before the path in the URL that a proxy is asked for; it can have a name and a password."""

_LOGGED: Final = 200
"""The most letters of a path that are logged."""

_MOST_OF_HEAD: Final = 16 << 10
"""Bytes of the longest head of a request."""

_WITHOUT_TLS: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
    b"This port speaks HTTPS: begin the address of the page with https.\n"
)

_HEADS: Final = 512
"""The heads of answers that are kept: most answers have the same."""

_TOO_LONG: Final = "The body of the request is too long."

_REQUEST: Final = 4096
"""The bytes as which a request counts in the turn of its address: it takes as long as some dozen frames."""

_CHUNK: Final = 256
"""The bytes as which a part of a body counts, which may be a chunk of one byte: it takes as long as two frames."""


MakeIrc: TypeAlias = Callable[[Visitor, bool], SocketConnection]
"""Returns the protocol of a WebSocket for IRC: for a visitor, with messages of text or binary ones."""


class WebHost(PublishHost, Protocol):
    """What connections to the page need of the server."""

    @property
    def stopping(self) -> bool:
        """Whether the server is about to stop."""
        ...

    def admit(self, network: str) -> bool:
        """Return whether an address may have one more connection, and count it if so."""
        ...

    def dismiss(self, network: str) -> None:
        """Count a connection of an address no more."""
        ...

    def move(self, old: str, new: str) -> bool:
        """Count a connection for another address; return False, and leave it, if that may have no more."""
        ...

    def hold_early(self, holder: object, network: str, amount: int) -> bool:
        """Note the bytes that a connection holds that is not registered; return whether its address may."""
        ...


Operating: TypeAlias = Callable[
    [str, str, Mapping[bytes, bytes], Visitor, Callable[[], bool]], Coroutine[Any, Any, WebAnswer]
]
"""Answers what the operator's page asks: `OperatorPage.answer`."""


class HttpConnection(asyncio.Protocol):
    """A connection that carries requests for files, until it is a WebSocket.

    One request is answered in a turn of the event loop, and the next is not looked at while the client does not read.

    Args:
        web: the page.
        address: the address of the client, if it is not that of the other end of the socket.
    """

    __slots__ = (
        "_asked",
        "_asking",
        "_body",
        "_client",
        "_clogged",
        "_given",
        "_http",
        "_is_waiting",
        "_waiting",
        "_web",
        "address",
        "closing",
        "network",
        "transport",
    )

    def __init__(self, web: "Web", address: str | None = None) -> None:
        self._web = web
        self._given = address
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_MOST_OF_HEAD)
        self._clogged = False
        self._is_waiting = False  # for a turn of its address
        self._waiting: h11.Request | None = None  # the request that does; None if more of a body does
        self._asked = ""  # for the log: the method and the path of the last request
        self._client = ""  # and the address that a proxy names
        self._asking: asyncio.Task[WebAnswer] | None = None  # what answers a request of the operator's page
        self._body: ArrivingBody | None = None  # that of a request to publish
        self.closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Handle that the event loop has accepted the connection."""
        self.transport = cast(asyncio.Transport, transport)
        self.address = client_address(transport) if self._given is None else self._given
        self.network = network_of(self.address)
        # A connection that is encrypted was admitted before its handshake began.
        if self.encrypted or self._web.host.admit(self.network):
            self._web.opened(self)
        else:
            self.network = ""
            self.transport.abort()

    @property
    def encrypted(self) -> bool:
        """Whether it is encrypted."""
        return self.transport.get_extra_info("ssl_object") is not None

    def data_received(self, data: bytes) -> None:
        """Handle bytes that have arrived."""
        if not self.closing:
            self._http.receive_data(data)
            self._next()

    def eof_received(self) -> bool:
        """Handle that the peer has closed its half: no request will come."""
        return False

    def pause_writing(self) -> None:
        """Handle that the peer does not read what is written."""
        self._clogged = True

    def resume_writing(self) -> None:
        """Handle that the peer reads again."""
        self._clogged = False
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        """Handle that the connection is gone."""
        if self._asking is not None:
            self._asking.cancel()
        if self._body is not None:
            self._body.drop()
        if self.network:
            self._web.host.dismiss(self.network)
            self._web.closed(self, self.network)

    def _next(self) -> None:
        """Look for the next request, and answer it."""
        if self.closing or self._clogged or self._asking is not None or self._is_waiting:
            return
        if self.transport.is_closing():
            return
        if self._body is not None and self._body.is_busy:
            return  # it is being published, or a part of it is on its way to the disk
        try:
            event = self._http.next_event()
            while isinstance(event, h11.EndOfMessage | h11.Data):
                if self._body is not None and self._take_body(self._body, event):
                    return
                if not self._has_turn(_CHUNK):
                    return
                event = self._http.next_event()
            if isinstance(event, h11.Request):
                self._take(event)
                return
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, "This is not a request that a browser would send.", "GET")
            return
        waiting = len(self._http.trailing_data[0]) + (0 if self._body is None else self._body.held)
        if self._web.host.hold_early(self, self.network, waiting):
            self.transport.resume_reading()
        else:
            self.transport.abort()

    def _take_body(self, body: ArrivingBody, event: h11.Data | h11.EndOfMessage) -> bool:
        """Take a part of a body, or its end. Return whether there is nothing more to take for now."""
        if isinstance(event, h11.Data):
            body.add(event.data)
            if not body.is_full:
                return False
            if not body.head.may_bring_file:
                self._refuse(413, _TOO_LONG, body.head.method)
                return True
        self.transport.pause_reading()
        self._web.answering(self)
        if isinstance(event, h11.Data):
            body.keep(self._kept)
        else:
            body.publish(self._published)
        return True

    def _kept(self, refusal: WebAnswer | None) -> None:
        """Read on when a part of the body waits on the disk; send the answer if it may not."""
        if self._body is None or self.transport.is_closing():
            return  # the peer is gone
        if refusal is not None:
            headers = [*refusal.headers, ("Connection", "close")]
            self._write(WebAnswer(refusal.status, headers, refusal.body), self._body.head.method)
            self._close()
            return
        self._web.rest(self)  # the next part has as much time
        self.transport.resume_reading()
        self._next()

    def _published(self, answer: WebAnswer) -> None:
        """Send the answer to a request to publish."""
        body, self._body = self._body, None
        if body is None or self.transport.is_closing():
            return  # the peer is gone
        self._web.host.hold_early(self, self.network, 0)
        self._send(answer, body.head.method)

    def expire(self) -> None:
        """Handle that the time for a request is over: say so if its body is late."""
        if self._body is not None and not self._body.is_busy and not self.transport.is_closing():
            self._refuse(408, "The body of the request took too long.", self._body.head.method)
        else:
            self.transport.abort()

    def _take(self, request: h11.Request) -> None:
        """Answer a request, unless its address has had its turn (rule 8.7)."""
        if self._has_turn(_REQUEST):
            self._answer(request)
        else:
            self._waiting = request

    def _has_turn(self, amount: int) -> bool:
        """Count bytes for the turn of the address; if that is over, wait for another, and return False."""
        host = self._web.host
        if not host.flushing:
            host.flush_soon()
        if not host.turns.is_over(self.network):
            host.turns.count(self.network, amount)
            return True
        self._is_waiting = True
        self.transport.pause_reading()
        host.turns.wait(self)
        return False

    def go_on(self) -> None:
        """Answer the request, or take more of the body, that has waited for a turn of its address."""
        self._is_waiting = False
        request, self._waiting = self._waiting, None
        self._web.host.turns.count(self.network, _CHUNK if request is None else _REQUEST)
        if self.transport.is_closing():
            return
        if request is None:
            self._next()
        else:
            self._answer(request)

    def _answer(self, request: h11.Request) -> None:
        asked = _ORIGIN.sub("", request.target.partition(b"?")[0].decode("ascii", "replace"))
        path = _TOKENS.sub("tt_...", unquote(asked))
        method = request.method.decode("ascii")
        self._asked = f"{method} {path[:_LOGGED]}"
        headers: dict[bytes, bytes] = {}
        for name, value in request.headers:
            headers[name] = headers[name] + b", " + value if name in headers else value
        try:
            target = request.target.decode("ascii", "replace")
            publishes = not target.startswith(_OPERATING) and is_publishing(method, target)
            _check_head(request, headers, self._most_body(method, target) if publishes else 0)
            reached = own_address(self.transport)
            visitor = self._web.gate.visitor(self.address, headers, reached=reached, encrypted=self.encrypted)
            self._client = visitor.address
            path = target.partition("?")[0]
            head = RequestHead(method, target, headers, visitor)
            if publishes:
                self._expect_body(head)
            elif path == _CONNECT:
                self._upgrade(request, headers, visitor, lambda: WebSocketConnection(self._web.host, visitor))
            elif path == _IRC and self._web.make_irc is not None:
                self._upgrade_irc(request, headers, visitor, self._web.make_irc)
            elif is_subscribing(method, target):
                self._subscribe(request, head)
            elif self._web.operating is not None and target.startswith(_OPERATING):
                self._ask(method, target.removeprefix(_OPERATING), headers, visitor)
            else:
                self._send(self._web.site.answer(method, target, headers), method)
        except Turned as error:
            self._refuse(error.status, str(error), method)

    def _most_body(self, method: str, target: str) -> int:
        """Return the bytes of the longest body that a request to publish may have."""
        publisher = self._web.publisher
        is_long = may_bring_file(method, target)
        return max(publisher.most_body, publisher.files.most) if is_long else publisher.most_body

    def _ask(self, method: str, path: str, headers: dict[bytes, bytes], visitor: Visitor) -> None:
        """Answer a request of the operator's page, which takes more than one turn of the event loop.

        Raises:
            Turned: another page asks.
        """
        assert self._web.operating is not None, "the caller has checked this"
        origin = headers.get(b"origin")
        self._web.gate.check_origin(visitor, None if origin is None else origin.decode("latin-1"))
        gone = self.transport.is_closing
        work = self._web.operating(method, path, headers, visitor, gone)
        self._asking = asyncio.get_running_loop().create_task(work)
        self._asking.add_done_callback(lambda task: self._answered(task, method))
        self.transport.pause_reading()

    def _answered(self, task: asyncio.Task[WebAnswer], method: str) -> None:
        self._asking = None
        if task.cancelled() or self.closing or self.transport.is_closing():
            return
        self.transport.resume_reading()
        if (error := task.exception()) is not None:  # a defect must not leave the page without an answer
            context = {"message": "a request of the operator's page cannot be answered", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)
            self._refuse(500, "The server made a mistake, which is in its log.", method)
            return
        self._send(task.result(), method)

    def _expect_body(self, head: RequestHead) -> None:
        """Take the body of a request to publish.

        Raises:
            Turned: the server is stopping.
        """
        if self._web.host.stopping:
            raise Turned(503, "This server is stopping. Try again later.")
        self._body = ArrivingBody(self._web.publisher, head)
        if self._http.they_are_waiting_for_100_continue:
            self.transport.write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        self.transport.resume_reading()
        self._next()

    def _send(self, answer: WebAnswer, method: str) -> None:
        """Send an answer, and look for the next request in another turn of the event loop."""
        self._write(answer, method)
        if self.transport.is_closing():
            return  # the peer is gone
        if self._http.our_state is h11.MUST_CLOSE:
            self._close()
            return
        if self._http.their_state is not h11.DONE:
            self._http.next_event()  # the end of the request, which has no body
        self._http.start_next_cycle()
        self.transport.pause_reading()
        self._web.rest(self)
        asyncio.get_running_loop().call_soon(self._next)

    def _refuse(self, status: int, text: str, method: str) -> None:
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            self._write(plain_answer(status, text, [("Connection", "close")]), method)
        self._close()

    def _write(self, answer: WebAnswer, method: str) -> None:
        headers = [*answer.headers, ("Content-Length", str(len(answer.body)))]
        if answer.status == 304:
            headers.pop()
        self._note(answer.status)
        events: list[h11.Event] = [_response(answer.status, tuple(headers))]
        if answer.body and method != "HEAD":
            events.append(h11.Data(data=answer.body))
        self.transport.write(b"".join(filter(None, map(self._http.send, (*events, h11.EndOfMessage())))))

    def _note(self, status: int) -> None:
        """Log a request, if requests are logged; without its query, which may have what is secret."""
        log.info("request", address=self._client or self.address, request=self._asked, status=status)

    def _close(self) -> None:
        """Close so that the peer can still read what was written last (as the server does, see `Server`)."""
        self.closing = True
        if self._body is not None:
            self._body.drop()
            self._body = None
        if self.transport.is_closing():
            return  # the peer is gone
        self._web.host.hold_early(self, self.network, len(self._http.trailing_data[0]))
        self._web.linger(self)
        self.transport.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()
        else:
            self.transport.close()

    def _upgrade_irc(
        self, request: h11.Request, headers: dict[bytes, bytes], visitor: Visitor, make_irc: "MakeIrc"
    ) -> None:
        """Turn the connection into a WebSocket for IRC (rule 19.7).

        Raises:
            Turned: the request asks for something else, or may not have one.
        """
        offered = [each.strip() for each in headers.get(b"sec-websocket-protocol", b"").split(b",")]
        protocol = next((each for each in _IRC_PROTOCOLS if each in offered), None)
        if protocol is None:
            raise Turned(400, "Here, IRC clients open a WebSocket with the subprotocol text.ircv3.net.")
        is_text = protocol == _IRC_PROTOCOLS[0]
        self._upgrade(request, headers, visitor, lambda: make_irc(visitor, is_text), protocol.decode("ascii"))

    def _upgrade(
        self,
        request: h11.Request,
        headers: dict[bytes, bytes],
        visitor: Visitor,
        make: "Callable[[], SocketConnection]",
        protocol: str | None = None,
    ) -> None:
        """Turn the connection into a WebSocket.

        Args:
            request: the request for it.
            headers: its headers.
            visitor: who has sent it.
            make: returns the protocol of the connection.
            protocol: the subprotocol that was agreed on; None for none.

        Raises:
            Turned: the request asks for something else, or may not have one.
        """
        accept = accept_key(request, headers)
        origin = headers.get(b"origin")
        self._web.gate.check_origin(visitor, None if origin is None else origin.decode("latin-1"))
        agreed = [] if protocol is None else [("Sec-WebSocket-Protocol", protocol)]
        answer = [("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept), *agreed]
        switch = h11.InformationalResponse(status_code=101, headers=[*answer, *SECURITY])
        self._hand_over(visitor, make, switch)

    def _subscribe(self, request: h11.Request, head: RequestHead) -> None:
        """Turn the connection into that of a subscriber (section 23), which answers the request.

        Raises:
            Turned: the request cannot be understood.
        """
        try:
            wanted = read_subscription(head, time.time(), is_chunked=request.http_version != b"1.0")
        except Unreadable as error:
            raise Turned(400, f"{error}.") from error
        accept = accept_key(request, head.headers) if wanted.format == "ws" else ""
        make = self._web.subscribers.make
        self._hand_over(head.visitor, lambda: make(head.visitor, wanted, accept, self._note), None)

    def _hand_over(
        self, visitor: Visitor, make: "Callable[[], SocketConnection]", answer: h11.InformationalResponse | None
    ) -> None:
        """Let the connection go on with another protocol.

        Args:
            visitor: who has sent the request.
            make: returns the protocol.
            answer: what is answered before that; None if the protocol answers.

        Raises:
            Turned: there may be no such connection now.
        """
        host = self._web.host
        if host.stopping:
            raise Turned(503, "This server is stopping. Try again later.")
        host.hold_early(self, self.network, 0)
        network = network_of(visitor.address)
        if not host.move(self.network, network):
            raise Turned(503, "This server has too many connections. Try again later.")
        self.network = ""
        self._web.left(self)
        if answer is not None:
            self._note(answer.status_code)
            self.transport.write(self._http.send(answer) or b"")
        connection = make()
        self.transport.set_protocol(connection)
        connection.connection_made(self.transport)
        early = self._http.trailing_data[0]
        if early:
            connection.data_received(early)


@lru_cache(_HEADS)
def _response(status: int, headers: tuple[tuple[str, str], ...]) -> h11.Response:
    """Return the head of an answer. h11 checks each of its headers, which takes a sixth of the time of a post."""
    return h11.Response(status_code=status, headers=list(headers))


def _check_head(request: h11.Request, headers: dict[bytes, bytes], most_body: int) -> None:
    """Check that a request is not too long, of a version that we speak, and without a body that is too long.

    Raises:
        Turned: it is not.
    """
    # h11 limits only heads that do not come at once.
    if len(request.target) + sum(len(name) + len(value) for name, value in request.headers) > _MOST_OF_HEAD:
        raise Turned(431, "The head of the request is too long.")
    if request.http_version not in (b"1.0", b"1.1"):
        raise Turned(505, "This server speaks HTTP/1.1.")
    if most_body:
        if int(headers.get(b"content-length", b"0")) > most_body:
            raise Turned(413, _TOO_LONG)
    elif b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0":
        raise Turned(413, "Requests have no body here.")


class Web:
    """The page, and the connections to it that are no WebSockets.

    Args:
        host: the server.
        site: its files.
        make_gate: returns what decides which requests are answered.
        limits: the limits of the server.
        make_irc: returns the protocol of a WebSocket for IRC; None if there are none.
        files: what is allowed for files that programs publish.

    Attributes:
        operating: answers what the operator's page asks; None if nothing does.
    """

    def __init__(
        self,
        host: WebHost,
        site: Site,
        make_gate: Callable[[], Gate],
        limits: ServerLimits,
        make_irc: "MakeIrc | None" = None,
        *,
        files: FileLimits,
    ) -> None:
        self.host = host
        self.make_irc = make_irc
        self.site = site
        self._make_gate = make_gate
        self.gate = make_gate()
        self.operating: Operating | None = None
        bots = Bots(host)
        self.publisher = Publisher(host, bots, limits.max_body, files)
        self.subscribers = Subscribers(host, bots, time.time, limits.exchange.peer_timeout / 2)
        self._loop = asyncio.get_running_loop()
        self._open: dict[HttpConnection, None] = {}
        self._resting = Deadlines[HttpConnection](limits.register_timeout)
        self._lingering = Deadlines[HttpConnection](limits.linger_timeout)

    # What listeners ask

    @property
    def without_tls(self) -> bytes:
        """The answer to a client that does not begin a TLS handshake on a port for HTTPS."""
        return _WITHOUT_TLS

    def make_protocol(self, address: str | None = None) -> HttpConnection:
        """Return the protocol of a new connection.

        Args:
            address: the address of the client; None for that of the other end of the socket.
        """
        return HttpConnection(self, address)

    def admit(self, network: str) -> bool:
        """Return whether an address may have one more connection, and count it if so."""
        return self.host.admit(network)

    def dismiss(self, network: str) -> None:
        """Count a connection of an address no more."""
        self.host.dismiss(network)

    # What connections report

    def opened(self, connection: HttpConnection) -> None:
        """Handle that a connection was accepted."""
        self._open[connection] = None
        self._resting.add(connection, self._loop.time())

    def rest(self, connection: HttpConnection) -> None:
        """Handle that a request was answered: the next has as much time."""
        self._resting.discard(connection)
        self._resting.add(connection, self._loop.time())

    def answering(self, connection: HttpConnection) -> None:
        """Handle that a request is being answered: until then, the client need not do anything."""
        self._resting.discard(connection)

    def linger(self, connection: HttpConnection) -> None:
        """Handle that nothing more will be written to a connection."""
        self._resting.discard(connection)
        self._lingering.add(connection, self._loop.time())

    def left(self, connection: HttpConnection) -> None:
        """Handle that a connection is a WebSocket now."""
        self._open.pop(connection, None)
        self._resting.discard(connection)
        self._lingering.discard(connection)

    def closed(self, connection: HttpConnection, network: str) -> None:
        """Handle that a connection is gone."""
        self.host.hold_early(connection, network, 0)
        self.left(connection)
        self.host.flush_soon()  # a server that stops waits for it

    # What the server asks

    def tick(self, now: float) -> None:
        """Close the connections whose time is over."""
        for connection in self._resting.take_expired(now):
            connection.expire()
        for connection in self._lingering.take_expired(now):
            connection.transport.abort()
        self.publisher.tick(now)
        self.subscribers.tick(now)

    def tell_visitors(self, *, sign_up: str, guests: bool) -> None:
        """Tell those who open the page from now on who may sign up, and whether guests may come."""
        self.site.info.update(sign_up=sign_up, guests=guests)

    def use_certificate(self) -> None:
        """Handle that there is another certificate, which may have other names."""
        self.gate = self._make_gate()

    @property
    def is_left(self) -> bool:
        """Whether there are no connections but WebSockets."""
        return not self._open

    def stop(self) -> None:
        """Close all connections but WebSockets. What was written to them still goes out."""
        for connection in list(self._open):
            connection.transport.close()

    def abort(self) -> None:
        """Close them at once."""
        self.publisher.stop()
        self.subscribers.stop()
        for connection in list(self._open):
            connection.transport.abort()
