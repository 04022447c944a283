"""Users of the app: they press keys and read the screen."""

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


class AppUser:
    """A user who presses keys and reads the screen.

    Attributes:
        app: the app that the user sees.
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
        """The text on the screen."""
        return "\n".join(strip.text.rstrip() for strip in self.strips)

    @property
    def strips(self) -> list[Strip]:
        """The lines on the screen with their styles."""
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

    async def is_connected(self) -> None:
        """Wait until the app is connected. A notice may hide where the screen says so."""
        await self.finds(lambda: self.app.session is not None and self.app.session.connected)

    async def talks_to(self, name: str) -> None:
        """Open a conversation."""
        await self.is_connected()
        await self.press("ctrl+k")
        await self.sees("Go to")
        await self.type(name, "enter")
        await self.sees(f"Message to {name}")

    async def opens(self, name: str) -> None:
        """Open a conversation that is in the list."""
        await self.is_connected()
        await self.sees(name)
        await self.press("ctrl+k")
        await self.sees("Go to")
        await self.type(name, "enter")
        await self.sees(f"Message to {name}")

    async def resize(self, width: int, height: int) -> None:
        await self._pilot.resize_terminal(width, height)
        await self._pilot.pause()

    async def sees(self, *texts: str) -> None:
        """Wait until all these texts are on the screen."""
        try:
            await until(lambda: all(text in self.screen for text in texts))
        except TimeoutError:
            raise AssertionError(f"{texts} do not come:\n{self.screen}") from None

    async def sees_at_end(self, text: str, end: str) -> None:
        """Wait until the screen has a line with a text and an end."""
        await until(lambda: any(text in line and line.endswith(end) for line in self.screen.splitlines()))

    async def sees_no(self, text: str) -> None:
        """Wait until a text is no longer on the screen."""
        await until(lambda: text not in self.screen)

    async def finds(self, condition: Callable[[], bool]) -> None:
        await until(condition)


@contextlib.asynccontextmanager
async def app_user(options: AppOptions, width: int = 80, height: int = 24) -> AsyncGenerator[AppUser]:
    """Run the app for a user."""
    app = TwotickApp(options)
    async with app.run_test(size=(width, height), notifications=True) as pilot:
        yield AppUser(app, pilot)


def member(chat: Chat, folder: Path, name: str = "alice", at: str | None = None) -> AppOptions:
    """Return the options for a member who has logged in, with data in a folder."""
    who = Credential(at or chat.address, name, "laptop", chat.token(name))
    return AppOptions(who.server, name, who, folder=folder)


def guest(address: str, name: str = "alice") -> AppOptions:
    """Return the options for a guest."""
    return AppOptions(address, name)
