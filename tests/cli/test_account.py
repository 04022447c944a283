"""A member's commands: login, chat, send, listen, history, devices, export, logout."""

import json
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.commands import run, started
from tests.cli.operating import PASSWORD, Operator, Person, people


def lines(output: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in output.splitlines()]


def test_a_member_sends_listens_and_looks_back(tmp_path: Path) -> None:
    """The life of two members with a device each, from login to logout."""
    operator = Operator(tmp_path / "data")
    operator.prepare("alice", "bob")
    with operator.serving() as (_, where):
        alice, bob = Person(tmp_path / "a", where), Person(tmp_path / "b", where)
        wrong = alice.run("login", f"alice@{alice.server}", stdin=b"not this one\n")
        assert (wrong.returncode, wrong.stdout) == (77, "")
        assert wrong.stderr == (
            "twotick: wrong name or password (if you have forgotten the password, the server's operator can set a new"
            " one)\n"
        )
        assert "on the device laptop" in alice.log_in("alice", "laptop")
        bob.log_in("bob", "phone")

        waiting = alice.run("send", "bob", "one", "--from", "alice", "--wait", "0.1")
        assert (waiting.returncode, waiting.stdout) == (75, "\u2713 stored for bob\n")
        assert (
            alice.do("send", "bob", "--from", "alice", "--until", "accepted", stdin=b"two") == "\u2713 stored for bob\n"
        )
        refused = alice.run("send", "nobody", "x", "--from", "alice")
        assert (refused.returncode, refused.stdout) == (67, "")

        got = lines(bob.do("listen", "bob", "--json", "--count", "2"))
        assert [(line["from"], line["text"]) for line in got] == [("alice", "one"), ("alice", "two")]
        with started("listen", "bob", env=bob.environment) as listening:
            sent = alice.do("send", "bob", "three", "--from", "alice", "--wait", "60")
            assert sent.startswith("\u2713\u2713 delivered to bob")
            assert listening.line() == "alice: three"

        history = alice.do("history", "bob", "--limit", "2").splitlines()
        assert [line.partition(" alice")[2] for line in history] == [
            " to bob \u2713\u2713: two",
            " to bob \u2713\u2713: three",
        ]
        assert len(alice.do("history", "bob", "--since", "0001-01-01").splitlines()) == 3
        assert alice.run("history", "bob", "--since", "9999-12-31").returncode == 1
        assert [line["text"] for line in lines(bob.do("export"))] == ["one", "two", "three"]
        assert "phone" in bob.do("devices")

        bob.do("devices", "--revoke", "phone")
        assert bob.run("send", "alice", "x", "--from", "bob").returncode == 77
        assert bob.run("logout", f"bob@{bob.server}").returncode == 77
        assert "logged out" in alice.do("logout", f"alice@{alice.server}")
        logged_out = alice.run("history")
        assert (logged_out.returncode, "twotick login" in logged_out.stderr) == (77, True)


def test_a_member_chats_through_a_pipe_on_two_devices(tmp_path: Path) -> None:
    """One tick when it is stored, two when it is there; a copy of one's own on the other device."""
    operator = Operator(tmp_path / "data")
    operator.prepare("alice", "bob")
    with operator.serving() as (_, where):
        laptop, phone, bob = (Person(tmp_path / name, where) for name in ("l", "p", "b"))
        laptop.log_in("alice", "laptop")
        phone.log_in("alice", "phone")
        bob.log_in("bob", "desk")
        with (
            started("chat", "alice", env=laptop.environment) as here,
            started("chat", "alice", env=phone.environment) as there,
        ):
            assert here.line().startswith("You are alice")
            assert there.line().startswith("You are alice")
            here.type("@bob hello")
            assert here.line() == "\u2713 stored for bob"
            assert there.line() == "alice to bob: hello"
            with started("chat", "bob", env=bob.environment) as far:
                assert far.line().startswith("You are bob")
                assert far.line() == "alice: hello"
                assert here.line().startswith("\u2713\u2713 delivered to bob")
                far.type("@alice hi")
                assert here.line() == there.line() == "bob: hi"


