"""Three PostgreSQL under Patroni with three etcd, on this machine: a database that survives the loss of any of them."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.store.postgres_server import free_port, programs

NODES: Final = 3

_PATIENCE: Final = 120.0
"""Seconds in which the cluster must have found a primary and its standbys again."""

DCS: Final[dict[str, Any]] = {
    "ttl": 20,
    "loop_wait": 1,
    "retry_timeout": 3,
    "maximum_lag_on_failover": 0,
    "synchronous_mode": "quorum",
    "synchronous_mode_strict": True,
    "primary_start_timeout": 0,
    "failsafe_mode": True,
    "postgresql": {
        "use_pg_rewind": True,
        "parameters": {
            "synchronous_commit": "on",
            "wal_log_hints": "on",
            "max_connections": 80,
            "shared_buffers": "32MB",
            "wal_keep_size": "64MB",
            "max_wal_size": "128MB",
            "tcp_keepalives_idle": 5,
            "tcp_keepalives_interval": 5,
            "tcp_keepalives_count": 2,
        },
    },
}
"""The settings of deploy/patroni.yml, which a test compares with these, and others that make it small."""


class PatroniCluster:
    """The cluster.

    Args:
        folder: an empty folder, which a user other than root may enter.
        patroni: Patroni's program.
        disk: the bytes of a file system of its own for each node; None for none. Needs the rights of root.

    Attributes:
        ports: the ports of the three PostgreSQL.
    """

    def __init__(self, folder: Path, patroni: Path, disk: int | None = None) -> None:
        self._folder = folder
        self._patroni = patroni
        self._programs = programs()
        self.ports = [free_port() for _ in range(NODES)]
        self._rest = [free_port() for _ in range(NODES)]
        self._etcd = [free_port() for _ in range(NODES)]
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._mounted: list[Path] = []
        self._as_user: list[str] = []
        if os.getuid() == 0:  # which PostgreSQL refuses to run as
            shutil.chown(folder, "nobody")
            self._as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
        for number in range(NODES):
            self._make_node(number, disk)
        self._start_etcd()

    def _make_node(self, number: int, disk: int | None) -> None:
        node = self._node(number)
        node.mkdir()
        if disk is not None:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={disk}", "tmpfs", str(node)], check=True)
            self._mounted.append(node)
        if os.getuid() == 0:
            shutil.chown(node, "nobody")
        here = f"127.0.0.1:{self._rest[number]}"
        database = f"127.0.0.1:{self.ports[number]}"
        users = {name: {"username": name, "password": "x"} for name in ("replication", "rewind")}
        config = {
            "scope": "twotick",
            "name": f"n{number}",
            "restapi": {"listen": here, "connect_address": here},
            "etcd3": {"hosts": [f"127.0.0.1:{port}" for port in self._etcd]},
            "bootstrap": {"dcs": DCS, "initdb": [{"encoding": "UTF8"}, {"locale": "C"}, "data-checksums", "no-sync"]},
            "postgresql": {
                "listen": database,
                "connect_address": database,
                "data_dir": str(node / "data"),
                "bin_dir": str(self._programs),
                "pgpass": str(node / "pgpass"),
                "pg_hba": [
                    "local all all trust",
                    "host all all 127.0.0.1/32 trust",
                    "host replication all 127.0.0.1/32 trust",
                ],
                "authentication": {"superuser": {"username": "postgres", "password": "x"}, **users},
                "parameters": {"unix_socket_directories": str(self._folder)},
            },
        }
        self._config(number).write_text(json.dumps(config))  # which is YAML as well

    def _node(self, number: int) -> Path:
        return self._folder / f"node{number}"

    def _config(self, number: int) -> Path:
        return self._folder / f"patroni{number}.yml"

    def _spawn(self, name: str, command: list[str]) -> None:
        with (self._folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                [*self._as_user, *command],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={
                    **os.environ,
                    "HOME": str(self._folder),
                    "LC_ALL": "C",
                    "ETCD_UNSUPPORTED_ARCH": os.uname().machine,
                },
            )

    def _start_etcd(self) -> None:
        peers = [free_port() for _ in range(NODES)]
        self._etcd_commands: list[list[str]] = []
        for number in range(NODES):
            client, peer = (f"http://127.0.0.1:{each[number]}" for each in (self._etcd, peers))
            command = ["etcd", "--name", f"e{number}", "--data-dir", str(self._folder / f"etcd{number}")]
            command += ["--listen-client-urls", client, "--advertise-client-urls", client]
            command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
            command += [
                "--initial-cluster",
                ",".join(f"e{each}=http://127.0.0.1:{port}" for each, port in enumerate(peers)),
            ]
            command += ["--log-level", "error", "--heartbeat-interval", "200", "--election-timeout", "2000"]
            self._etcd_commands.append([*command, "--unsafe-no-fsync"])
            self.start_etcd(number)

    # What is asked

    def _ask(self, url: str, content: dict[str, Any] | None = None, seconds: float = 2.0) -> Any:
        data = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=seconds) as answer:
            text = answer.read()
        return json.loads(text) if text.startswith(b"{") else text

    def members(self) -> list[dict[str, Any]]:
        """Return the state of each node, as Patroni says it; nothing if none of them answers."""
        for port in self._rest:
            with contextlib.suppress(OSError, ValueError):
                return list(self._ask(f"http://127.0.0.1:{port}/cluster")["members"])
        return []

    def _in_role(self, *roles: str) -> list[int]:
        live = [each for each in self.members() if each["state"] in ("running", "streaming")]
        return [int(each["name"][1:]) for each in live if each["role"] in roles]

    def leader(self) -> int:
        """Return the node that is the primary, as soon as there is one."""
        found = self._until(lambda: self._in_role("leader"))
        return found[0]

    def synchronous(self) -> list[int]:
        """Return the nodes that are synchronous standbys."""
        return self._in_role("quorum_standby", "sync_standby")

    def wait(self, standbys: int = NODES - 1) -> None:
        """Wait until there is a primary and so many synchronous standbys."""
        self._until(lambda: self._in_role("leader") and len(self.synchronous()) >= standbys)

    def _until(self, found: Callable[[], Any]) -> Any:
        until = time.monotonic() + _PATIENCE
        while not (result := found()):
            if time.monotonic() > until:
                raise TimeoutError(f"the database has no primary with its standbys: {self.members()}")
            time.sleep(0.2)
        return result

    def describe(self) -> str:
        """Return how the nodes are, what their processes do, and what Patroni has said last."""
        shown = subprocess.run(["ps", "-eo", "pid,ppid,etimes,args"], capture_output=True, text=True, check=True)
        parts = [*map(str, self.members())]
        parts += [line for line in shown.stdout.splitlines() if " postgres: twotick: " in line]
        with contextlib.suppress(OSError):  # not every system has this program
            sockets = subprocess.run(["ss", "-Htnp"], capture_output=True, text=True, check=False)
            parts += [line for line in sockets.stdout.splitlines() if line.split()[1:3] != ["0", "0"]]
        for number in range(NODES):
            log = (self._folder / f"patroni{number}.log").read_text(errors="replace")
            parts.append(f"--- the log of node {number}\n{log[-3000:]}")
        return "\n".join(parts)

    def etcd_leader(self) -> int:
        """Return which etcd leads."""
        return self._until(self._etcd_leaders)[0]

    def _etcd_leaders(self) -> list[int]:
        found: list[int] = []
        for number, port in enumerate(self._etcd):
            with contextlib.suppress(OSError, ValueError):
                state = self._ask(f"http://127.0.0.1:{port}/v3/maintenance/status", {})
                if state["leader"] == state["header"]["member_id"]:
                    found.append(number)
        return found

    # What is done to it

    def start_etcd(self, number: int) -> None:
        """Start an etcd."""
        self._spawn(f"etcd{number}", self._etcd_commands[number])

    def start_node(self, number: int) -> None:
        """Start a node: Patroni, which starts PostgreSQL."""
        self._spawn(f"patroni{number}", [str(self._patroni), str(self._config(number))])

    def etcd_process(self, number: int) -> list[int]:
        """Return the process of an etcd."""
        return [self._processes[f"etcd{number}"].pid]

    def postgres_processes(self, number: int) -> list[int]:
        """Return the processes of a node's PostgreSQL, the first of them first; none if it does not run."""
        try:
            first = int((self._node(number) / "data/postmaster.pid").read_text().split()[0])
            children = Path(f"/proc/{first}/task/{first}/children").read_text()
        except (OSError, ValueError, IndexError):
            return []
        return [first, *map(int, children.split())]

    def node_processes(self, number: int) -> list[int]:
        """Return all processes of a node."""
        return [self._processes[f"patroni{number}"].pid, *self.postgres_processes(number)]

    def forget_node(self, number: int) -> None:
        """Wait until a node's Patroni has ended, which was killed."""
        self._processes.pop(f"patroni{number}").wait()

    def forget_etcd(self, number: int) -> None:
        """Wait until an etcd has ended, which was killed."""
        self._processes.pop(f"etcd{number}").wait()

    def switch_over(self) -> None:
        """Make another node the primary, in good order."""
        leader = self.leader()
        url = f"http://127.0.0.1:{self._rest[leader]}/switchover"
        self._ask(url, {"leader": f"n{leader}", "candidate": f"n{self.synchronous()[0]}"}, seconds=60.0)

    def fill_disk(self, number: int) -> Path:
        """Fill the disk of a node, and return the file to remove afterwards."""
        filler = self._node(number) / "filler"
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1 << 16))
        return filler

    def stop(self) -> None:
        """End everything."""
        for number in range(NODES):
            signal_all(self.postgres_processes(number), signal.SIGCONT)
        for process in self._processes.values():
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait()
        for number in range(NODES):
            signal_all(self.postgres_processes(number)[:1], signal.SIGQUIT)
        for number in range(NODES):
            deadline = time.monotonic() + 20
            while self.postgres_processes(number) and time.monotonic() < deadline:
                time.sleep(0.1)
        for node in self._mounted:
            subprocess.run(["umount", "--lazy", str(node)], check=False)


def signal_all(processes: list[int], number: signal.Signals) -> None:
    """Send a signal to processes, of which some may have ended."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)
