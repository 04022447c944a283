"""Tells members by e-mail of messages that wait for them.

Theory of operation. The log of a member, and the entry up to which the member was told, say what to tell. The server
notes that a member is told before it sends the e-mail, and takes that back if the mail server refuses it. So a server
that is killed while it sends never sends an e-mail twice, and at worst not at all: these messages still wait in
Twotick, where nothing is lost. Of several servers on one database, the one that leads sends.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from twotick.server.awaiting import stored_answer
from twotick.server.digests.content import write_mail
from twotick.server.digests.options import MailError, MailOptions
from twotick.server.digests.sending import MailConnection, MailRefused, MailUncertain, ServerFails
from twotick.server.logs import log
from twotick.store import (
    Addressee,
    ClaimDigest,
    Digest,
    FindDigest,
    ListAddressees,
    Request,
    StoreError,
    UndoDigest,
)

_DAY: Final = 86400.0
"""Seconds from one e-mail to a member to the next, at least, and until one is tried again that was refused for good."""

_HOUR: Final = 3600.0

_LOOK: Final = 300.0
"""Seconds between two looks for whom something waits, at most."""


@dataclass(slots=True)
class _Delay:
    """When an e-mail to a member is tried again.

    Attributes:
        failures: how often it was refused.
        until: by the clock of the event loop, in seconds.
    """

    failures: int = 0
    until: float = 0.0


class DigestMailer:
    """Sends e-mail to members for whom something waits.

    Args:
        options: by which server, and when.
        ask: sends a request to the store, with the callback for its answer.
        clock: returns the time, in seconds since 1970.
        leads: tells whether this server sends for all that share the database.
        page: the URL of the web page; empty if other machines find none.
        first_wait: seconds until what failed is tried again. They double each time.
        longest_wait: the most seconds until then.
        stopping: the seconds that an e-mail may still take when the server stops.

    Attributes:
        counts: the e-mails, by result: `sent`; `failed`, to be tried again soon; `given_up` for a day; `uncertain`.
    """

    def __init__(
        self,
        options: MailOptions,
        ask: Callable[[Request[Any], Callable[[Any], None]], None],
        clock: Callable[[], float],
        leads: Callable[[], bool],
        page: str,
        *,
        first_wait: float = 60.0,
        longest_wait: float = _HOUR,
        stopping: float = 5.0,
    ) -> None:
        self._options = options
        self._ask = ask
        self._clock = clock
        self._leads = leads
        self._page = page
        self._first_wait = first_wait
        self._longest_wait = longest_wait
        self._stopping = stopping
        self._loop = asyncio.get_running_loop()
        self._next = 0.0
        self._task: asyncio.Task[None] | None = None
        self._is_stopping = False
        self._times: deque[float] = deque(maxlen=options.per_hour)
        self._delays: dict[int, _Delay] = {}
        self.counts: dict[str, int] = {"sent": 0, "failed": 0, "given_up": 0, "uncertain": 0}
        self._failures = 0
        self._problem = ""
        self._since: float | None = None

    def tick(self, now: float) -> None:
        """Look whether there are members to tell; `now` is the time of the event loop, in seconds."""
        if now >= self._next and (self._task is None or self._task.done()) and not self._is_stopping:
            self._next = now + min(_LOOK, self._options.after)
            if self._leads():
                self._task = self._loop.create_task(self._tell_all())

    async def stop(self) -> None:
        """Send nothing more."""
        self._is_stopping = True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=self._stopping)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def state(self) -> dict[str, Any]:
        """Return how it is, for `twotick status`."""
        return {
            "sent": self.counts["sent"],
            "refused": len(self._delays),
            "problem": self._problem,
            "problem_since": self._since,
        }

    async def _tell_all(self) -> None:
        """Tell all members for whom something has waited."""
        try:
            found = await stored_answer(self._ask, ListAddressees(self._clock() - _DAY))
            if isinstance(found, StoreError):
                return
            self._delays = {each.member: self._delays[each.member] for each in found if each.member in self._delays}
            for each in found:
                delay = self._delays.get(each.member)
                if delay is None or self._loop.time() >= delay.until:
                    await self._tell(each)
        except (ServerFails, MailError) as error:
            self._fail(str(error))
        except Exception as error:  # a defect must not end it
            self._loop.call_exception_handler({"message": "members cannot be told by e-mail", "exception": error})

    async def _tell(self, addressee: Addressee) -> None:
        """Tell a member what waits.

        Raises:
            ServerFails: the SMTP server takes nothing at the moment.
            MailError: the options make no sense any more.
        """
        options = self._options
        if not self._may_send() or self._is_stopping or not self._leads():
            return
        find = FindDigest(addressee, self._clock(), options.after, options.with_text)
        digest = await stored_answer(self._ask, find)
        if not isinstance(digest, Digest):
            return
        connection = MailConnection(options)
        await connection.open()
        claim = ClaimDigest(addressee, digest.seq, self._clock())
        try:
            if await stored_answer(self._ask, claim) is not True:
                return  # another server was quicker, or the store cannot note it
            self._times.append(self._loop.time())
            await self._give(connection, claim, write_mail(addressee, digest, options.sender, self._page))
        except (ServerFails, asyncio.CancelledError):
            if not connection.was_given:
                self._ask(UndoDigest(claim), lambda _: None)
            raise
        finally:
            connection.close()

    async def _give(self, connection: MailConnection, claim: ClaimDigest, mail: bytes) -> None:
        who = claim.addressee
        try:
            await connection.give(who.address, mail)
        except MailRefused as error:
            while isinstance(await stored_answer(self._ask, UndoDigest(claim)), StoreError):  # noqa: ASYNC110 # the disk may be full
                await asyncio.sleep(self._wait(0))
            delay = self._delays.setdefault(who.member, _Delay())
            wait = _DAY if error.for_good else self._wait(delay.failures)
            delay.failures += 1
            delay.until = self._loop.time() + wait
            self.counts["given_up" if error.for_good else "failed"] += 1
            log.warning("an e-mail was refused", member=who.name, reason=str(error), again_in=int(wait))
            return
        except MailUncertain as error:
            self.counts["uncertain"] += 1
            log.warning("it is not known whether an e-mail was sent", member=who.name, reason=str(error))
        else:
            self.counts["sent"] += 1
        self._delays.pop(who.member, None)
        self._failures, self._problem, self._since = 0, "", None

    def _may_send(self) -> bool:
        """Return whether fewer members were told in the last hour than may be."""
        times = self._times
        return len(times) < self._options.per_hour or self._loop.time() - times[0] >= _HOUR

    def _fail(self, reason: str) -> None:
        """Try again later, since the SMTP server fails."""
        wait = self._wait(self._failures)
        self._failures += 1
        self.counts["failed"] += 1
        self._next = self._loop.time() + wait
        self._problem = reason
        self._since = self._since or time.time()
        log.warning("e-mail cannot be sent", reason=reason, again_in=int(wait))

    def _wait(self, failures: int) -> float:
        """Return the seconds until the next attempt after so many failures, at random from half of them on."""
        wait = min(self._first_wait * 2 ** min(failures, 30), self._longest_wait)
        return wait * random.uniform(0.5, 1.0)  # noqa: S311 # servers that were restarted together part
