"""Which servers this user runs, so that the operator's commands can tell whether they reach the server's data.

Each server holds a lock on a file of its own for as long as it runs. The lock ends with the process, even if that is
killed, so a file without a lock is one that a killed server has left behind.
"""

import fcntl
import os
import stat
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from twotick.server.logs import log


class RunningServer(msgspec.Struct, frozen=True):
    """A server that this user runs.

    Attributes:
        address: HOST:PORT where it listens.
        data: the data folder of its settings.
        memory: whether it keeps its data in memory, and nothing in that folder.
        pid: its process.
    """

    address: str
    data: Path
    memory: bool
    pid: int = msgspec.field(default_factory=os.getpid)


_decoder = msgspec.json.Decoder(RunningServer, dec_hook=lambda _, text: Path(text))


def _folder() -> Path:
    return Path(tempfile.gettempdir()) / f"twotick-{os.getuid()}"


def _is_ours(folder: Path) -> bool:
    """Tell whether only this user can write to the folder. Its parent folder is open to all users."""
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022


@contextmanager
def advertised(server: RunningServer) -> Generator[None]:
    """Let `running_servers` in other processes of this user find a server.

    If that fails, the log has a warning, and the server runs all the same.
    """
    content = msgspec.json.encode(server, enc_hook=str)
    try:
        folder = _folder()
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _is_ours(folder):
            raise PermissionError(0, f"{folder} belongs to another user, or others may write there")
        number, name = tempfile.mkstemp(".new", dir=folder)
        fcntl.flock(number, fcntl.LOCK_EX)
        os.write(number, content)
        file = Path(name).rename(Path(name).with_suffix(".json"))  # not earlier: it would seem to be left behind
    except OSError as error:
        log.warning("other commands cannot see that this server runs", reason=error.strerror)
        yield
        return
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        os.close(number)


def running_servers() -> list[RunningServer]:
    """Return the servers that this user runs now; remove the files that killed servers have left behind.

    Raises:
        OSError: the files cannot be read.
    """
    try:
        folder = _folder()
    except FileNotFoundError:
        return []  # without a folder for temporary files, none can have announced itself
    if not folder.exists() or not _is_ours(folder):
        return []
    found: list[RunningServer] = []
    for file in folder.glob("*.json"):
        try:
            with file.open("rb") as opened:
                if _is_locked(opened.fileno()):
                    found.append(
                        msgspec.json.decode(opened.read(), type=RunningServer, dec_hook=lambda _, text: Path(text))
                    )
                else:
                    file.unlink(missing_ok=True)
        except FileNotFoundError:
            continue  # its server has stopped in the meantime
    return found


def _is_locked(number: int) -> bool:
    """Tell whether a server holds the lock of a file. Readers share a lock, so none mistakes another for a server."""
    try:
        fcntl.flock(number, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False
