"""The bounds of an exchange (docs/protocol.md, section 8)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What an exchange keeps at most, and for how long it waits.

    Attributes:
        answer_timeout: seconds from the arrival of a SEND until its sender is answered 102.
        window: the most unanswered FORWARDs that are granted to one receiver.
        unanswered: the most SENDs of one connection that wait for an answer; beyond it the connection is not read.
        queue_messages: the most messages that wait for one receiver's turn; one more is answered 102.
        queue_bytes: the most bytes of their bodies; a message that does not fit is answered 102.
        queue_bytes_total: the most bytes of bodies that wait for all receivers together.
        max_body: the longest body, in bytes, as extended connections are told.
        guests: whether names may be used that are no member's.
        refusals: the errors that a connection may earn before it is registered; then it is closed.
    """

    answer_timeout: float = 30.0
    window: int = 256
    unanswered: int = 1024
    queue_messages: int = 4096
    queue_bytes: int = 16 << 20
    queue_bytes_total: int = 256 << 20
    max_body: int = 1 << 20
    guests: bool = True
    refusals: int = 16
