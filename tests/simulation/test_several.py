"""Schedules of several servers on one simulated database: new ones, and those that must fail."""

import random
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.simulation import shared_database
from tests.simulation.several import first_problem
from twotick.exchange.room_guests import RoomGuests
from twotick.store import EntryKind, GetRoom
from twotick.store.postgres.servers import ServerRepository
from twotick.store.sqlite.editing import EditRepository
from twotick.store.sqlite.ledger import Ledger
from twotick.store.sqlite.messages import MessageRepository
from twotick.store.sqlite.rooms import RoomRepository

pytestmark = pytest.mark.timeout(300)


def _reads_too_early(told: Any) -> Any:
    def tell(ledger: Ledger, message: Any, kind: EntryKind, effects: Any) -> None:
        told(ledger, message, kind, effects)
        if kind is EntryKind.DELIVERED:
            told(ledger, message, EntryKind.READ, effects)

    return tell


def _forgets_one_in_the_room(found: Any) -> Any:
    def boxes(repository: MessageRepository, request: Any, room: Any) -> list[Any]:
        boxes: list[Any] = found(repository, request, room)
        return boxes[1:] if room is not None and len(request.body) % 3 == 0 else boxes

    return boxes


def _stays_in_the_room(_: Any) -> Any:
    def leave(rooms: RoomRepository, request: Any) -> Any:
        return rooms.handlers()[GetRoom](GetRoom(request.member, request.room))

    return leave


def _forgets_edits(_: Any) -> Any:
    def replace(*arguments: Any) -> None:
        pass

    return replace


def _repeats_everything(_: Any) -> Any:
    def is_repeatable(*arguments: Any) -> bool:
        return True

    return is_repeatable


def _lets_any_guest_in(_: Any) -> Any:
    def claim(*arguments: Any) -> bool:
        return True

    return claim


def _gives_guests_what_came_before(enter: Any) -> Any:
    def let_in(room_guests: RoomGuests, connection: Any, found: Any) -> Any:
        return enter(room_guests, connection, replace(found, last=0))

    return let_in


PLANTED: dict[str, tuple[Any, str, Callable[[Any], Any], str]] = {
    "reads-too-early": (Ledger, "tell_sender", _reads_too_early, "was read, which|has read"),
    "forgets-one-in-the-room": (
        MessageRepository,
        "_boxes",
        _forgets_one_in_the_room,
        "0 times in the log|does not have",
    ),
    "stays-in-the-room": (RoomRepository, "_leave", _stays_in_the_room, "are in the room, not"),
    "forgets-edits": (EditRepository, "_replace", _forgets_edits, "has the body"),
    "repeats-everything": (shared_database, "is_repeatable", _repeats_everything, "2 times in the log|is not in it"),
    "lets-any-guest-in": (ServerRepository, "_claim_guest", _lets_any_guest_in, "two guests are"),
    "gives-guests-what-came-before": (RoomGuests, "enter", _gives_guests_what_came_before, "was given place"),
}
"""Faults: what of the program is replaced by what, and how that shows."""


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_faults_are_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few schedules show each of them."""
    owner, name, make, symptom = PLANTED[fault]
    monkeypatch.setattr(owner, name, make(getattr(owner, name)))
    first = random.SystemRandom().randrange(1 << 32)
    found = first_problem(range(first, first + 60))
    assert found is not None, f"none of the schedules from {first} on shows it"
    assert re.search(symptom, "".join(found[1])), found


def test_new_schedules() -> None:
    """All that was accepted arrives once and in order; a failure names the seed."""
    first = random.SystemRandom().randrange(1 << 32)
    assert first_problem(range(first, first + 4)) is None


def test_what_is_read_before_the_standby_has_it_is_found() -> None:
    """Without the barrier, a device is given what a failover takes back. One schedule in six or so shows it."""
    first = random.SystemRandom().randrange(1 << 32)
    found = first_problem(range(first, first + 120), barrier=False)
    assert found is not None, f"none of the schedules from {first} on shows it"
    assert re.search("entry|0 times|not have|has not|not in it|in the room|has read", "".join(found[1])), found
