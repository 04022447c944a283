"""A server on another machine: a host name that is not this machine's, with a certificate of its own."""

import random
import socket
import socketserver
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import dns.message
import dns.rcode
import dns.rrset
import pytest

from tests.cli.commands import Started, started
from tests.cli.operating import Operator
from tests.machines.sitecustomize import configure_resolver, lookup
from twotick.server.tls import make_certificate

HOST = "chat.example"
"""The name of the machine."""

FOLDER = Path(__file__).parent


def new_address() -> str:
    """Return an address of this machine that no other test uses, so that every port is free there."""
    return f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.{random.randint(1, 254)}"


class _Question(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        server = self.server
        assert isinstance(server, NameServer)
        data, endpoint = self.request
        asked = dns.message.from_wire(data)
        server.asked.append(str(asked.question[0].name))
        if server.records is None:
            return
        answer = dns.message.make_response(asked)
        if server.records:
            answer.answer.append(dns.rrset.from_text(asked.question[0].name, 60, "IN", "SRV", *server.records))
        else:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        endpoint.sendto(answer.to_wire(), self.client_address)


class NameServer(socketserver.UDPServer):
    """A DNS server.

    Attributes:
        records: the SRV records, as text, with which it answers every question; None if it answers nothing.
        asked: the names that it was asked for.
    """

    def __init__(self, records: list[str] | None) -> None:
        super().__init__(("127.0.0.1", 0), _Question)
        self.records = records
        self.asked: list[str] = []

    @property
    def port(self) -> int:
        return self.server_address[1]


@contextmanager
def name_server(*records: str, silent: bool = False) -> Generator[NameServer]:
    """Run a DNS server."""
    with NameServer(None if silent else list(records)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def see_machines(monkeypatch: pytest.MonkeyPatch, hosts: dict[str, str], dns_port: int) -> None:
    """Let this process see other machines."""
    monkeypatch.setattr(socket, "getaddrinfo", lookup(hosts))
    monkeypatch.setattr("dns.resolver.BaseResolver.read_resolv_conf", configure_resolver(dns_port))


class Machine(Operator):
    """A machine with a server.

    Attributes:
        address: its address.
        dns: its DNS server.
        fingerprint: that of its certificate.
    """

    def __init__(self, folder: Path, dns: NameServer, **settings: str) -> None:
        super().__init__(folder / "server", **settings)
        self.address = new_address()
        self.dns = dns
        self._folder = folder
        certificate, key, self.fingerprint = make_certificate(folder / "tls", [HOST], 10)
        self.settings |= {"HOST": self.address, "TLS_CERTIFICATE": str(certificate), "TLS_KEY": str(key)}

    @contextmanager
    def running(self, *, port: int = 18000, tls_port: int = 18443) -> Generator[Started]:
        """Run the server, by default on the usual ports."""
        self.settings["TLS_PORT"] = str(tls_port)
        with started("serve", "--port", str(port), env=self.environment) as server:
            for _ in range(2 if "TLS_KEY" in self.settings else 1):
                assert server.line().startswith("listening ")
            yield server

    def user(self, name: str) -> "Visitor":
        """Return a user with a home of their own, on a machine that sees this one."""
        return Visitor(self._folder / name, self)


class Visitor(Operator):
    """A user of another machine, who has set nothing."""

    def __init__(self, home: Path, machine: Machine) -> None:
        super().__init__(home / "data")
        self._home = home
        self._machine = machine

    @property
    def variables(self) -> dict[str, str]:
        """The variables of the user's programs."""
        return {
            "HOME": str(self._home),
            "TWOTICK_KEYRING": "no",
            "PYTHONPATH": str(FOLDER),
            "TEST_HOSTS": f"{HOST}={self._machine.address}",
            "TEST_DNS": str(self._machine.dns.port),
        }

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, **self.variables}

    def tell(self, *arguments: str, stdin: bytes = b"", status: int = 0) -> tuple[str, str]:
        """Run a command that must end with this status; return what it wrote to both streams."""
        ended = self.run(*arguments, stdin=stdin)
        assert ended.returncode == status, ended
        return ended.stdout, ended.stderr


@contextmanager
def machine(folder: Path, *records: str, **settings: str) -> Generator[Machine]:
    """Make a machine whose server is not yet running.

    Args:
        folder: for its data, and for the homes of its users.
        records: the SRV records of its DNS.
        settings: of the server.
    """
    with name_server(*records) as dns_server:
        yield Machine(folder, dns_server, **settings)
