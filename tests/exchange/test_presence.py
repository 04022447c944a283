"""Who is here and who types, through the exchange and a real store (docs/protocol.md, section 15)."""

import json
from collections.abc import Sequence

import pytest

from tests.exchange.mail import Line, Mail, message, objects, reason, told
from tests.exchange.network import inside
from twotick.exchange import Limits
from twotick.store import (
    Append,
    Contact,
    ListAudience,
    ListContacts,
    RemoveMember,
    SetShown,
    StoreError,
)
from twotick.wire import Frame, Verb, frame


def status(**headers: bytes) -> bytes:
    """STATUS from a device."""
    return frame(Verb.STATUS, b"", None, b"", **headers)


def friends(*names: bytes, others: Sequence[bytes] = ()) -> tuple[Mail, list[Line]]:
    """A device of each of these, who have all written to each other; they have not asked for STATUS.

    Others are members whom they do not know.
    """
    mail = Mail(*names, *others)
    lines = [mail.device(name, window=64) for name in names]
    for line in lines:
        for name in names:
            if name != line.connection.name:
                line.write(message(name, b"hi", b"to-" + name))
    for line in lines:
        line.read()
    return mail, lines


def states(frames: list[Frame]) -> dict[str, str]:
    """The list that STATUS is answered, in short."""
    return {each["name"]: each["state"] for each in objects(frames)}


def changes(mail: Mail, line: Line) -> list[tuple[bytes, bytes]]:
    """Of whom a device is told what within the next ticks."""
    mail.advance(0.25)
    mail.advance(0.25)
    return [(head.name, head.headers[b"state"]) for head, _ in line.read() if head.verb is Verb.STATUS]


def test_devices_that_have_asked_are_told_who_comes_and_goes() -> None:
    """Rules 15.1 and 15.2."""
    mail, (alice, bob) = friends(b"alice", b"bob")
    ((head, body),) = alice.write(status(state=b"here"))
    assert (head.verb, head.name, head.headers[b"shown"]) == (Verb.STATUS, b"", b"yes")
    ((one,)) = json.loads(body)
    assert (one["name"], one["state"]) == ("bob", "gone")
    assert states(bob.write(status(state=b"away"))) == {"alice": "here"}
    mail.advance(0.25)
    mail.advance(0.25)
    ((head, _),) = alice.read()
    assert (head.verb, head.name) == (Verb.STATUS, b"bob")
    assert head.headers == {b"state": b"away", b"since": b"1970-01-01T00:16:40.000Z"}
    bob.write(status(state=b"here"))
    assert changes(mail, alice) == [(b"bob", b"here")]
    bob.cut()
    assert changes(mail, alice) == [(b"bob", b"gone")]
    assert changes(mail, alice) == []
    assert states(alice.write(status())) == {"bob": "gone"}


def test_nothing_is_told_to_who_has_not_asked() -> None:
    """Rule 15.1: neither news of others nor that they type."""
    mail, (alice, bob) = friends(b"alice", b"bob")
    other = mail.device(b"alice", b"other", 64)
    sender = mail.sender(b"alice")
    other.read()
    bob.write(status(state=b"here"))
    bob.write(b"TYPING alice\n\n")
    alice.write(status())
    bob.write(status(state=b"away") + b"TYPING alice\n\n")
    mail.advance(0.25)
    mail.advance(0.25)
    assert alice.read() != []
    assert other.read() == sender.read() == []


def test_the_state_of_a_member_is_that_of_all_devices() -> None:
    """Rule 15.2: here beats away, which beats having said nothing."""
    mail, (alice, phone) = friends(b"alice", b"bob")
    laptop = mail.device(b"bob", b"laptop", 9)
    alice.write(status())
    laptop.write(status())
    assert changes(mail, alice) == []
    phone.write(status(state=b"away"))
    assert changes(mail, alice) == [(b"bob", b"away")]
    laptop.write(status(state=b"here"))
    assert changes(mail, alice) == [(b"bob", b"here")]
    phone.write(status(state=b"here"))
    laptop.cut()
    assert changes(mail, alice) == []
    phone.write(status(state=b"away"))
    assert changes(mail, alice) == [(b"bob", b"away")]
    mail.device(b"bob", b"main")  # takes over
    assert changes(mail, alice) == [(b"bob", b"gone")]


