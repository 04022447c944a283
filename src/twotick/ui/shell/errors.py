"""What the commands have to say that the library has not."""

from twotick.client import TwotickError


class Interrupted(Exception):
    """Ctrl-C was pressed at a prompt. KeyboardInterrupt would stop the event loop and not end the tasks."""


class NotYet(TwotickError):
    """The message is stored and will arrive, but what was waited for has not happened."""


class CannotSave(TwotickError):
    """A file cannot be read, or written."""
