"""Measures what the system calls take that pass bytes on over TCP, with no server in between."""

import argparse
import contextlib
import os
import socket
import statistics
import time

from common import machine, run, table
from run_load import server_core

_PAIRS = 10
_READ = 256 << 10
_BYTES_IN_ALL = 200 << 20
_MOST_TURNS = 5_000


def system_calls(size: int, runs: int) -> float:
    """Measure the CPU time, user and kernel mode, of writing and reading a body once, each of ten pairs in its turn.

    A server reads a body and writes it: as many bytes and calls as here, except for the heads.

    Args:
        size: of the body, in bytes.
        runs: how often.

    Returns:
        The median, in microseconds.
    """
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {server_core()})
    try:
        return statistics.median(_run(size) for _ in range(runs))
    finally:
        os.sched_setaffinity(0, cores)


def _run(size: int) -> float:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pairs = [(socket.create_connection(listener.getsockname()), listener.accept()[0]) for _ in range(_PAIRS)]
    bodies = [(memoryview(bytes(size)), memoryview(bytearray(size))) for _ in pairs]
    for ends in pairs:
        for end in ends:
            end.setblocking(False)

    def turn() -> None:
        for (writer, reader), (written, read) in zip(pairs, bodies, strict=True):
            _pass(writer, written, reader, read)

    turn()
    turns = min(_MOST_TURNS, _BYTES_IN_ALL // size // _PAIRS)
    begin = time.process_time()
    for _ in range(turns):
        turn()
    took = time.process_time() - begin
    for ends in pairs:
        for end in ends:
            end.close()
    return took / turns / _PAIRS * 1e6


def _pass(writer: socket.socket, body: memoryview, reader: socket.socket, into: memoryview) -> None:
    while into:
        with contextlib.suppress(BlockingIOError):  # it has to be read first
            body = body[writer.send(body) :]
        with contextlib.suppress(BlockingIOError):
            into = into[reader.recv_into(into[:_READ]) :]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, nargs="+", default=[64, 65536, 1048576])
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    rows = [("bytes", "CPU, µs"), *((f"{size:,}", f"{system_calls(size, options.runs):.2f}") for size in options.bytes)]
    print(machine(()), table(rows), sep="\n\n")


if __name__ == "__main__":
    run(main)
