"""The removal of a member in steps (rule 12.4): what others have and see, at each step and after an interruption."""

import random
import shutil

import pytest

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, Asker, events
from tests.store.steps import STEP, Steps
from twotick.store.port import Refusal, StoreLimits
from twotick.store.requests.members import (
    AddMember,
    AddToken,
    ContinueRemoval,
    FindMembers,
    FindToken,
    ListMembers,
    Member,
    RemoveMember,
    SetPassword,
)
from twotick.store.requests.messages import (
    Acknowledge,
    EntryKind,
    Expire,
    MessageAction,
    Prune,
)
from twotick.store.requests.presence import ListAudience, ListContacts
from twotick.store.requests.rooms import InviteToRoom
from twotick.store.rules.delivery import EXPIRED
from twotick.store.sqlite import removal

MANY = 700


class Removal(Steps):
    """A removal."""

    def __init__(self, asker: Asker, name: str) -> None:
        super().__init__(asker, RemoveMember(name, NOW))


def rows(asker: Asker, number: int) -> dict[str, int]:
    """How many rows of a member there are, in each table that has some."""
    database = asker.store._database.connection  # pyright: ignore[reportPrivateUsage]
    found: dict[str, int] = {}
    for table in ("log", "device", "reading", "conversation", "absent", "contact", "room_member", "room_stay", "file"):
        (count,) = database.execute(f"SELECT count(*) FROM {table} WHERE member = ?", (number,)).fetchone()
        if count:
            found[table] = count
    return found


def fill(asker: Asker) -> None:
    """Let bob have sent and got many messages, and wait for more; be in rooms; have blocked dan."""
    asker.add("dan")
    asker.gather("bob", "alice", "carol", room="#one")
    asker.gather("alice", "bob", room="#two")
    asker.ask(InviteToRoom(asker.members["carol"], "#one", "dan", NOW))
    asker.set("bob", "dan", blocked=True)
    for number in range(MANY):
        asker.store.apply(
            [
                asker.append("alice", "bob", id=b"a%d" % number),
                asker.append("bob", "carol", id=b"b%d" % number),
                asker.append("dan", "bob", id=b"d%d" % number),
                asker.append("guest", "bob", body=b"from a guest"),
            ]
        )
        if number == MANY // 2:
            asker.ack("bob", 1 << 30)
    while asker.store.tidy():
        pass


@pytest.mark.volume
def test_each_step_is_small_and_the_member_is_gone_after_the_first(asker: Asker) -> None:
    fill(asker)
    bob = asker.members["bob"]
    asker.ask(AddToken(bob, "main", b"digest", NOW))
    removed = Removal(asker, "Bob")
    assert removed.step()
    assert not asker.exists("bob")
    assert [member.name for member in asker.ask(ListMembers())] == ["alice", "carol", "dan"]
    assert asker.ask(FindMembers((), (bob,))) == []
    assert asker.ask(FindToken(b"digest")) is None
    assert asker.ask(SetPassword("bob", "new")) is False
    assert asker.ask(RemoveMember("bob", NOW)) is None
    assert asker.refusal(asker.append("alice", to="bob", id=b"late")) == "bob is not connected"
    assert asker.refusal(asker.append("alice", to=f"*{bob}", id=b"late")) == f"*{bob} is not connected"
    assert asker.refusal(asker.append("bob", "alice", id=b"late")) == "the sender is not a member any more"
    assert asker.ask(ListAudience(bob, b"", is_gone=True)) == [asker.members[name] for name in ("alice", "carol")]
    contacts = asker.ask(ListContacts(asker.members["alice"], b""))
    assert not any(contact.shown for contact in contacts if contact.name == "bob")
    removed.finish()
    assert len(removed.costs) > 4 * MANY // 128
    assert max(removed.costs) < STEP
    reason = "bob is not a member any more"
    failed = [entry for entry in removed.told.entries if entry.kind is EntryKind.FAILED]
    waiting = MANY - MANY // 2 - 1
    assert [entry.reason for entry in failed if entry.member == asker.members["alice"]] == [reason] * waiting
    assert len([entry for entry in failed if entry.member == asker.members["dan"]]) == MANY
    assert len(removed.told.guests) == waiting
    assert rows(asker, bob) == {}


