"""Read the head of a frame: its start line and its headers (docs/protocol.md, section 2).

This is the grammar of what comes in. `read_head` reads a head from its lines and remembers nothing. `HeadCache` reads
the same heads, and remembers those that come again.
"""

import re

from twotick.wire.words import SHORT_DIGITS, SIDES, VERBS, Side, Verb, is_identifier

_BLANKS = b" \t\r"
_WORD = re.compile(rb"[^ \t\r]+")
_CODE = re.compile(rb"[0-9]{3}")
_TRAVELLING = frozenset(
    [b"content-type", b"time", b"reply-to", b"expires", b"edits", b"deletes", b"reacts-to", b"pins", b"unpins"]
)
"""The headers that the recipient gets as the sender wrote them, besides those that begin with X- (rules 9.7, 13.1)."""

_LONGEST_REMEMBERED = 128
"""The longest start line or head that is remembered, in bytes. Names are short, so longer ones are rare."""

_NEVER_AGAIN = (Verb.REGISTER, Verb.REGISTERED, Verb.MALFORMED, Verb.UNKNOWN)
"""The verbs that come at most once on a connection."""


class StartLine:
    """What the first line of a frame says (rules 2.2 and 3.2).

    Attributes:
        verb: the verb of a frame with a Content-length.
        verb_alone: the verb of a frame without one, which differs for SEND and FORWARD.
        name: the user, room or file that the frame is about, as written; empty if there is not exactly one.
        key: `name` in lower case, by which users are found (rule 4.2).
        side: the side that a REGISTER or REGISTERED names; None for any other word or verb.
        code: the number of an ERROR; 0 if there is none.
        delivered: for a SEND, the answer that the recipient has the message (rule 5.4); otherwise empty.
    """

    __slots__ = ("code", "delivered", "key", "name", "side", "verb", "verb_alone")

    def __init__(self, verb: Verb, name: bytes = b"", side: Side | None = None, code: int = 0) -> None:
        self.verb = self.verb_alone = verb
        self.name = name
        self.key = name.lower()
        self.side = side
        self.code = code
        self.delivered = b""
        if verb is Verb.SEND:
            self.delivered = b"SEND %b\n\n" % name
            self.verb_alone = Verb.SENT
        elif verb is Verb.FORWARD:
            self.verb_alone = Verb.UNKNOWN
        if not name and verb in (Verb.SEND, Verb.FORWARD):
            self.verb = self.verb_alone = Verb.UNKNOWN


class Head:
    """What the start line and the headers of a frame say.

    Frames that begin with the same bytes share one head if it has no headers but Content-length. Any other head belongs
    to one frame alone.

    Attributes:
        verb: the first word.
        name: the user, room or file that the frame is about, as written; empty if there is not exactly one.
        key: `name` in lower case, by which users are found (rule 4.2).
        side: for REGISTER and REGISTERED, the side that is registered; None if the word names none.
        code: for ERROR, its number, or 0 if it has none; for MALFORMED, the number of the error that says why.
        delivered: for SEND, the answer that the recipient has the message (rule 5.4).
        headers: the values, by the header's name in lower case.
        travels: the lines of the headers that go from sender to recipient, each with its line feed (rule 9.7).
        size: the bytes of body that follow; 0 without a Content-length.
        length_end: for SEND, the end of the FORWARD's head, which follows `forward_start` (rule 5.2).
        id: the Id; empty if there is none, or none that is well formed (rule 9.5).
        seq: the Seq as written; empty if there is none.
        is_plain: whether there are no headers but Content-length and Id.
    """

    __slots__ = (
        "code",
        "delivered",
        "headers",
        "id",
        "is_plain",
        "key",
        "length_end",
        "name",
        "seq",
        "side",
        "size",
        "travels",
        "verb",
    )

    # Written out, because mypyc does not compile the constructor of a dataclass.
    def __init__(
        self, start: StartLine, headers: dict[bytes, bytes], size: int | None = None, travels: bytes = b""
    ) -> None:
        """Put a head together.

        Args:
            start: what its start line says.
            headers: the values, by the header's name in lower case.
            size: the value of Content-length; None without that header.
            travels: the lines of the headers that go along to the recipient.
        """
        self.verb = start.verb_alone if size is None else start.verb
        self.name = start.name
        self.key = start.key
        self.side = start.side
        self.code = start.code
        self.delivered = start.delivered
        self.headers = headers
        self.travels = travels
        self.size = size or 0
        self.length_end = b"%d\n\n" % self.size if self.delivered else b""
        identifier = headers.get(b"id")
        self.id = identifier if identifier and is_identifier(identifier) else b""
        self.seq = headers.get(b"seq", b"")
        self.is_plain = len(headers) == (size is not None) + (identifier is not None)

    def forget(self) -> None:
        """Keep no headers, because they may be long, and the message may wait long for its answer.

        Only for a head of one frame alone: the caller has seen that it has more headers than Content-length.
        """
        self.headers = {}
        self.travels = b""

    def trim(self) -> None:
        """Keep only the headers that go to the recipient, and Expires; otherwise like `forget`."""
        expires = self.headers.get(b"expires")
        self.headers = {} if expires is None else {b"expires": expires}


