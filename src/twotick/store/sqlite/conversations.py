"""Conversations, their settings, and receipts (docs/protocol.md, rule 12.7 and section 14)."""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from typing import Final

from twotick.store.requests.conversations import (
    ConversationInfo,
    ConversationSet,
    ListConversations,
    ListReceipts,
    RecipientOutcome,
    SetConversation,
)
from twotick.store.requests.messages import Effects, MessageState
from twotick.store.requests.rooms import RoomRole
from twotick.store.rules.conversations import check_setting, setting_event
from twotick.store.rules.delivery import Mailbox, receipt_state
from twotick.store.rules.errors import NO_MESSAGE, NOT_A_MEMBER, NotAllowed
from twotick.store.sqlite.handlers import Handlers, refusing
from twotick.store.sqlite.ledger import MEMBERS, RECEIVED, Ledger
from twotick.store.sqlite.rooms import RoomRepository

_NEWEST: Final = """
    WITH RECURSIVE with_peer (peer) AS (
        SELECT min(peer) FROM log INDEXED BY log_peer WHERE member = ?1 AND peer IS NOT NULL
        UNION ALL
        SELECT (SELECT min(peer) FROM log INDEXED BY log_peer WHERE member = ?1 AND peer > with_peer.peer)
        FROM with_peer WHERE peer IS NOT NULL
    )
    SELECT peer, (SELECT max(seq) FROM log INDEXED BY log_peer WHERE member = ?1 AND log.peer = with_peer.peer)
    FROM with_peer WHERE peer IS NOT NULL
"""
"""The peers in a member's log, and the newest entry of each; it jumps from one peer to the next in the index."""


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

    def handlers(self) -> Handlers:
        """Return the requests that are carried out here."""
        return {
            ListReceipts: refusing(self._list_receipts),
            ListConversations: self._list,
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
            return [RecipientOutcome(self._shown(to) or recipient.decode(), MessageState(state))]
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

    # Listing

    def _list(self, request: ListConversations) -> list[ConversationInfo]:
        read, member = self._tables.read, request.member
        settings = {
            peer: (name, bool(muted), bool(blocked))
            for peer, name, muted, blocked in read(
                "SELECT peer, name, muted, blocked FROM conversation WHERE member = ?", (member,)
            )
        }
        rooms = {
            folded.encode(): (name, RoomRole(role))
            for folded, name, role in read(
                "SELECT r.folded, r.name, o.role FROM room_member o JOIN room r ON r.number = o.room"
                " WHERE o.member = ?",
                (member,),
            )
        }
        newest = dict.fromkeys([*settings, *rooms], 0)
        newest.update(read(_NEWEST, (member,)))
        peers = [peer for peer in newest if (peer in rooms if peer[:1] == b"#" else peer != b"all")]
        peers.sort(key=lambda peer: (-newest[peer], peer))
        found: list[ConversationInfo] = []
        for peer in peers[: request.most]:
            up_to, unread, mentions = self._unread(member, peer)
            given, muted, blocked = settings.get(peer, ("", False, False))
            name, role = rooms.get(peer, ("", RoomRole.NONE))
            name = name or self._shown(peer) or self._as_written(member, newest[peer]) or given
            found.append(ConversationInfo(name, unread, mentions, up_to, newest[peer], muted, blocked, role))
        return found

    def _unread(self, member: int, peer: bytes) -> tuple[int, int, int]:
        """Return up to which Seq a member has read a conversation, and how many messages and mentions are unread."""
        read = self._tables.read
        row = read("SELECT up_to FROM reading WHERE member = ? AND peer = ?", (member, peer)).fetchone()
        up_to: int = row[0] if row else 0
        unread, mentions = read(
            "SELECT count(*), ifnull(sum(weight = 2), 0) FROM log INDEXED BY log_peer"
            f" WHERE member = ? AND peer = ? AND seq > ? AND kind = {RECEIVED} AND weight > 0",
            (member, peer, up_to),
        ).fetchone()
        return up_to, unread, mentions

    def _shown(self, peer: bytes) -> str | None:
        """Return the name of a member as it is shown; None if there is no such member."""
        row = self._tables.direct(
            f"SELECT name FROM member WHERE folded = ? AND {MEMBERS}", (peer.decode(errors="replace"),)
        ).fetchone()
        return row[0] if row else None

    def _as_written(self, member: int, seq: int) -> str | None:
        """Return the name of the other side as an entry has it; None if there is no such entry."""
        row = self._tables.read(
            f"SELECT iif(l.kind = {RECEIVED}, m.sender_name, m.recipient) FROM log l"
            " JOIN message m ON m.number = l.message WHERE l.member = ? AND l.seq = ?",
            (member, seq),
        ).fetchone()
        return row[0].decode() if row else None

    # Settings

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
        check_setting(peer, request.blocked, others, self._ledger.limits)
        name = name or self._shown(peer) or request.peer.decode()
        row = direct(
            "SELECT muted, blocked FROM conversation WHERE member = ? AND peer = ?", (box.number, peer)
        ).fetchone()
        before = (bool(row[0]), bool(row[1])) if row else (False, False)
        muted = before[0] if request.muted is None else request.muted
        blocked = before[1] if request.blocked is None else request.blocked
        effects = Effects()
        if (muted, blocked) != before:
            self._keep(box, peer, name, muted, blocked)
            event = setting_event(name, box.number, muted=muted, blocked=blocked)
            self._rooms.tell(event, box, request.time, effects, peer=None)
        return ConversationSet(muted, blocked, effects)

    def _room_name(self, peer: bytes, box: Mailbox) -> str | None:
        """Return the name of the room that a peer is, which the member must be in; None for a user."""
        if peer[:1] != b"#":
            return None
        room = self._rooms.known(peer.decode(errors="replace"), box.number)
        room.check_in(box.number)
        return room.name.decode()

    def _keep(self, box: Mailbox, peer: bytes, name: str, muted: bool, blocked: bool) -> None:
        """Write how a conversation is set; there is no row for the defaults."""
        direct = self._tables.direct
        if muted or blocked:
            direct(
                "INSERT INTO conversation (member, peer, name, muted, blocked) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (member, peer) DO UPDATE SET muted = excluded.muted, blocked = excluded.blocked",
                (box.number, peer, name, int(muted), int(blocked)),
            )
        else:
            direct("DELETE FROM conversation WHERE member = ? AND peer = ?", (box.number, peer))
        if blocked:
            box.blocked |= {peer}
        else:
            box.blocked -= {peer}
