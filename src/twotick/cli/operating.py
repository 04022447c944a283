"""The operator's commands, which work on the server's data, also while the server runs."""

import functools
import json
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twotick.cli.common import FOLDER, Function, config_option, data_option, json_option, settings_of
from twotick.cli.duration import Duration
from twotick.ui.shell.leaving import EX_DATAERR, EX_INTERRUPTED, EX_OSERR, EX_UNAVAILABLE, EX_USAGE, fail
from twotick.ui.shell.streams import complain, on_a_terminal

if TYPE_CHECKING:
    from twotick.server import PageUrl
    from twotick.server.issuing import CertificateOrder
    from twotick.settings import Settings
    from twotick.store import SqliteStore


@dataclass(frozen=True, slots=True)
class ServerData:
    """The data that a command works on.

    Attributes:
        settings: they name the folder.
        chosen: whether the user named the folder on the command line.
        config: the settings file that the user named; None for the default file.
    """

    settings: "Settings"
    chosen: bool
    config: Path | None

    @property
    def postgres(self) -> str | None:
        """The address of the database on PostgreSQL; None if the data are in a folder."""
        return None if self.chosen else self.settings.database

    @property
    def where(self) -> str:
        """Where the data are, for a person to read."""
        return str(self.settings.data) if self.postgres is None else "the database on PostgreSQL"

    @contextmanager
    def opened(self, *, create: bool = False, damaged: int = EX_OSERR) -> Generator["SqliteStore"]:
        """Open the database, and exit with a status that tells why something was not done.

        Args:
            create: create the database if there is none.
            damaged: the exit status if the database is damaged.
        """
        from twotick import admin
        from twotick.settings import default_data_folder
        from twotick.store import Damaged, StoreError

        settings = self.settings
        if settings.memory and not self.chosen:
            fail(
                EX_UNAVAILABLE,
                "the setting memory is true, so the server has no database: name a database's folder with --data",
            )
        try:
            chosen = self.chosen or settings.data != default_data_folder()
            where = admin.DataFolder(settings.data, chosen, self.postgres)
            with admin.opened(where, settings.store_limits(), create=create) as store:
                yield store
        except admin.Unreachable as error:
            fail(EX_UNAVAILABLE, str(error))
        except (admin.Malformed, ValueError) as error:
            fail(EX_USAGE, str(error))
        except admin.AdminError as error:
            fail(EX_DATAERR, str(error))
        except Damaged as error:
            fail(damaged, str(error))
        except StoreError as error:
            fail(EX_OSERR, str(error))
        except EOFError:
            fail(EX_USAGE, "no password was given")
        except KeyboardInterrupt:
            raise SystemExit(EX_INTERRUPTED) from None


def with_data(command: Function) -> Function:
    """Add --data and --config; the command gets the keyword argument `data`."""

    @functools.wraps(command)
    def wrapper(*, data: Path | None, config: Path | None, **options: object) -> None:
        command(data=ServerData(settings_of(config, data=data), data is not None, config), **options)

    return data_option(config_option(wrapper))


name_argument = click.argument("name", metavar="NAME", help="The member's name.")


@click.group(options_metavar="", subcommand_metavar="COMMAND [OPTIONS] [ARGUMENTS]")
def user() -> None:
    """Add, list, disable, reset, remove and invite members, as the operator."""


@user.command("add")
@name_argument
@with_data
def user_add(name: str, *, data: ServerData) -> None:
    """Add a member; asks for a password.

    Without a terminal, the password is one line of standard input.

    Example: twotick user add alice
    """
    from twotick import admin
    from twotick.ui.shell.password import SHORTEST_OF_OPERATOR, read_password

    with data.opened(create=True) as store:
        admin.check_free(store, name)
        admin.add(store, name, read_password(shortest=SHORTEST_OF_OPERATOR))


@user.command("passwd")
@name_argument
@with_data
def user_passwd(name: str, *, data: ServerData) -> None:
    """Set a new password for a member; devices stay logged in.

    Without a terminal, the password is one line of standard input.
    """
    from twotick import admin
    from twotick.ui.shell.password import SHORTEST_OF_OPERATOR, read_password

    with data.opened() as store:
        admin.find(store, name)
        admin.change_password(store, name, read_password(shortest=SHORTEST_OF_OPERATOR))


