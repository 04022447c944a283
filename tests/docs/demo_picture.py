"""Draw the picture of README.md, docs/demo.svg, from a real session: `python -m tests.docs.demo_picture`."""

import io
import re
from itertools import groupby
from pathlib import Path

import pyte
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.text import Text

from tests.ui.terminal import terminal

PICTURE = Path(__file__).parents[2] / "docs" / "demo.svg"
COLUMNS = 84
COLOURS = {"default": None, "brown": "yellow"}
"""Colours for which pyte has other names."""


def session() -> str:
    """Return what a terminal gets in a short session with the demo."""
    with terminal("demo", columns=COLUMNS, env={"COLUMNS": str(COLUMNS)}) as demo:
        demo.shows(">")
        demo.type("@echo hello\r")
        demo.has("echo: you said: hello")
        demo.type("@nobody are you there?\r")
        demo.has("not delivered to nobody")
        demo.type("@ALL good night\r")
        demo.has("you said: good night", "delivered to everyone")
        return demo.output


def styled(output: str) -> Text:
    """Return what the terminal shows, with its colours."""
    screen = pyte.Screen(COLUMNS, 24)
    pyte.Stream(screen).feed(output)
    text = Text("$ make demo\n")
    for row in range(screen.cursor.y):
        cells = [screen.buffer[row][column] for column in range(COLUMNS)]
        for (colour, bold), alike in groupby(cells, lambda cell: (cell.fg, cell.bold)):
            text.append("".join(cell.data for cell in alike), Style(color=COLOURS.get(colour, colour), bold=bold))
        text.append("\n")
    text.rstrip()
    return text


def draw() -> None:
    """Write the picture. It uses the fonts of the machine that shows it: none are loaded from elsewhere."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    console.print(styled(session()), soft_wrap=False)
    template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    template = template.replace("Fira Code, monospace", 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace')
    picture = console.export_svg(title="twotick", code_format=template, unique_id="demo")
    PICTURE.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n", "utf-8")


if __name__ == "__main__":
    draw()
