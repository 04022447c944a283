"""The bounds of a member's client."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemberLimits:
    """The bounds of a member's client.

    Attributes:
        outbox_messages: messages that wait to be accepted; then sends wait for room.
        outbox_bytes: bytes of their bodies.
        pipelined: messages on their way at once, fewer than a server takes (rule 5.8), so that it never stops reading.
        pipelined_bytes: bytes of their bodies; a single message may be larger.
        first_wait: seconds before the first attempt to connect again; twice as many before each further one.
        longest_wait: the most seconds between attempts.
        timeout: seconds in which the server must accept a connection.
        answer_timeout: seconds in which it must answer; longer than it gives a guest to take a message, which is 30.
    """

    outbox_messages: int = 10_000
    outbox_bytes: int = 64 << 20
    pipelined: int = 512
    pipelined_bytes: int = 512 << 10
    first_wait: float = 0.25
    longest_wait: float = 30.0
    timeout: float = 15.0
    answer_timeout: float = 60.0
