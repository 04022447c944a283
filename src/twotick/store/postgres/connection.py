"""A connection to PostgreSQL that one thread uses, without an event loop of its own (asyncpg brings one)."""

import asyncio
import socket
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import unquote, urlsplit

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
import uvloop

from twotick.store.port import DatabaseFailure, DiskFull, StoreError
from twotick.store.postgres.dialect import Parameters, for_arrays, inserted_into, translate

_CONNECT_SECONDS: Final = 10.0

_PORT: Final = 5432

_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 5, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 2, "TCP_USER_TIMEOUT": 15_000}

_SETTINGS: Final = {
    "application_name": "twotick",
    "client_min_messages": "warning",
    "jit": "off",  # compiling a statement takes longer than running any of these
    # PostgreSQL ends the connection of a machine that is gone within 15 seconds, and with it the locks.
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "2",
}

_MANY: Final = 4
"""The number of rows from which on one statement with arrays is cheaper than a statement for each row."""

_VERY_MANY: Final = 48
"""The number of rows from which on a copy is cheaper than arrays, although it asks for the types of the columns."""

COMMIT: Final = "SELECT pg_logical_emit_message(true, 'twotick', ''); COMMIT"
"""What has written ends with this, so that its COMMIT waits until all that it has read is on the standby as well."""

_BEGIN_READING: Final = (
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY;"
    " SELECT set_config('twotick.seen', pg_current_wal_flush_lsn()::text, true)"
)
"""Begins a transaction that sees what is visible now, and notes up to where the log is on the disk. What others have
committed is there before it is visible, so the transaction sees nothing that is further on."""

_IS_KEPT: Final = r"""
    SELECT names = '' OR coalesce(substring(names FROM '(?i)^\s*(?:first|any)?\s*(\d+)\s*\('), '1')::int <= (
        SELECT count(*) FROM pg_stat_replication
        WHERE sync_state IN ('sync', 'quorum') AND flush_lsn >=
            coalesce(nullif(current_setting('twotick.seen', true), '')::pg_lsn, pg_current_wal_flush_lsn())
    ) FROM current_setting('synchronous_standby_names') AS names
"""
"""Whether as many synchronous standbys as a COMMIT waits for have all that the transaction has seen. False if not one
is connected, and if this user may not know (it needs the rights of pg_read_all_stats)."""

BY_KEYS: Final = (
    "SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off"
)
"""The statements are made for looking up rows by keys. PostgreSQL would rather read through a table that has less than
some ten thousand rows, or of which it does not know yet how many it has: once for each batch, that is dear."""

LOST: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    ConnectionError,
    OSError,
    TimeoutError,
)
"""What asyncpg raises when there is no connection any more, or none yet."""

CONFLICTS: Final = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError)
"""What it raises when another server was in the way; the transaction was undone, and may be tried again."""


class OnlyReads(DatabaseFailure):
    """Something was to be written where this is impossible: in a transaction that only reads, or on a standby."""


class Rows:
    """What a statement has returned, as a cursor of sqlite3 has it.

    Attributes:
        rowcount: how many rows it has changed.
    """

    def __init__(self, rows: Iterable[Sequence[Any]], status: str) -> None:
        self._rows: Iterator[tuple[Any, ...]] = map(tuple, rows)
        self._status = status

    @property
    def rowcount(self) -> int:
        """How many rows the statement has returned or changed."""
        last = self._status.rpartition(" ")[2]
        return int(last) if last.isdigit() else 0

    @property
    def has_changed(self) -> bool:
        """Whether the statement has changed a row."""
        return self.rowcount > 0 and not self._status.startswith("SELECT")

    def fetchone(self) -> Any:
        """Return the next row; None if there is none."""
        return next(self._rows, None)

    def fetchall(self) -> list[Any]:
        """Return all further rows."""
        return list(self._rows)

    def fetchmany(self, size: int) -> list[Any]:
        """Return some further rows."""
        return [row for row, _ in zip(self._rows, range(size), strict=False)]

    def __iter__(self) -> Iterator[Any]:
        return self._rows


