"""Messages whose time is over (docs/protocol.md, rule 11.10), or that are too old to be kept."""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

import math
from typing import Any, Final

from twotick.store.requests.messages import Effects, Expire, Prune, Unfinished
from twotick.store.rules import delivery
from twotick.store.rules.delivery import NO_MEMBER, Mailbox, MessageRecord
from twotick.store.sqlite.files import FileRepository
from twotick.store.sqlite.handlers import Handlers
from twotick.store.sqlite.ledger import MEMBERS, MESSAGE, OVER_WORK, RECEIVED, Ledger
from twotick.store.sqlite.presence import PresenceRepository
from twotick.store.sqlite.tables import EXPIRED
from twotick.store.sqlite.times import TimeRepository

_AT_ONCE: Final = 256
"""The messages that `prune` looks at in one call."""

_EXPIRE_AT_ONCE: Final = 12
"""The messages that `expire` takes from either end of those that are over, in one transaction."""

_WITHDRAWN_AT_ONCE: Final = 96
"""The members from whose logs it takes messages in one transaction, and the messages that it takes."""

_ENTRIES_AT_ONCE: Final = 4096
"""The entries after which `prune` stops, once it is done with a message."""

_CLOCK_STEP: Final = 0.001
"""Seconds within which two rounds of retention count as being at the same time."""


