"""Whatever one user asks, others are answered after a few turns. Turns and bytes are counted, never time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from twotick.server.storage import Storage
from twotick.store import (
    AddMember,
    Append,
    Appended,
    CreateRoom,
    Effects,
    EntryKind,
    Expire,
    FindMember,
    JoinRoom,
    MarkRead,
    Member,
    MessageAction,
    OpenDevice,
    OpenedDevice,
    Refusal,
    RemoveMember,
    Request,
    SearchMessages,
    SearchPage,
    SqliteStore,
    Store,
    StoreLimits,
    Work,
)

NOW = 1_800_000_000.0
CROWD = 300
MINE = 5
"""The numbers of members: of a room, and of two who talk."""
ALICE, BOB, MALLORY = 1, 2, 3


class Counting:
    """A store that counts transactions: how much is done in each, and how many rows each has written."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.transactions: list[Work] = []
        self.written: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def work_on(self, requests: list[Request[Any]]) -> Work:
        before = self._changes
        self.transactions.append(self._store.work_on(requests))
        self.written.append(self._changes - before)
        return self.transactions[-1]

    def tidy(self) -> bool:
        before = self._changes
        more = self._store.tidy()
        self.written.append(self._changes - before)
        return more

    @property
    def _changes(self) -> int:
        return self._store._database.connection.total_changes  # type: ignore[attr-defined]


class Place:
    """The thread of a store with the members alice, bob and mallory, and mallory's room #crowd with many others."""

    def __init__(self, folder: Path | None, limits: StoreLimits, crowd: int = 0) -> None:
        store = SqliteStore(folder, limits)
        names = ["alice", "bob", "mallory", *(f"m{number}" for number in range(crowd))]
        added = store.apply([AddMember(name, "", NOW) for name in names])
        self.members = [member.number for member in added if isinstance(member, Member)]
        assert self.members[:3] == [ALICE, BOB, MALLORY]
        store.apply([OpenDevice(member, "main", 0, NOW) for member in self.members])
        store.apply([CreateRoom(MALLORY, "#crowd", True, "", NOW)])
        store.apply([JoinRoom(member, "#crowd", NOW) for member in self.members[3:]])
        self.store = Counting(store)
        self.effects: list[Effects] = []
        self.storage = Storage(self.store, lambda: None, lambda: None, self.effects.append)  # type: ignore[arg-type]
        self.answers: list[tuple[str, Any]] = []
        self._left = 0
        self._all = asyncio.Event()

    def ask(self, *asked: tuple[str, Request[Any]]) -> None:
        """Ask the store, all at once; answers are noted under their names."""

        def submit(name: str, request: Request[Any]) -> tuple[Request[Any], Any]:
            def take(answer: object) -> None:
                self.answers.append((name, answer))
                self._left -= 1
                if not self._left:
                    self._all.set()

            return request, take

        self._left += len(asked)
        self._all.clear()
        self.storage.submit([submit(name, request) for name, request in asked])

    async def answered(self) -> list[str]:
        """Wait for all answers; returns the names in the order of the answers."""
        await self._all.wait()
        return [name for name, _ in self.answers]


@asynccontextmanager
async def placed(folder: Path | None, limits: StoreLimits | None = None, crowd: int = 0) -> AsyncGenerator[Place]:
    place = Place(folder, limits or StoreLimits(), crowd)
    yield place
    await place.storage.close()


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Where the store is; None for one in memory."""
    return tmp_path if request.param == "disk" else None


@pytest.fixture
async def place(folder: Path | None) -> AsyncGenerator[Place]:
    """A place where only mallory is in #crowd."""
    async with placed(folder) as place:
        yield place


@pytest.fixture
async def crowded(folder: Path | None) -> AsyncGenerator[Place]:
    """A place where many are in #crowd."""
    async with placed(folder, crowd=CROWD) as place:
        yield place


def message(sender: int, to: str, number: int, body: bytes = b"hello", **more: Any) -> Append:
    ident = b"%d" % number
    name = {ALICE: b"alice", BOB: b"bob", MALLORY: b"mallory"}[sender]
    return Append(
        sender=sender, sender_name=name, recipient=to.encode(), headers=b"", body=body, time=NOW, id=ident, **more
    )


