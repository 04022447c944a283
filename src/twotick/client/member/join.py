"""Connect as a member."""

import base64
import contextlib
import re
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

from twotick.client.address import DEFAULT_SERVER, parse_server
from twotick.client.errors import MalformedName, TwotickError
from twotick.client.member.client import MemberClient
from twotick.client.member.devices import encode_device
from twotick.client.member.limits import MemberLimits
from twotick.client.member.session import ClientSession, Registration
from twotick.client.trust.known_servers import KnownServers
from twotick.wire import Side, is_name

_PRINTABLE = re.compile(r"[!-~]{1,256}")


def _ignore_connection(problem: TwotickError | None) -> None:
    """Ignore that the connection was lost, or is back."""


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
    """Connect as a member, on a device: `async with twotick.join("alice", token=...) as me:`.

    If the connection is lost, the client reconnects by itself. It tries again until the server refuses the member or
    the device: also if another program answers in the server's place, if the server sends something malformed (rule
    9.11), or if the certificate is wrong for now. Messages that are sent meanwhile wait in the outbox, and the program
    receives nothing twice.

    Args:
        name: the member's name.
        server: the server's address, as `HOST:PORT`, or as `HOST` to find the port (rule 1.5). Several addresses of the
            same server, or of servers with the same members, are separated by commas: the client goes to another one
            when it loses its connection.
        token: the device's token. Give a token or a password.
        password: the member's password.
        device: the device's name; None for the device of the token, or for `main` with a password (rule 10.6).
        sign_up: `yes`, or an invitation code, to register the name as a new member with the password (rule 10.3).
        window: how many entries the server may send before it waits for the first acknowledgement.
        send_only: only send, and receive nothing. A member may have any number of such connections at once (rule 9.1).
            If the connection is lost, the states of the messages that were accepted on it will not be known.
        outbox: a file that keeps messages until the server has accepted them, so that they survive the end of the
            program; None to keep them in memory.
        wait_for_server: do not fail if the first attempt fails for a reason that may pass. Needs `outbox`.
        tls: True to connect with TLS; False to allow connections without TLS, on which password and token are sent only
            within this machine; None for TLS unless the server is on this machine.
        known_servers: the servers whose certificates are known; None for those of the user.
        on_connection: called with None when there is a connection, and with the reason when the connection is lost or
            an attempt to reconnect fails. An exception that it raises ends the client.
        limits: the limits of the client; None for the defaults.

    Returns:
        An asynchronous context manager. It gives the connected client, and closes it at the end.

    Raises:
        MalformedName: the name is not well formed.
        NotAuthenticated: the name, password or token is wrong, or the server refused the sign-up.
        TooManyRequests: there were too many attempts. Wait for the number of seconds in `retry_after`.
        NameTaken: the name for a sign-up is in use.
        ServerUnreachable: no server accepts connections at the address, or it does not answer.
        TrustError: the server's certificate is not trusted.
        NotEncrypted: the connection would not be encrypted; the password or token was not sent.
        NotRegistered: the server does not support members.
        ProtocolError: the server does not speak the Twotick protocol.
        OutboxError: the file of the outbox cannot be used.
        ValueError: an argument is not well formed, or arguments do not go together.
    """
    if not is_name(name.encode(errors="replace")):
        raise MalformedName(f"{name!r} cannot be a name: use 1 to 32 letters and digits, but no word of the protocol")
    authorization = _authorization(name, token, password)
    if sign_up is not None and not _PRINTABLE.fullmatch(sign_up):
        raise ValueError(f"{sign_up!r} cannot be an invitation: give 'yes', or the invitation as you received it")
    if sign_up is not None and (password is None or wait_for_server):
        raise ValueError("to sign up, give a password, and do not wait for the server")
    if wait_for_server and outbox is None:
        raise ValueError("to wait for the server, give a file for the outbox")
    if window < 1:
        raise ValueError("the window must be at least 1")
    registration = Registration(
        name,
        Side.SENDING if send_only else Side.DUPLEX,
        authorization,
        None if device is None else encode_device(device),
        None if sign_up is None else sign_up.encode(),
        window,
    )
    session = ClientSession(
        registration,
        parse_server(server).with_tls(tls),
        known_servers or KnownServers(),
        limits or MemberLimits(),
        on_connection or _ignore_connection,
    )
    async with MemberClient(session) as client:
        await session.open(outbox, wait_for_server)
        yield client


def _authorization(name: str, token: str | None, password: str | None) -> bytes:
    """Return the value of `Authorization` for a token or a password (rule 10.2)."""
    if (token is None) is (password is None):
        raise ValueError("give a token or a password")
    if token is None:
        return b"Basic " + base64.b64encode(f"{name}:{password}".encode())
    if not _PRINTABLE.fullmatch(token):
        raise ValueError("the token is malformed: give it as the server printed it")
    return b"Bearer " + token.encode()
