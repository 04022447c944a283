"""The reserve: room on the disk for what must still work when it is full (docs/operations.md, "A full disk")."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from tests.store.helpers import NOW, Asker
from twotick.store.port import DiskFull, Request, StoreLimits, Together
from twotick.store.requests.members import AddMember, FindMember, ListMembers, OpenDevice, OpenedDevice, RemoveMember
from twotick.store.requests.messages import Acknowledge, Appended, Expire, Fetch, Fetched
from twotick.store.sqlite import accounts, reserve
from twotick.store.sqlite.reserve import Reserve, adds, reads

SIZE = 1 << 20


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes that the disk has left, as the reserve sees it; there is plenty at first."""
    room = [1 << 40]

    def left(_folder: Path) -> int:
        return room[0]

    monkeypatch.setattr(reserve, "_left", left)
    return room


def nothing() -> int:
    return 0


def test_it_is_made_if_there_is_room_for_twice_its_size(tmp_path: Path, room: list[int]) -> None:
    kept = Reserve(tmp_path, SIZE)
    room[0] = 2 * SIZE - 1
    kept.look(nothing)
    assert list(tmp_path.iterdir()) == []
    room[0] = 2 * SIZE
    kept.look(nothing)
    assert (tmp_path / "reserve").stat().st_size == SIZE
    assert not kept.is_short


def test_there_is_little_room_from_its_size_down_to_nothing_and_enough_from_twice_its_size_on(
    tmp_path: Path, room: list[int]
) -> None:
    kept = Reserve(tmp_path, SIZE)
    seen: list[bool] = []
    for left in (SIZE, SIZE - 1, 2 * SIZE - 1):
        room[0] = left
        kept.look(nothing)
        seen.append(kept.is_short)
    kept.look(lambda: 1)  # a byte in the database can be used again
    assert [*seen, kept.is_short] == [False, True, True, False]
    assert list(tmp_path.iterdir()) == []


def test_it_is_made_anew_after_it_was_used(tmp_path: Path, room: list[int]) -> None:
    kept = Reserve(tmp_path, SIZE)
    kept.look(nothing)
    assert kept.free()
    assert kept.is_short
    assert not kept.free()
    kept.look(nothing)
    assert not kept.is_short
    assert (tmp_path / "reserve").exists()


def test_without_one_nothing_is_made(tmp_path: Path, room: list[int]) -> None:
    for kept in (Reserve(tmp_path, 0), Reserve(None, SIZE)):
        kept.look(nothing)
        assert not kept.free()
        assert not kept.is_short
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_answers_each_request_as_far_as_it_can(tmp_path: Path, room: list[int]) -> None:
    asker = Asker(tmp_path, StoreLimits(reserve_bytes=SIZE))
    asker.add("alice", "bob")
    asker.send("alice", "bob", id=b"m1")
    connection: sqlite3.Connection = vars(asker.store)["_database"].connection
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    room[0] = 0
    large = asker.append("alice", "bob", id=b"m2", body=bytes(100_000))
    reading = Fetch(asker.members["bob"], 0, 100, 1 << 20)
    acknowledging = Acknowledge(asker.members["bob"], b"main", 1, NOW)
    requests: list[Request[Any]] = [large, large, reading, reading, acknowledging, large]
    answers: list[Any] = []
    while len(answers) < len(requests):
        answers += asker.store.work_on(requests[len(answers) :]).answers
    assert not (tmp_path / "reserve").exists()
    assert asker.store.is_full
    assert [isinstance(answer, DiskFull) for answer in answers] == [True, True, False, False, False, True]
    assert [[entry.id for entry in answer.entries] for answer in answers if isinstance(answer, Fetched)] == [
        [b"m1"]
    ] * 2

    room[0] = 1 << 40
    connection.execute("PRAGMA max_page_count = 1000000")
    (answer,) = asker.store.work_on([large]).answers
    assert isinstance(answer, Appended)
    assert not asker.store.is_full
    assert (tmp_path / "reserve").stat().st_size == SIZE
    assert asker.store.check() == []
    asker.store.close()


