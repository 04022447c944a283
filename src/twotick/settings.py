"""Settings: from the command line, else `TWOTICK_...` variables, else a TOML file, else the default."""

import os
import re
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias, get_args, get_origin

import msgspec
import platformdirs

from twotick.named_files import read_named
from twotick.ui.quantities import SIZE_EXAMPLE, parse_size, parse_time

if TYPE_CHECKING:
    from twotick.bus import BusOptions
    from twotick.server import (  # imported only by commands that need it: they start faster without
        MailOptions,
        ServerOptions,
    )
    from twotick.store import StoreLimits


_MOST_TEXT = 1 << 16
_MOST_PROBLEMS = 20
_MOST_SHOWN = 100
"""The most bytes of a file, and the most problems and characters of a value that errors show."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")


class SettingsError(Exception):
    """A setting is not valid; the message names it and says what is accepted."""


Port: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=65535, description="a number from 0 to 65535")]
"""A TCP port; 0 for any free one."""

_MOST = 10**9
Count: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=_MOST, description=f"a whole number from 1 to {_MOST}")]
"""A number of things, at least one."""

_LONGEST = 36500
"""The most days that a setting can name, a hundred years: sums of times stay such that a calendar has them."""

Seconds: TypeAlias = Annotated[
    float,
    msgspec.Meta(
        gt=0,
        le=_LONGEST * 86400,
        description=f"a time above 0, such as 30 (seconds), '10 min' or '12h', and at most '{_LONGEST}d'",
    ),
]
"""A time in seconds."""

Pause: TypeAlias = Annotated[
    float,
    msgspec.Meta(
        ge=0,
        le=_LONGEST * 86400,
        description=f"a time such as 30 (seconds) or '2 min', at most '{_LONGEST}d', or 0 for none",
    ),
]
"""A time in seconds, or none."""

Days: TypeAlias = Annotated[
    int,
    msgspec.Meta(ge=1, le=_LONGEST, description=f"a whole number of days, such as 90 or '90d', at most {_LONGEST}"),
]
"""A time in days."""

Hours: TypeAlias = Annotated[
    int,
    msgspec.Meta(
        ge=1,
        le=_LONGEST * 24,
        description=f"a whole number of hours, such as 24 or '24h', at most {_LONGEST * 24}",
    ),
]
"""A time in hours."""

_LARGEST = 1 << 50
Size: TypeAlias = Annotated[int, msgspec.Meta(ge=1, le=_LARGEST, description=f"{SIZE_EXAMPLE}, at most '1024 TiB'")]
"""A number of bytes."""

Database: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        pattern="^postgres(ql)?://", description="an address such as 'postgresql://twotick@db.example/twotick'"
    ),
]
"""The address of a database on PostgreSQL."""


LogLevels: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        pattern="^ *(error|warning|info) *(, *(login|push|server|tls|web) *= *(error|warning|info) *)*$",
        description="one of error, warning and info, and after a comma those of parts, such as 'warning, web=info';"
        " the parts are login, push, server, tls and web",
    ),
]
"""The levels of the log; `twotick.server.logs` knows them, too."""


def default_data_folder() -> Path:
    """Return the folder of a server's data if no setting names one."""
    return platformdirs.user_data_path("twotick")


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All settings. docs/operations.md explains them; docs/protocol.md, section 8, defines the limits among them."""

    server: str | None = None
    plaintext: bool = False
    notify: Literal["bell", "desktop", "off"] = "bell"
    theme: Literal["terminal", "dark", "light"] = "terminal"
    language: Literal["system", "en", "de", "fr", "es", "hi"] = "system"
    formatting: bool = True

    host: str = "127.0.0.1"
    port: Port = 18000
    tls_port: Port = 18443
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    web: bool = True
    web_port: Port | None = None
    web_tls_port: Port | None = None
    web_url: str | None = None
    trusted_proxies: str | None = None
    proxy_protocol: bool = False
    irc_port: Port | None = None
    irc_tls_port: Port | None = None
    irc_rooms: bool = True
    metrics_host: str = "127.0.0.1"
    metrics_port: Port | None = None
    log_level: LogLevels = "warning"
    push: bool = True
    mail_url: str | None = None
    mail_from: str | None = None
    mail_password_file: Path | None = None
    mail_ca: Path | None = None
    digest_after: Seconds = 43200.0
    digest_text: bool = False
    digests_per_hour: Count = 100
    allow_local_hooks: bool = False
    allow_local_push: bool = False
    allow_plain: bool = False

    data: Path = msgspec.field(default_factory=default_data_folder)
    memory: bool = False
    backup_folder: Path | None = None
    backup_every: Seconds = 86400.0
    backup_keep: Count = 7
    database: Database | None = None
    bus: str | None = None
    bus_credentials: Path | None = None
    bus_ca: Path | None = None
    bus_certificate: Path | None = None
    bus_key: Path | None = None
    retention_days: Days = 400
    clock_days: Days = 7
    settling_time: Seconds = 600.0

    sign_up: Literal["open", "invite", "closed"] = "closed"
    allow_open_sign_up: bool = False
    guests: bool = True
    allow_guests: bool = False

    mailbox_messages: Count = 100_000
    mailbox_bytes: Size = 1 << 30
    max_devices: Count = 32
    device_days: Days = 90
    max_room_members: Count = 2000
    max_rooms: Count = 200
    file_bytes: Size = 100 << 20
    files_bytes: Size = 1 << 30
    file_days: Days = 30
    offer_hours: Hours = 24
    max_reports: Count = 20
    reserve_bytes: Annotated[
        int, msgspec.Meta(ge=0, le=_LARGEST, description=f"{SIZE_EXAMPLE}, at most '1024 TiB'")
    ] = 16 << 20

    max_body: Annotated[int, msgspec.Meta(ge=1, lt=10**10, description=f"{SIZE_EXAMPLE}, but below 10 GB")] = 1 << 20
    max_window: Count = 256
    max_unanswered: Count = 1024
    max_refusals: Count = 16
    max_connections: Count = 65536
    max_handshakes: Count = 256
    queue_messages: Count = 4096
    queue_bytes: Size = 16 << 20
    queue_bytes_total: Size = 256 << 20
    early_bytes_total: Size = 16 << 20
    feed_bytes_total: Size = 256 << 20
    sent_bytes_member: Size = 64 << 20
    sent_bytes_address: Size = 512 << 20
    uploaded_bytes_member: Size = 256 << 20
    uploaded_bytes_address: Size = 1 << 30
    requests_member: Count = 1000
    requests_address: Count = 10_000
    held_bytes_total: Size = 256 << 20
    answer_timeout: Seconds = 30.0
    peer_timeout: Seconds = 120.0
    register_timeout: Seconds = 60.0
    frame_timeout: Seconds = 60.0
    linger_timeout: Seconds = 2.0
    drain: Pause = 0.0
    login_rate: Count = 1000
    stop_timeout: Seconds = 5.0

    def by_name(self) -> dict[str, Any]:
        """Return the value of each setting."""
        return msgspec.structs.asdict(self)

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
                    feed_bytes_total=self.feed_bytes_total,
                    sent_bytes_member=self.sent_bytes_member,
                    sent_bytes_address=self.sent_bytes_address,
                    uploaded_bytes_member=self.uploaded_bytes_member,
                    uploaded_bytes_address=self.uploaded_bytes_address,
                    requests_member=self.requests_member,
                    requests_address=self.requests_address,
                    max_body=self.max_body,
                    guests=self.guests,
                    refusals=self.max_refusals,
                    peer_timeout=self.peer_timeout,
                ),
                max_body=self.max_body,
                register_timeout=self.register_timeout,
                frame_timeout=self.frame_timeout,
                linger_timeout=self.linger_timeout,
                drain=self.drain,
                login_rate=self.login_rate,
                stop_timeout=self.stop_timeout,
                connections=self.max_connections,
                handshakes=self.max_handshakes,
                early_bytes_total=self.early_bytes_total,
                held_bytes_total=self.held_bytes_total,
            ),
            data=None if self.memory or self.database else self.data,
            database=self.database,
            control=None if self.memory else self.data,
            bus=self._bus_options(),
            store_limits=self.store_limits(),
            retention=self.retention_days * 86400.0,
            clock_bound=self.clock_days * 86400.0,
            settling=self.settling_time,
            device_age=self.device_days * 86400.0,
            sign_up=SignUp(self.sign_up),
            tls_port=self.tls_port,
            tls_certificate=self.tls_certificate,
            tls_key=self.tls_key,
            web=self.web,
            web_port=self.web_port,
            web_tls_port=self.web_tls_port,
            web_url=self.web_url or "",
            trusted_proxies=self.trusted_proxies or "",
            proxy_protocol=self.proxy_protocol,
            irc_port=self.irc_port,
            irc_tls_port=self.irc_tls_port,
            irc_rooms=self.irc_rooms,
            metrics_host=self.metrics_host,
            metrics_port=self.metrics_port,
            log_level=self.log_level,
            backup_folder=self.backup_folder,
            backup_every=self.backup_every,
            backup_keep=self.backup_keep,
            mail=self._mail_options(),
            push=self.push,
            allow_local_push=self.allow_local_push,
            allow_local_hooks=self.allow_local_hooks,
            allow_plain=self.allow_plain,
            allow_open_sign_up=self.allow_open_sign_up,
            allow_guests=self.allow_guests,
        )

    def _bus_options(self) -> "BusOptions | None":
        """Return the options of the bus between servers; None if no setting speaks of it."""
        given = (self.bus_credentials, self.bus_ca, self.bus_certificate, self.bus_key)
        if self.bus is None and not any(given):
            return None
        from twotick.bus import BusOptions

        return BusOptions(self.bus or "", *given)

    def _mail_options(self) -> "MailOptions | None":
        """Return the options of e-mail; None if no setting speaks of it."""
        from twotick.server import MailOptions

        options = MailOptions(
            self.mail_url or "",
            self.mail_from or "",
            self.mail_password_file,
            self.mail_ca,
            self.digest_after,
            with_text=self.digest_text,
            per_hour=self.digests_per_hour,
        )
        return None if options == MailOptions("", "") else options

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
    settings, problems = examine(file, given)
    if problems:
        raise SettingsError("\n".join(problems))
    return settings


def examine(file: Path | None, given: dict[str, Any]) -> tuple[Settings, list[str]]:
    """Return the settings as `load` does, as far as they are valid, and what is wrong with the others."""
    path = file or default_file()
    text = ""
    unreadable: list[str] = []
    content: dict[str, Any] = {}
    try:
        if file is not None or path.exists():
            text = read_named(path, _MOST_TEXT).decode("utf-8-sig").replace("\r\n", "\n")
        content = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, no TOML, or a number without end
        unreadable.append(f"cannot read the settings in {path}: {_unreadable(error, text)}")
    variables = _variables()
    named = {key: value for key, value in given.items() if value is not None}

    def place(name: str) -> str:
        if name in named:
            return ""
        if name in variables:
            return f"the variable TWOTICK_{name.upper()}: "
        return f"{path}, line {_line_of(name, text)}: "

    values, problems = _converted({**content, **variables, **named}, place)
    if len(problems) > _MOST_PROBLEMS:
        problems = [*problems[:_MOST_PROBLEMS], f"{path}: and more of this kind: is it a file with settings?"]
    return Settings(**values), unreadable + problems


def _unreadable(error: OSError | ValueError | RecursionError, text: str) -> str:
    """Return in words why a file of settings cannot be read."""
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, UnicodeDecodeError):
        return "it is not a text in UTF-8"
    if isinstance(error, RecursionError):
        return "it has too many brackets in each other"
    if not isinstance(error, tomllib.TOMLDecodeError):
        return "it has a number of too many digits"
    said, _, _ = str(error).partition(" (at ")
    place = re.search(r"\(at line (\d+)", str(error))
    lines = text.rstrip().splitlines()
    number = int(place[1]) if place else len(lines)
    if said == "Cannot overwrite a value":
        name, _, _ = lines[number - 1].partition("=")
        return f"line {number} sets {name.strip()}, which another line sets too: remove one of them"
    return f'line {number}: {said}. A setting is a line such as port = 18000, web = false or host = "::"'


def _line_of(name: str, text: str) -> int:
    """Return the number of the line of a TOML file that sets a name; 1 if it cannot be found."""
    setting = re.compile(rf"""\s*\[?["']?{re.escape(name)}\b""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if setting.match(line)), 1)


def _variables() -> dict[str, str]:
    """Return the settings from `TWOTICK_...` variables; variables that name no setting are ignored."""
    given = {name.lower(): value for name, value in os.environ.items()}
    return {name: given[f"twotick_{name}"] for name in TYPES if f"twotick_{name}" in given}


def _converted(given: dict[str, Any], place: Callable[[str], str]) -> tuple[dict[str, Any], list[str]]:
    """Return the settings that are valid, converted, and what is wrong with the others.

    A text may spell a number or a boolean, because variables hold only text.

    Args:
        given: the settings.
        place: tells where a setting is set, for errors.
    """
    values: dict[str, Any] = {}
    problems: list[str] = []
    for name, value in given.items():
        if len(problems) > _MOST_PROBLEMS:
            break
        if name not in TYPES:
            problems.append(f"{place(name)}there is no setting {name}{_similar(name, TYPES)}")
            continue
        try:
            values[name] = msgspec.convert(_spelled(value, TYPES[name]), TYPES[name], strict=False, dec_hook=_path)
        except (msgspec.ValidationError, ValueError):
            secret = name in ("database", "bus", "mail_url")  # it may have a password
            shown = "what it is set to" if secret else _shown(value)
            problems.append(f"{place(name)}the setting {name} cannot be {shown}: {_expected(TYPES[name], value)}")
    return values, problems


def _spelled(value: object, of: Any) -> object:
    """Return a value that was written as people do, such as `yes` or `10 min`, as the value that is meant.

    Raises:
        ValueError: the text is not a size or a time.
    """
    if isinstance(value, str | Path) and not _is_plain(str(value)):
        raise ValueError(value)
    if not isinstance(value, str):
        return value
    if of is bool:
        return _BOOLEANS.get(value.lower(), value)
    if of in (Days, Hours):
        unit, seconds = ("d", 86400) if of == Days else ("h", 3600)
        time = parse_time(value, unit) / seconds
        return int(time) if time.is_integer() else time
    if of in (Seconds, Pause):
        return parse_time(value)
    if _description(of).startswith(SIZE_EXAMPLE):
        return parse_size(value)
    return value


def _is_plain(text: str) -> bool:
    """Return whether a text is UTF-8 without control characters: all files, hosts and so on that settings name are."""
    return not _CONTROL.search(text)


def _shown(value: object) -> str:
    """Return a value for an error, as a file has it, and not at any length."""
    if isinstance(value, dict):
        return "a table"
    text = repr(str(value)) if isinstance(value, str | Path) else str(value)
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 4]} ..."


