"""Transactions on PostgreSQL: locks in one order, what is done when a server or the connection is in the way."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, TypeVar

import asyncpg  # pyright: ignore[reportMissingTypeStubs]

from twotick.store.port import CommitUnknown, DatabaseFailure, StoreError
from twotick.store.postgres.connection import BY_KEYS, CONFLICTS, LOST, PostgresConnection, store_error
from twotick.store.postgres.schema import SERVING, check_server, migrate
from twotick.store.sqlite.database import Contents

_TRIES: Final = 8
"""How often a transaction is tried when another process is in the way."""

_PATIENCE: Final = 20.0
"""Seconds for which a server tries to reach the database again, which may be changing its primary."""

_PAUSE: Final = 0.2

_MOST_IDLE: Final = 5.0
"""Seconds after which PostgreSQL undoes a server's transaction that asks for nothing more, such as that of a machine
that is frozen: its locks keep all other servers waiting. The server then carries it out again."""

_UNKNOWN: Final = "it is not known whether the database has kept this, since {}: send it again with the same Id"

_IN_USE: Final = (
    "another server uses this database: stop it first, or give each server a database of its own, or let all servers"
    " share this one with the setting bus"
)
_IN_USE_WITHOUT_BUS: Final = (
    "a server without the setting bus uses this database: stop it, and start it again with this setting"
)

_T = TypeVar("_T")


class PostgresDatabase:
    """A database.

    Args:
        url: where it is.
        open_contents: makes the contents for a new connection.
        exclusive: whether this is a server's.
        shared: whether several servers use the database.

    Raises:
        StoreError: it cannot be used; the text says what to do.

    Attributes:
        has_written: whether anything was written since this was last set to False.
    """

    def __init__(
        self,
        url: str,
        open_contents: Callable[[PostgresConnection], Contents],
        *,
        exclusive: bool,
        shared: bool = False,
    ) -> None:
        self._url = url
        self._shared = shared
        self._is_known = False
        self._open_contents = open_contents
        self._exclusive = exclusive
        self._connection: PostgresConnection | None = None
        self._contents: Contents | None = None
        self._changes: int | None = None
        self.has_written = True
        self.is_log_short = False
        self.is_healthy = True
        self._open()

    def _open(self) -> tuple[PostgresConnection, Contents]:
        connection = _connected(self._url)
        try:
            check_server(connection)
            if not self._is_known:  # a newer version may have added to the tables since
                migrate(connection)
            connection.script("SET search_path = twotick, pg_catalog; SET statement_timeout = 0; SET lock_timeout = 0")
            connection.script(BY_KEYS)
            if self._exclusive:
                connection.script(f"SET idle_in_transaction_session_timeout = {int(_MOST_IDLE * 1000)}")
                _lock(connection, shared=self._shared)
        except BaseException as error:
            connection.close()
            if isinstance(error, asyncpg.PostgresError | OSError):
                raise store_error(error) from error
            raise
        self._is_known = True
        self._connection = connection
        self._contents = contents = self._open_contents(connection)
        return connection, contents

    @property
    def connection(self) -> PostgresConnection:
        """The connection; a new one if the last one was lost."""
        return self._opened()[0]

    def _opened(self) -> tuple[PostgresConnection, Contents]:
        if self._connection is not None and self._connection.is_closed:
            self._drop()
        if self._connection is None or self._contents is None:
            return self._open()
        return self._connection, self._contents

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(Exception):  # it is of no use any more
                self._connection.close()
        self._connection = self._contents = None

    def has_server(self) -> bool:
        """Tell whether a server uses the database, other than this one."""
        if self._exclusive:
            return False
        connection = self.connection
        if not connection.run(f"SELECT pg_try_advisory_lock({SERVING})").fetchone()[0]:
            return True
        connection.run(f"SELECT pg_advisory_unlock({SERVING})")
        return False

    def within(self, work: Callable[[], _T], *, reading: bool = False) -> _T:
        """Do something in one transaction; on return the database, and its standby, has kept it, and all it has read.

        Args:
            work: what to do.
            reading: whether it only reads, so that it sees everything as it was at one moment.

        Raises:
            OnlyReads: it does not only read.
            StoreError: the transaction failed, and nothing of it is kept; or a CommitUnknown.
        """
        until = time.monotonic() + _PATIENCE
        tries = 0
        while True:
            try:
                connection, contents = self._opened()
                connection.begin(reading=reading)
                contents.begin()
                result = work()
                contents.end()
                if not (self._exclusive or reading):
                    connection.run("UPDATE counter SET value = value + 1 WHERE name = 'changes'")
            except CONFLICTS as error:
                self._undo()
                tries += 1
                if tries >= _TRIES:
                    raise store_error(error) from error
            except LOST as error:
                self._undo()
                self._drop()
                if time.monotonic() > until:
                    raise store_error(error) from error
                time.sleep(_PAUSE)
            except StoreError:
                self._undo()
                if self._connection is not None or time.monotonic() > until:
                    raise
                time.sleep(_PAUSE)  # it could not be reached
            except asyncpg.PostgresError as error:
                self._undo()
                raise store_error(error) from error
            except BaseException:
                self._undo()
                raise
            else:
                self.has_written |= connection.has_written
                self._commit(connection)
                return result

    def _commit(self, connection: PostgresConnection) -> None:
        try:
            connection.commit()
        except (asyncpg.PostgresError, *LOST, StoreError) as error:
            self._undo()
            self._drop()
            self._changes = -1  # what is known of the database may be out of date
            raise CommitUnknown(_UNKNOWN.format(error)) from error
        except BaseException:
            self._drop()
            raise

    within_unsynced = within

    def look(self, work: Callable[[], _T]) -> _T:
        """Do something in one transaction that is undone."""
        connection, contents = self._opened()
        connection.begin()
        try:
            contents.begin()
            return work()
        finally:
            self._undo()

    def _undo(self) -> None:
        if self._contents is not None:
            self._contents.forget()
        if self._connection is None:
            return
        try:
            if not self._connection.is_closed:
                self._connection.script("ROLLBACK")
        except Exception:  # whatever it is: the end of the connection undoes it as well, and frees its locks
            self._drop()

    def changed(self) -> bool:
        """Tell whether the operator's commands have written since the last call."""
        try:
            row: Any = self.connection.run("SELECT value FROM twotick.counter WHERE name = 'changes'").fetchone()
        except (asyncpg.PostgresError, *LOST) as error:
            self._drop()
            raise store_error(error) from error
        before, self._changes = self._changes, row[0]
        return before is not None and before != self._changes

    def reusable_bytes(self) -> int:
        """Return 0: how full its disk is, only the database knows."""
        return 0

    def shorten_log(self) -> None:
        """Do nothing: the database does this by itself."""

    @property
    def must_erase(self) -> bool:
        """Return False: VACUUM removes what was erased."""
        return False

    def finish_checkpoint(self) -> bool:
        """Do nothing: the database does this by itself."""
        return False

    def close(self) -> None:
        """Close the connection."""
        self._drop()


