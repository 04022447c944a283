"""Pushes notifications to browsers (docs/protocol.md, section 20).

Theory of operation. The exchange notes which subscribed members have got messages. Once a second, the sender asks the
store what is to be pushed to the devices of those whose time has come, and posts it: for each device one message after
the other, so that the store has to remember one number, up to which all was pushed. Whatever fails is looked for again
later. Then the store says anew what is to be pushed; so nothing is pushed that was read or deleted meanwhile.
"""

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol, TypeAlias

from twotick.exchange import Endpoint, InvalidEndpoint, PushQueue, parse_endpoint
from twotick.server.logs import PartLog
from twotick.server.web.push.encryption import authorization, base64url, encrypt
from twotick.server.web.push.posting import Poster, ServiceAnswer, ServiceUnreachable
from twotick.store import (
    DevicePushes,
    DropPush,
    FindPushes,
    NotePushed,
    PushKey,
    PushLook,
    PushNews,
    Request,
    StoreError,
)

log: Final = PartLog("push")

_EVERY: Final = 1.0
"""Seconds between looks."""

_AT_ONCE: Final = 16
"""The devices to which is pushed at once."""

_OF_A_MEMBER: Final = 2
"""How many of these a member may have."""

_UNPROVEN: Final = 8
"""How many of these may be devices to which nothing was pushed yet, or to which the last push failed. So services that
never answer leave places for the others."""

_PAUSE: Final = 5.0
"""Seconds between two rounds for a device: what comes meanwhile is pushed together."""

_PATIENCE: Final = 15.0
"""Seconds for which a connected device is given time to receive messages by itself."""

_FIRST_WAIT: Final = 30.0
_LONGEST_WAIT: Final = 3600.0
"""Seconds until a push that failed is repeated. They double each time."""

_DAY: Final = 86400.0
_LEAST_TTL: Final = 60
"""Seconds for which a push service keeps a message at least."""

_STORE_WAIT: Final = 60.0
"""Seconds until the store is asked again after it has failed."""

_LOG: Final = 60.0
"""Seconds between entries in the log about failures."""

_GONE: Final = (404, 410)
"""What a push service answers if the subscription is over."""


class PushPoster(Protocol):
    """Posts to push services; see `Poster`."""

    async def post(self, endpoint: Endpoint, headers: list[tuple[str, str]], body: bytes) -> ServiceAnswer:
        """Post to a push service."""
        ...


@dataclass(slots=True)
class _DeviceState:
    """What is known of a device since the server has started.

    Attributes:
        member: whose device it is.
        is_proven: whether the last push succeeded.
        is_busy: whether something is being pushed to it.
        not_before: when the next push may begin, in seconds on the clock of the event loop.
        failures: how often pushing has failed since it last succeeded.
        pushed: the entry up to which all was pushed. The store may not have been able to note it.
    """

    member: int
    is_proven: bool = False
    is_busy: bool = False
    not_before: float = 0.0
    failures: int = 0
    pushed: int = 0


_Key: TypeAlias = tuple[int, str]


