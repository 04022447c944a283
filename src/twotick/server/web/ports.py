"""The ports of the web page: which there are, and the URLs by which browsers find it."""

import errno
import socket
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final

from twotick.server.certificate import Certificate
from twotick.server.listening import open_listeners, split_hosts
from twotick.server.logs import PartLog
from twotick.server.options import WEB_PORT, WEB_TLS_PORT, ServerOptions, bracketed, public_name
from twotick.server.urls import parse_networks, parse_origins, split_urls
from twotick.server.web.connections import MakeIrc, Web, WebHost
from twotick.server.web.gate import Gate
from twotick.server.web.publish.publisher import FileLimits
from twotick.server.web.site import Site

log: Final = PartLog("web")

_ANYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 # only compared


@dataclass(frozen=True, slots=True)
class PagePort:
    """A port of the page.

    Attributes:
        sockets: those that listen, of which the caller takes care.
        encrypted: whether it is for HTTPS.
        url: where browsers find the page.
    """

    sockets: list[socket.socket]
    encrypted: bool
    url: str


class PortTaken(Exception):
    """A port cannot be listened on that was asked for; the cause says why.

    Attributes:
        hosts: the addresses.
        port: the port.
        setting: the setting that holds it.
    """

    def __init__(self, hosts: list[str], port: int, setting: str) -> None:
        super().__init__(f"cannot listen on port {port}")
        self.hosts = hosts
        self.port = port
        self.setting = setting


def make_web(
    host: WebHost, options: ServerOptions, certificate: Certificate | None, make_irc: MakeIrc | None = None
) -> Web:
    """Return the page of a server with these options, which were checked."""
    origins, proxies = parse_origins(options.web_url), parse_networks(options.trusted_proxies)

    def make_gate() -> Gate:
        names = [name for name in split_hosts(options.host) if name not in _ANYWHERE]
        return Gate([*names, *(certificate.names if certificate is not None else [])], origins, proxies)

    files = FileLimits(options.store_limits.file_bytes, options.store_limits.file_age, options.data)
    return Web(host, Site(_info(options)), make_gate, options.limits, make_irc, files=files)


def _info(options: ServerOptions) -> dict[str, Any]:
    """Return what the page is told before anyone has logged in (rule 19.5)."""
    return {
        "version": version("twotick"),
        "sign_up": options.sign_up.value,
        "guests": options.limits.exchange.guests,
        "max_body": options.limits.max_body,
        "file_bytes": options.store_limits.file_bytes,
    }


def open_page_ports(options: ServerOptions, plain_hosts: list[str], certificate: Certificate | None) -> list[PagePort]:
    """Listen on the ports of the page.

    Args:
        options: the options.
        plain_hosts: where connections without encryption are accepted.
        certificate: the certificate, if there is one.

    Raises:
        PortTaken: a port cannot be listened on that a setting names.
    """
    ports: list[PagePort] = []
    sockets = _listen(plain_hosts, options.web_port, WEB_PORT, "web_port")
    if sockets:
        address, number = sockets[0].getsockname()[:2]
        name = "localhost" if address in _ANYWHERE else address
        ports.append(PagePort(sockets, encrypted=False, url=f"http://{bracketed(name)}:{number}/"))
    if certificate is None:
        return ports
    sockets = _listen(split_hosts(options.host), options.web_tls_port, WEB_TLS_PORT, "web_tls_port")
    if sockets:
        number = sockets[0].getsockname()[1]
        own = f"https://{bracketed(public_name(certificate.names))}:{number}"
        ports.append(PagePort(sockets, encrypted=True, url=f"{next(iter(split_urls(options.web_url)), own)}/"))
    return ports


def _listen(hosts: list[str], asked: int | None, default: int, setting: str) -> list[socket.socket]:
    """Listen on a port.

    Args:
        hosts: the addresses.
        asked: the port; None for the default one.
        default: the default port.
        setting: the setting that holds the port.

    Returns:
        The sockets; none if another program has the default port: the operator has not asked for the page, so the
        server starts without it.

    Raises:
        PortTaken: the port cannot be listened on.
    """
    port = default if asked is None else asked
    try:
        return open_listeners(hosts, port)
    except OSError as error:
        if asked is not None or error.errno != errno.EADDRINUSE:
            raise PortTaken(hosts, port, setting) from error
    log.warning(
        "there is no web page on its usual port",
        port=port,
        reason="another program listens there",
        remedy=f"set {setting} to a free port, or web = false",
    )
    return []
