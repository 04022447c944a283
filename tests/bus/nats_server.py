"""A NATS server of the tests' own; it ends with the test and keeps nothing."""

import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.tools import needed


class NatsServer:
    """A NATS server that can be killed, and started again at the same port.

    Attributes:
        port: its port.
    """

    def __init__(self, folder: Path, config: str = "") -> None:
        program = needed("nats-server", "apt-get install nats-server")
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = int(found.getsockname()[1])
        file = folder / f"nats-{self.port}.conf"
        file.write_text(config)
        self._command = [program, "-c", str(file), "-a", "127.0.0.1", "-p", str(self.port)]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            assert self._process.poll() is None, "nats-server has ended"
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", self.port)) as found:
                assert found.recv(4) == b"INFO"
                return
            time.sleep(0.01)

    @property
    def processes(self) -> list[int]:
        """Its process; none if it does not run."""
        return [] if self._process is None else [self._process.pid]

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextmanager
def running(folder: Path, config: str = "") -> Generator[NatsServer]:
    server = NatsServer(folder, config)
    server.start()
    try:
        yield server
    finally:
        server.kill()
