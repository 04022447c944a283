"""What other users wrote is shown, and never obeyed by the terminal."""

import contextlib
import io
import unicodedata
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.style import Style

from twotick.ui.names import OF_SIXTEEN, ON_ANY, colour_of
from twotick.ui.shell.streams import complain
from twotick.ui.text import console, delivered_line, failed_line, message_line, size_text, visible

OBEYED: Final = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Categories of characters that a terminal may act on, or that show as something else or not at all."""

anything = st.text(st.characters())
tricks = st.text(st.sampled_from("ab:\n\t\r\x1b[2J\x07\x08\x0b\x0c\x85\x9b\u2028\u2029\u202e\u200d"), max_size=20)


def obeyed(text: str) -> set[str]:
    """The characters of a text by which a terminal would do more than show them."""
    return {each for each in text if unicodedata.category(each) in OBEYED and not _is_of_emoji(each)}


def _is_of_emoji(character: str) -> bool:
    """Tell whether a character joins emoji, or is in their blocks, perhaps newer than Python's tables."""
    return character in "\u200c\u200d" or "\U0001f000" <= character <= "\U0001faff"


@given(anything | tricks)
@example("\x1b]0;title\x07\x1b[2J\x9b31m")
@example("\u202egnp.exe\u2066\u200f")
@example("\U0001f249")
def test_nothing_but_line_ends_and_tabs_is_left_to_the_terminal(text: str) -> None:
    assert obeyed(visible(text)) <= {"\n", "\t"}
    assert obeyed(visible(text, keep="")) == set()


@given(st.text(st.characters(codec="utf-8", exclude_categories=OBEYED)))
@example("gr\u00fc\u00dfe \u2713 \u4f60\u597d \u0645\u0631\u062d\u0628\u0627 \U0001f469\u200d\U0001f4bb e\u0301")
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("character", "shown"),
    [
        ("\x00", "\u2400"),
        ("\x1b", "\u241b"),
        ("\r", "\u240d"),
        ("\x7f", "\u2421"),
        ("\x9b", "<U+009B>"),
        ("\u202e", "<U+202E>"),
        ("\U000e0041", "<U+E0041>"),
        ("\udcff", "<U+DCFF>"),
    ],
)
def test_what_is_not_sent_to_the_terminal_is_shown(character: str, shown: str) -> None:
    assert visible(f"a{character}b") == f"a{shown}b"


@given(st.text("abcXYZ019", min_size=1, max_size=32), anything | tricks)
@example("bob", "hello\nalice: hi")
@example("bob", "hello\r\nalice: hi\n\n")
@example("bob", "/me waves\n* alice waves")
def test_only_the_first_line_of_a_message_looks_like_one(sender: str, text: str) -> None:
    first, *more = message_line(sender, text).plain.split("\n")
    assert first.startswith((f"{sender}: ", f"* {sender} "))
    assert all(line.startswith(" " * (len(sender) + 2)) for line in more)


def test_marks_are_shown_and_styled_and_the_name_has_its_colour() -> None:
    line = message_line("bob", "*now* `x`\n> _so_", before="09:30 ", after=" to alice")
    assert line.plain == "09:30 bob to alice: *now* `x`\n" + " " * 20 + "> _so_"
    styled = {(line.plain[span.start : span.end], str(span.style)) for span in line.spans}
    assert {
        ("now", "bold"),
        ("x", "cyan"),
        ("so", "italic"),
        ("*", "dim"),
        ("bob", f"name.{colour_of('bob')}"),
    } <= styled


@pytest.mark.parametrize(("term", "colours"), [("xterm-256color", ON_ANY), ("xterm", OF_SIXTEEN)])
def test_names_are_coloured_on_a_terminal_only(
    term: str, colours: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.delenv("COLORTERM", raising=False)
    console().print(message_line("bob", "*hi*"))
    assert capsys.readouterr().out == "bob: *hi*\n"
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = console()
    assert shown.get_style("name.3") == Style.parse(f"bold {colours[3]}")
    shown.print(message_line("bob", "*hi*"))
    assert "\x1b[" in capsys.readouterr().out


@given(anything | tricks, anything | tricks)
def test_names_and_reasons_are_as_harmless(name: str, reason: str) -> None:
    for line in (message_line(name, reason), delivered_line(name, 0.001), failed_line(name, reason)):
        assert obeyed(line.plain) <= {"\n", "\t"}
    assert "\n" not in delivered_line(name, 0.001).plain


@pytest.mark.parametrize("recipient", ["ALL", "all"])
def test_a_message_to_all_is_delivered_to_everyone(recipient: str) -> None:
    assert delivered_line(recipient, 0.0012).plain == "\u2713\u2713 delivered to everyone (1 ms)"


def test_sizes_are_for_people() -> None:
    assert [size_text(size) for size in (0, 999, 1000, 2048, 150_000, 999_600, 100 << 20, 3 << 30, 5000 << 40)] == [
        "0 bytes", "999 bytes", "1.0 KiB", "2.0 KiB", "146 KiB", "976 KiB", "100 MiB", "3.0 GiB", "5000 TiB",
    ]  # fmt: skip


@given(tricks)
def test_a_problem_from_a_server_does_not_control_the_terminal(text: str) -> None:
    with contextlib.redirect_stderr(io.StringIO()) as printed:
        complain(text)
    assert obeyed(printed.getvalue()) <= {"\n", "\t"}


def test_a_long_name_does_not_make_a_message_of_many_lines_large() -> None:
    assert len(message_line("x" * 8000, "\n" * 1000 + "end").plain) < 200_000