@pytest.mark.volume
def test_an_interrupted_removal_goes_on_after_a_restart(asker: Asker) -> None:
    """Also beside a new member of the same name, who sees nothing of the old one."""
    fill(asker)
    old = asker.members["bob"]
    assert asker.folder is not None
    removed = Removal(asker, "bob")
    for _ in range(6):
        removed.step()
    left = rows(asker, old)
    assert left["log"]
    killed = Asker.__new__(Asker)
    killed.folder, killed.limits, killed.members = asker.folder.with_name("killed"), asker.limits, {**asker.members}
    shutil.copytree(asker.folder, killed.folder)  # as after a `kill -9`
    killed.store = type(asker.store)(killed.folder, killed.limits)
    assert rows(killed, old) == left
    assert killed.store.check() == []
    killed.add("bob")
    assert killed.log("bob") == killed.history("bob", "alice") == []
    assert killed.conversations("bob") == []
    killed.send("alice", "bob", id=b"new")
    assert killed.ask(ContinueRemoval(NOW)) is not None
    assert [entry.id for entry in killed.log("bob")] == [b"new"]
    assert rows(killed, old) == {}
    assert killed.store.check() == []
    killed.store.close()
    removed.finish()


@pytest.mark.volume
def test_rooms_go_on_while_a_member_is_removed(asker: Asker) -> None:
    fill(asker)
    removed = Removal(asker, "bob")
    removed.step()
    said = asker.say("alice", id=b"r1", room="#two")
    assert said.members == 0, "bob is not waited for"
    said = asker.say("alice", id=b"r2", room="#one")
    assert (said.members, asker.receipts("alice", "#one", b"r2").keys()) == (1, {"carol"})
    removed.finish()
    assert list(asker.roles("alice", "#one")) == ["alice", "carol"]
    assert "bob Event: left" in events(asker.history("alice", "#one"))


def test_a_moderator_deletes_what_a_member_said_who_is_being_removed(asker: Asker) -> None:
    asker.gather("alice", "bob", room="#team")
    asker.say("bob", id=b"b1")
    Removal(asker, "bob").step()
    deletion = asker.correction("alice", MessageAction.DELETE, b"b1", about_name=b"bob", id=b"x")
    assert not isinstance(asker.ask(deletion), Refusal)
    assert [entry.body for entry in asker.history("alice", "#team") if entry.id == b"b1"] == [b""]


def test_expiry_and_retention_leave_to_the_removal_what_waits_for_the_member(asker: Asker) -> None:
    asker.set("bob", "carol", blocked=True)
    asker.send("alice", "bob", id=b"a1", expires=NOW + 5)
    asker.send("carol", "bob", id=b"c1", expires=NOW + 5)
    asker.send("bob", "alice", id=b"b1", expires=NOW + 5)
    removed = Removal(asker, "bob")
    removed.step()
    expired = asker.ask(Expire(NOW + 10))
    assert [(entry.id, entry.reason) for entry in expired.entries] == []
    while asker.ask(Prune(NOW + 1e9, 10.0)):
        pass
    assert asker.store.check() == []
    removed.finish()
    assert {(entry.id, entry.reason) for entry in removed.told.entries} == {
        (b"a1", "bob is not a member any more"),
        (b"c1", "bob is not a member any more"),
    }
    assert EXPIRED not in {entry.reason for entry in removed.told.entries}


@pytest.mark.parametrize("seed", range(6))
def test_others_do_what_they_like_meanwhile(seed: int, new_asker: AskerMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database is sound after each step, and in the end only what others have of the member is left."""
    monkeypatch.setattr(removal, "_ENTRIES", 3)
    rng = random.Random(seed)
    asker = new_asker(StoreLimits())
    asker.add("alice", "bob", "carol")
    asker.gather("bob", "alice", "carol", room="#team")
    asker.set("bob", "carol", blocked=True)
    number = 0

    def act(*names: str) -> None:
        nonlocal number
        number += 1
        name = rng.choice(names)
        to = rng.choice([*(each for each in asker.members if each in names), "#team", "guest"])
        ident = b"m%d" % number
        if rng.random() < 0.3:
            box = asker.log(name)
            seq = rng.choice(box).seq if box else 1
            asker.ask(Acknowledge(asker.members[name], b"main", seq, NOW + number))
        elif rng.random() < 0.2:
            asker.read(name, rng.choice(["alice", "bob", "carol", "#team"]), 1 << 30)
        elif to == "#team":
            asker.ask(asker.speech(name, id=ident))
        elif to == "guest":
            asker.ask(asker.append("guest", name, expires=NOW + rng.choice([1, 1000])))
        else:
            asker.ask(asker.append(name, to, id=ident, expires=rng.choice([None, NOW + 3])))

    for _ in range(40):
        act("alice", "bob", "carol")
    removed = Removal(asker, "bob")
    while removed.step():
        assert asker.store.check() == []
        act("alice", "carol")
        if rng.random() < 0.2:
            asker.ask(Expire(NOW + 5))
    assert asker.store.check() == []
    assert rows(asker, asker.members["bob"]) == {}
    assert isinstance(asker.ask(AddMember("bob", "", NOW)), Member)
