"""What a typed line means: a message, a command, or a change of the current conversation."""

import re
from dataclasses import dataclass

_TO_USER = re.compile(r"@(\S+)(?:\s+(.*))?", re.DOTALL)
_TO_ROOM = re.compile(r"(#[A-Za-z0-9_-]{1,32}):?(?:\s+(.*))?", re.DOTALL)
_COMMAND = re.compile(r"/([A-Za-z]+)(?:\s+(.*))?", re.DOTALL)
_ONE = re.compile(r"@?(#?[A-Za-z0-9_-]{1,33})(?:\s+(.*))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class TypedMessage:
    """A message.

    Attributes:
        recipient: a user, a room or `ALL`; empty if the line names none and no conversation is current.
        text: its text.
    """

    recipient: str
    text: str


@dataclass(frozen=True, slots=True)
class TypedCommand:
    """A command that needs the server.

    Attributes:
        peer: the current conversation; empty for none.
        line: the line, with its slash.
    """

    peer: str
    line: str


class TypedLines:
    """The lines that a user types one after the other.

    Attributes:
        current: the conversation to which lines go that name none; empty for none.
    """

    def __init__(self) -> None:
        self.current = ""

    @property
    def prompt(self) -> str:
        """The prompt, which says where the next line goes."""
        return f"{self.current}> "

    def take(self, line: str) -> TypedMessage | TypedCommand | str:
        """Return what a line means; a text is to be shown to the user.

        Raises:
            EOFError: the user wants to leave.
        """
        if line.startswith("//"):
            return TypedMessage(self.current, line[1:])
        if line.startswith("/"):
            return self._command(line)
        addressed = _TO_USER.fullmatch(line) or _TO_ROOM.fullmatch(line)
        if addressed is None:
            return TypedMessage(self.current, line)
        if not addressed[2]:
            return self._go_to(line)
        self.current = addressed[1]
        return TypedMessage(addressed[1], addressed[2])

    def _command(self, line: str) -> TypedMessage | TypedCommand | str:
        found = _COMMAND.fullmatch(line)
        name, rest = ("", "") if found is None else (found[1].lower(), (found[2] or "").strip())
        match name:
            case "quit" | "exit":
                raise EOFError
            case "to":
                return self._go_to(rest)
            case "close":
                self.current = ""
                return "The next line goes to no one, unless it names a recipient."
            case "msg":
                one = _ONE.fullmatch(rest)
                if one is None or not one[2]:
                    return "Nothing was sent: '/msg bob hello' sends hello to bob."
                return TypedMessage(one[1], one[2])
            case "me":
                return TypedMessage(self.current, line) if rest else "Nothing was sent: '/me waves' says that you wave."
            case _:
                return TypedCommand(self.current, line)

    def _go_to(self, text: str) -> str:
        """Make a conversation the current one."""
        one = _ONE.fullmatch(text.rstrip().removesuffix(":"))
        if not text and self.current:
            return f"Lines go to {self.current}."
        if one is None or one[2]:
            return "Nothing was sent: '@bob hello' sends hello to bob, '/to bob' lets lines go to bob."
        self.current = one[1]
        return f"Lines go to {self.current} now."
