"""A damaged database on this machine: it is only a copy, so it is set aside, and the messages are fetched again."""

import random
from pathlib import Path

import pytest

from tests.client.members import chatting
from tests.ui.app.examples import message, stored
from tests.ui.app.sessions import device, running
from tests.ui.app.users import app_user, member
from twotick.client import State
from twotick.client.trust.tokens import Credential
from twotick.ui.app.model.conversations import LocalConversation
from twotick.ui.app.model.messages import WAITING, ChangeKind, MessageChange
from twotick.ui.app.session.member import MemberSession
from twotick.ui.app.session.repository import ChatRepository
from twotick.ui.app.storage.database import DamagedStoreError, LocalStoreError
from twotick.ui.app.storage.store import LocalStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "a" / "chat.db"


def write(file: Path) -> None:
    """Write a database with messages, a draft, and a message and a change that wait to be sent."""
    store = LocalStore(file)
    store.add_conversation(LocalConversation("bob", "Bob"))
    store.set_draft("bob", "what I")
    stored(store, *(message(f"message {seq} " * 20, seq, ident=f"m{seq}") for seq in range(1, 200)))
    waits = message("wait for me", 0, outgoing=True, ident="w1", state=State.QUEUED)
    changes = message("better", 0, outgoing=True, ident="w2", state=State.QUEUED)
    waits.place = changes.place = (WAITING, 0)
    changes.change = MessageChange(ChangeKind.EDIT, "alice", "w1")
    stored(store, waits, changes)
    store.close()


def use(file: Path) -> ChatRepository:
    """Open a database, and read everything."""
    store = LocalStore(file)
    try:
        repository = ChatRepository("alice", store)
        for each in list(repository.conversations):
            while not each.loaded:
                repository.load(each)
    except LocalStoreError:
        store.close()
        raise
    return repository


@pytest.mark.parametrize("content", [b"no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_file_that_is_no_database_is_set_aside(file: Path, content: bytes) -> None:
    write(file)
    file.write_bytes(content)
    store = LocalStore(file)
    assert store.set_aside is not None
    assert store.set_aside == file.with_name("chat.db.damaged")
    assert store.set_aside.read_bytes() == content
    assert store.conversations() == []
    store.close()
    assert LocalStore(file).set_aside is None


def test_what_exists_nowhere_else_is_saved(file: Path) -> None:
    write(file)
    with file.open("r+b") as damaged:  # the pages of the received messages
        for page in range(1, damaged.seek(0, 2) // 4096):
            damaged.seek(page * 4096)
            content = damaged.read(4096)
            if b"message 1" in content and b"wait for me" not in content:
                damaged.seek(page * 4096)
                damaged.write(b"\xff" * 4096)
    try:
        repository = use(file)
    except DamagedStoreError:
        repository = use(file)
    assert repository.store.set_aside is not None
    assert [(each.name, each.draft) for each in repository.conversations] == [("Bob", "what I")]
    assert [(each.id, each.change) for each in repository.waiting] == [
        ("w1", None),
        ("w2", MessageChange(ChangeKind.EDIT, "alice", "w1")),
    ]
    assert repository.waiting[0].text == "better"  # the change is laid over it
    repository.store.close()


@pytest.mark.parametrize("seed", range(40))
def test_any_damage_is_survived(file: Path, seed: int) -> None:
    write(file)
    chance = random.Random(seed)
    with file.open("r+b") as damaged:
        size = damaged.seek(0, 2)
        if seed % 4 == 0:
            damaged.truncate(chance.randrange(1, size))
        for _ in range(chance.choice([1, 3, 100])):
            damaged.seek(chance.randrange(size))
            damaged.write(chance.randbytes(chance.choice([1, 8, 4096])))
    for _ in range(2):
        try:
            repository = use(file)
        except DamagedStoreError:
            continue
        break
    else:
        raise AssertionError("the damage stays")
    stored(repository.store, message("new", 1000, ident="new"))
    repository.store.close()
    use(file).store.close()


async def test_the_app_says_so_and_fetches_the_messages_again(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob:
        async with device(chat, tmp_path, "alice") as alice:
            await bob.send("alice", "hello")
            await alice.has("bob", "hello")
        options = member(chat, tmp_path)
        async with app_user(options) as user:
            await user.opens("bob")
            await user.sees("hello")
        (file,) = tmp_path.glob("*/chat.db")
        file.write_bytes(b"no database" * 100)
        async with app_user(options, width=120) as user:
            await user.sees("was damaged", "chat.db.damaged")
            await user.opens("bob")
            await user.sees("hello")


async def test_a_damaged_outbox_is_set_aside_because_all_that_waits_is_in_the_local_store_too(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob:
        async with device(chat, tmp_path, "alice", at="127.0.0.1:1") as alice:
            alice.session.send(alice.session.open("bob"), "wait for me")
        outbox = tmp_path / "alice" / "laptop" / "outbox.db"
        outbox.write_bytes(b"no database" * 100)
        session = MemberSession(
            Credential(chat.address, "alice", "laptop", chat.token("alice")), outbox.parent, 1 << 20
        )
        session.storing_again = 0.01
        async with running(session):
            assert (await bob.receive()).text == "wait for me"
        assert outbox.with_name("outbox.db.damaged").exists()


async def test_damage_that_is_found_later_ends_the_app_with_its_reason(tmp_path: Path) -> None:
    async with chatting("alice", "bob") as chat, chat.join("bob") as bob:
        async with app_user(member(chat, tmp_path), width=160) as alice:
            await bob.send("alice", "hello")
            await alice.opens("bob")
            await alice.sees("hello")
            execute = alice.session.store._database._connection.execute  # pyright: ignore
            execute("DROP TABLE reaction")
            await bob.send("alice", "and more")
            await alice.finds(lambda: isinstance(alice.session.problem, DamagedStoreError))
            await alice.sees("is damaged: start the app again")
        async with app_user(member(chat, tmp_path)) as alice:
            await alice.opens("bob")
            await alice.sees("and more")
            assert alice.session.store.set_aside is not None
