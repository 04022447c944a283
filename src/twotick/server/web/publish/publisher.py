"""Publishes what programs post: checks their tokens, sends as their bots, and answers as each format does."""

import asyncio
import json
import secrets
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from twotick.net import is_loopback
from twotick.server.awaiting import stored_answer
from twotick.server.connection import ConnectionHost
from twotick.server.logs import PartLog
from twotick.server.secrets import token_digest
from twotick.server.throttle import Throttle
from twotick.server.web.gate import Visitor
from twotick.server.web.publish.delay import read_delay
from twotick.server.web.publish.file_names import file_type
from twotick.server.web.publish.ntfy import slot_of
from twotick.server.web.publish.publication import Publication, Unreadable, digest
from twotick.server.web.publish.request import PublishRequest, Wanted, may_bring_file, parse, read, token_of
from twotick.server.web.publish.session import STATES, BotSession, SendOutcome, UploadRefused
from twotick.server.web.publish.spool import Spool
from twotick.server.web.site import SECURITY, WebAnswer
from twotick.store import (
    AddDelayed,
    BotMember,
    CancelDelayed,
    DelayedMessage,
    FindBot,
    FindToken,
    Member,
    Refusal,
    Request,
    StoreError,
)

log: Final = PartLog("web")

_Found = TypeVar("_Found")

_KNOWN_FOR: Final = 1.0
"""Seconds for which a bot is not looked up again."""

_MOST_BOTS: Final = 1024
"""The bots, and the sessions, that are kept."""

_IDLE: Final = 60.0
"""Seconds after which a session is closed that is not used."""

_LONGEST_WAIT: Final = 60.0
_RETRY: Final = 10
"""Seconds after which a program is asked to try again what is impossible now."""

_KEPT: Final = 400 * 86400
"""Seconds for which messages are kept, as clients of ntfy are told."""

_MOST_SPOOLS: Final = 16
"""The files that may arrive at once; half of them from one bot."""

_NO_USER: Final = 67
_UNAVAILABLE: Final = 69
_NOT_YET: Final = 75
_NO_PERMISSION: Final = 77
_REFUSED: Final = 79
_UNREAD: Final = 80
"""What `twotick send` would exit with."""


class PublishHost(ConnectionHost, Protocol):
    """What publishing needs of the server."""

    def ask(self, request: Request[Any], callback: Callable[[Any], None]) -> None:
        """Ask the store."""
        ...

    @property
    def clock(self) -> Callable[[], float]:
        """Returns the time by which messages age, in seconds since 1970."""
        ...


