"""Tests of pictures in the app. The files are hostile where that matters."""

import contextlib
import io
import os
import struct
import sys
import zlib
from pathlib import Path

import pexpect
import pytest
from PIL import Image

from tests.ui.app.examples import message, put
from tests.ui.app.fake_session import FakeSession, showing
from twotick.ui.app.actions import pictures
from twotick.ui.app.dialogs.picture import PictureMeans, fitted, means
from twotick.ui.app.model.messages import Attachment, LocalMessage
from twotick.ui.thumbnail import MAX_BYTES, CannotShow, Thumbnail, format_of, thumbnail

RED, BLUE = (200, 30, 40), (20, 40, 220)


def picture(kind: str = "PNG", size: tuple[int, int] = (60, 40), mode: str = "RGB") -> bytes:
    """Return a picture whose left half is red and whose right half is blue."""
    image = Image.new(mode, size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    written = io.BytesIO()
    image.save(written, kind)
    return written.getvalue()


def bomb(width: int, height: int) -> bytes:
    """Return a small PNG file that says it has many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(bytes(1 << 20), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP", "BMP"])
async def test_a_small_copy_is_made_of_every_known_format(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "picture"
    path.write_bytes(picture(kind, (600, 400)))
    found = await thumbnail(path, 60)
    assert (found.width, found.height, len(found.pixels)) == (60, 40, 60 * 40 * 3)
    assert max(abs(one - other) for one, other in zip(found.pixels[:3], RED, strict=True)) < 40
    assert max(abs(one - other) for one, other in zip(found.pixels[-3:], BLUE, strict=True)) < 40


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no picture",
        picture()[:-40],
        bomb(60_000, 60_000),
        bomb(2**31 - 1, 2**31 - 1),
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
        b"#define x_width 9\n#define x_height 9\nstatic char x_bits[] = {0};",
    ],
    ids=["empty", "text", "cut", "bomb", "larger bomb", "PostScript", "XBM"],
)
async def test_what_is_no_picture_or_too_large_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "picture.png"
    path.write_bytes(content)
    with pytest.raises(CannotShow):
        await thumbnail(path, 60)


async def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotShow):
        await thumbnail(tmp_path / "none.png", 60)


def test_the_ending_of_a_name_says_whether_it_is_a_picture() -> None:
    names = ["a.png", "A.JPG", "b.jpeg", "c.txt", "png", "d.svg", "../\x1b.gif"]
    assert [format_of(name) for name in names] == ["PNG", "JPEG", "JPEG", "", "", "", "GIF"]


@pytest.mark.parametrize(
    ("environment", "colours", "best"),
    [
        ({"TERM": "xterm-kitty"}, "truecolor", PictureMeans.KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "truecolor", PictureMeans.SIXEL),
        ({"TERM": "foot"}, "256", PictureMeans.SIXEL),
        ({"TERM": "xterm-256color"}, "256", PictureMeans.CELLS),
        ({"TERM": "tmux-256color", "TMUX": "x", "KITTY_WINDOW_ID": "1"}, "truecolor", PictureMeans.CELLS),
        ({"TERM": "xterm"}, "standard", None),
        ({"TERM": "xterm"}, None, None),
    ],
)
def test_the_terminal_is_known_by_its_variables(
    environment: dict[str, str], colours: str | None, best: PictureMeans | None
) -> None:
    assert means(environment, colours) is best


def test_a_picture_fits_the_screen_and_keeps_its_shape() -> None:
    wide, tall = Thumbnail(200, 100, b""), Thumbnail(100, 200, b"")
    assert fitted(wide, 40, 40, (10, 20)) == (40, 10)
    assert fitted(tall, 40, 10, (10, 20)) == (10, 10)
    assert fitted(Thumbnail(1, 2000, b""), 40, 10, (10, 20)) == (1, 10)


class PictureSession(FakeSession):
    """A session whose server has a file.

    Args:
        content: the file.
    """

    def __init__(self, content: bytes, size: int = 0) -> None:
        super().__init__()
        self.content = content
        put(self.all, message("look", 1, ident="m1", file=Attachment("k", "poppies.png", size or len(content), "")))

    async def save_file(self, message: LocalMessage, folder: Path) -> Path:
        self._note("save", message.id)
        path = folder / "poppies.png"
        path.write_bytes(self.content)
        self.folder = folder
        return path


@pytest.fixture
def terminal_with_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLORTERM", "truecolor")
    for name in ("TMUX", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "WT_SESSION", "TERM_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")


@pytest.mark.filterwarnings("ignore:Image.Image.getdata is deprecated")  # in textual-image
@pytest.mark.usefixtures("terminal_with_colours")
async def test_a_picture_is_shown_in_the_colours_of_its_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    session = PictureSession(picture())
    output = sys.__stdout__
    async with showing(session) as alice:
        await alice.sees("poppies.png", "v: show  s: save")
        await alice.type("/show", "enter")
        await alice.sees("Esc: close", "\u2580")
        colours = {
            (each.style.color.triplet, each.style.bgcolor.triplet)
            for strip in alice.strips
            for each in strip
            if "\u2580" in each.text and each.style and each.style.color and each.style.bgcolor
        }
        assert {(RED, RED), (BLUE, BLUE)} <= colours
        await alice.press("escape")
        await alice.sees_no("\u2580")
    assert not session.folder.exists()
    assert sys.__stdout__ is output


@pytest.mark.usefixtures("terminal_with_colours")
@pytest.mark.parametrize(
    ("content", "size", "reason"),
    [
        (b"no picture", 0, "this is no picture that can be shown here"),
        (bomb(60_000, 60_000), 0, "this is no picture that can be shown here"),
        (picture(), MAX_BYTES + 1, "Pictures of more than 20 MiB are not shown here"),
    ],
)
async def test_what_cannot_be_shown_is_named_with_size_and_kind(content: bytes, size: int, reason: str) -> None:
    async with showing(PictureSession(content, size)) as alice:
        await alice.sees("poppies.png")
        await alice.type("/show", "enter")
        await alice.sees("PNG picture, ", reason, "s: save the file")


@pytest.mark.usefixtures("terminal_with_colours")
async def test_a_refused_download_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    session = PictureSession(picture())
    session.refusal = "the file is gone"
    async with showing(session) as alice:
        await alice.sees("poppies.png")
        await alice.type("/show", "enter")
        await alice.sees("PNG picture, ", "the file is gone")


@pytest.mark.usefixtures("terminal_with_colours")
async def test_without_the_library_the_app_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "is_installed", lambda: False)
    session = PictureSession(picture())
    async with showing(session) as alice:
        await alice.sees("poppies.png")
        await alice.type("/show", "enter")
        await alice.sees("To see pictures here, install Twotick with its extra", "PNG picture, ")
    assert "save" not in [what for what, *_ in session.asked]


async def test_a_terminal_with_few_colours_shows_name_size_and_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLORTERM", "TMUX", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "WT_SESSION", "TERM_PROGRAM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    async with showing(PictureSession(picture())) as alice:
        await alice.sees("poppies.png")
        await alice.type("/show", "enter")
        await alice.sees("This terminal cannot show pictures.", "PNG picture, ")


PROGRAM = """
import asyncio
from tests.ui.app.fake_session import FakeSessionApp
from tests.ui.app.test_picture import PictureSession, picture
from twotick.ui.app import AppOptions
asyncio.run(FakeSessionApp(PictureSession(picture()), AppOptions("chat.lan")).run_async())
"""

KITTY, SIXEL = "\x1b_G", "\x1bP"

_PLAIN = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("variables", "sent", "never"),
    [
        ({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}, KITTY, [SIXEL]),
        ({**_PLAIN, "TERM_PROGRAM": "iTerm.app"}, SIXEL, [KITTY]),
        ({**_PLAIN, "TERM_PROGRAM": "WezTerm"}, SIXEL, [KITTY]),
        ({"TERM": "foot"}, SIXEL, [KITTY]),
        (_PLAIN, "\u2580", [KITTY, SIXEL]),  # also over ssh, where the terminal does not say what it is
        (
            {"TERM": "tmux-256color", "TMUX": "x", "KITTY_WINDOW_ID": "1", "TERM_PROGRAM": "tmux"},
            "\u2580",
            [KITTY, SIXEL],
        ),
    ],
    ids=["kitty", "iTerm", "WezTerm", "foot", "unknown", "tmux"],
)
def test_a_terminal_is_sent_the_picture_in_a_way_that_it_understands(
    variables: dict[str, str], sent: str, never: list[str]
) -> None:
    names = ("TMUX", "KITTY_WINDOW_ID", "KONSOLE_VERSION", "WT_SESSION", "TERM_PROGRAM", "NO_COLOR")
    kept = {name: value for name, value in os.environ.items() if name not in names}
    child: pexpect.spawn[str] = pexpect.spawn(
        sys.executable,
        ["-W", "ignore", "-c", PROGRAM],
        env={**kept, "COLORTERM": "truecolor", **variables},  # type: ignore[arg-type]
        encoding="utf-8",
        timeout=60,
        dimensions=(24, 80),
    )
    with contextlib.closing(child):
        child.expect_exact("poppies.png")
        before = child.before
        child.send("/show\r")
        child.expect_exact(sent)
        shown = f"{before}{child.before}{child.after}"
        child.send("\x1b")
        child.expect_exact("poppies.png")
        shown += str(child.before)
    assert [each for each in never if each in shown] == []
