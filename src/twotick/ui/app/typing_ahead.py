"""Keys that are typed faster than the app handles them: each waits for those before it.

Textual gives a key to the widget that has the focus when the key arrives. If keys before it have not had their effect
yet, that is the wrong one: what was typed for a dialog would be written, and sent, in a conversation.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from textual import events
from textual.app import App
from textual.dom import DOMNode
from textual.widgets import Input, TextArea

_PATIENCE = 10.0
"""Seconds after which a key no longer waits for the effect of those before it."""

_CANCELLING = ("escape", "ctrl+q")
"""The keys that end the wait for an answer of the server."""

_ROUNDS = 20
"""How often it is looked whether there is something left to do, such as in a screen that shows new messages."""


class TypingAhead:
    """Hands on keys and pasted texts, each when those before it have had their effect.

    Args:
        app: the app.
        hand_on: handles a key or a pasted text.
    """

    def __init__(self, app: App[None], hand_on: Callable[[events.Event], Awaitable[None]]) -> None:
        self._app = app
        self._hand_on = hand_on
        # It is as long as what a terminal has sent, which Textual has in memory anyway.
        self._typed: asyncio.Queue[events.Key | events.Paste] = asyncio.Queue()
        self._free = asyncio.Event()
        self._free.set()
        self._cancel: Callable[[], object] = lambda: None
        self._dropped = 0  # how often what was typed was dropped

    def add(self, event: events.Key | events.Paste) -> None:
        """Add a key or a pasted text."""
        if self._free.is_set() or not isinstance(event, events.Key) or event.key not in _CANCELLING:
            self._typed.put_nowait(event)
            return
        self._drop()
        self._free.set()
        self._cancel()
        if event.key != "escape":
            self._typed.put_nowait(event)

    def hold(self, cancel: Callable[[], object]) -> None:
        """Hold what is typed: it is for what the server's answer will show.

        Args:
            cancel: ends the wait for the answer, if the user presses Esc or wants to quit.
        """
        self._cancel = cancel
        self._free.clear()

    def release(self, *, shown: bool) -> None:
        """Hand on what was held.

        Args:
            shown: whether there is an answer to show. Otherwise what was typed for it is dropped.
        """
        if not shown and not self._free.is_set():
            self._drop()
        self._free.set()

    def _drop(self) -> None:
        self._dropped += 1
        while not self._typed.empty():
            self._typed.get_nowait()

    async def run(self) -> None:
        """Hand on what is typed, until cancelled."""
        before: events.Event | None = None
        while True:
            event = await self._typed.get()
            if not (_is_text(before) and _is_text(event) and isinstance(self._app.focused, TextArea | Input)):
                dropped = self._dropped
                await self._settled()
                while not self._free.is_set():
                    await self._free.wait()
                    await self._settled()
                if dropped != self._dropped:
                    continue
            await self._hand_on(event)
            before = event

    async def _settled(self) -> None:
        """Wait until keys have had their effect, as far as it needs no answer of the server."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self._all_idle()

    async def _all_idle(self) -> None:
        """Wait until all widgets that a key can reach have handled what they were sent, and the focus stays."""
        app = self._app
        before = None
        while (place := (app.screen, app.focused)) != before:
            before = place
            node: DOMNode = app.focused or app.screen
            for each in (*node.ancestors_with_self, app):
                await _idle(each)


def _is_text(event: events.Event | None) -> bool:
    """Return whether a key is a character, which a text field adds to those before it."""
    return isinstance(event, events.Key) and event.is_printable


async def _idle(node: DOMNode) -> None:
    """Wait until a widget has handled all messages that it has."""
    for _ in range(_ROUNDS):
        passed = asyncio.Event()
        if not node.is_running or not node.call_later(passed.set):
            return
        await passed.wait()
        if not node.message_queue_size:
            return