def test_a_revoked_device_is_gone() -> None:
    """Rules 10.8 and 15.2."""
    mail, (alice, bob) = friends(b"alice", b"bob")
    alice.write(status())
    bob.write(status(state=b"here"))
    changes(mail, alice)
    mail.device(b"bob", b"laptop").write(b"REVOKE main\n\n")
    assert changes(mail, alice) == [(b"bob", b"gone")]


def test_what_changes_back_within_a_tick_is_not_told() -> None:
    """Rule 15.1: news are told with the ticks."""
    mail, (alice, bob) = friends(b"alice", b"bob")
    alice.write(status())
    bob.write(status(state=b"here"))
    changes(mail, alice)
    bob.write(status(state=b"away") + status(state=b"here"))
    bob.cut()
    mail.device(b"bob").write(status(state=b"here"))
    assert changes(mail, alice) == []


def test_who_was_listed_as_here_and_left_before_that_was_announced_is_gone() -> None:
    """Rule 15.4: only the device that has the list is told, since it alone knew of the change."""
    mail, (alice, bob, carol) = friends(b"alice", b"bob", b"carol")
    alice.write(status())
    carol.write(status())
    bob.write(status(state=b"here"))
    assert states(alice.write(status()))["bob"] == "here"
    bob.cut()
    assert changes(mail, alice) == [(b"bob", b"gone")]
    assert changes(mail, carol) == []
    assert changes(mail, alice) == []


def test_a_device_that_saw_an_unannounced_change_and_left_is_forgotten() -> None:
    mail, (alice, bob) = friends(b"alice", b"bob")
    bob.write(status(state=b"here"))
    assert states(alice.write(status())) == {"bob": "here"}
    alice.cut()
    bob.cut()
    mail.advance(0.25)
    assert not inside(inside(inside(mail.exchange, "_presence"), "_watchers"), "_untold")


def test_who_showed_themselves_and_left_at_once_is_gone_for_those_who_saw_it() -> None:
    """Rule 15.4, for news that is under way to some when the member changes back."""
    mail, (alice, bob) = friends(b"alice", b"bob")
    alice.write(status())
    bob.write(status(shown=b"no"))
    changes(mail, alice)
    bob.write(status(state=b"here") + status(shown=b"yes"))
    bob.cut()
    told_last = changes(mail, alice) + changes(mail, alice)
    assert told_last[-1:] in ([], [(b"bob", b"gone")])
    assert states(alice.write(status())) == {"bob": "gone"}


def test_only_those_are_told_who_may_see_it() -> None:
    """Rule 15.2."""
    mail = Mail(b"alice", b"bob", b"carol", b"dave")
    alice, bob, carol, dave = (mail.device(name, window=64) for name in (b"alice", b"bob", b"carol", b"dave"))
    bob.write(message(b"alice", b"hi", b"b1"))
    alice.write(b"ROOM #team\nDo: create\nAccess: public\n\n")
    carol.write(b"ROOM #team\nDo: join\n\n")
    for line in (alice, bob, carol, dave):
        line.write(status(state=b"here"))
        line.read()
    assert states(dave.write(status())) == {}
    assert states(bob.write(status())) == {}
    assert states(carol.write(status())) == {"alice": "here"}
    assert states(alice.write(status())) == {"bob": "here", "carol": "here"}
    changes(mail, alice)
    for line in (bob, carol, dave):
        line.write(status(state=b"away"))
        line.read()
    assert changes(mail, alice) == [(b"bob", b"away"), (b"carol", b"away")]
    assert bob.read() == carol.read() == dave.read() == []


def test_who_does_not_want_to_be_seen_is_gone_at_once_for_all_others() -> None:
    """Rule 15.1."""
    mail, (alice, bob) = friends(b"alice", b"bob")
    phone = mail.device(b"bob", b"phone", 9)
    alice.write(status())
    bob.write(status(state=b"here"))
    assert changes(mail, alice) == [(b"bob", b"here")]
    ((head, _),) = bob.write(status(shown=b"no"))
    assert head.headers[b"shown"] == b"no"
    assert changes(mail, alice) == [(b"bob", b"gone")]
    assert objects(alice.write(status())) == [{"name": "bob", "state": "gone", "since": None}]
    bob.write(status(state=b"away"))
    bob.write(b"TYPING alice\n\n")
    phone.write(status(state=b"here"))
    phone.write(status(shown=b"no"))
    assert changes(mail, alice) == []
    assert alice.read() == []
    phone.write(status(shown=b"yes"))
    assert changes(mail, alice) == [(b"bob", b"here")]
    phone.write(status(shown=b"yes"))
    assert changes(mail, alice) == []


