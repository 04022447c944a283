"""Define the servers that pass messages on: how each is started, and with which settings.

Each server is a private process with a folder of its own. Rate limits are lifted, encryption is off, and nothing is
written to the disk. All other settings are those of the installed package.
"""

import functools
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

from servers import ROOT, MeasurementError, Program, installed

_NGIRCD_CONFIG = """\
[Global]
Name = irc.bench
Info = without limits, for measuring
Listen = 127.0.0.1
Ports = {port}
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxPenaltyTime = 0
[Options]
PAM = no
DNS = no
Ident = no
"""

# set_tcp_nodelay: small messages would wait for TCP acknowledgements otherwise.
_MOSQUITTO_CONFIG = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence false
max_queued_messages 0
max_inflight_messages 0
set_tcp_nodelay true
log_dest stderr
log_type error
log_type warning
"""

# run_as_root: Prosody refuses to run as root otherwise. Its rate limits are a module that is not loaded.
_PROSODY_CONFIG = """\
run_as_root = true
pidfile = "{folder}/prosody.pid"
data_path = "{folder}"
log = {{ warn = "*console" }}
interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
modules_enabled = {{ "roster", "saslauth", "disco", "ping" }}
modules_disabled = {{ "s2s" }}
c2s_require_encryption = false
network_settings = {{ nagle = false }}
allow_unencrypted_plain_auth = true
VirtualHost "localhost"
    authentication = "anonymous"
"""


def _twotick_command(port: int, _folder: Path) -> list[str]:
    return [sys.executable, "-m", "twotick", "serve", "--no-web", "--port", str(port), "--memory"]


@functools.cache
def _compile() -> Path:
    """Compile the message path as `make wheel` does, and return the folder of the package."""
    subprocess.run(["make", "--silent", "build/compiled/.made"], cwd=ROOT, check=True)
    return ROOT / "build/compiled"


def compiled(_folder: Path) -> dict[str, str]:
    """Return the environment variables of a Twotick whose message path is compiled."""
    return {"PYTHONPATH": str(_compile())}


def _twotick_version() -> str:
    version = importlib.metadata.version("twotick")
    commit = _git("rev-parse", "--short", "HEAD")
    if commit.returncode != 0:
        return version  # not a Git checkout
    changed = _git("diff", "--quiet", "HEAD", "--", "src", "bench").returncode != 0
    return f"{version} at commit {commit.stdout.strip()}{' with changes' if changed else ''}"


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False)


def _nats_command(port: int, _folder: Path) -> list[str]:
    return [installed("nats-server"), "--addr", "127.0.0.1", "--port", str(port)]


def _ngircd_command(port: int, folder: Path) -> list[str]:
    config = folder / "ngircd.conf"
    config.write_text(_NGIRCD_CONFIG.format(port=port))
    return [installed("ngircd"), "--nodaemon", "--config", str(config)]


def _mosquitto_command(port: int, folder: Path) -> list[str]:
    config = folder / "mosquitto.conf"
    config.write_text(_MOSQUITTO_CONFIG.format(port=port))
    return [installed("mosquitto"), "-c", str(config)]


def _prosody_command(port: int, folder: Path) -> list[str]:
    config = folder / "prosody.cfg.lua"
    config.write_text(_PROSODY_CONFIG.format(port=port, folder=folder))
    return [installed("prosody"), "-F", "--config", str(config)]


# Redis keeps everything in memory here, and disconnects no client for its unsent output.
def _redis_command(port: int, folder: Path) -> list[str]:
    limit = ["--client-output-buffer-limit", "pubsub 0 0 0", "--client-output-buffer-limit", "normal 0 0 0"]
    place = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--maxclients", "15000"]
    return [installed("redis-server"), *place, "--save", "", "--appendonly", "no", *limit]


def version_of(name: str, *arguments: str, package: str = "") -> str:
    """Return the first version number in the output of a program.

    Raises:
        MeasurementError: the program is not installed, or prints no version.
    """
    command = [installed(name, package), *arguments]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+(\.\d+)+", output)
    if found is None:
        raise MeasurementError(f"{name} prints no version")
    return found[0]


TWOTICK = Program("Twotick", _twotick_command, _twotick_version)
COMPILED = Program("Twotick, compiled", _twotick_command, _twotick_version, environment=compiled)
NATS = Program("nats-server", _nats_command, lambda: version_of("nats-server", "--version"), "nats-server")
NGIRCD = Program("ngircd", _ngircd_command, lambda: version_of("ngircd", "--version"), "ngircd")
MOSQUITTO = Program("mosquitto", _mosquitto_command, lambda: version_of("mosquitto", "-h"), "mosquitto")
PROSODY = Program(
    "Prosody", _prosody_command, lambda: version_of("prosodyctl", "about", package="prosody"), package="prosody"
)
REDIS = Program("Redis", _redis_command, lambda: version_of("redis-server", "--version"), "redis-server")

PEERS = (NATS, NGIRCD, MOSQUITTO, REDIS, PROSODY)
"""The servers that Twotick is compared with for messages that no server stores."""
