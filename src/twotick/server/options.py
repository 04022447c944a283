"""The options of a server, and the check that they are safe."""

from dataclasses import dataclass, field
from pathlib import Path

from twotick.bus import BusError, BusOptions, check_bus
from twotick.exchange import Limits
from twotick.net import is_loopback
from twotick.server.clock import BOUND, SETTLING
from twotick.server.digests.options import MailError, MailOptions, check_mail
from twotick.server.listening import addresses_of, split_hosts
from twotick.server.login import SignUp
from twotick.server.tls import certificate_names
from twotick.server.urls import is_local_name, parse_networks, parse_origins, split_urls
from twotick.store import StoreLimits

LOOPBACK = "127.0.0.1"
"""Where the server accepts unencrypted connections, unless you have allowed them from other machines."""

RETENTION = 400 * 86400.0
"""Default seconds until a message that every device has is removed (rule 11.13)."""

DEVICE_AGE = 90 * 86400.0
"""Default seconds until a device that stays away lapses (rule 10.9)."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The limits of a server (docs/protocol.md, section 8).

    Attributes:
        exchange: the limits of its exchange.
        max_body: the longest body, in bytes.
        register_timeout: seconds that a connection has to register.
        frame_timeout: seconds that a frame may take from its first byte to its last.
        linger_timeout: seconds that a peer has to read the last bytes of a connection that the server closes.
        drain: seconds in which members are let go in steps after the server was asked to stop (rule 9.13).
        login_rate: how many clients a second a server that stops asks to come back.
        stop_timeout: seconds that receivers have to answer after that.
        connections: the most connections, which addresses share; further ones are closed at once. The system's limit
            on open files applies too.
        handshakes: the most TLS handshakes that are under way at once, which addresses share; further ones wait.
        early_bytes_total: the most bytes that all connections hold that are not registered.
        held_bytes_total: the most bytes that all others hold.
    """

    exchange: Limits = field(default_factory=Limits)
    max_body: int = 1 << 20
    register_timeout: float = 60.0
    frame_timeout: float = 60.0
    linger_timeout: float = 2.0
    drain: float = 0.0
    login_rate: int = 1000
    stop_timeout: float = 5.0
    connections: int = 65536
    handshakes: int = 256
    early_bytes_total: int = 16 << 20
    held_bytes_total: int = 256 << 20


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """What a server listens on, where it keeps its data, and what it allows.

    Attributes:
        host: the addresses or names to listen on, separated by commas.
        port: the port for unencrypted connections; 0 for any free one.
        limits: its limits.
        data: the folder of its database; None to keep everything in memory, or on PostgreSQL.
        database: the address of its database on PostgreSQL, as libpq knows it; None for none.
        control: the folder with the socket by which the operator's commands ask this server; None for no socket.
        bus: the bus between the servers that share this database; None if the server has it for itself.
        store_limits: the limits of its store.
        retention: seconds until a message that every device has is removed.
        clock_bound: seconds by which the system's clock may differ from others before it is not believed.
        device_age: seconds after which a device that stays away lapses.
        settling: seconds after the start in which nothing is removed that was there before.
        sign_up: who may sign up.
        tls_port: the port for encrypted connections; 0 for any free one.
        tls_certificate: a file with the certificate, in PEM; None for no encrypted connections.
        tls_key: a file with its private key, in PEM.
        web: whether there is a web page.
        web_port: the page's port for unencrypted connections; 0 for any free one, None for 18080 unless it is taken.
        web_tls_port: the same for encrypted connections; None for 18444 unless it is taken.
        web_url: the URLs by which browsers find the page, separated by commas.
        irc_port: the port for IRC without encryption; 0 for any free one, None for none.
        irc_tls_port: the same for IRC with encryption.
        irc_rooms: whether JOIN of IRC makes a public room if there is none.
        metrics_host: the addresses or names of the port for monitoring, separated by commas.
        metrics_port: that port; 0 for any free one, None for none.
        log_level: the levels of the log, as `logs.LEVELS_PATTERN` says.
        backup_folder: where the server puts backups; None if it makes none.
        backup_every: the seconds from one backup to the next.
        backup_keep: how many of them are kept.
        trusted_proxies: proxies whose word about their clients is taken: addresses and networks, separated by commas.
        proxy_protocol: whether their connections begin with a header of the PROXY protocol.
        mail: by which server members are told of what waits for them; None if they are not.
        push: whether notifications are pushed to browsers.
        allow_local_hooks: allow web hooks on this machine and in private networks, also without encryption.
        allow_local_push: allow push services on this machine and in private networks, as tests have them.
        allow_plain: allow unencrypted connections from other machines.
        allow_open_sign_up: allow users of other machines to sign up without an invitation.
        allow_guests: allow guests from other machines.
    """

    host: str = LOOPBACK
    port: int = 18000
    limits: ServerLimits = field(default_factory=ServerLimits)
    data: Path | None = None
    database: str | None = None
    control: Path | None = None
    bus: BusOptions | None = None
    store_limits: StoreLimits = field(default_factory=StoreLimits)
    retention: float = RETENTION
    clock_bound: float = BOUND
    settling: float = SETTLING
    device_age: float = DEVICE_AGE
    sign_up: SignUp = SignUp.CLOSED
    tls_port: int = 18443
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    web: bool = True
    web_port: int | None = None
    web_tls_port: int | None = None
    web_url: str = ""
    trusted_proxies: str = ""
    proxy_protocol: bool = False
    irc_port: int | None = None
    irc_tls_port: int | None = None
    irc_rooms: bool = True
    metrics_host: str = LOOPBACK
    metrics_port: int | None = None
    log_level: str = "warning"
    backup_folder: Path | None = None
    backup_every: float = 86400.0
    backup_keep: int = 7
    mail: MailOptions | None = None
    push: bool = True
    allow_local_push: bool = False
    allow_local_hooks: bool = False
    allow_plain: bool = False
    allow_open_sign_up: bool = False
    allow_guests: bool = False


