"""Where each SEND goes (docs/protocol.md, rules 5.1, 5.9, 9.5, 11.12 and 12.5).

Theory of operation. A message between guests goes through the relay and never leaves the process. A message to or from
a member, or to a room, goes through the store. `SEND ALL` may do both.
"""

from collections.abc import Callable
from functools import partial
from typing import Final

from twotick.exchange.arrival import ArrivalClock
from twotick.exchange.changes import MEMBERS_ONLY, changes
from twotick.exchange.connection import SETTLED, Broadcast, Connection, NotUnderstood, Pending
from twotick.exchange.far_guests import FarGuests, is_gone, not_connected, subject_of
from twotick.exchange.guests import Guests
from twotick.exchange.members import ConnectedMembers
from twotick.exchange.neighbours import Neighbours
from twotick.exchange.numbers import malformed_number
from twotick.exchange.output import Output
from twotick.exchange.relay import BUSY, FULL, STOPPING, Relay
from twotick.exchange.room_guests import RoomGuests
from twotick.exchange.stored import StoredMessages
from twotick.store import FindConnected, StoreError
from twotick.wire import SHORT_DIGITS, Frame, Head, Verb, is_name, is_room, read_number

_SEND: Final = Verb.SEND

_MOST_HEADERS = 2048
"""The most bytes of headers that go along with a message (rule 9.7)."""


