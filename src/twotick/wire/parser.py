"""Turn bytes into frames (docs/protocol.md, section 2).

Theory of operation. Bytes arrive cut anywhere and glued in any way, so `Parser.feed` walks over what has arrived and
takes one frame after the other:

1. Find the end of the head: the first blank line. Nearly always that is two line feeds in a row.
2. Find out what the head says. A head that came before, on any connection, is found by its bytes in a dictionary. Any
   other head is read by its rules, which are in `heads.py`.
3. Take the body, as many bytes as the head says.

Heads that follow each other on a connection are often of the same length, so the parser first looks up as many bytes as
the last head had, and searches for the end only if that is no known head. This takes a third off the cost of a frame.
It cannot go wrong: the bytes in the dictionary end in a blank line and have none before it, so whatever begins with
them has that head.

Rule 2.5 allows other spellings: blank lines that contain spaces or a carriage return, and blanks between frames. The
parser looks for them where two line feeds are not found, or where the lines before them make no head. That is safe
because each of these spellings, taken for a part of a head, is a line without a word or without a colon, which no head
has.

A frame that has not arrived whole is kept until more bytes come. Of a head the bytes are kept, and searched again. Of a
body the parts are kept as they came, and joined once when the last of them is there: a body that arrives byte by byte
costs no more than one that arrives at once. Of a body that is not needed, only the length is kept.

A caller that takes only some frames at a time lets the parser stop at the head of another one (`most`), never within a
frame: what is not yet a frame is searched for the other spellings with all that has arrived.
"""

import re
from typing import Final, TypeAlias

from twotick.wire.characters import read_in_characters
from twotick.wire.heads import Head, HeadCache, StartLine
from twotick.wire.words import Verb

Frame: TypeAlias = tuple[Head, bytes]
"""A head and its body; the body is empty if the head has no Content-length."""

MAX_HEAD = 8192
"""The longest start line and headers, blank line included, in bytes (rule 2.7)."""

_SHORT_HEAD = 512
"""The bytes within which most heads end, blank line included. The search for two line feeds goes no further, so that
frames in other spellings cannot make the parser search all that has arrived for each of them."""

_LARGE_PART = 4096
"""The bytes from which on a part of a body is kept as it came, rather than copied to the parts before it."""

_ALL: Final = 1 << 62
"""More bytes than can arrive."""

# Looked up once: a member of an enum is costly to look up.
_MALFORMED: Final = Verb.MALFORMED
_UNKNOWN: Final = Verb.UNKNOWN
_BETWEEN_FRAMES = re.compile(rb"[ \t\r\n]*")
_BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")


class _Body:
    """A body of which only a part has arrived.

    Args:
        head: the head of its frame.
        begin: the part that has arrived.

    Attributes:
        head: the head of its frame.
        missing: the number of bytes that have not arrived.
        parts: what has arrived. An array holds parts that came in small pieces.
        dropped: whether nothing of it is kept.
    """

    __slots__ = ("dropped", "head", "missing", "parts")

    def __init__(self, head: Head, begin: bytes) -> None:
        self.head = head
        self.missing = head.size
        self.parts: list[bytes | bytearray] = []
        self.dropped = False
        self.add(begin)

    def add(self, data: bytes) -> None:
        """Add a part that has arrived."""
        self.missing -= len(data)
        if self.dropped:
            return
        if len(data) >= _LARGE_PART:
            self.parts.append(data)
        elif self.parts and isinstance(last := self.parts[-1], bytearray):
            last += data
        else:
            self.parts.append(bytearray(data))


