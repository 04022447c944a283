"""The operator's commands for the accounts of members: disable, rename, reset, tokens, roles and invitations."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from twotick.cli.common import json_option
from twotick.cli.duration import Duration
from twotick.cli.operating import ServerData, name_argument, page_of, user, with_data
from twotick.ui.shell.leaving import EX_USAGE, fail
from twotick.ui.shell.streams import complain

_device_argument = click.argument("device", metavar="[DEVICE]", required=False, help="The device.")


@user.command("disable")
@name_argument
@with_data
def user_disable(name: str, *, data: ServerData) -> None:
    """Keep a member out.

    All its connections end; nothing is removed. The member cannot log in by password or token until 'twotick user
    enable'. Messages to the member alone are refused; those to its rooms wait for it.
    """
    from twotick import admin

    with data.opened() as store:
        admin.disable(store, name)


@user.command("enable")
@name_argument
@with_data
def user_enable(name: str, *, data: ServerData) -> None:
    """Let a member in again that was disabled.

    Its password and its devices are as they were.
    """
    from twotick import admin

    with data.opened() as store:
        admin.disable(store, name, disabled=False)


@user.command("rename")
@name_argument
@click.argument("display", metavar="[TEXT]", required=False, help="The display name; without it, there is none.")
@with_data
def user_rename(name: str, display: str | None, *, data: ServerData) -> None:
    """Change a member's display name.

    Others see it beside the name. The name itself never changes.
    """
    from twotick import admin

    with data.opened() as store:
        admin.rename(store, name, display or "")


@user.command("reset")
@name_argument
@click.option(
    "--hours",
    type=Duration(60, "h", 3650 * 86400),
    metavar="TIME",
    default="24h",
    help="Time in which the member can set a new password [24h].",
)
@with_data
def user_reset(name: str, *, hours: float, data: ServerData) -> None:
    """Sign a member out everywhere.

    It prints a code with which the member sets a new password.

    The old password and all tokens are void at once. The member enters the code where new users enter an invitation:
    'twotick login NAME@HOST --sign-up CODE', in the app, or by the link to the web page.
    """
    from twotick import admin

    with data.opened() as store:
        code = admin.reset(store, name, hours)
    print(code)
    page = page_of(data.settings)
    if page is not None and sys.stdout.isatty():
        print(f"{page.url}#invite={code}")


@user.command("export")
@name_argument
@click.argument(
    "file", metavar="FILE", type=click.Path(path_type=Path), help="The archive, a ZIP file; - for standard output."
)
@with_data
def user_export(name: str, file: Path, *, data: ServerData) -> None:
    """Write all that is stored about a member to an archive.

    The server may run meanwhile.

    It has the profile, devices, settings, rooms, messages and files, as lines of JSON and as files; a README.txt in it
    explains them. Only you can read it: it has what others have written to the member.
    """
    from twotick import admin

    if str(file) == "-":
        if sys.stdout.isatty():
            fail(EX_USAGE, "an archive is no text: redirect standard output into a file or a pipe")
        with data.opened() as store:
            admin.export_to(store, name, sys.stdout.buffer)
        return
    with data.opened() as store:
        count = admin.export(store, data.settings.data, name, file)
    print(f"{file}: {count:,} {'entry' if count == 1 else 'entries'} of the log")


@user.command("tokens")
@name_argument
@json_option
@with_data
def user_tokens(name: str, *, as_json: bool, data: ServerData) -> None:
    """List a member's devices.

    It says whether each has a token, and when it was last connected.
    """
    from twotick import admin
    from twotick.ui.shell.standing import print_device

    with data.opened() as store:
        found = admin.devices(store, name)
    for each in found:
        print_device(each, as_json)
    if not found and not as_json:
        complain(f"{name} has no devices")


@user.command("revoke")
@name_argument
@_device_argument
@click.option("--all", "everywhere", is_flag=True, help="Sign out all devices; they keep their places.")
@with_data
def user_revoke(name: str, device: str | None, *, everywhere: bool, data: ServerData) -> None:
    """Revoke a member's device, and end its connections.

    The device and those below it are removed. With --all, all devices are signed out; the password stays valid.
    """
    from twotick import admin

    if (device is None) is not everywhere:
        raise click.UsageError("name a DEVICE, or all with --all")
    with data.opened() as store:
        if device is None:
            admin.sign_out(store, name)
        else:
            admin.revoke(store, name, device)


@user.command("role")
@name_argument
@click.argument(
    "role", metavar="ROLE", type=click.Choice(["operator", "member"]), help="'operator', or 'member' for no role."
)
@with_data
def user_role(name: str, role: str, *, data: ServerData) -> None:
    """Let a member use the operator's page, or not any more."""
    from twotick import admin

    with data.opened() as store:
        admin.set_operator(store, name, operator=role == "operator")


@user.command("invitations")
@click.option("--withdraw", "which", metavar="ID", help="Withdraw this one.")
@json_option
@with_data
def user_invitations(*, which: str | None, as_json: bool, data: ServerData) -> None:
    """List invitations that were not used yet, or withdraw one. Their codes are not kept."""
    from twotick import admin
    from twotick.server.acts import invitation_name

    with data.opened() as store:
        if which is not None:
            admin.withdraw_invitation(store, which)
            return
        found = admin.invitations(store)
    for each in found:
        ident, until = invitation_name(each), datetime.fromtimestamp(each.expires, UTC)
        if as_json:
            line = {"id": ident, "expires": until.isoformat(timespec="seconds"), "resets": each.member or None}
            print(json.dumps(line))
        else:
            purpose = f"resets the password of {each.member}" if each.member else "lets one person sign up"
            print(f"{ident}  until {until.astimezone().strftime('%Y-%m-%d %H:%M')}  {purpose}")
    if not found and not as_json:
        complain("there are no invitations")
