"""Who may see whose presence (docs/protocol.md, section 15)."""

from dataclasses import dataclass

from twotick.store.port import Request


@dataclass(frozen=True, slots=True)
class SeenSoFar:
    """How far the transactions before this one have come in looking for those whom a member sees, or who see it.

    Attributes:
        rooms: the numbers of the member's rooms in which no transaction has looked yet.
        preferred: those who were found outside rooms, by number.
        found: those who were found in rooms, by number.
    """

    rooms: tuple[int, ...]
    preferred: tuple[int, ...]
    found: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ListAudience(Request[list[int]]):
    """List the numbers of the members who may see a member's presence and typing (rules 15.2 and 15.3), in order.

    They are the members to whom a message of the member alone was ever accepted and those in a room with the member,
    without those whom the member has blocked; 2,000 at most, the former first. The list is empty if the member hides
    its presence. A member who was removed and added again is another member.

    Attributes:
        peer: only this user, or those in this room, in any case; empty for all.
        is_gone: whether they are to be told that the member is gone. The audience of a member that was removed is known
            for an hour; otherwise a removed member has none.
        is_for_profile: whether they are to be told of the member's profile, which does not depend on whether the member
            hides its presence (rule 18.2).
        so_far: what was found in earlier transactions of the same request; None for the first one.
    """

    member: int
    peer: bytes
    is_gone: bool = False
    is_for_profile: bool = False
    so_far: SeenSoFar | None = None


@dataclass(frozen=True, slots=True)
class Contact:
    """A member whose presence another member may see.

    Attributes:
        member: the store's number.
        name: the name as it is shown.
        shown: whether the presence may be shown; if not, the member appears to be gone.
    """

    member: int
    name: str
    shown: bool


@dataclass(frozen=True, slots=True)
class ListContacts(Request[list[Contact]]):
    """List the members in a room with a member and those who have written to it, by name; 2,000 at most.

    Those who have written come first where there are too many. A member who has blocked this one is not shown.

    Attributes:
        room: only those in this room, in any case, if the member is in it; empty for all.
        so_far: who was found in earlier transactions of the same request; None for the first one.
        listed: those of them whose names were looked up.
    """

    member: int
    room: bytes = b""
    so_far: SeenSoFar | None = None
    listed: tuple[Contact, ...] = ()


@dataclass(frozen=True, slots=True)
class SetShown(Request[bool]):
    """Set whether others may see the member's presence (rule 15.1), or ask with None. Answered by whether they may."""

    member: int
    shown: bool | None
