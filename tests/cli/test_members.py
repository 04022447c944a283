"""`twotick user` and `twotick token`."""

import json
import os
import re
import shutil
import signal
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import pexpect
import pytest

from tests.cli.commands import COMMAND
from tests.cli.operating import PASSWORD, Operator, answer, basic, bearer, log_in, outcome, until_owned
from tests.sockets import Peer
from twotick.wire import Side, register

IN = "REGISTERED DUPLEX alice"
OUT = "ERROR 104 Not authenticated"


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "data")


@pytest.fixture
def server(operator: Operator, refusing: Operator) -> Generator[tuple[str, int]]:
    """A server with a member called alice, which stops in good order without having said anything."""
    shutil.copytree(refusing.data, operator.data)
    with operator.serving() as (server, address):
        yield address
        ended = server.end(signal.SIGTERM)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.fixture(scope="module")
def refusing(tmp_path_factory: pytest.TempPathFactory) -> Generator[Operator]:
    """An operator of data that no test changes: of alice, who has as many devices as she may."""
    operator = Operator(tmp_path_factory.mktemp("refusing") / "data", MAX_DEVICES="1")
    operator.add("alice")
    operator.do("token", "alice", "laptop")
    yield operator
    assert operator.do("user", "list", "--json").startswith('{"name": "alice", "devices": 1, ')


def test_a_member_is_removed_only_after_a_yes(operator: Operator) -> None:
    operator.prepare("alice")
    ended = operator.run("user", "remove", "alice", stdin=b"yes\n")
    assert (ended.returncode, ended.stdout) == (64, "")
    assert ended.stderr == "twotick: there is no terminal to ask on: --yes removes without asking\n"
    for typed, status in (("no", 130), ("", 130), ("yes", 0)):
        assert operator.do("user", "list").startswith("alice ")
        terminal: pexpect.spawn[bytes] = pexpect.spawn(
            COMMAND, ["user", "remove", "alice"], env=cast(Any, operator.environment), timeout=20, use_poll=True
        )
        terminal.expect("This cannot be undone. Type yes: ")
        terminal.sendline(typed)
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == status
    assert operator.do("user", "list") == ""


def test_members_are_added_and_listed_before_there_is_a_server(operator: Operator) -> None:
    operator.add("Bob")
    operator.add("alice")
    none = operator.run("user", "tokens", "alice")
    assert (none.returncode, none.stdout, none.stderr) == (0, "", "twotick: alice has no devices\n")
    operator.do("token", "alice", "laptop")
    alice, bob = operator.do("user", "list").splitlines()
    assert alice.startswith(f"{'alice':<32} 1 device    seen ")
    assert bob == f"{'Bob':<32} 0 devices   never connected"
    listed = [json.loads(line) for line in operator.do("user", "list", "--json").splitlines()]
    assert [(each["name"], each["devices"]) for each in listed] == [("alice", 1), ("Bob", 0)]
    assert (operator.data.stat().st_mode & 0o777, (operator.data / "twotick.db").stat().st_mode & 0o777) == (
        0o700,
        0o600,
    )


def test_a_running_server_notices_a_new_member(operator: Operator, server: tuple[str, int]) -> None:
    operator.add("carol")
    assert outcome(server, "carol", basic("carol", PASSWORD)) == "REGISTERED DUPLEX carol"
    operator.add("dave")
    until_owned(server, "dave")


def test_a_removed_member_is_disconnected_and_the_name_is_free(operator: Operator, server: tuple[str, int]) -> None:
    alice, line = log_in(server, "alice", basic("alice", PASSWORD))
    assert line == IN
    assert operator.do("user", "remove", "ALICE", "--yes") == ""
    assert answer(alice).splitlines()[:2] == ["ERROR 108 Replaced", "Reason: the member was removed"]
    assert alice.rest() == b""
    until_owned(server, "alice", owned=False)
    assert operator.do("user", "list") == ""


def test_a_changed_password_counts_at_once_and_tokens_stay_good(operator: Operator, server: tuple[str, int]) -> None:
    token = operator.do("token", "alice", "laptop").removesuffix("\n")
    assert operator.do("user", "passwd", "Alice", stdin=b"battery staple\r\n") == ""
    assert outcome(server, "alice", basic("alice", PASSWORD)) == OUT
    assert outcome(server, "alice", basic("alice", "battery staple")) == IN
    assert outcome(server, "alice", bearer(token)) == IN


