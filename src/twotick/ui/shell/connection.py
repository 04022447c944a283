"""A member's connection to a server, for a shell command."""

import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import TypeVar

from twotick.client import (
    Client,
    KnownServers,
    MemberClient,
    NotAuthenticated,
    ProtocolError,
    Replaced,
    ShuttingDown,
    Trust,
    TwotickError,
    connect,
    join,
)
from twotick.client.trust.known_servers import Verdict
from twotick.client.trust.tokens import Credential
from twotick.ui.shell.streams import complain
from twotick.ui.tasks import until_well_formed

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class GuestUser:
    """A guest at a server.

    Attributes:
        name: the guest's name; empty if the user is to be asked for it.
        server: the address of the server.
        max_body: the bytes of the longest message.
        plaintext: whether a connection to another machine may be without TLS.
    """

    name: str
    server: str
    max_body: int = 1 << 20
    plaintext: bool = False


@contextlib.asynccontextmanager
async def connected_guest(guest: GuestUser) -> AsyncGenerator[Client, None]:
    """Connect as a guest; report on standard error what the user should know of the server's certificate.

    Raises:
        TwotickError: the server refuses the name, or cannot be reached.
    """
    tls = False if guest.plaintext else None
    async with contextlib.AsyncExitStack() as stack:
        with telling_of_trust(complain) as known:
            me = await stack.enter_async_context(
                connect(guest.name, guest.server, max_body=guest.max_body, tls=tls, known_servers=known)
            )
        yield me


@contextlib.asynccontextmanager
async def connected(
    who: Credential, *, device: str | None = None, send_only: bool = False, patient: bool = False
) -> AsyncGenerator[MemberClient, None]:
    """Connect as a member with the token of a login; report on standard error when the connection is lost or restored.

    Args:
        who: the login.
        device: the name of the device; None for the device of the login.
        send_only: receive no messages.
        patient: whether to connect again after the server has sent something malformed on a connection (rule 9.11).
            Otherwise the command ends, so that no script waits for an answer that would be malformed again.

    Raises:
        TwotickError: the server refuses the login.
    """
    told: type[TwotickError] | None = None  # the kind of problem that the user knows of

    def tell(problem: TwotickError | None) -> None:
        nonlocal told
        if isinstance(problem, ProtocolError) and told is None and not patient:
            raise problem  # which ends the client
        if problem is not None and type(problem) is not told:
            several = "\n" in str(problem)
            complain(f"{problem}\nReconnecting until then." if several else f"{problem}: reconnecting")
        elif problem is None and told is not None:
            complain("connected again")
        told = None if problem is None else type(problem)

    async with contextlib.AsyncExitStack() as stack:
        with telling_of_trust(complain) as known:
            joining = join(
                who.name,
                who.server,
                token=who.token,
                device=device,
                send_only=send_only,
                known_servers=known,
                on_connection=tell,
            )
            try:
                me = await stack.enter_async_context(joining)
            except NotAuthenticated as error:
                raise NotAuthenticated(_why_not_logged_in(who, error)) from error
        yield me


def _why_not_logged_in(who: Credential, error: NotAuthenticated) -> str:
    """Return what to tell a user whose token the server refuses; it gives no reason for that (rule 10.2)."""
    if "token" not in str(error):
        return str(error)
    return (
        f"this device is not logged in as {who.name} any more, because it was revoked or the member was removed:"
        f" run 'twotick login {who.name}@{who.server}'"
    )


async def patiently(ask: Callable[[], Awaitable[_T]]) -> _T:
    """Repeat a request until its answer is not malformed, and report that on standard error.

    Args:
        ask: sends the request.

    Returns:
        What `ask` returns.

    Raises:
        TwotickError: the request failed for another reason.
    """
    return await until_well_formed(ask, lambda problem: complain(f"{problem}: asking again until it is well formed"))


@contextlib.contextmanager
def telling_of_trust(tell: Callable[[str], None]) -> Generator[KnownServers]:
    """Return the servers that the user knows, for one connection; then tell what is new about its certificate.

    The user is told also if the server refuses the login: the server is known the next time.

    Args:
        tell: tells the user a line.
    """
    known = KnownServers()
    try:
        yield known
    finally:
        for line in about_trust(known.news):
            tell(line)


def about_trust(trust: Trust | None) -> list[str]:
    """Return lines about the server's certificate that the user should read."""
    if trust is None:
        return []
    new = f"first connection to {trust.server}: its certificate {trust.fingerprint} is trusted from now on"
    return [line for line in (new if trust.verdict is Verdict.FIRST_USE else "", trust.warning) if line]


@contextlib.asynccontextmanager
async def asking(who: Credential) -> AsyncGenerator[MemberClient, None]:
    """Connect as a member for a few requests; the device for this is removed afterwards.

    A server without room on its disk takes no new device, but answers requests on a connection that only sends.
    """
    device = f"{who.device}/asking"
    async with contextlib.AsyncExitStack() as stack:
        try:
            me = await stack.enter_async_context(connected(who, device=device))
        except ShuttingDown:  # which is also what a server says that cannot write
            yield await stack.enter_async_context(connected(who, device=device, send_only=True))
            return
        yield me
        with contextlib.suppress(Replaced):  # one of the requests has revoked this device
            await me.revoke(device)
