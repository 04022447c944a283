"""Posts to hooks.

Theory of operation. A hook is a device of its member. The exchange gives the device one message, which is posted; when
the hook has taken it, the device acknowledges it, and gets the next one. So how far a hook got is the device's cursor,
which survives the server, and the sender learns when the hook has the message. A message that a hook does not take is
posted again, later and later; after a day, or when the hook refuses it, it becomes a letter, and the next one is
posted. Of several servers on one database, the one that leads posts.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from twotick.exchange import Endpoint, InvalidEndpoint
from twotick.server.awaiting import stored_answer
from twotick.server.logs import log
from twotick.server.web.hooks.device import DeviceEnded, HookDevice, HookHost
from twotick.server.web.hooks.payload import answer_of, message_id, parse_hook_url, payload, signed
from twotick.server.web.push.posting import Poster, ServiceAnswer, ServiceUnreachable
from twotick.store import (
    AddLetter,
    BotMember,
    DropLetter,
    Fetch,
    FindBot,
    Hook,
    Letter,
    ListHooks,
    ListLetters,
    PostLettersAgain,
    Request,
    StoreError,
)
from twotick.wire import Frame, Head, Verb, frame

_MOST_OF_ANSWER: Final = 64 << 10
"""The most bytes of a hook's answer that are read."""

_NOT_NEWS: Final = (b"edits", b"deletes", b"reacts-to", b"pins", b"unpins", b"event")
_PASSING: Final = (408, 425, 429)
"""Refusals after which the same may be posted again."""

_LOG: Final = 60.0
"""Seconds between entries in the log about a hook that fails."""


class HookPoster(Protocol):
    """Posts to hooks; see `Poster`."""

    async def post(
        self, endpoint: Endpoint, headers: list[tuple[str, str]], body: bytes, *, most: int = 0
    ) -> ServiceAnswer:
        """Post, and return the answer with at most so many bytes of its body."""
        ...


class _NotTaken(Exception):
    """A hook will not take a message; the text says why."""


