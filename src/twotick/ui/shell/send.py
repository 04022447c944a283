"""Sending from a shell."""

import sys

from twotick.client import connect
from twotick.ui.shell.streams import abandon, complain
from twotick.ui.text import console, delivered_line


def read_body(text: str | None, max_body: int) -> bytes:
    """The message: the argument, or what comes on standard input, as it is.

    Args:
        text: the argument, or None.
        max_body: the longest message, in bytes; one more is read, so that it is seen to be too long.
    """
    if text is not None:
        return text.encode("utf-8", "surrogateescape")
    if sys.stdin.isatty():
        console(stderr=True).print("Type the message; Ctrl-D on a line of its own sends it.")
    return sys.stdin.buffer.read(max_body + 1)


async def send(recipient: str, body: bytes, *, name: str, server: str, max_body: int) -> None:
    """Send one message and print what became of it.

    Raises:
        TwotickError: it was not delivered.
    """
    async with connect(name, server, max_body=max_body) as me:
        receipt = await me.send(recipient, body)
    try:
        console().print(delivered_line(receipt.recipient, receipt.seconds))
    except OSError as error:
        # It has arrived, and whoever hears of a failure sends it again.
        abandon(sys.stdout)
        complain(f"delivered, but that cannot be written: {error.strerror}")
