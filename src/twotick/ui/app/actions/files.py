"""Sending and saving files (docs/protocol.md, section 16)."""

from abc import abstractmethod

import platformdirs
from textual import work

from twotick.client import TwotickError
from twotick.ui.app.actions.base import ActionScreen
from twotick.ui.app.dialogs.files import FileDialog, FileToSend, FolderDialog, expanded
from twotick.ui.app.layout.messages import one_line
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.widgets.undertaking import ComposerMode
from twotick.ui.text import size_text


class FileActions(ActionScreen):
    """Files: send and save them."""

    undertaking: ComposerMode | None

    @abstractmethod
    def end_undertaking(self) -> None:
        """What is typed from now on is a message of its own."""

    @work
    async def action_send_file(self, argument: str = "") -> None:
        """Send a file."""
        conversation = self.shown
        if conversation is None:
            return
        chosen = FileToSend(expanded(argument), "") if argument else await self.ask(FileDialog())
        if chosen is None:
            return
        answered = self.undertaking
        reply_to = answered.message if answered is not None and answered.kind == "reply" else None
        with self.complaining():
            self.session.send_file(conversation, chosen.path, chosen.caption, reply_to)
            if reply_to is not None:
                self.end_undertaking()
            self.messages.scroll_to_end()

    @work
    async def action_save_file(self, argument: str = "") -> None:
        """Save the file of a message."""
        message = self.message_for(Permission.SAVE_FILE)
        if message is None or message.file is None:
            return
        if message.transfer is not None:
            self.say("That file is on its way already.")
            return
        file = message.file
        title = f"Save {one_line(file.name)[:30]} ({size_text(file.size)}) in"
        folder = argument or await self.ask(FolderDialog(title, str(platformdirs.user_downloads_path())))
        if not folder:
            return
        try:  # however long it takes
            path = await self.session.save_file(message, expanded(folder))
        except TwotickError as error:
            self.say(f"{one_line(file.name)[:60]} was not saved: {error}", problem=True)
        else:
            self.say(f"Saved as {path}")