def test_a_new_token_takes_the_place_of_the_older_one(operator: Operator, server: tuple[str, int]) -> None:
    first, other, second = (
        operator.do("token", "alice", device).removesuffix("\n") for device in ("phone", "laptop", "phone")
    )
    assert re.fullmatch(r"tt_[A-Za-z0-9_-]{43}", second)
    assert [outcome(server, "alice", bearer(token)) for token in (first, other, second)] == [OUT, IN, IN]


def test_an_invitation_lets_one_person_sign_up(operator: Operator) -> None:
    operator.settings["SIGN_UP"] = "invite"
    code = operator.do("user", "invite", "--days", "2").removesuffix("\n")
    for time in ("12h", "2w", "90d", "3650"):
        assert operator.run("user", "invite", "--days", time).returncode == 0
    for wrong, why in (("0", "too short"), ("11y", "is not a time such as"), ("3651d", "too long"), ("-1", "is not a")):
        ended = operator.run("user", "invite", "--days", wrong)
        assert (ended.returncode, ended.stdout) == (64, "")
        assert why in ended.stderr
    assert re.fullmatch(r"([0-9a-z]{5}-){4}[0-9a-z]{5}", code)
    with operator.serving() as (_, server):
        assert outcome(server, "alice", basic("alice", PASSWORD), sign_up="12345") == OUT
        assert outcome(server, "alice", basic("alice", PASSWORD), sign_up=code) == IN
        assert outcome(server, "bob", basic("bob", PASSWORD), sign_up=code) == OUT
    assert operator.do("user", "list", "--json").startswith('{"name": "alice", "devices": 1, ')


def test_an_invitation_comes_as_a_link_to_the_page(operator: Operator, tmp_path: Path) -> None:
    operator.settings |= {"SIGN_UP": "invite", "WEB": "yes"}
    code = r"([0-9a-z]{5}-){4}[0-9a-z]{5}"
    ended = operator.run("user", "invite", "--link")
    assert re.fullmatch(rf"http://127\.0\.0\.1:18080/#invite={code}\n", ended.stdout)
    assert ended.stderr == (
        "twotick: the link works only on this machine: set web_url to the address that others use\n"
    )
    operator.do("cert", "*.example", "localhost", "chat.example", "--folder", str(tmp_path / "tls"))
    operator.settings |= {
        f"TLS_{each.upper()}": str(tmp_path / "tls" / f"{each}.pem") for each in ("certificate", "key")
    }
    assert re.fullmatch(rf"https://chat\.example:18444/#invite={code}\n", operator.do("user", "invite", "--link"))
    operator.settings["WEB_URL"] = "https://talk.example/, https://chat.example"
    assert re.fullmatch(rf"https://talk\.example/#invite={code}\n", operator.do("user", "invite", "--link"))
    assert re.fullmatch(rf"{code}\n", operator.do("user", "invite")), "scripts get the code alone"


@pytest.mark.parametrize(("settings", "status"), [({"WEB": "no"}, 64), ({"WEB_PORT": "0"}, 64), ({"WEB_URL": "x"}, 64)])
def test_without_a_page_there_is_no_link_and_no_invitation_is_made(
    operator: Operator, settings: dict[str, str], status: int
) -> None:
    operator.settings |= {"SIGN_UP": "invite", "WEB": "yes", **settings}
    ended = operator.run("user", "invite", "--link")
    assert (ended.returncode, ended.stdout) == (status, "")
    assert "web_url" in ended.stderr


@pytest.mark.parametrize("sign_up", ["open", "closed"])
def test_an_invitation_that_the_server_would_not_take_comes_with_a_word(operator: Operator, sign_up: str) -> None:
    operator.settings["SIGN_UP"] = sign_up
    ended = operator.run("user", "invite")
    assert (ended.returncode, len(ended.stdout)) == (0, 30)
    assert ended.stderr == (
        f"twotick: the server accepts this code only with sign_up = 'invite'; these settings say '{sign_up}'\n"
    )


