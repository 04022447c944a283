"""An exchange with a real store, and clients that write frames and read frames."""

import json
import math
from collections.abc import Callable
from typing import Any

from twotick.exchange import Connection, Exchange, Limits, PushOffer, ServerIdentity
from twotick.store import (
    AddMember,
    Append,
    LoginProof,
    Member,
    OpenDevice,
    Request,
    SqliteStore,
    StoreError,
    StoreLimits,
    Together,
)
from twotick.wire import Frame, HeadCache, Parser, Side, Verb, frame, register


class Line:
    """One connection, from both ends."""

    def __init__(self, mail: "Mail", address: str = "127.0.0.1") -> None:
        self._mail = mail
        self._server = Parser(mail.heads)
        self._client = Parser(mail.heads)
        self.connection: Connection = mail.exchange.connected(address, self, framed=mail.framed)
        self._untaken: list[Frame] = []
        self.got: list[Frame] = []
        self.closed = False

    def write(self, data: bytes) -> list[Frame]:
        """Write frames; returns what has come by then."""
        self._untaken += self._server.feed(data)
        self.give()
        self._mail.settle()
        return self.read()

    def begin(self, data: bytes) -> None:
        """Write frames, and let the exchange leave what follows from that for later."""
        self._untaken += self._server.feed(data)
        self.give()

    def give(self) -> None:
        """Let the exchange take what it has not taken."""
        if self._untaken and not self.connection.paused and not self.closed:
            self._untaken = self._mail.exchange.take(self.connection, self._untaken)

    def take(self, data: bytes) -> None:
        """What the exchange has written."""
        self.got += self._client.feed(data)

    def take_all(self, written: list[bytes | Frame]) -> None:
        """What the exchange has written, some of it as frames."""
        data = b""
        for each in written:
            if isinstance(each, bytes):
                data += each
                continue
            if data:
                self.take(data)
            data = b""
            self.got.append(each)
        if data:
            self.take(data)

    def read(self) -> list[Frame]:
        """What has come since the last time."""
        got, self.got = self.got, []
        return got

    def cut(self) -> None:
        """The connection is gone."""
        self._mail.exchange.disconnected(self.connection)
        self.closed = True
        self._mail.settle()


