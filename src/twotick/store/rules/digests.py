"""The rules of e-mail that tells members of messages which wait for them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from twotick.store.requests.digests import WaitingMessages
from twotick.store.rules.errors import NotAllowed
from twotick.store.rules.pushes import PushCandidate, is_for_reader

_CONVERSATIONS: Final = 20
"""The conversations that a digest names."""

_LONGEST_ADDRESS: Final = 254
_LONGEST_LOCAL: Final = 64
"""The most characters of an address, and of what is before its @ (RFC 5321, section 4.5.3.1)."""

_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS: Final = re.compile(rf"({_ATOM}(?:\.{_ATOM})*)@{_LABEL}(?:\.{_LABEL})*")


def is_address(text: str) -> bool:
    """Tell whether a text is an e-mail address.

    Quoted local parts, comments and characters beyond ASCII are not accepted: not every mail server takes them.
    """
    found = _ADDRESS.fullmatch(text)
    return found is not None and len(text) <= _LONGEST_ADDRESS and len(found[1]) <= _LONGEST_LOCAL


def checked_address(text: str) -> str:
    """Return an e-mail address.

    Raises:
        NotAllowed: it is none.
    """
    if not is_address(text):
        raise NotAllowed("this is no e-mail address: write it as alice@example.org, in plain ASCII")
    return text


@dataclass(frozen=True, slots=True)
class GatheredDigest:
    """What waits for a member.

    Attributes:
        conversations: the conversations with the newest messages, newest first, each with the store's number of its
            newest message.
        count: how many messages wait in all conversations.
    """

    conversations: tuple[tuple[WaitingMessages, int], ...]
    count: int


def gathered_digest(candidates: Iterable[PushCandidate], time: float, waited: float) -> GatheredDigest | None:
    """Put together what waits for a member.

    Args:
        candidates: the messages that the member was not told of, newest first.
        time: now, in seconds since 1970.
        waited: the seconds that at least one of them must have waited.

    Returns:
        What waits; None if nothing has waited for so long.
    """
    found: dict[bytes, tuple[WaitingMessages, int]] = {}
    count, is_due = 0, False
    for each in candidates:
        if not is_for_reader(each, time):
            continue
        count += 1
        is_due |= each.time <= time - waited
        known = found.get(each.peer)
        if known is not None:
            found[each.peer] = replace(known[0], count=known[0].count + 1), known[1]
        elif len(found) < _CONVERSATIONS:
            name = each.room or each.sender.decode(errors="replace")
            found[each.peer] = WaitingMessages(name, each.room is not None, 1, ""), each.message
    return GatheredDigest(tuple(found.values()), count) if is_due else None
