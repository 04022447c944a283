"""The servers that are measured side by side: how each is started, and with what settings.

Each is a private process with its own folder. Limits that are there to hold up a client are lifted, encryption is off,
and nothing is written to disk. All else is as it is installed.
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

# Without set_tcp_nodelay small messages would wait for the acknowledgements of TCP.
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

# It refuses to run as root otherwise. The limits on the bytes a second of a client are a module, which is not loaded.
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

_EJABBERD_CONFIG = """\
hosts: [localhost]
loglevel: warning
listen:
  - port: {port}
    ip: "127.0.0.1"
    module: ejabberd_c2s
    max_stanza_size: infinity
    backlog: 1024
    shaper: none
auth_method: anonymous
anonymous_protocol: sasl_anon
max_fsm_queue: 1000000
modules:
  mod_roster: {{}}
  mod_disco: {{}}
  mod_ping: {{}}
"""


def _twotick_command(port: int, _folder: Path) -> list[str]:
    return [sys.executable, "-m", "twotick", "serve", "--port", str(port), "--memory"]


@functools.cache
def _compile() -> Path:
    """Have the message path compiled, as by `make wheel`. Returns where the package is then."""
    subprocess.run(["make", "--silent", "build/compiled/.made"], cwd=ROOT, check=True)
    return ROOT / "build/compiled"


def compiled(_folder: Path) -> dict[str, str]:
    """The environment of a Twotick with its message path compiled."""
    return {"PYTHONPATH": str(_compile())}


def _twotick_version() -> str:
    version = importlib.metadata.version("twotick")
    commit = _git("rev-parse", "--short", "HEAD")
    if commit.returncode != 0:
        return version  # there is no repository
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


# What ejabberdctl does, but without Erlang's distribution: a server alone needs neither a node's name nor epmd.
# Schedulers that wait do so asleep, or the time for which they turn would be counted as work.
def _ejabberd_command(port: int, folder: Path) -> list[str]:
    (folder / "ejabberd.yml").write_text(_EJABBERD_CONFIG.format(port=port))
    asleep = ["+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]
    sizes = ["+K", "true", "+P", "250000"]
    return [_erl(), "-noinput", *sizes, *asleep, "-mnesia", "dir", f'"{folder}/spool"', "-s", "ejabberd"]


def _ejabberd_environment(folder: Path) -> dict[str, str]:
    return {
        "ERL_LIBS": str(_ejabberd_library().parent),
        "ERL_CRASH_DUMP_BYTES": "0",
        "EJABBERD_CONFIG_PATH": str(folder / "ejabberd.yml"),
        "EJABBERD_LOG_PATH": str(folder / "ejabberd.log"),
        "HOME": str(folder),
    }


def _erl() -> str:
    installed("ejabberdctl", "ejabberd")
    return installed("erl", "erlang-base")


def _ejabberd_library() -> Path:
    for beam in Path("/usr/lib").glob("*/ejabberd-*/ebin/ejabberd.beam"):
        return beam.parent.parent
    raise MeasurementError("ejabberd is not installed (apt-get install ejabberd)")


# Kept in memory, and no client is cut off for what waits for it.
def _redis_command(port: int, folder: Path) -> list[str]:
    limit = ["--client-output-buffer-limit", "pubsub 0 0 0", "--client-output-buffer-limit", "normal 0 0 0"]
    place = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder), "--maxclients", "15000"]
    return [installed("redis-server"), *place, "--save", "", "--appendonly", "no", *limit]


def version_of(name: str, *arguments: str, package: str = "") -> str:
    """The first thing that looks like a version in what a program says of itself."""
    command = [installed(name, package), *arguments]
    output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    found = re.search(r"\d+(\.\d+)+", output)
    if found is None:
        raise MeasurementError(f"{name} does not say its version")
    return found[0]


def _ejabberd_version() -> str:
    return _ejabberd_library().name.removeprefix("ejabberd-").partition("-")[0]


TWOTICK = Program("Twotick", _twotick_command, _twotick_version, environment=compiled)
PLAIN = Program("Twotick, not compiled", _twotick_command, _twotick_version)
NATS = Program("nats-server", _nats_command, lambda: version_of("nats-server", "--version"), "nats-server")
NGIRCD = Program("ngircd", _ngircd_command, lambda: version_of("ngircd", "--version"), "ngircd")
MOSQUITTO = Program("mosquitto", _mosquitto_command, lambda: version_of("mosquitto", "-h"), "mosquitto")
PROSODY = Program(
    "Prosody", _prosody_command, lambda: version_of("prosodyctl", "about", package="prosody"), package="prosody"
)
EJABBERD = Program("ejabberd", _ejabberd_command, _ejabberd_version, "ejabberd", _ejabberd_environment)
REDIS = Program("Redis", _redis_command, lambda: version_of("redis-server", "--version"), "redis-server")

PEERS = (NATS, NGIRCD, MOSQUITTO, PROSODY, EJABBERD, REDIS)
"""All that Twotick is compared with as a server that keeps nothing."""
