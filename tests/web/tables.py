"""The tables that the page shares with the terminal app, as modules. `python -m tests.web.tables` writes them anew."""

import json
from pathlib import Path
from typing import Final

from twotick.ui.app.widgets.completion import emoji

_FOLDER: Final = Path(__file__).parent.parent.parent / "src/twotick/web/static/app/data"


def tables() -> dict[Path, str]:
    """Return the files, and what is in them."""
    return {_FOLDER / "emoji.js": _emoji()}


def _emoji() -> str:
    """Return the emoji that the terminal app knows by name, with their names in lower case."""
    names: dict[str, list[str]] = {}
    for name, sign in emoji():
        if name.lower() not in names.setdefault(sign, []):
            names[sign].append(name.lower())
    lines = "\n".join(f"{sign} {' '.join(each)}" for sign, each in names.items())
    about = "/** Emoji and their names, made by tests/web/tables.py: those of the package `emoji` (BSD licence). */"
    return f"{about}\nexport default {json.dumps(lines, ensure_ascii=False)};\n"


if __name__ == "__main__":
    for _path, _content in tables().items():
        _path.write_text(_content, "utf-8")
