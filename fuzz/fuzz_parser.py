"""Fuzz the parser: whatever bytes arrive, and however they are cut, it raises nothing and reads the same frames.

Run it with `make fuzz`. To repeat a failure, run it with the file that it wrote.
"""

import sys

import atheris

with atheris.instrument_imports(include=["twotick.wire"]):
    from twotick.wire import Frame, Head, HeadCache, Parser, Verb

MAX_BODY = 200
WORDS = (
    *(b"SEND bob", b"FORWARD bob", b"RECEIVED bo", b"b", b"REGISTER TOSEND al", b"ERROR 102 no", b"X: y"),
    *(b"Id: m1", b"Seq: 7", b"Reply-to: m0"),
    *(b"Content-length: 5", b"content-length:0", b"\n", b"\r\n", b"\n\n", b" ", b"\t", b":", b"0", b"hello"),
    b"x" * 4000,
)
WARM = HeadCache(MAX_BODY)
"""Remembers heads of earlier inputs, as a server does that has run for a while."""


def said(frames: list[Frame]) -> list[tuple[object, ...]]:
    """Return all that the frames say, so that they can be compared."""
    return [(*(getattr(head, name) for name in Head.__slots__), body) for head, body in frames]


def fuzz(data: bytes) -> None:
    """Feed one input, whole and in pieces, to parsers that remember nothing, something, and much."""
    provider = atheris.FuzzedDataProvider(data)
    pieces: list[bytes] = []
    while provider.remaining_bytes():
        piece = b""
        while provider.remaining_bytes() and provider.ConsumeIntInRange(0, 3):
            word = provider.ConsumeIntInRange(0, 2 * len(WORDS))
            piece += WORDS[word] if word < len(WORDS) else provider.ConsumeBytes(word - len(WORDS))
        pieces.append(piece)
    whole = b"".join(pieces)
    expected = said(Parser(HeadCache(MAX_BODY, capacity=0)).feed(whole))
    if any(frame[0] is Verb.MALFORMED for frame in expected[:-1]):
        raise AssertionError("a frame follows a malformed one")
    for cache in (HeadCache(MAX_BODY, capacity=2), HeadCache(MAX_BODY), WARM):
        for cut in (
            pieces,
            [whole],
            [whole[place : place + 1] for place in range(min(len(whole), 100))] + [whole[100:]],
        ):
            parser = Parser(cache)
            found = said([frame for piece in cut for frame in parser.feed(piece)])
            if found != expected:
                raise AssertionError(f"{cut} reads as {found} instead of {expected}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz)
    atheris.Fuzz()