class GivenHead(Head):
    """The head of a frame that is given to others in the same process as it is, without ever being bytes.

    Args:
        start: what its start line would say.
        headers: the values, by the header's name in lower case, without Content-length, Id and Seq. Heads may share
            them.
        identifier: the Id, which is well formed; empty if there is none.
        seq: the Seq; None if there is none.
        size: the bytes of the body; None for a frame without one.
        travels: the lines of the headers that go from sender to recipient, each with its line feed.
    """

    __slots__ = ()

    def __init__(  # pyright: ignore[reportMissingSuperCall]
        self,
        start: StartLine,
        headers: dict[bytes, bytes],
        identifier: bytes = b"",
        seq: int | None = None,
        size: int | None = None,
        travels: bytes = b"",
    ) -> None:
        self.verb = start.verb_alone if size is None else start.verb
        self.name = start.name
        self.key = start.key
        self.side = None
        self.code = 0
        self.delivered = start.delivered
        self.headers = headers
        self.travels = travels
        self.size = size or 0
        self.length_end = b"%d\n\n" % self.size if self.delivered else b""
        self.id = identifier
        self.seq = b"" if seq is None else b"%d" % seq
        self.is_plain = not headers


_UNCLEAR = Head(StartLine(Verb.MALFORMED, code=103), {})
_TOO_LARGE = Head(StartLine(Verb.MALFORMED, code=106), {})


def read_start_line(line: bytes) -> StartLine | None:
    """Read a start line (rule 2.2).

    Args:
        line: the line, without its line feed.

    Returns:
        What the line says; None if it has no words.
    """
    words = _WORD.findall(line)
    if not words:
        return None
    verb = VERBS.get(words.pop(0), Verb.UNKNOWN)
    side = None
    code = 0
    if verb in (Verb.REGISTER, Verb.REGISTERED) and words:
        side = SIDES.get(words.pop(0))
    elif verb is Verb.ERROR:
        if words and _CODE.fullmatch(words[0]):
            code = int(words[0])
        words = []  # the text of an error names no user (rule 7.1)
    return StartLine(verb, words[0] if len(words) == 1 else b"", side, code)


def read_head(start: StartLine | None, lines: list[bytes], max_body: int) -> Head:
    """Read the head of a frame (rules 2.3 and 2.6 to 2.8).

    Args:
        start: what its start line says; None if that line has no words.
        lines: its header lines, without their line feeds.
        max_body: the longest body accepted, in bytes.

    Returns:
        The head. Its verb is MALFORMED, and its code says why, if the end of the frame cannot be told from it.
    """
    if start is None:
        return _UNCLEAR
    headers: dict[bytes, bytes] = {}
    travels = b""
    for line in lines:
        name, colon, value = line.partition(b":")
        written = name.strip(_BLANKS)
        name = written.lower()
        if not colon or not name or (name in headers and name == b"content-length"):
            return _UNCLEAR
        value = value.strip(_BLANKS)
        headers[name] = value
        if name in _TRAVELLING or name.startswith(b"x-"):
            travels += b"%b: %b\n" % (written, value)
    digits = headers.get(b"content-length")
    if digits is None:
        return Head(start, headers, None, travels)
    if not digits.isdigit() or len(digits) > SHORT_DIGITS:  # as `read_number` does, without a call
        return _UNCLEAR
    size = int(digits)
    return Head(start, headers, size, travels) if size <= max_body else _TOO_LARGE


def read_travelling(lines: bytes) -> dict[bytes, bytes]:
    """Return the headers that go from sender to recipient: the values, by the header's name in lower case.

    Args:
        lines: their lines as `Head.travels` has them, each with its line feed.
    """
    headers: dict[bytes, bytes] = {}
    for line in lines.split(b"\n"):
        name, colon, value = line.partition(b":")
        if colon:
            headers[name.lower()] = value.strip(_BLANKS)
    return headers


class HeadCache:
    """Reads heads, and remembers those that come again. The parsers of a process share one.

    A client writes to the same few users again and again, so the same start lines come, often with headers that differ
    each time, such as an Id. What a start line says is therefore remembered by its bytes. So is a whole head that has
    no headers but Content-length: `Parser` finds it in `heads` without reading a line.

    Args:
        max_body: the longest body accepted, in bytes (rule 2.7).
        capacity: how many start lines, and how many heads, are remembered before all are forgotten, so that clients
            cannot fill the memory with names that they make up; 0 to remember nothing.

    Attributes:
        heads: the heads that are remembered, by their bytes, with the blank line that ends them.
        max_body: see above.
    """

    __slots__ = ("_capacity", "_start_lines", "heads", "max_body")

    def __init__(self, max_body: int, capacity: int = 32768) -> None:
        self.max_body = max_body
        self._capacity = capacity
        self._start_lines: dict[bytes, StartLine] = {}
        self.heads: dict[bytes, Head] = {}

    def read(self, text: bytes) -> Head:
        """Read a head, and remember what may come again.

        Args:
            text: start line and header lines, each with its line feed, and an empty line.

        Returns:
            The head, as from `read_head`.
        """
        lines = text.split(b"\n")
        start = self._start_lines.get(lines[0]) or self._read_start_line(lines[0])
        head = read_head(start, lines[1:-2], self.max_body)
        if head.is_plain and b"id" not in head.headers and self._is_worth_keeping(text, head.verb):
            if len(self.heads) >= self._capacity:
                self.heads.clear()
            self.heads[text] = head
        return head

    def start_line(self, line: bytes) -> StartLine:
        """Return what a start line says that has words.

        Args:
            line: the line, without its line feed.
        """
        start = self._start_lines.get(line) or self._read_start_line(line)
        assert start is not None
        return start

    def _read_start_line(self, line: bytes) -> StartLine | None:
        start = read_start_line(line)
        if start is not None and self._is_worth_keeping(line, start.verb):
            if len(self._start_lines) >= self._capacity:
                self._start_lines.clear()
            self._start_lines[line] = start
        return start

    def _is_worth_keeping(self, text: bytes, verb: Verb) -> bool:
        """Return whether a start line or a head may come again, and takes little memory."""
        return len(text) <= _LONGEST_REMEMBERED and verb not in _NEVER_AGAIN and self._capacity > 0
