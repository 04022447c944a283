"""IRC lines to messages and back. Nothing here knows what a message means.

A line has tags, a source, a command and parameters (modern.ircdocs.horse, and "Message Tags" of IRCv3). All is bytes in
UTF-8. Whatever is put into a line, it stays one line: CR, LF and NUL never get in.
"""

import re
from typing import Final

MOST_TAGS: Final = 4094
"""Bytes of the tags of a client, without `@` and the space."""

MOST_LINE: Final = 510
"""Bytes of the rest of a line, without CR LF."""

MOST_PENDING: Final = MOST_TAGS + MOST_LINE + 16
"""Bytes that are kept of a line that has not arrived whole."""

MOST_ENDURED: Final = 16384
"""Bytes of a line that is refused; a longer one ends the connection."""

_MOST_PARAMETERS: Final = 15
_MOST_MASK: Final = 64
_ESCAPES: Final = {b":": b";", b"s": b" ", b"r": b"\r", b"n": b"\n"}
_ESCAPED: Final = ((b"\\", b"\\\\"), (b";", b"\\:"), (b" ", b"\\s"), (b"\r", b"\\r"), (b"\n", b"\\n"))
_COMMAND: Final = re.compile(rb"[A-Za-z]+|[0-9]{3}")
_LABEL: Final = re.compile(rb"[!-:<-\[\]-~]{1,64}")
_NEVER: Final = re.compile(rb"[\x00\r\n]+")
_MARKS: Final = re.compile("[\u0300-\u036f\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff]")
"""Characters that belong to the letter before them."""


class BadLine(Exception):
    """A line that cannot be understood; `code` is the word that FAIL has for it.

    Attributes:
        code: the word.
        command: the command, as far as it can be told; otherwise `*`.
        label: the client's label, as far as it can be told; otherwise empty.
    """

    def __init__(self, code: bytes, text: str, command: bytes = b"*", label: bytes = b"") -> None:
        super().__init__(text)
        self.code = code
        self.command = command
        self.label = label


TOO_LONG: Final = b"INPUT_TOO_LONG"


class IrcMessage:
    """A line of a client.

    Attributes:
        tags: the values of the tags, unescaped, by their names.
        command: the command, in capitals.
        params: the parameters.
    """

    __slots__ = ("command", "params", "tags")

    def __init__(self, command: bytes, params: list[bytes], tags: dict[bytes, bytes] | None = None) -> None:
        self.command = command
        self.params = params
        self.tags = tags or {}

    def param(self, number: int) -> bytes:
        """Return a parameter; empty if it is missing."""
        return self.params[number] if number < len(self.params) else b""


def parse_line(line: bytes) -> IrcMessage | None:
    """Read a line.

    Args:
        line: the line, without its line feed.

    Returns:
        The message; None if the line is empty.

    Raises:
        BadLine: it cannot be understood.
    """
    line = line.rstrip(b"\r")
    raw = b""
    if line.startswith(b"@"):
        raw, _, line = line[1:].partition(b" ")
        if len(raw) > MOST_TAGS:
            raise BadLine(TOO_LONG, "the tags are too long")
    if len(line) > MOST_LINE:
        raise BadLine(TOO_LONG, "the line is too long")
    rest = line.lstrip(b" ")
    if rest.startswith(b":"):
        rest = rest.partition(b" ")[2].lstrip(b" ")  # a client's word about itself has no meaning
    head, trailing, last = rest.partition(b" :")
    params = head.split(b" ")
    if b"" in params:
        params = [word for word in params if word]
    if not params:
        if raw or line.strip(b" "):
            raise BadLine(b"INVALID_LINE", "the line has no command")
        return None
    command = params.pop(0).upper()
    if len(params) > _MOST_PARAMETERS - 1:
        # The last parameter may have spaces.
        params[_MOST_PARAMETERS - 1 :] = [b" ".join(params[_MOST_PARAMETERS - 1 :])]
    if trailing:
        params.append(last)
    _check_characters(line, raw, command)
    return IrcMessage(command, params, _read_tags(raw) if raw else None)


def _check_characters(line: bytes, raw: bytes, command: bytes) -> None:
    """Check that a line has only what lines may have.

    Raises:
        BadLine: it has something else.
    """
    text = line + raw
    if b"\x00" in text or b"\r" in text:
        raise _bad_line(b"INVALID_CHARACTER", "a line has no NUL, and CR only at its end", raw, command)
    if text.isascii():
        return
    try:
        text.decode()
    except UnicodeDecodeError as error:
        raise _bad_line(b"INVALID_UTF8", "this server takes UTF-8 only", raw, command) from error


