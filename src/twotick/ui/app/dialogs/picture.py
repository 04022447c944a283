"""The screen that shows a picture, by the best means of the terminal."""

import contextlib
import fcntl
import importlib
import importlib.util
import io
import os
import struct
import sys
import termios
from collections.abc import Mapping
from enum import Enum
from typing import Any, ClassVar, cast

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widget import Widget

from twotick.ui.texts import t
from twotick.ui.thumbnail import Thumbnail

_LIBRARY = "textual_image"
_CELL = (10, 20)
"""Pixels of a character if the terminal does not say."""


class PictureMeans(Enum):
    """How a terminal shows a picture: the names of the library's widgets."""

    KITTY = "TGPImage"
    SIXEL = "SixelImage"
    CELLS = "HalfcellImage"


_SIXEL_TERMS = ("foot", "mlterm", "contour", "yaft")
_SIXEL_PROGRAMS = ("iTerm.app", "WezTerm")


def means(environment: Mapping[str, str], colours: str | None) -> PictureMeans | None:
    """Return the best means of a terminal; None if it cannot show pictures.

    The terminal is not asked: the app would take its answer for keys. A terminal within tmux or screen does not get
    pictures through.

    Args:
        environment: the environment variables.
        colours: the colour system, such as `truecolor`; None for no colours.
    """
    term, program = environment.get("TERM", ""), environment.get("TERM_PROGRAM", "")
    within = "TMUX" in environment or term.startswith(("screen", "tmux"))
    if not within and (term in ("xterm-kitty", "xterm-ghostty") or "KITTY_WINDOW_ID" in environment):
        return PictureMeans.KITTY
    sixel = program in _SIXEL_PROGRAMS or term.startswith(_SIXEL_TERMS) or "WT_SESSION" in environment
    if not within and (sixel or "KONSOLE_VERSION" in environment):
        return PictureMeans.SIXEL
    return PictureMeans.CELLS if colours in ("256", "truecolor") else None


def is_installed() -> bool:
    """Return whether the library is there that shows pictures."""
    return importlib.util.find_spec(_LIBRARY) is not None


def _cell() -> tuple[int, int]:
    """Return the width and height of a character in pixels."""
    with contextlib.suppress(OSError, ValueError):
        size = fcntl.ioctl(sys.__stderr__ or 2, termios.TIOCGWINSZ, b"\0" * 8)
        rows, columns, width, height = struct.unpack("HHHH", size)
        if rows and columns and width >= columns and height >= rows:
            return width // columns, height // rows
    return _CELL


def fitted(picture: Thumbnail, columns: int, rows: int, cell: tuple[int, int]) -> tuple[int, int]:
    """Return the columns and rows that a picture takes, as large as it fits.

    Args:
        picture: the picture.
        columns: the available columns.
        rows: the available rows.
        cell: the width and height of a character in pixels.
    """
    scale = min(columns * cell[0] / picture.width, rows * cell[1] / picture.height)
    return (
        max(1, min(columns, round(picture.width * scale / cell[0]))),
        max(1, min(rows, round(picture.height * scale / cell[1]))),
    )


def _widget(picture: Thumbnail, how: PictureMeans, cell: tuple[int, int]) -> Widget:
    """Return the widget that shows a picture.

    When the library is imported, it asks the terminal what it can do, if standard output is one. The app would take the
    answers for keys. So it is imported without standard output, and told the size of a character in its variables.
    """
    os.environ["TEXTUAL_CELL_WIDTH"], os.environ["TEXTUAL_CELL_HEIGHT"] = (str(each) for each in cell)
    real = sys.__stdout__
    setattr(sys, "__stdout__", io.StringIO())  # noqa: B010  # for type checkers it is final
    try:
        library: Any = importlib.import_module(f"{_LIBRARY}.widget")
    finally:
        setattr(sys, "__stdout__", real)  # noqa: B010
    from PIL import Image

    image = Image.frombytes("RGB", (picture.width, picture.height), picture.pixels)
    return cast("Widget", getattr(library, how.value)(image))


class PictureScreen(ModalScreen[None]):
    """Shows a picture.

    Args:
        title: the title, safe for the terminal.
        picture: the picture.
        how: how the terminal shows it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q,v", "dismiss(None)", "Back", show=False)]
    DEFAULT_CSS = """
    PictureScreen {
        align: center middle;
        background: $background 60%;
        & > Vertical { width: auto; height: auto; background: $background; border: round $primary; }
    }
    """

    def __init__(self, title: str, picture: Thumbnail, how: PictureMeans) -> None:
        super().__init__()
        self._title = title
        self._picture = picture
        self._how = how

    def compose(self) -> ComposeResult:
        """Create the picture."""
        cell = _cell()
        shown = _widget(self._picture, self._how, cell)
        width, height = cast("App[object]", self.app).size  # pyright: ignore[reportUnknownMemberType]
        shown.styles.width, shown.styles.height = fitted(self._picture, max(1, width - 4), max(1, height - 4), cell)
        with Vertical() as box:
            box.border_title = Text(self._title)
            box.border_subtitle = t("Esc: close")
            yield shown
