"""A process that serves: sets up the process, listens, and stops at a signal."""

import asyncio
import gc
import os
import signal
import socket
import ssl
import stat
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import uvloop

from twotick.bus import Bus, BusError, BusOptions, open_bus
from twotick.exchange import PushOffer, ServerIdentity
from twotick.server import logs
from twotick.server.certificate import Certificate
from twotick.server.listening import open_listeners, split_hosts
from twotick.server.logs import log
from twotick.server.observing.observers import Observers
from twotick.server.options import OptionsError, ServerOptions, check, page_url
from twotick.server.reloading import Load, Reloader
from twotick.server.server import Mailer, Server
from twotick.server.service_manager import keep_watchdog, notify, notify_reloading
from twotick.server.urls import parse_networks
from twotick.store import PushKey, SqliteStore, Store, open_store

if TYPE_CHECKING:
    from twotick.server.web.connections import MakeIrc

Address: TypeAlias = tuple[str, int]
"""An IP address and a port."""

_GARBAGE = (2_000, 2, 50)
"""The thresholds of Python's garbage collector. Each message is a few objects, most of which live for a moment, and
cycles hardly ever occur. With the usual threshold of 700 the collector would search all objects again and again for
nothing. With 50,000 it would stop everything for 15 to 25 ms each time."""


class CannotListen(Exception):
    """The server cannot listen on an address; the cause says why.

    Attributes:
        host: the host that was tried.
        port: the port that was tried.
        setting: the setting that holds the port.
    """

    def __init__(self, host: str, port: int, setting: str) -> None:
        super().__init__(f"cannot listen on {host}:{port}")
        self.host = host
        self.port = port
        self.setting = setting


def serve(
    options: ServerOptions,
    announce: Callable[[str, int, str | None], None],
    announce_page: Callable[[str], None] = lambda _: None,
    announce_metrics: Callable[[str], None] = lambda _: None,
    load: Load | None = None,
    announce_irc: Callable[[str], None] = lambda _: None,
) -> None:
    """Run a server until SIGINT or SIGTERM, and then stop it in good order.

    SIGHUP makes it load its settings and its certificate again. It stops at SIGHUP if its terminal is gone, or if
    there is nothing to load.

    Args:
        options: its options.
        announce: called for each address once the server accepts connections on all of them: with the host, the port,
            and for encrypted connections the fingerprint of the certificate.
        announce_page: called after that with each URL of the web page, if there is one.
        announce_metrics: called after that with each URL of the metrics, if there are any.
        load: reads the settings again; None if there are none.
        announce_irc: called after the URLs of the page with where IRC clients connect, if they can.

    Raises:
        OptionsError: the options are not safe, or make no sense.
        TlsError: the certificate or its key cannot be used.
        StoreError: the data cannot be used.
        CannotListen: the server cannot listen on an address.
    """
    try:
        plain_hosts = check(options)
    except OSError as error:
        raise CannotListen(options.host, options.port, "port") from error
    certificate = None
    if options.tls_certificate is not None and options.tls_key is not None:
        certificate = Certificate(options.tls_certificate, options.tls_key)
    logs.configure()
    log.use_levels(options.log_level)
    store = open_store(options.data, options.database, options.store_limits, shared=options.bus is not None)
    if options.data is not None:
        _warn_of_access(options.data)
    for risk in store.risks:
        log.warning("the database could lose what it keeps", reason=risk)
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(
            _serve(
                options,
                plain_hosts,
                certificate,
                store,
                (announce, announce_page, announce_metrics, announce_irc),
                load,
            )
        )


