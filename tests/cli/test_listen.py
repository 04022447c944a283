"""`twotick listen`: acknowledges what it has printed, or what a command has taken."""

import asyncio
import json
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

import pytest

import twotick
from tests.cli.commands import COMMAND, READY, Started, listening, run, started
from tests.cli.operating import people
from twotick.client import NotDelivered, connect


def test_each_message_is_a_line_for_a_person(address: str) -> None:
    with listening("bob", address) as bob:
        assert bob.line() == f"prober: {READY}"
        twotick.send("bob", "hello\nmallory: hi\x1b[2J\r\n", sender="Alice", server=address)
        assert [bob.line(), bob.line()] == ["Alice: hello", "       mallory: hi\u241b[2J\u240d"]


def test_each_message_is_a_json_object(address: str) -> None:
    with listening("bob", address, "--json") as bob:
        assert json.loads(bob.line())["text"] == READY
        sent = {"hello\n\x1b": {"text": "hello\n\x1b"}, "": {"text": ""}, b"\xff": {"base64": "/w=="}}
        for body, shown in sent.items():
            twotick.send("bob", body, sender="Alice", server=address)
            got = json.loads(bob.line())
            assert abs(datetime.now(UTC) - datetime.fromisoformat(got.pop("time"))).total_seconds() < 60
            assert got == {"from": "Alice", **shown}


def test_it_leaves_after_as_many_messages_as_it_is_told(address: str) -> None:
    with listening("bob", address, "--count", "2") as bob:
        twotick.send("bob", "last", sender="alice", server=address)
        ended = bob.end()
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"prober: {READY}\nalice: last\n", "")


def test_a_command_is_given_each_message_and_its_failure_is_told_to_the_sender(address: str, tmp_path: Path) -> None:
    command = f"cat >> '{tmp_path}/got'; echo from $TWOTICK_FROM; [ $TWOTICK_FROM != mallory ] || exit 3"
    with listening("bob", address, "--exec", command, "--count", "3") as bob:
        with pytest.raises(NotDelivered):
            twotick.send("bob", "no\n", sender="mallory", server=address)
        twotick.send("bob", b"\xff\0\n", sender="alice", server=address)
        ended = bob.end()
    assert (tmp_path / "got").read_bytes() == READY.encode() + b"no\n\xff\0\n"
    assert (ended.returncode, ended.stdout) == (0, "from prober\nfrom mallory\nfrom alice\n")
    assert ended.stderr == "the command exited with status 3: the sender is told that it failed\n"


@pytest.mark.parametrize("command", ["exec no-such-command 2>&-", "kill -9 $$", "exit 1"])
def test_a_command_that_does_not_exit_0_has_not_taken_the_message(address: str, command: str) -> None:
    with (
        listening("bob", address, "--exec", f"[ $TWOTICK_FROM = prober ] || {command}"),
        pytest.raises(NotDelivered),
    ):
        twotick.send("bob", "hello", sender="alice", server=address)


def test_a_command_that_does_not_read_has_taken_the_message(address: str) -> None:
    with listening("bob", address, "--exec", "exec <&-"):
        assert twotick.send("bob", bytes(1 << 20), sender="alice", server=address).recipient == "bob"


def test_a_command_may_answer(address: str) -> None:
    answer = f"[ $TWOTICK_FROM = prober ] || {COMMAND} send $TWOTICK_FROM 'you said:' --from bot --server {address}"

    async def talk() -> str:
        async with connect("alice", address) as alice:
            sending = asyncio.create_task(alice.send("bob", "hello"))
            message = await alice.receive()
            await message.ack()
            await sending
            return f"{message.sender}: {message.text}"

    with listening("bob", address, "--exec", answer):
        assert asyncio.run(talk()) == "bot: you said:"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_a_message_that_cannot_be_written_is_not_acknowledged(address: str, options: list[str]) -> None:
    with listening("bob", address, *options) as bob:
        bob.line()
        bob.stdout.close()
        with pytest.raises(NotDelivered):
            twotick.send("bob", "hello", sender="alice", server=address)
        assert bob.process.wait() == -signal.SIGPIPE
        assert bob.stderr.read() == ""


