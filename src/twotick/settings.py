"""Settings: from the command line, else `TWOTICK_...` variables, else a TOML file, else the default."""

import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args, get_origin

import msgspec
import platformdirs

from twotick.client.address import DEFAULT_SERVER

if TYPE_CHECKING:
    from twotick.server import ServerOptions  # imported only by commands that need it: they start faster without
    from twotick.store import StoreLimits


class SettingsError(Exception):
    """A setting is not valid; the message names it and says what is accepted."""


Port: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=65535)]
"""A TCP port; 0 for any free one."""

Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
"""A number of things, at least one."""

Seconds: TypeAlias = Annotated[float, msgspec.Meta(gt=0)]
"""A time in seconds."""


def default_data_folder() -> Path:
    """Return the folder of a server's data if no setting names one."""
    return platformdirs.user_data_path("twotick")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. docs/operations.md explains them; docs/protocol.md, section 8, defines the limits among them."""

    server: str = DEFAULT_SERVER
    notify: Literal["bell", "desktop", "off"] = "bell"
    theme: Literal["terminal", "dark", "light"] = "terminal"
    formatting: bool = True

    host: str = "127.0.0.1"
    port: Port = 18000
    tls_port: Port = 18443
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    allow_plain: bool = False

    data: Path = msgspec.field(default_factory=default_data_folder)
    memory: bool = False
    retention_days: Count = 400
    clock_days: Count = 7
    settling_time: Seconds = 600.0

    sign_up: Literal["open", "invite", "closed"] = "closed"
    allow_open_sign_up: bool = False
    guests: bool = True
    allow_guests: bool = False

    mailbox_messages: Count = 100_000
    mailbox_bytes: Count = 1 << 30
    max_devices: Count = 32
    device_days: Count = 90
    max_room_members: Count = 2000
    max_rooms: Count = 200
    file_bytes: Count = 100 << 20
    files_bytes: Count = 1 << 30
    file_days: Count = 30
    offer_hours: Count = 24
    max_reports: Count = 20
    reserve_bytes: Annotated[int, msgspec.Meta(ge=0)] = 16 << 20

    max_body: Annotated[int, msgspec.Meta(ge=1, lt=10**10)] = 1 << 20
    max_window: Count = 256
    max_unanswered: Count = 1024
    max_refusals: Count = 16
    max_connections: Count = 65536
    max_handshakes: Count = 256
    queue_messages: Count = 4096
    queue_bytes: Count = 16 << 20
    queue_bytes_total: Count = 256 << 20
    early_bytes_total: Count = 16 << 20
    sent_bytes_member: Count = 64 << 20
    sent_bytes_address: Count = 512 << 20
    held_bytes_total: Count = 256 << 20
    answer_timeout: Seconds = 30.0
    peer_timeout: Seconds = 120.0
    register_timeout: Seconds = 60.0
    frame_timeout: Seconds = 60.0
    linger_timeout: Seconds = 2.0
    stop_timeout: Seconds = 5.0

    def server_options(self) -> "ServerOptions":
        """Return the options of a server with these settings."""
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
                    sent_bytes_member=self.sent_bytes_member,
                    sent_bytes_address=self.sent_bytes_address,
                    max_body=self.max_body,
                    guests=self.guests,
                    refusals=self.max_refusals,
                    peer_timeout=self.peer_timeout,
                ),
                max_body=self.max_body,
                register_timeout=self.register_timeout,
                frame_timeout=self.frame_timeout,
                linger_timeout=self.linger_timeout,
                stop_timeout=self.stop_timeout,
                connections=self.max_connections,
                handshakes=self.max_handshakes,
                early_bytes_total=self.early_bytes_total,
                held_bytes_total=self.held_bytes_total,
            ),
            data=None if self.memory else self.data,
            store_limits=self.store_limits(),
            retention=self.retention_days * 86400.0,
            clock_bound=self.clock_days * 86400.0,
            settling=self.settling_time,
            device_age=self.device_days * 86400.0,
            sign_up=SignUp(self.sign_up),
            tls_port=self.tls_port,
            tls_certificate=self.tls_certificate,
            tls_key=self.tls_key,
            allow_plain=self.allow_plain,
            allow_open_sign_up=self.allow_open_sign_up,
            allow_guests=self.allow_guests,
        )

    def store_limits(self) -> "StoreLimits":
        """Return the limits of a store with these settings."""
        from twotick.store import StoreLimits

        return StoreLimits(
            mailbox_bytes=self.mailbox_bytes,
            mailbox_entries=self.mailbox_messages,
            sender_bytes=-(-self.mailbox_bytes // 4),
            sender_entries=-(-self.mailbox_messages // 4),
            devices=self.max_devices,
            room_members=self.max_room_members,
            rooms=self.max_rooms,
            file_bytes=self.file_bytes,
            files_bytes=self.files_bytes,
            file_age=self.file_days * 86400.0,
            offer_age=self.offer_hours * 3600.0,
            reports=self.max_reports,
            reserve_bytes=self.reserve_bytes,
        )


def default_file() -> Path:
    """Return the settings file that is read if it exists and no other file is named."""
    return platformdirs.user_config_path("twotick") / "twotick.toml"


def load(file: Path | None, given: dict[str, Any]) -> Settings:
    """Return the settings.

    Args:
        file: a TOML file; None for the default file, which may be missing.
        given: settings from the command line; None for those that were not given.

    Raises:
        SettingsError: the file cannot be read, or a setting is unknown or not valid.
    """
    path = file or default_file()
    content: dict[str, Any] = {}
    try:
        if file is not None or path.exists():
            content = tomllib.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"cannot read the settings in {path}: {error}") from error
    named = {key: value for key, value in given.items() if value is not None}
    return _converted({**content, **_variables(), **named})


def _variables() -> dict[str, str]:
    """Return the settings from `TWOTICK_...` variables; variables that name no setting are ignored."""
    given = {name.lower(): value for name, value in os.environ.items()}
    return {name: given[f"twotick_{name}"] for name in TYPES if f"twotick_{name}" in given}


def _converted(given: dict[str, Any]) -> Settings:
    """Convert and check the settings. A text may spell a number or a boolean, because variables hold only text."""
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in given.items():
        try:
            if TYPES[name] is bool and isinstance(value, str):
                value = _BOOLEANS.get(value.lower(), value)
            values[name] = msgspec.convert(value, TYPES[name], strict=False, dec_hook=_path)
        except KeyError:
            problems.append(f"there is no setting {name}{_similar(name)}")
        except msgspec.ValidationError as error:
            problems.append(f"the setting {name} cannot be {value!r}: {_expected(TYPES[name]) or error}")
    if problems:
        raise SettingsError("; ".join(problems))
    return Settings(**values)


def _similar(name: str) -> str:
    """Return a question that names the setting that was probably meant; empty if none is similar."""
    import difflib

    found = difflib.get_close_matches(name, TYPES, n=1)
    return f" (did you mean {found[0]}?)" if found else ""


_BOOLEANS = {"yes": True, "on": True, "no": False, "off": False}
"""Words accepted for boolean settings, besides true and false."""


def _path(of: type, value: object) -> Path:
    if of is Path and isinstance(value, str | Path):
        return Path(value)
    raise TypeError("Expected a path")


def _expected(of: Any) -> str:
    """Return which words a setting accepts; empty if it is not limited to some words."""
    words = ("true", "false") if of is bool else get_args(of) if get_origin(of) is Literal else ()
    return f"Expected one of {', '.join(map(repr, words))}" if words else ""


TYPES = {each.name: each.type for each in msgspec.structs.fields(Settings)}
"""The type of each setting, by name."""
