"""Settings: from the command line, else `TWOTICK_...` variables, else a TOML file, else the default."""

import os
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import platformdirs

from twotick.client.address import DEFAULT_SERVER

if TYPE_CHECKING:
    from twotick.server import ServerOptions  # loaded only by commands that need it: sending a message is to be quick
    from twotick.store import StoreLimits


class SettingsError(Exception):
    """A setting makes no sense; the message names it and says what it should be."""


# What a setting may be; variables say everything in letters. Every command reads the settings first, and to import a
# library that does this takes longer than all that most commands do.

_Reading: TypeAlias = Callable[[Any], Any]
"""Gives what was said as what the setting is; raises ValueError, which says what it should be."""

_SAID = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


def _setting(default: Any, reading: _Reading) -> Any:
    if callable(default):
        return field(default_factory=default, metadata={"reading": reading})
    return field(default=default, metadata={"reading": reading})


def _whole(default: int, least: int = 1, most: int | None = None) -> Any:
    """A whole number."""

    def reading(said: Any) -> int:
        try:
            value = int(said) if isinstance(said, str) else said
        except ValueError:
            value = None
        if type(value) is not int or value < least or (most is not None and value > most):
            raise ValueError(f"it should be an integer from {least}" + (f" to {most}" if most is not None else " on"))
        return value

    return _setting(default, reading)


def _seconds(default: float) -> Any:
    """A time."""

    def reading(said: Any) -> float:
        try:
            value = 0.0 if isinstance(said, bool) else float(said)
        except (TypeError, ValueError):
            value = 0.0
        if not value > 0:
            raise ValueError("it should be a number of seconds greater than 0")
        return value

    return _setting(default, reading)


def _switch(default: bool) -> Any:
    """Yes or no."""

    def reading(said: Any) -> bool:
        value = _SAID.get(str(said).lower())
        if value is None:
            raise ValueError("it should be true or false")
        return value

    return _setting(default, reading)


def _text(default: str) -> Any:
    """Some text."""

    def reading(said: Any) -> str:
        if not isinstance(said, str):
            raise ValueError("it should be a text")  # noqa: TRY004 # as all others
        return said

    return _setting(default, reading)


def _path(default: Callable[[], Path] | None) -> Any:
    """A file or folder."""

    def reading(said: Any) -> Path:
        if not isinstance(said, str | Path):
            raise ValueError("it should be a path")  # noqa: TRY004 # as all others
        return Path(said)

    return _setting(default, reading)


def _one_of(default: str, *others: str) -> Any:
    """One of some words."""
    words = (default, *others)

    def reading(said: Any) -> str:
        if said not in words:
            *first, last = (repr(word) for word in words)
            raise ValueError(f"it should be {', '.join(first)} or {last}")
        return said

    return _setting(default, reading)


