"""Look at what the server needs of the machine and the network: certificate, ports, name and clock."""

import ctypes
import errno
import os
import socket
import time
from collections.abc import Generator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import twotick
from twotick.bus import BusError, check_bus
from twotick.doctor.case import Case
from twotick.doctor.findings import Finding, fine, problem
from twotick.server.issuing import addresses_here, is_due, read_order
from twotick.server.listening import addresses_of, split_hosts
from twotick.server.options import LOOPBACK, WEB_PORT, WEB_TLS_PORT, public_name
from twotick.server.tls import TlsError, certificate_names, server_context, valid_times, validity_problem
from twotick.server.urls import is_local_name

_NOT_SYNCHRONISED: Final = 5
"""What adjtimex() returns if the clock is not synchronised (TIME_ERROR)."""

_NATS_PORT: Final = 4222
_PATIENCE: Final = 5.0
"""The usual port of NATS, and seconds in which it answers."""

_LISTENS: Final = "0A"
"""The state of a listening socket in /proc/net/tcp."""


def look_at_certificate(case: Case) -> Generator[Finding]:
    """Look whether the certificate can be used: its files, key, names, and time."""
    certificate, key = case.settings.tls_certificate, case.settings.tls_key
    if certificate is None or key is None:
        yield fine("certificate", "none: other machines are not served")
        return
    try:
        server_context(certificate, key)
        names, times = certificate_names(certificate), valid_times(certificate)
        order = read_order(certificate.parent)
    except TlsError as error:
        yield problem("certificate", "the certificate cannot be used", str(error))
        return
    now = datetime.now(UTC)
    until = f"until {times[1]:%Y-%m-%d}"
    found: list[Finding] = []
    if bad := validity_problem(times, now):
        found.append(problem("certificate", bad, until))
    if order is not None and is_due(times, now - timedelta(days=2)):
        found.append(problem("certificate", "the certificate was not renewed", until))
    called = [urlsplit(url.strip()).hostname or "" for url in (case.settings.web_url or "").split(",") if url.strip()]
    if called and names and not any(_covers(names, host) for host in called) and not case.settings.trusted_proxies:
        detail = f"it is for {', '.join(names)}, and web_url names {called[0]}"
        found.append(problem("certificate", "the certificate has another name", detail))
    yield from found or [fine("certificate", f"for {', '.join(names)}, {until}")]


def _covers(names: list[str], host: str) -> bool:
    return host in names or f"*.{host.partition('.')[2]}" in names


def look_at_ports(case: Case) -> Generator[Finding]:
    """Look whether the server has its ports, or can have them."""
    settings = case.settings
    plain = settings.host if settings.tls_certificate is None or settings.allow_plain else LOOPBACK
    wanted = [("port", plain, settings.port)]
    if settings.tls_certificate is not None:
        wanted.append(("tls_port", settings.host, settings.tls_port))
    if settings.web:
        wanted.append(("web_port", plain, WEB_PORT if settings.web_port is None else settings.web_port))
        if settings.tls_certificate is not None:
            port = WEB_TLS_PORT if settings.web_tls_port is None else settings.web_tls_port
            wanted.append(("web_tls_port", settings.host, port))
    if settings.irc_port is not None:
        wanted.append(("irc_port", plain, settings.irc_port))
    if settings.irc_tls_port is not None:
        wanted.append(("irc_tls_port", settings.host, settings.irc_tls_port))
    if settings.metrics_port is not None:
        wanted.append(("metrics_port", settings.metrics_host, settings.metrics_port))
    held = _listeners() if case.has_server else {}
    found: list[Finding] = []
    for name, hosts, port in wanted:
        if not port:
            continue  # any free one
        if case.has_server:
            found += _look_at_held(name, port, held, case.user)
        else:
            is_usual = getattr(settings, name) is None
            found += [each for host in split_hosts(hosts) for each in _look_at_free(name, host, port, is_usual)]
    ports = ", ".join(str(port) for _, _, port in wanted if port)
    yield from found or [fine("ports", f"{ports or 'any'}: {'the server has them' if case.has_server else 'free'}")]


