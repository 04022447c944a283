"""Look at every part of an installation."""

import fcntl
import os
import pwd
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from twotick.doctor.case import Case
from twotick.doctor.database import look_at_database
from twotick.doctor.findings import Finding, fine, problem
from twotick.doctor.folder import look_at_backups, look_at_data, look_at_disk
from twotick.doctor.machine import look_at_bus, look_at_certificate, look_at_clock, look_at_name, look_at_ports
from twotick.doctor.mail import look_at_mail
from twotick.named_files import read_named
from twotick.server import OptionsError
from twotick.server.observing.control import NotRunning, ask_server
from twotick.server.options import check
from twotick.settings import Settings, default_file, examine

_LOOKS: Final[tuple[Callable[[Case], Generator[Finding]], ...]] = (
    look_at_data,
    look_at_disk,
    look_at_database,
    look_at_bus,
    look_at_backups,
    look_at_mail,
    look_at_certificate,
    look_at_ports,
    look_at_name,
    look_at_clock,
)


def examine_server(config: Path | None, data: Path | None) -> list[Finding]:
    """Look at everything; return what was found, part by part.

    Root looks as the owner of the data, as which the server runs, so that it sees what the server may see.

    Args:
        config: the settings file; None for the default file.
        data: the data folder; None for that of the settings.
    """
    settings, wrong = examine(config, {"data": data})
    found = [problem("settings", "a setting is not valid", each) for each in wrong]
    with _eyes_of(settings) as owner:
        try:
            with Path(__file__).open("rb"):
                pass
        except PermissionError:  # what follows imports more of the program
            return [*found, problem("server", "the owner of the data cannot read this program", sys.prefix)]
        found += _look_at_settings(settings, config, bool(wrong))
        folder = None if settings.memory or settings.database else settings.data
        # A server on PostgreSQL can be asked in the folder too.
        status, has_server = (None, False) if settings.memory else _server(settings.data, found)
        case = Case(settings, folder, owner, has_server, status)
        for look in _LOOKS:
            found += look(case)
    return found


@contextmanager
def _eyes_of(settings: Settings) -> Generator[int]:
    """Act as the owner of the data, if this process may; yield the number of the user that it acts as."""
    try:
        owner = settings.data.stat().st_uid
        user = pwd.getpwuid(owner)
    except (OSError, KeyError):
        owner, user = 0, None
    if os.geteuid() or not owner or user is None or settings.memory or settings.database:
        yield os.geteuid()
        return
    groups, group = os.getgroups(), os.getegid()
    os.setgroups(os.getgrouplist(user.pw_name, user.pw_gid))
    os.setegid(user.pw_gid)
    os.seteuid(owner)
    try:
        yield owner
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _look_at_settings(settings: Settings, config: Path | None, is_wrong: bool) -> Generator[Finding]:
    file = config or default_file()
    try:
        if config is not None or file.exists():
            read_named(file)
    except PermissionError:
        yield problem("settings", "the settings cannot be read by the server", str(file))
        return
    except OSError:
        pass  # which is told already
    try:
        check(settings.server_options())
    except OptionsError as error:
        for each in error.problems:
            yield problem("settings", "the settings are not safe", each)
    except OSError as error:
        yield problem("settings", "an address cannot be used", str(error.strerror or error))
    else:
        if not is_wrong:
            yield fine("settings", str(file) if file.exists() else "no file: all are the usual ones")


def _server(folder: Path, found: list[Finding]) -> tuple[dict[str, Any] | None, bool]:
    """Return what the server says of itself, and whether one has locked the folder."""
    locked = _is_locked(folder / "lock")
    try:
        _, status = ask_server(folder, "GET", "/status")
    except NotRunning:
        status = None
        if not locked:
            found.append(problem("server", "no server runs on these data"))
            return None, False
    except OSError as error:
        found.append(problem("server", "the server does not answer", str(error.strerror or error)))
        return None, locked
    if status is None:
        found.append(problem("server", "the server does not answer", "it has locked the data folder"))
    elif status["problems"]:
        found += [problem("server", "the server warns", f"not ready: {each}") for each in status["problems"]]
    else:
        found.append(fine("server", f"runs as process {status['process']}, and is ready"))
    return status, True


def _is_locked(file: Path) -> bool:
    """Return whether a server holds the lock of a data folder."""
    try:
        with file.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