@pytest.mark.parametrize(
    ("arguments", "password", "status", "problem"),
    [
        (["user", "add", "al ice"], PASSWORD, 64, "'al ice' cannot be a name: "),
        (["user", "add", "SEND"], PASSWORD, 64, "'SEND' cannot be a name: "),
        (["user", "add", "\x1b[2J"], PASSWORD, 64, r"'\\x1b\[2J' cannot be a name: "),
        (["user", "add", "ALICE"], PASSWORD, 65, "alice is already a member"),
        (["user", "add", "bob"], "", 64, "no password was given"),
        (["user", "add", "bob"], "five5", 64, "the password is too short: "),
        (["user", "add", "bob"], "x" * 513, 64, "the password is too long: "),
        (["user", "add", "bob"], "x" * 5000, 64, "the password is too long: "),
        (["user", "passwd", "alice"], "five5", 64, "the password is too short: "),
        (["user", "passwd", "bob"], PASSWORD, 65, "there is no member called bob"),
        (["user", "passwd", "b b"], PASSWORD, 64, "'b b' cannot be a name: "),
        (["user", "remove", "bob"], "", 65, "there is no member called bob"),
        (["user", "remove", ""], "", 64, "'' cannot be a name: "),
        (["token", "bob", "laptop"], "", 65, "there is no member called bob"),
        (["token", "alice", "lap top"], "", 64, "'lap top' cannot be the name of a device: "),
        (["token", "alice", "phone"], "", 65, "too many devices; a member has at most 1"),
    ],
)
def test_what_cannot_be_done_is_said(
    refusing: Operator, arguments: list[str], password: str, status: int, problem: str
) -> None:
    ended = refusing.run(*arguments, stdin=password.encode())
    assert (ended.returncode, ended.stdout) == (status, "")
    assert re.fullmatch(f"twotick: {problem}.*\n", ended.stderr), ended.stderr
    assert not password or password not in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["user", "passwd", "a"],
        ["user", "remove", "a", "--yes"],
        ["user", "list"],
        ["token", "a", "b"],
        ["check"],
        ["backup", "f"],
        ["user", "reports"],
        ["user", "reports", "--close", "1"],
    ],
)
def test_where_there_is_no_data_none_is_made(operator: Operator, arguments: list[str]) -> None:
    ended = operator.run(*arguments, stdin=PASSWORD.encode())
    assert (ended.returncode, ended.stdout) == (65, "")
    assert ended.stderr == (
        f"twotick: there is no database in {operator.data}:"
        " start the server, which makes one, or name its folder with --data, TWOTICK_DATA or the setting data\n"
    )
    assert not operator.data.exists()


# On a terminal


def typing(operator: Operator, *passwords: str) -> tuple[str, int | None]:
    """Add bob, typing passwords; what was on the screen in the end, and the exit status."""
    terminal = cast(
        Any,
        pexpect.spawn(
            COMMAND, ["user", "add", "bob"], env=operator.environment, timeout=60, encoding="utf-8", use_poll=True
        ),
    )
    with terminal:
        screen = ""
        for question, password in zip(("Password: ", "Repeat the password: "), passwords, strict=False):
            terminal.expect_exact(question)
            screen += terminal.before + question
            terminal.waitnoecho()
            terminal.send(password)
        terminal.expect(pexpect.EOF)
        screen += terminal.before
    return screen, terminal.exitstatus


def test_a_password_is_typed_twice_and_not_seen(operator: Operator) -> None:
    screen, status = typing(operator, "battery staple\n", "battery staple\n")
    assert (screen.split(), status) == (["Password:", "Repeat", "the", "password:"], 0)
    with operator.serving() as (_, server):
        assert outcome(server, "bob", basic("bob", "battery staple")) == "REGISTERED DUPLEX bob"


@pytest.mark.parametrize(
    ("passwords", "status", "problem"),
    [
        (["battery staple\n", "battery stable\n"], 64, "twotick: the two passwords differ: nothing was changed"),
        (["batt\n"], 64, "twotick: the password is too short: it must have at least 6 bytes"),
        (["\x04"], 64, "twotick: no password was given"),
        (["battery staple\n", "\x03"], 130, ""),
    ],
)
def test_a_password_that_is_not_given_changes_nothing(
    operator: Operator, passwords: list[str], status: int, problem: str
) -> None:
    screen, found = typing(operator, *passwords)
    assert found == status
    assert problem in screen
    assert "battery" not in screen
    assert operator.do("user", "list") == ""


def ended(peer: Peer) -> str:
    """Return why the server has ended a connection."""
    frame = answer(peer)
    while not frame.startswith("ERROR 108 "):
        frame = answer(peer)
    assert peer.rest() == b""
    return frame.splitlines()[1].removeprefix("Reason: ")


