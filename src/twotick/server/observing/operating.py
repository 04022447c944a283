"""The operator's page: what it asks, and who may ask (docs/operations.md, "The operator's page").

A member with the role operator logs in with name and password, and gets a session, which the page names in each
request. No cookie has it, so no other page can use it. Each request looks the member up again: a member that has lost
the role, was disabled, or has another password, has no session any more.
"""

import asyncio
import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import parse_qsl

from twotick.server.acts import invitation_name, reset_request
from twotick.server.awaiting import stored_answer
from twotick.server.login import Authenticator, Refused
from twotick.server.observing.archives import ArchiveFailed, Archives, TooManyArchives
from twotick.server.observing.condition import Kept, standing
from twotick.server.observing.observer import Observer
from twotick.server.secrets import invitation_digest, new_invitation
from twotick.server.server import Server
from twotick.server.web.gate import Visitor
from twotick.server.web.site import WebAnswer, bytes_answer, json_answer
from twotick.store import (
    NOT_AN_OPERATOR,
    OWN_ACCOUNT,
    AddInvitation,
    ByOperator,
    CloseReport,
    Effects,
    FindDatabaseState,
    FindMember,
    FindMembers,
    ListBots,
    ListDevices,
    ListFull,
    ListInvitations,
    ListReports,
    ListServers,
    Member,
    MemberSummary,
    Refusal,
    RemoveMember,
    Request,
    Revoke,
    SetDisabled,
    SetDisplay,
    SetOperator,
    SignOut,
    StoreError,
    SurveyMembers,
    WithdrawInvitation,
)
from twotick.wire import is_name

_IDLE: Final = 1800.0
_LONGEST: Final = 12 * 3600.0
"""Seconds after which a session ends that is not used, and after which each ends."""

_SESSIONS: Final = 100
_AT_ONCE: Final = 32
"""The most sessions, and the most requests that are answered at the same time."""

_PATIENCE: Final = 5.0
"""Seconds for which the status waits for what the store knows of it."""

_MEMBERS: Final = 100
"""The members that one request of the page, or of the store, lists."""

_DAY: Final = 86400.0

_REFUSED: Final = {NOT_AN_OPERATOR: 401, OWN_ACCOUNT: 409}
"""The statuses of HTTP for acts that the rules do not allow."""

_Answer = TypeVar("_Answer")

Query: TypeAlias = Mapping[str, str]


class _Refused(Exception):
    """A request is refused. The page translates the text, and then puts the details into it.

    Args:
        status: the status of HTTP.
        text: why, in English, with the names of details in braces.
        details: what to put there.
    """

    def __init__(self, status: int, text: str, **details: str) -> None:
        super().__init__(text)
        self.status = status
        self.details = details


@dataclass(slots=True)
class OperatorSession:
    """A login on the operator's page.

    Attributes:
        member: the store's number of the member.
        password: the hash of the password when it logged in.
        began: when that was.
        used: when it was used last; both in seconds on the clock of the event loop.
    """

    member: int
    password: str
    began: float
    used: float


