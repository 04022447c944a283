"""What must be true after a schedule: the promises of docs/guarantees.md, one function for each."""

import math
import re
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.simulation.asking import check_answers
from tests.simulation.programs import Device, Sent, content_of
from tests.simulation.scheduler import EPOCH
from twotick.client import State
from twotick.server.clock import SETTLING
from twotick.store import EntryKind, Fetch, FindMember, LogEntry, Member, SqliteStore

if TYPE_CHECKING:
    from tests.simulation.story import Story


_LATE = 20.0
"""The seconds within which a server that is asked to by its options removes what is too old."""


def check_connections(story: "Story") -> None:
    """Check that devices are connected for which a machine may be, and no others."""
    connected: defaultdict[str, int] = defaultdict(int)
    for device in story.devices:
        connected[device.token] += device.client is not None and device.client.connected
    for device in story.devices:
        may = not (device.is_revoked or device.member in story.operator.removed)
        if connected[device.token] > may:
            number = connected[device.token]
            story.problems.append(f"{device.title} was {device.may_end}, but {number} machines with its token work")


def check_store(story: "Story", store: SqliteStore) -> None:
    """Check what the database says, and compare it with what the devices have seen."""
    story.problems += [f"check: {problem}" for problem in store.check()]
    logs: dict[str, dict[int, LogEntry]] = {}
    if story.log_lost:
        store.close()
        return
    for device in story.devices:
        if device.member in logs:
            continue
        member = store.ask(FindMember(device.member))
        if not isinstance(member, Member):
            if device.member not in story.operator.leaving:
                story.problems.append(f"{device.member} is not a member any more")
            continue
        if device.member in story.operator.removed:
            story.problems.append(f"{device.member} is still a member")
        fetched = store.ask(Fetch(member.number, 0, 1 << 30, 1 << 30))
        logs[device.member] = {entry.seq: entry for entry in fetched.entries}
    store.close()
    _rooms_are_seen_by_their_members(story, logs)
    _changes_are_made(story, logs)
    if story.forgets:
        _old_messages_are_removed(story, logs)
    else:
        _history_is_the_log(story, logs)
        check_answers(story, logs)
    for device in story.devices:
        if device.member in logs:
            _nothing_is_missing(story, device, logs[device.member])
    _accepted_is_kept(story, logs)
    _outcomes_are_told_once(story, logs)
    _order_is_kept(story, logs)


def check_backup(story: "Story", store: SqliteStore, before: list[Sent]) -> None:
    """Check that a copy of the database is sound, and has what was accepted before it was made."""
    story.problems += [f"check of a backup: {problem}" for problem in store.check()]
    for sent in before:
        member = store.ask(FindMember(sent.sender))
        if member is None and sent.sender in story.operator.leaving:
            continue
        assert member is not None
        log = store.ask(Fetch(member.number, 0, 1 << 30, 1 << 30)).entries
        if not any(entry.kind is EntryKind.SENT and entry.id.decode() == sent.id for entry in log):
            story.problems.append(f"{sent.id} was accepted, but is not in the backup")
    store.close()


@dataclass(frozen=True)
class _InRoom:
    """A message to the room, or what happened there.

    Attributes:
        sender: who wrote or did it.
        event: what happened; empty for a message.
        member: to whom.
        removable: whether it may be removed from logs.
    """

    sender: str
    event: str
    member: str
    removable: bool

    @classmethod
    def of(cls, story: "Story", owner: str, entry: LogEntry) -> "_InRoom":
        """Return what an entry in a member's log says."""
        fields = dict(line.split(b": ", 1) for line in entry.headers.splitlines())
        refused = {each for device in story.devices for each in device.refused}
        sender = owner if entry.kind is EntryKind.SENT else entry.peer.decode().lower()
        sent = _all_sent(story).get((sender, entry.id.decode()))
        return cls(
            sender,
            fields.get(b"Event", b"").decode(),
            fields.get(b"Member", b"").decode().lower(),
            (sent is not None and sent.expires is not None) or f"{sender} {entry.id.decode()}" in refused,
        )


