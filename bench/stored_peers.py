"""The servers that keep messages on the disk, each with what it needs to keep them.

All else is as it is installed. Each has a private process and a folder of its own, which is gone afterwards.
"""

import dataclasses
import os
import pwd
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from peers import MOSQUITTO, NATS, PLAIN, TWOTICK, version_of
from servers import MeasurementError, Program, free_port, installed

from twotick.server.secrets import token_digest
from twotick.store import AddMember, AddToken, Member, SqliteStore, StoreLimits

SENDERS = 50
"""Each sends to a recipient of its own, who is away: s0 to r0, s1 to r1 and so on."""

# Started by root it would become a user who may not write into the folder.
_MOSQUITTO_CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
user root
max_queued_messages 0
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
"""

_RABBITMQ_CONFIG = """\
listeners.tcp.1 = 127.0.0.1:{port}
log.console = true
log.console.level = error
log.file = false
"""

_RABBITMQ = Path("/usr/lib/rabbitmq")

_POSTGRES_SETTINGS = {"fsync": "on", "synchronous_commit": "on", "listen_addresses": "127.0.0.1"}
_POSTGRES_USER = "postgres"


@dataclass(frozen=True)
class StoredPeer:
    """A server that stores messages.

    Attributes:
        program: how it is started.
        protocol: how the load sends to it, as it is given to the load's --protocol.
        waiting: how the load takes what is stored; None if that is not compared.
    """

    program: Program
    protocol: str
    waiting: str | None


def temporary_files() -> str:
    """Where the servers' folders are, and on what.

    Raises:
        MeasurementError: it is not a disk.
    """
    folder = tempfile.gettempdir()
    command = [
        installed("findmnt", "util-linux"),
        "--noheadings",
        "--output",
        "FSTYPE,SOURCE,OPTIONS",
        "--target",
        folder,
    ]
    kind, source, options = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split(maxsplit=2)
    if kind in ("tmpfs", "ramfs"):
        raise MeasurementError(f"{folder} is in memory: set TMPDIR to a folder on a disk")
    return f"{folder}: {kind} on {source} ({options.strip()})"


def _twotick_command(port: int, folder: Path) -> list[str]:
    data = folder / "data"
    with closing(SqliteStore(data, StoreLimits())) as store:
        for name in (f"{side}{number}" for side in "sr" for number in range(SENDERS)):
            (member,) = store.apply([AddMember(name, "", time.time())])
            assert isinstance(member, Member)
            # A token that the load knows, because a password takes both of them long.
            store.apply([AddToken(member.number, "bench", token_digest(f"tt_{name}"), time.time())])
    return [sys.executable, "-m", "twotick", "serve", "--port", str(port), "--data", str(data)]


def _jetstream_command(port: int, folder: Path) -> list[str]:
    server, config = installed("nats-server"), folder / "nats.conf"
    for sync in (", sync_interval: always", ""):  # the first is known since 2.10
        config.write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/data"{sync} }}\n')
        if subprocess.run([server, "-t", "-c", str(config)], capture_output=True, check=False).returncode == 0:
            break
    return [server, "-c", str(config)]


# epmd, by which nodes of Erlang find each other, is started here to end with the rest: RabbitMQ would leave it behind.
def _rabbitmq_command(port: int, folder: Path) -> list[str]:
    (folder / "rabbitmq.conf").write_text(_RABBITMQ_CONFIG.format(port=port))
    (folder / "enabled_plugins").touch()
    _rabbitmq_version()
    return ["sh", "-c", f"{installed('epmd', 'erlang-base')} & exec {_RABBITMQ}/bin/rabbitmq-server"]


def _rabbitmq_environment(folder: Path) -> dict[str, str]:
    return {
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(free_port()),
        "HOME": str(folder),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
        "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_LOG_BASE": str(folder / "logs"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_NODENAME": "bench@localhost",
    }


def _rabbitmq_version() -> str:
    for folder in _RABBITMQ.glob("lib/rabbitmq_server-*"):
        return folder.name.rpartition("-")[2]
    raise MeasurementError("RabbitMQ is not installed (apt-get install rabbitmq-server)")


def _mosquitto_command(port: int, folder: Path) -> list[str]:
    config = folder / "mosquitto.conf"
    config.write_text(_MOSQUITTO_CONFIG.format(port=port, folder=folder))
    return [installed("mosquitto"), "-c", str(config)]


def _postgres_program(name: str) -> str:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    if not versions:
        raise MeasurementError("PostgreSQL is not installed (apt-get install postgresql)")
    return str(versions[-1] / name)


def _postgres_command(port: int, folder: Path) -> list[str]:
    data = folder / "data"
    data.mkdir()
    unprivileged: list[str] = []
    if os.geteuid() == 0:  # as which it refuses to run
        user = pwd.getpwnam(_POSTGRES_USER)
        folder.chmod(0o711)
        os.chown(data, user.pw_uid, user.pw_gid)
        unprivileged = [installed("setpriv"), f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    make = [_postgres_program("initdb"), f"--pgdata={data}", "--username=bench", "--auth=trust", "--no-sync"]
    made = subprocess.run([*unprivileged, *make], capture_output=True, text=True, check=False, cwd="/")
    if made.returncode != 0:
        raise MeasurementError(f"initdb: {made.stderr.strip()[-500:]}")
    settings = [f"--{name}={value}" for name, value in _POSTGRES_SETTINGS.items()]
    settings += [f"--port={port}", f"--unix_socket_directories={data}"]
    return [*unprivileged, _postgres_program("postgres"), "-D", str(data), *settings]


def _postgres_version() -> str:
    return version_of(_postgres_program("postgres"), "--version")


PEERS = {
    "twotick": StoredPeer(dataclasses.replace(TWOTICK, command=_twotick_command), "stored", "waiting"),
    "plain": StoredPeer(dataclasses.replace(PLAIN, command=_twotick_command), "stored", "waiting"),
    "jetstream": StoredPeer(
        Program("nats-server, JetStream", _jetstream_command, NATS.version, NATS.package),
        "jetstream",
        "jetstream-waiting",
    ),
    "rabbitmq": StoredPeer(
        Program("RabbitMQ", _rabbitmq_command, _rabbitmq_version, "rabbitmq-server", _rabbitmq_environment),
        "amqp",
        "amqp-waiting",
    ),
    "postgres": StoredPeer(Program("PostgreSQL", _postgres_command, _postgres_version, "postgresql"), "postgres", None),
    "mosquitto": StoredPeer(
        Program("mosquitto", _mosquitto_command, MOSQUITTO.version, MOSQUITTO.package),
        "mqtt-stored",
        None,
    ),
}
"""By the names under which they are asked for. The first is the measure."""
