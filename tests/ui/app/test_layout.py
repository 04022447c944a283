"""How messages are laid out."""

from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.ui.app.making import message
from tests.ui.test_text import anything, obeyed, tricks
from twotick.client import State
from twotick.ui.app.layout import MOST_LINES, Around, Line, height, lines, links, wrapped
from twotick.ui.app.model import Message

BEFORE = message("before", 0)
widths = st.integers(1, 120)


def text_of(line: Line) -> str:
    return "".join(span.text for span in line)


def laid_out(each: Message, before: Message | None = BEFORE, width: int = 60, new: bool = False) -> list[str]:
    return [text_of(line).rstrip() for line in lines(each, Around(before, new), width)]


@given(anything | tricks | st.text("ab \U0001f469\u200d\U0001f4bb\u4f60e\u0301\ufe0f"), widths)
@example("a" * 100, 7)
@example("\u4f60", 1)
@example("\U0001f469\u200d\U0001f4bb" * 20, 20)
@example("e" + "\u0301" * 1000, 10)
def test_no_text_leaves_its_place_or_moves_anything(text: str, width: int) -> None:
    each = message(text, outgoing=True, state=State.FAILED, reason=text)
    built = lines(each, Around(BEFORE), width)
    assert len(built) == height(each, Around(BEFORE), width) <= MOST_LINES + 10
    for line in built:
        assert obeyed(text_of(line)) == set()
        assert "\U0001f469\u200d" not in text_of(line)
        if width > 8:
            assert cell_len(text_of(line)) <= width


@given(st.text("ab \u4f60", max_size=60), st.integers(2, 30))
def test_wrapping_loses_nothing_but_spaces(text: str, room: int) -> None:
    found = wrapped(text, room)
    assert "".join(found).replace(" ", "") == text.replace(" ", "")
    assert all(cell_len(line) <= room for line in found)


def test_words_are_kept_together_where_they_fit() -> None:
    assert wrapped("one two three", 8) == ["one two", "three"]
    assert wrapped("a verylongword", 6) == ["a very", "longwo", "rd"]


@given(st.text("\n", max_size=5000) | st.text(min_size=0, max_size=300))
def test_a_long_message_takes_no_more_than_its_share(text: str) -> None:
    each = message(text * 50)
    assert len(laid_out(each)) == height(each, Around(BEFORE), 60) <= MOST_LINES + 1


def test_messages_of_one_author_stand_together_for_a_while() -> None:
    first = message("a", minutes=0)
    assert laid_out(first, None) == [
        "\u2500" * 17 + " Monday 23 November 2026 " + "\u2500" * 18,
        "",
        *["  bob  09:30", "  a"],
    ]
    assert laid_out(message("b", minutes=3), first) == ["  b"]
    assert laid_out(message("c", minutes=30), first) == ["", "  bob  10:00", "  c"]
    assert laid_out(message("d", outgoing=True), first)[1] == "  alice  09:30"


def test_another_day_and_what_is_new_are_said() -> None:
    first = message("a")
    assert "Tuesday 24 November 2026" in laid_out(message("b", minutes=60 * 24), first)[1]
    assert " new " in laid_out(message("b"), first, new=True)[1]


def test_ticks_stand_at_the_right_of_the_last_line() -> None:
    ticks = {
        State.QUEUED: "\u2026",
        State.ACCEPTED: "\u2713",
        State.DELIVERED: "\u2713\u2713",
        State.READ: "\u2713\u2713",
    }
    for state, tick in ticks.items():
        *_, last = lines(message("hi", outgoing=True, state=state), Around(BEFORE), 20)
        assert text_of(last) == "  hi" + tick.rjust(15)
    assert "\u2713" not in "".join(laid_out(message("hi")))


def test_why_a_message_failed_is_said_below_it() -> None:
    each = message("hi", outgoing=True, state=State.FAILED, reason="bob is not connected")
    assert laid_out(each, width=60)[-2:] == ["  hi" + "\u2717".rjust(55), "  not delivered: bob is not connected"]


def test_links_are_found_without_what_follows_them() -> None:
    assert links("see https://a.example/x?y=1, or (http://b.example).") == [
        "https://a.example/x?y=1",
        "http://b.example",
    ]
    assert links("file:///etc/passwd javascript:alert(1)") == []
