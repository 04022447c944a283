"""What members say of themselves (docs/protocol.md, section 18)."""

from dataclasses import dataclass

from twotick.store.port import Refusal, Request
from twotick.store.requests.presence import SeenSoFar


@dataclass(frozen=True, slots=True)
class MemberProfile:
    """What a member says of itself; all of it is empty if others may not see it.

    Attributes:
        name: the member's name as it is shown.
        display: the display name; empty for none.
        status: the status text; empty for none.
        picture: the SHA-256 of the picture, as hexadecimal digits; empty for none.
    """

    name: str
    display: str = ""
    status: str = ""
    picture: str = ""


@dataclass(frozen=True, slots=True)
class MemberPicture:
    """A member's picture.

    Attributes:
        profile: the profile that it is part of.
        type: its Content-type; empty if the member does not have the picture that was asked for.
        data: the picture.
    """

    profile: MemberProfile
    type: str = ""
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class SetProfile(Request[MemberProfile | Refusal]):
    """Change a member's profile (rule 18.1), or ask for it; None leaves a part as it is.

    Answered by the whole profile. Refused if a text or the picture is not valid (rule 18.4).

    Attributes:
        picture: the picture; empty to remove it.
    """

    member: int
    display: str | None
    status: str | None
    picture: bytes | None = None


@dataclass(frozen=True, slots=True)
class GetProfile(Request[MemberProfile]):
    """Ask for the profile of a user, as a member may see it (rule 18.2).

    Attributes:
        name: the user, in any case. A profile without texts is answered if there is no such member, or if this one may
            not see it.
    """

    member: int
    name: str


@dataclass(frozen=True, slots=True)
class GetPicture(Request[MemberPicture]):
    """Ask for the picture of a user, as a member may see it (rule 18.5).

    Attributes:
        name: the user, in any case.
        picture: the hash of the picture.
    """

    member: int
    name: str
    picture: str


@dataclass(frozen=True, slots=True)
class ListProfiles(Request[list[MemberProfile]]):
    """List the profiles that a member may see and that say something, by name; of 2,000 members at most (rule 18.2).

    Attributes:
        so_far: whose they are, as far as earlier transactions of the same request have found; None for the first one.
        looked_at: how many of these profiles were looked at.
        listed: those that say something.
    """

    member: int
    so_far: SeenSoFar | None = None
    looked_at: int = 0
    listed: tuple[MemberProfile, ...] = ()