def _rooms_are_seen_by_their_members(story: "Story", logs: dict[str, dict[int, LogEntry]]) -> None:
    """Check that each member has the messages to the room from joining it to leaving it, and no others."""
    by_place = {
        entry.place: _InRoom.of(story, name, entry)
        for name, log in logs.items()
        for entry in log.values()
        if entry.place
    }
    if story.forgets:
        return
    if not story.operator.leaving and sorted(by_place) != list(range(1, len(by_place) + 1)):
        story.problems.append(f"the room has only the places {sorted(by_place)}")
    removable = {place for place, found in by_place.items() if found.removable}
    for name, log in logs.items():
        places = {entry.place for entry in log.values() if entry.place}
        expected: set[int] = set()
        inside = False
        for place, found in sorted(by_place.items(), key=lambda each: each[0]):
            if found.event in ("created", "joined") and found.sender == name:
                inside = True
            if inside:
                expected.add(place)
            if (found.event == "left" and found.sender == name) or (found.event == "removed" and found.member == name):
                inside = False
        if (places - expected) or (expected - places - removable):
            story.problems.append(f"{name} has the places {sorted(places)} of the room, not {sorted(expected)}")


def _changes_are_made(story: "Story", logs: dict[str, dict[int, LogEntry]]) -> None:
    """Check that messages are stored as they were edited last, and that nothing of deleted ones is on the disk."""
    files = story.machine.disk.files
    content = b"".join(bytes(files[name].data) for name in files if name.startswith("server/twotick.db"))
    sent_by_id = _all_sent(story)
    expected = {key: sent.text for key, sent in sent_by_id.items()}
    gone: set[str] = set()
    edits: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for name, log in logs.items():
        for seq in sorted(log):
            change = sent_by_id.get((name, log[seq].id.decode()))
            if log[seq].kind is not EntryKind.SENT or change is None or change.target is None:
                continue
            key = change.target.sender, change.target.id
            if change.change == "edits" and any(pair[1] == name for pair in story.blocks):
                continue  # it stays as it was for those who have blocked its sender
            if change.change == "edits" and expected[key]:
                gone.add(change.target.text)
                expected[key] = change.text
                edits[key].add(change.text)
            elif change.change == "deletes":
                gone |= {change.target.text} | edits[key]
                expected[key] = ""
    for log in logs.values():
        for entry in log.values():
            key = entry.peer.decode().lower(), entry.id.decode()
            if entry.kind is not EntryKind.RECEIVED or key not in expected or sent_by_id[key].change:
                continue
            if key[0] not in logs or story.forgets:  # the changes are in no log any more
                continue
            if entry.body.decode() != expected[key] and not any(pair[1] == key[0] for pair in story.blocks):
                story.problems.append(f"{entry.id!r} has the body {entry.body[:40]!r}, not {expected[key][:40]!r}")
    forwarded = {text for sent in sent_by_id.values() if sent.change == "forwards" for text in _versions(story, sent)}
    for text in gone - set(expected.values()) - forwarded - {""}:
        if text.encode() in content:
            story.problems.append(f"{text[:40]!r} was edited or deleted, but is on the disk")


def _versions(story: "Story", sent: Sent) -> set[str]:
    """Return the texts that a message can have had."""
    origin = sent.origin
    edits = {each.text for each in _all_sent(story).values() if each.change == "edits" and each.target is origin}
    return {origin.text} | edits


def _history_is_the_log(story: "Story", logs: dict[str, dict[int, LogEntry]]) -> None:
    """Check that a device is given the whole history of its member."""
    for device in story.devices:
        if device.answers is None or device.member not in logs:
            continue
        kinds = (EntryKind.RECEIVED, EntryKind.SENT)
        entries = [entry for _, entry in sorted(logs[device.member].items()) if entry.kind in kinds]
        expected = [
            (device.member if entry.kind is EntryKind.SENT else entry.peer.decode(), entry.id.decode())
            for entry in entries
        ]
        if device.answers.history != expected:
            story.problems.append(f"{device.title} was given another history than its log: {device.answers.history}")


