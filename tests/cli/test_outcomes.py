"""What became of a message: the exit status and the words tell it, in every way to send."""

import asyncio
import re
import signal
import socket
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.commands import COMMAND, environment, listening, run, started
from tests.cli.operating import PASSWORD, Operator, Person, people
from tests.client.servers import registering, serving
from twotick.client import NameOfMember, NoRecipient, connect, join
from twotick.ui.shell.leaving import STATUSES

PAGE = Path(__file__).parents[2] / "docs" / "shell.md"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Generator[list[Person]]:
    """A server with alice and bob, who are logged in on machines of their own."""
    with people(tmp_path_factory.mktemp("two"), "alice", "bob") as found:
        yield found


@pytest.fixture
def stranger(two: list[Person], tmp_path: Path) -> Person:
    """A machine on which no member is logged in."""
    host, _, port = two[0].server.rpartition(":")
    return Person(tmp_path, (host, int(port)))


def test_the_page_has_the_table_of_statuses() -> None:
    told = re.findall(r"^\| (\d+) \| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert {int(number): meaning for number, meaning in told} == STATUSES


def test_a_members_name_is_for_the_member_alone(two: list[Person], stranger: Person) -> None:
    ended = stranger.run("send", "bob", "hi", "--from", "alice")
    assert (ended.returncode, ended.stdout) == (77, "")
    assert ended.stderr == "twotick: the name alice is a member's: log in as alice, or choose another\n"
    with started("chat", "alice", "--server", stranger.server, env=stranger.environment) as chat:
        assert "the name alice is a member's" in chat.line()
    ended = stranger.run("history", "--as", "alice")
    assert (ended.returncode, ended.stdout) == (77, "")
    assert "not logged in as alice" in ended.stderr


async def test_the_library_tells_a_members_name_and_a_missing_recipient(two: list[Person]) -> None:
    with pytest.raises(NameOfMember):
        async with connect("alice", two[0].server):
            pass
    async with connect("gus", two[0].server) as gus:
        with pytest.raises(NoRecipient, match="nobody is not connected"):
            await gus.send("nobody", "hi")


@pytest.mark.parametrize(
    ("recipient", "said"),
    [("nobody", "nobody is not connected, and no member has this name"), ("#cellar", "there is no such room")],
)
def test_a_recipient_that_does_not_exist(two: list[Person], recipient: str, said: str) -> None:
    ended = two[0].run("send", recipient, "hi", "--from", "alice")
    assert (ended.returncode, ended.stdout) == (67, "")
    assert ended.stderr == f"twotick: not delivered to {recipient}: {said}\n"


def test_a_refused_message(two: list[Person], stranger: Person) -> None:
    """By a command of `--exec` that fails: to a guest, and to a member, from either."""
    alice, bob = two
    with listening("oncall", alice.server, "--exec", "[ $TWOTICK_FROM = prober ]"):
        for sender, name in ((stranger, "gus"), (alice, "alice")):
            ended = sender.run("send", "oncall", "hi", "--from", name)
            assert (ended.returncode, ended.stdout) == (79, "")
            assert ended.stderr == "twotick: not delivered to oncall: the recipient's program refused it\n"
    with started("listen", "bob", "--exec", "false", env=bob.environment):
        ended = alice.run("send", "bob", "hi", "--from", "alice")
        assert (ended.returncode, ended.stdout) == (79, "")


def test_a_revoked_device(two: list[Person], stranger: Person) -> None:
    alice, _ = two
    stranger.log_in("alice", "phone")
    alice.do("devices", "--revoke", "phone")
    for command in (["send", "bob", "hi", "--from", "alice"], ["history"], ["listen"]):
        ended = stranger.run(*command)
        assert (ended.returncode, ended.stdout) == (77, "")
        assert ended.stderr == (
            "twotick: this device is not logged in as alice any more, because it was revoked or the member was removed:"
            f" run 'twotick login alice@{stranger.server}'\n"
        )


def test_a_room_with_no_one_else_in_it(two: list[Person]) -> None:
    alice, _ = two
    alice.do("room", "create", "attic")
    ended = alice.run("send", "#attic", "hi", "--from", "alice")
    assert (ended.returncode, ended.stdout) == (67, "\u2713 stored for #attic\n")
    assert ended.stderr == "twotick: there is no one else in #attic who could get it\n"
    assert alice.run("send", "#attic", "hi", "--from", "alice", "--until", "accepted").returncode == 0
    with started("chat", "--plain", env=alice.environment) as chat:
        chat.type("#attic hello")
        assert "\u2713 stored for #attic; there is no one else in it" in [chat.line() for _ in range(5)]


async def test_a_message_that_is_stored_delivered_or_read(two: list[Person]) -> None:
    alice, bob = two
    ended = await asyncio.to_thread(alice.run, "send", "bob", "1", "--from", "alice", "--wait", "0")
    assert (ended.returncode, ended.stdout) == (75, "\u2713 stored for bob\n")
    assert ended.stderr == "twotick: stored for bob, but not delivered within 0 s\n"
    async with join("bob", bob.server, password=PASSWORD, device="tablet") as tablet:

        async def take() -> None:
            async for _ in tablet:
                pass

        taking = asyncio.create_task(take())
        until_read = ("send", "bob", "2", "--from", "alice", "--until", "read", "--wait")
        ended = await asyncio.to_thread(alice.run, *until_read, "1")
        taking.cancel()
    assert (ended.returncode, ended.stdout.partition(" (")[0]) == (80, "\u2713\u2713 delivered to bob")
    assert ended.stderr == "twotick: bob has the message, but has not read it within 1 s\n"


def test_what_a_guest_cannot_have_is_refused_before_anything_is_sent(stranger: Person) -> None:
    for option in (["--until", "read"], ["--until", "accepted"], ["--wait", "5"], ["--expires", "5 min"]):
        ended = stranger.run("send", "bob", "hi", "--from", "gus", *option)
        assert (ended.returncode, ended.stdout) == (64, "")
        assert f"'twotick login gus@{stranger.server}'" in ended.stderr


def test_a_delivered_message_is_never_a_failure(two: list[Person]) -> None:
    """A loop that sends until it hears of success sends once."""
    alice, _ = two
    for output in (">&-", ">/dev/full"):
        command = ["send", "bob", "hi", "--from", "alice", "--until", "accepted"]
        ended = run(*command, redirect=output, env=alice.environment)
        assert ended.returncode == 0
        assert ended.stderr.startswith("twotick: \u2713 stored for bob (standard output cannot be written: ")


def test_a_connection_that_is_lost_before_the_answer_leaves_it_open() -> None:
    with serving(registering(lambda _: None)) as server:
        ended = run("send", "bob", "hi", "--from", "gus", "--server", server)
    assert (ended.returncode, ended.stdout) == (81, "")
    assert ended.stderr == "twotick: not known whether bob has it: the server closed the connection\n"


def test_nothing_is_not_sent(two: list[Person]) -> None:
    alice, bob = two
    before = bob.run("history", "--limit", "1").stdout
    for arguments in ([], ["-"], [""]):
        ended = alice.run("send", "bob", *arguments, "--from", "alice")
        assert (ended.returncode, ended.stdout) == (66, "")
        assert ended.stderr.endswith(" is empty: nothing was sent\n")
    assert bob.run("history", "--limit", "1").stdout == before


@pytest.mark.parametrize("text", ["-5 degrees", "-x", "-hello", "--- deployed ---", "-f"])
def test_a_text_may_begin_with_a_dash(two: list[Person], text: str) -> None:
    alice, bob = two
    alice.do("send", "bob", text, "--until", "accepted", "--from", "alice")
    assert bob.do("history", "--limit", "1").endswith(f" alice: {text}\n")


def test_a_dash_alone_is_standard_input(two: list[Person]) -> None:
    alice, bob = two
    alice.do("send", "bob", "-", "--until", "accepted", "--from", "alice", stdin=b"from a pipe")
    assert bob.do("history", "--limit", "1").endswith(" alice: from a pipe\n")


def test_a_misspelt_option_is_no_text(two: list[Person]) -> None:
    ended = two[0].run("send", "bob", "--form", "alice")
    assert ended.returncode == 64
    assert "--from" in ended.stderr


def test_searching_finds_something_or_fails(two: list[Person]) -> None:
    alice, _ = two
    for command, said in (
        (["history", "nosuch"], "there are no messages with nosuch"),
        (["history", "#nosuch"], "there are no messages with #nosuch"),
        (["search", "zebra"], "no message has these words"),
    ):
        ended = alice.run(*command)
        assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", f"twotick: {said}\n")


def test_a_reader_that_leaves_is_no_error(two: list[Person]) -> None:
    alice, _ = two
    for command in (["history"], ["--help"], ["send", "--help"]):
        reading, writing = socket.socketpair()
        reading.close()
        with writing:
            ended = subprocess.run(
                [COMMAND, *command], stdout=writing.fileno(), stderr=subprocess.PIPE, env=alice.environment, check=False
            )
        assert (ended.returncode, ended.stderr) == (-signal.SIGPIPE, b"")


def test_a_note_to_oneself_is_in_the_history_once(two: list[Person]) -> None:
    alice, _ = two
    alice.do("send", "alice", "buy oats", "--until", "accepted", "--from", "alice")
    assert alice.do("history", "alice").count("buy oats") == 1
    assert alice.do("search", "oats").count("buy oats") == 1
    assert alice.do("export").count("buy oats") == 1


def test_a_server_that_vanishes_before_it_has_stored_a_message_is_not_waited_for(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "server")
    operator.prepare("alice")
    with operator.serving() as (server, where):
        alice = Person(tmp_path / "alice", where)
        alice.log_in("alice", "desk")
        server.process.send_signal(signal.SIGSTOP)
        server.process.kill()
    ended = alice.run("send", "bob", "hi", "--from", "alice")
    assert (ended.returncode, ended.stdout) == (68, "")
    assert environment()["HOME"] not in ended.stderr
