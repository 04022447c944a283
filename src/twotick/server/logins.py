"""Logins that are being checked (docs/protocol.md, section 10)."""

import asyncio
from collections.abc import Callable

from twotick.exchange import Connection, Exchange
from twotick.server.login import Authenticator, Refused
from twotick.wire import Head


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
        """Start to authenticate the users that the exchange asks for."""
        logins = self._exchange.logins
        for connection, head in logins:
            task = asyncio.get_running_loop().create_task(self._log_in(connection, head))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        logins.clear()

    async def cancel(self) -> None:
        """Cancel the logins that are being checked, and wait until they are."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _log_in(self, connection: Connection, head: Head) -> None:
        if self._authenticator is None:
            who = Refused(104, "this server has no members")
        else:
            encrypted = connection.port.get_extra_info("ssl_object") is not None
            try:
                who = await self._authenticator.authenticate(
                    head, connection.address, encrypted=encrypted, now=self._clock(), gone=lambda: connection.closing
                )
            except Exception as error:  # a defect, or damaged data, must not leave the connection without an answer
                context = {"message": "a login cannot be checked", "exception": error}
                asyncio.get_running_loop().call_exception_handler(context)
                who = Refused(107, "the server made a mistake, which is in its log")
        if isinstance(who, Refused):
            self._exchange.not_authenticated(connection, who.code, who.reason, who.retry_after)
        else:
            self._exchange.authenticated(connection, head, *who)
        self._on_result()
