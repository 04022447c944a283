"""Publishes what programs post: reads it, and sends it as their bots."""

import asyncio
import secrets
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from os import EX_NOPERM, EX_OSERR, EX_UNAVAILABLE, EX_USAGE
from pathlib import Path
from typing import Any, Final

from twotick.server.logs import PartLog
from twotick.server.secrets import token_digest
from twotick.server.web.gate import Visitor
from twotick.server.web.publish.answers import (
    RETRY,
    NotPublished,
    content_of,
    failure_of,
    json_answer,
    mistake,
    refusal,
    success,
)
from twotick.server.web.publish.bots import Bots, PublishHost
from twotick.server.web.publish.delay import read_delay
from twotick.server.web.publish.file_names import file_type
from twotick.server.web.publish.ntfy import slot_of
from twotick.server.web.publish.publication import Unreadable, digest
from twotick.server.web.publish.request import (
    PublishRequest,
    RequestHead,
    Wanted,
    may_bring_file,
    parse,
    read,
    token_of,
)
from twotick.server.web.publish.session import STATES, BotSession, UploadRefused
from twotick.server.web.publish.spool import Spool
from twotick.server.web.site import WebAnswer
from twotick.store import (
    AddDelayed,
    BotMember,
    CancelDelayed,
    DelayedMessage,
    Refusal,
)

log: Final = PartLog("web")

_MOST_SESSIONS: Final = 1024
"""The sessions that are kept."""

_IDLE: Final = 60.0
"""Seconds after which a session is closed that is not used."""

_LONGEST_WAIT: Final = 60.0
_MOST_SPOOLS: Final = 16
"""The files that may arrive at once; half of them from one bot."""


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


