"""The commands with servers of the classic profile that other people wrote, and with servers that make no sense."""

import subprocess

import pytest

from tests.cli.commands import READY, listening, run, started
from tests.client.servers import ClassicServer, Talk, answering, registered, registering, serving

COMMANDS = {
    "send": ["send", "bob", "hello", "--from", "alice"],
    "listen": ["listen", "alice"],
    "chat": ["chat", "alice"],
    "bench": ["bench", "--pairs", "2", "--deliveries", "10"],
}


@pytest.mark.parametrize(
    "classic",
    [ClassicServer(), ClassicServer(to_window=None, newline="\r\n", texts={102: "Nobody there"})],
    ids=["plain", "odd"],
)
def test_all_commands_work_with_a_server_of_the_classic_profile(classic: ClassicServer) -> None:
    with serving(classic.talk) as address:
        with listening("bob", address) as bob, started("chat", "carol", "--server", address) as carol:
            assert bob.line() == f"prober: {READY}"
            carol.line()
            assert run(*COMMANDS["send"], "--server", address).returncode == 0
            assert bob.line() == "alice: hello"
            carol.type("@bob hello\n@nobody hello\n@bob bye")
            lines = [carol.line() for _ in range(3)]
            assert [line.partition(" (")[0].partition(":")[0] for line in lines] == [
                "\u2713\u2713 delivered to bob",
                "\u2717 not delivered to nobody",
                "\u2713\u2713 delivered to bob",
            ]
            assert [bob.line(), bob.line()] == ["carol: hello", "carol: bye"]
            assert run("send", "nobody", "hello", "--from", "alice", "--server", address).returncode == 69
            assert carol.end().returncode == 0
        assert run(*COMMANDS["bench"], "--server", address).returncode == 0
    assert classic.glued == []


def use(command: str, talk: Talk) -> subprocess.CompletedProcess[str]:
    with serving(talk) as address:
        return run(*COMMANDS[command], "--server", address, stdin=b"@bob hello\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_makes_no_sense_has_status_76(command: str) -> None:
    ended = use(command, answering(lambda _: b"\x1b[2J\xff HTTP/1.1 400 Bad Request\r\n\r\n"))
    assert ended.returncode == 76
    assert ended.stderr.endswith("makes no sense: check that a Twotick server runs at this address\n")
    assert "\x1b" not in ended.stdout + ended.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_without_members_is_named(command: str) -> None:
    ended = use(command, answering(lambda _: b"ERROR 101 No user registered\n\n"))
    assert ended.returncode == 69
    assert ended.stderr.endswith("the server says that this client is not registered: connect again\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_server_that_closes_has_status_68(command: str) -> None:
    ended = use(command, answering(lambda frame: None if b"TORECV" in frame else registered(frame)))
    assert ended.returncode == 68
    assert ended.stderr.endswith("the server closed the connection\n")


@pytest.mark.parametrize(
    ("command", "answer", "status"),
    [
        ("send", b"RECEIVED bob\n\n", 76),
        ("send", b"\xff\n\n", 76),
        ("send", b"ERROR 103 Header incomplete\n\n", 76),
        ("send", None, 81),
        ("chat", b"\xff\n\n", 76),
        ("chat", None, 68),
        ("bench", b"\xff\n\n", 76),
        ("bench", None, 68),
    ],
)
def test_a_send_that_is_not_answered_as_it_should_be_has_a_status_for_it(
    command: str, answer: bytes | None, status: int
) -> None:
    ended = use(command, registering(lambda _: answer))
    assert ended.returncode == status
    assert "the server " in ended.stderr.splitlines()[-1]


def test_a_bench_whose_messages_are_not_delivered_has_status_69() -> None:
    ended = use("bench", registering(lambda _: b"ERROR 102 Unable to send\n\n"))
    assert (ended.returncode, ended.stdout) == (69, "")
    assert "twotick: not delivered: " in ended.stderr


@pytest.mark.parametrize("forwarded", [b"\xff\n\n", b"FORWARD bob\n\n", b"FORWARD bob\nContent-length: -1\n\n"])
def test_a_message_that_makes_no_sense_has_status_76(forwarded: bytes) -> None:
    def answer(frame: bytes) -> bytes:
        return registered(frame) + (forwarded if b"TORECV" in frame else b"")

    ended = use("listen", answering(answer))
    assert (ended.returncode, ended.stdout) == (76, "")


def test_a_sender_that_no_name_can_look_like_reaches_a_command_as_text() -> None:
    def answer(frame: bytes) -> bytes:
        forward = b"FORWARD b\0b\x1b\nContent-length: 0\n\n"
        return registered(frame) + (forward if b"TORECV" in frame else b"")

    with serving(answering(answer)) as address:
        ended = run("listen", "alice", "--count", "1", "--exec", "echo $TWOTICK_FROM", "--server", address)
    assert (ended.returncode, ended.stdout) == (0, "b\u2400b\u241b\n")
