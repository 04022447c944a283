"""Measures how long `twotick send` takes from a shell, and how long `twotick chat` until there is something to see.

The first ends when the message was received and the command is back; the second when the last messages that are on the
disk are on the screen, where the server cannot be reached.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pexpect
from common import machine, median_and_range, run, table
from peers import TWOTICK
from servers import BIN, MeasurementError, running, stop

from twotick.client import State
from twotick.client.trust import tokens
from twotick.ui.app.app import folder_of
from twotick.ui.app.model.messages import LocalMessage
from twotick.ui.app.session.repository import ChatRepository
from twotick.ui.app.storage.store import LocalStore

RUNS = 21
_PEOPLE = 30
_MESSAGES = 100
_NOWHERE = "127.0.0.1:9"
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


@contextlib.contextmanager
def home() -> Generator[dict[str, str]]:
    """A member with conversations on the disk; gives the variables with which a command finds them."""
    with tempfile.TemporaryDirectory() as folder:
        variables = {
            "HOME": folder,
            "XDG_CONFIG_HOME": f"{folder}/config",
            "XDG_DATA_HOME": f"{folder}/data",
            "TWOTICK_KEYRING": "no",
        }
        before = dict(os.environ)
        os.environ.update(variables)
        try:
            tokens.save(_NOWHERE, "alice", "desk", "a" * 43)
            _talk(folder_of("alice", _NOWHERE))
        finally:
            os.environ.clear()
            os.environ.update(before)
        yield {**before, **variables, "TERM": "xterm-256color"}


def _talk(folder: Path) -> None:
    """Fill the folder of the app."""
    store = LocalStore(folder / "chat.db")
    book = ChatRepository("alice", store)
    began = datetime.now(UTC) - timedelta(days=3)
    with store.transaction():
        for seq in range(1, _PEOPLE * _MESSAGES + 1):
            peer, outgoing = f"peer{(seq - 1) // _MESSAGES}", seq % 3 == 0
            each = LocalMessage(
                peer,
                "alice" if outgoing else peer,
                f"message {seq} and what it says",
                began + timedelta(minutes=seq),
                outgoing,
                (seq, 0),
                f"id{seq}",
                State.DELIVERED if outgoing else None,
                seq=seq,
            )
            book.add(each)
    store.close()


def picture(environment: dict[str, str]) -> tuple[float, float]:
    """How long the app takes until its last messages are on a terminal, in seconds, and seconds of CPU time.

    Raises:
        MeasurementError: they do not come.
    """
    began = time.perf_counter()
    command = ["chat", "--server", _NOWHERE]
    child: pexpect.spawn[bytes] = pexpect.spawn(str(BIN / "twotick"), command, env=environment, dimensions=(24, 80))  # type: ignore[arg-type]
    try:
        child.expect(f"message {_PEOPLE * _MESSAGES} ".encode(), timeout=_RECEIVER_SECONDS)
        took = time.perf_counter() - began
        nanoseconds, *_ = Path(f"/proc/{child.pid}/schedstat").read_text().split()
    except (pexpect.EOF, pexpect.TIMEOUT) as error:
        raise MeasurementError("twotick chat does not show what is on the disk") from error
    finally:
        child.close(force=True)
    return took, int(nanoseconds) / 1e9


def pictures(runs: int) -> list[tuple[str, str]]:
    """Measure the app: rows of the table."""
    with home() as environment:
        for _ in range(_WARM_RUNS):
            picture(environment)
        measured = [picture(environment) for _ in range(runs)]
    elapsed, busy = ([1000 * each for each in column] for column in zip(*measured, strict=True))
    return [
        ("`twotick chat`, to the first picture", median_and_range(elapsed, ".0f")),
        ("the same, CPU time", median_and_range(busy, ".0f")),
    ]


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
    return table(rows + pictures(runs))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args()
    print(machine(()), report(options.runs), sep="\n\n")


if __name__ == "__main__":
    run(main)
