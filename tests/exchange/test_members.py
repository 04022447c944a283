"""Members through the exchange and a real store (docs/protocol.md, sections 9 to 11)."""

import pytest

from tests.exchange.mail import Mail, message, reason, taken, told
from tests.exchange.network import inside
from tests.server.test_conversation import EXAMPLES
from twotick.exchange import Limits
from twotick.store import (
    Acknowledge,
    AddMember,
    Effects,
    FindMember,
    FindMembers,
    ListDevices,
    LoginProof,
    MarkRead,
    Member,
    OpenDevice,
    OpenedDevice,
    Refuse,
    RemoveMember,
    SetPassword,
    Settle,
    StoreError,
)
from twotick.wire import (
    HEADER_INCOMPLETE,
    HeadCache,
    Parser,
    Side,
    Verb,
    error,
    frame,
    received,
    register,
    registered,
    send,
)


def test_a_message_between_members_is_accepted_delivered_and_read() -> None:
    """Rules 11.1, 11.3, 11.6 and 11.8."""
    mail = Mail(b"alice", b"bob")
    alice, bob = mail.device(b"alice", window=16), mail.device(b"bob")
    assert told(alice.write(message(b"Bob", b"hello", b"m1"))) == [("ACCEPTED", "Bob", "m1", 1)]
    assert told(bob.read()) == [("FORWARD", "alice", "m1", 1, "hello")]
    assert bob.write(taken(1)) == []
    assert told(alice.read()) == [("SEND", "Bob", "m1", 2)]
    bob.write(frame(Verb.READ, b"alice", seq=1))
    assert told(alice.read()) == [("READ", "Bob", "m1", 3)]
    assert bob.write(frame(Verb.READ, b"alice", seq=1)) == []
    assert alice.read() == []


def test_what_comes_while_no_device_is_connected_is_kept_in_order() -> None:
    """Rules 11.2 and 11.3."""
    mail = Mail(b"alice", b"bob")
    mail.device(b"bob").cut()
    alice = mail.device(b"alice", window=64)
    for number in range(9):
        alice.write(message(b"bob", b"%d" % number, b"m%d" % number))
    bob = mail.device(b"bob", window=4)
    got = bob.read()
    assert len(got) == 4
    while got and len(got) < 9:
        got += bob.write(taken(int(got[-1][0].headers[b"seq"])))
    assert [body for _, body in got] == [b"%d" % number for number in range(9)]
    bob.write(taken(9))
    assert [line[0] for line in told(alice.read())].count("SEND") == 9
    bob.cut()
    assert mail.device(b"bob").read() == []


def test_entries_that_were_not_acknowledged_come_again_after_a_cut() -> None:
    """Rules 11.2 and 11.5."""
    mail = Mail(b"alice", b"bob")
    bob = mail.device(b"bob", window=8)
    alice = mail.device(b"alice", window=64)
    alice.write(b"".join(message(b"bob", b"x", b"m%d" % number) for number in range(3)))
    assert [line[3] for line in told(bob.read())] == [1, 2, 3]
    bob.write(taken(1))
    bob.cut()
    bob = mail.device(b"bob", window=8)
    assert [line[3] for line in told(bob.read())] == [2, 3]
    bob.cut()
    bob = mail.device(b"bob", window=8, seq=2)
    assert [line[3] for line in told(bob.read())] == [3]
    assert [line[2] for line in told(alice.read()) if line[0] == "SEND"] == ["m0", "m1"]


def test_every_device_gets_everything_once_and_copies_of_what_another_sent() -> None:
    """Rules 11.1, 11.2 and 11.3."""
    mail = Mail(b"alice", b"bob")
    phone, laptop = mail.device(b"bob", b"phone", 9), mail.device(b"bob", b"laptop", 9)
    alice = mail.device(b"alice", window=9)
    alice.write(message(b"bob", b"one", b"m1"))
    assert told(phone.read()) == told(laptop.read()) == [("FORWARD", "alice", "m1", 1, "one")]
    assert told(phone.write(message(b"alice", b"two", b"p1"))) == [("ACCEPTED", "alice", "p1", 2)]
    ((copy, body),) = laptop.read()
    assert (copy.name, copy.headers[b"to"], copy.headers[b"id"], body) == (b"bob", b"alice", b"p1", b"two")
    assert told(alice.read()) == [("FORWARD", "bob", "p1", 2, "two")]
    alice.write(taken(2))
    assert told(phone.read()) == told(laptop.read()) == [("SEND", "alice", "p1", 3)]
    phone.write(frame(Verb.READ, b"alice", seq=1))
    ((head, _),) = laptop.read()
    assert (head.verb, head.name, head.headers[b"up-to"]) == (Verb.READ, b"alice", b"1")
    assert phone.read() == []


