"""The rules of search: by which words a message is found, and what a query means (docs/protocol.md, rule 14.5)."""

import math
import re
from codecs import getincrementaldecoder
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, TypeAlias
from unicodedata import category, normalize

from twotick.store.rules.errors import NotAllowed

TEXT_BYTES: Final = 64 << 10
"""How much of its body a message is found by, in bytes."""

QUERY_LETTERS: Final = 256
QUERY_WORDS: Final = 20
PREFIX_LETTERS: Final = 2

WORD_LETTERS: Final = 256
"""How many letters of a word count; a query cannot have more."""

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_TERM = re.compile(r'"([^"]*)"?|([^\s"]+)')
_CHANGES: Final = (b"edits", b"deletes", b"reacts-to", b"pins", b"unpins", b"event")

# Letters

_IGNORED = re.compile(
    "["
    "\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"  # accents
    "\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"  # Hebrew vowels
    "\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed"  # Arabic vowels, and the long line
    "\u00ad\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"  # invisible characters
    "\U0001f3fb-\U0001f3ff\U000e0000-\U000e01ef"  # colours and variants of emoji
    "]+"
)
_ALIKE: Final = {"\u0131": "i", "\u0142": "l", "\u00f8": "o", "\u0111": "d", "\u00e6": "ae", "\u0153": "oe"}
"""Letters that most users expect to find by another one, but that Unicode does not take apart."""

_PAIRED: Final = (
    "\u0e01-\u0e3a\u0e40-\u0e4e"  # Thai
    "\u0e81-\u0ece\u0edc-\u0edf"  # Lao
    "\u1000-\u103f\u1050-\u108f\u109a-\u109d\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa76\uaa7a-\uaa7f"  # Myanmar
    "\u1780-\u17d3\u17d7\u17dc\u17dd"  # Khmer
    "\u3005-\u3007\u3021-\u302f\u3031-\u3035\u3038-\u303c"  # marks of repetition, and numerals
    "\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # Hiragana and Katakana
    "\u3105-\u312f\u31a0-\u31bf"  # Bopomofo
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"  # Han
    "\u1100-\u11ff\ua960-\ua97f\uac00-\ud7ff"  # Hangul
)
"""Letters of scripts that put no spaces between words, or (Hangul) join endings to them."""

_EMOJI: Final = "\u2300-\u23ff\u2600-\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\U0001f000-\U0001faff"


@cache
def _words() -> re.Pattern[str]:
    """Return what finds words, runs of paired letters, and emoji in a folded text."""
    marks = "".join(each for each in map(chr, range(0x300, 0x1F000)) if category(each)[0] == "M")
    return re.compile(f"([{_PAIRED}]+)|[{_EMOJI}]|(?:[^\\W_{_PAIRED}{_EMOJI}{marks}][{marks}]*)+")


def fold(text: str) -> str:
    """Return a text without the differences that search ignores: case, accents, width, invisible characters."""
    if text.isascii():
        return text.lower()
    folded = _IGNORED.sub("", normalize("NFKD", text)).casefold()
    for letter, alike in _ALIKE.items():
        folded = folded.replace(letter, alike)
    return normalize("NFC", folded)


def _runs(text: str) -> Iterator[tuple[str, bool]]:
    """Yield the words of a text, and the runs of letters without spaces, and whether it is such a run."""
    folded = fold(text)
    if folded.isascii():
        for word in _ASCII_WORD.findall(folded):
            yield word[:WORD_LETTERS], False
    else:
        for found in _words().finditer(folded):
            yield (found[0], True) if found[1] else (found[0][:WORD_LETTERS], False)


def _pairs(run: str) -> list[str]:
    return [run[at : at + 2] for at in range(len(run) - 1)]


def words_of(text: str) -> list[str]:
    """Return the words of a text, in order: runs of letters and digits, folded; and each emoji.

    A run of letters of a script without spaces has a word for each letter: that letter and the next one.
    """
    words: list[str] = []
    for run, is_paired in _runs(text):
        if is_paired:
            words += _pairs(run)
            words.append(run[-1])
        else:
            words.append(run)
    return words