@pytest.mark.parametrize("options", [[], ["--json"]])
@pytest.mark.parametrize("output", [">&-", ">/dev/full"])
def test_a_message_is_not_acknowledged_where_there_is_no_output(address: str, options: list[str], output: str) -> None:
    async def send() -> None:
        listening = asyncio.create_task(
            asyncio.to_thread(run, "listen", "bob", *options, "--server", address, redirect=output)
        )
        async with connect("alice", address) as alice:
            while not listening.done():
                with pytest.raises(NotDelivered):
                    await alice.send("bob", "hello")
        ended = await listening
        assert ended.returncode == 74
        assert ended.stderr.startswith("twotick: cannot write: ")

    asyncio.run(send())


def ask_to_stop(listener: Started, number: signal.Signals) -> None:
    """Send a first signal to a listener whose command works."""
    listener.process.send_signal(number)
    assert listener.stderr.readline() == (
        "twotick: stopping when the command has ended; stop once more to end the command too\n"
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)])
def test_a_listener_that_is_stopped_has_not_taken_the_message(
    address: str, number: signal.Signals, status: int, tmp_path: Path
) -> None:
    begun = tmp_path / "started"

    async def send() -> None:
        async with connect("alice", address) as alice:
            sending = asyncio.create_task(alice.send("bob", "hello"))
            while not begun.exists():
                await asyncio.sleep(0.01)
            await asyncio.to_thread(ask_to_stop, bob, number)
            bob.process.send_signal(number)
            with pytest.raises(NotDelivered):
                await sending

    command = f"[ $TWOTICK_FROM = prober ] || {{ : > '{begun}'; exec sleep 60; }}"
    with listening("bob", address, "--exec", command) as bob:
        asyncio.run(send())
        assert bob.process.wait() == status


JOB = """
mkdir "$LOCK" || { echo twice >> "$LOG"; exit 1; }
trap 'echo stopped >> "$LOG"; {trap}' TERM
sh -c '
    trap "" TERM
    echo begun >> "$LOG"
    while [ ! -e "$LOCK/over" ]; do sleep 0.05; done
    rm "$LOCK/over"
    rmdir "$LOCK"
' &
while :; do sleep 0.05; done
"""
"""A job that must not run twice at the same time. A process that it has started ignores SIGTERM."""


def log_of(folder: Path, count: int) -> list[str]:
    """Wait until the jobs have written so many lines, and return them."""
    log = folder / "log"
    while not log.exists() or len(log.read_text().splitlines()) < count:
        os.sched_yield()
    return log.read_text().splitlines()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("succeeds", [False, True])
def test_a_job_has_ended_when_its_message_is_handed_out_again(
    tmp_path: Path, number: signal.Signals, succeeds: bool
) -> None:
    job = JOB.replace("{trap}", f'touch "$LOCK/over"; exit {int(not succeeds)}')
    with people(tmp_path, "alice", "bob") as (alice, bob):
        environment = {**bob.environment, "LOCK": str(tmp_path / "lock"), "LOG": str(tmp_path / "log")}
        alice.run("send", "bob", "work", "--from", "alice", "--until", "accepted")
        alice.run("send", "bob", "more work", "--from", "alice", "--until", "accepted")
        with started("listen", "bob", "--exec", job, env=environment) as first:
            assert log_of(tmp_path, 1) == ["begun"]
            ask_to_stop(first, number)
            ended = first.end(number)
            assert ended.returncode == (130 if number == signal.SIGINT else -number)
        assert log_of(tmp_path, 2) == ["begun", "stopped"]
        assert not (tmp_path / "lock").exists()
        with started("listen", "bob", "--exec", 'cat > "$LOG"', "--count", "1", env=environment) as second:
            assert second.end().returncode == 0
        assert (tmp_path / "log").read_text() == ("more work" if succeeds else "work")


def test_a_job_that_does_not_end_is_killed_at_the_third_signal(tmp_path: Path) -> None:
    job = JOB.replace("{trap}", ":")
    with people(tmp_path, "alice", "bob") as (alice, bob):
        environment = {**bob.environment, "LOCK": str(tmp_path / "lock"), "LOG": str(tmp_path / "log")}
        alice.run("send", "bob", "work", "--from", "alice", "--until", "accepted")
        with started("listen", "bob", "--exec", job, env=environment) as first:
            log_of(tmp_path, 1)
            ask_to_stop(first, signal.SIGTERM)
            first.process.send_signal(signal.SIGTERM)
            assert log_of(tmp_path, 2) == ["begun", "stopped"]
            assert first.end(signal.SIGTERM).returncode == -signal.SIGTERM
        (tmp_path / "lock" / "over").touch()
        with started("listen", "bob", "--exec", 'cat > "$LOG"', "--count", "1", env=environment) as second:
            assert second.end().returncode == 0
        assert (tmp_path / "log").read_text() == "work"
        assert (tmp_path / "lock" / "over").exists()  # no process is left that would have removed it