WEB_PORT = 18080
WEB_TLS_PORT = 18444
"""Where the web page is if no setting says so, and if these ports are free."""


@dataclass(frozen=True, slots=True)
class PageUrl:
    """Where browsers find the web page.

    Attributes:
        url: its URL.
        is_local: whether only browsers of the same machine find it there.
    """

    url: str
    is_local: bool


class OptionsError(Exception):
    """A server may not be started with these options.

    Attributes:
        problems: the reasons, each with what to do about it.
    """

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def check(options: ServerOptions) -> list[str]:
    """Check that it is safe to let other machines reach a server, or that you have allowed it explicitly.

    Returns:
        The addresses or names on which to accept unencrypted connections: those in the options, or the loopback address
        if unencrypted connections from other machines are not allowed.

    Raises:
        OptionsError: the server may not be started.
        OSError: there is no such host.
    """
    problems: list[str] = []
    if (options.tls_certificate is None) is not (options.tls_key is None):
        problems.append("only one of tls_certificate and tls_key is set: set both, or neither")
    _check_pairs(options, problems)
    _check_bus(options, problems)
    _check_mail(options, problems)
    encrypted = options.tls_certificate is not None
    hosts = split_hosts(options.host)
    if not hosts:
        problems.append("host names no address: set it to one, for example '127.0.0.1'")
    if options.metrics_port is not None and not split_hosts(options.metrics_host):
        problems.append("metrics_host names no address: set it to one, for example '127.0.0.1'")
    private = all(is_loopback(address) for host in hosts for address in addresses_of(host))
    opened = None if private else f"host = '{options.host}' can be reached from other machines"
    if options.web:
        opened = _check_web(options, problems) or opened
    if options.web or options.proxy_protocol:
        opened = _check_proxies(options, problems) or opened
    if opened is not None:
        reached = f"{opened}, and"
        if not private and not encrypted and not options.allow_plain:
            problems.append(
                f"{reached} connections would not be encrypted: set tls_certificate and tls_key"
                " ('twotick cert' makes both), or allow_plain = true"
            )
        if options.sign_up is SignUp.OPEN and not options.allow_open_sign_up:
            problems.append(
                f"{reached} any of their users could sign up: set sign_up = 'invite' or 'closed',"
                " or allow_open_sign_up = true"
            )
        if options.limits.exchange.guests and not options.allow_guests:
            problems.append(
                f"{reached} any of their users could be a guest: set guests = false, or allow_guests = true"
            )
    if problems:
        raise OptionsError(problems)
    return hosts if private or options.allow_plain else [LOOPBACK]


