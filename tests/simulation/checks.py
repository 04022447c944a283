"""What must be true after a schedule: the promises of docs/guarantees.md, one function for each."""

from collections import defaultdict
from typing import TYPE_CHECKING

from tests.simulation.programs import Device, Sent
from twotick.client import State
from twotick.store import EntryKind, Fetch, FindMember, LogEntry, Member, SqliteStore

if TYPE_CHECKING:
    from tests.simulation.story import Story


def find(name: str) -> FindMember:
    """Return the request for a member."""
    return FindMember(name)


def check_store(story: "Story", store: SqliteStore) -> None:
    """Check what the database says, and compare it with what the devices have seen."""
    story.problems += [f"check: {problem}" for problem in store.check()]
    logs: dict[str, dict[int, LogEntry]] = {}
    for device in story.devices:
        if device.member in logs:
            continue
        member = store.ask(FindMember(device.member))
        if not isinstance(member, Member):
            story.problems.append(f"{device.member} is not a member any more")
            continue
        fetched = store.ask(Fetch(member.number, 0, 1 << 30, 1 << 30))
        logs[device.member] = {entry.seq: entry for entry in fetched.entries}
    store.close()
    for device in story.devices:
        if device.member in logs:
            _nothing_is_missing(story, device, logs[device.member])
    _accepted_is_kept(story, logs)
    _outcomes_are_told_once(story, logs)
    _order_is_kept(story, logs)


def _all_sent(story: "Story") -> dict[tuple[str, str], Sent]:
    return {(sent.sender, sent.id): sent for device in story.devices for sent in device.sent}


def _nothing_is_missing(story: "Story", device: Device, log: dict[int, LogEntry]) -> None:
    """Check that a device has every entry of its member's log, except what it has caused itself."""
    seen = {each.seq for life in device.lives for each in life.seen}
    cursors = [life.cursor for life in device.lives if life.cursor >= 0]
    own = {sent.id for sent in device.sent}
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
            if (sender, EntryKind.SENT, recipient, ident) not in kept:
                story.problems.append(f"{ident} was accepted, but is not in the log of {sender}")
            removed = sent.expires is not None or f"{sender} {ident}" in _refused(story, recipient)
            if (recipient, EntryKind.RECEIVED, sender, ident) not in kept and not removed:
                story.problems.append(f"{ident} was accepted, but is not in the log of {recipient}")


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
        if found.count("SENT") != 1 or len(found) != 2:
            story.problems.append(f"{ident} of {name} has the entries {found}")


def _order_is_kept(story: "Story", logs: dict[str, dict[int, LogEntry]]) -> None:
    """Check that messages from one device to one recipient are in the order in which they were sent."""
    if story.disturbed:  # the refusal of one of several messages may have been lost with the connection
        return
    orders = {(sent.sender, sent.id): sent for sent in _all_sent(story).values()}
    for name, log in logs.items():
        last: dict[tuple[str, str], int] = {}
        for seq in sorted(log):
            entry = log[seq]
            if entry.kind is not EntryKind.RECEIVED:
                continue
            sent = orders.get((entry.peer.decode().lower(), entry.id.decode()))
            if sent is None:
                continue
            key = sent.sender, sent.device
            if sent.order < last.get(key, 0):
                story.problems.append(f"{sent.id} is in the log of {name} after a later message")
            last[key] = sent.order


def check_notes(story: "Story") -> None:
    """Compare what the programs have written down."""
    for program in (*story.devices, *story.guests):
        story.problems += program.problems
    sent_by_id = _all_sent(story)
    _entries_agree(story)
    _bodies_are_those_that_were_sent(story, sent_by_id)
    _receipts_are_true(story, sent_by_id)
    _every_send_is_answered(story, sent_by_id)
    _guests_are_told_the_truth(story)


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
        versions[key].add(sent.text)
        if sent.target is not None and sent.change == "edits":
            versions[sent.target.sender, sent.target.id].add(sent.text)
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
            if device.member not in (sent.sender, sent.recipient):
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
    if sent.expires is not None or f"{sent.sender} {sent.id}" in _refused(story, sent.recipient):
        return True
    return sent.target is not None  # the target may have failed, or be deleted


def _every_send_is_answered(story: "Story", sent_by_id: dict[tuple[str, str], Sent]) -> None:
    """Check that every sender knows what became of each message."""
    for sent in sent_by_id.values():
        if sent.state in (State.QUEUED, State.ACCEPTED):
            story.problems.append(f"{sent.id} to {sent.recipient} is still {sent.state.name}")


def _guests_are_told_the_truth(story: "Story") -> None:
    """Check that guests get each message once, in order, and that what their senders are told is true."""
    guests = {guest.name: guest for guest in story.guests}
    for guest in story.guests:
        texts = [text for seen in guest.seen for _, text in seen]
        if len(texts) != len(set(texts)):
            story.problems.append(f"{guest.name} was given a message twice")
        for recipient, text, delivered in guest.sent:
            if delivered and recipient in guests and text not in guests[recipient].acknowledged:
                story.problems.append(f"{text[:30]!r} is said to be delivered, but {recipient} does not have it")
            if delivered and recipient not in guests:
                shown = any(
                    seen.text == text
                    for device in story.devices
                    if device.member == recipient
                    for life in device.lives
                    for seen in life.seen
                )
                if not shown:
                    story.problems.append(f"{text[:30]!r} is said to be delivered, but {recipient} does not have it")
