"""Notifications that are pushed to browsers (docs/protocol.md, section 20).

There is no queue of them: what is to be pushed to a device are the messages in its member's log after the last one that
the device has, or that was pushed to it. So nothing is lost with the server, and what was read or deleted meanwhile is
not pushed.
"""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from dataclasses import replace
from typing import Any, Final

from twotick.store.requests.messages import Unfinished
from twotick.store.requests.pushes import (
    DevicePushes,
    DropPush,
    FindPushes,
    KeepPushKey,
    ListSubscribers,
    NotePushed,
    PushKey,
    PushLook,
    PushNews,
    PushSubscription,
    SetPush,
)
from twotick.store.rules.delivery import Mailbox
from twotick.store.rules.errors import NOT_A_MEMBER, NotAllowed
from twotick.store.rules.guests import shown_sender
from twotick.store.rules.pushes import GatheredNews, PushCandidate, gathered, pushed_text
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import RECEIVED, Ledger
from twotick.store.sqlite.tables import Tables

_ENTRIES: Final = 512
"""The newest entries of a log that are looked at."""

_WORK: Final = 256
"""The work after which a transaction ends that looks for several members (see `Tables.work`)."""

CANDIDATES: Final = f"""
    SELECT l.peer, l.seq, l.message, l.weight, m.sender_name, m.recipient, m.time,
    CASE WHEN m.state = 1 AND l.seq > ?2 THEN m.expires END, m.room IS NOT NULL,
    CASE WHEN m.place >= o.seen_from THEN r.name END, ifnull(d.up_to, 0),
    ifnull(c.muted, 0), ifnull(c.muted_until, 0), ifnull(c.notify, 0)
    FROM log l CROSS JOIN message m ON m.number = l.message
    LEFT JOIN room r ON r.number = m.room
    LEFT JOIN room_member o ON o.room = m.room AND o.member = l.member
    LEFT JOIN reading d ON d.member = l.member AND d.peer = l.peer
    LEFT JOIN conversation c ON c.member = l.member AND c.peer = l.peer
    WHERE l.member = ?1 AND l.seq > ?3 AND l.seq <= ?4 AND l.kind = {RECEIVED} AND l.weight > 0 ORDER BY l.seq DESC
"""
"""The columns of a PushCandidate but the last: of member ?1, who has all messages up to ?2, those of the entries after
?3 up to ?4."""


def candidate_of(row: tuple[Any, ...], box: Mailbox) -> PushCandidate:
    """Return the candidate of a row of `CANDIDATES` about the member with this mailbox."""
    columns: Any = (*row, row[4].lower() in box.blocked)
    return PushCandidate(*columns)


def beginning_of(tables: Tables, message: int) -> tuple[bytes, bytes]:
    """Return the headers of a message, and the beginning of its body."""
    query = "SELECT headers, substr(body, 1, 1024) FROM content WHERE message = ?"
    headers, body = tables.read(query, (message,)).fetchone()
    return headers, body


class PushRepository:
    """Carries out requests about notifications.

    Args:
        ledger: the logs.
    """

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        self._tables = ledger.tables

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            KeepPushKey: self._keep_key,
            SetPush: refusing(self._set),
            ListSubscribers: self._list_subscribers,
            FindPushes: self._find,
            NotePushed: self._note,
            DropPush: self._drop,
        }

    def _keep_key(self, request: KeepPushKey) -> PushKey | None:
        direct = self._tables.direct
        if request.key is not None:
            direct(
                "INSERT INTO push_key VALUES (1, ?, ?) ON CONFLICT (number) DO NOTHING",
                (request.key.private, request.key.public),
            )
        row = direct("SELECT private, public FROM push_key").fetchone()
        return PushKey(*row) if row else None

    def _set(self, request: SetPush) -> None:
        direct = self._tables.direct
        box = self._ledger.mailbox(request.member)
        if box is None:
            raise NotAllowed(NOT_A_MEMBER)
        key = (request.member, request.device)
        new = request.subscription
        if new is None:
            direct("UPDATE device SET endpoint = NULL WHERE member = ? AND name = ?", key)
            return
        direct(
            "UPDATE device SET endpoint = NULL WHERE endpoint = ? AND NOT (member = ? AND name = ?)",
            (new.endpoint, *key),
        )
        changed = direct(
            "UPDATE device SET pushed = CASE WHEN endpoint IS NULL THEN ? ELSE pushed END, endpoint = ?,"
            " push_key = ?, push_auth = ?, push_text = ? WHERE member = ? AND name = ?",
            (box.last, new.endpoint, new.key, new.auth, int(new.with_text), *key),
        )
        if not changed.rowcount:
            raise NotAllowed("the device was revoked")

    def _list_subscribers(self, request: ListSubscribers) -> list[int]:
        rows = self._tables.direct("SELECT DISTINCT member FROM device WHERE endpoint IS NOT NULL ORDER BY member")
        return [member for (member,) in rows]

    def _find(self, request: FindPushes) -> list[DevicePushes] | Unfinished:
        found = list(request.found)
        before = self._tables.work
        for position, look in enumerate(request.looks):
            if self._tables.work - before >= _WORK:
                return Unfinished(replace(request, looks=request.looks[position:], found=tuple(found)))
            box = self._ledger.mailbox(look.member)
            if box is not None and not box.disabled:
                found += self._of_member(box, look, request.time)
        return found

    def _of_member(self, box: Mailbox, look: PushLook, time: float) -> list[DevicePushes]:
        rows = self._tables.direct(
            "SELECT name, endpoint, push_key, push_auth, push_text, pushed FROM device"
            " WHERE member = ? AND endpoint IS NOT NULL",
            (box.number,),
        ).fetchall()
        floors = {name: max(box.cursors.get(name, 0), pushed) for name, *_, pushed in rows}
        connected = look.connected | self._tables.connected_elsewhere(box.number)
        candidates = self._candidates(box, min(floors.values(), default=box.last))
        found: list[DevicePushes] = []
        for name, endpoint, key, auth, text, _ in rows:
            news, waits = gathered(
                (each for each in candidates if each.seq > floors[name]), time, is_connected=name in connected
            )
            subscription = PushSubscription(endpoint, key, auth, bool(text))
            told = tuple(self._told(each, with_text=bool(text)) for each in news)
            found.append(DevicePushes(box.number, name, subscription, told, waits))
        return found

    def _candidates(self, box: Mailbox, after: int) -> list[PushCandidate]:
        """Return the unread messages of a member's log after an entry, newest first."""
        if after >= box.last:
            return []
        parameters: tuple[Any, ...] = (box.number, box.delivered, max(after, box.last - _ENTRIES), box.last)
        rows = self._tables.read(CANDIDATES, parameters).fetchall()
        found = [candidate_of(row, box) for row in rows]
        self._tables.work += len(found)
        return found

    def _told(self, found: GatheredNews, *, with_text: bool) -> PushNews:
        headers, body = beginning_of(self._tables, found.message)
        text = pushed_text(headers, body) if with_text else ""
        return replace(found.news, sender=shown_sender(found.news.sender, headers), text=text)

    def _note(self, request: NotePushed) -> None:
        self._tables.direct(
            "UPDATE device SET pushed = ?1 WHERE member = ?2 AND name = ?3 AND pushed < ?1",
            (request.seq, request.member, request.device),
        )

    def _drop(self, request: DropPush) -> None:
        self._tables.direct(
            "UPDATE device SET endpoint = NULL WHERE member = ? AND name = ? AND endpoint = ?",
            (request.member, request.device, request.endpoint),
        )
