"""The database file: its folder, its lock, transactions, and copies of it."""

import fcntl
import os
import pwd
import sqlite3
import stat
from collections.abc import Callable
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Final, Protocol, TypeVar

from twotick.store.port import StoreError
from twotick.store.sqlite.checkpointer import Checkpointer
from twotick.store.sqlite.schema import (
    BUSY_MILLISECONDS,
    STEPS,
    check_layout,
    connect,
    migrate,
    reason,
    store_error,
    version,
)
from twotick.store.sqlite.turn import Turn

_DATABASE: Final = "twotick.db"
_LOCK: Final = "lock"

_UNKNOWN: Final = -1
"""In place of the database's version: what is remembered must be read again."""

_CHANGES: Final = 32768
"""Changed rows after which the write-ahead log is copied into the file."""

_GROWTH: Final = 8 << 20
"""Bytes by which the write-ahead log has grown, after which it is copied too: on a full disk there is no room for long
logs twice. The file does not grow while its beginning is used again."""

_ERASED_TOGETHER: Final = 32
"""Transactions after which the write-ahead log is emptied in any case, since it has what the first of them erased. It
takes several times as long as a transaction."""

_T = TypeVar("_T")


class Contents(Protocol):
    """What is written to the database in transactions; see `Tables`."""

    erased: bool

    def begin(self) -> None:
        """Begin a transaction."""
        ...

    def end(self) -> None:
        """Write everything that the transaction has decided."""
        ...

    def recover(self) -> None:
        """Read everything again: another process may have changed it."""
        ...

    def forget(self) -> None:
        """Forget everything: a transaction has failed."""
        ...