def _listeners() -> dict[int, set[int]]:
    """Return which ports of this machine are listened on, and by which users; nothing if the system does not say."""
    found: dict[int, set[int]] = {}
    for file in Path("/proc/net/tcp"), Path("/proc/net/tcp6"):
        try:
            lines = file.read_text("ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, local, _, state, _, _, _, user, *_ = line.split()
            if state == _LISTENS:
                found.setdefault(int(local.rpartition(":")[2], 16), set()).add(int(user))
    return found


def _look_at_held(name: str, port: int, held: dict[int, set[int]], user: int) -> Generator[Finding]:
    if not held:
        return
    if port not in held:
        yield problem("ports", "the server does not listen on a port", f"{port}, the setting {name}")
    elif user not in held[port]:
        yield problem("ports", "a port is taken", f"another user's program listens on {port}, the setting {name}")


def _look_at_free(name: str, host: str, port: int, is_usual: bool) -> Generator[Finding]:
    """Bind to a port for a moment, without listening."""
    try:
        addresses = addresses_of(host)
    except OSError:
        return  # which is told of the settings
    for address in addresses:
        where = f"{address} port {port}, the setting {name}"
        match why_not_bound(address, port):
            case None:
                continue
            case errno.EADDRINUSE:
                yield problem("ports", "the page has no port" if is_usual else "a port is taken", where)
            case errno.EACCES:
                yield problem("ports", "a port needs a right", where)
            case number:
                yield problem("ports", "an address cannot be used", f"{where}: {os.strerror(number)}")
        return


def why_not_bound(address: str, port: int) -> int | None:
    """Return the number of the error with which a socket cannot be bound to a port; None if it can."""
    try:
        with closing(socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
    except OSError as error:
        return error.errno or errno.EIO
    return None


def look_at_name(case: Case) -> Generator[Finding]:
    """Look whether the name of the server leads to this machine."""
    certificate = case.settings.tls_certificate
    try:
        name = public_name(certificate_names(certificate)) if certificate is not None else "localhost"
    except TlsError:
        return
    if is_local_name(name):
        return
    here, elsewhere = addresses_here(name)
    if here:
        yield fine("name", f"{name} leads to this machine ({', '.join(here)})")
    elif elsewhere:
        yield problem("name", "the name leads elsewhere", f"{name} is {', '.join(elsewhere)}")
    else:
        yield problem("name", "the name leads nowhere", name)


def look_at_clock(case: Case) -> Generator[Finding]:
    """Look whether something keeps the clock right, and whether it is behind files that are there."""
    newest = max(
        _modified(Path(twotick.__file__)), 0.0 if case.folder is None else _modified(case.folder / "twotick.db")
    )
    if time.time() < newest - 86400:
        yield problem("clock", "the clock is behind", f"it says {datetime.now(UTC):%Y-%m-%d}")
    elif (synchronised := is_synchronised()) is False:
        yield problem("clock", "the clock is not synchronised")
    else:
        kept = ", kept right" if synchronised else ""
        yield fine("clock", f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC{kept}")


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def is_synchronised() -> bool | None:
    """Return whether the kernel says that the clock is synchronised; None if it does not say."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024))  # zeros: only a question
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _NOT_SYNCHRONISED


def look_at_bus(case: Case) -> Generator[Finding]:
    """Look whether each NATS server answers, if servers share the database."""
    options = case.settings.server_options().bus
    if options is None:
        return
    try:
        urls = [urlsplit(url) for url in check_bus(options)]
    except BusError:
        return  # which is told of the settings
    found: list[Finding] = []
    for url in urls:
        host, port = url.hostname or "", url.port or _NATS_PORT
        try:
            with socket.create_connection((host, port), _PATIENCE) as connection:
                greeting = connection.recv(4)
        except OSError as error:
            detail = f"{host} port {port}: {error.strerror or error}"
            found.append(problem("bus", "NATS cannot be reached", detail))
            continue
        if greeting != b"INFO":
            found.append(problem("bus", "NATS cannot be reached", f"{host} port {port} answers otherwise than NATS"))
    yield from found or [fine("bus", f"{len(urls)} of NATS answer")]
