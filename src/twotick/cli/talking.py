"""Commands for users: demo, chat, send and listen; and bench, which measures a server."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING

import click

from twotick.cli.common import (
    FILE,
    FOLDER,
    Identity,
    OldSpelling,
    check_named,
    guest_of,
    json_option,
    member,
    with_identity,
    with_server,
)
from twotick.cli.duration import Duration
from twotick.cli.free_text import TextCommand
from twotick.cli.names import complete_peers
from twotick.ui.shell.leaving import EX_IOERR, EX_NOINPUT, EX_USAGE, fail, run
from twotick.ui.shell.streams import full_screen_possible

if TYPE_CHECKING:
    from twotick.settings import Settings


_FOR_MEMBERS = (
    "--until, --wait and --expires are for members, and you are not logged in as {name} on {server}: run"
    " 'twotick login {name}@{server}', or leave them out (a guest's message is delivered within 30 s, or not at all)"
)


@click.command
def demo() -> None:
    """Try it: a server, a friend called echo, and you."""
    from twotick.server import OptionsError
    from twotick.ui.demo import demo

    try:
        run(demo())
    except OptionsError as error:
        fail(EX_USAGE, *error.problems)


@click.command
@click.argument("old_me", cls=OldSpelling, required=False)
@click.option("--plain", is_flag=True, help="Talk line by line instead of on the full screen.")
@with_identity
def chat(*, plain: bool, who: Identity, settings: "Settings") -> None:
    """Talk on the full screen of a terminal, or line by line.

    Without --as and without an account, it asks for a name. In a pipe, or with
    --plain, each line is a message: '@bob hello' sends to bob, '#team hello' to a
    room, and '@ALL hello' to everyone.
    """
    full_screen = full_screen_possible() and not plain
    if full_screen:
        gc.disable()  # nothing that is loaded now is garbage: without a search for it the screen appears sooner
        from twotick.ui.app import AppOptions, run_app

        gc.freeze()
        gc.enable()
        run(
            run_app(
                AppOptions(
                    who.server,
                    who.name,
                    who.login,
                    max_body=settings.max_body,
                    notify=settings.notify,
                    theme=settings.theme,
                    language=settings.language,
                    formatting=settings.formatting,
                    plaintext=settings.plaintext,
                )
            )
        )
        return
    from twotick.ui.line.chat import chat, chat_as_member

    if who.login is not None:
        run(chat_as_member(who.login, formatted=settings.formatting))
    else:
        run(chat(guest_of(who, settings), formatted=settings.formatting))


@click.command(cls=TextCommand)
@click.argument(
    "recipient",
    metavar="RECIPIENT",
    help="A user, a room ('#team'), or ALL for everyone.",
    shell_complete=complete_peers,
)
@click.argument("text", metavar="[TEXT]", required=False, help="The message [standard input].")
@click.option("--from", "old_me", hidden=True)
@click.option("--file", type=FILE, metavar="FILE", help="Attach a file; for members only.")
@click.option(
    "--until",
    type=click.Choice(["accepted", "delivered", "read"]),
    metavar="STATE",
    help="Wait until accepted, delivered or read [delivered].",
)
@click.option("--wait", type=Duration(), metavar="TIME", help="How long to wait for that: 90s, '5 min' [30s].")
@click.option("--expires", type=Duration(1), metavar="TIME", help="Drop it if not delivered by then: 2h.")
@with_identity
def send(
    recipient: str,
    text: str | None,
    *,
    file: Path | None,
    until: str | None,
    wait: float | None,
    expires: float | None,
    who: Identity,
    settings: "Settings",
) -> None:
    """Send one message: twotick send oncall "disk full" --as cron. Exit status:

    \b
    0  delivered, or the state of --until      79 refused by the recipient
    75 stored, but not delivered within --wait 80 delivered, but not read
    67 no such user or room, or not connected  68 no connection: not sent
    77 not logged in, or not your name         81 not known if it arrived
    69 not delivered for another reason        64 wrong usage; 66 empty
    """  # noqa: D301, D415
    from twotick.ui.shell.send import read_body, send

    check_named(who)
    _check_recipient(recipient)
    login = who.login if file is None else member(who)
    try:
        body = b"" if file is not None and text is None else read_body(text, settings.max_body)
    except OSError as error:
        fail(EX_IOERR, f"cannot read standard input: {error.strerror}")
    if not body and file is None:
        where = "the text" if text not in (None, "-") else "standard input"
        fail(EX_NOINPUT, f"{where} is empty: nothing was sent")
    if login is None:
        if until in ("accepted", "read") or wait is not None or expires is not None:
            fail(EX_USAGE, _FOR_MEMBERS.format(name=who.name, server=who.server))
        run(send(guest_of(who, settings), recipient, body), recipient=recipient)
        return
    from twotick.client import State
    from twotick.ui.shell import member as shell

    state = State[(until or "delivered").upper()]
    wait = 30 if wait is None else wait
    run(shell.send(login, recipient, body, file=file, until=state, wait=wait, expires=expires), recipient=recipient)


def _check_recipient(recipient: str) -> None:
    """Exit with one clear line if this can be no recipient."""
    from twotick.wire import is_name, is_room

    word = recipient.encode(errors="replace")
    if is_name(word) or is_room(word) or word.upper() == b"ALL":
        return
    alone, at, _ = recipient.partition("@")
    hint = f": write {alone}; --as NAME@HOST chooses the server" if at and is_name(alone.encode()) else ""
    fail(EX_USAGE, f"not delivered to {recipient}: that is no user, no room such as '#team', and not ALL{hint}")


@click.command
@click.argument("old_me", cls=OldSpelling, required=False)
@json_option
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Exit after N messages.")
@click.option("--exec", "command", metavar="COMMAND", help="Run a shell command for each message.")
@click.option("--jobs", type=click.IntRange(1, 64), metavar="N", help="Run N commands at once; for members [1].")
@click.option("--timeout", type=Duration(0.01), metavar="TIME", help="Stop a command after that time: 90s, '5 min'.")
@click.option("--reply", is_flag=True, help="Send what the command prints as an answer; for members.")
@click.option("--files", type=FOLDER, metavar="DIR", help="Save received files in DIR; for members only.")
@with_identity
def listen(
    *,
    as_json: bool,
    count: int | None,
    command: str | None,
    jobs: int | None,
    timeout: float | None,
    reply: bool,
    files: Path | None,
    who: Identity,
    settings: "Settings",
) -> None:
    """Print each message as it arrives, and acknowledge it.

    The COMMAND of --exec reads the message from standard input, the sender from
    TWOTICK_FROM, the room from TWOTICK_ROOM and the path of a saved file from
    TWOTICK_FILE. If it fails, the sender is told that the message was not delivered.
    """
    from twotick.ui.shell import listen as shell

    if as_json and command is not None:
        raise click.UsageError("--json and --exec exclude each other: give only one of them")
    if command is None and (jobs is not None or timeout is not None or reply):
        raise click.UsageError("--jobs, --timeout and --reply are about the command of --exec: give one")
    check_named(who)
    login = who.login if files is None and jobs is None and not reply else member(who)
    handle = shell.print_json if as_json else shell.print_line
    if command is not None:
        handle = shell.MessageCommand(command, timeout, jobs or 1, reply)
    if login is None:
        run(shell.listen(guest_of(who, settings), handle, count=count))
        return
    from twotick.ui.shell import member as member_shell

    run(member_shell.listen(login, handle, count=count, folder=files))


@click.command
@click.option("--pairs", type=click.IntRange(min=1), metavar="N", default=10, help="Pairs of users [10].")
@click.option(
    "--window", type=click.IntRange(1, 256), metavar="N", default=16, help="Messages in flight per pair [16]."
)
@click.option("--size", type=click.IntRange(min=0), metavar="BYTES", default=64, help="Size of a message [64].")
@click.option(
    "--deliveries", type=click.IntRange(min=1), metavar="N", default=20_000, help="Messages in total [20000]."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@with_server
def bench(*, pairs: int, window: int, size: int, deliveries: int, as_json: bool, server: str, plaintext: bool) -> None:
    """Measure a server: deliveries per second, and their latency."""
    from twotick.ui.load import Load, measure

    load = Load(pairs=pairs, window=window, size=size, deliveries=deliveries)
    run(measure(server, load, as_json=as_json, tls=False if plaintext else None), fast=True)
