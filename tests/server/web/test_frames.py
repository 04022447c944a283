"""The frames of WebSocket, against another program's idea of them."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from twotick.server.web.frames import BINARY, FrameDecoder, close_frame, frame

PAYLOADS = st.one_of(st.binary(max_size=200), st.sampled_from([125, 126, 65535, 65536, 70000]).map(bytes))


@given(st.lists(st.tuples(PAYLOADS, st.booleans()), max_size=6), st.lists(st.integers(0, 200_000), max_size=8))
def test_what_a_client_writes_is_read_however_it_is_cut(messages: list[tuple[bytes, bool]], cuts: list[int]) -> None:
    """Messages, some of which are fragmented, with a ping before each."""
    data = b""
    for payload, is_cut in messages:
        data += Frame(Opcode.PING, payload[:125]).serialize(mask=True)
        half = len(payload) // 2 if is_cut else len(payload)
        data += Frame(Opcode.BINARY, payload[:half], fin=not is_cut).serialize(mask=True)
        if is_cut:
            data += Frame(Opcode.PONG, b"").serialize(mask=True)
            data += Frame(Opcode.CONT, payload[half:]).serialize(mask=True)
    decoder = FrameDecoder()
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    stream = b"".join(decoder.feed(data[begin:end]) for begin, end in itertools.pairwise(places))
    assert stream == b"".join(payload for payload, _ in messages)
    assert decoder.ping == (messages[-1][0][:125] if messages else None)
    assert (decoder.failure, decoder.closed) == (None, None)


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_no_bytes_break_the_decoder_and_cuts_do_not_matter(data: bytes, cuts: list[int]) -> None:
    whole, parts = FrameDecoder(), FrameDecoder()
    stream = whole.feed(data)
    places = [0, *sorted(cut for cut in cuts if cut < len(data)), len(data)]
    assert b"".join(parts.feed(data[begin:end]) for begin, end in itertools.pairwise(places)) == stream
    assert (parts.failure, parts.closed, parts.ping) == (whole.failure, whole.closed, whole.ping)


def parsed(data: bytes) -> Frame:
    reader = StreamReader()
    reader.feed_data(data)
    parsing = Frame.parse(reader.read_exact, mask=False)
    try:
        while True:
            next(parsing)
    except StopIteration as end:
        return end.value


@given(PAYLOADS)
def test_what_the_server_writes_is_understood(payload: bytes) -> None:
    assert parsed(frame(BINARY, payload)) == Frame(Opcode.BINARY, payload)


def test_a_long_reason_is_cut_between_characters() -> None:
    closing = parsed(close_frame(1008, "\u00fc" * 100))
    assert closing == Frame(Opcode.CLOSE, (1008).to_bytes(2) + "\u00fc".encode() * 61)
