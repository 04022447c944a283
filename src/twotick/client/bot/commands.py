"""The commands of a bot: which of them a text asks for, and what the bot says of them. No sockets and no clock."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import cleandoc
from typing import Final, NamedTuple, TypeAlias

from twotick.client.bot.arguments import Parameter, parameters_of

Handler: TypeAlias = Callable[..., Awaitable[str | None]]
"""Handles a message; returns the answer, or None for no answer."""

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_HELP: Final = "help"


@dataclass(frozen=True, slots=True)
class BotCommand:
    """A command.

    Attributes:
        name: its name, in lower case.
        handler: what executes it.
        parameters: its arguments.
        help: what it does; the first line is shown in the list of commands.
    """

    name: str
    handler: Handler
    parameters: tuple[Parameter, ...]
    help: str


class Asked(NamedTuple):
    """What a text asks of a bot.

    Attributes:
        addressed: whether the bot is addressed.
        by_name: whether it is addressed in a way in which no other bot is: by name, or in a direct message.
        word: the first word, in lower case.
        rest: what follows it.
        text: the text without what addresses the bot.
    """

    addressed: bool
    by_name: bool
    word: str
    rest: str
    text: str


class BotCommands:
    """The commands of a bot.

    Args:
        name: the bot's name.
        prefix: what commands in rooms begin with.
    """

    def __init__(self, name: str, prefix: str) -> None:
        if not prefix or prefix != prefix.strip():
            raise ValueError("the prefix of commands must be at least one character, without spaces around it")
        self._mention = re.compile(rf"(?:@{re.escape(name)}\b[:,]?|{re.escape(name)}[:,](?=\s|$))\s*", re.IGNORECASE)
        self._prefix = prefix
        self._commands: dict[str, BotCommand] = {}

    def add(self, name: str, handler: Handler) -> None:
        """Add a command.

        Raises:
            ValueError: the name cannot be one, or is in use.
            TypeError: the handler's signature cannot be that of a command.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot be the name of a command: use lower-case letters, digits, - and _")
        if name in self._commands:
            raise ValueError(f"there are two commands {name!r}")
        self._commands[name] = BotCommand(name, handler, parameters_of(handler), cleandoc(handler.__doc__ or ""))

    def asked(self, text: str, *, direct: bool) -> Asked:
        """Return what a text asks.

        Args:
            text: the text.
            direct: whether it was sent to the bot, and not to a room.
        """
        text = text.strip()
        mention = self._mention.match(text)
        if mention is not None:
            text = text[mention.end() :]
        marked = text.startswith(self._prefix)
        command = text.removeprefix(self._prefix).lstrip()
        word = next(iter(command.split(None, 1)), "")
        by_name = direct or mention is not None
        return Asked(by_name or marked, by_name, word.lower(), command[len(word) :], text)

    def find(self, word: str) -> BotCommand | None:
        """Return the command with a name; None if there is none."""
        return self._commands.get(word)

    def is_help(self, word: str) -> bool:
        """Return whether a word asks for help. A bot may have a command `help` of its own."""
        return word == _HELP and _HELP not in self._commands

    def usage(self, command: BotCommand) -> str:
        """Return how a command is used."""
        return " ".join([f"{self._prefix}{command.name}", *(each.usage for each in command.parameters)])

    def help(self, about: str) -> str:
        """Return what the bot can do.

        Args:
            about: a command; empty for all of them.
        """
        word = about.strip().removeprefix(self._prefix).lower()
        if word:
            command = self.find(word)
            return self.unknown(word) if command is None else f"{self.usage(command)}\n{command.help}".rstrip()
        lines = [f"{self.usage(each)}  {each.help.partition(chr(10))[0]}".rstrip() for each in self._commands.values()]
        return "\n".join(lines) or "this bot has no commands"

    def unknown(self, word: str) -> str:
        """Return what to answer if there is no such command."""
        return f"there is no command {word[:40]!r}: {self._prefix}{_HELP} lists all"
