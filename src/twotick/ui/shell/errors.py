"""Errors of commands, besides those of the client library."""

from twotick.client import TwotickError


class Interrupted(Exception):
    """Ctrl-C was pressed at a prompt. A KeyboardInterrupt would stop the event loop without ending its tasks."""


class NotYet(TwotickError):
    """The message is stored and will arrive, but has not yet reached the state that the command waits for."""


class CannotSave(TwotickError):
    """A file cannot be read or written."""
