"""Conversations, their settings, and receipts (docs/protocol.md, rule 12.7 and section 14)."""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from dataclasses import replace

from twotick.store.requests.conversations import (
    ConversationSet,
    ListConversations,
    ListReceipts,
    RecipientOutcome,
    SetConversation,
)
from twotick.store.requests.messages import Effects, MessageState
from twotick.store.rules.conversations import ConversationSettings, changed_settings, check_setting, setting_event
from twotick.store.rules.delivery import Mailbox, receipt_state
from twotick.store.rules.errors import NO_MESSAGE, NOT_A_MEMBER, NotAllowed
from twotick.store.sqlite.conversation_list import ConversationList
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import MEMBERS, RECEIVED, Ledger
from twotick.store.sqlite.rooms import RoomRepository


class ConversationRepository:
    """Carries out requests about conversations.

    Args:
        ledger: the logs.
        rooms: the rooms, some of which are conversations.
    """

    def __init__(self, ledger: Ledger, rooms: RoomRepository):
        self._ledger = ledger
        self._tables = ledger.tables
        self._rooms = rooms
        self._list = ConversationList(ledger)

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            ListReceipts: refusing(self._list_receipts),
            ListConversations: self._list.handle,
            SetConversation: refusing(self._set),
        }

    # Receipts

    def _list_receipts(self, request: ListReceipts) -> list[RecipientOutcome]:
        row = self._tables.read(
            "SELECT number, recipient, state FROM message WHERE sender = ? AND id = ? AND id <> x''",
            (request.member, request.id),
        ).fetchone()
        if row is None or row[1].lower() != request.recipient.lower():
            raise NotAllowed(NO_MESSAGE)
        number, recipient, state = row
        to = recipient.lower()
        if to != b"all" and to[:1] != b"#":
            return [RecipientOutcome(self._list.shown(to) or recipient.decode(), MessageState(state))]
        found = [*self._in_logs(number), *self._absent(number)]
        return [RecipientOutcome(name, state) for _, name, state in sorted(found)]

    def _in_logs(self, message: int) -> list[tuple[str, str, MessageState]]:
        """Return the recipients in whose logs a message is: names in lower case, names, and states."""
        rows = self._tables.read(
            "SELECT o.folded, o.name, o.mark, l.seq, l.taken, r.up_to, c.blocked FROM log l"
            f" CROSS JOIN member o ON o.number = l.member AND o.{MEMBERS}"
            " LEFT JOIN reading r ON r.member = l.member AND r.peer = l.peer"
            " LEFT JOIN conversation c ON c.member = l.member AND c.peer = l.peer"
            f" WHERE l.message = ? AND l.kind = {RECEIVED}",
            (message,),
        )
        return [
            (
                folded,
                name,
                receipt_state(
                    is_waiting=seq > delivered and not taken,
                    was_read=up_to is not None and seq <= up_to and not blocked,
                ),
            )
            for folded, name, delivered, seq, taken, up_to, blocked in rows
        ]

    def _absent(self, message: int) -> list[tuple[str, str, MessageState]]:
        """Return the recipients in whose logs a message is not."""
        rows = self._tables.read(
            "SELECT o.folded, o.name, a.waits FROM absent a JOIN member o ON o.number = a.member"
            f" WHERE a.message = ? AND o.{MEMBERS}",
            (message,),
        )
        return [(folded, name, MessageState.ACCEPTED if waits else MessageState.FAILED) for folded, name, waits in rows]

    # ConversationSettings

    def _set(self, request: SetConversation) -> ConversationSet:
        direct = self._tables.direct
        box = self._ledger.mailbox(request.member)
        if box is None:
            raise NotAllowed(NOT_A_MEMBER)
        peer = request.peer.lower()
        name = self._room_name(peer, box)
        (others,) = direct(
            "SELECT count(*) FROM conversation WHERE member = ? AND peer <> ?", (box.number, peer)
        ).fetchone()
        check_setting(peer, request.blocked, others, self._ledger.limits, notify_all=request.notify_all)
        name = name or self._list.shown(peer) or request.peer.decode()
        before = self._list.settings(box.number, peer)
        was_closed = self._list.is_closed(box.number, peer, before)
        after = changed_settings(before, request, box.last + 1, closed=was_closed)
        effects = Effects()
        if after != before:
            self._keep(box, peer, name, after)
        seen = replace(before.at(request.time), closed_at=before.closed_at if was_closed else 0)
        if after != seen:
            event = setting_event(name, box.number, after)
            self._rooms.tell(event, box, request.time, effects, peer=None)
        is_closed = after.closed_at > 0
        return ConversationSet(
            after.muted, after.blocked, effects, after.pinned, is_closed, after.muted_until, after.notify_all
        )

    def _room_name(self, peer: bytes, box: Mailbox) -> str | None:
        """Return the name of the room that a peer is, which the member must be in; None for a user."""
        if peer[:1] != b"#":
            return None
        room = self._rooms.known(peer.decode(errors="replace"), box.number)
        room.check_in(box.number)
        return room.name.decode()

    def _keep(self, box: Mailbox, peer: bytes, name: str, settings: ConversationSettings) -> None:
        """Write how a conversation is set; there is no row for the defaults."""
        direct = self._tables.direct
        if settings == ConversationSettings():
            direct("DELETE FROM conversation WHERE member = ? AND peer = ?", (box.number, peer))
        else:
            muted, blocked, pinned = int(settings.muted), int(settings.blocked), int(settings.pinned)
            notify = int(settings.notify_all)
            row = (box.number, peer, name, muted, blocked, pinned, settings.closed_at, settings.muted_until, notify)
            direct(
                "INSERT INTO conversation (member, peer, name, muted, blocked, pinned, closed_at, muted_until,"
                " notify) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (member, peer) DO UPDATE SET muted = excluded.muted,"
                " blocked = excluded.blocked, pinned = excluded.pinned, closed_at = excluded.closed_at,"
                " muted_until = excluded.muted_until, notify = excluded.notify",
                row,
            )
        if settings.blocked:
            box.blocked |= {peer}
        else:
            box.blocked -= {peer}