LASTING_JOB = """
exec > /dev/null 2>&1
echo begun >> "$LOG"
sh -c 'while [ ! -e "$OVER" ]; do sleep 0.05; done; echo over >> "$LOG"' &
wait
"""
"""A job whose work ends when there is a file."""


@pytest.mark.parametrize("waits", [True, False])
def test_a_job_whose_listener_was_killed_is_not_run_again(tmp_path: Path, waits: bool) -> None:
    """The job ends while the next listener waits for it, or while there is none; its output is the answer."""
    with people(tmp_path, "alice", "bob") as (alice, bob):
        environment = {**bob.environment, "OVER": str(tmp_path / "over"), "LOG": str(tmp_path / "log")}
        options = "listen", "--exec", f"echo done; {LASTING_JOB}", "--reply", "--count", "1"
        alice.run("send", "bob", "work", "--from", "alice", "--until", "accepted")
        with started(*options, env=environment) as first:
            assert log_of(tmp_path, 1) == ["begun"]
            first.process.kill()  # its command has its standard error, so that has no end yet
            assert first.process.wait() == -signal.SIGKILL
        if not waits:
            (tmp_path / "over").touch()
            (status,) = until_files(tmp_path, "status")
            assert status.read_text() == "0\n"
        with started(*options, env=environment) as second:
            if waits:
                assert "still runs: waiting until it has ended" in second.stderr.readline()
                (tmp_path / "over").touch()
            assert second.end().returncode == 0
        assert (tmp_path / "log").read_text() == "begun\nover\n"
        with started("listen", "--count", "1", env=alice.environment) as answered:
            assert answered.line() == "bob: (replies to alice) done"


def until_files(home: Path, ending: str) -> list[Path]:
    """Wait until there are files of jobs with an ending, and return them."""
    while not (found := [each for each in home.rglob(f"*.{ending}") if "jobs" in each.parts]):
        os.sched_yield()
    return found


def test_a_listener_that_is_stopped_lets_its_job_finish_and_begins_no_other(tmp_path: Path) -> None:
    with people(tmp_path, "alice", "bob") as (alice, bob):
        environment = {**bob.environment, "OVER": str(tmp_path / "over"), "LOG": str(tmp_path / "log")}
        for text in ("work", "more work"):
            alice.run("send", "bob", text, "--from", "alice", "--until", "accepted")
        with started("listen", "--exec", LASTING_JOB, env=environment) as first:
            assert log_of(tmp_path, 1) == ["begun"]
            ask_to_stop(first, signal.SIGTERM)
            (tmp_path / "over").touch()
            assert first.end().returncode == -signal.SIGTERM
        with started("listen", "--count", "1", env=environment) as second:
            assert second.line().endswith("more work")
        assert (tmp_path / "log").read_text() == "begun\nover\n"


def test_jobs_of_several_conversations_run_at_once_and_those_of_one_in_order(tmp_path: Path) -> None:
    job = 'read text; [ "$text" != first ] || while [ ! -e "$OVER" ]; do sleep 0.05; done; echo "$text" >> "$LOG"'
    with people(tmp_path, "alice", "bob", "carol") as (alice, bob, carol):
        environment = {**bob.environment, "OVER": str(tmp_path / "over"), "LOG": str(tmp_path / "log")}
        for who, text in ((alice, "first"), (alice, "second"), (carol, "third")):
            who.run("send", "bob", text, "--until", "accepted")
        with started("listen", "--exec", job, "--jobs", "3", "--count", "3", env=environment) as listener:
            assert log_of(tmp_path, 1) == ["third"]
            (tmp_path / "over").touch()
            assert listener.end().returncode == 0
        assert (tmp_path / "log").read_text() == "third\nfirst\nsecond\n"


def test_a_job_that_takes_too_long_is_stopped_and_its_message_refused(tmp_path: Path) -> None:
    with people(tmp_path, "alice", "bob") as (alice, bob):
        options = "--timeout", "0.01", "--count", "1"
        with started("listen", "--exec", "sleep 60", *options, env=bob.environment) as listener:
            assert alice.run("send", "bob", "work").returncode == 79
            ended = listener.end()
        assert ended.returncode == 0
        assert ended.stderr.startswith("twotick: the command was stopped after 0.01 s\n")