class OperatorPage:
    """Answers what the operator's page asks.

    Args:
        server: the server.
        authenticator: checks logins.
        observer: knows how the server is.
        archives: makes archives of members.
    """

    def __init__(self, server: Server, authenticator: Authenticator, observer: Observer, archives: Archives) -> None:
        self._server = server
        self._authenticator = authenticator
        self._observer = observer
        self._archives = archives
        self._loop = asyncio.get_running_loop()
        self._sessions: dict[bytes, OperatorSession] = {}
        self._busy = 0
        self._looks: dict[str, Callable[[Query], Awaitable[Any]]] = {
            "status": self._status,
            "members": self._members,
            "devices": self._devices,
            "bots": self._bots,
            "invitations": self._invitations,
            "reports": self._reports,
        }
        self._acts: dict[str, Callable[[OperatorSession, Query], Awaitable[Any]]] = {
            "disable": self._disable,
            "enable": self._enable,
            "rename": self._rename,
            "reset": self._reset,
            "revoke": self._revoke,
            "role": self._role,
            "remove": self._remove,
            "invite": self._invite,
            "withdraw": self._withdraw,
            "close": self._close,
            "export": self._export,
        }

    async def answer(
        self, method: str, path: str, headers: Mapping[bytes, bytes], visitor: Visitor, gone: Callable[[], bool]
    ) -> WebAnswer:
        """Return the answer to a request.

        Args:
            method: its method: GET to look, POST to act.
            path: what follows the page's own path, with the query.
            headers: its headers, by their names in lower case.
            visitor: who asks.
            gone: tells whether the client is gone.
        """
        if self._busy >= _AT_ONCE:
            return _problem(_Refused(503, "too many requests of this page are being answered: try again later"))
        self._busy += 1
        try:
            what, _, query = path.partition("?")
            _check_same_site(headers)
            if method == "POST" and what == "login":
                return await self._log_in(headers, visitor, gone)
            operator = await self._operator(headers)
            if method == "POST" and what == "logout":
                self._sessions.pop(_digest(headers), None)
                return json_answer({})
            if method == "GET" and what == "archive":
                return self._archive(operator, dict(parse_qsl(query)))
            return json_answer(await self._do(method, what, dict(parse_qsl(query)), operator))
        except _Refused as refused:
            return _problem(refused)
        except StoreError as error:
            return _problem(_Refused(503, "the data cannot be used: {reason}", reason=str(error)))
        finally:
            self._busy -= 1

    async def _do(self, method: str, what: str, query: Query, operator: OperatorSession) -> Any:
        if method == "POST" and what in self._acts:
            return await self._acts[what](operator, query)
        if method == "GET" and what in self._looks:
            return await self._looks[what](query)
        raise _Refused(404, "there is nothing here")

    # Who asks

    async def _log_in(self, headers: Mapping[bytes, bytes], visitor: Visitor, gone: Callable[[], bool]) -> WebAnswer:
        name = headers.get(b"x-name", b"")
        if not is_name(name) or b"authorization" not in headers:
            raise _Refused(401, "enter a name and a password")
        found = await self._authenticator.check(
            name, headers[b"authorization"], visitor.address, encrypted=visitor.encrypted, gone=gone
        )
        if isinstance(found, Refused):
            raise _refused_login(found)
        if not found.operator:
            raise _Refused(
                403, "{name} does not have the role operator: twotick user role {name} operator", name=found.name
            )
        now = self._loop.time()
        self._end_old(now)
        session = secrets.token_urlsafe(32)
        self._sessions[_hashed(session.encode())] = OperatorSession(found.number, found.password, now, now)
        return json_answer({"session": session, "name": found.name})

    def _end_old(self, now: float) -> None:
        """End the sessions whose time is over, and the oldest ones if there are too many."""
        for key, each in list(self._sessions.items()):
            if now - each.used > _IDLE or now - each.began > _LONGEST or len(self._sessions) >= _SESSIONS:
                del self._sessions[key]

    async def _operator(self, headers: Mapping[bytes, bytes]) -> OperatorSession:
        """Return the session of the operator who asks.

        Raises:
            _Refused: there is no such session, or the member is not an operator any more.
        """
        key, now = _digest(headers), self._loop.time()
        session = self._sessions.get(key)
        if session is None or now - session.used > _IDLE or now - session.began > _LONGEST:
            raise _Refused(401, "log in again")
        found = await self._ask(FindMembers(numbers=(session.member,)))
        member = found[0] if found else None
        if member is None or member.disabled or not member.operator or member.password != session.password:
            self._sessions.pop(key, None)
            raise _Refused(401, "your rights have changed: log in again")
        session.used = now
        return session

    async def _ask(self, request: Request[_Answer]) -> _Answer:
        answer = await stored_answer(self._server.ask, request)
        if isinstance(answer, StoreError):
            raise answer
        return answer

    # Looking

    async def _status(self, _query: Query) -> Any:
        found = await self._observer.status()
        kept = Kept()
        with suppress(StoreError, TimeoutError):  # why the store does not answer is among the problems
            async with asyncio.timeout(_PATIENCE):
                database = await self._ask(FindDatabaseState())
                servers = [] if database is None else await self._ask(ListServers())
                kept = Kept(None, await self._ask(ListFull()), database, servers)
                kept = replace(kept, members=await self._survey())
        return {**standing(found, kept), "graph": list(self._observer.graph)}

    async def _survey(self) -> list[MemberSummary]:
        """Return what there is to see of all members, which are looked at in parts, so that others need not wait."""
        members: list[MemberSummary] = []
        while part := await self._ask(SurveyMembers(members[-1].name if members else "", _MEMBERS)):
            members += part
        return members

    async def _members(self, query: Query) -> Any:
        found = await self._ask(SurveyMembers(query.get("after", ""), _MEMBERS, query.get("find", "")))
        return {"members": [asdict(each) for each in found], "more": len(found) == _MEMBERS}

    async def _devices(self, query: Query) -> Any:
        member = await self._find(query)
        return [
            {"name": each.name, "token": each.has_token, "seen": each.seen}
            for each in await self._ask(ListDevices(member.number))
        ]

    async def _bots(self, _query: Query) -> Any:
        found = await self._ask(ListBots())
        numbers = [each.number for each in found]
        disabled: set[int] = set()
        for first in range(0, len(numbers), _MEMBERS):
            members = await self._ask(FindMembers(numbers=tuple(numbers[first : first + _MEMBERS])))
            disabled |= {each.number for each in members if each.disabled}
        return [
            {
                "name": each.name,
                "to": [right.name for right in each.rights if right.sends],
                "read": [right.name for right in each.rights if right.reads],
                "disabled": each.number in disabled,
            }
            for each in found
        ]

    async def _invitations(self, _query: Query) -> Any:
        found = await self._ask(ListInvitations(self._server.clock()))
        return [{"id": invitation_name(each), "expires": each.expires, "member": each.member} for each in found]

    async def _reports(self, _query: Query) -> Any:
        return [
            {
                "number": each.number,
                "time": each.time,
                "from": each.reporter,
                "about": _text(each.about),
                "text": _text(each.text),
                "message": None if each.copy is None else _text(each.copy),
            }
            for each in await self._ask(ListReports())
        ]

    # Acting

    async def _find(self, query: Query) -> Member:
        """Return the member that a request names.

        Raises:
            _Refused: there is none.
        """
        member = await self._ask(FindMember(query.get("name", "")))
        if member is None:
            raise _Refused(404, "there is no member called {name}", name=query.get("name", ""))
        return member

    async def _act(self, operator: OperatorSession, request: Request[Any], locks_out: Member | None = None) -> Any:
        """Carry out a request in the name of an operator, and let the server take notice at once.

        Args:
            operator: who acts.
            request: what is to be done.
            locks_out: who cannot act as before afterwards.

        Raises:
            _Refused: the rules do not allow it (rule 10.11).
        """
        target = None if locks_out is None else locks_out.number
        answer = await self._ask(ByOperator(operator.member, operator.password, target, request))
        self._server.exchange.members_changed()
        self._server.flush_soon()
        if isinstance(answer, Refusal):
            raise _Refused(_REFUSED.get(answer.kind, 400), answer.reason)
        return answer

    async def _disable(self, operator: OperatorSession, query: Query) -> Any:
        member = await self._find(query)
        await self._act(operator, SetDisabled(member.name, True, self._server.clock()), member)

    async def _enable(self, operator: OperatorSession, query: Query) -> Any:
        member = await self._find(query)
        await self._act(operator, SetDisabled(member.name, False, self._server.clock()))

    async def _rename(self, operator: OperatorSession, query: Query) -> Any:
        member = await self._find(query)
        await self._act(operator, SetDisplay(member.number, query.get("display", ""), self._server.clock()))

    async def _reset(self, operator: OperatorSession, query: Query) -> Any:
        member = await self._find(query)
        if member.is_bot:
            raise _Refused(409, "{name} is a bot, which has tokens only: see 'twotick bot token'", name=member.name)
        if member.disabled:
            raise _Refused(409, "{name} is disabled: enable the member first", name=member.name)
        code = new_invitation()
        await self._act(operator, reset_request(member, code, self._server.clock(), _DAY), member)
        return {"code": code}

    async def _revoke(self, operator: OperatorSession, query: Query) -> Any:
        member, device = await self._find(query), query.get("device", "")
        if device and not await self._act(operator, Revoke(member.number, device)):
            raise _Refused(404, "{name} has no device called {device}", name=member.name, device=device)
        reason = f"the operator {'has revoked this device' if device else 'has signed this device out'}"
        await self._act(operator, SignOut(member.number, device, reason, self._server.clock()))

    async def _role(self, operator: OperatorSession, query: Query) -> Any:
        member = await self._find(query)
        await self._act(operator, SetOperator(member.name, query.get("role") == "operator"), member)

    async def _remove(self, operator: OperatorSession, query: Query) -> Any:
        member = await self._find(query)
        effects = await self._act(operator, RemoveMember(member.name, self._server.clock()), member)
        if isinstance(effects, Effects):
            self._server.exchange.publish(effects)

    async def _invite(self, operator: OperatorSession, query: Query) -> Any:
        days = query.get("days", "7")
        if not days.isascii() or not days.isdecimal() or not 1 <= int(days[:9]) <= 3650:
            raise _Refused(400, "an invitation is valid for 1 to 3650 days")
        code = new_invitation()
        expires = self._server.clock() + int(days) * _DAY
        await self._act(operator, AddInvitation(invitation_digest(code), expires))
        return {"code": code}

    async def _withdraw(self, operator: OperatorSession, query: Query) -> Any:
        for each in await self._ask(ListInvitations(self._server.clock())):
            if invitation_name(each) == query.get("id"):
                if await self._act(operator, WithdrawInvitation(each.digest)):
                    return
                break
        raise _Refused(404, "there is no such invitation any more")

    async def _export(self, operator: OperatorSession, query: Query) -> Any:
        member = await self._find(query)
        if not self._archives.are_possible:
            raise _Refused(409, "the server keeps its data in memory, of which there is no archive")
        try:
            key, size = await self._archives.make(operator.member, member.name)
        except TooManyArchives as error:
            raise _Refused(503, "other operators have archives made: try again in some minutes") from error
        except ArchiveFailed as error:
            raise _Refused(503, "the archive cannot be made: {reason}", reason=str(error)) from error
        return {"id": key, "size": size}

    def _archive(self, operator: OperatorSession, query: Query) -> WebAnswer:
        """Return a piece of an archive."""
        offset = query.get("offset", "")
        known = offset.isascii() and offset.isdecimal()
        piece = self._archives.piece(operator.member, query.get("id", ""), int(offset[:15])) if known else None
        if piece is None:
            raise _Refused(404, "the archive is not kept any more: make it again")
        return bytes_answer(piece)

    async def _close(self, operator: OperatorSession, query: Query) -> Any:
        number = query.get("number", "")
        known = number.isascii() and number.isdecimal()
        if not known or not await self._act(operator, CloseReport(int(number[:15]))):
            raise _Refused(404, "there is no such report any more")


