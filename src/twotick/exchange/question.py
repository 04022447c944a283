"""A question of a member's connection, and what is read from its headers (docs/protocol.md, rule 12.2)."""

import json
from collections.abc import Callable
from typing import Any, TypeAlias

from twotick.exchange.session import Account, Session
from twotick.store import Request
from twotick.wire import Head, frame

LIST_MOST = 2000
"""Objects in a list at most (rule 12.3)."""

Asked: TypeAlias = "tuple[Request, Callable[[Any], list[bytes]]]"
"""What the store is asked for a question, and what makes the frames of the answer from its answer. Neither Refusal nor
StoreError ever come to that."""


class Wrong(Exception):
    """A question cannot be answered; the text is a reason for a person to read."""


class Question:
    """A question.

    Attributes:
        session: the connection.
        account: whose it is.
        head: the question.
        body: its body.
        now: when it came, in seconds since 1970.
        most_bytes: the longest body of an answer that is a list.
    """

    __slots__ = ("account", "body", "head", "most_bytes", "now", "session")

    def __init__(
        self, session: Session, account: Account, head: Head, body: bytes, now: float, most_bytes: int
    ) -> None:
        self.session = session
        self.account = account
        self.head = head
        self.body = body
        self.now = now
        self.most_bytes = most_bytes

    @property
    def member(self) -> int:
        """Who asks."""
        return self.account.member

    @property
    def identifier(self) -> bytes | None:
        """The Id that the answer repeats."""
        return self.head.headers.get(b"id")

    # What it says

    def required(self, header: bytes) -> bytes:
        """The value of a header.

        Raises:
            Wrong: it is missing.
        """
        value = self.head.headers.get(header)
        if value is None:
            raise Wrong(f"{_title(header)} is missing")
        return value

    def number(self, header: bytes) -> int | None:
        """The value of a header that is a number; None if it is missing.

        Raises:
            Wrong: it is something else.
        """
        digits = self.head.headers.get(header)
        if digits is None:
            return None
        if not digits.isdigit() or len(digits) > 18:
            raise Wrong(f"{_title(header)} is a number of at most 18 digits")
        return int(digits)

    def limit(self, default: int, most: int) -> int:
        """How many are asked for.

        Raises:
            Wrong: that is no number.
        """
        return min(self.number(b"limit") or default, most)

    def text(self, header: bytes) -> str | None:
        """The value of a header that is text; None if it is missing.

        Raises:
            Wrong: it is something else.
        """
        value = self.head.headers.get(header)
        if value is None:
            return None
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise Wrong(f"{_title(header)} is not UTF-8") from error

    def choice(self, header: bytes, *choices: bytes) -> bytes | None:
        """The value of a header that is one of a few words; None if it is missing.

        Raises:
            Wrong: it is something else.
        """
        value = self.head.headers.get(header)
        if value is not None and value not in choices:
            raise Wrong(f"{_title(header)} is {b', '.join(choices[:-1]).decode()} or {choices[-1].decode()}")
        return value

    def yes_or_no(self, header: bytes) -> bool | None:
        """The value of a header that is yes or no; None if it is missing.

        Raises:
            Wrong: it is something else.
        """
        value = self.choice(header, b"yes", b"no")
        return None if value is None else value == b"yes"

    # What it is answered

    def answer(self, body: bytes | None = None, **headers: bytes | int | None) -> bytes:
        """The frame that answers it: its verb, name and Id, and these headers."""
        return frame(self.head.verb, self.head.name, body, b"", id=self.identifier, **headers)

    def list_of(self, objects: list[dict[str, Any]], **headers: bytes | int | None) -> bytes:
        """The frame that answers it with a list: as many objects as it may have, from the first (rule 12.3)."""
        texts: list[bytes] = []
        size = 2
        for each in objects[:LIST_MOST]:
            text = json.dumps(each, ensure_ascii=False).encode()
            size += len(text) + 2
            if size > self.most_bytes:
                break
            texts.append(text)
        return self.answer(b"[%b]" % b", ".join(texts), content_type=b"application/json", **headers)


def yes_or_no(value: bool) -> bytes:
    """A header's value that is yes or no."""
    return b"yes" if value else b"no"


def _title(header: bytes) -> str:
    return header.decode().capitalize()
