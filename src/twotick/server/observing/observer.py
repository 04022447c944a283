"""Answers what the operator and programs for monitoring ask: is the server alive, is it ready, how is it."""

import asyncio
import os
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from twotick.exchange import Tally
from twotick.server.awaiting import stored_answer
from twotick.server.backups import Backups
from twotick.server.certificate import Certificate
from twotick.server.server import Server
from twotick.server.state import ServerState
from twotick.store import ReadTimes, StoreError
from twotick.wire import parser

_PATIENCE: Final = 5.0
"""Seconds in which a server that is ready gets an answer from its store, and from the disk."""

_STEP: Final = 10.0
_STEPS: Final = 7
"""Seconds between looks at how many messages there were, and how many looks are kept: those of a minute."""

_MOST_MET: Final = 20
"""The most users and limits in `status`."""

_GRAPH: Final = 360
_STEPS_OF_GRAPH: Final = 6
"""How many points the graph of the operator's page has, one a minute, and every how many steps one is added."""

COMPILED: Final = not str(parser.__file__).endswith(".py")


@dataclass(frozen=True, slots=True)
class DiskState:
    """How the data folder is.

    Attributes:
        database: the bytes of the database and its log.
        free: the bytes that are free on its disk.
    """

    database: int
    free: int


class Observer:
    """Looks at a server, from `start` on.

    Args:
        server: the server.
        data: its data folder; None if it keeps everything in memory.
        certificate: its certificate, if it has one.
        backups: makes its backups, if it is to make some.
        reserve: the bytes that it reserves on its disk.

    Attributes:
        graph: the last six hours: the time in seconds since 1970, the messages so far, the connections, and the
            requests that waited for the store.
    """

    def __init__(
        self, server: Server, data: Path | None, certificate: Certificate | None, backups: Backups | None, reserve: int
    ) -> None:
        self._backups = backups
        self._reserve = reserve
        self._server = server
        self._data = data
        self._certificate = certificate
        self._loop = asyncio.get_running_loop()
        self._messages: deque[tuple[float, int]] = deque(maxlen=_STEPS)
        self.graph: deque[tuple[float, int, int, int]] = deque(maxlen=_GRAPH)
        self._steps = 0
        self._checking: asyncio.Task[list[str]] | None = None

    def start(self) -> None:
        """Count messages from now on."""
        self._messages.append((self._loop.time(), self._count()))
        if self._steps % _STEPS_OF_GRAPH == 0:
            state = self.state
            self.graph.append((time.time(), self._count(), sum(state.connections.values()), state.waiting))
        self._steps += 1
        self._loop.call_later(_STEP, self.start)

    def _count(self) -> int:
        tally = self._server.exchange.tally
        return tally.accepted + tally.relayed

    @property
    def state(self) -> ServerState:
        """How the server is."""
        return self._server.state()

    @property
    def certificate_end(self) -> float | None:
        """When the certificate ends, in seconds since 1970; None if there is none."""
        return None if self._certificate is None else self._certificate.end

    @property
    def last_backup(self) -> float | None:
        """When the newest backup was made, in seconds since 1970; None if there is none."""
        return None if self._backups is None else self._backups.newest

    async def disk(self) -> DiskState | None:
        """Return how the data folder is; None if there is none, or it does not say."""
        if self._data is None:
            return None
        try:
            return await asyncio.wait_for(asyncio.to_thread(disk_state, self._data), _PATIENCE)
        except (OSError, TimeoutError):
            return None

    async def problems(self) -> list[str]:
        """Return why the server is not ready; nothing if it is. Those who ask at once share an answer."""
        if self._checking is None:
            self._checking = self._loop.create_task(self._look())
            self._checking.add_done_callback(self._looked)
        return await asyncio.shield(self._checking)

    def _looked(self, _task: asyncio.Task[list[str]]) -> None:
        self._checking = None

    async def _look(self) -> list[str]:
        state = self.state
        problems = ["the server is about to stop"] if state.stopping else []
        if state.disk_full:
            problems.append("the disk is full")
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._ask_store()
                if self._data is not None:
                    await asyncio.to_thread(_write, self._data)
        except TimeoutError:
            problems.append(f"the data did not answer within {_PATIENCE:.0f} s")
        except StoreError as error:
            problems.append(f"the data cannot be read: {error}")
        except OSError as error:
            problems.append(f"the data folder cannot be written: {error.strerror}")
        return problems

    async def _ask_store(self) -> None:
        """Wait until the store has carried out a request; raise StoreError if it cannot."""
        answer = await stored_answer(self._server.ask, ReadTimes())
        if isinstance(answer, StoreError):
            raise answer

    async def status(self) -> dict[str, Any]:
        """Return how the server is, for `twotick status`."""
        state, disk, problems = self.state, await self.disk(), await self.problems()
        tally = state.tally
        began, count = self._messages[0]
        kinds: dict[str, int] = {"member": 0, "guest": 0, "registering": 0}
        ways: dict[str, int] = {"socket": 0, "web": 0, "irc": 0}
        for (kind, way), number in state.connections.items():
            kinds[kind] += number
            ways[way] += number
        return {
            "version": version("twotick"),
            "compiled": COMPILED,
            "process": os.getpid(),
            "started": state.started,
            "uptime": time.time() - state.started,
            "ready": not problems,
            "problems": problems,
            "connections": {**kinds, "limit": state.most_connections, "by_transport": ways},
            "messages": {
                "accepted": tally.accepted,
                "delivered": tally.delivered,
                "failed": tally.failed,
                "relayed": tally.relayed,
                "per_second": (self._count() - count) / max(self._loop.time() - began, 1.0),
            },
            "refusals": tally.refusals,
            "logins": tally.logins,
            "pushes": tally.pushes,
            "met_limits": _met(tally),
            "queue": {"requests": state.waiting, "bytes": state.queued_bytes},
            "held_bytes": state.held_bytes,
            "disk_full": state.disk_full,
            "disk_nearly_full": not state.disk_full and disk is not None and disk.free < 4 * self._reserve,
            "database_bytes": None if disk is None else disk.database,
            "disk_free_bytes": None if disk is None else disk.free,
            "certificate_end": self.certificate_end,
            "mail": None if self._server.mailer is None else self._server.mailer.state(),
            "backup": None if self._backups is None else _backup(self._backups),
        }


def _backup(backups: Backups) -> dict[str, Any]:
    return {"newest": backups.newest, "every": backups.every, "busy": backups.busy}


def _met(tally: Tally) -> list[dict[str, Any]]:
    """Return who has met limits, those with the most first."""
    found = sorted(tally.met.items(), key=lambda item: item[1], reverse=True)[:_MOST_MET]
    return [{"who": who, "limit": limit, "times": times, "last": last} for (who, limit), (times, last) in found]


def disk_state(data: Path) -> DiskState:
    """Return how a data folder is.

    Raises:
        OSError: it cannot be looked at.
    """
    sizes = [file.stat().st_size for file in data.glob("twotick.db*")]
    found = os.statvfs(data)
    return DiskState(sum(sizes), found.f_bavail * found.f_frsize)


def _write(data: Path) -> None:
    """Write to the disk of a data folder, in a file that is gone at once."""
    with tempfile.TemporaryFile(dir=data) as file:
        file.write(b"ready?")
        file.flush()
