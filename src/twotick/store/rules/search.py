"""The rules of search: by which words a message is found, and what a query means (docs/protocol.md, rule 14.5)."""

import re
from codecs import getincrementaldecoder
from typing import Final
from unicodedata import normalize

from twotick.store.rules.errors import NotAllowed

TEXT_BYTES: Final = 64 << 10
"""How much of its body a message is found by, in bytes."""

QUERY_LETTERS: Final = 256
QUERY_TERMS: Final = 20
QUERY_PREFIXES: Final = 3
PREFIX_LETTERS: Final = 2

_LAST_WORD = re.compile(r"([^\W_]+)[\W_]*\Z")
_TERM = re.compile(r'"([^"]*)"?|([^\s"]+)')
_NOT_FOUND: Final = (b"edits", b"deletes", b"reacts-to", b"event")


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


def match_expression(query: str) -> str:
    """Return a query in the syntax of SQLite's full-text search: every word and phrase in quotes.

    Raises:
        NotAllowed: the query has no words, or too many.
    """
    if len(query) > QUERY_LETTERS:
        raise NotAllowed(f"a query has at most {QUERY_LETTERS} letters")
    terms: list[str] = []
    prefixes = 0
    for phrase, word in _TERM.findall(normalize("NFC", query.replace("\0", " "))):
        text = phrase or word
        last = _LAST_WORD.search(text)
        if last is None:
            continue
        if word.endswith("*"):
            prefixes += 1
            if len(last[1]) < PREFIX_LETTERS:
                raise NotAllowed(f"there are at least {PREFIX_LETTERS} letters before a *")
        terms.append(f'"{text}"*' if word.endswith("*") else f'"{text}"')
    if not terms:
        raise NotAllowed("there are no words to look for")
    if len(terms) > QUERY_TERMS or prefixes > QUERY_PREFIXES:
        raise NotAllowed(f"a query has at most {QUERY_TERMS} words, and {QUERY_PREFIXES} that end in *")
    return " ".join(terms).encode(errors="replace").decode()