def _old_messages_are_removed(story: "Story", logs: dict[str, dict[int, LogEntry]]) -> None:
    """Check that messages are gone that are too old. That others are there is checked with all that was accepted."""
    if story.settling == SETTLING or story.disturbed:
        return
    oldest = EPOCH + story.ended - story.retention - _LATE
    own = (EntryKind.SENT, EntryKind.READ_HERE)
    tails = {
        entry.message
        for log in logs.values()
        for seq, entry in log.items()
        if entry.kind in own and all(log[later].kind in own for later in log if later > seq)
    }
    for name, log in logs.items():
        for entry in log.values():
            if entry.message in tails:  # a device has no later entry to acknowledge, since it has caused these itself
                continue
            if (entry.peer.decode().lower(), name) in story.blocks:  # it waits, as for one who is away (rule 14.4)
                continue
            if entry.kind in (EntryKind.RECEIVED, EntryKind.SENT) and entry.time < oldest:
                story.problems.append(f"{entry.id!r} is still in the log of {name}, but is too old")


def _all_sent(story: "Story") -> dict[tuple[str, str], Sent]:
    return {(sent.sender, sent.id): sent for device in story.devices for sent in device.sent}


def _nothing_is_missing(story: "Story", device: Device, log: dict[int, LogEntry]) -> None:
    """Check that a device has every entry of its member's log, except what it has caused itself.

    If several machines have used its token, they have it together.
    """
    group = [other for other in story.devices if other.token == device.token]
    if all(other.over for other in group) and device.may_end == "replaced":
        story.problems.append(f"each machine with the token of {device.title} was replaced by another")
    if any(other.over and other.may_end == "revoked" for other in group):
        return
    lives = [life for other in group for life in other.lives]
    seen = {each.seq for life in lives for each in life.seen}
    cursors = [life.cursor for life in lives if life.cursor >= 0]
    own = {sent.id for other in group for sent in other.sent}
    for seq, entry in log.items():
        if seq in seen or entry.device.decode() == device.name:
            continue
        if entry.kind in (EntryKind.DELIVERED, EntryKind.READ, EntryKind.FAILED) and entry.id.decode() in own:
            continue
        if cursors and seq > min(cursors):
            story.problems.append(
                f"{device.title} does not have entry {seq} of the log: {entry.kind.name} {entry.peer!r} {entry.id!r}"
            )


def _accepted_is_kept(story: "Story", logs: dict[str, dict[int, LogEntry]]) -> None:
    """Check that each message that was accepted is in the logs of its sender and its recipient."""
    kept = {
        (name, entry.kind, entry.peer.decode().lower(), entry.id.decode())
        for name, log in logs.items()
        for entry in log.values()
    }
    for (sender, ident), sent in _all_sent(story).items():
        recipient = sent.recipient
        if State.ACCEPTED <= sent.state <= State.READ and recipient in logs:
            if sent.at + story.retention < story.world.loop.now:
                continue
            if sender in logs and (sender, EntryKind.SENT, recipient, ident) not in kept:
                story.problems.append(f"{ident} was accepted, but is not in the log of {sender}")
            removed = sent.expires is not None or f"{sender} {ident}" in _refused(story, recipient)
            removed = removed or (recipient, sender) in story.blocks
            if (recipient, EntryKind.RECEIVED, sender, ident) not in kept and not removed:
                story.problems.append(f"{ident} was accepted, but is not in the log of {recipient}")


def _origins(story: "Story", ident: str) -> set[str]:
    """Return the Ids of the messages from which those with an Id were sent on."""
    return {sent.origin.id for sent in _all_sent(story).values() if sent.id == ident}


def _refused(story: "Story", member: str) -> set[str]:
    return {ident for device in story.devices if device.member == member for ident in device.refused}


def _outcomes_are_told_once(story: "Story", logs: dict[str, dict[int, LogEntry]]) -> None:
    """Check that each message has one outcome in its sender's log, and that the log has each message once."""
    outcomes: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for name, log in logs.items():
        for entry in log.values():
            key = name, entry.id.decode()
            if entry.kind in (EntryKind.DELIVERED, EntryKind.FAILED):
                outcomes[key].append(entry.kind.name)
            elif entry.kind is EntryKind.SENT:
                outcomes[key].append("SENT")
        received = [(entry.peer, entry.id) for entry in log.values() if entry.kind is EntryKind.RECEIVED and entry.id]
        if len(received) != len(set(received)):
            story.problems.append(f"the log of {name} has a message twice")
    for (name, ident), found in outcomes.items():
        sent = _all_sent(story).get((name, ident))
        waits = sent is not None and (sent.recipient, name) in story.blocks and found == ["SENT"]
        if not waits and (found.count("SENT") != 1 or len(found) != 2):
            story.problems.append(f"{ident} of {name} has the entries {found}")


