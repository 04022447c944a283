"""A capacity model: what so many users need, from measured figures; and a day that is simulated to check it.

python bench/capacity.py --users 10000000
python bench/capacity.py --check
"""

import argparse
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from common import run, say, table

_DAY = 86400
_HOURS = 24

SHAPE = (
    0.15,
    0.08,
    0.05,
    0.04,
    0.05,
    0.1,
    0.3,
    0.7,
    1.2,
    1.5,
    1.6,
    1.6,
    1.7,
    1.6,
    1.5,
    1.4,
    1.4,
    1.5,
    1.6,
    1.5,
    1.2,
    0.8,
    0.4,
    0.22,
)
"""How much is sent in each hour of a day; the mean is about 1."""


@dataclass(frozen=True)
class Figures:
    """Figures of one message and one connection, as bench/ measures them (docs/performance.md); times in microseconds.

    Attributes:
        server_cpu: a server's CPU time for a message that is accepted, and its delivery.
        database_cpu: PostgreSQL's CPU time for it.
        row_cpu: PostgreSQL's CPU time for each further recipient.
        login_cpu: a server's CPU time for a login with a token, with TLS.
        message_bytes: what a message adds to the database, with its indexes and words.
        row_bytes: what an entry of a log adds, with its indexes.
        log_bytes: what a message adds to PostgreSQL's write-ahead log.
        row_log_bytes: what each further recipient adds to it.
        connection_bytes: the memory of an idle connection with TLS.
    """

    server_cpu: float = 150.0
    database_cpu: float = 110.0
    row_cpu: float = 30.0
    login_cpu: float = 670.0
    message_bytes: float = 2700.0
    row_bytes: float = 140.0
    log_bytes: float = 7400.0
    row_log_bytes: float = 480.0
    connection_bytes: float = 32 * 1024


@dataclass(frozen=True)
class Habits:
    """What users do.

    Attributes:
        sends: messages that a user sends in a day.
        recipients: who gets one, on average: rooms have many.
        connected: the share of users who are connected at the busiest time.
        days: for how many days messages are kept.
    """

    sends: float = 40.0
    recipients: float = 3.5
    connected: float = 0.4
    days: float = 90.0


@dataclass(frozen=True)
class Limits:
    """What one machine is used for at most.

    Attributes:
        process_connections: connections of a server process.
        database_disk: bytes of one PostgreSQL.
        database_cores: cores of one PostgreSQL.
        share: the share of a core or disk that is used at the busiest time.
    """

    process_connections: int = 100_000
    database_disk: float = 4e12
    database_cores: float = 16.0
    share: float = 0.6


@dataclass(frozen=True)
class Need:
    """What is needed.

    Attributes:
        peak: messages a second at the busiest time.
        rows: entries of logs a second at that time.
        server_cores: cores of all servers.
        database_cores: cores of PostgreSQL.
        disk_day: bytes that a day adds to the database.
        disk: bytes of all days that are kept.
        log: bytes of the write-ahead log a second, at the busiest time.
        connections: connections at that time.
        processes: server processes.
        memory: bytes that connections take.
        shards: databases; 1 as long as one machine suffices.
        reconnect: seconds until the clients of a lost process are logged in at the others.
    """

    peak: float
    rows: float
    server_cores: float
    database_cores: float
    disk_day: float
    disk: float
    log: float
    connections: float
    processes: int
    memory: float
    shards: int
    reconnect: float


