"""Settings: from the command line, else `TWOTICK_...` variables, else a TOML file, else the default."""

import tomllib
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import Field, PositiveFloat, PositiveInt, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from twotick.client import DEFAULT_SERVER
from twotick.exchange import Limits
from twotick.server import ServerLimits

_LIMITS = ServerLimits()


class SettingsError(Exception):
    """A setting makes no sense; the message names it and says what it should be."""


class Settings(BaseSettings):
    """All settings. Those that bound the server are explained in docs/protocol.md, section 8."""

    model_config = SettingsConfigDict(env_prefix="TWOTICK_", extra="forbid")

    host: str = "127.0.0.1"
    port: int = Field(18000, ge=0, le=65535)
    server: str = DEFAULT_SERVER
    max_body: int = Field(_LIMITS.max_body, ge=1, lt=10**10)
    max_window: PositiveInt = _LIMITS.exchange.window
    max_unanswered: PositiveInt = _LIMITS.exchange.unanswered
    max_refusals: PositiveInt = _LIMITS.exchange.refusals
    max_connections: PositiveInt = _LIMITS.connections
    queue_messages: PositiveInt = _LIMITS.exchange.queue_messages
    queue_bytes: PositiveInt = _LIMITS.exchange.queue_bytes
    queue_bytes_total: PositiveInt = _LIMITS.exchange.queue_bytes_total
    answer_timeout: PositiveFloat = _LIMITS.exchange.answer_timeout
    register_timeout: PositiveFloat = _LIMITS.register_timeout
    frame_timeout: PositiveFloat = _LIMITS.frame_timeout
    linger_timeout: PositiveFloat = _LIMITS.linger_timeout
    stop_timeout: PositiveFloat = _LIMITS.stop_timeout

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is given to the constructor: `load` has put that together."""
        return (init_settings,)

    def server_limits(self) -> ServerLimits:
        """The bounds of a server with these settings."""
        return ServerLimits(
            exchange=Limits(
                answer_timeout=self.answer_timeout,
                window=self.max_window,
                unanswered=self.max_unanswered,
                queue_messages=self.queue_messages,
                queue_bytes=self.queue_bytes,
                queue_bytes_total=self.queue_bytes_total,
                refusals=self.max_refusals,
            ),
            max_body=self.max_body,
            register_timeout=self.register_timeout,
            frame_timeout=self.frame_timeout,
            linger_timeout=self.linger_timeout,
            stop_timeout=self.stop_timeout,
            connections=self.max_connections,
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
    try:
        variables = EnvSettingsSource(Settings)()
        return Settings(**{**content, **variables, **{key: value for key, value in given.items() if value is not None}})
    except ValidationError as error:
        raise SettingsError("; ".join(map(_problem, error.errors()))) from error


def _problem(details: ErrorDetails) -> str:
    name = details["loc"][0]
    if details["type"] == "extra_forbidden":
        return f"there is no setting {name}"
    return f"the setting {name} cannot be {details['input']!r}: {details['msg'].lower()}"