def test_the_same_id_again_is_answered_with_what_is_known() -> None:
    """Rule 11.7."""
    mail = Mail(b"alice", b"bob", b"carol")
    bob, alice = mail.device(b"bob"), mail.device(b"alice", window=9)
    alice.write(message(b"bob", b"hello", b"m1"))
    assert told(alice.write(message(b"bob", b"hello", b"m1"))) == [("ACCEPTED", "bob", "m1", 1)]
    got = bob.read() + bob.write(taken(1))
    alice.cut()
    alice = mail.device(b"alice", b"other", window=9)
    again = told(alice.write(message(b"bob", b"hello", b"m1")))
    assert again == [("ACCEPTED", "bob", "m1", 1), ("SEND", "bob", "m1", 0)]
    ((*_, reason),) = told(alice.write(message(b"carol", b"hello", b"m1")))
    assert reason == "this Id was used for another message"
    assert [line[4] for line in told(got + bob.read())] == ["hello"]


def test_a_refused_message_is_told_and_not_given_to_other_devices() -> None:
    """Rule 11.4."""
    mail = Mail(b"alice", b"bob")
    phone, laptop = mail.device(b"bob", b"phone"), mail.device(b"bob", b"laptop")
    laptop.cut()
    alice = mail.device(b"alice", window=9)
    alice.write(message(b"bob", b"no", b"m1") + message(b"bob", b"yes", b"m2"))
    assert told(phone.read()) == [("FORWARD", "alice", "m1", 1, "no")]
    phone.write(error(103, seq=1))
    phone.write(taken(2))
    answers = told(alice.read())
    assert [(line[0], line[2]) for line in answers if line[0] != "ACCEPTED"] == [("ERROR", "m1"), ("SEND", "m2")]
    assert told(mail.device(b"bob", b"laptop").read()) == [("FORWARD", "alice", "m2", 2, "yes")]


def test_a_message_that_is_not_delivered_in_time_expires() -> None:
    """Rule 11.10."""
    mail = Mail(b"alice", b"bob")
    mail.device(b"bob").cut()
    alice = mail.device(b"alice")
    alice.write(message(b"bob", b"soon", b"m1", expires=10))
    mail.advance(5)
    assert alice.read() == []
    mail.advance(6)
    ((verb, code, identifier, seq, _),) = told(alice.read())
    assert (verb, code, identifier, seq) == ("ERROR", 102, "m1", 2)
    assert mail.device(b"bob").read() == []


def test_what_is_over_is_not_delivered_before_the_server_comes_to_removing_it() -> None:
    """Rule 11.10: neither to a device that was busy, nor to one that comes now."""
    mail = Mail(b"alice", b"bob")
    mail.advance(1)
    bob = mail.device(b"bob", window=1)
    alice = mail.device(b"alice", window=9)
    alice.write(message(b"bob", b"a", b"m1") + message(b"bob", b"b", b"m2", expires=3) + message(b"bob", b"c", b"m3"))
    assert [line[2] for line in told(bob.read())] == ["m1"]
    mail.now += 4  # without a tick
    assert [line[2] for line in told(bob.write(taken(1)))] == ["m3"]
    assert [line[:3] for line in told(alice.read()) if line[0] == "ERROR"] == [("ERROR", 102, "m2")], "told at once"
    alice.write(message(b"bob", b"d", b"m4", expires=3))
    bob.cut()
    mail.now += 4
    assert [line[2] for line in told(mail.device(b"bob").read())] == ["m3"]


def test_what_a_full_disk_did_not_note_is_noted_later() -> None:
    """Rule 11.5: a device that says what it has does not say it again, and must not get it again after a restart."""
    mail = Mail(b"alice", b"bob")
    mail.device(b"bob").cut()
    mail.device(b"alice").write(message(b"bob", b"a", b"m1"))
    mail.answers[OpenDevice] = lambda _: OpenedDevice(1, 1, Effects(), unnoted=1)
    mail.answers[Acknowledge] = lambda _: StoreError("the disk is full")
    mail.device(b"bob", seq=1)
    mail.answers.clear()
    assert [device.cursor for device in mail.store.ask(ListDevices(mail.members[b"bob"].number))] == [0]
    mail.advance(2)
    mail.advance(2)
    assert [device.cursor for device in mail.store.ask(ListDevices(mail.members[b"bob"].number))] == [1]


def test_connections_that_only_send_are_told_what_becomes_of_their_messages() -> None:
    """Rules 9.1 and 11.6."""
    mail = Mail(b"alice", b"bob")
    one, two = mail.sender(b"alice"), mail.sender(b"alice")
    bob = mail.device(b"bob", window=9)
    assert told(one.write(message(b"bob", b"a", b"m1"))) == [("ACCEPTED", "bob", "m1", 0)]
    bob.write(taken(1))
    bob.write(frame(Verb.READ, b"alice", seq=1))
    assert told(one.read()) == [("SEND", "bob", "m1", 0), ("READ", "bob", "m1", 0)]
    assert two.read() == []


