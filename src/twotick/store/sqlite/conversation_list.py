"""A member's list of conversations (docs/protocol.md, rule 14.1), in steps: millions of messages may be unread.

Each step looks at some peers and counts some messages, and keeps how far it has come. What has changed since is looked
at in the last step: messages that came, and conversations that were read.
"""

# ruff: noqa: S608 - statements are put together from constants of this package, never from input

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from heapq import nsmallest
from typing import Any, Final

from twotick.store.requests.conversations import ConversationInfo, ConversationsSoFar, ListConversations, UnreadSoFar
from twotick.store.requests.messages import Unfinished
from twotick.store.requests.rooms import RoomRole
from twotick.store.rules.conversations import ConversationSettings
from twotick.store.sqlite.ledger import MEMBERS, RECEIVED, SENT, Ledger

_PEERS: Final = 512
"""The peers that one step finds in a log."""

_CONVERSATIONS: Final = 256
"""The conversations in which one step counts."""

_ENTRIES: Final = 16384
"""The entries that one step counts."""

_COUNTS: Final = f"kind = {RECEIVED} AND weight > 0"
"""Whether an entry counts as unread."""

_SETTINGS: Final = "muted, blocked, pinned, closed_at, muted_until, notify"

_NEWEST: Final = """
    WITH RECURSIVE with_peer (peer) AS (
        SELECT (SELECT l.peer FROM log l INDEXED BY log_peer WHERE member = ?1 AND l.peer > ?2 ORDER BY l.peer LIMIT 1)
        UNION ALL
        SELECT (
            SELECT l.peer FROM log l INDEXED BY log_peer WHERE member = ?1 AND l.peer > with_peer.peer
            ORDER BY l.peer LIMIT 1
        )
        FROM with_peer WHERE peer IS NOT NULL
    )
    SELECT peer, (SELECT max(seq) FROM log INDEXED BY log_peer WHERE member = ?1 AND log.peer = with_peer.peer)
    FROM with_peer WHERE peer IS NOT NULL LIMIT ?3
"""
"""The next peers in a member's log, and the newest entry of each; it jumps from one to the next in the index."""