async def test_a_flood_in_a_room_costs_others_a_few_turns(crowded: Place) -> None:
    flood = [("mallory", message(MALLORY, "#crowd", number)) for number in range(100)]
    crowded.ask(*flood, ("alice", message(ALICE, "bob", 1)))
    names = await crowded.answered()
    assert names.count("mallory") == 100
    assert names.index("alice") < 20
    most = max(sum(transaction.costs) for transaction in crowded.store.transactions)
    assert most < 2048 + 2 * CROWD  # units of work


async def test_a_flood_of_short_messages_has_only_a_share_of_each_transaction(place: Place) -> None:
    """Also while no other user waits, since one that comes meanwhile waits for the end of the transaction."""
    place.ask(*[("mallory", message(MALLORY, "bob", number)) for number in range(600)])
    await place.answered()
    crowds = [len(transaction.answers) for transaction in place.store.transactions]
    assert sum(crowds) == 600
    assert max(crowds) <= 64
    assert max(sum(transaction.costs) for transaction in place.store.transactions) < 512


async def test_who_asks_for_little_beside_a_flood_is_answered_at_once(place: Place) -> None:
    flood = [("mallory", message(MALLORY, "bob", number)) for number in range(600)]
    place.ask(*flood, ("alice", message(ALICE, "bob", 1)))
    names = await place.answered()
    assert names.index("alice") < 60
    assert len(names) == 601


async def test_users_share_a_transaction(place: Place) -> None:
    """So many users who ask for much at once have no more transactions than one of them."""
    several = [place.members[number] for number in (0, 1, 2)]
    asked = [(str(member), message(member, "bob", number)) for number in range(300) for member in several]
    place.ask(*asked)
    await place.answered()
    crowds = [len(transaction.answers) for transaction in place.store.transactions]
    assert sum(crowds) == 900
    assert max(crowds) > 100
    assert len(crowds) < 12


async def test_the_rows_of_a_flood_move_to_their_tables_in_small_transactions(crowded: Place) -> None:
    """Between which others have their turn."""
    flood = [("mallory", message(MALLORY, "#crowd", number)) for number in range(60)]
    crowded.ask(*flood[:1])
    await crowded.answered()
    crowded.store.written.clear()
    crowded.ask(*flood[1:], ("alice", message(ALICE, "bob", 1)))
    names = await crowded.answered()
    assert names.index("alice") < 20
    assert sum(crowded.store.written) > 8000
    assert max(crowded.store.written) < 600


async def test_many_names_of_one_address_have_the_turns_of_one_user(place: Place) -> None:
    """A guest's name costs nothing: a first turn for each would be one for every message."""

    def from_guest(number: int, network: str) -> Append:
        return Append(
            sender=None,
            sender_name=b"g%d" % number,
            recipient=b"mallory",
            headers=b"",
            body=bytes(64 << 10),
            time=NOW,
            id=b"%d" % number,
            network=network,
        )

    guests = [("guest", from_guest(number, "192.0.2.1")) for number in range(300)]
    names = [("name", FindMember(f"h{number}", "192.0.2.1")) for number in range(300)]
    elsewhere = [("other", from_guest(1000, "192.0.2.2")), ("other name", FindMember("other", "192.0.2.3"))]
    place.ask(*guests, *names, *elsewhere, ("alice", message(ALICE, "bob", 1)))
    answered = await place.answered()
    assert max(answered.index(name) for name in ("alice", "other", "other name")) < 60
    assert [name for name in answered if name in ("guest", "name")] == ["guest"] * 300 + ["name"] * 300


async def test_what_one_user_asks_stays_in_order(crowded: Place) -> None:
    mine = [("alice", message(ALICE, "bob", number)) for number in range(600)]
    crowded.ask(*[("mallory", message(MALLORY, "#crowd", number)) for number in range(30)], *mine)
    await crowded.answered()
    sent = [answer for name, answer in crowded.answers if name == "alice"]
    assert all(isinstance(answer, Appended) for answer in sent)
    seqs = [entry.seq for answer in sent for entry in answer.effects.entries if entry.member == BOB]
    assert seqs == sorted(seqs)
    assert len(seqs) == 600


