"""The arguments of a bot's commands: what a handler's signature says of them, and how they are read from a text.

No sockets and no clock.
"""

import inspect
import math
import re
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

_WORD: Final = re.compile(r'\s*(?:"(?P<quoted>[^"]*)"(?=\s|$)|(?P<plain>\S+))')
"""The next word of a text. One in double quotes may have spaces."""

_KINDS: Final[dict[type, str]] = {int: "a whole number", float: "a number", str: "a word"}
_LONGEST_SHOWN: Final = 40
"""The most characters that an answer repeats of an argument."""


class WrongArguments(Exception):
    """The arguments do not fit the command; the text says why."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a command.

    Attributes:
        name: its name.
        kind: the type of its values: str, int or float.
        choices: the values that it may have; empty for any.
        default: its value if it is not given; `inspect.Parameter.empty` if it must be given.
        takes: `word`, `words` for all words that are left, or `rest` for the text that is left, as it was written.
    """

    name: str
    kind: type
    choices: tuple[object, ...]
    default: object
    takes: Literal["word", "words", "rest"]

    @property
    def is_needed(self) -> bool:
        """Whether a command cannot do without it."""
        return self.default is inspect.Parameter.empty and self.takes != "words"

    @property
    def usage(self) -> str:
        """How it is shown in the usage of its command."""
        shown = "|".join(map(str, self.choices)) or self.name.upper().replace("_", "-")
        if self.takes != "word":
            shown += "..."
        return shown if self.is_needed else f"[{shown}]"

    def value(self, word: str) -> object:
        """Return the value that a word stands for.

        Raises:
            WrongArguments: it has none.
        """
        for choice in self.choices:
            if word.lower() == str(choice).lower():
                return choice
        if self.choices:
            raise WrongArguments(f"{self._shown} is one of {', '.join(map(str, self.choices))}, not {_short(word)}")
        try:
            found = self.kind(word)
        except ValueError:
            found = math.nan
        if isinstance(found, float) and not math.isfinite(found):
            raise WrongArguments(f"{self._shown} is {_KINDS[self.kind]}, not {_short(word)}")
        return found

    @property
    def _shown(self) -> str:
        return self.name.upper().replace("_", "-")


def parameters_of(handler: Callable[..., object]) -> tuple[Parameter, ...]:
    """Return the parameters of a handler after the first one, which is the message.

    A parameter takes a word, `*name` all words that are left, and `*, name` the text that is left, as it was written.

    Raises:
        TypeError: the signature says something that no text can give.
    """
    signature = inspect.signature(handler)
    try:
        hints = get_type_hints(handler)
    except NameError as error:
        raise TypeError(f"{handler.__qualname__}: the annotation {error.name!r} is not known in its module") from error
    parameters = list(signature.parameters.values())
    first = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    if not parameters or parameters[0].kind not in first:
        raise TypeError(f"{handler.__qualname__}: the first parameter of a handler is the message")
    found = tuple(_parameter(handler, each, hints.get(each.name, str)) for each in parameters[1:])
    if [each.takes == "word" for each in found[:-1]].count(False):
        raise TypeError(f"{handler.__qualname__}: only the last parameter can take all that is left")
    return found


def _parameter(handler: Callable[..., object], one: inspect.Parameter, hint: Any) -> Parameter:
    """Return a parameter of a handler."""
    if one.kind is one.VAR_KEYWORD:
        raise TypeError(f"{handler.__qualname__}: **{one.name} cannot be given in a text")
    if get_origin(hint) in (Union, types.UnionType):  # `int | None`, for a default of None
        hint = next((each for each in get_args(hint) if each is not types.NoneType), str)
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    kind = str if choices else hint
    if kind not in _KINDS or not all(isinstance(each, str | int) for each in choices):
        raise TypeError(f"{handler.__qualname__}: {one.name} must be str, int, float or a Literal of texts and numbers")
    takes: Literal["word", "words", "rest"] = "word"
    if one.kind is one.VAR_POSITIONAL:
        takes = "words"
    elif one.kind is one.KEYWORD_ONLY:
        takes = "rest"
    return Parameter(one.name, kind, choices, one.default, takes)


def read_arguments(parameters: tuple[Parameter, ...], text: str) -> tuple[list[object], dict[str, object]]:
    """Read the arguments of a command.

    Args:
        parameters: the command's parameters.
        text: what follows the command's name.

    Returns:
        The arguments by position, and those by name.

    Raises:
        WrongArguments: they do not fit.
    """
    values: list[object] = []
    named: dict[str, object] = {}
    at = 0
    for one in parameters:
        if one.takes == "rest":
            rest, at = text[at:].strip(), len(text)
            if rest or one.is_needed:
                named[one.name] = one.value(_present(one, rest))
        elif one.takes == "words":
            while (word := _WORD.match(text, at)) is not None:
                values.append(one.value(_content(word)))
                at = word.end()
        elif (word := _WORD.match(text, at)) is not None:
            values.append(one.value(_content(word)))
            at = word.end()
        else:
            values.append(one.value(_present(one, "")) if one.is_needed else one.default)
    if text[at:].strip():
        raise WrongArguments(f"there is no place for {_short(text[at:].strip())}")
    return values, named


def _present(parameter: Parameter, text: str) -> str:
    """Return the text of an argument that must be given."""
    if not text:
        raise WrongArguments(f"{parameter.name.upper().replace('_', '-')} is missing")
    return text


def _content(word: re.Match[str]) -> str:
    return word["plain"] if word["quoted"] is None else word["quoted"]


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
