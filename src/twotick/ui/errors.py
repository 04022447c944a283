"""What the commands have to say that the library has not."""

from twotick.client import TwotickError


class NotYet(TwotickError):
    """The message is stored and will arrive, but what was waited for has not happened."""


class CannotSave(TwotickError):
    """A file cannot be read, or written."""
