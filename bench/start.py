"""Measures how long `twotick send` takes from a shell, until the message was received and the command is back."""

import argparse
import subprocess
import sys
import time

from common import machine, median_and_range, run, table
from peers import TWOTICK
from servers import BIN, MeasurementError, running, stop

RUNS = 21
_WARM_RUNS = 3
_RECEIVER_SECONDS = 10.0


def seconds(command: list[str]) -> float:
    """How long a command takes.

    Raises:
        MeasurementError: it failed.
    """
    began = time.perf_counter()
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if process.returncode != 0:
        raise MeasurementError(f"{' '.join(command)}: {(process.stderr or process.stdout).strip()}")
    return took


def wait_for_receiver(send: list[str]) -> None:
    """Send until it succeeds."""
    deadline = time.monotonic() + _RECEIVER_SECONDS
    while True:
        try:
            seconds(send)
        except MeasurementError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def report(runs: int = RUNS) -> str:
    """Measure, and describe it in Markdown."""
    twotick = str(BIN / "twotick")
    with running(TWOTICK) as server:
        where = ["--server", f"127.0.0.1:{server.port}"]
        receiver = subprocess.Popen([twotick, "listen", "bob", *where], stdout=subprocess.DEVNULL)
        try:
            send = [twotick, "send", "bob", "hello", "--from", "alice", *where]
            wait_for_receiver(send)
            commands = {"twotick send": send, "python -c pass": [sys.executable, "-c", "pass"]}
            rows = [("command", "ms")]
            for label, command in commands.items():
                for _ in range(_WARM_RUNS):
                    seconds(command)
                rows.append((f"`{label}`", median_and_range([1000 * seconds(command) for _ in range(runs)], ".0f")))
        finally:
            stop(receiver)
    return table(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    print(machine(()), report(options.runs), sep="\n\n")


if __name__ == "__main__":
    run(main)
