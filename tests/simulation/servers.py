"""Server processes on one database, each with cables of its own to PostgreSQL and NATS."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Final

from tests.simulation.cables import Cable
from tests.simulation.patroni import signal_all
from tests.store.postgres_server import free_port

_PROGRAM: Final = (sys.executable, "-m", "twotick")


class OneServer:
    """A server process that is started again whenever it ends, as systemd does with `Restart=always`.

    Args:
        folder: a folder for its log.
        databases: the ports of the PostgreSQL.
        bus: the port of NATS; None for none.
        database: the name of the database.

    Attributes:
        port: its port.
        serves: set while it accepts connections.
        databases: its cables to the PostgreSQL.
        buses: its cables to NATS.
    """

    def __init__(self, folder: Path, databases: list[int], bus: int | None, database: str = "twotick") -> None:
        self.port = free_port()
        self.serves = asyncio.Event()
        self.databases = [Cable(port) for port in databases]
        self.buses = [] if bus is None else [Cable(bus)]
        self.log = folder / f"server-{self.port}.log"
        self._folder = folder
        self._database = database
        self._process: asyncio.subprocess.Process | None = None

    def _environment(self) -> dict[str, str]:
        hosts = ",".join(f"127.0.0.1:{each.port}" for each in self.databases)
        given = {
            "TWOTICK_DATABASE": f"postgresql://postgres@{hosts}/{self._database}",
            "TWOTICK_DATA": str(self._folder / f"data-{self.port}"),
            "HOME": str(self._folder),
            "TWOTICK_KEYRING": "no",
            "PYTHONFAULTHANDLER": "yes",
        }
        if self.buses:
            given["TWOTICK_BUS"] = f"nats://127.0.0.1:{self.buses[0].port}"
        return {**os.environ, **given}

    async def run(self) -> None:
        """Run the process for ever; end it when this is cancelled."""
        for cable in (*self.databases, *self.buses):
            await cable.start()
        try:
            while True:
                with self.log.open("ab") as log:
                    self._process = await asyncio.create_subprocess_exec(
                        *(*_PROGRAM, "serve", "--port", str(self.port), "--no-web"),
                        env=self._environment(),
                        stdout=asyncio.subprocess.PIPE,
                        stderr=log,
                    )
                assert self._process.stdout is not None
                if await self._process.stdout.readline():
                    self.serves.set()
                await self._process.wait()
                self.serves.clear()
                await asyncio.sleep(0.2)
        finally:
            self.kill()
            if self._process is not None:
                await self._process.wait()
            for cable in (*self.databases, *self.buses):
                await cable.close()

    @property
    def processes(self) -> list[int]:
        """Its process; none if it does not run."""
        return [] if self._process is None or self._process.returncode is not None else [self._process.pid]

    def kill(self) -> None:
        """End the process as a machine that fails does."""
        self.serves.clear()
        signal_all(self.processes, signal.SIGKILL)
        signal_all(self.processes, signal.SIGCONT)

    async def tail(self) -> str:
        """End the process; return the end of its log, which then says what each of its threads was at."""
        ended = self._process
        signal_all(self.processes, signal.SIGABRT)
        if ended is not None:
            await ended.wait()
        return self.log.read_text(errors="replace")[-6000:] if self.log.exists() else ""
