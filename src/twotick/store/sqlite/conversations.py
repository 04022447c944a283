"""Requests about conversations (docs/protocol.md, rule 12.7 and section 14)."""

# ruff: noqa: S608 - queries are put together from constants of this package, never from what came from outside

from twotick.store.requests.conversations import (
    ConversationInfo,
    ConversationSet,
    ListConversations,
    ListReceipts,
    RecipientState,
    SetConversation,
)
from twotick.store.requests.messages import Effects, MessageState
from twotick.store.requests.rooms import RoomRole
from twotick.store.rules.rooms import NO_MESSAGE, NotAllowed, RoomEvent, check_setting
from twotick.store.sqlite.logs import RECEIVED, Logs, Mailbox
from twotick.store.sqlite.rooms import RoomRepository

_NEWEST = """
    WITH RECURSIVE with_peer (peer) AS (
        SELECT min(peer) FROM log INDEXED BY log_peer WHERE member = ?1 AND peer IS NOT NULL
        UNION ALL
        SELECT (SELECT min(peer) FROM log INDEXED BY log_peer WHERE member = ?1 AND peer > with_peer.peer)
        FROM with_peer WHERE peer IS NOT NULL
    )
    SELECT peer, (SELECT max(seq) FROM log INDEXED BY log_peer WHERE member = ?1 AND log.peer = with_peer.peer)
    FROM with_peer WHERE peer IS NOT NULL
"""
"""The peers in a member's log, and the newest entry of each: jumps from one to the next in the index."""

_YES_OR_NO = (b"no", b"yes")


