"""A member's connection for a command of the shell."""

import contextlib
from collections.abc import AsyncGenerator

from twotick.client import (
    MemberClient,
    TwotickError,
    join,
)
from twotick.client.trust.known_servers import Verdict
from twotick.client.trust.tokens import Credential
from twotick.ui.shell.streams import complain


@contextlib.asynccontextmanager
async def connected(
    who: Credential, *, device: str | None = None, send_only: bool = False
) -> AsyncGenerator[MemberClient, None]:
    """Be a member with the token of a login; says so when the connection is lost and when it is back."""
    away = False

    def tell(problem: TwotickError | None) -> None:
        nonlocal away
        if problem is not None and not away:
            complain(f"{problem}: trying again")
        elif problem is None and away:
            complain("connected again")
        away = problem is not None

    async with join(
        who.name, who.server, token=who.token, device=device, send_only=send_only, on_connection=tell
    ) as me:
        for line in about_trust(me):
            complain(line)
        yield me


def about_trust(me: MemberClient) -> list[str]:
    """What a person should know of how the server is trusted, in lines."""
    trust = me.trust
    if trust is None:
        return []
    new = f"{trust.server} is new here; its certificate is {trust.fingerprint}, which is remembered from now on"
    return [line for line in (new if trust.verdict is Verdict.FIRST_USE else "", trust.warning) if line]


@contextlib.asynccontextmanager
async def asking(who: Credential) -> AsyncGenerator[MemberClient, None]:
    """A connection to ask something on, which leaves no device behind."""
    device = f"{who.device}/asking"
    async with connected(who, device=device) as me:
        yield me
        await me.revoke(device)
