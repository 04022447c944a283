"""The capabilities that clients can ask for (IRCv3, "Capability Negotiation")."""

from typing import Final


class Cap:
    """The capabilities, each a bit. They are no enumeration, because they are looked at for every message."""

    SASL: Final = 1 << 0
    CAP_NOTIFY: Final = 1 << 1
    MESSAGE_TAGS: Final = 1 << 2
    SERVER_TIME: Final = 1 << 3
    BATCH: Final = 1 << 4
    ECHO: Final = 1 << 5
    LABELS: Final = 1 << 6
    MULTI_PREFIX: Final = 1 << 7
    USERHOST_IN_NAMES: Final = 1 << 8
    AWAY_NOTIFY: Final = 1 << 9
    ACCOUNT_TAG: Final = 1 << 10
    EXTENDED_JOIN: Final = 1 << 11
    SETNAME: Final = 1 << 12
    INVITE_NOTIFY: Final = 1 << 13
    STANDARD_REPLIES: Final = 1 << 14
    EXTENDED_MONITOR: Final = 1 << 15
    CHATHISTORY: Final = 1 << 16
    EVENT_PLAYBACK: Final = 1 << 17
    READ_MARKER: Final = 1 << 18
    REDACTION: Final = 1 << 19
    MULTILINE: Final = 1 << 20
    NO_IMPLICIT_NAMES: Final = 1 << 21
    SELF_MESSAGE: Final = 1 << 22
    TICK_NOTICES: Final = 1 << 23
    READ_RECEIPTS: Final = 1 << 24


NAMES: Final[dict[bytes, int]] = {
    b"sasl": Cap.SASL,
    b"cap-notify": Cap.CAP_NOTIFY,
    b"message-tags": Cap.MESSAGE_TAGS,
    b"server-time": Cap.SERVER_TIME,
    b"batch": Cap.BATCH,
    b"echo-message": Cap.ECHO,
    b"labeled-response": Cap.LABELS,
    b"multi-prefix": Cap.MULTI_PREFIX,
    b"userhost-in-names": Cap.USERHOST_IN_NAMES,
    b"away-notify": Cap.AWAY_NOTIFY,
    b"account-tag": Cap.ACCOUNT_TAG,
    b"extended-join": Cap.EXTENDED_JOIN,
    b"setname": Cap.SETNAME,
    b"invite-notify": Cap.INVITE_NOTIFY,
    b"standard-replies": Cap.STANDARD_REPLIES,
    b"extended-monitor": Cap.EXTENDED_MONITOR,
    b"draft/chathistory": Cap.CHATHISTORY,
    b"draft/event-playback": Cap.EVENT_PLAYBACK,
    b"draft/read-marker": Cap.READ_MARKER,
    b"draft/message-redaction": Cap.REDACTION,
    b"draft/multiline": Cap.MULTILINE,
    b"draft/no-implicit-names": Cap.NO_IMPLICIT_NAMES,
    b"znc.in/self-message": Cap.SELF_MESSAGE,
    b"twotick/notices": Cap.TICK_NOTICES,
    b"twotick/receipts": Cap.READ_RECEIPTS,
}
"""The capabilities by name. The last two are Twotick's own: notices about one's messages, and telling senders what one
has read."""

MULTILINE_BYTES: Final = 40_000
MULTILINE_LINES: Final = 200
"""The limits of a message of several lines that a client sends."""

_VALUES: Final = {
    b"sasl": b"PLAIN",
    b"draft/multiline": b"max-bytes=%d,max-lines=%d" % (MULTILINE_BYTES, MULTILINE_LINES),
}


def listed(version: int) -> list[bytes]:
    """Return the names of all capabilities, for a client that has asked for this version of the list."""
    if version < 302:
        return [*NAMES]
    return [name + (b"=" + _VALUES[name] if name in _VALUES else b"") for name in NAMES]


def names_of(caps: int) -> list[bytes]:
    """Return the names of some capabilities."""
    return [name for name, cap in NAMES.items() if caps & cap]


def in_lines(names: list[bytes], most: int) -> list[bytes]:
    """Return names in lists of at most so many bytes; at least one, which may be empty."""
    lines = [b""]
    for name in names:
        if lines[-1] and len(lines[-1]) + len(name) >= most:
            lines.append(name)
        else:
            lines[-1] = b"%b %b" % (lines[-1], name) if lines[-1] else name
    return lines


def changed(caps: int, words: list[bytes]) -> int | None:
    """Return capabilities after a request such as `batch -echo-message`; None if one of the names is not known."""
    for word in words:
        cap = NAMES.get(word.removeprefix(b"-"))
        if cap is None:
            return None
        caps = caps & ~cap if word.startswith(b"-") else caps | cap
    return caps
