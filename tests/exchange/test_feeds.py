"""The entries that are kept ready for members' devices: their total, which addresses share (rules 8.1 and 11.2)."""

from hypothesis import given
from hypothesis import strategies as st

from tests.exchange.mail import Line, Mail, message, taken
from twotick.exchange import Limits
from twotick.wire import Frame, Side, Verb, register

TOTAL = 1000


def mail_with(*names: bytes) -> Mail:
    return Mail(b"alice", *names, limits=Limits(feed_bytes_total=TOTAL))


def device(mail: Mail, name: bytes, called: bytes, address: str) -> Line:
    line = Line(mail, address)
    answer, *rest = line.write(register(Side.DUPLEX, name, 1, authorization=name, device=called))
    assert answer[0].verb is Verb.REGISTERED
    line.got = rest
    return line


def held(line: Line) -> int:
    """The bytes that are kept ready for a device."""
    own = line.connection.device
    assert own is not None
    assert own.feed is not None
    assert own.feed.size == sum(len(entry.body) + len(entry.headers) for entry in own.feed.entries)
    return own.feed.size


def used(mail: Mail) -> int:
    """What is counted of the total."""
    return mail.exchange._members.feed_bytes.used  # pyright: ignore[reportPrivateUsage]


def acknowledge(line: Line, frames: list[Frame]) -> None:
    """Acknowledge entries; what comes then is to be read."""
    for head, _ in frames:
        answer = line.write(taken(int(head.headers[b"seq"])))
        line.got += answer


def drain(line: Line) -> list[bytes]:
    """Acknowledge all that comes; returns the bodies of messages."""
    got: list[bytes] = []
    frames: list[Frame] = line.read()
    while frames:
        got += [body for head, body in frames if head.verb is Verb.FORWARD]
        frames = [answer for head, _ in frames for answer in line.write(taken(int(head.headers[b"seq"])))]
    return got


def test_devices_of_one_address_leave_some_of_the_total_to_others() -> None:
    mail = mail_with(b"bob", b"carol")
    greedy = [device(mail, b"bob", b"d%d" % number, "192.0.2.9") for number in range(6)]
    alice = mail.sender(b"alice")
    bodies = [b"%02d" % number + bytes(98) for number in range(12)]
    for number, body in enumerate(bodies):
        alice.write(message(b"bob", body, b"b%d" % number))
    assert 600 < sum(map(held, greedy)) == used(mail) <= TOTAL * 3 // 4
    carol = device(mail, b"carol", b"main", "192.0.2.1")
    for number in range(3):
        alice.write(message(b"carol", bytes(10), b"c%d" % number))
    assert held(carol) > 20, "the second and the third: the first one is sent"
    for line in greedy:
        assert drain(line) == bodies, "nothing is lost, and all is in order"
    assert len(drain(carol)) == 3
    assert used(mail) == 0


def test_what_is_kept_for_a_device_that_goes_is_given_back() -> None:
    mail = mail_with(b"bob")
    lines = [device(mail, b"bob", b"d%d" % number, "192.0.2.9") for number in range(2)]
    alice = mail.sender(b"alice")
    for number in range(5):
        alice.write(message(b"bob", bytes(100), b"b%d" % number))
    assert used(mail) == sum(map(held, lines)) > 0
    lines[0].cut()
    assert used(mail) == held(lines[1])
    again = device(mail, b"bob", b"d1", "192.0.2.1")
    assert lines[1].closed
    assert used(mail) == held(again)
    assert len(drain(again)) == 5


steps = st.lists(
    st.tuples(st.sampled_from(["send", "expiring", "ack", "cut", "clog", "flow", "wait"]), st.integers(0, 3)),
    max_size=60,
)


@given(steps)
def test_whatever_happens_devices_get_all_in_order(events: list[tuple[str, int]]) -> None:
    """And what is counted is what is kept."""
    mail = mail_with(b"bob")
    addresses = ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"]
    lines = [device(mail, b"bob", b"d%d" % number, address) for number, address in enumerate(addresses)]
    got: list[list[bytes]] = [[] for _ in lines]
    alice = mail.sender(b"alice")
    sent: list[bytes] = []

    def note(which: int, frames: list[Frame]) -> None:
        got[which] += [head.headers[b"id"] for head, _ in frames if head.verb is Verb.FORWARD]

    for number, (event, which) in enumerate(events):
        line = lines[which]
        match event:
            case "send" | "expiring":
                expires = 5 if event == "expiring" else None
                alice.write(message(b"bob", bytes(150 * which), b"m%d" % number, expires=expires))
                sent.append(b"m%d" % number)
            case "ack":
                frames = line.read()
                note(which, frames)
                acknowledge(line, frames)
            case "cut":
                line.cut()
                note(which, line.read())
                lines[which] = device(mail, b"bob", b"d%d" % which, addresses[which])
            case "clog":
                mail.exchange.clogged(line.connection)
                mail.settle()
            case "flow":
                mail.exchange.flowing(line.connection)
                mail.settle()
            case _:
                mail.advance(1 + which)
        assert used(mail) == sum(map(held, lines)) <= TOTAL + 450
    for which, line in enumerate(lines):
        mail.exchange.flowing(line.connection)
        mail.settle()
        for _ in range(len(sent) + 1):
            frames = line.read()
            note(which, frames)
            acknowledge(line, frames)
    for identifiers in got:
        once = list(dict.fromkeys(identifiers))
        assert once == [each for each in sent if each in once]
        lasting = [b"m%d" % number for number, (event, _) in enumerate(events) if event == "send"]
        assert set(lasting) <= set(once)
    assert used(mail) == 0
