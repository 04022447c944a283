"""A member's own account: the password."""

from twotick.client.trust.tokens import Credential
from twotick.ui.shell.connection import asking
from twotick.ui.text import console


async def change_password(who: Credential, old: str, new: str, *, revoke_others: bool) -> None:
    """Change a member's password.

    Raises:
        TwotickError: nothing was changed, or the connection was lost before the answer.
        ValueError: a password is too long.
    """
    async with asking(who) as me:
        await me.change_password(old, new, revoke_others=revoke_others)
    devices = "Your devices on other machines are logged out." if revoke_others else "Your devices stay logged in."
    console().print(f"The password of {who.name} is changed. {devices}")
