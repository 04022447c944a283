"""A certificate authority of the tests' own, which speaks ACME: pebble, from Debian's package of that name."""

import json
import socket
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.store.postgres_server import free_port
from tests.tools import needed
from twotick.server.tls import make_certificate

_TRIES = 5


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
    config, log = folder / "pebble.json", folder / "pebble.log"
    quick = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    with ExitStack() as stack, log.open("wb") as said:
        for _ in range(_TRIES):  # another program may take a port that was free
            api, management, challenges, tls = (free_port() for _ in range(4))
            settings = {
                "listenAddress": f"127.0.0.1:{api}",
                "managementListenAddress": f"127.0.0.1:{management}",
                "certificate": str(certificate),
                "privateKey": str(key),
                "httpPort": challenges,
                "tlsPort": tls,
            }
            config.write_text(json.dumps({"pebble": settings}))
            command = [program, "-strict", "-config", str(config)]
            pebble = stack.enter_context(subprocess.Popen(command, stdout=said, stderr=said, env=quick))
            stack.callback(pebble.kill)
            if _listens(pebble, management) and _listens(pebble, api):
                break
        else:
            raise AssertionError(f"pebble has ended: {log.read_text()[-1000:]}")
        root = folder / "root.pem"
        root.write_bytes(_root(certificate, management))
        yield Authority(f"https://127.0.0.1:{api}/dir", challenges, {"SSL_CERT_FILE": str(certificate)}, root)


def _root(certificate: Path, port: int) -> bytes:
    context = ssl.create_default_context(cafile=certificate)
    with urllib.request.urlopen(f"https://127.0.0.1:{port}/roots/0", context=context) as found:
        return bytes(found.read())


def _listens(pebble: subprocess.Popen[bytes], port: int) -> bool:
    """Wait until an authority listens on a port. Return whether it does, and has not ended."""
    while pebble.poll() is None:
        with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return True
        time.sleep(0.01)
    return False