def _check_same_site(headers: Mapping[bytes, bytes]) -> None:
    """Refuse what another page makes a browser ask; browsers name the site of the page that asks."""
    if headers.get(b"sec-fetch-site", b"same-origin") != b"same-origin":
        raise _Refused(403, "only the operator's page itself may ask this")


def _digest(headers: Mapping[bytes, bytes]) -> bytes:
    scheme, _, session = headers.get(b"authorization", b"").partition(b" ")
    return _hashed(session.strip()) if scheme.lower() == b"bearer" else b""


def _hashed(session: bytes) -> bytes:
    return hashlib.sha256(session).digest()


def _text(data: bytes) -> str:
    return data.decode(errors="replace")


def _refused_login(found: Refused) -> _Refused:
    """Return what the page says of a login that failed."""
    if found.retry_after:
        return _Refused(429, "too many attempts to log in: wait {seconds} s", seconds=str(found.retry_after))
    if found.kind == "disabled":
        return _Refused(401, "this account is disabled: another operator can enable it")
    if found.kind == "encryption":
        return _Refused(401, "the connection is not encrypted, so passwords are not accepted on it: use https")
    if found.kind:
        return _Refused(401, "wrong name or password")
    return _Refused(503, "the data cannot be used: {reason}", reason=found.reason)


def _problem(refused: _Refused) -> WebAnswer:
    details = {"details": refused.details} if refused.details else {}
    return json_answer({"problem": str(refused), **details}, refused.status)
