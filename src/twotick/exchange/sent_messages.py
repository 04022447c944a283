"""What members are told about their messages besides the entries of their logs (docs/protocol.md, rules 11.6 and 12.6).

A connection that only sends gets no entries, so the exchange remembers which messages were sent on it, and writes what
becomes of them without a Seq. And all connections of a sender are told how many members of a room have a message.
"""

from collections import OrderedDict
from typing import Final

from twotick.exchange.connection import MemberDevice
from twotick.exchange.entries import entry_frame
from twotick.exchange.members import ConnectedMember, ConnectedMembers
from twotick.exchange.output import Output
from twotick.store import Effects, EntryKind, LogEntry, MessageState, Progress, SentOutcome
from twotick.wire import Verb, frame

_MOST_MESSAGES = 1024
"""The most messages of one sending connection whose results it is told; those of older ones are only in the log."""

_MOST_PROGRESS = 4096
"""The most messages whose senders are told at one tick how many members have them. The senders of others are told when
all have them."""

RESULTS: Final = (EntryKind.DELIVERED, EntryKind.READ, EntryKind.FAILED)
"""The kinds of entries that say what has become of a message."""

_KINDS: Final[dict[MessageState, tuple[EntryKind, ...]]] = {
    MessageState.DELIVERED: (EntryKind.DELIVERED,),
    MessageState.READ: (EntryKind.DELIVERED, EntryKind.READ),
    MessageState.FAILED: (EntryKind.FAILED,),
}
"""What a sender is told of a message in each state."""


class SentMessages:
    """The messages of members that may still change state.

    Args:
        output: takes what is written.
        members: the members who are connected.
    """

    def __init__(self, output: Output, members: ConnectedMembers) -> None:
        self._output = output
        self._members = members
        # How many members of a room have a message, by the store's number of the message, until the next tick.
        self._progress: OrderedDict[int, Progress] = OrderedDict()

    def watch(self, device: MemberDevice, message: int) -> None:
        """Tell a connection that only sends what becomes of a message."""
        if device.sent is not None:
            device.sent[message] = MessageState.ACCEPTED
            if len(device.sent) > _MOST_MESSAGES:
                device.sent.popitem(last=False)

    def note_result(self, sender: ConnectedMember, entry: LogEntry) -> None:
        """Tell the connections of a member that only send what has become of a message."""
        if self._progress:
            self._progress.pop(entry.message, None)
        for connection in sender.senders:
            device = connection.device
            if device is None or device.sent is None or entry.message not in device.sent:
                continue
            if entry.kind is not EntryKind.DELIVERED:
                del device.sent[entry.message]
            elif device.sent[entry.message] is not MessageState.ACCEPTED:
                continue  # another server has said so before
            else:
                device.sent[entry.message] = MessageState.DELIVERED
            self._output.write(connection, entry_frame(entry, connection.name, numbered=False))

    def waits_for(self, sender: ConnectedMember, message: int) -> bool:
        """Tell whether a connection of a member that only sends is to be told what becomes of a message."""
        return any(each.device and each.device.sent and message in each.device.sent for each in sender.senders)

    def waiting(self, sender: ConnectedMember) -> list[int]:
        """Return the messages of which connections of a member that only send are to be told what becomes."""
        sent = [each.device.sent for each in sender.senders if each.device is not None and each.device.sent is not None]
        return [message for messages in sent for message in messages]

    def note_outcome(self, outcome: SentOutcome) -> None:
        """Tell a sender what has become of a message, as another server has noted it."""
        member = self._members.by_number.get(outcome.member or 0)
        if member is None:
            return
        if outcome.state is MessageState.ACCEPTED:
            if outcome.in_room and outcome.have:
                room, ident = outcome.recipient, outcome.id
                progress = Progress(member.number, outcome.message, room, ident, outcome.have, outcome.of)
                self._progress[outcome.message] = progress
            return
        for kind in _KINDS[outcome.state]:
            entry = LogEntry(
                member.number, 0, kind, outcome.message, outcome.recipient, id=outcome.id, reason=outcome.reason
            )
            self.note_result(member, entry)

    def note_effects(self, effects: Effects) -> None:
        """Note how many members of a room have a message; the sender is told at the next tick (rule 12.6)."""
        for progress in effects.progress or ():
            if progress.member in self._members.by_number:
                self._progress[progress.message] = progress
                if len(self._progress) > _MOST_PROGRESS:
                    self._progress.popitem(last=False)

    def tick(self) -> None:
        """Tell senders how many members of a room have their messages."""
        for progress in self._progress.values():
            self._tell_progress(progress)
        self._progress.clear()

    def _tell_progress(self, progress: Progress) -> None:
        member = self._members.by_number.get(progress.member)
        if member is None:
            return
        news = frame(Verb.SENT, progress.room, id=progress.id, have=progress.have, of=progress.of)
        connections = [feed.connection for feed in member.feeds]
        connections += [
            each
            for each in member.senders
            if each.device is not None and each.device.sent is not None and progress.message in each.device.sent
        ]
        for connection in connections:
            if connection.window:  # it takes output
                self._output.write(connection, news)
