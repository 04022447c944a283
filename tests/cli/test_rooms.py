"""`twotick room`, and messages to rooms from a shell; `twotick search`."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.commands import started
from tests.cli.operating import Person, address, people
from tests.sockets import Peer, patiently
from twotick.wire import Side, Verb, frame, register


@pytest.fixture
def three(tmp_path: Path) -> Generator[list[Person]]:
    with people(tmp_path, "alice", "bob", "carol") as found:
        yield found


def lines(output: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.splitlines()]


def test_rooms_are_made_joined_and_left(three: list[Person]) -> None:
    alice, bob, carol = three
    assert alice.do("room", "create", "team", "--public", "--topic", "oats") == (
        "You created #team. Every member can find and join it.\n"
    )
    assert alice.do("room", "create", "#cellar") == "You created #cellar. Only members who are invited can join it.\n"
    assert bob.do("room", "join", "#TEAM") == "You joined #TEAM, which has 1 other member. Topic: oats\n"
    refused = bob.run("room", "join", "cellar")
    assert (refused.returncode, refused.stdout, refused.stderr) == (67, "", "twotick: there is no such room\n")
    assert alice.do("room", "invite", "cellar", "bob") == "bob was invited to #cellar.\n"
    assert bob.do("room", "list").splitlines() == [
        f"{'#cellar':<33} private invited       1",
        f"{'#team':<33} public  member        2  oats",
    ]
    assert [(each["name"], each["invited"], each["role"]) for each in lines(bob.do("room", "list", "--json"))] == [
        ("#cellar", True, "none"),
        ("#team", False, "member"),
    ]
    assert alice.do("room", "appoint", "team", "bob", "moderator") == "bob is now a moderator of #team.\n"
    assert bob.do("room", "topic", "team", "wild oats") == "wild oats\n"
    assert alice.do("room", "topic", "team") == "wild oats\n"
    carol.do("room", "join", "team")
    members = lines(carol.do("room", "members", "team", "--json"))
    assert [(each["name"], each["role"]) for each in members] == [
        ("alice", "owner"),
        ("bob", "moderator"),
        ("carol", "member"),
    ]
    assert bob.do("room", "remove", "team", "carol") == "carol was removed from #team.\n"
    unknown = bob.run("room", "invite", "team", "nobody")
    assert (unknown.returncode, unknown.stderr) == (69, "twotick: there is no member called nobody\n")
    assert carol.run("room", "leave", "team").returncode == 69
    assert alice.do("room", "leave", "team") == "You left #team.\n"
    assert [line.split()[:2] for line in bob.do("room", "members", "team").splitlines()] == [["bob", "owner"]]


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["room", "create", "te am"], 64),
        (["room", "create", "team", "--topic", "a\nb"], 64),
        (["room", "create", "team", "--guests"], 64),
        (["room", "access", "team", "king"], 64),
        (["room", "access", "nowhere", "public"], 67),
        (["room", "invite", "team", "b b"], 64),
        (["room", "appoint", "team", "bob", "king"], 64),
        (["room", "members", "nowhere"], 67),
        (["send", "#nowhere", "hello", "--from", "alice"], 67),
        (["send", "#te am", "hello", "--from", "alice"], 64),
        (["send", "#team", "hello", "--from", "alice", "--until", "read"], 64),
        (["search", " , "], 69),
        (["search", "oats", "--in", "b b"], 64),
    ],
)
def test_what_cannot_be_done_is_said(members: list[Person], arguments: list[str], status: int) -> None:
    ended = members[0].run(*arguments)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert ended.stderr


@pytest.fixture(scope="module")
def members(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[Person]]:
    """A member for tests that change nothing."""
    with people(tmp_path_factory.mktemp("members"), "alice") as found:
        yield found


def test_a_message_to_a_room_says_who_has_it(three: list[Person]) -> None:
    alice, bob, carol = three
    alice.do("room", "create", "team", "--public")
    for person in (bob, carol):
        person.do("room", "join", "team")
    waiting = alice.run("send", "#team", "one", "--from", "alice", "--wait", "0.1")
    assert (waiting.returncode, waiting.stdout) == (75, "\u2713 stored for #team\n")
    with started("listen", "bob", env=bob.environment) as listening:
        assert listening.line() == "#team alice: one"
        with started("send", "#team", "two", "--from", "alice", "--wait", "60", env=alice.environment) as sending:
            assert listening.line() == "#team alice: two"
            assert sending.line() == "  1 of 2 have it"
            got = lines(carol.do("listen", "carol", "--json", "--count", "2"))
            assert sending.line().startswith("\u2713\u2713 delivered to #team (")
            assert sending.end().returncode == 0
    assert [(each["from"], each["room"], each["text"]) for each in got] == [
        ("alice", "#team", "one"),
        ("alice", "#team", "two"),
    ]


def test_a_command_is_told_the_room(three: list[Person]) -> None:
    alice, bob, _ = three
    alice.do("room", "create", "team", "--public")
    bob.do("room", "join", "team")
    for recipient in ("#team", "bob"):
        alice.do("send", recipient, "x", "--from", "alice", "--until", "accepted")
    told = "echo $TWOTICK_FROM ${TWOTICK_ROOM:-alone}"
    assert bob.do("listen", "bob", "--exec", told, "--count", "2") == "alice #team\nalice alone\n"


def test_what_was_said_in_a_room_is_looked_up_and_found(three: list[Person]) -> None:
    alice, bob, _ = three
    alice.do("room", "create", "team", "--public", "--topic", "a \u202ec")
    bob.do("room", "join", "team")
    for text in ("red oats\x1b[2J", "wild oats", "barley"):
        alice.do("send", "#team", text, "--from", "alice", "--until", "accepted")
    alice.do("send", "bob", "red wild oats", "--from", "alice", "--until", "accepted")
    history = bob.do("history", "#team").splitlines()
    assert [line.split(" ", 2)[2] for line in history] == [
        "#team: alice created this room",
        "#team: bob joined",
        "#team alice: red oats\u241b[2J",
        "#team alice: wild oats",
        "#team alice: barley",
    ]
    details = lines(bob.do("history", "#team", "--json", "--limit", "4"))
    assert [each["place"] for each in details] == [2, 3, 4, 5]
    assert details[0]["event"] == {"kind": "joined", "room": "#team"}
    found: list[str] = []
    for _ in patiently():  # it may take a few seconds
        if len(found := bob.do("search", "oats").splitlines()) == 3:
            break
    assert [line.split(" ", 2)[2] for line in found] == [
        "alice: red wild oats",
        "#team alice: wild oats",
        "#team alice: red oats\u241b[2J",
    ]
    assert bob.do("search", "wild oats", "--in", "#team").splitlines() == [found[1]]
    assert bob.run("search", '"oats', 'wild"').returncode == 1
    assert [each["text"] for each in lines(bob.do("search", "oat*", "--json", "--limit", "1"))] == ["red wild oats"]
    assert len(alice.do("search", "oats", "--in", "bob").splitlines()) == 1


def test_guests_are_let_in_and_what_they_write_is_marked(three: list[Person]) -> None:
    alice, bob, _ = three
    assert alice.do("room", "create", "lab", "--public", "--guests") == (
        "You created #lab. Every member can find and join it, and so can guests.\n"
    )
    assert bob.do("room", "list") == f"{'#lab':<33} guests  {'':<9} {1:>5}\n"
    bob.do("room", "join", "lab")
    ann = Peer(address(alice.server), "127.0.0.1")
    ann.write(register(Side.DUPLEX, b"ann"))
    ann.write(frame(Verb.ROOM, b"#lab", do=b"join"))
    ann.write(frame(Verb.SEND, b"#lab", b"hello oats", id=b"m1"))
    while ann.frame()[0] != b"ACCEPTED":
        pass
    assert [line.split()[:2] for line in bob.do("room", "members", "lab").splitlines()] == [
        ["alice", "owner"],
        ["bob", "member"],
        ["ann", "guest"],
    ]
    (*_, listed) = lines(bob.do("room", "members", "lab", "--json"))
    assert (listed["name"], listed["role"], listed["since"]) == ("ann", "guest", None)
    told = 'echo "$TWOTICK_FROM ${TWOTICK_GUEST:-no}"'
    assert alice.do("listen", "alice", "--count", "1") == "#lab ann (guest): hello oats\n"
    assert bob.do("listen", "bob", "--exec", told, "--count", "1") == "ann yes\n"
    assert bob.do("history", "#lab", "--limit", "1").endswith(" #lab ann (guest): hello oats\n")
    for command in (("history", "#lab", "--json", "--limit", "1"), ("export",)):
        *_, last = lines(bob.do(*command))
        assert (last["from"], last["guest"], last["text"]) == ("ann", True, "hello oats")
    for _ in patiently():  # it may take a few seconds
        if (found := bob.run("search", "oats")).returncode == 0:
            assert found.stdout.endswith(" #lab ann (guest): hello oats\n")
            break
    refused = bob.run("room", "access", "lab", "public")
    assert (refused.returncode, refused.stdout) == (69, "")
    assert refused.stderr.count("\n") == 1
    assert alice.do("room", "access", "lab", "public") == "public: Every member can find and join it.\n"
    assert alice.do("room", "access", "lab") == "public: Every member can find and join it.\n"
    assert [line.split()[0] for line in bob.do("room", "members", "lab").splitlines()] == ["alice", "bob"]
    assert bob.do("history", "#lab", "--limit", "1").endswith(" #lab: alice lets no guests in any more\n")
    assert alice.do("room", "access", "lab", "guests").startswith("guests: Every member can find and join it, and so")
    ann.socket.close()
