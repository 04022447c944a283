"""Commands to talk: demo, chat, send, listen; and bench."""

import gc
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from twotick.cli.common import (
    ConfigOption,
    JsonOption,
    NameArgument,
    ServerOption,
    app,
    login_of,
    member_of,
    settings_of,
)
from twotick.client import State
from twotick.ui.shell.leaving import EX_IOERR, fail, run
from twotick.ui.shell.streams import on_a_terminal


class Until(StrEnum):
    """What a member's `send` waits for."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    READ = "read"

    @property
    def state(self) -> State:
        """The same, for the library."""
        return State[self.name]


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

    Line by line, '@bob hello' sends to bob, '#team hello' to a room, '@ALL hello' to everyone.
    """
    full_screen = on_a_terminal() and not plain
    if full_screen:
        gc.disable()  # of what is loaded now nothing is garbage, and not to look for it brings the first picture sooner
    settings = settings_of(config, server=server)
    who = login_of(settings, name)
    if full_screen:
        from twotick.ui.app import AppOptions, run_app

        gc.freeze()
        gc.enable()
        run(run_app(AppOptions(settings.server, name or "", who, settings.max_body, settings.notify, settings.theme)))
        return
    from twotick.ui.line.chat import chat, chat_as_member

    if who is not None:
        run(chat_as_member(who))
    else:
        run(chat(name or "", server=settings.server, max_body=settings.max_body))


@app.command()
def send(
    sender: Annotated[str, typer.Option("--from", metavar="NAME", help="The name to send as.")],
    recipient: Annotated[str, typer.Argument(help="A name, '#room', or ALL for everyone.")],
    text: Annotated[str | None, typer.Argument(help="The message; standard input if not given.")] = None,
    file: Annotated[
        Path | None, typer.Option("--file", metavar="FILE", help="Send this too, as a member.", dir_okay=False)
    ] = None,
    until: Annotated[
        Until, typer.Option(metavar="STATE", help="Wait until accepted, delivered or read.")
    ] = Until.DELIVERED,
    wait: Annotated[float, typer.Option(min=0, metavar="SECONDS", help="For how long, once it is stored.")] = 30,
    expires: Annotated[
        int | None, typer.Option(min=1, metavar="SECONDS", help="Drop it if it is not delivered by then.")
    ] = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Send one message; the exit status says what became of it.

    0 delivered (or what --until says), 75 stored but not there yet, 69 not delivered, 68 server not reachable,
    76 protocol error, 74 a file cannot be read, 64 wrong usage.
    """
    from twotick.ui.shell.send import read_body, send

    settings = settings_of(config, server=server)
    who = login_of(settings, sender) if file is None else member_of(settings, sender)
    try:
        body = b"" if file is not None and text is None else read_body(text, settings.max_body)
    except OSError as error:
        fail(EX_IOERR, f"cannot read standard input: {error.strerror}")
    if who is None:
        run(send(recipient, body, name=sender, server=settings.server, max_body=settings.max_body))
        return
    from twotick.ui.shell import member

    run(member.send(who, recipient, body, file=file, until=until.state, wait=wait, expires=expires))


@app.command()
def listen(
    name: NameArgument,
    as_json: JsonOption = False,
    count: Annotated[int | None, typer.Option(min=1, metavar="N", help="Leave after N messages.")] = None,
    command: Annotated[
        str | None,
        typer.Option(
            "--exec",
            metavar="COMMAND",
            help="Run COMMAND for each: body on its standard input, sender in TWOTICK_FROM, room in TWOTICK_ROOM, "
            "saved file in TWOTICK_FILE. If it fails, the sender is told that the message was not delivered.",
        ),
    ] = None,
    files: Annotated[
        Path | None,
        typer.Option("--files", metavar="DIR", help="Save files that come in DIR, as a member.", file_okay=False),
    ] = None,
    server: ServerOption = None,
    config: ConfigOption = None,
) -> None:
    """Print each message as it comes, and acknowledge it then."""
    from twotick.ui.shell import listen as ui

    if as_json and command is not None:
        raise typer.BadParameter("choose one of --json and --exec")
    settings = settings_of(config, server=server)
    handle = ui.run_command(command) if command is not None else ui.print_json if as_json else ui.print_line
    who = login_of(settings, name) if files is None else member_of(settings, name)
    if who is None:
        run(ui.listen(name, handle, server=settings.server, max_body=settings.max_body, count=count))
        return
    from twotick.ui.shell import member

    run(member.listen(who, handle, count=count, folder=files))


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
    from twotick.ui.load import measure

    settings = settings_of(config, server=server)
    run(
        measure(settings.server, pairs=pairs, window=window, size=size, deliveries=deliveries, as_json=as_json),
        fast=True,
    )
