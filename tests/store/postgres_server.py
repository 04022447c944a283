"""A PostgreSQL of the tests' own, from Debian's packages; it ends with the tests and keeps nothing."""

import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from tests.tools import missing
from twotick.store import StoreLimits
from twotick.store.postgres.connection import PostgresConnection
from twotick.store.postgres.store import PostgresStore

_FAST = "-c fsync=off -c full_page_writes=off -c shared_buffers=32MB -c max_connections=40 -c autovacuum=off"
_TEMPLATE = "with_tables"

LOCKED = "locked"
"""A user of whom the server asks a password."""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def programs() -> Path:
    """Where PostgreSQL's programs are; the newest, if there are several."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda each: int(each.parent.name))
    return found[-1] if found else missing("PostgreSQL", "apt-get install postgresql")


def own_folder() -> tuple[Path, list[str]]:
    """A new folder of the user as whom PostgreSQL runs, and what runs a program as that user."""
    folder = Path(tempfile.mkdtemp(prefix="twotick-pg-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
    if os.getuid() != 0:
        return folder, []
    shutil.chown(folder, "nobody")  # PostgreSQL refuses to run as root
    return folder, ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


@contextmanager
def running(options: str = "") -> Generator[str]:
    """A PostgreSQL in a folder of its own; the URL of its server, without a database."""
    where = programs()
    folder, as_user = own_folder()
    run = partial(subprocess.run, check=True, cwd=folder, stdout=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"})
    port = free_port()
    data = folder / "data"
    try:
        initdb = [str(where / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8"]
        run([*as_user, *initdb, "--no-locale"])
        rules = data / "pg_hba.conf"
        rules.write_text(f"host all {LOCKED} 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        control = [*as_user, str(where / "pg_ctl"), "-D", str(data), "-w", "-s", "-l", str(folder / "log")]
        listen = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories={folder}"
        run([*control, "-o", f"{_FAST} {listen} {options}", "start"])
        try:
            server = f"postgresql://postgres@127.0.0.1:{port}"
            execute(f"{server}/postgres", f"CREATE DATABASE {_TEMPLATE}")
            PostgresStore(f"{server}/{_TEMPLATE}", StoreLimits()).close()
            yield server
        finally:
            run([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder)


@contextmanager
def standby_of(server: str) -> Generator[list[int]]:
    """A synchronous standby of a PostgreSQL, without which it accepts nothing; its processes."""
    where, port = programs(), free_port()
    folder, as_user = own_folder()
    run = partial(subprocess.run, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    data = folder / "data"
    control = [*as_user, str(where / "pg_ctl"), "-D", str(data), "-w", "-s", "-l", str(folder / "log")]
    try:
        copy = [str(where / "pg_basebackup"), "-d", f"{server}/postgres", "-D", str(data), "-R", "-N", "-c", "fast"]
        run([*as_user, *copy])
        options = f"-c listen_addresses=127.0.0.1 -p {port} -c unix_socket_directories={folder}"
        run([*control, "-o", f"{_FAST} {options}", "start"])
        execute(f"{server}/postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'")
        execute(f"{server}/postgres", "SELECT pg_reload_conf()")
        try:
            first = int((data / "postmaster.pid").read_text().split()[0])
            children = Path(f"/proc/{first}/task/{first}/children").read_text().split()
            yield [first, *map(int, children)]
        finally:
            execute(f"{server}/postgres", "ALTER SYSTEM RESET synchronous_standby_names")
            execute(f"{server}/postgres", "SELECT pg_reload_conf()")
            run([*control, "-m", "immediate", "stop"])
    finally:
        shutil.rmtree(folder)


def new_database(server: str, *, empty: bool = False) -> str:
    """Make a database that has the tables of a store, or none; its URL."""
    name = f"t{secrets.token_hex(6)}"
    execute(f"{server}/postgres", f"CREATE DATABASE {name} TEMPLATE {'template1' if empty else _TEMPLATE}")
    return f"{server}/{name}"


def restart(server: str) -> None:
    """Kill a PostgreSQL, and start it again."""
    with closing(PostgresConnection(f"{server}/postgres")) as connection:
        (data,) = connection.run("SHOW data_directory").fetchone()
    as_user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
    control = [str(programs() / "pg_ctl"), "-D", data, "-w", "-s", "-m", "immediate", "restart"]
    log = Path(data).parent / "log"
    subprocess.run([*as_user, *control, "-l", str(log)], check=True, cwd=log.parent, stdout=subprocess.DEVNULL)


def drop_database(url: str) -> None:
    server, _, name = url.rpartition("/")
    execute(f"{server}/postgres", f"DROP DATABASE {name} WITH (FORCE)")


def execute(url: str, statements: str) -> None:
    with closing(PostgresConnection(url)) as connection:
        connection.script(statements)
