"""SENDs of clients that count characters in Content-length instead of bytes (docs/protocol.md, rule 2.10).

Theory of operation. To a client that counts bytes, what follows a body is blanks, or the next frame, which begins with
a verb, of which perhaps only a part has arrived. So if anything else follows, the client does not count bytes. It
counts characters if all that came after the head has just as many of them as Content-length says.

The parser asks only when what follows a body cannot be read, so frames that are counted in bytes cost nothing more.
"""

import re

from twotick.wire.heads import Head, StartLine
from twotick.wire.words import VERBS, Verb

_WORD = re.compile(rb"[^ \t\r\n]+")
_LONGEST_CHARACTER = 4
"""The most bytes of a character in UTF-8."""


def read_in_characters(head: Head, data: bytes, begin: int, most: int) -> Head | None:
    """Read a SEND anew, as one whose Content-length counts characters.

    Args:
        head: its head.
        data: what came in the same read.
        begin: where the head ends in it; more than `head.size` bytes follow.
        most: the longest body accepted, in bytes.

    Returns:
        The head, which counts all bytes that follow; None if Content-length does not count their characters.
    """
    size = len(data) - begin
    if head.verb is not Verb.SEND or b"id" in head.headers or not head.size < size <= most:
        return None
    if size > _LONGEST_CHARACTER * head.size:  # looked at before the copy: each of many heads may have all the rest
        return None
    came = data[begin:]
    if not _is_text(came[head.size :]):
        return None
    try:
        characters = len(came.decode())
    except UnicodeDecodeError:
        return None
    if characters != head.size:
        return None
    headers = {**head.headers, b"content-length": b"%d" % size}
    return Head(StartLine(Verb.SEND, head.name), headers, size, head.travels)


def _is_text(rest: bytes) -> bool:
    """Return whether what follows a body is neither blank nor the beginning of a frame, whole or in part."""
    word = _WORD.search(rest)
    if word is None:
        return False
    first = word.group()
    if word.end() < len(rest):
        return first not in VERBS
    return not any(verb.startswith(first) for verb in VERBS)
