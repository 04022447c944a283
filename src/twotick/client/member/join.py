"""How a member's client is made."""

import base64
import contextlib
import re
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from twotick.client.address import DEFAULT_SERVER, parse_server
from twotick.client.errors import MalformedName, TwotickError
from twotick.client.member.client import MemberClient, Registration
from twotick.client.member.devices import device_name
from twotick.client.member.limits import MemberLimits
from twotick.client.trust.known_servers import KnownServers
from twotick.net import is_loopback
from twotick.wire import Side, is_name

_PRINTABLE = re.compile(r"[!-~]{1,256}")


def _nobody_asks(problem: TwotickError | None) -> None:
    """In place of `on_connection`."""


@contextlib.asynccontextmanager
async def join(
    name: str,
    server: str = DEFAULT_SERVER,
    *,
    token: str | None = None,
    password: str | None = None,
    device: str | None = None,
    sign_up: str | None = None,
    window: int = 64,
    send_only: bool = False,
    outbox: Path | None = None,
    wait_for_server: bool = False,
    tls: bool | None = None,
    known_servers: KnownServers | None = None,
    on_connection: Callable[[TwotickError | None], None] | None = None,
    limits: MemberLimits | None = None,
) -> AsyncGenerator[MemberClient, None]:
    """Be a member on a device: `async with twotick.join("alice", token=...) as me:`.

    The connection comes back by itself when it is lost. What is sent in the meantime goes out then, and nothing that
    comes is given to the program twice.

    Args:
        name: the member's name.
        server: `HOST:PORT`.
        token: the device's token; or else
        password: the member's password.
        device: the device's name; None for the one that the token is for, or `main` with a password (rule 10.6).
        sign_up: `yes`, or an invitation, to make the name a member's with that password (rule 10.3).
        window: how many entries the server may send before the first is acknowledged.
        send_only: receive nothing. Any number of such connections may be open at once (rule 9.1), but once the
            connection is lost nobody tells what becomes of the messages that were accepted on it.
        outbox: a file for messages that the server has not accepted yet, so that they survive this process; None to
            keep them in memory.
        wait_for_server: do not fail if the server cannot be reached at first; needs `outbox`.
        tls: whether to connect with TLS; None for: unless the server is on this machine.
        known_servers: the servers that are known by their certificates; None for the user's.
        on_connection: called with None when there is a connection, and with the reason when there is none (any more),
            also for each attempt to connect again that fails. What it raises ends the client.
        limits: bounds of the client.

    Returns:
        A context manager for the client, which leaves at the end.

    Raises:
        MalformedName: nobody can have that name.
        NotAuthenticated: the name, password or token is wrong, or sign-up is refused.
        TooManyRequests: there were too many attempts; wait for as many seconds as it says.
        NameTaken: a name that is to be signed up is in use.
        ServerUnreachable: there is no server, or it does not answer.
        TrustError: the server may not be the one that it should be.
        NotEncrypted: the password or token would have gone over a connection that others can read; it was not sent.
        NotRegistered: the server has no members.
        ProtocolError: it does not speak this protocol.
        OutboxError: the file for the outbox cannot be used.
        ValueError: an argument makes no sense.
    """
    if not is_name(name.encode(errors="replace")):
        raise MalformedName(f"{name!r} cannot be a name: take 1 to 32 letters and digits, and no word of the protocol")
    if (token is None) is (password is None):
        raise ValueError("give a token or a password")
    if token is not None and not _PRINTABLE.fullmatch(token):
        raise ValueError("that cannot be a token")
    if sign_up is not None and (password is None or wait_for_server or not _PRINTABLE.fullmatch(sign_up)):
        raise ValueError("to sign up, give a password, and `yes` or an invitation, and do not wait for the server")
    if wait_for_server and outbox is None:
        raise ValueError("to wait for the server, give a file for the outbox")
    if window < 1:
        raise ValueError("the window must be at least 1")
    host, port = parse_server(server)
    if tls is None:
        tls = host.lower() != "localhost" and not is_loopback(host)
    if token is not None:
        authorization = b"Bearer " + token.encode()
    else:
        authorization = b"Basic " + base64.b64encode(f"{name}:{password}".encode())
    registration = Registration(
        Side.SENDING if send_only else Side.DUPLEX,
        authorization,
        None if device is None else device_name(device),
        None if sign_up is None else sign_up.encode(),
        window,
    )
    async with MemberClient(
        name,
        (host, port),
        registration,
        (known_servers or KnownServers()) if tls else None,
        on_connection or _nobody_asks,
        limits or MemberLimits(),
    ) as client:
        await client.open(outbox, wait_for_server)
        yield client
