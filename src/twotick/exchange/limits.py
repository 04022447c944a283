"""The limits of an exchange (docs/protocol.md, section 8)."""

from dataclasses import dataclass


@dataclass(slots=True)
class Limits:
    """What an exchange keeps at most, and for how long it waits. Some may change while it runs (`Exchange.use_limits`).

    Attributes:
        answer_timeout: the seconds from the arrival of a SEND until its sender is answered 102.
        window: the most unanswered FORWARDs that one receiver is granted.
        unanswered: the most unanswered SENDs of one connection; at this number the server stops reading it.
        queue_messages: the most messages that wait for one receiver's window; one more is answered 102.
        queue_bytes: the most bytes of their bodies; a message that does not fit is answered 102.
        queue_bytes_total: the most bytes of bodies that wait for all receivers together.
        feed_bytes_total: the most bytes of log entries that are kept ready for members' devices; addresses share them.
        sent_bytes_member: the most bytes that the store takes of one member in about four minutes (rule 8.5).
        sent_bytes_address: those that it takes of one address.
        uploaded_bytes_member: the most bytes of files that the store takes of one member in about four minutes.
        uploaded_bytes_address: those that it takes of one address (rule 16.6).
        requests_member: the most searches, changes of rooms and reports of one member in about four minutes.
        requests_address: those of one address (rule 8.8).
        max_body: the longest body, in bytes, as extended connections are told.
        guests: whether users who are not members may register a name.
        peer_timeout: the seconds of silence after which a client that has promised to ping is gone (rule 9.10).
        refusals: the errors after which a connection that is not registered is closed.
    """

    answer_timeout: float = 30.0
    window: int = 256
    unanswered: int = 1024
    queue_messages: int = 4096
    queue_bytes: int = 16 << 20
    queue_bytes_total: int = 256 << 20
    feed_bytes_total: int = 256 << 20
    sent_bytes_member: int = 64 << 20
    sent_bytes_address: int = 512 << 20
    uploaded_bytes_member: int = 256 << 20
    uploaded_bytes_address: int = 1 << 30
    requests_member: int = 1000
    requests_address: int = 10_000
    max_body: int = 1 << 20
    guests: bool = True
    refusals: int = 16
    peer_timeout: float = 120.0
