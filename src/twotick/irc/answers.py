"""What a command of an IRC client waits for, and what answers it."""

import json
from collections.abc import Callable, Generator
from typing import Any, Final, NamedTuple, TypeAlias

from twotick.irc.wire import escape_tag, write_line
from twotick.wire import Frame, Head, Verb

QUESTION: Final = b"q"
"""The Id of every question; one is under way at a time."""


CATCH_UP: Final = b""
"""What a command yields that waits for all that the server has been told by now, and for no answer."""


NEW_NAME: Final = b"new name"
"""What a command yields that waits for the answer to a REGISTER for another name, which goes another way: see
`IrcSession.wanted`."""


class IrcAnswer(NamedTuple):
    """The answer to a question.

    Attributes:
        head: the frame that ends it.
        body: its body.
        items: the FORWARDs before it.
    """

    head: Head
    body: bytes
    items: list[Frame]

    @property
    def reason(self) -> bytes | None:
        """Why the question was refused; None if it was not."""
        if self.head.verb is not Verb.ERROR:
            return None
        return self.head.headers.get(b"reason", b"the server refuses it")

    def objects(self) -> list[dict[str, Any]]:
        """Return the objects of a list; none if the question was refused."""
        return [] if self.reason is not None else json.loads(self.body)


Steps: TypeAlias = Generator[bytes, IrcAnswer, None]
"""A command that waits for answers: it yields frames."""


class Response:
    """The lines that answer a command.

    Attributes:
        label: the client's label; empty for none.
        lines: those that wait, because the command has a label.
        waiting: how many messages of the command are under way.
    """

    __slots__ = ("label", "lines", "waiting")

    def __init__(self, label: bytes) -> None:
        self.label = label
        self.lines: list[bytes] = []
        self.waiting = 0


class SentMessage:
    """A SEND that is not answered.

    Attributes:
        command: the IRC command.
        head: its head, to which the exchange adds when it came.
        body: the body.
        tags: the client's own tags, as they are written.
        response: what its answer belongs to; None if it has no label.
        headers: the headers by which its echo is written.
    """

    __slots__ = ("body", "command", "head", "headers", "response", "tags")

    def __init__(
        self,
        command: bytes,
        head: Head,
        body: bytes,
        *,
        tags: bytes,
        response: Response | None,
        headers: dict[bytes, bytes],
    ) -> None:
        self.command = command
        self.head = head
        self.body = body
        self.tags = tags
        self.response = response
        self.headers = headers

    @property
    def target(self) -> bytes:
        """The recipient."""
        return self.head.name

    @property
    def time(self) -> bytes:
        """When it came, as frames have it; the exchange has added it when it accepts the message."""
        return self.head.travels.rpartition(b"Time: ")[2].rstrip(b"\n")


def labeled_lines(server: bytes, response: Response, new_reference: Callable[[], bytes]) -> list[bytes]:
    """Return the lines that answer a command with a label (IRCv3, "Labeled responses"), which are no longer its own.

    Args:
        server: the name of the server.
        response: the lines as they are without the label.
        new_reference: returns the name of a batch.
    """
    lines, response.lines = response.lines, []
    label = b"label=" + escape_tag(response.label)
    if not lines:
        return [write_line(server, b"ACK", tags=label)]
    if len(lines) == 1 or _is_batch(lines):
        return [_tagged(lines[0], label), *lines[1:]]
    reference = new_reference()
    inside = b"batch=" + reference
    return [
        write_line(server, b"BATCH", b"+" + reference, b"labeled-response", tags=label),
        *(line if b"batch=" in line.partition(b" ")[0] else _tagged(line, inside) for line in lines),
        write_line(server, b"BATCH", b"-" + reference),
    ]


def _is_batch(lines: list[bytes]) -> bool:
    """Return whether lines are one batch, from its beginning to its end."""
    first = lines[0].partition(b" ")[2] if lines[0].startswith(b"@") else lines[0]
    begins, ends = first.split()[1:3], lines[-1].split()[1:3]
    return begins[:1] == [b"BATCH"] and begins[1][:1] == b"+" and ends == [b"BATCH", b"-" + begins[1][1:]]


def _tagged(line: bytes, tag: bytes) -> bytes:
    """Return a line with one more tag."""
    return b"@%b;%b" % (tag, line[1:]) if line.startswith(b"@") else b"@%b %b" % (tag, line)
