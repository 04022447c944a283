"""The frames of WebSocket (RFC 6455, section 5). Sans-I/O.

Theory of operation. The messages of a WebSocket carry a stream of bytes, the same as a TCP connection would, and where
one message ends has no meaning (docs/protocol.md, rule 19.2). So what has arrived of a message is unmasked and passed
on at once. A decoder keeps nothing but the few bytes of a head, or of a control frame, that is not complete, and
messages need no limit of their own.
"""

from typing import Final

TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PONG: Final = 0xA

_PING: Final = 0x9
_FINAL: Final = 0x80
_RESERVED: Final = 0x70
_MASKED: Final = 0x80
_CONTROL: Final = 0x8
_MOST_OF_CONTROL: Final = 125

NORMAL: Final = 1000
GOING_AWAY: Final = 1001
PROTOCOL_ERROR: Final = 1002
TEXT_REFUSED: Final = 1003
NO_CODE: Final = 1005
BAD_TEXT: Final = 1007
POLICY: Final = 1008

_MOST_OF_REASON: Final = 123
"""The bytes of the longest reason for a close: a control frame has 125 at most, and two are the code."""

_LONG: Final = 4096
"""The bytes from which on tables unmask faster than a large number does."""

_TABLES: Final = [bytes(byte ^ mask for byte in range(256)) for mask in range(256)]


def frame(opcode: int, payload: bytes) -> bytes:
    """Return a whole frame, as a server writes it."""
    return frame_head(opcode, len(payload)) + payload


def frame_head(opcode: int, length: int) -> bytes:
    """Return the head of a frame that is a whole message, as a server writes it: without a mask."""
    if length < 126:
        return bytes((_FINAL | opcode, length))
    if length < 1 << 16:
        return bytes((_FINAL | opcode, 126)) + length.to_bytes(2)
    return bytes((_FINAL | opcode, 127)) + length.to_bytes(8)


def close_frame(code: int, reason: str) -> bytes:
    """Return a close frame; a reason that is too long for one is cut."""
    return frame(CLOSE, code.to_bytes(2) + reason.encode()[:_MOST_OF_REASON].decode(errors="ignore").encode())


def unmask(data: bytes, mask: bytes) -> bytes:
    """Return data with a mask of four bytes removed, or added."""
    length = len(data)
    if length < _LONG:
        key = int.from_bytes((mask * (length // 4 + 1))[:length])
        return (int.from_bytes(data) ^ key).to_bytes(length)
    unmasked = bytearray(data)
    for start in range(4):
        unmasked[start::4] = data[start::4].translate(_TABLES[mask[start]])
    return bytes(unmasked)


class FrameDecoder:
    """Reads what a client writes on a WebSocket.

    Args:
        of_lines: whether each message, be it text or binary, is a line of the stream, as it is for IRC.

    Attributes:
        ping: the payload of the last ping that is not answered; None if all are.
        closed: the code with which the client closes; None as long as it has not.
        failure: the code and the reason with which the server closes, because the client has broken a rule; else None.
    """

    __slots__ = ("_begun", "_is_fragmented", "_left", "_mask", "_of_lines", "closed", "failure", "ping")

    def __init__(self, *, of_lines: bool = False) -> None:
        self._of_lines = of_lines
        self._begun = b""  # a head or a control frame that is not complete
        self._is_fragmented = False  # whether the message goes on in another frame
        self._left = 0  # bytes of the frame's payload that have not arrived
        self._mask = b""  # for the next byte of the payload
        self.ping: bytes | None = None
        self.closed: int | None = None
        self.failure: tuple[int, str] | None = None

    def feed(self, data: bytes) -> bytes:
        """Take bytes that have arrived, and return those of the stream. After a close or a failure there are none."""
        if self._begun:
            data = self._begun + data
            self._begun = b""
        parts: list[bytes] = []
        position = 0
        size = len(data)
        while position < size and self.failure is None and self.closed is None:
            if self._left:
                part = data[position : position + self._left]
                position += len(part)
                self._left -= len(part)
                parts.append(unmask(part, self._mask))
                if self._left and (turn := len(part) % 4):
                    self._mask = self._mask[turn:] + self._mask[:turn]
                self._end_line(parts)
            else:
                begin = self._begin(data, position)
                if begin is None:
                    self._begun = data[position:]
                    break
                position = begin
                self._end_line(parts)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _end_line(self, parts: list[bytes]) -> None:
        """End a line with its message."""
        if self._of_lines and not self._left and not self._is_fragmented:
            parts.append(b"\n")

    def _begin(self, data: bytes, position: int) -> int | None:
        """Read the head of a frame, and all of a control frame.

        Returns:
            The position after it; None if it is not complete.
        """
        if len(data) < position + 2:
            return None
        first, second = data[position : position + 2]
        self.failure = self._problem(first, second)
        if self.failure is not None:
            return position
        length = second & ~_MASKED
        mask_at = position + 2 + (0 if length < 126 else 2 if length == 126 else 8)
        begin = mask_at + 4
        if len(data) < begin:
            return None
        if length >= 126:
            least = 126 if length == 126 else 1 << 16
            length = int.from_bytes(data[position + 2 : mask_at])
            if not least <= length < 1 << 63:
                self.failure = PROTOCOL_ERROR, "a frame's length is not written in its shortest form"
                return position
        mask = data[mask_at:begin]
        if first & _CONTROL:
            if len(data) < begin + length:
                return None
            self._take_control(first & 0x0F, unmask(data[begin : begin + length], mask))
            return begin + length
        self._is_fragmented = not first & _FINAL
        self._left = length
        self._mask = mask
        return begin

    def _problem(self, first: int, second: int) -> tuple[int, str] | None:
        """Return what is wrong with the first two bytes of a frame, if anything is."""
        opcode = first & 0x0F
        if opcode == TEXT and not self._of_lines:
            return TEXT_REFUSED, "send binary messages: this server takes no text messages"
        if first & _RESERVED:
            return PROTOCOL_ERROR, "a frame uses an extension, and none was agreed on"
        if not second & _MASKED:
            return PROTOCOL_ERROR, "a frame is not masked"
        if opcode & _CONTROL:
            known = opcode <= PONG and first & _FINAL and second & ~_MASKED <= _MOST_OF_CONTROL
        else:
            known = opcode == 0 if self._is_fragmented else opcode in (TEXT, BINARY)
        return None if known else (PROTOCOL_ERROR, "a frame is of a kind that cannot come here")

    def _take_control(self, opcode: int, payload: bytes) -> None:
        if opcode == _PING:
            self.ping = payload
        elif opcode == CLOSE:
            self._take_close(payload)

    def _take_close(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2]) if payload else NO_CODE
        if payload and (
            len(payload) == 1 or not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999)
        ):
            self.failure = PROTOCOL_ERROR, "the code of a close is not valid"
            return
        try:
            payload[2:].decode()
        except UnicodeDecodeError:
            self.failure = BAD_TEXT, "the reason of a close is not UTF-8"
            return
        self.closed = code
