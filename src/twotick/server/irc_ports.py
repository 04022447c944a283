"""Where IRC clients connect: ports of their own, and WebSockets on the ports of the page (docs/irc.md)."""

import ssl
from typing import Any

from twotick.server.certificate import Certificate
from twotick.server.connection import SocketConnection
from twotick.server.irc import IrcConnection, IrcGateway
from twotick.server.listening import open_listeners, split_hosts
from twotick.server.options import ServerOptions, bracketed
from twotick.server.server import Server
from twotick.server.web.frames import BINARY, NORMAL, PONG, TEXT, FrameDecoder, close_frame, frame
from twotick.server.web.gate import Visitor
from twotick.server.web.ports import PortTaken


class IrcWebSocket(IrcConnection):
    """A connection of an IRC client whose lines are messages of a WebSocket.

    Args:
        gateway: the gateway.
        host: the server.
        visitor: who has opened it.
        is_text: whether the messages that it writes are text.
    """

    __slots__ = ("_code", "_decoder", "_encrypted", "_opcode")

    def __init__(self, gateway: IrcGateway, host: Server, visitor: Visitor, *, is_text: bool) -> None:
        super().__init__(gateway, host, visitor.address)
        self._encrypted = visitor.encrypted or None
        self._decoder = FrameDecoder(of_lines=True)
        self._opcode = TEXT if is_text else BINARY
        self._code = NORMAL

    @property
    def admitted(self) -> bool:
        """True: it was counted when it began with HTTP."""
        return True

    def get_extra_info(self, name: str) -> Any:
        """Return what is known about the client's connection, which behind a proxy is not the socket's."""
        return self._encrypted if name == "ssl_object" else super().get_extra_info(name)

    def handle(self, data: bytes) -> None:
        """Handle bytes whose turn it is."""
        decoder = self._decoder
        lines = decoder.feed(data)
        if lines:
            super().handle(lines)
        if decoder.ping is not None:
            if self.connection.window:  # otherwise the client does not read, and answers would pile up
                self.transport.write(frame(PONG, decoder.ping))
            decoder.ping = None
        if decoder.failure is not None:
            self.explain(*decoder.failure)
        if decoder.failure is not None or decoder.closed is not None:
            self.ended = True
            self._host.exchange.finish(self.connection)
            self._host.flush_soon()

    def write_lines(self, lines: list[bytes]) -> None:
        """Write lines, each as a message."""
        self.transport.write(b"".join(frame(self._opcode, line.removesuffix(b"\r\n")) for line in lines))

    def explain(self, code: int, reason: str) -> None:
        """Note why the connection is about to be closed."""
        super().explain(code, reason)
        self._code = code

    def say_goodbye(self) -> None:
        """Write what comes last."""
        super().say_goodbye()
        self.transport.write(close_frame(self._code, ""))


class IrcPorts:
    """The ways in for IRC clients.

    Args:
        server: the server.
        options: its options, which say that there is IRC.
        certificate: its certificate; None if it has none.
    """

    def __init__(self, server: Server, options: ServerOptions, certificate: Certificate | None) -> None:
        self._server = server
        self._options = options
        self._certificate = certificate
        self._gateway = IrcGateway(server, options, [] if certificate is None else certificate.names)

    def make_web_socket(self, visitor: Visitor, is_text: bool) -> SocketConnection:
        """Return the protocol of a WebSocket for IRC."""
        return IrcWebSocket(self._gateway, self._server, visitor, is_text=is_text)

    async def start(self, plain_hosts: list[str]) -> list[str]:
        """Listen for IRC clients, and return where.

        Args:
            plain_hosts: where connections without encryption are accepted.

        Raises:
            PortTaken: a port cannot be listened on.
        """
        options, certificate = self._options, self._certificate
        found: list[str] = []
        if options.irc_port is not None:
            found += await self._listen(plain_hosts, options.irc_port, "irc_port", None)
        if options.irc_tls_port is not None and certificate is not None:
            hosts = split_hosts(options.host)
            encrypted = await self._listen(hosts, options.irc_tls_port, "irc_tls_port", certificate.context)
            found += [f"{each} with TLS" for each in encrypted]
        return found

    async def _listen(self, hosts: list[str], port: int, setting: str, tls: ssl.SSLContext | None) -> list[str]:
        try:
            started = [await self._server.start_on(each, tls, self._gateway) for each in open_listeners(hosts, port)]
        except OSError as error:
            raise PortTaken(hosts, port, setting) from error
        return [f"{bracketed(host)}:{number}" for host, number in started]
