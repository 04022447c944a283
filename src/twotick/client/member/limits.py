"""The limits of a member's client."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemberLimits:
    """The limits of a member's client.

    Attributes:
        outbox_messages: how many messages may wait in the outbox. Further sends wait until there is room.
        outbox_bytes: how many bytes of bodies may wait in the outbox. A single message may be larger.
        pipelined: how many messages may be unanswered at once. A server accepts more (rule 5.8), so it never stops
            reading.
        pipelined_bytes: how many bytes of bodies may be unanswered at once. A single message may be larger.
        first_wait: seconds before the first attempt to reconnect. Each further wait is twice as long.
        longest_wait: the longest wait between two attempts, in seconds.
        timeout: how many seconds the server has to accept a connection.
        answer_timeout: how many seconds the server has to answer. It gives a guest 30 s to take a message (rule 5.7),
            so this must be longer.
    """

    outbox_messages: int = 10_000
    outbox_bytes: int = 64 << 20
    pipelined: int = 512
    pipelined_bytes: int = 512 << 10
    first_wait: float = 0.25
    longest_wait: float = 30.0
    timeout: float = 15.0
    answer_timeout: float = 60.0