class DatabaseFile:
    """A database in a folder, or in memory.

    Args:
        folder: where the file is; created for its owner only if it does not exist. None keeps the database in memory.
        exclusive: whether this is the server's, of which a folder has only one.
        open_contents: makes the contents for a new connection.

    Attributes:
        is_log_short: whether the write-ahead log is emptied after each transaction, since it needs room on the disk.

    Raises:
        StoreError: it cannot be opened, is in use by another server, or is not Twotick's.
    """

    def __init__(
        self, folder: Path | None, open_contents: Callable[[sqlite3.Connection], Contents], *, exclusive: bool
    ) -> None:
        self._file = None if folder is None else folder / _DATABASE
        self._open_contents = open_contents
        self._lock: int | None = None
        self._turn: Turn | None = None
        self._connection: sqlite3.Connection | None = None
        self._contents: Contents | None = None
        self._checkpointer: Checkpointer | None = None
        self._log = None if folder is None else folder / f"{_DATABASE}-wal"
        self._checkpointed = 0  # rows changed when the log was copied last
        self._log_size = 0  # then
        self._left_over = False
        self._unerased = 0  # transactions since something was erased that the write-ahead log still has
        self.is_log_short = False
        self._written = self._noticed = _UNKNOWN
        try:
            if folder is not None:
                _make(folder)
                if exclusive:
                    self._lock = _lock(folder)
                self._turn = _turn(folder)
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def is_exclusive(self) -> bool:
        """Whether no other server uses the file."""
        return self._lock is not None

    def has_server(self) -> bool:
        """Tell whether a server uses the file, other than this one."""
        if self._file is None or self.is_exclusive:
            return False
        try:
            os.close(_lock(self._file.parent, fcntl.LOCK_SH))
        except StoreError:
            return True
        return False

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection; a new one if the last one failed."""
        return self._opened()[0]

    def _opened(self) -> tuple[sqlite3.Connection, Contents]:
        if self._connection is None or self._contents is None:
            return self._open()
        return self._connection, self._contents

    def _open(self) -> tuple[sqlite3.Connection, Contents]:
        connection = connect(self._file)
        try:
            found = version(connection, self._file)
            check_layout(connection, self._file)
            if found < len(STEPS):
                lock = self._lock_to_upgrade()
                try:
                    migrate(connection, self._file)
                finally:
                    if lock is not None:
                        os.close(lock)
            self._noticed = _data_version(connection)
            if self.is_exclusive:
                connection.execute("PRAGMA journal_mode = WAL")  # a backup has none
                connection.execute("PRAGMA wal_autocheckpoint = 0")
        except sqlite3.Error as error:
            connection.close()
            raise store_error(error, f"{self._file} cannot be opened") from error
        except BaseException:
            connection.close()
            raise
        self._written = _UNKNOWN
        self._checkpointed = self._log_size = 0
        self._connection = connection
        self._contents = contents = self._open_contents(connection)
        contents.erased = self.is_exclusive  # perhaps, by a server that was killed
        if self.is_exclusive and self._checkpointer is None:
            self._checkpointer = Checkpointer(lambda: connect(self._file))
        return connection, contents

    def _lock_to_upgrade(self) -> int | None:
        """Lock the folder while the file is upgraded: not while a server runs that knows the older version.

        Returns:
            The file that holds the lock while it is open; None if there is no folder, or it is locked already.

        Raises:
            StoreError: a server uses the folder.
        """
        if self._file is None or self._lock is not None:
            return None
        try:
            return _lock(self._file.parent)
        except StoreError as error:
            raise StoreError(
                f"{self._file.parent} is in use by another server, and its data are not upgraded yet to this version:"
                " if that server is starting, it is upgrading them, so try again when it listens; if it is an older"
                " version, stop it first"
            ) from error

    # Transactions

    def within_unsynced(self, work: Callable[[], _T]) -> _T:
        """Do something in one transaction that a power failure may undo, until the next one is on the disk.

        Raises:
            StoreError: the transaction failed, and nothing of it is kept.
        """
        connection = self.connection
        try:
            connection.execute("PRAGMA synchronous = NORMAL")
            try:
                return self.within(work, erase_later=True)
            finally:
                connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            raise store_error(error) from error

    def within(self, work: Callable[[], _T], *, erase_later: bool = False) -> _T:
        """Do something in one transaction; on return it is on the disk.

        Args:
            work: what is done.
            erase_later: whether what it erases may stay in the write-ahead log until `finish_checkpoint` is called, or
                until some more transactions were made.

        Raises:
            StoreError: the transaction failed, and nothing of it is kept.
        """
        connection, contents = self._opened()
        ending = False
        is_overdue = contents.erased and not self._unerased  # another process was reading when it was tried last
        try:
            self._begin(connection)
            now = _data_version(connection)
            if now != self._written:
                contents.recover()
                self._written = now
            contents.begin()
            result = work()
            contents.end()
            ending = True
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo(connection, contents, ending)
            raise store_error(error) from error
        except BaseException:
            self._undo(connection, contents, ending)
            raise
        self._left_over = False
        if contents.erased or self.is_log_short:
            self._unerased += 1
            if self.is_log_short or is_overdue or not erase_later or self._unerased >= _ERASED_TOGETHER:
                self._empty_log(connection, contents)
        elif self._checkpointer is not None and self._is_log_long(connection):
            self._checkpointer.wake()
        return result

    @property
    def must_erase(self) -> bool:
        """Whether the write-ahead log has what was erased, for `finish_checkpoint`."""
        return self._unerased > 0

    def _is_log_long(self, connection: sqlite3.Connection) -> bool:
        """Tell whether much was written to the write-ahead log since this was last so."""
        size = _size(self._log)
        if connection.total_changes - self._checkpointed <= _CHANGES and size - self._log_size <= _GROWTH:
            return False
        self._checkpointed = connection.total_changes
        self._log_size = size
        return True

    def shorten_log(self) -> None:
        """Copy the write-ahead log into the file, and give back the room that it takes."""
        with suppress(sqlite3.Error, StoreError):  # nothing is lost; the next transaction reports a failing disk
            self._empty_log(*self._opened())

    def look(self, work: Callable[[], _T]) -> _T:
        """Do something in one transaction that is undone, so that it needs no room on the disk.

        Raises:
            StoreError: the database cannot be read.
        """
        connection, contents = self._opened()
        try:
            connection.execute("PRAGMA cache_spill = OFF")
            self._begin(connection)
            contents.recover()
            contents.begin()
            return work()
        except sqlite3.Error as error:
            raise store_error(error) from error
        finally:
            self._undo(connection, contents, ending=False)
            with suppress(sqlite3.Error):  # then memory is all that this costs
                connection.execute("PRAGMA cache_spill = ON")

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Begin a transaction that may write. Commands wait for it in turn, and the server after them."""
        if self._turn is None:
            connection.execute("BEGIN IMMEDIATE")
        elif self.is_exclusive:
            self._turn.give_way()
            connection.execute("BEGIN IMMEDIATE")
        else:
            with self._turn.taken():
                connection.execute("BEGIN IMMEDIATE")

    def reusable_bytes(self) -> int:
        """Return how many bytes of the file hold nothing, so that something can be stored without more room."""
        try:
            (pages,), (size,) = (
                self.connection.execute(f"PRAGMA {name}").fetchone() for name in ("freelist_count", "page_size")
            )
        except (sqlite3.Error, StoreError):
            return 0  # the next transaction reports what is wrong
        return pages * size

    def finish_checkpoint(self) -> bool:
        """Empty a write-ahead log that has what was erased, or copy the rest of a long one, so that it begins anew.

        Returns:
            Whether there was something to do.
        """
        if self._unerased:
            self._empty_log(*self._opened())
            return True
        checkpointer = self._checkpointer
        if checkpointer is None or not checkpointer.is_long or self._connection is None:
            return False
        checkpointer.is_long = False
        with checkpointer.lock, suppress(sqlite3.Error):  # nothing is lost; the next batch reports a failing disk
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return True

    def _empty_log(self, connection: sqlite3.Connection, contents: Contents) -> None:
        """Empty the write-ahead log, which still has what was erased; if it is in use, the next batch tries again."""
        self._unerased = 0
        copying = nullcontext() if self._checkpointer is None else self._checkpointer.lock
        with copying, suppress(sqlite3.Error):  # the batch is on the disk even so
            connection.execute("PRAGMA busy_timeout = 0")  # do not wait for another process that reads
            try:
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
            contents.erased = bool(busy)

    def _undo(self, connection: sqlite3.Connection, contents: Contents, ending: bool) -> None:
        """Roll back a transaction that failed; if even that fails, the next one begins with a new connection.

        Args:
            connection: where it was begun.
            contents: what it wrote.
            ending: whether its COMMIT failed.
        """
        contents.forget()
        self._written = _UNKNOWN
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            with suppress(sqlite3.Error):  # it is of no use any more in any case
                connection.close()
            self._connection = self._contents = None
        else:
            if ending:
                self._overwrite(connection)

    def _overwrite(self, connection: sqlite3.Connection) -> None:
        """Write something harmless in the place of a transaction whose COMMIT failed.

        If fsync failed, all of the transaction may be in the write-ahead log, where a process that opens the file after
        a crash would take it for committed. What is written next takes its place.
        """
        try:
            connection.execute(f"PRAGMA user_version = {len(STEPS)}")
            self._left_over = False
        except sqlite3.Error:  # the disk still fails; the next transaction, or `close`, does it
            self._left_over = True

    # The file

    def changed(self) -> bool:
        """Tell whether another process has written since the last call, or since the database was opened.

        Raises:
            StoreError: the database cannot be read.
        """
        try:
            if self._connection is None:
                self._open()
                return True
            now = _data_version(self._connection)
        except sqlite3.Error as error:
            raise store_error(error) from error
        before, self._noticed = self._noticed, now
        return now != before

    def backup(self, file: Path) -> None:
        """Copy the database as it is now.

        Args:
            file: the copy, readable by its owner only. An older file is replaced once the copy is complete.

        Raises:
            StoreError: the copy failed, and an older file is untouched.
        """
        part = file.with_name(file.name + ".part")
        held: int | None = None
        try:
            connection = self.connection
            held = _hold(part)
            copy = connect(part)
            try:
                connection.backup(copy)
                # One file that stands alone, without a write-ahead log beside it.
                copy.execute("PRAGMA journal_mode = DELETE")
            finally:
                copy.close()
            part.replace(file)
            _sync(file.parent)
        except (sqlite3.Error, StoreError, OSError) as error:
            if held is not None:
                with suppress(OSError):  # what is wrong with the folder is told already
                    part.unlink(missing_ok=True)
            match error:
                case sqlite3.Error():
                    words = reason(error)
                case BlockingIOError():
                    words = f"another backup is writing {part}; try again when it is done"
                case OSError():
                    words = str(error.strerror)
                case _:
                    words = str(error)
            raise StoreError(f"the backup to {file} failed: {words}") from error
        finally:
            if held is not None:
                os.close(held)

    @property
    def is_healthy(self) -> bool:
        """Whether the last transaction ended well."""
        return self._connection is not None and self._written != _UNKNOWN

    def close(self) -> None:
        """Close the database, and let another server have it."""
        if self._checkpointer is not None:
            self._checkpointer.close()
            self._checkpointer = None
        if self._connection is not None:
            if self._left_over:
                self._overwrite(self._connection)
            self._connection.close()
            self._connection = self._contents = None
        if self._turn is not None:
            self._turn.close()
            self._turn = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _size(file: Path | None) -> int:
    """Return the size of a file; 0 if there is none."""
    try:
        return 0 if file is None else os.stat(file).st_size  # noqa: PTH116 # asked after each transaction
    except OSError:
        return 0


