"""A member's commands for the own account: the password."""

from typing import TYPE_CHECKING

import click

from twotick.cli.common import with_member
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
