"""The texts of the app in other languages: each catalogue has all of them, and the app works with each."""

import ast
from collections.abc import Generator
from datetime import datetime
from pathlib import Path
from string import Formatter

import pytest
from rich.cells import cell_len

from tests.ui.app.examples import MORNING, message, put
from tests.ui.app.fake_session import FakeSession, showing
from tests.ui.app.users import AppUser
from twotick.client import State
from twotick.client.member.results import RecipientState
from twotick.ui import texts
from twotick.ui.app.commands import CHOOSING, COMMANDS, ON_MESSAGES, WRITING
from twotick.ui.app.layout.spacing_marks import count_spacing_marks
from twotick.ui.app.model.conversations import UserPresence
from twotick.ui.app.model.messages import Attachment, RoomNotice
from twotick.ui.app.model.rooms import MemberListing, RoomListing
from twotick.ui.app.screens.main import MainScreen
from twotick.ui.texts import (
    LANGUAGES,
    Language,
    catalogue,
    long_date,
    numeric_date,
    of_environment,
    plural,
    short_date,
    short_time,
    use_language,
)

SOURCES = Path(texts.__file__).parents[1]
OTHERS = [each for each in LANGUAGES if each != "en"]


@pytest.fixture(autouse=True)
def english_again() -> Generator[None]:
    """Leave the language as other tests expect it."""
    yield
    use_language("en")


def _words(node: ast.expr) -> list[str]:
    """Return the texts that an argument can be."""
    if isinstance(node, ast.Constant):
        return [str(node.value)]
    return _words(node.body) + _words(node.orelse) if isinstance(node, ast.IfExp) else []


def texts_in_code() -> tuple[set[str], dict[str, str]]:
    """Return all English texts of the app: those without a number, and the singulars of those with one, by plural."""
    plain: set[str] = set()
    singulars: dict[str, str] = {}
    for file in SOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                if node.func.id in ("t", "later"):
                    plain.update(_words(node.args[0]))
                elif node.func.id == "plural":
                    singulars.update(zip(_words(node.args[1]), _words(node.args[0]), strict=True))
    for command in COMMANDS + ON_MESSAGES:
        plain.update((command.title, command.help, command.argument))
    plain.update(key.help for key in WRITING + CHOOSING)
    return plain - {""}, singulars


def _names(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_has_each_text_and_no_other(language: Language) -> None:
    plain, singulars = texts_in_code()
    found = catalogue(language)
    assert (plain | singulars.keys()) - found.keys() == set()
    assert found.keys() - plain - singulars.keys() == set()
    assert {text for text, shown in found.items() if isinstance(shown, dict)} == singulars.keys()


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_has_the_same_places_and_marks(language: Language) -> None:
    _, singulars = texts_in_code()
    for text, shown in catalogue(language).items():
        if isinstance(shown, dict):
            assert set(shown) == {"one", "other"}, text
            assert _names(shown["other"]) == _names(text), text
            assert _names(shown["one"]) - {"n"} == _names(singulars[text]), text
        else:
            assert _names(shown) == _names(text), text
            assert shown.strip() == shown != "", text
            assert shown.count("*") == text.count("*"), text
            assert shown.count("   ") == text.count("   "), text


@pytest.mark.parametrize("language", LANGUAGES)
def test_dates_are_written_as_the_language_does(language: Language) -> None:
    use_language(language)
    when = datetime(2026, 3, 9, 8, 5)
    assert [long_date(when), short_date(when), short_time(when), numeric_date(when)] == DATES[language]
    days = [datetime(2026, 3, day) for day in range(1, 8)]
    months = [datetime(2026, month, 1) for month in range(1, 13)]
    assert len({long_date(each).split()[0] for each in days}) == 7
    assert (
        len({short_date(each) for each in months})
        == len({long_date(each).split(maxsplit=1)[1] for each in months})
        == 12
    )


DATES = {
    "en": ["Monday 9 March 2026", "09 Mar 2026", "09 Mar 08:05", "2026-03-09"],
    "de": ["Montag, 9. M\u00e4rz 2026", "9. M\u00e4rz 2026", "9. M\u00e4rz 08:05", "09.03.2026"],
    "fr": ["lundi 9 mars 2026", "9 mars 2026", "9 mars 08:05", "09/03/2026"],
    "es": ["lunes, 9 de marzo de 2026", "9 mar 2026", "9 mar 08:05", "09/03/2026"],
    "hi": ["सोमवार, 9 मार्च 2026", "9 मार्च 2026", "9 मार्च 08:05", "09/03/2026"],
}


def test_numbers_take_the_singular_as_the_language_does() -> None:
    told = {"en": "0 members, 1 member", "de": "0 Mitglieder, 1 Mitglied", "fr": "0 membre, 1 membre"}
    for language, text in told.items():
        use_language(language)
        assert ", ".join(plural("1 member", "{n} members", n) for n in (0, 1)) == text


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({}, "en"),
        ({"LANG": "de_DE.UTF-8"}, "de"),
        ({"LANG": "de"}, "de"),
        ({"LANG": "hi_IN"}, "hi"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({"LANG": "POSIX"}, "en"),
        ({"LANG": "estonian"}, "en"),
        ({"LANG": "nl_NL.UTF-8"}, "en"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "fr_CA.UTF-8"}, "fr"),
        ({"LANG": "de_DE.UTF-8", "LC_MESSAGES": "fr_CA.UTF-8", "LC_ALL": "es_ES@euro"}, "es"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": ""}, "de"),
        ({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}, "en"),
    ],
)
def test_the_environment_chooses_the_language(variables: dict[str, str], language: Language) -> None:
    assert of_environment(variables) == language