def test_a_guest_with_an_extended_connection_talks_to_guests_of_both_kinds() -> None:
    """Rules 9.5 to 9.8."""
    mail = Mail()
    ann, ben = mail.guest(b"ann"), mail.guest(b"ben")
    sending, receiving = mail.classic(b"cy")
    ann.write(message(b"ben", b"hi", b"a1", x_mood=b"good") + message(b"cy", b"ho", b"a2", x_mood=b"good"))
    ((head, body),) = ben.read()
    assert (head.name, head.headers[b"id"], head.headers[b"x-mood"], body) == (b"ann", b"a1", b"good", b"hi")
    assert b"time" in head.headers
    assert b"accepted" not in head.headers
    ann.write(message(b"ben", b"", b"a3", time=b"2001", accepted=b"2002"))
    ((late, _),) = ben.write(received(b"ann"))
    assert late.headers[b"time"] == b"2001"
    assert late.headers[b"accepted"] >= head.headers[b"time"], "the server's own time, also if the sender says one"
    ((head, body),) = receiving.read()
    assert (head.headers, body) == ({b"content-length": b"2"}, b"ho")
    receiving.write(received(b"ann"))
    ben.write(received(b"ann"))
    assert told(ann.read()) == [("SEND", "ben", "a1", 0), ("SEND", "cy", "a2", 0), ("SEND", "ben", "a3", 0)]
    sending.write(send(b"ann", b"hey"))
    assert told(ann.read()) == [("FORWARD", "cy", "", 0, "hey")]
    ann.write(received(b"cy"))
    assert told(sending.read()) == [("SEND", "ann", "", 0)]
    ((*_, reason),) = told(ann.write(message(b"nobody", b"", b"a3")))
    assert reason == "nobody is not connected"


def test_a_send_without_an_id_cannot_be_understood() -> None:
    """Rules 9.5 and 9.9."""
    mail = Mail()
    ann = mail.guest(b"ann")
    ((head, _),) = ann.write(send(b"ann", b"hi"))
    assert (head.verb, head.code, b"reason" in head.headers, ann.closed) == (Verb.ERROR, 103, True, True)


def test_a_classic_guest_reaches_members_who_are_connected_and_no_others() -> None:
    """Rule 11.11."""
    mail = Mail(b"bob")
    sending, _ = mail.classic(b"gus")
    assert told(sending.write(send(b"bob", b"hi"))) == [("ERROR", 102, "", 0)]
    bob = mail.device(b"bob")
    assert sending.write(send(b"bob", b"hi")) == []
    assert told(bob.read()) == [("FORWARD", "gus", "", 1, "hi")]
    bob.write(taken(1))
    assert told(sending.read()) == [("SEND", "bob", "", 0)]
    sending.write(send(b"bob", b"late"))
    bob.cut()
    mail.advance(31)
    assert told(sending.read()) == [("ERROR", 102, "", 0)]
    assert mail.device(b"bob").read() == []


def test_a_member_reaches_guests_and_the_log_tells_what_became_of_it() -> None:
    """Rule 11.11."""
    mail = Mail(b"alice")
    _, receiving = mail.classic(b"gus")
    alice, other = mail.device(b"alice", window=9), mail.device(b"alice", b"other", 9)
    assert alice.write(message(b"gus", b"hi", b"m1") + message(b"gus", b"no", b"m2")) == []
    receiving.write(received(b"alice"))
    receiving.write(HEADER_INCOMPLETE)
    assert [line[:4] for line in told(alice.read())] == [("SEND", "gus", "m1", 3), ("ERROR", 102, "m2", 4)]
    assert [line[3] for line in told(other.read())] == [1, 2, 3, 4]
    ((*_, reason),) = told(alice.write(message(b"zed", b"hi", b"m3")))
    assert reason == "zed is not connected"


def test_a_classic_guest_that_asks_is_told_why() -> None:
    """Rule 7.5; without the header, nothing changes."""
    mail = Mail(b"alice")
    cal, _ = mail.classic(b"cal", reasons=True)
    old, _ = mail.classic(b"old")
    _, receiving = mail.classic(b"gus")
    for sender, why in ((cal, "the recipient refused the message"), (old, "")):
        sender.write(send(b"gus", b"hi"))
        receiving.write(HEADER_INCOMPLETE)
        assert told(sender.read()) == [("ERROR", 102, "", 0, why) if why else ("ERROR", 102, "", 0)]
    for recipient in (b"alice", b"zed"):  # a member who is away, and a name that no user has
        assert reason(cal.write(send(recipient, b"hi"))) == f"{recipient.decode()} is not connected"
    assert reason(cal.write(send(b"#team", b"hi"))) == "rooms are for members"


