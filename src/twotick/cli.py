"""The `twotick` command: understands the command line, calls, prints, and turns errors into an exit status."""

import errno
import gc
import io
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, cast

import typer

from twotick.client import State, reason
from twotick.ui.leaving import (
    EX_DATAERR,
    EX_INTERRUPTED,
    EX_IOERR,
    EX_OSERR,
    EX_UNAVAILABLE,
    EX_USAGE,
    fail,
    output_lost,
    run,
)
from twotick.ui.streams import complain, on_a_terminal, open_missing

if TYPE_CHECKING:
    from twotick.client.credentials import Credential
    from twotick.settings import Settings
    from twotick.store import SqliteStore

_TYPER_STATUS: dict[Any, int] = {1: EX_IOERR, 2: EX_USAGE}
"""The exit statuses that the command line library has of its own: nobody reads its output, and wrong usage."""

app = typer.Typer(
    help='Chat where "sent" means "received".',
    epilog="\b\nFor a server also: user, token, invite, report, backup, check, cert.\n"
    "Settings: --option, TWOTICK_OPTION or twotick.toml. Start with: twotick demo",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", envvar="TWOTICK_CONFIG", metavar="FILE", help="Settings file [TOML].", dir_okay=False),
]
ServerOption = Annotated[
    str | None, typer.Option("--server", metavar="HOST:PORT", help="Where the server is [127.0.0.1:18000].")
]
DataOption = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Folder of the server's data.", file_okay=False)
]


class Until(StrEnum):
    """What a member's `send` waits for."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    READ = "read"

    @property
    def state(self) -> State:
        """The same, for the library."""
        return State[self.name]


NameArgument = Annotated[str, typer.Argument(help="Your name: 1 to 32 letters and digits.")]


@app.callback(invoke_without_command=True)
def _options(
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and leave.")] = False,
) -> None:
    if show_version:
        from importlib.metadata import version

        print(f"twotick {version('twotick')}")
        raise typer.Exit


@app.command()
def demo() -> None:
    """See it work: a server, a friend called echo, and you."""
    from twotick.ui.demo import demo

    run(demo())


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on [127.0.0.1].", metavar="ADDRESS")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 0 for any [18000].", metavar="PORT")] = None,
    data: DataOption = None,
    memory: Annotated[bool, typer.Option("--memory", help="Keep nothing on the disk.")] = False,
    config: ConfigOption = None,
) -> None:
    """Run a server until SIGINT or SIGTERM."""
    from twotick.server import CannotListen, OptionsError, TlsError, serve
    from twotick.store import StoreError

    if memory and data is not None:
        raise typer.BadParameter("choose one of --data and --memory")
    settings = _settings(config, host=host, port=port, data=data, memory=memory or None)
    try:
        serve(settings.server_options(), _announce)
    except OptionsError as error:
        fail(EX_USAGE, *error.problems)
    except TlsError as error:
        fail(EX_USAGE, str(error))
    except StoreError as error:
        fail(EX_OSERR, f"{error} (--data names another folder, --memory keeps nothing)")
    except CannotListen as error:
        cause = cast(OSError, error.__cause__)
        if cause.errno == errno.EADDRINUSE:
            other = "--port" if error.setting == "port" else f"the setting {error.setting}"
            where = f"{error.host}:{error.port}"
            fail(EX_OSERR, f"{where} is in use: stop what listens there, or choose another port with {other}")
        fail(EX_OSERR, f"{error}: {reason(cause)}")


def _announce(host: str, port: int, fingerprint: str | None) -> None:
    where = f"{f'[{host}]' if ':' in host else host}:{port}"
    try:
        if fingerprint is None:
            print(f"listening on {where}", flush=True)
        else:
            print(f"listening with TLS on {where}, {fingerprint}", flush=True)
    except OSError as error:
        raise typer.Exit(output_lost(error)) from None


@app.command()
def chat(
    name: Annotated[
        str | None, typer.Argument(help="Your name; who logged in last, or asked for, if not given.")
    ] = None,
    plain: Annotated[bool, typer.Option("--plain", help="Line by line, without the full screen.")] = False,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Talk, on the whole screen of a terminal or line by line.

    Line by line, '@bob hello' sends to bob, '@ALL hello' to everyone.
    """
    full_screen = on_a_terminal() and not plain
    if full_screen:
        gc.disable()  # of what is loaded now nothing is garbage, and not to look for it brings the first picture sooner
    settings = _settings(config, server=server)
    who = _login(settings, name)
    if full_screen:
        from twotick.ui.app import Wishes, talk

        gc.freeze()
        gc.enable()
        run(talk(Wishes(settings.server, name or "", who, settings.max_body, settings.notify, settings.theme)))
        return
    from twotick.ui.chat import chat, chat_as_member

    if who is not None:
        run(chat_as_member(who))
    else:
        run(chat(name or "", server=settings.server, max_body=settings.max_body))


