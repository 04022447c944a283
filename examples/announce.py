"""Announce something from a script without asyncio.

Usage: python announce.py RECIPIENT TEXT

The script ends with status 0 if a program of the recipient has the message, and with status 1 if not. Set
TWOTICK_SERVER if the server is not on this machine.
"""

import os
import sys

import twotick


def announce(recipient: str, text: str) -> int:
    """Send a message and return the exit status."""
    server = os.environ.get("TWOTICK_SERVER", "127.0.0.1:18000")
    try:
        receipt = twotick.send(recipient, text, sender="announcer", server=server)
    except twotick.NotDelivered as error:
        print(f"{recipient} does not have it: {error}", file=sys.stderr)
        return 1
    except twotick.ServerUnreachable as error:  # nothing was sent: it is safe to try again
        print(f"nothing was sent: {error}", file=sys.stderr)
        return 1
    except twotick.TwotickError as error:  # for example ConnectionLost: the message may have arrived
        print(f"it is not known whether {recipient} has it: {error}", file=sys.stderr)
        return 1
    print(f"{receipt.recipient} has it, after {receipt.seconds * 1000:.1f} ms")
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: python announce.py RECIPIENT TEXT")
    sys.exit(announce(sys.argv[1], sys.argv[2]))
