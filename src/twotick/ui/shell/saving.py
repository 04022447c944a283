"""Save received files: under harmless names, and without overwriting other files."""

import asyncio
import re
import shutil
import unicodedata
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path, PurePath
from typing import TypeAlias

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from twotick.client import FileInfo, FileMismatch, MemberClient
from twotick.ui.shell.errors import CannotSave
from twotick.ui.text import console, for_screen, size_text, visible

Tell: TypeAlias = Callable[[int, int], None]
"""Called with the bytes done so far, and the bytes in total."""

_LONGEST_NAME = 150
"""Bytes of UTF-8: file systems allow 255, and a number and `.part` must fit too."""

_LONGEST_SUFFIX = 20
"""Most bytes of a suffix that is kept when a long name is shortened."""

_MOST_ALIKE = 1000
"""Most files whose names differ only by a number."""

_NOT_IN_A_NAME = re.compile(r'[/\\:*?"<>|]')
"""Characters that separate folders on some system, or have a meaning in shells or file systems."""


def safe_name(name: str) -> str:
    """Return a harmless name for a file that another user has named.

    It names a file in the same folder, is not hidden, does not look like an option of a command, and contains nothing
    that moves the cursor or changes the direction of writing.
    """
    name = _NOT_IN_A_NAME.sub("_", for_screen(unicodedata.normalize("NFC", name), keep="")).strip()
    if name[:1] in (".", "-", "~"):
        name = "_" + name[1:]
    stem, suffix = _split(name.rstrip(". "))
    if len(suffix.encode()) > _LONGEST_SUFFIX:
        stem, suffix = stem + suffix, ""
    room = _LONGEST_NAME - len(suffix.encode())
    return (stem.encode()[:room].decode(errors="ignore").rstrip() + suffix) or "file"


def _split(name: str) -> tuple[str, str]:
    """Split a name into stem and suffix."""
    suffix = PurePath(name).suffix
    return name.removesuffix(suffix), suffix


def _places(folder: Path, name: str) -> Generator[Path]:
    """Yield the paths to try for a file, best first."""
    stem, suffix = _split(name)
    yield folder / name
    for number in range(2, _MOST_ALIKE):
        yield folder / f"{stem} ({number}){suffix}"


async def save(me: MemberClient, file: FileInfo, folder: Path, tell: Tell) -> Path:
    """Download a file into a folder, which is created if it does not exist.

    Returns:
        The path of the file; no other file was overwritten.

    Raises:
        CannotSave: the file cannot be written.
        TwotickError: the server refuses it, its content does not match its hash, or it is larger than the disk.
    """
    try:
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        if file.size > (await asyncio.to_thread(shutil.disk_usage, folder)).total:
            raise FileMismatch(f"it is said to have {size_text(file.size)}, which is more than the disk can hold")
        for path in _places(folder, safe_name(file.name)):
            try:
                await me.download(file, path, progress=tell)
            except FileExistsError:
                continue
            return path
    except OSError as error:
        raise CannotSave(f"cannot save a file in {visible(str(folder), keep='')}: {error.strerror}") from error
    raise CannotSave(f"there are too many files with that name in {visible(str(folder), keep='')}")


def _ignore(done: int, size: int) -> None:
    """Show nothing."""


@contextmanager
def progress(name: str) -> Generator[Tell]:
    """Show a progress bar on standard error if that is a terminal; yield the function that updates it."""
    shown = console(stderr=True)
    if not shown.is_terminal:
        yield _ignore
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
