"""The thread of the store."""

import asyncio
import json
from pathlib import Path

import pytest

from twotick.server import logs
from twotick.server.storage import Storage
from twotick.store import ListMembers, SqliteStore, StoreError, StoreLimits


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