def test_a_user_signs_up_with_an_invitation(tmp_path: Path) -> None:
    """Rule 10.3."""
    operator = Operator(tmp_path / "data", SIGN_UP="invite")
    with operator.serving() as (_, where):
        carol = Person(tmp_path / "c", where)
        code = operator.do("user", "invite").strip()
        account = f"carol@{carol.server}"
        wrong = carol.run("login", account, "--sign-up", "no-such-code", stdin=f"{PASSWORD}\n".encode())
        assert wrong.returncode == 77
        empty = carol.run("login", account, "--sign-up", "", stdin=f"{PASSWORD}\n".encode())
        assert (empty.returncode, "'' cannot be an invitation" in empty.stderr) == (64, True), empty
        assert "logged in as carol" in carol.log_in("carol", "laptop", "--sign-up", code)
        again = carol.run("login", f"dave@{carol.server}", "--sign-up", code, stdin=f"{PASSWORD}\n".encode())
        assert again.returncode == 77


@pytest.mark.parametrize("account", ["alice", "@host", "alice@", "alice@host:port", "al ice@127.0.0.1", "alice@a:b:c"])
def test_an_account_that_makes_no_sense(account: str, tmp_path: Path) -> None:
    person = Person(tmp_path, ("127.0.0.1", 1))
    ended = person.run("login", account, stdin=b"password\n")
    assert ended.returncode == 64
    assert len(ended.stderr.splitlines()) == 1


@pytest.mark.parametrize("time", ["2026-05-01", "2026-05-01 14:30", "2026-05-01T14:30:00"])
def test_a_time_is_written_as_people_write_it(time: str) -> None:
    ended = run("history", "--since", time)
    assert (ended.returncode, ended.stdout) == (77, "")
    assert ended.stderr.startswith("twotick: not logged in on ")


def test_what_is_not_a_time_is_refused() -> None:
    ended = run("history", "--since", "yesterday")
    assert (ended.returncode, ended.stdout) == (64, "")
    assert "'yesterday' is not a time: write 2026-05-01 or '2026-05-01 14:30'" in ended.stderr


def test_a_member_changes_the_password(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "data")
    operator.prepare("alice")
    with operator.serving() as (_, where):
        alice, other = Person(tmp_path / "a", where), Person(tmp_path / "b", where)
        alice.log_in("alice", "laptop")
        other.log_in("alice", "phone")
        passwords = f"{PASSWORD}\nbattery staple\n".encode()
        assert alice.do("password", stdin=passwords) == (
            "The password of alice is changed. Your devices stay logged in.\n"
        )
        again = alice.run("password", stdin=passwords)
        assert (again.returncode, again.stderr) == (77, "twotick: the old password is wrong: nothing was changed\n")
        short = alice.run("password", stdin=b"battery staple\nshort\n")
        assert (short.returncode, short.stderr.partition(":")[0]) == (69, "twotick")
        assert "the new password cannot be used: the password is too short" in short.stderr
        missing = alice.run("password", stdin=b"battery staple\n")
        assert (missing.returncode, "standard input has two lines" in missing.stderr) == (64, True)
        assert other.do("devices", "--json")
        alice.do("password", "--revoke-others", stdin=b"battery staple\nhay and barley\n")
        assert other.run("devices").returncode == 77
        assert [line["device"] for line in lines(alice.do("devices", "--json"))] == ["laptop"]


def test_a_member_shows_and_changes_profiles(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "data")
    operator.prepare("alice", "bob")
    with operator.serving() as (_, where):
        alice, bob = Person(tmp_path / "a", where), Person(tmp_path / "b", where)
        alice.log_in("alice", "laptop")
        bob.log_in("bob", "phone")
        assert alice.do("profile") == "alice has no display name\n"
        assert alice.do("profile", "--display", "Alice Miller", "--status", "back at noon") == (
            "alice (Alice Miller)\nback at noon\n"
        )
        assert bob.do("profile", "alice") == "alice has no display name\n"
        alice.do("send", "bob", "hi", "--from", "alice", "--until", "accepted")
        assert lines(bob.do("profile", "alice", "--json")) == [
            {"name": "alice", "display": "Alice Miller", "status": "back at noon", "picture": ""}
        ]
        assert alice.do("profile", "--display", "") == "alice has no display name\nback at noon\n"
        photo = tmp_path / "photo.jpg"
        place = Image.Exif()
        place[0x010E] = "taken at home"
        Image.new("RGB", (900, 400), "red").save(photo, exif=place)
        assert alice.do("profile", "--picture", str(photo)) == (
            "alice has no display name\nback at noon\nhas a picture\n"
        )
        (shown,) = lines(bob.do("profile", "alice", "--json"))
        assert len(str(shown["picture"])) == 64
        photo.write_bytes(b"<svg xmlns='http://www.w3.org/2000/svg'/>")
        for file, why in ((photo, "this is no picture that can be shown here"), (tmp_path / "none", "No such file")):
            refused = alice.run("profile", "--picture", str(file))
            assert (refused.returncode, why in refused.stderr) == (64, True), refused.stderr
        assert lines(alice.do("profile", "--json"))[0]["picture"] == shown["picture"]
        assert alice.do("profile", "--picture", "") == "alice has no display name\nback at noon\n"
        wrong = alice.run("profile", "bob", "--status", "x")
        assert (wrong.returncode, wrong.stderr) == (
            64,
            "twotick: only your own profile can be changed: leave out bob\n",
        )
        long = alice.run("profile", "--status", "x" * 251)
        assert (long.returncode, long.stderr) == (69, "twotick: a status text has at most 250 bytes\n")


