"""Many users at once."""

import resource
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.sockets import Visitors
from twotick.exchange import Limits
from twotick.server import ServerLimits
from twotick.wire import (
    CLASSIC_SIDES,
    MALFORMED_USERNAME,
    UNABLE_TO_SEND,
    Side,
    forward_start,
    received,
    register,
    registered,
    send,
)

USERS = 1000


@pytest.fixture
def many_files() -> None:
    """Let this process open as many files as a crowd needs."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < 4 * USERS:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4 * USERS, hard), hard))


@pytest.mark.usefixtures("many_files")
@pytest.mark.parametrize("window", [None, 256])
def test_a_thousand_users_write_to_one(start_server: Callable[[ServerLimits], Visitors], window: int | None) -> None:
    """Rules 1.1 and 5.6: every one is answered, no message is mixed with another, and memory is bounded."""
    visitors = start_server(ServerLimits())
    bob_sending, bob = visitors.user(b"bob", window)
    names = [b"u%d" % number for number in range(USERS)]
    bodies = {name: (name + b"\n\nRECEIVED bob\n\n") * 300 for name in names}
    senders = {name: visitors.user(name)[0] for name in names}
    before = visitors.server.memory
    for name, sender in senders.items():
        sender.write(send(b"bob", bodies[name]) + send(b"bob", b"again"))
    heard: dict[bytes, list[bytes]] = {name: [] for name in names}
    for _ in range(2 * USERS):
        verb, name, body = bob.frame()
        assert verb == b"FORWARD"
        heard[name].append(body)
        bob.write(received(name))
    for sender in senders.values():
        sender.expect(b"SEND bob\n\nSEND bob\n\n")
    assert heard == {name: [bodies[name], b"again"] for name in names}
    assert visitors.server.memory - before < 100 << 20
    assert bob_sending.finish() == b""


@pytest.mark.usefixtures("many_files")
def test_a_message_to_a_thousand_users(start_server: Callable[[ServerLimits], Visitors]) -> None:
    """Rule 5.9."""
    visitors = start_server(ServerLimits())
    alice, _ = visitors.user(b"alice")
    receivers = [visitors.user(b"u%d" % number)[1] for number in range(USERS)]
    body = b"x" * 20_000
    alice.write(send(b"ALL", body))
    for receiver in receivers:
        receiver.expect(forward_start(b"alice") + b"20000\n\n" + body)
        receiver.write(received(b"alice"))
    alice.expect(b"SEND ALL\n\n")


def test_one_bad_receiver_costs_a_message_to_all_the_time_limit_only(
    start_server: Callable[[ServerLimits], Visitors],
) -> None:
    """Rules 5.7 and 5.9: all others have it at once, and more besides; then the sender is answered, once."""
    visitors = start_server(ServerLimits(exchange=Limits(answer_timeout=1.0)))
    alice, _ = visitors.user(b"alice")
    carol, _ = visitors.user(b"carol")
    receivers = [visitors.user(b"u%d" % number)[1] for number in range(20)]
    _, bad = visitors.user(b"bad")
    alice.write(send(b"ALL", b"hi") + send(b"nobody", b""))
    for number, receiver in enumerate(receivers):
        receiver.expect(forward_start(b"alice") + b"2\n\nhi")
        receiver.write(received(b"alice"))
        carol.write(send(b"u%d" % number, b"meanwhile"))
        receiver.expect(forward_start(b"carol") + b"9\n\nmeanwhile")
        receiver.write(received(b"carol"))
        carol.expect(b"SEND u%d\n\n" % number)
    alice.expect(UNABLE_TO_SEND * 2)
    bad.expect(forward_start(b"alice") + b"2\n\nhi")
    assert (alice.finish(), carol.finish(), bad.finish()) == (b"", b"", b"")


@pytest.mark.parametrize("side", CLASSIC_SIDES)
def test_two_connections_ask_for_one_name_at_the_same_moment(visitors: Visitors, side: Side) -> None:
    """Rule 4.4: exactly one of them gets it, every time."""
    granted = registered(side, b"alice")
    moment = Barrier(2)

    def ask(_: int) -> bytes:
        peer = visitors.connect()
        moment.wait()
        peer.write(register(side, b"alice"))
        answer = peer.read(len(granted))
        return answer + peer.read(len(MALFORMED_USERNAME) - len(granted)) if answer != granted else answer

    with ThreadPoolExecutor(2) as pool:
        for _ in range(200):
            assert sorted(pool.map(ask, range(2))) == [MALFORMED_USERNAME, granted]
            visitors.leave()


def test_both_sides_register_at_the_same_moment(visitors: Visitors) -> None:
    """Rule 4.3: from two threads, every time."""
    moment = Barrier(2)

    def ask(side: Side) -> None:
        peer = visitors.connect()
        moment.wait()
        peer.ask(register(side, b"alice"), registered(side, b"alice"))

    with ThreadPoolExecutor(2) as pool:
        for _ in range(100):
            list(pool.map(ask, CLASSIC_SIDES))
            visitors.leave()
