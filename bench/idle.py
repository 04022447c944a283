"""Measures the memory that the server uses for users who are connected and do nothing."""

import argparse
import resource
import socket
import time
from pathlib import Path

from common import TWOTICK, MeasurementError, RunningServer, machine, raise_file_limit, run, running, say, table

USERS = 5000
_FIRST_USERS = 100
"""Users who are connected before the first look, so that what the program sets up once is not counted."""

_SPARE_FILES = 64
_SETTLE_SECONDS = 1.0
_SETTLE_LOOKS = 30


def connect_user(server: RunningServer, name: str) -> list[socket.socket]:
    """Register both connections of a user."""
    connections: list[socket.socket] = []
    for side in ("TOSEND", "TORECV"):
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=10)
        connections.append(connection)
        connection.sendall(f"REGISTER {side} {name}\n\n".encode())
        expected = f"REGISTERED {side} {name}\n\n".encode()
        answer = b""
        while len(answer) < len(expected):
            data = connection.recv(len(expected) - len(answer))
            if not data:
                break
            answer += data
        if answer != expected:
            raise MeasurementError(f"the server answered the registration of {name} with {answer!r}")
    return connections


def settled_memory(server: RunningServer) -> int:
    """The bytes of memory in which the server's process is resident, once they no longer change."""
    before = -1
    for _ in range(_SETTLE_LOOKS):
        memory = int(Path(f"/proc/{server.pid}/statm").read_text().split()[1]) * resource.getpagesize()
        if memory == before:
            return memory
        before = memory
        time.sleep(_SETTLE_SECONDS)
    raise MeasurementError("the memory of the server does not settle")


def report(users: int = USERS) -> str:
    """Measure, and describe it in Markdown."""
    raise_file_limit(2 * (_FIRST_USERS + users) + _SPARE_FILES)
    connections: list[socket.socket] = []
    with running(TWOTICK) as server:
        try:
            for number in range(_FIRST_USERS):
                connections += connect_user(server, f"first{number}")
            before = settled_memory(server)
            say(f"connecting {users} users")
            for number in range(users):
                connections += connect_user(server, f"guest{number}")
            after = settled_memory(server)
        finally:
            for connection in connections:
                connection.close()
    return table(
        (
            ("users", "connections", "before, MiB", "with them, MiB", "KiB per user"),
            (
                f"{users:,}",
                f"{2 * users:,}",
                f"{before / (1 << 20):.1f}",
                f"{after / (1 << 20):.1f}",
                f"{(after - before) / users / 1024:.2f}",
            ),
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=USERS)
    options = parser.parse_args()
    print(machine(), report(options.users), sep="\n\n")


if __name__ == "__main__":
    run(main)
