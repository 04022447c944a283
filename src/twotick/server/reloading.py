"""Load the settings and the certificate again while the server runs: all of them, or none if one is bad."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Final, TypeAlias

from twotick.server.certificate import Certificate
from twotick.server.logs import log
from twotick.server.options import OptionsError, ServerOptions, check
from twotick.server.server import Server
from twotick.server.tls import TlsError

Load: TypeAlias = Callable[[], tuple[ServerOptions, dict[str, Any]]]
"""Reads the settings again: the options of the server, and the settings by name.

It raises OptionsError if they cannot be used.
"""

AT_ONCE: Final = frozenset(
    (
        *("sign_up", "guests", "retention_days", "log_level", "answer_timeout", "max_window", "max_refusals"),
        *("queue_messages", "sent_bytes_member", "sent_bytes_address", "uploaded_bytes_member"),
        *(
            "requests_member",
            "requests_address",
            "uploaded_bytes_address",
            "mailbox_messages",
            "mailbox_bytes",
            "max_devices",
            "max_room_members",
        ),
        *("max_rooms", "file_bytes", "files_bytes", "file_days", "offer_hours", "max_reports"),
    )
)
"""The settings that can change while the server runs."""

_FOR_CLIENTS: Final = frozenset(("server", "plaintext", "notify", "theme", "language", "formatting"))


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What has come of it.

    Attributes:
        problems: why nothing was changed; nothing if all went well.
        changed: the settings that have changed.
        after_restart: those that have changed in the file, and of which the server takes notice when it is started.
    """

    problems: list[str]
    changed: list[str]
    after_restart: list[str]


class Reloader:
    """Loads the settings again.

    Args:
        server: the server.
        options: its options.
        certificate: its certificate, if it has one.
        load: reads the settings.
    """

    def __init__(self, server: Server, options: ServerOptions, certificate: Certificate | None, load: Load) -> None:
        self._server = server
        self._options = options
        self._certificate = certificate
        self._load = load
        _, self._settings = load()

    def reload(self) -> Reloaded:
        """Load the settings and the certificate. If one of them is bad, nothing changes; the log says what was done."""
        try:
            options, settings = self._load()
            check(options)
            loaded = None if self._certificate is None else self._certificate.load()
            self._try_other_certificate(options)
        except TlsError as error:
            log.warning("the new certificate cannot be used", reason=str(error), effect="the old one stays in use")
            return Reloaded([str(error)], [], [])
        except (OptionsError, OSError) as error:
            problems = error.problems if isinstance(error, OptionsError) else [str(error)]
            log.warning(
                "the new settings cannot be used", reason="; ".join(problems), effect="the old ones stay in use"
            )
            return Reloaded(problems, [], [])
        changed = sorted(name for name in AT_ONCE if settings[name] != self._settings[name])
        others = settings.keys() - AT_ONCE - _FOR_CLIENTS
        after_restart = sorted(name for name in others if settings[name] != self._settings[name])
        self._settings.update({name: settings[name] for name in changed})
        self._use(options)
        if self._certificate is not None and loaded is not None:
            self._certificate.use(loaded)
        if changed or after_restart:
            log.warning("the settings were loaded again", changed=changed, after_restart=after_restart)
        return Reloaded([], changed, after_restart)

    def _try_other_certificate(self, options: ServerOptions) -> None:
        """Look whether the certificate can be used that the settings name for the next start.

        Raises:
            TlsError: it cannot.
        """
        certificate, key = options.tls_certificate, options.tls_key
        is_other = (certificate, key) != (self._options.tls_certificate, self._options.tls_key)
        if certificate is not None and key is not None and is_other:
            Certificate(certificate, key)

    def _use(self, options: ServerOptions) -> None:
        log.use_levels(options.log_level)
        self._server.use_options(options.limits, options.sign_up, options.retention)
        limits = self._options.store_limits
        for each in fields(limits):
            if each.name != "reserve_bytes":
                setattr(limits, each.name, getattr(options.store_limits, each.name))
