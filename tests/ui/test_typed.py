"""What lines mean that are typed into the line client."""

import pytest

from twotick.ui.line.typed import TypedCommand, TypedLines, TypedMessage

Meaning = TypedMessage | TypedCommand | str


def test_lines_go_to_the_current_conversation_which_the_prompt_names() -> None:
    lines = TypedLines()
    assert (lines.prompt, lines.take("hello")) == ("> ", TypedMessage("", "hello"))
    for line, meaning, current in (
        ("@bob hello", TypedMessage("bob", "hello"), "bob"),
        ("how are you", TypedMessage("bob", "how are you"), "bob"),
        ("#team: hi", TypedMessage("#team", "hi"), "#team"),
        ("/msg carol psst", TypedMessage("carol", "psst"), "#team"),
        ("/msg @carol psst", TypedMessage("carol", "psst"), "#team"),
        ("/me waves", TypedMessage("#team", "/me waves"), "#team"),
        ("//etc", TypedMessage("#team", "/etc"), "#team"),
        ("/topic oats", TypedCommand("#team", "/topic oats"), "#team"),
        ("/to @carol", "Lines go to carol now.", "carol"),
        ("/to", "Lines go to carol.", "carol"),
        ("@dave", "Lines go to dave now.", "dave"),
        ("#team:", "Lines go to #team now.", "#team"),
        ("/close", "The next line goes to no one, unless it names a recipient.", ""),
        ("hello", TypedMessage("", "hello"), ""),
    ):
        assert (lines.take(line), lines.current, lines.prompt) == (meaning, current, f"{current}> ")


@pytest.mark.parametrize("line", ["/quit", "/QUIT now", "/exit"])
def test_one_can_leave(line: str) -> None:
    with pytest.raises(EOFError):
        TypedLines().take(line)


@pytest.mark.parametrize("line", ["/to", "/to b b", "/msg", "/msg bob", "/me", "@", "@b\x1b"])
def test_what_is_incomplete_is_said_and_changes_nothing(line: str) -> None:
    lines = TypedLines()
    answer = lines.take(line)
    assert (isinstance(answer, str) and answer.startswith("Nothing was sent: ")) or answer == TypedMessage("", line)
    assert lines.current == ""
