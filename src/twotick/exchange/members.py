"""Members' connections and what their devices are given (docs/protocol.md, section 11).

Theory of operation. The store numbers the entries of each log and says which it has appended; `distribute` hands these
to the feeds of the devices that are connected. A feed holds what is to be sent next. As long as it keeps up, new
entries go straight into it; once it is full they do not, and when it has been emptied the store is asked for what
comes after the last that it had. So a device that was away for 100,000 entries, and one that is merely slow, are the
same case, and no feed holds more than a handful.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Final

from twotick.exchange.entries import entry_frame
from twotick.exchange.output import Output
from twotick.exchange.presence import Presence
from twotick.exchange.session import FEED_BYTES, FEED_ENTRIES, Account, Feed, Session
from twotick.store import (
    Acknowledge,
    Entry,
    Fetch,
    Fetched,
    Kind,
    MarkRead,
    Member,
    Opened,
    Outcome,
    Progress,
    Refuse,
    StoreError,
)
from twotick.wire import Head, Verb, error, frame

_SENT_MESSAGES = 1024
"""Messages of one sending connection whose fate it is told; that of older ones is in the log only."""

_PROGRESS = 4096
"""Messages whose senders are told at one tick how many have them; of others they are told when all do."""

# What is looked at for every entry.
_RECEIVED: Final = Kind.RECEIVED
_SENT: Final = Kind.SENT
_READ_HERE: Final = Kind.READ_HERE
_FATES: Final = (Kind.DELIVERED, Kind.READ, Kind.FAILED)


class Mailbox:
    """A member with at least one connection.

    Attributes:
        last: the number of the log's last entry, as far as it is known here.
        feeds: those of its devices that are connected, at most one for each; gone through for every entry.
        senders: the connections that only send.
    """

    __slots__ = ("feeds", "last", "senders")

    def __init__(self) -> None:
        self.last = 0
        # Lists, since most members have one connection, and an empty set takes 200 bytes.
        self.feeds: list[Feed] = []
        self.senders: list[Session] = []

    def feed(self, device: bytes) -> Feed | None:
        """That of a device."""
        for feed in self.feeds:
            account = feed.session.account
            if account is not None and account.device == device:
                return feed
        return None


class Members:
    """The members of a server.

    Args:
        output: where answers and requests go.
        clock: the time of day, in seconds since 1970.
        presence: is told when a device goes.
        on_outcome: called with what a request has changed.
    """

    def __init__(
        self,
        output: Output,
        clock: Callable[[], float],
        presence: Presence,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self._output = output
        self._clock = clock
        self._presence = presence
        self._on_outcome = on_outcome
        self._known: dict[bytes, Member] = {}
        self._mailboxes: dict[int, Mailbox] = {}
        self._untold: dict[Feed, Account] = {}
        # How many have a message to a room, by the store's number for it, until the next tick.
        self._progress: OrderedDict[int, Progress] = OrderedDict()

    def know(self, members: list[Member]) -> None:
        """These, and no others, are the members."""
        self._known = {member.name.lower().encode(): member for member in members}
        numbers = {member.number for member in members}
        for session in self.sessions():
            if session.account is not None and session.account.member not in numbers:
                self._end(session, b"the member was removed")

    def add(self, member: Member) -> None:
        """There is one more member."""
        self._known[member.name.lower().encode()] = member

    def __bool__(self) -> bool:
        return bool(self._known)

    def find(self, key: bytes) -> Member | None:
        """The member who owns a name, given in lower case."""
        return self._known.get(key)

    def listening(self) -> list[int]:
        """The members with a device that is connected."""
        return [number for number, mailbox in self._mailboxes.items() if mailbox.feeds]

    def listens(self, member: int) -> bool:
        """Whether a device of the member is connected."""
        mailbox = self._mailboxes.get(member)
        return mailbox is not None and bool(mailbox.feeds)

    def sessions(self) -> list[Session]:
        """All connections of members."""
        return [
            session
            for mailbox in self._mailboxes.values()
            for session in (*mailbox.senders, *(feed.session for feed in mailbox.feeds))
        ]

    # Coming and going

    def join(self, session: Session, account: Account, opened: Opened | None) -> None:
        """A member's connection is registered.

        Args:
            session: the connection.
            account: whose it is.
            opened: the device's cursor and the end of the log; None for a connection that only sends.
        """
        if opened is None:
            self._mailboxes.setdefault(account.member, Mailbox()).senders.append(session)
            account.sent = OrderedDict()
            session.account = account
            return
        mailbox = self._mailboxes.get(account.member)
        if mailbox is not None and (older := mailbox.feed(account.device)):
            self._end(older.session, b"the device has connected again")
        mailbox = self._mailboxes.setdefault(account.member, Mailbox())
        mailbox.last = max(mailbox.last, opened.last)
        account.feed = Feed(session, opened.cursor)
        mailbox.feeds.append(account.feed)
        session.account = account
        self._on_outcome(opened.outcome)
        self.pump(account.feed)

    def leave(self, session: Session) -> None:
        """A member's connection is gone, or about to be."""
        account = session.account
        if account is None:
            return
        if account.feed is not None and account.feed.acknowledged:
            self._tell_store(account, account.feed)
        session.account = None
        mailbox = self._mailboxes[account.member]
        if account.feed is None:
            mailbox.senders.remove(session)
        else:
            mailbox.feeds.remove(account.feed)
            self._presence.leave(session, account)
        if not mailbox.feeds and not mailbox.senders:
            del self._mailboxes[account.member]

    def _end(self, session: Session, reason: bytes, code: int = 108) -> None:
        self._output.write(session, error(code, reason=reason))
        self.leave(session)
        self._output.close(session)

    # Giving entries to devices

    def distribute(self, outcome: Outcome) -> None:
        """Hand what was appended to logs to those who are connected."""
        for entry in outcome.entries:
            mailbox = self._mailboxes.get(entry.member)
            if mailbox is None:
                continue
            seq = entry.seq
            if mailbox.last < seq:
                mailbox.last = seq
            for feed in mailbox.feeds:
                if feed.covered == seq - 1 and not feed.full:
                    self._add(feed, entry)
                if feed.covered < mailbox.last:
                    self.pump(feed)
            if self._progress and entry.kind in _FATES:
                self._progress.pop(entry.message, None)
            if mailbox.senders and entry.kind in _FATES:
                for session in mailbox.senders:
                    self._tell_sender(session, entry)

    def _add(self, feed: Feed, entry: Entry) -> None:
        """Give a feed the entry after the last that it had: send it, or let it wait behind others or for the window."""
        feed.covered = entry.seq
        if entry.kind is _SENT or entry.kind is _READ_HERE:
            account = feed.session.account
            if account is not None and entry.device == account.device:
                return  # the device knows what it did
        if not feed.entries and len(feed.unanswered) < feed.session.window:
            self._send(feed, entry)
        else:
            feed.entries.append(entry)
            feed.size += len(entry.body)

    def pump(self, feed: Feed) -> None:
        """Send a device what its window allows, and look for more if that was all."""
        session = feed.session
        while feed.entries and len(feed.unanswered) < session.window:
            entry = feed.entries.pop(0)
            feed.size -= len(entry.body)
            self._send(feed, entry)
        account = session.account
        if account is None or feed.entries or feed.fetching or feed.covered >= self._mailboxes[account.member].last:
            return
        feed.fetching = True
        self._output.ask(
            Fetch(account.member, feed.covered, FEED_ENTRIES, FEED_BYTES), partial(self._fetched, session, feed)
        )

    def _send(self, feed: Feed, entry: Entry) -> None:
        feed.unanswered.append(entry.seq)
        if entry.kind is _RECEIVED:
            feed.messages.append(entry.seq)
        self._output.write(feed.session, entry_frame(entry, feed.session.name))

    def _fetched(self, session: Session, feed: Feed, result: Fetched | StoreError) -> None:
        feed.fetching = False
        if session.account is None or session.account.feed is not feed:
            return
        if isinstance(result, StoreError):
            self._end(session, str(result).encode(), 107)
            return
        for entry in result.entries:
            self._add(feed, entry)
        feed.covered = max(feed.covered, result.up_to)
        self.pump(feed)

    def watch(self, account: Account, message: int) -> None:
        """Tell a connection that only sends what becomes of a message."""
        if account.sent is not None:
            account.sent[message] = None
            if len(account.sent) > _SENT_MESSAGES:
                account.sent.popitem(last=False)

    def _tell_sender(self, session: Session, entry: Entry) -> None:
        account = session.account
        if account is not None and account.sent is not None and entry.message in account.sent:
            if entry.kind is not Kind.DELIVERED:
                del account.sent[entry.message]
            self._output.write(session, entry_frame(entry, session.name, numbered=False))

    def note_progress(self, progress: list[Progress]) -> None:
        """More recipients have messages to rooms: their senders are told at the next tick (rule 12.6)."""
        for each in progress:
            if each.member in self._mailboxes:
                self._progress[each.message] = each
                if len(self._progress) > _PROGRESS:
                    self._progress.popitem(last=False)

    def _tell_progress(self, progress: Progress) -> None:
        mailbox = self._mailboxes.get(progress.member)
        if mailbox is None:
            return
        news = frame(Verb.SENT, progress.room, id=progress.id, have=progress.have, of=progress.of)
        sessions = [feed.session for feed in mailbox.feeds]
        sessions += [
            each
            for each in mailbox.senders
            if each.account is not None and each.account.sent is not None and progress.message in each.account.sent
        ]
        for session in sessions:
            if session.window:  # it takes output
                self._output.write(session, news)

    # What devices say

    def take_received(self, account: Account, head: Head) -> None:
        """RECEIVED: the device has all entries up to a number (rule 11.3). `acknowledge` tells the store."""
        feed = account.feed
        if feed is not None and (seq := _answer(feed, head)):
            feed.acknowledged = seq
            if _drop(feed.messages, seq):
                feed.urgent = True

    def acknowledge(self, session: Session) -> None:
        """Send what the window of a device now allows, and tell the store what it has said since the last time.

        If somebody waits for that, now; else `tick` does it.
        """
        account = session.account
        if account is None or account.feed is None or not account.feed.acknowledged:
            return
        if account.feed.urgent:
            self._tell_store(account, account.feed)
        else:
            self._untold[account.feed] = account
        self.pump(account.feed)

    def tick(self) -> None:
        """Tell the store what devices have said that nobody waits for, and senders how many have what they sent."""
        for feed, account in self._untold.items():
            if feed.acknowledged:
                self._tell_store(account, feed)
        self._untold.clear()
        for progress in self._progress.values():
            self._tell_progress(progress)
        self._progress.clear()

    def _tell_store(self, account: Account, feed: Feed) -> None:
        self._change(Acknowledge(account.member, account.device, feed.acknowledged, self._clock()))
        feed.acknowledged = 0
        feed.urgent = False

    def take_refusal(self, account: Account, head: Head) -> None:
        """ERROR: the device has all entries up to a number but refuses that one (rule 11.4)."""
        if account.feed is not None and (seq := _answer(account.feed, head)):
            account.feed.acknowledged = 0
            account.feed.urgent = False
            _drop(account.feed.messages, seq)
            self._change(Refuse(account.member, account.device, seq, self._clock()))
            self.pump(account.feed)

    def take_read(self, account: Account, head: Head) -> None:
        """READ: the member has read messages (rule 11.8)."""
        if seq := _number(head.seq):
            self._change(MarkRead(account.member, account.device, head.key, seq, self._clock()))

    def _change(self, request: Acknowledge | Refuse | MarkRead) -> None:
        self._output.ask(request, self._changed)

    def _changed(self, result: Outcome | StoreError) -> None:
        # If the store cannot keep it, the device is sent the same again when it connects the next time.
        if isinstance(result, Outcome):
            self._on_outcome(result)

    # Devices (rule 10.8)

    def devices(self, member: int) -> frozenset[bytes]:
        """The devices of a member that are connected."""
        mailbox = self._mailboxes.get(member)
        feeds = mailbox.feeds if mailbox is not None else []
        return frozenset(feed.session.account.device for feed in feeds if feed.session.account is not None)

    def end_devices(self, member: int, device: bytes) -> None:
        """Close the connections of a device, and of those below it, which were revoked."""
        for session in self.sessions():
            account = session.account
            if account and account.member == member and (account.device + b"/").startswith(device + b"/"):
                self._end(session, b"the device was revoked")


def _answer(feed: Feed, head: Head) -> int:
    """The number that a device answers, which then counts as answered with all before it; 0 if it was not asked."""
    seq = _number(head.seq)
    if not feed.unanswered or (seq != feed.unanswered[0] and seq not in feed.unanswered):
        return 0
    _drop(feed.unanswered, seq)
    return seq


def _drop(numbers: list[int], up_to: int) -> bool:
    """Drop those of these numbers, which are in order, that are not past one. Returns whether there were any."""
    if not numbers or numbers[0] > up_to:
        return False
    if numbers[-1] <= up_to:
        numbers.clear()
    else:
        del numbers[: bisect_right(numbers, up_to)]
    return True


def _number(digits: bytes) -> int:
    """The value of a header that is a positive number; 0 if it is missing or anything else."""
    return int(digits) if digits.isdigit() and len(digits) <= 18 else 0
