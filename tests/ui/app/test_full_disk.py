"""A disk without room: what cannot be stored is not shown as if it were, and nothing is shown twice later."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.client.members import chatting, until
from tests.ui.app.sessions import device
from twotick.client import OutboxError, TwotickError
from twotick.ui.app.session.base import ChatSession
from twotick.ui.app.storage.database import LocalStoreError

LONG = "x" * 50_000


def fill(session: ChatSession) -> None:
    """Leave no room for the database of a session."""
    execute = session.store._database.execute  # pyright: ignore[reportPrivateUsage]
    (pages,) = execute("PRAGMA page_count").fetchone()
    execute(f"PRAGMA max_page_count = {pages}").fetchone()


def make_room(session: ChatSession) -> None:
    session.store._database.execute("PRAGMA max_page_count = 1000000").fetchone()  # pyright: ignore[reportPrivateUsage]


def fail_to_commit(session: ChatSession) -> None:
    """Let the database fail when it commits, as on a real disk, and not earlier."""
    database = session.store._database  # pyright: ignore[reportPrivateUsage]
    execute = database.execute

    def failing(sql: str, *values: Any) -> Any:
        if sql == "COMMIT":
            raise LocalStoreError("the disk is full")
        return execute(sql, *values)

    database.execute = failing


@pytest.mark.parametrize("full", [fill, fail_to_commit])
async def test_a_message_that_cannot_be_stored_is_not_shown(
    tmp_path: Path, full: Callable[[ChatSession], None]
) -> None:
    async with chatting("alice", "bob") as chat:
        async with device(chat, tmp_path, "alice") as alice:
            session = alice.session
            bob = session.open("bob")
            session.save_draft(bob, "a draft")
            full(session)
            for _ in range(2):
                with pytest.raises(LocalStoreError, match="the disk is full"):
                    session.send(bob, LONG)
            assert (alice.texts("bob"), session.waiting, bob.draft) == ([], 0, "a draft")
            if full is fill:
                make_room(session)
                session.send(bob, LONG)
                await alice.has("bob", LONG)
        async with device(chat, tmp_path, "alice") as alice:
            await alice.has("bob", *([LONG] if full is fill else []))
            await until(lambda: alice.session.waiting == 0)


async def test_messages_that_arrive_on_a_full_disk_are_shown_once_when_there_is_room(tmp_path: Path) -> None:
    texts = [f"{number} {LONG}" for number in range(5)]
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob:
        async with device(chat, tmp_path, "alice") as alice:
            alice.session.storing_again = 0.01
            await until(lambda: alice.session.connected)
            fill(alice.session)
            for text in texts:
                await bob.send("alice", text)
            await until(lambda: isinstance(alice.session.problem, LocalStoreError))
            assert not alice.session.ended
            make_room(alice.session)
            await alice.has("bob", *texts)
            await until(lambda: alice.session.problem is None)
        async with device(chat, tmp_path, "alice") as alice:
            await alice.has("bob", *texts)


async def test_what_a_failed_transaction_has_shown_is_taken_back(tmp_path: Path) -> None:
    texts = [f"{number} {LONG}" for number in range(5)]
    async with chatting("alice", "bob") as chat:
        async with device(chat, tmp_path, "alice") as alice, chat.join("bob") as bob:
            for text in texts:
                await bob.send("alice", text)
            await alice.has("bob", *texts)
        async with device(chat, tmp_path / "another", "alice") as alice:  # which fetches them from history
            await alice.has("bob", *texts)
            session = alice.session
            try:
                with session.store.transaction():
                    session._repository.forget_messages()  # pyright: ignore[reportPrivateUsage]
                    raise LocalStoreError("the disk is full")  # noqa: TRY301
            except LocalStoreError:
                pass
            assert alice.texts("bob") == texts


async def test_a_full_disk_under_the_outbox_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with chatting("alice", "bob") as chat, device(chat, tmp_path, "alice") as alice:
        alice.session.storing_again = 0.01
        await until(lambda: alice.session.connected)
        client = alice.session._client  # type: ignore[attr-defined] # pyright: ignore
        assert client is not None

        async def full(*_: object, **__: object) -> None:
            raise OutboxError("the outbox cannot be written, and the message is not queued: database or disk is full")

        problems: list[TwotickError | None] = []
        alice.session.on_connection = lambda: problems.append(alice.session.problem)
        monkeypatch.setattr(client, "queue", full)
        alice.session.send(alice.session.open("bob"), "hello")
        await until(lambda: alice.session.waiting == 0)
        assert any(isinstance(each, OutboxError) for each in problems)
        assert alice.texts("bob") == ["hello"]
