"""Actions on files (docs/protocol.md, section 16)."""

import platformdirs

from twotick.client import TwotickError
from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.dialogs.files import FileDialog, FileToSend, FolderDialog, expanded
from twotick.ui.app.session.permissions import Permission
from twotick.ui.text import one_line, size_text
from twotick.ui.texts import t


class FileActions:
    """Send and save files."""

    def __init__(self, screen: ActionScreen) -> None:
        self._screen = screen
        self._session = screen.session

    async def send(self, argument: str) -> None:
        """Send a file, as a reply if one is in progress."""
        conversation = self._screen.shown
        if conversation is None:
            return
        chosen = FileToSend(expanded(argument), "") if argument else await self._screen.show_dialog(FileDialog())
        if chosen is None:
            return
        mode = self._screen.mode
        reply_to = mode.message if mode is not None and mode.kind == "reply" else None
        with self._screen.showing_errors():
            self._session.send_file(conversation, chosen.path, chosen.caption, reply_to)
            if reply_to is not None:
                self._screen.end_mode()
            self._screen.messages.scroll_to_end()

    async def save(self, argument: str) -> None:
        """Save the file of a message."""
        message = self._screen.message_for(Permission.SAVE_FILE)
        if message is None or message.file is None:
            return
        if message.transfer is not None:
            self._screen.say(t("This file is already being transferred. Wait until it is done."))
            return
        file = message.file
        title = t("Save {name} ({size}) in", name=one_line(file.name)[:30], size=size_text(file.size))
        folder = argument or await self._screen.show_dialog(
            FolderDialog(title, str(platformdirs.user_downloads_path()))
        )
        if not folder:
            return
        try:  # without a time limit
            path = await self._session.save_file(message, expanded(folder))
        except TwotickError as error:
            self._screen.say(
                t("{name} was not saved: {error}", name=one_line(file.name)[:60], error=error), problem=True
            )
        else:
            self._screen.say(t("Saved as {path}", path=path))
