"""Tests of the colours of names."""

import pytest
from hypothesis import given
from rich.color import Color, ColorSystem

from tests.ui.test_text import anything
from twotick.ui.names import COLOURS, OF_SIXTEEN, ON_ANY, ON_DARK, ON_LIGHT, colour_of, skeleton
from twotick.ui.people import ProfileBook, UserProfile

BLACK, WHITE, DARK, LIGHT = "#000000", "#ffffff", "#16181d", "#fcfcfa"

PALETTES = {  # bright red, bright blue, magenta, bright magenta
    "xterm": ("#ff0000", "#5c5cff", "#cd00cd", "#ff00ff"),
    "vga": ("#ff5555", "#5555ff", "#aa00aa", "#ff55ff"),
    "gnome": ("#f66151", "#2a7bde", "#a347ba", "#c061cb"),
    "windows": ("#e74856", "#3b78ff", "#881798", "#b4009e"),
    "macos": ("#fc391f", "#5833ff", "#d338d3", "#f935f8"),
}
"""What some terminals make of the colours of which they have sixteen."""


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = [part / 255 for part in bytes.fromhex(colour[1:])]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG 2.2)."""
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize(
    ("colours", "background", "least"),
    [(ON_DARK, DARK, 7), (ON_LIGHT, LIGHT, 4.5), (ON_ANY, BLACK, 4.5), (ON_ANY, WHITE, 4.5)],
)
def test_every_colour_can_be_read_on_its_background(colours: tuple[str, ...], background: str, least: float) -> None:
    assert len(set(colours)) == COLOURS
    assert min(contrast(colour, background) for colour in colours) >= least


@pytest.mark.parametrize(
    ("colours", "background"), [(ON_DARK, DARK), (ON_LIGHT, LIGHT), (ON_ANY, BLACK), (ON_ANY, WHITE)]
)
def test_every_colour_can_be_read_on_a_terminal_with_256_colours(colours: tuple[str, ...], background: str) -> None:
    """Large or bold text needs a contrast of 3."""
    nearest = [Color.parse(colour).downgrade(ColorSystem.EIGHT_BIT).get_truecolor().hex for colour in colours]
    assert min(contrast(colour, background) for colour in nearest) >= 3


@pytest.mark.parametrize("palette", PALETTES.values(), ids=PALETTES)
@pytest.mark.parametrize("background", [BLACK, WHITE])
def test_the_colours_of_sixteen_can_be_read_on_black_and_on_white(palette: tuple[str, ...], background: str) -> None:
    assert set(OF_SIXTEEN) == {"bright_red", "bright_blue", "magenta", "bright_magenta"}
    assert len(OF_SIXTEEN) == COLOURS
    assert min(contrast(colour, background) for colour in palette) >= 2.5


def test_a_name_keeps_its_colour() -> None:
    """The numbers are written down here, so that no change of the program gives users other colours."""
    assert [colour_of(name) for name in ("alice", "Alice", "bob", "carol", "#team", "\ud800")] == [1, 1, 0, 11, 7, 3]


def test_names_are_spread_over_the_colours() -> None:
    found = [colour_of(f"user{number}") for number in range(1200)]
    assert all(50 < found.count(colour) < 150 for colour in range(COLOURS))


@pytest.mark.parametrize(
    "text",
    [
        "ALICE", " alice ", "al.ice", "\u00e1lic\u00eb", "\u0430lice", "\u0430\u04cf\u0456\u0441\u0435",
        "AIice", "a|ice", "a1ice",
        "\uff41lice", "\U0001d41alice", "al\u0131ce", "a\u200dlice", "\u03b1lice",
    ],
)  # fmt: skip
def test_texts_that_look_alike_have_the_same_skeleton(text: str) -> None:
    assert skeleton(text) == skeleton("alice")


def test_texts_that_look_different_have_different_skeletons() -> None:
    names = [
        "alice",
        "bob",
        "Alice Miller",
        "alicia",
        "\u30a2\u30ea\u30b9",
        "\u0410\u043b\u0438\u0441\u0430",
        "ace",
        "rnb",
    ]
    assert len({skeleton(name) for name in names}) == len(names)
    assert skeleton("modern") == skeleton("modem")


@given(anything)
def test_any_text_has_a_skeleton(text: str) -> None:
    assert skeleton(text) == "" or skeleton(text).isalnum()


def test_a_display_name_that_looks_like_the_name_of_another_user_is_known() -> None:
    book = ProfileBook("alice")
    book.set("mallory", UserProfile("\u0410lice"))
    assert book.mistaken_for("mallory") == "alice"
    book.set("bob", UserProfile("Bob Miller"))
    assert book.mistaken_for("bob") == ""
    book.set("mallory", UserProfile("bob miller"))
    assert (book.mistaken_for("mallory"), book.mistaken_for("bob")) == ("bob", "mallory")
    book.set("mallory", UserProfile("Mallory"))
    assert (book.mistaken_for("mallory"), book.mistaken_for("bob")) == ("", "")
    book.know("carol")
    book.set("mallory", UserProfile("carol"))
    assert book.mistaken_for("mallory") == "carol"
    book.know("...")
    assert book.mistaken_for("dave") == ""  # no display name looks like nothing
