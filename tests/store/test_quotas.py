"""For whom events count in a mailbox, and what waits for a member stays (rule 11.13)."""

import random
from dataclasses import astuple

import pytest

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, Asker, events
from tests.store.steps import Steps
from twotick.store.port import Refusal, StoreLimits
from twotick.store.requests.devices import TellOfAbsence
from twotick.store.requests.messages import Appended, Expire, MessageState, Prune
from twotick.store.rules.delivery import Mailbox
from twotick.store.sqlite import ledger, messages

DAY = 86400.0
LIMITS = StoreLimits(mailbox_entries=40, sender_entries=10)


@pytest.fixture
def small(new_asker: AskerMaker) -> Asker:
    """alice, bob and carol, in whose mailboxes each of them and all guests have ten messages at most."""
    asker = new_asker(LIMITS)
    asker.add("alice", "bob", "carol")
    return asker


def invite_often(asker: Asker, name: str, other: str, times: int) -> None:
    for number in range(times):
        asker.create(name, f"#r{number}")
        asker.invite(name, other, f"#r{number}")


def mailbox(asker: Asker, name: str) -> Mailbox:
    box = asker.store._ledger.mailbox(asker.members[name])  # pyright: ignore[reportPrivateUsage]
    assert box is not None
    return box


@pytest.mark.parametrize("is_counted_anew", [False, True])
def test_invitations_count_for_the_inviter(small: Asker, is_counted_anew: bool) -> None:
    invite_often(small, "alice", "bob", 12)
    told = events(small.log("bob"))
    assert len(told) == 10, "the eleventh is not told, but bob is invited"
    assert small.join("bob", "#r11").room.members == 2
    if is_counted_anew:
        small.reopen()
    for number in range(10):
        small.send("guest", "bob", id=b"g%d" % number)
    assert "guests" in small.refusal(small.append("guest", "bob", id=b"g"))
    small.send("carol", "bob", id=b"c1")
    assert "you have sent" in small.refusal(small.append("alice", "bob", id=b"a1"))


def test_what_somebody_does_in_rooms_counts_for_them(small: Asker) -> None:
    small.create("carol", "#team", public=True)
    small.join("bob")
    for _ in range(10):
        small.join("alice")
        small.leave("alice")
    told = events(small.log("bob"))
    assert sum(event.startswith("alice") for event in told) == 10
    small.send("carol", "bob", id=b"c1")
    small.send("guest", "bob", id=b"g1")


def test_notices_of_absence_count_for_the_owner(small: Asker) -> None:
    for number in range(12):
        small.open("bob", f"d{number}")
        small.ask(TellOfAbsence(small.members["bob"], f"d{number}", NOW + 1, NOW + 2))
    assert len(small.log("bob")) == 12, "all are told"
    for number in range(10):
        small.send("guest", "bob", id=b"g%d" % number)


def test_an_event_that_is_refused_counts_no_more(small: Asker) -> None:
    invite_often(small, "alice", "bob", 12)
    small.refuse("bob", 3)
    box = mailbox(small, "bob")
    small.store._ledger.count_shares(box)  # pyright: ignore[reportPrivateUsage]
    assert box.shares is not None
    assert {sender: held.entries for sender, held in box.shares.items()} == {small.members["alice"]: 7}, (
        "two are acknowledged"
    )
    assert isinstance(small.ask(small.append("alice", "bob", id=b"a1")), Appended)


def test_withheld_invitations_count_for_the_inviter(small: Asker) -> None:
    """As if the member were away (rule 14.4)."""
    small.set("bob", "alice", blocked=True)
    invite_often(small, "alice", "bob", 12)
    assert events(small.log("bob"))[1:] == []
    assert "you have sent" in small.refusal(small.append("alice", "bob", id=b"a1"))
    small.set("bob", "carol", blocked=True)
    small.send("carol", "bob", id=b"c1")
    small.send("guest", "bob", id=b"g1")


