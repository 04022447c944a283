"""Read a password from a terminal, or from standard input."""

import getpass
import sys

_MOST = 1024
"""Most bytes to read: no valid password is that long, and a longer one is refused."""


def read_change() -> tuple[bytes, bytes]:
    """Return a member's old and new password: typed unseen on a terminal, or two lines of standard input.

    Raises:
        ValueError: the new password was not typed alike twice.
        EOFError: a password is missing.
        OSError: standard input cannot be read.
    """
    if sys.stdin.isatty():
        old = getpass.getpass("Old password: ").encode("utf-8", "surrogateescape")
        new = getpass.getpass("New password: ")
        if new != getpass.getpass("Repeat the new password: "):
            raise ValueError("the two new passwords differ: nothing was changed")
        return old, new.encode("utf-8", "surrogateescape")
    old, line = read_password(), sys.stdin.buffer.readline(_MOST)
    if not line:
        raise EOFError("the new password is missing: standard input has two lines, the old password and the new one")
    return old, line.removesuffix(b"\n").removesuffix(b"\r")


def read_password(*, new: bool = True) -> bytes:
    """Return a password, typed unseen on a terminal or read as one line of standard input.

    Args:
        new: whether it is a new password, which a terminal asks for twice.

    Raises:
        ValueError: the two passwords differ.
        EOFError: no password was given.
        OSError: standard input cannot be read.
    """
    if not sys.stdin.isatty():
        return sys.stdin.buffer.readline(_MOST).removesuffix(b"\n").removesuffix(b"\r")
    password = getpass.getpass("Password: ")
    if new and password != getpass.getpass("Repeat the password: "):
        raise ValueError("the two passwords differ: nothing was changed")
    return password.encode("utf-8", "surrogateescape")
