"""People in front of the app."""

import contextlib
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

from textual import events
from textual.keys import _character_to_key  # pyright: ignore[reportPrivateUsage]
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widget import Widget

from tests.client.members import Chat, until
from twotick.client.trust.tokens import Credential
from twotick.ui.app import AppOptions, TwotickApp
from twotick.ui.app.session.base import ChatSession


class Person:
    """Somebody who types and looks.

    Attributes:
        app: what is in front of the person.
    """

    def __init__(self, app: TwotickApp, pilot: Pilot[Any]) -> None:
        self.app = app
        self._pilot = pilot

    @property
    def session(self) -> ChatSession:
        assert self.app.session is not None
        return self.app.session

    @property
    def screen(self) -> str:
        """What is on the screen."""
        return "\n".join(strip.text.rstrip() for strip in self.strips)

    @property
    def strips(self) -> list[Strip]:
        """Likewise, with its styles."""
        return self.app.screen._compositor.render_strips()  # pyright: ignore[reportPrivateUsage]

    async def press(self, *keys: str) -> None:
        await self._pilot.press(*keys)

    async def click(self, widget: type[Widget], x: int, y: int) -> None:
        await self._pilot.click(widget, offset=(x, y))

    async def type(self, text: str, *keys: str) -> None:
        """Type a text at once, as a fast typist does, and then press keys."""
        driver = self.app._driver  # pyright: ignore[reportPrivateUsage]
        assert driver is not None
        for character in text:
            event = events.Key(character if character.isalnum() else _character_to_key(character), character)
            event.set_sender(self.app)
            driver.send_message(event)
        await self._pilot.pause()
        await self.press(*keys)

    async def talks_to(self, name: str) -> None:
        """Go to a conversation."""
        await self.sees("\u25cf ")
        await self.press("ctrl+k")
        await self.sees("Go to")
        await self.type(name, "enter")
        await self.sees(f"Message to {name}")

    async def resize(self, width: int, height: int) -> None:
        await self._pilot.resize_terminal(width, height)
        await self._pilot.pause()

    async def sees(self, *texts: str) -> None:
        """Wait until all of these are on the screen."""
        try:
            await until(lambda: all(text in self.screen for text in texts))
        except TimeoutError:
            raise AssertionError(f"{texts} do not come:\n{self.screen}") from None

    async def sees_at_end(self, text: str, end: str) -> None:
        """Wait until there is a line with this text, and this at its end."""
        await until(lambda: any(text in line and line.endswith(end) for line in self.screen.splitlines()))

    async def sees_no(self, text: str) -> None:
        """Wait until this is not on the screen."""
        await until(lambda: text not in self.screen)

    async def finds(self, condition: Callable[[], bool]) -> None:
        await until(condition)


@contextlib.asynccontextmanager
async def person(options: AppOptions, width: int = 80, height: int = 24) -> AsyncGenerator[Person]:
    """Somebody who has started the app."""
    app = TwotickApp(options)
    async with app.run_test(size=(width, height), notifications=True) as pilot:
        yield Person(app, pilot)


def member(chat: Chat, folder: Path, name: str = "alice", at: str | None = None) -> AppOptions:
    """A member who has logged in, and whose things are kept in a folder."""
    who = Credential(at or chat.address, name, "laptop", chat.token(name))
    return AppOptions(who.server, name, who, folder=folder)


def guest(address: str, name: str = "alice") -> AppOptions:
    """A guest."""
    return AppOptions(address, name)
