"""Files that come: names that others have given them, made harmless, and places where nothing is."""

import asyncio
import re
import unicodedata
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TypeAlias

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from twotick.client import FileInfo, MemberClient
from twotick.ui.shell.errors import CannotSave
from twotick.ui.text import console, placed, visible

Tell: TypeAlias = Callable[[int, int], None]
"""Is told how many bytes are done, and how many there are."""

_LONGEST_NAME = 150
"""Bytes of UTF-8: file systems take 255, and there must be room for a number and for `.part`."""

_LONGEST_SUFFIX = 20
"""Bytes at the end of a long name that are kept as they are."""

_MOST_ALIKE = 1000
"""Files whose names differ in a number only."""

_NOT_IN_A_NAME = re.compile(r'[/\\:*?"<>|]')
"""What separates folders somewhere, or means something to a shell or another system."""


def safe_name(name: str) -> str:
    """A name for a file that somebody else has named: of one file in the same folder, and not hidden.

    It is no option of a command either, and nothing in it moves the cursor or turns the direction of the writing.
    """
    name = _NOT_IN_A_NAME.sub("_", placed(unicodedata.normalize("NFC", name), keep="")).strip()
    if name[:1] in (".", "-", "~"):
        name = "_" + name[1:]
    stem, suffix = _split(name.rstrip(". "))
    if len(suffix.encode()) > _LONGEST_SUFFIX:
        stem, suffix = stem + suffix, ""
    room = _LONGEST_NAME - len(suffix.encode())
    return (stem.encode()[:room].decode(errors="ignore").rstrip() + suffix) or "file"


def _split(name: str) -> tuple[str, str]:
    """A name without its suffix, and that."""
    suffix = PurePath(name).suffix
    return name.removesuffix(suffix), suffix


def _places(folder: Path, name: str) -> Generator[Path]:
    """Where a file may go, best first."""
    stem, suffix = _split(name)
    yield folder / name
    for number in range(2, _MOST_ALIKE):
        yield folder / f"{stem} ({number}){suffix}"


async def save(me: MemberClient, file: FileInfo, folder: Path, tell: Tell) -> Path:
    """Fetch a file into a folder, which is made if need be.

    Returns:
        Where it is; no other file was overwritten.

    Raises:
        CannotSave: it cannot be written.
        TwotickError: the server does not give it, or it came damaged.
    """
    try:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        for path in _places(folder, safe_name(file.name)):
            try:
                await me.download(file, path, progress=tell)
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise CannotSave(f"cannot save a file in {visible(str(folder), keep='')}: {error.strerror}") from error
    raise CannotSave(f"there are too many files with that name in {visible(str(folder), keep='')}")


def _nobody_sees(done: int, size: int) -> None:
    """In place of a bar."""


@contextmanager
def progress(name: str) -> Generator[Tell]:
    """Show on standard error how far something has come, if somebody sees that."""
    shown = console(stderr=True)
    if not shown.is_terminal:
        yield _nobody_sees
        return
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
    )
    with Progress(*columns, console=shown, transient=True) as bar:
        task = bar.add_task(visible(name, keep=""), total=None)
        yield lambda done, size: bar.update(task, completed=done, total=size)
