"""Actions on pictures."""

import os
import tempfile
from pathlib import Path

from textual.content import Content

from twotick.client import TwotickError
from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.dialogs.page import TextPage
from twotick.ui.app.dialogs.picture import PictureScreen, is_installed, means
from twotick.ui.app.model.messages import Attachment, LocalMessage
from twotick.ui.text import one_line, size_text
from twotick.ui.texts import t
from twotick.ui.thumbnail import MAX_BYTES, CannotShow, format_of, thumbnail

_SIDE = 1600
"""Pixels of the longer side of what is shown."""


class PictureActions:
    """Show the picture that is attached to a message."""

    def __init__(self, screen: ActionScreen) -> None:
        self._screen = screen
        self._session = screen.session

    async def show(self, message: LocalMessage, file: Attachment) -> None:
        """Load a picture, and show it. If that cannot be done, show name, size and kind, and why."""
        app = self._screen.app
        how = means(os.environ, app.console.color_system)
        reason = ""
        if not is_installed():
            reason = t("To see pictures here, install Twotick with its extra 'pictures'.")
        elif how is None:
            reason = t("This terminal cannot show pictures.")
        elif file.size > MAX_BYTES:
            reason = t("Pictures of more than {size} are not shown here.", size=size_text(MAX_BYTES))
        elif message.transfer is not None:
            reason = t("This file is already being transferred. Wait until it is done.")
        if reason or how is None:
            self._tell(file, reason)
            return
        try:
            with tempfile.TemporaryDirectory(prefix="twotick-") as folder:
                path = await self._session.save_file(message, Path(folder))
                picture = await thumbnail(path, _SIDE)
        except (TwotickError, CannotShow, OSError) as error:
            self._tell(file, str(error))
        else:
            app.push_screen(PictureScreen(one_line(file.name)[:40], picture, how))

    def _tell(self, file: Attachment, reason: str) -> None:
        kind = t("{format} picture, {size}", format=format_of(file.name), size=size_text(file.size))
        about = f"{one_line(file.name)}\n{kind}\n\n"
        shown = Content.assemble(about, (one_line(reason), "dim"), "\n\n", ("s", "bold"), ": ", t("save the file"))
        self._screen.app.push_screen(TextPage(t("Picture"), shown))