def _check_pairs(options: ServerOptions, problems: list[str]) -> None:
    """Check the settings that make sense only with others, or without."""
    if options.irc_tls_port is not None and options.tls_certificate is None:
        problems.append(
            "irc_tls_port is set, and there is no certificate: set tls_certificate and tls_key"
            " ('twotick cert' makes both)"
        )
    if options.backup_folder is not None and options.database is not None:
        problems.append(
            "backup_folder is set, and the server makes no backups of a database on PostgreSQL: leave it out, and copy"
            " the data with pg_dump or pg_basebackup"
        )


def _check_bus(options: ServerOptions, problems: list[str]) -> None:
    if options.bus is None:
        return
    try:
        check_bus(options.bus)
    except BusError as error:
        problems.append(str(error))
    if options.database is None:
        problems.append(
            "bus is set, and servers share only a database on PostgreSQL: set database ('twotick migrate' copies the"
            " data there), or leave bus out"
        )


def _check_mail(options: ServerOptions, problems: list[str]) -> None:
    if options.mail is None:
        return
    try:
        check_mail(options.mail)
    except MailError as error:
        problems.append(str(error))


def _check_web(options: ServerOptions, problems: list[str]) -> str | None:
    """Check the settings of the web page.

    Returns:
        By which of them other machines can reach the page, whatever `host` is; None if they cannot.
    """
    opened = None
    try:
        local = all(is_local_name(host) for _, host, _ in parse_origins(options.web_url))
    except ValueError as error:
        problems.append(f"web_url has '{error}', which is not a URL such as 'https://chat.example'")
    else:
        if not local:
            opened = f"web_url = '{options.web_url}' names a page for other machines"
    return opened


def _check_proxies(options: ServerOptions, problems: list[str]) -> str | None:
    """Check the settings about proxies, and return as `_check_web` does."""
    try:
        named = parse_networks(options.trusted_proxies)
    except ValueError as error:
        problems.append(f"trusted_proxies has what is neither an address nor a network: {error}")
        return None
    if not named:
        if options.proxy_protocol:
            problems.append("proxy_protocol is set, and no proxy is named: set trusted_proxies to the proxy's address")
        return None
    where = "this server" if options.proxy_protocol else "the web page"
    return f"trusted_proxies = '{options.trusted_proxies}' lets other machines reach {where}"


def page_url(options: ServerOptions) -> PageUrl | None:
    """Return where browsers of other machines find the web page, else those of this one; None if nothing says so.

    Raises:
        OptionsError: the options make no sense.
    """
    if not options.web:
        return None
    try:
        if urls := split_urls(options.web_url):
            return PageUrl(f"{urls[0]}/", is_local=is_local_name(parse_origins(urls[0])[0][1]))
    except ValueError as error:
        raise OptionsError([f"web_url has '{error}', which is not a URL such as 'https://chat.example'"]) from error
    port = WEB_PORT if options.web_port is None else options.web_port
    url = PageUrl(f"http://127.0.0.1:{port}/", is_local=True) if port else None
    port = WEB_TLS_PORT if options.web_tls_port is None else options.web_tls_port
    if options.tls_certificate is None or not port:
        return url
    name = public_name(certificate_names(options.tls_certificate))
    return PageUrl(f"https://{bracketed(name)}:{port}/", is_local=is_local_name(name))


def public_name(names: list[str]) -> str:
    """Return the name of a certificate by which other machines are most likely to call the server."""
    names = [name for name in names if not name.startswith("*")] or ["localhost"]
    return next((name for name in names if not is_local_name(name)), names[0])


def bracketed(host: str) -> str:
    """Return a host as a URL has it."""
    return f"[{host}]" if ":" in host else host