def _description(of: Any) -> str:
    """Return what a setting accepts, in words; empty if its type does not say."""
    if type(None) in get_args(of):
        of = get_args(of)[0]
    return next((each.description or "" for each in get_args(of)[1:] if isinstance(each, msgspec.Meta)), "")


def _similar(name: str, names: Iterable[str]) -> str:
    """Return a question that names what was probably meant; empty if nothing is similar."""
    import difflib

    found = difflib.get_close_matches(name, list(names), n=1)
    return f" (did you mean {found[0]}?)" if found else ""


_BOOLEANS = {"yes": True, "on": True, "no": False, "off": False}
"""Words accepted for boolean settings, besides true and false."""


def _path(of: type, value: object) -> Path:
    if of is Path and isinstance(value, str | Path) and value != "":  # that would be the current folder
        return Path(value)
    raise TypeError("Expected a path")


def _expected(of: Any, value: object) -> str:
    """Return what a setting accepts, in words, and what was probably meant."""
    if isinstance(value, str | Path) and not _is_plain(str(value)):
        return "it is a text in UTF-8 without control characters, such as the end of a line"
    if Path in (of, *get_args(of)):
        return "it is the name of a file or folder, in quotes"
    words = ("true", "false") if of is bool else get_args(of) if get_origin(of) is Literal else ()
    if words:
        return f"it is one of {', '.join(map(repr, words))}{_similar(str(value), words)}"
    return f"it is {_description(of) or 'a text in quotes'}"


TYPES = {each.name: each.type for each in msgspec.structs.fields(Settings)}
"""The type of each setting, by name."""