@pytest.mark.parametrize(
    ("name", "why", "kind"),
    [
        (b"alice", b"the name is a member's", b"member"),
        (b"gus", b"another user has it", b"in-use"),
        (b"all", b"it is not a valid name", b"name"),
    ],
)
def test_a_guest_that_asks_is_told_why_it_cannot_have_a_name(name: bytes, why: bytes, kind: bytes) -> None:
    """Rules 7.5 and 9.12: classic connections get no Kind."""
    mail = Mail(b"alice")
    mail.classic(b"gus")
    for side in Side:
        ((head, _),) = mail.line().write(register(side, name, reasons=b"yes"))
        assert (head.code, head.headers.get(b"reason")) == (100, why)
        assert head.headers.get(b"kind") == (kind if side is Side.DUPLEX else None)
        ((head, _),) = mail.line().write(register(side, name))
        assert (head.code, head.headers.get(b"reason")) == (100, None)


def test_everyone_is_members_and_guests_who_are_connected() -> None:
    """Rule 11.12."""
    mail = Mail(b"alice", b"bob", b"away")
    _, receiving = mail.classic(b"gus")
    alice, bob = mail.device(b"alice", window=9), mail.device(b"bob")
    alice.write(message(b"ALL", b"hi", b"m1"))
    assert told(receiving.read()) == [("FORWARD", "alice", "", 0, "hi")]
    assert told(bob.read()) == [("FORWARD", "alice", "m1", 1, "hi")]
    receiving.write(received(b"alice"))
    assert alice.read() == []
    bob.write(taken(1))
    assert told(alice.read()) == [("SEND", "ALL", "m1", 2)]
    sending, _ = mail.classic(b"gil")
    sending.write(send(b"all", b"yo"))
    for line in (receiving, alice, bob):
        (last,) = told(line.read())[-1:]
        assert last[0] == "FORWARD"
    receiving.write(received(b"gil"))
    alice.write(taken(3))
    bob.write(error(103, seq=2))
    assert told(sending.read()) == [("ERROR", 102, "", 0)]


def test_nobody_else_can_have_the_name_of_a_member() -> None:
    """Rules 10.1, 10.2 and 9.4."""
    mail = Mail(b"alice")
    for asked in (
        register(Side.SENDING, b"ALICE"),
        register(Side.RECEIVING, b"alice"),
        register(Side.DUPLEX, b"Alice"),
    ):
        assert told(mail.line().write(asked)) == [("ERROR", 100, "", 0)]
    line = mail.line()
    ((head, _),) = line.write(register(Side.DUPLEX, b"alice", authorization=b"mallory"))
    assert (head.code, head.headers) == (104, {b"reason": b"wrong"})
    assert told(line.write(register(Side.DUPLEX, b"alice", authorization=b"alice")))[0][0] == "REGISTERED"
    assert told(mail.line().write(register(Side.RECEIVING, b"alice", authorization=b"alice")))[0][1] == 100


def test_guests_can_be_switched_off() -> None:
    mail = Mail(b"alice", limits=Limits(guests=False))
    assert told(mail.line().write(register(Side.SENDING, b"gus"))) == [("ERROR", 100, "", 0)]
    mail.device(b"alice")


def test_frames_that_come_with_the_registration_are_handled_after_it() -> None:
    """Rule 2.5: frames glued in any way."""
    mail = Mail(b"alice", b"bob")
    line = mail.line()
    asked = register(Side.DUPLEX, b"alice", 4, authorization=b"alice", device=b"laptop")
    got = line.write(asked + message(b"bob", b"hi", b"m1") + frame(Verb.DEVICES))
    assert [head.verb for head, _ in got] == [Verb.REGISTERED, Verb.ACCEPTED, Verb.DEVICES]
    head, _ = got[0]
    assert head.headers == {b"device": b"laptop", b"window": b"4", b"seq": b"0", b"max-body": b"1048576"}
    assert registered(Side.DUPLEX, b"alice", 4, device=b"laptop", seq=0, max_body=1 << 20).count(b"\n") == 6


def test_a_device_that_connects_again_takes_over() -> None:
    """Rule 10.7."""
    mail = Mail(b"alice", b"bob")
    old = mail.device(b"bob", b"phone")
    alice = mail.device(b"alice")
    alice.write(message(b"bob", b"hi", b"m1"))
    old.read()
    new = mail.device(b"bob", b"phone")
    assert (told(old.read())[0][1], old.closed) == (108, True)
    assert told(new.read()) == [("FORWARD", "alice", "m1", 1, "hi")]
    new.write(taken(1))
    assert "SEND" in [line[0] for line in told(alice.read())]


