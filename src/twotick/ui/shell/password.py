"""Passwords that are typed, or read by a program."""

import getpass
import sys

_MOST = 1024
"""Bytes that are read: a password is shorter, and what is longer is refused for it."""


def read_password(*, new: bool = True) -> bytes:
    """Read a password unseen on a terminal, otherwise one line of standard input.

    Args:
        new: whether it is one that is made up now, and so is asked for twice.

    Raises:
        ValueError: the two differ.
        EOFError: there is none.
        OSError: standard input cannot be read.
    """
    if not sys.stdin.isatty():
        return sys.stdin.buffer.readline(_MOST).removesuffix(b"\n").removesuffix(b"\r")
    password = getpass.getpass("Password: ")
    if new and password != getpass.getpass("The same again: "):
        raise ValueError("the two passwords differ: nothing was changed")
    return password.encode("utf-8", "surrogateescape")