def _lock(connection: PostgresConnection, *, shared: bool) -> None:
    """Lock the database, as long as the connection lasts; that of a server that was killed ends soon.

    Args:
        connection: the connection.
        shared: whether other servers may use it that share it as well.
    """
    until = time.monotonic() + _PATIENCE
    lock = "pg_try_advisory_lock_shared" if shared else "pg_try_advisory_lock"
    while not connection.run(f"SELECT {lock}({SERVING})").fetchone()[0]:
        if time.monotonic() > until:
            raise StoreError(_IN_USE_WITHOUT_BUS if shared else _IN_USE)
        time.sleep(_PAUSE)


def _connected(url: str) -> PostgresConnection:
    """Connect, and say in words what is wrong if this cannot be done."""
    try:
        return PostgresConnection(url)
    except (asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError) as error:
        raise DatabaseFailure(f"the database does not let this user in ({error}): check name and password") from error
    except asyncpg.InvalidCatalogNameError as error:
        raise DatabaseFailure(f"{error}: create it with createdb, or name another one") from error
    except asyncpg.TargetServerAttributeNotMatched as error:
        raise DatabaseFailure(
            "no server of the database takes writes now: it is a standby, or has no primary"
        ) from error
    except asyncpg.ClientConfigurationError as error:
        raise DatabaseFailure(f"this is not the address of a PostgreSQL database: {error}") from error
    except (ValueError, OverflowError) as error:  # their texts may have a part of the password
        raise DatabaseFailure(
            "this is not the address of a PostgreSQL database: check its host and port, and write # / ? @ : in a"
            " password as %23 %2F %3F %40 %3A, or keep the password in ~/.pgpass"
        ) from error
    except (asyncpg.PostgresError, *LOST) as error:
        raise DatabaseFailure(
            f"the database cannot be reached ({str(error) or 'no answer in time'}): check that PostgreSQL runs, and its"
            " host and port"
        ) from error
