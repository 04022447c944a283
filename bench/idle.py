"""Measure what connected users who do nothing cost: memory for each, and CPU time for their logins."""

import argparse
import dataclasses
import itertools
import re
import socket
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import on_postgres
from common import machine, median_and_range, run, say, table
from peers import MOSQUITTO, NATS, NGIRCD, PROSODY, REDIS, TWOTICK
from servers import MeasurementError, Program, RunningServer, cores, pinned, raise_file_limit, running

from twotick.server.secrets import token_digest
from twotick.store import AddMember, AddToken, Member, Request, SqliteStore, StoreLimits

USERS = (7000,)
RUNS = 1
_FIRST_USERS = 100
"""Users who are connected before memory is first measured, so that one-time allocations do not count."""

_TOGETHER = 10
"""Users who log in at the same time: the length of ngircd's accept queue."""

_PATIENCE_SECONDS = 10.0
_SETTLE_SECONDS = 7.0
"""Redis begins to shrink the buffers of idle clients only after 5 seconds."""

_SETTLE_LOOKS = 20
_SETTLED = 0.001
_SPARE_FILES = 64

Step = tuple[bytes, str]
"""What a client writes, and the pattern of the whole answer, in which `@` is the user's name."""


@dataclass(frozen=True)
class Kind:
    """A kind of user.

    Attributes:
        label: its name in the table.
        program: the server.
        logins: returns the login steps of each of a user's connections, given the user's name.
        memory: returns the resident bytes of the server.
    """

    label: str
    program: Program
    logins: Callable[[str], list[list[Step]]]
    memory: Callable[[RunningServer], int] = RunningServer.memory


@dataclass(frozen=True)
class Level:
    """Figures of one server with a number of users.

    Attributes:
        users: number of users.
        memory: bytes for each user.
        rate: logins a second.
        cpu: the server's CPU time for a login, in microseconds.
        load_share: share of a core that this program used while the users logged in.
    """

    users: int
    memory: float
    rate: float
    cpu: float
    load_share: float


def _two_connections(name: str) -> list[list[Step]]:
    return [[(f"REGISTER {side} {name}\n\n".encode(), rf"REGISTERED {side} @\n\n")] for side in ("TOSEND", "TORECV")]


def _duplex(name: str) -> list[list[Step]]:
    return [[(f"REGISTER DUPLEX {name}\n\n".encode(), r"REGISTERED DUPLEX @\nWindow: 1\nMax-body: \d+\n\n")]]


def _token(name: str) -> str:
    return f"tt_{name}"


def _member(name: str) -> list[list[Step]]:
    ask = f"REGISTER DUPLEX {name}\nAuthorization: Bearer {_token(name)}\n\n"
    answer = r"REGISTERED DUPLEX @\nDevice: main\nWindow: 1\nSeq: 0\nMax-body: \d+\n\n"
    return [[(ask.encode(), answer)]]


def _nats(name: str) -> list[list[Step]]:
    ask = f'CONNECT {{"verbose":false}}\r\nSUB {name} 1\r\nPING\r\n'
    return [[(b"", r"INFO .*\r\n"), (ask.encode(), r"PONG\r\n")]]


def _irc(name: str) -> list[list[Step]]:
    return [[(f"NICK {name}\r\nUSER {name} 0 * :{name}\r\n".encode(), r"(?s).* (376|422) [^\n]*\r\n")]]


def _mqtt(name: str) -> list[list[Step]]:
    connect = b"\0\4MQTT\4\2\0\0" + _counted(name)  # version 4, a clean session, no keep-alive
    subscribe = b"\0\1" + _counted(name) + b"\0"  # packet 1, QoS 0
    return [
        [
            (b"\x10" + bytes([len(connect)]) + connect, r"\x20\x02\x00\x00"),
            (b"\x82" + bytes([len(subscribe)]) + subscribe, r"\x90\x03\x00\x01\x00"),
        ]
    ]


def _counted(name: str) -> bytes:
    return len(name).to_bytes(2, "big") + name.encode()


