"""Accounts and servers on other machines: two homes, and a host name that is not this machine's."""

import json
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.commands import environment, run, started
from tests.cli.operating import PASSWORD, Operator, Person, people
from tests.machines.machines import HOST, Machine, machine
from tests.sockets import patiently

SECRET = f"{PASSWORD}\n".encode()


def until_sent(sender: Operator, *arguments: str) -> None:
    """Send a message again and again until the recipient is there."""
    for _ in patiently():
        if not sender.run(*arguments).returncode:
            return
    raise TimeoutError(arguments)


@pytest.fixture
def server(tmp_path: Path) -> Generator[Machine]:
    """A machine whose server has the members alice and bob, and admits guests."""
    with machine(tmp_path, SIGN_UP="open") as found:
        found.prepare("alice", "bob")
        with found.running():
            yield found


def test_after_a_login_no_command_needs_to_be_told_who_and_where(server: Machine) -> None:
    alice, bob = server.user("alice"), server.user("bob")
    out, said = alice.tell("login", f"alice@{HOST}", stdin=SECRET)
    assert f"logged in as alice on {HOST}" in out
    assert said == (
        f"twotick: first connection to {HOST}:18443: its certificate {server.fingerprint} is trusted from now on\n"
    )
    bob.tell("login", f"bob@{HOST}", stdin=SECRET)
    with started("listen", env=bob.environment) as listening:
        assert alice.do("send", "bob", "hello", "--wait", "60").startswith("\u2713\u2713 delivered to bob")
        assert listening.line() == "alice: hello"
    assert "alice to bob \u2713\u2713: hello" in alice.do("history", "bob")
    assert "(this device)" in alice.do("devices")
    assert "hello" in alice.do("search", "hello")
    assert json.loads(bob.do("export"))["text"] == "hello"
    with started("chat", env=alice.environment) as chat:
        assert chat.line().startswith(f"You are alice on {HOST}.")
    assert alice.do("logout") == f"alice is logged out of {HOST}: the token no longer works.\n"
    assert alice.tell("history", status=77)[1].startswith("twotick: not logged in on 127.0.0.1:18000: run")


def test_the_first_connection_is_told_also_if_the_server_refuses_the_login(server: Machine) -> None:
    """The next connection finds the certificate known, so that the user would never see its fingerprint."""
    first = f"first connection to {HOST}:18443: its certificate {server.fingerprint} is trusted from now on"
    user = server.user("user")
    assert user.tell("login", f"alice@{HOST}", status=64)[1] == "twotick: no password was given\n"
    said = user.tell("login", f"alice@{HOST}", stdin=b"not this one\n", status=77)[1].splitlines()
    assert said[0] == f"twotick: {first}"
    assert said[1].startswith("twotick: wrong name or password")
    guest = server.user("guest")
    said = guest.tell("send", "bob", "x", "--as", f"alice@{HOST}", status=77)[1].splitlines()
    assert (len(said), said[0]) == (2, f"twotick: {first}")


def test_several_accounts(server: Machine) -> None:
    user = server.user("user")
    assert user.do("accounts") == "No account is logged in here: run 'twotick login NAME@HOST'.\n"
    assert user.do("accounts", "--json") == ""
    user.tell("login", f"alice@{HOST}", "--device", "laptop", stdin=SECRET)
    user.tell("login", f"bob@{HOST}:18443", "--device", "desk", stdin=SECRET)

    def used() -> list[str]:
        return [line.split()[-3] for line in user.do("accounts").splitlines() if line.startswith("* ")]

    assert used() == [f"bob@{HOST}:18443"]
    assert user.do("send", "bob", "from alice", "--as", "alice", "--until", "accepted")
    assert user.do("account", "use", f"ALICE@{HOST}") == f"All commands use alice@{HOST} from now on.\n"
    assert used() == [f"alice@{HOST}"]
    assert "laptop" in user.do("devices")
    assert "desk" in user.do("devices", "--as", f"bob@{HOST}")
    assert user.do("account", "use", "bob").startswith("All commands use bob")
    assert [json.loads(line) for line in user.do("accounts", "--json").splitlines()] == [
        {"account": f"bob@{HOST}:18443", "device": "desk", "default": True},
        {"account": f"alice@{HOST}", "device": "laptop", "default": False},
    ]
    user.do("logout", "bob")
    assert used() == [f"alice@{HOST}"]
    assert "'twotick accounts' lists" in user.tell("account", "use", "carol", status=77)[1]
    assert "not logged in as bob" in user.tell("logout", "bob", status=77)[1]


