"""The certificate of a running server: it is loaded again when its files have changed, and watched for its time."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, TypeAlias

from twotick.server.logs import PartLog
from twotick.server.tls import (
    TlsError,
    certificate_fingerprint,
    certificate_names,
    server_context,
    valid_times,
    validity_problem,
)

log: Final = PartLog("tls")

_LOOK: Final = 2.0
"""Seconds between looks whether the files have changed."""

_DAY: Final = 86400.0

_State: TypeAlias = tuple[tuple[int, int, int] | None, ...]
"""What tells a version of the files from another; None stands for one that cannot be seen."""


@dataclass(frozen=True, slots=True)
class LoadedCertificate:
    """A certificate that can be used: the attributes are those of `Certificate`."""

    context: ssl.SSLContext
    fingerprint: str
    names: list[str]
    end: float


class Certificate:
    """A certificate and its key.

    A context that is in use is never changed: one that has loaded a wrong key refuses all connections. So the files are
    loaded into a new one, and nothing changes if that fails.

    Args:
        certificate: the file of the certificate.
        key: the file of its key.

    Attributes:
        file: the file of the certificate.
        context: for new connections.
        fingerprint: what clients see.
        names: the host names and addresses in it.
        end: when it expires, in seconds since 1970.

    Raises:
        TlsError: they cannot be used.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self.file = certificate
        self._key = key
        self._tried = self._seen = self._state()
        self.context = server_context(certificate, key)
        self.fingerprint = certificate_fingerprint(certificate)
        self.names = certificate_names(certificate)
        self.end = valid_times(certificate)[1].timestamp()

    def watch(self, on_change: Callable[[ssl.SSLContext], None]) -> None:
        """Look from now on whether the files change, and log if clients do not accept the certificate.

        Args:
            on_change: called with the context of another certificate that was loaded.
        """
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._look_at_time()
        self._loop.call_later(_LOOK, self._look)

    def load(self) -> "LoadedCertificate":
        """Load the files again, and change nothing.

        Raises:
            TlsError: they cannot be used.
        """
        self._tried = self._state()
        context = server_context(self.file, self._key)
        end = valid_times(self.file)[1].timestamp()
        return LoadedCertificate(context, certificate_fingerprint(self.file), certificate_names(self.file), end)

    def use(self, loaded: "LoadedCertificate") -> None:
        """Use what `load` has returned from now on."""
        self.context, self.names, self.end = loaded.context, loaded.names, loaded.end
        if loaded.fingerprint != self.fingerprint:
            self.fingerprint = loaded.fingerprint
            log.warning("the certificate was replaced", path=str(self.file), fingerprint=loaded.fingerprint)
        self._on_change(loaded.context)
        self._check_time()

    def reload(self) -> None:
        """Load the files again. If that fails, the log says why, and everything stays as it is."""
        try:
            loaded = self.load()
        except TlsError as error:
            log.warning("the new certificate cannot be used", reason=str(error), effect="the old one stays in use")
            return
        self.use(loaded)

    def _look(self) -> None:
        """Load the files if they have changed, and change no more: they are written one after the other."""
        state = self._state()
        if state == self._seen != self._tried:
            self.reload()
        self._seen = state
        self._loop.call_later(_LOOK, self._look)

    def _look_at_time(self) -> None:
        self._check_time()
        self._loop.call_later(_DAY, self._look_at_time)

    def _check_time(self) -> None:
        """Log if clients do not accept the certificate now, or soon will not."""
        try:
            times = valid_times(self.file)
        except TlsError:
            return  # the file is being replaced, and is looked at again
        if problem := validity_problem(times, datetime.now(UTC)):
            start, end = (each.isoformat() for each in times)
            remedy = "renew it: the server notices when the files change"
            log.warning(problem, path=str(self.file), valid_from=start, expires=end, remedy=remedy)

    def _state(self) -> _State:
        return tuple(map(_file_state, (self.file, self._key)))


def _file_state(file: Path) -> tuple[int, int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
