"""What waits for members who are told of it by e-mail."""

import pytest

from tests.store.conftest import AskerMaker
from tests.store.helpers import NOW, Asker
from twotick.store import (
    Addressee,
    ClaimDigest,
    Digest,
    EmailState,
    FindDigest,
    ListAddressees,
    Refusal,
    RemoveMember,
    SetConversation,
    SetDisabled,
    SetEmail,
    StoreLimits,
    UndoDigest,
    WantDigests,
)

HOUR = 3600.0


@pytest.fixture
def people(new_asker: AskerMaker) -> Asker:
    asker = new_asker(StoreLimits())
    asker.add("alice", "bob", "carol")
    asker.gather("alice", "bob", "carol")
    asker.open("alice", "phone")
    assert asker.ask(SetEmail(asker.members["alice"], "alice@example.org")) is None
    return asker


def addressee(asker: Asker, time: float = NOW) -> Addressee:
    (found,) = asker.ask(ListAddressees(time))
    return found


def digest(asker: Asker, time: float = NOW + HOUR, *, text: bool = False) -> Digest | None:
    return asker.ask(FindDigest(addressee(asker, time), time, HOUR, text))


def waiting(found: Digest | None) -> list[tuple[str, int, str]]:
    return [] if found is None else [(each.name, each.count, each.text) for each in found.conversations]


def test_what_has_waited_is_told_by_conversation_with_text_only_if_that_is_wanted(people: Asker) -> None:
    assert digest(people) is None
    people.send("bob", "alice", id=b"b1", body=b"one")
    people.say("carol", b"nothing for alice", b"c1")
    people.say("carol", b"but this, @alice", b"c2")
    people.send("bob", "alice", id=b"b2", body="zwei ü".encode())
    assert digest(people, NOW + HOUR - 1) is None, "nothing has waited for long enough"
    assert waiting(found := digest(people)) == [("bob", 2, ""), ("#Team", 1, "")]
    assert found is not None
    assert (found.count, found.more) == (3, False)
    assert [each.is_room for each in found.conversations] == [False, True]
    assert waiting(digest(people, text=True)) == [("bob", 2, "zwei ü"), ("#Team", 1, "but this, @alice")]


def test_what_a_guest_has_sent_is_not_told_as_if_a_member_had(people: Asker) -> None:
    people.send("ann", "alice", body=b"one")
    assert waiting(digest(people)) == [("ann (guest)", 1, "")]


def test_what_the_member_does_not_want_to_hear_of_is_not_told(people: Asker) -> None:
    alice = people.members["alice"]
    read = people.send("bob", "alice", id=b"b1", body=b"read elsewhere")
    people.open("alice", "laptop")
    people.read("alice", "bob", next(each.seq for each in read.effects.entries if each.member == alice), b"laptop")
    people.send("bob", "alice", id=b"b2", body=b"over by then", expires=NOW + 5)
    people.send("carol", "alice", id=b"c1", body=b"muted")
    people.ask(SetConversation(alice, b"carol", True, None, NOW))
    assert digest(people) is None
    people.ask(SetConversation(alice, b"carol", False, None, NOW))
    assert waiting(digest(people)) == [("carol", 1, "")]
    people.ask(SetConversation(alice, b"carol", None, True, NOW))
    assert digest(people) is None


def test_a_member_is_told_once_of_a_message_by_one_server(people: Asker) -> None:
    people.send("bob", "alice", id=b"b1", body=b"one")
    before, found = addressee(people), digest(people)
    assert found is not None
    claim = ClaimDigest(before, found.seq, NOW + HOUR)
    assert people.ask(claim)
    assert not people.ask(claim), "another server was quicker"
    assert people.ask(ListAddressees(NOW + HOUR - 1)) == [], "told only a moment ago"
    assert digest(people, NOW + 2 * HOUR) is None
    people.send("bob", "alice", id=b"b2", body=b"two", time=NOW + HOUR)
    assert waiting(digest(people, NOW + 3 * HOUR)) == [("bob", 1, "")]
    people.ask(UndoDigest(claim))
    assert addressee(people) == before
    assert waiting(digest(people, NOW + 3 * HOUR)) == [("bob", 2, "")]


def test_an_old_message_is_found_behind_many_that_are_not_told(people: Asker) -> None:
    people.send("bob", "alice", id=b"b1", body=b"first")
    for number in range(600):
        people.say("carol", b"talk", b"c%d" % number)
    assert waiting(digest(people)) == [("bob", 1, "")]


def test_members_switch_digests_off_and_lose_them_with_the_account(people: Asker) -> None:
    alice, bob = people.members["alice"], people.members["bob"]
    assert people.ask(WantDigests(alice, None)) == EmailState("alice@example.org", True)
    assert people.ask(WantDigests(alice, False)) == EmailState("alice@example.org", False)
    assert people.ask(ListAddressees(NOW)) == []
    assert people.ask(WantDigests(alice, True)) == EmailState("alice@example.org", True)
    assert isinstance(people.ask(WantDigests(bob, True)), Refusal)
    people.ask(SetEmail(bob, "bob@example.org"))
    people.ask(SetDisabled("bob", True, NOW))
    assert addressee(people).name == "alice"
    waits = FindDigest(Addressee(bob, "bob", "bob@example.org", 0, 0.0), NOW, HOUR, False)
    assert people.ask(waits) is None, "the account is disabled"
    people.ask(SetEmail(alice, None))
    assert isinstance(people.ask(WantDigests(alice, None)), Refusal)
    people.ask(RemoveMember("bob", NOW))
    assert isinstance(people.ask(SetEmail(bob, "bob@example.org")), Refusal)
    assert people.ask(ListAddressees(NOW)) == []


@pytest.mark.parametrize(
    "address",
    [
        "",
        "alice",
        "alice@",
        "@example.org",
        "a b@example.org",
        "alice@example.org\r\nBcc: eve@example.org",
        "alice@example.org\n",
        "a..b@example.org",
        "alice@-example.org",
        "älice@example.org",
        "alice@exämple.org",
        '"alice"@example.org',
        "<alice@example.org>",
        "alice@example.org,bob@example.org",
        f"{'a' * 65}@example.org",
        f"alice@{'a.' * 130}org",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    asker = Asker()
    asker.add("alice")
    refused = asker.ask(SetEmail(asker.members["alice"], address))
    assert isinstance(refused, Refusal)
    assert "no e-mail address" in refused.reason