def _data_version(connection: sqlite3.Connection) -> int:
    """Return a number that changes when another connection has written."""
    number: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return number


def last_written(folder: Path) -> float | None:
    """Return when a database was written last, as the file system says, in seconds since 1970; None if it is new."""
    times: list[float] = []
    for name in (_DATABASE, f"{_DATABASE}-wal"):
        with suppress(OSError):  # it is missing; opening the database tells what else may be wrong
            times.append((folder / name).stat().st_mtime)
    return max(times, default=None)


def _make(folder: Path) -> None:
    """Create the folder and an empty file, if they do not exist, so that they survive a power failure.

    Raises:
        StoreError: they cannot be used, or every user of the machine can change them.
    """
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True)
            _sync(folder.parent)
        _check_owner(folder)
        file = folder / _DATABASE
        if not file.exists():
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            _sync(folder)
        modes = {each: stat.S_IMODE(each.stat().st_mode) for each in (folder, file)}
    except FileExistsError as error:
        raise StoreError(f"{folder} cannot be used: it is no folder, or a link that leads to none") from error
    except OSError as error:
        raise StoreError(f"{folder} cannot be used: {error.strerror}") from error
    for each, mode in modes.items():
        if mode & stat.S_IWOTH:
            raise StoreError(
                f"every user of this machine can change {each} (its mode is {mode:04o}): run 'chmod o-w {each}', and"
                " restore a backup if another user may have changed the data"
            )