def test_a_revoked_device_is_closed_and_forgotten() -> None:
    """Rule 10.8."""
    mail = Mail(b"bob")
    phone, below, laptop = (mail.device(b"bob", name) for name in (b"phone", b"phone/listen", b"laptop"))
    ((head, _),) = laptop.write(frame(Verb.REVOKE, b"phone"))
    assert (head.verb, head.name) == (Verb.REVOKED, b"phone")
    for line in (phone, below):
        assert (told(line.read())[0][1], line.closed) == (108, True)
    ((_, body),) = laptop.write(frame(Verb.DEVICES))
    assert body.count(b'"device"') == 1
    ((head, _),) = laptop.write(frame(Verb.TOKEN, b"phone"))
    assert head.headers == {b"token": b"tt_x"}


@pytest.mark.parametrize("side", [Side.DUPLEX, Side.SENDING])
@pytest.mark.parametrize("what", ["token", "password"])
def test_a_login_is_refused_that_was_checked_before_it_was_withdrawn(side: Side, what: str) -> None:
    """Rules 10.8 and 10.10: else a revoked device would stay connected."""
    mail = Mail(b"bob")
    laptop, early, late = mail.device(b"bob", b"laptop"), mail.line(), mail.line()
    laptop.write(frame(Verb.TOKEN, b"phone"))
    log_in = register(side, b"bob", authorization=b"bob", device=b"phone" if side is Side.DUPLEX else None)
    if what == "token":
        mail.credential = LoginProof(b"digest")
    assert early.write(log_in)[0][0].verb is Verb.REGISTERED
    early.cut()

    def withdraw() -> None:
        mail.meanwhile = lambda: None
        if what == "token":
            laptop.write(frame(Verb.REVOKE, b"phone"))
        else:
            mail.store.apply([SetPassword("bob", "another")])

    mail.meanwhile = withdraw
    ((answer, _),) = late.write(log_in)
    assert answer.code == 104
    if what == "token":
        ((_, devices),) = laptop.write(frame(Verb.DEVICES))
        assert devices.count(b'"device"') == 1


def test_history_is_the_log_read_backwards() -> None:
    """Rule 11.9."""
    mail = Mail(b"alice", b"bob", b"carol")
    alice, bob = mail.device(b"alice", window=64), mail.device(b"bob", window=64)
    alice.write(b"".join(message(b"bob", b"%d" % number, b"m%d" % number) for number in range(5)))
    alice.write(message(b"carol", b"c", b"c1"))
    bob.write(taken(3))
    bob.write(message(b"alice", b"back", b"b1"))
    alice.read()
    *found, (end, _) = alice.write(frame(Verb.HISTORY, b"bob", id=b"h", limit=3))
    assert (end.verb, end.headers) == (Verb.HISTORY, {b"id": b"h", b"count": b"3"})
    assert [body for _, body in found] == [b"3", b"4", b"back"]
    assert [head.headers.get(b"state") for head, _ in found] == [b"accepted", b"accepted", None]
    before = int(found[0][0].headers[b"seq"])
    *found, _ = alice.write(frame(Verb.HISTORY, b"bob", before=before))
    assert [(body, head.headers[b"state"]) for head, body in found] == [(b"%d" % n, b"delivered") for n in range(3)]
    *found, _ = alice.write(frame(Verb.HISTORY))
    assert len(found) == 7


def test_nothing_is_accepted_that_the_store_cannot_keep() -> None:
    """Rule 11.6: ACCEPTED only when the disk has it; a full disk is a 102 with its Reason, and nothing else breaks."""
    mail = Mail(b"alice", b"bob")
    alice, bob = mail.device(b"alice", window=9), mail.device(b"bob")
    mail.broken = True
    ((*_, reason),) = told(alice.write(message(b"bob", b"hi", b"m1")))
    assert reason == "the disk is full"
    mail.broken = False
    assert told(alice.write(message(b"bob", b"hi", b"m1"))) == [("ACCEPTED", "bob", "m1", 1)]
    assert len(bob.read()) == 1


def test_many_waiting_entries_are_fetched_in_pieces() -> None:
    """Rule 11.2, with more entries than are held for a device."""
    mail = Mail(b"alice", b"bob")
    mail.device(b"bob").cut()
    alice = mail.sender(b"alice")
    for start in range(0, 1000, 100):
        alice.write(b"".join(message(b"bob", b"%d" % number, b"m%d" % number) for number in range(start, start + 100)))
    bob = mail.device(b"bob", window=100)
    got = bob.read()
    while len(got) < 1000:
        more = bob.write(taken(int(got[-1][0].headers[b"seq"])))
        assert 0 < len(more) <= 100
        got += more
    assert [body for _, body in got] == [b"%d" % number for number in range(1000)]


@pytest.mark.parametrize(
    "verb", [b"HELLO", b"READ\nSeq: 1", b"TOKEN", b"TOKEN a+b", b"REVOKE", b"FORWARD x\nContent-length: 0"]
)
def test_what_a_device_may_not_say_ends_its_connection_only(verb: bytes) -> None:
    """Rule 7.4."""
    mail = Mail(b"alice")
    one, two = mail.device(b"alice", b"one"), mail.device(b"alice", b"two")
    ((head, _),) = one.write(verb + b"\n\n")
    assert (head.code, one.closed, two.closed) == (103, True, False)


