"""The doors to the tables on PostgreSQL. See `twotick.store.sqlite.tables.Tables`.

There is no journal: rows that a transaction has decided are written into their tables when they are read, and at its
end. And nothing that is decided by is remembered between transactions, since another server may change it meanwhile.
"""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any, Final

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

from twotick.store.port import StoreLimits
from twotick.store.postgres.connection import PostgresConnection
from twotick.store.rules.bots import BotRights
from twotick.store.rules.delivery import Mailbox
from twotick.store.sqlite.cache import Cache
from twotick.store.sqlite.journal import PendingRows
from twotick.store.sqlite.tables import NUMBERED, ServerRun, Tables, TakesTooLongError

_LONGEST_QUERY: Final = 1.0
"""Seconds after which a query of a search is ended: the database may be busy with other things."""

_MORE_NUMBERS: Final = 8

_MAILBOXES: Final = (
    "SELECT number, name, last, mark, entries, bytes, disabled, coalesce(d.names, '{}'), coalesce(d.cursors, '{}'),"
    " ARRAY(SELECT peer FROM conversation WHERE member = m.number AND blocked = 1), bot,"
    " CASE WHEN bot = 1 THEN ARRAY(SELECT peer FROM bot_right WHERE member = m.number AND sends = 1) END,"
    " CASE WHEN bot = 1 THEN ARRAY(SELECT peer FROM bot_right WHERE member = m.number AND reads = 1) END"
    " FROM member m CROSS JOIN LATERAL (SELECT array_agg(name) AS names, array_agg(cursor) AS cursors FROM"
    " (SELECT name, cursor FROM device WHERE member = m.number AND cursor IS NOT NULL ORDER BY name) AS each) AS d"
    " WHERE number = ANY($1::bigint[]) AND folded > '+'"
)
_WRITTEN_TO: Final = (
    "SELECT c.member, c.other FROM unnest($1::bigint[], $2::text[]) AS sent (sender, recipient)"
    " JOIN member o ON o.folded = sent.recipient JOIN contact c ON c.member = sent.sender AND c.other = o.number"
)
_FIND_IDS: Final = (
    "SELECT m.sender, m.id FROM unnest($1::bigint[], $2::bytea[]) AS sent (sender, id)"
    " JOIN message m ON m.sender = sent.sender AND m.id = sent.id AND m.id <> ''::bytea"
)

_SEQUENCES: Final = {"message": "message_number", **{table: f"{table}_number_seq" for table in NUMBERED}}


