"""Members' connections and what their devices are given (docs/protocol.md, section 11).

Theory of operation. The store numbers the entries of each log and says which it has appended; `distribute` hands these
to the feeds of the devices that are connected. A feed holds what is to be sent next. As long as it keeps up, new
entries go straight into it; once it is full they do not, and when it has been emptied the store is asked for what
comes after the last that it had. So a device that was away for 100,000 entries, and one that is merely slow, are the
same case, and no feed holds more than a handful.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Final

from twotick.exchange.output import Output
from twotick.exchange.session import FEED_BYTES, FEED_ENTRIES, Account, Feed, Session
from twotick.store import (
    Acknowledge,
    AddToken,
    Device,
    Devices,
    Entry,
    Fetch,
    Fetched,
    History,
    Kind,
    MarkRead,
    Member,
    Opened,
    Outcome,
    Refusal,
    Refuse,
    Revoke,
    StoreError,
)
from twotick.wire import Head, Verb, delivered, error, forward, frame

_SENT_MESSAGES = 1024
"""Messages of one sending connection whose fate it is told; that of older ones is in the log only."""

# What is looked at for every entry.
_RECEIVED: Final = Kind.RECEIVED
_SENT: Final = Kind.SENT
_DELIVERED: Final = Kind.DELIVERED
_READ_HERE: Final = Kind.READ_HERE
_FATES: Final = (Kind.DELIVERED, Kind.READ, Kind.FAILED)

_HISTORY_MOST = 1000
_HISTORY_DEFAULT = 50
_HISTORY_BYTES = 4 << 20
"""Bytes of bodies after which an answer to HISTORY ends; the client asks for the rest."""


class Mailbox:
    """A member with at least one connection.

    Attributes:
        last: the number of the log's last entry, as far as it is known here.
        feeds: by the name of the device.
        senders: the connections that only send.
    """

    __slots__ = ("feeds", "last", "senders")

    def __init__(self) -> None:
        self.last = 0
        self.feeds: dict[bytes, Feed] = {}
        self.senders: set[Session] = set()


class Members:
    """The members of a server.

    Args:
        output: where answers and requests go.
        clock: the time of day, in seconds since 1970.
        on_outcome: called with what a request has changed.
        new_token: makes a token, and the hash of it that the store keeps; None where there are no members.
    """

    def __init__(
        self,
        output: Output,
        clock: Callable[[], float],
        on_outcome: Callable[[Outcome], None],
        new_token: Callable[[], tuple[bytes, bytes]] | None,
    ) -> None:
        self._output = output
        self._clock = clock
        self._on_outcome = on_outcome
        self._new_token = new_token
        self._known: dict[bytes, Member] = {}
        self._mailboxes: dict[int, Mailbox] = {}

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
            for session in (*mailbox.senders, *(feed.session for feed in mailbox.feeds.values()))
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
            self._mailboxes.setdefault(account.member, Mailbox()).senders.add(session)
            session.account = account
            return
        mailbox = self._mailboxes.get(account.member)
        if mailbox is not None and (older := mailbox.feeds.get(account.device)):
            self._end(older.session, b"the device has connected again")
        mailbox = self._mailboxes.setdefault(account.member, Mailbox())
        mailbox.last = max(mailbox.last, opened.last)
        mailbox.feeds[account.device] = account.feed = Feed(session, opened.cursor)
        session.account = account
        self._on_outcome(opened.outcome)
        self.pump(account.feed)

    def leave(self, session: Session) -> None:
        """A member's connection is gone, or about to be."""
        account = session.account
        if account is None:
            return
        self.acknowledge(session)
        session.account = None
        mailbox = self._mailboxes[account.member]
        mailbox.senders.discard(session)
        if account.feed is not None:
            del mailbox.feeds[account.device]
        if not mailbox.feeds and not mailbox.senders:
            del self._mailboxes[account.member]

    def _end(self, session: Session, reason: bytes, code: int = 108) -> None:
        self._output.write(session, error(code, reason=reason))
        self.leave(session)
        self._output.close(session)

    # Giving entries to devices

    def distribute(self, outcome: Outcome) -> None:
        """Hand what was appended to logs to those who are connected."""
        touched: list[Mailbox] = []
        for entry in outcome.entries:
            mailbox = self._mailboxes.get(entry.member)
            if mailbox is None:
                continue
            if mailbox.last < entry.seq:
                mailbox.last = entry.seq
            for feed in mailbox.feeds.values():
                if feed.covered == entry.seq - 1 and not feed.full:
                    self._add(feed, entry)
            if mailbox.senders and entry.kind in _FATES:
                for session in mailbox.senders:
                    self._tell_sender(session, entry)
            if not touched or touched[-1] is not mailbox:
                touched.append(mailbox)
        for mailbox in touched:
            for feed in mailbox.feeds.values():
                self.pump(feed)

    def _add(self, feed: Feed, entry: Entry) -> None:
        feed.covered = entry.seq
        if entry.kind is _SENT or entry.kind is _READ_HERE:
            account = feed.session.account
            if account is not None and entry.device == account.device:
                return  # the device knows what it did
        feed.entries.append(entry)
        feed.size += len(entry.body)

    def pump(self, feed: Feed) -> None:
        """Send a device what its window allows, and look for more if that was all."""
        session = feed.session
        while feed.entries and len(feed.unanswered) < session.window:
            entry = feed.entries.popleft()
            feed.size -= len(entry.body)
            feed.unanswered.append(entry.seq)
            self._output.write(session, entry_frame(entry, session.name))
        account = session.account
        if account is None or feed.entries or feed.fetching or feed.covered >= self._mailboxes[account.member].last:
            return
        feed.fetching = True
        self._output.ask(
            Fetch(account.member, feed.covered, FEED_ENTRIES, FEED_BYTES), partial(self._fetched, session, feed)
        )

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
        if account.feed is None:
            account.sent[message] = None
            if len(account.sent) > _SENT_MESSAGES:
                account.sent.popitem(last=False)

    def _tell_sender(self, session: Session, entry: Entry) -> None:
        account = session.account
        if account is not None and entry.message in account.sent:
            if entry.kind is not Kind.DELIVERED:
                del account.sent[entry.message]
            self._output.write(session, entry_frame(entry, session.name, numbered=False))

    # What devices say

    def take_received(self, account: Account, head: Head) -> None:
        """RECEIVED: the device has all entries up to a number (rule 11.3). `acknowledge` tells the store."""
        if account.feed is not None and (seq := _answer(account.feed, head)):
            account.feed.acknowledged = seq

    def acknowledge(self, session: Session) -> None:
        """Tell the store what a device has said since the last time, and send what its window now allows."""
        account = session.account
        if account is None or account.feed is None or not account.feed.acknowledged:
            return
        self._change(Acknowledge(account.member, account.device, account.feed.acknowledged, self._clock()))
        account.feed.acknowledged = 0
        self.pump(account.feed)

    def take_refusal(self, account: Account, head: Head) -> None:
        """ERROR: the device has all entries up to a number but refuses that one (rule 11.4)."""
        if account.feed is not None and (seq := _answer(account.feed, head)):
            account.feed.acknowledged = 0
            self._change(Refuse(account.member, account.device, seq, self._clock()))
            self.pump(account.feed)

    def take_read(self, account: Account, head: Head) -> None:
        """READ: the member has read messages (rule 11.8)."""
        if seq := _number(head.headers.get(b"seq")):
            self._change(MarkRead(account.member, account.device, head.key, seq, self._clock()))

    def _change(self, request: Acknowledge | Refuse | MarkRead) -> None:
        self._output.ask(request, self._changed)

    def _changed(self, result: Outcome | StoreError) -> None:
        # If the store cannot keep it, the device is sent the same again when it connects the next time.
        if isinstance(result, Outcome):
            self._on_outcome(result)

    # What devices ask

    def take_question(self, session: Session, account: Account, head: Head, answered: Callable[[], None]) -> None:
        """HISTORY, DEVICES, TOKEN or REVOKE (rules 10.8 and 11.9).

        Args:
            session: the connection.
            account: whose it is.
            head: the question.
            answered: called when the answer is written.
        """
        device = head.name.decode("ascii", "replace")
        token = digest = b""
        request: History | AddToken | Revoke | Devices
        match head.verb:
            case Verb.HISTORY:
                most = min(_number(head.headers.get(b"limit")) or _HISTORY_DEFAULT, _HISTORY_MOST)
                before = _number(head.headers.get(b"before"))
                since = _time(head.headers.get(b"since"))
                request = History(account.member, head.key, before, since, most, _HISTORY_BYTES)
            case Verb.TOKEN:
                assert self._new_token is not None
                token, digest = self._new_token()
                request = AddToken(account.member, device, digest, self._clock())
            case Verb.REVOKE:
                request = Revoke(account.member, device)
            case _:
                request = Devices(account.member)

        def answer(result: Fetched | list[Device] | bool | Refusal | StoreError | None) -> None:
            if isinstance(result, StoreError | Refusal):
                reason = result.reason if isinstance(result, Refusal) else str(result)
                self._output.write(session, error(102, id=head.headers.get(b"id"), reason=reason.encode()))
            elif isinstance(result, Fetched):
                self._answer_history(session, head, result)
            elif isinstance(result, list):
                self._answer_devices(session, account, result)
            elif result is None:
                self._output.write(session, frame(Verb.TOKEN, head.name, token=token))
            else:
                self._output.write(session, frame(Verb.REVOKED, head.name))
                self._end_revoked(account, head.name)
            answered()

        self._output.ask(request, answer)

    def _answer_history(self, session: Session, head: Head, found: Fetched) -> None:
        identifier = head.headers.get(b"id")
        for entry in found.entries:
            self._output.write(session, entry_frame(entry, session.name, history=identifier or b"-"))
        self._output.write(session, frame(Verb.HISTORY, head.name, id=identifier, count=len(found.entries)))

    def _answer_devices(self, session: Session, account: Account, found: list[Device]) -> None:
        mailbox = self._mailboxes.get(account.member)
        connected = mailbox.feeds if mailbox else {}
        devices = [
            {"device": device.name, "connected": device.name.encode() in connected, "seen": time_text(device.seen)}
            for device in found
        ]
        body = json.dumps(devices).encode()
        self._output.write(session, frame(Verb.DEVICES, body=body, content_type=b"application/json"))

    def _end_revoked(self, account: Account, device: bytes) -> None:
        for session in self.sessions():
            other = session.account
            if (
                other
                and other.member == account.member
                and f"{other.device.decode()}/".startswith(f"{device.decode()}/")
            ):
                self._end(session, b"the device was revoked")