def test_who_is_blocked_sees_the_member_as_gone() -> None:
    """Rules 14.4 and 15.2: from that moment on, until it is not blocked any more."""
    mail, (alice, bob, carol) = friends(b"alice", b"bob", b"carol")
    for line in (alice, carol):
        line.write(status(state=b"here"))
    bob.write(status(state=b"here"))
    for line in (alice, carol):
        changes(mail, line)
    bob.write(b"CONVERSATION alice\nBlocked: yes\n\n")
    mail.advance(0.25)
    mail.advance(0.25)
    assert [(head.name, head.headers[b"state"]) for head, _ in alice.read()] == [(b"bob", b"gone")]
    assert carol.read() == []
    assert states(alice.write(status())) == {"bob": "gone", "carol": "here"}
    bob.read()
    bob.write(b"TYPING alice\n\n" + status(state=b"away"))
    mail.advance(0.25)
    mail.advance(0.25)
    assert alice.read() == []
    assert [head.headers[b"state"] for head, _ in carol.read()] == [b"away"]
    bob.write(b"CONVERSATION alice\nBlocked: no\n\n")
    assert changes(mail, alice) == [(b"bob", b"away")]


def test_typing_is_told_to_a_user_or_a_room() -> None:
    """Rule 15.3."""
    _, (alice, bob, carol) = friends(b"alice", b"bob", b"carol")
    alice.write(b"ROOM #team\nDo: create\nAccess: public\n\n")
    bob.write(b"ROOM #team\nDo: join\n\n")
    for line in (alice, bob, carol):
        line.write(status())
        line.read()
    assert alice.write(b"TYPING bob\n\nTYPING #team\n\nTYPING nobody\n\nTYPING #cellar\n\nTYPING a+b\n\n") == []
    direct, in_room = bob.read()
    assert (direct[0].verb, direct[0].name, direct[0].headers) == (Verb.TYPING, b"alice", {})
    assert (in_room[0].name, in_room[0].headers) == (b"alice", {b"to": b"#team"})
    assert carol.read() == []
    carol.write(b"TYPING #team\n\n")
    assert alice.read() == bob.read() == []


def test_typing_is_told_when_the_clock_was_set_back() -> None:
    mail, (alice, bob) = friends(b"alice", b"bob")
    bob.write(status())
    alice.write(b"TYPING bob\n\n")
    assert len(bob.read()) == 1
    mail.now -= 3600
    alice.write(b"TYPING bob\n\n")
    assert len(bob.read()) == 1


def test_typing_is_told_once_in_two_seconds_and_not_for_very_many_conversations() -> None:
    """Rule 15.3."""
    mail, (alice, bob) = friends(b"alice", b"bob")
    bob.write(status())
    alice.write(b"TYPING bob\n\n" * 5)
    assert len(bob.read()) == 1
    mail.advance(1.75)
    alice.write(b"TYPING BOB\n\n")
    assert bob.read() == []
    mail.advance(0.25)
    alice.write(b"".join(b"TYPING u%d\n\n" % number for number in range(100)))
    alice.write(b"TYPING bob\n\n")
    assert bob.read() == []
    mail.advance(2)
    alice.write(b"TYPING bob\n\n")
    assert len(bob.read()) == 1


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (status(state=b"gone"), "State is here or away"),
        (status(state=b""), "State is here or away"),
        (status(shown=b"maybe"), "Shown is yes or no"),
    ],
)
def test_a_status_that_makes_no_sense_changes_nothing(question: bytes, why: str) -> None:
    """Rule 15.1."""
    mail, (alice, bob) = friends(b"alice", b"bob")
    alice.write(status())
    assert reason(bob.write(question)) == why
    assert changes(mail, alice) == []


def test_typing_without_a_name_cannot_be_understood() -> None:
    """Rule 7.4."""
    _, (alice, _) = friends(b"alice", b"bob")
    assert told(alice.write(b"TYPING\n\n"))[0][:2] == ("ERROR", 103)


