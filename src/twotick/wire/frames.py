"""Write frames (docs/protocol.md, sections 2 to 4 and 9 to 17)."""

from datetime import UTC, datetime
from functools import cache

from twotick.wire.words import Side, Verb

PING = b"PING\n\n"
PONG = b"PONG\n\n"
"""By which a client finds out whether the server is still there, and the answer (rule 9.10)."""


def register(
    side: Side,
    name: bytes,
    window: int | None = None,
    *,
    authorization: bytes | None = None,
    device: bytes | None = None,
    seq: int | None = None,
    sign_up: bytes | None = None,
    keep_alive: bytes | None = None,
    reasons: bytes | None = None,
    times: bytes | None = None,
) -> bytes:
    """Return the REGISTER by which a client registers a connection (rules 4.3, 6.1 and 9.1; section 10).

    Args:
        side: what the connection is for.
        name: the user.
        window: how many messages may be on their way to the client at once; None for the default.
        authorization: the password or token; None for a guest.
        device: the name of the device; None for the default.
        seq: the last entry of its log that the device has; None for a new device.
        sign_up: the value of Sign-up, which asks for a new account; None to use one that exists.
        keep_alive: `yes` if the client pings the server (rule 9.10); None if it does not.
        reasons: `yes` to ask for the Reason of errors on a classic connection (rule 7.5); None not to ask.
        times: `yes` to ask for the time in ACCEPTED (rule 11.14); None not to ask.
    """
    asked = header_lines(
        authorization=authorization,
        device=device,
        window=window,
        seq=seq,
        sign_up=sign_up,
        keep_alive=keep_alive,
        reasons=reasons,
        times=times,
    )
    return b"REGISTER %b %b\n%b\n" % (side.value, name, asked)


def registered(
    side: Side,
    name: bytes,
    window: int | None = None,
    *,
    device: bytes | None = None,
    seq: int | None = None,
    max_body: int | None = None,
    keep_alive: int | None = None,
) -> bytes:
    """Return the REGISTERED that grants a registration (rules 4.4, 6.2 and 9.2).

    Args:
        side: what the connection is for.
        name: the user.
        window: the number of messages that may be on their way at once; None if it was not asked for.
        device: the name of the device; None if there is none.
        seq: the entry of the log from which on the device is sent entries; None if it is sent none.
        max_body: the longest body that the server accepts, in bytes; None on a classic connection.
        keep_alive: the seconds of silence after which one side may take the other as gone (rule 9.10); None if the
            client has not asked for it.
    """
    granted = header_lines(device=device, window=window, seq=seq, max_body=max_body, keep_alive=keep_alive)
    return b"REGISTERED %b %b\n%b\n" % (side.value, name, granted)


def header_lines(**headers: bytes | int | None) -> bytes:
    """Return header lines in the order of the arguments.

    Args:
        headers: the values by header name, in which `_` stands for `-`. A header whose value is None is left out.
    """
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
    """Return any frame of the extended profile (sections 9 to 17).

    Args:
        verb: the first word; SENT is written as SEND.
        name: the word after it; no word if it is empty.
        body: the body; None for a frame without one.
        travels: header lines to add as they are, each with its line feed.
        headers: further headers, as for `header_lines`.
    """
    start = verb.value.strip() + (b" " + name if name else b"")
    length = None if body is None else len(body)
    return b"%b\n%b%b\n%b" % (start, header_lines(content_length=length, **headers), travels, body or b"")


def accepted(recipient: bytes, identifier: bytes, seq: int | None, time: bytes = b"") -> bytes:
    """Return the answer that a message is stored (rules 11.6 and 11.14).

    Args:
        recipient: the recipient, as written in the SEND.
        identifier: the Id of the message.
        seq: the entry of the sender's log; None if the sender's device receives no entries.
        time: the header line with the time of acceptance; empty if the sender has not asked for it.
    """
    if seq is None:
        return b"ACCEPTED %b\nId: %b\n%b\n" % (recipient, identifier, time)
    return b"ACCEPTED %b\nId: %b\nSeq: %d\n%b\n" % (recipient, identifier, seq, time)


def delivered(recipient: bytes, identifier: bytes, seq: int | None) -> bytes:
    """Return the answer, or the entry of a log, that a message has arrived (rules 9.6 and 11.6).

    Args:
        recipient: the recipient, as written in the SEND.
        identifier: the Id of the message.
        seq: the entry of the sender's log; None for an answer that is no entry.
    """
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
    """Return the FORWARD by which a recipient is given a message (rules 9.7, 11.1 and 12.5).

    Args:
        sender: the user who sent the message.
        body: the body.
        identifier: the Id of the message; empty if it has none.
        seq: the entry of the recipient's log; None for a message that is no entry.
        travels: the header lines that go from sender to recipient, each with its line feed.
        room: the room to which the message was sent.
        place: the message's number in the room; 0 if it was sent to a user.
    """
    if seq is not None and not place and identifier:  # most messages to members, written in one step
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
    """Return the SEND of a classic client (rule 5.1)."""
    return b"SEND %b\nContent-length: %d\n\n%b" % (recipient, len(body), body)


def forward_start(sender: bytes) -> bytes:
    """Return the beginning of a FORWARD, which `Head.length_end` of the SEND and the body complete (rule 5.2)."""
    return b"FORWARD %b\nContent-length: " % sender


def received(sender: bytes) -> bytes:
    """Return the RECEIVED by which a client confirms that it has a message (rule 5.3)."""
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
"""The texts of the errors, by number (rules 7.1 and 9.9)."""


def error(code: int, **headers: bytes | int | None) -> bytes:
    """Return an ERROR.

    Args:
        code: its number, a key of `ERROR_TEXTS`.
        headers: its headers, as for `header_lines`.
    """
    return b"ERROR %d %b\n%b\n" % (code, ERROR_TEXTS[code], header_lines(**headers))


MALFORMED_USERNAME = error(100)
NO_USER_REGISTERED = error(101)
UNABLE_TO_SEND = error(102)
HEADER_INCOMPLETE = error(103)


def time_text(seconds: float) -> bytes:
    """Return a time as it is written in frames: in UTC, to the millisecond (rule 9.7).

    Args:
        seconds: seconds since 1970.
    """
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z").encode()