async def test_edits_in_a_loop_cost_others_a_few_turns(place: Place) -> None:
    place.ask(("mallory", message(MALLORY, "bob", 0)))
    await place.answered()
    edits = [
        message(MALLORY, "bob", number, about=b"0", action=MessageAction.EDIT, body=b"again %d" % number)
        for number in range(1, 200)
    ]
    place.ask(*[("mallory", edit) for edit in edits], ("alice", message(ALICE, "bob", 1)))
    names = await place.answered()
    assert names.index("alice") < 20


async def test_large_bodies_cost_others_a_few_turns(place: Place) -> None:
    flood = [("mallory", message(MALLORY, "bob", number, body=bytes(1 << 20))) for number in range(60)]
    place.ask(*flood, ("alice", message(ALICE, "bob", 1)))
    names = await place.answered()
    assert names.index("alice") < 20


async def test_a_look_at_the_tables_first_moves_what_was_stored_in_small_transactions(place: Place) -> None:
    """A member comes back, and looks, while thousands of rows are in the journal."""
    place.ask(*[("mallory", message(MALLORY, "bob", number)) for number in range(1300)])
    await place.answered()
    place.answers.clear()
    place.store.transactions.clear()
    place.store.written.clear()
    looks = [("bob", OpenDevice(BOB, "main", 0, NOW)), ("bob", MarkRead(BOB, b"main", b"mallory", 1, NOW))]
    place.ask(*looks, *[("alice", message(ALICE, "bob", number)) for number in range(20)])
    names = await place.answered()
    assert names.index("alice") < names.index("bob")
    assert isinstance(place.answers[names.index("bob")][1], OpenedDevice)
    assert sum(place.store.written) > 2000
    assert max(place.store.written) < 700
    assert max(sum(transaction.costs) for transaction in place.store.transactions) < 512


async def test_what_waits_for_rows_to_move_is_done_before_the_server_stops(place: Place) -> None:
    place.ask(*[("mallory", message(MALLORY, "bob", number)) for number in range(1300)])
    await place.answered()
    place.answers.clear()
    place.ask(("bob", OpenDevice(BOB, "main", 0, NOW)))
    closing = asyncio.create_task(place.storage.close())
    await place.answered()
    assert isinstance(place.answers[0][1], OpenedDevice)
    await closing


async def test_what_expires_at_once_does_not_delay_another_message_that_expires(place: Place) -> None:
    """Nor a message that is sent meanwhile."""
    flood = [("mallory", message(MALLORY, "bob", number, expires=NOW + 1)) for number in range(1500)]
    place.ask(*flood, ("alice", message(ALICE, "bob", 1, expires=NOW + 1.5)))
    await place.answered()
    over = next(answer.message for name, answer in place.answers if name == "alice")
    place.answers.clear()
    place.store.transactions.clear()
    place.ask(("expiry", Expire(NOW + 2)), ("alice", message(ALICE, "bob", 2)))
    assert await place.answered() == ["alice", "expiry"]
    first = next(effects for effects in place.effects if effects.entries)
    assert over in [entry.message for entry in first.entries if entry.member == ALICE]
    told = [*place.effects, place.answers[-1][1]]
    assert sum(entry.member == MALLORY for effects in told for entry in effects.entries) == 1500
    assert max(sum(transaction.costs) for transaction in place.store.transactions) < 1024


