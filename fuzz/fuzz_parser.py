"""Fuzz the parser: bytes of any kind, cut anywhere, never raise and always say the same.

Run it with `make fuzz`, or with a file that it has found to see what is wrong with it.
"""

import sys

import atheris

with atheris.instrument_imports(include=["twotick.wire"]):
    from twotick.wire import Frame, HeadCache, Parser, Verb

MAX_BODY = 200
WORDS = (
    *(b"SEND bob", b"FORWARD bob", b"RECEIVED bo", b"b", b"REGISTER TOSEND al", b"ERROR 102 no", b"X: y"),
    *(b"Content-length: 5", b"content-length:0", b"\n", b"\r\n", b"\n\n", b" ", b"\t", b":", b"0", b"hello"),
    b"x" * 4000,
)
WARM = HeadCache(MAX_BODY)
"""Heads that earlier inputs left behind, as in a server that has run for a while."""


def said(frames: list[Frame]) -> list[tuple[object, ...]]:
    """All that frames say."""
    return [
        (head.verb, head.side, head.name, head.key, head.code, head.size, head.headers, head.delivered, body)
        for head, body in frames
    ]


def fuzz(data: bytes) -> None:
    """Feed one input whole and in pieces, to parsers that know nothing and to parsers that know heads."""
    provider = atheris.FuzzedDataProvider(data)
    pieces: list[bytes] = []
    while provider.remaining_bytes():
        piece = b""
        while provider.remaining_bytes() and provider.ConsumeIntInRange(0, 3):
            word = provider.ConsumeIntInRange(0, 2 * len(WORDS))
            piece += WORDS[word] if word < len(WORDS) else provider.ConsumeBytes(word - len(WORDS))
        pieces.append(piece)
    whole = b"".join(pieces)
    expected = said(Parser(HeadCache(MAX_BODY)).feed(whole))
    if any(frame[0] is Verb.MALFORMED for frame in expected[:-1]):
        raise AssertionError("something came after what cannot be understood")
    for cache in (HeadCache(MAX_BODY), WARM):
        for cut in (
            pieces,
            [whole],
            [whole[place : place + 1] for place in range(min(len(whole), 100))] + [whole[100:]],
        ):
            parser = Parser(cache)
            found = said([frame for piece in cut for frame in parser.feed(piece)])
            if found != expected:
                raise AssertionError(f"{cut} says {found} instead of {expected}")


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz)
    atheris.Fuzz()