@app.command()
def send(
    sender: Annotated[str, typer.Option("--from", metavar="NAME", help="The name to send as.")],
    recipient: Annotated[str, typer.Argument(help="A name, or ALL for everyone.")],
    text: Annotated[str | None, typer.Argument(help="The message; standard input if not given.")] = None,
    until: Annotated[Until, typer.Option(help="What to wait for, as a member.")] = Until.DELIVERED,
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="For how long, once it is stored.")] = 30,
    expires: Annotated[
        int | None, typer.Option(min=1, metavar="SECONDS", help="Drop it if it is not delivered by then.")
    ] = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Send one message; the exit status says what became of it.

    0 delivered (or what --until says), 75 stored but not there yet, 69 not delivered, 68 server not reachable,
    76 protocol error, 64 wrong usage.
    """
    from twotick.ui.send import read_body, send

    settings = _settings(config, server=server)
    try:
        body = read_body(text, settings.max_body)
    except OSError as error:
        fail(EX_IOERR, f"cannot read standard input: {error.strerror}")
    who = _login(settings, sender)
    if who is None:
        run(send(recipient, body, name=sender, server=settings.server, max_body=settings.max_body))
        return
    from twotick.ui import member

    run(member.send(who, recipient, body, until=until.state, wait=wait, expires=expires))


@app.command()
def listen(
    name: NameArgument,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    count: Annotated[int | None, typer.Option(min=1, metavar="N", help="Leave after N messages.")] = None,
    command: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="COMMAND",
            help="Run COMMAND for each: body on its standard input, sender in TWOTICK_FROM. "
            "If it fails, the sender is told that the message was not delivered.",
        ),
    ] = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Print each message as it comes, and acknowledge it then."""
    from twotick.ui import listen as ui

    if as_json and command is not None:
        raise typer.BadParameter("choose one of --json and --exec")
    settings = _settings(config, server=server)
    handle = ui.run_command(command) if command is not None else ui.print_json if as_json else ui.print_line
    who = _login(settings, name)
    if who is None:
        run(ui.listen(name, handle, server=settings.server, max_body=settings.max_body, count=count))
        return
    from twotick.ui import member

    run(member.listen(who, handle, count=count))