@pytest.mark.parametrize("code", [b"", b" 103 no", b" 104 no", b" 999 no"])
def test_an_error_means_nothing_on_a_connection_that_only_sends(code: bytes) -> None:
    """Rule 7.4: the answer is a 103, whatever its own number."""
    sender = Mail(b"alice").sender(b"alice")
    assert told(sender.write(b"ERROR" + code + b"\n\n")) == [("ERROR", 103, "", 0, "the frame cannot be understood")]
    assert sender.closed


def test_a_body_that_is_too_large_is_named() -> None:
    """Rule 9.9."""
    mail = Mail(b"alice")
    alice = mail.device(b"alice")
    ((head, _),) = alice.write(b"SEND bob\nId: x\nContent-length: 9999999\n\n")
    assert (head.code, alice.closed) == (106, True)


def test_bodies_that_wait_for_the_store_are_bounded() -> None:
    """Rule 5.8: what is not taken yet waits with the sender."""
    mail = Mail(b"alice", b"bob", limits=Limits(queue_bytes=4000))
    mail.device(b"bob").cut()
    alice = mail.device(b"alice")
    data = b"".join(message(b"bob", b"x" * 400, b"m%d" % number) for number in range(20))
    untaken = mail.exchange.take(alice.connection, Parser(mail.heads).feed(data))
    assert alice.connection.paused
    assert len(mail.exchange.requests) == 3
    assert len(untaken) == 17
    mail.settle()
    assert not alice.connection.paused
    assert [line[0] for line in told(alice.read())] == ["ACCEPTED"] * 3


def test_a_guest_is_answered_when_the_recipient_is_removed_behind_the_servers_back() -> None:
    """Rule 5.7: another process has removed the member, and only that process knows what became of the message."""
    mail = Mail(b"bob")
    bob = mail.device(b"bob")
    sending, _ = mail.classic(b"gus")
    sending.write(send(b"bob", b"hi"))
    mail.store.apply([RemoveMember("bob", 0.0)])
    mail.exchange.members_changed()
    mail.settle()
    assert bob.closed
    mail.advance(31)
    mail.advance(6)
    assert told(sending.read()) == [("ERROR", 102, "", 0)]


def test_nothing_is_kept_for_guests_who_are_gone() -> None:
    mail = Mail(b"bob")
    mail.device(b"bob").cut()
    ann = mail.guest(b"ann")
    ann.write(message(b"bob", b"hi", b"m1"))
    ann.cut()
    bob = mail.device(b"bob")
    assert told(bob.read()) == [("FORWARD", "ann", "m1", 1, "hi")]
    bob.write(taken(1))
    for held in ("_waiting", "_numbers"):
        assert not getattr(inside(mail.exchange, "_guest_messages"), held)


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("how", ["signs up", "is added"])
def test_a_guest_who_has_the_name_of_a_new_member_is_turned_out(extended: bool, how: str) -> None:
    """Rule 10.1: the guest gets no message for the member."""
    mail = Mail(b"bob")
    guest = [mail.guest(b"Alice")] if extended else list(mail.classic(b"Alice"))
    (alice,) = mail.store.apply([AddMember("alice", "", 0.0)])
    assert isinstance(alice, Member)
    mail.members[b"alice"] = alice
    if how == "is added":
        mail.exchange.members_changed()
        mail.settle()
    member = mail.device(b"alice", window=9)
    assert all(line.closed for line in guest)
    mail.device(b"bob").write(message(b"alice", b"secret", b"m1"))
    assert told(member.read()) == [("FORWARD", "bob", "m1", 1, "secret")]
    assert not any(head.verb is Verb.FORWARD for line in guest for head, _ in line.read())


def test_a_device_is_told_to_come_back_when_the_store_fails_while_it_logs_in() -> None:
    """Rule 9.9: 107, since nothing is wrong with who is asking."""
    mail = Mail(b"alice")
    mail.broken = True
    line = mail.line()
    ((head, _),) = line.write(register(Side.DUPLEX, b"alice", authorization=b"alice"))
    assert (head.code, head.headers[b"reason"], line.closed) == (107, b"the disk is full", True)
    mail.broken = False
    assert mail.device(b"alice").read() == []


def test_nothing_is_read_past_a_question_that_waits() -> None:
    """Rule 10.8: not when an earlier SEND is answered, and not when the connection takes output again."""
    mail = Mail(b"alice", b"bob")
    alice = mail.device(b"alice")
    connection = alice.connection
    frames = Parser(mail.heads).feed(message(b"bob", b"hi", b"m1") + frame(Verb.DEVICES) + frame(Verb.HISTORY))
    untaken = mail.exchange.take(connection, frames)
    assert [head.verb for head, _ in untaken] == [Verb.HISTORY]
    (append, stored), (devices, answered) = mail.exchange.requests
    mail.exchange.requests.clear()
    stored(*mail.store.apply([append]))
    assert connection.paused
    mail.exchange.clogged(connection)
    mail.exchange.flowing(connection)
    assert connection.paused
    answered(*mail.store.apply([devices]))
    assert not connection.paused