@user.command("remove")
@name_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@with_data
def user_remove(name: str, *, yes: bool, data: ServerData) -> None:
    """Remove a member with all messages, devices and tokens.

    It asks first. Without a terminal, it needs --yes.
    """
    from twotick import admin

    with data.opened() as store:
        admin.find(store, name)
        if not yes:
            _confirm(f"Remove {name} with all messages, devices and tokens? This cannot be undone.")
        admin.remove(store, name)


def _confirm(question: str) -> None:
    """Ask whether to go on, and exit if the answer is not yes."""
    if not on_a_terminal():
        fail(EX_USAGE, "there is no terminal to ask on: --yes removes without asking")
    if input(f"{question} Type yes: ").strip().lower() not in ("y", "yes"):
        fail(EX_INTERRUPTED, "nothing was changed")


@user.command("email")
@name_argument
@click.argument("address", metavar="[ADDRESS]", required=False, help="The e-mail address [show it].")
@click.option("--remove", is_flag=True, help="Remove the address.")
@with_data
def user_email(name: str, address: str | None, *, remove: bool, data: ServerData) -> None:
    """Set, show or remove a member's e-mail address.

    There the member is told of messages that wait, once a day at most, if the setting mail_url names a mail server. The
    member sees the address and can switch that off with 'twotick profile --digest'.

    Example: twotick user email alice alice@example.org
    """
    from twotick import admin

    if address is not None and remove:
        raise click.UsageError("name an ADDRESS, or --remove")
    with data.opened() as store:
        if address is not None or remove:
            admin.set_email(store, name, address)
        elif (found := admin.email(store, name)) is None:
            print("none")
        else:
            print(f"{found.address}{'' if found.wanted else ' (switched off by the member)'}")
    if address is not None and data.settings.mail_url is None:
        complain("these settings name no mail server: nothing is sent until mail_url and mail_from are set")


@user.command("list")
@json_option
@with_data
def user_list(*, as_json: bool, data: ServerData) -> None:
    """List the members.

    It says of each how many devices there are, when one was last connected, and what the server keeps for the member.
    """
    from twotick import admin
    from twotick.ui.shell.standing import print_member

    with data.opened() as store:
        for each in admin.members(store):
            print_member(each, as_json)


@click.command
@name_argument
@click.argument("device", metavar="DEVICE", help="The device that may use the token.")
@with_data
def token(name: str, device: str, *, data: ServerData) -> None:
    """Print a new token with which a member's device can log in.

    It replaces the device's previous token. Use it for bots and scripts.
    """
    from twotick import admin

    with data.opened() as store:
        print(admin.new_token(store, name, device))


@user.command("invite")
@click.option(
    "--days", type=Duration(60, "d", 3650 * 86400), metavar="TIME", default="7d", help="Time until it expires [7d]."
)
@click.option("--link", "only_link", is_flag=True, help="Print only a link, which opens the web page with the code.")
@click.option("--no-qr", is_flag=True, help="On a terminal, show no QR code.")
@with_data
def user_invite(*, days: float, only_link: bool, no_qr: bool, data: ServerData) -> None:
    """Print a code with which one person can sign up.

    On a terminal, also print a link that opens the web page with the code filled in, and the link as a QR code.
    The server accepts invitations if its setting sign_up is 'invite'.
    """
    from twotick import admin
    from twotick.ui.shell.qr import print_qr

    page = page_of(data.settings)
    if only_link and page is None:
        fail(EX_USAGE, "these settings say nowhere where the web page is: set web_url to its address for browsers")
    with data.opened(create=True) as store:
        code = admin.invite(store, days)
    link = f"{page.url}#invite={code}" if page is not None else ""
    if not only_link:
        print(code)
    if link and (only_link or sys.stdout.isatty()):
        print(link)
        if not only_link and not no_qr:
            print_qr(link, f"{code}\n{link}")
        if page is not None and page.is_local:
            complain("the link works only on this machine: set web_url to the address that others use")
    if data.settings.sign_up != "invite":
        complain(
            f"the server accepts this code only with sign_up = 'invite'; these settings say '{data.settings.sign_up}'"
        )


def page_of(settings: "Settings") -> "PageUrl | None":
    """Return where browsers find the web page; None if the settings do not say so."""
    from twotick.server import OptionsError, TlsError, page_url

    try:
        return page_url(settings.server_options())
    except OptionsError as error:
        fail(EX_USAGE, *error.problems)
    except TlsError as error:
        fail(EX_USAGE, str(error))


