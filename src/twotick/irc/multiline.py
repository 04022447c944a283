"""Messages of several lines that a client sends (IRCv3, "Multiline messages")."""

from twotick.irc import capabilities
from twotick.irc.capabilities import Cap
from twotick.irc.lines import MOST_CUTS
from twotick.irc.messages import send_body
from twotick.irc.session import IrcSession
from twotick.irc.wire import IrcMessage


class Multiline:
    """A batch that the client has opened.

    Attributes:
        reference: its name.
        target: the recipient.
        opening: the line that has opened it.
        size: the bytes so far.
    """

    __slots__ = ("_cuts", "_has_failed", "_lines", "_parts", "opening", "reference", "size", "target")

    def __init__(self, reference: bytes, target: bytes, opening: IrcMessage) -> None:
        self.reference = reference
        self.target = target
        self.opening = opening
        self.size = 0
        self._parts: list[bytes] = []
        self._cuts: list[int] = []
        self._lines = 0
        self._has_failed = False

    def add(self, session: IrcSession, message: IrcMessage) -> None:
        """Add a line."""
        if self._has_failed:
            return
        problem = self._problem(message)
        if problem:
            self._has_failed = True
            self._parts.clear()
            code, text = problem
            session.fail(b"BATCH", code, *text)
            return
        concat = b"draft/multiline-concat" in message.tags
        if self._lines > 1 and not concat:
            self._parts.append(b"\n")
        elif concat:
            self._cuts.append(sum(map(len, self._parts)))
        self._parts.append(message.params[1])
        self.opening.command = message.command

    def _problem(self, message: IrcMessage) -> tuple[bytes, tuple[bytes, ...]] | None:
        if message.tags[b"batch"] != self.reference:
            return b"MULTILINE_INVALID", (b"A line is of another batch",)
        if message.params[0].lower() != self.target.lower():
            return b"MULTILINE_INVALID_TARGET", (self.target, message.params[0], b"The lines have different targets")
        if len(message.params) < 2:
            return b"MULTILINE_INVALID", (b"A line has no text",)
        text = message.params[1]
        if not text and b"draft/multiline-concat" in message.tags:
            return b"MULTILINE_INVALID", (b"A line that is added to another has no text",)
        self.size += len(text) + 1
        self._lines += 1
        if self.size > capabilities.MULTILINE_BYTES:
            return b"MULTILINE_MAX_BYTES", (b"%d" % capabilities.MULTILINE_BYTES, b"The message is too long")
        if self._lines > capabilities.MULTILINE_LINES:
            return b"MULTILINE_MAX_LINES", (b"%d" % capabilities.MULTILINE_LINES, b"The message has too many lines")
        return None

    def close(self, session: IrcSession) -> None:
        """Send what has come."""
        if self._has_failed:
            return
        body = b"".join(self._parts)
        if not body.strip():
            session.fail(b"BATCH", b"MULTILINE_INVALID", b"The message is blank")
            return
        cuts = b",".join(b"%d" % cut for cut in self._cuts[:MOST_CUTS])
        send_body(session, self.opening, self.target, body, {b"x-irc-cuts": cuts} if cuts else {})


def batch(session: IrcSession, message: IrcMessage) -> None:
    """BATCH: open or close a message of several lines."""
    word = message.params[0]
    opened: Multiline | None = session.multiline
    if word.startswith(b"-") and opened is not None and opened.reference == word[1:]:
        session.multiline = None
        session.current = session.response_to(opened.opening) or session.current
        opened.close(session)
    elif word.startswith(b"+") and len(word) > 1 and message.param(1) == b"draft/multiline" and opened is None:
        if not session.caps & Cap.MULTILINE or not message.param(2):
            session.fail(b"BATCH", b"MULTILINE_INVALID", b"Name the recipient, and ask for the capability first")
            return
        session.multiline = Multiline(word[1:], message.params[2], message)
        if session.current is not None:
            session.current.waiting += 1  # the end of the batch is what is answered
            session.current = None
    else:
        session.fail(b"BATCH", b"INVALID_REFTAG" if opened else b"UNKNOWN_TYPE", word, b"There is no such batch")
