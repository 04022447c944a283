"""A member's commands for the own account: the password, and the profile."""

from typing import TYPE_CHECKING

import click

from twotick.cli.common import json_option, with_member
from twotick.cli.names import complete_users
from twotick.ui.shell.leaving import EX_INTERRUPTED, EX_USAGE, fail, run

if TYPE_CHECKING:
    from twotick.client.trust.tokens import Credential


@click.command
@click.option("--revoke-others", is_flag=True, help="Log your devices on all other machines out.")
@with_member
def password(*, revoke_others: bool, who: "Credential") -> None:
    """Change your password.

    Asks for the old password and the new one. Without a terminal, they are two lines
    of standard input. Your devices stay logged in, unless you revoke them.
    """
    from twotick.ui.shell.password import read_change
    from twotick.ui.shell.profile import change_password

    try:
        old, new = (each.decode() for each in read_change())
    except UnicodeDecodeError:
        fail(EX_USAGE, "a password is not text in UTF-8: nothing was changed")
    except (EOFError, ValueError, OSError) as error:
        fail(EX_USAGE, str(error) or "no password was given")
    except KeyboardInterrupt:
        raise SystemExit(EX_INTERRUPTED) from None
    run(change_password(who, old, new, revoke_others=revoke_others))


@click.command
@click.argument(
    "user", metavar="[NAME]", required=False, help="A member [your own profile].", shell_complete=complete_users
)
@click.option("--display", metavar="TEXT", help="Change your display name; '' removes it.")
@click.option("--status", metavar="TEXT", help="Change your status text; '' removes it.")
@click.option(
    "--digest",
    type=click.Choice(["show", "on", "off"]),
    help="E-mail about what waits for you.",
)
@click.option("--picture", metavar="FILE", help="Change your picture; '' removes it.")
@json_option
@with_member
def profile(
    user: str | None,
    *,
    display: str | None,
    status: str | None,
    picture: str | None,
    digest: str | None,
    as_json: bool,
    who: "Credential",
) -> None:
    """Show a profile, or change your own.

    Others see your display name beside your name, your status text and your picture,
    which is cut to a square of at most 256 pixels a side. The operator sets where e-mail goes.

    Example: twotick profile --display 'Alice Miller' --status 'back at noon'
    """
    from twotick.ui.shell import profile

    if user is not None and any(each is not None for each in (display, status, picture, digest)):
        fail(EX_USAGE, f"only your own profile can be changed: leave out {user}")
    if digest is not None:
        if any(each is not None for each in (display, status, picture)):
            fail(EX_USAGE, "--digest is used by itself: change the rest of the profile with another command")
        run(profile.show_digest(who, wanted=None if digest == "show" else digest == "on", as_json=as_json))
    elif user is not None:
        run(profile.show_profile(who, user, as_json=as_json))
    else:
        run(profile.own_profile(who, display=display, status=status, picture=picture, as_json=as_json))
