"""Devices that stay away (rule 10.9): the owner is told, they lapse, and the member can be reached again."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.exchange.mail import Line, Mail, message, objects, reason, taken, told
from twotick.store import SqliteStore, StoreLimits
from twotick.store.requests.devices import Absence
from twotick.store.rules.absence import ReceivingDevice, find_absent
from twotick.wire import Frame, Verb, frame, time_text

DAY = 86400.0
HOUR = 3600.0
AGE = 90 * DAY


def store(messages: int = 100_000) -> SqliteStore:
    return SqliteStore(None, StoreLimits(mailbox_entries=messages))


def world(messages: int = 100_000) -> tuple[Mail, Line, Line]:
    """Let bob's phone receive once and leave; return what alice and bob's desk write on."""
    mail = Mail(b"alice", b"bob", store=store(messages), device_age=AGE)
    mail.device(b"bob", b"phone").cut()
    mail.advance(1)
    return mail, mail.device(b"alice"), mail.device(b"bob", b"desk", window=10)


def absences(frames: list[Frame]) -> list[dict[bytes, bytes]]:
    return [head.headers for head, _ in frames if head.headers.get(b"event") == b"absent"]


def keep(line: Line, frames: list[Frame]) -> None:
    """Acknowledge entries."""
    for head, _ in frames:
        if head.seq:
            line.write(taken(int(head.seq)))


def use(mail: Mail, line: Line, days: float) -> list[dict[bytes, bytes]]:
    """Let time pass while a device is in use; return what the member is told of absent devices."""
    found: list[dict[bytes, bytes]] = []
    for _ in range(int(days)):
        mail.advance(DAY)
        frames = line.read()
        found += absences(frames)
        keep(line, frames)
    return found


def cursors(mail: Mail, name: bytes) -> dict[str, Any]:
    query = "SELECT name, cursor FROM device WHERE member = ?"
    tables = mail.store._tables  # pyright: ignore[reportPrivateUsage]
    return mail.store._database.within(  # pyright: ignore[reportPrivateUsage]
        lambda: dict(tables.read(query, (mail.members[name].number,)).fetchall())
    )


def test_an_absent_device_lapses_after_its_owner_was_told() -> None:
    mail, _, desk = world()
    (event,) = use(mail, desk, 80)
    assert event[b"device"] == b"phone"
    assert event[b"since"] == time_text(1000)
    assert event[b"until"] == time_text(1001 + AGE), "14 days after that was noticed"
    assert cursors(mail, b"bob")["phone"] is not None
    assert use(mail, desk, 20) == [], "once"
    assert cursors(mail, b"bob")["phone"] is None
    assert mail.store.check() == []


def test_the_member_can_be_reached_again_on_the_device_in_use() -> None:
    mail, alice, desk = world(messages=10)
    sent = 0
    while True:
        sent += 1
        frames = alice.write(message(b"bob", b"x", b"m%d" % sent))
        keep(alice, frames)
        keep(desk, desk.read())
        if frames[0][0].code:
            break
    assert reason(frames[:1]) == "the mailbox of bob is full"
    told_of = use(mail, desk, 3)
    assert [event[b"device"] for event in told_of] == [b"phone"], "at once, since the mailbox is nearly full"
    use(mail, desk, 14)
    keep(alice, alice.read())
    (accepted, *_) = alice.write(message(b"bob", b"again", b"n1"))
    assert accepted[0].verb is Verb.ACCEPTED
    assert told(desk.read())[-1][2] == "n1"
    assert mail.store.check() == []


def test_the_history_stays_for_the_device_that_lapsed() -> None:
    mail, alice, desk = world()
    alice.write(message(b"bob", b"hello", b"m1"))
    keep(desk, desk.read())
    use(mail, desk, 100)
    alice.write(message(b"bob", b"later", b"m2"))
    keep(desk, desk.read())
    phone = mail.device(b"bob", b"phone")
    assert phone.read() == []
    assert [body for _, body in phone.write(frame(Verb.HISTORY, b"alice"))] == [b"hello", b"later", b""]
    alice.write(message(b"bob", b"now", b"m3"))
    assert told(phone.read())[0][2] == "m3"
    assert mail.store.check() == []


def test_a_device_that_comes_back_in_time_misses_nothing() -> None:
    mail, alice, desk = world()
    alice.write(message(b"bob", b"hello", b"m1"))
    keep(desk, desk.read())
    assert use(mail, desk, 80)
    phone = mail.device(b"bob", b"phone", window=10)
    keep(phone, phone.read())
    phone.cut()
    assert use(mail, desk, 70) == []
    assert cursors(mail, b"bob")["phone"] is not None
    assert use(mail, desk, 10), "it stays away again"


def test_the_device_that_was_connected_last_does_not_lapse() -> None:
    mail = Mail(b"alice", b"bob", device_age=AGE)
    mail.device(b"bob", b"phone").cut()
    alice = mail.device(b"alice")
    alice.write(message(b"bob", b"hello", b"m1"))
    use(mail, alice, 300)
    assert told(mail.device(b"bob", b"phone").read())[0][2] == "m1"


def test_a_connected_device_does_not_lapse_whether_it_acknowledges_or_not() -> None:
    mail = Mail(b"alice", b"bob", device_age=AGE)
    phone = mail.device(b"bob", b"phone")
    mail.advance(1)
    desk = mail.device(b"bob", b"desk")
    assert use(mail, desk, 300) == []
    assert None not in cursors(mail, b"bob").values()
    assert not phone.closed


def test_devices_shows_when_a_device_was_last_connected() -> None:
    mail, _, desk = world()
    use(mail, desk, 100)
    listed = {each["device"]: each["seen"] for each in objects(desk.write(b"DEVICES\n\n"))}
    assert listed["phone"] == time_text(1000).decode()


def test_many_members_are_looked_at_in_steps() -> None:
    names = [b"u%d" % number for number in range(600)]
    mail = Mail(*names, device_age=AGE)
    for name in names:
        mail.device(name, b"phone").cut()
    mail.advance(1)
    desks = [mail.device(name, b"desk") for name in names[::299]]
    mail.advance(80 * DAY)
    assert all(len(absences(desk.read())) == 1 for desk in desks)


# The rule

times = st.floats(0, 300 * DAY)


@given(st.lists(st.tuples(times, times), max_size=5), times, st.booleans())
def test_nothing_lapses_without_notice_and_one_device_never_does(
    devices: list[tuple[float, float]], time: float, filling: bool
) -> None:
    absence = Absence(AGE, 14 * DAY)
    records = [ReceivingDevice(1, str(number), seen, when) for number, (seen, when) in enumerate(devices)]
    found = {each.name: each for each in find_absent(records, time, absence, is_filling=filling)}
    assert len(found) < max(len(records), 1)
    for record in records:
        each = found.get(record.name)
        if each is None:
            continue
        assert time > record.seen
        if each.lapses:
            assert record.told > record.seen, "its owner was told"
            assert time - record.told > absence.notice
            assert filling or time - record.seen > AGE
        else:
            assert record.told <= record.seen, "its owner is told once"
            assert each.until >= time + absence.notice
            assert filling or each.until >= record.seen + AGE