@user.command("reports")
@click.option("--close", "number", metavar="NUMBER", type=click.IntRange(1, 10**15), help="Remove this report.")
@json_option
@with_data
def user_reports(*, number: int | None, as_json: bool, data: ServerData) -> None:
    """List what members have reported, or close a report.

    The list begins with the oldest one.

    Example: twotick user reports --close 3
    """
    from twotick import admin
    from twotick.ui.shell.reports import print_report

    with data.opened() as store:
        if number is not None:
            admin.close_report(store, number)
            return
        for each in admin.reports(store):
            print_report(each, as_json)


@click.command
@click.argument(
    "file",
    metavar="[FILE]",
    required=False,
    type=click.Path(path_type=Path),
    help="The copy; an existing file is replaced.",
)
@click.option("--folder", type=FOLDER, metavar="DIR", help="Add a checked copy to this folder of backups instead.")
@click.option("--keep", type=click.IntRange(1, 10000), metavar="N", default=7, help="How many stay in the folder [7].")
@with_data
def backup(file: Path | None, *, folder: Path | None, keep: int, data: ServerData) -> None:
    """Copy the server's database to a file, also while it runs.

    To restore it, copy the file to DIR/twotick.db and run 'twotick serve --data DIR'. With --folder, the copy gets the
    time as its name and is checked, and the oldest copies are removed. The setting backup_folder does that every day.
    """
    from twotick import admin

    if (file is None) is (folder is None):
        raise click.UsageError("name a FILE, or a folder with --folder")
    with data.opened() as store:
        if file is not None:
            admin.backup(store, data.settings.data, file)
        elif folder is not None:
            print(admin.backup_to(store, data.settings.data, folder, keep, data.settings.store_limits()))


@click.command
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@config_option
def migrate(source: str, target: str, *, config: Path | None) -> None:
    """Copy all data from a folder to a database on PostgreSQL, or back, and compare them.

    Stop the server first. If the copying is interrupted, run the command again: it goes on where it was.

    Example: twotick migrate /var/lib/twotick postgresql://twotick@db.example/twotick
    """
    from twotick.store import StoreError, migrate_store

    old, new = _place(source), _place(target)
    if old == new:
        fail(EX_USAGE, "source and target are the same: name a folder and a database on PostgreSQL")
    if isinstance(old, Path) and not (old / "twotick.db").is_file():
        fail(EX_USAGE, f"there are no data to copy in {source}: name the server's folder or database first")
    try:
        rows = migrate_store(old, new, settings_of(config).store_limits(), complain)
    except StoreError as error:
        fail(EX_OSERR, str(error))
    print(f"copied and compared ({rows:,} in all): start the server with the copy from now on")


def _place(text: str) -> Path | str:
    """Return the address of a database on PostgreSQL, or a folder."""
    if text.startswith(("postgresql://", "postgres://")):
        return text
    if ":/" in text:  # it is no folder, and is not repeated here, because it may have a password
        fail(EX_USAGE, "an address of a database is written as postgresql://USER@HOST/NAME")
    return Path(text)


@click.command
@click.option(
    "--backup",
    "file",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Restore this backup on trial instead, and check that.",
)
@with_data
def check(*, file: Path | None, data: ServerData) -> None:
    """Check the server's database for damage.

    The exit status is 0 if there is none, 65 if there is some, and 71 if it cannot be found out.
    """
    if file is not None:
        _rehearse(file, data)
        return
    with data.opened(damaged=EX_DATAERR) as store:
        problems = store.check()
        for problem in problems:
            print(problem)
        if problems:
            raise SystemExit(EX_DATAERR)
        print(f"no damage in {data.where}")


def _rehearse(file: Path, data: ServerData) -> None:
    """Restore a backup on trial, and say how that went."""
    from twotick import admin
    from twotick.store import Damaged, StoreError

    try:
        number = admin.rehearse(file, data.settings.store_limits())
    except (admin.AdminError, Damaged) as error:
        fail(EX_DATAERR, *str(error).splitlines())
    except StoreError as error:
        fail(EX_OSERR, str(error))
    print(f"{file} can be restored: {number} {'member' if number == 1 else 'members'}, no damage")