@dataclass(frozen=True)
class Settings:
    """All settings. docs/operations.md explains them; those in docs/protocol.md, section 8, bound the server."""

    server: str = _text(DEFAULT_SERVER)
    notify: Literal["bell", "desktop", "off"] = _one_of("bell", "desktop", "off")
    theme: Literal["terminal", "dark", "light"] = _one_of("terminal", "dark", "light")

    host: str = _text("127.0.0.1")
    port: int = _whole(18000, 0, 65535)
    tls_port: int = _whole(18443, 0, 65535)
    tls_certificate: Path | None = _path(None)
    tls_key: Path | None = _path(None)
    allow_plain: bool = _switch(False)

    data: Path = _path(lambda: platformdirs.user_data_path("twotick"))
    memory: bool = _switch(False)
    retention_days: int = _whole(400)

    sign_up: Literal["open", "invite", "closed"] = _one_of("closed", "open", "invite")
    allow_open_sign_up: bool = _switch(False)
    guests: bool = _switch(True)
    allow_guests: bool = _switch(False)

    mailbox_messages: int = _whole(100_000)
    mailbox_bytes: int = _whole(1 << 30)
    max_devices: int = _whole(32)
    max_room_members: int = _whole(2000)
    max_rooms: int = _whole(200)
    file_bytes: int = _whole(100 << 20)
    files_bytes: int = _whole(1 << 30)
    file_days: int = _whole(30)
    offer_hours: int = _whole(24)
    max_reports: int = _whole(20)

    max_body: int = _whole(1 << 20, 1, 10**10 - 1)
    max_window: int = _whole(256)
    max_unanswered: int = _whole(1024)
    max_refusals: int = _whole(16)
    max_connections: int = _whole(65536)
    queue_messages: int = _whole(4096)
    queue_bytes: int = _whole(16 << 20)
    queue_bytes_total: int = _whole(256 << 20)
    answer_timeout: float = _seconds(30.0)
    register_timeout: float = _seconds(60.0)
    frame_timeout: float = _seconds(60.0)
    linger_timeout: float = _seconds(2.0)
    stop_timeout: float = _seconds(5.0)

    def server_options(self) -> "ServerOptions":
        """What a server with these settings is to be."""
        from twotick.exchange import Limits
        from twotick.server import ServerLimits, ServerOptions, SignUp

        return ServerOptions(
            host=self.host,
            port=self.port,
            limits=ServerLimits(
                exchange=Limits(
                    answer_timeout=self.answer_timeout,
                    window=self.max_window,
                    unanswered=self.max_unanswered,
                    queue_messages=self.queue_messages,
                    queue_bytes=self.queue_bytes,
                    queue_bytes_total=self.queue_bytes_total,
                    max_body=self.max_body,
                    guests=self.guests,
                    refusals=self.max_refusals,
                ),
                max_body=self.max_body,
                register_timeout=self.register_timeout,
                frame_timeout=self.frame_timeout,
                linger_timeout=self.linger_timeout,
                stop_timeout=self.stop_timeout,
                connections=self.max_connections,
            ),
            data=None if self.memory else self.data,
            store_limits=self.store_limits(),
            retention=self.retention_days * 86400.0,
            sign_up=SignUp(self.sign_up),
            tls_port=self.tls_port,
            tls_certificate=self.tls_certificate,
            tls_key=self.tls_key,
            allow_plain=self.allow_plain,
            allow_open_sign_up=self.allow_open_sign_up,
            allow_guests=self.allow_guests,
        )

    def store_limits(self) -> "StoreLimits":
        """The bounds of a store with these settings."""
        from twotick.store import StoreLimits

        return StoreLimits(
            mailbox_bytes=self.mailbox_bytes,
            mailbox_entries=self.mailbox_messages,
            devices=self.max_devices,
            room_members=self.max_room_members,
            rooms=self.max_rooms,
            file_bytes=self.file_bytes,
            files_bytes=self.files_bytes,
            file_age=self.file_days * 86400.0,
            offer_age=self.offer_hours * 3600.0,
            reports=self.max_reports,
        )


def default_file() -> Path:
    """The settings file that is read if it exists and no other is named."""
    return platformdirs.user_config_path("twotick") / "twotick.toml"


def load(file: Path | None, given: dict[str, Any]) -> Settings:
    """Read the settings.

    Args:
        file: a TOML file; None for the default one, which need not exist.
        given: settings from the command line, None where one was not given.

    Raises:
        SettingsError: the file cannot be read, or a setting is unknown or makes no sense.
    """
    path = file or default_file()
    content: dict[str, Any] = {}
    try:
        if file is not None or path.exists():
            content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot read the settings in {path}: {error}") from error
    named = {key: value for key, value in given.items() if value is not None}
    return _read({**content, **_variables(), **named})


def _variables() -> dict[str, str]:
    """What variables say; others whose names begin like that are no settings."""
    given = {name.lower(): value for name, value in os.environ.items()}
    return {each.name: given[f"twotick_{each.name}"] for each in fields(Settings) if f"twotick_{each.name}" in given}


def _read(said: dict[str, Any]) -> Settings:
    readings: dict[str, _Reading] = {each.name: each.metadata["reading"] for each in fields(Settings)}
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in said.items():
        try:
            values[name] = readings[name](value)
        except KeyError:
            problems.append(f"there is no setting {name}")
        except ValueError as error:
            problems.append(f"the setting {name} cannot be {value!r}: {error}")
    if problems:
        raise SettingsError("; ".join(problems))
    return Settings(**values)