class Mail:
    """An exchange and a store, in memory unless another is given.

    A connection that registers with `Authorization: NAME` is the member of that name.

    Attributes:
        asked: the requests of the types in `answers`.
        answers: what to answer to requests of some types in place of the store.
        broken: whether the store cannot keep messages.
        meanwhile: called while a login is checked.
        credential: what logins are checked with; None for the members' passwords.
        framed: whether the exchange may give connections frames that are not bytes.
        password_refusal: with which code, reason and wait changes of passwords are refused; None if they are not.
    """

    def __init__(
        self,
        *names: bytes,
        limits: Limits | None = None,
        store: SqliteStore | None = None,
        device_age: float = math.inf,
        push: PushOffer | None = None,
        identity: ServerIdentity | None = None,
        framed: bool = False,
    ) -> None:
        self.framed = framed
        self.now = 1000.0
        self.heads = HeadCache(1 << 20)
        self.store = store or SqliteStore(None, StoreLimits())
        self.broken = False
        self.meanwhile: Callable[[], object] = lambda: None
        self.credential: LoginProof | None = None
        self.password_refusal: tuple[int, str, int | None] | None = None
        self.asked: list[Request[Any]] = []
        self.answers: dict[type, Callable[[Any], Any]] = {}
        self.exchange = Exchange(
            limits or Limits(),
            self.now,
            lambda: self.now,
            lambda: (b"tt_x", b"digest"),
            device_age=device_age,
            push=push,
            identity=identity,
        )
        self.members: dict[bytes, Member] = {}
        for name in names:
            self.add(name)

    def add(self, name: bytes) -> None:
        """Add a member."""
        (member,) = self.store.apply([AddMember(name.decode(), "", self.now)])
        assert isinstance(member, Member)
        self.members[name] = member

    def settle(self) -> None:
        """Do what the exchange has left to do, until nothing is left."""
        exchange = self.exchange
        while any((exchange.written, exchange.requests, exchange.logins, exchange.password_changes, exchange.changed)):
            for connection in exchange.written:
                connection.port.take_all(connection.out)
                connection.out.clear()
            exchange.written.clear()
            requests = exchange.requests.copy()
            exchange.requests.clear()
            self.carry_out(requests)
            logins = exchange.logins.copy()
            exchange.logins.clear()
            for connection, head in logins:
                member = self.members.get(head.headers[b"authorization"])
                if member is None:
                    exchange.not_authenticated(connection, 104, "wrong")
                else:
                    device = head.headers.get(b"device", b"main").decode()
                    credential = self.credential or LoginProof(None, member.password)
                    self.meanwhile()
                    exchange.authenticated(connection, head, member, device, credential)
            password_changes = exchange.password_changes.copy()
            exchange.password_changes.clear()
            for connection, device, head in password_changes:
                if self.password_refusal is not None:
                    exchange.password_kept(connection, head, *self.password_refusal)
                    continue
                exchange.password_changed(connection, device, head, others_revoked=b"revoke-others" in head.headers)
            changed = exchange.changed.copy()
            exchange.changed.clear()
            for connection in changed:
                connection.port.closed |= connection.closing
                connection.port.give()

    def carry_out(self, requests: list[tuple[Request[Any], Callable[[Any], None]]]) -> None:
        """Let the store carry out requests."""
        for (_, callback), result in zip(requests, self._apply([each for each, _ in requests]), strict=True):
            callback(result)

    def _apply(self, requests: list[Request[Any]]) -> list[Any]:
        if self.broken and any(isinstance(request, Append | OpenDevice) for request in requests):
            return [StoreError("the disk is full") for _ in requests]
        return [self._answer(request) for request in requests]

    def _answer(self, request: Request[Any]) -> Any:
        if isinstance(request, Together):
            return tuple(self._answer(each) for each in request.requests)
        if answer := self.answers.get(type(request)):
            self.asked.append(request)
            return answer(request)
        return self.store.apply([request])[0]

    def line(self) -> Line:
        """A connection that is not registered."""
        return Line(self)

    def device(self, name: bytes, device: bytes = b"main", window: int = 1, seq: int | None = None) -> Line:
        """A device of a member, which has read its REGISTERED."""
        line = Line(self)
        asked = register(Side.DUPLEX, name, window, authorization=name, device=device, seq=seq)
        line.take(b"")
        answer, *rest = line.write(asked)
        assert answer[0].verb is Verb.REGISTERED, line.got
        line.got = rest
        return line

    def sender(self, name: bytes) -> Line:
        """A connection of a member that only sends."""
        line = Line(self)
        ((answer, _),) = line.write(register(Side.SENDING, name, authorization=name))
        assert answer.verb is Verb.REGISTERED
        return line

    def guest(self, name: bytes, window: int = 1) -> Line:
        """A guest with an extended connection."""
        line = Line(self)
        ((answer, _),) = line.write(register(Side.DUPLEX, name, window))
        assert answer.verb is Verb.REGISTERED
        return line

    def classic(self, name: bytes, *, reasons: bool = False) -> tuple[Line, Line]:
        """The two connections of a classic guest: to send on, to receive on. It may ask for reasons (rule 7.5)."""
        lines = Line(self), Line(self)
        for line, side in zip(lines, (Side.SENDING, Side.RECEIVING), strict=True):
            ((answer, _),) = line.write(register(side, name, reasons=b"yes" if reasons else None))
            assert answer.verb is Verb.REGISTERED
        return lines

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds
        self.exchange.tick(self.now)
        self.settle()


def message(recipient: bytes, body: bytes, identifier: bytes, **headers: bytes | int | None) -> bytes:
    """A SEND as an extended client writes it."""
    return frame(Verb.SEND, recipient, body, b"", id=identifier, **headers)


def reason(frames: list[Frame]) -> str:
    """Why the only thing that was asked is answered 102."""
    ((head, _),) = frames
    assert head.code == 102, head.headers
    return head.headers[b"reason"].decode()


def objects(frames: list[Frame]) -> list[dict[str, Any]]:
    """The list with which the only thing that was asked is answered."""
    ((head, body),) = frames
    assert head.headers.get(b"content-type") == b"application/json", (head.code, head.headers)
    return json.loads(body)


def taken(seq: int, name: bytes = b"x") -> bytes:
    """RECEIVED for an entry."""
    return frame(Verb.RECEIVED, name, seq=seq)


def told(frames: list[Frame]) -> list[tuple[object, ...]]:
    """Frames in short: verb, name, Id, Seq, and the body of a FORWARD or the Reason of an ERROR."""
    return [
        (
            head.verb.value.strip().decode(),
            head.name.decode() or head.code,
            head.headers.get(b"id", b"").decode(),
            int(head.headers.get(b"seq", b"0")),
            *([body.decode()] if head.verb is Verb.FORWARD else []),
            *([head.headers[b"reason"].decode()] if b"reason" in head.headers else []),
        )
        for head, body in frames
    ]