def test_a_disabled_member_is_kept_out_by_every_door_and_loses_nothing(
    operator: Operator, server: tuple[str, int]
) -> None:
    operator.prepare("bob")
    token = operator.do("token", "alice", "laptop").removesuffix("\n")
    bob, _ = log_in(server, "bob", basic("bob", PASSWORD))
    bob.write(b"SEND alice\nContent-length: 5\nId: m1\n\nfirst")
    assert answer(bob).startswith("ACCEPTED alice\n")
    alice, line = log_in(server, "alice", bearer(token))
    assert line == IN
    assert answer(alice).startswith("FORWARD bob\n")
    alice.expect(b"first")  # which it does not acknowledge
    assert operator.do("user", "disable", "Alice") == ""
    assert ended(alice) == "the account was disabled"
    for credential in (basic("alice", PASSWORD), bearer(token)):
        refused = Peer(server, "127.0.0.1")
        refused.write(register(Side.DUPLEX, b"alice", authorization=credential, reasons=b"yes"))
        assert answer(refused).splitlines()[1:3] == [
            "Reason: this account is disabled: ask the operator of the server",
            "Kind: disabled",
        ]
        refused.close()
    assert outcome(server, "alice", basic("alice", "wrong password")) == OUT
    bob.write(b"SEND alice\nContent-length: 5\nId: m2\n\nother")
    assert "Reason: alice is disabled, and cannot get messages\n" in answer(bob)
    found = operator.run("user", "reset", "alice")
    assert (found.returncode, found.stdout) == (65, "")
    assert "enable the member first" in found.stderr
    assert ", disabled " in operator.do("user", "list").splitlines()[0]
    assert operator.do("user", "enable", "alice") == ""
    alice, line = log_in(server, "alice", bearer(token))
    assert line == IN
    assert answer(alice).startswith("FORWARD bob\n")
    alice.expect(b"first")
    bob.close()
    alice.close()


def test_a_reset_signs_out_and_lets_the_member_set_a_password(operator: Operator, server: tuple[str, int]) -> None:
    token = operator.do("token", "alice", "laptop").removesuffix("\n")
    alice, _ = log_in(server, "alice", bearer(token))
    code = operator.do("user", "reset", "alice", "--hours", "2h").removesuffix("\n")
    assert ended(alice) == "the operator has reset this account"
    assert [outcome(server, "alice", each) for each in (bearer(token), basic("alice", PASSWORD))] == [OUT, OUT]
    (listed,) = [json.loads(line) for line in operator.do("user", "invitations", "--json").splitlines()]
    assert (listed["resets"], len(listed["id"])) == ("alice", 12)
    lost, code = code, operator.do("user", "reset", "alice").removesuffix("\n")
    assert outcome(server, "alice", basic("alice", "battery staple"), sign_up=lost) == OUT, "a new code replaces it"
    operator.add("carol")
    new = "battery staple"
    assert outcome(server, "carol", basic("carol", new), sign_up=code) == OUT
    assert outcome(server, "dave", basic("dave", new), sign_up=code) == OUT.replace("alice", "dave")
    assert outcome(server, "alice", basic("alice", new), sign_up=code) == IN
    assert outcome(server, "alice", basic("alice", "another one"), sign_up=code) == OUT
    assert outcome(server, "alice", basic("alice", new)) == IN


def test_devices_are_listed_and_revoked_by_the_operator(operator: Operator, server: tuple[str, int]) -> None:
    operator.settings["MAX_DEVICES"] = "32"
    token = operator.do("token", "alice", "laptop").removesuffix("\n")
    other = operator.do("token", "alice", "phone").removesuffix("\n")
    laptop, _ = log_in(server, "alice", bearer(token))
    phone, _ = log_in(server, "alice", bearer(other))
    listed = [json.loads(line) for line in operator.do("user", "tokens", "alice", "--json").splitlines()]
    assert [(each["device"], each["token"]) for each in listed] == [("laptop", True), ("phone", True)]
    assert operator.do("user", "revoke", "alice", "laptop") == ""
    assert ended(laptop) == "the operator has revoked this device"
    assert outcome(server, "alice", bearer(token)) == OUT
    phone.write(b"DEVICES\n\n")
    assert answer(phone).startswith("DEVICES\n")
    assert operator.do("user", "revoke", "alice", "--all") == ""
    phone.read(len(b'[{"device": "phone", "connected": true, "seen": "2026-11-29T12:00:00.000Z"}]'))
    assert ended(phone) == "the operator has signed this device out"
    assert outcome(server, "alice", bearer(other)) == OUT
    refused = operator.run("user", "revoke", "alice", "tablet")
    assert (refused.returncode, refused.stdout) == (65, "")
    assert refused.stderr == ("twotick: alice has no device called tablet: 'twotick user tokens alice' lists them\n")
    for wrong in (("revoke", "alice"), ("revoke", "alice", "phone", "--all"), ("role", "alice", "king")):
        assert operator.run("user", *wrong).returncode == 64


