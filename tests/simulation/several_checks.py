"""The promises that are checked at the end of a schedule of several servers (see several.py)."""

import re
from typing import Any, Final

from tests.simulation.several_guests import Guest, Stay
from tests.simulation.several_people import GUESTS, NAMES, ROOM, Device, People, Sent, bodies_of
from tests.simulation.shared_database import SharedDatabase
from twotick.store import EntryKind, Fetch, FetchRoom, FindGuestRoom, ListRoomMembers, LogEntry, Member
from twotick.store.requests.guest_rooms import GuestRoom

_VERBS: Final = {EntryKind.DELIVERED: b"SEND", EntryKind.READ: b"READ", EntryKind.FAILED: b"ERROR"}


class Checks:
    """What must be true when everything has arrived.

    Args:
        people: those who have sent and received.
        database: what is kept.
        members: the members, by name.
    """

    def __init__(self, people: People, database: SharedDatabase, members: dict[bytes, Member]) -> None:
        self._people = people
        self._store = database.primary
        self._members = members
        self._problems = people.problems
        self._logs = {name: self._log_of(name) for name in NAMES}

    def check(self) -> None:
        """Note what is not true."""
        for device in self._people.devices:
            self._check_log(device)
            for ident, sent in device.sent.items():
                self._check_sent(device.title, device.member, ident, sent)
            self._check_outcomes(device)
        for guest in self._people.guests:
            for ident, sent in guest.sent.items():
                self._check_sent(guest.title, guest.name, ident, sent)
        for sender in (*self._people.devices, *self._people.guests):
            self._check_order(sender)
        self._check_reads()
        self._check_room()
        self._check_stays()
        if not any(guest.registered for guest in self._people.guests):
            self._problems.append("no guest can come")

    def _log_of(self, name: bytes) -> list[LogEntry]:
        fetched = self._store.ask(Fetch(self._members[name].number, 0, 1 << 30, 1 << 30))
        if [entry.seq for entry in fetched.entries] != [*range(1, len(fetched.entries) + 1)]:
            self._problems.append(f"the log of {name.decode()} has gaps")
        return fetched.entries

    def _check_log(self, device: Device) -> None:
        if not device.registered or device.outbox or device.wish:
            self._problems.append(f"{device.title} has had no answer: {[*device.outbox]} {device.wish}")
        log = self._logs[device.member]
        expected = {entry.seq: _kept(entry) for entry in log}
        for seq, said in device.log.items():
            if expected.get(seq) != said:
                self._problems.append(f"{device.title} was given {said} as entry {seq}: it is {expected.get(seq)}")
        for entry in log:
            if entry.kind is EntryKind.RECEIVED and entry.seq > (device.first or 0) and entry.seq not in device.log:
                self._problems.append(f"{device.title} does not have entry {entry.seq}")

    def _check_sent(self, title: str, sender: bytes, ident: bytes, sent: Sent) -> None:
        for name in NAMES:
            got = [
                each
                for each in self._logs[name]
                if each.kind is EntryKind.RECEIVED and each.id == ident and each.peer == sender
            ]
            if len(got) > 1 or (not got and sent.accepted and name in sent.owed):
                self._problems.append(
                    f"{ident!r} of {title} was {'' if sent.accepted else 'not '}accepted, and is {len(got)} times in"
                    f" the log of {name.decode()}"
                )
            if got and name != sent.recipient and sent.recipient != ROOM:
                self._problems.append(f"{ident!r} of {title} is in the log of {name.decode()}")
            for each in got:
                if each.body != bodies_of(sent)[-1]:
                    self._problems.append(
                        f"{ident!r} of {title} has the body {each.body!r} in the log of {name.decode()}"
                    )

    def _check_outcomes(self, device: Device) -> None:
        log = self._logs[device.member]
        for ident, sent in device.sent.items():
            kinds = [each.kind for each in log if each.id == ident and each.kind is not EntryKind.RECEIVED]
            if sent.recipient in GUESTS and len(kinds) != 2 * (EntryKind.SENT in kinds):
                self._problems.append(f"{ident!r} of {device.title} to a guest has the entries {kinds}")
            count = kinds.count(EntryKind.DELIVERED)
            if count != 1 and sent.accepted:
                self._problems.append(f"{ident!r} of {device.title} is {count} times said to be delivered")

    def _check_order(self, sender: Device | Guest) -> None:
        member = sender.member if isinstance(sender, Device) else sender.name
        for recipient in NAMES:
            for room in (b"", ROOM):
                numbers = [
                    sender.sent[entry.id].number
                    for entry in self._logs[recipient]
                    if (entry.kind, entry.peer, entry.room) == (EntryKind.RECEIVED, member, room)
                    and entry.id in sender.sent
                ]
                if numbers != sorted(numbers):
                    self._problems.append(
                        f"messages of {member.decode()} to {recipient.decode()} are out of order: {numbers}"
                    )

    def _check_reads(self) -> None:
        """Check that senders were told of what was read, in order and once, up to the newest message."""
        for reader in NAMES:
            for sender in NAMES:
                got = [
                    each.id
                    for each in self._logs[reader]
                    if (each.kind, each.peer, each.room) == (EntryKind.RECEIVED, sender, b"")
                ]
                told = [
                    got.index(each.id)
                    for each in self._logs[sender]
                    if each.kind is EntryKind.READ and each.peer == reader and each.id in got
                ]
                if told != sorted(set(told)) or (got and told[-1:] != [len(got) - 1]):
                    self._problems.append(
                        f"{sender.decode()} was told that {reader.decode()} has read {told} of {len(got)} messages"
                    )

    def _check_stays(self) -> None:
        """Check that guests were given what got a place in the room while they were there."""
        room = self._store.ask(FindGuestRoom(ROOM.decode(), ""))
        assert isinstance(room, GuestRoom)
        part = self._store.ask(FetchRoom(room.number, 0, 1 << 30, 1 << 30, 0.0))
        entries = {entry.place: entry for entry in part.entries}
        for guest in self._people.guests:
            own = {
                place for place, entry in entries.items() if entry.peer == guest.name and b"Guest: yes" in entry.headers
            }
            for stay in guest.stays:
                for place, given in stay.given.items():
                    entry = entries.get(place)
                    if entry is None or (entry.peer, entry.id) != given or place in own:
                        self._problems.append(f"{guest.title} was given {given} as place {place}: it is {entry}")
                is_there = guest.inside and guest.registered and stay is guest.stays[-1]
                if missing := _missing(stay, part.last if is_there else 0) - own:
                    self._problems.append(f"{guest.title} was not given the places {sorted(missing)}")

    def _check_room(self) -> None:
        """Check that the places of the room have no gaps, and that those who are in it are."""
        places = [entry.place for entry in self._logs[b"alice"] if entry.place]
        if sorted(places) != [*range(1, len(places) + 1)]:
            self._problems.append(f"the room has the places {places}")
        listed: Any = self._store.ask(ListRoomMembers(self._members[b"alice"].number, ROOM.decode()))
        inside = {each.name.encode() for each in listed}
        expected = {each.member for each in self._people.devices if each.is_inside} | {b"alice", b"bob"}
        if inside != expected:
            self._problems.append(f"{inside} are in the room, not {expected}")


def _missing(stay: Stay, last: int) -> set[int]:
    """Return the places within those that a guest was given, and up to the last one, that it was not given."""
    return {*range(min(stay.given, default=last + 1), max(last, *stay.given, 0) + 1)} - {*stay.given}


def _kept(entry: LogEntry) -> tuple[Any, ...]:
    """Return what an entry says, as it is stored."""
    if entry.kind is EntryKind.RECEIVED:
        event = re.search(rb"^event: (.*)$", entry.headers, re.IGNORECASE | re.MULTILINE)
        return ("message", entry.peer, entry.room, entry.id, event[1] if event else b"")
    if entry.kind is EntryKind.SENT:
        return ("sent", entry.peer, entry.id)
    if entry.kind is EntryKind.READ_HERE:
        return ("read here", entry.peer, entry.up_to)
    return (_VERBS[entry.kind], b"" if entry.kind is EntryKind.FAILED else entry.peer, entry.id)
