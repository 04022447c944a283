"""Logins and changes of passwords that are being checked (docs/protocol.md, section 10)."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from twotick.exchange import Connection, Exchange, MemberDevice
from twotick.server.login import Authenticator, Refused
from twotick.server.logs import PartLog
from twotick.store import LoginProof, Member
from twotick.wire import Head, is_name

log: Final = PartLog("login")

_Result = TypeVar("_Result")


class Logins:
    """Authenticates the users of connections, each in a task of its own.

    Args:
        exchange: is told the results.
        authenticator: checks logins; None if the server has no members.
        on_result: called after the exchange was told a result.
        clock: returns the time by which invitations age, in seconds since 1970.
    """

    def __init__(
        self,
        exchange: Exchange,
        authenticator: Authenticator | None,
        on_result: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._exchange = exchange
        self._clock = clock
        self._authenticator = authenticator
        self._on_result = on_result
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Start to check what the exchange asks for."""
        for connection, head in self._exchange.logins:
            self._begin(self._log_in(connection, head))
        self._exchange.logins.clear()
        for connection, device, head in self._exchange.password_changes:
            self._begin(self._change_password(connection, device, head))
        self._exchange.password_changes.clear()

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def cancel(self) -> None:
        """Cancel what is being checked, and wait until it is."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _log_in(self, connection: Connection, head: Head) -> None:
        if self._authenticator is None:
            who = Refused(104, "this server has no members", kind="login")
        else:
            encrypted = connection.port.get_extra_info("ssl_object") is not None
            who = await _checked(
                self._authenticator.authenticate(
                    head, connection.address, encrypted=encrypted, now=self._clock(), gone=lambda: connection.closing
                ),
                107,
            )
        _note(connection.address, head, who)
        if isinstance(who, Refused):
            self._exchange.not_authenticated(connection, who.code, who.reason, who.retry_after, who.kind)
        else:
            self._exchange.authenticated(connection, head, *who)
        self._on_result()

    async def _change_password(self, connection: Connection, device: MemberDevice, head: Head) -> None:
        assert self._authenticator is not None, "only members have devices"
        revoking = head.headers.get(b"revoke-others")
        if revoking not in (None, b"yes", b"no"):
            refused: Refused | None = Refused(102, "Revoke-others is yes or no")
        else:
            refused = await _checked(
                self._authenticator.change_password(
                    head,
                    connection.key,
                    connection.address,
                    device=device,
                    revoke_others=revoking == b"yes",
                    gone=lambda: connection.closing,
                ),
                102,
            )
        if refused is None:
            self._exchange.password_changed(connection, device, head, others_revoked=revoking == b"yes")
        else:
            self._exchange.password_kept(connection, head, refused.code, refused.reason, refused.retry_after)
        self._on_result()


def _note(address: str, head: Head, who: Refused | tuple[Member, str, LoginProof]) -> None:
    """Log a login, if logins are logged."""
    if not isinstance(who, Refused):
        member, device, proof = who
        by = "password" if proof.token is None else "token"
        log.info("logged in", name=member.name, device=device, address=address, by=by)
    elif is_name(head.name):
        log.info("login refused", name=head.name.decode("ascii"), address=address, reason=who.reason)


async def _checked(check: Coroutine[Any, Any, _Result], code: int) -> _Result | Refused:
    """Return the result of a check; a Refused with this code if it fails.

    A defect, or damaged data, must not leave the connection without an answer.
    """
    try:
        return await check
    except Exception as error:
        context = {"message": "a login cannot be checked", "exception": error}
        asyncio.get_running_loop().call_exception_handler(context)
        return Refused(code, "the server made a mistake, which is in its log")