def need(users: float, figures: Figures, habits: Habits, limits: Limits) -> Need:
    """Return what so many users need."""
    sends = users * habits.sends
    peak = sends / _DAY * max(SHAPE) / (sum(SHAPE) / _HOURS)
    rows = peak * (1 + habits.recipients)
    cpu = figures.server_cpu + figures.row_cpu * (habits.recipients - 1)
    database = figures.database_cpu + figures.row_cpu * (habits.recipients - 1)
    database_cores = peak * database / 1e6
    disk_day = sends * (figures.message_bytes + figures.row_bytes * (habits.recipients - 1))
    connections = users * habits.connected
    server_cores = peak * cpu / 1e6
    processes = math.ceil(max(connections / limits.process_connections, server_cores / limits.share))
    shards = max(
        database_cores / (limits.database_cores * limits.share),
        disk_day * habits.days / (limits.database_disk * limits.share),
    )
    lost = connections / processes
    return Need(
        peak,
        rows,
        server_cores,
        database_cores,
        disk_day,
        disk_day * habits.days,
        peak * (figures.log_bytes + figures.row_log_bytes * (habits.recipients - 1)),
        connections,
        max(processes, 1),
        connections * figures.connection_bytes,
        max(math.ceil(shards), 1),
        lost * figures.login_cpu / 1e6 / max(processes - 1, 1),
    )


def simulated(users: int, habits: Habits, seed: int = 1) -> tuple[float, float]:
    """Simulate a day: users who send in bursts, in the hours of the day, to one recipient or to a room.

    Returns:
        The messages a second in the busiest minute, and the mean number of recipients.
    """
    chance = random.Random(seed)
    minutes = [0] * (_DAY // 60)
    hours = range(_HOURS)
    recipients = messages = 0
    # Nine of ten messages go to one recipient; the rest to rooms, whose size makes up for the mean.
    room = (habits.recipients - 0.9) / 0.1
    for _ in range(users):
        left = habits.sends * chance.expovariate(1.0)  # some write much, most little
        while left > 0:
            burst = min(left, 1 + chance.expovariate(0.25))
            left -= burst
            minute = chance.choices(hours, SHAPE)[0] * 60 + chance.randrange(60)
            for _ in range(round(burst)):
                minutes[min(minute, len(minutes) - 1)] += 1
                minute += chance.randrange(2)
                messages += 1
                recipients += 1 if chance.random() < 0.9 else max(1, round(chance.expovariate(1 / room)))
    return max(minutes) / 60, recipients / max(messages, 1)


def _size(number: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} PB"


def describe(users: Sequence[int], figures: Figures, habits: Habits, limits: Limits) -> str:
    """Return a Markdown table."""
    rows: list[Sequence[str]] = [
        (
            *("users", "sends/s", "log rows/s", "server cores", "PostgreSQL cores", "disk a day", "disk"),
            *("WAL a second", "connections", "processes", "their memory", "databases", "back after a loss"),
        )
    ]
    for number in users:
        found = need(number, figures, habits, limits)
        rows.append(
            (
                f"{number:,}",
                f"{found.peak:,.0f}",
                f"{found.rows:,.0f}",
                f"{found.server_cores:.1f}",
                f"{found.database_cores:.1f}",
                _size(found.disk_day),
                _size(found.disk),
                _size(found.log),
                f"{found.connections:,.0f}",
                str(found.processes),
                _size(found.memory),
                str(found.shards),
                f"{found.reconnect:.1f} s",
            )
        )
    return table(rows)


def check(users: int, habits: Habits) -> str:
    """Compare the model with a simulated day, and return how far they are apart."""
    peak, recipients = simulated(users, habits)
    expected = need(users, Figures(), habits, Limits()).peak
    return (
        f"A simulated day of {users:,} users has {peak:.1f} messages a second in its busiest minute, and"
        f" {recipients:.2f} recipients of each; the model says {expected:.1f} and {habits.recipients:.2f}."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", nargs="+", type=int, default=[10_000, 100_000, 1_000_000, 10_000_000])
    parser.add_argument("--sends", type=float, default=Habits.sends)
    parser.add_argument("--recipients", type=float, default=Habits.recipients)
    parser.add_argument("--connected", type=float, default=Habits.connected)
    parser.add_argument("--days", type=float, default=Habits.days)
    parser.add_argument("--check", type=int, nargs="?", const=20_000, help="simulate a day of so many users")
    options = parser.parse_args()
    habits = Habits(options.sends, options.recipients, options.connected, options.days)
    if options.check:
        say(check(options.check, habits))
        return
    print(describe(options.users, Figures(), habits, Limits()))


if __name__ == "__main__":
    run(main)
