"""Devices that stay away (rule 10.9), in a store: whatever happens, the logs and counters agree."""

from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st

from tests.store.helpers import NOW, Asker
from twotick.store.port import StoreLimits
from twotick.store.requests.devices import Absence, FindAbsent, LapseDevice, NoteDevice, TellOfAbsence
from twotick.store.requests.members import AddToken, FindToken, OpenDevice, Revoke

DAY = 86400.0
ABSENCE = Absence(90 * DAY, 14 * DAY)
LIMITS = StoreLimits(mailbox_entries=6, mailbox_bytes=60, devices=3)

devices = st.sampled_from(["main", "phone", "tablet"])
steps = st.lists(
    st.tuples(
        st.sampled_from(["open", "send", "ack", "tell", "lapse", "note", "revoke", "find"]), devices, st.integers(0, 9)
    ),
    max_size=25,
)


@given(steps)
def test_whatever_happens_the_store_is_consistent(events: list[tuple[str, str, int]]) -> None:
    """Also if cursors move in several steps, as over many entries."""
    with patch("twotick.store.sqlite.ledger.CURSOR_STEP", 2):
        _let_happen(events)


def _let_happen(events: list[tuple[str, str, int]]) -> None:
    asker = Asker(limits=LIMITS)
    asker.add("alice", "bob")
    bob = asker.members["bob"]
    time = NOW
    for event, device, number in events:
        time += DAY
        match event:
            case "open":
                asker.open("bob", device)
            case "send":
                asker.store.apply([asker.append("alice", "bob", id=b"m%d" % int(time), body=b"x" * number)])
            case "ack":
                asker.ack("bob", number, device.encode())
            case "tell":
                asker.ask(TellOfAbsence(bob, device, time, time + DAY))
            case "lapse":
                asker.ask(LapseDevice(bob, device))
            case "note":
                asker.ask(NoteDevice(bob, device, time))
            case "revoke":
                asker.ask(Revoke(bob, device))
            case _:
                asker.ask(FindAbsent(time, ABSENCE))
        assert asker.store.check() == []
    asker.store.close()


def test_a_device_whose_owner_was_not_told_does_not_lapse() -> None:
    asker = Asker()
    asker.add("alice", "bob")
    bob = asker.members["bob"]
    asker.ask(LapseDevice(bob, "main"))
    assert asker.cursors("bob") == {"main": 0}
    asker.ask(TellOfAbsence(bob, "main", NOW + 1, NOW + 2))
    asker.ask(NoteDevice(bob, "main", NOW + 2))
    asker.ask(LapseDevice(bob, "main"))
    assert asker.cursors("bob") == {"main": 0}, "it was connected since"
    asker.ask(TellOfAbsence(bob, "main", NOW + 3, NOW + 4))
    asker.ask(LapseDevice(bob, "main"))
    assert asker.cursors("bob") == {"main": None}


def test_its_owner_is_told_once_even_if_the_mailbox_is_full() -> None:
    asker = Asker(limits=LIMITS)
    asker.add("alice", "bob")
    bob = asker.members["bob"]
    for number in range(6):
        asker.send("alice", "bob", id=b"m%d" % number)
    effects = asker.ask(TellOfAbsence(bob, "main", NOW + 1, NOW + 2))
    assert [b"Event: absent\nDevice: main\n" in entry.headers for entry in effects.entries] == [True]
    assert asker.ask(TellOfAbsence(bob, "main", NOW + 2, NOW + 3)).entries == []
    assert asker.store.check() == []


def test_devices_that_have_lapsed_do_not_count() -> None:
    """Rules 10.6 and 10.9, with and without a token."""
    asker = Asker(limits=LIMITS)
    asker.add("bob")
    bob = asker.members["bob"]
    asker.ask(AddToken(bob, "phone", b"token", NOW))
    for device in ("phone", "phone/chat"):
        asker.open("bob", device)
    full = "too many devices; a member has at most 3"
    assert asker.refusal(OpenDevice(bob, "tablet", 0, NOW)) == full
    for device in ("phone", "phone/chat"):
        asker.ask(TellOfAbsence(bob, device, NOW + 1, NOW + 2))
        asker.ask(LapseDevice(bob, device))
    assert asker.cursors("bob") == {"main": 0, "phone": None, "phone/chat": None}
    assert asker.store.check() == []
    for device in ("tablet", "watch"):
        asker.open("bob", device)
    assert asker.refusal(OpenDevice(bob, "other", 0, NOW)) == full
    assert asker.refusal(OpenDevice(bob, "phone", 0, NOW)) == full
    assert asker.ask(FindToken(b"token")) is not None
    asker.ask(Revoke(bob, "watch"))
    asker.open("bob", "phone")
    assert asker.refusal(OpenDevice(bob, "other", 0, NOW)) == full
    assert asker.store.check() == []


def test_requests_about_devices_that_do_not_exist_change_nothing() -> None:
    asker = Asker()
    asker.add("alice")
    for member, device in ((99, "main"), (asker.members["alice"], "nowhere")):
        assert asker.ask(TellOfAbsence(member, device, NOW + 1, NOW + 2)).entries == []
        asker.ask(LapseDevice(member, device))
        asker.ask(NoteDevice(member, device, NOW))
    assert asker.cursors("alice") == {"main": 0}
