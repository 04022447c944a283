"""`twotick demo` without a terminal."""

from tests.cli.commands import run


def test_a_conversation_is_played_and_both_sides_are_shown() -> None:
    ended = run("demo")
    assert (ended.returncode, ended.stderr) == (0, "")
    first, *lines = (line.partition(" (")[0] for line in ended.stdout.splitlines())
    assert first.startswith("a server listens on 127.0.0.1:")
    assert lines == [
        "alice types   @bob hello bob",
        "  bob sees    alice: hello bob",
        "alice sees    \u2713\u2713 delivered to bob",
        "  bob types   @alice hello alice, it arrived",
        "alice sees    bob: hello alice, it arrived",
        "  bob sees    \u2713\u2713 delivered to alice",
        "alice types   @ALL hello everyone",
        "  bob sees    alice: hello everyone",
        "alice sees    \u2713\u2713 delivered to everyone",
        "alice types   @carol are you there?",
        "alice sees    \u2717 not delivered to carol: not connected, or did not take the message in time",
        "every send was answered with what happened to it",
    ]


def test_it_plays_without_any_input() -> None:
    assert run("demo", redirect="<&-").returncode == 0