async def test_a_search_ends_after_a_while_and_prepares_itself_in_turns(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rule 14.5: what it has found by then is its answer; otherwise it is refused, and the others go on."""
    seconds = "twotick.store.sqlite.search.SEARCH_SECONDS"
    planted = [("mallory", message(MALLORY, "bob", number, body=b"a " * (30 << 10))) for number in range(20)]
    place.ask(*planted)
    await place.answered()
    place.answers.clear()
    search = SearchMessages(MALLORY, '"a a a"', b"", 0, 100, 1 << 30)
    place.ask(("search", search), ("alice", message(ALICE, "bob", 100)))
    assert await place.answered() == ["alice", "search"]
    page = place.answers[1][1]
    monkeypatch.setattr(seconds, 0.0)
    place.answers.clear()
    place.ask(("search", replace(search, query='"a b"')), ("alice", message(ALICE, "bob", 101)))
    await place.answered()
    answers = dict(place.answers)
    assert answers["search"] == Refusal(
        "the search takes too long: ask for fewer words, or for words that fewer messages have"
    )
    assert isinstance(answers["alice"], Appended)
    assert isinstance(page, SearchPage)
    assert {entry.member for entry in page.entries} == {MALLORY}
    monkeypatch.setattr(seconds, 60.0)
    place.answers.clear()
    place.ask(("search", SearchMessages(MALLORY, "a", b"", 0, 5, 1 << 30)))
    await place.answered()
    page = place.answers[0][1]
    assert len(page.entries) + len(page.rest.messages) == 5, "the next one is as before"


async def test_a_search_looks_in_a_few_messages_at_a_time(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """And its answer is read in parts."""
    place.ask(*[("mallory", message(MALLORY, "bob", number, body=b"a " * (30 << 10))) for number in range(20)])
    place.ask(*[("bob", message(BOB, "alice", number, body=b"b")) for number in range(400)])
    await place.answered()
    search = SearchMessages(MALLORY, '"a a a"', b"", 0, 100, 1 << 30)
    whole = await place.storage.ask(search)
    monkeypatch.setattr("twotick.store.sqlite.search._STEP_SECONDS", 0.0)
    place.answers.clear()
    place.store.transactions.clear()
    place.ask(("search", search), ("alice", message(ALICE, "bob", 1000)))
    assert await place.answered() == ["alice", "search"]
    assert len(place.store.transactions) > 20, "a query that takes longer than this is for half as many"
    page = place.answers[1][1]
    assert isinstance(page, SearchPage)
    assert isinstance(whole, SearchPage)
    found = [entry.id for entry in page.entries]
    assert len(found) == 3
    rest = page.rest
    while rest is not None:
        part = await place.storage.ask(rest)
        assert len(part.entries) <= 3
        found += [entry.id for entry in part.entries]
        rest = part.rest
    assert found == [b"%d" % number for number in reversed(range(20))]
    assert (page.before, whole.before) == (0, 0)


async def test_reading_much_at_once_goes_by_turns(place: Place) -> None:
    """Rule 11.8: one entry, and one READ for the newest message."""
    await fill(place, 1500)
    place.store.transactions.clear()
    place.ask(("bob", MarkRead(BOB, b"main", b"mallory", 1500, NOW)), ("alice", message(ALICE, "bob", 1)))
    assert await place.answered() == ["alice", "bob"]
    told = [entry for effects in (*place.effects, place.answers[1][1]) for entry in effects.entries]
    kinds = [entry.kind for entry in told]
    assert kinds.count(EntryKind.DELIVERED) == 1500
    assert [entry.id for entry in told if entry.kind is EntryKind.READ] == [b"1499"]
    assert [entry.up_to for entry in told if entry.kind is EntryKind.READ_HERE] == [1500]
    assert max(sum(transaction.costs) for transaction in place.store.transactions) < 1024


async def test_a_device_that_has_much_already_is_opened_by_turns(place: Place) -> None:
    """Rule 11.5."""
    await fill(place, 1500)
    place.ask(("bob", OpenDevice(BOB, "main", 1500, NOW)), ("alice", message(ALICE, "bob", 1)))
    assert await place.answered() == ["alice", "bob"]
    opened = place.answers[1][1]
    assert isinstance(opened, OpenedDevice)
    assert opened.cursor == 1500
    told = [entry for effects in (*place.effects, opened.effects) for entry in effects.entries]
    assert [entry.kind for entry in told] == [EntryKind.DELIVERED] * 1500
    assert len(place.effects) > 1


async def test_the_removal_of_a_member_goes_by_turns(place: Place) -> None:
    """Rule 12.4: and each step is small."""
    await fill(place, 1500)
    place.store.transactions.clear()
    place.ask(("removal", RemoveMember("bob", NOW)), ("alice", message(ALICE, "mallory", 1)))
    assert await place.answered() == ["alice", "removal"]
    told = [entry for effects in (*place.effects, place.answers[1][1]) for entry in effects.entries]
    assert [entry.kind for entry in told] == [EntryKind.FAILED] * 1500
    assert max(sum(transaction.costs) for transaction in place.store.transactions) < 2048


async def fill(place: Place, count: int) -> None:
    """Let many messages of mallory's wait for bob."""
    place.ask(*[("mallory", message(MALLORY, "bob", number)) for number in range(count)])
    await place.answered()
    place.answers.clear()