def test_a_setting_that_comes_before_the_account_is_mentioned(server: Machine) -> None:
    user = server.user("user")
    user.settings["SERVER"] = "127.0.0.1:7"
    said = user.tell("login", f"alice@{HOST}", stdin=SECRET)[1]
    assert "the setting server is 127.0.0.1:7, which comes first" in said
    said = user.tell("account", "use", "alice")[1]
    assert f"or use --as alice@{HOST}" in said
    assert user.tell("history", status=77)[1].startswith("twotick: not logged in on 127.0.0.1:7: run")
    assert "(this device)" in user.do("devices", "--as", f"alice@{HOST}")
    user.settings["SERVER"] = f"alice@{HOST}"
    assert "(this device)" in user.do("devices")


def test_a_name_that_is_logged_in_here_is_never_tried_as_a_guest(server: Machine) -> None:
    """Also not at the server of another account, and not if its token does not work any more."""
    user = server.user("user")
    user.tell("login", f"alice@{HOST}", "--device", "laptop", stdin=SECRET)
    with people(Path(user.data) / "there", "carol") as (carol,):
        user.tell("login", f"carol@{carol.server}", "--device", "desk", stdin=SECRET)
        assert user.do("send", "bob", "x", "--as", "alice", "--until", "accepted") == "\u2713 stored for bob\n"
    user.do("account", "use", "alice")
    other = server.user("other")
    other.tell("login", f"alice@{HOST}", "--device", "phone", stdin=SECRET)
    other.do("devices", "--revoke", "laptop")
    ended = user.run("send", "bob", "x")
    assert ended.returncode == 77
    assert ended.stderr.startswith("twotick: this device is not logged in as alice any more")


def test_guests_use_the_server_of_the_account_and_tls(server: Machine) -> None:
    user = server.user("user")
    user.tell("login", f"alice@{HOST}", stdin=SECRET)
    with started("listen", "--as", "oncall", env=user.environment) as listening:
        until_sent(user, "send", "oncall", "disk full", "--as", "cron")
        assert listening.line() == "cron: disk full"
    stranger = server.user("stranger")
    with started("listen", f"oncall@{HOST}", env=stranger.environment) as listening:
        assert "is trusted from now on" in listening.stderr.readline()
        until_sent(stranger, "send", "oncall", "x", "--from", "cron", "--server", HOST)
        assert listening.line() == "cron: x"


def test_plain_text_to_another_machine_needs_a_word(tmp_path: Path) -> None:
    with machine(tmp_path) as plain:
        del plain.settings["TLS_CERTIFICATE"], plain.settings["TLS_KEY"]
        with plain.running():
            user = plain.user("user")
            said = user.tell("send", "bob", "x", "--as", f"cron@{HOST}", status=68)[1]
            assert said.startswith(f"twotick: no server at {HOST}:18443 with TLS: Connection refused")
            with started("listen", "--as", f"oncall@{HOST}", "--plaintext", env=user.environment) as listening:
                until_sent(user, "send", "oncall", "x", "--as", f"cron@{HOST}", "--plaintext")
                assert listening.line() == "cron: x"


@pytest.mark.parametrize("arguments", [["history"], ["send", "bob", "x"], ["listen"], ["devices"], ["logout"]])
def test_without_an_account_it_is_said_what_to_do(arguments: list[str]) -> None:
    ended = run(*arguments)
    assert ended.returncode in (64, 69, 77)
    (line,) = ended.stderr.splitlines()
    assert "twotick login NAME@" in line or "nothing to do" in line