def _order_is_kept(story: "Story", logs: dict[str, dict[int, LogEntry]]) -> None:
    """Check that messages from one device to one recipient are in the order in which they were sent."""
    if story.disturbed or story.small_mailboxes:  # the refusal of one of several may have been lost with the connection
        return
    orders = {(sent.sender, sent.id): sent for sent in _all_sent(story).values()}
    for name, log in logs.items():
        last: dict[tuple[str, str, str], int] = {}
        for seq in sorted(log):
            entry = log[seq]
            if entry.kind is not EntryKind.RECEIVED:
                continue
            sent = orders.get((entry.peer.decode().lower(), entry.id.decode()))
            if sent is None:
                continue
            key = sent.sender, sent.device, sent.recipient.lower()
            if sent.order < last.get(key, 0):
                story.problems.append(f"{sent.id} is in the log of {name} after a later message")
            last[key] = sent.order


def check_notes(story: "Story") -> None:
    """Compare what the programs have written down."""
    for program in (*story.devices, *story.guests):
        story.problems += program.problems
    sent_by_id = _all_sent(story)
    _bodies_are_those_that_were_sent(story, sent_by_id)
    if not story.log_lost:
        _entries_agree(story)
        _blocked_users_are_not_heard(story, sent_by_id)
        _receipts_are_true(story, sent_by_id)
    _every_send_is_answered(story, sent_by_id)
    _guests_are_told_the_truth(story)


def _blocked_users_are_not_heard(story: "Story", sent_by_id: dict[tuple[str, str], Sent]) -> None:
    """Check that nothing arrives that was written after a block."""
    for device in story.devices:
        for seen in (seen for life in device.lives for seen in life.seen if seen.kind == "message"):
            sent = sent_by_id.get((seen.sender, seen.id))
            if sent is None or seen.place or sent.recipient != device.member:
                continue
            if sent.at > story.blocks.get((device.member, sent.sender), math.inf):
                story.problems.append(f"{device.title} has {sent.id}, although its sender was blocked")


def _entries_agree(story: "Story") -> None:
    """Check that an entry is the same on all devices of a member, whenever they receive it."""
    meanings: dict[tuple[str, int], tuple[object, ...]] = {}
    for device in story.devices:
        for seen in (seen for life in device.lives for seen in life.seen):
            key = device.member, seen.seq
            if meanings.setdefault(key, seen.meaning) != seen.meaning:
                story.problems.append(f"entry {seen.seq} of {device.title} was {meanings[key]}, now {seen.meaning}")


def _bodies_are_those_that_were_sent(story: "Story", sent_by_id: dict[tuple[str, str], Sent]) -> None:
    """Check that messages reach those for whom they are, and as they were sent, edited or deleted."""
    versions: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for key, sent in sent_by_id.items():
        versions[key] |= _versions(story, sent)
    guests = {(guest.name, note[0], note[1]) for guest in story.guests for note in guest.sent}
    for device in story.devices:
        for seen in (seen for life in device.lives for seen in life.seen if seen.kind == "message"):
            if seen.event:
                continue
            key = seen.sender, seen.id
            if key not in sent_by_id:
                if (seen.sender, device.member, seen.text) not in guests:
                    story.problems.append(f"{device.title} has a message that was not sent: {seen.meaning}")
                continue
            sent = sent_by_id[key]
            if device.member not in (sent.sender, sent.recipient) and sent.recipient != "ALL" and not seen.place:
                story.problems.append(f"{device.title} has a message for {sent.recipient}: {sent.id}")
            if not seen.deleted and seen.text not in versions[key]:
                story.problems.append(f"{device.title} has {sent.id} with another body: {seen.text[:60]!r}")


