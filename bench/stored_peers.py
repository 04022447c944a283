"""Define the servers that store messages on the disk, each with the settings that storing needs.

All other settings are those of the installed package. Each server is a private process with a folder of its own, which
is removed afterwards.
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

from peers import COMPILED, MOSQUITTO, NATS, TWOTICK, version_of
from servers import MeasurementError, Program, free_port, installed

from twotick.server.secrets import token_digest
from twotick.store import AddMember, AddToken, Member, SqliteStore, StoreLimits

SENDERS = 50
"""Number of senders. Each sends to a recipient of its own who is offline: s0 to r0, s1 to r1 and so on."""

# user root: started by root, mosquitto would switch to a user who may not write to the folder.
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
        program: how the server is started.
        protocol: the load's --protocol for sending.
        waiting: the load's --protocol for a device that takes the stored messages; None if it is not measured.
    """

    program: Program
    protocol: str
    waiting: str | None


def temporary_files() -> str:
    """Return the folder of temporary files and its file system.

    Raises:
        MeasurementError: the file system is in memory.
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


def make_members(store: SqliteStore, pairs: int = SENDERS) -> None:
    """Add so many senders and recipients to a store."""
    for name in (f"{side}{number}" for side in "sr" for number in range(pairs)):
        (member,) = store.apply([AddMember(name, "", time.time())])
        assert isinstance(member, Member)
        # With a token the load logs in quickly; hashing passwords takes long on purpose.
        store.apply([AddToken(member.number, "bench", token_digest(f"tt_{name}"), time.time())])


def _twotick_command(port: int, folder: Path) -> list[str]:
    data = folder / "data"
    with closing(SqliteStore(data, StoreLimits())) as store:
        make_members(store)
    return [sys.executable, "-m", "twotick", "serve", "--no-web", "--port", str(port), "--data", str(data)]


def _jetstream_command(port: int, folder: Path) -> list[str]:
    server, config = installed("nats-server"), folder / "nats.conf"
    for sync in (", sync_interval: always", ""):  # nats-server knows sync_interval from version 2.10 on
        config.write_text(f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/data"{sync} }}\n')
        if subprocess.run([server, "-t", "-c", str(config)], capture_output=True, check=False).returncode == 0:
            break
    return [server, "-c", str(config)]


# RabbitMQ would start epmd, Erlang's name server, and leave it running; started here, it ends with the group.
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


def postgres_program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
    if not versions:
        raise MeasurementError("PostgreSQL is not installed (apt-get install postgresql)")
    return str(versions[-1] / name)


def start_postgres(port: int, folder: Path) -> list[str]:
    """Make a database in a folder, and return the command that starts PostgreSQL there."""
    data = folder / "postgres"
    data.mkdir()
    unprivileged: list[str] = []
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root
        user = pwd.getpwnam(_POSTGRES_USER)
        folder.chmod(0o711)
        os.chown(data, user.pw_uid, user.pw_gid)
        unprivileged = [installed("setpriv"), f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    make = [postgres_program("initdb"), f"--pgdata={data}", "--username=bench", "--auth=trust", "--no-sync"]
    made = subprocess.run([*unprivileged, *make], capture_output=True, text=True, check=False, cwd="/")
    if made.returncode != 0:
        raise MeasurementError(f"initdb: {made.stderr.strip()[-500:]}")
    settings = [f"--{name}={value}" for name, value in _POSTGRES_SETTINGS.items()]
    settings += [f"--port={port}", f"--unix_socket_directories={data}"]
    return [*unprivileged, postgres_program("postgres"), "-D", str(data), *settings]


def postgres_version() -> str:
    """Return PostgreSQL's version."""
    return version_of(postgres_program("postgres"), "--version")


PEERS = {
    "twotick": StoredPeer(dataclasses.replace(TWOTICK, command=_twotick_command), "stored", "waiting"),
    "compiled": StoredPeer(dataclasses.replace(COMPILED, command=_twotick_command), "stored", "waiting"),
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
    "postgres": StoredPeer(Program("PostgreSQL", start_postgres, postgres_version, "postgresql"), "postgres", None),
    "mosquitto": StoredPeer(
        Program("mosquitto", _mosquitto_command, MOSQUITTO.version, MOSQUITTO.package),
        "mqtt-stored",
        None,
    ),
}
"""By their names on the command line. Figures are divided by those of the first."""
