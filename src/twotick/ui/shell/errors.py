"""Errors of commands, besides those of the client library."""

import signal

from twotick.client import TwotickError


class Interrupted(Exception):
    """Ctrl-C was pressed at a prompt. A KeyboardInterrupt would stop the event loop without ending its tasks."""


class Stopped(Exception):
    """A signal has asked the command to end, and it has put everything in order.

    Attributes:
        number: the signal.
    """

    def __init__(self, number: signal.Signals) -> None:
        super().__init__(number.name)
        self.number = number


class NotYet(TwotickError):
    """The message is stored and will arrive, but has not yet reached the state that the command waits for."""


class NotReadYet(NotYet):
    """The recipient has the message, but has not read it yet."""


class NoOtherMember(TwotickError):
    """The message is stored in a room in which there is no other member."""


class NothingFound(TwotickError):
    """There are no messages like those that were asked for."""


class CannotSave(TwotickError):
    """A file cannot be read or written."""