def _receipts_are_true(story: "Story", sent_by_id: dict[tuple[str, str], Sent]) -> None:
    """Check that what senders were told has happened."""
    taken: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    shown: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    read: defaultdict[str, dict[str, int]] = defaultdict(dict)
    numbers: dict[tuple[str, str, str], int] = {}
    for device in story.devices:
        for peer, seq in device.reads.items():
            read[device.member][peer] = max(seq, read[device.member].get(peer, 0))
        for life in device.lives:
            acknowledged = set(life.acknowledged)
            for seen in life.seen:
                if seen.kind == "message":
                    shown[device.member].add((seen.sender, seen.id))
                    numbers[device.member, seen.sender, seen.id] = seen.seq
                    if seen.seq in acknowledged or f"{seen.sender} {seen.id}" not in device.refused:
                        taken[device.member].add((seen.sender, seen.id))
    deleted = {sent.target.id for sent in sent_by_id.values() if sent.target and sent.change == "deletes"}
    for device in story.devices:
        for ident in device.missing_files:
            removed = bool(deleted & {ident, *_origins(story, ident)}) or any(
                each.endswith(f" {ident}") for each in _refused(story, device.member)
            )
            if not (removed or story.clocks_jumped or story.disturbed or story.forgets):
                story.problems.append(f"{device.title} cannot download the file of {ident}")
        for (sender, ident), content in device.files.items():
            origin = sent_by_id[sender, ident].origin
            if content != content_of(origin.id):
                story.problems.append(f"the file of {ident} of {sender} has changed on its way to {device.title}")
    members = {device.member for device in story.devices}
    guests = {guest.name: guest.acknowledged for guest in story.guests}
    for key, sent in sent_by_id.items():
        if sent.recipient in guests:
            if sent.state in (State.DELIVERED, State.READ) and sent.text not in guests[sent.recipient]:
                story.problems.append(f"{sent.id} is said to be delivered, but {sent.recipient} does not have it")
        elif sent.recipient in members:
            if sent.state in (State.DELIVERED, State.READ) and key not in taken[sent.recipient]:
                story.problems.append(f"{sent.id} is said to be delivered, but {sent.recipient} does not have it")
            if sent.state is State.READ:
                seq = numbers.get((sent.recipient, *key), 1 << 60)
                if seq > read[sent.recipient].get(sent.sender, 0):
                    story.problems.append(f"{sent.id} is said to be read, but {sent.recipient} has not read it")
            if sent.state is State.FAILED and not _may_fail(story, sent) and not story.disturbed:
                story.problems.append(f"{sent.id} failed: {sent.reason}")


def _may_fail(story: "Story", sent: Sent) -> bool:
    if story.operator.leaving & {sent.sender, sent.recipient}:
        return True
    if sent.recipient.startswith("#"):  # the sender may not be in the room, or one of many may have refused
        return True
    if sent.expires is not None or f"{sent.sender} {sent.id}" in _refused(story, sent.recipient):
        return True
    if story.small_mailboxes and re.search("full|too much", sent.reason):
        return True
    if sent.file is not None and story.clocks_jumped:  # an upload that no message has named for a day is removed
        return True
    return sent.target is not None  # the target may have failed, or be deleted


def _every_send_is_answered(story: "Story", sent_by_id: dict[tuple[str, str], Sent]) -> None:
    """Check that every sender knows what became of each message."""
    shared = {device.title for device in story.devices if device.may_end == "replaced"}
    for sent in sent_by_id.values():
        waits = (sent.recipient, sent.sender) in story.blocks or sent.device in shared  # another machine was told
        waits = waits or story.log_lost
        waits = waits and sent.state is State.ACCEPTED
        if sent.state in (State.QUEUED, State.ACCEPTED) and not (waits or sent.abandoned):
            story.problems.append(f"{sent.id} to {sent.recipient} is still {sent.state.name}")


def _guests_are_told_the_truth(story: "Story") -> None:
    """Check that guests get each message once, in order, and that what their senders are told is true."""
    guests = {guest.name: guest for guest in story.guests}
    for guest in story.guests:
        texts = [text for seen in guest.seen for _, text in seen]
        if len(texts) != len(set(texts)) and not story.log_lost:
            story.problems.append(f"{guest.name} was given a message twice")
        for recipient, text, delivered in guest.sent:
            if delivered and recipient in guests and text not in guests[recipient].acknowledged:
                story.problems.append(f"{text[:30]!r} is said to be delivered, but {recipient} does not have it")
            if delivered and recipient not in guests and not story.log_lost:
                shown = any(
                    seen.text == text
                    for device in story.devices
                    if device.member == recipient
                    for life in device.lives
                    for seen in life.seen
                )
                if not shown:
                    story.problems.append(f"{text[:30]!r} is said to be delivered, but {recipient} does not have it")
