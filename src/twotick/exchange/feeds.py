"""What members' devices are given from their logs, and what they answer (docs/protocol.md, section 11).

Theory of operation. The store numbers the entries of each log, and its answers say which entries it has appended.
`note_effects` hands these to the feeds of the connected devices. While a feed keeps up, new entries go straight into
it. When a feed is full, it takes none; and once it is empty, the exchange asks the store for the entries that follow
the last one that the feed had. So a device that was away for 100,000 entries and a device that is slow are the same
case, and no feed holds more than a few entries.
"""

from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from typing import Final

from twotick.exchange.connection import (
    FEED_BYTES,
    FEED_ENTRIES,
    Connection,
    DeviceFeed,
    MemberDevice,
    NotUnderstood,
)
from twotick.exchange.effects import EffectsPublisher
from twotick.exchange.entries import entry_frame
from twotick.exchange.members import ConnectedMembers
from twotick.exchange.numbers import malformed_number
from twotick.exchange.output import Output
from twotick.exchange.sent_messages import RESULTS, SentMessages
from twotick.store import Effects, EntryKind, Fetch, Fetched, LogEntry, MarkRead, Refuse, StoreError
from twotick.wire import Frame, Head, Verb, read_number

# These are looked at for every entry.
_RECEIVED: Final = EntryKind.RECEIVED
_SENT: Final = EntryKind.SENT
_DELIVERED: Final = EntryKind.DELIVERED
_READ_HERE: Final = EntryKind.READ_HERE
_VERB_RECEIVED: Final = Verb.RECEIVED