def _check_owner(folder: Path) -> None:
    """Refuse root in the folder of another user: what root makes there would be out of the server's reach.

    Raises:
        StoreError: root is refused.
        OSError: the folder cannot be looked at.
    """
    owner = folder.stat().st_uid
    if os.geteuid() or not owner:
        return
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"'#{owner}'"  # as sudo has it
    raise StoreError(f"{folder} belongs to another user than root: run this as that user, with 'sudo -u {name}'")


def _sync(folder: Path) -> None:
    """Make what was created or renamed in a folder durable."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _hold(part: Path) -> int:
    """Make an empty file for one backup. Return a file that keeps other backups from it while it is open.

    Raises:
        BlockingIOError: another backup has it.
        OSError: it cannot be made.
    """
    while True:
        number = os.open(part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_at(part, number):  # otherwise another backup has renamed it just before
                os.ftruncate(number, 0)
                return number
        except BaseException:
            os.close(number)
            raise
        os.close(number)


def _is_at(path: Path, number: int) -> bool:
    """Tell whether an open file is the one at a path."""
    try:
        return os.path.samestat(os.fstat(number), path.stat())
    except FileNotFoundError:
        return False


def _turn(folder: Path) -> Turn:
    try:
        return Turn(folder)
    except OSError as error:
        raise StoreError(f"{folder} cannot be used: {error.strerror}") from error


def _lock(folder: Path, kind: int = fcntl.LOCK_EX) -> int:
    """Lock a folder for one server. Return the file that holds the lock while it is open."""
    try:
        number = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{folder} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(number, kind | fcntl.LOCK_NB)
    except OSError as error:
        os.close(number)
        if isinstance(error, BlockingIOError):
            raise StoreError(f"{folder} is in use by another server: stop that one first") from error
        raise StoreError(f"{folder} cannot be locked: {error.strerror}") from error
    return number
