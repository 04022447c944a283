"""A certificate authority of the tests' own, which speaks ACME: pebble, from Debian's package of that name."""

import json
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.store.postgres_server import free_port
from tests.tools import needed
from twotick.server.tls import make_certificate


@dataclass(frozen=True)
class Authority:
    """An authority.

    Attributes:
        directory: the URL of its directory.
        port: where it looks for the answers to its challenges.
        trust: variables with which its own address is trusted.
        root: a file with the certificate to trust what it issues.
    """

    directory: str
    port: int
    trust: dict[str, str]
    root: Path


@contextmanager
def running(folder: Path) -> Generator[Authority]:
    """An authority that keeps nothing, and takes a name for this machine's if the system does."""
    program = needed("pebble", "apt-get install -y pebble")
    certificate, key, _ = make_certificate(folder / "pebble", ["127.0.0.1"], 3)
    api, management, challenges = free_port(), free_port(), free_port()
    config = folder / "pebble.json"
    config.write_text(
        json.dumps(
            {
                "pebble": {
                    "listenAddress": f"127.0.0.1:{api}",
                    "managementListenAddress": f"127.0.0.1:{management}",
                    "certificate": str(certificate),
                    "privateKey": str(key),
                    "httpPort": challenges,
                    "tlsPort": free_port(),
                }
            }
        )
    )
    quick = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    log = (folder / "pebble.log").open("wb")
    with (
        log,
        subprocess.Popen([program, "-strict", "-config", str(config)], stdout=log, stderr=log, env=quick) as pebble,
    ):
        try:
            root = folder / "root.pem"
            root.write_bytes(_root(pebble, certificate, management))
            _wait_for(pebble, api)
            trust = {"SSL_CERT_FILE": str(certificate)}
            yield Authority(f"https://127.0.0.1:{api}/dir", challenges, trust, root)
        finally:
            pebble.kill()


def _root(pebble: subprocess.Popen[bytes], certificate: Path, port: int) -> bytes:
    _wait_for(pebble, port)
    context = ssl.create_default_context(cafile=certificate)
    with urllib.request.urlopen(f"https://127.0.0.1:{port}/roots/0", context=context) as found:
        return bytes(found.read())


def _wait_for(pebble: subprocess.Popen[bytes], port: int) -> None:
    while True:
        assert pebble.poll() is None, "pebble has ended"
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
