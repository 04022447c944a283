"""The store on SQLite (docs/protocol.md, sections 10 to 17). See `twotick.store.port.Store`.

A batch of requests is one transaction. Each request is carried out by the repository for its subject: it loads records,
lets the rules (twotick.store.rules) decide, and writes what they decided.
"""

import secrets
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from twotick.store.port import (
    Answer,
    Damaged,
    DiskFull,
    Refusal,
    Request,
    StoreError,
    StoreLimits,
    Together,
    Work,
)
from twotick.store.requests.delayed import FindDue
from twotick.store.requests.hooks import ListHooks
from twotick.store.requests.members import ContinueRemoval, FindMember, FindMembers, OpenDevice, OpenedDevice
from twotick.store.requests.messages import Acknowledge, Append, Effects, Expire, Fetched, MessageAction, Unfinished
from twotick.store.requests.operating import ByOperator
from twotick.store.requests.servers import (
    ClaimGuest,
    FindConnected,
    FindDatabaseState,
    FindFailures,
    NoteFailure,
    WhileNewest,
)
from twotick.store.rules.operators import check_act
from twotick.store.sqlite.absence import AbsenceRepository
from twotick.store.sqlite.accounts import AccountRepository
from twotick.store.sqlite.bots import BotRepository, SlotRepository
from twotick.store.sqlite.check import problems
from twotick.store.sqlite.conversations import ConversationRepository
from twotick.store.sqlite.database import DatabaseFile, last_written
from twotick.store.sqlite.delayed import DelayedRepository
from twotick.store.sqlite.digests import DigestRepository
from twotick.store.sqlite.editing import EditRepository
from twotick.store.sqlite.files import FileRepository
from twotick.store.sqlite.forwarding import ForwardRepository
from twotick.store.sqlite.guest_rooms import GuestRoomRepository
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.hooks import HookRepository
from twotick.store.sqlite.ledger import Ledger
from twotick.store.sqlite.messages import MessageRepository
from twotick.store.sqlite.operating import OperatorRepository
from twotick.store.sqlite.pins import PinRepository
from twotick.store.sqlite.presence import PresenceRepository
from twotick.store.sqlite.profiles import ProfileRepository
from twotick.store.sqlite.pushes import PushRepository
from twotick.store.sqlite.reading import LogReader
from twotick.store.sqlite.removal import RemovalRepository
from twotick.store.sqlite.reports import ReportRepository
from twotick.store.sqlite.reserve import Reserve, adds, reads
from twotick.store.sqlite.retention import RetentionRepository
from twotick.store.sqlite.rooms import RoomRepository
from twotick.store.sqlite.schema import store_error
from twotick.store.sqlite.search import IndexedTexts, MessageSearch
from twotick.store.sqlite.tables import ServerRun, Tables
from twotick.store.sqlite.threads import ThreadRepository
from twotick.store.sqlite.times import TimeRepository
from twotick.store.sqlite.word_index import WordIndex

_CHECKS = 100
"""How often `check` tries to find all rows in their tables, where it looks for them."""

_FULL: Final = "the disk is full, and the server's operator has to make room"

_TRIES: Final = 2
"""How often requests are tried while the disk seems to have room: shortening the write-ahead log may make some."""

_REQUEST_WORK: Final = 4
"""What every request counts as work (see `Tables.work`)."""

_LOOKS: Final = 16
"""The most requests that are carried out at once on a disk that takes nothing more."""

_LONG_WORK: Final = 256
"""The work of one request after which `work_on` ends too."""

_BATCH_WORK: Final = 2048
"""The work after which `work_on` ends: what others ask meanwhile waits for it."""

_WITHOUT_TABLES: Final = frozenset(
    {Acknowledge, ClaimGuest, Expire, FindConnected, FindDue, FindFailures, FindMember, ListHooks, NoteFailure}
)
"""Requests that mostly read only tables whose rows are never in the journal: these do not wait for it."""

_T = TypeVar("_T")


