"""What a member does about a conversation: mute, block, pin, report."""

from typing import TYPE_CHECKING

import click

from twotick.cli.common import json_option, with_member
from twotick.cli.free_text import TextCommand
from twotick.cli.names import complete_peers, complete_users
from twotick.ui.shell.leaving import EX_USAGE, fail, run

if TYPE_CHECKING:
    from twotick.client.trust.tokens import Credential


@click.command
@click.argument(
    "peer",
    metavar="[NAME]",
    required=False,
    help="A user or a room ('#team') [list the muted].",
    shell_complete=complete_peers,
)
@click.option("--off", is_flag=True, help="Unmute it.")
@json_option
@with_member
def mute(peer: str | None, *, off: bool, as_json: bool, who: "Credential") -> None:
    """Turn notifications off for a conversation, or list the muted.

    This holds on all your devices. Messages arrive as before.
    """
    from twotick.ui.shell import conversations

    _check(peer, off=off, as_json=as_json)
    run(conversations.show_muted(who, as_json=as_json) if not peer else conversations.mute(who, peer, off=off))


@click.command
@click.argument(
    "user", metavar="[NAME]", required=False, help="The user [list the blocked].", shell_complete=complete_users
)
@click.option("--off", is_flag=True, help="Unblock the user.")
@json_option
@with_member
def block(user: str | None, *, off: bool, as_json: bool, who: "Credential") -> None:
    """Refuse messages from a user, or list the blocked.

    The user is not told. What a blocked user writes in a room is hidden from you.
    A room cannot be blocked: mute it, or leave it.
    """
    from twotick.ui.shell import conversations

    _check(user, off=off, as_json=as_json)
    run(conversations.show_blocked(who, as_json=as_json) if not user else conversations.block(who, user, off=off))


@click.command(cls=TextCommand)
@click.argument("user", metavar="NAME", help="The user.", shell_complete=complete_users)
@click.argument("text", metavar="TEXT", help="What is wrong, in at most 4 KiB.")
@click.option("--about", metavar="ID", help="A message from that user: its 'id' in 'history --json'.")
@with_member
def report_user(user: str, text: str, *, about: str | None, who: "Credential") -> None:
    """Report a user to the server's operator; the user is not told.

    Example: twotick report mallory "sends spam"
    """
    from twotick.ui.shell import conversations

    run(conversations.report(who, user, text, about=about))


@click.command
@click.argument("peer", metavar="PEER", help="A user or a room ('#team').", shell_complete=complete_peers)
@click.option("--pin", metavar="ID", help="Pin this message: its 'id' in 'history --json'.")
@click.option("--unpin", metavar="ID", help="Unpin this message.")
@click.option("--sender", metavar="NAME", help="Who sent that message [you].", shell_complete=complete_users)
@json_option
@with_member
def pins(
    peer: str, *, pin: str | None, unpin: str | None, sender: str | None, as_json: bool, who: "Credential"
) -> None:
    """List the pinned messages of a conversation, or pin one.

    All in the conversation see what is pinned. In a room, moderators and the owner
    pin, and others if the room lets them.

    Example: twotick pins '#team' --pin 3f9a --sender bob
    """
    from twotick.ui.shell import conversations

    if pin is not None and unpin is not None:
        fail(EX_USAGE, "--pin and --unpin cannot be given together")
    ident = unpin if pin is None else pin
    if ident is None:
        if sender is not None:
            fail(EX_USAGE, "--sender is for --pin and --unpin: give one of them")
        run(conversations.show_pins(who, peer, as_json=as_json))
    else:
        run(conversations.pin(who, peer, ident, sender=sender, off=pin is None))


def _check(peer: str | None, *, off: bool, as_json: bool) -> None:
    """Exit with a clear line if the arguments contradict each other."""
    if not peer and (peer is not None or off):
        fail(EX_USAGE, "a name is missing: give a user, or a room in quotes such as '#team'")
    if peer and as_json:
        fail(EX_USAGE, "--json is for the list: leave out either the name or --json")