class PushSender:
    """Pushes notifications.

    Args:
        queue: the members for whom to look.
        ask: sends a request to the store, with the callback for its answer.
        key: the server's key pair.
        contact: a URL by which push services can reach the operator.
        clock: returns the time by which messages age, in seconds since 1970.
        poster: posts to push services.
        allow_local: whether they may be on this machine and in private networks.
        count: counts a notification that was posted, by what came of it.
        now: returns the time of `tick`; None for that of the event loop.

    Attributes:
        tasks: those that push now, each with the state of its device.
    """

    def __init__(
        self,
        queue: PushQueue,
        ask: Callable[[Request[Any], Callable[[Any], None]], None],
        key: PushKey,
        contact: str,
        *,
        clock: Callable[[], float],
        poster: PushPoster | None = None,
        allow_local: bool = False,
        count: Callable[[str], None] = lambda _: None,
        now: Callable[[], float] | None = None,
    ) -> None:
        self._queue = queue
        self._ask = ask
        self._count = count
        self._key = key
        self._contact = contact
        self._clock = clock
        self._poster = poster or Poster(allow_local=allow_local)
        self._allow_local = allow_local
        self._loop = asyncio.get_running_loop()
        self._now = now or self._loop.time
        self._next = 0.0
        self._next_log = 0.0
        self._is_asking = False
        self._states: dict[_Key, _DeviceState] = {}
        self.tasks: dict[asyncio.Task[None], _DeviceState] = {}

    def tick(self, now: float) -> None:
        """Look whether something is to be pushed; `now` is the time of the event loop, in seconds."""
        if now < self._next or self._is_asking:
            return
        self._next = now + _EVERY
        looks = self._queue.take(now)
        if looks:
            self._is_asking = True
            self._ask(FindPushes(looks, self._clock()), partial(self._found, looks))

    async def stop(self) -> None:
        """Push nothing more. What is being posted has two seconds."""
        self._is_asking = True
        if self.tasks:
            _, late = await asyncio.wait(self.tasks, timeout=2.0)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _found(self, looks: tuple[PushLook, ...], found: list[DevicePushes] | StoreError) -> None:
        self._is_asking = False
        now = self._now()
        if isinstance(found, StoreError):
            for look in looks:
                self._queue.look_at(look.member, now + _STORE_WAIT)
            return
        devices = {(each.member, each.device) for each in found}
        subscribed, seen = {member for member, _ in devices}, {look.member for look in looks}
        for member in seen - subscribed:
            self._queue.forget(member)
        for key in [key for key in self._states if key[0] in seen and key not in devices]:
            del self._states[key]
        for each in found:
            again = self._start(each, now)
            if again is None and each.waits:
                again = now + _PATIENCE
            if again is not None:
                self._queue.look_at(each.member, again)

    def _start(self, found: DevicePushes, now: float) -> float | None:
        """Begin to push to a device. Return when to look again; None for no need to."""
        state = self._states.setdefault((found.member, found.device), _DeviceState(found.member))
        news = [each for each in found.news if each.seq > state.pushed]
        if not news:
            return None
        if state.is_busy or state.not_before > now:
            return max(state.not_before, now + _EVERY)
        if not self._has_place(state):
            return now + _EVERY
        state.is_busy = True
        task = self._loop.create_task(self._push(found, news, state))
        self.tasks[task] = state
        task.add_done_callback(self.tasks.pop)
        return None

    def _has_place(self, state: _DeviceState) -> bool:
        """Return whether to push to one more device."""
        busy = self.tasks.values()
        if len(busy) >= _AT_ONCE or sum(each.member == state.member for each in busy) >= _OF_A_MEMBER:
            return False
        return state.is_proven or sum(not each.is_proven for each in busy) < _UNPROVEN

    async def _push(self, found: DevicePushes, news: list[PushNews], state: _DeviceState) -> None:
        """Push news to a device, one after the other."""
        try:
            for each in news:
                if not await self._push_one(found, each, state):
                    break
            else:
                state.not_before = self._now() + _PAUSE
        finally:
            state.is_busy = False

    async def _push_one(self, found: DevicePushes, news: PushNews, state: _DeviceState) -> bool:
        """Push news of one conversation. Return whether to go on."""
        try:
            endpoint = parse_endpoint(found.subscription.endpoint, allow_local=self._allow_local)
            body = encrypt(_payload(news), found.subscription)
        except (InvalidEndpoint, ValueError):  # another setting held when it was given; or the key is no point
            self._count("invalid")
            self._drop(found)
            return False
        try:
            answer = await self._poster.post(endpoint, self._headers(endpoint, found, news), body)
        except ServiceUnreachable as error:
            self._count("unreachable")
            self._fail(found, state, endpoint, str(error), 0)
            return False
        self._count(_result(answer.status))
        if answer.status in _GONE:
            self._drop(found)
            return False
        if not 200 <= answer.status < 300:
            self._fail(found, state, endpoint, f"it answers {answer.status}", answer.retry_after)
            return False
        state.failures = 0
        state.is_proven = True
        state.pushed = news.seq
        self._ask(NotePushed(found.member, found.device, news.seq), _ignore)
        return True

    def _headers(self, endpoint: Endpoint, found: DevicePushes, news: PushNews) -> list[tuple[str, str]]:
        now = self._clock()
        # A newer message of the conversation replaces one that the push service still has. It cannot tell which it is.
        topic = hashlib.sha256(found.subscription.auth + news.name.lower().encode()).digest()[:24]
        return [
            ("Authorization", authorization(endpoint.origin, self._key, self._contact, now)),
            ("Content-Encoding", "aes128gcm"),
            ("Content-Type", "application/octet-stream"),
            ("TTL", str(max(_LEAST_TTL, int(news.time + _DAY - now)))),
            ("Topic", base64url(topic)),
            ("Urgency", "high"),
        ]

    def _drop(self, found: DevicePushes) -> None:
        """Forget a subscription, which is over."""
        self._states.pop((found.member, found.device), None)
        self._ask(DropPush(found.member, found.device, found.subscription.endpoint), _ignore)

    def _fail(self, found: DevicePushes, state: _DeviceState, endpoint: Endpoint, why: str, retry_after: int) -> None:
        """Handle that pushing has failed: try again later."""
        wait = min(_FIRST_WAIT * 2**state.failures, _LONGEST_WAIT)
        wait = max(wait, min(retry_after, _DAY))
        state.failures = min(state.failures + 1, 30)
        state.is_proven = False
        now = self._now()
        state.not_before = now + wait
        self._queue.look_at(found.member, state.not_before)
        if now >= self._next_log:
            self._next_log = now + _LOG
            log.warning("a notification cannot be pushed", service=endpoint.host, reason=why, again_in=int(wait))


def _result(status: int) -> str:
    """Return how an answer of a push service is counted."""
    if 200 <= status < 300:
        return "accepted"
    if status in _GONE:
        return "gone"
    return "too_many" if status == 429 else "refused" if 400 <= status < 500 else "failed"


def _payload(news: PushNews) -> bytes:
    """Return what a browser is told (rule 20.2)."""
    content: dict[str, object] = {"name": news.name, "sender": news.sender, "count": news.count}
    if news.text:
        content["text"] = news.text
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _ignore(_: object) -> None:
    """Take an answer that says nothing. After an error, something is pushed once more when the server starts again."""
