"""Faults that are planted in the program, each to test that the simulation finds it."""

# pyright: reportPrivateUsage=false, reportUnknownLambdaType=false, reportUnknownMemberType=false

import socket
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tests.simulation.disk import Disk
from twotick.client.member.inbox import Inbox
from twotick.client.member.outbox import QueuedMessage
from twotick.client.member.sender import Sender
from twotick.exchange.effects import EffectsPublisher
from twotick.exchange.feeds import Feeds
from twotick.exchange.members import ConnectedMembers
from twotick.server.listener import SocketListener
from twotick.store import EntryKind, Prune
from twotick.store.rules import delivery
from twotick.store.sqlite import database
from twotick.store.sqlite.accounts import AccountRepository
from twotick.store.sqlite.editing import EditRepository
from twotick.store.sqlite.files import FileRepository
from twotick.store.sqlite.journal import PendingRows
from twotick.store.sqlite.ledger import Ledger
from twotick.store.sqlite.messages import MessageRepository
from twotick.store.sqlite.pins import PinRepository
from twotick.store.sqlite.reading import LogReader
from twotick.store.sqlite.removal import RemovalRepository
from twotick.store.sqlite.retention import RetentionRepository
from twotick.store.sqlite.tables import Tables
from twotick.store.sqlite.threads import ThreadRepository
from twotick.wire import Parser


@dataclass(frozen=True)
class Planted:
    """A fault.

    Attributes:
        plant: changes the program of this process so that it has the fault.
        within: by how many schedules it must be found.
        symptom: a regular expression for how it shows.
        likely: the name of what is likelier in these schedules, so that fewer of them are enough (see `Story`).
        first: the first of them. A fault that few schedules show is looked for near one that does, to save time.
    """

    plant: Callable[[], None]
    within: int
    symptom: str
    likely: str = ""
    first: int = 1000


def _replace(owner: Any, name: str, make: Callable[[Any], Any]) -> None:
    """Put a function in the place of one of a class or module; `make` returns it, given the old one."""
    setattr(owner, name, make(getattr(owner, name)))


def _disk_lies() -> None:
    _replace(Disk, "sync", lambda sync: lambda disk, file: None)


def _nothing_is_synced() -> None:
    def connect(opened: Any) -> Any:
        def connect(*args: Any) -> sqlite3.Connection:
            connection = opened(*args)
            connection.execute("PRAGMA synchronous = OFF")
            return connection

        return connect

    _replace(database, "connect", connect)
    _replace(database.DatabaseFile, "within_unsynced", lambda _: database.DatabaseFile.within)


def _answered_before_the_commit() -> None:
    """Let the next transaction commit what this one has answered."""

    class Late(sqlite3.Connection):
        waits = False

        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql == "COMMIT":
                self.waits = True
                sql = "SELECT 1"
            elif self.waits and sql.startswith(("BEGIN", "PRAGMA")):
                self.waits = False
                super().execute("COMMIT")
            return super().execute(sql, *parameters)

    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **options: connect(*args, **options, factory=Late)  # type: ignore[misc]


def _ids_are_not_looked_up() -> None:
    _replace(Ledger, "look_up_ids", lambda _: lambda ledger, keys: ledger._stored_ids.clear())
    _replace(Tables, "has_new_id", lambda _: lambda tables, sender, ident: False)


def _numbers_are_ignored() -> None:
    def arrive(arrived: Any) -> Any:
        def arrive(inbox: Inbox, entry: Any) -> bytes:
            inbox.acknowledged = 0
            return arrived(inbox, entry)

        return arrive

    _replace(Inbox, "arrive", arrive)
    _replace(Inbox, "resume", lambda _: lambda inbox: 0)


def _cursors_are_lost() -> None:
    def pack(packed: Any) -> Any:
        def pack(rows: PendingRows) -> bytes:
            rows.cursors.clear()
            return packed(rows)

        return pack

    _replace(PendingRows, "pack", pack)


def _receipts_come_twice() -> None:
    def tell(told: Any) -> Any:
        def tell(ledger: Ledger, message: Any, kind: EntryKind, effects: Any) -> None:
            told(ledger, message, kind, effects)
            if message.number % 7 == 0:
                told(ledger, message, kind, effects)

        return tell

    _replace(Ledger, "tell_sender", tell)


def _receipts_are_lost() -> None:
    _replace(
        Ledger,
        "tell_sender",
        lambda told: lambda ledger, message, *rest: message.number % 11 and told(ledger, message, *rest),
    )