def _xmpp(_name: str) -> list[list[Step]]:
    stream = (
        b"<stream:stream to='localhost' version='1.0' xmlns='jabber:client'"
        b" xmlns:stream='http://etherx.jabber.org/streams'>"
    )
    bind = b"<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
    return [
        [
            (stream, r".*ANONYMOUS.*</stream:features>"),
            (b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='ANONYMOUS'/>", r"<success[^>]*/>"),
            (stream, r".*xmpp-bind.*</stream:features>"),
            (bind, r"<iq [^>]*type='result'.*</iq>"),
            (b"<presence/>", r"<presence [^>]*(/>|>.*</presence>)"),
        ]
    ]


def _redis(name: str) -> list[list[Step]]:
    ask = f"HELLO 3\r\nSUBSCRIBE {name}\r\n"
    return [[(ask.encode(), r"(?s)%7\r\n.*>3\r\n\$9\r\nsubscribe\r\n\$\d+\r\n@\r\n:1\r\n")]]


def _members_command(port: int, folder: Path) -> list[str]:
    """Return the command of a Twotick whose data folder already has all users as members."""
    data = folder / "data"
    with closing(SqliteStore(data, StoreLimits())) as store:
        _make_members(store)
    return [sys.executable, "-m", "twotick", "serve", "--no-web", "--port", str(port), "--data", str(data)]


def _make_members(store: SqliteStore) -> None:
    names = [*_names("first", _FIRST_USERS), *_names("user", max(USERS))]
    members = store.apply([AddMember(name, "", 0.0) for name in names])
    tokens: list[Request[Any]] = []
    for name, member in zip(names, members, strict=True):
        assert isinstance(member, Member)
        tokens.append(AddToken(member.number, "main", token_digest(_token(name)), 0.0))
    store.apply(tokens)


def _on_postgres_command(port: int, folder: Path) -> list[str]:
    return on_postgres.command(port, folder, Path(__file__))


def _names(beginning: str, count: int) -> list[str]:
    return [f"{beginning}{number}" for number in range(count)]


KINDS = {
    "classic": Kind("Twotick, a guest with two connections", TWOTICK, _two_connections),
    "duplex": Kind("Twotick, a guest with one", TWOTICK, _duplex),
    "member": Kind("Twotick, a member", dataclasses.replace(TWOTICK, command=_members_command), _member),
    "postgres": Kind(
        "Twotick, a member, on PostgreSQL",
        dataclasses.replace(on_postgres.ON_POSTGRES, command=_on_postgres_command),
        _member,
        memory=RunningServer.own_memory,
    ),
    "nats": Kind("nats-server", NATS, _nats),
    "ngircd": Kind("ngircd", NGIRCD, _irc),
    "mosquitto": Kind("mosquitto", MOSQUITTO, _mqtt),
    "redis": Kind("Redis", REDIS, _redis),
    "prosody": Kind("Prosody", PROSODY, _xmpp),
}


def log_in(server: RunningServer, kind: Kind, names: Sequence[str]) -> Iterator[socket.socket]:
    """Log in users, a few at a time, and yield their connections.

    Raises:
        MeasurementError: the server gave an unexpected answer.
    """
    left = iter(names)
    while together := list(itertools.islice(left, _TOGETHER)):
        # All of them take the same step of the same connection before any of them takes the next.
        logins = [kind.logins(name) for name in together]
        for steps in zip(*logins, strict=True):
            connections = [socket.create_connection(("127.0.0.1", server.port), _PATIENCE_SECONDS) for _ in together]
            yield from connections
            for step in zip(*steps, strict=True):
                for connection, (ask, _) in zip(connections, step, strict=True):
                    connection.sendall(ask)
                for name, connection, (_, answer) in zip(together, connections, step, strict=True):
                    expect(connection, answer, name)


def expect(connection: socket.socket, answer: str, name: str) -> None:
    """Read the answer to a login.

    Raises:
        MeasurementError: the server wrote anything else.
    """
    pattern = re.compile(answer.encode("latin-1"))
    came = b""
    while not pattern.fullmatch(came.replace(name.encode(), b"@")):
        try:
            data = connection.recv(1 << 16)
        except TimeoutError:
            data = b""
        if not data:
            raise MeasurementError(f"the server answered a login with {came!r}")
        came += data


def settled_memory(read: Callable[[], int]) -> int:
    """Return the server's resident bytes, once they change by less than a thousandth in seven seconds.

    Raises:
        MeasurementError: they keep changing.
    """
    before = read()
    for _ in range(_SETTLE_LOOKS):
        time.sleep(_SETTLE_SECONDS)
        memory = read()
        if abs(memory - before) <= _SETTLED * before:
            return memory
        before = memory
    raise MeasurementError("the memory of the server does not settle")


def still_there(connection: socket.socket) -> bool:
    """Return whether the server has kept a connection open. Reads nothing from it."""
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True


def measure_once(kind: Kind, users: Sequence[int], core: int) -> list[Level]:
    """Connect more and more users to a new server, and measure its memory at each number of users."""
    connections: list[socket.socket] = []
    levels: list[Level] = []
    names = iter(_names("user", max(users)))
    connected = _FIRST_USERS
    with running(kind.program, core) as server:
        memory_now = partial(kind.memory, server)
        try:
            connections += log_in(server, kind, _names("first", _FIRST_USERS))
            before = settled_memory(memory_now)
            for number in sorted(users):
                new = list(itertools.islice(names, number - connected))
                connected = number
                began, cpu, own = time.perf_counter(), server.cpu(), time.process_time()
                connections += log_in(server, kind, new)
                took = time.perf_counter() - began
                used, own = (server.cpu() - cpu) / len(new) * 1e6, time.process_time() - own
                memory = (settled_memory(memory_now) - before) / (number - _FIRST_USERS)
                levels.append(Level(number, memory, len(new) / took, used, own / took))
            if not all(map(still_there, connections)):
                raise MeasurementError("the server closed connections of users who did nothing")
        finally:
            for connection in connections:
                connection.close()
    return levels


@dataclass(frozen=True)
class Measured:
    """All figures.

    Attributes:
        users: the numbers of users, ascending.
        levels: for each key of KINDS that could be measured, the figures of all its runs.
        left_out: a sentence for each of the others.
    """

    users: Sequence[int]
    levels: dict[str, list[Level]]
    left_out: list[str]

    def at(self, kind: str, users: int) -> Level:
        """Return the median of each figure of a kind with a number of users."""
        levels = [dataclasses.astuple(level) for level in self.levels[kind] if level.users == users]
        return Level(users, *map(statistics.median, list(zip(*levels, strict=True))[1:]))


def measure(kinds: Sequence[str] = tuple(KINDS), users: Sequence[int] = USERS, runs: int = RUNS) -> Measured:
    """Let kinds of users take turns."""
    raise_file_limit(2 * max(users) + _SPARE_FILES)
    server_core, own_core = cores()
    measured = Measured(sorted(users), {kind: [] for kind in kinds}, [])
    with pinned(own_core):
        for number, kind in itertools.product(range(runs), kinds):
            if kind not in measured.levels:
                continue
            label = KINDS[kind].label
            say(f"idle, run {number + 1} of {runs}: {label}")
            try:
                measured.levels[kind] += measure_once(KINDS[kind], users, server_core)
            except MeasurementError as error:
                if KINDS[kind].program.name == TWOTICK.name:
                    raise
                del measured.levels[kind]
                measured.left_out.append(f"{label} is left out: {error}.")
                say(measured.left_out[-1])
    return measured


def describe(measured: Measured) -> str:
    """Return two Markdown tables: the memory and the logins."""
    steps = itertools.pairwise([_FIRST_USERS, *measured.users])
    memory = [["KiB for each", *(f"{number:,} users" for number in measured.users)]]
    logins = [["server CPU of a login, µs", *(f"{a:,} to {b:,}" for a, b in steps), "logins/s", "load's CPU"]]
    for kind, levels in measured.levels.items():
        label = KINDS[kind].label
        of = [measured.at(kind, number) for number in measured.users]
        memory.append([label, *(f"{level.memory / 1024:.1f}" for level in of)])
        rate = median_and_range([level.rate for level in levels], ",.0f")
        share = statistics.median(level.load_share for level in levels)
        logins.append([label, *(f"{level.cpu:,.0f}" for level in of), rate, f"{share:.0%}"])
    return "\n\n".join((table(memory), table(logins), *measured.left_out))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="+", choices=KINDS, default=tuple(KINDS))
    parser.add_argument(
        "--users", nargs="+", type=int, default=USERS, metavar="NUMBER", help=f"more than {_FIRST_USERS}"
    )
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--prepare", type=int, help=argparse.SUPPRESS)  # see on_postgres.command
    options = parser.parse_args()
    if options.prepare:
        on_postgres.prepare(options.prepare, _make_members)
        return
    print(machine(), describe(measure(options.servers, options.users, options.runs)), sep="\n\n")


if __name__ == "__main__":
    run(main)
