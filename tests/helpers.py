"""What the tests of several packages need."""

from collections.abc import Iterable
from itertools import pairwise
from typing import TypeAlias

from twotick.wire import Frame, Parser, Side, Verb

Seen: TypeAlias = tuple[Verb, Side | None, bytes, bytes, int, int, tuple[tuple[bytes, bytes], ...], bytes]
"""All that a frame says, so that frames can be compared."""


def seen(frame: Frame) -> Seen:
    head, body = frame
    return head.verb, head.side, head.name, head.key, head.code, head.size, tuple(sorted(head.headers.items())), body


def cut(data: bytes, places: Iterable[int]) -> list[bytes]:
    """`data` in pieces that end at these places; places that it does not have are ignored."""
    ends = sorted({0, len(data), *(place for place in places if 0 < place < len(data))})
    return [data[start:end] for start, end in pairwise(ends)]


def parse(parser: Parser, pieces: Iterable[bytes]) -> list[Seen]:
    return [seen(frame) for piece in pieces for frame in parser.feed(piece)]
