"""The store on SQLite: one database in a folder, or in memory (docs/protocol.md, sections 10 to 17)."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from twotick.store.port import Answer, Request, StoreError, StoreLimits
from twotick.store.requests.conversations import ListConversations, ListReceipts, SetConversation
from twotick.store.requests.files import OfferFile, ReadPiece, WritePiece
from twotick.store.requests.members import (
    AddInvitation,
    AddMember,
    AddToken,
    FindMember,
    FindMembers,
    FindToken,
    ListDevices,
    ListMembers,
    OpenDevice,
    RemoveMember,
    Revoke,
    SetPassword,
)
from twotick.store.requests.messages import Acknowledge, Append, Expire, Fetch, History, MarkRead, Prune, Refuse, Settle
from twotick.store.requests.presence import ListAudience, ListContacts, SetShown
from twotick.store.requests.reports import AddReport, CloseReport, ListReports
from twotick.store.requests.rooms import (
    ChangeRoom,
    CreateRoom,
    GetRoom,
    InviteToRoom,
    JoinRoom,
    LeaveRoom,
    ListRoomMembers,
    ListRooms,
    RemoveFromRoom,
    SetRoomRole,
)
from twotick.store.requests.search import SearchMessages
from twotick.store.sqlite.accounts import AccountRepository
from twotick.store.sqlite.check import problems
from twotick.store.sqlite.conversations import ConversationRepository
from twotick.store.sqlite.editing import Editing
from twotick.store.sqlite.files import FileRepository
from twotick.store.sqlite.logs import Logs
from twotick.store.sqlite.messages import MessageRepository
from twotick.store.sqlite.presence import PresenceRepository
from twotick.store.sqlite.reading import LogReader
from twotick.store.sqlite.reports import ReportRepository
from twotick.store.sqlite.rooms import RoomRepository, refusing
from twotick.store.sqlite.schema import BUSY_MILLISECONDS, STEPS, connect, migrate, reason, version
from twotick.store.sqlite.texts import Texts
from twotick.store.sqlite.word_index import MessageSearch, WordIndex

_DATABASE = "twotick.db"
_LOCK = "lock"

_UNKNOWN = -1
"""In place of the version of the database that `Logs` knows: what is remembered must be read again."""

_T = TypeVar("_T")
_Handlers: TypeAlias = dict[type[Request[Any]], Callable[[Any], Any]]


class SqliteStore:
    """The store on SQLite. One thread uses it at a time. See `Store`.

    Args:
        folder: where the database is; created for its owner only if it does not exist. None keeps it in memory.
        limits: the most that is kept.
        exclusive: whether this is the server's store, of which a folder has only one. The operator's commands open the
            store with False, beside a running server.

    Raises:
        StoreError: the database cannot be opened, is in use by another server, or is not Twotick's.
    """

    def __init__(self, folder: Path | None, limits: StoreLimits, *, exclusive: bool = True):
        self._file = None if folder is None else folder / _DATABASE
        self._limits = limits
        self._lock: int | None = None
        self._connection: sqlite3.Connection | None = None
        self._left_over = False
        try:
            if folder is not None:
                _make(folder)
                if exclusive:
                    self._lock = _lock(folder)
            self._connect()
            if exclusive:
                self._within(self._messages.settle_all)
        except BaseException:
            self.close()
            raise

    def _connect(self) -> None:
        connection = connect(self._file)
        try:
            if version(connection, self._file) < len(STEPS):
                # Not below a server that runs: it knows the older version.
                lock = _lock(self._file.parent) if self._file is not None and self._lock is None else None
                try:
                    migrate(connection, self._file)
                finally:
                    if lock is not None:
                        os.close(lock)
            self._written = _UNKNOWN
            self._noticed = _data_version(connection)
        except sqlite3.Error as error:
            connection.close()
            raise StoreError(f"{self._file} cannot be opened: {reason(error)}") from error
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        self._logs = logs = Logs(connection, self._limits)
        logs.erased = self._lock is not None  # perhaps, by a server that was killed
        rooms = RoomRepository(logs)
        reading = LogReader(logs, rooms)
        files = FileRepository(logs, reading)
        words = WordIndex(connection.execute)
        texts = Texts(logs, words, reading)
        self._search = search = MessageSearch(words, texts)
        editing = Editing(logs, texts)
        logs.on_removal += [files.remove_with_messages, texts.forget]
        self._messages = messages = MessageRepository(logs, rooms, editing, files)
        self._presence = presence = PresenceRepository(logs, rooms)
        directory = AccountRepository(logs, rooms, files, presence)
        desk = ReportRepository(logs, reading)
        talk = ConversationRepository(logs, rooms)
        self._handlers: _Handlers = {
            Append: refusing(messages.append),
            Acknowledge: messages.acknowledge,
            Refuse: messages.refuse,
            MarkRead: messages.mark_read,
            Settle: messages.settle,
            Expire: messages.expire,
            Prune: self._prune,
            Fetch: reading.fetch,
            History: reading.history,
            ListMembers: directory.members,
            FindMember: directory.find_member,
            FindMembers: directory.find_members,
            FindToken: directory.find_token,
            AddMember: directory.add_member,
            SetPassword: directory.set_password,
            RemoveMember: directory.remove_member,
            AddInvitation: directory.add_invitation,
            AddToken: directory.add_token,
            OpenDevice: directory.open_device,
            ListDevices: directory.devices,
            Revoke: directory.revoke,
            CreateRoom: refusing(rooms.create),
            JoinRoom: refusing(rooms.join),
            LeaveRoom: refusing(rooms.leave),
            ChangeRoom: refusing(rooms.change),
            InviteToRoom: refusing(rooms.invite),
            RemoveFromRoom: refusing(rooms.remove),
            SetRoomRole: refusing(rooms.appoint),
            GetRoom: refusing(rooms.look),
            ListRoomMembers: refusing(rooms.members),
            ListRooms: rooms.rooms,
            SearchMessages: search.search,
            OfferFile: files.offer,
            WritePiece: files.write,
            ReadPiece: files.read,
            AddReport: desk.report,
            ListReports: desk.reports,
            CloseReport: desk.close,
            ListReceipts: refusing(talk.receipts),
            ListConversations: talk.conversations,
            SetConversation: refusing(talk.set),
            ListAudience: presence.audience,
            ListContacts: presence.contacts,
            SetShown: presence.set_shown,
        }

    def _prune(self, request: Prune) -> bool:
        """Remove old messages; then forget the audiences of members that were removed."""
        more = self._messages.prune(request)
        if not more:
            self._presence.prune(request.time)
        return more

    def apply(self, requests: Sequence[Request[Any]]) -> list[Any]:
        """See Store."""

        def carry_out() -> list[Any]:
            keys = [(each.sender, each.id) for each in requests if isinstance(each, Append) and each.sender and each.id]
            self._logs.look_up(keys)
            return [self._handlers[type(request)](request) for request in requests]

        return self._within(carry_out)

    def ask(self, request: Request[Answer]) -> Answer:
        """See Store."""
        (answer,) = self.apply([request])
        return answer

    def tidy(self) -> bool:
        """See Store. Indexes messages, and moves rows from the journal to their tables."""
        return self._within(self._search.index)

    def _within(self, work: Callable[[], _T]) -> _T:
        """Do something in one transaction."""
        if self._connection is None:
            self._connect()
        connection = self._connection
        assert connection is not None
        ending = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            now = _data_version(connection)
            if now != self._written:
                self._logs.reload()
                self._written = now
            result = work()
            self._logs.end()
            ending = True
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo(connection, ending)
            raise StoreError(reason(error)) from error
        except BaseException:
            self._undo(connection, ending)
            raise
        self._left_over = False
        if self._logs.erased:
            self._empty_log(connection)
        return result

    def _empty_log(self, connection: sqlite3.Connection) -> None:
        """Empty the write-ahead log, which still has what was erased. If that cannot be now, the next batch does it."""
        with suppress(sqlite3.Error):  # the batch is on the disk even so
            connection.execute("PRAGMA busy_timeout = 0")  # another process that reads is not waited for
            try:
                busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
            self._logs.erased = bool(busy)

    def _undo(self, connection: sqlite3.Connection, ending: bool) -> None:
        """Take back a transaction that failed; if even that fails, the next one begins with a new connection.

        Args:
            connection: where it was begun.
            ending: whether it was its end that failed.
        """
        self._logs.forget()
        self._written = _UNKNOWN
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            with suppress(sqlite3.Error):  # it is of no use any more in any case
                connection.close()
            self._connection = None
        else:
            if ending:
                self._overwrite(connection)

    def _overwrite(self, connection: sqlite3.Connection) -> None:
        """Put something harmless in the place of a transaction whose end failed.

        If it was fsync that failed, all of the transaction may be in the write-ahead log, where it would be taken for
        done by whoever opens the file after a crash. What is written next takes its place: let that be now.
        """
        try:
            connection.execute(f"PRAGMA user_version = {len(STEPS)}")
            self._left_over = False
        except sqlite3.Error:  # the disk still fails; the next transaction, or `close`, does it
            self._left_over = True

    def changed(self) -> bool:
        """Whether another process has written since this was last asked, or since the store was opened.

        Raises:
            StoreError: the database cannot be read.
        """
        try:
            if self._connection is None:
                self._connect()
                return True
            now = _data_version(self._connection)
        except sqlite3.Error as error:
            raise StoreError(reason(error)) from error
        before, self._noticed = self._noticed, now
        return now != before

    def backup(self, file: Path) -> None:
        """Copy the database as it is at this moment, also while a server uses it.

        Args:
            file: where to; readable by its owner only. What was there is replaced when the copy is complete.

        Raises:
            StoreError: it cannot be done; what was there is still there.
        """
        part = file.with_name(file.name + ".part")
        try:
            if self._connection is None:
                self._connect()
            assert self._connection is not None
            part.unlink(missing_ok=True)
            copy = connect(part)
            try:
                self._connection.backup(copy)
                # One file that stands alone, not one with a write-ahead log beside it.
                copy.execute("PRAGMA journal_mode = DELETE")
            finally:
                copy.close()
            part.replace(file)
            _sync(file.parent)
        except (sqlite3.Error, StoreError, OSError) as error:
            with suppress(OSError):  # what is wrong with the folder is told already
                part.unlink(missing_ok=True)
            match error:
                case sqlite3.Error():
                    words = reason(error)
                case OSError():
                    words = str(error.strerror)
                case _:
                    words = str(error)
            raise StoreError(f"the backup failed: {words}") from error

    def check(self) -> list[str]:
        """Look for damage: in the file, and in what must be true of logs, cursors and counters.

        Returns:
            The problems in words; none if all is well.

        Raises:
            StoreError: the database cannot be opened.
        """
        if self._connection is None:
            self._connect()
        try:
            self._within(self._logs.flush)
            assert self._connection is not None
            return problems(self._connection)
        except sqlite3.Error as error:
            return [reason(error)]
        except StoreError as error:
            return [str(error)]

    def close(self) -> None:
        """Close the database and let another server have it. What `apply` returned for is on the disk already."""
        if self._connection is not None and self._written != _UNKNOWN:
            with suppress(StoreError):  # what is in the journal is not lost
                self._within(self._logs.flush)
        if self._connection is not None:
            if self._left_over:
                self._overwrite(self._connection)
            self._connection.close()
            self._connection = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def _data_version(connection: sqlite3.Connection) -> int:
    """A number that changes when another connection has written."""
    number: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return number


def _make(folder: Path) -> None:
    """Make the folder, if it is not there, in such a way that it is there after a power failure."""
    try:
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True)
            _sync(folder.parent)
        file = folder / _DATABASE
        if not file.exists():
            os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
            _sync(folder)
    except OSError as error:
        raise StoreError(f"{folder} cannot be used: {error.strerror}") from error


def _sync(folder: Path) -> None:
    """Make what was made or renamed in a folder last."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _lock(folder: Path) -> int:
    """Take a folder for one server. Returns the file that holds the lock for as long as it is open."""
    try:
        number = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(f"{folder} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(number)
        if isinstance(error, BlockingIOError):
            raise StoreError(f"{folder} is in use by another server") from error
        raise StoreError(f"{folder} cannot be locked: {error.strerror}") from error
    return number
