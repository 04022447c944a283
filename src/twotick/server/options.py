"""What a server is to be, and whether that is safe."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

from twotick.exchange import Limits
from twotick.net import is_loopback
from twotick.server.login import SignUp
from twotick.store import StoreLimits

LOOPBACK = "127.0.0.1"
"""Where connections that are not encrypted are accepted if they may not come from elsewhere."""

RETENTION = 400 * 86400.0
"""Seconds after which messages that every device has are removed, unless told otherwise (rule 11.13)."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The bounds of a server (docs/protocol.md, section 8).

    Attributes:
        exchange: those of its exchange.
        max_body: the longest body, in bytes.
        register_timeout: seconds until a connection must be registered.
        frame_timeout: seconds until a frame that has begun must be whole.
        linger_timeout: seconds that a peer has to take the last bytes of a connection that the server closes.
        stop_timeout: seconds that receivers have to answer when the server is asked to stop.
        connections: the most connections; one more is closed at once. Never more than the system lets a process open.
    """

    exchange: Limits = field(default_factory=Limits)
    max_body: int = 1 << 20
    register_timeout: float = 60.0
    frame_timeout: float = 60.0
    linger_timeout: float = 2.0
    stop_timeout: float = 5.0
    connections: int = 65536


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What a server is to be.

    Attributes:
        host: the address or name to listen on.
        port: the port for connections that are not encrypted; 0 for any that is free.
        limits: its bounds.
        data: the folder of its store; None to keep everything in memory.
        store_limits: the bounds of its store.
        retention: seconds after which messages that every device has are removed.
        sign_up: who may sign up.
        tls_port: the port for encrypted connections; 0 for any that is free.
        tls_certificate: a file with the certificate, in PEM; None for no encrypted connections.
        tls_key: a file with its key, in PEM.
        allow_plain: connections from elsewhere need not be encrypted.
        allow_open_sign_up: people from elsewhere may sign up without an invitation.
        allow_guests: people from elsewhere may be guests.
    """

    host: str = LOOPBACK
    port: int = 18000
    limits: ServerLimits = field(default_factory=ServerLimits)
    data: Path | None = None
    store_limits: StoreLimits = field(default_factory=StoreLimits)
    retention: float = RETENTION
    sign_up: SignUp = SignUp.CLOSED
    tls_port: int = 18443
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    allow_plain: bool = False
    allow_open_sign_up: bool = False
    allow_guests: bool = False


class OptionsError(Exception):
    """A server is not started like this.

    Attributes:
        problems: why, each with what to do about it.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def check(options: ServerOptions) -> str:
    """Look whether a server may be started like this: others can only reach it if that is safe, or meant.

    Returns:
        The address or name on which to accept connections that are not encrypted: the one in the options, unless these
        connections may not come from elsewhere.

    Raises:
        OptionsError: it may not be started.
        OSError: there is no such host.
    """
    problems: list[str] = []
    if (options.tls_certificate is None) is not (options.tls_key is None):
        problems.append("of tls_certificate and tls_key only one is set: set both, or none")
    encrypted = options.tls_certificate is not None
    private = _is_this_machine(options.host)
    if not private:
        reached = f"host = '{options.host}' can be reached from other machines, and"
        if not encrypted and not options.allow_plain:
            problems.append(
                f"{reached} connections would not be encrypted: set tls_certificate and tls_key"
                " ('twotick cert' makes them), or allow_plain = true"
            )
        if options.sign_up is SignUp.OPEN and not options.allow_open_sign_up:
            problems.append(
                f"{reached} anybody there could sign up: set sign_up = 'invite' or 'closed',"
                " or allow_open_sign_up = true"
            )
        if options.limits.exchange.guests and not options.allow_guests:
            problems.append(f"{reached} anybody there could be a guest: set guests = false, or allow_guests = true")
    if problems:
        raise OptionsError(problems)
    return options.host if private or options.allow_plain else LOOPBACK


def _is_this_machine(host: str) -> bool:
    """Whether only this machine can reach what listens on a host."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError as error:
        raise OSError("that is no name of a host") from error
    return all(is_loopback(str(address[0])) for *_, address in found)