def _answer(feed: Feed, head: Head) -> int:
    """The number that a device answers, which then counts as answered with all before it; 0 if it was not asked."""
    seq = _number(head.headers.get(b"seq"))
    if not feed.unanswered or (seq != feed.unanswered[0] and seq not in feed.unanswered):
        return 0
    while feed.unanswered and feed.unanswered[0] <= seq:
        feed.unanswered.popleft()
    return seq


def _number(digits: bytes | None) -> int:
    """The value of a header that is a positive number; 0 if it is missing or anything else."""
    return int(digits) if digits and digits.isdigit() and len(digits) <= 18 else 0


def _time(text: bytes | None) -> float:
    """The value of a header that is a time, in seconds since 1970; 0 if it is missing or anything else."""
    try:
        return datetime.fromisoformat(text.decode("ascii")).timestamp() if text else 0.0
    except ValueError:
        return 0.0


def time_text(seconds: float) -> str:
    """A time as it is written in frames: UTC, to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def entry_frame(entry: Entry, owner: bytes, *, numbered: bool = True, history: bytes | None = None) -> bytes:
    """An entry as the frame that a device is given (rule 11.1).

    Args:
        entry: the entry.
        owner: the name of the member whose log it is in.
        numbered: whether it has its number, and so must be acknowledged.
        history: the Id of the request that it answers, if it does (rule 11.9).
    """
    seq = entry.seq if numbered else None
    if entry.kind is _RECEIVED and history is None:
        return forward(entry.peer, entry.body, entry.id, seq, entry.headers)
    if entry.kind is _DELIVERED:
        return delivered(entry.peer, entry.id, seq)
    identifier = entry.id or None
    match entry.kind:
        case Kind.RECEIVED | Kind.SENT:
            sent = entry.kind is Kind.SENT
            return frame(
                Verb.FORWARD,
                owner if sent else entry.peer,
                entry.body,
                entry.headers,
                to=entry.peer if sent else None,
                id=identifier,
                seq=seq,
                history=history,
                state=entry.state.name.lower().encode() if sent and history is not None else None,
            )
        case Kind.READ:
            return frame(Verb.READ, entry.peer, id=identifier, seq=seq)
        case Kind.FAILED:
            return error(102, id=identifier, seq=seq, reason=entry.reason.encode())
        case Kind.READ_HERE:
            return frame(Verb.READ, entry.peer, seq=seq, up_to=entry.up_to)