def _what_was_written_counts_as_received() -> None:
    def send(sent: Any) -> Any:
        def send(feeds: Feeds, feed: Any, entry: Any) -> None:
            sent(feeds, feed, entry)
            feed.acknowledged = entry.seq
            feeds._members.send_acknowledgement(feed.connection.device)

        return send

    _replace(Feeds, "_send", send)


def _the_outbox_is_sent_backwards() -> None:
    def opened(was: Any) -> Any:
        def opened(sender: Sender, *args: Any) -> None:
            messages = sender._outbox.messages
            backwards: dict[str, QueuedMessage] = dict(reversed(messages.items()))
            messages.clear()
            messages.update(backwards)
            was(sender, *args)

        return opened

    _replace(Sender, "opened", opened)


def _rows_are_lost() -> None:
    def unpack(unpacked: Any) -> Any:
        def unpack(rows: PendingRows, packed: bytes) -> None:
            unpacked(rows, packed)
            if len(rows.entries) > 8:
                del rows.entries[4]

        return unpack

    _replace(PendingRows, "unpack", unpack)


def _another_member_gets_it() -> None:
    def boxes(found: Any) -> Any:
        def boxes(repository: MessageRepository, request: Any, room: Any) -> list[Any]:
            boxes: list[Any] = found(repository, request, room)
            if len(boxes) == 1 and len(request.body) % 5 == 0:
                return [repository._ledger.mailbox(boxes[0].number % 2 + 1)]
            return boxes

        return boxes

    _replace(MessageRepository, "_boxes", boxes)


def _bytes_between_reads_are_lost() -> None:
    _replace(Parser, "feed", lambda fed: lambda parser, data, *most: [] if data == b"\n" else fed(parser, data, *most))


def _feeds_lose_their_place() -> None:
    def fetched(was: Any) -> Any:
        def fetched(feeds: Feeds, connection: Any, feed: Any, result: Any) -> None:
            if getattr(result, "entries", None):
                del result.entries[-1:]
            was(feeds, connection, feed, result)

        return fetched

    _replace(Feeds, "_fetched", fetched)


def _edits_are_forgotten() -> None:
    _replace(EditRepository, "_replace", lambda _: lambda *args: None)


def _rooms_leak() -> None:
    def boxes(found: Any) -> Any:
        def boxes(repository: MessageRepository, request: Any, room: Any) -> list[Any]:
            boxes: list[Any] = found(repository, request, room)
            if room is not None and request.sender != 3 and all(box.number != 3 for box in boxes):
                boxes.append(repository._ledger.mailbox(3))
            return boxes

        return boxes

    _replace(MessageRepository, "_boxes", boxes)


def _blocks_are_ignored() -> None:
    def blocked(self: Any) -> frozenset[bytes]:
        return frozenset()

    def forget(self: Any, names: frozenset[bytes]) -> None:
        pass

    delivery.Mailbox.blocked = property(blocked, forget)  # type: ignore[assignment]


def _history_is_cut() -> None:
    def read(history: Any) -> Any:
        def read(reader: LogReader, request: Any) -> Any:
            found = history(reader, request)
            del found.entries[:1]
            return found

        return read

    _replace(LogReader, "_history", read)


def _files_are_mixed_up() -> None:
    def read(piece: Any) -> Any:
        def read(files: FileRepository, request: Any) -> Any:
            found = piece(files, request)
            return bytes(len(found)) if isinstance(found, bytes) else found

        return read

    _replace(FileRepository, "_read_piece", read)


def _acknowledgements_are_not_repeated() -> None:
    """Let the server forget what the store could not do."""
    _replace(EffectsPublisher, "_fail", lambda _: lambda publisher, request: None)


def _revoked_devices_stay() -> None:
    _replace(ConnectedMembers, "end", lambda _: lambda *args: None)
    _replace(AccountRepository, "_revoke", lambda _: lambda *args: True)


def _two_machines_share_a_token() -> None:
    _replace(ConnectedMembers, "end", lambda _: lambda *args: None)
    _replace(ConnectedMembers, "has_newer", lambda _: lambda *args: False)


def _young_messages_are_removed() -> None:
    def prune(pruned: Any) -> Any:
        def prune(repository: RetentionRepository, request: Prune) -> bool:
            return pruned(repository, replace(request, age=request.age / 4))

        return prune

    _replace(RetentionRepository, "_prune", prune)


def _old_messages_stay() -> None:
    _replace(RetentionRepository, "_prune_message", lambda _: lambda *args, **options: 0)


def _removed_members_are_waited_for() -> None:
    _replace(RemovalRepository, "_clear_log", lambda _: lambda *args: False)


