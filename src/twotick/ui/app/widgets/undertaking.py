"""What is done with the text that is typed."""

from typing import Literal, NamedTuple

from twotick.ui.app.model.messages import LocalMessage


class ComposerMode(NamedTuple):
    """What is done with the text that is typed, besides sending it: it answers a message, or takes its place."""

    kind: Literal["reply", "edit"]
    message: LocalMessage