def test_a_disk_that_takes_nothing_does_not_read_past_what_it_cannot_remove(
    tmp_path: Path, room: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 11.10: a device that was given what follows a message that is over would count as having it."""
    asker = Asker(tmp_path, StoreLimits())
    asker.add("alice", "bob", "carol")
    asker.ask(Expire(NOW - 1, 0.0))
    asker.send("alice", "bob", "carol", id=b"m1", expires=NOW)
    asker.send("alice", "bob", id=b"m2")
    before, after = (Fetch(asker.members["bob"], 0, 10, 1 << 20, time) for time in (NOW - 1, NOW))

    def full(work: object, *, erase_later: bool = False) -> None:
        raise DiskFull("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(vars(asker.store)["_database"], "within", full)
        (found,) = asker.store.work_on([before, after]).answers
        (failure,) = asker.store.work_on([after, before]).answers
    assert isinstance(found, Fetched)
    assert [entry.id for entry in found.entries] == [b"m1", b"m2"]
    assert isinstance(failure, DiskFull)
    (found,) = asker.store.work_on([after]).answers
    assert [entry.id for entry in found.entries] == [b"m2"]
    assert asker.store.check() == []
    asker.store.close()


def test_a_disk_that_takes_nothing_lets_in_devices_that_have_a_place_in_the_log(
    tmp_path: Path, room: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a new device has could not be noted later, and it would lose its place."""
    asker = Asker(tmp_path, StoreLimits())
    asker.add("alice", "bob")
    member = asker.members["bob"]
    asker.store.apply([OpenDevice(member, "laptop", 0, NOW)])
    asker.send("alice", "bob", id=b"m1")

    def full(work: object, *, erase_later: bool = False) -> None:
        raise DiskFull("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(vars(asker.store)["_database"], "within", full)
        (known,) = asker.store.work_on([OpenDevice(member, "laptop", 0, NOW)]).answers
        (resumed,) = asker.store.work_on([OpenDevice(member, "laptop", 7, NOW)]).answers
        (new,) = asker.store.work_on([OpenDevice(member, "phone", 0, NOW)]).answers
    assert isinstance(known, OpenedDevice)
    assert (known.cursor, known.last, known.unnoted) == (0, 1, 0)
    assert isinstance(resumed, OpenedDevice)
    assert (resumed.cursor, resumed.last, resumed.unnoted) == (1, 1, 1)
    assert isinstance(new, DiskFull)
    (new,) = asker.store.apply([OpenDevice(member, "phone", 0, NOW)])
    assert isinstance(new, OpenedDevice)
    assert asker.store.check() == []
    asker.store.close()


def test_a_device_that_says_how_much_it_has_is_let_in_to_read(
    tmp_path: Path, room: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one step, however much that is; and nobody is told of what could not be stored."""
    monkeypatch.setattr(accounts, "_RESUME_AT_ONCE", 2)
    asker = Asker(tmp_path, StoreLimits(reserve_bytes=SIZE))
    asker.add("alice", "bob")
    for number in range(5):
        asker.send("alice", "bob", id=b"m%d" % number)
    connection: sqlite3.Connection = vars(asker.store)["_database"].connection
    asker.store.apply([ListMembers()])
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    connection.execute(f"PRAGMA max_page_count = {pages}")
    room[0] = 0
    large = asker.append("alice", "bob", id=b"m9", body=bytes(100_000))
    assert isinstance(asker.store.work_on([large]).answers[0], DiskFull)

    def fail(*_arguments: object) -> object:
        raise DiskFull("the disk is full")

    monkeypatch.setattr(vars(asker.store)["_database"], "within", fail)
    (opened,) = asker.store.work_on([OpenDevice(asker.members["bob"], "main", 10**9, NOW)]).answers
    assert isinstance(opened, OpenedDevice)
    assert (opened.cursor, opened.last, opened.effects.entries) == (5, 5, [])
    monkeypatch.undo()
    asker.store.close()


def test_every_request_adds_much_or_reads_or_neither(tmp_path: Path) -> None:
    asker = Asker(tmp_path)
    asker.add("alice", "bob")
    sent = asker.append("alice", "bob")
    kinds: list[tuple[Request[Any], bool, bool]] = [
        (sent, True, False),
        (AddMember("carol", "", NOW), True, False),
        (FindMember("alice"), False, True),
        (RemoveMember("alice", NOW), False, False),
        (Together((FindMember("alice"), ListMembers())), False, True),
        (Together((FindMember("alice"), sent)), True, False),
    ]
    for request, adding, reading in kinds:
        assert (adds(request), reads(request)) == (adding, reading), request
    asker.store.close()