def _a_log_that_began_anew_is_not_noticed() -> None:
    def opened(was: Any) -> Any:
        def opened(inbox: Inbox, cursor: int, resumed: int, window: int) -> bool:
            return was(inbox, max(cursor, resumed), resumed, window)

        return opened

    _replace(Inbox, "opened", opened)


def _handshakes_must_come_at_once() -> None:
    """Let the server take a client for one without TLS if the network has cut the beginning of its handshake."""

    def begins(begun: Any) -> Any:
        async def begins(listener: SocketListener, client: Any) -> bool:
            return await begun(listener, client) and len(client.recv(64, socket.MSG_PEEK)) in (0, 64)

        return begins

    _replace(SocketListener, "_begins_handshake", begins)


def _pins_are_for_one() -> None:
    """Let only the member who pins a message see that it is pinned."""
    _replace(
        PinRepository,
        "apply",
        lambda applied: lambda pins, target, request, room, boxes: applied(pins, target, request, room, ()),
    )


def _each_answer_begins_a_thread() -> None:
    _replace(ThreadRepository, "_root", lambda _: lambda threads, message: message)


PLANTED: dict[str, Planted] = {
    "disk-lies": Planted(_disk_lies, 40, "malformed|not in the log|is not a member", "_cut_power"),
    "nothing-is-synced": Planted(_nothing_is_synced, 40, "malformed|not in the log|is not a member", "_cut_power"),
    "answered-before-the-commit": Planted(
        _answered_before_the_commit, 20, "was accepted, but is not in the log", "_cut_power"
    ),
    "ids-not-looked-up": Planted(
        _ids_are_not_looked_up, 50, "UNIQUE constraint|has a message twice", "_kill_server", 1150
    ),
    "numbers-ignored": Planted(_numbers_are_ignored, 20, "was given entry"),
    "cursors-lost": Planted(_cursors_are_lost, 20, "was given what it had acknowledged"),
    "receipts-twice": Planted(_receipts_come_twice, 5, "DELIVERED', 'DELIVERED"),
    "receipts-lost": Planted(_receipts_are_lost, 10, "is still ACCEPTED"),
    "written-is-received": Planted(_what_was_written_counts_as_received, 20, "is said to be delivered"),
    "outbox-backwards": Planted(_the_outbox_is_sent_backwards, 20, "after a later message"),
    "rows-lost": Planted(_rows_are_lost, 60, "does not have|not in the log|has the entries"),
    "another-member": Planted(_another_member_gets_it, 5, "does not have|a message for|was not sent|is said to be"),
    "bytes-lost": Planted(_bytes_between_reads_are_lost, 20, "ProtocolError"),
    "feeds-lose-their-place": Planted(_feeds_lose_their_place, 20, "does not have entry"),
    "edits-forgotten": Planted(_edits_are_forgotten, 20, "has the body|is on the disk|another body"),
    "rooms-leak": Planted(_rooms_leak, 60, "of the room, not", "_make_room"),
    "blocks-ignored": Planted(_blocks_are_ignored, 60, "although its sender was blocked", "_block"),
    "history-cut": Planted(_history_is_cut, 20, "another history"),
    "acknowledgements-not-repeated": Planted(
        _acknowledgements_are_not_repeated,
        50,
        "was given what it had acknowledged|is still ACCEPTED|has the entries",
        "_break_disk",
        2020,
    ),
    "revoked-stay": Planted(_revoked_devices_stay, 60, "was revoked, but", "_revoke"),
    "two-machines": Planted(_two_machines_share_a_token, 60, "was replaced, but", "_take_over"),
    "young-removed": Planted(_young_messages_are_removed, 60, "is not in the log", "_forget"),
    "old-stay": Planted(_old_messages_stay, 60, "is too old", "_forget"),
    "removed-are-waited-for": Planted(
        _removed_members_are_waited_for, 60, "check:|is still ACCEPTED", "remove_last_member"
    ),
    "new-log-not-noticed": Planted(
        _a_log_that_began_anew_is_not_noticed,
        50,
        "of after the restoration|have connected to the restored",
        "back_up",
        1060,
    ),
    "handshakes-at-once": Planted(_handshakes_must_come_at_once, 60, "does not speak TLS"),
    "pins-for-one": Planted(_pins_are_for_one, 60, "was given the pins", "_pins"),
    "no-threads": Planted(_each_answer_begins_a_thread, 60, "is in the thread", "_replies"),
    "files-mixed-up": Planted(_files_are_mixed_up, 20, "has changed on its way|FileMismatch"),
}
"""The faults, by name."""
