"""Bytes to frames.

Theory of operation. A client that writes to the same few users writes the same few heads again and again, so a head is
understood once and found by its bytes afterwards: one `find` for the blank line, one dictionary look-up, one slice for
the body. A frame that begins like the one before it in the same read needs a comparison only. What the look-up does not
know goes the general way, which alone knows the grammar: it skips blank lines, finds the blank line in any of its
spellings, and has `read_head` understand what lies between. Only a head that the general way found to end in exactly
two newlines is remembered, so all ways always agree. A head that has an Id or a Seq is the only one of its kind; it is
found by what remains of it without that line.

A head that has not arrived whole is kept, and looked at again when more bytes are there. Of a body that has not arrived
whole the parts are kept, and put together when as many bytes are there as its head says: a body that comes a byte at a
time costs no more than one that comes at once, and a long one is copied once.
"""

import re

from twotick.wire.frames import Frame, Head, Verb, is_identifier, read_head

MAX_HEAD = 8192
"""The longest start line and headers, blank line included, in bytes (rule 2.7)."""

_CACHED_HEAD = 192
"""The longest head that is remembered, in bytes: names are short, so longer heads are rare."""

_SHORT = 2048
"""Bytes up to which it is worth asking whether they are a single frame."""

_CACHED_HEADS = 32768
"""How many heads are remembered; then all are forgotten, so that changing names cannot fill the memory."""

_COMMON_HEADERS = frozenset([b"content-length"])
"""A head with other headers is likely to be the only one of its kind."""

_NO_PLACE = (b"", 0, 0)

_PIECE = 4096
"""Bytes from which on a part of a body is kept as it came."""

_SPACE = re.compile(rb"[ \t\r\n]*")
_BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")


class HeadCache:
    """The heads that are remembered, shared by the parsers of one process.

    Args:
        max_body: the longest body accepted, in bytes (rule 2.7).
    """

    __slots__ = ("heads", "max_body")

    def __init__(self, max_body: int) -> None:
        self.heads: dict[bytes, Head] = {}
        self.max_body = max_body

    def remember(self, text: bytes, head: Head) -> None:
        """Let frames that begin with `text` and two newlines have `head`, if it is one that may come again."""
        name, at, end = _varying_line(text)
        if name:
            text = text[:at] + text[end:]
            head = read_head(text, self.max_body)
        if len(text) + 2 <= _CACHED_HEAD and head.headers.keys() <= _COMMON_HEADERS:
            if len(self.heads) >= _CACHED_HEADS:
                self.heads.clear()
            self.heads[text] = head


class Run:
    """How frames begin that follow each other and differ in nothing, or in one header's value alone.

    Attributes:
        head: what they have in common.
        text: the bytes with which they begin: all of the head and its end, or what comes before that value.
        size: the number of these bytes.
        varies: the header in lower case, whose line is the last one; empty if they are all the same.
        value_size: the bytes of the value in the first of them: Ids are mostly of the same length.
    """

    __slots__ = ("head", "size", "text", "value_size", "varies")

    def __init__(self, head: Head, text: bytes, varies: bytes, value_size: int) -> None:
        self.head = head
        self.text = text
        self.size = len(text)
        self.varies = varies
        self.value_size = value_size


def _find_varying(heads: dict[bytes, Head], text: bytes) -> tuple[Head | None, bytes, int, int]:
    """The head that is remembered but for its Id or its Seq; and the header's name, and where its value is."""
    name, at, end = _varying_line(text)
    if not name:
        return None, name, at, end
    return heads.get(text[:at] + text[end:]), name, at + len(name) + 3, end


def _varying_line(text: bytes) -> tuple[bytes, int, int]:
    """Where in a head the line of its Id or of its Seq is.

    Returns:
        The header's name in lower case, where its line begins, and where it ends; no name if there is no such line, or
        if it is not written in the most common way, which for a Seq is on the last line.
    """
    end = len(text)
    at = text.rfind(b"\n")
    if at < 0:
        return _NO_PLACE
    name = b"id"
    if text[at : at + 6] == b"\nSeq: ":
        name = b"seq"
    elif text[at : at + 5] != b"\nId: ":
        at = text.find(b"\nId: ")
        if at < 0:
            return _NO_PLACE
        end = text.find(b"\n", at + 1)
    return (name, at, end) if is_identifier(text[at + len(name) + 3 : end]) else _NO_PLACE


