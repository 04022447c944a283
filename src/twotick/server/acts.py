"""What the operator does to members, by command or on a page, where it takes more than one request."""

from typing import Final

from twotick.server.secrets import invitation_digest
from twotick.store import AddInvitation, InvitationInfo, Member, SetPassword, SignOut, Together

_NAME: Final = 12
"""Hexadecimal digits of an invitation's hash by which the operator knows it."""


def reset_request(member: Member, code: str, now: float, seconds: float) -> Together:
    """Return what signs a member out everywhere, makes the password void, and lets a code set a new one.

    Args:
        member: the member.
        code: the code.
        now: the time, in seconds since 1970.
        seconds: the time in which the code can be used.
    """
    return Together(
        (
            SetPassword(member.name, ""),
            SignOut(member.number, "", "the operator has reset this account", now),
            AddInvitation(invitation_digest(code), now + seconds, member.number),
        )
    )


def invitation_name(invitation: InvitationInfo) -> str:
    """Return by which name the operator knows an invitation. Its code cannot be found from that."""
    return invitation.digest.hex()[:_NAME]