def test_a_late_login_does_not_replace_a_connection_that_was_accepted_after_it() -> None:
    """Rule 10.7: the client has given that connection up, or another program has taken over."""
    mail = Mail(b"alice", b"bob")
    slow = mail.line()
    device = mail.device(b"bob", b"phone")
    asked = register(Side.DUPLEX, b"bob", authorization=b"bob", device=b"phone")
    assert told(slow.write(asked)) == [("ERROR", 108, "", 0, "the device has connected again")]
    assert (slow.closed, device.closed) == (True, False)
    mail.device(b"alice").write(message(b"bob", b"hello", b"m1"))
    assert told(device.read()) == [("FORWARD", "alice", "m1", 1, "hello")]


@pytest.mark.parametrize("sender", ["alice", "guest"])
def test_what_a_device_says_that_it_has_is_told_even_if_it_is_gone_by_then(sender: str) -> None:
    """Rule 11.5: its cursor has moved, and nobody else would tell the sender."""
    mail = Mail(b"alice", b"bob")
    mail.device(b"bob").cut()
    alice = mail.sender(b"alice") if sender == "alice" else mail.guest(b"guest")
    assert told(alice.write(message(b"bob", b"hello", b"m1"))) == [("ACCEPTED", "bob", "m1", 0)]
    line = mail.line()

    def open_while_it_vanishes(request: OpenDevice) -> object:
        mail.exchange.disconnected(line.connection)
        return mail.store.ask(request)

    mail.answers[OpenDevice] = open_while_it_vanishes
    line.write(register(Side.DUPLEX, b"bob", authorization=b"bob", seq=1))
    assert told(alice.read()) == [("SEND", "bob", "m1", 0)]


def test_what_devices_say_while_the_store_fails_is_stored_later_and_in_order() -> None:
    """Rules 11.3, 11.4 and 11.8: the sender learns of it although the device stays connected and says no more."""
    mail = Mail(b"alice", b"bob")
    alice, bob = mail.device(b"alice", window=16), mail.device(b"bob", window=16)
    for number in range(3):
        alice.write(message(b"bob", b"hello", b"m%d" % number))
    alice.read()
    for kind in (Acknowledge, Refuse, MarkRead):
        mail.answers[kind] = lambda _: StoreError("the disk is full")
    bob.write(taken(1) + error(103, seq=2) + taken(3) + frame(Verb.READ, b"alice", seq=3))
    for _ in range(100):
        mail.advance(60.0)
    assert len(mail.asked) < 500
    assert alice.read() == []
    mail.answers.clear()
    mail.advance(60.0)
    assert told(alice.read()) == [
        ("SEND", "bob", "m0", 4),
        ("ERROR", 102, "m1", 5, "refused"),
        ("SEND", "bob", "m2", 6),
        ("READ", "bob", "m2", 7),
    ]


def test_what_a_guest_answers_while_the_store_fails_is_stored_later() -> None:
    """Rule 11.11."""
    mail = Mail(b"alice")
    alice, guest = mail.device(b"alice", window=16), mail.guest(b"gus")
    alice.write(message(b"gus", b"hello", b"m1"))
    guest.read()
    mail.answers[Settle] = lambda _: StoreError("the disk is full")
    guest.write(received(b"alice"))
    assert alice.read() == []
    mail.answers.clear()
    mail.advance(60.0)
    assert told(alice.read()) == [("SEND", "gus", "m1", 2)]


# Members who are not connected are only in the store


@pytest.mark.parametrize("extended", [False, True])
def test_a_guest_cannot_have_a_name_while_the_store_cannot_be_asked_whose_it_is(extended: bool) -> None:
    """Rules 10.1 and 9.9: a classic client can only be told 100; an extended one is told to come back."""
    mail = Mail(b"bob")
    mail.answers[FindMember] = lambda _: StoreError("the disk is full")
    line = mail.line()
    asked = register(Side.DUPLEX if extended else Side.SENDING, b"gus")
    assert told(line.write(asked)) == [
        ("ERROR", 107, "", 0, "the server cannot look it up now: the disk is full")
        if extended
        else ("ERROR", 100, "", 0)
    ]
    assert line.closed is extended
    del mail.answers[FindMember]
    again = mail.line() if extended else line
    ((head, _),) = again.write(asked)
    assert head.verb is Verb.REGISTERED