async def test_a_user_chooses_the_language_and_the_choice_lasts(tmp_path: Path) -> None:
    session = FakeSession()
    put(session.all, message("Good morning!", 1, ident="m1"))
    async with showing(session, folder=tmp_path) as alice:
        await alice.talks_to("bob")
        await alice.sees("Message to bob", "Monday", "F1 keys")
        await alice.type("/language", "enter")
        await alice.sees("Language", "As the system", "Deutsch", "\u0939")
        await alice.type("deu", "enter")
        await alice.sees("Nachricht an bob", "Montag", "F1 Tasten")
        await alice.sees_no("Language")
        await alice.type("/language fr", "enter")
        await alice.sees("Message \u00e0 bob", "lundi", "F1 touches")
    async with showing(session, folder=tmp_path) as alice:
        await alice.sees("Message \u00e0 bob")


async def test_the_setting_chooses_the_language() -> None:
    async with showing(FakeSession(), language="es") as alice:
        await alice.sees("A\u00fan no hay conversaciones.", "Ctrl+K")


def busy() -> FakeSession:
    """Return a session with a room, events, a file, a failed message and a reply, and short names."""
    session = FakeSession()
    conversations = session.all
    conversations.set_presence("bob", UserPresence("away", MORNING))
    room = conversations.open("#team")
    room.topic, room.role, room.access, room.members = "lunch", "owner", "public", 3
    put(
        conversations,
        message("", 1, peer="#team", event=RoomNotice("changed", topic="lunch", access="private")),
        message("", 2, peer="#team", event=RoomNotice("appointed", "carol", "moderator")),
        message("Hi", 3, peer="#team", ident="m3", file=Attachment("k", "a.png", 234_000, "image/png")),
        message("yes", 4, peer="#team", outgoing=True, ident="m4", state=State.FAILED, reason="refused"),
        message("ok", 5, peer="#team", sender="carol", ident="m5", reply_to=("bob", "m3")),
        message("mine", 6, peer="#team", outgoing=True, ident="m6", have=1, of=2, edited=MORNING),
        message("hello", 7, peer="bob", ident="m7"),
    )
    session.its_members = [
        MemberListing("alice", "owner", None, None),
        MemberListing("bob", "moderator", None, UserPresence("away", MORNING)),
    ]
    session.its_rooms = [RoomListing("#team", "lunch", "owner", 3, "public", False)]
    session.its_receipts = [RecipientState("bob", State.READ), RecipientState("carol", State.FAILED)]
    return session


WAYS = "search rooms new members access leave file status keys"
ON_A_MESSAGE = "delete receipts"


@pytest.mark.parametrize(("language", "width", "height"), [("de", 40, 20), ("hi", 40, 20), ("hi", 80, 24)])
async def test_no_text_of_the_app_is_cut(language: str, width: int, height: int) -> None:
    async with showing(busy(), width, height, language=language) as alice:
        screen = alice.app.screen
        assert isinstance(screen, MainScreen)

        async def look_at(word: str) -> None:
            screen.run_command(word)
            await alice.finds(lambda: alice.app.screen is not screen)
            await alice.finds(lambda: bool(alice.screen.strip()))
            is_whole(alice, word)
            await alice.press("escape")
            await alice.finds(lambda: alice.app.screen is screen)

        def is_whole(alice: AppUser, word: str) -> None:
            assert all(strip.cell_length == width for strip in alice.strips), word
            assert "\u2026" not in alice.screen.replace(" \u2026", ""), (word, alice.screen)

        screen.open("#team")
        await alice.finds(lambda: "09:30" in alice.screen and screen.shown is not None)
        is_whole(alice, "")
        for word in WAYS.split():
            await look_at(word)
        screen.messages.focus()
        await alice.press("end")
        await alice.finds(lambda: screen.messages.selected is not None and screen.messages.selected.id == "m6")
        is_whole(alice, "select")
        for word in ON_A_MESSAGE.split():
            await look_at(word)
        screen.run_command("details")
        await alice.sees({"de": "Größe", "hi": "आकार"}[language])
        is_whole(alice, "details")


def test_vowel_signs_take_a_column_as_in_terminals() -> None:
    count_spacing_marks()
    assert [cell_len(text) for text in ("\u0915", "\u0915\u093e", "\u0915\u0947", "e\u0301", "\u2713")] == [
        1,
        2,
        1,
        1,
        1,
    ]
