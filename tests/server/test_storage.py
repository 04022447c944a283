"""The thread of the store."""

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from twotick.server import logs
from twotick.server import storage as storing
from twotick.server.storage import Storage
from twotick.store import (
    AddMember,
    Damaged,
    DatabaseFailure,
    ListDevices,
    ListMembers,
    ListReports,
    Request,
    SqliteStore,
    StoreError,
    StoreLimits,
    Work,
)


class Failing(SqliteStore):
    """A store whose disk fails when it adds messages to the index of words."""

    def tidy(self) -> bool:
        raise StoreError("disk I/O error")


async def test_the_operator_is_told_when_messages_cannot_be_indexed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.configure()
    reported = asyncio.Event()
    warning = logs.log.warning

    def report(event: str, **values: object) -> None:
        warning(event, **values)
        reported.set()

    monkeypatch.setattr(logs.log, "warning", report)
    storage = Storage(Failing(tmp_path, StoreLimits()), lambda: None, lambda: None, lambda _: None)
    await reported.wait()
    await storage.close()
    line = json.loads(capfd.readouterr().err)
    assert (line["level"], line["event"]) == ("warning", "new messages cannot be found")
    assert line["reason"] == "disk I/O error"


class Away(SqliteStore):
    """A store whose database server cannot be reached."""

    def work_on(self, requests: Sequence[Request[Any]]) -> Work:
        raise DatabaseFailure("db1.example cannot be reached: check that PostgreSQL runs")


async def test_users_are_not_told_what_is_for_the_operator(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    storage = Storage(Away(tmp_path, StoreLimits()), lambda: None, lambda: None, lambda _: None)
    with pytest.raises(StoreError, match=r"^the server cannot reach its database: try again later$"):
        await storage.ask(ListMembers())
    await storage.close()
    line = json.loads(capfd.readouterr().err)
    assert line["reason"] == "db1.example cannot be reached: check that PostgreSQL runs"


class Behind(Failing):
    """The same, with much to tidy."""

    tries = 0

    @property
    def has_backlog(self) -> bool:
        return True

    def tidy(self) -> bool:
        self.tries += 1
        return super().tidy()


async def test_what_cannot_be_tidied_is_not_tried_again_and_again(tmp_path: Path) -> None:
    store = Behind(tmp_path, StoreLimits())
    storage = Storage(store, lambda: None, lambda: None, lambda _: None)
    for _ in range(50):
        await storage.ask(ListMembers())
    assert store.tries <= 2
    await storage.close()


class Defective(SqliteStore):
    """A store with a defect in what it does while no request waits."""

    def tidy(self) -> bool:
        raise ValueError("a defect")


async def test_a_defect_while_tidying_leaves_nobody_without_an_answer(tmp_path: Path) -> None:
    reported = asyncio.Event()
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: reported.set())
    storage = Storage(Defective(tmp_path, StoreLimits()), lambda: None, lambda: None, lambda _: None)
    await reported.wait()
    assert await storage.ask(ListMembers()) == []
    await storage.close()


