"""Replying and editing in the composer."""

from typing import Literal, NamedTuple

from twotick.ui.app.model.messages import LocalMessage


class ComposerMode(NamedTuple):
    """What the composer does with the text besides sending it: reply to a message, or replace its text."""

    kind: Literal["reply", "edit"]
    message: LocalMessage