class Parser:
    """The frames of one direction of one connection (docs/protocol.md, section 2).

    Args:
        cache: the heads known so far and the limit on bodies, shared with other parsers.

    Attributes:
        partial: whether a frame has begun and is not whole yet.
    """

    __slots__ = ("_broken", "_cache", "_head", "_known", "_need", "_rest", "_size", "partial")

    def __init__(self, cache: HeadCache) -> None:
        self._cache = cache
        self._known = cache.heads
        self._rest: list[bytes | bytearray] | None = None  # an empty list would cost every connection its bytes
        self._head: Head | None = None
        self._size = 0
        self._need = 0
        self._broken = False
        self.partial = False

    def feed(self, data: bytes) -> list[Frame]:
        """Take in bytes as they came.

        Args:
            data: any number of bytes, cut anywhere.

        Returns:
            The frames that are now whole, in order. If the bytes stop making sense the last one has the verb
            MALFORMED, and there will be no more (rule 2.8).
        """
        known = self._known.get
        if self._rest is None and len(data) < _SHORT:
            # The most common case by far: these bytes are one frame, no more and no less.
            text, blank, body = data.partition(b"\n\n")
            head = known(text)
            if head is None and blank and len(text) < _CACHED_HEAD:
                head, name, begin, end = _find_varying(self._known, text)
                if head is not None:
                    head = head.with_header(name, text[begin:end])
            if head is not None and len(body) == head.size and blank:
                return [(head, body)]
        frames: list[Frame] = []
        position = start = 0
        if self._rest is not None:
            missing = self._need - self._size
            if len(data) < missing:
                self._add(self._rest, data)
                return frames
            if self._head is None:
                self._rest.append(data)
                data = b"".join(self._rest)
            else:
                self._rest.append(data[:missing])
                frames.append((self._head, b"".join(self._rest)))
                position = missing
                self._head = None
            self._rest = None
            self.partial = False
        find = data.find
        size = len(data)
        run: Run | None = None
        while position < size:
            head = None
            if run is not None:
                start = position + run.size
                if data[position:start] == run.text:
                    if not run.varies:
                        head = run.head
                    else:
                        end = start + run.value_size
                        value = data[start:end]
                        start = end + 2
                        if data[end:start] == b"\n\n" and is_identifier(value):
                            head = run.head.with_header(run.varies, value)
            if head is None:
                end = find(b"\n\n", position, position + _CACHED_HEAD)
                if end > 0:
                    text = data[position:end]
                    start = end + 2
                    head = known(text)
                    if head is not None:
                        run = Run(head, text + b"\n\n", b"", 0)
                    else:
                        head, name, begin, end = _find_varying(self._known, text)
                        if head is not None:
                            if end == len(text):
                                run = Run(head, text[:begin], name, end - begin)
                            head = head.with_header(name, text[begin:end])
            if head is None:
                position, head, start = self._read(data, position)
                if head is None:
                    break
            end = start + head.size
            if end > size:
                self._head = head
                self._keep(data, start, head.size)
                break
            frames.append((head, data[start:end]))
            position = end
        return frames

    def _read(self, data: bytes, position: int) -> tuple[int, Head | None, int]:
        """The head that begins at or after `position`: where it begins, what it is, and where its body begins.

        It is None if it is not whole yet, which is then kept.
        """
        if self._broken:
            return len(data), None, 0
        start = _SPACE.match(data, position).end()  # type: ignore[union-attr]
        blank = _BLANK_LINE.search(data, start, start + MAX_HEAD)
        if blank is None and len(data) - start < MAX_HEAD:
            if start < len(data):
                self._keep(data, start, len(data) - start + 1)
            return start, None, 0
        if blank is None:
            return start, self._break(Head(Verb.MALFORMED, {}, code=103)), len(data)
        text = data[start : blank.start()]
        head = read_head(text, self._cache.max_body)
        if head.verb is Verb.MALFORMED:
            return start, self._break(head), len(data)
        if blank.end() - blank.start() == 2:
            self._cache.remember(text, head)
        return start, head, blank.end()

    def _break(self, head: Head) -> Head:
        """Understand nothing more, not even what is known."""
        self._broken = True
        self._known = {}
        return head

    def _keep(self, data: bytes, start: int, need: int) -> None:
        self._need = need
        self._size = 0
        self._rest = []
        if start < len(data):
            self._add(self._rest, data[start:])
        self.partial = True

    def _add(self, rest: list[bytes | bytearray], data: bytes) -> None:
        """Keep a part of a head or of a body: a large one as it is, small ones in one piece together."""
        self._size += len(data)
        if len(data) >= _PIECE:
            rest.append(data)
        elif rest and isinstance(last := rest[-1], bytearray):
            last += data
        else:
            rest.append(bytearray(data))