def _bad_line(code: bytes, text: str, raw: bytes, command: bytes) -> BadLine:
    """Return an error that quotes of a line only what can stand in another one."""
    label = _read_tags(raw).get(b"label", b"")
    command = command if _COMMAND.fullmatch(command) else b"*"
    return BadLine(code, text, command, label if _LABEL.fullmatch(label) else b"")


def _read_tags(raw: bytes) -> dict[bytes, bytes]:
    tags: dict[bytes, bytes] = {}
    for tag in raw.split(b";"):
        name, _, value = tag.partition(b"=")
        if name:
            tags[name] = _unescape(value) if b"\\" in value else value
    return tags


def _unescape(value: bytes) -> bytes:
    parts = value.split(b"\\")
    result = [parts[0]]
    position = 1
    while position < len(parts):
        part = parts[position]
        if part:
            result.append(_ESCAPES.get(part[:1], part[:1]) + part[1:])
        elif position + 1 < len(parts):  # two backslashes: the next part stands as it is
            position += 1
            result.append(b"\\" + parts[position])
        position += 1
    return b"".join(result)


def escape_tag(value: bytes) -> bytes:
    """Return the value of a tag as a line has it."""
    for character, escaped in _ESCAPED:
        value = value.replace(character, escaped)
    return value.replace(b"\x00", b"")


def one_line(text: bytes) -> bytes:
    """Return a text that cannot end a line: CR, LF and NUL are a space each."""
    return _NEVER.sub(b" ", text) if _NEVER.search(text) else text


def write_line(source: bytes, command: bytes, *params: bytes, tags: bytes = b"") -> bytes:
    """Return a line.

    Args:
        source: who or what it comes from; empty for none.
        command: the command.
        params: the parameters; only the last one may be empty, have spaces, or begin with a colon.
        tags: the tags as they are written, without `@`; empty for none.
    """
    parts = [b"@%b" % tags] if tags else []
    if source:
        parts.append(b":%b" % source)
    parts.append(command)
    if params:
        parts += [_middle(each) for each in params[:-1]]
        last = params[-1]
        needs_colon = not last or b" " in last or last.startswith(b":") or command not in _PLAIN
        parts.append(b":%b" % last if needs_colon else last)
    return one_line(b" ".join(parts)) + b"\r\n"


_PLAIN: Final = frozenset(
    [
        b"JOIN",
        b"PART",
        b"MODE",
        b"NICK",
        b"PING",
        b"BATCH",
        b"TAGMSG",
        b"INVITE",
        b"CAP",
        b"AUTHENTICATE",
        b"MARKREAD",
        b"REDACT",
    ]
)
"""Commands whose last parameter is a word, if it has no spaces."""


def _middle(word: bytes) -> bytes:
    """Return a word that can stand between others."""
    word = word.replace(b" ", b"_")
    return b"*" if not word or word.startswith(b":") else word


def matches(mask: bytes, word: bytes) -> bool:
    """Return whether a word is as a mask says, in which `*` is any characters and `?` is one.

    Takes time in proportion to the lengths of both, whatever the mask is; a mask of more than 64 bytes matches nothing.
    """
    mask, word = mask.lower(), word.lower()
    if len(mask) > _MOST_MASK:
        return False
    place = at = 0
    star, tried = -1, 0
    while at < len(word):
        letter = mask[place : place + 1]
        if letter == b"*":
            star, tried = place, at
            place += 1
        elif letter in (b"?", word[at : at + 1]) and letter:
            place, at = place + 1, at + 1
        elif star >= 0:
            tried += 1
            place, at = star + 1, tried
        else:
            return False
    return not mask[place:].strip(b"*")


def split_text(text: bytes, most: int) -> list[bytes]:
    """Return a text in pieces of at most so many bytes, cut at spaces if possible, and never within a letter."""
    pieces: list[bytes] = []
    while len(text) > most:
        end = most
        while end > 1 and text[end] & 0xC0 == 0x80:  # within a character
            end -= 1
        space = text.rfind(b" ", most // 2, end + 1)
        end = space if space > 0 else _before_marks(text, end)
        pieces.append(text[:end])
        text = text[end:].removeprefix(b" ")
    pieces.append(text)
    return pieces


def _before_marks(text: bytes, end: int) -> int:
    """Return a place before `end` that does not part a letter from its marks; `end` if there is none nearby."""
    following = text[end : end + 4].decode("utf-8", "ignore")[:1]
    place = end
    for character in reversed(text[max(0, end - 64) : end].decode("utf-8", "ignore")):
        joins = _MARKS.match(following) or character == "\u200d"
        if not joins:
            return place if place > 0 else end
        following = character
        place -= len(character.encode())
    return end
