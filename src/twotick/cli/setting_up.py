"""The command that sets up a server."""

import os
import socket
from pathlib import Path

import click

from twotick.cli.common import FILE, FOLDER
from twotick.ui.shell.leaving import EX_OSERR, EX_UNAVAILABLE, EX_USAGE, fail
from twotick.ui.shell.streams import on_a_terminal


@click.command
@click.argument("name", metavar="[HOST]", required=False, help="The name by which others call this machine.")
@click.option("--member", metavar="NAME", help="The first member; asks for a password, or reads one line.")
@click.option("--self-signed", is_flag=True, help="Make a certificate, and ask no authority for one.")
@click.option("--acme-server", metavar="URL", default="", help="Directory of the authority [Let's Encrypt].")
@click.option("--acme-port", type=click.IntRange(1, 65535), metavar="PORT", default=80, help="For its challenge [80].")
@click.option("--email", metavar="ADDRESS", default="", help="Where the authority can reach you.")
@click.option("--config", type=FILE, metavar="FILE", help="Set up a server of your own, with these settings.")
@click.option("--data", type=FOLDER, metavar="DIR", help="Set up a server of your own, with its data here.")
@click.option("--yes", is_flag=True, help="Agree to the authority's terms of service; ask nothing.")
@click.option("--dry-run", is_flag=True, help="Print every file and command, and change nothing.")
def quickstart(
    *,
    name: str | None,
    member: str | None,
    self_signed: bool,
    acme_server: str,
    acme_port: int,
    email: str,
    config: Path | None,
    data: Path | None,
    yes: bool,
    dry_run: bool,
) -> None:
    """Set up a server: settings, certificate, service, first member. What is there stays as it is.

    As root, it is a server of this machine; else your own, in your folders.

    Example: twotick quickstart chat.example --member alice
    """
    from twotick import quickstart as setting_up
    from twotick.quickstart import Hand, NotSetUp, ServerPlan, StepFailed, own_place, set_up, system_place
    from twotick.quickstart.setting_up import why_self_signed
    from twotick.server import TlsError
    from twotick.settings import default_data_folder, default_file

    if os.geteuid() == 0 and config is None and data is None:
        place = system_place()
    else:
        place = own_place(config or default_file(), data or default_data_folder())
    may_ask = on_a_terminal() and not yes and not dry_run
    if name is None:
        if not may_ask:
            raise click.UsageError("name this machine as others call it, for example chat.example")
        name = str(click.prompt("The name by which others call this machine", default=socket.getfqdn()))
    hand = Hand(lambda line: print(line, flush=True), dry=dry_run)
    if member is None and may_ask and not setting_up.count_members(place, hand):
        member = str(click.prompt("The name of the first member", default="", show_default=False))
    plan = ServerPlan(setting_up.host_name(name), (member or "").strip(), self_signed, acme_server, acme_port, email)
    os.umask(os.umask(0o022) | 0o022)  # what is made here is for others to read at most
    try:
        if why_self_signed(plan, place) is None and not yes and not dry_run:
            setting_up.check(plan, place)
            _agree(acme_server or "Let's Encrypt", may_ask=may_ask)
        set_up(plan, place, hand)
    except NotSetUp as error:
        fail(EX_USAGE, *str(error).splitlines())
    except TlsError as error:
        fail(EX_USAGE, str(error))
    except StepFailed as error:
        fail(
            error.status if error.status > 0 else EX_UNAVAILABLE, str(error), "what was done before stays: run it again"
        )
    except OSError as error:
        fail(EX_OSERR, f"{error.filename} cannot be written: {error.strerror}")


def _agree(authority: str, *, may_ask: bool) -> None:
    """Ask whether the operator agrees to the authority's terms, and exit if not."""
    if not may_ask:
        fail(EX_USAGE, f"do you agree to the terms of service of {authority}? Then say --yes; else --self-signed")
    if not click.confirm(f"Do you agree to the terms of service of {authority}, which gives the certificate?"):
        fail(EX_USAGE, "then make a certificate with --self-signed")
