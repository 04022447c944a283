"""Write frames (docs/protocol.md, sections 2 to 4 and 9 to 17)."""

from datetime import UTC, datetime
from functools import cache

from twotick.wire.words import Side, Verb


def register(
    side: Side,
    name: bytes,
    window: int | None = None,
    *,
    authorization: bytes | None = None,
    device: bytes | None = None,
    seq: int | None = None,
    sign_up: bytes | None = None,
) -> bytes:
    """The frame by which a client registers a connection, and what it asks for (rules 4.3, 6.1, 9.1; section 10)."""
    asked = header_lines(authorization=authorization, device=device, window=window, seq=seq, sign_up=sign_up)
    return b"REGISTER %b %b\n%b\n" % (side.value, name, asked)


def registered(
    side: Side,
    name: bytes,
    window: int | None = None,
    *,
    device: bytes | None = None,
    seq: int | None = None,
    max_body: int | None = None,
) -> bytes:
    """The answer that grants a registration, and what was asked for with it (rules 4.4, 6.2 and 9.2)."""
    granted = header_lines(device=device, window=window, seq=seq, max_body=max_body)
    return b"REGISTERED %b %b\n%b\n" % (side.value, name, granted)


def header_lines(**headers: bytes | int | None) -> bytes:
    """Header lines in this order, without those that are None; in the names, `_` stands for `-`."""
    return b"".join(
        b"%b: %b\n" % (_header_name(name), value if isinstance(value, bytes) else b"%d" % value)
        for name, value in headers.items()
        if value is not None
    )


@cache
def _header_name(name: str) -> bytes:
    return name.replace("_", "-").capitalize().encode()


def frame(
    verb: Verb, name: bytes = b"", body: bytes | None = None, travels: bytes = b"", **headers: bytes | int | None
) -> bytes:
    """Any frame of the extended profile (sections 9 to 17).

    Args:
        verb: the first word; SENT is written as SEND.
        name: the word after it; none if empty.
        body: the body; None for none.
        travels: header lines that go along as they are.
        headers: further headers, as for `header_lines`.
    """
    start = verb.value.strip() + (b" " + name if name else b"")
    length = None if body is None else len(body)
    return b"%b\n%b%b\n%b" % (start, header_lines(content_length=length, **headers), travels, body or b"")


def accepted(recipient: bytes, identifier: bytes, seq: int | None) -> bytes:
    """The answer that a message is stored; its number is for devices that receive (rule 11.6)."""
    if seq is None:
        return b"ACCEPTED %b\nId: %b\n\n" % (recipient, identifier)
    return b"ACCEPTED %b\nId: %b\nSeq: %d\n\n" % (recipient, identifier, seq)


def delivered(recipient: bytes, identifier: bytes, seq: int | None) -> bytes:
    """The answer, or the entry of a log, which says that a message has arrived (rules 9.6 and 11.6)."""
    if seq is None:
        return b"SEND %b\nId: %b\n\n" % (recipient, identifier)
    return b"SEND %b\nId: %b\nSeq: %d\n\n" % (recipient, identifier, seq)


def forward(
    sender: bytes,
    body: bytes,
    identifier: bytes,
    seq: int | None,
    travels: bytes,
    room: bytes = b"",
    place: int = 0,
) -> bytes:
    """A message from an extended connection, or an entry of a log that is one (rules 9.7, 11.1 and 12.5).

    Args:
        sender: who sent it.
        body: the body.
        identifier: its Id; empty if it has none.
        seq: the entry's number; None for a message that is no entry.
        travels: the header lines that go along.
        room: the room that it was sent to.
        place: its number in the room; 0 if it was not sent to one.
    """
    if seq is not None and not place and identifier:  # most are like this
        return b"FORWARD %b\nContent-length: %d\nId: %b\nSeq: %d\n%b\n%b" % (
            sender,
            len(body),
            identifier,
            seq,
            travels,
            body,
        )
    room_lines = b"To: %b\nPlace: %d\n" % (room, place) if place else b""
    id_line = b"Id: %b\n" % identifier if identifier else b""
    seq_line = b"" if seq is None else b"Seq: %d\n" % seq
    return b"FORWARD %b\nContent-length: %d\n%b%b%b%b\n%b" % (
        sender,
        len(body),
        room_lines,
        id_line,
        seq_line,
        travels,
        body,
    )


def send(recipient: bytes, body: bytes) -> bytes:
    """The frame by which a client sends (rule 5.1)."""
    return b"SEND %b\nContent-length: %d\n\n%b" % (recipient, len(body), body)


def forward_start(sender: bytes) -> bytes:
    """The beginning of a FORWARD: `Head.length_end` of the SEND and its body complete it (rule 5.2)."""
    return b"FORWARD %b\nContent-length: " % sender


def received(sender: bytes) -> bytes:
    """The frame by which a client says that it has a message (rule 5.3)."""
    return b"RECEIVED %b\n\n" % sender


ERROR_TEXTS = {
    100: b"Malformed username",
    101: b"No user registered",
    102: b"Unable to send",
    103: b"Header incomplete",
    104: b"Not authenticated",
    105: b"Too many requests",
    106: b"Too large",
    107: b"Shutting down",
    108: b"Replaced",
}
"""The errors (docs/protocol.md, rules 7.1 and 9.9)."""


def error(code: int, **headers: bytes | int | None) -> bytes:
    """The ERROR frame with this number, its text from `ERROR_TEXTS`, and headers as for `header_lines`."""
    return b"ERROR %d %b\n%b\n" % (code, ERROR_TEXTS[code], header_lines(**headers))


MALFORMED_USERNAME = error(100)
NO_USER_REGISTERED = error(101)
UNABLE_TO_SEND = error(102)
HEADER_INCOMPLETE = error(103)


def time_text(seconds: float) -> bytes:
    """A time, given in seconds since 1970, as it is written in frames (rule 9.7): UTC, to the millisecond."""
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z").encode()
