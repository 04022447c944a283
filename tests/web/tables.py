"""The tables that the page shares with the terminal app, as modules. `python -m tests.web.tables` writes them anew."""

import json
import re
from pathlib import Path
from typing import Final, get_args

import twotick.ui.texts
from twotick.ui.app import commands
from twotick.ui.app.commands import CHOOSING, WRITING, Command, Key
from twotick.ui.app.session.permissions import Permission
from twotick.ui.app.widgets.completion import emoji
from twotick.ui.texts import Language

_FOLDER: Final = Path(__file__).parent.parent.parent / "src/twotick/web/static/app"

ANYWHERE: Final = ("to", "next", "previous", "unread", "rooms", "new", "details", "keys")
"""The words of the commands that the page has keys for, wherever the focus is."""

ON_MESSAGES: Final = (
    "again",
    "cancel",
    "reply",
    "react",
    "edit",
    "delete",
    "thread",
    "forward",
    "pin",
    "copy",
    "receipts",
)
"""The words of the commands that the page has keys for when a message is selected."""

_NOT_IN_BROWSERS: Final = ("ctrl+t", "ctrl+n", "alt+r", "alt+n")
"""Keys that browsers keep for themselves, or that the page does not need: it has others for the same command."""

_OTHERWISE: Final = ("delete",)
"""Commands whose help is about the terminal app alone."""

_SIGNS: Final = {"up": "\u2191", "down": "\u2193", "plus": "+", "ctrl": "Ctrl", "alt": "Alt", "shift": "Shift"}


def tables() -> dict[Path, str]:
    """Return the files, and what is in them."""
    keys = {_FOLDER / f"texts/keys/{language}.js": _keys(language) for language in get_args(Language)}
    return {_FOLDER / "data/emoji.js": _emoji(), **keys}


def page_keys(command: Command) -> list[str]:
    """Return the keys that a command has on the page."""
    return [key for key in command.keys.split(",") if key not in _NOT_IN_BROWSERS]


def _emoji() -> str:
    """Return the emoji that the terminal app knows by name, with their names in lower case.

    The page lacks names that are in another one of the same emoji, and those with other marks than the underscore
    that is there without them: it finds the emoji by the other name, too.
    """
    names: dict[str, list[str]] = {}
    for name, sign in emoji():
        if name.lower() not in names.setdefault(sign, []):
            names[sign].append(name.lower())
    lines = "\n".join(" ".join([sign, *_needed(each)]) for sign, each in sorted(names.items()))
    about = "/** Emoji and their names, made by tests/web/tables.py: those of the package `emoji` (BSD licence). */"
    return f"{about}\nexport default {json.dumps(lines, ensure_ascii=False)};\n"


def _needed(names: list[str]) -> list[str]:
    marked = [name for name in names if (plain := _plain(name)) != name and plain in names]
    left = [name for name in names if name not in marked]
    return [name for name in left if not any(name in each for each in left if each != name)]


def _plain(name: str) -> str:
    """Return a name without other marks than the underscore, and the plus of `+1`."""
    return re.sub(r"[^\w+]", "", name.replace("-", "_"))


def _keys(language: str) -> str:
    """Return the keys of the page in a language: groups with a title, and in each the keys, what they do, and more."""
    catalogue = Path(twotick.ui.texts.__file__).parent / f"{language}.json"
    texts: dict[str, str] = json.loads(catalogue.read_text("utf-8")) if catalogue.exists() else {}

    def t(text: str) -> str:
        return texts.get(text, text)

    def shown(key: str) -> str:
        return "+".join(_SIGNS.get(part, t(part.title()) if len(part) > 1 else part) for part in key.split("+"))

    def row(command: Command) -> list[str | bool]:
        keys = page_keys(command)
        label = " ".join(shown(key).replace("Ctrl+k", "Ctrl+K").replace("Alt+a", "Alt+A") for key in keys)
        more = "" if command.word in _OTHERWISE else t(command.help)
        return [
            label,
            t(command.title),
            more,
            command.permission not in (None, Permission.SEND_AGAIN, Permission.CANCEL),
        ]

    def plain(keys: tuple[Key, ...], wanted: dict[str, str]) -> list[list[str | bool]]:
        helps = {each.keys.split(",")[0]: each.help for each in keys}
        return [[shown(new), t(helps[key]), "", False] for key, new in wanted.items()]

    def rows(words: tuple[str, ...]) -> list[list[str | bool]]:
        return [row(found) for word in words if (found := commands.find(word)) is not None]

    groups: list[tuple[str, list[list[str | bool]]]] = [
        (t("Writing"), plain(WRITING, {"enter": "enter", "alt+enter": "shift+enter"})),
        (t("Anywhere"), rows(ANYWHERE)),
        (
            t("With a message selected"),
            plain(CHOOSING, {"up": "up", "down": "down", "escape": "esc"}) + rows(ON_MESSAGES),
        ),
    ]
    about = "/** The keys that the page shares with the terminal app, made by tests/web/tables.py. */"
    parts = [
        f"  [{_json(title)}, [\n" + "".join(f"    {_json(each)},\n" for each in keys) + "  ]],\n"
        for title, keys in groups
    ]
    return f"{about}\nexport default [{_json(t('Keys'))}, [\n{''.join(parts)}]];\n"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    for _path, _content in tables().items():
        _path.parent.mkdir(exist_ok=True)
        _path.write_text(_content, "utf-8")
