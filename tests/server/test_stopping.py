"""A server that is asked to stop (rule 4.10)."""

import signal
import socket
from collections.abc import Callable
from typing import TypeAlias

import pytest

from tests.sockets import Visitors, patiently
from twotick.server import ServerLimits
from twotick.wire import UNABLE_TO_SEND, Side, forward_start, received, register, registered, send

StartServer: TypeAlias = Callable[[ServerLimits], Visitors]

each_signal = pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])


def ask_to_stop(visitors: Visitors, number: signal.Signals) -> None:
    """Returns when the server has begun to stop: it accepts no more connections."""
    visitors.server.signal(number)
    for _ in patiently():
        with socket.socket() as probe:
            if probe.connect_ex(visitors.server.address):
                return
    raise TimeoutError("the server accepts connections")


@each_signal
def test_nobody_is_there(start_server: StartServer, number: signal.Signals) -> None:
    """It ends at once, in good order."""
    visitors = start_server(ServerLimits(stop_timeout=1000.0, linger_timeout=1000.0))
    visitors.server.signal(number)
    visitors.server.wait()


@each_signal
def test_receivers_may_still_answer(start_server: StartServer, number: signal.Signals) -> None:
    """What they answer is answered to the senders, and it does not wait for longer than for the last of them."""
    visitors = start_server(ServerLimits(stop_timeout=1000.0, linger_timeout=1000.0))
    alice, alice_receiving = visitors.user(b"alice")
    bob_sending, bob = visitors.user(b"bob")
    stranger = visitors.connect()
    half = visitors.side(Side.SENDING, b"half")
    alice.write(send(b"bob", b"one") + send(b"bob", b"two"))
    bob.expect(forward_start(b"alice") + b"3\n\none")
    ask_to_stop(visitors, number)
    bob_sending.write(send(b"alice", b"too late"))
    bob.write(received(b"alice"))
    bob.expect(forward_start(b"alice") + b"3\n\ntwo")
    bob.write(received(b"alice"))
    assert alice.rest() == b"SEND bob\n\n" * 2
    assert [each.rest() for each in (alice_receiving, bob_sending, bob, stranger, half)] == [b""] * 5
    visitors.server.wait()


@each_signal
def test_what_is_unanswered_in_the_end_is_answered(start_server: StartServer, number: signal.Signals) -> None:
    """102 for what was forwarded, for what waits, and for who has closed that half already."""
    visitors = start_server(ServerLimits(stop_timeout=0.5, linger_timeout=0.25))
    alice, alice_receiving = visitors.user(b"alice")
    carol = visitors.side(Side.RECEIVING, b"carol")
    _, bob = visitors.user(b"bob")
    alice.write(send(b"bob", b"one") + send(b"nobody", b"") + send(b"bob", b"two") + send(b"ALL", b"three"))
    bob.expect(forward_start(b"alice") + b"3\n\none")
    piped = visitors.connect()
    piped.write(register(Side.SENDING, b"carol") + send(b"alice", b"four"))
    alice_receiving.expect(forward_start(b"carol") + b"4\n\nfour")
    piped.socket.shutdown(socket.SHUT_WR)
    visitors.server.signal(number)
    assert alice.rest() == UNABLE_TO_SEND * 4
    assert piped.rest() == registered(Side.SENDING, b"carol") + UNABLE_TO_SEND
    assert carol.rest() in (b"", forward_start(b"alice") + b"5\n\nthree")
    assert (bob.rest(), alice_receiving.rest()) == (b"", b"")
    visitors.server.wait()


def test_peers_that_do_not_go(start_server: StartServer) -> None:
    """`linger_timeout`: it does not wait for them for ever, nor for those that read nothing."""
    visitors = start_server(ServerLimits(stop_timeout=0.25, linger_timeout=0.25))
    alice, _ = visitors.user(b"alice")
    _, bob = visitors.user(b"bob", window=256)
    alice.write(send(b"bob", bytes(1 << 20)) * 8)
    bob.read(1)
    visitors.server.signal(signal.SIGTERM)
    visitors.server.wait()
    alice.close()
    bob.close()


def test_a_second_signal_changes_nothing(start_server: StartServer) -> None:
    """Senders that wait are answered all the same."""
    visitors = start_server(ServerLimits(stop_timeout=1000.0))
    alice, alice_receiving = visitors.user(b"alice")
    alice.write(send(b"alice", b"hi"))
    alice_receiving.expect(forward_start(b"alice") + b"2\n\nhi")
    ask_to_stop(visitors, signal.SIGINT)
    visitors.server.signal(signal.SIGTERM)
    visitors.server.signal(signal.SIGINT)
    alice_receiving.write(received(b"alice"))
    assert (alice.rest(), alice_receiving.rest()) == (b"SEND alice\n\n", b"")
    visitors.server.wait()
