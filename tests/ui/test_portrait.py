"""The pictures of members, as they are made of files."""

import asyncio
import io
from pathlib import Path

import pytest
from PIL import Image

from twotick.store.rules.pictures import picture_type
from twotick.ui.portrait import portrait
from twotick.ui.thumbnail import CannotShow


@pytest.mark.parametrize(("width", "height", "side"), [(900, 400, 256), (40, 90, 40), (256, 256, 256), (300, 301, 256)])
async def test_the_middle_of_a_picture_is_kept_and_nothing_else(
    tmp_path: Path, width: int, height: int, side: int
) -> None:
    """A picture that cannot be compressed is small enough, too."""
    file = tmp_path / "photo.jpg"
    about = Image.Exif()
    about[0x010E] = "taken at home"
    left = Image.effect_noise((width, height), 200).convert("RGB")
    left.save(file, quality=100, exif=about)
    made = await portrait(file)
    assert picture_type(made) == "image/png"
    assert b"home" not in made
    with Image.open(io.BytesIO(made)) as shown:
        assert shown.size == (side, side)


async def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "photo.png"
    file.write_bytes(b"GIF89a")
    with pytest.raises(CannotShow):
        await portrait(file)
    with pytest.raises(FileNotFoundError):
        await portrait(tmp_path / "none.png")


async def test_what_is_too_narrow_is_refused_before_it_is_sent(tmp_path: Path) -> None:
    file = tmp_path / "line.png"
    Image.new("RGB", (4000, 3)).save(file)
    with pytest.raises(CannotShow, match="at least 16 pixels"):
        await portrait(file)


async def test_a_process_that_ends_by_itself_is_not_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise asyncio may log a warning, which the user sees."""
    killed: list[asyncio.subprocess.Process] = []
    monkeypatch.setattr(asyncio.subprocess.Process, "kill", killed.append)
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    Image.new("RGB", (20, 20)).save(good)
    bad.write_bytes(b"GIF89a")
    await portrait(good)
    with pytest.raises(CannotShow):
        await portrait(bad)
    assert killed == []
