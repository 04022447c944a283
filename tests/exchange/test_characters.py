"""Classic receivers that count characters instead of bytes (rule 5.10)."""

from hypothesis import given
from hypothesis import strategies as st

from tests.exchange.mail import Mail, message
from tests.exchange.network import End, Network, inside
from twotick.exchange import Limits
from twotick.exchange.characters import CharacterCounts
from twotick.wire import HEADER_INCOMPLETE, UNABLE_TO_SEND, received, send

CAFE = "café".encode()
IN_BYTES = b"FORWARD alice\nContent-length: 5\n\n" + CAFE
IN_CHARACTERS = b"FORWARD alice\nContent-length: 4\n\n" + CAFE
SENT = b"SEND bob\n\n"


def users(network: Network) -> tuple[End, End]:
    """Return where alice sends, and where bob receives."""
    sending, _ = network.user(b"alice")
    _, receiving = network.user(b"bob")
    sending.read()
    receiving.read()
    return sending, receiving


def test_a_receiver_that_counts_characters_is_given_them_and_that_is_remembered() -> None:
    alice, bob = users(Network())
    assert alice.send(b"bob", CAFE) == b""
    assert bob.read() == IN_BYTES
    assert bob.ask(HEADER_INCOMPLETE) == IN_CHARACTERS
    assert alice.read() == b"", "it is not refused"
    bob.write(received(b"alice"))
    assert alice.read() == SENT
    for _ in range(2):
        alice.write(send(b"bob", CAFE))
        assert bob.read() == IN_CHARACTERS
        bob.write(received(b"alice"))
        assert alice.read() == SENT
    alice.write(send(b"bob", b"plain"))
    assert bob.read() == b"FORWARD alice\nContent-length: 5\n\nplain"


def test_it_may_refuse_a_message_that_counts_characters() -> None:
    alice, bob = users(Network())
    alice.send(b"bob", CAFE)
    bob.ask(HEADER_INCOMPLETE)
    bob.write(received(b"alice"))
    alice.read()
    assert alice.send(b"bob", CAFE) == b""
    bob.read()
    assert bob.ask(HEADER_INCOMPLETE) == b""
    assert alice.read() == UNABLE_TO_SEND


def test_a_receiver_that_refuses_both_counts_bytes() -> None:
    """It is given each later message once, with bytes."""
    alice, bob = users(Network())
    alice.send(b"bob", CAFE)
    bob.ask(HEADER_INCOMPLETE)
    assert bob.ask(HEADER_INCOMPLETE) == b""
    assert alice.read() == UNABLE_TO_SEND
    bob.read()
    assert alice.send(b"bob", CAFE) == b""
    assert bob.read() == IN_BYTES
    assert bob.ask(HEADER_INCOMPLETE) == b""
    assert alice.read() == UNABLE_TO_SEND


def test_other_refusals_count() -> None:
    for body, answer in (
        (b"plain", HEADER_INCOMPLETE),
        (b"caf\xe9", HEADER_INCOMPLETE),  # not UTF-8: it has no characters
        (("é" * 5000).encode(), HEADER_INCOMPLETE),  # more than is kept
        (CAFE, b"ERROR 102 no\n\n"),
        (CAFE, b"ERROR\n\n"),
    ):
        alice, bob = users(Network())
        alice.send(b"bob", body)
        bob.read()
        assert bob.ask(answer) == b""
        assert alice.read() == UNABLE_TO_SEND


def test_a_receiver_that_asked_for_a_window_counts_bytes() -> None:
    network = Network()
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob", 8)
    bob.read()
    alice.send(b"bob", CAFE)
    assert bob.read() == IN_BYTES
    assert bob.ask(HEADER_INCOMPLETE) == b""
    assert alice.read() == UNABLE_TO_SEND


def test_an_earlier_message_is_not_given_again() -> None:
    """The refusal is of the message that is under way, whatever came before."""
    alice, bob = users(Network())
    alice.send(b"bob", CAFE)
    bob.write(received(b"alice"))
    bob.read()
    alice.read()
    alice.send(b"bob", b"plain")
    bob.read()
    assert bob.ask(HEADER_INCOMPLETE) == b""
    assert alice.read() == UNABLE_TO_SEND


def test_a_message_that_ran_out_of_time_is_not_given_again() -> None:
    network = Network()
    alice, bob = users(network)
    alice.send(b"bob", CAFE)
    bob.read()
    network.advance(31)
    assert alice.read() == UNABLE_TO_SEND
    assert bob.ask(HEADER_INCOMPLETE) == b""


def test_messages_that_waited_and_messages_to_all_too() -> None:
    network = Network()
    alice, bob = users(network)
    alice.write(send(b"bob", b"first") + send(b"ALL", CAFE))
    bob.read()
    assert bob.ask(received(b"alice")) == IN_BYTES
    assert bob.ask(HEADER_INCOMPLETE) == IN_CHARACTERS
    alice.read()
    bob.write(received(b"alice"))
    network.advance(0)
    others = [end for end in network.ends if end not in (alice, bob)]
    for end in others:
        end.write(received(b"alice"))
    assert alice.read() == b"SEND ALL\n\n"


def test_what_a_member_sends_too() -> None:
    mail = Mail(b"alice")
    alice = mail.device(b"alice")
    _, bob = mail.classic(b"bob")
    alice.write(message(b"bob", CAFE, b"m1"))
    written: list[bytes] = []
    bob.take = written.append  # type: ignore[method-assign]
    bob.write(HEADER_INCOMPLETE)
    assert written == [IN_CHARACTERS]


def test_what_is_kept_is_bounded() -> None:
    """Of more receivers than that, those who were given something first are not given it once more."""
    network = Network(Limits(unanswered=4096))
    alice, _ = network.user(b"alice")
    receivers = [network.user(b"b%d" % number)[1] for number in range(1025)]
    for number, receiver in enumerate(receivers):
        alice.send(b"b%d" % number, CAFE)
        receiver.read()
    assert receivers[0].ask(HEADER_INCOMPLETE) == b""
    assert receivers[1].ask(HEADER_INCOMPLETE) == IN_CHARACTERS


@given(st.lists(st.sampled_from(["send", "plain", "refuse", "take", "leave"]), max_size=20))
def test_every_send_is_answered_and_nothing_stays(events: list[str]) -> None:
    network = Network()
    alice, _ = network.user(b"alice")
    _, bob = network.user(b"bob")
    sent = 0
    answers = b""
    for event in events:
        if event in ("send", "plain") and not bob.closed:
            sent += 1
            alice.write(send(b"bob", CAFE if event == "send" else b"plain"))
        elif event == "leave":
            bob.disconnect()
        elif not bob.closed:
            bob.write(HEADER_INCOMPLETE if event == "refuse" else received(b"alice"))
        answers += alice.read()
    network.advance(31)
    answers += alice.read()
    assert answers.count(b"\n\n") == sent
    held = network.leave()
    characters: CharacterCounts = inside(inside(network.exchange, "_relay"), "_characters")
    assert not held
    assert not any(inside(characters, name) for name in ("_kept", "_given_again", "_in_characters"))