class PostgresConnection:
    """A connection. One thread uses it at a time.

    Args:
        url: the database, as libpq knows it.

    Attributes:
        warned: the warning with which the last COMMIT ended; empty for none.
        has_written: whether the transaction has changed rows, or the last one if there is none.
    """

    def __init__(self, url: str) -> None:
        self._loop = uvloop.new_event_loop()
        self._statements: dict[str, Any] = {}
        self._columns: dict[str, list[str]] = {}
        self.warned = ""
        self.has_written = False
        self._inner: Any = None
        try:
            self._inner = self._run(self._connect(url))
        except BaseException:
            self._loop.close()
            raise

    def _run(self, work: Any) -> Any:
        try:
            if not _is_in_loop():
                return self._loop.run_until_complete(work)
            with ThreadPoolExecutor(1) as thread:  # a server asks a few things before its own thread for this runs
                return thread.submit(self._loop.run_until_complete, work).result()
        except asyncpg.InterfaceError as error:
            if self._inner is not None and self._inner.is_closed():
                raise ConnectionError(str(error)) from error
            raise

    async def _connect(self, url: str) -> Any:
        connection = await _connected(url)
        _watch(connection)
        # Sums of counters are numbers without a fraction.
        await connection.set_type_codec("numeric", schema="pg_catalog", encoder=str, decoder=int, format="text")
        connection.add_log_listener(self._warn)
        return connection

    def _warn(self, _: Any, message: Any) -> None:
        if message.sqlstate == "01000":
            self.warned = str(message)

    def execute(self, statement: str, parameters: Parameters = ()) -> Rows:
        """Run a statement that is written for SQLite."""
        return self.run(*translate(statement, parameters))

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run a statement in PostgreSQL's words."""
        prepared = self._statements.get(statement)
        if prepared is None:
            if len(self._statements) > 1000:
                self._statements.clear()
            prepared = self._statements[statement] = self._run(self._inner.prepare(statement))
        rows = Rows(self._run(prepared.fetch(*parameters)), prepared.get_statusmsg())
        self.has_written |= rows.has_changed
        return rows

    def run_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement that is written for SQLite once for each row of parameters, in few messages."""
        self.has_written = True
        if len(rows) >= _VERY_MANY and (target := inserted_into(statement)):
            table, columns = target
            self.copy(table, columns or self._columns_of(table)[: len(rows[0])], rows)
            return
        for of_kind in _by_types(rows):
            if len(of_kind) >= _MANY and (at_once := for_arrays(statement, tuple(map(type, of_kind[0])))):
                self.run(at_once, [column for column in zip(*of_kind, strict=True) if column[0] is not None])
                continue
            translated, _ = translate(statement, of_kind[0])
            self._run(self._inner.executemany(translated, of_kind))

    def _columns_of(self, table: str) -> list[str]:
        """Return the columns of a table; a newer server may add others at the end at any time."""
        if table not in self._columns:
            prepared = self._run(self._inner.prepare(f"SELECT * FROM twotick.{table} LIMIT 0"))  # noqa: S608
            self._columns[table] = [each.name for each in prepared.get_attributes()]
        return self._columns[table]

    def copy(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows into a table as they are."""
        self.has_written = True
        self._run(self._inner.copy_records_to_table(table, schema_name="twotick", columns=columns, records=rows))

    def script(self, statements: str) -> None:
        """Run statements without parameters in PostgreSQL's words."""
        self._run(self._inner.execute(statements))

    def begin(self, *, reading: bool = False) -> None:
        """Begin a transaction.

        Args:
            reading: whether it cannot write.
        """
        self.has_written = False
        self.script(_BEGIN_READING if reading else "BEGIN")

    def commit(self) -> None:
        """Commit. This is never cancelled, and waits as long as the database does.

        What has written nothing need not wait if all that it has seen is on the standby. So an idle server does not
        make the log of the database longer.

        Raises:
            StoreError: PostgreSQL has ended its wait for the standby: the outcome counts as unknown.
        """
        self.warned = ""
        is_kept = not self.has_written and self.run(_IS_KEPT).fetchone()[0]
        self.script("COMMIT" if is_kept else COMMIT)
        if self.warned:
            raise DatabaseFailure(f"the database has not waited for its standby: {self.warned}")

    @property
    def is_closed(self) -> bool:
        """Whether the connection is lost."""
        return self._inner is None or bool(self._inner.is_closed())

    def close(self) -> None:
        """End the connection at once; what was not committed is undone."""
        if not self._loop.is_closed():
            self._inner.terminate()
            self._run(asyncio.sleep(0))
            self._loop.close()


