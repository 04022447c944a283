"""The server, and the commands of its operator: on its data, also while it runs.

The help of all commands only names the operator's: few people need them, and it is to fit one screen.
"""

import errno
import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from twotick.cli.common import ConfigOption, DataOption, JsonOption, app, settings_of
from twotick.client import reason
from twotick.ui.shell.leaving import EX_DATAERR, EX_INTERRUPTED, EX_OSERR, EX_USAGE, fail, output_lost
from twotick.ui.shell.streams import complain

if TYPE_CHECKING:
    from twotick.settings import Settings
    from twotick.store import SqliteStore


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
    settings = settings_of(config, host=host, port=port, data=data, memory=memory or None)
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


# The operator's commands

user = typer.Typer(help="Members: add, passwd, remove, list.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(user, name="user", hidden=True)

MemberArgument = Annotated[str, typer.Argument(help="The member's name.")]


@user.command("add")
def user_add(name: MemberArgument, data: DataOption = None, config: ConfigOption = None) -> None:
    """Make a name a member's; asks for a password.

    Without a terminal the password is one line of standard input.
    """
    from twotick import admin
    from twotick.ui.shell.password import read_password

    with _administering(config, data, make=True) as (store, _):
        admin.check_free(store, name)
        admin.add(store, name, read_password())


@user.command("passwd")
def user_passwd(name: MemberArgument, data: DataOption = None, config: ConfigOption = None) -> None:
    """Give a member another password; tokens stay good.

    Without a terminal the password is one line of standard input.
    """
    from twotick import admin
    from twotick.ui.shell.password import read_password

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
    as_json: JsonOption = False,
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


report = typer.Typer(
    help="What members have reported: list, close. Members report with: user.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(report, name="report", hidden=True)


@report.command("list")
def report_list(
    as_json: JsonOption = False,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """List the reports that are not closed, oldest first."""
    from twotick import admin
    from twotick.ui.shell.reports import print_report

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

    settings = settings_of(config, data=data)
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

    settings = settings_of(config, data=data)
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
