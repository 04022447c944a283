"""Send one message as a guest."""

import sys

from twotick.client import connect
from twotick.ui.shell.streams import abandon, complain
from twotick.ui.text import console, delivered_line


def read_body(text: str | None, max_body: int) -> bytes:
    """Return the message: the argument, or else the bytes of standard input.

    Args:
        text: the argument; None to read standard input.
        max_body: bytes of the longest message. One more is read, so that a longer message is noticed.
    """
    if text is not None:
        return text.encode("utf-8", "surrogateescape")
    if sys.stdin.isatty():
        console(stderr=True).print("Type the message; Ctrl-D on a line of its own sends it.")
    return sys.stdin.buffer.read(max_body + 1)


async def send(recipient: str, body: bytes, *, name: str, server: str, max_body: int) -> None:
    """Send one message, and print the receipt.

    Raises:
        TwotickError: the message was not delivered.
    """
    async with connect(name, server, max_body=max_body) as me:
        receipt = await me.send(recipient, body)
    try:
        console().print(delivered_line(receipt.recipient, receipt.seconds))
    except OSError as error:
        # The message has arrived, and a script that saw a failure would send it again.
        abandon(sys.stdout)
        complain(f"delivered, but standard output cannot be written: {error.strerror}")