def test_a_device_that_does_not_read_is_told_the_last_of_each_when_it_does() -> None:
    """Rule 15.1: nothing piles up for it."""
    mail, (alice, bob) = friends(b"alice", b"bob")
    alice.write(status())
    mail.exchange.clogged(alice.connection)
    for state in (b"here", b"away", b"here", b"away"):
        bob.write(status(state=state) + b"TYPING alice\n\n")
        mail.advance(0.25)
        mail.advance(2)
    assert alice.read() == []
    mail.exchange.flowing(alice.connection)
    assert changes(mail, alice) == [(b"bob", b"away")]


def test_what_a_device_may_be_told_at_once_is_bounded() -> None:
    """Rule 15.1: there is a limit also if thousands come and it does not read."""
    mail = Mail(*(b"u%d" % number for number in range(2100)), b"alice")
    alice = mail.device(b"alice")
    number = mail.members[b"alice"].number
    mail.answers[ListAudience] = lambda _: [number]
    alice.write(status())
    mail.exchange.clogged(alice.connection)
    for each in range(2100):
        mail.device(b"u%d" % each).write(status(state=b"here"))
    mail.advance(0.25)
    mail.exchange.flowing(alice.connection)
    mail.advance(0.25)
    assert len(alice.read()) == 2000


def test_a_list_of_members_is_bounded_and_says_what_is_not_known() -> None:
    """Rules 12.3 and 15.1."""
    mail = Mail(b"alice")
    contacts = [Contact(number, f"u{number}", True) for number in range(5, 5000)]
    mail.answers[ListContacts] = lambda _: contacts
    found = objects(mail.device(b"alice").write(status()))
    assert len(found) == 2000
    assert found[0] == {"name": "u5", "state": "gone", "since": None}


@pytest.mark.parametrize("request_type", [ListContacts, SetShown, ListAudience])
def test_a_store_that_fails_is_said_so(request_type: type) -> None:
    """Rule 15.1: with 102, or by telling nothing; and the connection goes on."""
    mail, (alice, bob) = friends(b"alice", b"bob")
    mail.answers[request_type] = lambda _: StoreError("the disk is full")
    answer = alice.write(status(state=b"here", shown=b"yes"))
    if request_type is ListAudience:
        assert states(answer) == {"bob": "gone"}
    else:
        assert reason(answer) == "the disk is full"
    del mail.answers[request_type]
    assert states(bob.write(status())) == {"alice": "here"}
    assert states(alice.write(status())) == {"bob": "gone"}


@pytest.mark.parametrize(("shown", "state"), [(b"no", b"gone"), (b"yes", b"here")])
def test_a_user_who_comes_to_see_a_member_while_that_changes_is_told(shown: bytes, state: bytes) -> None:
    """Rule 15.1: the store finds the many who may see the member in steps, once it is changed."""
    mail, (alice, bob) = friends(b"alice", b"bob", others=[b"carol"])
    carol = mail.device(b"carol", window=64)
    alice.write(status(state=b"here", shown=b"no" if shown == b"yes" else b"yes"))
    for line in (bob, carol):
        line.write(status())
    changes(mail, bob)
    number = mail.members[b"alice"].number
    wrote = Append(
        sender=number,
        sender_name=b"alice",
        device=b"main",
        id=b"to-carol",
        recipient=b"carol",
        headers=b"",
        body=b"hi",
        time=1000.0,
    )

    def change(request: SetShown) -> bool:
        if request.shown is not None:
            mail.store.ask(wrote)
        return mail.store.ask(request)

    mail.answers[SetShown] = change
    mail.answers[ListAudience] = mail.store.ask
    alice.write(status(shown=shown))
    assert [(request.peer, request.is_for_profile) for request in mail.asked if isinstance(request, ListAudience)] == [
        (b"", True)
    ]
    assert changes(mail, bob) == changes(mail, carol) == [(b"alice", state)]


@pytest.mark.parametrize("size", range(60, 400, 7))
def test_a_list_is_as_long_as_a_body_may_be(size: int) -> None:
    """Rule 12.3: it has the first objects."""
    mail = Mail(b"alice", limits=Limits(max_body=size))
    contacts = [Contact(number, f"\u00fcser{number}", True) for number in range(5, 11)]
    mail.answers[ListContacts] = lambda _: contacts
    ((_, body),) = mail.device(b"alice").write(status())
    whole = [{"name": each.name, "state": "gone", "since": None} for each in contacts]
    lists = [json.dumps(whole[:number], ensure_ascii=False).encode() for number in range(7)]
    assert body == max((each for each in lists if len(each) <= size), key=len)