class Parser:
    """The frames of one direction of one connection (section 2).

    Args:
        cache: reads the heads, and holds the limit on bodies; shared with other parsers.
    """

    __slots__ = ("_at", "_begun", "_body", "_broken", "_cache", "_left", "_length")

    def __init__(self, cache: HeadCache) -> None:
        self._cache = cache
        self._begun = b""  # the bytes of a head that has not arrived whole
        self._body: _Body | None = None
        self._broken = False
        self._length = 0  # of the last head, in bytes with its blank line
        self._left = b""
        self._at = 0  # where it begins that `feed` has left for later

    @property
    def left(self) -> int:
        """How many bytes `feed` has left for later, which begin with the head of a frame."""
        return len(self._left) - self._at

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and has not arrived whole."""
        return self._body is not None or self._begun != b""

    @property
    def held(self) -> int:
        """The bytes that are kept: of a frame that has not arrived whole, or left for later."""
        body = self._body
        if body is None or body.dropped:
            return len(self._begun) + len(self._left) - self._at
        return body.head.size - body.missing

    def drop_body(self) -> None:
        """Keep nothing of the body that has not arrived whole, if there is one: its frame will have an empty body."""
        if self._body is not None:
            self._body.dropped = True
            self._body.parts.clear()

    def feed(self, data: bytes, most: int = _ALL) -> list[Frame]:
        """Take bytes that have arrived.

        Args:
            data: any number of bytes, cut anywhere; none to go on with what was left for later.
            most: how many bytes of that, after which the frames that follow are left for later, up to the next call.

        Returns:
            The frames that have now arrived whole, in order. If the end of a frame cannot be told, the last one has the
            verb MALFORMED, and no other will follow it, whatever arrives (rule 2.8).
        """
        frames: list[Frame] = []
        if self._broken:
            return frames
        position = 0
        if self._left or self._begun or self._body is not None:
            data, position, most = self._with_earlier(data, most, frames)
        find = data.find
        known = self._cache.heads.get
        size = len(data)
        length = self._length
        stop = min(size, most)
        while True:
            while position < stop:
                start = position + length
                head = known(data[position:start])
                if head is None or start > size:
                    end = find(b"\n\n", position, position + _SHORT_HEAD)
                    text = data[position : end + 2] if end >= 0 else b""
                    length = self._length = len(text)
                    start = position + length
                    head = known(text) or self._cache.read(text)
                    verb = head.verb
                    if verb is _MALFORMED or verb is _UNKNOWN:
                        if frames and self._take_in_characters(data, position, frames):
                            return frames
                        if verb is _MALFORMED:
                            head, start = self._read_other_spelling(data, position)
                    if head is None:
                        return frames
                position = start + head.size
                if position > size:
                    self._body = _Body(head, data[start:])
                    return frames
                frames.append((head, data[start:position]))
            if self._leave(data, position):
                return frames
            stop = position + 1

    def _with_earlier(self, data: bytes, most: int, frames: list[Frame]) -> tuple[bytes, int, int]:
        """Add what has arrived to what came before.

        Returns:
            The bytes, the position from which on they make frames, and the one from which on these are left for later.
        """
        position = 0
        if self._left:
            data, position = (self._left[self._at :] + data, 0) if data else (self._left, self._at)
            self._left, self._at = b"", 0
            most += position
        elif self._body is not None:
            position = self._add_to_body(self._body, data, frames)
        else:
            most += len(self._begun)
            data = self._begun + data
            self._begun = b""
        return data, position, most

    def _leave(self, data: bytes, position: int) -> bool:
        """Leave for later what begins at a position, if that makes no difference: if it is a usual head, or nothing."""
        if position < len(data):
            end = data.find(b"\n\n", position, position + _SHORT_HEAD)
            verb = _MALFORMED if end < 0 else self._cache.read(data[position : end + 2]).verb
            if verb is _MALFORMED or verb is _UNKNOWN:
                return False
            self._left, self._at = data, position
        return True

    def _take_in_characters(self, data: bytes, position: int, frames: list[Frame]) -> bool:
        """Let the last frame have all that came after its head, if it counts characters (rule 2.10).

        Args:
            data: what has arrived.
            position: where the last frame ends if it counts bytes.
            frames: the frames; the last one may change.

        Returns:
            Whether it did, so that nothing of `data` is left.
        """
        head, body = frames[-1]
        begin = position - head.size
        if begin < 0 or len(body) < head.size:  # a part of the body came earlier
            return False
        whole = read_in_characters(head, data, begin, self._cache.max_body)
        if whole is None:
            return False
        frames[-1] = (whole, data[begin:])
        return True

    def _add_to_body(self, body: _Body, data: bytes, frames: list[Frame]) -> int:
        """Add what has arrived to the body that is not whole, and its frame to `frames` if it is whole now.

        Returns:
            The position in `data` at which the body ends, or at which `data` does.
        """
        part = data[: body.missing]
        body.add(part)
        if not body.missing:
            frames.append((body.head, b"".join(body.parts)))
            self._body = None
        return len(part)

    def _read_other_spelling(self, data: bytes, position: int) -> tuple[Head | None, int]:
        """Read a head that need not end in two line feeds, or that has not arrived whole (rules 2.5 and 2.7).

        Args:
            data: what has arrived.
            position: where the frame before it ends.

        Returns:
            The head, and where its body begins. The head is None if it has not arrived whole; it is kept then. Its verb
            is MALFORMED if the end of the frame cannot be told from it.
        """
        begin = _BETWEEN_FRAMES.match(data, position).end()  # type: ignore[union-attr]
        blank_line = _BLANK_LINE.search(data, begin, begin + MAX_HEAD)
        if blank_line is None and len(data) - begin < MAX_HEAD:
            self._begun = data[begin:]
            return None, len(data)
        head = _TOO_LONG
        if blank_line is not None:
            head = self._cache.read(data[begin : blank_line.start()] + b"\n\n")
            if head.verb is not _MALFORMED:
                return head, blank_line.end()
        self._broken = True
        return head, len(data)


_TOO_LONG = Head(StartLine(Verb.MALFORMED, code=103), {})
"""Start line and headers are longer than MAX_HEAD (rule 2.8)."""