class Publisher:
    """Publishes what programs post. It belongs to one event loop.

    Args:
        host: the server.
        bots: knows which bot has a token.
        most_body: the bytes of the longest body that is no file.
        files: how large files may be, how long they are kept, and where they wait while they arrive.
    """

    def __init__(self, host: PublishHost, bots: Bots, most_body: int, files: FileLimits) -> None:
        self.most_body = most_body
        self.files = files
        self._spools: dict[Spool, int] = {}  # the bots that send them
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._bots = bots
        self._sessions: OrderedDict[tuple[bytes, str], BotSession] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def take(
        self,
        head: RequestHead,
        body: bytes,
        spool: Spool | None,
        answered: Callable[[WebAnswer], None],
    ) -> None:
        """Carry out a request.

        Args:
            head: its head.
            body: its body, or its end, if the beginning waits already.
            spool: where the beginning waits, which is forgotten then; None if there is none.
            answered: called with the answer.
        """
        self._begin(self._answer(head, body, spool, answered))

    async def keep(self, head: RequestHead, part: bytes, spool: Spool | None) -> Spool:
        """Let a part of a body wait that is too long for the memory, and so a file; return where it waits.

        Args:
            head: the head of the request.
            part: the part.
            spool: where what came before it waits; None if this is the first part.

        Raises:
            NotPublished: it cannot, or the bot may not send there.
        """
        if spool is None:
            request = parse(head, b"")
            bot, _ = await self._bots.find(token_of(request)[0], head.visitor)
            _recipient(bot, request.path[0])
            of_bot = sum(each == bot.number for each in self._spools.values())
            if len(self._spools) >= _MOST_SPOOLS or of_bot >= _MOST_SPOOLS // 2:
                raise NotPublished(503, "too many files arrive at once", EX_UNAVAILABLE, RETRY)
            spool = Spool(self.files.folder)
            self._spools[spool] = bot.number
        try:
            await spool.add(part)
        except BaseException:
            self.forget(spool)
            raise
        if spool.size > self.files.most:
            self.forget(spool)
            raise NotPublished(413, f"a file has at most {self.files.most} bytes", EX_USAGE)
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
        self, head: RequestHead, body: bytes, spool: Spool | None, answered: Callable[[WebAnswer], None]
    ) -> None:
        try:
            if spool is not None and body:
                await self.keep(head, body, spool)
            request = parse(head, body if spool is None else spool.head)
            answer = await self._publish(request, head.visitor, spool)
        except Exception as error:
            answer = self.answer_to(error)
        finally:
            if spool is not None:
                self.forget(spool)
        answered(answer)

    def answer_to(self, error: BaseException) -> WebAnswer:
        """Return the answer to a request that cannot be carried out."""
        if isinstance(error, Unreadable):
            return refusal(NotPublished(400, str(error), EX_USAGE))
        if isinstance(error, NotPublished):
            return refusal(error)
        if isinstance(error, OSError):
            log.warning("a file cannot wait", folder=str(self.files.folder or tempfile.gettempdir()), reason=str(error))
            return refusal(NotPublished(507, f"the server has no room for the file: {error.strerror}", EX_OSERR))
        self._loop.call_exception_handler({"message": "a message cannot be published", "exception": error})
        return refusal(mistake())

    async def _publish(self, request: PublishRequest, visitor: Visitor, spool: Spool | None) -> WebAnswer:
        token, in_path = token_of(request)
        bot, device = await self._bots.find(token, visitor)
        if request.method == "DELETE":
            return await self._cancel(bot, *request.path)
        wanted = self._read(replace(request, is_file=spool is not None), token, in_path=in_path)
        if wanted is None:
            raise NotPublished(404, "there is nothing here: see docs/integrations.md", EX_USAGE)
        recipient = _recipient(bot, wanted.recipient or wanted.publication.recipient)
        until, wait = _until(request)
        publication = wanted.publication
        body = publication.body().encode("utf-8", "replace")
        if len(body) > self.most_body:
            raise NotPublished(413, "the message is too long", EX_USAGE)
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
        return success(wanted, recipient, identifier, answer, until if "until" in request.query else "", attachment)

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
                raise NotPublished(413, reason, EX_USAGE) from refused
            if reason.startswith("the files of a member have"):
                raise NotPublished(507, reason, EX_OSERR) from refused
            raise failure_of(refused.outcome) from refused
        finally:
            if own is not None:
                own.close()
        expires = int(time.time() + self.files.age)
        return key, {"name": name, "type": file_type(name), "size": file.size, "expires": expires}

    async def _delay(self, wanted: Wanted, message: DelayedMessage) -> WebAnswer:
        """Keep a message until its time (rule 22.7)."""
        due = await self._bots.ask(AddDelayed(message))
        if isinstance(due, Refusal):
            raise NotPublished(503, due.reason, EX_UNAVAILABLE, RETRY)
        content = content_of(
            wanted.style, wanted.publication, message.recipient.decode(), message.id.decode(), int(due)
        )
        return json_answer(200, content)

    async def _cancel(self, bot: BotMember, path_recipient: str, identifier: str) -> WebAnswer:
        """Cancel what waits for its time (rule 22.7)."""
        recipient = _recipient(bot, path_recipient)
        key = identifier.encode("utf-8", "replace")
        if not await self._bots.ask(CancelDelayed(bot.number, recipient.encode(), key, slot_of(identifier).encode())):
            raise NotPublished(404, "no message with this id, or sequence, waits for its time", EX_USAGE)
        return json_answer(200, {"id": identifier, "event": "message_delete", "topic": recipient.removeprefix("#")})

    def _session(self, name: str, token: str, visitor: Visitor) -> BotSession:
        key = token_digest(token), visitor.address
        session = self._sessions.get(key)
        if session is None or session.is_over:
            session = BotSession(self._host, name, token, visitor.address, encrypted=visitor.encrypted)
            self._sessions[key] = session
            if len(self._sessions) > _MOST_SESSIONS:
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
        raise NotPublished(400, "name the recipient in the path: this bot may send to several, or to none", EX_USAGE)
    name = wanted.strip().removeprefix("@").lower()
    for key in (name, f"#{name}"):
        for each in allowed:
            if each.lower() == key:
                return each
    raise NotPublished(403, f"{bot.name} may not send there: 'twotick bot allow' lets it", EX_NOPERM)


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