def test_display_names_roles_and_invitations(operator: Operator, server: tuple[str, int]) -> None:
    alice, _ = log_in(server, "alice", basic("alice", PASSWORD))
    alice.write(b"PROFILE\nId: p1\n\n")
    assert answer(alice).startswith("PROFILE\n")
    alice.expect(b"[]")
    assert operator.do("user", "rename", "alice", "Alice A.") == ""
    assert answer(alice) == "PROFILE alice\nDisplay: Alice A.\n\n"
    assert operator.run("user", "rename", "alice", "two\nlines").returncode == 64
    assert operator.do("user", "role", "alice", "operator") == ""
    listed = json.loads(operator.do("user", "list", "--json"))
    assert (listed["display"], listed["operator"], listed["disabled"]) == ("Alice A.", True, None)
    assert operator.do("user", "role", "alice", "member") == ""
    assert not json.loads(operator.do("user", "list", "--json"))["operator"]
    operator.settings["SIGN_UP"] = "invite"
    operator.do("user", "invite")
    ident = operator.do("user", "invitations").split()[0]
    assert operator.do("user", "invitations", "--withdraw", ident) == ""
    assert operator.run("user", "invitations", "--withdraw", ident).returncode == 65
    assert operator.run("user", "invitations").stdout == ""
    archive = operator.data.parent / "alice.zip"
    assert operator.do("user", "export", "alice", str(archive)).startswith(f"{archive}: ")
    assert archive.stat().st_mode & 0o777 == 0o600
    assert operator.run("user", "export", "nobody", str(archive)).returncode == 65
    assert operator.run("user", "export", "alice", str(operator.data)).returncode == 65
    pipe = archive.with_name("pipe")
    os.mkfifo(pipe)
    for other, problem in (
        (operator.data / "twotick.db", "is in the server's data folder"),
        (pipe, "is not a regular"),
    ):
        refused = operator.run("user", "export", "alice", str(other))
        assert (refused.returncode, problem in refused.stderr) == (64, True), refused
    assert pipe.is_fifo()
    alice.close()


def test_a_bot_is_made_limited_and_revoked(operator: Operator, server: tuple[str, int]) -> None:
    """Also while the server runs."""
    token = operator.do("bot", "add", "alerts", "--to", "ALICE").strip()
    assert operator.do("bot", "list") == f"{'alerts':<32} sends to alice\n"
    second = operator.do("bot", "token", "alerts", "backup").strip()
    assert second != token
    assert operator.do("bot", "tokens", "alerts") == "backup\nmain\n"
    assert token not in operator.do("bot", "tokens", "alerts", "--json")
    peer, line = log_in(server, "alerts", bearer(second))
    assert line == "REGISTERED DUPLEX alerts"
    operator.do("bot", "deny", "alerts", "--to", "alice")
    operator.do("bot", "allow", "alerts", "--read", "alice")
    assert operator.do("bot", "list", "--json") == '{"name": "alerts", "to": [], "read": ["alice"]}\n'
    operator.do("bot", "revoke", "alerts", "backup")
    assert ended(peer) == "the operator has revoked this device"
    assert outcome(server, "alerts", bearer(second)) == OUT.replace("alice", "alerts")
    operator.do("bot", "remove", "alerts")
    assert operator.do("bot", "list") == ""


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("add", "alerts"), 64, "name at least one recipient with --to"),
        (("add", "alerts", "--to", "nobody"), 65, "there is no such member called nobody"),
        (("add", "alerts", "--to", "#none"), 65, "there is no such room as #none"),
        (
            ("add", "alerts", "--to", "a b"),
            64,
            "'a b' cannot be a recipient: name a user, a room such as '#ops', or ALL",
        ),
        (("add", "alice", "--to", "alice"), 65, "alice is already a member"),
        (("allow", "alice", "--to", "alice"), 65, "alice is no bot: 'twotick bot list' lists the bots"),
        (("token", "alice", "x"), 65, "alice is no bot"),
        (("revoke", "nobody", "x"), 65, "there is no member called nobody"),
    ],
)
def test_what_is_wrong_with_a_bot_is_said(
    refusing: Operator, arguments: tuple[str, ...], status: int, words: str
) -> None:
    ended = refusing.run("bot", *arguments)
    assert (ended.returncode, ended.stdout) == (status, "")
    assert words in ended.stderr
    assert refusing.do("bot", "list") == ""