class ConversationRepository:
    """Carries out requests about conversations. Each method carries out the request that it takes; see there.

    They raise NotAllowed instead of answering with a Refusal.
    """

    def __init__(self, logs: Logs, rooms: RoomRepository):
        self._logs = logs
        self._rooms = rooms

    def receipts(self, request: ListReceipts) -> list[RecipientState]:
        """See what became of a message for each recipient."""
        logs = self._logs
        logs.flush()
        row = logs.execute(
            "SELECT number, recipient, state FROM message WHERE sender = ? AND id = ? AND id <> x''",
            (request.member, request.id),
        ).fetchone()
        if row is None or row[1].lower() != request.recipient.lower():
            raise NotAllowed(NO_MESSAGE)
        number, recipient, state = row
        to = recipient.lower()
        if to != b"all" and to[:1] != b"#":
            return [RecipientState(self._shown(to) or recipient.decode(), MessageState(state))]
        found = [
            (folded, name, _state(seq > mark and not taken, up_to is not None and seq <= up_to and not blocked))
            for folded, name, mark, seq, taken, up_to, blocked in logs.execute(
                "SELECT o.folded, o.name, o.mark, l.seq, l.taken, r.up_to, c.blocked FROM log l"
                " CROSS JOIN member o ON o.number = l.member"
                " LEFT JOIN reading r ON r.member = l.member AND r.peer = l.peer"
                " LEFT JOIN conversation c ON c.member = l.member AND c.peer = l.peer"
                f" WHERE l.message = ? AND l.kind = {RECEIVED}",
                (number,),
            )
        ]
        found += [
            (folded, name, MessageState.ACCEPTED if waits else MessageState.FAILED)
            for folded, name, waits in logs.execute(
                "SELECT o.folded, o.name, a.waits FROM absent a JOIN member o ON o.number = a.member"
                " WHERE a.message = ?",
                (number,),
            )
        ]
        return [RecipientState(name, state) for _, name, state in sorted(found)]

    def conversations(self, request: ListConversations) -> list[ConversationInfo]:
        """See how the conversations stand."""
        logs = self._logs
        logs.flush()
        member = request.member
        settings = {
            peer: (name, bool(muted), bool(blocked))
            for peer, name, muted, blocked in logs.execute(
                "SELECT peer, name, muted, blocked FROM conversation WHERE member = ?", (member,)
            )
        }
        rooms = {
            folded.encode(): (name, RoomRole(role))
            for folded, name, role in logs.execute(
                "SELECT r.folded, r.name, o.role FROM room_member o JOIN room r ON r.number = o.room"
                " WHERE o.member = ?",
                (member,),
            )
        }
        newest = dict.fromkeys([*settings, *rooms], 0)
        newest.update(logs.execute(_NEWEST, (member,)))
        peers = [peer for peer in newest if (peer in rooms if peer[:1] == b"#" else peer != b"all")]
        peers.sort(key=lambda peer: (-newest[peer], peer))
        found: list[ConversationInfo] = []
        for peer in peers[: request.most]:
            row = logs.execute("SELECT up_to FROM reading WHERE member = ? AND peer = ?", (member, peer)).fetchone()
            read: int = row[0] if row else 0
            unread, mentions = logs.execute(
                "SELECT count(*), ifnull(sum(weight = 2), 0) FROM log INDEXED BY log_peer"
                f" WHERE member = ? AND peer = ? AND seq > ? AND kind = {RECEIVED} AND weight > 0",
                (member, peer, read),
            ).fetchone()
            given, muted, blocked = settings.get(peer, ("", False, False))
            name, role = rooms.get(peer, ("", RoomRole.NONE))
            name = name or self._shown(peer) or self._as_written(member, newest[peer]) or given
            found.append(ConversationInfo(name, unread, mentions, read, newest[peer], muted, blocked, role))
        return found

    def _shown(self, peer: bytes) -> str | None:
        """The name of a member, as it is shown; None if there is no such member."""
        row = self._logs.execute(
            "SELECT name FROM member WHERE folded = ?", (peer.decode(errors="replace"),)
        ).fetchone()
        return row[0] if row else None

    def _as_written(self, member: int, seq: int) -> str | None:
        """The name of the other side of an entry, as the entry has it; None if there is no such entry."""
        row = self._logs.execute(
            f"SELECT iif(l.kind = {RECEIVED}, m.sender_name, m.recipient) FROM log l"
            " JOIN message m ON m.number = l.message WHERE l.member = ? AND l.seq = ?",
            (member, seq),
        ).fetchone()
        return row[0].decode() if row else None

    def set(self, request: SetConversation) -> ConversationSet:
        """Mute or block."""
        logs = self._logs
        box = logs.mailbox(request.member)
        if box is None:
            raise NotAllowed("you are not a member any more")
        peer = request.peer.lower()
        name: str | None = None
        if peer[:1] == b"#":
            room = self._rooms.known(peer.decode(errors="replace"), box.number)
            room.check_in(box.number)
            name = room.name.decode()
        (others,) = logs.execute(
            "SELECT count(*) FROM conversation WHERE member = ? AND peer <> ?", (box.number, peer)
        ).fetchone()
        check_setting(peer, request.blocked, others, logs.limits)
        name = name or self._shown(peer) or request.peer.decode()
        row = logs.execute(
            "SELECT muted, blocked FROM conversation WHERE member = ? AND peer = ?", (box.number, peer)
        ).fetchone()
        before = (bool(row[0]), bool(row[1])) if row else (False, False)
        muted = before[0] if request.muted is None else request.muted
        blocked = before[1] if request.blocked is None else request.blocked
        outcome = Effects()
        if (muted, blocked) != before:
            self._keep(box, peer, name, muted, blocked)
            lines = b"Event: set\nOf: %b\nMuted: %b\nBlocked: %b\n"
            event = RoomEvent(
                lines % (name.encode(), _YES_OR_NO[muted], _YES_OR_NO[blocked]), [box.number], placed=False
            )
            self._rooms.tell(event, box.name, None, request.time, outcome)
        return ConversationSet(muted, blocked, outcome)

    def _keep(self, box: Mailbox, peer: bytes, name: str, muted: bool, blocked: bool) -> None:
        """Write down how a conversation is set; what is as it was at first is not kept."""
        logs = self._logs
        if muted or blocked:
            logs.execute(
                "INSERT INTO conversation VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (member, peer) DO UPDATE SET muted = excluded.muted, blocked = excluded.blocked",
                (box.number, peer, name, int(muted), int(blocked)),
            )
        else:
            logs.execute("DELETE FROM conversation WHERE member = ? AND peer = ?", (box.number, peer))
        if blocked:
            box.blocked |= {peer}
        else:
            box.blocked -= {peer}


def _state(waits: bool, was_read: bool) -> MessageState:
    """What became of a message for somebody in whose log it is."""
    if waits:
        return MessageState.ACCEPTED
    return MessageState.READ if was_read else MessageState.DELIVERED