class Router:
    """Hands each SEND to the relay or to the store.

    Args:
        output: takes what is written.
        arrival: when messages arrive.
        guests: the guests who are registered.
        members: the members who are connected.
        relay: delivers to guests.
        stored: delivers through the store.
        far_guests: delivers to guests of other servers.
        neighbours: knows these servers.
        room_guests: the guests who are in rooms.
    """

    def __init__(
        self,
        output: Output,
        arrival: ArrivalClock,
        *,
        guests: Guests,
        members: ConnectedMembers,
        relay: Relay,
        stored: StoredMessages,
        far_guests: FarGuests,
        neighbours: Neighbours,
        room_guests: RoomGuests,
    ) -> None:
        self._written = output.written
        self._receivers = guests.receivers
        self._most_unanswered = relay.most_unanswered
        self._arrival = arrival
        self._guests = guests
        self._members = members
        self._relay = relay
        self._stored = stored
        self._output = output
        self._far_guests = far_guests
        self._neighbours = neighbours
        self._room_guests = room_guests

    # Classic connections

    def take_classic(self, sender: Connection, frames: list[Frame], start: int) -> int:
        """Take SENDs of a classic connection, until too many are unanswered (rule 5.8).

        This is one half of the fast path: a message to a classic receiver whose window has room is forwarded here.
        """
        relay = self._relay
        receivers = self._receivers
        deadline = relay.deadline
        first = sender.next_send
        limited = first - sender.next_answer + len(frames) >= self._most_unanswered
        if limited or start:
            room = self._most_unanswered - first + sender.next_answer
            frames = frames[start : start + max(room, 0)]
        for head, body in frames:
            if head.verb is not _SEND:
                break
            number = sender.next_send
            sender.next_send = number + 1
            receiver = receivers.get(head.key)
            if receiver is None:
                self._send_elsewhere(sender, number, head, body)
                continue
            if len(head.headers) > 1:
                head.forget()  # a classic receiver is told none of them (rule 5.2)
            pending = receiver.pending
            if not pending:
                pending = relay.wake(receiver)
            if len(pending) < receiver.window:
                message = (sender, head, number, deadline, None)
                pending.append(message)
                out = receiver.out
                if not out:
                    self._written.append(receiver)
                length_end = head.length_end if body.isascii() else relay.length_end(receiver, message, body)
                out += (sender.start, length_end, body)
            else:
                relay.queue(receiver, (sender, head, number, deadline, None), body)
        if (limited or sender.unsent_bytes) and relay.is_full(sender):
            relay.pause(sender)
        return start + sender.next_send - first

    # Extended connections

    def take_identified(self, sender: Connection, frames: list[Frame], start: int) -> int:
        """Take SENDs of an extended connection, each of which has an Id (rule 9.5)."""
        self._arrival.read()
        relay = self._relay
        for taken, (head, body) in enumerate(frames[start:] if start else frames, start):
            if head.verb is not _SEND:
                return taken
            if not head.id:
                raise NotUnderstood
            refusal = self._refusal(sender, head)
            number = sender.next_send
            sender.next_send = number + 1
            if refusal is None:
                self._send_identified(sender, number, head, body)
                if not head.is_plain:
                    head.trim()
            else:
                relay.reply(sender, number, head, refusal)
            if sender.device is not None and relay.is_full(sender):
                relay.pause(sender)
            if sender.paused:
                return taken + 1
        return len(frames)

    def _refusal(self, sender: Connection, head: Head) -> str | None:
        """Return why a SEND of an extended connection is refused; None if it is not."""
        is_guest = sender.device is None
        if is_guest and self._relay.draining:
            return STOPPING
        if is_guest and self._relay.is_full(sender):
            return FULL
        if len(head.travels) > _MOST_HEADERS:
            return "the headers are too long"
        if is_guest and not head.is_plain and changes(head):
            return MEMBERS_ONLY
        if not head.is_plain and read_number(head.headers.get(b"expires", b"0"), SHORT_DIGITS) is None:
            return malformed_number(b"expires", SHORT_DIGITS)
        return None

    def _send_identified(self, sender: Connection, number: int, head: Head, body: bytes) -> None:
        if head.is_plain:
            head.travels = self._arrival.line()
        elif b"time" not in head.headers:
            head.travels += self._arrival.line()
        else:
            head.travels += self._arrival.accepted_line()
        receiver = self._receivers.get(head.key)
        if receiver is None:
            self._send_elsewhere(sender, number, head, body)
        elif sender.device is not None:
            self._stored.store(sender, number, head, body, guests=[receiver])
        else:
            deadline = self._relay.deadline_of(sender, head)
            self._relay.deliver(receiver, (sender, head, number, deadline, None), body)

    # To anyone but a classic receiver

    def _send_elsewhere(self, sender: Connection, number: int, head: Head, body: bytes) -> None:
        member = self._members.by_name.get(head.key)
        guest = self._guests.duplex.get(head.key)
        if head.key == b"all":
            self._send_to_all(sender, number, head, body)
        elif member is not None and (sender.extended or member.feeds):
            self._stored.store(sender, number, head, body, members=(member.number,))
        elif guest is not None and sender.device is not None:
            self._stored.store(sender, number, head, body, guests=[guest])
        elif guest is not None:
            deadline = self._relay.deadline_of(sender, head)
            self._relay.deliver(guest, (sender, head, number, deadline, None), body)
        elif head.name.startswith(b"#"):
            self._send_to_room(sender, number, head, body)
        elif self._far_guests.is_shared and is_name(head.name):
            self._send_far(sender, number, head, body)
        elif sender.extended and self._members.exist and is_name(head.name):
            self._stored.store(sender, number, head, body)  # the store knows whether a member has that name
        else:
            self._relay.reply(sender, number, head, not_connected(head.name))

    # Across servers

    def _send_far(self, sender: Connection, number: int, head: Head, body: bytes) -> None:
        """Send to a member, or to a guest of another server, of whom nothing is known here."""
        if sender.extended:
            unknown = partial(self._send_to_far_guest, sender, number, head, body)
            self._stored.store(sender, number, head, body, unknown=unknown)
            return
        # A classic guest's message goes to members who are connected (rule 11.11).
        request = FindConnected(head.name.decode("ascii"), sender.network)
        self._ask_first(sender, request, body, partial(self._connected_found, sender, number, head, body))

    def _connected_found(
        self, sender: Connection, number: int, head: Head, body: bytes, members: list[int] | StoreError | None
    ) -> None:
        if members is None or isinstance(members, StoreError):
            self._relay.reply(sender, number, head, BUSY if members is None else str(members))
        elif members:
            self._stored.store(sender, number, head, body, members=tuple(members))
        else:
            self._send_to_far_guest(sender, number, head, body)

    def _send_to_far_guest(self, sender: Connection, number: int, head: Head, body: bytes) -> None:
        if sender.device is None:
            deadline = self._relay.deadline_of(sender, head)
            self._far_guests.deliver(subject_of(head.key), (sender, head, number, deadline, None), body)
        elif self._far_guests.has_room(sender, body):
            self._far_guests.find(head.key, partial(self._far_guest_found, sender, number, head, body))
        else:
            self._relay.reply(sender, number, head, BUSY)

    def _far_guest_found(self, sender: Connection, number: int, head: Head, body: bytes, found: bool | None) -> None:
        """Store a member's message to a guest of another server, and deliver it."""
        self._far_guests.give_back(sender, len(body))
        if found and sender.device is not None:
            self._stored.store(sender, number, head, body, far=(subject_of(head.key),))
        else:
            self._relay.reply(sender, number, head, not_connected(head.name))

    def _ask_first(
        self,
        sender: Connection,
        request: FindConnected,
        body: bytes,
        go_on: Callable[[list[int] | StoreError | None], None],
    ) -> None:
        """Ask the store who is connected, and go on with a message; with None if too much waits already."""

        def found(members: list[int] | StoreError) -> None:
            self._far_guests.give_back(sender, len(body))
            if not is_gone(sender):
                go_on(members)

        if self._far_guests.has_room(sender, body):
            self._output.ask(request, found)
        else:
            go_on(None)

    def _send_to_room(self, sender: Connection, number: int, head: Head, body: bytes) -> None:
        """Send to the other members of a room; the store knows them (rule 12.5)."""
        if sender.device is None:
            into = self._room_guests.place_in(sender, head.key)
            if into:
                self._stored.store(sender, number, head, body, into=into)
            else:
                reason = f"you are not in {head.name.decode('ascii', 'replace')}"
                self._relay.reply(sender, number, head, reason if sender.extended else "rooms are for members")
        elif not is_room(head.name):
            self._relay.reply(sender, number, head, "there is no such room")
        else:
            self._stored.store(sender, number, head, body)

    def _send_to_all(self, sender: Connection, number: int, head: Head, body: bytes) -> None:
        """Send to every registered user but the sender (rules 5.9 and 11.12)."""
        go_on = partial(self._send_to_everyone, sender, number, head, body)
        if self._far_guests.is_shared:
            self._ask_first(sender, FindConnected("", sender.network), body, go_on)
        else:
            go_on(self._members.listening())

    def _send_to_everyone(
        self, sender: Connection, number: int, head: Head, body: bytes, connected: list[int] | StoreError | None
    ) -> None:
        if connected is None or isinstance(connected, StoreError):
            self._relay.reply(sender, number, head, BUSY if connected is None else str(connected))
            return
        guests = self._guests.others(sender.guest)
        far = self._far_guests.all_others(self._neighbours.servers)
        own = sender.device.member if sender.device else None
        members = tuple(member for member in connected if member != own)
        if members or sender.device is not None:
            self._stored.store(sender, number, head, body, members=members, guests=guests, far=far)
        elif not guests and not far:
            self._relay.reply(sender, number, head, None)
        else:
            broadcast = Broadcast(len(guests) + len(far), partial(self._relay.reply, sender, number, head))
            message: Pending = (sender, head, SETTLED, self._relay.deadline_of(sender, head), broadcast)
            for guest in guests:
                self._relay.deliver(guest, message, body)
            for subject in far:
                self._far_guests.deliver(subject, message, body)