@pytest.mark.parametrize("account", ["@host", "alice@", "alice@host:port", "alice@a:b:c"])
@pytest.mark.parametrize("command", ["history --as", "chat --as", "logout", "account use", "listen"])
def test_an_account_that_makes_no_sense(account: str, command: str) -> None:
    ended = run(*command.split(), account, env=environment(KEYRING="no"))
    assert (ended.returncode, len(ended.stderr.splitlines())) == (64, 1)


@pytest.mark.parametrize("account", ["do ra", "#team", "do ra@chat.example"])
def test_a_name_that_cannot_be_one_is_refused_before_a_password_is_asked_for(account: str) -> None:
    ended = run("login", account, env=environment(KEYRING="no"))
    assert (ended.returncode, len(ended.stderr.splitlines())) == (64, 1)
    assert f"'{account.partition('@')[0]}' cannot be a name" in ended.stderr


# Devices


def test_devices_are_named_after_the_host_and_this_one_is_marked(server: Machine) -> None:
    homes = [server.user(f"home{number}") for number in range(3)]
    named: list[str] = []
    for home in homes:
        out, _ = home.tell("login", f"alice@{HOST}", stdin=SECRET)
        named.append(out.split("on the device ")[1].split(". ")[0])
    assert named[1:] == [f"{named[0]}-2", f"{named[0]}-3"]
    marked = [line.split()[0] for line in homes[1].do("devices").splitlines() if line.endswith("(this device)")]
    assert marked == [named[1]]
    listed = [json.loads(line) for line in homes[1].do("devices", "--json").splitlines()]
    assert {each["device"]: each["this"] for each in listed} == {name: name == named[1] for name in named}


def test_a_device_that_does_not_exist_cannot_be_revoked(server: Machine) -> None:
    user = server.user("user")
    user.tell("login", f"alice@{HOST}", "--device", "laptop", stdin=SECRET)
    ended = user.run("devices", "--revoke", "lap")
    assert (ended.returncode, ended.stdout) == (69, "")
    assert ended.stderr == "twotick: alice has no device called lap: 'twotick devices' lists them\n"
    assert user.do("devices", "--revoke", "laptop") == (
        "laptop is revoked: its token no longer works. It was this device: log in again to go on.\n"
    )
    assert user.do("accounts").startswith("No account")


def test_a_device_name_that_is_taken_is_taken_over_with_a_word(server: Machine) -> None:
    here, there = server.user("here"), server.user("there")
    here.tell("login", f"alice@{HOST}", "--device", "laptop", stdin=SECRET)
    said = there.tell("login", f"alice@{HOST}", "--device", "laptop", stdin=SECRET)[1]
    assert said.endswith("twotick: alice had a device called laptop already: its login has stopped working\n")
    assert here.run("devices").returncode != 0


# The wrong port


def test_the_wrong_port_is_noticed(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "data")
    operator.prepare("alice")
    with operator.serving() as (_, where):
        alice = Person(tmp_path / "a", where)
        ended = alice.run("login", f"alice@tls://{alice.server}", stdin=SECRET)
        assert ended.returncode == 69
        assert ended.stderr.startswith(f"twotick: {alice.server} does not speak TLS, and nothing was sent.")


def test_a_tunnel_on_this_machine(tmp_path: Path) -> None:
    with machine(tmp_path) as server:
        server.prepare("alice")
        with server.running():
            user = server.user("user")
            account = f"alice@tls://{server.address}"
            user.tell("login", account, stdin=SECRET)
            assert user.do("accounts").split()[1] == f"{account}:18443"
            assert "(this device)" in user.do("devices")
            ended = user.run("send", "bob", "x", "--as", f"cron@{server.address}:18443")
            assert ended.returncode != 0
            assert (
                "this port speaks TLS, and the connection is without: write tls:// before the address" in ended.stderr
            )