def test_the_driver_can_have_news_told_before_the_next_tick() -> None:
    """Rule 15.4 says by when at the latest; changes of profiles (rule 18.3) are told, too."""
    mail, (alice, bob) = friends(b"alice", b"bob")
    for line in (alice, bob):
        line.write(status(state=b"here") + frame(Verb.PROFILE))
    changes(mail, alice)
    assert not mail.exchange.has_news
    bob.write(status(state=b"away") + frame(Verb.PROFILE, id=b"p", display=b"Bobby"))
    assert alice.read() == []
    assert mail.exchange.has_news
    done: list[bool] = []
    mail.exchange.catch_up(lambda: done.append(True))
    mail.settle()
    assert done == [True]
    assert [(head.verb, head.headers.get(b"state")) for head, _ in alice.read()] == [
        (Verb.STATUS, b"away"),
        (Verb.PROFILE, None),
    ]
    assert not mail.exchange.has_news
    assert changes(mail, alice) == [], "once"


def test_nothing_is_kept_for_those_who_are_gone() -> None:
    mail, lines = friends(b"alice", b"bob")
    for line in lines:
        line.write(status(state=b"here") + b"TYPING alice\n\n")
    mail.advance(0.25)
    for line in lines:
        line.cut()
    mail.advance(2)
    mail.advance(0.25)
    assert not inside(inside(inside(mail.exchange, "_presence"), "_watchers"), "_untold")
    for held in ("_members", "_watchers", "_typed", "_changed", "_early"):
        assert not getattr(inside(mail.exchange, "_presence"), held), held


# Members who come to see another (rule 15.5)


def test_a_first_message_shows_its_recipient_where_the_sender_is() -> None:
    """And the sender sees the recipient when that one has written too."""
    mail = Mail(b"alice", b"bob", b"carol")
    alice, bob, carol = (mail.device(name, window=64) for name in (b"alice", b"bob", b"carol"))
    for line, state in ((alice, b"here"), (bob, b"away"), (carol, b"here")):
        line.write(status(state=state))
    assert changes(mail, alice) == changes(mail, bob) == []
    alice.write(message(b"bob", b"hi", b"m1"))
    assert changes(mail, bob) == [(b"alice", b"here")]
    assert changes(mail, alice) == []
    bob.write(message(b"alice", b"hi", b"m1"))
    assert changes(mail, alice) == [(b"bob", b"away")]
    alice.write(message(b"bob", b"again", b"m2"))
    bob.write(message(b"alice", b"again", b"m2"))
    assert changes(mail, alice) == changes(mail, bob) == changes(mail, carol) == []


def test_who_joins_a_room_and_those_who_are_there_are_shown_each_other() -> None:
    mail = Mail(b"alice", b"bob", b"carol", b"dave", b"erin")
    alice, bob, carol, dave, erin = (mail.device(name, window=64) for name in mail.members)
    for line in (alice, bob, dave, erin):
        line.write(status(state=b"here"))
    carol.write(status())  # who has said nothing is gone
    alice.write(b"ROOM #team\nDo: create\n\n")
    for name in (b"bob", b"carol", b"dave"):
        alice.write(b"ROOM #team\nDo: invite\nMember: %b\n\n" % name)
    assert [changes(mail, line) for line in (alice, bob, carol, dave)] == [[], [], [], []], "nobody sees who is invited"
    bob.write(b"ROOM #team\nDo: join\n\n")
    carol.write(b"ROOM #team\nDo: join\n\n")
    mail.advance(0.25)
    mail.advance(0.25)
    assert [changes(mail, line) for line in (alice, bob, carol)] == [
        [(b"bob", b"here")],
        [(b"alice", b"here")],
        [(b"alice", b"here"), (b"bob", b"here")],
    ]
    dave.write(b"ROOM #team\nDo: join\n\n")
    erin.write(b"ROOM #team\nDo: join\n\n")  # who may not
    mail.advance(0.25)
    mail.advance(0.25)
    assert [changes(mail, line) for line in (alice, bob, carol)] == [[(b"dave", b"here")]] * 3
    assert changes(mail, dave) == [(b"alice", b"here"), (b"bob", b"here")]
    assert changes(mail, erin) == []
    bob.write(b"ROOM #team\nDo: leave\n\n" + status(state=b"away"))
    assert [changes(mail, line) for line in (alice, bob, carol, dave)] == [[], [], [], []]


