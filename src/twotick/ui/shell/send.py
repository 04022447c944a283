"""Send one message as a guest."""

import sys

from twotick.client import ConnectionLost, OutcomeUnknown
from twotick.ui.shell.connection import GuestUser, connected_guest
from twotick.ui.shell.streams import tell
from twotick.ui.text import console, delivered_line


def read_body(text: str | None, max_body: int) -> bytes:
    """Return the message: the argument, or else the bytes of standard input.

    Args:
        text: the argument; None or `-` to read standard input.
        max_body: bytes of the longest message. One more is read, so that a longer message is noticed.
    """
    if text not in (None, "-"):
        return text.encode("utf-8", "surrogateescape")
    if sys.stdin.isatty():
        console(stderr=True).print("Type the message; Ctrl-D on a line of its own sends it.")
    return sys.stdin.buffer.read(max_body + 1)


async def send(guest: GuestUser, recipient: str, body: bytes) -> None:
    """Send one message, and print the receipt.

    Raises:
        OutcomeUnknown: the connection was lost before the server answered.
        TwotickError: the message was not delivered.
    """
    async with connected_guest(guest) as me:
        try:
            receipt = await me.send(recipient, body)
        except ConnectionLost as error:
            raise OutcomeUnknown(str(error)) from error
        tell(delivered_line(receipt.recipient, receipt.seconds))