async def _connected(url: str) -> Any:
    """Connect to the first host of an address that takes writes. All are asked at once: one may be silent."""
    hosts = _hosts_of(url)
    if len(hosts) < 2:
        return await _connected_to(url)
    asked = [asyncio.create_task(_connected_to(url, host=host, port=port)) for host, port in hosts]
    found: Any = None
    refused: list[Exception] = []
    try:
        for each in asyncio.as_completed(asked):
            try:
                found = await each
            except (asyncpg.TargetServerAttributeNotMatched, *LOST) as error:
                refused.append(error)
            else:
                return found
    finally:
        for each in asked:
            each.cancel()
        for other in await asyncio.gather(*asked, return_exceptions=True):
            if not isinstance(other, BaseException) and other is not found:
                other.terminate()
    standby = [each for each in refused if isinstance(each, asyncpg.TargetServerAttributeNotMatched)]
    raise (standby or refused)[0]


async def _connected_to(url: str, **host: Any) -> Any:
    connect: Any = asyncpg.connect  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return await connect(
        url,
        **host,
        timeout=_CONNECT_SECONDS,
        target_session_attrs="read-write",
        statement_cache_size=16,  # for copies; PostgresConnection keeps what it prepares
        server_settings=_SETTINGS,
    )


def _hosts_of(url: str) -> list[tuple[str, int]]:
    """Return the hosts and ports of an address that names several; none if asyncpg is to find out."""
    places = [urlsplit(f"//{each.strip()}") for each in urlsplit(url).netloc.rpartition("@")[2].split(",")]
    found = [(unquote(each.hostname or ""), each.port or _PORT) for each in places]  # or ValueError: no such port
    return found if len(found) > 1 else []


def _watch(connection: Any) -> None:
    """Let the system end a connection within 15 seconds when the machine at the other end is gone."""
    end: Any = connection._transport.get_extra_info("socket")  # noqa: SLF001 - asyncpg has no other way
    if end is None or end.family == socket.AF_UNIX:
        return
    end.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if (option := getattr(socket, name, None)) is not None:  # each system has some of these
            end.setsockopt(socket.IPPROTO_TCP, option, value)


def _is_in_loop() -> bool:
    """Tell whether an event loop runs in this thread, so that another one cannot."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _by_types(rows: Sequence[Sequence[Any]]) -> list[list[Sequence[Any]]]:
    found: dict[tuple[type, ...], list[Sequence[Any]]] = {}
    for row in rows:
        found.setdefault(tuple(map(type, row)), []).append(row)
    return list(found.values())


def store_error(error: Exception) -> StoreError:
    """Return the error that tells users of the store what an error of the database means."""
    if isinstance(error, asyncpg.DiskFullError):
        return DiskFull("the disk of the database is full")
    if isinstance(error, LOST):
        return DatabaseFailure(f"the database cannot be reached: {error or type(error).__name__}")
    if isinstance(error, asyncpg.ReadOnlySQLTransactionError):
        return OnlyReads(f"the database says: {error}")
    return DatabaseFailure(f"the database says: {error}")
