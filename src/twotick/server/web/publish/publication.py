"""What a program publishes, whatever format it came in, and the message that it becomes."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast
from urllib.parse import parse_qs

import msgspec

_EMOJI: Final = {
    "warning": "\u26a0\ufe0f",
    "rotating_light": "\U0001f6a8",
    "white_check_mark": "\u2705",
    "heavy_check_mark": "\u2714\ufe0f",
    "x": "\u274c",
    "no_entry": "\u26d4",
    "skull": "\U0001f480",
    "fire": "\U0001f525",
    "tada": "\U0001f389",
    "rocket": "\U0001f680",
    "partying_face": "\U0001f973",
    "+1": "\U0001f44d",
    "-1": "\U0001f44e",
    "computer": "\U0001f4bb",
    "package": "\U0001f4e6",
    "floppy_disk": "\U0001f4be",
    "loudspeaker": "\U0001f4e2",
    "bell": "\U0001f514",
    "lock": "\U0001f512",
    "green_circle": "\U0001f7e2",
    "red_circle": "\U0001f534",
}
"""The tags that are shown as an emoji, as ntfy does."""

_WORDS: Final = {1: "lowest", 2: "low", 4: "high", 5: "urgent"}
"""How priorities are shown; 3 is the usual one."""

_MOST_FIELDS: Final = 200
_MOST_ITEMS: Final = 200
_MOST_OF_HEADER: Final = 250
"""The bytes of the longest title, and of the longest tags, in a header."""

_URL: Final = 500
_SPACES: Final = re.compile(r"[\s\x00-\x1f\x7f]+")


class Unreadable(Exception):
    """A request does not have its format; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What a program publishes.

    Attributes:
        text: the text.
        title: its title; empty for none.
        priority: 1 to 5; 3 is the usual one.
        tags: words about it.
        links: URLs that belong to it; the first is what a click opens.
        recipient: whom the content names; empty for none.
        key: what makes it the same publication when it comes again; empty if that cannot be told.
        slot: what later publications update it by; empty for none (rule 21.6).
        items: the parts of that which it is about.
        delay: when it is to be sent, as the program has written it; empty for at once.
        file: the name of the file that the body is; empty if it is none.
    """

    text: str
    title: str = ""
    priority: int = 3
    tags: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    recipient: str = ""
    key: str = ""
    slot: str = ""
    items: tuple[str, ...] = ()
    delay: str = ""
    file: str = ""

    def body(self) -> str:
        """Return the text of the message, which says everything: clients need to know nothing of publishing."""
        marks = [_EMOJI[tag] for tag in self.tags if tag in _EMOJI]
        words = [tag for tag in self.tags if tag not in _EMOJI]
        title = one_line(self.title)
        head = " ".join([*marks, *([_bold(title)] if title else [])])
        if word := _WORDS.get(self.priority):
            head = f"{head} ({word})".strip()
        joined = "\n" if title else " "
        text = joined.join(part for part in (head, self.text.strip("\n")) if part)
        more = [*self.links, *([f"tags: {', '.join(words)}"] if words else [])]
        return "\n".join([*([text] if text or not self.file else []), *more])

    def headers(self) -> bytes:
        """Return the lines of headers that say the same to programs (rule 21.5), and those of its slot (rule 21.6)."""
        title, tags = _cut(one_line(self.title)), _cut(",".join(map(one_line, self.tags)))
        link = one_line(self.links[0]) if self.links else ""
        items = self.items if len(self.items) <= _MOST_ITEMS else (digest(*self.items),)
        found: dict[str, bytes | None] = {
            "X-title": title or None,
            "X-priority": None if self.priority == 3 else b"%d" % self.priority,
            "X-tags": tags or None,
            "X-click": link.encode() if 0 < len(link.encode()) <= _URL else None,
            "Slot": self.slot.encode() or None,
            "Items": " ".join(items).encode() if self.slot and items else None,
        }
        return b"".join(b"%b: %b\n" % (name.encode(), value) for name, value in found.items() if value is not None)


def _bold(title: str) -> str:
    """Return a title as bold text, if the marks would have an effect (docs/formatting.md)."""
    is_plain = "*" not in title and (title[0].isalnum() or title[0] in "([{\"'@#$%&")
    return f"*{title}*" if is_plain else title


def _cut(text: str) -> bytes:
    """Return as much of a text as a header takes, without half a character at its end."""
    return text.encode()[:_MOST_OF_HEADER].decode(errors="ignore").strip().encode()


def one_line(text: str) -> str:
    """Return a text without line breaks and control characters."""
    return _SPACES.sub(" ", text).strip()


def digest(*parts: str) -> str:
    """Return a word of 16 letters and digits that stands for some texts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:16]


# Reading


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is.

    Raises:
        Unreadable: it is something else.
    """
    try:
        content: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"the body is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise Unreadable("the body is no JSON object")
    return cast("dict[str, Any]", content)


def read_form(text: str) -> dict[str, str]:
    """Return the fields of a form, or of a query; of those that come again, the first.

    Raises:
        Unreadable: it is malformed, or has too many.
    """
    try:
        return {name: values[0] for name, values in parse_qs(text, max_num_fields=_MOST_FIELDS).items()}
    except ValueError as error:
        raise Unreadable("there are too many parameters") from error


def text_in(content: Mapping[str, Any], *names: str) -> str:
    """Return the first of some fields that has a text; empty if none has.

    Raises:
        Unreadable: one of them has something else.
    """
    for name in names:
        value = content.get(name)
        if isinstance(value, bool | int | float):
            value = str(value)
        if value is None or value == "":
            continue
        if not isinstance(value, str):
            raise Unreadable(f"{name} is no text")
        return value
    return ""


def number_in(content: Mapping[str, Any], name: str, least: int, most: int, usual: int) -> int:
    """Return a field that is a whole number; the usual one if it is missing.

    Raises:
        Unreadable: it is something else, or out of range.
    """
    value = content.get(name)
    if value is None:
        return usual
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 4:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Unreadable(f"{name} is no number from {least} to {most}")
    return value


def object_in(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a field that is an object; an empty one if it is missing.

    Raises:
        Unreadable: it is something else.
    """
    value = content.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unreadable(f"{name} is no object")
    return cast("dict[str, Any]", value)


def objects_in(content: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return a field that is a list of objects; an empty one if it is missing.

    Raises:
        Unreadable: it is something else.
    """
    value = content.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in cast("list[Any]", value)):
        raise Unreadable(f"{name} is no list of objects")
    return cast("list[dict[str, Any]]", value)


def words_in(content: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """Return a field that is a list of texts, or texts with commas between; empty if it is missing.

    Raises:
        Unreadable: it is something else.
    """
    value = content.get(name)
    given: Sequence[Any] = value.split(",") if isinstance(value, str) else value or ()
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise Unreadable(f"{name} is no list of texts")
    return tuple(word for each in given if (word := one_line(each)))