class Feeds:
    """Sends log entries to the devices that are connected, and takes their answers.

    Args:
        output: takes what is written and the requests.
        clock: returns the time of day, in seconds since 1970.
        members: the members who are connected.
        effects: takes what the answers of devices change.
        sent_messages: is told of the entries that are results.
    """

    def __init__(
        self,
        output: Output,
        clock: Callable[[], float],
        *,
        members: ConnectedMembers,
        effects: EffectsPublisher,
        sent_messages: SentMessages,
    ) -> None:
        self._output = output
        self._clock = clock
        self._members = members
        self._effects = effects
        self._sent_messages = sent_messages
        # The devices whose acknowledgements the store is told at the next tick.
        self._unreported: dict[DeviceFeed, MemberDevice] = {}

    # Entries

    def note_effects(self, effects: Effects) -> None:
        """Hand the entries that were appended to logs to the connected devices."""
        by_number = self._members.by_number
        for entry in effects.entries:
            member = by_number.get(entry.member)
            if member is None:
                continue
            seq = entry.seq
            if member.last < seq:
                member.missed = member.missed or member.last != seq - 1
                member.last = seq
            for feed in member.feeds:
                if feed.covered == seq - 1 and not (feed.full or feed.fetching):
                    self._add(feed, entry)  # or not, and then it is fetched later
                if feed.entries or feed.covered < member.last:
                    self.pump(feed)
            if entry.kind in RESULTS:
                self._sent_messages.note_result(member, entry)

    def _add(self, feed: DeviceFeed, entry: LogEntry) -> bool:
        """Give a feed its next entry, and send it if nothing is before it and the window has room.

        Returns:
            Whether the feed has taken it; it has not if too much waits for devices of its address (rule 8.1).
        """
        if entry.kind is _SENT or entry.kind is _READ_HERE:
            device = feed.connection.device
            if device is not None and entry.device == device.name:
                feed.covered = entry.seq
                return True  # the device did it, and knows
        is_next = not feed.entries and len(feed.unanswered) < feed.connection.window
        if is_next and entry.expires is None:
            self._send(feed, entry)
        else:
            size = _size(entry)
            feed_bytes, network = self._members.feed_bytes, feed.connection.network
            if is_next:
                feed_bytes.add(network, size)  # it goes at once, after a look at the time
            elif not feed_bytes.take(network, size):
                feed.refused = True
                return False
            feed.entries.append(entry)
            feed.size += size
        feed.covered = entry.seq
        feed.refused = False
        return True

    def pump(self, feed: DeviceFeed) -> None:
        """Send a device the entries that its window allows; if the feed is empty then, ask the store for more."""
        connection = feed.connection
        while feed.entries and len(feed.unanswered) < connection.window:
            entry = feed.entries[0]
            if entry.expires is not None and entry.expires <= self._clock():
                self._members.feed_bytes.give_back(connection.network, feed.size)
                feed.drop_entries()  # the store knows whether the member has it already
                break
            del feed.entries[0]
            size = _size(entry)
            feed.size -= size
            self._members.feed_bytes.give_back(connection.network, size)
            self._send(feed, entry)
        device = connection.device
        if device is None or feed.entries or feed.fetching:
            return
        if feed.refused and len(feed.unanswered) >= connection.window:
            return  # once the window has room, entries can go without waiting here
        if feed.covered < self._members.by_number[device.member].last:
            feed.fetching = True
            request = Fetch(device.member, feed.covered, FEED_ENTRIES, FEED_BYTES, self._clock())
            self._output.ask(request, partial(self._fetched, connection, feed))

    def _send(self, feed: DeviceFeed, entry: LogEntry) -> None:
        feed.unanswered.append(entry.seq)
        if entry.kind is _RECEIVED:
            feed.messages.append(entry.seq)
        connection = feed.connection
        if connection.framed and (entry.kind is _RECEIVED or entry.kind is _DELIVERED):
            self._output.give_entry(connection, entry)
        else:
            self._output.write(connection, entry_frame(entry, connection.name))

    def _fetched(self, connection: Connection, feed: DeviceFeed, result: Fetched | StoreError) -> None:
        if isinstance(result, Fetched) and result.effects is not None:
            self._effects.publish(result.effects)  # while this feed takes nothing: its entries come before these
        feed.fetching = False
        if connection.device is None or connection.device.feed is not feed:
            return
        if isinstance(result, StoreError):
            self._members.end(connection, str(result).encode(), 107)
            return
        if all(self._add(feed, entry) for entry in result.entries):
            if not result.entries and result.up_to <= feed.covered:
                self._members.by_number[connection.device.member].last = feed.covered  # a hint was wrong
            feed.covered = max(feed.covered, result.up_to)
        self.pump(feed)

    # Answers

    def take_received(self, connection: Connection, frames: list[Frame], start: int) -> int:
        """Take RECEIVED frames of a device: it has all entries up to a number (rule 11.3).

        `acknowledge` tells the store, once for all frames of one read.
        """
        feed = _feed(connection)
        for taken, (head, _) in enumerate(frames[start:] if start else frames, start):
            if head.verb is not _VERB_RECEIVED:
                return taken
            if seq := _answered(feed, head):
                feed.acknowledged = seq
                if _drop(feed.messages, seq):
                    feed.urgent = True
        return len(frames)

    def acknowledge(self, device: MemberDevice) -> None:
        """Tell the store what a device has acknowledged, and send what the device's window allows now.

        The store is told at once if the sender of a message waits for it, else at the next tick.
        """
        feed = device.feed
        if feed is None or not feed.acknowledged:
            return
        if feed.urgent:
            self._members.send_acknowledgement(device)
        else:
            self._unreported[feed] = device
        self.pump(feed)

    def tick(self) -> None:
        """Tell the store what devices have acknowledged that no sender waits for."""
        for device in self._unreported.values():
            self._members.send_acknowledgement(device)
        self._unreported.clear()

    def take_refusal(self, connection: Connection, head: Head, _body: bytes) -> None:
        """Take an ERROR of a device: it has all entries up to a number but refuses that one (rule 11.4)."""
        feed = _feed(connection)
        device = connection.device
        if device is not None and (seq := _answered(feed, head)):
            feed.acknowledged = 0
            feed.urgent = False
            _drop(feed.messages, seq)
            self._effects.ask(Refuse(device.member, device.name, seq, self._clock(), device.session))
            self.pump(feed)

    def take_read(self, connection: Connection, head: Head, _body: bytes) -> None:
        """Take a READ: the member has read messages (rule 11.8)."""
        if not head.name:
            raise NotUnderstood
        device = connection.device
        if device is not None and (seq := _seq(head)):
            quiet = head.headers.get(b"quiet") == b"yes"
            self._effects.ask(MarkRead(device.member, device.name, head.key, seq, self._clock(), quiet=quiet))


def _size(entry: LogEntry) -> int:
    """Return the bytes that an entry takes in a feed."""
    return len(entry.body) + len(entry.headers)


def _feed(connection: Connection) -> DeviceFeed:
    """Return the feed of a connection in the stage MEMBER_DEVICE, which always has one."""
    assert connection.device is not None
    assert connection.device.feed is not None
    return connection.device.feed


def _answered(feed: DeviceFeed, head: Head) -> int:
    """Return the number that a device answers, and count the entries up to it as answered; 0 if it was not asked."""
    seq = _seq(head)
    if not feed.unanswered or (seq != feed.unanswered[0] and seq not in feed.unanswered):
        return 0
    _drop(feed.unanswered, seq)
    return seq


def _drop(numbers: list[int], up_to: int) -> bool:
    """Remove the numbers up to the given one from a sorted list; return whether there were any."""
    if not numbers or numbers[0] > up_to:
        return False
    if numbers[-1] <= up_to:
        numbers.clear()
    else:
        del numbers[: bisect_right(numbers, up_to)]
    return True


def _seq(head: Head) -> int:
    """Return the Seq of a frame; 0 if it has none.

    Raises:
        NotUnderstood: it is malformed (rule 2.9).
    """
    seq = read_number(head.seq)
    if seq is None and b"seq" in head.headers:
        raise NotUnderstood(malformed_number(b"seq"))
    return seq or 0