class SqliteStore:
    """The store on SQLite. One thread uses it at a time.

    Args:
        folder: where the database is; created for its owner only if it does not exist. None keeps it in memory.
        limits: the most that is kept.
        exclusive: whether this is the server's store, of which a folder has only one. The operator's commands open the
            store with False, beside a running server.

    Raises:
        StoreError: the database cannot be opened, is in use by another server, or is not Twotick's.
    """

    def __init__(self, folder: Path | None, limits: StoreLimits, *, exclusive: bool = True):
        self._limits = limits
        self._run = ServerRun(secrets.randbits(62))
        self._written = None if folder is None else last_written(folder)
        self._reserve = Reserve(folder, limits.reserve_bytes)
        try:
            self._database = self._open_file(folder, exclusive=exclusive)
        except DiskFull:
            if not self._reserve.free():
                raise
            self._database = self._open_file(folder, exclusive=exclusive)
        if exclusive:
            self._look_for_room()

    def _open_file(self, folder: Path | None, *, exclusive: bool) -> DatabaseFile:
        database = DatabaseFile(folder, self._open, exclusive=exclusive)
        if exclusive:
            try:
                database.within(self._messages.settle_lost)
            except BaseException:
                database.close()
                raise
        return database

    def _open(self, connection: sqlite3.Connection) -> Tables:
        self._tables = tables = self._new_tables(connection)
        self._ledger = ledger = Ledger(tables)
        rooms = RoomRepository(ledger)
        threads = ThreadRepository(ledger)
        reader = LogReader(ledger, rooms, threads)
        files = FileRepository(ledger, reader)
        words = self._new_words()
        texts = IndexedTexts(tables, words)
        self._search = MessageSearch(tables, words, texts, reader)
        presence = PresenceRepository(ledger, rooms)
        times = TimeRepository(tables, lambda: self._written)
        accounts = AccountRepository(ledger)
        pins = PinRepository(ledger, rooms, reader)
        edits, forwards = EditRepository(ledger, texts), ForwardRepository(ledger, reader, files)
        slots = SlotRepository(ledger, edits)
        guest_rooms = GuestRoomRepository(ledger, rooms)
        self._messages = MessageRepository(
            *(ledger, rooms, edits, files, threads, pins, forwards),
            slots=slots,
            guest_rooms=guest_rooms,
        )
        tables.on_removal += [files.remove_with_messages, texts.forget, pins.forget]
        tables.on_withdrawal.append(texts.withdraw)
        self._handlers: Handlers = {
            **self._messages.handlers(),
            **RetentionRepository(ledger, files, presence, times).handlers(),
            **reader.handlers(),
            **accounts.handlers(),
            **HookRepository(tables, accounts).handlers(),
            **DelayedRepository(tables, accounts).handlers(),
            **OperatorRepository(ledger).handlers(),
            **BotRepository(ledger, rooms).handlers(),
            **RemovalRepository(ledger, rooms, files, presence).handlers(),
            **rooms.handlers(),
            **guest_rooms.handlers(),
            **ConversationRepository(ledger, rooms).handlers(),
            **presence.handlers(),
            **pins.handlers(),
            **PushRepository(ledger).handlers(),
            **DigestRepository(ledger).handlers(),
            **ProfileRepository(ledger, presence).handlers(),
            **self._search.handlers(),
            **files.handlers(),
            **ReportRepository(ledger, reader).handlers(),
            Together: self._carry_out_together,
            ByOperator: refusing(self._carry_out_by_operator),
            WhileNewest: self._carry_out_while_newest,
            **times.handlers(),
            **AbsenceRepository(ledger).handlers(),
            **self._handlers_for_servers(),
        }
        return tables

    def _handlers_for_servers(self) -> Handlers:
        """Return what carries out requests about servers that share a database; of SQLite there is only one."""
        return {FindDatabaseState: _no_state}

    def _new_tables(self, connection: sqlite3.Connection) -> Tables:
        return Tables(connection, self._limits, self._run)

    def _new_words(self) -> WordIndex:
        return WordIndex(self._tables.direct)

    def apply(self, requests: Sequence[Request[Any]]) -> list[Any]:
        """See Store."""
        return self._within(partial(self._complete_all, requests))

    def looking(self, work: Callable[[Tables], _T]) -> _T:
        """Look at the tables in one transaction that changes nothing."""
        return self._database.look(lambda: work(self._tables))

    def writing(self, work: Callable[[Tables], _T]) -> _T:
        """Write to the tables in one transaction."""
        return self._database.within(lambda: work(self._tables))

    def _within(self, work: Callable[[], _T]) -> _T:
        """Do something in one transaction; on a full disk, with the reserve."""
        try:
            return self._database.within(work)
        except DiskFull:
            if not self._free_reserve():
                raise
            return self._database.within(work)

    def work_on(self, requests: Sequence[Request[Any]]) -> Work:
        """See Store."""
        self._look_for_room()
        for _ in range(_TRIES):
            if self.is_full:
                break
            try:
                return self._database.within(partial(self._begin, requests), erase_later=True)
            except DiskFull:
                self._free_reserve()
                self._look_for_room()
        return self._work_without_room(requests)

    def _work_without_room(self, requests: Sequence[Request[Any]]) -> Work:
        """Carry out the first of some requests: those that add much are refused, and those that read need no room."""
        refused = [*takewhile(adds, requests)]
        if refused:
            return Work([DiskFull(_FULL)] * len(refused), [1] * len(refused))
        answers = self._look([*takewhile(reads, requests[:_LOOKS])])
        if answers:
            return Work(answers, [1] * len(answers))
        try:
            return self._database.within(partial(self._begin, requests[:1]))
        except DiskFull as error:
            return self._open_to_read(requests[0]) or Work([error], [1])

    def _open_to_read(self, request: Request[Any]) -> Work | None:
        """Let a device in that only reads. What it says that it has must be noted later; it does not get that again.

        A new device is not let in: it cannot be given a place in the log, from which its entries would follow.
        """
        if not isinstance(request, OpenDevice):
            return None

        def look() -> list[Any] | None:
            box = self._ledger.mailbox(request.member)
            known = box is not None and request.device in box.cursors
            return self._complete_all([replace(request, resume=0)]) if known else None

        answers = self._database.look(look)
        if answers is None:
            return None
        opened: OpenedDevice | Refusal = answers[0]
        if isinstance(opened, OpenedDevice):
            # With a cursor before the number that it gave, the device would take the log for another one (rule 11.5).
            resume = min(request.resume, opened.last)
            if resume > opened.cursor:
                opened = replace(opened, cursor=resume, unnoted=resume)
        return Work([opened], [1])

    def _look(self, requests: Sequence[Request[Any]]) -> list[Any]:
        """Carry out requests without keeping anything; each to its end, since a part would be of no use.

        Returns:
            Their answers, up to the first one that is true only if what it has changed is kept.
        """
        if not requests:
            return []
        answers = self._database.look(partial(self._complete_all, requests))
        return [*takewhile(lambda answer: not isinstance(answer, Fetched) or answer.effects is None, answers)]

    def _free_reserve(self) -> bool:
        """Use the reserve. Return whether there was one."""
        is_there = self._reserve.free()
        self._database.shorten_log()
        return is_there

    def _look_for_room(self) -> None:
        """Find out whether the disk has room, and do with less if it has not."""
        self._reserve.look(self._database.reusable_bytes)
        self._database.is_log_short = self.is_full

    @property
    def is_full(self) -> bool:
        """See Store."""
        return self._reserve.is_short

    def _begin(self, requests: Sequence[Request[Any]]) -> Work:
        """Carry out requests until that was enough for one transaction."""
        self._look_up_ids(requests)
        tables = self._tables
        answers: list[Any] = []
        costs: list[int] = []
        first = before = tables.work
        for request in requests:
            if _reads_tables(request) and tables.moves_first():
                answer = Unfinished(request, is_begun=False)
            else:
                answer = self._handlers[type(request)](request)
            answers.append(answer)
            tables.work += _REQUEST_WORK
            costs.append(tables.work - before)
            before = tables.work
            tables.is_long = costs[-1] >= _LONG_WORK
            if before - first >= _BATCH_WORK or tables.is_long or type(answer) is Unfinished:
                break
        self._keep_up(requests[: len(answers)])
        return Work(answers, costs)

    def _complete_all(self, requests: Sequence[Request[Any]]) -> list[Any]:
        self._look_up_ids(requests)
        answers = [self._complete(request) for request in requests]
        self._keep_up(requests)
        return answers

    def _keep_up(self, requests: Sequence[Request[Any]]) -> None:
        if not self.is_full:
            self._search.keep_up(sum(type(request) is Append for request in requests))

    def _complete(self, request: Request[Any]) -> Any:
        """Carry out all of a request, and return its last answer with the effects of all of them."""
        effects = Effects()
        answer = self._handlers[type(request)](request)
        while isinstance(answer, Unfinished):
            effects.add(answer.effects)
            answer = self._handlers[type(answer.rest)](answer.rest)
        return _with_all(effects, answer)

    def _carry_out_together(self, request: Together) -> tuple[Any, ...]:
        return tuple(self._complete(each) for each in request.requests)

    def _carry_out_by_operator(self, request: ByOperator) -> Any:
        found = self._complete(FindMembers(numbers=(request.by,)))
        check_act(found[0] if found else None, request.password, request.locks_out)
        answer = self._handlers[type(request.request)](request.request)
        if isinstance(answer, Unfinished) and not isinstance(answer.rest, ContinueRemoval):
            # Nothing is done yet, and another act may be first.
            answer = replace(answer, rest=replace(request, request=answer.rest))
        return answer

    def _carry_out_while_newest(self, request: WhileNewest) -> Any:
        is_newest = self._tables.is_current(request.member, request.device, request.session)
        if not (is_newest or reads(request.request)):
            return Refusal("this device has connected again: ask there")
        return self._handlers[type(request.request)](request.request)  # once it has begun, all of it

    def _look_up_ids(self, requests: Sequence[Request[Any]]) -> None:
        keys = [(each.sender, each.id) for each in requests if isinstance(each, Append) and each.sender and each.id]
        self._ledger.look_up_ids(keys)

    def ask(self, request: Request[Answer]) -> Answer:
        """See Store."""
        effects, rest = Effects(), cast("Request[Any]", request)
        while True:
            answer = self._within(partial(self._begin, [rest])).answers[0]
            if not isinstance(answer, Unfinished):
                return _with_all(effects, answer)
            effects.add(answer.effects)
            rest = answer.rest
            if isinstance(rest, ContinueRemoval) and self._database.has_server():
                return cast("Answer", effects)  # the server goes on, and tells senders what becomes of their messages

    @property
    def run_number(self) -> int:
        """The number of this run of the server among those that use the database."""
        return self._run.number

    @property
    def identity(self) -> str:
        """What tells this database from others, for servers that share it."""
        return "0"

    @property
    def risks(self) -> list[str]:
        """How the database could lose what it keeps, for the operator to mend."""
        return []

    @property
    def is_behind(self) -> bool:
        """See Store."""
        return self._tables.is_behind and not self.is_full

    @property
    def has_backlog(self) -> bool:
        """See Store."""
        return (self._tables.has_backlog or self._database.must_erase) and not self.is_full

    def tidy(self) -> bool:
        """See Store. Moves rows from the journal to their tables, indexes messages, ends checkpoints, and erases."""
        self._look_for_room()
        if self.is_full:
            return False
        if self._database.finish_checkpoint():
            return True

        def step() -> bool:
            return self._tables.move_some() or self._search.tidy()

        try:
            return self._database.within_unsynced(step)
        except DiskFull:
            if not self._free_reserve():
                raise
            return False

    def changed(self) -> bool:
        """See Store."""
        return self._database.changed()

    def backup(self, file: Path) -> None:
        """See Store."""
        self._database.backup(file)

    def check(self) -> list[str]:
        """See Store."""
        try:
            for _ in range(_CHECKS):
                self._database.within(self._tables.flush)
                found = problems(self._database.connection)
                if found is not None:
                    return found
        except sqlite3.Error as error:
            failure = store_error(error)
            if not isinstance(failure, Damaged):
                raise failure from error
            return [str(failure)]
        except Damaged as error:
            return [str(error)]
        raise StoreError("the server writes too much to be looked at: try again when it is less busy")

    def close(self) -> None:
        """See Store."""
        if self._database.is_healthy:
            with suppress(StoreError):  # what is in the journal is not lost
                self._database.within(self._tables.flush)
        self._database.close()


def _reads_tables(request: Request[Any]) -> bool:
    """Tell whether a request most likely reads tables whose rows may be in the journal; others ask for that later."""
    if type(request) is Append:
        return request.action is not MessageAction.NONE
    return type(request) not in _WITHOUT_TABLES


def _no_state(_request: FindDatabaseState) -> None:
    """Answer for a database in a folder."""


def _with_all(effects: Effects, answer: Any) -> Any:
    """Return the last answer to a request, with the effects of all of its parts."""
    last = answer if isinstance(answer, Effects) else getattr(answer, "effects", None)
    if last is not None:
        effects.add(last)
        last.entries, last.guests, last.progress = effects.entries, effects.guests, effects.progress
    return answer