class PostgresTables(Tables):
    """The database within a transaction, which the caller begins and commits.

    Args:
        connection: the database.
        limits: the most that is kept.
        run: what is known of this run of the server.

    Attributes:
        appends: about how many messages the transaction stores.
        sessions: the numbers of the last connections of devices, by member and device, as far as they were looked up.
    """

    remembers = False
    row_lock = " FOR NO KEY UPDATE"
    message_lock = " FOR NO KEY UPDATE OF m"
    skip_locked = " SKIP LOCKED"

    def __init__(self, connection: PostgresConnection, limits: StoreLimits, run: ServerRun) -> None:
        self._postgres = connection
        self.direct: Any = connection.execute
        self.limits = limits
        self.run = run
        self.cache = Cache()
        self.appends = 0
        self.sessions: dict[tuple[int, str], int] = {}
        self._numbers: list[int] = []
        self._reset()
        self.on_removal = []
        self.on_withdrawal = []
        self.work = 0
        self.is_long = False
        self.erased = False

    def _reset(self) -> None:
        self.pending = PendingRows()
        self._contents = []
        self._waiting_ids = set()
        self._moved_ids = set()
        self._moving_ids = set()
        self._next_expiry = float("inf")
        self._numbers = []
        self.sessions = {}
        self._held: dict[str, bool] = {}  # whether other servers have guests of these names

    def load_mailboxes(self, members: list[int], pairs: Iterable[tuple[int, str]]) -> None:
        """Load the mailboxes of members who are locked.

        Args:
            members: their numbers.
            pairs: senders, each with a recipient's name in lower case. It is loaded which of them are contacts.
        """
        for row in self._postgres.run(_MAILBOXES, (members,)):
            number, name, last, mark, entries, size, disabled, devices, cursors, blocked, *bot = row
            at = dict(zip(devices, cursors, strict=True))
            box = Mailbox(number, name, last, mark, entries, size, at, frozenset(blocked))
            box.disabled = bool(disabled)
            is_bot, sends, reads = bot
            if is_bot:
                box.rights = BotRights(frozenset(sends), frozenset(reads))
            self.cache.add_mailbox(box)
        if pairs := [*pairs]:
            for number, other in self._postgres.run(_WRITTEN_TO, [*zip(*pairs, strict=True)]):
                if (sender := self.cache.mailboxes.get(number)) is not None:
                    sender.note_written_to(other)

    def stored_ids(self, keys: list[tuple[int, bytes]]) -> set[tuple[int, bytes]]:
        """See Tables."""
        if not keys:
            return set()
        senders, idents = zip(*keys, strict=True)
        return set(self._postgres.run(_FIND_IDS, (senders, idents)))

    # Doors

    def run_native(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Run a statement in PostgreSQL's words, after everything that waits was written."""
        self.flush()
        self.work += 1
        return self._postgres.run(statement, parameters)

    def read(self, query: str, parameters: Sequence[Any] = ()) -> Any:
        """See Tables."""
        self.flush()
        self.work += 1
        return self._postgres.execute(query, parameters)

    def write(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """See Tables."""
        return self.read(statement, parameters)

    def write_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """See Tables."""
        self.flush()
        self.direct_many(statement, rows)

    def direct_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        """See Tables."""
        self._postgres.run_many(statement, list(rows))

    def next_number(self) -> int:
        """Return the number of the next message; some are never used."""
        if not self._numbers:
            count = self.appends or _MORE_NUMBERS
            self.appends = 0
            rows = self._postgres.run("SELECT nextval('message_number') FROM generate_series(1, $1::bigint)", (count,))
            self._numbers = [number for (number,) in rows][::-1]
        number = self._numbers.pop()
        self.cache.next_message = number + 1
        return number

    def newest_number(self) -> int:
        """Return the largest number that a message has had."""
        row = self._postgres.run("SELECT last_value FROM message_number").fetchone()
        return int(row[0])

    @contextmanager
    def bounded(self, seconds: float) -> Generator[None]:
        """See Tables; here the time is that of the clock, and at least a second."""
        postgres = self._postgres
        limit = max(int(seconds * 1000), int(_LONGEST_QUERY * 1000))
        # The index of words can only be used by such a scan.
        postgres.script(f"SAVEPOINT bounded; SET LOCAL statement_timeout = {limit}; SET LOCAL enable_bitmapscan = on")
        try:
            yield
        except asyncpg.QueryCanceledError as error:
            postgres.script("ROLLBACK TO bounded")
            raise TakesTooLongError from error
        finally:
            if not postgres.is_closed:
                postgres.script("SET LOCAL enable_bitmapscan = off")
                postgres.script("SET LOCAL statement_timeout = 0")  # a COMMIT must never be ended

    # Several servers

    def new_session(self, member: int, device: str) -> int:
        """See Tables."""
        (session,) = self.run_native(
            "UPDATE member SET session = session + 1 WHERE number = $1::bigint RETURNING session", (member,)
        ).fetchone()
        self.run_native(
            "UPDATE device SET session = $3::bigint, server = $4::bigint WHERE member = $1::bigint AND name = $2::text",
            (member, device, session, self.run.number),
        )
        self.sessions[member, device] = session
        return int(session)

    def is_current(self, member: int, device: str, session: int) -> bool:
        """See Tables."""
        key = member, device
        if key not in self.sessions:
            row = self._postgres.run(
                "SELECT session FROM device WHERE member = $1::bigint AND name = $2::text", key
            ).fetchone()
            self.sessions[key] = 0 if row is None else row[0]
        return self.sessions[key] == session

    def is_held_elsewhere(self, guest: bytes) -> bool:
        """See Tables."""
        name = guest.decode().lower()
        if name not in self._held:
            sql = "SELECT 1 FROM guest WHERE folded = $1::text AND server <> $2::bigint"
            self._held[name] = self.run_native(sql, (name, self.run.number)).fetchone() is not None
        return self._held[name]

    def devices_changed(self, member: int) -> None:
        """See Tables."""
        self.run_native("UPDATE member SET session = session + 1 WHERE number = $1::bigint", (member,))

    def connected_elsewhere(self, member: int) -> frozenset[str]:
        """See Tables."""
        rows = self.run_native(
            "SELECT d.name FROM device d JOIN server s ON s.number = d.server"
            " WHERE d.member = $1::bigint AND s.alive_until > extract(epoch FROM clock_timestamp())",
            (member,),
        )
        return frozenset(name for (name,) in rows)

    # Copies

    def insert(self, table: str, columns: list[str], rows: list[tuple[Any, ...]]) -> None:
        """See Tables."""
        self._postgres.copy(table, columns, rows)

    def used_numbers(self) -> dict[str, int]:
        """See Tables."""
        return {name: self._last_value(sequence) for name, sequence in _SEQUENCES.items()}

    def _last_value(self, sequence: str) -> int:
        # A sequence that has given no number has the value 1 as well.
        query = f"SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM {sequence}"  # noqa: S608
        return int(self._postgres.run(query).fetchone()[0])

    def use_numbers(self, used: dict[str, int]) -> None:
        """See Tables."""
        for name, number in used.items():
            self._set_sequence(_SEQUENCES[name], number)
        (file,) = self._postgres.run("SELECT coalesce(max(number), 0) FROM file").fetchone()
        self._set_sequence("file_number_seq", file)

    def _set_sequence(self, sequence: str, number: int) -> None:
        self._postgres.run(f"SELECT setval('{sequence}', greatest($1::bigint, 1), $1::bigint > 0)", (number,))

    # Transactions

    def begin(self) -> None:
        """See Tables."""
        bound, hashes = self.cache.retention_bound, dict(self.cache.hashes)
        self.cache.forget()
        self.cache.retention_bound = bound
        self.cache.hashes.update(hashes)
        self._reset()
        self.is_long = False

    def flush(self) -> None:
        """See Tables."""
        if not (self._contents or len(self.pending) or self.pending.rooms):
            return
        self.write_contents()
        statements = self.pending.statements()[:-1]  # the last one keeps the newest number
        self.pending = PendingRows()
        for statement, rows in statements:
            if rows:
                self._postgres.run_many(statement, rows)
        self._moved_ids |= self._waiting_ids
        self._waiting_ids = set()
        self._next_expiry = float("inf")

    def write_contents(self) -> None:
        """See Tables."""
        if self._contents:
            self._postgres.run_many("INSERT INTO content VALUES (?, ?, ?)", self._contents)
            self._contents = []

    def end(self) -> None:
        """See Tables."""
        self.flush()

    def move_some(self, rows: int = 1) -> bool:
        """See Tables: nothing waits."""
        return False

    def moves_first(self) -> bool:
        """See Tables: nothing waits."""
        return False

    @property
    def first_moving(self) -> int | None:
        """See Tables: nothing moves."""
        return None

    @property
    def has_backlog(self) -> bool:
        """See Tables."""
        return False

    @property
    def is_behind(self) -> bool:
        """See Tables."""
        return False

    def recover(self) -> None:
        """See Tables."""
        self.forget()

    def forget(self) -> None:
        """See Tables."""
        self.cache.forget()
        self._reset()