def damage(folder: Path, table: str) -> None:
    """Overwrite the first page of a table, as a failing disk does."""
    file = folder / "twotick.db"
    with closing(sqlite3.connect(file)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    with file.open("r+b") as opened:
        opened.seek((page - 1) * size)
        opened.write(b"\xff" * size)


@pytest.fixture
def damaged(tmp_path: Path) -> SqliteStore:
    """A store with a member, and with a damaged page that only reports are in."""
    store = SqliteStore(tmp_path, StoreLimits())
    store.apply([AddMember("alice", "", 0.0)])
    store.close()
    damage(tmp_path, "report")
    return SqliteStore(tmp_path, StoreLimits())


async def answers_of(storage: Storage, requests: list[Request[Any]]) -> list[Any]:
    """Ask for all at once, and return the answers once all are there."""
    answers: list[Any] = []
    complete = asyncio.Event()

    def take(answer: Any) -> None:
        answers.append(answer)
        if len(answers) == len(requests):
            complete.set()

    storage.submit([(each, take) for each in requests])
    await complete.wait()
    return answers


async def test_damage_concerns_only_those_who_meet_it_and_is_logged_once(
    damaged: SqliteStore, capfd: pytest.CaptureFixture[str]
) -> None:
    logs.configure()
    storage = Storage(damaged, lambda: None, lambda: None, lambda _: None)
    for _ in range(3):
        answers = await answers_of(storage, [ListMembers(), ListReports(), ListMembers(), ListMembers()])
        names = [[member.name for member in answer] for answer in answers if not isinstance(answer, StoreError)]
        assert names == [["alice"]] * 3
        assert isinstance(answers[1], Damaged)
    await storage.close()
    (line,) = map(json.loads, capfd.readouterr().err.splitlines())
    assert (line["level"], line["event"]) == ("error", "the data cannot be read or written")
    assert line["reason"].startswith("the database is damaged")


class Unknown(Request[None]):
    """A request that no store knows, as an example of a defect."""


async def test_a_defect_concerns_only_those_who_meet_it(tmp_path: Path) -> None:
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    storage = Storage(SqliteStore(tmp_path, StoreLimits()), lambda: None, lambda: None, lambda _: None)
    answers = await answers_of(storage, [*[ListMembers()] * 5, Unknown(), *[ListMembers()] * 5])
    await storage.close()
    assert [isinstance(answer, StoreError) for answer in answers] == [number == 5 for number in range(11)]
    assert complaints == ["the store cannot carry out a request"]


async def test_a_defect_in_handling_an_answer_concerns_nobody_else(tmp_path: Path) -> None:
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context["message"]))
    storage = Storage(SqliteStore(tmp_path, StoreLimits()), lambda: None, lambda: None, lambda _: None)

    def fail(_answer: object) -> None:
        raise ValueError("a defect")

    storage.submit([(ListMembers(), fail)])
    assert await storage.ask(ListMembers()) == []
    await storage.close()
    assert complaints == ["an answer of the store cannot be handled"]


class Clock:
    """The clocks of `time`, which stand still until a test moves them."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    thread_time = monotonic

    def sleep(self, seconds: float) -> None:
        pass


ALICE, MALLORY = 1, 2


class Slow(SqliteStore):
    """A store in which each request of Mallory takes much of the processor's time."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        super().__init__(folder, StoreLimits())
        self.clock = clock
        self.tidied = 0

    def work_on(self, requests: Sequence[Request[Any]]) -> Work:
        members = [request.member for request in requests if isinstance(request, ListDevices)]
        self.clock.now += 0.1 * members.count(MALLORY)
        return Work(list(members), [1] * len(members))

    def tidy(self) -> bool:
        self.tidied += 1
        return False


async def test_who_asks_for_much_rests_while_others_are_answered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # rule 8.6
    clock = Clock()
    monkeypatch.setattr(storing, "time", clock)
    store = Slow(tmp_path, clock)
    storage = Storage(store, lambda: None, lambda: None, lambda _: None)
    answers: list[int] = []

    def ask(*members: int) -> None:
        storage.submit([(ListDevices(member), answers.append) for member in members])

    await storage.ask(ListDevices(ALICE))
    await storage.ask(ListDevices(MALLORY))
    ask(MALLORY)
    for _ in range(3):
        await storage.ask(ListDevices(ALICE))
    assert answers == []  # Mallory rests
    assert storage.waiting == 1
    assert store.tidied <= 1  # and so does the thread

    clock.now += 0.2
    while not answers:
        await asyncio.sleep(0.01)
    assert answers == [MALLORY]  # without anything else that wakes the thread

    ask(MALLORY, MALLORY)
    await storage.ask(ListDevices(ALICE))
    assert answers == [MALLORY]
    await storage.close()
    assert answers == [MALLORY] * 3
    assert storage.waiting == 0