class ConversationList:
    """Lists the conversations of members.

    Args:
        ledger: the logs.
    """

    def __init__(self, ledger: Ledger):
        self._ledger = ledger
        self._tables = ledger.tables

    def handle(self, request: ListConversations) -> list[ConversationInfo] | Unfinished:
        """Carry out a request, or a part of it."""
        box = self._ledger.mailbox(request.member)
        if box is None:
            return []
        so_far = request.so_far
        if so_far is None:
            so_far = ConversationsSoFar(box.last)
            so_far.newest = dict.fromkeys([*self._settings(box.number), *self._rooms(box.number)], 0)
        if so_far.last_peer is not None:
            self._find_peers(request, so_far)
        if so_far.last_peer is None:
            self._note_new(box.number, so_far, box.last)
            if self._count_some(box.number, so_far):
                return self._infos(request, so_far)
        return Unfinished(replace(request, so_far=so_far))

    def _settings(self, member: int) -> dict[bytes, tuple[str, ConversationSettings]]:
        """Return the conversations that a member has set: their names, and how they are set."""
        rows = self._tables.read(f"SELECT peer, name, {_SETTINGS} FROM conversation WHERE member = ?", (member,))
        return {peer: (name, _settings_of(row)) for peer, name, *row in rows}

    def settings(self, member: int, peer: bytes) -> ConversationSettings:
        """Return how a member has set a conversation."""
        row = self._tables.direct(
            f"SELECT {_SETTINGS} FROM conversation WHERE member = ? AND peer = ?", (member, peer)
        ).fetchone()
        return ConversationSettings() if row is None else _settings_of(row)

    def is_closed(self, member: int, peer: bytes, settings: ConversationSettings) -> bool:
        """Tell whether a conversation is closed: no message has come, and none was sent, since it was closed."""
        if not settings.closed_at:
            return False
        row = self._tables.read(
            "SELECT 1 FROM log INDEXED BY log_peer WHERE member = ? AND peer = ? AND seq >= ?"
            f" AND (kind = {SENT} OR {_COUNTS}) LIMIT 1",
            (member, peer, settings.closed_at),
        ).fetchone()
        return row is None

    def _rooms(self, member: int) -> dict[bytes, tuple[str, RoomRole]]:
        """Return the rooms that a member is in: their names, and the member's roles."""
        rows = self._tables.read(
            "SELECT r.folded, r.name, o.role FROM room_member o JOIN room r ON r.number = o.room WHERE o.member = ?",
            (member,),
        )
        return {folded.encode(): (name, RoomRole(role)) for folded, name, role in rows}

    # Which conversations there are

    def _find_peers(self, request: ListConversations, so_far: ConversationsSoFar) -> None:
        """Find some peers in the log, and keep those with the newest messages."""
        found = self._tables.read(_NEWEST, (request.member, so_far.last_peer, _PEERS)).fetchall()
        so_far.newest.update(found)
        so_far.last_peer = found[-1][0] if len(found) == _PEERS else None
        self._tables.work += len(found)
        kept = _newest_first(so_far.newest, self._rooms(request.member), request.most)
        so_far.newest = {peer: so_far.newest[peer] for peer in kept}

    def _note_new(self, member: int, so_far: ConversationsSoFar, last: int) -> None:
        """Note the messages that came, or were sent, since the last step."""
        rows = self._tables.read(
            "SELECT peer, max(seq) FROM log WHERE member = ? AND seq > ? AND peer IS NOT NULL GROUP BY peer",
            (member, so_far.last),
        )
        so_far.newest.update(rows)
        so_far.last = last

    # How many messages are unread

    def _count_some(self, member: int, so_far: ConversationsSoFar) -> bool:
        """Count some messages that are unread. Return whether all are counted."""
        read = self._tables.read
        left = _ENTRIES
        conversations = _CONVERSATIONS
        for peer, newest in so_far.newest.items():
            row = read("SELECT up_to FROM reading WHERE member = ? AND peer = ?", (member, peer)).fetchone()
            up_to: int = row[0] if row else 0
            unread = so_far.unread.get(peer)
            if unread is None or unread.read != up_to:
                unread = so_far.unread[peer] = UnreadSoFar(up_to, up_to)
            if unread.counted >= newest:
                continue
            if not left or not conversations:
                return False
            conversations -= 1
            entries, counted, messages, mentions = read(
                f"SELECT count(*), max(seq), count(*) FILTER (WHERE {_COUNTS}),"
                f" count(*) FILTER (WHERE {_COUNTS} AND weight = 2)"
                " FROM (SELECT seq, kind, weight FROM log INDEXED BY log_peer"
                " WHERE member = ? AND peer = ? AND seq > ? ORDER BY seq LIMIT ?) AS counted",
                (member, peer, unread.counted, left),
            ).fetchone()
            if entries:
                unread.unread += messages
                unread.mentions += mentions
            unread.counted = counted if entries == left else max(newest, counted or 0)
            left -= entries
            if unread.counted < newest:
                return False
        return True

    # The list

    def _infos(self, request: ListConversations, so_far: ConversationsSoFar) -> list[ConversationInfo]:
        settings, rooms = self._settings(request.member), self._rooms(request.member)
        newest = so_far.newest
        found: list[ConversationInfo] = []
        for peer in _newest_first(newest, rooms, request.most):
            unread = so_far.unread[peer]
            given, setting = settings.get(peer, ("", ConversationSettings()))
            setting = setting.at(request.time)
            name, role = rooms.get(peer, ("", RoomRole.NONE))
            name = name or self.shown(peer) or self._as_written(request.member, newest[peer]) or given
            found.append(
                ConversationInfo(
                    name,
                    unread.unread,
                    unread.mentions,
                    unread.read,
                    newest[peer],
                    setting.muted,
                    setting.blocked,
                    role,
                    setting.pinned,
                    self.is_closed(request.member, peer, setting),
                    setting.muted_until,
                    setting.notify_all,
                )
            )
        return found

    def shown(self, peer: bytes) -> str | None:
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


def _newest_first(newest: Mapping[bytes, int], rooms: Container[bytes], most: int) -> list[bytes]:
    """Return the peers with the newest messages, without ALL and rooms that the member is not in.

    Args:
        newest: the newest entry of each peer.
        rooms: the rooms that the member is in.
        most: how many peers to return.
    """
    peers = [peer for peer in newest if (peer in rooms if peer[:1] == b"#" else peer != b"all")]
    return nsmallest(most, peers, key=lambda peer: (-newest[peer], peer))


def _settings_of(row: Sequence[Any]) -> ConversationSettings:
    muted, blocked, pinned, closed_at, muted_until, notify = row
    return ConversationSettings(bool(muted), bool(blocked), bool(pinned), closed_at, muted_until, bool(notify))