def _warn_of_access(folder: Path) -> None:
    """Log what other users of this machine can do with the data. If all of them can change it, the store refuses it."""
    for file, bits in (folder, stat.S_IWGRP), (folder / "twotick.db", stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & bits:
            log.warning(
                "other users of this machine have access to the data",
                path=str(file),
                mode=f"{mode:04o}",
                remedy=f"chmod go-rwx {file}",
            )


async def _serve(
    options: ServerOptions,
    plain_hosts: list[str],
    certificate: Certificate | None,
    store: SqliteStore,
    announcing: tuple[
        Callable[[str, int, str | None], None], Callable[[str], None], Callable[[str], None], Callable[[str], None]
    ],
    load: Load | None,
) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(logs.report)
    push_key, offer = _push_offer(options, store)
    sharing = None if options.database is None else _sharing(options, store)
    server = Server(
        options.limits,
        store,
        options.sign_up,
        options.retention,
        clock_bound=options.clock_bound,
        settling=options.settling,
        device_age=options.device_age,
        push=offer,
        proxies=parse_networks(options.trusted_proxies) if options.proxy_protocol else (),
        sharing=sharing,
    )
    if push_key is not None:
        from twotick.server.web.push.start import make_sender

        exchange = server.exchange
        count = exchange.tally.note_push
        server.pusher = make_sender(options, push_key, exchange.pushes, server.ask, server.clock, count)
    from twotick.server.web.hooks.runner import make_runner
    from twotick.server.web.publish.delayed import DelayedSender

    server.hooks = make_runner(server, allow_local=options.allow_local_hooks)
    server.delayed = DelayedSender(server, lambda: server.exchange.neighbours.leads)
    server.mailer = _make_mailer(server, options)
    reloader = None if load is None else Reloader(server, options, certificate, load)
    observers = Observers(server, options, certificate, None if reloader is None else reloader.reload)
    stop = asyncio.Event()

    def stop_soon() -> None:
        if stop.is_set():
            server.hurry()
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop_soon)
    if certificate is not None:
        certificate.watch(server.use_certificate)
    _handle_hang_up(loop, stop, certificate, reloader)

    async def listen(hosts: list[str], port: int, setting: str, tls: ssl.SSLContext | None = None) -> list[Address]:
        try:
            return [await server.start_on(each, tls) for each in open_listeners(hosts, port)]
        except OSError as error:
            raise CannotListen(", ".join(hosts), port, setting) from error

    try:
        await _join_others(server)
        announced: list[tuple[Address, str | None]]
        announced = [(each, None) for each in await listen(plain_hosts, options.port, "port")]
        if certificate is not None:
            encrypted = await listen(split_hosts(options.host), options.tls_port, "tls_port", certificate.context)
            announced += [(each, certificate.fingerprint) for each in encrypted]
        urls, irc = await _start_page_and_irc(server, options, plain_hosts, certificate, observers)
        metrics = await _start(observers, options)
        announce, announce_page, announce_metrics, announce_irc = announcing
        for address, fingerprint in announced:
            announce(*address, fingerprint)
        for announce_each, found in ((announce_page, urls), (announce_irc, irc), (announce_metrics, metrics)):
            for each in found:
                announce_each(each)
        notify("READY=1")
        keep_watchdog(loop)
        await stop.wait()
    finally:
        notify("STOPPING=1")
        await server.stop()
        await observers.stop()


def _make_mailer(server: Server, options: ServerOptions) -> Mailer | None:
    """Return what tells members by e-mail what waits for them; None if the options name no mail server."""
    if options.mail is None:
        return None
    from twotick.server.digests.mailer import DigestMailer  # imported only by servers that send e-mail

    page = page_url(options)
    url = "" if page is None or page.is_local else page.url
    return DigestMailer(options.mail, server.ask, server.clock, lambda: server.exchange.neighbours.leads, url)


async def _start_page_and_irc(
    server: Server,
    options: ServerOptions,
    plain_hosts: list[str],
    certificate: Certificate | None,
    observers: Observers,
) -> tuple[list[str], list[str]]:
    """Serve the web page and IRC clients, if the options say so; return the URLs of the page, and where IRC is.

    Raises:
        CannotListen: the server cannot listen on a port.
    """
    if options.irc_port is None and options.irc_tls_port is None:
        return [] if not options.web else await start_page(server, options, plain_hosts, certificate, observers), []
    from twotick.server.irc_ports import IrcPorts  # imported only by servers with IRC
    from twotick.server.web.ports import PortTaken

    ports = IrcPorts(server, options, certificate)
    urls: list[str] = []
    if options.web:
        urls = await start_page(server, options, plain_hosts, certificate, observers, ports.make_web_socket)
    try:
        return urls, await ports.start(plain_hosts)
    except PortTaken as error:
        raise CannotListen(", ".join(error.hosts), error.port, error.setting) from error.__cause__


