"""The listeners of a server for its operator."""

import socket
from collections.abc import Callable
from dataclasses import asdict

from twotick.server.backups import Backups
from twotick.server.certificate import Certificate
from twotick.server.listening import open_listeners, split_hosts
from twotick.server.observing.listener import (
    Listener,
    Reply,
    close_control,
    health_routes,
    json_reply,
    metrics_routes,
    open_control,
)
from twotick.server.observing.observer import Observer
from twotick.server.options import ServerOptions, bracketed
from twotick.server.reloading import Reloaded
from twotick.server.server import Server


class Observers:
    """The port for monitoring, if the options ask for it, and the socket for the commands.

    Args:
        server: the server.
        options: its options.
        certificate: its certificate, if it has one.
        reload: loads the settings again; None if there are none.

    Attributes:
        observer: knows how the server is.
    """

    def __init__(
        self,
        server: Server,
        options: ServerOptions,
        certificate: Certificate | None,
        reload: Callable[[], Reloaded] | None,
    ) -> None:
        self._options = options
        self._reload = reload
        self._backups: Backups | None = None
        if options.backup_folder is not None and options.data is not None:
            self._backups = Backups(options.data, options.backup_folder, options.backup_every, options.backup_keep)
        self.observer = self._observer = Observer(
            server, options.data, certificate, self._backups, options.store_limits.reserve_bytes
        )
        self._listeners: list[Listener] = []
        self._control: list[socket.socket] = []

    async def start(self) -> list[str]:
        """Listen, and return the URLs of the metrics.

        Raises:
            OSError: the server cannot listen on the port for monitoring.
        """
        options = self._options
        urls: list[str] = []
        self._observer.start()
        if self._backups is not None:
            self._backups.start()
        health = health_routes(self._observer)
        if options.metrics_port is not None:
            sockets = open_listeners(split_hosts(options.metrics_host), options.metrics_port)
            self._listeners.append(Listener({**health, **metrics_routes(self._observer)}))
            await self._listeners[-1].start(sockets)
            names = [each.getsockname()[:2] for each in sockets]
            urls = [f"http://{bracketed(host)}:{port}/metrics" for host, port in names]
        if options.control is not None:
            routes = {**health, "GET /status": self._status, "POST /reload": self._reload_now}
            self._listeners.append(Listener(routes))
            self._control = open_control(options.control)
            await self._listeners[-1].start(self._control)
        return urls

    async def _status(self) -> Reply:
        return json_reply(await self._observer.status())

    async def _reload_now(self) -> Reply:
        if self._reload is None:
            return json_reply({"problems": ["this server has no settings to load"]}, 409)
        done = self._reload()
        return json_reply(asdict(done), 409 if done.problems else 200)

    async def stop(self) -> None:
        """Listen no more, and make no more backups."""
        if self._backups is not None:
            await self._backups.stop()
        for listener in self._listeners:
            listener.stop()
        if self._options.control is not None and self._control:
            close_control(self._options.control)
