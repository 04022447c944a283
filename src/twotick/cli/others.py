"""What a member does about others: mute, block, report."""

from typing import Annotated

import typer

from twotick.cli.common import AsOption, ConfigOption, JsonOption, ServerOption, app, member_of, settings_of
from twotick.cli.serving import report
from twotick.ui.shell.leaving import EX_USAGE, fail, run

OffOption = Annotated[bool, typer.Option("--off", help="Take it back.")]


@app.command(hidden=True)
def mute(
    peer: Annotated[str | None, typer.Argument(metavar="NAME", help="A user, or '#room'; none: list them.")] = None,
    off: OffOption = False,
    as_json: JsonOption = False,
    name: AsOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Silence a conversation on all devices, or list those that are silenced.

    What is said there arrives as before. Quote a room's name: '#team'.
    """
    from twotick.ui.shell import conversations

    _check(peer, off=off, as_json=as_json)
    who = member_of(settings_of(config, server=server), name)
    run(conversations.show_muted(who, as_json=as_json) if not peer else conversations.mute(who, peer, off=off))


@app.command(hidden=True)
def block(
    user: Annotated[str | None, typer.Argument(metavar="NAME", help="The user; none: list them.")] = None,
    off: OffOption = False,
    as_json: JsonOption = False,
    name: AsOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Take nothing more from a user, who is not told; or list who is blocked.

    What a blocked user says in rooms is hidden. Rooms cannot be blocked: mute them,
    or leave them.
    """
    from twotick.ui.shell import conversations

    _check(user, off=off, as_json=as_json)
    who = member_of(settings_of(config, server=server), name)
    run(conversations.show_blocked(who, as_json=as_json) if not user else conversations.block(who, user, off=off))


@report.command("user")
def report_user(
    user: Annotated[str, typer.Argument(metavar="NAME", help="The user.")],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What is wrong: at most 4 KiB.")],
    about: Annotated[
        str | None, typer.Option(metavar="ID", help="A message of the user's: 'id' in history --json.")
    ] = None,
    name: AsOption = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Tell the operator about a user, as a member; the user is not told."""
    from twotick.ui.shell import conversations

    run(conversations.report(member_of(settings_of(config, server=server), name), user, text, about=about))


def _check(peer: str | None, *, off: bool, as_json: bool) -> None:
    """See that what was asked for makes sense."""
    if not peer and (peer is not None or off):
        fail(EX_USAGE, "say whom: a name, or '#room' in quotes")
    if peer and as_json:
        fail(EX_USAGE, "--json is for the list, without a name")
