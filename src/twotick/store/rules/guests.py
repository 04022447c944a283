"""The rules of what guests send to rooms (docs/protocol.md, rule 12.14)."""

import re
from typing import Final

from twotick.store.requests.guest_rooms import GUEST_LINE
from twotick.store.requests.messages import Append

_TIMES: Final = re.compile(rb"^(?:Time|Accepted): .*\n", re.MULTILINE)


def is_guests(headers: bytes) -> bool:
    """Tell whether header lines are those of a message that a guest has sent."""
    return headers.startswith(GUEST_LINE) or b"\n" + GUEST_LINE in headers


def shown_sender(name: str, headers: bytes) -> str:
    """Return the name of a sender as those see it who are told of a message outside Twotick."""
    return f"{name} (guest)" if is_guests(headers) else name


def is_repeated(request: Append, name: bytes, headers: bytes, body: bytes) -> bool | None:
    """Tell whether a guest sends a message again.

    Args:
        request: the new message, without the line that says that a guest has sent it.
        name: the name of the sender of an earlier message to the same room with the same Id, who is no member.
        headers: the header lines of that message. The time is not compared: the server gives it if the guest does not.
        body: its body.

    Returns:
        Whether it is the same message; None if it is that of another guest, or of a member who was removed.
    """
    if name.lower() != request.sender_name.lower() or not is_guests(headers):
        return None
    return body == request.body and _TIMES.sub(b"", headers) == _TIMES.sub(b"", request.headers + GUEST_LINE)
