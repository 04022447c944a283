"""The texts of the terminal app in the user's language, and its dates.

The English texts stand in the code, where they are used. A catalogue, such as `de.json`, has the translation of each.
Only the app chooses a language, so what commands and the line client print stays English: scripts rely on it.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

Language: TypeAlias = Literal["en", "de", "fr", "es", "hi"]
"""A language that the app has texts in."""

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

SYSTEM: Final = "system"
"""The choice of the environment's language."""

NAMES: Final = {"en": "English", "de": "Deutsch", "fr": "Français", "es": "Español", "hi": "हिन्दी"}
"""The languages, each as its speakers call it."""

_SINGULAR: Final = {"fr": (0, 1), "hi": (0, 1)}
"""The numbers that take the singular, in the languages where that is not only 1."""


class _Chosen:
    """The language that was chosen, and its catalogue."""

    language: Language = "en"
    texts: Mapping[str, str | dict[str, str]] = {}


def of_environment(environment: Mapping[str, str]) -> Language:
    """Return the language that the variables of a locale ask for; English if the app has no texts in it.

    Args:
        environment: the environment variables. The first of LC_ALL, LC_MESSAGES and LANG that is not empty counts.
    """
    asked = next((found for name in ("LC_ALL", "LC_MESSAGES", "LANG") if (found := environment.get(name))), "")
    return known_language(asked[:2].lower()) if asked[2:3] in ("", "_", ".", "@", "-") else "en"


def known_language(code: str) -> Language:
    """Return the language with a code; English if the app has no texts in it."""
    known: dict[str, Language] = {each: each for each in LANGUAGES}
    return known.get(code, "en")


def use_language(wanted: str) -> None:
    """Use the texts of a language from now on.

    Args:
        wanted: its code; `system` for that of the environment.
    """
    language = of_environment(os.environ) if wanted == SYSTEM else known_language(wanted)
    _Chosen.texts = catalogue(language)
    _Chosen.language = language


def language() -> Language:
    """Return the language in use."""
    return _Chosen.language


def catalogue(language: Language) -> Mapping[str, str | dict[str, str]]:
    """Return the translations of all texts; none for English.

    A text that depends on a number is found by its plural, and has a translation for `one` and for `other`.
    """
    if language == "en":
        return {}
    import json  # imported late: English needs no catalogue

    return json.loads(Path(__file__).with_name(f"{language}.json").read_text("utf-8"))


def t(text: str, /, **values: object) -> str:
    """Return a text in the language in use.

    Args:
        text: the text in English. The test of the catalogues finds it only if it stands here, or in `later`.
        values: what takes the places of their names in braces.
    """
    found = _Chosen.texts.get(text, text)
    shown = found if isinstance(found, str) else found["other"]
    return shown.format(**values) if values else shown


def plural(one: str, other: str, n: int, /, **values: object) -> str:
    """Return a text that depends on a number.

    Args:
        one: the text for 1, in English.
        other: the text for all other numbers, in English, with `{n}` for the number.
        n: the number.
        values: what takes the places of other names in braces.
    """
    found = _Chosen.texts.get(other)
    if not isinstance(found, dict):
        found = {"one": one, "other": other}
    return found["one" if n in _SINGULAR.get(_Chosen.language, (1,)) else "other"].format(n=n, **values)


def later(text: str) -> str:
    """Return a text as it is: `t` translates it when it is shown. A constant is made before a language is chosen."""
    return text


def within(text: str) -> str:
    """Return a text as it stands within a line: with a small letter first. German keeps it: its nouns have capitals."""
    return text if _Chosen.language == "de" else text[:1].lower() + text[1:]


# Dates. Times have 24 hours in every language, since columns are few.

_MONTHS: Final = later("January February March April May June July August September October November December")
_SHORT_MONTHS: Final = later("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec")
_DAYS: Final = later("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")


def long_date(when: datetime) -> str:
    """Return a date with the day of the week, such as `Sunday 29 November 2026`."""
    weekday, month = t(_DAYS).split()[when.weekday()], t(_MONTHS).split()[when.month - 1]
    return t("{weekday} {day} {month} {year}", weekday=weekday, day=when.day, month=month, year=when.year)


def short_date(when: datetime) -> str:
    """Return a date such as `09 Nov 2026`."""
    return t("{day:02} {month} {year}", day=when.day, month=_short_month(when), year=when.year)


def short_time(when: datetime) -> str:
    """Return a day without its year, and the time, such as `09 Nov 13:45`."""
    return t("{day:02} {month}", day=when.day, month=_short_month(when)) + f" {when:%H:%M}"


def numeric_date(when: datetime) -> str:
    """Return a date in numbers, such as `2026-11-29`."""
    return t("{year}-{month:02}-{day:02}", year=when.year, month=when.month, day=when.day)


def _short_month(when: datetime) -> str:
    return t(_SHORT_MONTHS).split()[when.month - 1]