@app.command()
def bench(
    pairs: Annotated[int, typer.Option(min=1, metavar="N", help="Senders, each with a receiver.")] = 10,
    window: Annotated[int, typer.Option(min=1, max=256, metavar="N", help="Messages in flight for each.")] = 16,
    size: Annotated[int, typer.Option(min=0, metavar="BYTES", help="Size of a message.")] = 64,
    deliveries: Annotated[int, typer.Option(min=1, metavar="N", help="Messages in all.")] = 20_000,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Measure a server: deliveries a second, and how long they take."""
    from twotick.ui.bench import bench

    settings = _settings(config, server=server)
    run(
        bench(settings.server, pairs=pairs, window=window, size=size, deliveries=deliveries, as_json=as_json),
        fast=True,
    )


# A member's commands

AccountArgument = Annotated[str, typer.Argument(metavar="NAME@HOST[:PORT]", help="Who, and on which server.")]
AsOption = Annotated[
    str | None, typer.Option("--as", metavar="NAME", help="The member; the one who logged in last if not given.")
]


@app.command()
def login(
    account: AccountArgument,
    device: Annotated[str, typer.Option(metavar="DEVICE", help="What this device is to be called.")] = "",
    sign_up: Annotated[
        str | None, typer.Option(metavar="CODE", help="Sign up, with an invitation or 'yes' where it is open.")
    ] = None,
) -> None:
    """Log in as a member: asks for the password, and remembers a token for this device."""
    from twotick.ui.member import log_in, this_device
    from twotick.ui.password import read_password

    name, server = _account(account)
    try:
        password = read_password(new=sign_up is not None).decode()
    except (EOFError, ValueError, OSError, UnicodeDecodeError) as error:
        fail(EX_USAGE, str(error) or "no password was given")
    except KeyboardInterrupt:
        raise typer.Exit(EX_INTERRUPTED) from None
    run(log_in(name, server, password=password, device=device or this_device(), sign_up=sign_up))


@app.command()
def logout(account: AccountArgument) -> None:
    """Log out: this device's token no longer works."""
    from twotick.client import credentials
    from twotick.ui.member import log_out

    name, server = _account(account)
    with _credentials():
        who = credentials.load(server, name)
    if who is None:
        fail(EX_UNAVAILABLE, f"nobody is logged in as {name} on {server}")
    run(log_out(who))


@app.command()
def devices(
    revoke: Annotated[str | None, typer.Option(metavar="DEVICE", help="Let its token no longer work.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    name: AsOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """List a member's devices, or revoke one."""
    from twotick.ui.member import show_devices

    run(show_devices(_member(_settings(config, server=server), name), revoke=revoke, as_json=as_json))


@app.command()
def history(
    peer: Annotated[str | None, typer.Argument(help="With whom; everybody if not given.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Not before this time.")] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="N", help="So many messages at most.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    name: AsOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Print a member's last messages, oldest first."""
    from twotick.ui.member import show_history

    who = _member(_settings(config, server=server), name)
    run(show_history(who, peer, since=since.astimezone() if since else None, limit=limit, as_json=as_json))


@app.command()
def export(name: AsOption = None, server: ServerOption = None, config: ConfigOption = None) -> None:
    """Print all of a member's messages as JSON lines."""
    from twotick.ui.member import export

    run(export(_member(_settings(config, server=server), name)))


def _account(account: str) -> tuple[str, str]:
    """Understand NAME@HOST[:PORT]."""
    name, at, server = account.partition("@")
    if not at or not name or not server:
        fail(EX_USAGE, f"'{account}' is not NAME@HOST[:PORT]")
    return name, server


@contextmanager
def _credentials() -> Generator[None]:
    """Leave with a clear line if what is remembered cannot be read."""
    from twotick.client.credentials import CredentialError

    try:
        yield
    except CredentialError as error:
        fail(EX_OSERR, str(error))
    except ValueError as error:
        fail(EX_USAGE, str(error))


def _login(settings: "Settings", name: str | None) -> "Credential | None":
    """The login with this name on this server, if there is one."""
    from twotick.client import credentials

    with _credentials():
        return credentials.load(settings.server, name)


def _member(settings: "Settings", name: str | None) -> "Credential":
    who = _login(settings, name)
    if who is None:
        whom = name or "anybody"
        fail(EX_UNAVAILABLE, f"not logged in as {whom} on {settings.server}: 'twotick login NAME@HOST' does that")
    return who


# The operator's commands: on the data of a server, also while it runs. The help of all commands only names them: few
# people need them, and it is to fit one screen.

user = typer.Typer(help="Members: add, passwd, remove, list.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(user, name="user", hidden=True)

MemberArgument = Annotated[str, typer.Argument(help="The member's name.")]


@user.command("add")
def user_add(name: MemberArgument, data: DataOption = None, config: ConfigOption = None) -> None:
    """Make a name a member's; asks for a password.

    Without a terminal the password is one line of standard input.
    """
    from twotick import admin
    from twotick.ui.password import read_password

    with _administering(config, data, make=True) as (store, _):
        admin.check_free(store, name)
        admin.add(store, name, read_password())


@user.command("passwd")
def user_passwd(name: MemberArgument, data: DataOption = None, config: ConfigOption = None) -> None:
    """Give a member another password; tokens stay good.

    Without a terminal the password is one line of standard input.
    """
    from twotick import admin
    from twotick.ui.password import read_password

    with _administering(config, data) as (store, _):
        admin.find(store, name)
        admin.change_password(store, name, read_password())


@user.command("remove")
def user_remove(name: MemberArgument, data: DataOption = None, config: ConfigOption = None) -> None:
    """Remove a member, with its messages, devices and tokens."""
    from twotick import admin

    with _administering(config, data) as (store, _):
        admin.remove(store, name)


@user.command("list")
def user_list(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """List the members, each with the number of its devices."""
    from twotick import admin

    with _administering(config, data) as (store, _):
        for name, devices in admin.members(store):
            if as_json:
                print(json.dumps({"name": name, "devices": devices}))
            else:
                print(f"{name:<32} {devices} {'device' if devices == 1 else 'devices'}")


@app.command(hidden=True)
def token(
    name: MemberArgument,
    device: Annotated[str, typer.Argument(help="The device that may use it.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Print a new token, which lets a device log in.

    An older token of the same device is no longer accepted.
    """
    from twotick import admin

    with _administering(config, data) as (store, _):
        print(admin.new_token(store, name, device))


@app.command(hidden=True)
def invite(
    days: Annotated[int, typer.Option(min=1, max=3650, metavar="N", help="Days for which it is good.")] = 7,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Print a code with which somebody can sign up, once."""
    from twotick import admin

    with _administering(config, data, make=True) as (store, settings):
        print(admin.invite(store, days))
    if settings.sign_up != "invite":
        complain(f"the server takes it only if sign_up = 'invite'; these settings say '{settings.sign_up}'")


report = typer.Typer(help="What members have reported: list, close.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(report, name="report", hidden=True)


@report.command("list")
def report_list(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """List the reports that are not closed, oldest first."""
    from twotick import admin
    from twotick.ui.reports import print_report

    with _administering(config, data) as (store, _):
        for each in admin.reports(store):
            print_report(each, as_json)


@report.command("close")
def report_close(
    number: Annotated[int, typer.Argument(min=1, max=10**15, metavar="NUMBER", help="What the list says.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Remove a report, when it is dealt with."""
    from twotick import admin

    with _administering(config, data) as (store, _):
        admin.close_report(store, number)


@app.command(hidden=True)
def backup(
    file: Annotated[Path, typer.Argument(help="The copy; replaced if it is there.")],
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Copy the server's data to a file, also while it runs."""
    from twotick import admin

    with _administering(config, data) as (store, settings):
        admin.backup(store, settings.data, file)


@app.command(hidden=True)
def check(data: DataOption = None, config: ConfigOption = None) -> None:
    """Look for damage in the server's data: 0 if there is none, else 65."""
    with _administering(config, data, unusable=EX_DATAERR) as (store, settings):
        problems = store.check()
        for problem in problems:
            print(problem)
        if problems:
            raise typer.Exit(EX_DATAERR)
        print(f"no damage in {settings.data}")


@app.command(hidden=True)
def cert(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Names and addresses of the server.")],
    days: Annotated[int, typer.Option(metavar="N", help="Days for which it is valid.")] = 3650,
    folder: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to put it [DATA/tls].")] = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a certificate that vouches for itself, and its key."""
    from twotick.server.tls import TlsError, make_certificate

    settings = _settings(config, data=data)
    try:
        certificate, key, fingerprint = make_certificate((folder or settings.data / "tls").absolute(), names, days)
    except TlsError as error:
        fail(EX_USAGE, str(error))
    print("Write into twotick.toml:\n")
    print(f"tls_certificate = {json.dumps(str(certificate), ensure_ascii=False)}")
    print(f"tls_key = {json.dumps(str(key), ensure_ascii=False)}\n")
    print(f"Clients will see {fingerprint}: tell it to those who connect.")


@contextmanager
def _administering(
    config: Path | None, data: Path | None, *, make: bool = False, unusable: int = EX_OSERR
) -> Generator[tuple["SqliteStore", "Settings"]]:
    """Open the data of a server, and leave with the exit status that tells why something was not done.

    Args:
        config: the settings file.
        data: the folder, if it was named.
        make: whether to make what is not there.
        unusable: the exit status if the data cannot be used.
    """
    from twotick import admin
    from twotick.store import StoreError

    settings = _settings(config, data=data)
    try:
        with admin.opened(settings.data, settings.store_limits(), make=make) as store:
            yield store, settings
    except (admin.Malformed, ValueError) as error:
        fail(EX_USAGE, str(error))
    except admin.AdminError as error:
        fail(EX_DATAERR, str(error))
    except StoreError as error:
        fail(unusable, str(error))
    except EOFError:
        fail(EX_USAGE, "no password was given")
    except KeyboardInterrupt:
        raise typer.Exit(EX_INTERRUPTED) from None


def _settings(config: Path | None, **given: Any) -> "Settings":
    from twotick.settings import SettingsError, load

    try:
        return load(config, given)
    except SettingsError as error:
        fail(EX_USAGE, str(error))


def main() -> NoReturn:
    """Run the command and exit."""
    open_missing()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    status: Any = 0
    try:
        try:
            app()
        except SystemExit as leaving:
            status = _TYPER_STATUS.get(leaving.code, leaving.code)
        sys.stdout.flush()
    except OSError as error:
        status = output_lost(error)
    sys.exit(status)