def indexed_text(headers: bytes, body: bytes) -> tuple[str, str]:
    """Return the texts by which a message is found: its body, and the name of its file; both empty if it is not found.

    Args:
        headers: its header lines.
        body: its body, or at least the first TEXT_BYTES + 1 bytes.
    """
    is_text, has_file, file = True, False, ""
    for line in headers.split(b"\n"):
        name, _, value = line.partition(b":")
        header = name.strip().lower()
        if header in _CHANGES:
            return "", ""
        if header == b"content-type":
            is_text = value.strip().lower().startswith(b"text/")
        has_file |= header == b"file"
        if header == b"file-name":
            file = value.decode(errors="replace")
    return _text(body) if is_text else "", file if has_file else ""


def _text(body: bytes) -> str:
    try:
        # A letter may be cut in two.
        return getincrementaldecoder("utf-8")().decode(body[:TEXT_BYTES], len(body) <= TEXT_BYTES)
    except UnicodeDecodeError:
        return ""


# Queries


@dataclass(frozen=True, slots=True)
class Term:
    """A word or a phrase that a query asks for.

    Attributes:
        words: its words, as `words_of` returns them.
        is_prefix: whether the last word may go on.
    """

    words: list[str]
    is_prefix: bool


@dataclass(frozen=True, slots=True)
class Filters:
    """What a search asks for besides words.

    Attributes:
        sender: only messages from this user, in lower case; empty for all.
        peer: only messages with this user or in this room, in lower case; empty for all.
        since: only messages from this time on, in seconds since 1970; 0 for all.
        until: only messages before this time; infinity for all.
        has_file: only messages with a file.
    """

    sender: bytes = b""
    peer: bytes = b""
    since: float = 0.0
    until: float = math.inf
    has_file: bool = False


def parse_query(query: str, filters: Filters) -> list[Term]:
    """Return which words a query asks for; none if it is empty, and filters say what is looked for.

    Raises:
        NotAllowed: the query has no words, or too many.
    """
    if len(query) > QUERY_LETTERS:
        raise NotAllowed(f"a query has at most {QUERY_LETTERS} letters")
    terms: list[Term] = []
    halves = 0
    for phrase, word in _TERM.findall(query.replace("\0", " ")):
        runs = list(_runs(phrase or word))
        if runs:
            terms.append(_term(runs, word.endswith("*")))
            halves += sum(max(1, len(run) - 1) if is_paired else 2 for run, is_paired in runs)
    if not terms and (query.strip() or filters == Filters()):
        raise NotAllowed("there are no words to look for")
    if halves > 2 * QUERY_WORDS:
        raise NotAllowed(f"a query has at most {QUERY_WORDS} words")
    return terms


def _term(runs: list[tuple[str, bool]], is_prefix: bool) -> Term:
    words: list[str] = []
    for run, is_paired in runs[:-1]:
        words += [*_pairs(run), run[-1]] if is_paired else [run]
    last, is_paired = runs[-1]
    if is_paired:
        # Whatever comes after a pair, each of its letters begins another; after a single letter, that is the pair.
        return Term([*words, *(_pairs(last) or [last])], len(last) == 1)
    return Term([*words, last], is_prefix and len(last) >= PREFIX_LETTERS)


# Each word is in the index once for each audience that may read it, with the key of that audience in front. So a search
# meets the words of the audiences that the member belongs to, and no others: what it finds, and the work that it does,
# do not depend on what the member may not see. A key is followed by an x before a word, by a u before the name of the
# sender, by a v before the name of the recipient, and by an f if the message has a file.

TO_ALL: Final = "a"
"""The key of the messages to ALL; who got which is in the index beside the words."""

_FILE_NAME: Final = "f"
"""A word without a key, which is never looked for, between the words of a body and those of the name of a file."""