def test_what_a_guest_sends_behind_its_register_waits_for_the_answer() -> None:
    """Rule 4.4: the client need not wait, whatever the server has to look up."""
    mail = Mail(b"bob")
    bob = mail.device(b"bob")
    line = mail.line()
    got = told(
        line.write(register(Side.DUPLEX, b"ann") + message(b"bob", b"hi", b"m1") + message(b"bob", b"ho", b"m2"))
    )
    assert [each[0] for each in got] == ["REGISTERED", "ACCEPTED", "ACCEPTED"]
    assert told(bob.read()) == [("FORWARD", "ann", "m1", 1, "hi")]


def test_a_guest_who_leaves_before_the_name_was_looked_up_does_not_have_it() -> None:
    mail = Mail(b"bob")
    line = mail.line()
    mail.exchange.take(line.connection, Parser(mail.heads).feed(register(Side.DUPLEX, b"ann")))
    line.cut()
    assert line.read() == []
    assert mail.guest(b"ann")


def test_of_two_guests_who_ask_for_one_name_at_once_the_first_has_it() -> None:
    """Rule 4.4."""
    mail = Mail(b"bob")
    lines = mail.line(), mail.line()
    for line in lines:
        mail.exchange.take(line.connection, Parser(mail.heads).feed(register(Side.DUPLEX, b"ann")))
    mail.settle()
    assert [told(line.read())[0][:2] for line in lines] == [("REGISTERED", "ann"), ("ERROR", 100)]


def test_a_name_that_is_nobodys_is_not_connected() -> None:
    """Rule 9.5: whether it is looked up in the store or cannot be a name at all."""
    mail = Mail(b"alice", b"bob")
    alice, ann = mail.device(b"alice"), mail.guest(b"ann")
    for sender in (alice, ann):
        for recipient in (b"nobody", b"Carol", b"a.b"):
            assert reason(sender.write(message(recipient, b"hi", b"m1"))) == f"{recipient.decode()} is not connected"
        ((head, _),) = sender.write(message(b"BOB", b"hi", b"m1"))
        assert (head.verb, head.name) == (Verb.ACCEPTED, b"BOB")


def test_who_has_become_a_member_is_asked_again_if_the_store_failed() -> None:
    """Rule 10.1."""
    mail = Mail(b"bob")
    guest, bob = mail.guest(b"alice"), mail.device(b"bob")
    mail.store.apply([AddMember("alice", "", 0.0), RemoveMember("bob", 0.0)])
    mail.answers[FindMembers] = lambda _: StoreError("the disk is full")
    mail.exchange.members_changed()
    mail.settle()
    assert not guest.closed
    assert not bob.closed
    del mail.answers[FindMembers]
    mail.advance(0.25)
    assert told(guest.read()) == [("ERROR", 108, "", 0, "the name is a member's now")]
    assert told(bob.read()) == [("ERROR", 108, "", 0, "the member was removed")]
    assert guest.closed
    assert bob.closed


def test_a_member_who_was_removed_and_added_again_is_another_member() -> None:
    """Rule 10.1: also while the server does not know yet that the first one was removed."""
    mail = Mail(b"bob")
    old = mail.device(b"bob")
    mail.store.apply([RemoveMember("bob", 0.0), AddMember("bob", "", 0.0)])
    (mail.members[b"bob"],) = mail.store.ask(FindMembers(("bob",)))
    new = mail.device(b"bob")
    mail.exchange.members_changed()
    mail.settle()
    assert (old.closed, new.closed) == (True, False)
    sending, _ = mail.classic(b"gus")
    sending.write(send(b"bob", b"hi"))
    assert [each[0] for each in told(new.read())] == ["FORWARD"]


def test_members_are_dismissed_in_parts_and_are_told_when_to_come_back() -> None:
    """Rule 9.13, with its example: guests stay, and so do the members of the other parts."""
    ((_, _, example),) = EXAMPLES["9.13"]
    ((expected, _),) = Parser(HeadCache(1 << 20)).feed(example)
    mail = Mail(b"alice", b"bob", b"carol", b"dave")
    devices = [mail.device(name) for name in (b"alice", b"bob", b"carol", b"dave")]
    guest = mail.guest(b"eve")
    mail.exchange.dismiss(2, 24.0)
    mail.settle()
    gone = [each for each in devices if each.closed]
    (at_once, _), (told_to_wait, _) = (frame for each in gone for frame in each.read())
    assert (at_once.code, at_once.headers.get(b"retry-after")) == (107, None)
    assert (told_to_wait.code, told_to_wait.headers) == (expected.code, expected.headers)
    left = [each for each in devices if not each.closed]
    assert mail.exchange.members_connected == len(left) == 2
    assert told(left[0].write(message(b"alice", b"hello", b"m1")))[0][0] == "ACCEPTED"
    mail.exchange.dismiss(1, 0.0)
    mail.settle()
    assert [each.closed for each in devices] == [True] * 4
    assert [head.headers.get(b"retry-after") for each in left for head, _ in each.read() if head.code == 107] == [
        None
    ] * 2
    assert not guest.closed