def test_a_member_who_is_hidden_or_blocks_another_is_not_shown_by_joining_or_writing() -> None:
    """Rules 14.4 and 15.1: as if that member were gone."""
    mail = Mail(b"alice", b"bob", b"carol")
    alice, bob, carol = (mail.device(name, window=64) for name in mail.members)
    for line in (alice, bob, carol):
        line.write(status(state=b"here"))
    alice.write(b"ROOM #team\nDo: create\nAccess: public\n\n" + status(shown=b"no"))
    bob.write(b"CONVERSATION carol\nBlocked: yes\n\nROOM #team\nDo: join\n\n")
    carol.write(b"ROOM #team\nDo: join\n\n")
    mail.advance(0.25)
    mail.advance(0.25)
    assert changes(mail, alice) == [(b"bob", b"here"), (b"carol", b"here")]
    assert changes(mail, bob) == [(b"carol", b"here")]
    assert changes(mail, carol) == []
    alice.write(message(b"bob", b"hi", b"m1"))
    bob.write(message(b"carol", b"hi", b"m1"))
    assert changes(mail, bob) == changes(mail, carol) == []


@pytest.mark.volume
def test_in_a_full_room_each_is_told_of_who_joins_once() -> None:
    """Rule 15.5: the bound."""
    names = [b"u%d" % number for number in range(300)]
    mail = Mail(b"alice", *names)
    lines = [mail.device(name, window=9) for name in names]
    lines[0].write(b"ROOM #team\nDo: create\nAccess: public\n\n")
    for line in lines:
        line.write(b"ROOM #team\nDo: join\n\n")
        line.write(status(state=b"here"))
    mail.advance(0.25)
    mail.advance(0.25)
    for line in lines:
        line.read()
    alice = mail.device(b"alice", window=9)
    alice.write(status(state=b"here"))
    alice.write(b"ROOM #team\nDo: join\n\n")
    mail.advance(0.25)
    mail.advance(0.25)
    for line in lines:
        assert [head.name for head, _ in line.read() if head.verb is Verb.STATUS] == [b"alice"]
    assert sorted(head.name for head, _ in alice.read() if head.verb is Verb.STATUS) == sorted(names)


def test_who_is_removed_from_the_server_is_gone_for_those_who_saw_it() -> None:
    """Rule 15.5; another process may have done it."""
    mail = Mail(b"alice", b"bob", b"carol", b"dave")
    alice, bob, carol, dave = (mail.device(name, window=64) for name in mail.members)
    bob.write(message(b"alice", b"hi", b"m1"))
    bob.write(b"ROOM #team\nDo: create\nAccess: public\n\n")
    carol.write(b"ROOM #team\nDo: join\n\n")
    for line in (alice, bob, carol, dave):
        line.write(status(state=b"here"))
    for line in (alice, bob, carol, dave):
        changes(mail, line)
    mail.store.apply([RemoveMember("bob", mail.now)])
    mail.exchange.members_changed()
    mail.settle()
    assert bob.closed
    mail.advance(0.25)
    mail.advance(0.25)
    assert [changes(mail, line) for line in (alice, carol, dave)] == [[(b"bob", b"gone")], [(b"bob", b"gone")], []]
    mail.store.close()


@pytest.mark.parametrize("request_type", [ListContacts, ListAudience])
def test_if_the_store_fails_nobody_is_shown(request_type: type) -> None:
    mail = Mail(b"alice", b"bob")
    alice, bob = (mail.device(name, window=64) for name in mail.members)
    for line in (alice, bob):
        line.write(status(state=b"here"))
    changes(mail, alice)
    changes(mail, bob)
    mail.answers[request_type] = lambda _: StoreError("the disk fails")
    alice.write(b"ROOM #team\nDo: create\nAccess: public\n\n")
    bob.write(b"ROOM #team\nDo: join\n\n")
    mail.advance(0.25)
    mail.advance(0.25)
    assert changes(mail, alice) == ([] if request_type is ListAudience else [(b"bob", b"here")])
    assert changes(mail, bob) == ([] if request_type is ListContacts else [(b"alice", b"here")])