@click.command
@click.option("--accept", is_flag=True, help="Say that the system's clock is right.")
@with_data
def clock(*, accept: bool, data: ServerData) -> None:
    """Compare the system's clock with the time that the server kept last.

    A server does not remove anything by a clock that differs by days. If it is right, for example after the
    server was off for weeks, --accept says so. Nothing is removed by that.
    """
    from twotick import admin
    from twotick.server.clock import describe_difference
    from twotick.wire import time_text

    with data.opened() as store:
        if accept:
            admin.accept_clock(store)
            print("accepted: messages age by the system's clock from now on")
            return
        ahead, kept = admin.compare_clock(store)
        print(f"the server kept the time {time_text(kept).decode()}")
        print(f"the system's clock is {describe_difference(ahead)} that")
        believed = abs(ahead) <= data.settings.clock_days * 86400
        print("it is believed" if believed else "it is not believed: set it right, or run 'twotick clock --accept'")


@click.command
@click.argument("names", metavar="NAME...", nargs=-1, help="Host names and addresses of the server.")
@click.option("--days", type=Duration(unit="d"), metavar="TIME", default="3650d", help="Time until it expires [3650d].")
@click.option("--acme", is_flag=True, help="Get it from a certificate authority instead.")
@click.option("--renew", is_flag=True, help="Renew one of an authority, if that is due.")
@click.option("--acme-server", metavar="URL", help="Directory of the authority [Let's Encrypt].")
@click.option("--acme-port", type=click.IntRange(1, 65535), metavar="PORT", help="Where its challenge arrives [80].")
@click.option("--email", metavar="ADDRESS", default="", help="Where the authority can reach you.")
@click.option("--folder", type=FOLDER, metavar="DIR", help="Where to put it [DATA/tls].")
@with_data
def cert(
    names: tuple[str, ...],
    *,
    days: float,
    acme: bool,
    renew: bool,
    acme_server: str | None,
    acme_port: int | None,
    email: str,
    folder: Path | None,
    data: ServerData,
) -> None:
    """Make a self-signed certificate and its private key, or get one from an authority (you agree to its terms).

    Example: twotick cert chat.example 192.0.2.7
    """
    from twotick.server.issuing import CHALLENGE_PORT, LETS_ENCRYPT, CertificateOrder, NotIssued
    from twotick.server.tls import TlsError

    if renew and (names or acme):
        raise click.UsageError("--renew takes no names: it knows what it got before")
    if not renew and not names:
        raise click.UsageError("name the host, for example chat.example")
    where = (folder or data.settings.data / "tls").absolute()
    try:
        if renew:
            _renew(where)
        elif acme or acme_server:
            order = CertificateOrder([*names], acme_server or LETS_ENCRYPT, email, acme_port or CHALLENGE_PORT)
            _issue(where, order, data)
        else:
            _make(where, names, days, data)
    except TlsError as error:
        fail(EX_USAGE, str(error))
    except NotIssued as error:
        fail(EX_UNAVAILABLE, str(error))


def _make(where: Path, names: tuple[str, ...], days: float, data: ServerData) -> None:
    from twotick.server.tls import make_certificate

    certificate, key, fingerprint = make_certificate(where, list(names), round(days / 86400))
    _print_settings(certificate, key, data)
    print(f"Clients see the fingerprint {fingerprint}: tell it to your users, so that they can compare it.")


def _issue(where: Path, order: "CertificateOrder", data: ServerData) -> None:
    from twotick.server.issuing import issue

    issue(where, order)
    _print_settings(where / "certificate.pem", where / "key.pem", data)
    print("Run 'twotick cert --renew' every day: it renews the certificate when a third of its time is left.")


def _renew(where: Path) -> None:
    from datetime import UTC, datetime

    from twotick.server.issuing import read_order, renew

    order = read_order(where)
    if order is None:
        fail(EX_USAGE, f"the certificate in {where} is from no authority: there is nothing to renew")
    print(renew(where, order, datetime.now(UTC)))


def _print_settings(certificate: Path, key: Path, data: ServerData) -> None:
    """Print which settings to write."""
    from twotick.settings import default_file

    print(f"Add these lines to {data.config or default_file()}:\n")
    print(f"tls_certificate = {json.dumps(str(certificate), ensure_ascii=False)}")
    print(f"tls_key = {json.dumps(str(key), ensure_ascii=False)}\n")