class NotPublished(Exception):
    """A request is not carried out.

    Attributes:
        status: the status of the answer.
        code: what `twotick send` would exit with.
        retry_after: the seconds after which it may be tried again; 0 for never.
    """

    def __init__(self, status: int, reason: str, code: int = _UNAVAILABLE, retry_after: int = 0) -> None:
        super().__init__(reason)
        self.status = status
        self.code = code
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What is allowed for files.

    Attributes:
        most: the bytes of the largest.
        age: the seconds for which they are kept.
        folder: where they wait while they arrive; None for the folder of the system for such files.
    """

    most: int
    age: float
    folder: Path | None


@dataclass(frozen=True, slots=True)
class _KnownBot:
    """A bot that has shown a token, the device of that token, and when it was looked up."""

    bot: BotMember
    device: str
    looked_up: float


class Publisher:
    """Publishes what programs post. It belongs to one event loop.

    Args:
        host: the server.
        most_body: the bytes of the longest body that is no file.
        files: how large files may be, how long they are kept, and where they wait while they arrive.
    """

    def __init__(self, host: PublishHost, most_body: int, files: FileLimits) -> None:
        self.most_body = most_body
        self.files = files
        self._spools: dict[Spool, int] = {}  # the bots that send them
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._throttle = Throttle()
        self._bots: OrderedDict[bytes, _KnownBot] = OrderedDict()
        self._sessions: OrderedDict[tuple[bytes, str], BotSession] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def take(
        self,
        method: str,
        target: str,
        headers: dict[bytes, bytes],
        body: bytes,
        visitor: Visitor,
        answered: Callable[[WebAnswer], None],
        spool: Spool | None = None,
    ) -> None:
        """Carry out a request.

        Args:
            method: its method.
            target: its target.
            headers: its headers, by their names in lower case.
            body: its body, or its end, if the beginning waits already.
            visitor: who sent it.
            answered: called with the answer.
            spool: where the beginning waits; None if there is none.
        """
        self._begin(self._answer(method, target, headers, body, visitor, answered, spool))

    async def keep(
        self, method: str, target: str, headers: dict[bytes, bytes], visitor: Visitor, part: bytes, spool: Spool | None
    ) -> Spool:
        """Let a part of a body wait that is too long for the memory, and so a file; return where it waits.

        Args:
            method: the method of the request.
            target: its target.
            headers: its headers, by their names in lower case.
            visitor: who sent it.
            part: the part.
            spool: where what came before it waits; None if this is the first part.

        Raises:
            NotPublished: it cannot, or the bot may not send there.
        """
        if spool is None:
            request = parse(method, target, headers, b"")
            bot, _ = await self.find(token_of(request)[0], visitor)
            _recipient(bot, request.path[0])
            of_bot = sum(each == bot.number for each in self._spools.values())
            if len(self._spools) >= _MOST_SPOOLS or of_bot >= _MOST_SPOOLS // 2:
                raise NotPublished(503, "too many files arrive at once", _UNAVAILABLE, _RETRY)
            spool = Spool(self.files.folder)
            self._spools[spool] = bot.number
        try:
            await spool.add(part)
        except BaseException:
            self.forget(spool)
            raise
        if spool.size > self.files.most:
            self.forget(spool)
            raise NotPublished(413, f"a file has at most {self.files.most} bytes", 64)
        return spool

    def forget(self, spool: Spool) -> None:
        """Forget what waits of a body."""
        self._spools.pop(spool, None)
        spool.close()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def tick(self, now: float) -> None:
        """Close the sessions that are not used; `now` is in seconds on the clock of the event loop."""
        for key, session in list(self._sessions.items()):
            if session.is_over or (session.is_idle and session.used + _IDLE <= now):
                session.close()
                del self._sessions[key]

    def stop(self) -> None:
        """Carry out nothing more."""
        for task in list(self._tasks):
            task.cancel()

    async def _answer(
        self,
        method: str,
        target: str,
        headers: dict[bytes, bytes],
        body: bytes,
        visitor: Visitor,
        answered: Callable[[WebAnswer], None],
        spool: Spool | None,
    ) -> None:
        try:
            if spool is not None and body:
                await self.keep(method, target, headers, visitor, body, spool)
            request = parse(method, target, headers, body if spool is None else spool.head)
            answer = await self._publish(request, visitor, spool)
        except Exception as error:
            answer = self.answer_to(error)
        finally:
            if spool is not None:
                self.forget(spool)
        answered(answer)

    def answer_to(self, error: BaseException) -> WebAnswer:
        """Return the answer to a request that cannot be carried out."""
        if isinstance(error, Unreadable):
            return refusal(NotPublished(400, str(error), 64))
        if isinstance(error, NotPublished):
            return refusal(error)
        if isinstance(error, OSError):
            log.warning("a file cannot wait", folder=str(self.files.folder or tempfile.gettempdir()), reason=str(error))
            return refusal(NotPublished(507, f"the server has no room for the file: {error.strerror}", 71))
        # a defect must not leave the program without an answer
        self._loop.call_exception_handler({"message": "a message cannot be published", "exception": error})
        return refusal(NotPublished(503, "the server made a mistake, which is in its log", 70, _RETRY))

    async def _publish(self, request: PublishRequest, visitor: Visitor, spool: Spool | None) -> WebAnswer:
        token, in_path = token_of(request)
        bot, device = await self.find(token, visitor)
        if request.method == "DELETE":
            return await self._cancel(bot, *request.path)
        wanted = self._read(replace(request, is_file=spool is not None), token, in_path=in_path)
        if wanted is None:
            raise NotPublished(404, "there is nothing here: see docs/integrations.md", 64)
        recipient = _recipient(bot, wanted.recipient or wanted.publication.recipient)
        until, wait = _until(request)
        publication = wanted.publication
        body = publication.body().encode("utf-8", "replace")
        if len(body) > self.most_body:
            raise NotPublished(413, "the message is too long", 64)
        identifier = _identifier(request, wanted, recipient)
        if publication.delay:
            if publication.file:
                raise Unreadable("a file is sent at once: leave out the delay")
            if "until" in request.query:
                raise Unreadable("a message with a delay is sent later: leave out until, or the delay")
            due = read_delay(publication.delay, self._host.clock())
            delayed = DelayedMessage(
                *(bot.number, recipient.encode(), identifier.encode(), publication.slot.encode(), due, device),
                *(token_digest(token), publication.headers(), body),
            )
            return await self._delay(wanted, delayed)
        session = self._session(bot.name, token, visitor)
        headers = publication.headers()
        attachment: dict[str, Any] | None = None
        if publication.file:
            key, attachment = await self._upload(session, identifier, publication.file, request.body, spool)
            headers += b"File: %b\n" % key
        answer = await session.send(recipient, identifier, body, headers, until, wait)
        if answer.state not in STATES:
            raise failure_of(answer)
        return _success(wanted, recipient, identifier, answer, until if "until" in request.query else "", attachment)

    def _read(self, request: PublishRequest, token: str, *, in_path: bool) -> Wanted | None:
        """Return what a request asks for; a text that is too long for a message is a file."""
        wanted = read(request, token, token_in_path=in_path)
        if wanted is None or wanted.publication.file or not may_bring_file(request.method, "/".join(request.path)):
            return wanted
        if len(wanted.publication.body().encode("utf-8", "replace")) <= self.most_body:
            return wanted
        return read(replace(request, is_file=True), token, token_in_path=in_path)

    async def _upload(
        self, session: BotSession, identifier: str, name: str, body: bytes, spool: Spool | None
    ) -> tuple[bytes, dict[str, Any]]:
        """Store a file; return its key, and what clients of ntfy are told of it (rule 22.8).

        Raises:
            NotPublished: it cannot be stored.
            OSError: it cannot wait on the disk.
        """
        own = Spool(self.files.folder) if spool is None else None
        file = spool or own
        assert file is not None
        try:
            if own is not None:
                await own.add(body)
            key = await session.upload(identifier, name, file)
        except UploadRefused as refused:
            reason = refused.outcome.reason
            if reason.startswith("a file has at most"):
                raise NotPublished(413, reason, 64) from refused
            if reason.startswith("the files of a member have"):
                raise NotPublished(507, reason, 71) from refused
            raise failure_of(refused.outcome) from refused
        finally:
            if own is not None:
                own.close()
        expires = int(time.time() + self.files.age)
        return key, {"name": name, "type": file_type(name), "size": file.size, "expires": expires}

    async def _delay(self, wanted: Wanted, message: DelayedMessage) -> WebAnswer:
        """Keep a message until its time (rule 22.7)."""
        due = await self.ask(AddDelayed(message))
        if isinstance(due, Refusal):
            raise NotPublished(503, due.reason, _UNAVAILABLE, _RETRY)
        content = _content(wanted.style, wanted.publication, message.recipient.decode(), message.id.decode(), int(due))
        return _json(200, content)

    async def _cancel(self, bot: BotMember, path_recipient: str, identifier: str) -> WebAnswer:
        """Cancel what waits for its time (rule 22.7)."""
        recipient = _recipient(bot, path_recipient)
        key = identifier.encode("utf-8", "replace")
        if not await self.ask(CancelDelayed(bot.number, recipient.encode(), key, slot_of(identifier).encode())):
            raise NotPublished(404, "no message with this id, or sequence, waits for its time", 64)
        return _json(200, {"id": identifier, "event": "message_delete", "topic": recipient.removeprefix("#")})

    async def find(self, token: str, visitor: Visitor) -> tuple[BotMember, str]:
        """Return the bot whose token this is, and the device that the token is for.

        Raises:
            NotPublished: there is none, or tokens are not accepted from there (rules 10.4 and 10.5).
        """
        if not visitor.encrypted and not is_loopback(visitor.address):
            raise NotPublished(403, "the connection is not encrypted: tokens are not accepted on it", _NO_PERMISSION)
        key = token_digest(token)
        now = self._loop.time()
        known = self._bots.get(key)
        if known is not None and now - known.looked_up < _KNOWN_FOR:
            return known.bot, known.device
        self._bots.pop(key, None)
        found: tuple[Member, str] | None = await self.ask(FindToken(key)) if token else None
        if found is None:
            if wait := self._throttle.wait(b"", visitor.address, now):
                raise NotPublished(429, "too many wrong tokens", _NO_PERMISSION, int(wait) + 1)
            self._throttle.failed(b"", visitor.address, now)
            raise NotPublished(401, "the token is missing or wrong: 'twotick bot token' makes one", _NO_PERMISSION)
        if found[0].disabled:
            raise NotPublished(401, "this account is disabled: ask the operator of the server", _NO_PERMISSION)
        bot = await self.ask(FindBot(found[0].number))
        if bot is None:
            raise NotPublished(403, "only bots publish here: 'twotick bot add' makes one", _NO_PERMISSION)
        self._bots[key] = _KnownBot(bot, found[1], now)
        if len(self._bots) > _MOST_BOTS:
            self._bots.popitem(last=False)
        return bot, found[1]

    async def ask(self, request: Request[_Found]) -> _Found:
        """Ask the store.

        Raises:
            NotPublished: it cannot answer now.
        """
        result = await stored_answer(self._host.ask, request)
        if isinstance(result, StoreError):
            raise NotPublished(503, str(result), 71, _RETRY)
        return result

    def _session(self, name: str, token: str, visitor: Visitor) -> BotSession:
        key = token_digest(token), visitor.address
        session = self._sessions.get(key)
        if session is None or session.is_over:
            session = BotSession(self._host, name, token, visitor.address, encrypted=visitor.encrypted)
            self._sessions[key] = session
            if len(self._sessions) > _MOST_BOTS:
                self._sessions.popitem(last=False)[1].close()
        return session


def _recipient(bot: BotMember, wanted: str) -> str:
    """Return to whom a bot sends; a room may be named without its `#`.

    Raises:
        NotPublished: it may not, or it must say to whom.
    """
    allowed = [right.name for right in bot.rights if right.sends]
    if not wanted:
        if len(allowed) == 1:
            return allowed[0]
        raise NotPublished(400, "name the recipient in the path: this bot may send to several, or to none", 64)
    name = wanted.strip().removeprefix("@").lower()
    for key in (name, f"#{name}"):
        for each in allowed:
            if each.lower() == key:
                return each
    raise NotPublished(403, f"{bot.name} may not send there: 'twotick bot allow' lets it", _NO_PERMISSION)


def _until(request: PublishRequest) -> tuple[str, float]:
    """Return how far a message is to get before the answer, and the seconds to wait for that."""
    until = request.query.get("until", STATES[0])
    if until not in STATES:
        raise Unreadable(f"until is {', '.join(STATES[:-1])} or {STATES[-1]}")
    digits = request.query.get("wait", "30")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 4):
        raise Unreadable("wait is a number of seconds")
    return until, min(float(digits), _LONGEST_WAIT)


def _identifier(request: PublishRequest, wanted: Wanted, recipient: str) -> str:
    """Return the Id of a message: the same for what comes again, so that it is sent once (rule 11.7)."""
    given = request.headers.get(b"idempotency-key", b"").decode("latin-1") or request.headers.get(
        b"x-idempotency-key", b""
    ).decode("latin-1")
    key = given or wanted.publication.key
    if not key:
        return secrets.token_hex(8)
    return digest("given" if given else wanted.style, recipient.lower(), key) + digest(key)


def failure_of(answer: SendOutcome) -> NotPublished:
    """Return why a message was not sent: what may be possible soon has 503, because programs try that again."""
    reason = answer.reason
    if answer.code in (104, 108):
        return NotPublished(401, reason, _NO_PERMISSION)
    if answer.code == 105:
        return NotPublished(503, reason, _UNAVAILABLE, answer.retry_after or _RETRY)
    if reason.endswith("is not connected") or reason.startswith("there is no such"):
        return NotPublished(404, reason, _NO_USER)
    if "may not send to" in reason or "takes no messages" in reason:
        return NotPublished(403, reason, _NO_PERMISSION)
    if reason in ("refused", "the recipient refused the message"):
        return NotPublished(409, reason, _REFUSED)
    if reason.endswith("is disabled, and cannot get messages"):
        return NotPublished(409, reason)
    return NotPublished(503, reason, _UNAVAILABLE, answer.retry_after or _RETRY)


def refusal(refused: NotPublished) -> WebAnswer:
    """Return the answer to a request that is not carried out (rule 22.6)."""
    content = {"http": refused.status, "error": str(refused), "exit": refused.code}
    extra = [("Retry-After", str(refused.retry_after))] if refused.retry_after else []
    if refused.status == 401:
        extra.append(("WWW-Authenticate", 'Bearer realm="twotick"'))
    return _json(refused.status, content, extra)


def _success(
    wanted: Wanted,
    recipient: str,
    identifier: str,
    answer: SendOutcome,
    until: str,
    attachment: dict[str, Any] | None,
) -> WebAnswer:
    """Return the answer in the format of the request; with `until`, what became of the message."""
    is_reached = not until or STATES.index(answer.state) >= STATES.index(until)
    status = 200 if is_reached else 202
    if wanted.style == "slack" and not until:
        headers = [("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store"), *SECURITY]
        return WebAnswer(200, headers, b"ok")
    content = _content(wanted.style, wanted.publication, recipient, identifier, int(time.time()))
    if attachment is not None:
        content |= {"message": content["message"] or f"file: {attachment['name']}", "attachment": attachment}
    if until:
        code = 0 if is_reached else _UNREAD if answer.state == "delivered" else _NOT_YET
        content |= {"state": answer.state, "exit": code}
    return _json(status, content)


def _content(style: str, publication: Publication, recipient: str, identifier: str, now: int) -> dict[str, Any]:
    if style == "gotify":
        date = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        number = int(digest(identifier)[:7], 16)
        content = {"id": number, "appid": 1, "message": publication.text, "title": publication.title}
        return {**content, "priority": publication.priority, "date": date}
    if style == "ntfy":
        more = {"title": publication.title} if publication.title else {}
        topic = recipient.removeprefix("#")
        found = {"id": identifier, "time": now, "expires": now + _KEPT, "event": "message", "topic": topic}
        return {**found, **more, "message": publication.text, "priority": publication.priority}
    return {"status": "ok", "id": identifier, "recipient": recipient}


def _json(status: int, content: dict[str, Any], extra: list[tuple[str, str]] | None = None) -> WebAnswer:
    headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), *SECURITY, *(extra or [])]
    return WebAnswer(status, headers, json.dumps(content).encode() + b"\n")
