"""Measure how long `twotick send` takes in a shell, and how long `twotick chat` takes to show its first messages.

The first includes the receiver's answer. The second ends when the newest messages in the app's database are on the
screen; the server is unreachable.
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
    """Run a command and return how long it took.

    Raises:
        MeasurementError: the command failed.
    """
    began = time.perf_counter()
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.perf_counter() - began
    if process.returncode != 0:
        raise MeasurementError(f"{' '.join(command)}: {(process.stderr or process.stdout).strip()}")
    return took


def wait_for_receiver(send: list[str]) -> None:
    """Repeat a command that sends until it succeeds.

    Raises:
        MeasurementError: the receiver does not come.
    """
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
    """Make the files of a member with conversations, and yield the environment in which a command finds them."""
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
            _fill(folder_of("alice", _NOWHERE))
        finally:
            os.environ.clear()
            os.environ.update(before)
        yield {**before, **variables, "TERM": "xterm-256color"}


def _fill(folder: Path) -> None:
    """Fill the app's database with conversations."""
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
    """Start the app and return the seconds until its newest message is on the terminal, and its CPU seconds.

    Raises:
        MeasurementError: the message does not appear.
    """
    began = time.perf_counter()
    command = ["chat", "--server", _NOWHERE]
    child: pexpect.spawn[bytes] = pexpect.spawn(str(BIN / "twotick"), command, env=environment, dimensions=(24, 80))  # type: ignore[arg-type]
    try:
        child.expect(f"message {_PEOPLE * _MESSAGES} ".encode(), timeout=_RECEIVER_SECONDS)
        took = time.perf_counter() - began
        nanoseconds, *_ = Path(f"/proc/{child.pid}/schedstat").read_text().split()
    except (pexpect.EOF, pexpect.TIMEOUT) as error:
        raise MeasurementError("twotick chat does not show the messages in its database") from error
    finally:
        child.close(force=True)
    return took, int(nanoseconds) / 1e9


def pictures(runs: int) -> list[tuple[str, str]]:
    """Measure the app and return rows of the table."""
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
    """Measure and return a Markdown table."""
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