class HookRunner:
    """Posts what members with hooks get.

    Args:
        host: the server.
        ask: sends a request to the store, with the callback for its answer.
        clock: returns the time, in seconds since 1970.
        allow_local: whether hooks may be on this machine and in private networks.
        poster: posts to hooks.
        first_wait: seconds until what failed is posted again. They double each time.
        longest_wait: the most seconds between two posts of the same message.
        patience: seconds for which a message is posted again and again.
        every: seconds between two looks whether there are other hooks.
    """

    def __init__(
        self,
        host: HookHost,
        ask: Callable[[Request[Any], Callable[[Any], None]], None],
        clock: Callable[[], float],
        *,
        allow_local: bool = False,
        poster: HookPoster | None = None,
        first_wait: float = 5.0,
        longest_wait: float = 3600.0,
        patience: float = 86400.0,
        every: float = 2.0,
    ) -> None:
        self._host = host
        self._ask = ask
        self._clock = clock
        self._poster: HookPoster = poster or Poster(allow_local=allow_local)
        self._allow_local = allow_local
        self._first_wait = first_wait
        self._longest_wait = longest_wait
        self._patience = patience
        self._every = every
        self._loop = asyncio.get_running_loop()
        self._next = 0.0
        self._is_stopping = False
        self._working: dict[tuple[int, str, bytes], tuple[asyncio.Task[None], asyncio.Event]] = {}

    def tick(self, now: float) -> None:
        """Look whether there are other hooks; `now` is the time of the event loop, in seconds."""
        if now >= self._next and not self._is_stopping:
            self._next = now + self._every
            self._ask(ListHooks(), self._listed)

    async def stop(self) -> None:
        """Post nothing more. What is being posted is posted once more after the next start."""
        self._is_stopping = True
        tasks = [task for task, _ in self._working.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _listed(self, hooks: list[Hook] | StoreError) -> None:
        if isinstance(hooks, StoreError) or self._is_stopping:
            return
        if not self._host.exchange.neighbours.leads:
            hooks = []  # another server on the same database posts
        # The exchange does not know that the device of a hook is one: no token of it could be withdrawn.
        served = [hook for hook in hooks if not hook.member.disabled]
        wanted = {(hook.member.number, hook.url, hook.secret): hook for hook in served}
        for key in [key for key in self._working if key not in wanted]:
            self._working.pop(key)[0].cancel()
        for key, hook in wanted.items():
            if key not in self._working:
                again = asyncio.Event()
                self._working[key] = self._loop.create_task(self._work(hook, again)), again
            if hook.again:
                self._working[key][1].set()

    async def _is_wanted(self, hook: Hook, head: Head, seq: int) -> bool:
        """Return whether a message is to be posted again: it is not deleted, and the member may still read it."""
        fetch = Fetch(hook.member.number, seq - 1, 1, 1)
        while isinstance(found := await stored_answer(self._ask, fetch), StoreError):  # noqa: ASYNC110 # the disk may be full
            await asyncio.sleep(self.wait(0))
        entries = [entry for entry in found.entries if entry.seq == seq]
        if not entries or entries[0].headers.startswith(b"Deleted: "):
            return False
        bot = await stored_answer(self._ask, FindBot(hook.member.number))
        peer = head.headers.get(b"to", head.name).decode().lower()
        return not isinstance(bot, BotMember) or any(each.reads and each.name.lower() == peer for each in bot.rights)

    async def _work(self, hook: Hook, again: asyncio.Event) -> None:
        """Post what a member gets, until the hook is taken away."""
        failures = 0
        while True:
            line = _Line(self, hook, HookDevice(self._host, hook.member), again)
            try:
                await line.work()
            except DeviceEnded as error:
                log.warning("a hook waits", reason=str(error))
            except Exception as error:  # a defect must not end the other hooks
                self._loop.call_exception_handler({"message": "a hook cannot be served", "exception": error})
            finally:
                line.close()
            failures = 0 if line.has_worked else failures + 1
            await asyncio.sleep(self.wait(failures))

    def wait(self, failures: int) -> float:
        """Return the seconds until the next attempt after so many failures, at random from half of them on."""
        wait = min(self._first_wait * 2 ** min(failures, 30), self._longest_wait)
        return wait * random.uniform(0.5, 1.0)  # noqa: S311 # keeps hooks from being tried at the same moment

    async def deliver(self, hook: Hook, head: Head, body: bytes, seq: int) -> str:
        """Post a message, again and again if need be.

        Returns:
            The text of the hook's answer; empty for none, and if the message was deleted meanwhile, or the member may
            not read it any more.

        Raises:
            _NotTaken: the hook will not take it.
        """
        ident = message_id(hook.member.name, head, seq)
        content = payload(hook.member.name, head, body, seq, ident)
        began, next_log, failures = self._loop.time(), 0.0, 0
        while True:
            retry_after = 0
            try:
                endpoint = parse_hook_url(hook.url, allow_local=self._allow_local)
                headers = signed(hook.secret, content, ident, self._clock())
                answer = await self._poster.post(endpoint, headers, content, most=_MOST_OF_ANSWER)
                if 200 <= answer.status < 300:
                    self._host.exchange.tally.note_hook("posted")
                    return answer_of(answer.content_type, answer.body)
                why = f"it answers {answer.status}"
                retry_after = answer.retry_after
                if 300 <= answer.status < 400:
                    raise _NotTaken(f"{why}: redirects are not followed")
                if 400 <= answer.status < 500 and answer.status not in _PASSING:
                    raise _NotTaken(why)
            except ServiceUnreachable as error:
                why = str(error)
            except InvalidEndpoint as error:
                raise _NotTaken(str(error)) from error
            self._host.exchange.tally.note_hook("failed")
            now = self._loop.time()
            wait = max(self.wait(failures), min(retry_after, self._longest_wait))
            failures += 1
            if now + wait - began > self._patience:
                raise _NotTaken(why)
            if now >= next_log:
                next_log = now + _LOG
                log.warning("a hook does not take a message", hook=hook.member.name, reason=why, again_in=int(wait))
            await asyncio.sleep(wait)
            if not await self._is_wanted(hook, head, seq):
                return ""

    async def give_up(self, hook: Hook, seq: int, why: str) -> None:
        """Keep a message that a hook will not take as a letter."""
        self._host.exchange.tally.note_hook("given_up")
        log.warning("a hook will not get a message", hook=hook.member.name, reason=why, remedy="twotick bot failed")
        letter = AddLetter(hook.member.number, Letter(seq, self._clock(), why))
        while isinstance(await stored_answer(self._ask, letter), StoreError):  # noqa: ASYNC110 # the disk may be full for a while
            await asyncio.sleep(self.wait(0))

    async def letters(self, hook: Hook) -> list[Letter]:
        """Return the letters of a hook."""
        found = await stored_answer(self._ask, ListLetters(hook.member.number))
        return [] if isinstance(found, StoreError) else found

    async def letter_done(self, hook: Hook, seq: int) -> None:
        """Forget a letter."""
        await stored_answer(self._ask, DropLetter(hook.member.number, seq))

    async def letters_done(self, hook: Hook) -> None:
        """Note that the letters of a hook were posted again."""
        await stored_answer(self._ask, PostLettersAgain(hook.member.number, wanted=False))


class _Line:
    """The work for one hook, as long as its device is connected.

    Attributes:
        has_worked: whether the device was registered.
    """

    def __init__(self, runner: HookRunner, hook: Hook, device: HookDevice, again: asyncio.Event) -> None:
        self._runner = runner
        self._hook = hook
        self._device = device
        self._again = again
        self._early: deque[Frame] = deque()  # frames that came while another one was awaited
        self.has_worked = False

    def close(self) -> None:
        """Disconnect the device."""
        self._device.close()

    async def work(self) -> None:
        """Post messages as they come.

        Raises:
            DeviceEnded: the device is not connected any more.
        """
        head, _ = await self._device.next()
        if head.verb is not Verb.REGISTERED:
            raise DeviceEnded(head.headers.get(b"reason", b"it cannot connect").decode(errors="replace"))
        self.has_worked = True
        while True:
            if self._again.is_set():
                await self._post_letters()
            coming = asyncio.ensure_future(self._next())
            asked = asyncio.ensure_future(self._again.wait())
            try:
                await asyncio.wait([coming, asked], return_when=asyncio.FIRST_COMPLETED)
            finally:
                asked.cancel()
                if not coming.done():
                    coming.cancel()
            if coming.done() and not coming.cancelled():
                await self._take(*coming.result())

    async def _next(self) -> Frame:
        return self._early.popleft() if self._early else await self._device.next()

    async def _take(self, head: Head, body: bytes) -> None:
        """Handle a frame: post a message, and acknowledge every entry of the log."""
        if not head.seq:
            return
        seq = int(head.seq)
        if self._is_for_hook(head):
            try:
                await self._post(head, body, seq)
            except _NotTaken as error:
                await self._runner.give_up(self._hook, seq, str(error))
        self._device.send(frame(Verb.RECEIVED, head.name or self._hook.member.name.encode(), seq=seq))

    def _is_for_hook(self, head: Head) -> bool:
        """Return whether a frame is a new message of another user, and no answer of a bot."""
        if head.verb is not Verb.FORWARD or head.key == self._hook.member.name.lower().encode():
            return False
        return b"x-bot" not in head.headers and not any(name in head.headers for name in _NOT_NEWS)

    async def _post(self, head: Head, body: bytes, seq: int) -> None:
        """Post a message, and send the answer. It has an Id that follows from the message: it is delivered once."""
        text = await self._runner.deliver(self._hook, head, body, seq)
        if not text:
            return
        ident = message_id(self._hook.member.name, head, seq)
        about = b"%b %b" % (head.name, head.id) if head.id else None
        self._device.send(
            frame(
                Verb.SEND,
                head.headers.get(b"to", head.name),
                text.encode(),
                b"X-Bot: yes\n",
                id=b"hook-" + ident.encode(),
                reply_to=about,
            )
        )

    async def _post_letters(self) -> None:
        """Post once more what the hook did not take."""
        self._again.clear()
        for letter in await self._runner.letters(self._hook):
            found = await self._message(letter)
            if found is not None:
                try:
                    await self._post(*found, letter.seq)
                except _NotTaken as error:
                    await self._runner.give_up(self._hook, letter.seq, str(error))
                    continue
            await self._runner.letter_done(self._hook, letter.seq)
        await self._runner.letters_done(self._hook)

    async def _message(self, letter: Letter) -> Frame | None:
        """Return the message of a letter; None if it is gone, or the bot may not read it any more."""
        if not letter.peer:
            return None
        place = letter.place or letter.seq
        self._device.send(frame(Verb.HISTORY, letter.peer, id=b"letter", before=place + 1, limit=1))
        found: Frame | None = None
        while True:
            head, body = await self._device.next()
            if head.headers.get(b"history") == b"letter":
                number = head.headers.get(b"place", b"0") if letter.place else head.seq
                is_it = number == b"%d" % place and b"deleted" not in head.headers
                found = (head, body) if is_it else None
            elif head.id == b"letter":
                return found
            else:
                self._early.append((head, body))


def make_runner(host: Any, *, allow_local: bool) -> HookRunner:
    """Return what posts to hooks, for a server."""
    return HookRunner(host, host.ask, host.clock, allow_local=allow_local)