def test_what_a_message_says_reaches_no_shell(tmp_path: Path) -> None:
    """A command is told what is known of a message, and its output is the answer."""
    text = f"$(touch {tmp_path}/oops) `touch {tmp_path}/oops`; touch {tmp_path}/oops\n"
    job = "cat; env | grep ^TWOTICK_ | grep -v SERVER | grep -v KEYRING | grep -v CONFIG | sort"
    with people(tmp_path, "alice", "bob") as (alice, bob):
        alice.run("send", "bob", text, "--until", "accepted")
        with started("listen", "--exec", job, "--reply", "--count", "1", env=bob.environment) as listener:
            assert listener.end().returncode == 0
        with started("listen", "--json", "--count", "1", env=alice.environment) as answered:
            answer = json.loads(answered.line())
    assert answer["text"].startswith(text)
    variables = dict(line.split("=", 1) for line in answer["text"].removeprefix(text).splitlines())
    assert {"TWOTICK_FROM", "TWOTICK_TO", "TWOTICK_ID", "TWOTICK_TIME", "TWOTICK_JOB"} <= set(variables)
    assert (variables["TWOTICK_FROM"], variables["TWOTICK_TO"]) == ("alice", "bob")
    assert not (tmp_path / "oops").exists()


def test_what_a_job_leaves_running_does_not_delay_the_next_message(tmp_path: Path) -> None:
    with people(tmp_path, "alice", "bob") as (alice, bob):
        environment = {**bob.environment, "LOG": str(tmp_path / "log")}
        alice.run("send", "bob", "work", "--from", "alice", "--until", "accepted")
        alice.run("send", "bob", "more work", "--from", "alice", "--until", "accepted")
        job = 'sleep 60 > /dev/null 2>&1 & echo $! >> "$LOG"'
        with started("listen", "bob", "--exec", job, "--count", "2", env=environment) as listener:
            pids = log_of(tmp_path, 2)
            for pid in pids:
                os.kill(int(pid), signal.SIGKILL)  # fails if one of them does not run any more
            assert listener.end().returncode == 0


def test_a_command_does_not_run_if_nothing_can_keep_it_from_running_twice(tmp_path: Path) -> None:
    with people(tmp_path, "alice", "bob") as (alice, bob):
        alice.run("send", "bob", "work", "--from", "alice", "--until", "accepted")
        state = tmp_path / "state"
        state.write_text("not a folder")
        environment = {**bob.environment, "XDG_STATE_HOME": str(state), "LOG": str(tmp_path / "log")}
        with started("listen", "bob", "--exec", 'cat > "$LOG"', env=environment) as listener:
            ended = listener.end()
        assert ended.returncode == 74
        assert "a command could run twice" in ended.stderr
        with started(
            "listen", "bob", "--exec", 'cat > "$LOG"', "--count", "1", env={**environment, "XDG_STATE_HOME": ""}
        ) as second:
            assert second.end().returncode == 0
        assert (tmp_path / "log").read_text() == "work"


def test_wrong_usage_has_status_64() -> None:
    wrong = ["--jobs", "2"], ["--reply"], ["--timeout", "1s"], ["--exec", "true", "--jobs", "0"]
    for arguments in (["--json", "--exec", "true"], ["--count", "0"], *wrong):
        ended = run("listen", "bob", *arguments)
        assert (ended.returncode, ended.stdout) == (64, "")
    for arguments in (["b b"], []):
        ended = run("listen", *arguments)
        assert (ended.returncode, ended.stdout) == (64, "")


def test_it_says_so_when_the_name_is_taken(address: str) -> None:
    with listening("bob", address):
        ended = run("listen", "bob", "--server", address)
    assert (ended.returncode, ended.stdout) == (77, "")
    assert ended.stderr == "twotick: the name bob cannot be used: another user has it\n"


def test_it_says_so_when_the_server_stops() -> None:
    with started("serve", "--port", "0") as server:
        address = server.line().removeprefix("listening on ")
        with listening("bob", address) as bob:
            server.end(signal.SIGTERM)
            ended = bob.end()
    assert ended.returncode == 68
    assert ended.stderr == "twotick: the server closed the connection\n"
