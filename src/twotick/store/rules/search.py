"""The rules of search: by which words a message is found, and what a query means (docs/protocol.md, rule 14.5)."""

import re
from codecs import getincrementaldecoder
from dataclasses import dataclass
from typing import Final
from unicodedata import normalize

from twotick.store.rules.errors import NotAllowed

TEXT_BYTES: Final = 64 << 10
"""How much of its body a message is found by, in bytes."""

QUERY_LETTERS: Final = 256
QUERY_WORDS: Final = 20
QUERY_PREFIXES: Final = 3
PREFIX_LETTERS: Final = 2

WORD_LETTERS: Final = 256
"""How many letters of a word count; a query cannot have more."""

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_WORD = re.compile(r"[^\W_]+")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_TERM = re.compile(r'"([^"]*)"?|([^\s"]+)')
_NOT_FOUND: Final = (b"edits", b"deletes", b"reacts-to", b"pins", b"unpins", b"event")


def indexed_text(headers: bytes, body: bytes) -> str:
    """Return the text by which a message is found; empty if it is not found.

    Args:
        headers: its header lines.
        body: its body, or at least the first TEXT_BYTES + 1 bytes.
    """
    for line in headers.split(b"\n"):
        name, _, value = line.partition(b":")
        header = name.strip().lower()
        if header in _NOT_FOUND or (header == b"content-type" and not value.strip().lower().startswith(b"text/")):
            return ""
    try:
        # A letter may be cut in two.
        return getincrementaldecoder("utf-8")().decode(body[:TEXT_BYTES], len(body) <= TEXT_BYTES)
    except UnicodeDecodeError:
        return ""


def words_of(text: str) -> list[str]:
    """Return the words of a text, in order: runs of letters and digits, without case and accents."""
    if text.isascii():
        words = _ASCII_WORD.findall(text.lower())
    else:
        words = _WORD.findall(_ACCENTS.sub("", normalize("NFD", text.casefold())))
    return [word[:WORD_LETTERS] for word in words]


@dataclass(frozen=True, slots=True)
class Term:
    """A word or a phrase that a query asks for.

    Attributes:
        words: its words, as `words_of` returns them.
        is_prefix: whether the last word may go on.
    """

    words: list[str]
    is_prefix: bool


def parse_query(query: str) -> list[Term]:
    """Return what a query asks for.

    Raises:
        NotAllowed: the query has no words, or too many.
    """
    if len(query) > QUERY_LETTERS:
        raise NotAllowed(f"a query has at most {QUERY_LETTERS} letters")
    terms: list[Term] = []
    for phrase, word in _TERM.findall(query.replace("\0", " ")):
        words, is_prefix = words_of(phrase or word), word.endswith("*")
        if not words:
            continue
        if is_prefix and len(words[-1]) < PREFIX_LETTERS:
            raise NotAllowed(f"there are at least {PREFIX_LETTERS} letters before a *")
        terms.append(Term(words, is_prefix))
    if not terms:
        raise NotAllowed("there are no words to look for")
    if sum(len(term.words) for term in terms) > QUERY_WORDS or sum(term.is_prefix for term in terms) > QUERY_PREFIXES:
        raise NotAllowed(f"a query has at most {QUERY_WORDS} words, and {QUERY_PREFIXES} that end in *")
    return terms


# Each word is in the index once for each audience that may read it, with the key of that audience in front. So a search
# meets the words of the audiences that the member belongs to, and no others: what it finds, and the work that it does,
# do not depend on what the member may not see.

TO_ALL: Final = "ax"
"""The key of the messages to ALL; who got which is in the index beside the words."""


def member_key(member: int) -> str:
    """Return the key of the messages in a member's log, except those to rooms and to ALL."""
    return f"m{member}x"


def room_key(room: int) -> str:
    """Return the key of the messages to a room, by its number."""
    return f"r{room}x"


def reader_word(member: int) -> str:
    """Return the word that stands for a member beside the messages to ALL."""
    return f"m{member}"


def expression(terms: list[Term], key: str, reader: int | None = None) -> str:
    """Return a query in the syntax of SQLite's full-text search, for one audience.

    Args:
        terms: what is asked for.
        key: the audience's key.
        reader: for messages to ALL, the member who got them; None for other messages.
    """
    phrases = [f'"{" ".join(key + word for word in term.words)}"' + ("*" if term.is_prefix else "") for term in terms]
    return " ".join(phrases if reader is None else [*phrases, reader_word(reader)])


@dataclass(frozen=True, slots=True)
class IndexedText:
    """What the index is told about a message.

    Attributes:
        words: its words, with the keys of its audiences; empty if it is not found.
        readers: for a message to ALL, the members who have it.
    """

    words: str
    readers: str


def indexed(text: str, recipient: bytes, room: int | None, readers: dict[int, str]) -> IndexedText:
    """Return what the index is told about a message.

    Args:
        text: the text by which it is found.
        recipient: the recipient as the sender wrote it.
        room: the number of the room that it was sent to; None for none.
        readers: the members in whose logs it is, each with the text by which that one finds it; not needed for a room.
    """
    if room is not None:
        return IndexedText(_with_key(text, room_key(room)), "")
    if recipient.lower() == b"all":
        return IndexedText(_with_key(text, TO_ALL), " ".join(map(reader_word, readers)))
    return IndexedText(" ".join(_with_key(own, member_key(reader)) for reader, own in readers.items()).strip(), "")


def _with_key(text: str, key: str) -> str:
    return " ".join([key + word for word in words_of(text)])
