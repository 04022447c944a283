"""What the operator does, and what the server does with connections when it stops (rules 9.13, 10.10 and 10.11)."""

import pytest

from tests.exchange.mail import Line, Mail, message, objects, told
from tests.exchange.test_presence import friends
from twotick.exchange import Limits
from twotick.store import FindActs, SetDisabled, SetDisplay, SignOut, StoreError
from twotick.wire import Frame, Side, Verb, frame, register


def last_error(line: Line) -> tuple[int, str]:
    """The error with which the server has closed a connection."""
    head = line.read()[-1][0]
    assert line.closed
    return head.code, head.headers[b"reason"].decode()


def look(mail: Mail) -> None:
    """Let the server notice that the operator has done something."""
    mail.exchange.members_changed()
    mail.advance(0.25)


def test_a_disabled_member_is_disconnected_everywhere() -> None:
    mail = Mail(b"alice", b"bob")
    mail.advance(0.25)
    phone, sender, bob = mail.device(b"alice", b"phone"), mail.sender(b"alice"), mail.device(b"bob")
    assert mail.store.ask(SetDisabled("alice", True, mail.now))
    look(mail)
    assert [last_error(line) for line in (phone, sender)] == [(108, "the account was disabled")] * 2
    assert not bob.closed
    assert told(bob.write(message(b"bob", b"note", b"1")))[0][0] == "ACCEPTED"


def test_a_device_that_the_operator_signs_out_is_disconnected_with_those_below_it() -> None:
    mail = Mail(b"alice")
    mail.advance(0.25)
    below, phone, pad = (mail.device(b"alice", name) for name in (b"phone/a", b"phone", b"pad"))
    assert mail.store.ask(SignOut(mail.members[b"alice"].number, "phone", "lost", mail.now))
    look(mail)
    assert [last_error(line) for line in (below, phone)] == [(108, "lost")] * 2
    assert not pad.closed


def test_acts_that_could_not_be_read_are_read_at_the_next_tick() -> None:
    mail = Mail(b"alice")
    mail.advance(0.25)
    alice = mail.device(b"alice")
    mail.store.ask(SetDisabled("alice", True, mail.now))
    mail.answers[FindActs] = lambda _: StoreError("the disk failed")
    look(mail)
    assert not alice.closed
    mail.answers.clear()
    mail.advance(0.25)
    assert alice.closed


def test_a_display_name_that_the_operator_sets_is_told() -> None:
    mail, (alice, bob) = friends(b"alice", b"bob")
    mail.advance(0.25)
    assert objects(alice.write(frame(Verb.PROFILE, b"", id=b"q"))) == []
    assert mail.store.ask(SetDisplay(mail.members[b"bob"].number, "Bob M.", mail.now)) is None
    look(mail)
    mail.advance(0.25)
    mail.advance(0.25)
    assert [head.headers[b"display"] for head, _ in alice.read() if head.verb is Verb.PROFILE] == [b"Bob M."]
    assert not bob.closed


def test_members_are_sent_away_in_parts_and_told_when_to_come_back() -> None:
    mail = Mail(b"alice", b"bob", b"carol", b"dave")
    lines = [mail.device(name) for name in mail.members]
    assert mail.exchange.members_connected == 4
    mail.exchange.dismiss(2, 9.0)
    mail.settle()
    gone = [line for line in lines if line.closed]
    assert len(gone) == mail.exchange.members_connected == 2
    heads = [line.read()[-1][0] for line in gone]
    assert [(head.code, head.headers.get(b"retry-after")) for head in heads] == [(107, None), (107, b"4")]
    mail.exchange.dismiss(1, 0.0)
    mail.settle()
    assert all(line.closed for line in lines)


def test_limits_that_are_loaded_again_hold_at_once() -> None:
    mail = Mail(b"alice", b"bob", limits=Limits(requests_member=100))
    alice = mail.device(b"alice", window=9)
    search = frame(Verb.SEARCH, b"", b"words", id=b"q")
    assert [alice.write(search)[0][0].code for _ in range(3)] == [0, 0, 0]
    mail.exchange.use_limits(Limits(requests_member=1, requests_address=1))
    codes = [alice.write(search)[0][0].code for _ in range(3)]
    assert codes[-1] == 105
    assert mail.exchange.idle
    assert mail.exchange.queued_bytes == 0


def test_a_device_that_is_a_part_of_the_server_needs_no_login() -> None:
    mail = Mail(b"alice", b"bob")
    line = Line(mail)
    line.take(b"")
    ((head, _),) = line._server.feed(register(Side.DUPLEX, b"bob", 1))  # pyright: ignore[reportPrivateUsage]
    mail.exchange.admit(line.connection, head, mail.members[b"bob"], "hook")
    mail.settle()
    assert line.read()[0][0].verb is Verb.REGISTERED
    mail.sender(b"alice").write(message(b"bob", b"hi", b"1"))
    assert told(line.read()) == [("FORWARD", "alice", "1", 1, "hi")]


@pytest.mark.parametrize("is_sender", [False, True])
def test_a_password_that_is_not_changed_is_refused_and_the_connection_goes_on(is_sender: bool) -> None:
    mail = Mail(b"alice")
    mail.password_refusal = 104, "the old password is wrong", None
    alice = mail.sender(b"alice") if is_sender else mail.device(b"alice")
    (answer,) = alice.write(frame(Verb.PASSWORD, id=b"p", Old=b"b2xk", New=b"bmV3IHBhc3N3b3Jk"))
    assert refusal(answer) == (104, b"p", b"the old password is wrong")
    mail.password_refusal = 105, "too many tries", 7
    (answer,) = alice.write(frame(Verb.PASSWORD, id=b"r", Old=b"b2xk", New=b"bmV3IHBhc3N3b3Jk"))
    assert refusal(answer) == (105, b"r", b"too many tries")
    assert answer[0].headers[b"retry-after"] == b"7"
    mail.password_refusal = None
    (answer,) = alice.write(frame(Verb.PASSWORD, id=b"s", Old=b"b2xk", New=b"bmV3IHBhc3N3b3Jk"))
    assert answer[0].verb is Verb.PASSWORD
    assert not alice.closed


def refusal(answer: Frame) -> tuple[int, bytes, bytes]:
    head, _ = answer
    return head.code, head.headers[b"id"], head.headers[b"reason"]


def test_a_changed_password_can_disconnect_the_devices_on_other_machines() -> None:
    mail = Mail(b"alice")
    here, beside, other = (mail.device(b"alice", name) for name in (b"desk/app", b"desk/script", b"phone"))
    asked = {"Old": b"b2xk", "New": b"bmV3IHBhc3N3b3Jk", "Revoke_others": b"yes"}
    assert here.write(frame(Verb.PASSWORD, id=b"p", **asked))[0][0].verb is Verb.PASSWORD
    assert last_error(other)[0] == 108
    assert not (here.closed)
    assert not (beside.closed)
