"""What a word may be completed to."""

from twotick.ui.app.completion import proposals

NAMES = ["Bob", "barbara", "carol"]
COMMANDS = [("theme", "Colours"), ("to", "Go to")]


def texts(before: str, first: bool = True) -> list[str]:
    return [each.text for each in proposals(before, first, NAMES, COMMANDS)]


def test_names_are_completed_after_an_at_sign() -> None:
    assert texts("hi @b") == ["@Bob ", "@barbara "]
    assert texts("mail me@b") == texts("bob") == []


def test_commands_are_completed_at_the_beginning_only() -> None:
    assert texts("/t") == ["/theme ", "/to "]
    assert texts("a /t") == texts("/t", first=False) == []


def test_emoji_are_completed_after_two_letters() -> None:
    assert texts(":t") == []
    assert "\U0001f389" in texts("well done :tada")
    assert texts(":no_such_emoji") == []


def test_a_proposal_takes_the_place_of_the_word() -> None:
    (found,) = proposals("hi @car", True, NAMES, COMMANDS)
    assert "hi @car"[: found.start] + found.text == "hi @carol "
