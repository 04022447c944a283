"""The command that runs a server."""

import errno
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twotick.cli.common import config_option, data_option, settings_of
from twotick.client import reason
from twotick.named_files import real_path
from twotick.ui.shell.leaving import EX_OSERR, EX_USAGE, fail, output_lost

if TYPE_CHECKING:
    from twotick.server import CannotListen, ServerOptions


@click.command
@click.option("--host", metavar="ADDRESS", help="Address to listen on, or several with commas [127.0.0.1].")
@click.option("--port", type=int, metavar="PORT", help="Port to listen on; 0 for any free port [18000].")
@click.option("--web-port", type=int, metavar="PORT", help="Port of the web page; 0 for any free port [18080].")
@click.option("--irc-port", type=int, metavar="PORT", help="Port for IRC clients; 0 for any free port [none].")
@click.option("--no-web", is_flag=True, help="Serve no web page.")
@data_option
@click.option("--memory", is_flag=True, help="Keep everything in memory: it is lost when the server stops.")
@click.option("--database", metavar="URL", help="Keep everything on PostgreSQL: postgresql://user@host/name.")
@click.option("--bus", metavar="URL", help="Share that database with other servers over NATS: nats://host:4222.")
@config_option
def serve(
    *,
    host: str | None,
    port: int | None,
    web_port: int | None,
    irc_port: int | None,
    no_web: bool,
    data: Path | None,
    memory: bool,
    database: str | None,
    bus: str | None,
    config: Path | None,
) -> None:
    """Run a server until SIGINT (Ctrl-C) or SIGTERM; SIGHUP makes it load its settings again.

    Example: twotick serve --port 18001 --data /srv/chat

    Create members with 'twotick user add', before or while the server runs.
    All settings are explained in docs/operations.md.
    """
    from twotick.server import CannotListen, OptionsError, TlsError, serve
    from twotick.server.running import RunningServer, advertised
    from twotick.store import StoreError

    if database is not None and (memory or data is not None):
        raise click.UsageError("--database excludes --memory and --data: give only one of them")
    if memory and data is not None:
        raise click.UsageError("--memory and --data exclude each other: give only one of them")
    given: dict[str, Any] = {
        "host": host,
        "port": port,
        "web_port": web_port,
        "irc_port": irc_port,
        "web": False if no_web else None,
        "data": data,
        "memory": memory or None,
        "database": database,
        "bus": bus,
    }
    settings = settings_of(config, **given)

    with ExitStack() as stack:

        def announce(host: str, port: int, fingerprint: str | None) -> None:
            where = f"{f'[{host}]' if ':' in host else host}:{port}"
            if fingerprint is None:
                stack.enter_context(advertised(RunningServer(where, real_path(settings.data), settings.memory)))
            _print_address(where, fingerprint)

        try:
            serve(
                settings.server_options(),
                announce,
                _print_page,
                _print_metrics,
                partial(_read_again, config, given),
                _print_irc,
            )
        except OptionsError as error:
            fail(EX_USAGE, *error.problems)
        except TlsError as error:
            fail(EX_USAGE, str(error))
        except StoreError as error:
            if settings.database:
                fail(EX_OSERR, str(error))
            fail(EX_OSERR, f"{error} (choose another folder with --data, or keep nothing with --memory)")
        except CannotListen as error:
            fail(EX_OSERR, _why_not_listening(error))
        except _OutputLost as error:
            raise SystemExit(output_lost(error.cause)) from None


def _read_again(config: Path | None, given: dict[str, Any]) -> "tuple[ServerOptions, dict[str, Any]]":
    """Read the settings of a running server again; raise OptionsError if one of them is not valid."""
    from twotick.server import OptionsError
    from twotick.settings import SettingsError, load

    try:
        settings = load(config, given)
    except SettingsError as error:
        raise OptionsError(str(error).splitlines()) from error
    return settings.server_options(), settings.by_name()


class _OutputLost(Exception):
    """Standard output cannot be written, so the address cannot be printed."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _print_address(where: str, fingerprint: str | None) -> None:
    _print_line(f"listening on {where}" if fingerprint is None else f"listening with TLS on {where}, {fingerprint}")


def _print_page(url: str) -> None:
    _print_line(f"web page: {url}")


def _print_irc(where: str) -> None:
    _print_line(f"IRC: {where}")


def _print_metrics(url: str) -> None:
    _print_line(f"metrics: {url}")


def _print_line(line: str) -> None:
    try:
        print(line, flush=True)
    except OSError as error:
        raise _OutputLost(error) from error


def _why_not_listening(error: "CannotListen") -> str:
    cause = error.__cause__
    if not isinstance(cause, OSError):
        return str(error)
    if cause.errno == errno.EADDRINUSE:
        options = {"port": "--port", "web_port": "--web-port", "irc_port": "--irc-port"}
        option = options.get(error.setting, f"the setting {error.setting}")
        where = f"{error.host}:{error.port}"
        return f"{where} is in use: stop the program that listens there, or choose another port with {option}"
    return f"{error}: {reason(cause)}"