def member_key(member: int) -> str:
    """Return the key of the messages in a member's log, except those to rooms and to ALL."""
    return f"m{member}"


def room_key(room: int) -> str:
    """Return the key of the messages to a room, by its number."""
    return f"r{room}"


def reader_word(member: int) -> str:
    """Return the word that stands for a member beside the messages to ALL."""
    return f"m{member}"


def can_match(filters: Filters) -> bool:
    """Tell whether there can be messages for filters: names have letters and digits only, so nothing else is one."""
    names = [filters.sender] if filters.peer.startswith(b"#") else [filters.sender, filters.peer]
    return all(name.isalnum() for name in names if name)


def expression(terms: list[Term], key: str, filters: Filters, own: bytes, reader: int | None = None) -> str:
    """Return a query in the syntax of SQLite's full-text search, for one audience.

    Args:
        terms: the words that are asked for.
        key: the audience's key.
        filters: what else is asked for, which `can_match`. Times and rooms are not in the index.
        own: the name of the member who asks, in lower case.
        reader: for messages to ALL, the number of that member; None for other messages.
    """
    asked = [f'"{" ".join(f"{key}x{word}" for word in term.words)}"' + "*" * term.is_prefix for term in terms]
    peer = filters.peer.decode()
    if filters.sender:
        asked.append(f'"{key}u{filters.sender.decode()}"')
    if filters.has_file:
        asked.append(f'"{key}f"')
    if reader is not None:
        if peer:
            asked.append(f'"{key}u{own.decode() if peer == "all" else peer}"')
    elif peer and not peer.startswith("#"):
        both = "AND" if filters.peer == own else "OR"
        asked.append(f'("{key}u{peer}" {both} "{key}v{peer}")')
    if not asked:
        asked.append(f'"{key}u"*')
    return " AND ".join(asked if reader is None else [*asked, reader_word(reader)])


@dataclass(frozen=True, slots=True)
class IndexedText:
    """What the index is told about a message.

    Attributes:
        words: its words, with the keys of its audiences; empty if it is not found.
        readers: for a message to ALL, the members who have it.
    """

    words: str
    readers: str


def indexed(
    text: tuple[str, str], sender: bytes, recipient: bytes, room: int | None, readers: dict[int, tuple[str, str]]
) -> IndexedText:
    """Return what the index is told about a message.

    Args:
        text: the texts by which it is found: its body, and the name of its file.
        sender: the sender's name.
        recipient: the recipient as the sender wrote it.
        room: the number of the room that it was sent to; None for none.
        readers: the members in whose logs it is, each with the texts by which that one finds it; not needed for a room.
    """
    sender, recipient = sender.lower(), recipient.lower()
    if room is not None:
        return IndexedText(_with_key(_words_in(text), room_key(room), sender), "")
    if recipient == b"all":
        return IndexedText(_with_key(_words_in(text), TO_ALL, sender), " ".join(map(reader_word, readers)))
    words_in = {each: _words_in(each) for each in {*readers.values()}}  # all members mostly have the same text
    words = " ".join(_with_key(words_in[own], member_key(reader), sender, recipient) for reader, own in readers.items())
    return IndexedText(words.strip(), "")


_Words: TypeAlias = tuple[list[str], list[str] | None] | None
"""The words of a body, and those of the name of a file, if there is one; None for a message that is not found."""


def _words_in(text: tuple[str, str]) -> _Words:
    body, file = text
    return (words_of(body), words_of(file) if file else None) if body or file else None


def _with_key(words_in: _Words, key: str, sender: bytes, recipient: bytes = b"") -> str:
    if words_in is None:
        return ""
    body, file = words_in
    words = [f"{key}x{word}" for word in body]
    if file is not None:
        words += [_FILE_NAME, *(f"{key}x{word}" for word in file), f"{key}f"]
    words.append(f"{key}u{sender.decode(errors='replace')}")
    if recipient:
        words.append(f"{key}v{recipient.decode(errors='replace')}")
    return " ".join(words)
