"""What guests ask about rooms: ROOM and ROOMS (docs/protocol.md, rule 12.13).

Theory of operation. The store says which rooms let guests in, and `RoomGuests` knows which guests are in them. The
connection waits for the answer, as a member's does (rule 12.2).
"""

import json
from functools import partial
from typing import Final

from twotick.exchange.connection import Connection, Stage
from twotick.exchange.output import Output
from twotick.exchange.rates import SenderRates
from twotick.exchange.room_guests import RoomGuests, guest_objects
from twotick.exchange.stages import Stages
from twotick.exchange.tally import Tally
from twotick.store import (
    FindGuestRoom,
    GuestRoom,
    ListGuestRoomMembers,
    ListGuestRooms,
    Refusal,
    RoomDescription,
    RoomMemberInfo,
    StoreError,
)
from twotick.wire import Head, Verb, error, frame, time_text

_MOST: Final = 2000
"""The most objects in a list (rule 12.3)."""

_UNKNOWN_DO: Final = "a guest can join and leave rooms, and list their members"
_NOT_IN: Final = "you are not in "


class GuestQuestions:
    """Answers the questions of guests.

    Args:
        output: takes what is written and the requests.
        stages: lets connections wait.
        room_guests: the guests who are in rooms.
        asked: how often users have asked for what costs much (rule 8.8).
        tally: counts who met a limit.
        most_bytes: the longest body of an answer that is a list.
    """

    def __init__(
        self,
        output: Output,
        stages: Stages,
        room_guests: RoomGuests,
        *,
        asked: SenderRates,
        tally: Tally,
        most_bytes: int,
    ) -> None:
        self._output = output
        self._stages = stages
        self._room_guests = room_guests
        self._asked = asked
        self._tally = tally
        self._most_bytes = most_bytes

    def take_rooms(self, connection: Connection, head: Head, _body: bytes) -> None:
        """Take ROOMS: list the rooms that let guests in."""
        if self._may_ask(connection, head):
            self._stages.wait(connection)
            self._output.ask(ListGuestRooms(_MOST, connection.network), partial(self._listed, connection, head))

    def take_room(self, connection: Connection, head: Head, _body: bytes) -> None:
        """Take ROOM: join, leave, describe a room, or list who is in it."""
        do = head.headers.get(b"do")
        name = head.name.decode("ascii", "replace")
        if do not in (None, b"join", b"leave", b"members"):
            self._refuse(connection, head, _UNKNOWN_DO)
        elif do == b"leave" and not self._room_guests.place_in(connection, head.key):
            self._refuse(connection, head, _NOT_IN + name)
        elif self._may_ask(connection, head):
            self._stages.wait(connection)
            if do == b"members":
                members = ListGuestRoomMembers(name, connection.network)
                self._output.ask(members, partial(self._members_listed, connection, head))
            else:
                self._output.ask(FindGuestRoom(name, connection.network), partial(self._found, connection, head))

    def _may_ask(self, connection: Connection, head: Head) -> bool:
        """Count a question for the address of a guest; answer it with 105 if there were too many (rule 8.8)."""
        seconds = self._asked.wait(connection)
        if not seconds:
            self._asked.use(connection, 1)
            return True
        self._tally.note_met(connection.network.encode(), "requests")
        reason = b"this address has asked much: try again in %d s" % seconds
        self._output.write(connection, error(105, id=head.headers.get(b"id"), reason=reason, retry_after=seconds))
        return False

    def _refuse(self, connection: Connection, head: Head, reason: str) -> None:
        self._output.write(connection, error(102, id=head.headers.get(b"id"), reason=reason.encode()))

    def _answer(self, connection: Connection, answer: bytes) -> None:
        self._output.write(connection, answer)
        self._go_on(connection)

    def _go_on(self, connection: Connection) -> None:
        self._stages.go_on(connection, Stage.GUEST)

    def _found(self, connection: Connection, head: Head, found: GuestRoom | Refusal | StoreError) -> None:
        if connection.guest is None:
            self._go_on(connection)
            return
        do = head.headers.get(b"do")
        here = self._room_guests.place_in(connection, head.key)
        if do == b"leave" and here:
            self._room_guests.leave(connection, here)
        if isinstance(found, Refusal | StoreError):
            self._refuse(connection, head, found.reason if isinstance(found, Refusal) else str(found))
        elif do == b"join" and (refusal := self._room_guests.enter(connection, found)) is not None:
            self._refuse(connection, head, refusal)
        else:
            self._output.write(connection, self._shown(connection, head, found))
        self._go_on(connection)

    def _shown(self, connection: Connection, head: Head, found: GuestRoom) -> bytes:
        room = found.room
        return frame(
            Verb.ROOM,
            head.name,
            None,
            b"",
            id=head.headers.get(b"id"),
            access=b"public",
            role=b"guest" if self._room_guests.place_in(connection, head.key) == found.number else b"none",
            members=room.members,
            topic=room.topic.encode() or None,
            guests=b"yes",
        )

    def _listed(self, connection: Connection, head: Head, found: list[RoomDescription] | StoreError) -> None:
        if isinstance(found, StoreError):
            self._refuse(connection, head, str(found))
            self._go_on(connection)
            return
        objects: list[dict[str, object]] = [
            {
                "name": room.name,
                "access": "public",
                "role": "guest" if self._room_guests.place_in(connection, room.name.lower().encode()) else "none",
                "members": room.members,
                "topic": room.topic,
                "invited": False,
                "guests": True,
            }
            for room in found
        ]
        self._answer(connection, self._list_of(head, objects))

    def _members_listed(
        self, connection: Connection, head: Head, found: list[RoomMemberInfo] | Refusal | StoreError
    ) -> None:
        if isinstance(found, Refusal | StoreError):
            self._refuse(connection, head, found.reason if isinstance(found, Refusal) else str(found))
            self._go_on(connection)
            return
        objects: list[dict[str, object]] = [
            {"name": each.name, "role": each.role.name.lower(), "since": time_text(each.since).decode()}
            for each in found
        ]
        objects += guest_objects(self._room_guests, head.key)
        self._answer(connection, self._list_of(head, objects))

    def _list_of(self, head: Head, objects: list[dict[str, object]]) -> bytes:
        """Return the answer that is a list: as many of the first objects as it may have."""
        some = objects[:_MOST]
        body = _encoded(some)
        while len(body) > self._most_bytes and some:
            some = some[: len(some) // 2]
            body = _encoded(some)
        identifier = head.headers.get(b"id")
        return frame(head.verb, head.name, body, b"", id=identifier, content_type=b"application/json")


def _encoded(objects: list[dict[str, object]]) -> bytes:
    return json.dumps(objects, ensure_ascii=False).encode()
