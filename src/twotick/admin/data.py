"""The data of a server, opened beside the server that runs."""

import os
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from twotick.admin.errors import AdminError, Unreachable
from twotick.named_files import real_path
from twotick.server.running import RunningServer, running_servers
from twotick.store import SqliteStore, StoreError, StoreLimits, open_store


@dataclass(frozen=True, slots=True)
class DataFolder:
    """A server's data folder.

    Attributes:
        path: where it is.
        chosen: whether a setting or an option names it, so that it is not merely the default.
        postgres: the address of the database on PostgreSQL that has the data in place of the folder; None for none.
    """

    path: Path
    chosen: bool = True
    postgres: str | None = None

    @property
    def database(self) -> Path:
        """The file with all the data of the server."""
        return self.path / "twotick.db"


@contextmanager
def opened(folder: DataFolder, limits: StoreLimits, *, create: bool = False) -> Generator[SqliteStore]:
    """Open the database of a server.

    Args:
        folder: where the database is.
        limits: the limits of the store.
        create: create the database if there is none.

    Raises:
        AdminError: there is no database.
        Unreachable: the server that runs has its data elsewhere.
        StoreError: the database cannot be opened.
    """
    if folder.postgres is not None:
        with closing(open_store(None, folder.postgres, limits, exclusive=False)) as store:
            yield store
        return
    try:
        servers = running_servers()
        _check_memory(folder, servers)
        if not _exists(folder.database):
            if not create:
                raise AdminError(
                    f"there is no database in {folder.path}: start the server, which makes one, or name its folder"
                    " with --data, TWOTICK_DATA or the setting data"
                )
            _check_elsewhere(folder, servers)
    except OSError as error:
        raise StoreError(f"{folder.path} cannot be used: {error.strerror}") from error
    with closing(SqliteStore(folder.path, limits, exclusive=False)) as store:
        yield store


def _exists(file: Path) -> bool:
    """Tell whether a file exists. Unlike `Path.exists`, it raises OSError if that cannot be found out."""
    try:
        os.stat(file)  # noqa: PTH116
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _check_memory(folder: DataFolder, servers: list[RunningServer]) -> None:
    """Raise Unreachable if the server of a folder keeps its data in memory."""
    here = [each for each in servers if each.data == real_path(folder.path)]
    if here and all(each.memory for each in here):
        raise Unreachable(
            f"the server on {here[0].address} (process {here[0].pid}) keeps its data in memory, where this command"
            " cannot reach it: run it without --memory, or with TWOTICK_SIGN_UP=open so that users can sign up"
        )


def _check_elsewhere(folder: DataFolder, servers: list[RunningServer]) -> None:
    """Raise Unreachable if a command is about to create a database that the server that runs will not read."""
    if folder.chosen or not servers or any(each.data == real_path(folder.path) for each in servers):
        return
    raise Unreachable(
        f"there is no database in {folder.path}, and the server on {servers[0].address} has its data in"
        f" {servers[0].data}: name that folder with --data, or name {folder.path} to create a database there"
    )