async def _start(observers: Observers, options: ServerOptions) -> list[str]:
    """Listen for the operator, and return the URLs of the metrics.

    Raises:
        CannotListen: the server cannot listen on the port for monitoring.
    """
    try:
        return await observers.start()
    except OSError as error:
        raise CannotListen(options.metrics_host, options.metrics_port or 0, "metrics_port") from error


def _sharing(options: ServerOptions, store: SqliteStore) -> tuple[ServerIdentity, Bus]:
    """Return which server this is among those that share the database, and the bus between them.

    Raises:
        OptionsError: the bus cannot be used.
    """
    try:
        bus = open_bus(options.bus or BusOptions(), f"twotick.{store.identity}")
    except BusError as error:
        raise OptionsError([str(error)]) from error
    where = f"{socket.gethostname()}:{options.port}"
    return ServerIdentity(store.run_number, version("twotick"), where, is_alone=options.bus is None), bus


async def _join_others(server: Server) -> None:
    """Connect with the other servers.

    Raises:
        OptionsError: the bus refuses this server.
    """
    try:
        await server.join_others()
    except BusError as error:
        raise OptionsError([str(error)]) from error


def _push_offer(options: ServerOptions, store: Store) -> tuple[PushKey | None, PushOffer | None]:
    """Return the key for pushing notifications, and what devices are told; None if the server does not push."""
    if not (options.web and options.push):
        return None, None
    from twotick.server.web.push.start import offer_of, stored_key  # imported only by servers that push

    key = stored_key(store)
    return key, None if key is None else offer_of(key, options)


def _handle_hang_up(
    loop: asyncio.AbstractEventLoop, stop: asyncio.Event, certificate: Certificate | None, reloader: Reloader | None
) -> None:
    """Let SIGHUP load the settings and the certificate again, and stop a server whose terminal is gone."""
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN  # as nohup asks
    had_terminal = _has_terminal()

    def hang_up() -> None:
        is_left_alone = not is_ignored and had_terminal and not _has_terminal()
        if reloader is not None and not is_left_alone:
            notify_reloading()
            reloader.reload()
            notify("READY=1")
        elif certificate is not None and not is_left_alone:
            certificate.reload()
        elif not is_ignored:
            stop.set()

    loop.add_signal_handler(signal.SIGHUP, hang_up)


def _has_terminal() -> bool:
    """Return whether this process has a terminal, which sends SIGHUP when it is closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


async def start_page(
    server: Server,
    options: ServerOptions,
    plain_hosts: list[str],
    certificate: Certificate | None,
    observers: Observers | None = None,
    make_irc: "MakeIrc | None" = None,
) -> list[str]:
    """Serve the web page, and return its URLs.

    Args:
        server: the server.
        options: its options.
        plain_hosts: where connections without encryption are accepted.
        certificate: its certificate; None if it has none.
        observers: what the operator's page asks; None if there is no such page.
        make_irc: returns the protocol of a WebSocket for IRC; None if there are none.

    Raises:
        CannotListen: the server cannot listen on a port that a setting names.
    """
    from twotick.server.web.ports import PortTaken, make_web, open_page_ports  # imported only by servers with a page

    web = make_web(server, options, certificate, make_irc)
    if observers is not None and server.authenticator is not None:
        from twotick.server.observing.archives import Archives  # imported only by servers with a page
        from twotick.server.observing.operating import OperatorPage

        archives = Archives(options.data, options.database)
        web.operating = OperatorPage(server, server.authenticator, observers.observer, archives).answer
    try:
        ports = open_page_ports(options, plain_hosts, certificate)
    except PortTaken as error:
        raise CannotListen(", ".join(error.hosts), error.port, error.setting) from error.__cause__
    for port in ports:
        tls = certificate.context if certificate is not None and port.encrypted else None
        for listening in port.sockets:
            await server.start_on(listening, tls, web)
    return [port.url for port in ports]