class RetentionRepository:
    """Carries out the requests by which the server lets messages expire, and removes old ones.

    Args:
        ledger: the logs.
        files: the files that messages bring.
        presence: the audiences of removed members, which retention forgets.
        times: tells which messages are kept because their age is not known.
    """

    def __init__(self, ledger: Ledger, files: FileRepository, presence: PresenceRepository, times: TimeRepository):
        self._ledger = ledger
        self._tables = ledger.tables
        self._files = files
        self._presence = presence
        self._times = times

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {Expire: self._expire, Prune: self._prune}

    def _expire(self, request: Expire) -> Effects | Unfinished:
        tables, effects = self._tables, Effects()
        tables.run.over_since = request.since
        if not request.since:
            self._files.expire(request.time)
        if not tables.has_expired(request.time, request.since):  # which is asked every second, and mostly so
            return effects
        if tables.moves_first():
            return Unfinished(request, is_begun=False)
        count, left = 0, _WITHDRAWN_AT_ONCE
        for columns in self._over(request):
            count += 1
            left -= self._expire_message(self._ledger.message(columns), left, effects)
            if left <= 0:
                return Unfinished(request, effects)
        return Unfinished(request, effects) if count >= _EXPIRE_AT_ONCE else effects

    def _over(self, request: Expire) -> list[tuple[Any, ...]]:
        """Read some messages that are over: the oldest, and the newest, which do not wait until all others are done."""
        select = f"SELECT {MESSAGE} FROM message m WHERE {EXPIRED}"
        times = (request.since, request.time, request.since, _EXPIRE_AT_ONCE)
        found: dict[int, tuple[Any, ...]] = {}
        for order in ("", " DESC"):
            lock = self._tables.message_lock + self._tables.skip_locked
            rows = self._tables.read(f"{select} ORDER BY expires{order} LIMIT ?{lock}", times)
            found.update((row[0], row) for row in rows.fetchall())
        return list(found.values())

    def _expire_message(self, message: MessageRecord, most: int, effects: Effects) -> int:
        """Take a message out of the logs of members who do not have it; of at most so many in one transaction.

        Returns:
            How many that were, and one for the message.
        """
        ledger, tables = self._ledger, self._tables
        tables.work += OVER_WORK
        if ledger.end_others(message.number, live=False):
            ledger.settle(message, delivery.EXPIRED, effects)
        entries = tables.read(
            "SELECT l.member, l.seq FROM log l CROSS JOIN member o ON o.number = l.member"
            f" WHERE l.message = ? AND l.kind = {RECEIVED} AND l.taken = 0 AND l.seq > o.mark AND o.{MEMBERS}"
            " ORDER BY l.member LIMIT ?",  # for a member that is being removed it fails anyway
            (message.number, most),
        ).fetchall()
        absent = tables.read(
            f"SELECT a.member FROM absent a CROSS JOIN member o ON o.number = a.member"
            f" WHERE a.message = ? AND a.waits = 1 AND o.{MEMBERS} ORDER BY a.member LIMIT ?",
            (message.number, most - len(entries)),
        ).fetchall()
        done = len(entries) + len(absent)
        tables.work += OVER_WORK * done
        if done < most:
            tables.write("UPDATE message SET expires = NULL WHERE number = ?", (message.number,))
        for member, seq in entries:
            if (box := ledger.mailbox(member)) is not None:
                ledger.withdraw(box, seq, message, delivery.EXPIRED, effects)
        for (member,) in absent:
            if (box := ledger.mailbox(member)) is not None:
                self._end_wait(box, message, effects)
        return done + 1

    def _end_wait(self, box: Mailbox, message: MessageRecord, effects: Effects) -> None:
        """Wait no more for a member who has blocked the sender of a message that is over."""
        self._tables.write("UPDATE absent SET waits = 0 WHERE message = ? AND member = ?", (message.number, box.number))
        box.withhold(message, message.sender or NO_MEMBER, -1)
        self._ledger.settle(message, delivery.EXPIRED, effects)
        self._ledger.remove_if_unused(message)

    def _prune(self, request: Prune) -> bool:
        tables, cache = self._tables, self._tables.cache
        oldest = request.time - request.age
        bound = cache.retention_bound
        if bound is None:
            if self._bring_back(request):
                return True
            bound = cache.retention_bound = self._new_bound(oldest)
        rows = tables.read(
            "SELECT number, time, live FROM message WHERE look_at < ? ORDER BY look_at LIMIT ?", (bound, _AT_ONCE)
        ).fetchall()
        removed = 0
        for number, time, live in rows:
            is_kept = bool(live) or time >= oldest or self._times.is_held(number, oldest)
            removed += self._prune_message(number, bound, is_kept=is_kept)
            if removed >= _ENTRIES_AT_ONCE:
                return True
        if len(rows) == _AT_ONCE:
            return True
        cache.retention_bound = None
        self._presence.prune(request.time)
        tables.write(
            "DELETE FROM room WHERE folded IS NULL AND NOT EXISTS (SELECT 1 FROM message m WHERE m.room = room.number)"
        )
        tables.direct("DELETE FROM room_stay WHERE room NOT IN (SELECT number FROM room)")
        return False

    def _bring_back(self, request: Prune) -> bool:
        """Let some messages from the future count as sent now. Return whether there were any."""
        changed = self._tables.write(
            "UPDATE message SET time = min(time, ?1), look_at = ?1"
            " WHERE number IN (SELECT number FROM message WHERE look_at > ?2 LIMIT ?3)",
            (request.time, request.future, _AT_ONCE),
        )
        return changed.rowcount > 0

    def _new_bound(self, oldest: float) -> float:
        """Return the bound of a new round of retention.

        A round looks once at each message whose mark (`look_at`) is below its bound; a message that is kept is marked
        with the bound. So the bound must be above the marks of the last round, also if the clock stood still since.

        Args:
            oldest: the time before which messages are too old, in seconds since 1970.
        """
        (newest_mark,) = self._tables.read(
            "SELECT max(look_at) FROM message WHERE look_at < ?", (oldest + _CLOCK_STEP,)
        ).fetchone()
        return oldest if newest_mark is None else max(oldest, math.nextafter(newest_mark, math.inf))

    def _prune_message(self, number: int, bound: float, *, is_kept: bool) -> int:
        """Remove an old message if no device needs it; otherwise look at it again in the next round.

        Returns:
            How many entries were removed.
        """
        tables = self._tables
        entries = tables.read("SELECT member, seq, kind, peer FROM log WHERE message = ?", (number,)).fetchall()
        is_needed = any(self._is_needed(member, seq, kind) for member, seq, kind, _ in entries)
        if is_kept or is_needed or self._is_withheld(number):
            tables.write("UPDATE message SET look_at = ? WHERE number = ?", (bound, number))
            return 0
        for member, seq, kind, peer in entries:
            tables.write("DELETE FROM log WHERE member = ? AND seq = ?", (member, seq))
            if kind == RECEIVED:  # no message is left to which an older mark of reading could apply
                tables.write("DELETE FROM reading WHERE member = ? AND peer = ? AND up_to <= ?", (member, peer, seq))
        self._ledger.remove((number,))
        return len(entries)

    def _is_withheld(self, message: int) -> bool:
        """Tell whether a message waits for a member who has blocked its sender, as for one who is away (rule 14.4)."""
        row = self._tables.direct("SELECT 1 FROM absent WHERE message = ? AND waits = 1 LIMIT 1", (message,)).fetchone()
        return row is not None

    def _is_needed(self, member: int, seq: int, kind: int) -> bool:
        box = self._ledger.mailbox(member)
        return box is None or delivery.is_needed(box, seq, came=kind == RECEIVED)  # its removal comes to it