def test_a_member_pins_messages(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "data")
    operator.prepare("alice", "bob")
    with operator.serving() as (_, where):
        alice, bob = Person(tmp_path / "a", where), Person(tmp_path / "b", where)
        alice.log_in("alice", "laptop")
        bob.log_in("bob", "phone")
        assert alice.do("pins", "bob") == "No messages are pinned.\n"
        alice.do("send", "bob", "room 4711", "--from", "alice", "--until", "accepted")
        ident = str(lines(alice.do("history", "--json"))[0]["id"])
        assert bob.do("pins", "alice", "--pin", ident, "--sender", "alice") == "The message is pinned in alice.\n"
        assert alice.do("pins", "bob").endswith("room 4711\n")
        (pinned,) = lines(alice.do("pins", "bob", "--json"))
        assert (pinned["id"], pinned["text"], "pinned" in pinned) == (ident, "room 4711", True)
        assert "(pinned a message from alice)" in alice.do("history", "bob")
        assert alice.do("pins", "bob", "--unpin", ident) == "The message is no longer pinned in bob.\n"
        again = alice.run("pins", "bob", "--unpin", ident)
        assert (again.returncode, again.stderr) == (69, "twotick: there is no such pinned message here\n")
        for wrong in (("--sender", "alice"), ("--pin", "a", "--unpin", "b")):
            assert alice.run("pins", "bob", *wrong).returncode == 64


def test_commands_show_display_names_beside_names_and_mark_doubtful_ones(tmp_path: Path) -> None:
    with people(tmp_path, "alice", "bob", "mallory") as (alice, bob, mallory):
        bob.do("profile", "--display", "Bob Miller")
        mallory.do("profile", "--display", "\u0410lice")
        alice.do("room", "create", "team", "--public")
        bob.do("room", "join", "team")
        mallory.do("room", "join", "team")
        members = [line.split("  ") for line in alice.do("room", "members", "team").splitlines()]
        assert [(line[0], line[-2:]) for line in members[1:]] == [
            ("bob", [members[1][-2], "Bob Miller"]),
            ("mallory", ["\u0410lice", "not alice"]),
        ]
        assert [each["display"] for each in lines(alice.do("room", "members", "team", "--json"))] == [
            "", "Bob Miller", "\u0410lice",
        ]  # fmt: skip
        mallory.do("send", "#team", "wild oats", "--until", "accepted")
        bob.do("send", "alice", "/me waves", "--until", "accepted")
        said = [line[17:] for line in alice.do("history").splitlines()][-2:]
        assert said == ["#team mallory (\u0410lice, not alice): wild oats", "* bob (Bob Miller) waves"]
        assert alice.do("profile", "mallory") == "mallory (\u0410lice, not alice)\n"
        alice.do("block", "mallory")
        alice.do("mute", "bob")
        assert alice.do("mute") == "bob (Bob Miller)\n"
        assert alice.do("block").startswith("mallory")  # its profile may not be seen any more
        alice.do("room", "create", "cellar")
        assert alice.do("room", "invite", "cellar", "bob") == "bob (Bob Miller) was invited to #cellar.\n"
        typed = lines(alice.do("export"))
        assert [(each["text"], each.get("action")) for each in typed if "text" in each and "event" not in each] == [
            ("wild oats", None),
            ("/me waves", "waves"),
        ]
        assert bob.do("history", "alice").splitlines()[0][17:] == "* bob (Bob Miller) waves (to alice \u2713)"