@pytest.mark.parametrize("is_blocked", [False, True])
def test_what_waits_for_a_member_is_never_too_old(new_asker: AskerMaker, is_blocked: bool) -> None:
    """Whether the member is away or has blocked the sender, who cannot tell."""
    asker = new_asker(StoreLimits())
    asker.add("alice")
    asker.add("bob", device="")
    if is_blocked:
        asker.set("bob", "alice", blocked=True)
    asker.send("alice", "bob", id=b"m1")
    asker.ack("alice", 1 << 30)
    while asker.ask(Prune(NOW + 500 * DAY, 400 * DAY)):
        pass
    (kept,) = asker.history("alice", "bob")
    assert (kept.id, kept.state) == (b"m1", MessageState.ACCEPTED)
    assert asker.receipts("alice", "bob", b"m1") == {"bob": MessageState.ACCEPTED}


def test_mailboxes_of_a_room_are_counted_in_steps(new_asker: AskerMaker, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each may have to be counted before a message to the room; others have their turn meanwhile."""
    monkeypatch.setattr(messages, "COUNT_WORK", 1)
    asker = new_asker(StoreLimits(mailbox_entries=100, sender_entries=20))
    names = [f"m{number}" for number in range(8)]
    asker.add("alice", *names)
    asker.gather("alice", *names, room="#team", public=True)
    for number in range(25):
        asker.ask(asker.speech("alice", id=b"a%d" % number))
    asker.reopen()
    said = Steps(asker, asker.speech("m1", id=b"said"))
    answer = said.finish(lambda: asker.send("guest", "alice"))
    assert isinstance(answer, Appended)
    assert len(said.costs) > 4
    assert answer.members == 8
    refused = asker.ask(asker.speech("alice", id=b"too much"))
    assert isinstance(refused, Refusal)


def counted(asker: Asker, name: str) -> list[dict[int, tuple[int, ...]]]:
    """What is in a mailbox, and what is kept from its owner, by sender."""
    box = mailbox(asker, name)
    asker.store._ledger.count_shares(box)  # pyright: ignore[reportPrivateUsage]
    assert box.shares is not None
    assert box.withheld is not None
    return [
        {sender: astuple(held) for sender, held in each.items() if held.entries} for each in (box.shares, box.withheld)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_a_mailbox_is_counted_in_steps(new_asker: AskerMaker, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Also while messages come, are acknowledged, refused and expire, and invitations are told or kept away."""
    monkeypatch.setattr(ledger, "_COUNT_STEP", 3)
    asker = new_asker(StoreLimits())
    asker.add("alice", "bob", "carol", "dan")
    asker.set("bob", "dan", blocked=True)
    invite_often(asker, "alice", "bob", 3)
    chance = random.Random(seed)
    now = NOW

    def send() -> None:
        sender = chance.choice(["alice", "carol", "dan", "guest"])
        expires = chance.choice([None, now + chance.randrange(1, 9)])
        asker.send(sender, "bob", id=b"%d" % chance.getrandbits(60), body=bytes(chance.randrange(9)), expires=expires)

    for _ in range(25):
        send()
    asker.reopen()
    steps = 1
    while asker.store._ledger.count_some(box := mailbox(asker, "bob")):  # pyright: ignore[reportPrivateUsage]
        steps += 1
        for _ in range(chance.randrange(3)):
            send()
        if chance.random() < 0.5:
            asker.refuse("bob", min(box.delivered + 1, box.last))
        if chance.random() < 0.3:
            asker.ack("bob", min(box.delivered + chance.randrange(1, 9), box.last))
        if chance.random() < 0.3:
            asker.create("carol", f"#s{steps}")
            asker.invite("carol", "bob", f"#s{steps}")
        now += 1
        asker.ask(Expire(now))
    assert steps > 1
    found = counted(asker, "bob")
    asker.reopen()
    assert found == counted(asker, "bob")
